"""Questions on a gene and a type, the support of markers, parts of the cell, old ids, a not."""

from __future__ import annotations

import re
from functools import cache

import pytest

from agent.answer import Answer
from agent.lookup import open_graph
from agent.qa import Agent

pytestmark = pytest.mark.assets


@cache
def ask(question: str) -> Answer:
    return Agent(open_graph()).ask(question)


def marked(answer: Answer) -> set[tuple[str, str]]:
    """Pairs of gene and type that supported claims say, not only cite."""
    return {
        (triple[0], triple[2])
        for claim in answer.claims
        if claim.verdict == "supported" and claim.statement and claim.statement.form == "fact"
        for triple in claim.statement.triples()
    }


@pytest.mark.parametrize("question", ["Is CD8A expressed by neurons?", "Do neurons express CD8A?"])
def test_what_is_not_recorded_of_a_pair_is_said_of_the_pair(question: str) -> None:
    answer = ask(question)
    assert answer.answer.startswith("Not recorded: ")
    assert "CD8A (HGNC:1706) is a marker of neuron (CL:0000540)" in answer.answer
    assert "no measurements of expression" in answer.answer
    assert "is involved in" not in answer.answer
    assert ("HGNC:1706", "CL:0000540") not in marked(answer)


@pytest.mark.parametrize(
    "question",
    [
        "Is GFAP expressed in astrocytes?",
        "Do astrocytes express GFAP?",
        "Are astrocytes GFAP positive?",
        "Can GFAP be detected in astrocytes?",
    ],
)
def test_a_listed_marker_of_a_pair(question: str) -> None:
    answer = ask(question)
    assert answer.answer.startswith("Yes, as a listed marker of it: GFAP")
    assert ("HGNC:4235", "CL:0000127") in marked(answer)


def test_a_negative_question_is_not_taken_for_the_positive_one() -> None:
    assert ask("Are astrocytes GFAP negative?").status == "abstained"


def test_a_marker_of_one_source_is_told_as_such_and_better_ones_beside() -> None:
    answer = ask("Is CD19 a marker of T cells?")
    assert answer.answer.startswith("Yes, by one source only: ")
    assert "it is listed by CellMarker2.0." in answer.answer
    assert "Better supported: CD19 (HGNC:1633) is a marker of B cell" in answer.answer
    well = ask("Is MS4A1 a marker of B cells?")
    assert well.answer.startswith("Yes: MS4A1")
    assert "Better supported" not in well.answer


def test_types_of_one_source_follow_apart() -> None:
    answer = ask("Which cell types does CD19 mark?")
    first = re.search(r"is a marker of ([\w ]+) \[", answer.answer)
    assert first is not None
    assert first[1] == "B cell"
    assert "By one source only: CD19" in answer.answer


@pytest.mark.parametrize("part", ["nucleus", "mitochondrion", "plasma membrane"])
def test_a_component_is_part_of_the_cell_by_what_go_defines(part: str) -> None:
    answer = ask(f"Is the {part} part of the cell?")
    assert answer.answer.startswith("Yes: ")
    assert re.search(r"is defined as “(A component|The part) of a cell ", answer.answer)


def test_what_is_outside_is_not_part_of_the_cell() -> None:
    assert not ask("Is the extracellular space part of the cell?").answer.startswith("Yes")


def test_an_obsolete_id_is_told_with_its_replacement() -> None:
    said = "(CL:0000548) is obsolete and replaced by cell (CL:0000000)"
    assert said in ask("What is CL:0000548?").answer
    answer = ask("Is CL:0000548 a lymphocyte?")
    assert answer.answer.startswith("No: ")
    assert said in answer.answer


@pytest.mark.parametrize(
    ("question", "tool", "cited"),
    [
        ("Which T cells express CD8A?", "kinds_expressing", "CL:0000625"),
        ("Which receptors does CXCL12 bind?", "receptors", "HGNC:2561"),
        ("What are the ligands of CXCR4?", "ligands", "HGNC:10672"),
        ("How do I tell a cDC1 from a cDC2?", "difference", "CL:0002394"),
        ("What does the gene FOXP3 do in Tregs?", "gene_in_type", "CL:0000815"),
        ("Markers of human alveolar type 2 cells", "markers", "CL:0002063"),
        ("Why is a B cell not a T cell?", "is_a", "CL:0000542"),
        ("Where is the thymus located?", "wholes", "UBERON:0002370"),
        ("Which cells are derived from mature B cells?", "develops_into", "CL:0000785"),
        ("Is a cervical dorsal root ganglion Nav1.7 neuron a cell?", "is_a", "CL:4079002"),
        ("Is the extracellular matrix part of the nucleus?", "part_of", "GO:0031012"),
        ("Which genes regulate T cell proliferation?", "genes_regulating", "HGNC:1653"),
        ("What inhibits T cell activation?", "negative_regulators", "GO:0050868"),
        ("What promotes apoptosis?", "positive_regulators", "GO:0043065"),
        ("What genes does Alzheimer disease involve?", "genes_of", "HGNC:613"),
        ("How many genes are associated with cystic fibrosis?", "count_genes", "MONDO:0009061"),
        ("whats the diff between M1 and M2 macrophages", "difference", "CL:0000863"),
        ("Is LDLR mutated in familial hypercholesterolemia?", "related", "HGNC:6547"),
        ("Where in the cell is TP53?", "location", "HGNC:11998"),
        ("Which mouse gene corresponds to human CD19?", "orthologues", "MGI:88319"),
        ("Are B cells and T cells different?", "difference", "CL:0000236"),
        ("Which genes are markers of both T cells and NK cells?", "genes_linking", "CL:0000623"),
        (
            "Does PRF1 deficiency cause hemophagocytic lymphohistiocytosis?",
            "related",
            "MONDO:0015540",
        ),
        ("What does the Cell Ontology say about MAIT cells?", "definition", "CL:0000940"),
        ("Is a rod cell a photoreceptor?", "is_a", "CL:0000210"),
        ("Is the hippocampus part of the brain?", "part_of", "UBERON:0000955"),
    ],
)
def test_questions_as_biologists_ask_them(question: str, tool: str, cited: str) -> None:
    answer = ask(question)
    assert (answer.status, answer.tool) == ("ok", tool)
    assert cited in str([citation.to_json() for citation in answer.citations])


def test_an_id_that_no_release_holds_is_told() -> None:
    answer = ask("What is CL:9999999?")
    assert answer.status == "abstained"
    assert "CL:9999999 is in none of the loaded releases" in answer.answer


def test_cells_of_an_organ_are_not_answered_with_its_parts() -> None:
    answer = ask("What kinds of cells are in the pancreas?")
    assert answer.tool == "types_in"
    assert {claim.statement.subject[:3] for claim in answer.claims if claim.statement} == {"CL:"}
    quoted = [claim.text for claim in answer.claims if " is defined as " in claim.text]
    assert quoted
    assert all("pancrea" in text.lower() for text in quoted)
    assert "which other types are found there they do not say" in answer.answer


def test_a_no_by_a_release_is_told_apart_from_one_that_is_certain() -> None:
    assert ask("Is a Th17 cell a helper T cell?").answer.startswith("No, by this release: ")
    assert ask("Is a lymphocyte a T cell?").answer.startswith("No: ")


def test_an_annotation_without_data_is_no_fact() -> None:
    answer = ask("Where in the cell is DMRTC2 found?")
    assert "cellular_component" not in answer.answer
