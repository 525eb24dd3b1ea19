"""Checks of stored arrays that must be fast: sparse indices and the bytes behind strings.

Works on open h5py objects without importing h5py. Arrays that lie in the file in one piece are
mapped and reduced in place; others are streamed. Nothing here reads a matrix's values.
"""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, UnsafeFile

__all__ = ["INDEX_BUDGET", "check_sparse", "text_bytes"]

INDEX_BUDGET = 1 << 28
"""Compressed indices that are unpacked here; :mod:`data.matrices` checks every block it reads."""

_STEP = 1 << 22  # indices at once: 16 to 32 MB


def check_sparse(
    path: Path, name: str, group: Any, layout: str, shape: tuple[int, int], cap: int
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
    pointers = _whole(indptr)
    if int(pointers[0]) != 0:
        raise bad(f"indptr starts at {int(pointers[0])}; expected 0")
    if int(pointers[-1]) != len(data):
        raise bad(f"indptr ends at {int(pointers[-1]):,} but there are {len(data):,} values")
    if len(pointers) > 1 and bool((pointers[1:] < pointers[:-1]).any()):
        raise bad("indptr falls; expected it to rise")
    if len(indices):
        low, high = _range(indices)
        if low < 0 or high >= minor:
            worst = low if low < 0 else high
            raise bad(f"index {worst:,} is out of range for {minor:,} columns")


def _mapped(dataset: Any) -> NDArray[Any] | None:
    """The dataset's bytes as an array over the file, where it is one plain piece."""
    offset = dataset.id.get_offset()
    if offset is None or dataset.chunks is not None or dataset.dtype.hasobject:
        return None
    if dataset.id.get_storage_size() != dataset.size * dataset.dtype.itemsize:
        return None
    return np.memmap(
        dataset.file.filename, dtype=dataset.dtype, mode="r", offset=offset, shape=dataset.shape
    )


def _whole(dataset: Any) -> NDArray[Any]:
    mapped = _mapped(dataset) if dataset.size else None
    return mapped if mapped is not None else np.asarray(dataset[...])


def _range(indices: Any) -> tuple[int, int]:
    """Smallest and largest index, of all where that is cheap."""
    mapped = _mapped(indices)
    source = indices if mapped is None else mapped
    stop = len(indices) if mapped is not None else min(len(indices), INDEX_BUDGET)
    low, high = 0, 0
    for start in range(0, stop, _STEP):
        part = source[start : min(start + _STEP, stop)]
        low, high = min(low, int(part.min())), max(high, int(part.max()))
    return low, high


def text_bytes(dataset: Any) -> int:
    """Bytes of all variable-length strings of a dataset together, without reading one of them.

    Every element is a descriptor of a length and the place of its bytes. Descriptors may share
    a place, so that a small file can ask for any amount; the sum of their lengths tells. HDF5
    file format specification 3.0, "Variable-length Types" and "Global Heap ID".
    """
    if not dataset.size:
        return 0
    width = 4 + dataset.file.id.get_create_plist().get_sizes()[0] + 4
    total = 0
    for piece in _raw_pieces(dataset):
        usable = len(piece) // width * width
        table = np.frombuffer(piece[:usable], dtype=np.uint8).reshape(-1, width)
        total += int(np.ascontiguousarray(table[:, :4]).view("<u4").sum(dtype=np.uint64))
    return total


def _raw_pieces(dataset: Any) -> Any:
    """The stored bytes of a dataset, unpacked, piece by piece."""
    if dataset.chunks is None:
        offset = dataset.id.get_offset()
        if offset is not None:
            with Path(dataset.file.filename).open("rb") as handle:
                handle.seek(offset)
                left = dataset.id.get_storage_size()
                while left:
                    piece = handle.read(min(left, 16 << 20))
                    if not piece:
                        break
                    left -= len(piece)
                    yield piece
        return
    plist = dataset.id.get_create_plist()
    filters = [plist.get_filter(i)[0] for i in range(plist.get_nfilters())]
    for i in range(dataset.id.get_num_chunks()):
        info = dataset.id.get_chunk_info(i)
        mask, piece = dataset.id.read_direct_chunk(info.chunk_offset)
        yield _unpack(piece, filters, mask, dataset.id.get_type().get_size())


def _unpack(piece: bytes, filters: list[int], mask: int, width: int) -> bytes:
    for place in reversed(range(len(filters))):
        if mask & (1 << place):
            continue
        code = filters[place]
        if code == 1:  # deflate
            piece = zlib.decompress(piece)
        elif code == 2:  # shuffle: byte i of every element lies together
            table = np.frombuffer(piece[: len(piece) // width * width], dtype=np.uint8)
            piece = table.reshape(width, -1).T.tobytes()
        elif code == 3:  # fletcher32: a checksum at the end
            piece = piece[:-4]
    return piece
