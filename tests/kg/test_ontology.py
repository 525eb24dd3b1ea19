"""Ontology mathematics against brute force on random DAGs, and against the raw Cell Ontology."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path as File

import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from data import sources
from data.errors import BadInput, UnknownTerm
from kg import ontology
from kg.embedded import EmbeddedGraph
from kg.readers.source import Loaded
from kg.terms import IS_A, IS_A_OR_PART_OF, PART_OF, Edge, Path
from tests.kg.oracle import Oracle
from tests.strategies import RELEASE, Dag, dags, term


def walks(dag: Dag, lower: str, upper: str) -> Iterator[tuple[str, ...]]:
    """Every way up, by trying them all."""
    if lower == upper:
        yield (lower,)
    for parent in dag.parents(lower):
        for rest in walks(dag, parent, upper):
            yield (lower, *rest)


def above(dag: Dag, one: str) -> set[str]:
    return {other for other in dag.ids if any(True for _ in walks(dag, one, other))}


@st.composite
def dags_with_two(draw: st.DrawFn) -> tuple[Dag, Oracle, str, str]:
    dag = draw(dags())
    ends = st.sampled_from(dag.ids)
    return dag, Oracle([dag.loaded()]), draw(ends), draw(ends)


@settings(deadline=None)
@given(dags_with_two())
def test_paths_up_are_all_ways_and_the_shortest_is_one_of_them(
    given_: tuple[Dag, Oracle, str, str],
) -> None:
    dag, graph, lower, upper = given_
    ways = sorted(walks(dag, lower, upper))
    found = [path.nodes for path in ontology.all_paths_up(graph, lower, upper)]
    assert sorted(found) == ways
    shortest = ontology.shortest_path_up(graph, lower, upper)
    assert ontology.is_a(graph, lower, upper) == bool(ways)
    if not ways:
        assert shortest is None
    else:
        assert shortest is not None
        # Of equally short ways the one whose parents come first by id.
        assert shortest.nodes == min(ways, key=lambda way: (len(way), way))


@settings(deadline=None)
@given(dags_with_two())
def test_lowest_common_ancestors_by_definition(given_: tuple[Dag, Oracle, str, str]) -> None:
    dag, graph, a, b = given_
    shared = above(dag, a) & above(dag, b)
    lowest = {one for one in shared if not any(one in above(dag, x) - {x} for x in shared)}
    assert set(ontology.common_ancestors(graph, a, b)) == shared
    assert set(ontology.most_recent_common_ancestors(graph, a, b)) == lowest
    below = {one: sum(one in above(dag, x) for x in dag.ids) for one in shared}
    fewest = min(below.values(), default=0)
    assert ontology.most_informative_common_ancestors(graph, a, b) == sorted(
        one for one in shared if below[one] == fewest
    )


@settings(deadline=None)
@given(dags_with_two())
def test_the_meeting_is_the_nearest_lowest_ancestor_and_its_path_is_real(
    given_: tuple[Dag, Oracle, str, str],
) -> None:
    dag, graph, a, b = given_
    met = ontology.meeting(graph, a, b)
    if met.path is None:
        assert not above(dag, a) & above(dag, b)
        assert met.distance is None
        return

    def hops(one: str, other: str) -> int:
        return min(len(way) - 1 for way in walks(dag, one, other))

    total = {one: hops(a, one) + hops(b, one) for one in met.ancestors}
    assert met.ancestors[0] == min(total, key=lambda one: (total[one], one))
    assert met.distance == total[met.ancestors[0]]
    assert (met.path.nodes[0], met.path.nodes[-1]) == (a, b)
    assert {(edge.subject, edge.object) for edge in met.path.edges} <= set(dag.edges)
    back = ontology.meeting(graph, b, a)
    assert back.path is not None
    assert back.path.nodes == met.path.nodes[::-1]


@settings(deadline=None)
@given(dags_with_two())
def test_depth_is_the_longest_way_to_a_root(given_: tuple[Dag, Oracle, str, str]) -> None:
    dag, graph, one, _ = given_
    longest = max(len(way) - 1 for root in dag.ids for way in walks(dag, one, root))
    assert ontology.depth(graph, one) == longest
    for parent in ontology.parents(graph, one):
        assert ontology.depth(graph, parent) < longest
        assert one in ontology.children(graph, parent)


@settings(deadline=None)
@given(dags_with_two())
def test_ancestors_and_descendants_come_nearest_first(
    given_: tuple[Dag, Oracle, str, str],
) -> None:
    dag, graph, one, other = given_
    up = ontology.ancestors(graph, one)
    assert set(up) == above(dag, one) - {one}
    distance = graph.ancestors(one)
    assert [distance[x] for x in up] == sorted(distance[x] for x in up)
    assert set(ontology.ancestors(graph, one, reflexive=True)) == above(dag, one)
    assert (other in ontology.descendants(graph, one, reflexive=True)) == (one in above(dag, other))


def chain(*edges: tuple[str, str, str], negated: bool = False) -> Oracle:
    ids = sorted({end for a, _, b in edges for end in (a, b)})
    made = [Edge(a, predicate, b, "CL", "v1", negated=negated) for a, predicate, b in edges]
    return Oracle([Loaded(RELEASE, [term(one) for one in ids], made)])


def test_predicates_choose_what_is_walked() -> None:
    graph = chain(
        ("CL:3", IS_A, "CL:2"), ("CL:2", PART_OF, "CL:1"), ("CL:1", IS_A_OR_PART_OF, "CL:0")
    )
    assert ontology.ancestors(graph, "CL:3") == ["CL:2"]
    assert ontology.ancestors(graph, "CL:3", (IS_A, PART_OF)) == ["CL:2", "CL:1"]
    assert ontology.ancestors(graph, "CL:3", ontology.HIERARCHY) == ["CL:2", "CL:1", "CL:0"]
    path = ontology.shortest_path_up(graph, "CL:3", "CL:0", ontology.HIERARCHY)
    assert path is not None
    assert [edge.predicate for edge in path.edges] == [IS_A, PART_OF, IS_A_OR_PART_OF]


def test_a_negated_edge_is_no_step() -> None:
    graph = chain(("CL:2", IS_A, "CL:1"), negated=True)
    assert ontology.parents(graph, "CL:2") == []
    assert ontology.children(graph, "CL:1") == []
    assert ontology.shortest_path_up(graph, "CL:2", "CL:1") is None
    assert list(ontology.all_paths_up(graph, "CL:2", "CL:1")) == []
    assert ontology.depth(graph, "CL:2") == 0


def test_a_cycle_ends_everywhere() -> None:
    graph = chain(("CL:1", IS_A, "CL:2"), ("CL:2", IS_A, "CL:3"), ("CL:3", IS_A, "CL:1"))
    assert ontology.depth(graph, "CL:1") == 2
    assert [p.nodes for p in ontology.all_paths_up(graph, "CL:1", "CL:3")] == [
        ("CL:1", "CL:2", "CL:3")
    ]
    assert len(ontology.most_recent_common_ancestors(graph, "CL:1", "CL:2")) == 3
    assert ontology.meeting(graph, "CL:1", "CL:2").distance == 1


def test_resolve_follows_replacements_with_a_notice_each() -> None:
    terms = [
        term("CL:1", label="a", obsolete=True, replaced_by="CL:2"),
        term("CL:2", label="b", obsolete=True, replaced_by="CL:3"),
        term("CL:3", label="c"),
        term("CL:4", label="d", obsolete=True, consider=("CL:3", "CL:2")),
        term("CL:5", label="e", obsolete=True, replaced_by="CL:6"),
        term("CL:6", label="f", obsolete=True, replaced_by="CL:5"),
        term("CL:7", label="g", obsolete=True, replaced_by="PO:1"),
    ]
    graph = Oracle([Loaded(RELEASE, terms)])
    found = ontology.resolve(graph, "CL_1")
    assert (found.given, found.term.id, found.replaced) == ("CL:1", "CL:3", True)
    assert found.notices == (
        "CL:1 (a) is obsolete in CL v1; its replacement is CL:2 (b)",
        "CL:2 (b) is obsolete in CL v1; its replacement is CL:3 (c)",
    )
    assert ontology.resolve(graph, "CL:3").notices == ()
    assert ontology.resolve(graph, "CL:4").term.id == "CL:4"
    assert ontology.resolve(graph, "CL:4").notices[0].endswith("; consider CL:3, CL:2")
    assert ontology.resolve(graph, "CL:5").term.id == "CL:6"  # a circle of replacements ends
    assert ontology.resolve(graph, "CL:7").notices[0].endswith("; consider PO:1")
    with pytest.raises(UnknownTerm, match=r"no term CL:8 in CL v1"):
        ontology.resolve(graph, "CL:8")
    with pytest.raises(UnknownTerm, match=r"no term XX:8 in any of CL"):
        ontology.resolve(graph, "XX:8")
    with pytest.raises(BadInput, match="expected a CURIE"):
        ontology.resolve(graph, "T cell")


def raw_cell_ontology(file: File) -> dict[str, dict[str, object]]:
    """The file by itself: no reader of Celloquy's in between."""
    with file.open("rb") as stream:
        document = json.load(zstandard.ZstdDecompressor().stream_reader(stream))
    return {one.replace("_", ":"): entry for one, entry in document.items()}


@pytest.mark.assets
def test_every_hop_between_random_cell_types_stands_in_the_raw_file() -> None:
    raw = raw_cell_ontology(sources.path("cl"))
    stated = {
        (one, other.replace("_", ":"))
        for one, entry in raw.items()
        for other, distance in entry["ancestors"].items()  # type: ignore[attr-defined]
        if distance == 1
    }
    active = sorted(one for one, entry in raw.items() if not entry["deprecated"])
    chance = random.Random(7)
    with EmbeddedGraph.open() as graph:
        release = graph.releases["CL"].version
        met = 0
        for _ in range(1000):
            a, b = chance.choice(active), chance.choice(active)
            path = ontology.meeting(graph, a, b).path
            if path is None:
                continue
            met += 1
            for edge in path.edges:
                assert (edge.subject, edge.object) in stated
                assert (edge.source, edge.release) == ("CL", release)
        assert met > 900


@pytest.mark.assets
def test_the_way_from_cd8_t_cell_to_lymphocyte() -> None:
    with EmbeddedGraph.open() as graph:
        path = ontology.shortest_path_up(graph, "CL:0000625", "CL:0000542")
        assert isinstance(path, Path)
        assert path.nodes == (
            "CL:0000625",  # CD8-positive, alpha-beta T cell
            "CL:0000791",  # mature alpha-beta T cell
            "CL:0000789",  # alpha-beta T cell
            "CL:0000084",  # T cell
            "CL:0000542",  # lymphocyte
        )
        assert ontology.shortest_path_up(graph, "CL:0000542", "CL:0000625") is None
