"""Files that reach outside themselves or lead in circles are refused before anndata sees them."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from data import preflight
from data.errors import UnsafeFile
from data.layout import Limits
from tests.data.damage import CELLS, GENES, Damage, refusal

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
