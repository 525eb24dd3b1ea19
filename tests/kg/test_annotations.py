"""GAF: NOT, qualifiers, alternative and obsolete GO ids, PMIDs, protein pairs; the pinned file."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest

from data.errors import BadFile
from kg import terms as t
from kg.readers.annotations import OBSOLETE, read_gaf
from kg.readers.gene_tables import GeneIndex
from kg.readers.source import Loaded
from kg.terms import Category, Edge, Release, Synonym, Term

HEADER = "!gaf-version: 2.1\n!\n!Generated: 2031-02-03 09:47\n"


def gene(id: str, symbol: str, *proteins: str, was: str = "") -> Term:
    return Term(
        id,
        symbol,
        Category.GENE,
        "HGNC",
        "x",
        synonyms=(Synonym(was),) if was else (),
        xrefs=tuple(f"UniProtKB:{p}" for p in proteins),
    )


GENES = GeneIndex(
    [
        gene("HGNC:1", "AAA1", "P00001"),
        gene("HGNC:2", "BBB2", "P00002"),
        gene("HGNC:3", "H4C1", "P00005", was="HIST1H4A"),
        gene("HGNC:4", "H4C2", "P00005"),
        gene("HGNC:5", "CCC3", was="OLD3"),
    ]
)
GO = {
    term.id: term
    for term in (
        Term("GO:1", "binding", Category.FUNCTION, "GO", "x", definition="d"),
        Term("GO:2", "binding", Category.FUNCTION, "GO", "x", obsolete=True, replaced_by="GO:1"),
        Term("GO:3", "obsolete x", Category.PROCESS, "GO", "x", definition="d", obsolete=True),
        Term(
            "GO:4",
            "obsolete y",
            Category.PROCESS,
            "GO",
            "x",
            definition="d",
            obsolete=True,
            replaced_by="GO:1",
        ),
    )
}


def row(
    accession: str = "P00001",
    symbol: str = "AAA1",
    qualifier: str = "",
    go: str = "GO:1",
    reference: str = "PMID:1",
    code: str = "IDA",
    others: str = "",
    aspect: str = "F",
    taxon: str = "taxon:9606",
) -> str:
    cells = ["UniProtKB", accession, symbol, qualifier, go, reference, code, others, aspect]
    return "\t".join([*cells, "name", "synonym", "protein", taxon, "20310101", "UniProt", "", ""])


def load(folder: Path, *rows: str, header: str = HEADER) -> Loaded:
    path = folder / "made.gaf"
    path.write_text(header + "\n".join(rows) + "\n", encoding="utf-8")
    return read_gaf(path, Release("GOA-human", "unknown"), GENES, GO)


def one(loaded: Loaded) -> Edge:
    (edge,) = loaded.edges
    return edge


def test_a_row_is_an_edge_with_its_provenance(tmp_path: Path) -> None:
    loaded = load(
        tmp_path, row(reference="PMID:1|GO_REF:0000033|PMID:2", taxon="taxon:9606|taxon:562")
    )
    assert loaded.release.version == loaded.release.date == "2031-02-03"
    assert one(loaded) == Edge(
        "HGNC:1",
        t.ENABLES,
        "GO:1",
        "GOA-human",
        "2031-02-03",
        evidence_code="IDA",
        publications=("PMID:1", "PMID:2"),
        taxon="NCBITaxon:9606",
    )


def test_gaf_not_rows_are_negated_and_nothing_else(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        row(qualifier="NOT"),
        row(qualifier="NOT|contributes_to"),
        row(qualifier="contributes_to"),
    )
    assert [(e.predicate, e.negated) for e in loaded.edges] == [
        (t.ENABLES, True),
        (t.CONTRIBUTES_TO, True),
        (t.CONTRIBUTES_TO, False),
    ]
    assert len({edge.key for edge in loaded.edges}) == 3


@pytest.mark.parametrize(
    ("qualifier", "aspect", "predicate", "words"),
    [
        ("", "P", t.INVOLVED_IN, ()),
        ("", "F", t.ENABLES, ()),
        ("", "C", t.LOCATED_IN, ()),
        ("colocalizes_with", "C", t.COLOCALIZES_WITH, ("colocalizes_with",)),
        ("contributes_to", "F", t.CONTRIBUTES_TO, ("contributes_to",)),
        ("involved_in", "P", t.INVOLVED_IN, ()),
        ("is_active_in", "C", t.LOCATED_IN, ("is_active_in",)),
        ("part_of", "C", t.LOCATED_IN, ("part_of",)),
    ],
)
def test_predicate_by_aspect_and_qualifier(
    tmp_path: Path, qualifier: str, aspect: str, predicate: str, words: tuple[str, ...]
) -> None:
    edge = one(load(tmp_path, row(qualifier=qualifier, aspect=aspect)))
    assert (edge.predicate, edge.qualifiers) == (predicate, words)


def test_relations_outside_the_table_are_counted(tmp_path: Path) -> None:
    loaded = load(tmp_path, row(qualifier="acts_upstream_of", aspect="P"), row())
    assert len(loaded.edges) == 1
    assert any("1 rows with the relation acts_upstream_of" in n for n in loaded.notices)


def test_alternative_ids_are_followed_and_obsolete_ones_marked(tmp_path: Path) -> None:
    loaded = load(tmp_path, row(go="GO:2"), row(go="GO:3"), row(go="GO:4"), row(go="GO:9"))
    assert [(e.object, e.qualifiers) for e in loaded.edges] == [
        ("GO:1", ()),
        ("GO:3", (OBSOLETE,)),
        ("GO:4", (OBSOLETE,)),
        ("GO:9", ()),
    ]
    assert sum("1 rows with an alternative GO id" in n for n in loaded.notices) == 1
    assert sum("2 rows with an obsolete GO term" in n for n in loaded.notices) == 1
    assert sum("1 rows with a GO id that the loaded" in n for n in loaded.notices) == 1


def test_the_gene_of_a_protein(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        row("P00001", "renamed since"),
        row("P00005", "HIST1H4A"),  # one protein, two genes: the one that the file names
        row("P00009", "OLD3"),
        row("P00008", "nobody"),
    )
    assert [e.subject for e in loaded.edges] == [
        "HGNC:1",
        "HGNC:3",
        "HGNC:5",
        "UniProtKB:P00008",
    ]
    assert [(term.id, term.label) for term in loaded.terms] == [("UniProtKB:P00008", "nobody")]


def test_protein_pairs_of_ipi_rows(tmp_path: Path) -> None:
    loaded = load(
        tmp_path,
        row(code="IPI", others="UniProtKB:P00002-2|UniProtKB:P00001,UniProtKB:Q99999", go="GO:3"),
        row("P00002", "BBB2", code="IPI", others="UniProtKB:P00001"),
        row("P00002", "BBB2", "NOT", code="IPI", others="UniProtKB:P00001", reference="PMID:7"),
        row("P00002", "BBB2", code="IPI", others="UniProtKB:P00001", reference="GO_REF:1"),
        row("P00002", "BBB2", code="IDA", others="UniProtKB:P00001", reference="PMID:8"),
    )
    pairs = [e for e in loaded.edges if e.predicate == t.INTERACTS_WITH]
    assert [(e.subject, e.object, e.publications, e.negated, e.qualifiers) for e in pairs] == [
        ("HGNC:1", "HGNC:2", ("PMID:1",), False, ()),
        ("HGNC:1", "HGNC:2", ("PMID:7",), True, ()),
    ]
    said = "\n".join(loaded.notices)
    assert "1 interactions of a protein with itself" in said
    assert "1 interaction partners of no single known gene" in said
    assert "1 interactions without a PMID" in said
    assert "1 repeated interactions" in said


def test_repeated_rows_are_one_edge(tmp_path: Path) -> None:
    loaded = load(tmp_path, row(others="A"), row(others="B"))
    assert len(loaded.edges) == 1
    assert "GOA-human: 1 rows that differ only in what is not read, made one" in loaded.notices


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("UniProtKB\tP1", r"line 4: 2 columns; expected 15 to 17"),
        (row(code="XXX"), r"line 4: evidence code 'XXX'"),
        (row(aspect="Q"), r"line 4: aspect 'Q'"),
        (row(qualifier="maybe"), r"line 4: qualifier 'maybe'"),
        (row(taxon="human"), r"line 4: taxon 'human'"),
        ("", "holds no annotations"),
    ],
)
def test_malformed_rows_are_refused_with_their_line(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(BadFile, match=message):
        load(tmp_path, text)


def test_other_versions_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"line 1: gaf-version 1\.0"):
        load(tmp_path, row(), header="!gaf-version: 1.0\n")
    path = tmp_path / "cut.gaf.gz"
    path.write_bytes(gzip.compress((HEADER + row() * 50).encode())[:-20])
    with pytest.raises(BadFile, match=r"cut\.gaf\.gz, after line"):
        read_gaf(path, Release("GOA-human", "x"), GENES, GO)
