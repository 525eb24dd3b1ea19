"""Out and in again: the same terms and edges; and what other readers make of the files."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.cli.main import run
from data.errors import BadFile, BadInput, CelloquyError
from kg import terms as t
from kg.embedded import EmbeddedGraph
from kg.exchange.biolink import PREDICATE, from_biolink
from kg.exchange.formats import Content, content_of, export, loaded_content, read
from kg.exchange.obographs import curie, iri
from kg.readers.source import Loaded
from kg.storage.build import build
from kg.terms import PREDICATES, Category, Edge, Release, Scope, Synonym, Term

CL = Release("CL", "v2031-02-03", "2031-02-03", "CC BY 4.0", "Somebody et al.")
GOA = Release("GOA-human", "2019-01-14", "2019-01-14")
TERMS = (
    Term(
        "CL:0000084",
        'T "cell" <&>',
        Category.CELL_TYPE,
        "CL",
        CL.version,
        definition="A lymphocyte.\nTwo lines.",
        definition_xrefs=("PMID:1", "GOC:x"),
        synonyms=(
            Synonym("thymocyte", Scope.NARROW),
            Synonym("T lymphocyte"),
            Synonym("T", Scope.UNKNOWN),
            Synonym("white cell", Scope.BROAD),
            Synonym("killer", Scope.RELATED),
        ),
        xrefs=("BTO:0000782", "https://example.org/T"),
    ),
    Term("CL:0000542", "lymphocyte", Category.CELL_TYPE, "CL", CL.version),
    Term(
        "CL:0000009",
        "obsolete cell",
        Category.CELL_TYPE,
        "CL",
        CL.version,
        obsolete=True,
        replaced_by="CL:0000084",
        consider=("CL:0000542", "PO:0000079"),
    ),
    Term(
        "HGNC:1678", "CD4", Category.GENE, "GOA-human", GOA.version, taxon="NCBITaxon:9606"
    ),
    Term("GO:0042110", "T cell activation", Category.PROCESS, "GOA-human", GOA.version),
)  # fmt: skip
EDGES = (
    Edge("CL:0000084", t.IS_A, "CL:0000542", "CL", CL.version),
    Edge(
        "HGNC:1678",
        t.INVOLVED_IN,
        "GO:0042110",
        "GOA-human",
        GOA.version,
        evidence_code="IDA",
        publications=("PMID:1", "PMID:2"),
        taxon="NCBITaxon:9606",
    ),
    Edge(
        "HGNC:1678",
        t.CONTRIBUTES_TO,
        "GO:0042110",
        "GOA-human",
        GOA.version,
        evidence_code="IEA",
        negated=True,
        qualifiers=("contributes_to", "obsolete_term"),
        weight=0.1,
    ),
)
WHOLE = [
    Loaded(CL, TERMS[:3], EDGES[:1]),
    Loaded(GOA, TERMS[3:], EDGES[1:]),
]


def plain(loaded: list[Loaded]) -> list[tuple[object, ...]]:
    return [(one.release, one.terms, one.edges) for one in loaded]


@pytest.mark.parametrize(("format", "name"), [("kgx", "folder"), ("obograph", "graph.json")])
def test_out_and_in_gives_the_same(tmp_path: Path, format: str, name: str) -> None:
    path = tmp_path / name
    assert export(loaded_content(WHOLE), format, path) == (5, 3)
    again = read(path)
    assert plain(again) == plain(WHOLE)
    assert [one.notices for one in again] == [(), ()]
    # And what was read back is written the same to the byte.
    second = tmp_path / f"second-{name}"
    export(loaded_content(again), format, second)
    for file in sorted(path.iterdir()) if path.is_dir() else [path]:
        copy = second / file.name if second.is_dir() else second
        assert copy.read_bytes() == file.read_bytes()


words = st.text(
    st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=12
).filter(str.strip)
curies = st.builds(
    "{}:{}".format, st.sampled_from(["CL", "GO", "HGNC", "UniProtKB", "X_Y.z"]),
    st.from_regex(r"[A-Za-z0-9_.\-]{1,8}", fullmatch=True),
)  # fmt: skip
terms = st.builds(
    Term,
    id=curies,
    label=words,
    category=st.sampled_from(Category),
    source=st.just("CL"),
    release=st.just(CL.version),
    definition=words | st.just(""),
    definition_xrefs=st.lists(words, max_size=2).map(tuple),
    synonyms=st.lists(
        st.builds(Synonym, words, st.sampled_from(sorted(set(Scope) - {Scope.LABEL}))), max_size=3
    ).map(tuple),
    xrefs=st.lists(words, max_size=2).map(tuple),
    obsolete=st.booleans(),
    replaced_by=st.none() | curies,
    consider=st.lists(curies, max_size=2).map(tuple),
    taxon=st.none() | st.just("NCBITaxon:10090"),
)
edges = st.builds(
    Edge,
    subject=curies,
    predicate=st.sampled_from(sorted(PREDICATES)),
    object=curies,
    source=st.just("CL"),
    release=st.just(CL.version),
    evidence_code=st.none() | st.sampled_from(sorted(t.ECO)),
    publications=st.lists(st.just("PMID:1") | st.just("PMID:22"), max_size=2).map(tuple),
    negated=st.booleans(),
    qualifiers=st.lists(words, max_size=2).map(tuple),
    taxon=st.none() | st.just("NCBITaxon:9606"),
    weight=st.none() | st.floats(0, 1e6, width=64),
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(terms=st.lists(terms, min_size=1, max_size=3), edges=st.lists(edges, max_size=3))
def test_round_trip_of_anything(tmp_path: Path, terms: list[Term], edges: list[Edge]) -> None:
    whole = [Loaded(CL, tuple(terms), tuple(edges))]
    for chosen, name in (("kgx", "folder"), ("obograph", "graph.json")):
        export(loaded_content(whole), chosen, tmp_path / name)
        assert plain(read(tmp_path / name)) == plain(whole)


@given(curies)
def test_addresses_of_ids_are_their_own_inverse(id: str) -> None:
    assert curie(iri(id)) == id


def test_every_predicate_has_a_biolink_one_and_comes_back() -> None:
    assert set(PREDICATE) == set(PREDICATES)
    for ours, theirs in PREDICATE.items():
        assert theirs.startswith("biolink:")
        assert from_biolink(theirs, ours) == ours
    assert from_biolink("biolink:subclass_of") == t.IS_A
    assert from_biolink("biolink:regulates", "", "upregulated") == t.POSITIVELY_REGULATES
    assert from_biolink("biolink:regulates") == t.REGULATES
    assert from_biolink("biolink:related_to") is None
    assert from_biolink("biolink:treats") is None


def _lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_kgx_records_are_biolink(tmp_path: Path) -> None:
    export(loaded_content(WHOLE), "kgx", tmp_path / "kgx-2026.03")
    nodes = _lines(tmp_path / "kgx-2026.03" / "nodes.jsonl")
    assert nodes[0]["category"] == ["biolink:Cell"]
    assert nodes[0]["narrow_synonym"] == ["thymocyte"]
    assert nodes[0]["provided_by"] == ["infores:cl"]
    assert "taxon" not in nodes[0]
    lines = _lines(tmp_path / "kgx-2026.03" / "edges.jsonl")
    assert lines[0]["predicate"] == "biolink:subclass_of"
    assert lines[1]["predicate"] == "biolink:actively_involved_in"
    assert lines[1]["original_predicate"] == "RO:0002331"
    assert lines[1]["has_evidence"] == ["ECO:0000314"]
    assert (lines[1]["knowledge_level"], lines[1]["agent_type"]) == (
        "knowledge_assertion",
        "manual_agent",
    )
    assert (lines[2]["negated"], lines[2]["agent_type"]) == (True, "automated_agent")
    assert {line["id"] for line in lines} == {f"celloquy:{edge.key}" for edge in EDGES}


def test_kgx_of_others_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    (tmp_path / "nodes.jsonl").write_text(
        '{"id": "CL:1", "category": ["biolink:Cell", "biolink:Thing"], "name": "a", '
        '"synonym": ["b", "c"], "exact_synonym": ["b"], "in_taxon": ["NCBITaxon:9606"]}\n'
    )
    (tmp_path / "edges.jsonl").write_text(
        '{"subject": "CL:1", "predicate": "biolink:part_of", "object": "UBERON:1", '
        '"primary_knowledge_source": "infores:ubergraph"}\n'
        '{"subject": "CL:1", "predicate": "biolink:treats", "object": "UBERON:1"}\n'
    )
    nodes, links = read(tmp_path)
    assert nodes.terms[0].category is Category.CELL_TYPE
    assert nodes.terms[0].taxon == "NCBITaxon:9606"
    assert nodes.terms[0].synonyms == (Synonym("b"), Synonym("c", Scope.UNKNOWN))
    assert nodes.notices[0].endswith("not loaded: 1 edges with the predicate biolink:treats")
    assert links.release == Release("ubergraph", "unknown")
    assert links.edges[0].predicate == t.PART_OF


def test_some_sources_of_a_graph_and_the_terms_at_their_ends(tmp_path: Path) -> None:
    cells = replace(WHOLE[0], edges=(*EDGES[:1], replace(EDGES[0], object="GO:0042110")))
    build(tmp_path / "graph.sqlite", [cells, WHOLE[1]])
    with EmbeddedGraph.open(tmp_path / "graph.sqlite") as graph:
        everything = content_of(graph)
        assert {term.id for term in everything.terms()} == {term.id for term in TERMS}
        assert len(list(everything.edges())) == 4
        content = content_of(graph, ["CL"])
        assert [release.source for release in content.releases] == ["CL", "GOA-human"]
        assert {term.id for term in content.terms()} == {
            "CL:0000009",
            "CL:0000084",
            "CL:0000542",
            "GO:0042110",
        }
        assert {edge.object for edge in content.edges()} == {"CL:0000542", "GO:0042110"}
        with pytest.raises(BadInput, match="no source 'X'; it has: CL, GOA-human"):
            content_of(graph, ["X"])

        class Server:
            """A back end with the reads of the Protocol only."""

            releases = graph.releases
            terms_of = staticmethod(graph.terms_of)
            edges = staticmethod(graph.edges)

        walked = content_of(Server())  # type: ignore[arg-type]
        assert set(walked.terms()) == set(everything.terms())
        assert set(walked.edges()) == set(everything.edges())


def test_the_command_converts_and_says_what_it_wrote(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    export(loaded_content(WHOLE), "kgx", tmp_path / "kgx")
    target = tmp_path / "graph.json"
    words = ["kg", "export", str(target), "--format", "obograph", "--from", str(tmp_path / "kgx")]
    assert run(words) == 0
    assert f"{target}: 5 nodes, 3 edges" in capsys.readouterr().out
    assert plain(read(target)) == plain(WHOLE)
    assert run([*words, "--source", "CL"]) == 2
    assert run(["kg", "export", str(target), "--from", str(tmp_path / "absent")]) == 2
    assert run(["kg", "export", str(target), "--format", "rdf"]) == 2
    assert len(capsys.readouterr().err.splitlines()) >= 3


def test_an_independent_reader_reads_the_obo_graph(tmp_path: Path) -> None:
    fastobo = pytest.importorskip("fastobo")
    path = tmp_path / "graph.json"
    label = "T cell"  # fastobo takes no quotation marks in names
    cells = Loaded(CL, (replace(TERMS[0], label=label, xrefs=()), *TERMS[1:3]), EDGES[:1])
    export(loaded_content([cells]), "obograph", path)
    frames = {str(frame.id): frame for frame in fastobo.load_graph(str(path))}
    assert set(frames) == {"CL:0000084", "CL:0000542", "CL:0000009"}
    clauses = {str(clause) for clause in frames["CL:0000084"]}
    assert "name: T cell" in clauses
    assert "is_a: CL:0000542" in clauses
    assert any(clause.startswith('synonym: "thymocyte" NARROW') for clause in clauses)
    assert "is_obsolete: true" in {str(clause) for clause in frames["CL:0000009"]}


def test_obo_graphs_of_others_are_read(tmp_path: Path) -> None:
    purl = "http://purl.obolibrary.org/obo/"
    document = {
        "graphs": [
            {
                "id": f"{purl}x.owl",
                "meta": {"version": f"{purl}x/releases/2031-02-03/x.owl"},
                "nodes": [
                    {"id": f"{purl}CL_0000084", "lbl": "T cell", "type": "CLASS"},
                    {"id": f"{purl}BFO_0000050", "lbl": "part of", "type": "PROPERTY"},
                ],
                "edges": [
                    {"sub": f"{purl}CL_0000084", "pred": "is_a", "obj": f"{purl}CL_0000542"},
                    {"sub": f"{purl}CL_0000084", "pred": f"{purl}RO_9", "obj": f"{purl}CL_1"},
                ],
            }
        ]
    }
    path = tmp_path / "x.json"
    path.write_text(json.dumps(document))
    (loaded,) = read(path)
    assert (loaded.release.source, loaded.release.date) == ("x", "2031-02-03")
    assert [term.category for term in loaded.terms] == [Category.CELL_TYPE]
    assert [(e.predicate, e.object) for e in loaded.edges] == [(t.IS_A, "CL:0000542")]
    assert loaded.notices == (
        "x: not loaded: 1 nodes that are no classes",
        f"x: not loaded: 1 edges with the relation {purl}RO_9",
    )


def test_networkx_reads_the_graphml(tmp_path: Path) -> None:
    import networkx

    path = tmp_path / "graph.graphml"
    assert export(loaded_content(WHOLE), "graphml", path) == (5, 3)
    graph = networkx.read_graphml(path, force_multigraph=True)
    assert graph.is_directed()
    assert graph.nodes["CL:0000084"]["label"] == 'T "cell" <&>'
    assert graph.nodes["CL:0000009"]["obsolete"] is True
    found = graph.get_edge_data("HGNC:1678", "GO:0042110")
    assert set(found) == {EDGES[1].key, EDGES[2].key}
    assert found[EDGES[1].key]["publications"] == "PMID:1|PMID:2"
    assert found[EDGES[2].key]["negated"] is True
    assert found[EDGES[2].key]["weight"] == 0.1


def test_sssom_holds_the_references_that_are_ids(tmp_path: Path) -> None:
    path = tmp_path / "mappings.sssom.tsv"
    assert export(loaded_content(WHOLE), "sssom", path) == (1, 1)
    lines = path.read_text(encoding="utf-8").splitlines()
    head = [line for line in lines if line.startswith("#")]
    assert '#   CL: "http://purl.obolibrary.org/obo/CL_"' in head
    assert any("CL v2031-02-03 (CC BY 4.0)" in line for line in head)
    header, row = (line.split("\t") for line in lines if not line.startswith("#"))
    assert dict(zip(header, row, strict=True)) == {
        "subject_id": "CL:0000084",
        "subject_label": 'T "cell" <&>',
        "predicate_id": "oboInOwl:hasDbXref",
        "object_id": "BTO:0000782",
        "mapping_justification": "semapv:UnspecifiedMatching",
        "subject_source": "CL",
        "subject_source_version": "v2031-02-03",
    }


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("graph.json", "{", "expected an OBO Graphs document"),
        ("graph.json", "[]", "no list of graphs"),
        ("graph.json", '{"graphs": [{"nodes": [{"lbl": "a"}]}]}', r"node 1: KeyError\('id'\)"),
        ("graph.json", '{"graphs": [{"edges": [{"sub": "a"}]}]}', r"edge 1: KeyError\('pred'\)"),
        ("nodes.jsonl", "nothing", r"nodes\.jsonl, line 1: "),
        ("nodes.jsonl", "[1]", r"nodes\.jsonl, line 1: expected a JSON object"),
        ("nodes.jsonl", '{"name": "a"}', r"nodes\.jsonl, line 1: KeyError\('id'\)"),
        ("nodes.jsonl", '{"id": "no curie"}', r"nodes\.jsonl, line 1: 'no curie' is no CURIE"),
        ("edges.jsonl", "{}", "nodes.jsonl: No such file"),
    ],
)
def test_malformed_files_are_refused(tmp_path: Path, name: str, text: str, message: str) -> None:
    (tmp_path / name).write_text(text)
    with pytest.raises(BadFile, match=message):
        read(tmp_path if name.endswith("jsonl") else tmp_path / name)


def test_where_it_cannot_be_written_nothing_changes(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("before")
    with pytest.raises(BadInput, match="kgx is written to a folder"):
        export(loaded_content(WHOLE), "kgx", tmp_path / "file")
    with pytest.raises(BadInput, match="graphml is written to a file"):
        export(loaded_content(WHOLE), "graphml", tmp_path)
    with pytest.raises(BadInput, match="no format is named 'rdf'; one of: kgx, obograph"):
        export(loaded_content(WHOLE), "rdf", tmp_path / "x")
    with pytest.raises(BadInput, match=r"ends on .txt; expected .graphml or .xml for graphml"):
        export(loaded_content(WHOLE), "graphml", tmp_path / "x.txt")
    with pytest.raises(BadInput, match=r"ends on .gz; expected .json for obograph"):
        export(loaded_content(WHOLE), "obograph", tmp_path / "x.json.gz")
    with pytest.raises(BadInput, match=r"ends on .jsonl; expected a folder's name for kgx"):
        export(loaded_content(WHOLE), "kgx", tmp_path / "x.jsonl")
    with pytest.raises(BadInput, match="is not there"):
        read(tmp_path / "absent")
    with pytest.raises(CelloquyError, match="cannot be written"):
        export(loaded_content(WHOLE), "graphml", tmp_path / "file" / "below")

    def broken() -> object:
        yield TERMS[0]
        raise RuntimeError("the reader broke")

    content = Content((CL,), broken, lambda: ())  # type: ignore[arg-type]
    with pytest.raises(RuntimeError):
        export(content, "graphml", tmp_path / "file")
    assert (tmp_path / "file").read_text() == "before"
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
