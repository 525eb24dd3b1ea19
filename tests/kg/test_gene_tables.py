"""Genes as terms: symbols, ambiguous names, withdrawn entries, orthologues."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import BadFile
from kg.readers.gene_tables import GeneIndex, read_hcop, read_hgnc, read_mgi
from kg.readers.source import Loaded
from kg.terms import ORTHOLOGOUS_TO, Release, Scope, Synonym

HEADER = (
    "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols"
    "\tNCBI Gene ID(supplied by NCBI)\tUniProt ID(supplied by UniProt)"
    "\tMouse genome database ID(supplied by MGI)\tRat genome database ID(supplied by RGD)"
    "\tPrevious symbols\tEnsembl gene ID\tLocus type\tEnzyme IDs"
)
ROWS = (
    "HGNC:1\tAAA1\tfirst gene\tApproved\tp32, A-one\t11\tP00001\tMGI:7, MGI:8\t\tOLD1\tENSG1\tg\t",
    "HGNC:2\tBBB2\tsecond gene\tApproved\tP32, AAA1\t12\tP00002, P00003\t\t\tOLD2\tENSG2\tg\t",
    "HGNC:3\tCCC3\tsymbol withdrawn, see [HGNC:1](/x)\tSymbol Withdrawn\t\t\t\t\t\t\t\tu\t",
    "HGNC:4\tDDD4\tsymbol withdrawn, see HGNC:1, HGNC:2\tSymbol Withdrawn\t\t\t\t\t\t\t\tu\t",
    "HGNC:5\tEEE5\tentry withdrawn\tEntry Withdrawn\t\t\t\t\t\t\t\tu\t",
)


@pytest.fixture
def human(tmp_path: Path) -> Loaded:
    path = tmp_path / "hgnc.tsv"
    path.write_text("\n".join((HEADER, *ROWS)) + "\n", encoding="utf-8")
    return read_hgnc(path, Release("HGNC", "test"))


@pytest.fixture
def mouse(tmp_path: Path) -> Loaded:
    path = tmp_path / "mgi.tsv"
    path.write_text(
        "ID\tsymbol\tsynonyms\tensembl\n"
        "7\tAaa1\tA1|B'1\tENSMUSG7\n8\tAaa2\tA1\t\n7\tAaa1\tA1|B'1\tENSMUSG9\n"
    )
    return read_mgi(path, Release("MGI", "test"))


def test_hgncs_own_complete_set_is_read_too(tmp_path: Path, human: Loaded) -> None:
    columns = (
        "hgnc_id symbol name locus_group status alias_symbol prev_symbol entrez_id "
        "ensembl_gene_id uniprot_ids mgd_id"
    )
    path = tmp_path / "hgnc_complete_set.txt"
    path.write_text(
        "\t".join(columns.split()) + "\n"
        'HGNC:1\tAAA1\tfirst gene\tg\tApproved\t"p32|A-one"\tOLD1\t11\tENSG1\tP00001\t'
        '"MGI:7|MGI:8"\n'
        'HGNC:2\tBBB2\tsecond gene\tg\tApproved\t"P32|AAA1"\tOLD2\t12\tENSG2\t"P00002|P00003"\t\n'
    )
    loaded = read_hgnc(path, Release("HGNC", "test"))
    assert loaded.terms == human.terms[:2]
    assert loaded.edges == human.edges
    assert loaded.notices == ()


def test_names_shared_by_genes_are_only_related(human: Loaded) -> None:
    terms = {term.id: term for term in human.terms}
    assert terms["HGNC:1"].label == "AAA1"
    assert terms["HGNC:1"].synonyms == (
        Synonym("first gene", Scope.EXACT),
        Synonym("OLD1", Scope.EXACT),
        Synonym("p32", Scope.RELATED),  # HGNC:2 is "P32"
        Synonym("A-one", Scope.EXACT),
    )
    # The current symbol of one gene is never an exact name of another.
    assert Synonym("AAA1", Scope.RELATED) in terms["HGNC:2"].synonyms
    assert terms["HGNC:2"].xrefs == (
        "ENSEMBL:ENSG2",
        "NCBIGene:12",
        "UniProtKB:P00002",
        "UniProtKB:P00003",
    )
    assert terms["HGNC:1"].taxon == "NCBITaxon:9606"


def test_withdrawn_genes_point_to_their_successors(human: Loaded) -> None:
    terms = {term.id: term for term in human.terms}
    assert (terms["HGNC:3"].obsolete, terms["HGNC:3"].replaced_by) == (True, "HGNC:1")
    assert terms["HGNC:4"].replaced_by is None
    assert terms["HGNC:4"].consider == ("HGNC:1", "HGNC:2")
    assert terms["HGNC:5"].obsolete
    assert "3 withdrawn genes" in human.notices[0]
    assert "for 2 of them" in human.notices[0]


def test_index(human: Loaded) -> None:
    index = GeneIndex(human.terms)
    assert index.by_xref("UniProtKB:P00003") == ["HGNC:2"]
    assert index.by_name("AAA1") == "HGNC:1"
    assert index.by_name("OLD2") == "HGNC:2"
    assert index.by_name("CCC3") is None  # withdrawn
    assert index.by_name("p32") == "HGNC:1"
    assert index.by_name("nothing") is None


def test_orthologues(tmp_path: Path, human: Loaded, mouse: Loaded) -> None:
    assert [(e.subject, e.object) for e in human.edges] == [
        ("HGNC:1", "MGI:7"),
        ("HGNC:1", "MGI:8"),
    ]
    assert {term.label: term.xrefs for term in mouse.terms} == {
        "Aaa1": ("ENSEMBL:ENSMUSG7", "ENSEMBL:ENSMUSG9"),  # on two lines
        "Aaa2": (),
    }
    path = tmp_path / "hcop.csv"
    path.write_text(
        "Gene stable ID,Gene name,Mouse gene stable ID,Mouse gene name,supporting_source\n"
        'ENSG1,AAA1,ENSMUSG7,Aaa1,"Ensembl,Inparanoid,Ensembl"\n'
        "ENSG1,AAA1,ENSMUSG7,Aaa1,Ensembl\n"
        "ENSG99,X,ENSMUSG7,Aaa1,Ensembl\n"
    )
    loaded = read_hcop(
        path, Release("HCOP", "test"), GeneIndex(human.terms), GeneIndex(mouse.terms)
    )
    (edge,) = loaded.edges
    assert (edge.subject, edge.predicate, edge.object) == ("HGNC:1", ORTHOLOGOUS_TO, "MGI:7")
    assert edge.weight == 2.0
    assert len(loaded.notices) == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("HGNC ID\tStatus\n", "has no column 'Approved symbol'"),
        ("\n".join((HEADER, "HGNC:1\tAAA1\n")), "line 2: 2 cells; expected 13"),
        ("", "has no column 'HGNC ID'"),
    ],
)
def test_malformed_tables_are_refused(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "hgnc.tsv"
    path.write_text(text)
    with pytest.raises(BadFile, match=message):
        read_hgnc(path, Release("HGNC", "test"))


@pytest.mark.assets
def test_counts_of_the_pinned_tables() -> None:
    """43,837 approved of 49,013 entries by the status column; 88,784 lines of
    88,687 mouse genes."""
    from data import sources

    human = read_hgnc(sources.path("hgnc"), Release("HGNC", "2024-02"))
    assert len(human.terms) == 49_013
    assert sum(not term.obsolete for term in human.terms) == 43_837
    assert len({edge.subject for edge in human.edges}) == 19_325
    mouse = read_mgi(sources.path("mgi"), Release("MGI", "2024-02"))
    assert len({term.id for term in mouse.terms}) == len(mouse.terms) == 88_687
    index = GeneIndex(human.terms)
    assert index.by_name("CD8A") == "HGNC:1706"
    assert index.by_xref("ENSEMBL:ENSG00000153563") == ["HGNC:1706"]
    assert index.by_xref("UniProtKB:P01732") == ["HGNC:1706"]
    cd8a = next(term for term in human.terms if term.id == "HGNC:1706")
    assert Synonym("CD8 subunit alpha") in cd8a.synonyms
    loaded = read_hcop(
        sources.path("orthologues"), Release("HCOP", "x"), index, GeneIndex(mouse.terms)
    )
    assert len(loaded.edges) == 64_755
    passed = sum(int(n.split(": ")[2].split()[0]) for n in loaded.notices)
    assert len(loaded.edges) + passed == 68_080
