"""Files built to harm a reader, sent to a running server: each refused with its reason, none read.

The files are those of ``tests/data/test_preflight_*.py``; one that names another file names the
canary, a pipe: whoever opened it to read would wait for ever.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import httpx
import numpy as np
import pytest

from tests.agent.web.conftest import small
from tests.data import test_preflight_fit as fit
from tests.data import test_preflight_reach as reach
from tests.web.conftest import serve, stop

pytestmark = [pytest.mark.web, pytest.mark.assets]

CELLS = 40


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("hostile")


@pytest.fixture(scope="module")
def canary(folder: Path) -> Path:
    os.mkfifo(folder / "canary")
    return folder / "canary"


@pytest.fixture(scope="module")
def client() -> Iterator[httpx.Client]:
    process, address = serve("--upload-limit", "20")
    with httpx.Client(base_url=address, timeout=60) as client:
        yield client
        assert process.poll() is None  # the server has outlived them all
        assert client.get("/api/datasets").json() == []
    stop(process)


def external_storage(file: h5py.File, canary: Path) -> None:
    del file["obs/score"]
    file["obs"].create_dataset("score", (CELLS,), "f8", external=[(str(canary), 0, 8 * CELLS)])


def external_link(file: h5py.File, canary: Path) -> None:
    file["obsm/leak"] = h5py.ExternalLink(str(canary), "/x")


def virtual_dataset(file: h5py.File, canary: Path) -> None:
    layout = h5py.VirtualLayout((CELLS, 11), "f4")
    layout[...] = h5py.VirtualSource(str(canary), "x", (CELLS, 11))
    file.create_virtual_dataset("layers/leak", layout)


def bad_indices(file: h5py.File, canary: Path) -> None:
    values = file["X/indices"][...]
    values[3] = np.iinfo(values.dtype).max
    file["X/indices"][...] = values


def bad_pointers(file: h5py.File, canary: Path) -> None:
    values = file["X/indptr"][...]
    values[-1] = np.iinfo(values.dtype).max
    file["X/indptr"][...] = values


def bomb(file: h5py.File, canary: Path) -> None:
    file.create_dataset(
        "layers/bomb", (CELLS, 1 << 33), "f8", chunks=(1, 1 << 16), compression="gzip"
    )


def not_finite(file: h5py.File, canary: Path) -> None:
    file["obsm/X_umap"][0, 0] = np.nan


HERE = (
    external_storage, external_link, virtual_dataset, bad_indices, bad_pointers, bomb, not_finite,
)  # fmt: skip
THERE = (
    reach.object_references, reach.soft_cycle, reach.soft_cycle_of_two,
    reach.soft_parent, reach.soft_root, reach.dangling, reach.hard_root, reach.hard_cycle,
    reach.deep,
    fit.no_obs, fit.no_index, fit.no_shape, fit.negative_shape,
)  # fmt: skip


def _there(damage: Callable[[h5py.File], object]) -> Callable[[h5py.File, Path], object]:
    def run(file: h5py.File, canary: Path) -> object:
        return damage(file)

    run.__name__ = damage.__name__
    return run


@pytest.mark.parametrize("damage", [*HERE, *map(_there, THERE)], ids=lambda one: one.__name__)
def test_refused_with_its_reason(
    client: httpx.Client, folder: Path, canary: Path, damage: Callable[[h5py.File, Path], object]
) -> None:
    path = small(folder / "cells.h5ad")
    with h5py.File(path, "r+") as file:
        damage(file, canary)
    answer = client.post("/api/datasets?name=cells.h5ad", content=path.read_bytes())
    path.unlink()
    assert answer.status_code == 422, answer.text
    error = answer.json()["error"]
    assert error.startswith("cells.h5ad")
    assert "\n" not in error


@pytest.mark.parametrize("size", [0, 1, 100, 5_000])
def test_a_file_cut_short(client: httpx.Client, folder: Path, size: int) -> None:
    whole = small(folder / "cells.h5ad").read_bytes()
    answer = client.post("/api/datasets", content=whole[:size])
    assert answer.status_code == 422


def test_too_large_is_said_before_it_is_there(client: httpx.Client) -> None:
    sent = 0

    def endless() -> Iterator[bytes]:
        nonlocal sent
        for _ in range(2_000):
            sent += 1_000_000
            yield bytes(1_000_000)

    try:
        answer = client.post("/api/datasets", content=endless())
        assert answer.status_code == 413
    except httpx.TransportError:
        pass  # the server hung up in the middle, as it should
    assert sent < 60_000_000
