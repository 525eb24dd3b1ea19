"""A server as `celloquy serve` runs it, and a browser that may talk to nobody else."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import anndata
import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp

from data import sources

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

RUN = "import celloquy; celloquy.main()"
PATIENCE = 120_000  # milliseconds: the machine may be busy; speed is measured by the benchmark
EVIL = "<img src=x onerror=\"document.title='broken'\">"


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """Leave this folder alone where its tests are not wanted: to read it takes seconds."""
    return True if "not web" in (config.option.markexpr or "") else None


def serve(*options: str) -> tuple[subprocess.Popen[str], str]:
    """Start a server on a free port; gives it and its address."""
    command = [sys.executable, "-c", RUN, "serve", "--port", "0", *options]
    process = subprocess.Popen(
        command, stderr=subprocess.PIPE, text=True, env={**os.environ, "CELLOQUY_OFFLINE": "1"}
    )
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"http://\S+:\d+", line)
    assert found, line
    return process, found[0]


def stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stderr is not None:
        process.stderr.close()


@pytest.fixture(scope="session")
def address() -> Iterator[str]:
    if not sources.present("pbmc68k"):
        pytest.skip("the demonstration's cells were not fetched")
    process, url = serve("--upload-limit", "50")
    yield url
    stop(process)


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    pytest.importorskip("playwright")
    from playwright.sync_api import sync_playwright

    found = (
        shutil.which("chromium")
        or shutil.which("chromium-browser")
        or shutil.which("google-chrome")
    )
    if found is None:
        pytest.skip("no chromium on the PATH")
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=found, args=["--no-sandbox"] if root else [])
        yield browser
        browser.close()


@pytest.fixture
def open_page(browser: Browser, address: str) -> Iterator[Callable[..., Page]]:
    """Opens the page as a new visitor; at the end nothing may have gone wrong in any of them."""
    contexts, troubles = [], []

    def opened(width: int = 1280, height: int = 800, dark: bool = False) -> Page:
        context = browser.new_context(
            viewport={"width": width, "height": height},
            color_scheme="dark" if dark else "light",
            reduced_motion="reduce",
        )
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(PATIENCE)
        page.on("console", lambda one: troubles.append(f"console {one.type}: {one.text}"))
        page.on("pageerror", lambda error: troubles.append(f"error: {error}"))
        page.on(
            "request",
            lambda one: (
                None
                if one.url.startswith((address + "/", "data:", "blob:"))
                else troubles.append(f"request to {one.url}")
            ),
        )
        page.goto(address + "/")
        page.wait_for_selector("#suggestions button", state="attached")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert [one for one in troubles if "status of 422" not in one] == []


@pytest.fixture(scope="session")
def evil_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Cells whose labels, genes, columns and file name would be markup, were they not text."""
    rng = np.random.default_rng(0)
    genes = ["CD3D", "CD3E", "CD8A", "MS4A1", "CD79A", "NKG7", EVIL]
    groups = pd.Categorical(
        [EVIL if i % 2 else "</option><script>alert(1)</script>" for i in range(60)]
    )
    adata = anndata.AnnData(
        sp.csr_matrix(rng.poisson(2, (60, len(genes))).astype(np.float32)),
        obs=pd.DataFrame(
            {"leiden": groups, EVIL.replace("/", ""): groups}, index=[f"c{i}" for i in range(60)]
        ),
        var=pd.DataFrame(index=genes),
    )
    adata.obsm["X_umap"] = rng.normal(size=(60, 2)).astype(np.float32)
    path = tmp_path_factory.mktemp("evil") / "<b onclick=alert(1)>cells.h5ad"
    adata.write_h5ad(path)
    return path


@pytest.fixture(scope="session")
def plain_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The cells of the demonstration, without coordinates."""
    from data.h5ad import open_cells

    with open_cells(sources.path("pbmc68k")) as cells:
        (block,) = cells.blocks()
        adata = anndata.AnnData(block.values, var=pd.DataFrame(index=list(cells.genes)))
    path = tmp_path_factory.mktemp("plain") / "plain.h5ad"
    adata.write_h5ad(path)
    return path
