"""Rows of a stored matrix as CSR, whatever way it is stored, with memory bounded by the rows asked.

Gives :func:`on_disk` for HDF5 objects and :func:`in_memory` for arrays; both return a
:class:`Rows`. What :meth:`Rows.read` returns is the same for every layout: float64, no explicit
zeros, no repeated entries, columns rising. Knows nothing of genes, counts or AnnData.

Compressed columns cannot be read by rows; they are turned once into a row file in a temporary
folder, bucket by bucket, so that this too needs bounded memory.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.errors import BadFile

__all__ = ["Csr", "Rows", "in_memory", "on_disk"]

Csr: TypeAlias = "sp.csr_matrix[np.float64]"

DENSE_BYTES = 64 << 20
"""Dense values held at once while a block is turned into CSR."""

TURN_ENTRIES = 1 << 24
"""Entries held at once while columns are turned into rows: about 400 MB with their sort."""


class Rows(Protocol):
    """A matrix that can be read by runs of rows."""

    @property
    def shape(self) -> tuple[int, int]:
        """Cells, genes."""
        ...

    def read(self, start: int, stop: int) -> Csr:
        """Rows ``start`` to ``stop`` in canonical form."""
        ...

    def close(self) -> None:
        """Remove what was put on disk for reading."""
        ...


def on_disk(node: Any, layout: str, what: str) -> Rows:
    """Rows of an HDF5 dataset or of a group that holds a sparse matrix; ``what`` names it."""
    if layout == "dense":
        return _Dense(node)
    shape = node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    parts = node["data"], node["indices"], np.asarray(node["indptr"][...], dtype=np.int64)
    if layout == "csr":
        return _Compressed(*parts, (int(shape[0]), int(shape[1])), what)
    return _Turned(*parts, (int(shape[0]), int(shape[1])), what)


def in_memory(matrix: Any, what: str) -> Rows:
    """Rows of an array or a scipy sparse matrix; a lazy array is computed run by run."""
    if sp.issparse(matrix):
        rows = sp.csr_matrix(matrix)
        return _Compressed(rows.data, rows.indices, np.asarray(rows.indptr), rows.shape, what)
    return _Dense(matrix)


def canonical(
    values: NDArray[Any], columns: NDArray[Any], pointers: NDArray[Any], n_columns: int, what: str
) -> Csr:
    """Make the one CSR form that equal rows share, checking that every column exists."""
    if len(columns) and (int(columns.min()) < 0 or int(columns.max()) >= n_columns):
        worst = int(columns.min()) if int(columns.min()) < 0 else int(columns.max())
        raise BadFile(
            f"{what} has an index {worst:,} for {n_columns:,} genes; write the file again"
        )
    block = sp.csr_matrix(
        (values.astype(np.float64), columns.astype(np.int32), pointers),
        shape=(len(pointers) - 1, n_columns),
    )
    block.sum_duplicates()  # sorts the columns too
    block.eliminate_zeros()
    return block


class _Compressed:
    """Compressed rows: a block is one slice of the values and one of the indices."""

    def __init__(
        self, data: Any, indices: Any, indptr: NDArray[Any], shape: tuple[int, int], what: str
    ) -> None:
        self.data, self.indices, self.indptr, self.shape, self.what = (
            data, indices, indptr, shape, what,
        )  # fmt: skip

    def read(self, start: int, stop: int) -> Csr:
        low, high = int(self.indptr[start]), int(self.indptr[stop])
        return canonical(
            np.asarray(self.data[low:high]),
            np.asarray(self.indices[low:high]),
            self.indptr[start : stop + 1] - low,
            self.shape[1],
            self.what,
        )

    def close(self) -> None:
        return


class _Dense:
    """A dense array, on disk or in memory, read in pieces of ``DENSE_BYTES``."""

    def __init__(self, values: Any) -> None:
        self.values = values
        self.shape = (int(values.shape[0]), int(values.shape[1]) if len(values.shape) > 1 else 1)

    def read(self, start: int, stop: int) -> Csr:
        step = max(1, DENSE_BYTES // max(1, self.shape[1] * 8))
        pieces = []
        for first in range(start, stop, step):
            part = self.values[first : min(first + step, stop)]
            part = part.compute() if hasattr(part, "compute") else part
            array = np.asarray(part, dtype=np.float64).reshape(-1, self.shape[1])
            pieces.append(sp.csr_matrix(array))
        if not pieces:
            return sp.csr_matrix((0, self.shape[1]), dtype=np.float64)
        return sp.csr_matrix(sp.vstack(pieces, format="csr")) if len(pieces) > 1 else pieces[0]

    def close(self) -> None:
        return


class _Turned:
    """Compressed columns, turned into rows in a temporary folder on first use."""

    def __init__(
        self, data: Any, indices: Any, indptr: NDArray[Any], shape: tuple[int, int], what: str
    ) -> None:
        self.data, self.indices, self.indptr = data, indices, indptr
        self.shape, self.what = shape, what
        self._rows: _Compressed | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def read(self, start: int, stop: int) -> Csr:
        if self._rows is None:
            self._rows = self._turn()
        return self._rows.read(start, stop)

    def close(self) -> None:
        self._rows = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None

    def _turn(self) -> _Compressed:
        """Two passes: count the entries of each row, then put every entry in its place."""
        n_rows = self.shape[0]
        counts = np.zeros(n_rows, dtype=np.int64)
        for low, high in self._pieces():
            rows = self._row_numbers(low, high)
            counts += np.bincount(rows, minlength=n_rows)
        pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        total = int(pointers[-1])
        values, columns = self._targets(total)
        place = pointers[:-1].copy()  # where the next entry of each row goes
        for low, high in self._pieces():
            rows = self._row_numbers(low, high)
            order = np.argsort(rows, kind="stable")  # keeps the columns of a row rising
            ordered = rows[order]
            first = np.concatenate([[0], np.flatnonzero(np.diff(ordered)) + 1]).astype(np.int64)
            length = np.diff(np.concatenate([first, [len(ordered)]]))
            within = np.arange(len(ordered)) - np.repeat(first, length)
            target = place[ordered] + within
            values[target] = np.asarray(self.data[low:high])[order]
            columns[target] = (
                np.searchsorted(self.indptr, np.arange(low, high)[order], side="right").astype(
                    np.int32
                )
                - 1
            )
            place[ordered[first]] += length
        return _Compressed(values, columns, pointers, self.shape, self.what)

    def _pieces(self) -> list[tuple[int, int]]:
        total = int(self.indptr[-1])
        return [(i, min(i + TURN_ENTRIES, total)) for i in range(0, total, TURN_ENTRIES)]

    def _row_numbers(self, low: int, high: int) -> NDArray[np.int64]:
        rows = np.asarray(self.indices[low:high], dtype=np.int64)
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= self.shape[0]):
            raise BadFile(f"{self.what} has an index out of its {self.shape[0]:,} cells; "
                          "write the file again")  # fmt: skip
        return rows

    def _targets(self, total: int) -> tuple[NDArray[Any], NDArray[np.int32]]:
        """Arrays for the rows: in memory where one piece holds all, else in a temporary folder."""
        dtype = np.float32 if self.data.dtype == np.float16 else self.data.dtype
        if total <= TURN_ENTRIES:
            return np.empty(total, dtype=dtype), np.empty(total, dtype=np.int32)
        self._folder = tempfile.TemporaryDirectory(prefix="celloquy-rows-")
        folder = Path(self._folder.name)
        return (
            np.memmap(folder / "values", dtype=dtype, mode="w+", shape=(total,)),
            np.memmap(folder / "columns", dtype=np.int32, mode="w+", shape=(total,)),
        )
