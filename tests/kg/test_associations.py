"""Gene-disease through Mondo, phenotypes, ligand-receptor pairs, marker edges."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from data.errors import BadFile
from kg import terms as t
from kg.readers.associations import (
    MondoIndex,
    marker_edges,
    read_gene_diseases,
    read_ligand_receptor,
    read_phenotypes,
)
from kg.readers.gene_tables import GeneIndex
from kg.terms import Category, Release, Term

GENES = GeneIndex(
    Term(f"HGNC:{n}", symbol, Category.GENE, "HGNC", "x", xrefs=(f"NCBIGene:{n}",))
    for n, symbol in enumerate(("LIG1", "REC1", "REC2", "CD3D"), 1)
)
MOUSE = GeneIndex([Term("MGI:4", "Cd3d", Category.GENE, "MGI", "x")])


@pytest.fixture
def diseases(tmp_path: Path) -> MondoIndex:
    def disease(id: str, replaced_by: str = "") -> Term:
        return Term(
            id, id, Category.DISEASE, "MONDO", "x", obsolete=bool(replaced_by),
            replaced_by=replaced_by or None,
        )  # fmt: skip

    mondo = [disease("MONDO:1"), disease("MONDO:2", "MONDO:3"), disease("MONDO:3")]
    entries = [
        {"id": "1", "xrefs": [{"namespace": "OMIM", "id": "11"}, {"namespace": "UMLS", "id": "C"}]},
        {"id": "2", "xrefs": [{"namespace": "Orphanet", "id": "22"}]},
        {"id": "9", "xrefs": [{"namespace": "OMIM", "id": "99"}]},
    ]
    path = tmp_path / "mondo.json"
    path.write_text(json.dumps(entries))
    return MondoIndex(path, {term.id: term for term in mondo})


def test_mondo_by_other_ids(diseases: MondoIndex) -> None:
    assert diseases.find("OMIM:11") == ["MONDO:1"]
    assert diseases.find("ORPHA:22") == ["MONDO:3"]  # obsolete, followed to its replacement
    assert diseases.find("OMIM:99") == []  # Mondo no longer has it
    assert diseases.find("UMLS:C") == []


def test_an_id_of_several_diseases_is_that_of_the_whole_or_of_none(tmp_path: Path) -> None:
    def entry(id: str, *above: str, omim: str = "", orphanet: str = "7") -> dict[str, object]:
        xrefs = [{"namespace": "Orphanet", "id": orphanet}]
        xrefs += [{"namespace": "OMIM", "id": omim}] if omim else []
        return {"id": id, "relations": {"is_a": list(above)}, "xrefs": xrefs}

    entries = [
        entry("1"), {"id": "2", "relations": {"is_a": ["1"]}}, entry("3", "2", omim="33"),
        entry("4", orphanet="8"), entry("5", omim="55", orphanet="8"),
        entry("6", orphanet="9"), entry("7", orphanet="9"),
        entry("8", omim="88", orphanet="10"), entry("9", omim="99", orphanet="10"),
    ]  # fmt: skip
    path = tmp_path / "mondo.json"
    path.write_text(json.dumps(entries))
    terms = [Term(f"MONDO:{i}", str(i), Category.DISEASE, "MONDO", "x") for i in range(1, 10)]
    diseases = MondoIndex(path, {term.id: term for term in terms})
    assert diseases.find("ORPHA:7") == ["MONDO:1"]  # the form lies below the whole
    assert diseases.find("ORPHA:8") == ["MONDO:4"]  # the form has an entry of its own in OMIM
    assert diseases.find("ORPHA:9") == diseases.find("ORPHA:10") == []
    assert diseases.find("OMIM:33") == ["MONDO:3"]


def test_gene_diseases(tmp_path: Path, diseases: MondoIndex) -> None:
    path = tmp_path / "genes.txt"
    path.write_text(
        "ncbi_gene_id\tgene_symbol\thpo_id\thpo_name\tfrequency\tdisease_id\n"
        "1\tLIG1\tHP:1\ta\t-\tOMIM:11\n"
        "1\tLIG1\tHP:2\tb\t-\tOMIM:11\n"
        "77\tREC1\tHP:1\ta\t-\tORPHA:22\n"
        "1\tLIG1\tHP:1\ta\t-\tOMIM:404\n"
        "88\tNOBODY\tHP:1\ta\t-\tOMIM:11\n"
    )
    loaded = read_gene_diseases(path, Release("HPO", "x"), GENES, diseases)
    assert [(e.subject, e.predicate, e.object, e.qualifiers) for e in loaded.edges] == [
        ("HGNC:1", t.GENE_DISEASE, "MONDO:1", ("OMIM:11",)),
        ("HGNC:2", t.GENE_DISEASE, "MONDO:3", ("ORPHA:22",)),
    ]
    assert loaded.notices == (
        "HPO: 4 gene-disease pairs read",
        "HPO: not loaded: 1 pairs of diseases without a Mondo cross-reference of their own",
        "HPO: not loaded: 1 pairs of genes that HGNC lacks",
    )


def test_phenotypes(tmp_path: Path, diseases: MondoIndex) -> None:
    path = tmp_path / "phenotype.hpoa"
    header = "#version: x\ndatabase_id\tdisease_name\tqualifier\thpo_id\treference\tevidence\t"
    rows = [
        "OMIM:11\tn\t\tHP:1\tPMID:5;PMID:6\tPCS\t\t\t\t\tP\tc",
        "OMIM:11\tn\tNOT\tHP:2\tOMIM:11\tTAS\t\t\t\t\tP\tc",
        "OMIM:11\tn\t\tHP:3\tPMID:5\tPCS\t\t\t\t\tI\tc",
    ]
    path.write_text("\n".join((header, *rows)) + "\n")
    loaded = read_phenotypes(path, Release("HPO-phenotypes", "x"), diseases)
    assert [(e.object, e.negated, e.evidence_code, e.publications) for e in loaded.edges] == [
        ("HP:1", False, None, ("PMID:5", "PMID:6")),
        ("HP:2", True, "TAS", ()),
    ]
    path.write_text("\n".join((header, *rows, "OMIM:11\tn")) + "\n")
    with pytest.raises(BadFile, match=r"line 6: 2 columns; expected 12"):
        read_phenotypes(path, Release("HPO-phenotypes", "x"), diseases)


def test_ligand_receptor_pairs(tmp_path: Path) -> None:
    path = tmp_path / "pairs.csv"
    path.write_text(
        '"","source","target","source_genesymbol","target_genesymbol","resource"\n'
        '"1","P1","C","LIG1","REC1_REC2","consensus"\n'
        '"2","P1","C","LIG1","REC1_REC2","cellchatdb"\n'
        '"3","P1","P2","LIG1","REC1","consensus"\n'
        '"4","P1","P2","LIG1","REC1","italk"\n'
        '"5","P1","P2","LIG1","REC1","lrdb"\n'
        '"6","P1","P9","LIG1","NOBODY","lrdb"\n'
        '"7","p","p","Lig1","Rec1","mouseconsensus"\n'
    )
    loaded = read_ligand_receptor(path, Release("liana", "x"), GENES)
    assert [(e.subject, e.object, e.qualifiers, e.weight) for e in loaded.edges] == [
        ("HGNC:1", "HGNC:2", ("ligand_receptor",), 2.0),
        ("HGNC:1", "HGNC:3", ("ligand_receptor", "in_complex"), 1.0),
    ]
    assert "3 human ligand-receptor pairs read; not loaded: 1 pairs" in loaded.notices[0]


def test_marker_edges_keep_sign_sources_and_species(tmp_path: Path) -> None:
    """The shipped table, checked row by row against the file."""
    from data.markers import TABLE

    wanted = {"CL:0000084", "CL:0000236"}
    cells = {key: Term(key, key, Category.CELL_TYPE, "CL", "x") for key in wanted}
    lines = [line.split("\t") for line in TABLE.read_text().splitlines() if line[:3] == "CL:"]
    symbols = {cells_[1] for cells_ in lines}
    genes = GeneIndex(
        Term(f"HGNC:{n}", symbol, Category.GENE, "HGNC", "x")
        for n, symbol in enumerate(sorted(symbols))
    )
    named = {symbol: f"HGNC:{n}" for n, symbol in enumerate(sorted(symbols))}
    loaded = marker_edges(genes, GeneIndex([]), cells)
    expected = {
        (named[gene], type_, sign == "-", tuple(f"source:{s}" for s in sources.split(";")))
        for type_, gene, _, sign, species, _, sources in lines
        if type_ in wanted and "human" in species.split(";")
    }
    found = {
        (
            edge.subject,
            edge.object,
            "negative" in edge.qualifiers,
            tuple(q for q in edge.qualifiers if q != "negative"),
        )
        for edge in loaded.edges
    }
    assert found == expected
    assert {edge.taxon for edge in loaded.edges} == {"NCBITaxon:9606"}
    assert loaded.release.version.startswith("sha256:")


def test_a_users_own_markers_are_edges_too(tmp_path: Path) -> None:
    path = tmp_path / "own.tsv"
    path.write_text("cl_id\tgene\tsign\nCL:1\tCD3D\t-\n")
    cells = {"CL:1": Term("CL:1", "x", Category.CELL_TYPE, "CL", "x")}
    (edge,) = marker_edges(GENES, MOUSE, cells, extra=[path]).edges
    assert edge.qualifiers == ("negative", "source:own")
    assert (edge.subject, edge.object) == ("HGNC:4", "CL:1")
