"""Cells as vectors: what labelled cells, or marker profiles, say of the others.

:class:`Centroids` holds one mean vector a cell type, from cells whose type is known or from any
other prototype, and gives for each cell a probability of each type and of "none of these": a
softmax over cosines to the centroids, with one more entry at a cosine of its own
(:attr:`PoolConfig.none`), so that a cell far from all of them is left to others. :func:`pooled`
joins it with the probabilities of the marker score, by Jeffrey's rule: a centroid speaks for its
type, and within the type the markers divide what it gives. Cosines are taken from the mean of the
prototypes. This module knows no gene and reads no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["Centroids", "PoolConfig", "pooled"]

GRID = 2.0**-20
"""Step of vectors while they are averaged: sums of whole steps are exact in any order."""


@dataclass(frozen=True)
class PoolConfig:
    """Constants; how they were chosen is in docs/experiments/annotation.md.

    ``temperature`` divides cosines, ``none`` is the cosine at which a centroid and "none of these"
    are equally likely, ``weight`` the share of the centroids' word beside the markers', and
    ``least`` the fewest labelled cells that make a centroid.
    """

    temperature: float = 0.2
    none: float = 0.4
    weight: float = 0.5
    least: int = 3


@dataclass(frozen=True, eq=False)
class Centroids:
    """Unit vectors [types, d] of the types ``ids``, after ``mean`` [d] was taken away."""

    ids: tuple[Curie, ...]
    values: NDArray[np.float32]
    mean: NDArray[np.float32]

    @classmethod
    def of(
        cls,
        vectors: NDArray[np.float32],
        labels: Sequence[Curie | None],
        config: PoolConfig | None = None,
    ) -> Centroids:
        """Average the vectors of the cells of each label; None is a cell without one.

        Raises
        ------
        BadInput
            When the vectors are of another number of cells, or fewer than two labels have enough
            cells.
        """
        config = config or PoolConfig()
        if vectors.ndim != 2 or len(vectors) != len(labels):
            raise BadInput(f"vectors of shape {vectors.shape} were given for {len(labels):,} cells")
        names = sorted({one for one in labels if one is not None})
        code = np.array([-1 if one is None else names.index(one) for one in labels])
        counts = np.bincount(code[code >= 0], minlength=len(names))
        kept = [i for i, n in enumerate(counts) if n >= config.least]
        if len(kept) < 2:
            raise BadInput(
                f"{len(kept)} types have {config.least} labelled cells or more; expected two types "
                "at least: cells are told apart by what they are nearer to"
            )
        steps = np.rint(vectors.astype(np.float64) / GRID)
        rows = np.stack([steps[code == i].sum(axis=0) for i in kept]) * GRID
        return cls.at(tuple(names[i] for i in kept), rows / counts[kept][:, None])

    @classmethod
    def at(cls, ids: tuple[Curie, ...], rows: NDArray[np.floating]) -> Centroids:
        """Take prototypes [types, d] as they are."""
        mean = rows.mean(axis=0)
        return cls(ids, _units(rows - mean), mean.astype(np.float32))

    def chances(
        self, vectors: NDArray[np.float32], config: PoolConfig | None = None
    ) -> NDArray[np.float32]:
        """Probabilities [n, types]; what is missing to 1 is "none of these"."""
        config = config or PoolConfig()
        cosine = _units(vectors.astype(np.float64) - self.mean) @ self.values.astype(np.float64).T
        logits = (cosine - config.none) / config.temperature
        top = np.maximum(logits.max(axis=1, keepdims=True), 0)
        parts = np.exp(logits - top)
        found = parts / (parts.sum(axis=1, keepdims=True) + np.exp(-top))
        # Whole steps: the last bits of a product depend on how many rows are multiplied at once.
        return np.asarray(np.rint(found / GRID) * GRID, dtype=np.float32)


def pooled(
    chances: NDArray[np.float32],
    ids: Sequence[Curie],
    said: NDArray[np.float32],
    labels: Sequence[Curie],
    hierarchy: Hierarchy,
    weight: float,
) -> NDArray[np.float32]:
    """The markers' probabilities of ``ids`` joined with the centroids' of ``labels``.

    Parameters
    ----------
    chances
        [n, len(ids)], of the marker score.
    ids
        The types it knows.
    said
        [n, len(labels)], of :meth:`Centroids.chances`.
    labels
        The types of the centroids; one with no type of ``ids`` at or below it says nothing.
    hierarchy
        The ontology.
    weight
        Share of the centroids' word; what they call "none of these" stays with the markers.
    """
    up = hierarchy.up(ids).tocsc()
    given = np.zeros_like(chances)
    heard = np.zeros(len(chances), dtype=np.float32)
    for k, label in enumerate(labels):
        place = hierarchy.index(label)
        below = np.sort(up.indices[up.indptr[place] : up.indptr[place + 1]])
        if not len(below):
            continue
        part = chances[:, below] + np.float32(1e-6)
        given[:, below] += said[:, [k]] * part / part.sum(axis=1, keepdims=True)
        heard += said[:, k]
    share = weight * heard[:, None]
    return np.asarray((1 - share) * chances + weight * given, dtype=np.float32)


def _units(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    length = np.sqrt((rows.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(rows / np.maximum(length, 1e-12), dtype=np.float32)
