"""The page: until cells are seen, until a lasso is answered, twenty visitors at once, memory.

The cells are those of the demonstration (PBMC68k), repeated with a little noise in their places,
with the fifty genes that vary most; the server runs as `celloquy serve`, the browser is a chromium
on the PATH without a graphics card. Bars: 1,000,000 cells seen in 5 s and a lasso answered in 2 s;
100,000 in 1.5 s and 0.5 s; twenty visitors who ask all the time, without a model, are answered in
2 s (95 of 100) without an error; over 1,000 questions the server grows by less than 10 %.

``python tests/benchmarks/bench_web.py [CELLS ...]``
"""

from __future__ import annotations

import asyncio
import math
import os
import shutil
import statistics
import sys
import tempfile
import time
import warnings
from pathlib import Path

import anndata
import httpx
import numpy as np
import pandas as pd
import psutil
import scipy.sparse as sp
from timing import Row, report

from data import sources
from data.h5ad import open_cells
from tests.web.conftest import serve, stop

BARS = {100_000: (1.5, 0.5), 1_000_000: (5.0, 2.0)}  # seen, answered
USERS, QUESTIONS, WARM = 20, 1_000, 200
GENES = 50
REPEATS = 3
QUESTION_LIST = (
    "What is a T cell?",
    "Is a CD8-positive, alpha-beta T cell a lymphocyte?",
    "What are the markers of B cells?",
    "What does CD8A do?",
    "How are NK cells and T cells related?",
    "What kinds of monocyte are there?",
    "Is an NK cell a kind of T cell?",
    "What is the airspeed of a swallow?",
    "Which diseases is CFTR associated with?",
    "What is apoptosis?",
)


def tiled(target: Path, n_cells: int) -> Path:
    """Write the repeated cells."""
    rng = np.random.default_rng(0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_cells(sources.path("pbmc68k")) as cells:
            rows = sp.vstack([block.values for block in cells.blocks()]).tocsr()
            found = cells.umap()
            assert found is not None
            xy, genes = found[1], np.array(cells.genes)
            labels = cells.column("bulk_labels").astype(str).to_numpy()
    dense = rows.toarray()
    chosen = np.argsort(-dense.var(axis=0), kind="stable")[:GENES]
    taken = rng.integers(0, len(xy), n_cells)
    adata = anndata.AnnData(
        rows[:, chosen][taken],
        obs=pd.DataFrame(
            {"label": pd.Categorical(labels[taken])}, index=np.arange(n_cells).astype(str)
        ),
        var=pd.DataFrame(index=genes[chosen]),
    )
    noise = rng.normal(scale=0.35, size=(n_cells, 2))
    adata.obsm["X_umap"] = (xy[taken] + noise).astype(np.float32)
    adata.write_h5ad(target)
    return target


def pictures(address: str, file: Path) -> tuple[float, float, float]:
    """Seconds of the upload, until the cells are seen, and until a lasso is answered."""
    from playwright.sync_api import sync_playwright

    start = time.perf_counter()
    with httpx.Client(base_url=address, timeout=600) as client, file.open("rb") as body:
        client.get("/api/datasets")
        size = {"content-length": str(file.stat().st_size)}
        answer = client.post("/api/datasets?name=tiled.h5ad", content=body, headers=size)
        answer.raise_for_status()
        uploaded = time.perf_counter() - start
        cookie = client.cookies["celloquy_session"]
    root = hasattr(os, "geteuid") and os.geteuid() == 0
    seen, answered = [], []
    with sync_playwright() as play:
        browser = play.chromium.launch(
            executable_path=shutil.which("chromium") or shutil.which("google-chrome"),
            args=["--no-sandbox"] if root else [],
        )
        context = browser.new_context(viewport={"width": 1280, "height": 800})
        context.add_cookies([{"name": "celloquy_session", "value": cookie, "url": address}])
        for _ in range(REPEATS):
            page = context.new_page()
            page.set_default_timeout(120_000)
            page.goto(address + "/")
            page.wait_for_selector("#stage[data-painted]")
            seen.append(
                page.evaluate("performance.getEntriesByName('painted')[0].startTime") / 1000
            )
            page.wait_for_selector("#legend li")
            answered.append(lasso(page))
            page.close()
        browser.close()
    return uploaded, statistics.median(seen), statistics.median(answered)


def lasso(page) -> float:  # type: ignore[no-untyped-def]
    """Seconds from the end of a drawing until its cells are lit and counted."""
    box = page.locator("#plot").bounding_box()
    cx, cy, r = box["x"] + box["width"] / 2, box["y"] + box["height"] / 2, box["height"] / 3
    page.mouse.move(cx + r, cy)
    page.mouse.down()
    for step in range(1, 61):
        page.mouse.move(cx + r * math.cos(step / 60 * 6.28), cy + r * math.sin(step / 60 * 6.28))
    start = time.perf_counter()
    page.mouse.up()
    page.wait_for_selector(".selection.active")
    page.evaluate("new Promise(done => requestAnimationFrame(() => requestAnimationFrame(done)))")
    return time.perf_counter() - start


async def asking(address: str, questions: int, taken: list[float], errors: list[str]) -> None:
    """Twenty visitors, each asking as soon as the answer before is there."""
    left = iter(range(questions))

    async def visitor() -> None:
        async with httpx.AsyncClient(base_url=address, timeout=120) as client:
            for i in left:
                start = time.perf_counter()
                body = {"question": QUESTION_LIST[i % len(QUESTION_LIST)]}
                answer = await client.post("/api/ask", json=body)
                taken.append(time.perf_counter() - start)
                if answer.status_code != 200 or "event: answer" not in answer.text:
                    errors.append(answer.text[-200:])

    await asyncio.gather(*(visitor() for _ in range(USERS)))


def memory(process: psutil.Process) -> float:
    """Resident memory of the server, in MB."""
    return float(process.memory_info().rss) / 1e6


def main(sizes: list[int]) -> int:
    rows = []
    process, address = serve("--upload-limit", "4000")
    try:
        server = psutil.Process(process.pid)
        taken: list[float] = []
        errors: list[str] = []
        asyncio.run(asking(address, WARM, [], errors))
        before = memory(server)
        asyncio.run(asking(address, QUESTIONS, taken, errors))
        after = memory(server)
        p95 = sorted(taken)[int(0.95 * len(taken))]
        rows.append(Row(f"{USERS} visitors, {QUESTIONS:,} questions, p95", p95, 2.0))
        rows.append(Row("the same, median", statistics.median(taken)))
        growth = after / before - 1
        print(f"errors {len(errors)}; memory {before:.0f} MB to {after:.0f} MB: {growth:+.1%}")
        missed = bool(errors) + (growth >= 0.1)
        with tempfile.TemporaryDirectory() as folder:
            for n in sizes:
                file = tiled(Path(folder) / f"{n}.h5ad", n)
                uploaded, seen, answered = pictures(address, file)
                bars = BARS.get(n, (None, None))
                rows.append(Row(f"{n:,} cells: upload and look through", uploaded))
                rows.append(Row(f"{n:,} cells: first paint", seen, bars[0]))
                rows.append(Row(f"{n:,} cells: lasso answered", answered, bars[1]))
                file.unlink()
    finally:
        stop(process)
    return int(report(rows) + missed > 0)


if __name__ == "__main__":
    raise SystemExit(main([int(n) for n in sys.argv[1:]] or list(BARS)))
