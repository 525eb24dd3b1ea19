"""The application with small limits, and visitors of it."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from starlette.testclient import TestClient

from agent.web.app import create_app
from agent.web.config import ServeConfig
from agent.web.datasets import Dataset
from agent.web.door import COOKIE, Door
from agent.web.preparing import prepare
from data.errors import AssetMissing

HERE = "http://127.0.0.1"
GENES = (
    "CD3D",
    "CD3E",
    "CD8A",
    "MS4A1",
    "CD79A",
    "NKG7",
    "GNLY",
    "LYZ",
    "S100A8",
    "PPBP",
    "<i>X</i>",
)
EVIL = "<img src=x onerror=alert(1)>"


@pytest.fixture
def app() -> Iterator[Door]:
    door = create_app(ServeConfig(upload_bytes=2_000_000, spare_bytes=0))
    with TestClient(door):  # begins and ends its life
        yield door


@pytest.fixture
def visitor(app: Door) -> Callable[[], TestClient]:
    """Another browser: no cookies yet."""
    return lambda: TestClient(app, base_url=HERE)


@pytest.fixture
def client(visitor: Callable[[], TestClient]) -> TestClient:
    return visitor()


def small(path: Path) -> Path:
    """Write forty cells with coordinates, groups, numbers, and names that would be markup."""
    rng = np.random.default_rng(1)
    counts = sp.csr_matrix(rng.poisson(1.5, (40, len(GENES))).astype(np.float32))
    obs = pd.DataFrame(
        {
            "leiden": pd.Categorical([str(i % 3) for i in range(40)]),
            "label": pd.Categorical([EVIL if i < 10 else "T cell" for i in range(40)]),
            "score": np.linspace(0, 1, 40),
        },
        index=[f"c{i}" for i in range(40)],
    )
    adata = anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(GENES)))
    adata.obsm["X_umap"] = np.column_stack([np.arange(40.0), np.zeros(40)]).astype(np.float32)
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def small_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return small(tmp_path_factory.mktemp("web") / "small.h5ad")


@pytest.fixture
def demo(client: TestClient) -> dict[str, Any]:
    """The demonstration, opened; skipped where its assets are not there."""
    try:
        answer = client.post("/api/datasets/demo")
    except AssetMissing as error:
        pytest.skip(str(error))
    if answer.status_code == 503:
        pytest.skip(answer.json()["error"])
    assert answer.status_code == 201, answer.text
    return answer.json()


def opened(
    app: Door, client: TestClient, file: Path, folder: Path, id: str = "small", drawn: int = 1_000
) -> str:
    """Put a file into the visitor's session, prepared without a process of its own."""
    client.get("/api/datasets")
    mine = next(one for one in app.sessions if one.id == client.cookies[COOKIE])
    prepare(file, folder)
    mine.datasets[id] = Dataset(id, file.name, folder, file, drawn)
    return id


def events(text: str) -> list[tuple[str, Any]]:
    """The events of a stream."""
    found = []
    for part in text.split("\n\n"):
        if part:
            first, second = part.split("\n")
            found.append((first.removeprefix("event: "), json.loads(second.removeprefix("data: "))))
    return found
