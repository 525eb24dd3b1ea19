"""The answer that is nearest to the truth in expectation, and how far it must back off.

:class:`Nearest` chooses, among the terms whose probability reaches a floor, the one with the
greatest expected agreement with the truth: hierarchical F, the shared part of two terms' ancestors,
under probabilities that say how sure things are. Where several deep terms are supported, none
above another, depth alone would take the one whose branch happens to be longest; and where the
evidence is split between far types, what they share is nearer to each of them than any guess.

:func:`settled` then goes up the line of the choice to the deepest term whose calibrated confidence
reaches what the user asks for: whoever wants to be surer gets the same answer or one above it.

Sums are of whole steps, exact in any order: answers depend neither on blocks nor on threads.
This module knows no gene; hierarchical measures after Kiritchenko et al. 2006 (Canadian AI).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

import numpy as np
from numpy.typing import NDArray

from kg.backoff import UNKNOWN, Hierarchy
from kg.terms import Curie

__all__ = ["FLOOR", "Nearest", "agreement", "settled"]

FLOOR = 0.3
"""Least probability of an answer; chosen on held-out types (docs/experiments/annotation.md)."""

_CHANCE, _WORTH = 2.0**20, 2.0**12
"""Steps of probabilities and of agreements: a sum of their products fits into 53 bits."""

_ROWS = 2048
"""Cells at once: some 20 MB of float64."""


def agreement(ids: Sequence[Curie], hierarchy: Hierarchy) -> NDArray[np.float64]:
    """Hierarchical F of each term of the hierarchy as an answer where one of ``ids`` is the truth.

    Returns
    -------
    [len(ids), len(hierarchy)], in [0, 1]: twice the shared terms at or above both, the roots not
    counted, over those above either.
    """
    top = np.flatnonzero(hierarchy.depth == 0)
    mine, every = hierarchy.up(ids).toarray(), hierarchy.up(hierarchy.ids)
    mine[:, top] = 0  # what everything is under says nothing
    size = (
        np.array([len(some) for some in hierarchy.above])
        - np.asarray(every[:, top].sum(axis=1)).ravel()
    )
    both = (every @ mine.T).T
    return np.asarray(2 * both / np.maximum(mine.sum(axis=1)[:, None] + size[None, :], 1))


class Nearest:
    """Chooses terms for rows of probabilities of ``ids``; made once, then pure.

    Parameters
    ----------
    ids
        Exclusive types, terms of the hierarchy.
    hierarchy
        The ontology.
    never
        Terms that are no answer.
    """

    def __init__(
        self, ids: Sequence[Curie], hierarchy: Hierarchy, never: Collection[Curie] = ()
    ) -> None:
        self.ids, self.hierarchy = tuple(ids), hierarchy
        blocked = {hierarchy.index(one) for one in never if one in hierarchy}
        up = hierarchy.up(ids).tocsc()
        columns = [int(c) for c in np.flatnonzero(np.diff(up.indptr)) if int(c) not in blocked]
        # Of equally near terms argmax takes the first: the most preferred.
        self.columns = np.array(sorted(columns, key=lambda c: -hierarchy.preference[c]), "i8")
        self._whole, self._up = up, up[:, self.columns]
        worth = agreement(ids, hierarchy)[:, self.columns]
        self._worth = np.rint(worth * _WORTH)
        self._line: dict[int, NDArray[np.int64]] = {}

    def choose(
        self,
        probabilities: NDArray[np.float32],
        support: NDArray[np.float32],
        floor: float = FLOOR,
    ) -> NDArray[np.int32]:
        """The place of the nearest term of each row, or :data:`kg.backoff.UNKNOWN`.

        Parameters
        ----------
        probabilities
            [n, len(ids)]: which terms reach the floor.
        support
            [n, len(ids)]: under which probabilities the agreement is expected.
        floor
            In (0, 1].
        """
        found = np.full(len(probabilities), UNKNOWN, dtype=np.int32)
        if not len(self.columns):
            return found
        for start in range(0, len(found), _ROWS):
            rows = slice(start, start + _ROWS)
            # A sum of float32 may end a rounding error below a floor that it equals.
            reached = np.asarray(probabilities[rows] @ self._up) >= floor - 1e-6
            steps = np.rint(support[rows].astype(np.float64) * _CHANCE)
            expected = np.where(reached, steps @ self._worth, -1)
            best = expected.argmax(axis=1)
            known = reached[np.arange(len(best)), best]
            found[rows] = np.where(known, self.columns[best], UNKNOWN)
        return found

    def line(self, term: int) -> NDArray[np.int64]:
        """The possible answers at or above a term, the most preferred first."""
        if term not in self._line:
            some = set(self.hierarchy.above[term].tolist())
            self._line[term] = np.array([c for c in self.columns if int(c) in some], dtype="i8")
        return self._line[term]

    def below(self, term: int) -> NDArray[np.int64]:
        """Which of ``ids`` are at or below a term."""
        start, stop = self._whole.indptr[term : term + 2]
        return np.sort(self._whole.indices[start:stop]).astype(np.int64)

    def sums(self, chances: NDArray[np.float32], terms: NDArray[np.int64]) -> NDArray[np.float32]:
        """Probabilities [n, len(ids)] summed over the types at or below each of some terms."""
        return np.clip(np.asarray(chances @ self._whole[:, terms], dtype=np.float32), 0, 1)


def settled(
    nearest: Nearest,
    chosen: NDArray[np.int32],
    support: NDArray[np.float32],
    threshold: float,
    calibrate: Callable[[NDArray[np.float32]], NDArray[np.float32]],
) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
    """Back off from each choice to the deepest term above it that is sure enough.

    Parameters
    ----------
    nearest
        Who chose.
    chosen
        [n], places in the hierarchy, or UNKNOWN.
    support
        [n, len(nearest.ids)]: its sum over a term's types is the confidence in it.
    threshold
        What the calibrated confidence must reach.
    calibrate
        From sums to confidences, rising.

    Returns
    -------
    tuple
        Places [n], UNKNOWN where no term of the line is sure enough, and confidences, 0 there.
    """
    term = np.full(len(chosen), UNKNOWN, dtype=np.int32)
    confidence = np.zeros(len(chosen), dtype=np.float32)
    for choice in np.unique(chosen[chosen != UNKNOWN]):
        rows = np.flatnonzero(chosen == choice)
        line = nearest.line(int(choice))
        sure = calibrate(nearest.sums(support[rows], line))
        first = (sure >= threshold).argmax(axis=1)
        here = np.arange(len(rows))
        enough = sure[here, first] >= threshold
        term[rows] = np.where(enough, line[first], UNKNOWN)
        confidence[rows] = np.where(enough, sure[here, first], 0)
    return term, confidence
