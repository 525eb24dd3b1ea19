"""Neighbours: grouped facts, rank by evidence and specificity, filters, pages, denials apart."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import given, settings

from data.errors import BadInput, UnknownTerm
from kg.embedded import EmbeddedGraph
from kg.neighbours import neighbourhood
from kg.readers.source import Loaded
from kg.storage.build import build
from kg.support import (
    EVIDENCE_CLASSES,
    Specificity,
    evidence_class,
    evidence_codes,
    relation,
    strength,
)
from kg.terms import (
    ECO,
    ENABLES,
    GENE_DISEASE,
    INTERACTS_WITH,
    INVOLVED_IN,
    MARKER_OF,
    MENTIONS,
    PREDICATES,
    Category,
    Edge,
    Release,
    Term,
)
from tests.immune import annotation, immune_graph
from tests.strategies import graphs

CD8A = "HGNC:1706"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGraph]:
    with immune_graph(tmp_path_factory.mktemp("immune")) as opened:
        yield opened


def test_rows_of_one_fact_are_one_neighbour_with_every_row(graph: EmbeddedGraph) -> None:
    found = neighbourhood(graph, CD8A)
    (surface,) = [n for n in found.neighbours if n.term.id == "GO:0009897"]
    assert [edge.evidence_code for edge in surface.edges] == ["IDA", "IBA"]
    assert surface.publications == ("PMID:17213291", "PMID:21873635")
    assert surface.edge.evidence_code == "IDA"
    assert {edge.release for edge in surface.edges} == {"2019-01-14"}


def test_what_is_denied_is_no_neighbour(graph: EmbeddedGraph) -> None:
    found = neighbourhood(graph, CD8A)
    assert "GO:0007613" not in [n.term.id for n in found.neighbours]
    (denied,) = found.negated
    assert (denied.term.id, denied.negated, denied.relation) == (
        "GO:0007613",
        True,
        "not involved in",
    )


def test_strong_evidence_for_a_narrow_term_comes_first(graph: EmbeddedGraph) -> None:
    order = [n.term.id for n in neighbourhood(graph, CD8A).neighbours]
    # A direct assay of a leaf, before an assay of a broad function, before what software says.
    assert order[0] == "GO:0009897"
    assert order.index("GO:0005515") < order.index("GO:0042288")


def test_a_hub_gains_nothing_by_its_degree(tmp_path: Path) -> None:

    genes = [Term(f"HGNC:{i}", f"G{i}", Category.GENE, "HGNC", "1") for i in range(1, 40)]
    release = Release("HGNC", "1")
    lone = Edge("HGNC:1", INTERACTS_WITH, "HGNC:2", "HGNC", "1", "IPI", ("PMID:1",))
    hub = [
        Edge(f"HGNC:{i}", INTERACTS_WITH, "HGNC:3", "HGNC", "1", "IPI", ("PMID:1",))
        for i in range(4, 40)
    ]
    to_hub = Edge("HGNC:1", INTERACTS_WITH, "HGNC:3", "HGNC", "1", "IPI", ("PMID:1",))
    build(tmp_path / "g.sqlite", [Loaded(release, genes, [lone, to_hub, *hub])])
    with EmbeddedGraph.open(tmp_path / "g.sqlite") as small:
        scores = {n.term.id: n.score for n in neighbourhood(small, "HGNC:1").neighbours}
    assert scores["HGNC:2"] == scores["HGNC:3"]


def test_a_marker_told_by_many_sources_is_stronger_than_one_told_by_one() -> None:
    def marker(weight: float) -> Edge:
        return Edge("HGNC:1", MARKER_OF, "CL:1", "celloquy-markers", "1", weight=weight)

    assert strength(marker(1)) == 0.45  # one source
    assert strength(marker(1)) < strength(marker(2)) < strength(marker(20)) < 0.85


@pytest.mark.parametrize(
    ("weaker", "stronger"),
    [("IEA", "ISS"), ("ISS", "IBA"), ("IBA", "TAS"), ("TAS", "IDA"), ("HDA", "IDA"), ("ND", "IEA")],
)
def test_classes_of_evidence_in_order(weaker: str, stronger: str) -> None:
    def of(code: str) -> float:
        return strength(annotation("HGNC:1", INVOLVED_IN, "GO:1", code))

    assert of(weaker) < of(stronger)


def test_derived_and_outdated_statements_are_weak() -> None:
    derived = Edge("GO:1", MENTIONS, "CL:1", "derived-labels", "1")
    outdated = annotation("HGNC:1", INVOLVED_IN, "GO:1", "IDA", qualifiers=("obsolete_term",))
    assert strength(derived) == 0.2
    assert strength(outdated) == 0.5


def test_every_code_of_gene_ontology_has_a_class() -> None:
    coded = [code for codes in EVIDENCE_CLASSES.values() for code in codes]
    assert sorted(coded) == sorted(ECO)
    assert {evidence_class(code) for code in ECO} == set(EVIDENCE_CLASSES)


def test_negative_markers_are_facts_of_their_own(graph: EmbeddedGraph) -> None:
    words = {
        (n.term.id, n.relation)
        for n in neighbourhood(graph, CD8A, relations=[MARKER_OF]).neighbours
    }
    assert words == {("CL:0000625", "marker of"), ("CL:0000624", "negative marker of")}
    (absent,) = [
        n.relation for n in neighbourhood(graph, "CL:0000624", relations=[MARKER_OF]).neighbours
    ]
    assert absent == "has marker (absent)"


def test_filters_and_pages(graph: EmbeddedGraph) -> None:
    everything = neighbourhood(graph, CD8A, limit=None)
    assert everything.total == len(everything.neighbours)
    pages = [neighbourhood(graph, CD8A, limit=3, offset=i) for i in range(0, everything.total, 3)]
    assert [n for page in pages for n in page.neighbours] == list(everything.neighbours)
    assert {page.total for page in pages} == {everything.total}
    enabled = neighbourhood(graph, CD8A, relations=[ENABLES])
    assert {n.predicate for n in enabled.neighbours} == {ENABLES}
    assayed = neighbourhood(graph, CD8A, evidence=evidence_codes(["experimental"]))
    assert {e.evidence_code for n in assayed.neighbours for e in n.edges} <= {"IDA", "IPI"}
    processes = neighbourhood(graph, CD8A, categories=[Category.PROCESS])
    assert [n.term.id for n in processes.neighbours] == ["GO:0042110"]


def test_statements_of_one_species(graph: EmbeddedGraph) -> None:
    def ids(taxon: str | None) -> set[str]:
        found = neighbourhood(graph, "CL:0000623", taxon=taxon, limit=None).neighbours
        return {n.term.id for n in found if n.predicate == MARKER_OF}

    assert ids(None) == {"HGNC:4709", "MGI:109267"}
    assert ids("NCBITaxon:9606") == {"HGNC:4709"}
    assert ids("NCBITaxon:10090") == {"MGI:109267"}
    # What an orthologue is belongs to both.
    human = neighbourhood(graph, CD8A, taxon="NCBITaxon:9606", limit=None)
    assert "MGI:88346" in [n.term.id for n in human.neighbours]


def test_two_hops_say_what_lies_between(graph: EmbeddedGraph) -> None:
    near = neighbourhood(graph, CD8A, limit=None)
    far = neighbourhood(graph, CD8A, hops=2, limit=None)
    assert far.total > near.total
    second = [n for n in far.neighbours if n.hops == 2]
    by_id = {n.term.id: n for n in far.neighbours}
    assert by_id["GO:0046649"].via in (("HGNC:6524",), ("GO:0042110",))
    for neighbour in second:
        between = by_id[neighbour.via[-1]]
        assert neighbour.score < between.score
        assert {neighbour.edge.subject, neighbour.edge.object} == {
            neighbour.term.id,
            between.term.id,
        }
    assert CD8A not in by_id


def test_a_symmetric_relation_is_one_neighbour_from_either_end(graph: EmbeddedGraph) -> None:
    for gene, partner in ((CD8A, "HGNC:6524"), ("HGNC:6524", CD8A)):
        (found,) = neighbourhood(graph, gene, relations=[INTERACTS_WITH]).neighbours
        assert (found.term.id, found.direction) == (partner, "both")


def test_wrong_requests_are_told(graph: EmbeddedGraph) -> None:
    with pytest.raises(UnknownTerm, match="no node HGNC:0"):
        neighbourhood(graph, "HGNC:0")
    for wrong in ({"hops": 4}, {"hops": 0}, {"limit": 0}, {"offset": -1}):
        with pytest.raises(BadInput, match="expected"):
            neighbourhood(graph, CD8A, **wrong)  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="no evidence code"):
        evidence_codes(["XYZ"])
    with pytest.raises(BadInput, match=r"expected one of: .*involved in"):
        relation("likes")


def test_every_relation_is_found_by_id_and_label() -> None:
    for row in PREDICATES.values():
        assert relation(row.id) == row.id
        assert relation(row.label) == row.id
    assert relation("interacts with") == INTERACTS_WITH
    assert relation("marker_of") == MARKER_OF


def test_specificity_of_leaf_and_root(graph: EmbeddedGraph) -> None:
    specificity = Specificity(graph)
    terms = graph.terms(["CL:0000000", "CL:0000542", "CL:0000909", CD8A])
    assert specificity.of(terms["CL:0000909"]) == 1.0
    assert specificity.of(terms["CL:0000000"]) < 0.1
    assert 0.1 < specificity.of(terms["CL:0000542"]) < 1.0
    assert specificity.of(terms[CD8A]) == 0.6


@settings(max_examples=25)
@given(graphs())
def test_every_edge_is_kept_once_and_none_is_turned_around(loaded: list[Loaded]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "g.sqlite"
        build(path, loaded)
        with EmbeddedGraph.open(path) as graph:
            nodes = [term.id for one in loaded for term in one.terms]
            for node in nodes:
                found = neighbourhood(graph, node, limit=None)
                shown = [e for n in (*found.neighbours, *found.negated) for e in n.edges]
                stored = [e for e in graph.edges(node) if e.subject != e.object]
                assert sorted(e.key for e in shown if e.subject != e.object) == sorted(
                    e.key for e in stored
                )
                assert not any(e.negated for n in found.neighbours for e in n.edges)
                assert all(e.negated for n in found.negated for e in n.edges)
                scores = [n.score for n in found.neighbours]
                assert scores == sorted(scores, reverse=True)
                assert all(0.0 <= score <= 1.0 for score in scores)


def test_genes_of_a_disease_that_two_records_name_come_first(tmp_path: Path) -> None:
    """And the reader is told that the table does not tell causes from modifiers."""
    disease = Term("MONDO:0000001", "disease", Category.DISEASE, "MONDO", "1")
    genes = [Term(f"HGNC:{i}", f"G{i}", Category.GENE, "HGNC", "1") for i in (1, 2, 3)]
    records = {"HGNC:1": ("OMIM:1",), "HGNC:2": ("OMIM:1", "ORPHA:2"), "HGNC:3": ("ORPHA:2",)}
    edges = [
        Edge(gene, GENE_DISEASE, disease.id, "HPO", "1", qualifiers=via)
        for gene, via in records.items()
    ]
    build(
        tmp_path / "graph.sqlite",
        [
            Loaded(Release("MONDO", "1"), (disease,)),
            Loaded(Release("HGNC", "1"), tuple(genes)),
            Loaded(Release("HPO", "1"), (), tuple(edges)),
        ],
    )
    with EmbeddedGraph.open(tmp_path / "graph.sqlite") as graph:
        found = neighbourhood(graph, disease.id)
    assert [one.term.id for one in found.neighbours] == ["HGNC:2", "HGNC:1", "HGNC:3"]
    (notice,) = found.notices
    assert "do not tell causes from modifiers" in notice
