"""The route over dask: the answers of one machine, whoever computes them."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import scipy.sparse as sp

from agent.annotation.annotate import AnnotateConfig, annotate_cells
from agent.annotation.distributed import annotate_dask
from data import sources
from data.errors import BadFile, BadInput
from data.h5ad import open_cells

anndata = pytest.importorskip("anndata")
da = pytest.importorskip("dask.array")
distributed = pytest.importorskip("distributed")
pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def some():
    """Real cells as log1p values, in a matrix of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is of an old layout
        whole = anndata.read_h5ad(sources.path("pbmc68k"))
    raw = whole.raw.to_adata()[::5]
    return anndata.AnnData(sp.csr_matrix(raw.X), raw.obs[[]], raw.var[[]])


@pytest.fixture(scope="module")
def expected(some):
    with open_cells(some) as cells:
        return annotate_cells(cells, AnnotateConfig(smooth=False), workers=1)


def same(found, expected) -> None:
    for name in ("term", "confidence", "leaf", "reason"):
        np.testing.assert_array_equal(getattr(found, name), getattr(expected, name))
    np.testing.assert_allclose(found.embedding, expected.embedding, atol=1e-5)
    assert found.summaries == expected.summaries
    assert found.about.releases == expected.about.releases


def blocks(matrix: sp.csr_matrix, size: int):
    """A dask array of CSR blocks, as anndata reads one lazily."""
    import dask

    parts = [
        da.from_delayed(
            dask.delayed(matrix[i : i + size]), shape=matrix[i : i + size].shape,
            dtype=matrix.dtype, meta=sp.csr_matrix((0, 0), dtype=matrix.dtype),
        )
        for i in range(0, matrix.shape[0], size)
    ]  # fmt: skip
    return da.concatenate(parts)


@pytest.mark.parametrize("size", [13, 64, 1000])
def test_blocks_of_any_size_get_the_same(some, expected, size):
    import dask

    with dask.config.set(scheduler="synchronous"):
        same(annotate_dask(blocks(some.X, size), list(some.var_names)), expected)


def test_dense_blocks_cut_across_genes_are_the_same(some, expected):
    values = da.from_array(some.X.toarray(), chunks=(50, 100))
    same(annotate_dask(values, list(some.var_names)), expected)


def test_a_zarr_store_on_a_cluster_of_threads(some, expected, tmp_path):
    zarr = pytest.importorskip("zarr")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # anndata and zarr on formats to come
        some.write_zarr(tmp_path / "cells.zarr")
        lazy = anndata.experimental.read_elem_lazy(
            zarr.open(tmp_path / "cells.zarr", mode="r")["X"], chunks=(40, some.n_vars)
        )
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=False, dashboard_address=None,
        ) as cluster,
        distributed.Client(cluster),
    ):  # fmt: skip
        same(annotate_dask(lazy, list(some.var_names)), expected)


@pytest.mark.slow
def test_a_cluster_of_processes(some, expected):
    with (
        distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None,
            host="127.0.0.1",
        ) as cluster,
        distributed.Client(cluster),
    ):  # fmt: skip
        same(annotate_dask(blocks(some.X, 30), list(some.var_names)), expected)


def test_what_needs_all_cells_is_refused(some):
    genes = list(some.var_names)
    values = blocks(some.X, 50)
    for options, why in (
        ({"groupby": "leiden"}, "groupby"), ({"smooth": True}, "smooth"),
        ({"encoder": "gene-text"}, "encoder"), ({"min_confidence": 2.0}, "2.0"),
    ):  # fmt: skip
        with pytest.raises(BadInput, match=why):
            annotate_dask(values, genes, AnnotateConfig(**options))
    with pytest.raises(BadInput, match="no dask array"):
        annotate_dask(some.X, genes)
    with pytest.raises(BadInput, match="3 names"):
        annotate_dask(values, genes[:3])
    with pytest.raises(BadFile, match="negative"):
        annotate_dask(da.from_array(-some.X.toarray(), chunks=50), genes)
