"""Pictures: labels that do not meet, a legend, files that open."""

from __future__ import annotations

import itertools
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("matplotlib")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from agent import lookup
from agent.pictures.picture import COLOURS, MOST_NODES, draw_neighbours, draw_path, save
from data.errors import BadFile, BadInput
from kg.embedded import EmbeddedGraph
from kg.neighbours import Neighbour, Neighbourhood
from kg.terms import ENABLES, INVOLVED_IN, MARKER_OF, Category, Edge, Term
from tests.immune import immune_graph


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGraph]:
    with immune_graph(tmp_path_factory.mktemp("immune")) as opened:
        yield opened


def many(n: int, hops: int = 1) -> Neighbourhood:
    """A neighbourhood of ``n`` with labels as long as they come, in several relations."""
    name = "positive regulation of reactive oxygen species metabolic process" if n % 2 else "A1BG"
    centre = Term("HGNC:1", name, Category.GENE, "HGNC", "1")
    categories = [Category.PROCESS, Category.CELL_TYPE, Category.FUNCTION, Category.DISEASE]
    rows: list[Neighbour] = []
    for i in range(n):
        term = Term(
            f"GO:{i:07d}", f"positive regulation of something rather long {i} " * 2,
            categories[i % 4], "GO", "1",
        )  # fmt: skip
        predicate = (INVOLVED_IN, ENABLES, MARKER_OF)[i % 3]
        between = (rows[i % (n // 2)].term.id,) if hops == 2 and i >= n // 2 else ()
        edge = Edge(between[0] if between else centre.id, predicate, term.id, "X", "1", "IDA")
        rows.append(Neighbour(term, predicate, "out", (edge,), round(1 - i / 100, 3), between))
    return Neighbourhood(centre, tuple(rows), n + 5)


def overlaps(ax: Axes) -> list[tuple[str, str]]:
    figure = ax.get_figure(root=True)
    assert figure is not None
    figure.draw_without_rendering()
    boxes = [
        (text.get_text(), text.get_window_extent())
        for text in ax.texts
        if text.get_gid() == "label"
    ]
    return [
        (a, b)
        for (a, one), (b, other) in itertools.combinations(boxes, 2)
        if one.x0 < other.x1 and other.x0 < one.x1 and one.y0 < other.y1 and other.y0 < one.y1
    ]


@pytest.mark.parametrize(
    ("n", "hops"),
    [
        *((1, 1), (2, 1), (5, 1), (23, 1), (40, 1), (MOST_NODES - 1, 1), (MOST_NODES, 1)),
        *((5, 2), (23, 2), (MOST_NODES - 1, 2), (MOST_NODES, 2)),
    ],
)
def test_no_two_labels_meet(n: int, hops: int) -> None:
    ax = draw_neighbours(many(n, hops))
    labels = [text for text in ax.texts if text.get_gid() == "label"]
    assert len(labels) >= n
    assert overlaps(ax) == []


def test_every_label_is_inside_the_picture() -> None:
    ax = draw_neighbours(many(MOST_NODES))
    figure = ax.get_figure(root=True)
    assert isinstance(figure, Figure)
    figure.draw_without_rendering()
    width, height = figure.get_size_inches() * figure.dpi
    for text in ax.texts:
        box = text.get_window_extent()
        assert box.x0 >= -1
        assert box.x1 <= width + 1
        assert box.y0 >= -1
        assert box.y1 <= height + 1


def test_more_than_can_be_read_is_refused() -> None:
    with pytest.raises(BadInput, match="use --limit"):
        draw_neighbours(many(MOST_NODES + 1))


def test_nothing_at_all_is_still_a_picture(graph: EmbeddedGraph) -> None:
    found = lookup.gene_neighbourhood("HGNC:20387", graph=graph)
    assert found.total == 0
    ax = draw_neighbours(found)
    assert "0 of 0 neighbours" in [t.get_text() for t in ax.texts][-1]


def test_legend_and_releases(graph: EmbeddedGraph) -> None:
    found = lookup.gene_neighbourhood("HGNC:1706", graph=graph)
    ax = draw_neighbours(found, releases=["GOA-human 2019-01-14"])
    legend = ax.get_legend()
    assert legend is not None
    shown = {text.get_text() for text in legend.get_texts()}
    assert {"cell type", "gene", "process"} <= shown
    assert len(shown) == len({n.term.category for n in found.neighbours})
    assert "GOA-human 2019-01-14" in [text.get_text() for text in ax.texts]
    # What a source denies is in no picture.
    assert not any("GO:0007613" in text.get_text() for text in ax.texts)


def test_a_path_is_layered_by_depth(graph: EmbeddedGraph) -> None:
    found = lookup.path("CL:0000909", "CL:0000583", graph=graph)
    ax = draw_path(found)
    assert overlaps(ax) == []
    y = {
        t.get_text().splitlines()[-1]: t.get_position()[1]
        for t in ax.texts
        if t.get_gid() == "label"
    }
    assert found.path is not None
    for edge in found.path.edges:
        assert y[edge.object] > y[edge.subject]
    top = found.ancestors[0][0].id
    assert y[top] == max(y.values())
    assert set(y) == set(found.path.nodes)


@pytest.mark.parametrize(("a", "b"), [("CL:0000625", "CL:0000542"), ("CL:0000542", "CL:0000625")])
def test_one_branch_stands_straight(a: str, b: str, graph: EmbeddedGraph) -> None:
    ax = draw_path(lookup.path(a, b, graph=graph))
    assert len({t.get_position()[0] for t in ax.texts if t.get_gid() == "label"}) == 1
    assert overlaps(ax) == []


def test_a_term_with_itself(graph: EmbeddedGraph) -> None:
    ax = draw_path(lookup.path("T cell", "T cell", graph=graph))
    assert len([t for t in ax.texts if t.get_gid() == "label"]) == 1


def test_no_path_is_told(graph: EmbeddedGraph) -> None:
    found = replace(lookup.path("T cell", "B cell", graph=graph), path=None)
    with pytest.raises(BadInput, match="no path"):
        draw_path(found)


def test_axes_of_the_user_are_drawn_into(graph: EmbeddedGraph) -> None:
    figure = Figure(figsize=(8, 6))
    ax = figure.add_subplot()
    assert draw_path(lookup.path("T cell", "B cell", graph=graph), ax=ax) is ax
    assert ax.texts


def test_files(graph: EmbeddedGraph, tmp_path: Path) -> None:
    found = lookup.path("T cell", "B cell", graph=graph)
    for suffix, magic in ((".png", b"\x89PNG"), (".svg", b"<?xml"), (".pdf", b"%PDF")):
        file = tmp_path / f"path{suffix}"
        save(draw_path(found), file)
        assert file.read_bytes().startswith(magic)
    svg = tmp_path / "path.svg"
    root = ElementTree.parse(svg).getroot()
    words = " ".join("".join(element.itertext()) for element in root.iter())
    assert "lymphocyte" in words
    again = tmp_path / "again.svg"
    save(draw_path(found), again)
    assert again.read_bytes() == svg.read_bytes()


def test_file_names_are_checked_first(graph: EmbeddedGraph, tmp_path: Path) -> None:
    ax = draw_path(lookup.path("T cell", "B cell", graph=graph))
    with pytest.raises(BadFile, match=r"\.svg, \.png or \.pdf"):
        save(ax, tmp_path / "x.bmp")
    with pytest.raises(BadFile, match="is not there"):
        save(ax, tmp_path / "no" / "x.svg")


def test_every_category_has_its_own_colour() -> None:
    assert set(COLOURS) == set(Category)
    assert len(set(COLOURS.values())) == len(COLOURS)
