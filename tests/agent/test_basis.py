"""What an absence or a total was counted over is told with the claim, and is right."""

from __future__ import annotations

import re

import pytest

from agent.cli.ask import shown
from agent.qa import Agent
from agent.verification.wording import many
from kg.graph import KnowledgeGraph
from kg.terms import IS_A


def whys(graph: KnowledgeGraph, question: str) -> list[str]:
    answer = Agent(graph).ask(question)
    assert answer.status == "ok"
    return [claim.why for claim in answer.claims if claim.verdict == "supported"]


def test_an_absence_names_what_was_gone_through(small: KnowledgeGraph) -> None:
    why = whys(small, "Is a B cell a T cell?")[0]
    above = len(set(small.ancestors("CL:0000236")) - {"CL:0000236"})
    assert f"T cell is none of the {above} classes above B cell in CL v1" in why


def test_a_total_names_the_statements_that_it_counts(small: KnowledgeGraph) -> None:
    why = whys(small, "How many kinds of lymphocyte are there?")[0]
    edges = small.edges("CL:0000542", direction="in", predicates=(IS_A,))
    counted = (
        f"{len(edges)} 'is a' statements to lymphocyte in CL v1, of {len(edges)} different terms"
    )
    assert counted in why


@pytest.mark.parametrize(
    "question", ["What kinds of lymphocyte are there?", "Is a T cell a lymphocyte?"]
)
def test_what_records_say_themselves_counts_nothing(small: KnowledgeGraph, question: str) -> None:
    assert not any("statements" in why or "classes" in why for why in whys(small, question))


def test_the_command_line_shows_it_below_the_evidence(small: KnowledgeGraph) -> None:
    text = shown(Agent(small).ask("Is a B cell a T cell?"), small)
    assert re.search(r"\n  counted \[E1.*\]: T cell is none of the \d+ classes above B cell", text)


def test_one_is_told_as_one(small: KnowledgeGraph) -> None:
    """Nodes with a single class above them, or a single statement."""
    lone = [
        term
        for term in small.terms(["CL:0000542", "CL:0000084", "CL:0000236"])
        if len(small.edges(term, direction="in", predicates=(IS_A,))) == 1
    ]
    assert many(1, "statement") == "1 statement" and many(1200, "cell") == "1,200 cells"
    for term in lone:
        label = small.terms([term])[term].label
        for why in whys(small, f"How many kinds of {label} are there?"):
            assert not re.search(r"\b1 (?:'[^']+' )?(?:statements|different terms)\b", why)
    assert lone
