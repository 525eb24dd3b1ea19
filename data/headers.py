"""What HDF5 would follow, read from the bytes of the file beforehand, without following anything.

A text is stored as a descriptor: a length and its place in a global heap. HDF5 sets aside the whole
length before it looks at the place, so that 25 KB of file can ask for 4 GB, and it goes round for
ever in a heap that has an object without a size. Gives :func:`attribute_bytes`, the descriptors of
an object's attributes, and :func:`check_heaps`. Follows the HDF5 file format specification 3.0,
"Data Object Headers" (IV.A.1), "The Attribute Message" (IV.A.2.m) and "Global Heap" (III.E), for
addresses and lengths of 8 bytes. Knows nothing of AnnData; reads the file alone, without h5py.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

__all__ = ["attribute_bytes", "check_heaps"]

_ATTRIBUTE, _CONTINUATION = 0x000C, 0x0010
_SHARED = 0x02
_LARGEST = 1 << 24  # bytes of one block: messages have at most 64 KiB
_BLOCKS = 1_000  # continuation blocks of one header: more is a circle


def attribute_bytes(handle: BinaryIO, address: int) -> dict[str, bytes]:
    """Return the values of the attributes in the header at ``address``, as they are stored.

    Attributes that are kept elsewhere (shared, or in a heap) are left out: the caller knows from
    HDF5 which ones there are.

    Raises
    ------
    ValueError
        When the bytes are no object header.
    """
    found: dict[str, bytes] = {}
    for kind, flags, body in _messages(handle, address):
        if kind == _ATTRIBUTE and not flags & _SHARED:
            name, value = _attribute(body)
            found[name] = value
    return found


def _messages(handle: BinaryIO, address: int) -> Iterator[tuple[int, int, bytes]]:
    """(type, flags, body) of every message, over all blocks of the header."""
    head = _read(handle, address, 16)
    if head[:4] == b"OHDR":
        start, size, ordered = _second_version(handle, address, head)
        blocks = [(start, size)]
    elif head[0] == 1:
        ordered = None
        blocks = [(address + 16, struct.unpack_from("<I", head, 8)[0])]
    else:
        raise ValueError(f"no object header at {address}")
    seen = 0
    while blocks:
        start, size = blocks.pop(0)
        seen += 1
        if seen > _BLOCKS:
            raise ValueError("an object header goes in circles")
        for kind, flags, body in _block(_read(handle, start, size), ordered):
            if kind == _CONTINUATION:
                place, length = struct.unpack_from("<QQ", body)
                # Of the second version, a block has a signature before and a checksum after.
                blocks.append((place, length) if ordered is None else (place + 4, length - 8))
            yield kind, flags, body


def _second_version(handle: BinaryIO, address: int, head: bytes) -> tuple[int, int, bool]:
    """Where the first block of a version 2 header lies, and whether messages are numbered."""
    flags = head[5]
    place = 6 + (16 if flags & 0x20 else 0) + (4 if flags & 0x10 else 0)
    width = 1 << (flags & 3)
    size = int.from_bytes(_read(handle, address + place, width), "little")
    return address + place + width, size, bool(flags & 0x04)


def _block(block: bytes, ordered: bool | None) -> Iterator[tuple[int, int, bytes]]:
    at = 0
    first = ordered is None
    front = 8 if first else 6 if ordered else 4
    while at + front <= len(block):
        if first:
            kind, size, flags = struct.unpack_from("<HHB", block, at)
        else:
            kind, size, flags = struct.unpack_from("<BHB", block, at)
        at += front
        if at + size > len(block):
            raise ValueError("a message of an object header is longer than its block")
        yield kind, flags, block[at : at + size]
        at += size


def _attribute(body: bytes) -> tuple[str, bytes]:
    version, _, name, datatype, dataspace = struct.unpack_from("<BBHHH", body)
    at = 8 + (version == 3)

    def padded(size: int) -> int:
        return (size + 7) // 8 * 8 if version == 1 else size

    text = body[at : at + name].partition(b"\0")[0].decode(errors="replace")
    at += padded(name) + padded(datatype) + padded(dataspace)
    return text, body[at:]


def _read(handle: BinaryIO, place: int, size: int) -> bytes:
    if not 0 <= size <= _LARGEST or not 0 <= place < 1 << 63:
        raise ValueError("an object header is too large")
    handle.seek(place)
    found = handle.read(size)
    if len(found) < size:
        raise ValueError("an object header lies beyond the end of the file")
    return found


def check_heaps(path: Path, addresses: NDArray[np.uint64]) -> None:
    """Refuse a global heap in which a reader would not come to the end; all are walked at once.

    Raises
    ------
    ValueError
        When an address is no heap, or an object of a heap has no size or reaches out of it.
    """
    whole = np.memmap(path, dtype=np.uint8, mode="r")
    if len(addresses) and int(addresses.max()) + 16 > len(whole):
        raise ValueError("a text lies beyond the end of the file")
    start = np.unique(addresses).astype(np.int64)
    if not bool((_field(whole, start, 4, "<u4") == int.from_bytes(b"GCOL", "little")).all()):
        raise ValueError("a text lies outside a heap")
    size = _field(whole, start + 8, 8, "<u8")
    if bool((size > len(whole)).any()) or bool((start + size.astype(np.int64) > len(whole)).any()):
        raise ValueError("a heap of text reaches beyond the end of the file")
    end = start + size.astype(np.int64)
    place = start + 16
    while len(place):
        inside = place + 16 <= end
        place, end = place[inside], end[inside]
        number = _field(whole, place, 2, "<u2")
        held = _field(whole, place + 8, 8, "<u8")
        if bool((held > len(whole)).any()):
            raise ValueError("a text reaches beyond the end of the file")
        # Object 0 is free space and counts its own head; others are padded to 8 bytes.
        length = held.astype(np.int64)
        step = np.where(number == 0, length, 16 + (length + 7) // 8 * 8)
        if bool((step < 16).any()) or bool((place + step > end).any()):
            raise ValueError("a heap of text has an object without a size or too large for it")
        place = place + step


def _field(whole: NDArray[np.uint8], place: NDArray[np.int64], width: int, kind: str) -> Any:
    """One little-endian number at each of many places."""
    return whole[place[:, None] + np.arange(width)].view(kind).ravel()
