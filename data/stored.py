"""Checks of stored arrays that must be fast: sparse indices and the bytes behind strings.

Works on open h5py objects without importing h5py. Arrays that lie in the file in one piece are
mapped and reduced in place; others are streamed. Nothing here reads a matrix's values.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, UnsafeFile

__all__ = [
    "UNPACK_BUDGET",
    "Described",
    "check_sparse",
    "chunks",
    "described",
    "lies_open",
    "on_disk",
    "pieces",
    "swollen",
    "text_of",
]

UNPACK_BUDGET = 1 << 22
"""Values of one compressed array that are unpacked here, less than 0.1 s; what lies beyond is
checked when it is used: indices by :mod:`data.matrices`, embeddings by :mod:`data.cells`.
"""

READ_BUDGET = 1 << 28
"""The same for values that lie in the file as they are: 1 GB of indices, about 0.2 s."""

DESCRIPTOR = 16  # bytes of a length, an address and a number in the file

_OPEN_BYTES = 4 << 20  # read at once as they lie: stays in the cache of a core
_PACKED_BYTES = 32 << 20  # unpacked at once: chunks that straddle a step are unpacked twice


def check_sparse(
    path: Path,
    name: str,
    group: Any,
    layout: str,
    shape: tuple[int, int],
    cap: int,
    budget: int = UNPACK_BUDGET,
) -> None:
    """Refuse a stored CSR or CSC matrix whose three arrays do not fit together.

    Raises
    ------
    BadFile
        When an array is missing or of a wrong kind, when ``indptr`` has a wrong length, does not
        start at 0, falls or does not end at the number of values, or an index is out of range.
    UnsafeFile
        When ``indptr`` alone would ask for more than ``cap`` bytes.
    """

    def bad(what: str) -> BadFile:
        return BadFile(f"{path}: {name} is no valid {layout} matrix: {what}; write the file again")

    for part in ("data", "indices", "indptr"):
        if part not in group or getattr(group[part], "ndim", 0) != 1:
            raise bad(f"{part} is missing or no list")
    data, indices, indptr = group["data"], group["indices"], group["indptr"]
    if data.dtype.kind not in "fiub":
        raise bad(f"data holds {data.dtype}; expected numbers")
    if indices.dtype.kind not in "iu" or indptr.dtype.kind not in "iu":
        raise bad("indices and indptr must be whole numbers")
    major, minor = shape if layout == "csr" else shape[::-1]
    if min(shape) < 0 or len(indptr) != major + 1:
        raise bad(f"indptr has {len(indptr):,} entries for {major:,} rows; expected one more")
    if len(indptr) * 8 > cap:
        raise UnsafeFile(f"{path}: {name}/indptr asks for {len(indptr) * 8:,} bytes; expected "
                         f"<= {cap:,}; the file was not read")  # fmt: skip
    if len(data) != len(indices):
        raise bad(f"{len(data):,} values but {len(indices):,} indices")
    pointers = np.asarray(indptr[...])
    if int(pointers[0]) != 0:
        raise bad(f"indptr starts at {int(pointers[0])}; expected 0")
    if int(pointers[-1]) != len(data):
        raise bad(f"indptr ends at {int(pointers[-1]):,} but there are {len(data):,} values")
    if len(pointers) > 1 and bool((pointers[1:] < pointers[:-1]).any()):
        raise bad("indptr falls; expected it to rise")
    if len(indices):
        low, high = _range(indices, budget)
        if low < 0 or high >= minor:
            worst = low if low < 0 else high
            raise bad(f"index {worst:,} is out of range for {minor:,} columns")


def lies_open(dataset: Any) -> bool:
    """Whether the dataset's values lie in the file in one piece, as they are."""
    return (
        dataset.size > 0
        and dataset.chunks is None
        and not dataset.dtype.hasobject
        and dataset.id.get_offset() is not None
        and dataset.id.get_storage_size() == dataset.size * dataset.dtype.itemsize
    )


def pieces(dataset: Any, budget: int) -> Iterator[NDArray[Any]]:
    """Runs of the values of a list or table, row by row, up to ``budget`` values.

    Values that lie open are read up to ``READ_BUDGET`` at least, past HDF5 and into one buffer:
    HDF5 would be slower, and a map would count as memory used.
    """
    width = max(1, dataset.size // max(1, dataset.shape[0]))
    opened = lies_open(dataset)
    budget = max(budget, READ_BUDGET) if opened else budget
    stop = min(dataset.shape[0], budget // width)
    step = max(1, (_OPEN_BYTES if opened else _PACKED_BYTES) // (width * dataset.dtype.itemsize))
    if not opened:
        for start in range(0, stop, step):
            yield np.asarray(dataset[start : min(start + step, stop)])
        return
    buffer = np.empty(step * width, dtype=dataset.dtype)
    with Path(dataset.file.filename).open("rb", buffering=0) as handle:
        handle.seek(dataset.id.get_offset())
        left = stop * width
        while left:
            part = buffer[: min(left, len(buffer))]
            view = part.view(np.uint8).data
            while view:
                got = handle.readinto(view)
                if not got:
                    raise OSError(f"the file ends inside {dataset.name}")
                view = view[got:]
            left -= len(part)
            yield part.reshape(-1, *dataset.shape[1:])


def _range(indices: Any, budget: int) -> tuple[int, int]:
    """Smallest and largest index: of all where they lie open, else of ``budget``."""
    low, high = 0, 0
    for part in pieces(indices, budget):
        low, high = min(low, int(part.min())), max(high, int(part.max()))
    return low, high


def text_of(dataset: Any, unpacked: Callable[[Any, int], Iterator[bytes]]) -> Described:
    """What all variable-length values of a dataset ask for, without reading one of them.

    Every value is a descriptor of a length and the place of its bytes. Descriptors may share a
    place, so that a small file can ask for any amount; the sum of their lengths tells. HDF5 file
    format specification 3.0, "Variable-length Types" and "Global Heap ID".

    Parameters
    ----------
    dataset
        An open dataset.
    unpacked
        Gives the elements of a chunked dataset as they are in the file, from the dataset and the
        bytes of an element.
    """
    width, places = on_disk(dataset.id.get_type())
    if not places or not dataset.size:
        return Described(0, np.empty(0, np.uint64))
    if dataset.chunks is None and dataset.id.get_offset() is None:
        raise OSError(f"{dataset.name} keeps its text where it cannot be checked")
    total = Described(0, np.empty(0, np.uint64))
    for piece in (_plain if dataset.chunks is None else unpacked)(dataset, width):
        total = total + described(piece, width, places)
    return total


@dataclass(frozen=True, slots=True)
class Described:
    """What descriptors ask for: ``size`` bytes in the heaps at ``heaps`` (each at least once)."""

    size: int
    heaps: NDArray[np.uint64]

    def __add__(self, other: Described) -> Described:
        return Described(self.size + other.size, np.concatenate([self.heaps, other.heaps]))


def described(elements: bytes, width: int, places: list[tuple[int, int]]) -> Described:
    """What the descriptors in some stored elements ask for; ``places`` from :func:`on_disk`."""
    table = np.frombuffer(elements, dtype=np.uint8).reshape(-1, width)
    total, heaps = 0, [np.empty(0, np.uint64)]
    for offset, each in places:
        lengths = np.ascontiguousarray(table[:, offset : offset + 4]).view("<u4").ravel()
        heap = np.ascontiguousarray(table[:, offset + 4 : offset + 12]).view("<u8").ravel()
        total += each * int(lengths.sum(dtype=np.uint64))
        heap = heap[(lengths > 0) & (heap > 0)]
        # Neighbours mostly share a heap: a cheap way to keep each about once.
        first = np.concatenate([[True], heap[1:] != heap[:-1]])[: len(heap)]
        heaps.append(heap[first].astype(np.uint64))
    return Described(total, np.concatenate(heaps))


def on_disk(kind: Any) -> tuple[int, list[tuple[int, int]]]:
    """Bytes of one element in the file, and (place, bytes an item) of its descriptors.

    HDF5 gives sizes as in memory, where a text is a pointer; in the file it is a length, an
    address and a number.
    """
    if getattr(kind, "is_variable_str", lambda: False)():
        return DESCRIPTOR, [(0, 1)]
    name = type(kind).__name__
    if name == "TypeVlenID":
        return DESCRIPTOR, [(0, int(kind.get_super().get_size()))]
    if name == "TypeArrayID":
        count = int(np.prod(kind.get_array_dims()))
        width, places = on_disk(kind.get_super())
        return count * width, [(i * width + at, each) for i in range(count) for at, each in places]
    if name != "TypeCompoundID":
        return int(kind.get_size()), []
    found: list[tuple[int, int]] = []
    grown = 0
    members = sorted(range(kind.get_nmembers()), key=kind.get_member_offset)
    for i in members:
        member = kind.get_member_type(i)
        width, places = on_disk(member)
        start = int(kind.get_member_offset(i)) + grown
        found += [(start + at, each) for at, each in places]
        grown += width - int(member.get_size())
    return int(kind.get_size()) + grown, found


def _plain(dataset: Any, width: int) -> Iterator[bytes]:
    """The elements of a dataset that lies in one piece."""
    step = max(1, _PACKED_BYTES // width) * width
    with Path(dataset.file.filename).open("rb") as handle:
        handle.seek(dataset.id.get_offset())
        left = dataset.size * width
        while left:
            piece = handle.read(min(left, step))
            if not piece:
                raise OSError(f"the file ends inside {dataset.name}")
            left -= len(piece)
            yield piece


def _filters(dataset: Any) -> list[int]:
    plist = dataset.id.get_create_plist()
    return [int(plist.get_filter(i)[0]) for i in range(plist.get_nfilters())]


def chunks(dataset: Any) -> list[tuple[tuple[int, ...], int]]:
    """Offsets and stored bytes of every chunk; one pass, where asking by number is quadratic."""
    found: list[tuple[tuple[int, ...], int]] = []
    dataset.id.chunk_iter(lambda info: found.append((info.chunk_offset, info.size)))
    return found


DEFLATE, SHUFFLE, FLETCHER32 = 1, 2, 3  # H5Zpublic.h


def swollen(dataset: Any) -> str | None:
    """Say how a chunk holds more than its shape allows, or None.

    HDF5 unpacks a deflated chunk to its end, whatever the chunk's shape: 0.5 MB become 512 MB.
    Stored bytes beyond the shape are refused; chunks so large that deflate's best, 1,032 to 1,
    would exceed 1 GB are unpacked here in bounded steps.
    """
    filters = _filters(dataset)
    if not filters:
        return None
    if len(set(filters)) < len(filters):
        return "is packed twice by the same filter"
    limit = int(np.prod(dataset.chunks)) * on_disk(dataset.id.get_type())[0]
    stored = dataset.id.get_storage_size()
    if stored < _SMALL_CHUNK:
        return None
    for offsets, size in chunks(dataset):
        if size > limit + limit // 100 + 4096:
            return f"stores {size:,} bytes for a chunk of {limit:,}"
        if DEFLATE in filters and size > _SMALL_CHUNK and _overflows(dataset, offsets, limit):
            return f"has a chunk that unpacks to more than its {limit:,} bytes"
    return None


_SMALL_CHUNK = (1 << 20) + (1 << 16)  # stored bytes; h5py's own chunks have at most 1 MiB


def _overflows(dataset: Any, offsets: tuple[int, ...], limit: int) -> bool:
    mask, piece = dataset.id.read_direct_chunk(offsets)
    filters = _filters(dataset)
    place = filters.index(DEFLATE)
    if mask & (1 << place):
        return False
    if FLETCHER32 in filters[place:] and not mask & (1 << filters.index(FLETCHER32)):
        piece = piece[:-4]
    stream, done = zlib.decompressobj(), 0
    while piece and not stream.eof:
        done += len(stream.decompress(piece, 1 << 22))
        piece = stream.unconsumed_tail
        if done > limit + 4096:
            return True
    return False
