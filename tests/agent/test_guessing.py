"""Questions that no rule reads: guessed by a classifier, then by a model; refused where unsafe."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.config import AskConfig
from agent.evaluation.byhand import read_rewordings
from agent.lookup import open_graph
from agent.qa import Agent
from agent.routing.guessing import chosen, guessed
from agent.routing.naming import named_in
from data.errors import DependencyMissing
from encoders import routes
from encoders.routes import RouteClassifier
from kg.graph import KnowledgeGraph
from kg.grounding import ground
from tests.retrieval.little_encoder import LittleEncoder

GOLDEN = Path(__file__).parents[1] / "golden"
UNREAD = "Pray sort lymphocyte into its varieties"
LIMIT = 5.0


def classifier(threshold: float = 0.5, nearness: float = 0.9) -> RouteClassifier:
    """Two kinds of question, learnt from a wording each."""
    encoder = LittleEncoder(dimension=256)
    wordings = {"subtypes": "pray sort lymphocyte into its varieties", "none": "what does it cost"}
    words = ("pray", "sort", "varieties")
    return RouteClassifier(
        labels=tuple(wordings), weight=20 * encoder.encode(list(wordings.values())),
        bias=np.zeros(2, np.float32), words=words, word_vectors=encoder.encode(words),
        own={"subtypes": (0, 1, 2)}, threshold=threshold, nearness=nearness, encoder=encoder,
    )  # fmt: skip


@pytest.fixture
def little(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(routes, "load", classifier)


def route(graph: KnowledgeGraph, question: str, **config: Any) -> tuple[str, str]:
    answer = Agent(graph, AskConfig(**config)).ask(question)
    return answer.tool, next(step.why for step in answer.route if step.tool == "route")


@pytest.mark.usefixtures("little")
def test_a_guess_is_told_with_its_probability_and_what_it_was_taken_for(
    small: KnowledgeGraph,
) -> None:
    answer = Agent(small).ask(UNREAD)
    assert answer.status == "ok"
    assert answer.tool == "subtypes"
    assert "subtypes: classifier 1.00" in answer.route[1].why
    assert "taken (classifier 1.00) for: The kinds of lymphocyte" in answer.warnings[0]


@pytest.mark.usefixtures("little")
@pytest.mark.parametrize(
    ("question", "why"),
    [
        ("Pray never sort lymphocyte into its varieties", "turns on 'never'"),
        ("Pray sort only lymphocyte into its varieties", "turns on 'only'"),
        ("Pray sort these lymphocyte into its varieties", "speaks of 'these'"),
        ("Pray sort lymphocyte into its Wibbler varieties", "'Wibbler' is a name that was not"),
        ("Pray sort lymphocyte into its costly varieties", "'costly' is none of its words"),
        ("Pray sort into its varieties", "it names no terms"),
        ("Pray sort lymphocyte, monocyte and platelet into its varieties", "it names 3 terms"),
        ("What does lymphocyte cost", "no kind of question that is answered"),
        ("Pray sort lymphocyte and platelet into its varieties", "which takes 1 terms"),
        ("Pray sort CD8A into its varieties", "which takes other kinds of term"),
    ],
)
def test_what_would_not_be_safe_is_not_guessed(
    small: KnowledgeGraph, question: str, why: str
) -> None:
    tool, said = route(small, question)
    assert tool == ""
    assert why in said


@pytest.mark.usefixtures("little")
def test_rules_come_first_and_the_classifier_can_be_left_out(small: KnowledgeGraph) -> None:
    assert "classifier" not in route(small, "What kinds of lymphocyte are there?")[1]
    tool, why = route(small, UNREAD, classifier=False)
    assert tool == ""
    assert "classifier" not in why


def test_without_the_packages_the_trace_says_that_rules_alone_were_asked(
    small: KnowledgeGraph, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> RouteClassifier:
        raise DependencyMissing("text vectors need the packages of the models extra")

    monkeypatch.setattr(routes, "load", missing)
    tool, why = route(small, UNREAD)
    assert tool == ""
    assert why.endswith("rules alone: text vectors need the packages of the models extra")


def test_more_is_asked_of_a_guess_where_the_order_of_terms_decides() -> None:
    made = classifier(threshold=0.8)
    ordered = RouteClassifier(**{**vars(made), "labels": ("is_a", "is_a~")})
    assert made.sure(routes.Guess("subtypes", 0.85))
    assert not ordered.sure(routes.Guess("is_a", 0.85))
    assert ordered.sure(routes.Guess("is_a", 0.95))


# --- the shipped weights -------------------------------------------------------------------------


@pytest.mark.models
@pytest.mark.assets
@pytest.mark.slow
@pytest.mark.parametrize(
    ("question", "tool"),
    [
        ("By which genes would one know lymphocyte?", "markers"),
        ("Which conditions go back to broken CD8A?", "diseases"),
        ("Tell me the molecules that CD8A sticks to, physically", "partners"),
        ("Which markers of lymphocyte are patented?", ""),
        ("How much does a lymphocyte weigh on the moon?", ""),
        ("Would you marry a lymphocyte?", ""),
    ],
)
def test_the_shipped_classifier_reads_new_wordings_or_nothing(
    small: KnowledgeGraph, question: str, tool: str
) -> None:
    found = guessed(question, ground(question, small), AskConfig()).plan
    # What is not sure enough is left: a guess that is made is right.
    assert (found.tool if found else "") in {tool, ""}


@pytest.mark.models
@pytest.mark.assets
@pytest.mark.slow
def test_the_shipped_classifier_does_guess(small: KnowledgeGraph) -> None:
    question = "Which genes should one look at to find lymphocyte?"
    found = guessed(question, ground(question, small), AskConfig())
    assert found.plan is not None
    assert found.plan.tool == "markers"


@pytest.mark.models
@pytest.mark.assets
@pytest.mark.slow
def test_the_shipped_classifier_reaches_tools_that_had_patterns_alone() -> None:
    """Questions that it was not tuned on: some are read, none is taken for another."""
    agent = Agent(open_graph())
    asked = read_rewordings(GOLDEN / "rewordings_tools.tsv")
    found = []
    for question, kind in asked:
        read, mentions, _ = named_in(question, agent.graph, attached=False)
        guess = guessed(read, mentions, agent.config)
        found.append((guess.plan.tool if guess.plan else "", kind))
    assert sum(tool == kind for tool, kind in found) >= 3
    assert not [one for one in found if one[0] not in ("", one[1])]


# --- a language model ----------------------------------------------------------------------------


def asked(graph: KnowledgeGraph, question: str, mode: str) -> tuple[str, str]:
    config = AskConfig(llm=f"ollama:{mode}", write_seconds=LIMIT, classifier=False)
    found = chosen(question, ground(question, graph), config)
    return (found.plan.tool if found.plan else ""), found.why


def test_a_chat_model_names_one_of_the_typed_tools(
    small: KnowledgeGraph, sent: list[dict[str, Any]]
) -> None:
    before = len(sent)
    assert asked(small, UNREAD, "say subtypes")[0] == "subtypes"
    assert len(sent) == before + 2
    first, second = (str(one["messages"]) for one in sent[before:])
    assert "subtypes: The kinds of lymphocyte." in first
    assert "is_a" not in first  # two terms
    assert first.index("nsupertypes:") < first.index("nsubtypes:")
    assert second.index("nsupertypes:") > second.index("nsubtypes:")


def test_the_order_of_terms_is_chosen_with_the_tool(
    small: KnowledgeGraph, sent: list[dict[str, Any]]
) -> None:
    question = "Pray, would lymphocyte swallow T cell whole as classes go?"
    config = AskConfig(llm="ollama:say is_a_reversed", write_seconds=LIMIT, classifier=False)
    plan = chosen(question, ground(question, small), config).plan
    assert plan is not None
    assert [term.label for term in plan.terms] == ["T cell", "lymphocyte"]


@pytest.mark.parametrize(
    ("mode", "why"),
    [
        ("empty", "chose none of the tools"),
        ("spaces", "chose none of the tools"),
        ("garbage", "chose none of the tools"),
        ("long", "chose none of the tools"),
        ("lies", "chose none of the tools"),
        ("obedient", "chose none of the tools"),
        ("say nothing", "chose none of the tools"),
        ("say delete_everything", "chose none of the tools"),
        ("say is_a", "chose none of the tools"),
        ("say subtypes and supertypes", "chose none of the tools"),
        ("first", "chose none of the tools"),
        ("error", "chose nothing: it failed: HTTP Error 500"),
        ("cut", "chose nothing: it failed"),
        ("nojson", "chose nothing: it failed"),
    ],
)
def test_a_chat_model_that_misbehaves_chooses_nothing(
    small: KnowledgeGraph, sent: list[dict[str, Any]], mode: str, why: str
) -> None:
    tool, said = asked(small, UNREAD, mode)
    assert tool == ""
    assert why in said
    document = Agent(
        small, AskConfig(llm=f"ollama:{mode}", write_seconds=LIMIT, classifier=False)
    ).ask(UNREAD)
    assert document.status == "abstained"


def test_a_chat_model_is_not_asked_where_a_choice_could_not_be_safe(
    small: KnowledgeGraph, sent: list[dict[str, Any]]
) -> None:
    before = len(sent)
    for question in ("Pray never sort lymphocyte into its varieties", "Pray sort these varieties"):
        assert asked(small, question, "say subtypes")[0] == ""
    Agent(small, AskConfig(llm="ollama:say subtypes")).ask("Who wrote Hamlet?")
    assert len(sent) == before


@pytest.mark.models
@pytest.mark.assets
@pytest.mark.slow
def test_the_bundled_model_chooses_a_tool_or_nothing(small: KnowledgeGraph) -> None:
    for question in (UNREAD, "Would you marry a lymphocyte?"):
        found = chosen(question, ground(question, small), AskConfig(llm="local"))
        assert found.why.startswith("local")
        assert found.plan is None or found.plan.terms[0].label == "lymphocyte"
