"""Lin's similarity of blocks of terms, from a hierarchy alone; no graph need be open."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["lin_block"]


def lin_block(
    hierarchy: Hierarchy, rows: Sequence[Curie], columns: Sequence[Curie]
) -> NDArray[np.float64]:
    """2 IC(lca) / (IC(a) + IC(b)) of every pair, [rows, columns]; information content structural.

    The values of :meth:`kg.measures.similarity.Similarity.lin` over the terms of the hierarchy.
    """
    content = hierarchy.content
    left, right = hierarchy.indices(rows), hierarchy.indices(columns)
    up = hierarchy.up(columns).toarray() > 0  # [columns, all]
    shared = np.zeros((len(rows), len(columns)))
    for row, place in enumerate(left):
        above = hierarchy.above[place]
        shared[row] = (up[:, above] * content[above]).max(axis=1)
    both = content[left][:, None] + content[right][None, :]
    return np.asarray(np.where(both > 0, 2 * shared / np.where(both > 0, both, 1.0), 1.0))
