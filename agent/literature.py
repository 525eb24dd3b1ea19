"""Passages that bear on a question, as evidence: verbatim quotes from the literature index.

A passage is offered only if it speaks of what was asked: its title and quote together hold most
of the question's words of content, and, where nobody asked for literature, all of them. Search is
by words, or by words and vectors where the settings say so (vectors load a model).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from agent.facts import Finding, Found, none_found
from agent.routing.patterns import HARMLESS
from agent.routing.questions import SEARCHING
from agent.verification.statement import Form, Statement
from data.errors import AssetMissing
from kg.naming.lexicon import normalise

if TYPE_CHECKING:
    from retrieval.index import LiteratureIndex
    from retrieval.passages import Passage

__all__ = ["Literature", "no_index", "open_literature"]

_NO_INDEX = (
    "it asks for literature, and there is no literature index; make one with: celloquy data fetch "
    "literature, then celloquy index build"
)
_MOST = 0.6
"""Share of the content words that a passage must hold where literature was asked for."""
_FEW = 3
"""Of so few content words a passage must hold all: one left out is a third of what was asked."""
_DEPTH = 12  # citations read for each that is quoted
_STEM = 5
# Letters at which words are compared: "exhausted" and "exhaustion" speak of one thing.
# Verbs of asking: what papers do, not what they speak of.
_VERBS = """
mention mentions mentioned mentioning discuss discusses discussed discussing
describe describes described describing report reports reported reporting
talk talks talked talking speak speaks spoke spoken speaking
study studies studied studying
"""
_TELLING = frozenset(_VERBS.split())


@dataclass(frozen=True)
class Literature:
    """An open index and how it is searched."""

    index: LiteratureIndex
    mode: Literal["lexical", "hybrid"] = "lexical"

    def stored_text(self, pmid: str) -> str | None:
        """The text that a citation's offsets count in."""
        return self.index.text(pmid)

    def found(
        self,
        question: str,
        limit: int,
        *,
        names: Sequence[Sequence[str]] = (),
        asked_for: bool = True,
    ) -> Found:
        """Quotes that bear on a question.

        Parameters
        ----------
        question
            As it was asked.
        names
            For each term that the question names, how it may be called; a passage must name all.
        limit
            The most quotes.
        asked_for
            Whether the question asks for literature; where it does not, a passage must hold all
            that was asked.
        """
        words = _content(question)
        keys = [[normalise(name) for name in group] for group in names]
        if not words:
            return none_found("it names nothing to search the literature for")
        passages = self.index.search(" ".join(words), _DEPTH * limit, mode=self.mode)
        share = _MOST if asked_for and len(words) > _FEW else 1.0
        texts = [normalise(f"{p.title} {p.quote}" if asked_for else p.quote) for p in passages]
        fitting = [
            passage
            for passage, text in zip(passages, texts, strict=True)
            if _held(words, text) >= share and _names_all(keys, text)
        ]
        if not fitting:
            return none_found(
                f"no passage of the literature index speaks of {' '.join(words)!r} together; a "
                "larger index may (celloquy index add)"
            )
        # A quote that speaks of all that was asked by itself comes before one whose title helps.
        fitting.sort(key=lambda passage: _held(words, normalise(passage.quote)) < 1.0)
        findings = tuple(_quote(passage) for passage in fitting[:limit])
        note = (
            "These are the authors' own sentences, found by search; whether they hold is for the "
            "reader to judge."
        )
        warnings = tuple(
            f"PMID:{p.pmid} carries a notice: {notice}"
            for p in fitting[:limit]
            for notice in p.notices
        )
        return Found(findings, (note,), warnings=warnings)


def _quote(passage: Passage) -> Finding:
    statement = Statement(
        Form.QUOTED, subject=f"PMID:{passage.pmid}", quotes=(passage.quote.strip(),)
    )
    lead = "A retracted article" if passage.retracted else ""
    return Finding(statement, (passage.evidence(),), lead)


def _content(question: str) -> list[str]:
    words = dict.fromkeys(normalise(question).split())
    return [word for word in words if word not in HARMLESS | SEARCHING | _TELLING]


def _held(words: Sequence[str], text: str) -> float:
    """The share of the words that a normalised text holds, by their stems."""
    stems = {word[:_STEM] for word in text.split()}
    return sum(word[:_STEM] in stems for word in words) / len(words)


def _names_all(groups: Sequence[Sequence[str]], text: str) -> bool:
    """Whether a normalised text holds a name of every group."""
    padded = f" {text} "
    return all(any(f" {key} " in padded for key in keys if key) for keys in groups)


def open_literature(mode: Literal["lexical", "hybrid"] = "lexical") -> Literature | None:
    """The default index, or None where there is none."""
    from retrieval.index import open_index

    try:
        return Literature(open_index(), mode)
    except AssetMissing:
        return None


def no_index() -> Found:
    """What to say where literature was asked for and there is no index."""
    return none_found(_NO_INDEX)
