"""Measures of one pair: those of the whole ontology, on random DAGs and on the real ones."""

from __future__ import annotations

import math
import random

import networkx
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.embedded import EmbeddedGraph
from kg.measures.closeness import closeness, contents, proximity
from kg.measures.pagerank import PageRank
from kg.measures.relatedness import relate
from kg.measures.similarity import Similarity
from kg.readers.source import Loaded
from kg.terms import IS_A, PART_OF, Category, Edge
from tests.kg.oracle import Oracle
from tests.strategies import RELEASE, Dag, dags, term

CELLS = Category.CELL_TYPE


@settings(deadline=None)
@given(dags())
def test_a_pair_has_the_measures_of_the_whole(dag: Dag) -> None:
    graph = Oracle([dag.loaded()])
    similarity, walks = Similarity.of(graph), PageRank.of(graph)
    expected = pytest.approx(similarity.contents, abs=1e-12)
    assert contents(graph, dag.ids, CELLS, (IS_A,)) == expected
    for i, a in enumerate(walks.ids):
        for j, b in enumerate(walks.ids):
            found = closeness(graph, a, b, CELLS, (IS_A,))
            for measure in ("resnik", "lin", "jaccard"):
                whole = getattr(similarity, measure)(a, b)
                assert found[measure] == pytest.approx(whole, abs=1e-12)
            dense = walks.matrix[i, j] / walks.matrix[j, j]
            assert proximity(graph, a, b, CELLS, (IS_A,)) == pytest.approx(dense, abs=1e-12)


@settings(deadline=None)
@given(dags(), st.floats(0.05, 0.99))
def test_one_row_is_that_of_the_dense_solution(dag: Dag, damping: float) -> None:
    rank = PageRank.of(Oracle([dag.loaded()]), damping=damping)
    for number, one in enumerate(rank.ids):
        assert np.abs(rank.row(one) - rank.matrix[number]).max() < 1e-12


def test_ancestors_of_another_category_are_met_but_not_counted() -> None:
    """Two functions are parts of one process, which is not among the functions."""
    terms = [
        term("GO:1", category=Category.PROCESS),
        term("GO:2", category=Category.FUNCTION),
        term("GO:3", category=Category.FUNCTION),
        term("GO:4", category=Category.FUNCTION),
    ]
    edges = [Edge(one, PART_OF, "GO:1", "CL", "v1") for one in ("GO:2", "GO:3")]
    graph = Oracle([Loaded(RELEASE, terms, edges)])
    found = relate(graph, "GO:2", "GO:3", "i,p")
    # Of the three functions two are below the process.
    assert [(t.id, content) for t, content in found.ancestors] == [
        ("GO:1", pytest.approx(math.log(3 / 2)))
    ]
    assert found.distance == 2
    # No edge joins two functions: they share no function, and no walk.
    assert found.similarity == {"resnik": 0.0, "lin": 0.0, "jaccard": 0.0, "ppr": 0.0}


@pytest.mark.assets
def test_pairs_of_the_cell_ontology_have_the_measures_of_the_whole() -> None:
    chance = random.Random(4)
    with EmbeddedGraph.open() as graph:
        similarity, walks = Similarity.of(graph), PageRank.of(graph)
        at = {one: number for number, one in enumerate(walks.ids)}
        for _ in range(40):
            a, b = chance.choice(similarity.ids), chance.choice(similarity.ids)
            found = relate(graph, a, b).similarity
            expected = {m: getattr(similarity, m)(a, b) for m in ("resnik", "lin", "jaccard")}
            expected["ppr"] = walks.matrix[at[a], at[b]] / walks.matrix[at[b], at[b]]
            assert found == pytest.approx(expected, abs=1e-9)


@pytest.mark.assets
def test_the_largest_ontologies_have_a_walk_too() -> None:
    """networkx stops when the sum of all changes is below n * tol: 1e-16 of 28,000 terms."""
    a, b = "GO:0042110", "GO:0006955"
    with EmbeddedGraph.open() as graph:
        found = relate(graph, a, b).similarity["ppr"]
        plain = networkx.Graph(graph.to_networkx([Category.PROCESS], [IS_A]))
    walk = {
        start: networkx.pagerank(
            plain, alpha=0.9, personalization={start: 1}, tol=1e-16, max_iter=500
        )
        for start in (a, b)
    }
    assert found == pytest.approx(walk[a][b] / walk[b][b], abs=1e-9)
