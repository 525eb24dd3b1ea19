"""In-silico deletion: how much a cell's vector turns when one gene is taken out of the cell.

score(g) = 1 - cos(z, z without g), averaged over the cells; after scCello (Yuan et al. 2024,
arXiv:2408.12373, marker gene prediction). A gene that an encoder relies on to place a cell type
scores high; cells that do not express it add nothing. Any encoder will do, at the cost of one
encoding for each value above zero. Knows no cell type and no marker.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["deletion_scores"]

Encode = Callable[["sp.csr_array", Sequence[str]], NDArray[np.float32]]

_ROWS = 2048
"""Cells encoded at once."""


def deletion_scores(
    encode: Encode, values: sp.csr_array | sp.csr_matrix, genes: Sequence[str]
) -> NDArray[np.float64]:
    """Mean turn of the cells' vectors for each gene, [genes], in [0, 2].

    Parameters
    ----------
    encode
        Turns log1p values and gene names into vectors, each cell by itself
        (:meth:`encoders.registry.Encoder.encode`).
    values
        log1p values of the cells of interest [cells, genes]: some twenty of a type do.
    genes
        Names of the columns.
    """
    import scipy.sparse as sp

    cells = sp.csr_array(values, copy=True)
    cells.eliminate_zeros()
    whole = _units(encode(cells, genes))
    found = np.zeros(len(genes))
    row = np.repeat(np.arange(cells.shape[0]), np.diff(cells.indptr))
    for start in range(0, cells.nnz, _ROWS):
        some = np.arange(start, min(start + _ROWS, cells.nnz))
        without = cells[row[some]].copy()
        # In the copy of its cell each value stands as far from the beginning as in the cell.
        places = without.indptr[:-1] + some - cells.indptr[row[some]]
        without.data[places] = 0
        without.eliminate_zeros()
        cosine = (_units(encode(without, genes)) * whole[row[some]]).sum(axis=1)
        np.add.at(found, cells.indices[some], 1 - cosine)
    return np.asarray(found / max(1, cells.shape[0]))


def _units(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    values = rows.astype(np.float64)
    return np.asarray(values / np.maximum(np.linalg.norm(values, axis=1, keepdims=True), 1e-12))
