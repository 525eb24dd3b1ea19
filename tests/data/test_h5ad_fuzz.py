"""Thousands of damaged files: each is read rightly or refused; none crashes, hangs or leaks.

The reader runs in a process of its own, because what is looked for is a crash of the process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

READER = """
import collections, json, resource, sys
import numpy as np
from data.errors import CelloquyError
from data.h5ad import open_cells

resource.setrlimit(resource.RLIMIT_AS, (6 << 30, 6 << 30))
source, seed, times = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
whole = open(source, "rb").read()
rng = np.random.default_rng(seed)
outcomes = collections.Counter()
for i in range(times):
    bytes_ = bytearray(whole)
    for place in rng.integers(len(whole), size=rng.integers(1, 20)):
        if i % 3 == 0:
            bytes_[place] = rng.integers(256)
        elif i % 3 == 1:
            bytes_[place] ^= 1 << int(rng.integers(8))
        else:
            bytes_[place : place + 8] = b"\\xff" * 8
    damaged = f"{source}.{seed}"
    open(damaged, "wb").write(bytes_[: len(whole)])
    try:
        with open_cells(damaged) as cells:
            for key in cells.columns:
                cells.column(key)
            for key in cells.embeddings:
                cells.embedding(key)
            cells.cell_names, cells.genes, cells.umap()
            for block in cells.blocks(20):
                assert np.isfinite(block.values.data).all()
        outcomes["read"] += 1
    except CelloquyError as error:
        assert "\\n" not in str(error)
        outcomes["refused"] += 1
print(json.dumps(outcomes))
"""


@pytest.fixture(scope="module", params=[None, "gzip", "lzf"])
def source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small file with every kind of part, so that most bytes matter."""
    rng = np.random.default_rng(0)
    n = 50
    counts = sp.csr_matrix(rng.poisson(1.0, (n, 30)).astype(np.float32))
    adata = anndata.AnnData(
        counts,
        obs=pd.DataFrame(
            {
                "leiden": pd.Categorical([str(i % 3) for i in range(n)]),
                "whole": pd.array([i if i % 7 else None for i in range(n)], dtype="Int64"),
                "yes": pd.array([True, None] * (n // 2), dtype="boolean"),
                "text": [f"t{i}" for i in range(n)],
                "real": rng.random(n),
            },
            index=[f"cell{i}" for i in range(n)],
        ),
        var=pd.DataFrame(
            {"symbol": [f"G{i}" for i in range(30)]}, index=[f"g{i}" for i in range(30)]
        ),
    )
    adata.obsm["X_umap"] = rng.random((n, 2))
    adata.obsm["sparse"] = sp.random(n, 4, 0.5, format="csr", rng=rng)
    adata.layers["csc"] = sp.csc_matrix(counts)
    path = tmp_path_factory.mktemp("fuzz") / "x.h5ad"
    adata.write_h5ad(path, compression=request.param)
    return path


def damage(source: Path, seed: int, times: int) -> dict[str, int]:
    done = subprocess.run(
        [sys.executable, "-c", READER, str(source), str(seed), str(times)],
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    outcomes: dict[str, int] = json.loads(done.stdout)
    assert sum(outcomes.values()) == times
    return outcomes


def test_damaged_files(source: Path) -> None:
    assert damage(source, seed=1, times=40)["refused"] > 10


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2, 7))
def test_many_damaged_files(source: Path, seed: int) -> None:
    assert damage(source, seed, times=300)["refused"] > 100
