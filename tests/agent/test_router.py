"""The router: slots, patterns, phrases, and what is left unread."""

from __future__ import annotations

import pytest

from agent.routing.asked import Asked
from agent.routing.patterns import PATTERNS
from agent.routing.questions import slotted
from agent.routing.router import LITERATURE, route
from agent.tools import TOOLS
from agent.verification.phrases import PHRASES
from kg.graph import KnowledgeGraph
from kg.grounding import ground
from kg.terms import PREDICATES


@pytest.mark.parametrize(
    ("question", "tool", "ids"),
    [
        ("Is a T cell a lymphocyte?", "is_a", ("CL:0000084", "CL:0000542")),
        ("Does lymphocyte include T cells?", "is_a", ("CL:0000084", "CL:0000542")),
        ("Is a lymphocyte the parent of the T cell?", "is_a", ("CL:0000084", "CL:0000542")),
        ("Does a platelet develop from a megakaryocyte?", "does_develop",
         ("CL:0000233", "CL:0000556")),
        ("Do megakaryocytes give rise to platelets?", "does_develop", ("CL:0000233", "CL:0000556")),
        ("Which cells give rise to platelets?", "develops_from", ("CL:0000233",)),
        ("What do megakaryocytes develop into?", "develops_into", ("CL:0000556",)),
        ("Which genes mark B cells?", "markers", ("CL:0000236",)),
        ("Is B cell marked by MS4A1?", "is_marker", ("HGNC:7315", "CL:0000236")),
        ("What is MS4A1 a marker of?", "marked_types", ("HGNC:7315",)),
        ("Which genes are involved in cytolysis?", "genes_of", ("GO:0019835",)),
        ("How do T cells and B cells differ?", "difference", ("CL:0000084", "CL:0000236")),
        ("What does GZMB do?", "function", ("HGNC:4709",)),
        ("What does GZMB do in T cells?", "gene_in_type", ("HGNC:4709", "CL:0000084")),
        ("How many kinds of lymphocyte are there?", "count_subtypes", ("CL:0000542",)),
        ("what's a monocyte", "definition", ("CL:0000576",)),
    ],
)  # fmt: skip
def test_routes(small: KnowledgeGraph, question: str, tool: str, ids: tuple[str, ...]) -> None:
    plan = route(question, ground(question, small))
    assert (plan.tool, tuple(mention.id for mention in plan.terms)) == (tool, ids)
    assert plan.why


@pytest.mark.parametrize(
    ("question", "unread"),
    [
        ("What is the airspeed of a T cell?", "airspeed"),
        ("Which genes mark B cells in Martian soil?", "soil"),
        ("Is a T cell a lymphocyte on Tuesdays?", "tuesday"),
    ],
)
def test_a_word_that_no_reading_accounts_for_stops_it(
    small: KnowledgeGraph, question: str, unread: str
) -> None:
    plan = route(question, ground(question, small))
    assert plan.tool == ""
    assert unread in plan.unread


def test_slots_stand_for_terms(small: KnowledgeGraph) -> None:
    question = "Which cell types develop into a platelet?"
    asked = slotted(question, ground(question, small))
    assert asked.text == "which cell type develop into @C0"


def test_every_pattern_leads_to_a_tool_with_as_many_terms() -> None:
    for pattern in PATTERNS:
        if pattern.tool == LITERATURE:
            continue
        assert pattern.tool in TOOLS
        slots = [name for name in ("a", "b") if name in pattern.regex.groupindex]
        assert len(slots) == TOOLS[pattern.tool].arity, pattern.regex.pattern


def test_every_relation_has_words() -> None:
    assert set(PHRASES) == set(PREDICATES)
    assert Asked("is_a", (0,), "", ()).tool in TOOLS
