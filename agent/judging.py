"""From the expression of a block of cells to an answer for each: scored, decided, calibrated.

The answer is the deepest term whose probability, summed up the ontology, reaches the threshold.
Its confidence is calibrated: how often answers of that strength lay on the line of the truth in
development data (:mod:`encoders.calibration`). An answer whose confidence stays below the
threshold is given up for a more general one. Everything here is a pure function of a block, so
that blocks may be judged side by side.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kg.backoff import UNKNOWN, Decision, Hierarchy, decide

if TYPE_CHECKING:
    from data.cells import Block
    from encoders.calibration import Kind
    from encoders.markers import MarkerScorer

__all__ = ["STEPS", "Judge", "Judged", "Scored", "reasons"]

STEPS = 2.0**24
"""Probabilities are added in steps of 1 / STEPS, as whole numbers: exact in any order."""

STRICTER = (0.75, 0.9, 0.97, 0.99, 0.999)
"""Probabilities asked for, one after the other, where the confidence stays below the threshold."""

SUPPORTED, BACKED_OFF, UNDECIDED, NO_MARKER = range(4)


def reasons(threshold: float) -> tuple[str, ...]:
    """The reason by its number."""
    return (
        f"one type alone has a probability of {threshold:g} or more",
        f"no single type reaches {threshold:g}; this is the deepest term that does",
        f"unknown: no term reaches {threshold:g}",
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
    ) -> None:
        self.scorer, self.hierarchy, self.places = scorer, hierarchy, places
        self.threshold, self.never, self.prior = threshold, never, prior

    def score(self, block: Block) -> Scored:
        """Probabilities of the types; none for cells that express no marker."""
        chances = self.scorer.probabilities(self.scorer.scores(block.values), self.prior)
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
        made = self._settled(chances, support, kind)
        alone = (made.term == made.leaf) & (made.leaf_confidence >= self.threshold)
        reason = np.select(
            [~seen, made.term == UNKNOWN, alone], [NO_MARKER, UNDECIDED, SUPPORTED], BACKED_OFF
        )
        steps = np.rint(chances.astype(np.float64) * STEPS)
        present, group = np.unique(made.term, return_inverse=True)
        member = _members(group, len(present))
        sure = np.rint(made.confidence.astype(np.float64) * STEPS)
        return Judged(
            start=block.start,
            stop=block.stop,
            term=made.term,
            confidence=made.confidence,
            leaf=np.where(seen, made.leaf, UNKNOWN).astype(np.int32),
            reason=reason.astype(np.int8),
            embedding=chances @ self.places,
            chances=steps,
            present=present,
            detected=(member @ block.values.sign()).toarray().astype(np.float64),
            summed=np.column_stack([member @ sure, member @ steps]),
        )

    def _settled(
        self, chances: NDArray[np.float32], support: NDArray[np.float32], kind: Kind
    ) -> Decision:
        """The deepest terms that reach the threshold before and after calibration."""
        made = self._decided(chances, support, kind, self.threshold)
        for least in STRICTER:
            low = (made.term != UNKNOWN) & (made.confidence < self.threshold)
            if least <= self.threshold or not low.any():
                continue
            again = self._decided(chances[low], support[low], kind, least)
            made.term[low], made.confidence[low] = again.term, again.confidence
        low = made.confidence < self.threshold
        made.term[low] = UNKNOWN
        made.confidence[made.term == UNKNOWN] = 0
        return made

    def _decided(
        self,
        chances: NDArray[np.float32],
        support: NDArray[np.float32],
        kind: Kind,
        threshold: float,
    ) -> Decision:
        from encoders.calibration import shipped

        ids, hierarchy = self.scorer.ids, self.hierarchy
        made = decide(chances, ids, hierarchy, threshold=threshold, never=self.never)
        raw = made.confidence
        if support is not chances:
            raw = hierarchy.sum_up(support, ids)[np.arange(len(raw)), made.term]
        return replace(made, confidence=shipped(kind)(raw))


def _members(group: NDArray[Any], n_groups: int) -> Any:
    """0/1 matrix [groups, cells]."""
    from scipy.sparse import csr_array

    ones = np.ones(len(group))
    return csr_array((ones, (group, np.arange(len(group)))), shape=(n_groups, len(group)))
