"""Every source at once, from the pinned files: what is in them, counted independently."""

from __future__ import annotations

import gzip
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from data.errors import AssetMissing, BadInput
from kg import terms as t
from kg.embedded import EmbeddedGraph
from kg.readers.catalogue import assets_needed, load_all
from kg.readers.gene_tables import GeneIndex
from kg.readers.source import Loaded
from kg.terms import PREDICATES, Category, is_curie

CELLS = {
    "CL:1": {"label": "cell", "deprecated": False, "ancestors": {}},
    "CL:2": {"label": "T cell", "deprecated": False, "ancestors": {"CL:1": 1}},
    "CL:3": {"label": "obsolete cell", "deprecated": True, "ancestors": {}},
}
OLD = """format-version: 1.2

[Term]
id: CL:1
name: cell

[Term]
id: CL:2
name: T cell
is_a: CL:1
relationship: develops_from CL:1 ! cell
relationship: part_of UBERON:1 ! body

[Term]
id: CL:3
name: lost cell
relationship: develops_from CL:1 ! cell
"""


@pytest.fixture
def small(tmp_path: Path) -> dict[str, Path]:
    import json

    cl = tmp_path / "CL-ontology-v2031-02-03.json"
    cl.write_text(json.dumps(CELLS))
    old = tmp_path / "CellOntology_2014.10.13.obo"
    old.write_text(OLD)
    return {"cl": cl, "cl-2014": old}


def test_what_is_at_hand_is_loaded(small: dict[str, Path]) -> None:
    loaded = list(load_all(small))
    assert [one.release.source for one in loaded] == ["CL", "CL-2014"]
    assert loaded[0].release.licence == "CC BY 4.0"  # of the manifest
    (edge,) = loaded[1].edges
    assert (edge.subject, edge.predicate, edge.object) == ("CL:2", t.DEVELOPS_FROM, "CL:1")
    assert (edge.source, edge.release) == ("CL-2014", "2014-10-13")
    assert not loaded[1].terms
    assert "1 of 2 develops_from statements with an end" in loaded[1].notices[-1]


def test_the_official_file_replaces_the_pinned_one(small: dict[str, Path]) -> None:
    official = small["cl"].with_name("cl.obo")
    official.write_text(OLD.replace("1.2\n", "1.2\ndata-version: releases/2032-01-01\n", 1))
    (cl,) = load_all({**small, "cl-obo": official}, ["CL"])
    assert (cl.release.source, cl.release.version) == ("CL", "2032-01-01")
    assert t.PART_OF in {edge.predicate for edge in cl.edges}
    # It alone is enough, also for the sources that lean on CL.
    names = [one.release.source for one in load_all({"cl-obo": official, **small})]
    assert names == ["CL", "CL-2014"]
    assert [one.release.source for one in load_all({"cl-obo": official})] == ["CL"]


def test_a_partial_official_file_only_adds_relations(small: dict[str, Path]) -> None:
    part = small["cl"].with_name("part.obo")
    part.write_text(
        "format-version: 1.2\ndata-version: 2032-01-01\n\n[Term]\nid: CL:2\nname: T cell\n"
        "is_a: CL:1\nrelationship: capable_of GO:1 ! killing\n"
        "relationship: has_plasma_membrane_part PR:1 ! CD3\n"
    )
    cl, more = load_all({"cl": small["cl"], "cl-obo": part})
    assert (cl.release.version, len(cl.terms)) == ("v2031-02-03", 3)
    assert (more.release.source, more.release.version) == ("CL-OBO", "2032-01-01")
    assert {(e.predicate, e.object, e.source) for e in more.edges} == {
        (t.CAPABLE_OF, "GO:1", "CL-OBO"),
        (t.HAS_PLASMA_MEMBRANE_PART, "PR:1", "CL-OBO"),
    }
    assert [(term.id, term.label) for term in more.terms] == [("PR:1", "CD3")]


def test_names_that_are_wrong_or_lacking(small: dict[str, Path]) -> None:
    with pytest.raises(BadInput, match=r"no source is named 'CLX'; one of: CL, "):
        list(load_all(small, ["CLX"]))
    with pytest.raises(AssetMissing, match=r"run: celloquy data fetch gaf-human hgnc go"):
        list(load_all(small, ["GOA-human"]))
    assert assets_needed(["derived-labels"]) == ("cl", "go")
    assert not {"hpo-diseases", "cl-obo"} & set(assets_needed())


@pytest.fixture(scope="module")
def everything() -> Iterator[dict[str, Loaded]]:
    """All sources of the pinned files that are not optional, read once."""
    from data import sources

    paths = {name: sources.path(name) for name in assets_needed()}
    yield {loaded.release.source: loaded for loaded in load_all(paths)}


EDGES = {
    ("CL", "is a"): 4_630,
    ("CL", "part of"): 3,
    ("UBERON", "is a or part of"): 31_692,
    ("MONDO", "is a"): 41_908,
    ("GO", "is a"): 70_759,
    ("GO", "part of"): 7_066,
    ("GO", "regulates"): 3_209,
    ("GO", "negatively regulates"): 2_763,
    ("GO", "positively regulates"): 2_752,
    ("HGNC", "orthologous to"): 24_607,
    ("GOA-human", "enables"): 113_415,
    ("GOA-human", "located in"): 97_429,
    ("GOA-human", "involved in"): 153_524,
    ("GOA-human", "colocalizes with"): 1_534,
    ("GOA-human", "contributes to"): 1_529,
    ("GOA-human", "molecularly interacts with"): 43_079,
    ("GOA-mouse", "enables"): 91_575,
    ("GOA-mouse", "involved in"): 177_954,
    ("GOA-mouse", "located in"): 107_432,
    ("GOA-mouse", "colocalizes with"): 1_973,
    ("GOA-mouse", "contributes to"): 1_702,
    ("GOA-mouse", "molecularly interacts with"): 8_237,
    ("HCOP", "orthologous to"): 64_755,
    ("HPO", "associated with condition"): 10_172,
    ("liana", "molecularly interacts with"): 7_105,
    ("derived-labels", "mentions"): 3_388,
    ("CL-2014", "develops from"): 399,
}
"""Of the pinned files. Those of the ontologies are line counts of the raw files; those of tables
are what is left after the notices (repeated rows, genes without a current entry)."""


@pytest.mark.assets
def test_edges_by_source_and_predicate() -> None:
    """In the built graph: nothing that a reader gave was refused there."""
    counts: Counter[tuple[str, str]] = Counter()
    with EmbeddedGraph.open() as graph:
        for one in graph.stats():
            if one.kind == "edge":
                counts[one.source, PREDICATES[one.type].label] += one.n
    assert {key: n for key, n in counts.items() if key[0] != "celloquy-markers"} == EDGES
    assert counts["celloquy-markers", "marker of"] > 10_000


@pytest.mark.slow
@pytest.mark.assets
def test_readers_give_what_the_built_graph_holds(everything: dict[str, Loaded]) -> None:
    counts = {
        (source, PREDICATES[predicate].label): n
        for source, loaded in everything.items()
        for predicate, n in Counter(edge.predicate for edge in loaded.edges).items()
    }
    assert {key: n for key, n in counts.items() if key[0] != "celloquy-markers"} == EDGES


@pytest.mark.slow
@pytest.mark.assets
def test_every_edge_is_in_order(everything: dict[str, Loaded]) -> None:
    """Known ends, closed predicates, own release, PMIDs that are PMIDs, keys of their own."""
    known = {term.id for loaded in everything.values() for term in loaded.terms}
    for source, loaded in everything.items():
        assert loaded.release.version not in ("", "unknown"), source
        lost = [e for e in loaded.edges if e.subject not in known or e.object not in known]
        assert not lost, (source, lost[:3])
        for edge in loaded.edges:
            assert edge.predicate in PREDICATES
            assert (edge.source, edge.release) == (source, loaded.release.version)
            assert all(pmid[5:].isdigit() and pmid[:5] == "PMID:" for pmid in edge.publications)
            assert edge.evidence_code is None or edge.evidence_code in t.ECO
        assert len(set(loaded.edges)) == len(loaded.edges), source


@pytest.mark.slow
@pytest.mark.assets
def test_every_term_is_in_order(everything: dict[str, Loaded]) -> None:
    owners: dict[str, str] = {}
    for source, loaded in everything.items():
        assert len({term.id for term in loaded.terms}) == len(loaded.terms), source
        for term in loaded.terms:
            assert is_curie(term.id)
            assert term.label
            assert (term.source, term.release) == (source, loaded.release.version)
            assert owners.setdefault(term.id, source) == source or source.startswith("GOA")
    assert Counter(owners.values())["CL"] == 3_596


@pytest.mark.slow
@pytest.mark.assets
def test_phenotypes_when_asked_for() -> None:
    from data import sources

    paths = {name: sources.path(name) for name in assets_needed(["HPO-phenotypes"])}
    (loaded,) = load_all(paths, ["HPO-phenotypes"])
    counts = Counter(edge.predicate for edge in loaded.edges)
    assert counts == {t.IS_A: 23_392, t.HAS_PHENOTYPE: 253_990}
    assert len(loaded.terms) == 22_929
    terms = {term.id for term in loaded.terms}
    assert all(e.object in terms for e in loaded.edges if e.predicate == t.HAS_PHENOTYPE)


@pytest.mark.assets
def test_gene_ontology_in_full() -> None:
    """Counts of the raw file: 47,261 stanzas, 70,759 is_a, 15,790 relationships, 3,496 alt_id."""
    from data import sources

    (loaded,) = load_all({name: sources.path(name) for name in assets_needed(["GO"])}, ["GO"])
    assert loaded.release.version == "2021-12-15"
    counts = Counter(edge.predicate for edge in loaded.edges)
    assert counts == {
        t.IS_A: 70_759,
        t.PART_OF: 7_066,
        t.REGULATES: 3_209,
        t.NEGATIVELY_REGULATES: 2_763,
        t.POSITIVELY_REGULATES: 2_752,
    }
    assert not loaded.notices
    primary = [term for term in loaded.terms if term.definition]
    assert len(primary) == 47_261
    assert len(loaded.terms) - len(primary) == 3_496
    cited = [x for x in primary if any(ref.startswith("PMID:") for ref in x.definition_xrefs)]
    assert len(cited) == 14_552
    assert sum(term.obsolete for term in primary) == 3_472
    by_id = {term.id: term for term in loaded.terms}
    assert by_id["GO:0042110"].category is Category.PROCESS
    assert by_id["GO:0003824"].category is Category.FUNCTION
    assert by_id["GO:0005634"].category is Category.COMPONENT


@pytest.mark.slow
@pytest.mark.assets
def test_human_annotations_in_full(everything: dict[str, Loaded]) -> None:
    """Numbers of the raw file: rows, NOT rows, PMIDs of the others, alternative, obsolete ids."""
    from data import sources

    loaded = everything["GOA-human"]
    said = "\n".join(loaded.notices)
    assert loaded.release.version == "2019-01-14"
    assert "475402 rows read" in said
    assert "4618 rows with an alternative GO id" in said
    assert "1749 rows with an obsolete GO term" in said
    annotations = [e for e in loaded.edges if e.predicate != t.INTERACTS_WITH]
    positive = [e for e in annotations if not e.negated]
    assert len({pmid for edge in positive for pmid in edge.publications}) == 36_232

    with gzip.open(sources.path("gaf-human"), "rt", encoding="utf-8") as file:
        raw = [line.split("\t") for line in file if not line.startswith("!")]
    assert len({cells[2] for cells in raw}) == 19_684
    # An independent look at every row: NOT, PMIDs and codes are those of the file.
    by_symbol: dict[str, set[tuple[bool, str, tuple[str, ...]]]] = {}
    for cells in raw:
        pmids = tuple(p for p in cells[5].split("|") if p.startswith("PMID:"))
        fact = ("NOT" in cells[3], cells[6], pmids)
        by_symbol.setdefault(cells[2], set()).add(fact)
    stated = set().union(*by_symbol.values())
    assert {(e.negated, e.evidence_code or "", e.publications) for e in annotations} == stated
    assert Counter(e.negated for e in annotations)[True] <= 1_187
    assert by_symbol["CD8A"] == {
        (e.negated, e.evidence_code or "", e.publications)
        for e in annotations
        if e.subject == "HGNC:1706"
    }
    pairs = {(e.subject, e.object) for e in loaded.edges if e.predicate == t.INTERACTS_WITH}
    assert all(left < right for left, right in pairs)
    assert all(e.publications for e in loaded.edges if e.predicate == t.INTERACTS_WITH)
    assert len(pairs) == 31_039
    # Those whose two proteins are each of one gene, read again without the reader.
    index = GeneIndex(everything["HGNC"].terms)
    plain = set()
    for cells in raw:
        if cells[6] != "IPI" or "PMID:" not in cells[5]:
            continue
        for other in cells[7].replace("|", ",").split(","):
            accession = other.removeprefix("UniProtKB:").split("-")[0]
            ends = [index.by_xref(f"UniProtKB:{one}") for one in (cells[1], accession)]
            if other.startswith("UniProtKB:") and all(len(end) == 1 for end in ends):
                plain.add(tuple(sorted((ends[0][0], ends[1][0]))))
    plain = {pair for pair in plain if pair[0] != pair[1]}
    assert len(plain) > 30_000
    assert plain <= pairs
