"""From the expression of a block of cells to an answer for each: scored, decided, calibrated.

Probabilities are summed up the ontology; of the terms that are likely enough, the one that agrees
best with the truth in expectation is chosen, and given up for the deepest term above it whose
confidence reaches the threshold (:mod:`kg.nearest`). Confidence is calibrated: how often answers
of that strength lay on the line of the truth in development data
(:mod:`encoders.celltypes.calibration`). The leaf is the most probable type at or below the answer.
Everything here is a pure function of a block, so that blocks may be judged side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kg.backoff import UNKNOWN, Hierarchy
from kg.nearest import Nearest, settled

if TYPE_CHECKING:
    from agent.annotation.opinion import Opinion
    from data.cells import Block
    from encoders.celltypes.calibration import Kind
    from encoders.celltypes.markers import MarkerScorer

__all__ = ["STEPS", "Judge", "Judged", "Scored", "members", "reasons"]

STEPS = 2.0**24
"""Probabilities are added in steps of 1 / STEPS, as whole numbers: exact in any order."""

SUPPORTED, BACKED_OFF, UNDECIDED, NO_MARKER = range(4)


def reasons(threshold: float) -> tuple[str, ...]:
    """The reason by its number."""
    return (
        "the markers of this type fit best",
        "its subtypes cannot be told apart surely enough; the leaf is the most probable of them",
        f"unknown: no term reaches a confidence of {threshold:g}",
        "unknown: no marker gene was detected",
    )


@dataclass(frozen=True, eq=False)
class Scored:
    """Probabilities of the types for a block, and which of its cells express any marker at all."""

    chances: NDArray[np.float32]
    seen: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class Judged:
    """The answers of one block, and sums over the cells of each answer.

    ``present`` are the answers that occur, ``detected`` in how many of their cells each gene is
    detected, ``summed`` their confidence and probabilities; ``chances`` are the probabilities of
    each cell, zero for cells without evidence. Both come in whole steps (:data:`STEPS`).
    """

    start: int
    stop: int
    term: NDArray[np.int32]
    confidence: NDArray[np.float32]
    leaf: NDArray[np.int32]
    reason: NDArray[np.int8]
    embedding: NDArray[np.float32]
    chances: NDArray[np.float64]
    present: NDArray[np.int32]
    detected: NDArray[np.float64]
    summed: NDArray[np.float64]


class Judge:
    """Scores and judges blocks; made once a dataset."""

    def __init__(
        self,
        scorer: MarkerScorer,
        hierarchy: Hierarchy,
        places: NDArray[np.float32],
        *,
        threshold: float,
        never: Collection[str],
        prior: NDArray[np.float64] | None = None,
        opinion: Opinion | None = None,
    ) -> None:
        self.scorer, self.hierarchy, self.places = scorer, hierarchy, places
        self.threshold, self.prior, self.opinion = threshold, prior, opinion
        self.never = frozenset(never)
        self.nearest = Nearest(scorer.ids, hierarchy, never)
        self._places = hierarchy.indices(scorer.ids)

    def score(self, block: Block) -> Scored:
        """Probabilities of the types; none for cells that express no marker."""
        chances = self.scorer.probabilities(self.scorer.scores(block.values), self.prior)
        if self.opinion is not None:
            chances = self.opinion.joined(block, chances, self.scorer.ids)
        seen = self.scorer.evidence(block.values)
        chances[~seen] = 0
        return Scored(chances, seen)

    def __call__(self, block: Block) -> Judged:
        """Answer for every cell of a block by its own expression."""
        scored = self.score(block)
        return self.judge(block, scored, scored.chances, "cell")

    def judge(
        self, block: Block, scored: Scored, support: NDArray[np.float32], kind: Kind
    ) -> Judged:
        """Answer for every cell of a block.

        Parameters
        ----------
        block
            The cells.
        scored
            Their probabilities.
        support
            Probabilities, the same shape, that say how sure the answers are.
        kind
            Where the support comes from: the curve that calibrates it.
        """
        chances, seen = scored.chances, scored.seen
        from encoders.celltypes.calibration import shipped

        chosen = self.nearest.choose(chances, support)
        term, confidence = settled(self.nearest, chosen, support, self.threshold, shipped(kind))
        leaf = self._leaves(term, chances)
        reason = np.select(
            [~seen, term == UNKNOWN, term == leaf], [NO_MARKER, UNDECIDED, SUPPORTED], BACKED_OFF
        )
        steps = np.rint(chances.astype(np.float64) * STEPS)
        present, group = np.unique(term, return_inverse=True)
        member = members(group, len(present))
        sure = np.rint(confidence.astype(np.float64) * STEPS)
        return Judged(
            start=block.start,
            stop=block.stop,
            term=term,
            confidence=confidence,
            leaf=leaf,
            reason=reason.astype(np.int8),
            embedding=chances @ self.places,
            chances=steps,
            present=present,
            detected=(member @ block.values.sign()).toarray().astype(np.float64),
            summed=np.column_stack([member @ sure, member @ steps]),
        )

    def _leaves(self, term: NDArray[np.int32], chances: NDArray[np.float32]) -> NDArray[np.int32]:
        """The most probable type at or below each answer; unknown where the answer is."""
        leaf = np.full(len(term), UNKNOWN, dtype=np.int32)
        for answer in np.unique(term[term != UNKNOWN]):
            rows = np.flatnonzero(term == answer)
            below = self.nearest.below(int(answer))
            best = below[chances[np.ix_(rows, below)].argmax(axis=1)]
            leaf[rows] = self._places[best]
        return leaf


def members(group: NDArray[Any], n_groups: int) -> Any:
    """0/1 matrix [groups, cells] of the group of each cell."""
    from scipy.sparse import csr_array

    ones = np.ones(len(group))
    return csr_array((ones, (group, np.arange(len(group)))), shape=(n_groups, len(group)))
