"""The guard on sound files and on files that are no .h5ad: refused with one clear line."""

from __future__ import annotations

import gzip
import os
import zipfile
from pathlib import Path

import h5py
import numpy as np
import pytest

from data import preflight, stored
from data.errors import BadFile
from tests.data.damage import CELLS, GENES, edit, replace


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
