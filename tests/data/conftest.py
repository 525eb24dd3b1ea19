"""A sound .h5ad file with every part that the guard looks at, and a copy to damage."""

from __future__ import annotations

import shutil
from pathlib import Path

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from tests.data.damage import CELLS, GENES


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
