"""What a search may return, and what a reader must be told of an article.

Filters become one SQL condition over the docstore's tables. Notices (retractions, errata) become
words; they count from either end, the article's own record or the record of the notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from retrieval.medline import Notice

__all__ = ["RETRACTED", "Filters", "in_words"]

RETRACTED = """(c.retracted OR retracted_in(c.title, c.abstract) <> '' OR EXISTS (
    SELECT 1 FROM notices n WHERE n.target = c.pmid
    AND n.kind IN ('RetractionOf', 'RetractedandRepublishedFrom')))"""
# The words are asked each time, by a function that the docstore lends to SQLite, so that an index
# made before they were looked at is right too.

_SAID = {
    "RetractionIn": "retracted",
    "RetractionOf": "retracts another article",
    "RetractedandRepublishedIn": "retracted and republished",
    "RetractedandRepublishedFrom": "republished after a retraction",
    "ErratumIn": "has an erratum",
    "ErratumFor": "is an erratum",
    "CorrectedandRepublishedIn": "corrected and republished",
    "CorrectedandRepublishedFrom": "is a corrected republication",
    "ExpressionOfConcernIn": "has an expression of concern",
    "ExpressionOfConcernFor": "is an expression of concern",
    "UpdateIn": "has an update",
    "UpdateOf": "is an update",
}
_SAID_OF_TARGET = {
    "RetractionOf": "RetractionIn",
    "RetractedandRepublishedFrom": "RetractedandRepublishedIn",
    "ErratumFor": "ErratumIn",
    "CorrectedandRepublishedFrom": "CorrectedandRepublishedIn",
    "ExpressionOfConcernFor": "ExpressionOfConcernIn",
    "UpdateOf": "UpdateIn",
}


@dataclass(frozen=True, slots=True)
class Filters:
    """What a search may return; empty means everything.

    ``years`` is inclusive at both ends, either of which may be open. ``journal`` is a full title
    or an abbreviation, ``mesh`` a descriptor; both ignore case. ``retracted`` False leaves out
    retracted articles, True everything else.
    """

    years: tuple[int | None, int | None] = (None, None)
    journal: str = ""
    mesh: str = ""
    retracted: bool | None = None

    def clause(self) -> tuple[str, list[object]]:
        """The condition in SQL over ``citations c``, with its values."""
        parts: list[str] = []
        values: list[object] = []
        for bound, operator in zip(self.years, (">=", "<="), strict=True):
            if bound is not None:
                parts.append(f"c.year {operator} ?")
                values.append(bound)
        if self.journal:
            parts.append(
                "(c.journal = ? COLLATE NOCASE OR c.journal_abbreviation = ? COLLATE NOCASE)"
            )
            values += [self.journal, self.journal]
        if self.mesh:
            parts.append("c.doc IN (SELECT doc FROM mesh WHERE term = ?)")
            values.append(self.mesh)
        if self.retracted is not None:
            parts.append(RETRACTED if self.retracted else f"NOT {RETRACTED}")
        return " AND ".join(parts), values


def in_words(own: Sequence[Notice], others: Iterable[tuple[str, str]]) -> tuple[str, ...]:
    """What an article's record and those that name it say, sorted.

    Parameters
    ----------
    own
        The notices of the article's record.
    others
        Kind and PMID of the records whose notices name the article.

    >>> in_words([], [("RetractionOf", "34093767")])
    ('retracted: PMID 34093767',)
    """
    said = {(notice.kind, notice.pmid) for notice in own if notice.kind in _SAID}
    said |= {(_SAID_OF_TARGET[kind], pmid) for kind, pmid in others if kind in _SAID_OF_TARGET}
    return tuple(sorted(_SAID[kind] + (f": PMID {pmid}" if pmid else "") for kind, pmid in said))
