"""A reading: one id that a run of words may mean; and how readings become ranked candidates.

A reading of an obsolete term becomes a candidate for what replaced it, with a notice. Which
readings a text has is for :mod:`kg.grounding` and :mod:`kg.naming.identifiers` to find.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from kg.graph import KnowledgeGraph
from kg.naming.mentions import Candidate, How
from kg.terms import Category, Curie, Scope, Term

__all__ = ["Reading", "ranked"]


@dataclass(frozen=True, slots=True)
class Reading:
    """One id that a run of words may mean, before its term was read."""

    id: Curie
    category: Category
    score: float
    scope: Scope
    matched: str
    how: How
    notice: str = ""


def ranked(
    readings: Iterable[Reading],
    terms: Mapping[Curie, Term],
    graph: KnowledgeGraph,
    limit: int,
    *,
    strict: bool = False,
) -> tuple[Candidate, ...]:
    """Candidates of the readings, best first, each term once.

    ``terms`` are those of the readings, read already. In running text (``strict``) a name that
    an obsolete term had, and that no current one has taken over, names nothing; its id does.
    """
    found = [
        candidate
        for reading in readings
        for candidate in _resolve(reading, terms, graph)
        if not strict or reading.how == "identifier" or not _gone(reading, candidate, terms)
    ]
    best: dict[Curie, Candidate] = {}
    for candidate in sorted(found, key=lambda c: (-c.score, c.id, c.replaced, c.matched)):
        best.setdefault(candidate.id, candidate)
    return tuple(best.values())[:limit]


def _gone(reading: Reading, candidate: Candidate, terms: Mapping[Curie, Term]) -> bool:
    term = terms.get(reading.id)
    return term is not None and term.obsolete and candidate.id != term.replaced_by


def _resolve(
    reading: Reading, terms: Mapping[Curie, Term], graph: KnowledgeGraph
) -> Iterable[Candidate]:
    """The candidate of a reading; for an obsolete term, its replacements."""
    score = round(reading.score, 4)
    if reading.how == "organism" and reading.id not in terms:
        yield Candidate(
            reading.id, reading.matched, Category.OTHER, score, reading.scope, reading.matched,
            "NCBITaxon", "", "organism",
        )  # fmt: skip
        return
    term = terms.get(reading.id)
    if term is None:
        return
    candidate = Candidate(
        term.id, term.label, term.category, score, reading.scope, reading.matched,
        term.source, term.release, reading.how, notice=reading.notice,
    )  # fmt: skip
    if not term.obsolete:
        yield candidate
        return
    successors, certain = _successors(term, graph)
    for successor in successors:
        word = "replaced by" if certain else "consider"
        yield replace(
            candidate,
            id=successor.id,
            label=successor.label,
            category=successor.category,
            source=successor.source,
            release=successor.release,
            score=round(score * _successor_factor(reading, certain), 4),
            replaced=True,
            notice=f"{term.id} ({term.label}) is obsolete; {word} {successor.id}",
        )
    if not successors:
        notice = f"{term.id} ({term.label}) is obsolete and names no replacement"
        yield replace(candidate, score=round(score * 0.5, 4), notice=notice)


def _successor_factor(reading: Reading, certain: bool) -> float:
    """An id leads to its replacement; a name that was given up is rarely meant any more."""
    if reading.how == "identifier":
        return 0.98 if certain else 0.7
    return 0.85 if certain else 0.6


def _successors(term: Term, graph: KnowledgeGraph) -> tuple[list[Term], bool]:
    """What stands for an obsolete term now, and whether its source says so for certain."""
    seen = {term.id}
    current: Term | None = term
    while current and current.obsolete and current.replaced_by not in (None, *seen):
        assert current.replaced_by is not None
        seen.add(current.replaced_by)
        current = graph.term(current.replaced_by)
    if current and not current.obsolete:
        return [current], True
    considered = graph.terms(term.consider)
    return [t for t in considered.values() if not t.obsolete], False
