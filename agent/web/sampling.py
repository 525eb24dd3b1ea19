"""Which cells of a large dataset are drawn: a sample in which no group is lost.

Each group gets its share of the picture, and at least :data:`LEAST` cells where it has so many.
The order is shuffled, so that no group hides the others by being drawn last.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["LEAST", "stratified"]

LEAST = 300
"""Cells that a small group keeps: enough to be seen as a group."""


def stratified(groups: NDArray[np.integer], most: int, seed: int = 0) -> NDArray[np.int32]:
    """Numbers of the cells to draw, shuffled; all of them where there are no more than ``most``.

    Parameters
    ----------
    groups
        The group of each cell.
    most
        Cells drawn at most.
    seed
        Of the choice: the same cells are drawn each time.
    """
    n = len(groups)
    shuffled = np.random.default_rng(seed).permutation(n).astype(np.int32)
    if n <= most:
        return shuffled
    _, code, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    least = np.minimum(sizes, min(LEAST, most // len(sizes)))
    room = most - least.sum()
    quota = least + np.floor((sizes - least) * (room / max(1, (sizes - least).sum()))).astype(int)
    # Place of each cell within its group, in shuffled order: the first `quota` are drawn.
    code = code[shuffled]
    order = np.argsort(code, kind="stable")
    starts = np.concatenate([[0], np.cumsum(sizes)[:-1]])
    rank = np.empty(n, dtype=np.int64)
    rank[order] = np.arange(n) - np.repeat(starts, sizes)
    kept: NDArray[np.int32] = shuffled[rank < quota[code]]
    return kept
