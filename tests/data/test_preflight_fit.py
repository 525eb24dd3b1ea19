"""Files whose parts do not fit together are refused with one clear line."""

from __future__ import annotations

from pathlib import Path

import h5py
import numpy as np
import pytest

from tests.data.damage import CELLS, GENES, Damage, edit, refusal, replace


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
