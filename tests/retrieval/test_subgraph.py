"""Query-focused subgraphs: connected, supported, and the best tree where that can be told."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.embedded import EmbeddedGraph
from kg.grounding import ground
from kg.verbalise import parse
from retrieval.subgraph import SubgraphConfig, query_subgraph, shared_words, steiner_tree
from tests.immune import immune_graph

CD8A, CD8, NK = "HGNC:1706", "CL:0000625", "CL:0000623"
Pair = tuple[str, str]


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGraph]:
    with immune_graph(tmp_path_factory.mktemp("immune")) as opened:
        yield opened


def ask(question: str, graph: EmbeddedGraph, **config: object) -> set[tuple[str, str, str]]:
    seeds = [mention.id for mention in ground(question, graph)]
    chosen = query_subgraph(graph, question, seeds, config=SubgraphConfig(**config))  # type: ignore[arg-type]
    return {(e.subject, e.predicate, e.object) for e in chosen.edges}


def test_two_terms_are_joined_by_their_ontology_path(graph: EmbeddedGraph) -> None:
    edges = ask("Is a CD8-positive, alpha-beta T cell a lymphocyte?", graph)
    is_a = "rdfs:subClassOf"
    assert edges == {
        ("CL:0000625", is_a, "CL:0000791"),
        ("CL:0000791", is_a, "CL:0000789"),
        ("CL:0000789", is_a, "CL:0000084"),
        ("CL:0000084", is_a, "CL:0000542"),
    }


def test_a_gene_and_a_type_are_joined_by_the_fact_between_them(graph: EmbeddedGraph) -> None:
    assert (CD8A, "celloquy:marker_of", CD8) in ask(
        "CD8A in CD8-positive, alpha-beta T cells", graph
    )
    assert ask("Does CD8A interact with LCK?", graph) == {(CD8A, "RO:0002436", "HGNC:6524")}


def test_words_of_the_question_choose_among_facts(graph: EmbeddedGraph) -> None:
    edges = ask("What does CD8A do in T cell activation?", graph)
    assert (CD8A, "RO:0002331", "GO:0042110") in edges
    without = ask("What does CD8A do?", graph)
    assert (CD8A, "RO:0002331", "GO:0042110") not in without
    membrane = ask("Is CD8A on the external side of the membrane?", graph)
    assert (CD8A, "RO:0001025", "GO:0009897") in membrane


def test_what_is_denied_is_never_chosen(graph: EmbeddedGraph) -> None:
    assert not {e for e in ask("Is CD8A involved in memory?", graph) if e[2] == "GO:0007613"}


def test_no_terms_no_subgraph(graph: EmbeddedGraph) -> None:
    nothing = query_subgraph(graph, "What is the airspeed of a swallow?", [])
    assert (dict(nothing.terms), nothing.edges, nothing.seeds) == ({}, (), ())
    unknown = query_subgraph(graph, "?", ["CL:9999999"])
    assert unknown.seeds == ()


def test_evidence_is_the_edges_in_words(graph: EmbeddedGraph) -> None:
    chosen = query_subgraph(graph, "CD8A LCK", [CD8A, "HGNC:6524"])
    assert [parse(piece.text) for piece in chosen.evidence()] == list(chosen.edges)


def test_another_likeness_can_be_given(graph: EmbeddedGraph) -> None:
    def surface(question: str, texts: object) -> list[float]:
        return [float("surface" in question and "membrane" in text) for text in texts]  # type: ignore[attr-defined]

    chosen = query_subgraph(graph, "the surface", [CD8A], likeness=surface)
    assert [e.object for e in chosen.edges] == ["GO:0009897"]


def test_at_most_so_many_edges(graph: EmbeddedGraph) -> None:
    assert len(ask("Is a CD8-positive, alpha-beta T cell a lymphocyte?", graph, most_edges=2)) == 2


def test_shared_words_weigh_rare_ones_more() -> None:
    first, second, third = shared_words("T cell activation", ["T cell", "B cell", "activation"])
    assert third == 1.0
    assert first == 1.0
    assert 0.0 < second < 0.5
    assert shared_words("x", []) == []


# --- the tree ------------------------------------------------------------------------------------


def value(
    tree: set[Pair], start: str, prizes: Mapping[str, float], costs: Mapping[Pair, float]
) -> float:
    nodes = {node for pair in tree for node in pair} or {start}
    return sum(prizes[n] for n in nodes) - sum(costs[pair] for pair in tree)


def is_tree(edges: set[Pair]) -> bool:
    nodes = {node for pair in edges for node in pair}
    if not edges:
        return True
    reached, stack = set(), [next(iter(nodes))]
    while stack:
        node = stack.pop()
        reached.add(node)
        stack += [o for p in edges if node in p for o in p if o not in reached]
    return reached == nodes and len(edges) == len(nodes) - 1


def best_value(prizes: Mapping[str, float], costs: Mapping[Pair, float]) -> float:
    """By trying every set of edges."""
    best = max(prizes.values())
    for size in range(1, len(costs) + 1):
        for edges in itertools.combinations(costs, size):
            if is_tree(set(edges)):
                best = max(best, value(set(edges), "", prizes, costs))
    return best


def test_a_tree_by_hand() -> None:
    # a -1- b -1- c, and d hanging on b at a price above its prize.
    prizes = {"a": 5.0, "b": 0.0, "c": 3.0, "d": 1.0}
    costs = {("a", "b"): 1.0, ("b", "c"): 1.0, ("b", "d"): 1.5}
    assert steiner_tree(prizes, costs) == {("a", "b"), ("b", "c")}
    assert steiner_tree(prizes | {"c": 1.0}, costs) == set()
    assert steiner_tree(prizes | {"d": 2.0}, costs) == set(costs)


@st.composite
def weighted(draw: st.DrawFn, cycles: bool) -> tuple[dict[str, float], dict[Pair, float]]:
    n = draw(st.integers(1, 6))
    nodes = [f"n{i}" for i in range(n)]
    prizes = {node: float(draw(st.integers(0, 6))) for node in nodes}
    pairs = {(nodes[draw(st.integers(0, i - 1))], nodes[i]) for i in range(1, n)}
    if cycles:
        every = list(itertools.combinations(nodes, 2))
        pairs |= set(draw(st.lists(st.sampled_from(every), max_size=3))) if every else set()
    return prizes, {pair: float(draw(st.integers(0, 5))) for pair in sorted(pairs)}


@given(weighted(cycles=False))
def test_on_a_tree_nothing_is_better(drawn: tuple[dict[str, float], dict[Pair, float]]) -> None:
    prizes, costs = drawn
    tree = steiner_tree(prizes, costs)
    assert is_tree(tree)
    start = max(prizes, key=lambda node: prizes[node])
    assert value(tree, start, prizes, costs) == best_value(prizes, costs)


@given(weighted(cycles=True))
def test_elsewhere_it_is_a_tree_worth_more_than_any_node(
    drawn: tuple[dict[str, float], dict[Pair, float]],
) -> None:
    prizes, costs = drawn
    tree = steiner_tree(prizes, costs)
    assert tree <= set(costs)
    assert is_tree(tree)
    start = max(prizes, key=lambda node: prizes[node])
    found = value(tree, start, prizes, costs)
    assert max(prizes.values()) <= found <= best_value(prizes, costs)


def test_unconnected_parts_have_a_tree_each() -> None:
    prizes = {"a": 2.0, "b": 2.0, "x": 2.0, "y": 2.0}
    costs = {("a", "b"): 1.0, ("x", "y"): 1.0}
    assert steiner_tree(prizes, costs) == set(costs)
