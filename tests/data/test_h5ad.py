"""Cells by blocks: the same values whatever the layout, the type, the block size or the order."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import anndata
import h5py
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from data import matrices, preflight
from data.cells import CellMatrix
from data.errors import BadFile, BadInput
from data.h5ad import open_cells


def adata_of(values: Any, genes: list[str] | None = None, **obs: Any) -> anndata.AnnData:
    n_cells, n_genes = values.shape
    return anndata.AnnData(
        values,
        obs=pd.DataFrame(obs, index=[f"cell{i}" for i in range(n_cells)]),
        var=pd.DataFrame(index=genes or [f"gene{i}" for i in range(n_genes)]),
    )


def log1p_of(counts: np.ndarray, target: float = 1e4) -> np.ndarray:
    sums = counts.sum(axis=1, keepdims=True).astype(float)
    return np.log1p(counts / np.where(sums > 0, sums, 1) * target)


def dense(cells: CellMatrix, size: int = 4096, values: str = "log1p") -> np.ndarray:
    blocks = list(cells.blocks(size, values))  # type: ignore[arg-type]
    assert [b.start for b in blocks] == list(range(0, cells.n_cells, size))
    for block in blocks:
        assert block.values.dtype == np.float32
        assert block.values.has_canonical_format
        assert block.values.nnz == block.values.count_nonzero()
    return np.vstack([b.values.toarray() for b in blocks])


COUNTS = np.array(
    [[3, 0, 1, 0, 6], [0, 0, 0, 0, 0], [1, 1, 1, 1, 1], [0, 20, 0, 0, 5], [2, 0, 7, 0, 0]]
)

LAYOUTS: dict[str, Callable[[np.ndarray], Any]] = {
    "csr": sp.csr_matrix,
    "csc": sp.csc_matrix,
    "csr_array": sp.csr_array,
    "csc_array": sp.csc_array,
    "dense": np.asarray,
    "fortran": np.asfortranarray,
}


def test_golden_values() -> None:
    """Cell 0 has 10 counts: 3 become log(1 + 3000), 1 becomes log(1 + 1000)."""
    cells = open_cells(adata_of(COUNTS))
    assert cells.chosen == "X is used as counts: all values are whole (up to 20)"
    found = dense(cells)
    expected = [8.006701, 0, 6.908755, 0, 8.699681]
    np.testing.assert_allclose(found[0], expected, atol=2e-6)
    np.testing.assert_allclose(found[2], np.full(5, 7.601402), atol=2e-6)
    assert not found[1].any()
    np.testing.assert_array_equal(dense(cells, values="counts"), COUNTS)


# --- the same from every layout, type, block size and order ------------------------------------

counts_arrays = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=9), elements=st.integers(0, 100)
).filter(lambda a: bool(a.any()))

on_disk = settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@on_disk
@given(
    counts=counts_arrays,
    layout=st.sampled_from(sorted(LAYOUTS)),
    kind=st.sampled_from(["f2", "f4", "f8", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8"]),
    size=st.integers(1, 10),
    compression=st.sampled_from([None, "gzip", "lzf"]),
    backed=st.sampled_from(["path", "memory", "backed"]),
)
def test_layout_type_and_block_size_do_not_matter(
    tmp_path: Path,
    counts: np.ndarray,
    layout: str,
    kind: str,
    size: int,
    compression: Any,
    backed: str,
) -> None:
    values = counts.astype(kind)
    if kind == "f2" and "s" in layout[:2]:
        values = values.astype("f4")  # scipy has no float16
    adata = adata_of(LAYOUTS[layout](values))
    source: Any = adata
    if backed != "memory":
        path = tmp_path / "x.h5ad"
        adata.write_h5ad(path, compression=compression)
        source = path if backed == "path" else anndata.read_h5ad(path, backed="r")
    with open_cells(source) as cells:
        found = dense(cells, size)
        np.testing.assert_array_equal(dense(cells, size, "counts"), counts.astype(np.float32))
    if backed == "backed":
        source.file.close()
    np.testing.assert_array_equal(found, log1p_of(counts).astype(np.float32))


@on_disk
@given(counts=counts_arrays, layout=st.sampled_from(["csr", "csc", "dense"]), data=st.data())
def test_order_of_cells_and_genes_does_not_matter(
    counts: np.ndarray, layout: str, data: st.DataObject
) -> None:
    rows = data.draw(st.permutations(range(counts.shape[0])))
    columns = data.draw(st.permutations(range(counts.shape[1])))
    one = dense(open_cells(adata_of(LAYOUTS[layout](counts))))
    other = dense(open_cells(adata_of(LAYOUTS[layout](counts[np.ix_(rows, columns)]))))
    np.testing.assert_array_equal(other, one[np.ix_(rows, columns)])


@on_disk
@given(
    counts=hnp.arrays(np.int64, (8, 40), elements=st.integers(0, 9)).filter(
        lambda a: bool((a == 1).any(axis=1).all())
    ),
    target=st.sampled_from([1e3, 1e4, 1e6]),
    base=st.sampled_from([np.e, 2.0, 10.0]),
)
def test_log1p_of_any_base_and_target_becomes_ours(
    counts: np.ndarray, target: float, base: float
) -> None:
    given_values = (log1p_of(counts, target) / np.log(base)).astype(np.float32)
    cells = open_cells(adata_of(sp.csr_matrix(given_values)))
    assert cells.holds == "log1p"
    np.testing.assert_allclose(dense(cells), log1p_of(counts), rtol=3e-6, atol=1e-6)
    with pytest.raises(BadFile, match="expected counts: name the layer"):
        dense(cells, values="counts")


def test_unsorted_repeated_and_explicit_zero_entries_are_summed(tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    adata_of(sp.csr_matrix(COUNTS.astype(np.float32))).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        del file["X/data"], file["X/indices"], file["X/indptr"]
        # Cell 0: gene 4 twice, gene 2 before gene 0, a stored zero.
        file["X/data"] = np.array([2, 1, 3, 4, 0, 1, 1, 1, 1, 1, 20, 5, 2, 7], dtype="f4")
        file["X/indices"] = np.array([4, 2, 0, 4, 1, 0, 1, 2, 3, 4, 1, 4, 0, 2], dtype="i4")
        file["X/indptr"] = np.array([0, 5, 5, 10, 12, 14], dtype="i4")
    found = dense(open_cells(path), 2)
    np.testing.assert_array_equal(found, log1p_of(COUNTS).astype(np.float32))


def test_columns_are_turned_on_disk_as_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(3)
    counts = sp.random(300, 70, 0.2, format="csc", rng=rng)
    counts.data = rng.integers(1, 50, counts.nnz).astype(np.float32)
    adata_of(counts).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    expected = log1p_of(counts.toarray()).astype(np.float32)
    monkeypatch.setattr(matrices, "TURN_ENTRIES", 101)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with open_cells(tmp_path / "x.h5ad") as cells:
        np.testing.assert_array_equal(dense(cells, 64), expected)
        assert list(tmp_path.glob("celloquy-rows-*"))
    assert not list(tmp_path.glob("celloquy-rows-*"))


def test_a_full_disk_for_turning_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from collections import namedtuple

    from data.errors import CelloquyError

    adata_of(sp.csc_matrix(COUNTS.astype(np.float32))).write_h5ad(tmp_path / "x.h5ad")
    monkeypatch.setattr(matrices, "TURN_ENTRIES", 5)
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr("shutil.disk_usage", lambda _: usage(100, 100, 0))
    with pytest.raises(CelloquyError, match="set TMPDIR to a larger disk"):
        open_cells(tmp_path / "x.h5ad")


# --- which matrix ----------------------------------------------------------------------------


def scaled(counts: np.ndarray) -> np.ndarray:
    logs = log1p_of(counts)
    return np.asarray((logs - logs.mean(axis=0)) / (logs.std(axis=0) + 1e-9))


@pytest.fixture
def counts() -> np.ndarray:
    return np.random.default_rng(1).poisson(2.0, (40, 30))


def test_scaled_x_falls_back_to_raw(counts: np.ndarray) -> None:
    adata = adata_of(log1p_of(counts))
    adata.raw = adata.copy()
    adata.X = scaled(counts)
    cells = open_cells(adata)
    assert (cells.matrix, cells.holds) == ("raw.X", "log1p")
    assert "undoing log1p gives whole multiples" in cells.why
    assert cells.notices[0].startswith("X is not used: it holds negative values (from -")
    np.testing.assert_allclose(dense(cells), log1p_of(counts), rtol=1e-6)


def test_scaled_without_raw_is_refused(counts: np.ndarray, tmp_path: Path) -> None:
    adata_of(scaled(counts)).write_h5ad(tmp_path / "x.h5ad")
    with pytest.raises(BadFile, match=r"holds no counts or log1p values \(X: .*z-scored") as caught:
        open_cells(tmp_path / "x.h5ad")
    assert "adata.raw" in str(caught.value)


def test_the_widest_matrix_wins_then_counts(counts: np.ndarray) -> None:
    adata = adata_of(log1p_of(counts))
    adata.layers["counts"] = counts
    assert open_cells(adata).matrix == "layers/counts"
    narrow = adata[:, :10].copy()
    narrow.raw = adata
    assert open_cells(narrow).matrix == "raw.X"
    assert open_cells(narrow, values="counts").matrix == "layers/counts"
    assert open_cells(narrow, layer="X").matrix == "X"
    assert open_cells(narrow, layer="raw").matrix == "raw.X"
    assert open_cells(narrow, layer="counts").holds == "counts"


def test_parts_of_counts_are_never_chosen(counts: np.ndarray) -> None:
    adata = adata_of(scaled(counts))
    adata.layers["spliced"] = counts
    with pytest.raises(BadFile, match="z-scored"):
        open_cells(adata)
    assert open_cells(adata, layer="spliced").holds == "counts"


def test_what_is_proven_comes_before_what_is_assumed(counts: np.ndarray) -> None:
    """Moments of velocity are no counts, though too large for a logarithm."""
    adata = adata_of(log1p_of(counts))
    adata.layers["Ms"] = counts * np.random.default_rng(0).uniform(5, 9, counts.shape)
    assert open_cells(adata, layer="Ms").notices
    assert open_cells(adata).matrix == "X"
    wider = adata_of(log1p_of(counts) * np.random.default_rng(0).uniform(0.7, 1, counts.shape))
    adata = adata[:, :20].copy()
    adata.raw = wider
    assert "assumed" in open_cells(adata, layer="raw").notices[0]
    assert open_cells(adata).matrix == "X"


def test_chunks_across_all_cells_are_unpacked_once(tmp_path: Path) -> None:
    """One chunk a gene, as column-major tools write it: a band of them stays in the cache."""
    path = tmp_path / "x.h5ad"
    values = np.random.default_rng(0).poisson(1.0, (5000, 40)).astype(np.float32)
    adata_of(values).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        attributes = dict(file["X"].attrs)
        del file["X"]
        file.create_dataset("X", data=values, chunks=(5000, 1), compression="gzip")
        file["X"].attrs.update(attributes)
    assert preflight.check(path).cache == 2 * values.nbytes
    np.testing.assert_array_equal(dense(open_cells(path), 7, "counts"), values)


def test_a_named_layer_must_exist_and_fit(counts: np.ndarray) -> None:
    adata = adata_of(counts)
    adata.layers["scaled"] = scaled(counts)
    with pytest.raises(BadInput, match="has no matrix 'counts'; it has: X, scaled"):
        open_cells(adata, layer="counts")
    with pytest.raises(BadFile, match="z-scored"):
        open_cells(adata, layer="scaled")
    with pytest.raises(BadFile, match=r"holds no counts \(X: "):
        open_cells(adata_of(log1p_of(counts)), values="counts")


def test_nan_is_named_and_refused(counts: np.ndarray) -> None:
    values = counts.astype(float)
    values[7, 3] = np.nan
    with pytest.raises(BadFile, match="it holds NaN at cell cell7, gene gene3"):
        open_cells(adata_of(values))


@pytest.mark.parametrize(
    ("value", "words"),
    [(np.nan, "NaN or infinity"), (-1.0, "a negative value"), (0.5, "not whole among counts")],
)
def test_what_the_sample_missed_is_refused_in_its_block(value: float, words: str) -> None:
    values = np.random.default_rng(0).poisson(1.0, (5000, 8)).astype(float)
    values[150, 5] = value  # between the first two runs of the sample
    cells = open_cells(adata_of(values))
    blocks = cells.blocks(100)
    assert next(blocks).stop == 100
    with pytest.raises(BadFile, match=f"{words}.*cell cell150, gene gene5"):
        list(blocks)


def test_indices_beyond_the_guards_budget_are_refused_when_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = sp.random(3000, 10, 0.5, format="csr", rng=np.random.default_rng(0))
    values.data[:] = 1
    adata_of(values).write_h5ad(tmp_path / "x.h5ad", compression="gzip")
    with h5py.File(tmp_path / "x.h5ad", "r+") as file:
        file["X/indices"][int(file["X/indptr"][150])] = 2**31 - 1
    monkeypatch.setattr("data.stored.UNPACK_BUDGET", 5)
    cells = open_cells(tmp_path / "x.h5ad")
    with pytest.raises(BadFile, match="X has an index 2,147,483,647 for 10 genes"):
        list(cells.blocks())


def test_nothing_to_read() -> None:
    with pytest.raises(BadFile, match="has no cells"):
        open_cells(adata_of(np.zeros((0, 5))))
    with pytest.raises(BadFile, match="has no genes"):
        open_cells(adata_of(np.zeros((5, 0))))
    with pytest.raises(BadFile, match="no value above zero"):
        open_cells(adata_of(np.zeros((5, 5))))
    empty = adata_of(np.ones((5, 5)))
    empty.X = None
    with pytest.raises(BadFile, match="has no matrix"):
        open_cells(empty)
    with pytest.raises(BadInput, match="ndarray is no dataset"):
        open_cells(np.ones((5, 5)))
    with pytest.raises(BadInput, match="a block of 0 cells"):
        list(open_cells(adata_of(COUNTS)).blocks(0))


def test_one_cell() -> None:
    found = dense(open_cells(adata_of(np.array([[1, 3, 0]]))))
    np.testing.assert_allclose(found, [[7.824446, 8.922792, 0]], atol=2e-6)


# --- genes -----------------------------------------------------------------------------------


def test_repeated_genes_are_summed_in_count_space(counts: np.ndarray, tmp_path: Path) -> None:
    genes = [f"gene{i % 25}" for i in range(30)]
    merged = counts[:, :25].copy()
    merged[:, :5] += counts[:, 25:]
    for values in (counts, log1p_of(counts)):
        with pytest.warns(UserWarning, match="not unique"):
            adata = adata_of(values, genes)
        cells = open_cells(adata)
        assert cells.genes == tuple(f"gene{i}" for i in range(25))
        assert "5 columns repeat the name of another gene" in cells.notices[-1]
        np.testing.assert_allclose(dense(cells), log1p_of(merged), rtol=1e-6, atol=1e-6)


# --- tables, embeddings, choices ---------------------------------------------------------------


@pytest.fixture(params=["path", "memory"])
def cells(request: pytest.FixtureRequest, tmp_path: Path, counts: np.ndarray) -> CellMatrix:
    adata = adata_of(
        counts,
        leiden=pd.Categorical([str(i % 3) for i in range(40)]),
        batch=[i % 2 for i in range(40)],
        note=[f"n{i}" for i in range(40)],
        odd=pd.array([i if i % 5 else None for i in range(40)], dtype="Int64"),
        UMAP_1=np.arange(40.0),
        UMAP_2=np.arange(40.0) * 2,
    )
    adata.obsm["X_pca"] = np.random.default_rng(0).normal(size=(40, 4))
    adata.obsm["spatial"] = np.arange(80).reshape(40, 2)
    adata.obsm["table"] = pd.DataFrame({"a": np.arange(40.0)}, index=adata.obs_names)
    if request.param == "memory":
        return open_cells(adata)
    adata.write_h5ad(tmp_path / "x.h5ad")
    return open_cells(tmp_path / "x.h5ad")


def test_columns(cells: CellMatrix) -> None:
    assert cells.columns == ["leiden", "batch", "note", "odd", "UMAP_1", "UMAP_2"]
    assert list(cells.column("leiden").cat.categories) == ["0", "1", "2"]
    assert cells.column("odd").isna().sum() == 8
    assert list(cells.column("note"))[:2] == ["n0", "n1"]
    assert list(cells.cell_names[:2]) == ["cell0", "cell1"]
    with pytest.raises(BadInput, match="has no column 'louvain' in obs; it has: leiden, batch"):
        cells.column("louvain")


def test_some_of_the_cells(cells: CellMatrix) -> None:
    mask = cells.where("leiden=2")
    assert mask.sum() == 13
    assert cells.where("batch = 1").sum() == 20
    everything = dense(cells)
    blocks = list(cells.blocks(7, cells=mask))
    np.testing.assert_array_equal(np.concatenate([b.cells for b in blocks]), np.flatnonzero(mask))
    some = np.vstack([b.values.toarray() for b in blocks])
    np.testing.assert_array_equal(some, everything[mask])
    one = np.arange(40) == 17
    assert [b.start for b in cells.blocks(7, cells=one)] == [14]
    with pytest.raises(BadInput, match="no cell has leiden = '9'; there are: 0, 1, 2"):
        cells.where("leiden=9")
    with pytest.raises(BadInput, match="expected COLUMN=VALUE"):
        cells.where("leiden")


def test_embeddings(cells: CellMatrix) -> None:
    assert cells.embeddings == ["X_pca", "spatial", "table"]
    assert cells.embedding("obsm:X_pca").shape == (40, 4)
    assert cells.embedding("spatial").dtype == np.float32
    assert cells.embedding("table").shape == (40, 1)
    with pytest.raises(BadInput, match="has no embedding 'X_scGPT'; it has: X_pca, spatial, table"):
        cells.embedding("obsm:X_scGPT")
    found = cells.umap()
    assert found is not None
    assert found[0] == "obs:UMAP_1"
    np.testing.assert_array_equal(found[1][3], [3, 6])


def test_embedding_in_memory_must_be_finite(counts: np.ndarray) -> None:
    adata = adata_of(counts)
    adata.obsm["X_umap"] = np.full((40, 2), 1.0)
    found = open_cells(adata).umap()
    assert found is not None and found[0] == "obsm:X_umap"
    adata.obsm["X_umap"][12, 1] = np.nan
    with pytest.raises(BadFile, match="is not finite at cell 12"):
        open_cells(adata).umap()


def test_views_and_backed_tables(counts: np.ndarray, tmp_path: Path) -> None:
    adata = adata_of(sp.csr_matrix(counts), leiden=["a", "b"] * 20)
    expected = log1p_of(counts).astype(np.float32)
    np.testing.assert_array_equal(dense(open_cells(adata[5:9])), expected[5:9])
    adata.write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    backed.obs["new"] = "here"
    with open_cells(backed) as cells:
        assert "new" in cells.columns
        np.testing.assert_array_equal(dense(cells), expected)
    view = backed[backed.obs["leiden"] == "b"]
    np.testing.assert_array_equal(dense(open_cells(view)), expected[1::2])
    backed.file.close()


def test_columns_as_anndata_0_7_wrote_them(counts: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "old.h5ad"
    adata_of(counts, leiden=pd.Categorical(["a", "b"] * 20)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        codes = file["obs/leiden/codes"][...]
        del file["obs/leiden"]
        file["obs/__categories/leiden"] = np.array(["a", "b"], dtype=object)
        file["obs/leiden"] = codes
        file["obs/leiden"].attrs["categories"] = file["obs/__categories/leiden"].ref
    with open_cells(path) as cells:
        assert cells.columns == ["leiden"]
        assert list(cells.column("leiden")[:3]) == ["a", "b", "a"]
        assert cells.where("leiden=b").sum() == 20


def test_a_broken_column_is_named(counts: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "x.h5ad"
    adata_of(counts, leiden=pd.Categorical(["a", "b"] * 20)).write_h5ad(path)
    with h5py.File(path, "r+") as file:
        file["obs/leiden/codes"][3] = 77
    with open_cells(path) as cells, pytest.raises(BadFile, match="column 'leiden' of obs cannot"):
        cells.column("leiden")


# --- real data -------------------------------------------------------------------------------


PAPALEXI = "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts"
NORMAN = "perturbation/perturbench_norman19_mcfaline23_5961x500_lognorm"


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "matrix", "holds", "n_cells", "n_genes", "umap"),
    [
        ("cells/pbmc3k_clustifyr_2638x2000_lognorm", "X", "log1p", 2638, 2000, "obs:UMAP_1"),
        ("cells/tcells_wu2020_200x30727_counts", "X", "counts", 200, 30727, "obsm:X_umap_orig"),
        ("cells/cxg_mouse_brain_merfish_1000", "X", "counts", 1000, 1122, None),
        ("cells/liver_he2020_20cells_counts", "raw.X", "counts", 20, 17640, None),
        (PAPALEXI, "X", "counts", 16295, 299, None),
        (NORMAN, "X", "log1p", 5961, 500, None),
        ("images/squidpy_visium_hne_crop_49spots", "X", "log1p", 49, 1999, "obsm:X_umap"),
    ],
)  # fmt: skip
def test_development_data(
    shared_data: Path, name: str, matrix: str, holds: str, n_cells: int, n_genes: int, umap: str
) -> None:
    with open_cells(shared_data / f"{name}.h5ad") as cells:
        assert (cells.matrix, cells.holds) == (matrix, holds)
        assert (cells.n_cells, cells.n_genes) == (n_cells, n_genes)
        found = cells.umap()
        assert (found[0] if found else None) == umap
        sums = [
            float(np.expm1(b.values.astype(float)).sum(axis=1).max()) for b in cells.blocks(500)
        ]
        assert max(sums) <= 1e4 * 1.2  # a subset of genes, or all of them


@pytest.mark.shared
def test_pbmc3k_target_sum_is_told_from_the_counts_of_cells(shared_data: Path) -> None:
    """Genes were selected after normalisation: sums differ, whole multiples do not."""
    with open_cells(shared_data / "cells/pbmc3k_clustifyr_2638x2000_lognorm.h5ad") as cells:
        assert "scaled to 10,000 counts a cell before genes were selected" in cells.why


@pytest.mark.assets
def test_pbmc68k_is_read_from_raw() -> None:
    from data import sources

    with open_cells(sources.path("pbmc68k")) as cells:
        assert (cells.matrix, cells.holds, cells.n_genes) == ("raw.X", "log1p", 765)
        assert "undoing log1p gives whole multiples" in cells.why
        assert cells.notices == (
            "X is not used: it holds negative values (from -2.03 to 28.4): z-scored or corrected",
        )
        with h5py.File(sources.path("pbmc68k")) as file:
            parts = [file[f"raw.X/{part}"][...] for part in ("data", "indices", "indptr")]
        np.testing.assert_array_equal(dense(cells, 99), sp.csr_matrix(tuple(parts)).toarray())
        assert cells.where("louvain=1").sum() > 0
