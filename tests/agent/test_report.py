"""The HTML page: well formed, alone, escaped, and saying what was found."""

from __future__ import annotations

from dataclasses import replace
from html.parser import HTMLParser
from xml.etree import ElementTree

import numpy as np
import pytest

from agent.annotation import charts
from agent.annotation.report import html_report
from tests.agent.annotated import made, voted

VOID = {"meta", "br"}
XY = np.arange(10, dtype=np.float32).reshape(5, 2)


class Page(HTMLParser):
    """Checks that elements are closed in order, and gathers what a browser would see."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open, self.text, self.addresses, self.tags = [], [], [], set()
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.add(tag)
        if tag not in VOID:
            self.open.append(tag)
        for name, value in attrs:
            if name in ("href", "src", "srcset", "data", "action", "xlink:href") or (
                value and "url(" in value
            ):
                self.addresses.append(value)
            assert not name.startswith("on"), f"{tag} has a script: {name}"

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        if "style" not in self.open:
            self.text.append(data)


def test_the_page_stands_alone_and_is_whole():
    text = html_report(voted(), XY, "obsm:X_umap")
    page = Page(text)
    assert page.addresses == []
    assert "script" not in page.tags
    assert "default-src 'none'" in text
    said = " ".join(page.text)
    for part in ("5 mouse cells", "T cell", "CL:0000084", "CD3E", "60.0%", "0.90", "v1", "leiden",
                 "obsm:X_umap", "nearest: T cell", "unknown: no marker (1)"):  # fmt: skip
        assert part in said, part


def test_text_of_the_dataset_is_escaped():
    bad = "<script>alert(1)</script>"
    found = made()
    label = replace(found.summaries[0], label=bad)
    named = replace(found.about, source=f"/x/{bad}.h5ad", notices=("", bad))
    text = html_report(replace(found, summaries=(label, found.summaries[1]), about=named), XY, bad)
    Page(text)
    assert "<script" not in text
    assert "&lt;script&gt;alert(1)" in text


def test_without_a_picture_of_its_own_the_cells_lie_by_their_places():
    found = made()
    text = html_report(found)
    assert "principal directions of X_celloquy" in text
    Page(text)


def test_a_dataset_without_any_answer_has_a_report():
    found = made()
    nothing = replace(
        found,
        term=np.full(5, -1, dtype=np.int32),
        confidence=np.zeros(5, dtype=np.float32),
        summaries=(),
    )
    text = html_report(nothing, XY)
    Page(text)
    assert "no answers" in text


def drawn(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


NS = "{http://www.w3.org/2000/svg}"


def test_every_cell_is_drawn_once_inside_the_picture():
    rng = np.random.default_rng(0)
    xy = rng.normal(size=(300, 2)) * [100, 3] + 50
    labels = np.array([f"type <{i % 30}>" for i in range(300)], dtype=object)
    picture = drawn(charts.scatter(xy, labels))
    paths = [path.get("d") for path in picture.iter(f"{NS}path")]
    points = [p.split("h0")[0].split() for d in paths for p in d.split("M")[1:]]
    assert len(points) == 300
    assert all(0 <= float(v) <= 560 for point in points for v in point)
    words = [text.text for text in picture.iter(f"{NS}text")]
    assert "type <0> (10)" in words
    assert "6 more" in words


def test_of_many_cells_some_are_drawn_and_it_says_so():
    n = charts.MOST_CELLS * 2 + 1
    picture = charts.scatter(np.zeros((n, 2)), np.full(n, "one", dtype=object))
    assert "one cell in 3 is drawn" in picture
    assert picture.count("h0") <= charts.MOST_CELLS


def test_dots_are_as_large_as_the_share_and_say_their_role():
    picture = drawn(charts.dots(made().summaries))
    titles = {c.find(f"{NS}title").text: c for c in picture.iter(f"{NS}circle")}
    for_, against = (
        titles["CD3E: present, 67% of these cells, 0% of others"],
        titles["CD19: unexpected, 33% of these cells, 50% of others"],
    )
    ratio = float(for_.get("r")) / float(against.get("r"))
    assert ratio == pytest.approx(np.sqrt(2), abs=0.03)  # areas as 0.667 to 0.333
    assert for_.get("fill") != against.get("fill")


def test_expected_errors_by_coverage_by_hand():
    picture = drawn(charts.coverage(np.array([0.9, 0.8, 0.6, 0.0], dtype=np.float32)))
    line = picture.find(f"{NS}polyline").get("points").split()
    xs, ys = zip(*(map(float, point.split(",")) for point in line), strict=True)
    # Kept 1/4, 2/4, 3/4 of the cells: expected errors .1, .15, .2333; the axis ends at .3.
    assert xs == pytest.approx([60 + s * 440 for s in (0.25, 0.5, 0.75)], abs=0.1)
    assert ys == pytest.approx([204 - r / 0.3 * 188 for r in (0.1, 0.15, 0.7 / 3)], abs=0.1)
