"""Similarities: values worked by hand, brute force on random DAGs, and nxontology on real CL."""

from __future__ import annotations

import json
import math
import random

import networkx
import numpy as np
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st
from nxontology import NXOntology
from nxontology.similarity import SimilarityIC

from data import sources
from data.errors import UnknownTerm
from kg.embedded import EmbeddedGraph
from kg.measures.gene_graph import annotated, frequencies, jaccard_graph, nearest
from kg.measures.pagerank import PageRank, levels
from kg.measures.similarity import Similarity
from kg.measures.wang import Wang
from kg.readers.cellxgene import PART_OF_PAIRS
from kg.readers.source import Loaded
from kg.terms import ENABLES, IS_A, LOCATED_IN, PART_OF, Category, Edge
from tests.kg.oracle import Oracle
from tests.strategies import GENES, RELEASE, Dag, dags, term

# Five terms: R above A and B, A above C and D, B above C.
#     descendants, the term included: R 5, A 3, B 2, C 1, D 1
HAND = Dag(
    ("CL:R", "CL:A", "CL:B", "CL:C", "CL:D"),
    (
        ("CL:A", "CL:R"),
        ("CL:B", "CL:R"),
        ("CL:C", "CL:A"),
        ("CL:C", "CL:B"),
        ("CL:D", "CL:A"),
    ),
)
MEASURES = ("resnik", "lin", "jiang_conrath", "jaccard")


@pytest.fixture(scope="module")
def hand() -> Oracle:
    return Oracle([HAND.loaded()])


def test_information_content_by_hand(hand: Oracle) -> None:
    similarity = Similarity.of(hand)
    expected = {
        "CL:R": 0.0,
        "CL:A": math.log(5 / 3),
        "CL:B": math.log(5 / 2),
        "CL:C": math.log(5),
        "CL:D": math.log(5),
    }
    assert similarity.contents == pytest.approx(expected)
    assert similarity.information_content("CL:A") == pytest.approx(0.5108256)


def test_measures_by_hand(hand: Oracle) -> None:
    similarity = Similarity.of(hand)
    assert similarity.mica("CL:C", "CL:D") == "CL:A"
    assert similarity.resnik("CL:C", "CL:D") == pytest.approx(math.log(5 / 3))
    # 2 ln(5/3) / (2 ln 5)
    assert similarity.lin("CL:C", "CL:D") == pytest.approx(0.3173938)
    # 1 / (1 + 2 ln 5 - 2 ln(5/3)) = 1 / (1 + 2 ln 3)
    assert similarity.jiang_conrath("CL:C", "CL:D") == pytest.approx(1 / (1 + 2 * math.log(3)))
    # {A, R} of {A, B, C, D, R}
    assert similarity.jaccard("CL:C", "CL:D") == pytest.approx(2 / 5)
    assert similarity.lin("CL:R", "CL:R") == 1.0
    assert similarity.resnik("CL:A", "CL:B") == 0.0


def test_content_from_annotations_by_hand(hand: Oracle) -> None:
    # With one added to each: R 1, A 1, B 1, C 4, D 2, in all 9; at or below A: 1 + 4 + 2.
    similarity = Similarity.of(hand, annotations={"CL:C": 3, "CL:D": 1, "CL:other": 50})
    assert similarity.information_content("CL:A") == pytest.approx(math.log(9 / 7))
    assert similarity.information_content("CL:B") == pytest.approx(math.log(9 / 5))
    assert similarity.resnik("CL:C", "CL:D") == pytest.approx(math.log(9 / 7))
    # Half a count added to each: 3.5 of 6.5 at C, and 3.5 + .5 at B.
    half = Similarity.of(hand, annotations={"CL:C": 3, "CL:D": 1}, pseudocount=0.5)
    assert half.information_content("CL:B") == pytest.approx(math.log(6.5 / 4))
    # With no annotations it is the structural content.
    assert Similarity.of(hand, annotations={}).contents == Similarity.of(hand).contents
    with pytest.raises(ValueError, match="more than 0"):
        Similarity.of(hand, pseudocount=0.0)


def test_wang_by_hand(hand: Oracle) -> None:
    wang = Wang.of(hand)
    assert wang.semantic_values("CL:C") == pytest.approx(
        {"CL:C": 1.0, "CL:A": 0.8, "CL:B": 0.8, "CL:R": 0.64}
    )
    # shared: A .8 + .8, R .64 + .64; sums 3.24 and 2.44
    assert wang.similarity("CL:C", "CL:D") == pytest.approx(2.88 / 5.68)
    assert wang.similarity("CL:D", "CL:D") == pytest.approx(1.0)


def test_wang_takes_the_best_way_and_weighs_part_of_less() -> None:
    ids = ("CL:R", "CL:A", "CL:C")
    edges = [
        Edge("CL:C", PART_OF, "CL:R", "CL", "v1"),
        Edge("CL:C", IS_A, "CL:A", "CL", "v1"),
        Edge("CL:A", IS_A, "CL:R", "CL", "v1"),
        Edge("CL:C", PART_OF, "CL:A", "CL", "v1"),
    ]
    wang = Wang.of(Oracle([Loaded(RELEASE, [term(one) for one in ids], edges)]))
    # .8 * .8 over A beats part of at .6; is a at .8 beats the parallel part of.
    assert wang.semantic_values("CL:C") == pytest.approx({"CL:C": 1, "CL:A": 0.8, "CL:R": 0.64})


def test_pagerank_of_two_terms_by_hand() -> None:
    # pi = (1 - d) (1 + d^2 + d^4 + ...) = 1 / (1 + d) at the start, d / (1 + d) at the other
    rank = PageRank(("a", "b", "c"), [("a", "b"), ("b", "a"), ("b", "b")], damping=0.9)
    assert rank.row("a") == pytest.approx([1 / 1.9, 0.9 / 1.9, 0.0])
    assert rank.row("c") == pytest.approx([0.0, 0.0, 1.0])
    assert rank.proximity("a", "b") == pytest.approx(0.9)
    with pytest.raises(ValueError, match="between 0 and 1"):
        PageRank(("a",), [], damping=1.0)


def test_levels_by_hand() -> None:
    # 5000 + 1 is between 2^12 and 2^13; 4 + 1 between 2^2 and 2^3; 3 + 1 is 2^2; 1 + 1 is 2^1
    values = np.array([[0.5, 4e-4], [3.0000001e-4, 1e-4], [9.9e-5, 0.0]])
    assert levels(values).tolist() == [[12, 2], [2, 1], [1, 1]]


@settings(deadline=None)
@given(dags())
def test_blocks_equal_pairs_and_brute_force(dag: Dag) -> None:
    graph = Oracle([dag.loaded()])
    similarity = Similarity.of(graph)
    above = {one: set(graph.ancestors(one)) for one in dag.ids}
    size = {one: sum(one in above[x] for x in dag.ids) for one in dag.ids}
    content = {one: -math.log(size[one] / len(dag.ids)) for one in dag.ids}
    blocks = {measure: similarity.block(measure) for measure in MEASURES}
    for i, a in enumerate(similarity.ids):
        for j, b in enumerate(similarity.ids):
            shared = above[a] & above[b]
            best = max((content[c] for c in shared), default=0.0)
            mica = min((c for c in shared if content[c] == best), default=None)
            assert similarity.mica(a, b) == mica
            both = content[a] + content[b]
            lin = 0.0 if mica is None else 1.0 if both == 0 else 2 * best / both
            expected = {
                "resnik": best,
                "lin": lin,
                "jiang_conrath": 1 / (1 + both - 2 * best),
                "jaccard": len(shared) / len(above[a] | above[b]),
            }
            for measure in MEASURES:
                assert getattr(similarity, measure)(a, b) == pytest.approx(expected[measure])
                assert blocks[measure][i, j] == pytest.approx(expected[measure])


@settings(deadline=None)
@given(dags(), st.data())
def test_a_block_is_a_part_of_the_whole(dag: Dag, data: st.DataObject) -> None:
    graph = Oracle([dag.loaded()])
    some = st.lists(st.sampled_from(dag.ids), min_size=1, max_size=4)
    rows, columns = data.draw(some), data.draw(some)
    similarity, wang = Similarity.of(graph), Wang.of(graph)
    at = [similarity.ids.index(one) for one in rows], [similarity.ids.index(o) for o in columns]
    for measure in MEASURES:
        whole = similarity.block(measure)[np.ix_(*at)]
        assert similarity.block(measure, rows, columns) == pytest.approx(whole)
    assert wang.block(rows, columns) == pytest.approx(wang.block()[np.ix_(*at)])
    assert wang.block(rows, columns)[0, 0] == pytest.approx(wang.similarity(rows[0], columns[0]))


@settings(deadline=None)
@given(dags(), st.floats(0.1, 0.95))
def test_pagerank_is_where_networkx_converges(dag: Dag, damping: float) -> None:
    rank = PageRank.of(Oracle([dag.loaded()]), damping=damping)
    graph = networkx.Graph(dag.edges)
    graph.add_nodes_from(dag.ids)
    assert rank.matrix.sum(axis=1) == pytest.approx(1.0)
    for one in dag.ids:
        found = networkx.pagerank(
            graph, alpha=damping, personalization={one: 1}, tol=1e-13, max_iter=5000
        )
        assert rank.row(one) == pytest.approx([found[other] for other in rank.ids], abs=1e-10)


def test_an_unknown_term_is_named(hand: Oracle) -> None:
    for compare in (Similarity.of(hand).lin, Wang.of(hand).similarity, PageRank.of(hand).proximity):
        with pytest.raises(UnknownTerm, match="CL:X is none of the 5 terms"):
            compare("CL:X", "CL:A")


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from([f"HGNC:{n}" for n in range(12)]),
        st.frozensets(st.integers(0, 11).map(lambda n: f"GO:{n}"), max_size=11),
        max_size=12,
    ),
    st.sampled_from([0.0, 0.1, 0.25, 0.5]),
)
def test_the_gene_graph_has_every_pair_above_the_threshold(
    sets: dict[str, frozenset[str]], threshold: float
) -> None:
    genes, matrix = jaccard_graph(sets, threshold)
    dense = matrix.toarray()
    for i, one in enumerate(genes):
        for j, other in enumerate(genes):
            union = len(sets[one] | sets[other])
            index = len(sets[one] & sets[other]) / union if union and i != j else 0.0
            assert dense[i, j] == pytest.approx(index if index > threshold else 0.0)
    for gene, others in nearest(genes, matrix, k=2).items():
        row = sorted((-dense[genes.index(gene), genes.index(o)], o) for o in genes if o != gene)
        assert [o for o, _ in others] == [o for value, o in row if value < 0][:2]


def test_many_terms_of_many_genes_are_counted_as_few_are(monkeypatch: pytest.MonkeyPatch) -> None:
    chance = random.Random(3)
    sets = {
        f"HGNC:{n}": frozenset(chance.sample([f"GO:{t}" for t in range(30)], chance.randint(1, 9)))
        for n in range(60)
    }
    genes, plain = jaccard_graph(sets, 0.2)
    monkeypatch.setattr("kg.measures.gene_graph.COMMON", 5)
    monkeypatch.setattr("kg.measures.gene_graph.ROWS", 7)
    again, blocked = jaccard_graph(sets, 0.2)
    assert again == genes
    assert (blocked.toarray() == plain.toarray()).all()


def test_a_term_is_as_frequent_as_it_annotates_genes(hand: Oracle) -> None:
    counts = frequencies(
        {"HGNC:1": {"CL:C", "CL:D"}, "HGNC:2": ["CL:C", "CL:C"], "HGNC:3": {"CL:C"}}
    )
    assert counts == {"CL:C": 3, "CL:D": 1}
    # The example worked by hand above.
    content = Similarity.of(hand, annotations=counts).information_content("CL:A")
    assert content == pytest.approx(math.log(9 / 7))


def test_annotated_terms_leave_out_not_and_other_species() -> None:
    go = [
        term("GO:1", category=Category.FUNCTION),
        term("GO:2", category=Category.COMPONENT),
    ]
    human = {"source": "HGNC", "release": "2024-02", "taxon": "NCBITaxon:9606"}
    edges = [
        Edge("HGNC:1", ENABLES, "GO:1", **human),
        Edge("HGNC:1", ENABLES, "GO:1", evidence_code="IDA", **human),
        Edge("HGNC:1", LOCATED_IN, "GO:2", **human, negated=True),
        Edge("HGNC:2", LOCATED_IN, "GO:2", "HGNC", "2024-02", taxon="NCBITaxon:10090"),
    ]
    graph = Oracle([Loaded(RELEASE, go), Loaded(GENES, [term("HGNC:1"), term("HGNC:2")], edges)])
    assert annotated(graph, "NCBITaxon:9606") == {"HGNC:1": {"GO:1"}}
    assert annotated(graph) == {"HGNC:1": {"GO:1"}, "HGNC:2": {"GO:2"}}
    assert annotated(graph, evidence=["IDA"]) == {"HGNC:1": {"GO:1"}}


@pytest.mark.assets
def test_a_thousand_random_pairs_of_the_cell_ontology_equal_nxontology() -> None:
    """nxontology's intrinsic_ic is ln n - ln descendants, the structural content here."""
    with sources.path("cl").open("rb") as stream:
        raw = json.load(zstandard.ZstdDecompressor().stream_reader(stream))
    reference: NXOntology[str] = NXOntology()
    active = sorted(one for one, entry in raw.items() if not entry["deprecated"])
    for one in active:
        reference.add_node(one)
    for one in active:
        for other, distance in raw[one]["ancestors"].items():
            if distance == 1 and (one, other) not in PART_OF_PAIRS:
                reference.graph.add_edge(other, one)
    reference.freeze()
    with EmbeddedGraph.open() as graph:
        similarity = Similarity.of(graph)
    assert similarity.ids == tuple(active)
    chance = random.Random(11)
    for _ in range(1000):
        a, b = chance.choice(active), chance.choice(active)
        theirs = SimilarityIC(reference, a, b, ic_metric="intrinsic_ic")
        assert abs(similarity.information_content(a) - theirs.node_0_ic) < 1e-9
        assert abs(similarity.resnik(a, b) - theirs.resnik) < 1e-9
        assert abs(similarity.lin(a, b) - theirs.lin) < 1e-9
        assert abs(similarity.jiang_conrath(a, b) - theirs.jiang) < 1e-9
        assert abs(similarity.jaccard(a, b) - theirs.batet) < 1e-9
