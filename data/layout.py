"""The parts of an .h5ad, checked for what AnnData needs of them.

Gives :class:`Layout`, which :mod:`data.preflight` applies to a file whose links and storage it has
already judged safe: shapes agree, sparse matrices are consistent, embeddings are finite, tables
fit in memory. Works on open h5py objects without importing h5py and reads no expression value.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from data import stored
from data.errors import BadFile, UnsafeFile

__all__ = ["Contents", "Layout", "Limits", "Structure", "logical_bytes"]

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask for. The defaults suit a person's own files; a server sets its own.

    ``loaded`` bytes of everything that is read whole (tables, embeddings, index pointers);
    ``matrix`` bytes of one expression matrix, which is read by blocks; ``chunk`` bytes of one
    compressed chunk, which HDF5 must hold whole; ``ratio`` of logical to stored bytes above
    ``small`` (deflate reaches 1,032 at best, so more means chunks that were never written);
    ``objects`` in the file and ``depth`` of groups; ``genes``, since one row must fit in memory;
    ``attribute`` bytes of one attribute; ``cache`` bytes of unpacked chunks that a reader keeps.
    """

    loaded: int = 16 * GIB
    matrix: int = 2048 * GIB
    chunk: int = 1 * GIB
    ratio: float = 1_100.0
    small: int = 64 * MIB
    objects: int = 200_000
    depth: int = 32
    genes: int = 10_000_000
    attribute: int = 16 * MIB
    cache: int = 2 * GIB


@dataclass(frozen=True, slots=True)
class Structure:
    """What the guard learnt: shape, the matrices with their layout, and whether it is pre-0.7."""

    n_cells: int
    n_genes: int
    legacy: bool
    matrices: dict[str, str] = field(default_factory=dict)
    """Layout ("csr", "csc", "dense") by name ("X", "raw.X", "layers/counts")."""
    cache: int = 0
    """Bytes of chunks that a reader should keep, so that none is unpacked twice for one matrix."""


@dataclass(frozen=True, slots=True)
class Contents:
    """Every dataset and group of an open file by its path, reached by hard links alone.

    ``text`` has the bytes behind the variable-length values of those datasets that have any.
    """

    path: Path
    file: Any
    datasets: Mapping[str, Any]
    groups: Mapping[str, Any]
    text: Mapping[str, int]

    def unsafe(self, what: str, expected: str) -> UnsafeFile:
        """The error for a file that asks for what it may not have."""
        return UnsafeFile(f"{self.path}: {what}; expected {expected}; the file was not read")

    def bad(self, what: str, todo: str = "write the file again") -> BadFile:
        """The error for a file that is broken."""
        return BadFile(f"{self.path}: {what}; {todo}")


class Layout:
    """One look at the parts of one file."""

    def __init__(self, contents: Contents, limits: Limits, budget: int) -> None:
        self.contents, self.limits, self.budget = contents, limits, budget
        self.path, self.file = contents.path, contents.file
        self.datasets, self.groups = contents.datasets, contents.groups
        self.unsafe, self.bad = contents.unsafe, contents.bad

    def structure(self) -> Structure:
        """Return the structure of a sound file.

        Raises
        ------
        UnsafeFile, BadFile
            When a part asks for too much, is missing or contradicts another.
        """
        self._is_anndata()
        legacy = "obs" in self.datasets or "raw.X" in self._top()
        matrices = {
            name: self._matrix(name, place, legacy) for name, place in self._matrix_places()
        }
        n_cells, n_genes = self._shape()
        self._other_sparse()
        self._tables(n_cells, n_genes, legacy)
        self._whole()
        return Structure(n_cells, n_genes, legacy, matrices, self._cache())

    def _top(self) -> set[str]:
        return {name.partition("/")[0] for name in (*self.datasets, *self.groups)}

    def _is_anndata(self) -> None:
        top = self._top()
        if {"obs", "var"} <= top:
            return
        for sign, kind in (
            ({"matrix", "row_attrs"}, "a loom file: read it with anndata.io.read_loom"),
            ({"matrix"}, "a 10x Genomics matrix: read it with scanpy.read_10x_h5"),
            ({"mod"}, "a MuData file: take one modality with mudata.read_h5ad(path, mod=...)"),
            ({"assays"}, "an h5Seurat file: convert it with SeuratDisk"),
        ):
            if sign <= top:
                raise self.bad(f"it is {kind}", "save it as .h5ad")
        some = ", ".join(sorted(top - {""})[:6]) or "nothing"
        raise self.bad(f"it has no obs and var but {some}; expected an AnnData object", "check it")

    def _matrix_places(self) -> list[tuple[str, str]]:
        places = [("X", "X"), ("raw.X", "raw/X"), ("raw.X", "raw.X")]
        places += [(f"layers/{name}", f"layers/{name}") for name in self._children("layers")]
        return [(n, p) for n, p in places if p in self.datasets or p in self.groups]

    def _children(self, group: str) -> list[str]:
        prefix = group + "/"
        names = (n[len(prefix) :] for n in (*self.datasets, *self.groups) if n.startswith(prefix))
        return sorted({n.partition("/")[0] for n in names})

    def _matrix(self, name: str, place: str, legacy: bool) -> str:
        if place in self.datasets:
            dataset = self.datasets[place]
            if dataset.ndim != 2 and not (legacy and dataset.ndim == 1):
                raise self.bad(f"{name} has {dataset.ndim} dimensions; expected cells x genes")
            if dataset.dtype.kind not in "fiub":
                raise self.bad(f"{name} holds {dataset.dtype}; expected numbers")
            if logical_bytes(dataset) > self.limits.matrix:
                raise self.unsafe(
                    f"{name} asks for {logical_bytes(dataset):,} bytes",
                    f"<= {self.limits.matrix:,}",
                )
            return "dense"
        kind = self._encoding(place)
        if kind not in ("csr", "csc"):
            raise self.bad(
                f"{name} is stored as {kind or 'a group'}, which is no matrix; expected an array, "
                "a csr_matrix or a csc_matrix"
            )
        self._sparse(name, place, kind, sys.maxsize if legacy else self.budget)
        return kind

    def _encoding(self, place: str) -> str:
        attributes = self.groups[place].attrs
        kind = attributes.get("encoding-type", attributes.get("h5sparse_format", ""))
        return _text(kind).removesuffix("_matrix")

    def _sparse(self, name: str, place: str, kind: str, budget: int) -> None:
        group = self.groups[place]
        shape = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
        if shape is None or np.shape(shape) != (2,):
            raise self.bad(f"{name} does not say its shape; expected two numbers")
        size = (int(shape[0]), int(shape[1]))
        stored.check_sparse(self.path, name, group, kind, size, self.limits.loaded, budget)

    def _other_sparse(self) -> None:
        """Check sparse arrays elsewhere in full: they are read whole, and a bad one crashes."""
        checked = {place for _, place in self._matrix_places()}
        for place in self.groups:
            if place not in checked and place:
                kind = self._encoding(place)
                if kind in ("csr", "csc"):
                    self._sparse(place, place, kind, sys.maxsize)

    def _shape(self) -> tuple[int, int]:
        n_cells, n_genes = self._rows("obs"), self._rows("var")
        if n_genes > self.limits.genes:
            raise self.unsafe(f"it has {n_genes:,} genes", f"at most {self.limits.genes:,}")
        for name, place in self._matrix_places():
            found = _matrix_shape(self.file[place])
            genes = self._rows("raw/var", "raw.var") if name == "raw.X" else n_genes
            if found != (n_cells, genes):
                raise self.bad(
                    f"{name} has shape {found[0]:,} x {found[1]:,} but the tables have "
                    f"{n_cells:,} cells and {genes:,} genes"
                )
        return n_cells, n_genes

    def _rows(self, *places: str) -> int:
        for place in places:
            node = self.file.get(place)
            if hasattr(node, "shape"):
                return int(node.shape[0]) if node.ndim else 0
            if node is not None:
                index = _text(node.attrs.get("_index", "_index"))
                if f"{place}/{index}" not in self.datasets:
                    raise self.bad(f"{place} has no index column {index!r}")
                return int(self.datasets[f"{place}/{index}"].shape[0])
        raise self.bad(f"it has no {places[0]}; expected an AnnData object")

    def _tables(self, n_cells: int, n_genes: int, legacy: bool) -> None:
        if legacy:
            return
        for table, length in (("obs", n_cells), ("var", n_genes)):
            for column in self._children(table):
                place = f"{table}/{column}"
                if place in self.groups:
                    inner = next(
                        (p for k in ("codes", "values") if (p := f"{place}/{k}") in self.datasets),
                        None,
                    )
                    if inner is None or column == "__categories":
                        continue
                    place = inner
                found = self.datasets[place].shape if place in self.datasets else (length,)
                if found[:1] != (length,):
                    raise self.bad(
                        f"{place} has {found[0] if found else 'no'} values for {length:,} rows"
                    )
        for key in self._children("obsm"):
            self._embedding(f"obsm/{key}", n_cells)

    def _embedding(self, place: str, n_cells: int) -> None:
        dataset = self.datasets.get(place)
        if dataset is None:
            return
        if dataset.shape[:1] != (n_cells,):
            raise self.bad(f"{place} has shape {dataset.shape} for {n_cells:,} cells")
        if dataset.dtype.kind != "f" or not dataset.size:
            return
        start = 0
        for part in stored.pieces(dataset, self.budget):
            # One reduction finds both NaN and infinity, and is much cheaper than a mask.
            with np.errstate(invalid="ignore", over="ignore"):
                total = np.add.reduce(part, axis=None, dtype=np.float64)
            if not np.isfinite(total):
                finite = np.isfinite(part.reshape(len(part), -1)).all(axis=1)
                if not finite.all():
                    raise self.bad(
                        f"{place} is not finite at cell {start + int(np.argmin(finite))}",
                        "repair or remove that embedding",
                    )
            start += len(part)

    def _whole(self) -> None:
        """Refuse what is read whole and would not fit: everything but the matrices."""
        skip = tuple(f"{place}/" for _, place in self._matrix_places())
        exact = {place for _, place in self._matrix_places()}
        # Many small parts that were never written add up; so does text that shares its bytes.
        size = self.path.stat().st_size
        cap = min(self.limits.loaded, max(8 * self.limits.small, int(self.limits.ratio * size)))
        total = 0
        for name, dataset in self.datasets.items():
            if name in exact or name.startswith(skip):
                continue
            total += logical_bytes(dataset) + self.contents.text.get(name, 0)
            if total > cap:
                raise self.unsafe(f"its tables ask for {total:,} bytes at {name}", f"<= {cap:,}")

    def _cache(self) -> int:
        """A band of chunks as wide as the matrix, twice where a block may straddle two of them."""
        bands = [0]
        for _, place in self._matrix_places():
            for name, dataset in self.datasets.items():
                if dataset.chunks and (name == place or name.startswith(place + "/")):
                    chunk = int(np.prod(dataset.chunks)) * dataset.dtype.itemsize
                    across = -(-dataset.shape[-1] // dataset.chunks[-1]) if dataset.ndim > 1 else 1
                    bands.append(2 * across * chunk)
        return min(max(bands), self.limits.cache)


def logical_bytes(dataset: Any) -> int:
    """Bytes that a dataset would take in memory, strings counted as their descriptors."""
    return int(np.prod(dataset.shape or (1,), dtype=object)) * int(dataset.id.get_type().get_size())


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _matrix_shape(node: Any) -> tuple[int, int]:
    shape = (
        node.shape
        if hasattr(node, "shape")
        else node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    )
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else (int(shape[0]), 1)
