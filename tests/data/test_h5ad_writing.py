"""Annotated copies: the source stays as it is, the copy appears whole, anndata opens it."""

from __future__ import annotations

import hashlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from data.errors import BadFile, BadInput, CelloquyError
from data.h5ad import open_cells, write_annotated

N = 30


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture
def src(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    counts = sp.csr_matrix(rng.poisson(1.0, (N, 12)).astype(np.float32))
    adata = anndata.AnnData(
        counts,
        obs=pd.DataFrame(
            {"leiden": pd.Categorical(["a", "b", "c"] * 10), "n": np.arange(N)},
            index=[f"cell{i}" for i in range(N)],
        ),
        var=pd.DataFrame(
            {"symbol": [f"G{i}" for i in range(12)]}, index=[f"g{i}" for i in range(12)]
        ),
    )
    adata.obsm["X_pca"] = rng.normal(size=(N, 3))
    adata.uns["title"] = "small"
    path = tmp_path / "src.h5ad"
    adata.write_h5ad(path)
    return path


def test_round_trip(src: Path, tmp_path: Path) -> None:
    before, times = sha256(src), src.stat().st_mtime_ns
    kinds = pd.Categorical(
        ["T cell"] * 20 + ["unknown"] * 10, categories=["T cell", "unknown", "x"]
    )
    out = write_annotated(
        src,
        tmp_path / "out.h5ad",
        obs={
            "celloquy_cell_type": kinds,
            "celloquy_confidence": np.linspace(0, 1, N, dtype=np.float32),
            "celloquy_reason": [f"because {i}, α" for i in range(N)],
            "celloquy_seen": np.arange(N) % 2 == 0,
            "leiden": pd.Series(np.arange(N), index=range(N)),
        },
        obsm={"X_celloquy": np.ones((N, 4), dtype=np.float32), "X_pca": np.zeros((N, 2))},
        uns={"celloquy": {"version": "1", "releases": {"CL": "v1"}, "terms": np.array(["a", "b"])}},
    )
    found = anndata.read_h5ad(out)
    new = [f"celloquy_{name}" for name in ("cell_type", "confidence", "reason", "seen")]
    assert list(found.obs) == ["leiden", "n", *new]
    assert found.obs["celloquy_cell_type"].dtype == kinds.dtype
    assert list(found.obs["celloquy_cell_type"]) == list(kinds)
    assert found.obs["celloquy_confidence"].dtype == np.float32
    assert found.obs["celloquy_reason"].iloc[7] == "because 7, α"
    assert found.obs["celloquy_seen"].dtype == bool
    assert list(found.obs["leiden"]) == list(range(N))
    assert found.obsm["X_pca"].shape == (N, 2)
    assert found.obsm["X_celloquy"].dtype == np.float32
    assert found.uns["celloquy"]["releases"] == {"CL": "v1"}
    assert found.uns["title"] == "small"
    source = anndata.read_h5ad(src)
    assert (found.X != source.X).nnz == 0
    pd.testing.assert_frame_equal(found.var, source.var)
    assert (sha256(src), src.stat().st_mtime_ns) == (before, times)
    found.write_h5ad(tmp_path / "again.h5ad")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["again.h5ad", "out.h5ad", "src.h5ad"]


def test_a_copy_of_a_copy_and_of_a_compressed_file(src: Path, tmp_path: Path) -> None:
    anndata.read_h5ad(src).write_h5ad(tmp_path / "packed.h5ad", compression="gzip")
    one = write_annotated(tmp_path / "packed.h5ad", tmp_path / "one.h5ad", obs={"a": ["x"] * N})
    two = write_annotated(one, tmp_path / "two.h5ad", obs={"a": ["y"] * N, "b": [1] * N})
    found = anndata.read_h5ad(two)
    assert list(found.obs) == ["leiden", "n", "a", "b"]
    assert set(found.obs["a"]) == {"y"}
    write_annotated(src, two, obs={"c": [2] * N})  # an existing file is replaced whole
    assert list(anndata.read_h5ad(two).obs) == ["leiden", "n", "c"]


def test_layout_of_anndata_0_7(src: Path, tmp_path: Path) -> None:
    """Codes with a reference to their categories; a replaced column takes both away."""
    with h5py.File(src, "r+") as file:
        codes = file["obs/leiden/codes"][...]
        del file["obs/leiden"]
        file["obs/__categories/leiden"] = np.array(["a", "b", "c"], dtype=object)
        file["obs/leiden"] = codes
        file["obs/leiden"].attrs["categories"] = file["obs/__categories/leiden"].ref
        file["obs"].attrs["encoding-version"] = "0.1.0"
    kinds = pd.Categorical(["T cell", "B cell"] * 15)
    out = write_annotated(src, tmp_path / "out.h5ad", obs={"kind": kinds})
    with pytest.warns(anndata.OldFormatWarning):
        found = anndata.read_h5ad(out)
    assert list(found.obs["kind"]) == list(kinds)
    assert list(found.obs["leiden"][:3]) == ["a", "b", "c"]
    again = write_annotated(out, tmp_path / "again.h5ad", obs={"leiden": kinds})
    with open_cells(again) as cells:
        assert list(cells.column("leiden")) == list(kinds)
    with h5py.File(again) as file:
        assert "leiden" not in file["obs/__categories"]


def test_input_is_never_the_output(src: Path, tmp_path: Path) -> None:
    before = sha256(src)
    (tmp_path / "link.h5ad").symlink_to(src)
    os.link(src, tmp_path / "hard.h5ad")
    for dst in (src, tmp_path / "link.h5ad", tmp_path / "hard.h5ad", tmp_path / "." / "src.h5ad"):
        with pytest.raises(BadInput, match="is the input itself"):
            write_annotated(src, dst, obs={"a": [1] * N})
    assert sha256(src) == before


@pytest.mark.parametrize(
    ("place", "words"),
    [(".", "is a folder"), ("no/such/out.h5ad", "does not exist; expected a folder")],
)
def test_no_place_for_a_file(src: Path, tmp_path: Path, place: str, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        write_annotated(src, tmp_path / place)


@pytest.mark.parametrize(
    ("parts", "words"),
    [
        ({"obs": {"a": [1, 2]}}, r"obs\['a'\] has 2 values; expected one for each of 30 cells"),
        ({"obsm": {"X_a": np.ones((5, 2))}}, r"obsm\['X_a'\] has 5 values"),
        ({"obs": {"a/b": [1] * N}}, "'a/b' is no name"),
        ({"obs": {"": [1] * N}}, "'' is no name"),
        ({"obs": {"_index": ["x"] * N}}, "'_index' names the cells"),
        ({"obs": {"a": [object()] * N}}, "'a' cannot be written"),
        ({"obs": {"a": pd.to_datetime(["2020-01-01"] * N)}}, "'a' cannot be written"),
        ({"uns": {"a": object()}}, "'a' cannot be written"),
    ],
)
def test_what_cannot_be_written(src: Path, tmp_path: Path, parts: dict, words: str) -> None:
    with pytest.raises(BadInput, match=words) as caught:
        write_annotated(src, tmp_path / "out.h5ad", **parts)
    assert "\n" not in str(caught.value)
    assert [p.name for p in tmp_path.iterdir()] == ["src.h5ad"]


def test_a_source_that_the_guard_refuses(src: Path, tmp_path: Path) -> None:
    with h5py.File(src, "r+") as file:
        file["uns/leak"] = h5py.ExternalLink("/etc/hosts", "/")
    with pytest.raises(BadFile, match="external link"):
        write_annotated(src, tmp_path / "out.h5ad")
    assert not (tmp_path / "out.h5ad").exists()


FULL = """
import resource, signal, sys
import numpy as np
from data.h5ad import write_annotated
from data.errors import CelloquyError
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
limit = int(sys.argv[3])
resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
try:
    write_annotated(sys.argv[1], sys.argv[2], obsm={"X_big": np.ones((30, 100_000))})
except CelloquyError as error:
    print(type(error).__name__, error)
"""


@pytest.mark.parametrize("room", [1_000, 200_000])
def test_a_full_disk_leaves_nothing(src: Path, tmp_path: Path, room: int) -> None:
    """The disk may be full while copying (1 kB) or while adding (200 kB)."""
    before = sha256(src)
    dst = tmp_path / "out.h5ad"
    done = subprocess.run(
        [sys.executable, "-c", FULL, str(src), str(dst), str(room)],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout.startswith("CelloquyError"), done.stderr
    assert "was not written" in done.stdout
    assert [p.name for p in tmp_path.iterdir()] == ["src.h5ad"]
    assert sha256(src) == before


KILLED = """
import sys
import numpy as np
from data.h5ad import write_annotated
write_annotated(sys.argv[1], sys.argv[2], uns={"big": {str(i): np.ones(9) for i in range(30_000)}})
"""


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_killed_while_writing(src: Path, tmp_path: Path, how: signal.Signals) -> None:
    """No half file under the name asked for; the next run sweeps up what was left."""
    before = sha256(src)
    dst = tmp_path / "out.h5ad"
    dst.write_bytes(b"an older result")
    writer = subprocess.Popen([sys.executable, "-c", KILLED, str(src), str(dst)])
    deadline = time.monotonic() + 60
    while not list(tmp_path.glob(".out.h5ad.*.part")):
        assert writer.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    time.sleep(0.3)
    writer.send_signal(how)
    assert writer.wait(60) != 0
    assert dst.read_bytes() == b"an older result"
    assert sha256(src) == before
    write_annotated(src, dst, obs={"a": [1] * N})
    assert list(anndata.read_h5ad(dst).obs) == ["leiden", "n", "a"]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["out.h5ad", "src.h5ad"]


def test_a_writer_at_work_is_left_alone(src: Path, tmp_path: Path) -> None:
    other = tmp_path / f".out.h5ad.{os.getppid()}.part"
    other.write_bytes(b"")
    write_annotated(src, tmp_path / "out.h5ad")
    assert other.exists()


@pytest.mark.assets
def test_layout_before_anndata_0_7(tmp_path: Path) -> None:
    from data import sources

    before = sha256(sources.path("pbmc68k"))
    out = write_annotated(
        sources.path("pbmc68k"),
        tmp_path / "out.h5ad",
        obs={"celloquy_cell_type": pd.Categorical(["T cell", "B cell"] * 350)},
        obsm={"X_celloquy": np.ones((700, 2))},
        uns={"celloquy": {"version": "1"}},
    )
    found = anndata.read_h5ad(out)
    assert found.shape == (700, 765)
    assert found.raw.shape == (700, 765)
    assert list(found.obs["celloquy_cell_type"].cat.categories) == ["B cell", "T cell"]
    assert found.obs["bulk_labels"].nunique() == 10
    assert found.obsm["X_umap"].shape == (700, 2)
    assert sha256(sources.path("pbmc68k")) == before


def test_an_unexpected_error_leaves_nothing(
    src: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(self: Path, target: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "replace", fail)
    with pytest.raises(CelloquyError, match="was not written \\(Permission denied\\)"):
        write_annotated(src, tmp_path / "out.h5ad")
    assert [p.name for p in tmp_path.iterdir()] == ["src.h5ad"]
