"""Places of cell types in a space in which near means that the ontology says much of both.

A term is the set of the terms above it, each weighted with the square root of its information
content, and brought to length 1: the inner product of two such vectors is the share of information
that two terms have in common, a cosine over ancestors. The leading left singular vectors give the
places. They depend on the ontology and the list of terms alone, never on a dataset, so that cells
of two datasets that were annotated with the same releases can be compared.

A cell lies at the mean place of its types, weighted with their probabilities: on the unit sphere
where it is sure, near the middle where nothing is known of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["DIMENSIONS", "positions"]

DIMENSIONS = 50
"""As many as the principal components that single-cell tools keep by custom."""


def positions(
    hierarchy: Hierarchy, ids: Sequence[Curie], dimensions: int = DIMENSIONS
) -> NDArray[np.float32]:
    """Give each of some terms its place.

    Parameters
    ----------
    hierarchy
        The ontology.
    ids
        Terms of it; the places depend on the whole list.
    dimensions
        Columns; those beyond the number of terms are zero.

    Returns
    -------
    [len(ids), dimensions], rows of length 1 at most.
    """
    features = hierarchy.up(ids).toarray().astype(np.float64) * np.sqrt(hierarchy.content)
    features = features[:, features.any(axis=0)]
    length = np.sqrt((features**2).sum(axis=1, keepdims=True))
    features = np.divide(features, length, out=np.zeros_like(features), where=length > 0)
    left, size, _ = np.linalg.svd(features, full_matrices=False)
    kept = min(dimensions, len(size))
    found = np.zeros((len(ids), dimensions))
    found[:, :kept] = left[:, :kept] * size[:kept]
    # The sign of a singular vector is arbitrary: its largest entry is made positive.
    largest = found[np.abs(found).argmax(axis=0), np.arange(dimensions)]
    return np.asarray(found * np.where(largest < 0, -1, 1), dtype=np.float32)
