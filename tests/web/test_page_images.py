"""Images and predictions in a real browser, with a model that a command has trained."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from data import locations, sources
from tests.web.conftest import EVIL, RUN, serve, stop
from tests.web.test_page import ask, take

if TYPE_CHECKING:
    from playwright.sync_api import Page

Image = pytest.importorskip("PIL.Image")

pytestmark = [pytest.mark.web, pytest.mark.assets, pytest.mark.models]

WHICH = "Which gene is knocked out here?"
SIDE = 16


def crops(seed: int = 0) -> dict[str, Any]:
    """Bright pictures are AA, dark ones control cells, by three guides each."""
    draw = np.random.default_rng(seed)
    named = ["AA", "control"] * 12
    values = draw.random((24, 3, SIDE, SIDE)).astype(np.float32) * 0.3
    values[::2] += 0.6
    return {
        "images": values,
        "gene": named,
        "guide": [f"{one}{i // 2 % 3}" for i, one in enumerate(named)],
        "channels": ["red", "green", "blue"],
    }


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache of its own, in which the bundled language model is a tiny one."""
    pytest.importorskip("torch")
    from encoders.language import _MANIFEST
    from tests.encoders.tinyseeing import tiny_seeing

    known = locations.models() / "smollm2" / _MANIFEST
    if not known.is_file():
        pytest.skip("the language model was not unpacked: celloquy ask --llm local")
    there = locations.home()
    folder = tmp_path_factory.mktemp("home")
    for name in ("assets", "graph", "literature"):
        if (there / name).is_dir():
            (folder / name).symlink_to(there / name)
    tiny = tiny_seeing()
    model = folder / "models" / "smollm2"
    tiny.model.save_pretrained(model)
    tiny.tokenizer.save_pretrained(model)
    (model / _MANIFEST).write_bytes(known.read_bytes())
    for one in ("vectors", "texts", "labels", "channels"):  # what is computed once stays there
        if (locations.models() / one).is_dir():
            (folder / "models" / one).symlink_to(locations.models() / one)
    return folder


@pytest.fixture(scope="module")
def model(home: Path) -> Path:
    """A model of knock-outs, trained by its command on made-up images."""
    import torch

    from encoders.image.vit import SmallViT, ViTConfig, save_vit

    some = crops()
    np.savez(home / "crops.npz", **some)
    torch.manual_seed(0)
    save_vit(SmallViT(ViTConfig(tuple(some["channels"]), SIDE, 8, 32, 1, 2)), home / "vit")
    command = [sys.executable, "-c", RUN, "train", "knockout", "--images", str(home / "crops.npz")]
    command += ["--image-encoder", str(home / "vit"), "--steps", "2", "-o", str(home / "model")]
    subprocess.run(
        [*command, "--quiet"], check=True, env={**os.environ, "CELLOQUY_HOME": str(home)}
    )
    return home / "model"


@pytest.fixture(scope="module")
def address(home: Path, model: Path) -> Iterator[str]:
    """A server that has the model."""
    if not sources.present("pbmc68k"):
        pytest.skip("the demonstration's cells were not fetched")
    before = os.environ.get("CELLOQUY_HOME")
    os.environ["CELLOQUY_HOME"] = str(home)
    try:
        process, url = serve("--upload-limit", "50", "--knockouts", str(model))
    finally:
        if before is None:
            del os.environ["CELLOQUY_HOME"]
        else:
            os.environ["CELLOQUY_HOME"] = before
    yield url
    stop(process)


@pytest.fixture
def cell(tmp_path: Path) -> Path:
    """An image of a cell, under a name that would be markup, were it not text."""
    path = tmp_path / f"{EVIL[:8]}.png"
    values = crops(seed=3)["images"][0]
    Image.fromarray((np.moveaxis(values, 0, -1) * 255).astype(np.uint8)).save(path)
    return path


def attach(page: Page, path: Path) -> None:
    page.set_input_files("#image-file", path)
    page.wait_for_selector("#attached img")


@pytest.mark.timeout(900)
def test_an_image_is_attached_asked_about_and_removed(
    open_page: Callable[..., Page], cell: Path, model: Path
) -> None:
    page = open_page(height=960)
    attach(page, cell)
    assert cell.name in page.inner_text("#attached")
    assert page.evaluate("document.querySelector('#attached img').naturalWidth") == SIDE
    page.click(f"#suggestions button:text-is('{WHICH}')")
    page.wait_for_selector(".turn:last-child .foot, .turn:last-child .failed")
    told = page.inner_text(".turn:last-child .predicted")
    figures = json.loads((model / "knockout.json").read_text())["measured"]["image"]
    assert told.startswith("Predicted")
    assert "predicted by" in told
    assert "no gene (control cells)" in told
    for figure in ("value", "baseline_value"):
        assert f"{figures[figure]:.3f}" in told
    no_better = figures["value"] <= figures["baseline_value"]
    assert ("no better than that" in told) == no_better
    page.click(".turn:last-child .predicted .chip")
    page.wait_for_selector(".evidence .ranked")
    names = page.locator(".evidence .ranked span:first-child").all_inner_texts()
    assert set(names) == {"AA", "no gene (control cells)"}
    page.reload()
    page.wait_for_selector("#attached img")  # the session still has it
    page.click("#attached button")
    page.wait_for_selector("#attached", state="hidden")
    assert page.evaluate("document.activeElement.id") == "attach-image"
    ask(page, WHICH)
    assert page.locator(".turn:last-child .predicted").count() == 0
    assert page.title() == "Celloquy"


def test_new_controls_have_names(open_page: Callable[..., Page], cell: Path) -> None:
    page = open_page()
    assert page.get_by_role("button", name="Attach an image of cells").is_visible()
    attach(page, cell)
    assert page.get_by_role("button", name=f"Remove the image {cell.name}").is_visible()
    assert page.get_by_role("img", name=f"The attached image {cell.name}").is_visible()
    page.set_viewport_size({"width": 390, "height": 844})
    page.click("#tab-talk")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_what_is_no_image_is_explained(
    open_page: Callable[..., Page], cell: Path, tmp_path: Path
) -> None:
    page = open_page()
    attach(page, cell)
    (tmp_path / "notes.png").write_text("these are no cells")
    page.set_input_files("#image-file", tmp_path / "notes.png")
    page.wait_for_selector("#image-problem:not([hidden])")
    assert page.inner_text("#image-problem").startswith("notes.png cannot be read")
    assert cell.name in page.inner_text("#attached")  # the one before is still there
    attach(page, cell)
    assert page.is_hidden("#image-problem")


def test_an_image_of_other_channels_is_refused_in_the_answer(
    open_page: Callable[..., Page], tmp_path: Path
) -> None:
    Image.fromarray(np.zeros((SIDE, SIDE), np.uint8)).save(tmp_path / "grey.png")
    page = open_page()
    attach(page, tmp_path / "grey.png")
    ask(page, WHICH)
    assert "channels" in page.inner_text(".turn:last-child .abstained")


def test_predicted_links_stand_apart_from_known_ones(open_page: Callable[..., Page]) -> None:
    page = open_page(height=960)
    ask(page, "What diseases might TREM2 be linked to?")
    parts = page.locator(".turn:last-child .prose p")
    marked = ["predicted" in (one.get_attribute("class") or "") for one in parts.all()]
    assert marked.index(True) == 1  # known edges first
    assert marked.count(True) == 1
    assert parts.first.inner_text().startswith("Known:")
    assert "beside kNN-20" in parts.nth(1).inner_text()
    page.click(".turn:last-child .predicted .chip")
    page.wait_for_selector(".evidence .ranked")
    assert page.locator(".evidence .ranked .link").count() == 5
    page.eval_on_selector(".turn:last-child", "one => one.scrollIntoView({block: 'start'})")
    take(page, "predicted")


@pytest.mark.shared
@pytest.mark.timeout(900)
def test_a_knockout_is_predicted_from_the_open_screen(
    open_page: Callable[..., Page], shared_data: Path
) -> None:
    page = open_page(height=960)
    page.set_input_files(
        "#file", shared_data / "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad"
    )
    page.wait_for_selector("#work:not([hidden])")
    ask(page, "What happens when STAT2 is knocked out?")
    told = page.inner_text(".turn:last-child .predicted")
    assert told.startswith("Predicted")
    assert "measured" in told and "mean profile" in told
