"""The guard in front of every .h5ad: what a file may not do, checked before it is read.

An HDF5 file can name other files of the machine (external links, external storage, virtual
datasets), ask for more memory than it has bytes (unwritten or highly compressed chunks, strings
that share one heap object), lead a reader round in circles (soft and hard links), and crash it
with sparse indices that point outside the matrix. :func:`check` refuses each of these with one
line, from the file's structure: it follows no link before it has been looked at, and reads no
expression value.

Knows h5py and the layout of .h5ad (https://anndata.readthedocs.io/en/stable/fileformat-prose.html);
it does not import anndata. What it cannot know is a flaw of the HDF5 library itself.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from data import sparsecheck
from data.errors import BadFile, UnsafeFile

__all__ = ["Limits", "Structure", "check", "open_file"]

MIB = 1 << 20
GIB = 1 << 30


@dataclass(frozen=True, slots=True)
class Limits:
    """What a file may ask for. The defaults suit a person's own files; a server sets its own.

    ``loaded`` bytes of everything that is read whole (tables, embeddings, index pointers);
    ``matrix`` bytes of one expression matrix, which is read by blocks; ``chunk`` bytes of one
    compressed chunk, which HDF5 must hold whole; ``ratio`` of logical to stored bytes above
    ``small`` (deflate reaches 1,032 at best, so more means chunks that were never written);
    ``objects`` in the file and ``depth`` of groups; ``genes``, since one row must fit in memory.
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


@dataclass(frozen=True, slots=True)
class Structure:
    """What the guard learnt: shape, the matrices with their layout, and whether it is pre-0.7."""

    n_cells: int
    n_genes: int
    legacy: bool
    matrices: dict[str, str] = field(default_factory=dict)
    """Layout ("csr", "csc", "dense") by name ("X", "raw.X", "layers/counts")."""
    largest_chunk: int = 0


_SIGNATURES = {
    b"\x1f\x8b": "a gzip archive: unpack it first",
    b"PK\x03\x04": "a zip archive (or a zipped zarr store): unpack it, or save it as .h5ad",
    b"BZh": "a bzip2 archive: unpack it first",
    b"\xfd7zXZ": "an xz archive: unpack it first",
    b"%%Mat": "a Matrix Market text: read it with scanpy.read_mtx and save it as .h5ad",
    b"X\n\x00": "an R object: convert it with zellkonverter or sceasy",
    b"RDX": "an R object: convert it with zellkonverter or sceasy",
    b"\x89PNG": "a PNG picture",
    b"%PDF": "a PDF document",
    b"CDF": "a classic NetCDF file",
}

_HDF5 = b"\x89HDF\r\n\x1a\n"


def check(path: Path | str, limits: Limits | None = None) -> Structure:
    """Refuse a file that is unsafe or broken; return its structure where it is neither.

    Raises
    ------
    UnsafeFile
        When the file refers outside itself or asks for more than ``limits`` allow.
    BadFile
        When it is missing, of another type, truncated or inconsistent.
    """
    path = Path(path)
    limits = limits or Limits()
    with open_file(path) as file:
        try:
            return _Guard(path, file, limits).run()
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, BadFile):
                raise
            # HDF5 reports damage in many ways; each of them means that the file is broken.
            why = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
            raise BadFile(
                f"{path} is damaged ({why}); expected a readable .h5ad: copy or download it again"
            ) from error


def open_file(path: Path, cache: int = MIB) -> h5py.File:
    """Open an HDF5 file for reading only, with one clear line where that fails."""
    _is_hdf5(path)
    try:
        return h5py.File(path, "r", rdcc_nbytes=cache)
    except OSError as error:
        text = str(error)
        if "truncated" in text or "eof" in text:
            why = "it is truncated: copy or download it again"
        elif "lock" in text:
            why = "another process has it open for writing: close it there first"
        else:
            why = f"HDF5 cannot read it ({text.splitlines()[0]}): copy or download it again"
        raise BadFile(f"{path} cannot be opened; expected a readable .h5ad, but {why}") from error


def _is_hdf5(path: Path) -> None:
    try:
        mode = path.stat().st_mode
        if stat.S_ISDIR(mode):
            kind = "a zarr store" if (path / ".zgroup").exists() else "a folder"
            raise BadFile(f"{path} is {kind}; expected an .h5ad file: save it as one")
        if not stat.S_ISREG(mode):
            raise BadFile(f"{path} is no regular file; expected an .h5ad file")
        with path.open("rb") as handle:
            head = handle.read(16)
    except FileNotFoundError as error:
        raise BadFile(f"{path} does not exist; expected an .h5ad file: check the path") from error
    except OSError as error:
        raise BadFile(
            f"{path} cannot be read ({error.strerror}); expected an .h5ad file"
        ) from error
    if head.startswith(_HDF5):
        return
    if not head:
        raise BadFile(f"{path} is empty; expected an .h5ad file: copy or download it again")
    text = all(9 <= byte < 127 for byte in head)
    kind = "a text file: read it with scanpy and save it as .h5ad" if text else "no HDF5 file"
    kind = next((k for sign, k in _SIGNATURES.items() if head.startswith(sign)), kind)
    raise BadFile(f"{path} is {kind}; expected an .h5ad file")


class _Guard:
    """One walk over one open file."""

    def __init__(self, path: Path, file: h5py.File, limits: Limits) -> None:
        self.path, self.file, self.limits = path, file, limits
        self.datasets: dict[str, h5py.Dataset] = {}
        self.groups: dict[str, h5py.Group] = {}
        self.soft: list[tuple[str, str]] = []

    def run(self) -> Structure:
        self._walk()
        for name, target in self.soft:
            self._soft_link(name, target)
        for name, dataset in self.datasets.items():
            self._dataset(name, dataset)
        return self._structure()

    def unsafe(self, what: str, expected: str) -> UnsafeFile:
        return UnsafeFile(f"{self.path}: {what}; expected {expected}; the file was not read")

    def bad(self, what: str, todo: str = "write the file again") -> BadFile:
        return BadFile(f"{self.path}: {what}; {todo}")

    # --- links -----------------------------------------------------------------------------

    def _walk(self) -> None:
        """Visit every object by hard links alone; soft links are kept for later."""
        seen: dict[Any, str] = {}
        pending: list[tuple[str, Any, int]] = [("", self.file.id, 0)]
        count = 0
        while pending:
            name, group, depth = pending.pop()
            if depth > self.limits.depth:
                raise self.unsafe(
                    f"groups are nested more than {self.limits.depth} deep at {name[:80]}",
                    "a few levels",
                )
            self.groups[name] = h5py.Group(group)
            self._attributes(name or "/", group)
            for child, kind in self._links(group, name):
                count += 1
                if count > self.limits.objects:
                    raise self.unsafe(
                        f"it holds more than {self.limits.objects:,} objects",
                        "the parts of an AnnData object",
                    )
                path = f"{name}/{child.decode(errors='replace')}".lstrip("/")
                if kind == h5py.h5l.TYPE_SOFT:
                    target = group.links.get_val(child).decode(errors="replace")
                    self.soft.append((path, target))
                    continue
                if kind != h5py.h5l.TYPE_HARD:
                    raise self.unsafe(
                        f"{path} is an external link, which reads another file",
                        "a file that refers to nothing outside itself",
                    )
                info = h5py.h5o.get_info(group, child)
                self._visit(path, group, child, info, seen, pending, depth)

    def _links(self, group: Any, name: str) -> Iterator[tuple[bytes, int]]:
        for child in group:
            yield child, group.links.get_info(child).type

    def _visit(
        self,
        path: str,
        group: Any,
        child: bytes,
        info: Any,
        seen: dict[Any, str],
        pending: list[tuple[str, Any, int]],
        depth: int,
    ) -> None:
        address = (info.fileno, info.addr)
        if info.type == h5py.h5o.TYPE_GROUP:
            if address in seen or address == self._root():
                raise self.unsafe(
                    f"{path} and {seen.get(address, '/')} are the same group, so a reader would "
                    "go in circles",
                    "a tree",
                )
            seen[address] = path
            pending.append((path, h5py.h5o.open(group, child), depth + 1))
        elif info.type == h5py.h5o.TYPE_DATASET:
            self.datasets[path] = h5py.Dataset(h5py.h5o.open(group, child))
        # A committed datatype holds no data and refers to nothing.

    def _root(self) -> tuple[int, int]:
        info = h5py.h5o.get_info(self.file.id)
        return info.fileno, info.addr

    def _soft_link(self, name: str, target: str) -> None:
        """Allow a soft link to a dataset of this file that the walk has seen; nothing else."""
        base = name.rpartition("/")[0]
        parts: list[str] = [] if target.startswith("/") else base.split("/")
        parts += [part for part in target.split("/") if part not in ("", ".")]
        place = "/".join(part for part in parts if part)
        if place in self.datasets:
            return
        if place in self.groups:
            raise self.unsafe(
                f"{name} is a soft link to the group {target}, so a reader may go in circles",
                "groups without links",
            )
        raise self.unsafe(
            f"{name} is a soft link to {target[:80]!r}, which is no dataset of this file",
            "links that lead to a dataset",
        )

    # --- what one object may ask for --------------------------------------------------------

    def _attributes(self, name: str, object_id: Any) -> None:
        for i in range(h5py.h5a.get_num_attrs(object_id)):
            attribute = h5py.h5a.open(object_id, index=i)
            key = attribute.name.decode(errors="replace")
            size = int(np.prod(attribute.shape, dtype=object)) * attribute.get_type().get_size()
            if size > self.limits.attribute:
                raise self.unsafe(f"attribute {key!r} of {name} asks for {size:,} bytes", "a word")
            if _refers(attribute.get_type()) and not self._old_categories(name, key, attribute):
                raise self.unsafe(
                    f"attribute {key!r} of {name} is an HDF5 reference", "plain values"
                )

    def _old_categories(self, name: str, key: str, attribute: Any) -> bool:
        """Allow the reference of anndata 0.7 from a column to its ``__categories``."""
        if key != "categories" or attribute.shape != ():
            return False
        table, _, column = name.rpartition("/")
        expected = f"{table}/__categories/{column}"
        try:
            value = h5py.AttributeManager(h5py.Dataset(h5py.h5o.open(self.file.id, name.encode())))
            held = h5py.h5r.get_name(value[key], self.file.id)
        except (KeyError, ValueError, RuntimeError, OSError, TypeError):
            return False
        return bool(held) and held.decode().lstrip("/") == expected and expected in self.datasets

    def _dataset(self, name: str, dataset: h5py.Dataset) -> None:
        plist = dataset.id.get_create_plist()
        if plist.get_external_count():
            raise self.unsafe(
                f"{name} keeps its data in another file", "data inside the file itself"
            )
        if plist.get_layout() == h5py.h5d.VIRTUAL:
            raise self.unsafe(
                f"{name} is a virtual dataset, which reads other files",
                "data inside the file itself",
            )
        kind = dataset.id.get_type()
        if _refers(kind):
            raise self.unsafe(f"{name} holds HDF5 references", "plain values")
        self._attributes(name, dataset.id)
        self._filters(name, plist)
        logical = _logical(dataset)
        if plist.get_layout() == h5py.h5d.CHUNKED:
            chunk = int(np.prod(plist.get_chunk(), dtype=object)) * kind.get_size()
            if chunk > self.limits.chunk:
                raise self.unsafe(
                    f"a chunk of {name} unpacks to {chunk:,} bytes",
                    f"at most {self.limits.chunk:,}",
                )
        if logical > self.limits.small:
            stored = max(dataset.id.get_storage_size(), 1)
            if logical > self.limits.ratio * stored:
                raise self.unsafe(
                    f"{name} asks for {logical:,} bytes but stores {stored:,}",
                    f"at most {self.limits.ratio:,.0f} times what is stored",
                )

    def _filters(self, name: str, plist: Any) -> None:
        for i in range(plist.get_nfilters()):
            code = plist.get_filter(i)[0]
            if not h5py.h5z.filter_avail(code):
                title = plist.get_filter(i)[3].decode(errors="replace") or str(code)
                raise self.bad(
                    f"{name} is compressed with {title!r}, which this HDF5 cannot read",
                    "save the file with gzip compression",
                )

    # --- the parts of an AnnData --------------------------------------------------------------

    def _structure(self) -> Structure:
        legacy = isinstance(self.file.get("obs"), h5py.Dataset) or "raw.X" in self._top()
        self._is_anndata()
        matrices: dict[str, str] = {}
        for name, place in self._matrix_places():
            matrices[name] = self._matrix(name, place, legacy)
        n_cells, n_genes = self._shape()
        self._tables(n_cells, n_genes, legacy)
        self._whole(matrices)
        return Structure(n_cells, n_genes, legacy, matrices, self._largest_chunk(matrices))

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
            if _logical(dataset) > self.limits.matrix:
                raise self.unsafe(
                    f"{name} asks for {_logical(dataset):,} bytes", f"<= {self.limits.matrix:,}"
                )
            return "dense"
        group = self.groups[place]
        kind = _text(group.attrs.get("encoding-type", group.attrs.get("h5sparse_format", "")))
        layout = kind.removesuffix("_matrix")
        if layout not in ("csr", "csc"):
            raise self.bad(
                f"{name} is stored as {kind or 'an unnamed group'!r}; expected an array, a "
                "csr_matrix or a csc_matrix"
            )
        shape = group.attrs.get("shape", group.attrs.get("h5sparse_shape"))
        if shape is None or np.shape(shape) != (2,):
            raise self.bad(f"{name} does not say its shape; expected two numbers")
        sparsecheck.check_sparse(
            self.path, name, group, layout, (int(shape[0]), int(shape[1])), self.limits.loaded
        )
        return layout

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
            if isinstance(node, h5py.Dataset):
                return int(node.shape[0]) if node.ndim else 0
            if isinstance(node, h5py.Group):
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
        if dataset.dtype.kind != "f":
            return
        width = max(1, int(np.prod(dataset.shape[1:])))
        step = max(1, (32 * MIB) // (width * dataset.dtype.itemsize))
        for start in range(0, n_cells, step):
            part = dataset[start : start + step]
            # One reduction finds both NaN and infinity, and is much cheaper than a mask.
            if not np.isfinite(np.add.reduce(part, axis=None, dtype=np.float64)):
                row = np.argwhere(~np.isfinite(part.reshape(len(part), -1)).all(axis=1))
                raise self.bad(
                    f"{place} is not finite at cell {start + int(row[0, 0])}",
                    "repair or remove that embedding",
                )

    def _whole(self, matrices: dict[str, str]) -> None:
        """Refuse what is read whole and would not fit: everything but the matrices."""
        skip = tuple(f"{place}/" for _, place in self._matrix_places())
        exact = {place for _, place in self._matrix_places()}
        total = 0
        for name, dataset in self.datasets.items():
            if name in exact or name.startswith(skip):
                continue
            total += _logical(dataset)
            if dataset.dtype.kind == "O":
                total += sparsecheck.text_bytes(dataset)
            if total > self.limits.loaded:
                raise self.unsafe(
                    f"its tables ask for {total:,} bytes at {name}", f"<= {self.limits.loaded:,}"
                )

    def _largest_chunk(self, matrices: dict[str, str]) -> int:
        sizes = [0]
        for _, place in self._matrix_places():
            for name, dataset in self.datasets.items():
                if name == place or name.startswith(place + "/"):
                    sizes.append(int(np.prod(dataset.chunks or (0,))) * dataset.dtype.itemsize)
        return max(sizes)


def _refers(kind: Any) -> bool:
    """Whether a datatype is, or contains, an object or region reference."""
    if isinstance(kind, h5py.h5t.TypeReferenceID):
        return True
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return any(_refers(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if isinstance(kind, h5py.h5t.TypeVlenID | h5py.h5t.TypeArrayID):
        return _refers(kind.get_super())
    return False


def _logical(dataset: h5py.Dataset) -> int:
    return int(np.prod(dataset.shape or (1,), dtype=object)) * int(dataset.id.get_type().get_size())


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


def _matrix_shape(node: h5py.Group | h5py.Dataset) -> tuple[int, int]:
    shape = (
        node.shape
        if isinstance(node, h5py.Dataset)
        else node.attrs.get("shape", node.attrs.get("h5sparse_shape"))
    )
    return (int(shape[0]), int(shape[1])) if len(shape) == 2 else (int(shape[0]), 1)
