"""Rows of a stored matrix as CSR, whatever way it is stored, with memory bounded by the rows asked.

Gives :func:`on_disk` for HDF5 objects and :func:`in_memory` for arrays; both return a
:class:`Rows`. What :meth:`Rows.read` returns is the same for every layout: float64, no explicit
zeros, no repeated entries, columns rising. Knows nothing of genes, counts or AnnData.

Compressed columns cannot be read by rows; they are turned once into a row file in a temporary
folder, bucket by bucket, so that this too needs bounded memory.
"""

from __future__ import annotations

import shutil
import tempfile
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeAlias

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.errors import BadFile, CelloquyError

__all__ = ["Csr", "Rows", "in_memory", "on_disk"]

Csr: TypeAlias = "sp.csr_matrix[np.float64]"

DENSE_BYTES = 64 << 20
"""Dense values held at once while a block is turned into CSR."""

TURN_ENTRIES = 1 << 23
"""Entries held at once while columns are turned into rows: about 300 MB with their sort."""


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
        return _Dense(node, what)
    shape = node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    parts = node["data"], node["indices"], np.asarray(node["indptr"][...], dtype=np.int64)
    if layout == "csr":
        return _Compressed(*parts, (int(shape[0]), int(shape[1])), what)
    return _Turned(*parts, (int(shape[0]), int(shape[1])), what)


def in_memory(matrix: Any, what: str) -> Rows:
    """Rows of an array or a scipy sparse matrix; a lazy array is computed run by run."""
    if hasattr(matrix, "tocsr"):
        rows = sp.csr_matrix(matrix)
        return _Compressed(rows.data, rows.indices, np.asarray(rows.indptr), rows.shape, what)
    return _Dense(matrix, what)


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


@contextmanager
def _reading(what: str, start: int, stop: int) -> Iterator[None]:
    """Say which cells could not be read: a damaged chunk shows only when it is unpacked."""
    try:
        yield
    except (OSError, RuntimeError) as error:
        raise BadFile(
            f"{what} cannot be read from cell {start} to {stop} ({str(error).splitlines()[0]}); "
            "copy or download the file again"
        ) from error


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
        with _reading(self.what, start, stop):
            values = np.asarray(self.data[low:high])
            columns = np.asarray(self.indices[low:high])
        pointers = self.indptr[start : stop + 1] - low
        return canonical(values, columns, pointers, self.shape[1], self.what)

    def close(self) -> None:
        return


class _Dense:
    """A dense array, on disk or in memory, read in pieces of ``DENSE_BYTES``."""

    def __init__(self, values: Any, what: str) -> None:
        self.values, self.what = values, what
        self.shape = (int(values.shape[0]), int(values.shape[1]) if len(values.shape) > 1 else 1)

    def read(self, start: int, stop: int) -> Csr:
        step = max(1, DENSE_BYTES // max(1, self.shape[1] * 8))
        pieces = []
        for first in range(start, stop, step):
            with _reading(self.what, start, stop):
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
    """Compressed columns, turned into rows on first use."""

    def __init__(
        self, data: Any, indices: Any, indptr: NDArray[Any], shape: tuple[int, int], what: str
    ) -> None:
        self.data, self.indices, self.indptr = data, indices, indptr
        self.shape, self.what = shape, what
        self._rows: _Compressed | None = None
        self._remove: weakref.finalize[..., _Turned] | None = None

    def read(self, start: int, stop: int) -> Csr:
        if self._rows is None:
            small = int(self.indptr[-1]) <= TURN_ENTRIES
            with _reading(self.what, 0, self.shape[0]):
                self._rows = self._turn_in_memory() if small else self._turn_on_disk()
        return self._rows.read(start, stop)

    def close(self) -> None:
        self._rows = None
        if self._remove is not None:
            self._remove()

    def _turn_in_memory(self) -> _Compressed:
        self._row_numbers(0, int(self.indptr[-1]))  # checks them
        values = np.asarray(self.data[:])
        values = values.astype(np.float32) if values.dtype == np.float16 else values
        columns = sp.csc_matrix((values, self.indices[:], self.indptr), shape=self.shape)
        rows = columns.tocsr()
        return _Compressed(rows.data, rows.indices, rows.indptr, self.shape, self.what)

    def _turn_on_disk(self) -> _Compressed:
        """Count the entries of each row, deal all entries into runs of rows, sort each run."""
        counts = np.zeros(self.shape[0], dtype=np.int64)
        for low, high in self._pieces():
            counts += np.bincount(self._row_numbers(low, high), minlength=self.shape[0])
        pointers = np.concatenate([[0], np.cumsum(counts)]).astype(np.int64)
        runs = _runs(pointers, TURN_ENTRIES)
        rows, columns, values = self._lists()
        filled = pointers[runs[:-1]].copy()
        for low, high in self._pieces():
            self._deal(low, high, runs, filled, (rows, columns, values))
        for first, last in zip(pointers[runs[:-1]], pointers[runs[1:]], strict=True):
            # Stable, and dealt column by column: the columns of a row come out rising.
            order = np.argsort(rows[first:last], kind="stable")
            columns.put(int(first), columns[first:last][order])
            values.put(int(first), values[first:last][order])
        rows.path.unlink()
        return _Compressed(values, columns, pointers, self.shape, self.what)

    def _deal(
        self,
        low: int,
        high: int,
        runs: NDArray[np.int64],
        filled: NDArray[np.int64],
        lists: tuple[_DiskList, _DiskList, _DiskList],
    ) -> None:
        """Append one piece of the columns to the runs of rows that its entries belong to."""
        rows = self._row_numbers(low, high)
        columns = np.searchsorted(self.indptr, np.arange(low, high), side="right") - 1
        run = np.searchsorted(runs, rows, side="right") - 1
        order = np.argsort(run, kind="stable")
        parts = (rows[order], columns[order], np.asarray(self.data[low:high])[order])
        bounds = np.searchsorted(run[order], np.arange(len(runs)))
        for number in np.unique(run):
            span = slice(bounds[number], bounds[number + 1])
            for target, part in zip(lists, parts, strict=True):
                target.put(int(filled[number]), part[span])
            filled[number] += span.stop - span.start

    def _pieces(self) -> list[tuple[int, int]]:
        total = int(self.indptr[-1])
        return [(i, min(i + TURN_ENTRIES, total)) for i in range(0, total, TURN_ENTRIES)]

    def _row_numbers(self, low: int, high: int) -> NDArray[np.int64]:
        rows = np.asarray(self.indices[low:high], dtype=np.int64)
        if len(rows) and (int(rows.min()) < 0 or int(rows.max()) >= self.shape[0]):
            raise BadFile(
                f"{self.what} has an index outside its {self.shape[0]:,} cells; write it again"
            )
        return rows

    def _lists(self) -> tuple[_DiskList, _DiskList, _DiskList]:
        """Lists for rows, columns and values in a temporary folder with room for them."""
        total = int(self.indptr[-1])
        kind = np.dtype(np.float32) if self.data.dtype == np.float16 else np.dtype(self.data.dtype)
        place = tempfile.gettempdir()
        need, free = total * (4 + 4 + kind.itemsize), shutil.disk_usage(place).free
        if need > free:
            raise CelloquyError(
                f"{self.what} is stored by columns; turning it needs {need:,} bytes in {place}, "
                f"where {free:,} are free: set TMPDIR to a larger disk, or save it as CSR"
            )
        folder = Path(tempfile.mkdtemp(prefix="celloquy-rows-"))
        self._remove = weakref.finalize(self, shutil.rmtree, folder, ignore_errors=True)
        rows, columns = (_DiskList(folder / n, np.dtype(np.int32)) for n in ("rows", "columns"))
        return rows, columns, _DiskList(folder / "values", kind)


def _runs(pointers: NDArray[np.int64], entries: int) -> NDArray[np.int64]:
    """Bounds of runs of rows with at most ``entries`` entries each, or one row."""
    bounds = [0]
    while bounds[-1] < len(pointers) - 1:
        reach = int(np.searchsorted(pointers, pointers[bounds[-1]] + entries, side="right")) - 1
        bounds.append(max(reach, bounds[-1] + 1))
    return np.asarray(bounds)


class _DiskList:
    """A list of numbers in a file, read and written by slices; a map would count as memory."""

    def __init__(self, path: Path, dtype: np.dtype[Any]) -> None:
        self.path, self.dtype = path, dtype
        path.touch()

    def put(self, start: int, values: NDArray[Any]) -> None:
        with self.path.open("r+b") as handle:
            handle.seek(start * self.dtype.itemsize)
            handle.write(np.ascontiguousarray(values, dtype=self.dtype).tobytes())

    def __getitem__(self, span: slice) -> NDArray[Any]:
        start, size = int(span.start), self.dtype.itemsize
        count = int(span.stop) - start
        return np.fromfile(self.path, dtype=self.dtype, count=count, offset=start * size)
