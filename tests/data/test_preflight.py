"""Files built to harm a reader: each is refused, before anndata sees it, with one clear line."""

from __future__ import annotations

import gzip
import io
import os
import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from data import headers, preflight, stored
from data.errors import BadFile, UnsafeFile
from data.layout import Limits

CELLS, GENES = 30, 20


@pytest.fixture(scope="session")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An .h5ad with every part that the guard looks at."""
    rng = np.random.default_rng(0)
    counts = sp.random(CELLS, GENES, 0.3, format="csr", rng=rng)
    counts.data = rng.integers(1, 9, counts.nnz).astype(np.float32)
    adata = anndata.AnnData(
        counts,
        obs=pd.DataFrame(
            {"leiden": pd.Categorical(["a", "b", "c"] * 10), "n": np.arange(CELLS)},
            index=[f"cell{i}" for i in range(CELLS)],
        ),
        var=pd.DataFrame(index=[f"gene{i}" for i in range(GENES)]),
    )
    adata.obsm["X_pca"] = rng.normal(size=(CELLS, 5)).astype(np.float32)
    adata.obsm["sparse"] = sp.random(CELLS, 7, 0.5, format="csr", rng=rng)
    adata.layers["csc"] = sp.csc_matrix(counts)
    adata.layers["dense"] = counts.toarray()
    adata.raw = adata.copy()
    adata.uns["pca"] = {"variance": np.ones(5), "names": np.array(["x", "y"], dtype=object)}
    path = tmp_path_factory.mktemp("sound") / "sound.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture
def copy(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copy(sound, tmp_path / "given.h5ad"))


Damage = Callable[[h5py.File], object]


def refusal(path: Path, damage: Damage, limits: Limits | None = None) -> BadFile:
    """Damage a file and return the error with which the guard refuses it."""
    with h5py.File(path, "r+") as file:
        damage(file)
    with pytest.raises(BadFile) as caught:
        preflight.check(path, limits)
    assert "\n" not in str(caught.value)
    return caught.value


def replace(file: h5py.File, name: str, values: object, **options: object) -> h5py.Dataset:
    attributes = dict(file[name].attrs)
    del file[name]
    dataset = file.create_dataset(name, data=values, **options)
    dataset.attrs.update(attributes)
    return dataset


def edit(file: h5py.File, name: str, place: int, value: float) -> None:
    values = file[name][...]
    values[place] = value
    file[name][...] = values


def test_sound_file(sound: Path) -> None:
    found = preflight.check(sound)
    assert (found.n_cells, found.n_genes, found.legacy) == (CELLS, GENES, False)
    assert found.matrices == {
        "X": "csr",
        "raw.X": "csr",
        "layers/csc": "csc",
        "layers/dense": "dense",
    }
    assert preflight.check(sound, thorough=True) == found


# --- what reaches outside the file ------------------------------------------------------------


def external_storage(file: h5py.File) -> None:
    secret = Path(file.filename).with_name("secret")
    secret.write_bytes(bytes(8 * CELLS))
    del file["obs/n"]
    file["obs"].create_dataset("n", (CELLS,), "i8", external=[(str(secret), 0, 8 * CELLS)])


def external_link(file: h5py.File) -> None:
    file["uns/leak"] = h5py.ExternalLink("/etc/passwd", "/x")


def external_link_to_itself(file: h5py.File) -> None:
    file["obsm/leak"] = h5py.ExternalLink(file.filename, "/obsm/X_pca")


def virtual_dataset(file: h5py.File) -> None:
    layout = h5py.VirtualLayout((CELLS, GENES), "f4")
    layout[...] = h5py.VirtualSource("/somewhere/else.h5", "x", (CELLS, GENES))
    file.create_virtual_dataset("layers/leak", layout)


def object_references(file: h5py.File) -> None:
    file["uns/refs"] = np.array([file["X"].ref, file["obs"].ref], dtype=h5py.ref_dtype)


def region_references(file: h5py.File) -> None:
    region = file["obs/n"].regionref[2:4]
    file["uns/regions"] = np.array([region], dtype=h5py.regionref_dtype)


def reference_in_compound(file: h5py.File) -> None:
    kind = np.dtype([("a", "i4"), ("r", h5py.ref_dtype)])
    file["uns/table"] = np.array([(1, file["X"].ref)], dtype=kind)


def reference_in_list(file: h5py.File) -> None:
    dataset = file.create_dataset("uns/lists", (1,), h5py.vlen_dtype(h5py.ref_dtype))
    dataset[0] = np.array([file["X"].ref], dtype=h5py.ref_dtype)


def reference_attribute(file: h5py.File) -> None:
    file["obs/n"].attrs["categories"] = file["uns"].ref


def reference_group_attribute(file: h5py.File) -> None:
    file["uns"].attrs["see"] = file["X"].ref


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (external_storage, "keeps its data in another file"),
        (external_link, "uns/leak is an external link"),
        (external_link_to_itself, "obsm/leak is an external link"),
        (virtual_dataset, "layers/leak is a virtual dataset"),
        (object_references, "uns/refs holds HDF5 references"),
        (region_references, "uns/regions holds HDF5 references"),
        (reference_in_compound, "uns/table holds HDF5 references"),
        (reference_in_list, "uns/lists holds HDF5 references"),
        (reference_attribute, "attribute 'categories' of obs/n is an HDF5 reference"),
        (reference_group_attribute, "attribute 'see' of uns is an HDF5 reference"),
    ],
)
def test_reaches_outside(copy: Path, damage: Damage, words: str) -> None:
    error = refusal(copy, damage)
    assert isinstance(error, UnsafeFile)
    assert words in str(error)


def opaque(file: h5py.File) -> None:
    file["uns/odd"] = np.zeros(3, dtype="V3")


def list_of_tables(file: h5py.File) -> None:
    kind = h5py.vlen_dtype(np.dtype([("a", "i4")]))
    file.create_dataset("uns/odd", (2,), kind)


def list_attribute(file: h5py.File) -> None:
    """With one bit flipped in the type of the list, h5py crashes."""
    kind = h5py.h5t.vlen_create(h5py.h5t.NATIVE_INT32)
    h5py.h5a.create(file["obs"].id, b"odd", kind, h5py.h5s.create(h5py.h5s.SCALAR))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (opaque, "uns/odd has a type that AnnData does not use"),
        (list_of_tables, "uns/odd has a type that AnnData does not use"),
        (list_attribute, "attribute 'odd' of obs is neither text nor a number"),
    ],
)
def test_odd_types(copy: Path, damage: Damage, words: str) -> None:
    error = refusal(copy, damage)
    assert isinstance(error, UnsafeFile)
    assert words in str(error)


# --- what leads in circles -------------------------------------------------------------------


def soft_cycle(file: h5py.File) -> None:
    file["uns/loop"] = h5py.SoftLink("/uns")


def soft_cycle_of_two(file: h5py.File) -> None:
    file["uns/a"] = h5py.SoftLink("/uns/b")
    file["uns/b"] = h5py.SoftLink("/uns/a")


def soft_parent(file: h5py.File) -> None:
    file["uns/up"] = h5py.SoftLink("..")


def soft_root(file: h5py.File) -> None:
    file["uns/root"] = h5py.SoftLink("/")


def dangling(file: h5py.File) -> None:
    file["obs/gone"] = h5py.SoftLink("/nowhere/at/all")


def hard_root(file: h5py.File) -> None:
    file["uns/root"] = file["/"]


def hard_cycle(file: h5py.File) -> None:
    file["uns/pca/again"] = file["uns"]


def shared_group(file: h5py.File) -> None:
    file["uns/twin"] = file["uns/pca"]


def deep(file: h5py.File) -> None:
    file.create_group("uns/" + "/".join("d" * 100))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (soft_cycle, "uns/loop is a soft link to the group"),
        (soft_cycle_of_two, "is a soft link to '/uns/b', which is no dataset"),
        (soft_parent, "uns/up is a soft link"),
        (soft_root, "uns/root is a soft link"),
        (dangling, "obs/gone is a soft link to '/nowhere/at/all', which is no dataset"),
        (hard_root, "are the same group"),
        (hard_cycle, "are the same group"),
        (shared_group, "are the same group"),
        (deep, "nested more than 32 deep"),
    ],
)
def test_leads_in_circles(copy: Path, damage: Damage, words: str) -> None:
    error = refusal(copy, damage)
    assert isinstance(error, UnsafeFile)
    assert words in str(error)


def test_soft_link_to_a_dataset_is_fine(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        file["obsm/X_same"] = h5py.SoftLink("X_pca")
        file["uns/n"] = h5py.SoftLink("/obs/n")
    assert preflight.check(copy).n_cells == CELLS


def test_too_many_objects(copy: Path) -> None:
    def damage(file: h5py.File) -> None:
        for i in range(300):
            file.create_group(f"uns/{i}")

    assert "more than 200 objects" in str(refusal(copy, damage, Limits(objects=200)))


def test_old_categories_are_allowed_and_only_they(copy: Path) -> None:
    """anndata 0.7 kept codes in the column and a reference to the categories beside it."""

    def old(file: h5py.File) -> None:
        codes = file["obs/leiden/codes"][...]
        del file["obs/leiden"]
        file["obs/__categories/leiden"] = np.array(["a", "b", "c"], dtype=object)
        file["obs/leiden"] = codes
        file["obs/leiden"].attrs["categories"] = file["obs/__categories/leiden"].ref

    with h5py.File(copy, "r+") as file:
        old(file)
    assert preflight.check(copy).n_cells == CELLS

    def elsewhere(file: h5py.File) -> None:
        file["obs/leiden"].attrs["categories"] = file["uns/pca/names"].ref

    assert "attribute 'categories' of obs/leiden" in str(refusal(copy, elsewhere))


# --- what asks for more than it has -----------------------------------------------------------


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


# --- what does not fit together --------------------------------------------------------------


def no_obs(file: h5py.File) -> None:
    del file["obs"]


def no_index(file: h5py.File) -> None:
    del file["obs/_index"]


def short_obs(file: h5py.File) -> None:
    replace(file, "obs/n", np.arange(CELLS - 1))


def short_codes(file: h5py.File) -> None:
    replace(file, "obs/leiden/codes", np.zeros(3, dtype=np.int8))


def three_dimensions(file: h5py.File) -> None:
    replace(file, "layers/dense", np.zeros((CELLS, GENES, 2)))


def wrong_shape(file: h5py.File) -> None:
    replace(file, "layers/dense", np.zeros((CELLS, GENES + 1)))


def text_matrix(file: h5py.File) -> None:
    replace(file, "layers/dense", np.full((CELLS, GENES), b"x"))


def complex_matrix(file: h5py.File) -> None:
    replace(file, "layers/dense", np.zeros((CELLS, GENES), dtype=complex))


def unknown_matrix(file: h5py.File) -> None:
    file["X"].attrs["encoding-type"] = "coo_matrix"


def no_shape(file: h5py.File) -> None:
    del file["X"].attrs["shape"]


def negative_shape(file: h5py.File) -> None:
    file["X"].attrs["shape"] = np.array([-1, GENES])


def infinite_embedding(file: h5py.File) -> None:
    file["obsm/X_pca"][7, 2] = np.inf


def nan_embedding(file: h5py.File) -> None:
    file["obsm/X_pca"][29, 4] = np.nan


def cancelling_embedding(file: h5py.File) -> None:
    file["obsm/X_pca"][3, 0], file["obsm/X_pca"][4, 0] = np.inf, -np.inf


def short_embedding(file: h5py.File) -> None:
    replace(file, "obsm/X_pca", np.zeros((CELLS - 2, 5)))


@pytest.mark.parametrize(
    ("damage", "words"),
    [
        (no_obs, "it has no obs and var but"),
        (no_index, "obs has no index column '_index'"),
        (short_obs, "obs/n has 29 values for 30 rows"),
        (short_codes, "obs/leiden/codes has 3 values for 30 rows"),
        (three_dimensions, "layers/dense has 3 dimensions"),
        (wrong_shape, "layers/dense has shape 30 x 21"),
        (text_matrix, "expected numbers"),
        (complex_matrix, "expected numbers"),
        (unknown_matrix, "X is stored as coo, which is no matrix"),
        (no_shape, "X does not say its shape"),
        (negative_shape, "X is no valid csr matrix"),
        (infinite_embedding, "obsm/X_pca is not finite at cell 7"),
        (nan_embedding, "obsm/X_pca is not finite at cell 29"),
        (cancelling_embedding, "obsm/X_pca is not finite at cell 3"),
        (short_embedding, "obsm/X_pca has shape (28, 5) for 30 cells"),
    ],
)
def test_does_not_fit_together(copy: Path, damage: Damage, words: str) -> None:
    assert words in str(refusal(copy, damage))


@pytest.mark.parametrize("matrix", ["X", "raw/X", "layers/csc", "obsm/sparse"])
@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize(
    ("part", "place", "value", "words"),
    [
        ("indices", 5, 10**6, "out of range"),
        ("indices", 5, -3, "index -3 is out of range"),
        ("indptr", 0, 1, "indptr starts at 1"),
        ("indptr", -1, 10**6, "indptr ends at 1,000,000"),
        ("indptr", 4, 10**6, "indptr falls"),
        ("indptr", 4, -1, "indptr falls"),
    ],
)
def test_sparse_arrays(
    copy: Path, matrix: str, compressed: bool, part: str, place: int, value: int, words: str
) -> None:
    def damage(file: h5py.File) -> None:
        name = f"{matrix}/{part}"
        if compressed:
            replace(file, name, file[name][...], compression="gzip", chunks=(7,))
        else:
            replace(file, name, file[name][...])
        edit(file, name, place, value)

    assert words in str(refusal(copy, damage))


@pytest.mark.parametrize(
    ("part", "values", "words"),
    [
        ("indptr", np.zeros(CELLS, dtype=np.int32), "indptr has 30 entries"),
        ("indptr", np.zeros(CELLS + 1, dtype=np.float64), "must be whole numbers"),
        ("indptr", np.zeros((CELLS + 1, 1), dtype=np.int32), "indptr is missing or no list"),
        ("indices", np.zeros(3, dtype=np.int32), "but 3 indices"),
        ("data", np.zeros(3, dtype=np.float32), "3 values but"),
        ("data", np.full(3, b"x"), "expected numbers"),
    ],
)
def test_sparse_parts(copy: Path, part: str, values: np.ndarray, words: str) -> None:
    assert words in str(refusal(copy, lambda file: replace(file, f"X/{part}", values)))


def test_missing_sparse_part(copy: Path) -> None:
    def damage(file: h5py.File) -> None:
        del file["X/indices"]

    assert "indices is missing" in str(refusal(copy, damage))


def test_filter_that_is_not_here(copy: Path) -> None:
    def damage(file: h5py.File) -> None:
        plist = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
        plist.set_chunk((CELLS,))
        plist.set_filter(32_555, h5py.h5z.FLAG_OPTIONAL, ())
        space = h5py.h5s.create_simple((CELLS,))
        h5py.h5d.create(file["obs"].id, b"odd", h5py.h5t.NATIVE_INT8, space, plist)

    assert "obs/odd is compressed with '32555'" in str(refusal(copy, damage))


def test_names_cannot_forge_lines(copy: Path) -> None:
    def damage(file: h5py.File) -> None:
        file["uns"]["all\nis\x1b[31m well"] = h5py.SoftLink("/gone")

    text = str(refusal(copy, damage))
    assert "\x1b" not in text
    assert "\n" not in text


# --- what is no .h5ad -------------------------------------------------------------------------


def test_truncated(sound: Path, tmp_path: Path) -> None:
    whole = sound.read_bytes()
    for share in (0.05, 0.3, 0.7, 0.999):
        cut = tmp_path / "cut.h5ad"
        cut.write_bytes(whole[: int(len(whole) * share)])
        with pytest.raises(BadFile, match="truncated"):
            preflight.check(cut)


def test_other_files(tmp_path: Path, sound: Path) -> None:
    def refused(path: Path, words: str) -> None:
        with pytest.raises(BadFile, match=words) as caught:
            preflight.check(path)
        assert str(path) in str(caught.value)

    given = tmp_path / "given.h5ad"
    refused(given, "does not exist")
    refused(tmp_path, "is a folder")
    given.write_bytes(b"")
    refused(given, "is empty")
    given.write_text("gene,cell1\nCD8A,3\n")
    refused(given, "a text file")
    given.write_bytes(gzip.compress(sound.read_bytes()))
    refused(given, "gzip archive")
    with zipfile.ZipFile(given, "w") as archive:
        archive.writestr("x", "y")
    refused(given, "zip archive")
    given.write_bytes(os.urandom(7) + b"\0" * 50)
    refused(given, "no HDF5 file")
    pipe = tmp_path / "pipe.h5ad"
    os.mkfifo(pipe)
    refused(pipe, "no regular file")
    if os.geteuid():
        given.chmod(0)
        refused(given, "Permission denied")


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        (["matrix/data", "matrix/indices"], "10x Genomics"),
        (["matrix", "row_attrs/Gene", "col_attrs/CellID"], "loom"),
        (["mod/rna/X", "obs/_index"], "MuData"),
        (["assays/RNA/counts"], "h5Seurat"),
        (["something"], "no obs and var but something"),
        ([], "no obs and var but nothing"),
    ],
)
def test_other_hdf5(tmp_path: Path, parts: list[str], words: str) -> None:
    path = tmp_path / "other.h5"
    with h5py.File(path, "w") as file:
        for part in parts:
            file[part] = np.arange(3)
    with pytest.raises(BadFile, match=words):
        preflight.check(path)


def test_embeddings_whose_sum_overflows(copy: Path) -> None:
    with h5py.File(copy, "r+") as file:
        replace(file, "obsm/X_pca", np.full((CELLS, 5), 1e308))
    assert preflight.check(copy).n_cells == CELLS


def test_beyond_the_budget_is_left_to_the_reader_unless_thorough(
    copy: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "UNPACK_BUDGET", 20)
    with h5py.File(copy, "r+") as file:
        replace(file, "X/indices", file["X/indices"][...], compression="gzip", chunks=(7,))
        edit(file, "X/indices", 100, 999)
    assert preflight.check(copy).n_cells == CELLS
    with pytest.raises(BadFile, match="index 999 is out of range"):
        preflight.check(copy, thorough=True)


def test_a_user_block_is_refused(sound: Path, tmp_path: Path) -> None:
    """Bytes before the HDF5 signature would let one file be two things at once."""
    path = tmp_path / "block.h5ad"
    with h5py.File(path, "w", userblock_size=1024) as target, h5py.File(sound) as source:
        for name in source:
            source.copy(name, target)
    with pytest.raises(BadFile, match="no HDF5 file"):
        preflight.check(path)


@pytest.mark.shared
def test_development_data_is_sound(shared_data: Path) -> None:
    files = sorted(shared_data.glob("*/*.h5ad"))
    assert len(files) >= 6
    for file in files:
        preflight.check(file, thorough=True)
