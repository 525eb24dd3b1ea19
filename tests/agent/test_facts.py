"""Reads of the graph as evidence: a path names its relations and every release it walks through."""

from __future__ import annotations

import pytest

from agent.facts import Facts
from agent.kinds.genes import CAUSES, types_of_gene
from agent.qa import Agent
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.terms import DEVELOPS_FROM, IS_A, MENTIONS, Curie, Edge


def test_a_path_of_two_releases_names_both_and_its_relations(small: KnowledgeGraph) -> None:
    up, *_ = small.edges("CL:0000084", direction="out", predicates=(IS_A,))
    develops = Edge("CL:0000625", DEVELOPS_FROM, "CL:0000084", "CL-2014", "2014-10-13")
    piece = Facts(small).path((develops, up))
    t_cell = "—develops from→ T cell (CL:0000084) → lymphocyte (CL:0000542)"
    assert t_cell in piece.text
    assert piece.text.endswith(f" [CL-2014 2014-10-13, CL {up.release}]")
    # The citation's own source is the last hop's: one release, which the verifier looks up.
    assert (piece.source, piece.release) == ("CL", up.release)


def test_a_path_of_one_release_leaves_it_to_the_citation(small: KnowledgeGraph) -> None:
    up, *_ = small.edges("CL:0000084", direction="out", predicates=(IS_A,))
    assert Facts(small).path((up,)).text == "T cell (CL:0000084) → lymphocyte (CL:0000542)"


@pytest.mark.assets
@pytest.mark.parametrize(
    ("gene", "named"),
    [
        # Insulin acts on neurons and T cells ("neuron projection maintenance"): none of its cells.
        ("HGNC:6081", set()),
        # CD19 is in "B cell activation", and B cells are on its list.
        ("HGNC:1633", {"CL:0000236"}),
    ],
)
def test_a_type_in_a_process_name_is_told_where_the_markers_agree(
    gene: Curie, named: set[Curie], real: EmbeddedGraph
) -> None:
    found = types_of_gene(Facts(real), gene)
    told = [f.statement for f in found.findings if f.statement.predicate == MENTIONS]
    assert {node for statement in told for node in statement.objects} == named
    assert any(finding.statement.predicate != MENTIONS for finding in found.findings)


@pytest.mark.assets
@pytest.mark.parametrize(
    "question",
    [
        "Which gene causes cystic fibrosis?",
        "Is cystic fibrosis caused by CFTR?",
        "Which diseases are caused by CFTR?",
        "Which diseases does CFTR cause?",
    ],
)
def test_genes_of_a_disease_are_not_told_as_its_causes(real: EmbeddedGraph, question: str) -> None:
    answer = Agent(real).ask(question)
    assert answer.status == "abstained" or CAUSES in answer.answer
    if question.startswith("Which gene"):
        assert answer.status == "ok"
