"""The tissue prior: facts from the table, anatomy from the graph."""

from __future__ import annotations

import csv
from collections.abc import Iterator

import pytest

from data.errors import UnknownTerm
from kg.backoff import Hierarchy
from kg.embedded import EmbeddedGraph
from kg.tissues import ELSEWHERE, TABLE, tissue_prior, tissues_of

pytestmark = pytest.mark.assets

LIVER, BLOOD, CORTEX = "UBERON:0002107", "UBERON:0000178", "UBERON:0000956"
HEPATOCYTE, PODOCYTE = "CL:0000182", "CL:0000653"
T_CELL, ASTROCYTE = "CL:0000084", "CL:0000127"


@pytest.fixture(scope="module")
def graph() -> Iterator[EmbeddedGraph]:
    with EmbeddedGraph.open() as found:
        yield found


@pytest.fixture(scope="module")
def hierarchy(graph: EmbeddedGraph) -> Hierarchy:
    return Hierarchy.of(graph)


def test_the_table_holds_terms_of_both_ontologies(
    graph: EmbeddedGraph, hierarchy: Hierarchy
) -> None:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        rows = list(csv.DictReader((x for x in handle if x[0] != "#"), delimiter="\t"))
    assert len(rows) > 1000
    assert all(row["cl_id"] in hierarchy and row["sources"] for row in rows)
    tissues = {row["uberon_id"] for row in rows}
    known = graph.terms(tissues)
    assert len(known) >= 0.95 * len(tissues)
    assert LIVER in tissues_of()[HEPATOCYTE]


@pytest.mark.parametrize(
    ("tissue", "expected", "elsewhere"),
    [(LIVER, HEPATOCYTE, PODOCYTE), (BLOOD, T_CELL, PODOCYTE), (CORTEX, ASTROCYTE, HEPATOCYTE)],
)
def test_types_of_the_tissue_come_before_others(
    graph: EmbeddedGraph, hierarchy: Hierarchy, tissue: str, expected: str, elsewhere: str
) -> None:
    weights = tissue_prior([expected, elsewhere], tissue, hierarchy, graph)
    assert weights.tolist() == [1.0, ELSEWHERE]


def test_what_is_no_tissue_is_refused(graph: EmbeddedGraph, hierarchy: Hierarchy) -> None:
    for wrong in ("UBERON:9999999", T_CELL):
        with pytest.raises(UnknownTerm, match="is no tissue"):
            tissue_prior([T_CELL], wrong, hierarchy, graph)
