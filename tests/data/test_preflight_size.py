"""Files that ask for more memory than they have bytes are refused with one clear line."""

from __future__ import annotations

import io
import zlib
from pathlib import Path

import h5py
import numpy as np
import pytest

from data import headers, preflight, stored
from data.errors import BadFile, UnsafeFile
from data.layout import Limits
from tests.data.damage import CELLS, Damage, refusal


def unwritten(file: h5py.File) -> None:
    """32 GiB of zeros that no byte of the file holds."""
    file.create_dataset("layers/zeros", (CELLS, 1 << 28), "f4", chunks=(1, 1 << 16))


def unwritten_embedding(file: h5py.File) -> None:
    file.create_dataset("obsm/X_big", (CELLS, 1 << 24), "f4", chunks=(1, 1 << 12))


def many_unwritten(file: h5py.File) -> None:
    """Each below the size that is looked at alone; 1.2 GB together."""
    for i in range(20):
        file.create_dataset(f"uns/part{i}", (15 << 20,), "f4", chunks=(1 << 16,))


def giant_chunk(file: h5py.File) -> None:
    file.create_dataset("uns/one", (1 << 29,), "f4", chunks=(1 << 29,), compression="gzip")


def swelling_chunk(file: h5py.File) -> None:
    """A chunk of 16 KiB that stores a megabyte; HDF5 would unpack all of it."""
    dataset = file.create_dataset("uns/swell", (4096,), "f4", chunks=(4096,), compression="gzip")
    dataset.id.write_direct_chunk((0,), zlib.compress(np.random.default_rng(0).bytes(3 << 19)))


def swelling_large_chunk(file: h5py.File) -> None:
    """As before, with a chunk so large that its stored size does not give it away."""
    options = {"chunks": (1 << 20,), "compression": "gzip"}
    dataset = file.create_dataset("uns/swell", (1 << 20,), "f4", **options)
    content = np.random.default_rng(0).bytes(3 << 19) + bytes(40 << 20)
    dataset.id.write_direct_chunk((0,), zlib.compress(content, 1))


def packed_twice(file: h5py.File) -> None:
    plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    plist.set_chunk((1 << 20,))
    plist.set_deflate(9)
    plist.set_deflate(9)
    space = h5py.h5s.create_simple((1 << 22,))
    dataset = h5py.h5d.create(file["uns"].id, b"twice", h5py.h5t.NATIVE_FLOAT, space, plist)
    inner = zlib.compress(np.random.default_rng(0).bytes(1 << 21), 1)
    dataset.write_direct_chunk((0,), zlib.compress(inner, 1))


def shared_text(file: h5py.File) -> None:
    """500,000 strings that all point to the same 200 kB: 100 GB from a file of less than 1 MB."""
    dataset = file.create_dataset(
        "uns/text", (500_000,), h5py.string_dtype(), chunks=(1000,), compression="gzip"
    )
    dataset[0] = "x" * 200_000
    _, packed = dataset.id.read_direct_chunk((0,))
    descriptor = zlib.decompress(packed)[:16]
    chunk = zlib.compress(descriptor * 1000)
    for start in range(0, 500_000, 1000):
        dataset.id.write_direct_chunk((start,), chunk)


def shared_text_in_table(file: h5py.File) -> None:
    kind = np.dtype([("score", "f8"), ("name", h5py.string_dtype())])
    dataset = file.create_dataset("uns/table", (100_000,), kind, chunks=(1000,), compression="gzip")
    dataset[0] = np.array((1.0, "x" * 500_000), dtype=kind)
    _, packed = dataset.id.read_direct_chunk((0,))
    row = zlib.decompress(packed)[:24]
    chunk = zlib.compress(row * 1000)
    for start in range(0, 100_000, 1000):
        dataset.id.write_direct_chunk((start,), chunk)


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (unwritten, "layers/zeros asks for 32,212,254,720 bytes but stores 0"),
        (unwritten_embedding, "obsm/X_big asks for"),
        (many_unwritten, "its tables ask for"),
        (giant_chunk, "a chunk of uns/one unpacks to 2,147,483,648 bytes"),
        (swelling_chunk, "stores 1,573,"),
        (swelling_large_chunk, "unpacks to more than its 4,194,304 bytes"),
        (packed_twice, "is packed twice by the same filter"),
        (shared_text, "its tables ask for 100,00"),
        (shared_text_in_table, "its tables ask for 50,00"),
    ],
)
def test_asks_for_too_much(copy: Path, damage: Damage, words: str) -> None:
    error = refusal(copy, damage)
    assert isinstance(error, UnsafeFile)
    assert words in str(error), str(error)


def test_an_attribute_that_asks_for_4_gigabytes(copy: Path) -> None:
    """HDF5 sets the length aside before it looks at the text: the length is all it takes."""
    with h5py.File(copy) as file, copy.open("rb") as handle:
        address = h5py.h5o.get_info(file["obs"].id).addr
        held = headers.attribute_bytes(handle, address)["encoding-type"][:16]
    assert int.from_bytes(held[:4], "little") == len("dataframe")
    whole = copy.read_bytes()
    copy.write_bytes(whole.replace(held, b"\xf0\xff\xff\xff" + held[4:]))
    with pytest.raises(UnsafeFile, match="attribute 'encoding-type' of obs asks for 4,294,967,"):
        preflight.check(copy)


def test_a_heap_without_an_end(copy: Path) -> None:
    """Free space of no size: HDF5 would stay there for ever, deaf to interrupts."""
    whole = bytearray(copy.read_bytes())
    heap = whole.index(b"GCOL")
    place = heap + 16
    for _ in range(5):
        place += 16 + (int.from_bytes(whole[place + 8 : place + 16], "little") + 7) // 8 * 8
    whole[place : place + 16] = bytes(16)
    copy.write_bytes(whole)
    with pytest.raises(BadFile, match="a heap of text has an object without a size"):
        preflight.check(copy)


def test_an_attribute_in_a_heap_cannot_be_checked(tmp_path: Path, sound: Path) -> None:
    path = tmp_path / "x.h5ad"
    with h5py.File(path, "w", libver="latest") as target, h5py.File(sound) as source:
        for name in source:
            source.copy(name, target)
        notes = target.create_group("uns/notes")
        for i in range(20):  # HDF5 moves more than eight into a heap
            notes.attrs[f"note{i}"] = "text"
    with pytest.raises(UnsafeFile, match="of uns/notes is kept where it cannot be checked"):
        preflight.check(path)


@pytest.mark.parametrize("libver", ["earliest", "v110", "latest"])
@pytest.mark.parametrize("order", [False, True])
def test_attributes_are_found_in_the_header(tmp_path: Path, libver: str, order: bool) -> None:
    given = {"a": "x", "b": "", "long name of an attribute": "α" * 700, "numbers": np.arange(9.0)}
    given |= {"list": ["one", "three", ""], "fixed": np.bytes_("bytes"), "n": h5py.Empty("S1")}
    path = tmp_path / "attributes.h5"
    with h5py.File(path, "w", libver=libver, track_order=order) as file:
        group = file.create_group("g", track_order=order)
        file["between"] = np.zeros(1000)  # so that the header needs a continuation
        for key, value in given.items():
            group.attrs[key] = value
            file.flush()
            file.create_group(f"more {key}")
    with h5py.File(path) as file, path.open("rb") as handle:
        address = h5py.h5o.get_info(file["g"].id).addr
        found = headers.attribute_bytes(handle, address)
        assert sorted(found) == sorted(given)
        for key, texts in {"a": ["x"], "list": ["one", "three", ""], "b": [""]}.items():
            kind = file["g"].attrs.get_id(key).get_type()
            width, places = stored.on_disk(kind)
            held = found[key][: width * len(texts)]
            assert stored.described(held, width, places).size == sum(map(len, texts))
        assert np.frombuffer(found["numbers"][:72]).tolist() == list(range(9))


def test_headers_that_are_none() -> None:
    for junk in (b"", b"\x07" * 64, b"OHDR" + b"\xff" * 60, b"\x01" + b"\xff" * 63):
        with pytest.raises(ValueError, match="header"):
            headers.attribute_bytes(io.BytesIO(junk), 0)
    circle = bytearray(64)
    circle[0], circle[8] = 1, 24
    circle[16:20] = (0x10).to_bytes(2, "little") + (16).to_bytes(2, "little")
    circle[24:40] = (16).to_bytes(8, "little") + (24).to_bytes(8, "little")
    with pytest.raises(ValueError, match="circles"):
        headers.attribute_bytes(io.BytesIO(bytes(circle)), 0)


def test_limits_of_a_server(sound: Path) -> None:
    for limits in (Limits(loaded=100), Limits(matrix=100), Limits(genes=5), Limits(attribute=2)):
        with pytest.raises(UnsafeFile):
            preflight.check(sound, limits)


def test_text_is_counted_in_every_layout(tmp_path: Path) -> None:
    words = ["", "gene", "α" * 10, "x" * 1000] * 50
    expected = sum(len(word.encode()) for word in words)
    with h5py.File(tmp_path / "text.h5", "w") as file:
        layouts: list[dict[str, object]] = [
            {},
            {"chunks": (7,)},
            {"compression": "gzip"},
            {"compression": "gzip", "shuffle": True},
            {"compression": "lzf", "chunks": (11,)},
            {"chunks": (33,), "compression": "gzip", "compression_opts": 9},
        ]
        for i, options in enumerate(layouts):
            dataset = file.create_dataset(
                str(i), data=np.array(words, dtype=object), dtype=h5py.string_dtype(), **options
            )
            file.flush()
            # Elements of a last chunk that lie beyond the end are empty.
            assert stored.text_of(dataset, preflight._unpacked).size == expected, options
        # Tables: fields of a compound lie elsewhere in the file than in memory.
        text, floats = h5py.string_dtype(), h5py.vlen_dtype("f4")
        plain = np.dtype([("a", "i2"), ("s", text), ("b", "f8"), ("v", floats), ("t", text)])
        packed = np.dtype([("a", "i2"), ("s", text), ("b", "f8"), ("t", text)])
        for name, kind, options in (
            ("plain", plain, {}),
            ("packed", packed, {"chunks": (9,), "compression": "gzip"}),
        ):
            table = file.create_dataset(name, (len(words),), kind, **options)
            for i, word in enumerate(words):
                fields = {"a": 1, "s": word, "b": 2.0, "v": np.ones(3, "f4"), "t": word[:5]}
                table[i] = tuple(fields[field] for field in kind.names or ())
            file.flush()
            more = sum(len(word[:5].encode()) + 12 * (kind is plain) for word in words)
            assert stored.text_of(table, preflight._unpacked).size == expected + more, name
