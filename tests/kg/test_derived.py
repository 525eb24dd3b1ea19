"""Which cell types a GO label mentions: whole words, longest first, and what is no cell."""

from __future__ import annotations

import pytest

from kg.readers.derived import CellNames, derive_mentions
from kg.readers.source import Loaded
from kg.terms import MENTIONS, Category, Release, Term


def cell(id: str, label: str, obsolete: bool = False) -> Term:
    return Term(id, label, Category.CELL_TYPE, "CL", "x", obsolete=obsolete)


CELLS = (
    cell("CL:0000000", "cell"),
    cell("CL:1", "T cell"),
    cell("CL:2", "CD8-positive, alpha-beta T cell"),
    cell("CL:3", "platelet"),
    cell("CL:4", "fibroblast"),
    cell("CL:5", "B cell"),
    cell("CL:6", "macrophage"),
    cell("CL:7", "lost cell", obsolete=True),
    cell("CL:8", "enteroendocrine body"),
)


@pytest.mark.parametrize(
    ("label", "expected"),
    [
        ("regulation of T cell activation", ["CL:1"]),
        ("CD8-positive, alpha-beta T cell activation", ["CL:2"]),
        ("T cell and B cell and T cell again", ["CL:1", "CL:5"]),
        ("T cells mediate", ["CL:1"]),
        ("platelets", ["CL:3"]),
        ("enteroendocrine bodies", ["CL:8"]),
        ("cell division", []),
        ("lost cell migration", []),
        ("CAT cell growth", []),  # a whole word, not a part of one
        ("T cellular", []),
        ("fibroblast growth factor binding", []),
        ("fibroblast migration by fibroblast growth factor", ["CL:4"]),
        ("granulocyte macrophage colony-stimulating factor production", []),
        ("platelet-derived growth factor receptor activity", []),
        ("platelet derived growth factor binding", []),
        ("non-macrophage signalling", []),
        ("pre-B cell allelic exclusion", []),
        ("macrophage-T cell adhesion", ["CL:6", "CL:1"]),
        ("", []),
    ],
)
def test_labels(label: str, expected: list[str]) -> None:
    assert CellNames(CELLS).mentioned(label) == expected


def test_links_are_named_derived() -> None:
    cells = Loaded(Release("CL", "v1", "2031-02-03"), CELLS)
    processes = (
        Term("GO:1", "T cell activation", Category.PROCESS, "GO", "y"),
        Term("GO:2", "obsolete T cell thing", Category.PROCESS, "GO", "y", obsolete=True),
    )
    loaded = derive_mentions(cells, Loaded(Release("GO", "2030-01-01", "2030-01-01"), processes))
    (edge,) = loaded.edges
    assert (edge.subject, edge.predicate, edge.object) == ("GO:1", MENTIONS, "CL:1")
    assert edge.source == "derived-labels"
    assert loaded.release.version == "CL v1, GO 2030-01-01"
    assert loaded.release.date == "2030-01-01"  # no newer than the older of the two
