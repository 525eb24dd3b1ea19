"""Which points lie inside a polygon: a million of them in a few hundredths of a second.

The rule is even-odd, along a ray to the right (Shimrat 1962, Algorithm 112). Points are sorted by
height once, so that an edge is compared with those of its own heights alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["Plane"]


class Plane:
    """Points, n x 2, ready to be asked."""

    def __init__(self, xy: NDArray[np.float32]) -> None:
        self._order = np.argsort(xy[:, 1], kind="stable").astype(np.int32)
        self._y = xy[self._order, 1].astype(np.float64)
        self._x = xy[self._order, 0].astype(np.float64)

    def inside(self, polygon: Sequence[Sequence[float]]) -> NDArray[np.bool_]:
        """Mask of the points inside a polygon, given by its corners; it closes by itself."""
        corners = np.asarray(polygon, dtype=np.float64)
        odd = np.zeros(len(self._order), dtype=bool)
        for (x0, y0), (x1, y1) in zip(corners, np.roll(corners, -1, axis=0), strict=True):
            if y0 == y1:
                continue  # a level edge crosses no ray
            low, high = min(y0, y1), max(y0, y1)
            # Half-open: a corner belongs to the edge above it, so that it is counted once.
            here = slice(*np.searchsorted(self._y, (low, high)))
            with np.errstate(over="ignore", invalid="ignore"):  # corners beyond all cells
                crossing = x0 + (self._y[here] - y0) * ((x1 - x0) / (y1 - y0))
            odd[here] ^= self._x[here] < crossing
        mask = np.empty(len(odd), dtype=bool)
        mask[self._order] = odd
        return mask
