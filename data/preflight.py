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
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import h5py
import numpy as np
from numpy.typing import NDArray

from data import headers, stored
from data.errors import BadFile
from data.layout import Contents, Layout, Limits, Structure, logical_bytes

__all__ = ["Limits", "Structure", "check", "open_file"]

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

_SLOTS = 100_003  # of the chunk cache: prime, and many more than the chunks of a band

_HDF5 = b"\x89HDF\r\n\x1a\n"


def check(path: Path | str, limits: Limits | None = None, *, thorough: bool = False) -> Structure:
    """Refuse a file that is unsafe or broken; return its structure where it is neither.

    Parameters
    ----------
    path
        The file.
    limits
        What it may ask for.
    thorough
        Unpack all of large compressed arrays too. Without it, sparse indices and embeddings
        beyond :data:`data.stored.UNPACK_BUDGET` values are left to :mod:`data.matrices` and
        :mod:`data.cells`, which check what they read; whoever opens the file with another library
        needs it.

    Raises
    ------
    UnsafeFile
        When the file refers outside itself or asks for more than ``limits`` allow.
    BadFile
        When it is missing, of another type, truncated or inconsistent.
    """
    path = Path(path)
    limits = limits or Limits()
    with open_file(path) as file, path.open("rb") as handle:
        try:
            return _Guard(path, file, handle, limits, thorough).run()
        except (OSError, RuntimeError, KeyError, ValueError, TypeError) as error:
            if isinstance(error, BadFile):
                raise
            # HDF5 reports damage in many ways; each of them means that the file is broken.
            why = str(error).strip("'\"").splitlines()[0] if str(error) else type(error).__name__
            raise BadFile(
                f"{path} is damaged ({why}); expected a readable .h5ad: copy or download it again"
            ) from error


def open_file(path: Path, cache: int = 1 << 20) -> h5py.File:
    """Open an HDF5 file for reading only, with one clear line where that fails."""
    _is_hdf5(path)
    try:
        return h5py.File(path, "r", rdcc_nbytes=cache, rdcc_nslots=_SLOTS)
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

    def __init__(
        self, path: Path, file: h5py.File, handle: BinaryIO, limits: Limits, thorough: bool
    ) -> None:
        self.file, self.handle, self.limits = file, handle, limits
        self.heaps: list[NDArray[np.uint64]] = [np.empty(0, np.uint64)]
        self.budget = sys.maxsize if thorough else stored.UNPACK_BUDGET
        self.datasets: dict[str, h5py.Dataset] = {}
        self.groups: dict[str, h5py.Group] = {}
        self.soft: list[tuple[str, str]] = []
        self.text: dict[str, int] = {}
        self.contents = Contents(path, file, self.datasets, self.groups, self.text)
        self.unsafe, self.bad = self.contents.unsafe, self.contents.bad

    def run(self) -> Structure:
        sizes = self.file.id.get_create_plist().get_sizes()
        if sizes != (8, 8):
            raise self.bad(f"its addresses have {sizes[0]} bytes; expected 8")
        self._walk()
        for name, target in self.soft:
            self._soft_link(name, target)
        for name, dataset in self.datasets.items():
            self._dataset(name, dataset)
        headers.check_heaps(self.contents.path, np.concatenate(self.heaps))
        return Layout(self.contents, self.limits, self.budget).structure()

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
        number = h5py.h5a.get_num_attrs(object_id)
        if not number:
            return
        address = h5py.h5o.get_info(object_id).addr
        raw = headers.attribute_bytes(self.handle, address)
        for i in range(number):
            attribute = h5py.h5a.open(object_id, index=i)
            key = attribute.name.decode(errors="replace")
            if _refers(attribute.get_type()) and not self._old_categories(name, key, attribute):
                raise self.unsafe(
                    f"attribute {key!r} of {name} is an HDF5 reference", "plain values"
                )
            if not isinstance(attribute.get_type(), _ATTRIBUTE_TYPES):
                raise self.unsafe(
                    f"attribute {key!r} of {name} is neither text nor a number", "one of the two"
                )
            width, places = stored.on_disk(attribute.get_type())
            length = int(attribute.get_space().get_simple_extent_npoints()) * width
            asked = length
            if places and length:
                held = raw.get(key, b"")[:length]
                if len(held) < length:
                    raise self.unsafe(
                        f"attribute {key!r} of {name} is kept where it cannot be checked",
                        "attributes in the object's header",
                    )
                text = stored.described(held, width, places)
                asked += text.size
                self.heaps.append(text.heaps)
            if asked > self.limits.attribute:
                raise self.unsafe(
                    f"attribute {key!r} of {name} asks for {asked:,} bytes",
                    f"at most {self.limits.attribute:,}",
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
        if not _is_plain(kind):
            raise self.unsafe(f"{name} has a type that AnnData does not use", "numbers or text")
        self._attributes(name, dataset.id)
        self._filters(name, plist)
        logical = logical_bytes(dataset)
        if plist.get_layout() == h5py.h5d.CHUNKED:
            chunk = int(np.prod(plist.get_chunk(), dtype=object)) * kind.get_size()
            if chunk > self.limits.chunk:
                raise self.unsafe(
                    f"a chunk of {name} unpacks to {chunk:,} bytes",
                    f"at most {self.limits.chunk:,}",
                )
            swollen = stored.swollen(dataset)
            if swollen:
                raise self.unsafe(f"{name} {swollen}", "chunks of their own size")
        if logical > self.limits.small:
            held = dataset.id.get_storage_size()
            if logical > self.limits.ratio * max(held, 1):
                raise self.unsafe(
                    f"{name} asks for {logical:,} bytes but stores {held:,}",
                    f"at most {self.limits.ratio:,.0f} times what is stored",
                )

        if dataset.dtype.kind in "OV":
            text = stored.text_of(dataset, _unpacked)
            self.text[name] = text.size
            self.heaps.append(text.heaps)

    def _filters(self, name: str, plist: Any) -> None:
        for i in range(plist.get_nfilters()):
            code = plist.get_filter(i)[0]
            if not h5py.h5z.filter_avail(code):
                title = plist.get_filter(i)[3].decode(errors="replace") or str(code)
                raise self.bad(
                    f"{name} is compressed with {title!r}, which this HDF5 cannot read",
                    "save the file with gzip compression",
                )


def _unpacked(dataset: h5py.Dataset, width: int) -> Iterator[bytes]:
    """The elements of a chunked dataset as bytes: HDF5 unpacks them as if they were opaque.

    A dataset in memory with the same filters takes the packed chunks as they are, so that no
    variable-length value is ever followed.
    """
    total = int(np.prod(dataset.chunks)) * width
    with h5py.File("unpacked", "w", driver="core", backing_store=False) as scratch:
        opaque: dict[int, h5py.Dataset] = {}
        for offsets, _ in stored.chunks(dataset):
            mask, piece = dataset.id.read_direct_chunk(offsets)
            if mask not in opaque:
                opaque[mask] = _opaque(scratch, dataset, mask, total)
            opaque[mask].id.write_direct_chunk((0,), piece)
            yield opaque[mask][...].tobytes()


def _opaque(scratch: h5py.File, dataset: h5py.Dataset, mask: int, total: int) -> h5py.Dataset:
    """A dataset of one chunk of ``total`` bytes, with the filters that ``mask`` leaves."""
    plist = dataset.id.get_create_plist().copy()
    unit = 1
    filters = [plist.get_filter(i) for i in range(plist.get_nfilters())]
    for i, (code, _, values, _) in enumerate(filters):
        if mask & (1 << i):
            plist.remove_filter(code)
        elif code == stored.SHUFFLE and values:
            unit = int(values[0])  # bytes of an element in memory when the file was written
    if total % unit:
        raise ValueError(f"{dataset.name} is shuffled by {unit} bytes, which do not divide a chunk")
    plist.set_chunk((total // unit,))
    space = h5py.h5s.create_simple((total // unit,))
    kind = h5py.h5t.create(h5py.h5t.OPAQUE, unit)
    return h5py.Dataset(h5py.h5d.create(scratch.id, b"%d" % mask, kind, space, plist))


_NUMBERS = (h5py.h5t.TypeIntegerID, h5py.h5t.TypeFloatID, h5py.h5t.TypeEnumID)

# h5py crashes on some others, such as an attribute that is a list of odd numbers.
_ATTRIBUTE_TYPES = (*_NUMBERS, h5py.h5t.TypeStringID, h5py.h5t.TypeReferenceID)


def _is_plain(kind: Any) -> bool:
    """Whether a datatype is made of numbers and text alone."""
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return all(_is_plain(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if isinstance(kind, h5py.h5t.TypeArrayID):
        return _is_plain(kind.get_super())
    if isinstance(kind, h5py.h5t.TypeVlenID):
        return isinstance(kind.get_super(), _NUMBERS[:2])
    if isinstance(kind, _NUMBERS):
        return kind.get_size() in (1, 2, 4, 8, 16)
    return isinstance(kind, h5py.h5t.TypeStringID | h5py.h5t.TypeReferenceID)


def _refers(kind: Any) -> bool:
    """Whether a datatype is, or contains, an object or region reference."""
    if isinstance(kind, h5py.h5t.TypeReferenceID):
        return True
    if isinstance(kind, h5py.h5t.TypeCompoundID):
        return any(_refers(kind.get_member_type(i)) for i in range(kind.get_nmembers()))
    if isinstance(kind, h5py.h5t.TypeVlenID | h5py.h5t.TypeArrayID):
        return _refers(kind.get_super())
    return False
