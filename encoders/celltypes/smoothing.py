"""Probabilities smoothed over the cells' own neighbourhood graph.

Gives :func:`neighbours`, the k-nearest-neighbour graph on principal components of the log1p
values, :func:`near`, the same on any vectors, :func:`around`, what a cell's neighbours say of it,
itself not heard, and :func:`smooth`, graph-regularised probabilities (I + lambda L)^-1 P with the
Laplacian L of that graph (GRIT). It sees no label and no gene names. It looks at the whole dataset:
use it below :data:`MOST_CELLS` cells, or when asked for. A large lambda lets rare types vanish
while accuracy rises, so lambda is fixed in advance and macro-F1 is always shown beside.
"""

from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = [
    "LAMBDA",
    "MOST_CELLS",
    "SHARPEN",
    "around",
    "decomposed",
    "near",
    "neighbours",
    "principal",
    "smooth",
]

MOST_CELLS = 100_000
"""Largest dataset that is smoothed without being asked."""

LAMBDA = 0.2
"""Strength of the smoothing; fixed in advance (docs/experiments/annotation.md)."""

SHARPEN = 1.5
"""Power of the smoothed probabilities: an average of neighbours is flatter than each of them."""

NEIGHBOURS = 15
"""Most neighbours of a cell; in small datasets the square root of the number of cells."""

COMPONENTS = 30

LEAST_CELLS = 3
"""Fewer cells have no neighbourhood."""

_DISTANCES = 1 << 23
"""Distances held at once by a thread, 32 MB: more fall out of the processor's cache."""

_COLUMNS = 64
"""Types solved for at once; bounds the memory of the solver."""

_RESIDUAL = 1e-8
"""Relative residual at which the solver stops; probabilities are float32."""


def neighbours(
    values: sp.csr_matrix,
    k: int = NEIGHBOURS,
    components: int = COMPONENTS,
    *,
    workers: int = 1,
) -> sp.csr_array:
    """Symmetric graph of each cell's k nearest cells, weight 1 (mutual) or one half.

    Parameters
    ----------
    values
        log1p values, cells x genes.
    k, components
        Neighbours of a cell and principal components of the gene-wise centred values; fewer where
        the dataset is smaller.
    workers
        Threads.

    Raises
    ------
    BadInput
        When there are fewer than three cells.
    """
    n = values.shape[0]
    if n < LEAST_CELLS:
        raise BadInput(f"{n} cells have no neighbourhood; expected at least {LEAST_CELLS}")
    found = principal(values, min(components, n - 1, values.shape[1] - 1))
    return near(found, k, workers=workers)


def near(points: NDArray[np.floating], k: int = NEIGHBOURS, *, workers: int = 1) -> sp.csr_array:
    """The same graph on vectors [n, d] of the cells, an embedding for one."""
    import scipy.sparse as sp

    n = len(points)
    points = points.astype(np.float32)  # half the time; neighbours differ by less than noise does
    k = min(k, max(2, math.isqrt(n)), n - 1)
    square = (points**2).sum(axis=1)
    step = max(16, _DISTANCES // n)

    def nearest(start: int) -> NDArray[np.int32]:
        part = slice(start, min(start + step, n))
        distance = points[part] @ points.T
        distance *= -2
        distance += square
        distance[np.arange(part.stop - start), np.arange(start, part.stop)] = np.inf
        # A copy: a slice would keep the places of all cells alive.
        return np.argpartition(distance, k - 1, axis=1)[:, :k].astype(np.int32)

    with ThreadPoolExecutor(workers) as pool:
        columns = np.concatenate(list(pool.map(nearest, range(0, n, step))))
    rows = np.repeat(np.arange(n), k)
    graph = sp.csr_array((np.ones(n * k), (rows, columns.ravel())), shape=(n, n))
    return sp.csr_array((graph + graph.T) / 2)


def principal(values: sp.csr_matrix, components: int) -> NDArray[np.float64]:
    """Scores of the cells on the first components, without centring a dense copy."""
    return decomposed(values, components)[0]


def decomposed(
    values: sp.csr_matrix, components: int
) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Principal components: scores [cells, c], the genes' mean [genes] and the axes [c, genes]."""
    from scipy.sparse.linalg import LinearOperator, svds

    x = values.astype(np.float64)
    mean = np.asarray(x.mean(axis=0)).ravel()
    ones = np.ones(x.shape[0])
    centred = LinearOperator(
        x.shape,
        matvec=lambda v: x @ v - ones * (mean @ v),
        rmatvec=lambda v: x.T @ v - mean * (ones @ v),
        matmat=lambda v: x @ v - np.outer(ones, mean @ v),
        rmatmat=lambda v: x.T @ v - np.outer(mean, ones @ v),
        dtype=np.float64,
    )
    start = np.random.default_rng(0).normal(size=min(x.shape))
    left, weight, right = svds(centred, k=max(1, components), v0=start)
    return np.asarray(left * weight), mean, np.asarray(right)


def around(probabilities: NDArray[np.float32], graph: sp.csr_array) -> NDArray[np.float32]:
    """Mean of the neighbours' probabilities, weighted as the graph weighs them, [n, types]."""
    weight = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12)[:, None]
    return np.asarray((graph @ probabilities) / weight, dtype=np.float32)


def smooth(
    probabilities: NDArray[np.float32],
    graph: sp.csr_array,
    strength: float = LAMBDA,
    power: float = SHARPEN,
) -> NDArray[np.float32]:
    """(I + strength x L)^-1 P with the graph's Laplacian L, sharpened.

    What a row lacks to 1 ("none of the types") is smoothed and sharpened as a type of its own.

    Raises
    ------
    BadInput
        When the strength is negative or the graph has another number of cells.
    """
    import scipy.sparse as sp

    n = probabilities.shape[0]
    if strength < 0 or graph.shape != (n, n):
        raise BadInput(
            f"smoothing {n} cells with strength {strength} over a graph of {graph.shape[0]}; "
            "expected a strength of at least 0 and the same cells"
        )
    degree = np.asarray(graph.sum(axis=1)).ravel()
    system = sp.eye_array(n) + strength * (sp.diags_array(degree) - graph)
    solved = np.empty(probabilities.shape)
    for start in range(0, probabilities.shape[1], _COLUMNS):
        part = slice(start, start + _COLUMNS)
        solved[:, part] = _solved(sp.csr_array(system), probabilities[:, part].astype(np.float64))
    solved = np.clip(solved, 0, 1)
    none = np.clip(1 - solved.sum(axis=1, keepdims=True), 0, 1) ** power
    solved **= power
    return np.asarray(solved / np.maximum(solved.sum(axis=1, keepdims=True) + none, 1e-30), "f4")


def _solved(system: sp.csr_array, right: NDArray[np.float64]) -> NDArray[np.float64]:
    """Conjugate gradients for all columns side by side, preconditioned by the diagonal.

    The system is symmetric and dominated by its diagonal: some 40 steps do at any size, where the
    factors of a neighbourhood graph grow much faster than the graph.
    """
    inverse = 1 / system.diagonal()[:, None]
    found = right * inverse
    residual = right - system @ found
    limit = _RESIDUAL * np.sqrt((right**2).sum(axis=0))
    step = inverse * residual
    energy = (residual * step).sum(axis=0)
    for _ in range(system.shape[0]):
        if (np.sqrt((residual**2).sum(axis=0)) <= limit).all():
            break
        image = system @ step
        length = energy / np.maximum((step * image).sum(axis=0), 1e-300)
        found += length * step
        residual -= length * image
        turned = inverse * residual
        fresh = (residual * turned).sum(axis=0)
        step = turned + fresh / np.maximum(energy, 1e-300) * step
        energy = fresh
    return found
