"""What a biologist types on her first day: what is named, where it is sent, what is said."""

from __future__ import annotations

from functools import cache

import pytest

from agent.answer import Answer
from agent.conversation.chat import Conversation
from agent.conversation.memory import Scratch
from agent.lookup import open_graph
from agent.qa import Agent
from agent.routing.naming import named_in
from agent.routing.nearby import nearby
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.naming.mentions import Mention

pytestmark = pytest.mark.assets


@cache
def agent() -> Agent:
    return Agent(open_graph())


def ask(question: str) -> Answer:
    return agent().ask(question)


def talk(*questions: str) -> list[Answer]:
    conversation = Conversation(agent(), Scratch())
    return [conversation.say(question) for question in questions]


@pytest.mark.parametrize(
    ("question", "ids"),
    [
        ("What is the difference between a naive and a memory B cell?",
         ("CL:0000788", "CL:0000787")),
        ("How do conventional and plasmacytoid dendritic cells differ?",
         ("CL:0000990", "CL:0000784")),
        ("Which cells are derived from mature B cells?", ("CL:0000785",)),
        ("What GO terms is GATA3 annotated with?", ("HGNC:4172",)),
        ("What does GO do?", ("HGNC:25676",)),  # without "terms" it is a gene's other name
        ("What are alpha cells?", ("CL:0000171",)),
        ("Are mouse alpha cells neurons?", ("NCBITaxon:10090", "CL:0004117", "CL:0000540")),
        ("Why do NK cells make perforin?", ("CL:0000623", "HGNC:9360")),
        ("Is perforin made by NK cells?", ("HGNC:9360", "CL:0000623")),
        ("What is the job of perforin?", ("HGNC:9360",)),
        ("Do NK cells make the difference?", ("CL:0000623",)),
        ("Does CD19 bind to B cells?", ("HGNC:1633", "CL:0000236")),
    ],
)  # fmt: skip
def test_what_a_question_names(question: str, ids: tuple[str, ...]) -> None:
    _, mentions, _ = named_in(question, open_graph(), attached=True)
    assert tuple(mention.id for mention in mentions) == ids


@pytest.mark.parametrize(
    ("question", "tool", "words"),
    [
        ("Which markers should I use to tell monocytes from dendritic cells?", "difference",
         "CD14"),
        ("What GO terms is GATA3 annotated with?", "function", "is involved in"),
        ("What cell types are found in the liver?", "types_in", "Hepatocyte (CL:0000182)"),
        ("In which organ are Paneth cells found?", "tissue", "intestinal glands"),
        ("What are the neighbours of CD8A in the graph?", "surroundings", "interacts with"),
        ("What is CD4 connected to in the graph?", "surroundings", "best supported first"),
        ("What lineage do mast cells belong to?", "develops_from", "mast cell progenitor"),
        ("Why do NK cells make perforin?", "why_expresses", "First, whether they do: yes"),
        ("Why do B cells express CD3E?", "why_expresses", "First, whether they do: no"),
        ("Why is CD8A expressed in neurons?", "why_expresses", "First, whether they do: not rec"),
    ],
)  # fmt: skip
def test_first_questions(question: str, tool: str, words: str) -> None:
    answer = ask(question)
    assert (answer.status, answer.tool) == ("ok", tool), answer.answer
    assert words in answer.answer
    assert {claim.verdict for claim in answer.claims} == {"supported"}


def test_what_a_gene_does_is_no_reason_for_its_expression() -> None:
    assert (
        "No loaded source states why a cell type expresses a gene."
        in ask("Why do B cells express CD3E?").answer
    )


@pytest.mark.parametrize(
    "question",
    [
        "What is the airspeed of a T cell?",
        "Who discovered the B cell?",
        "Which antibody clone should I use for CD4?",
        "Which genes do monocytes not express?",
        "Why do B cells not express CD3E?",
        "In which organ do T cells fail?",
        "Where can I buy B cells?",
        "What do rituximab and T cells have in common?",
    ],
)
def test_what_is_not_answered_says_what_near_it_is(question: str) -> None:
    answer = ask(question)
    assert answer.status == "abstained"
    assert "near it is answered: " in answer.answer


def test_what_is_near_fits_the_question_that_was_asked() -> None:
    cell = nearby("What is the airspeed of a T cell?", _mentions("a T cell"))
    gene = nearby("How many exons does TP53 have?", _mentions("TP53"))
    assert cell.startswith("the markers of T cell")
    assert gene.startswith("what TP53 does")
    both = nearby("Is a T cell bigger than a B cell?", _mentions("a T cell or a B cell"))
    assert both.startswith("what distinguishes T cell from B cell")
    nearest = nearby("Which disease would MS4A1 cure?", _mentions("MS4A1"))
    assert nearest.startswith("the diseases that MS4A1 is associated with")
    assert nearby("What is the weight of a swallow?", ()) == ""


def _mentions(text: str) -> tuple[Mention, ...]:
    return named_in(text, open_graph(), attached=True)[1]


# --- conversations -------------------------------------------------------------------------------


def test_it_is_the_subject_of_the_last_question_even_where_that_was_not_answered() -> None:
    *_, unanswered, last = talk(
        "What does CD19 do?", "What is the price of MS4A1?", "What are its interaction partners?"
    )
    assert unanswered.status == "abstained"
    assert (last.tool, last.terms) == ("partners", ("HGNC:7315",))
    first, second = talk("What is the price of MS4A1?", "What does it do?")
    assert (first.status, second.terms) == ("abstained", ("HGNC:7315",))


def test_a_subject_of_an_earlier_turn_is_told() -> None:
    *_, last = talk("What is a B cell?", "What does MS4A1 do?", "What are its markers?")
    assert last.terms == ("CL:0000236",)
    assert any("'its' is read as B cell (CL:0000236)" in line for line in last.warnings)


def test_why_after_an_abstention_is_of_nothing() -> None:
    *_, last = talk("Is a T cell a lymphocyte?", "What is the price of MS4A1?", "why?")
    assert "the last question was not answered" in last.answer


def test_a_bare_name_with_a_question_mark_is_the_last_question() -> None:
    assert talk("What are the markers of T cells?", "B cells?")[-1].tool == "markers"
    assert talk("What are the markers of T cells?", "B cells")[-1].tool == "definition"


def test_more_of_a_list_until_it_ends() -> None:
    first, more, most, end = talk(
        "What are the markers of plasma cells?", "show me more", "more please", "show me the rest"
    )
    many = [sum(c.evidence.kind == "kg_edge" for c in one.citations) for one in (first, more, most)]
    assert many[0] < many[1] < many[2] or "names all" in most.answer
    assert more.answer.startswith("Plasma cell (CL:0000786) has the markers SDC1")
    assert "names all that they hold" in end.answer


def test_both_of_two_named_terms_is_no_reference(small: KnowledgeGraph) -> None:
    answer = Conversation(Agent(small), Scratch()).say(
        "Which genes are markers of both T cells and B cells?"
    )
    assert "goes on from an earlier question" not in answer.answer


def test_alpha_cells_after_microglia_are_of_the_pancreas(real: EmbeddedGraph) -> None:
    conversation = Conversation(Agent(real), Scratch())
    conversation.say("What is a microglial cell?")
    answer = conversation.say("alpha cells")
    assert answer.answer.startswith("Pancreatic A cell (CL:0000171) is defined as")
    assert any("alpha retinal ganglion cell" in line for line in answer.warnings)
