"""Everyday questions over the real graph: causes, places, partners by support, what is not held."""

from __future__ import annotations

from functools import cache

import pytest

from agent.answer import Answer
from agent.conversation.chat import Conversation
from agent.conversation.memory import Scratch
from agent.lookup import open_graph
from agent.qa import Agent
from agent.routing.naming import named_in
from agent.routing.router import route
from agent.routing.unheld import unheld
from kg.graph import KnowledgeGraph

pytestmark = pytest.mark.assets

CFTR, CF, TREM2 = "HGNC:1884", "MONDO:0009061", "HGNC:17761"


@cache
def agent() -> Agent:
    return Agent(open_graph())


def ask(question: str) -> Answer:
    return agent().ask(question)


def talk(*questions: str) -> Answer:
    conversation = Conversation(agent(), Scratch())
    return [conversation.say(question) for question in questions][-1]


@pytest.mark.parametrize(
    ("question", "tool", "terms"),
    [
        ("Is cystic fibrosis caused by CFTR?", "annotated", (CFTR, CF)),
        ("Is CF caused by mutations in CFTR?", "annotated", (CFTR, CF)),
        ("Does CFTR cause cystic fibrosis?", "annotated", (CFTR, CF)),
        ("Is CFTR to blame for cystic fibrosis?", "annotated", (CFTR, CF)),
        ("Does APOE have anything to do with Alzheimer's?", "annotated",
         ("HGNC:613", "MONDO:0004975")),
        ("Where is insulin made?", "types_of_gene", ("HGNC:6081",)),
        ("Where is CD19 expressed?", "types_of_gene", ("HGNC:1633",)),
        ("Who does IL6 talk to?", "partners", ("HGNC:6018",)),
        ("Which cells are CD19 positive?", "types_of_gene", ("HGNC:1633",)),
    ],
)  # fmt: skip
def test_everyday_wordings_are_read_by_rule(
    question: str, tool: str, terms: tuple[str, ...]
) -> None:
    text, mentions, _ = named_in(question, open_graph(), attached=False)
    plan = route(text, mentions)
    assert (plan.tool, tuple(mention.id for mention in plan.terms)) == (tool, terms)


def test_a_disease_of_a_gene_is_told_without_a_cause() -> None:
    said = ask("Is cystic fibrosis caused by CFTR?")
    assert said.answer.startswith("Yes: CFTR (HGNC:1884) is associated with cystic fibrosis")
    assert "do not tell causes from modifiers" in said.answer
    assert ask("Is CF caused by TP53?").answer.startswith("Not recorded")


@pytest.mark.parametrize(
    ("question", "who_does"),
    [
        ("What is next to TP53 on the chromosome?", "Ensembl"),
        ("Which chromosome is CFTR on?", "GENCODE"),
        ("Which drugs target CD19?", "ChEMBL"),
        ("How many microglia are there in the human brain?", "no loaded source counts"),
        ("What is the amino acid sequence of CFTR?", "UniProt"),
    ],
)
def test_what_no_source_holds_is_told_and_not_guessed_at(question: str, who_does: str) -> None:
    said = ask(question)
    assert said.status == "abstained"
    assert who_does in said.answer


def test_a_chromosome_is_still_a_place_in_the_cell(small: KnowledgeGraph) -> None:
    assert not unheld("Is TP53 located in the chromosome?")
    assert ask("Is TP53 located in chromosome?").tool == "annotated"
    assert route("Which chromosome is it on?", ()).lacking


def test_symptoms_are_said_to_be_left_out_of_the_graph() -> None:
    said = ask("What are the symptoms of cystic fibrosis?")
    assert said.status == "abstained"
    assert "holds no symptoms of any disease" in said.answer
    assert "hpo.jax.org" in said.answer


def test_partners_are_told_apart_by_what_carries_them() -> None:
    said = ask("Which proteins interact with IL2?")
    shown, several, one = said.claims
    codes = {edge["evidence_code"] for edge in _edges(said, shown.evidence)}
    assert codes == {"IPI"}
    assert "IL2RA" in shown.text
    assert "IL2RG" in several.text
    assert "DLK1" in one.text
    assert "Listed so by one resource only: IL2" in said.answer
    assert {edge["evidence_code"] for edge in _edges(said, one.evidence)} == {None}


def _edges(said: Answer, keys: tuple[str, ...]) -> list[dict[str, str]]:
    cited = {one.key: one.to_json()["edge"] for one in said.citations}
    return [cited[key] for key in keys]


def test_what_a_type_does_is_told_by_its_definition_where_no_capability_is_stated() -> None:
    said = ask("What do goblet cells do?")
    assert "mucus" in said.answer
    assert "goblet cell theca" not in said.answer


@pytest.mark.parametrize(
    ("question", "many"),
    [
        ("Name me five markers of oligodendrocytes", 5),
        ("What are the top 3 markers of B cells?", 3),
        ("Which two diseases is TREM2 associated with?", 2),
        ("What are the markers of B cells?", 12),
    ],
)
def test_as_many_are_named_as_are_asked_for(question: str, many: int) -> None:
    said = ask(question)
    first = said.claims[0].statement
    assert first is not None
    assert len(first.objects) == many


def test_a_number_in_a_name_is_not_how_many_are_wanted() -> None:
    said = ask("Is interleukin 2 a gene?")
    assert {mention.id for mention in said.mentions} >= {"HGNC:6001"}


# --- conversations -------------------------------------------------------------------------------


def test_forget_it_drops_the_subject() -> None:
    assert "TREM2 (HGNC:17761) is dropped" in talk("What does TREM2 do?", "forget it").answer
    after = talk("What does TREM2 do?", "Forget it.", "What does it bind?")
    assert after.status == "abstained"
    assert "goes on from an earlier question" in after.answer
    other = talk("What does IL10 bind?", "never mind, tell me about Kupffer cells", "its markers?")
    assert other.terms == ("CL:0000091",)


@pytest.mark.parametrize(
    ("first", "then", "tool"),
    [
        ("What does TREM2 do?", "Which diseases?", "diseases"),
        ("What does TREM2 do?", "and the partners?", "partners"),
        ("What is a microglial cell?", "markers?", "markers"),
        ("Which diseases is TREM2 predicted to be associated with?", "and where?",
         "predicted_locations"),
    ],
)  # fmt: skip
def test_a_bare_noun_asks_it_of_what_was_spoken_of(first: str, then: str, tool: str) -> None:
    said = talk(first, then)
    assert (said.tool, len(said.terms)) == (tool, 1)


@pytest.mark.parametrize(
    ("first", "then", "words"),
    [
        (
            "Is CD19 a marker of B cells?",
            "How sure are you?",
            "by 6 collections of markers [E1]: A",
        ),
        ("Is a T cell a lymphocyte?", "how do you know?", "Cell Ontology v2026-03-26 states it"),
        ("Which proteins interact with IL2?", "can I trust that?", "physical interaction (IPI)"),
        (
            "Which diseases is TREM2 associated with?",
            "how reliable is that?",
            "without an evidence code",
        ),
        ("Which diseases is TREM2 predicted to be associated with?", "are you sure?", "it, kNN-20"),
    ],
)
def test_how_sure_is_told_by_what_carries_the_last_answer(
    first: str, then: str, words: str
) -> None:
    said = talk(first, then)
    assert words in said.answer
    assert said.citations


def test_how_sure_after_no_answer_says_so() -> None:
    said = talk("What is the price of CD19?", "how sure are you?")
    assert "the last question was not answered" in said.answer


def test_the_organism_that_a_question_names_stays_for_what_follows() -> None:
    said = talk("What is a hepatocyte?", "Which genes mark it in mouse?", "why?")
    assert "Hnf4a" in said.answer


def test_they_may_be_all_that_the_last_answer_listed() -> None:
    said = talk("Which cells express GFAP?", "are they glial cells?")
    assert said.status == "ok"
    assert "astrocyte" in said.answer
