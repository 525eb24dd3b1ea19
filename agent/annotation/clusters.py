"""The vote of clusters: one answer for the cells of a group, without losing the rare ones.

A group's answer is decided on the mean of its cells' probabilities, so that unsure cells count
little. A vote hides rare types (accuracy rises while macro-F1 falls): a cell that is sure of
another type, neither above nor below its group's answer, keeps its own.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.judging import STEPS
from agent.annotation.result import Clusters
from data.errors import BadInput
from kg.backoff import UNKNOWN, Hierarchy, decide
from kg.terms import Curie

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["SURE", "ClusterVotes"]

SURE = 0.75
"""Confidence from which a cell keeps its own answer against its group's: three times in four it is
right."""

MOST_GROUPS = 10_000
"""More groups than this are no clusters: the sums over each would outgrow a block."""


_MOST_NUMBERS = 200
"""Most different numbers: clusterings have fewer, measurements more."""

_FEW, _NEARLY_ALL = 20, 0.9
"""So many groups, most of one cell, are names of cells and no groups."""


def _refuse(key: str, values: pd.Series[Any]) -> None:
    """Refuse a column of measured numbers or of names of cells: its values are no groups."""
    distinct, known = int(values.nunique()), int(values.notna().sum())
    measured = values.dtype.kind in "iuf" and distinct > _MOST_NUMBERS
    if measured or (distinct > _FEW and distinct >= _NEARLY_ALL * known):
        raise BadInput(
            f"{key!r} has {distinct:,} different values in {known:,} cells; expected a column of "
            "groups such as clusters: name another one with --groupby"
        )


class ClusterVotes:
    """Collects the probabilities of cells by group; sums are of whole numbers, hence exact."""

    def __init__(self, key: str, groups: pd.Series[Any]) -> None:
        import pandas as pd

        _refuse(key, groups)
        labels = pd.Categorical(groups)
        self.key = key
        self.names = tuple(str(name) for name in labels.categories)
        if len(self.names) > MOST_GROUPS:
            raise BadInput(
                f"{key!r} has {len(self.names):,} groups; expected a column of clusters, with "
                f"{MOST_GROUPS:,} at most"
            )
        self.code = np.asarray(labels.codes, dtype=np.int32)
        self._sums = np.zeros((len(self.names), 0))

    def add(self, start: int, chances: NDArray[np.float64]) -> None:
        """Add the probabilities of the cells from ``start`` on, in whole steps."""
        if not self._sums.shape[1]:
            self._sums = np.zeros((len(self.names), chances.shape[1]))
        code = self.code[start : start + len(chances)]
        for group in np.unique(code[code >= 0]):
            self._sums[group] += chances[code == group].sum(axis=0)

    def decide(
        self,
        hierarchy: Hierarchy,
        ids: Sequence[Curie],
        threshold: float,
        never: Collection[Curie],
        term: NDArray[np.int32],
        confidence: NDArray[np.float32],
    ) -> Clusters:
        """Decide for each group, given the answers of the single cells.

        Parameters
        ----------
        hierarchy, ids, threshold, never
            As for single cells.
        term, confidence
            The answers of the single cells.
        """
        n_cells = np.bincount(self.code[self.code >= 0], minlength=len(self.names))
        mean = self._sums / STEPS / np.maximum(1, n_cells)[:, None]
        made = decide(mean.astype(np.float32), ids, hierarchy, threshold=threshold, never=never)
        theirs = np.append(made.term, UNKNOWN)[self.code]
        sure = np.flatnonzero((confidence >= SURE) & (term != UNKNOWN) & (theirs != UNKNOWN))
        kept = np.zeros(len(term), dtype=np.bool_)
        pairs, place = np.unique(np.stack([term[sure], theirs[sure]]), axis=1, return_inverse=True)
        apart = [b not in hierarchy.above[a] and a not in hierarchy.above[b] for a, b in pairs.T]
        kept[sure] = np.array(apart, dtype=np.bool_)[place.ravel()]
        return Clusters(
            key=self.key,
            names=self.names,
            code=self.code,
            n_cells=n_cells.astype(np.int64),
            term=made.term,
            confidence=made.confidence,
            kept=kept,
        )
