"""Two coordinates for every cell of a dataset that has none: principal components, then UMAP.

Read by blocks, so that memory is bounded by them. UMAP (McInnes et al. 2018, arXiv:1802.03426)
lays out at most :data:`LANDMARKS` cells; every other cell goes between the five laid-out cells
that are nearest to it in the principal components.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import DependencyMissing

if TYPE_CHECKING:
    from data.cells import CellMatrix

__all__ = ["LANDMARKS", "components", "umap"]

GENES = 2_000
"""Most variable genes used: scanpy's usual number."""

COMPONENTS = 30
LANDMARKS = 30_000
"""Cells that UMAP lays out itself; more take minutes and change little in a picture."""

NEAREST = 5

Tell = Callable[[int, int, str], None]


def components(cells: CellMatrix, tell: Tell) -> NDArray[np.float32]:
    """Principal components of log1p values, cells x :data:`COMPONENTS`."""
    n = cells.n_cells
    total, squares = np.zeros(cells.n_genes), np.zeros(cells.n_genes)
    for block in cells.blocks():
        values = block.values.astype(np.float64)
        total += np.asarray(values.sum(axis=0)).ravel()
        squares += np.asarray(values.multiply(values).sum(axis=0)).ravel()
        tell(block.stop, 3 * n, "reading genes")
    mean = total / n
    variance = squares / n - mean**2
    chosen = np.sort(np.argsort(-variance, kind="stable")[:GENES])
    gram = np.zeros((len(chosen), len(chosen)))
    for block in cells.blocks():
        some = block.values[:, chosen].toarray()
        gram += (some.T @ some).astype(np.float64)
        tell(n + block.stop, 3 * n, "finding what varies")
    gram -= n * np.outer(mean[chosen], mean[chosen])
    _, vectors = np.linalg.eigh(gram)
    axes = vectors[:, ::-1][:, :COMPONENTS].astype(np.float32)
    shift = (mean[chosen] @ axes).astype(np.float32)
    found = np.empty((n, axes.shape[1]), dtype=np.float32)
    for block in cells.blocks():
        found[block.start : block.stop] = block.values[:, chosen] @ axes - shift
        tell(2 * n + block.stop, 3 * n, "finding what varies")
    return found


def umap(cells: CellMatrix, tell: Tell, seed: int = 0) -> NDArray[np.float32]:
    """Two coordinates a cell.

    Raises
    ------
    DependencyMissing
        When umap-learn is not installed.
    """
    import warnings

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of numba and of the fixed seed, not of the data
        try:
            from umap import UMAP
        except ImportError:
            raise DependencyMissing(
                "a picture needs umap-learn; install it with: pip install 'celloquy[plot]', or "
                "give a file that has obsm X_umap"
            ) from None
        points = components(cells, tell)
        n = len(points)
        rng = np.random.default_rng(seed)
        marks = np.sort(rng.permutation(n)[:LANDMARKS])
        tell(0, 0, "laying out cells")
        if len(marks) < 4:  # too few for neighbours
            return np.asarray(rng.normal(size=(n, 2)), dtype=np.float32)
        laid = UMAP(
            n_neighbors=min(15, len(marks) - 1), min_dist=0.3, random_state=seed, n_jobs=1,
            init="spectral" if len(marks) > 50 else "random",
        ).fit_transform(points[marks])  # fmt: skip
        xy = np.empty((n, 2), dtype=np.float32)
        xy[marks] = laid
        _place_others(xy, points, marks, tell)
    return xy


def _place_others(
    xy: NDArray[np.float32], points: NDArray[np.float32], marks: NDArray[np.int64], tell: Tell
) -> None:
    """Put each cell that was not laid out between the nearest ones that were."""
    others = np.setdiff1d(np.arange(len(points)), marks)
    if not len(others):
        return
    from pynndescent import NNDescent

    index = NNDescent(points[marks], n_neighbors=15, random_state=0, n_jobs=1)
    step = 20_000
    for start in range(0, len(others), step):
        some = others[start : start + step]
        places, distances = index.query(points[some], k=NEAREST)
        weights = 1 / np.maximum(distances, 1e-6)
        weights /= weights.sum(axis=1, keepdims=True)
        xy[some] = (xy[marks][places] * weights[:, :, None]).sum(axis=1)
        tell(min(start + step, len(others)), len(others), "placing the other cells")
