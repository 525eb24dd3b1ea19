"""Coordinates for datasets that have none."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from agent.web import layout, worker
from agent.web.preparing import prepare
from data.errors import BadFile
from data.h5ad import open_cells


@pytest.fixture
def groups(tmp_path: Path) -> Path:
    """Two groups of cells that share few genes."""
    rng = np.random.default_rng(0)
    means = np.where(np.arange(60)[None, :] < 30, [[6.0], [0.3]], [[0.3], [6.0]])
    counts = rng.poisson(np.repeat(means, 60, axis=0)).astype(np.float32)
    adata = anndata.AnnData(
        sp.csr_matrix(counts), var=pd.DataFrame(index=[f"G{i}" for i in range(60)])
    )
    adata.write_h5ad(tmp_path / "groups.h5ad")
    return tmp_path / "groups.h5ad"


def test_components_are_those_of_a_decomposition(groups: Path) -> None:
    told: list[tuple[int, int]] = []
    with open_cells(groups) as cells:
        found = layout.components(cells, lambda done, total, stage: told.append((done, total)))
        dense = np.vstack([block.values.toarray() for block in cells.blocks()])
    centred = dense - dense.mean(axis=0)
    left, sizes, _ = np.linalg.svd(centred, full_matrices=False)
    expected = left[:, :5] * sizes[:5]
    np.testing.assert_allclose(np.abs(found[:, :5]), np.abs(expected), atol=1e-2)
    assert told[-1] == (360, 360)


def test_without_coordinates_there_is_no_picture(groups: Path, tmp_path: Path) -> None:
    about = prepare(groups, tmp_path)
    assert about["picture"] == ""
    assert not (tmp_path / "xy.f32").exists()
    assert "known genes" in about["unread"] or about["unread"]


def test_a_worker_that_dies_is_an_error(groups: Path, tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"ended with code|needs more than"):
        worker.run("prepare", groups, tmp_path, 60_000_000)


@pytest.mark.slow
@pytest.mark.timeout(900)  # numba compiles for minutes on a busy machine
def test_groups_lie_apart(groups: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(layout, "LANDMARKS", 80)  # the others are placed between them
    with open_cells(groups) as cells:
        xy = layout.umap(cells, lambda *_: None)
    assert np.isfinite(xy).all()
    one, other = xy[:60], xy[60:]
    apart = np.linalg.norm(one.mean(axis=0) - other.mean(axis=0))
    assert apart > 2 * max(one.std(), other.std()) or apart > 5
