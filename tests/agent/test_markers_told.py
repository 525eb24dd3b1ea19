"""Markers as they are told: of classes without their own, where sources disagree, in common."""

from __future__ import annotations

import pytest

from agent.facts import Facts
from agent.kinds import linking, markers, relations
from agent.qa import Agent
from agent.verification.statement import Form
from data.markers import everywhere
from kg.embedded import EmbeddedGraph
from kg.terms import IS_A, MARKER_OF

pytestmark = pytest.mark.assets
B_LINEAGE, TH1, CCR6, NK, KILLING = (
    "CL:0000945", "CL:0000545", "HGNC:1607", "CL:0000623", "GO:0001906"
)  # fmt: skip


@pytest.fixture(scope="module")
def facts(real: EmbeddedGraph) -> Facts:
    return Facts(real)


def test_a_class_without_markers_is_told_those_of_its_kinds_as_theirs(facts: Facts) -> None:
    found = markers.markers(facts, B_LINEAGE)
    told = [f.statement for f in found.findings if f.statement.predicate == MARKER_OF]
    below = set(facts.graph.descendants(B_LINEAGE)) - {B_LINEAGE}
    assert told
    assert {statement.subject for statement in told} <= below
    names = {facts.names.label(gene) for statement in told for gene in statement.objects}
    assert "MS4A1" in names
    assert not names & {"CD3E", "CD3D", "CD3G"}
    assert "No marker is listed for lymphocyte of B lineage" in found.notes[0]


def test_a_marker_that_the_definition_denies_is_told_with_it(facts: Facts) -> None:
    for found in (markers.is_marker(facts, CCR6, TH1), markers.markers(facts, TH1)):
        (denial,) = [f for f in found.findings if f.statement.form is Form.DEFINED]
        assert denial.lead == "But by the definition CCR6 is negative"
        assert "CCR6-negative" in denial.statement.quotes[0]


def test_a_marker_that_nothing_denies_stands_alone(facts: Facts) -> None:
    found = markers.is_marker(facts, CCR6, "CL:0000899")
    assert not [f for f in found.findings if f.statement.form is Form.DEFINED]


def test_genes_in_common_are_looked_for_below_a_term_that_has_none(facts: Facts) -> None:
    found = linking.genes_linking(facts, NK, KILLING)
    subjects = {f.statement.subject for f in found.findings}
    assert NK in subjects
    assert KILLING not in subjects
    walks = [f.statement for f in found.findings if f.statement.form is Form.WALK]
    assert {walk.objects[-1] for walk in walks} == {KILLING}
    assert {hop for walk in walks for hop in walk.hops} == {IS_A}


def test_two_names_of_one_term_and_two_terms(facts: Facts) -> None:
    (one,) = relations.same(facts, "HGNC:6008", "HGNC:6008").findings
    assert one.lead == "Yes, one term has both names"
    assert "CD25" in one.statement.quotes
    assert relations.same(facts, TH1, NK).findings[0].lead == "No, they are two"


def test_what_is_told_passes_the_verifier(real: EmbeddedGraph) -> None:
    agent = Agent(real)
    for question in (
        "What are the markers of lymphocyte of B lineage?",
        "Is CCR6 a marker of Th1 cells?",
        "Which genes link NK cells to cell killing?",
        "Is CD25 the same as IL2RA?",
    ):
        answer = agent.ask(question)
        assert answer.status == "ok"
        assert not [claim for claim in answer.claims if claim.verdict == "dropped"]


@pytest.mark.parametrize(
    "id", ["CL:0000125", "CL:0000178", "CL:0002436", "CL:0000546", "CL:0000236"]
)
def test_genes_of_every_cell_are_not_told_as_markers_on_one_list_alone(
    facts: Facts, id: str
) -> None:
    """The table keeps such rows (RPL13 of glial cells); the answer does not show them."""
    answer = Agent(facts.graph).use("markers", id)
    edges = [c.evidence.edge for c in answer.citations if c.evidence.kind == "kg_edge"]
    told = [one for one in edges if one.predicate == MARKER_OF and "negative" not in one.qualifiers]
    assert len(told) >= 5
    for edge in told:
        symbol = facts.names.label(edge.subject)
        listed = [q for q in edge.qualifiers if q.startswith("source:")]
        assert not everywhere(symbol.upper()) or len(listed) > 1, symbol
