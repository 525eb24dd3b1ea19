"""The page in a real browser: from the first look to the path behind a citation."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.web.conftest import EVIL, PATIENCE

if TYPE_CHECKING:
    from playwright.sync_api import Page

pytestmark = [pytest.mark.web, pytest.mark.assets]

PICTURES = Path(__file__).parents[2] / "docs" / "images"
QUESTION = "What are these cells, and why?"


def load_demo(page: Page) -> None:
    page.click("#demo")
    page.wait_for_selector(
        "#summary:not([hidden])"
    )  # the picture is there, and the cells are named
    page.wait_for_selector("#legend li")


def lasso(page: Page, x: float, y: float, width: float, height: float) -> None:
    """Draw an ellipse; places and sizes are shares of the picture."""
    box = page.locator("#plot").bounding_box()
    assert box is not None
    cx, cy = box["x"] + x * box["width"], box["y"] + y * box["height"]
    rx, ry = width * box["width"] / 2, height * box["height"] / 2
    page.mouse.move(cx + rx, cy)
    page.mouse.down()
    for step in range(1, 41):
        angle = step / 40 * 2 * math.pi
        page.mouse.move(cx + rx * math.cos(angle), cy + ry * math.sin(angle))
    page.mouse.up()
    page.wait_for_selector(".selection.active")


def ask(page: Page, question: str) -> None:
    page.fill("#question", question)
    page.press("#question", "Enter")
    page.wait_for_selector(".turn:last-child .foot, .turn:last-child .failed")


def take(page: Page, name: str) -> None:
    PICTURES.mkdir(exist_ok=True)
    page.mouse.move(2, 2)
    page.wait_for_timeout(500)
    page.screenshot(path=PICTURES / f"page-{name}.png")


def test_from_the_demo_to_the_path(open_page: Callable[..., Page]) -> None:
    page = open_page(height=960)
    load_demo(page)
    painted = page.evaluate(
        """() => { const c = document.querySelector('#plot');
        const d = c.getContext('2d').getImageData(0, 0, c.width, c.height).data;
        const seen = new Set();
        for (let i = 0; i < d.length; i += 4) seen.add(d[i] << 16 | d[i+1] << 8 | d[i+2]);
        return seen.size }"""
    )
    assert painted > 20  # colours of the groups, with their soft edges
    lasso(page, 0.5, 0.12, 0.32, 0.3)
    words = page.inner_text(".selection.active")
    cells = int(re.search(r"(\d+) cells", words)[1])
    assert 20 < cells < 700
    ask(page, QUESTION)
    answer = page.inner_text(".turn:last-child .answer")
    assert f"{cells} cells" in answer
    page.click(".turn:last-child .chip")
    page.wait_for_selector(".evidence svg.tree rect")
    assert page.locator(".evidence svg.tree rect").count() >= 3
    assert page.locator(".evidence .tree .on text:text-is('cell')").count() == 1
    page.eval_on_selector(".turn:last-child .answer", "one => one.scrollIntoView({block: 'start'})")
    take(page, "1280")


def test_at_the_width_of_a_telephone(open_page: Callable[..., Page]) -> None:
    page = open_page(390, 844)
    load_demo(page)
    take(page, "390")
    page.click("#tab-talk")
    ask(page, "Is a CD8-positive, alpha-beta T cell a lymphocyte?")
    page.click(".turn:last-child .chip")
    page.wait_for_selector(".evidence svg.tree rect")
    take(page, "390-path")
    for tab in ("#tab-cells", "#tab-talk"):
        page.click(tab)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_dark(open_page: Callable[..., Page]) -> None:
    page = open_page(dark=True)
    load_demo(page)
    page.fill("#gene", "NKG7")
    page.press("#gene", "Enter")
    page.wait_for_selector(".ramp")
    ask(page, "What is the airspeed of a swallow?")
    page.wait_for_selector(".abstained .help")
    take(page, "1280-dark")
    page.click("#theme")
    assert page.get_attribute("html", "data-theme") == "light"


def test_every_kind_of_evidence_opens(open_page: Callable[..., Page]) -> None:
    page = open_page()
    load_demo(page)
    page.hover("#legend li:nth-child(2)")
    page.click("#legend li:nth-child(2) .pick")
    page.wait_for_selector(".selection.active")
    ask(page, QUESTION)
    kinds = {}
    for chip in page.locator(".turn:last-child .chip").all():
        kinds.setdefault(chip.get_attribute("title"), chip)
    assert {"prediction", "figure of the cells", "edge of the graph"} <= set(kinds)
    for chip in kinds.values():
        chip.click()
    assert page.locator(".evidence").count() == len(kinds)
    assert page.locator(".evidence .triple").count() == 1
    assert page.locator(".evidence .measure").count() >= 2
    kinds["prediction"].click()
    assert page.locator(".evidence").count() == len(kinds) - 1


def test_selections_combine_and_compare(open_page: Callable[..., Page]) -> None:
    page = open_page()
    load_demo(page)
    for place in (1, 2):
        page.hover(f"#legend li:nth-child({place})")
        page.click(f"#legend li:nth-child({place}) .pick")
        page.wait_for_selector(f".selection:nth-child({place})")
    page.select_option("#combine select[aria-label='How to combine']", "either")
    page.click("#combine button:text-is('Combine')")
    page.wait_for_selector(".selection:nth-child(3)")
    counts = [
        int(text.replace(",", "").split()[0])
        for text in page.locator(".selection .head small").all_inner_texts()
    ]
    assert counts[2] == counts[0] + counts[1]
    page.click("#combine button:text-is('Compare them')")
    page.wait_for_selector(".turn .foot, .turn .failed")
    assert "log2 fold change" in page.inner_text(".turn:last-child .answer")
    page.click(".selection:nth-child(3) .drop-it")
    page.wait_for_selector(".selection:nth-child(3)", state="detached")


def test_legend_filters_and_keys_move(open_page: Callable[..., Page]) -> None:
    page = open_page()
    load_demo(page)
    shot = "() => document.querySelector('#plot').toDataURL()"
    before = page.evaluate(shot)
    page.click("#legend li:first-child .toggle")
    page.wait_for_timeout(200)
    hidden = page.evaluate(shot)
    assert page.get_attribute("#legend li:first-child .toggle", "aria-pressed") == "false"
    assert hidden != before
    page.focus("#plot")
    for key in ("ArrowLeft", "+", "-", "0"):
        page.keyboard.press(key)
    page.wait_for_timeout(200)
    assert page.evaluate(shot) == hidden  # 0 shows all again
    page.select_option("#colour", "confidence")
    page.wait_for_selector(".ramp")
    assert page.inner_text(".ramp").startswith("confidence")


def test_a_bad_file_is_explained(open_page: Callable[..., Page], tmp_path: Path) -> None:
    page = open_page()
    (tmp_path / "notes.h5ad").write_text("these are no cells")
    page.set_input_files("#file", tmp_path / "notes.h5ad")
    page.wait_for_selector("#upload-problem:not([hidden])")
    assert page.inner_text("#upload-problem").startswith("notes.h5ad is a text file")
    assert page.is_enabled("#demo")


def test_names_from_a_file_are_text(open_page: Callable[..., Page], evil_file: Path) -> None:
    page = open_page()
    page.on("dialog", lambda one: pytest.fail(f"a script ran: {one.message}"))
    page.set_input_files("#file", evil_file)
    page.wait_for_selector("#summary:not([hidden])")
    page.select_option("#colour", "column:leiden")
    page.wait_for_selector("#legend li >> nth=1")
    assert evil_file.name in page.inner_text("#dataset-name")
    assert EVIL in page.locator("#legend .toggle span").all_text_contents()
    page.hover("#legend li:first-child")
    page.click("#legend li:first-child .pick")
    page.wait_for_selector(".selection.active")
    ask(page, "How many cells are there?")
    ask(page, f"What is {EVIL}?")
    page.fill("#lookup-words", EVIL)
    page.press("#lookup-words", "Enter")
    page.wait_for_selector("#card h2")
    page.wait_for_timeout(500)
    assert page.title() == "Celloquy"
    assert page.locator("img[src='x'], main script, main b[onclick]").count() == 0


def test_two_visitors_do_not_see_each_other(open_page: Callable[..., Page]) -> None:
    one, other = open_page(), open_page()
    load_demo(one)
    ask(one, "What is a T cell?")
    other.reload()
    other.wait_for_selector("#suggestions button")
    assert other.is_visible("#demo")
    assert other.locator(".turn").count() == 0
    text = other.evaluate("() => fetch('api/conversation?format=json').then(r => r.json())")
    assert text == {"turns": []}
    one.reload()
    one.wait_for_selector("#legend li")  # the session is still the visitor's
    assert one.inner_text("#dataset-name").startswith("PBMC68k")


def test_look_up_a_gene_and_colour_by_it(open_page: Callable[..., Page]) -> None:
    page = open_page()
    load_demo(page)
    page.fill("#lookup-words", "CD8A")
    page.press("#lookup-words", "Enter")
    page.wait_for_selector("table.rows tbody tr")
    page.click("#card >> text=Colour the cells by it")
    page.wait_for_selector(".ramp")
    assert page.input_value("#gene") == "CD8A"
    page.click("#downloads summary")
    with page.expect_download() as download:
        page.click("#get-picture")
    assert download.value.suggested_filename == "celloquy-cells.png"


@pytest.mark.timeout(900)  # umap-learn is compiled when it first runs
def test_a_file_without_a_picture_gets_one(
    open_page: Callable[..., Page], plain_file: Path
) -> None:
    page = open_page()
    page.set_input_files("#file", plain_file)
    page.click("#layout-job >> text=Compute the picture")
    page.wait_for_selector("#layout-job .progress")
    page.wait_for_selector("#layout-job", state="hidden", timeout=4 * PATIENCE)
    page.wait_for_selector("#stage[data-painted]")
    page.wait_for_selector("#legend li")


def test_a_quote_is_lit_in_its_abstract(open_page: Callable[..., Page]) -> None:
    page = open_page()
    ask(page, "What does the literature say about regulatory T cells?")
    chips = page.locator(".turn:last-child .chip[title=literature]")
    if not chips.count():
        pytest.skip(
            "there is no literature index: celloquy data fetch literature && celloquy index build"
        )
    chips.first.click()
    page.wait_for_selector(".evidence .abstract mark")
    page.wait_for_timeout(1_000)  # the abstract comes after the quote
    quote = page.inner_text(".evidence mark").strip().rstrip(".")
    assert quote in page.inner_text(".turn:last-child .prose")
    assert len(page.inner_text(".evidence .abstract")) > len(quote) + 200
