"""One suite for every back end: equal answers to every read of the protocol, order included."""

from __future__ import annotations

from itertools import product

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kg.graph import KnowledgeGraph
from kg.readers.source import Loaded
from kg.terms import (
    ENABLES,
    IS_A,
    IS_A_OR_PART_OF,
    MARKER_OF,
    PART_OF,
    REGULATES,
    Category,
    Edge,
    Scope,
    Synonym,
)
from tests.kg.backends import BACKENDS, Opened
from tests.kg.oracle import Oracle
from tests.strategies import GENES, RELEASE, WORDS, graphs, term

PREDICATE_SETS = [
    (),
    (IS_A,),
    (PART_OF,),
    (IS_A, PART_OF),
    (IS_A, PART_OF, IS_A_OR_PART_OF),
    (REGULATES, MARKER_OF),
    ("RO:0009999",),
]
# An example builds a whole graph: fewer of them, and no deadline.
RELAXED = settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.fixture(params=BACKENDS)
def open_with(request: pytest.FixtureRequest) -> Opened:
    opened: Opened = request.param
    return opened


def every_id(loaded: list[Loaded]) -> list[str]:
    return [*sorted({t.id for one in loaded for t in one.terms}), "CL:0", "nonsense"]


@RELAXED
@pytest.mark.parametrize("opened", BACKENDS)
@given(loaded=graphs(), data=st.data())
def test_terms_edges_and_hierarchies_are_those_of_brute_force(
    opened: Opened, loaded: list[Loaded], data: st.DataObject
) -> None:
    oracle = Oracle(loaded)
    ids = every_id(loaded)
    with opened(loaded) as graph:
        assert dict(graph.releases) == oracle.releases
        assert list(graph.stats()) == oracle.stats()
        assert graph.terms(ids) == oracle.terms(ids)
        for category, obsolete in product(Category, (False, True)):
            found = graph.terms_of(category, obsolete=obsolete)
            assert list(found) == oracle.terms_of(category, obsolete=obsolete)
        for one in ids:
            assert graph.term(one) == oracle.term(one)
            assert list(graph.edges(one)) == oracle.edges(one)
            for predicates in PREDICATE_SETS:
                assert graph.ancestors(one, predicates) == oracle.ancestors(one, predicates)
                assert graph.descendants(one, predicates) == oracle.descendants(one, predicates)
        for predicates in PREDICATE_SETS:
            assert list(graph.triples(predicates)) == oracle.triples(predicates)
        filters = {"evidence": ["IDA"], "taxon": "NCBITaxon:9606"}
        annotations = (ENABLES, MARKER_OF)
        for some in ({}, {"evidence": ["IDA", "IEA"]}, {"taxon": "NCBITaxon:9606"}, filters):
            assert list(graph.triples(annotations, **some)) == oracle.triples(annotations, **some)
        for _ in range(4):
            _same_within(graph, oracle, ids, data)
        for _ in range(12):
            _same_edges(graph, oracle, ids, data)


def _same_within(
    graph: KnowledgeGraph, oracle: Oracle, ids: list[str], data: st.DataObject
) -> None:
    category = data.draw(st.sampled_from(Category))
    predicates = data.draw(st.sampled_from(PREDICATE_SETS))
    assert graph.count_terms(category) == oracle.count_terms(category)
    counted = graph.count_descendants(ids, category, predicates)
    assert counted == oracle.count_descendants(ids, category, predicates)
    for codes in ((), ("IDA", "IEA")):
        within = graph.triples(predicates, evidence=codes, within=category)
        assert list(within) == oracle.triples(predicates, evidence=codes, within=category)


def _same_edges(graph: KnowledgeGraph, oracle: Oracle, ids: list[str], data: st.DataObject) -> None:
    node = data.draw(st.sampled_from(ids))
    direction = data.draw(st.sampled_from(["out", "in", "both"]))
    predicates = data.draw(st.sampled_from(PREDICATE_SETS))
    filters = {
        "categories": data.draw(st.sets(st.sampled_from([Category.GENE, Category.CELL_TYPE]))),
        "evidence": data.draw(st.sets(st.sampled_from(["IDA", "IEA", "XXX"]))),
        "limit": data.draw(st.sampled_from([None, 0, 1, 3])),
        "offset": data.draw(st.integers(0, 3)),
    }
    mine = graph.edges(node, direction=direction, predicates=predicates, **filters)
    assert list(mine) == oracle.edges(node, direction=direction, predicates=predicates, **filters)
    counted = graph.count_edges(node, direction=direction, predicates=predicates)
    assert counted == oracle.count_edges(node, direction=direction, predicates=predicates)
    other = data.draw(st.sampled_from(ids))
    assert list(graph.edges_between(node, other)) == oracle.edges_between(node, other)


@RELAXED
@pytest.mark.parametrize("opened", BACKENDS)
@given(loaded=graphs(), data=st.data())
def test_names_are_found_as_by_brute_force(
    opened: Opened, loaded: list[Loaded], data: st.DataObject
) -> None:
    oracle = Oracle(loaded)
    keys = [*sorted({e.key for e in oracle.names}), "no such key", ""]
    words = st.sampled_from([*WORDS, "kil", "c", "zz", "_0", '"', "AND", "cd8"])
    with opened(loaded) as graph:
        found = graph.lookup(keys)
        assert {key: list(some) for key, some in found.items()} == oracle.lookup(keys)
        for _ in range(12):
            some = st.lists(words, max_size=4).map(" ".join)
            text = data.draw(some | st.text(max_size=12))
            categories = data.draw(st.sets(st.sampled_from([Category.GENE, Category.CELL_TYPE])))
            limit = data.draw(st.integers(1, 6))
            mine = graph.search(text, categories=categories, limit=limit)
            assert list(mine) == oracle.search(text, categories=categories, limit=limit)


def test_provenance_comes_back_as_it_went_in(open_with: Opened) -> None:
    edge = Edge(
        subject="HGNC:1",
        predicate=ENABLES,
        object="CL:0000001",
        source="HGNC",
        release="2024-02",
        evidence_code="IDA",
        publications=("PMID:20", "PMID:3", "PMID:100"),
        negated=False,
        qualifiers=("contributes_to", "a b"),
        taxon="NCBITaxon:9606",
        weight=0.125,
    )
    loaded = [
        Loaded(RELEASE, [term("CL:0000001")]),
        Loaded(GENES, [term("HGNC:1")], [edge]),
    ]
    with open_with(loaded) as graph:
        assert list(graph.edges("HGNC:1")) == [edge]
        assert list(graph.edges("CL:0000001")) == [edge]
        assert graph.edges_between("HGNC:1", "CL:0000001")[0].key == edge.key
        assert list(graph.edges_between("CL:0000001", "HGNC:1")) == []


def test_a_not_annotation_stays_one_and_is_never_walked(open_with: Opened) -> None:
    no = Edge("CL:0000002", IS_A, "CL:0000001", "CL", "v1", negated=True)
    with open_with([Loaded(RELEASE, [term("CL:0000001"), term("CL:0000002")], [no])]) as graph:
        assert list(graph.edges("CL:0000002")) == [no]
        assert graph.edges("CL:0000002")[0].negated
        assert graph.ancestors("CL:0000002") == {"CL:0000002": 0}
        assert graph.descendants("CL:0000001") == {"CL:0000001": 0}


def test_obsolete_terms_keep_what_replaces_them_and_what_to_consider(open_with: Opened) -> None:
    gone = term(
        "CL:0000002",
        obsolete=True,
        replaced_by="CL:0000001",
        consider=("CL:0000003", "PO:0000079"),
        synonyms=(Synonym("old name", Scope.RELATED),),
    )
    with open_with([Loaded(RELEASE, [term("CL:0000001"), gone])]) as graph:
        assert graph.term("CL:0000002") == gone
        assert [t.id for t in graph.terms_of(Category.CELL_TYPE)] == ["CL:0000001"]
        both = graph.terms_of(Category.CELL_TYPE, obsolete=True)
        assert [t.id for t in both] == ["CL:0000001", "CL:0000002"]
        assert graph.lookup(["old name"])["old name"][0].id == "CL:0000002"


def test_an_edge_given_twice_is_one_edge(open_with: Opened) -> None:
    edge = Edge("CL:0000002", IS_A, "CL:0000001", "CL", "v1")
    with open_with(
        [Loaded(RELEASE, [term("CL:0000001"), term("CL:0000002")], [edge, edge])]
    ) as graph:
        assert graph.count_edges("CL:0000001") == 1


def test_a_cycle_ends(open_with: Opened) -> None:
    ids = ["CL:0000001", "CL:0000002", "CL:0000003"]
    pairs = [(0, 1), (1, 2), (2, 0)]
    edges = [Edge(ids[a], IS_A, ids[b], "CL", "v1") for a, b in pairs]
    with open_with([Loaded(RELEASE, [term(one) for one in ids], edges)]) as graph:
        assert graph.ancestors(ids[0]) == {ids[0]: 0, ids[1]: 1, ids[2]: 2}
        assert graph.descendants(ids[0]) == {ids[0]: 0, ids[2]: 1, ids[1]: 2}


def test_a_loop_is_counted_once(open_with: Opened) -> None:
    loop = Edge("CL:0000001", REGULATES, "CL:0000001", "CL", "v1")
    with open_with([Loaded(RELEASE, [term("CL:0000001")], [loop])]) as graph:
        for direction in ("out", "in", "both"):
            assert list(graph.edges("CL:0000001", direction=direction)) == [loop]
            assert graph.count_edges("CL:0000001", direction=direction) == 1


def test_search_puts_the_closest_name_first(open_with: Opened) -> None:
    labels = {
        "CL:0000001": "natural killer T cell",
        "CL:0000002": "killer cell",
        "CL:0000003": "killing",
        "CL:0000004": "cell",
    }
    terms = [term(one, label=label) for one, label in labels.items()]
    terms.append(term("CL:0000005", label="killer", obsolete=True))
    with open_with([Loaded(RELEASE, terms)]) as graph:
        assert _texts(graph, "killer") == ["killer cell", "natural killer T cell", "killer"]
        assert _texts(graph, "kill")[0] == "killing"
        # "cell" and "killer" begin words of three names each: the first by alphabet is tried.
        assert _texts(graph, "killers of cells") == ["killer cell", "natural killer T cell", "cell"]
        assert _texts(graph, "zebra") == []


def _texts(graph: KnowledgeGraph, text: str) -> list[str]:
    return [entry.text for entry in graph.search(text)]
