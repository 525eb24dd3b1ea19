"""What grounding gives: mentions of a text, each with ranked candidates that say why they fit.

These are values alone; how they are found is in :mod:`kg.grounding` and :mod:`kg.naming.labels`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias

from kg.terms import Category, Curie, Scope

__all__ = ["SCOPE_SCORE", "Candidate", "How", "Mention"]

How: TypeAlias = Literal[
    "name", "abbreviation", "phenotype", "words", "spelling", "identifier", "organism", "part"
]
"""By what a text was matched: a name as written, a curated short name, surface markers put
together, the words of a name in another order, a corrected spelling, an id, an organism; or only
a part of it was."""

SCOPE_SCORE: dict[Scope, float] = {
    Scope.LABEL: 1.0,
    Scope.EXACT: 0.95,
    Scope.NARROW: 0.85,
    Scope.BROAD: 0.85,
    Scope.RELATED: 0.7,
    Scope.UNKNOWN: 0.6,
}
"""Score of a name as written, by how its source says it fits. The order is that of the OBO
scopes; the numbers are Celloquy's own, no probabilities."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A term that a text may mean.

    ``score`` is in [0, 1] and orders candidates; it is no probability. ``scope`` is how the text
    fits the term, in the sense of OBO (BROAD: the text covers more than the term). ``matched`` is
    the term's name that was met, as its source writes it. ``notice`` says in words what was
    assumed: a reading, a correction, a replacement of an obsolete term.
    """

    id: Curie
    label: str
    category: Category
    score: float
    scope: Scope
    matched: str
    source: str
    release: str
    how: How = "name"
    replaced: bool = False
    notice: str = ""


@dataclass(frozen=True, slots=True)
class Mention:
    """``text[start:end]`` of the grounded text, with its candidates, best first (at least one)."""

    text: str
    start: int
    end: int
    candidates: tuple[Candidate, ...]

    @property
    def best(self) -> Candidate:
        """The first candidate."""
        return self.candidates[0]

    @property
    def id(self) -> Curie:
        """The best candidate's id."""
        return self.best.id

    @property
    def label(self) -> str:
        """The best candidate's label."""
        return self.best.label

    @property
    def category(self) -> Category:
        """The best candidate's category."""
        return self.best.category

    @property
    def score(self) -> float:
        """The best candidate's score."""
        return self.best.score

    @property
    def scope(self) -> Scope:
        """How the text fits the best candidate."""
        return self.best.scope

    @property
    def unclear(self) -> bool:
        """Whether a second candidate comes close enough that a reader should be told."""
        return len(self.candidates) > 1 and self.candidates[1].score >= self.score - 0.05
