"""What is asked after a prediction, in a conversation with the models themselves."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.answer import Answer
from agent.attached.cells import attach
from agent.conversation.chat import Conversation
from agent.conversation.memory import Memory
from agent.qa import Agent
from kg.embedded import EmbeddedGraph
from retrieval.evidence import PredictionEvidence
from tests.agent.smallscreen import screen

pytestmark = [pytest.mark.assets, pytest.mark.models]


@pytest.fixture
def chat(real: EmbeddedGraph, tmp_path: Path) -> Iterator[Conversation]:
    """A conversation about a screen of six knock-outs."""
    with (
        attach(screen(tmp_path / "screen.h5ad"), None, real) as cells,
        Memory.open("t", tmp_path / "threads.sqlite") as memory,
    ):
        yield Conversation(Agent(real), memory, cells)


def predicted(answer: Answer) -> PredictionEvidence:
    """The one prediction of an answer, told as one."""
    assert answer.status == "ok", answer.answer
    (piece,) = (c.evidence for c in answer.citations if c.evidence.kind == "prediction")
    assert isinstance(piece, PredictionEvidence)
    assert {"predicted"} == set(answer.to_json()["tells"]) - {"known"}
    return piece


def test_after_a_knock_out(chat: Conversation) -> None:
    """Another gene, both at once, the same again, and how sure: never a fact, never a failure."""
    first = chat.say("What happens if STAT2 is knocked out?")
    piece = predicted(first)
    assert piece.asked == ("knockout", "STAT2")
    assert "Observed, not predicted, in the file's own 12 cells with STAT2" in first.answer
    # The target itself is no finding, here or in what was observed of it.
    assert "STAT2 " not in piece.observed.partition("perturbed")[2]
    second = predicted(chat.say("and STAT1?"))
    assert second.asked == ("knockout", "STAT1")
    assert "HGNC:11362" not in dict(second.figures)
    both = predicted(chat.say("and with IRF9?"))
    assert sorted(both.asked[1:]) == ["IRF9", "STAT1"]
    assert both.observed == ""  # no cell has lost both
    assert predicted(chat.say("which genes fall most?")).asked == both.asked
    sure = chat.say("how sure are you?")
    assert both.measured.split(" on ")[0] in sure.answer
    assert both.baseline in sure.answer
    assert sure.status == "ok"


@pytest.mark.slow
def test_after_predicted_links(real: EmbeddedGraph, tmp_path: Path) -> None:
    """Another gene, and the gene's other links."""
    with Memory.open("t", tmp_path / "threads.sqlite") as memory:
        chat = Conversation(Agent(real), memory)
        trem2 = predicted(chat.say("Predict diseases of TREM2"))
        assert trem2.asked == ("bridge", "HGNC:17761", "disease")
        other = predicted(chat.say("and to phenotypes?"))
        assert other.asked == ("bridge", "HGNC:17761", "phenotype")
        tyrobp = predicted(chat.say("and TYROBP?"))
        assert tyrobp.asked == ("bridge", "HGNC:12449", "phenotype")
        assert tyrobp.baseline in chat.say("how sure are you?").answer
