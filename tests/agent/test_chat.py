"""Conversations: a dozen turns in a row, a thread that goes on, exports, the command line."""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from agent.cli.main import run
from agent.conversation.chat import Conversation, as_json, as_markdown
from agent.conversation.memory import Memory
from agent.qa import Agent
from kg.graph import KnowledgeGraph

T = "CL:0000084"


@pytest.fixture
def chat(small: KnowledgeGraph, tmp_path: Path) -> Iterator[Conversation]:
    with Memory.open("t", tmp_path / "threads.sqlite") as memory:
        yield Conversation(Agent(small), memory)


def test_a_conversation(chat: Conversation) -> None:
    said = [
        ("What kinds of lymphocyte are there?", "has the kinds T cell [E1] and B cell [E2]"),
        ("What is the first one?", "T cell (CL:0000084) is defined as"),
        ("Is it a leukocyte?", "Yes: T cell (CL:0000084) is a kind of lymphocyte"),
        ("Is the second one a marker of B cells?", "I cannot answer this"),
        ("What does GZMB do?", "GZMB (HGNC:4709) is involved in apoptotic process"),
        ("and PRF1?", "PRF1 (HGNC:9360) is involved in cytolysis"),
        ("Is this gene involved in apoptotic process?", "Not recorded: No statement"),
        ("why?", "Not recorded: No statement"),
        ("How are T cells and B cells related?", "are both kinds of lymphocyte"),
        ("What is the difference between the two?", "MS4A1"),
        ("What are its markers?", "has the"),
        ("What is the airspeed of it?", "I cannot answer this"),
    ]
    for question, words in said:
        answer = chat.say(question)
        assert words in answer.answer, (question, answer.answer, answer.route[0].why)
        assert answer.question == question
    assert [answer.status for answer in chat.answers].count("abstained") == 2


def test_follow_ups_over_what_was_cited(chat: Conversation) -> None:
    chat.say("What kinds of lymphocyte are there?")
    marked = chat.say("which of them express MS4A1?")
    assert marked.answer.startswith("MS4A1 (HGNC:7315) is a marker of B cell (CL:0000236)")
    assert "It is not recorded of T cell." in marked.answer
    assert chat.say("What about the second one?").status == "abstained"
    none = chat.say("which of them express CD8A?")
    assert none.status == "abstained"
    assert "recorded of none of B cell" in none.answer or "none of" in none.answer


def test_what_goes_on_from_nothing_abstains_and_says_what_is_missing(chat: Conversation) -> None:
    for question in (
        "and in mouse?", "What are its markers?", "what about the second one?", "why not NK?",
        "which of them express GZMB?", "Is it a lymphocyte?", "why?",
    ):  # fmt: skip
        answer = chat.say(question)
        assert answer.status == "abstained", question
        assert "there is none" in answer.answer, question
        assert not answer.citations


def test_a_thread_goes_on_in_another_process(small: KnowledgeGraph, tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    with Memory.open("mine", path) as memory:
        Conversation(Agent(small), memory).say("What is a T cell?")
    with Memory.open("mine", path) as memory:
        assert [t.terms for t in memory.turns] == [(T,)]
        conversation = Conversation(Agent(small), memory)
        answer = conversation.say("Is it a lymphocyte?")
        assert answer.answer.startswith("Yes: T cell")
        again = conversation.again()
        assert [one.question for one in again] == ["What is a T cell?", "Is it a lymphocyte?"]
        assert again[1].answer == answer.answer
    with Memory.open("other", path) as memory:
        assert memory.turns == []


def test_a_sentence_that_was_kept_is_not_the_answer_of_today(chat: Conversation) -> None:
    chat.say("What is a T cell?")
    assert "does not make antibodies" not in repr(chat.memory.turns)


def test_exports_show_the_evidence(chat: Conversation, tmp_path: Path) -> None:
    chat.say("Is a T cell a lymphocyte?")
    chat.say("What is it?")
    again = chat.again()
    text = as_markdown(again)
    assert "## 1. Is a T cell a lymphocyte?" in text
    assert "- E1: T cell (CL:0000084) → lymphocyte (CL:0000542) (CL v1)" in text
    document = json.loads(as_json(again))
    assert [t["status"] for t in document["turns"]] == ["ok", "ok"]
    assert document["turns"][1]["question"] == "What is it?"


def test_quotes_can_be_left_out(chat: Conversation) -> None:
    from agent.answer import Answer, Citation
    from retrieval.evidence import PassageEvidence

    piece = PassageEvidence("7", "GZMB kills.", 10, 21, "On killing", "PubMed", "2021")
    answer = Answer(
        "?", "ok", "PMID:7 states: “GZMB kills” [E1].", citations=(Citation("E1", piece),)
    )
    text = as_markdown([answer], quotes=False)
    assert "kills" not in text
    assert "- E1: PMID:7, characters 10 to 21 (PubMed 2021)" in text
    assert "GZMB kills" in as_markdown([answer])


@pytest.mark.assets
def test_the_command_keeps_every_turn(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads, saved = tmp_path / "threads.sqlite", tmp_path / "talk.md"
    monkeypatch.setattr("agent.conversation.memory.default_path", lambda: threads)
    lines = ["What is a T cell?", "", "/evidence", "Is it a B cell?", f"/save {saved}",
             f"/save {tmp_path / 'talk.json'}", "/evidence 9", "/save nowhere", "/what",
             "/cells leiden=3", "/help", "/quit", "never asked"]  # fmt: skip
    monkeypatch.setattr("sys.stdin", io.StringIO("\n".join(lines)))
    assert run(["chat", "--thread", "t"]) == 0
    out, err = capsys.readouterr()
    assert "T cell (CL:0000084) is defined as" in out
    assert (
        "No, by this release: " in out and "does not place T cell (CL:0000084) under B cell" in out
    )
    assert "/evidence [N]" in out
    for line in (
        "saved 2 turns to", "expected a number from 1 to 2", "is no file to save to",
        "/what is no command", "no cells are attached",
    ):  # fmt: skip
        assert line in err
    assert saved.read_text("utf-8").count("\n## ") == 1
    assert len(json.loads((tmp_path / "talk.json").read_text("utf-8"))["turns"]) == 2
    monkeypatch.setattr("sys.stdin", io.StringIO("why?"))
    assert run(["chat", "--thread", "t"]) == 0
    out, err = capsys.readouterr()
    assert "thread 't', 2 turns" in err
    assert out.startswith("No, by this release: ")


@pytest.mark.assets
def test_an_interrupt_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    threads = tmp_path / "threads.sqlite"
    monkeypatch.setattr("agent.conversation.memory.default_path", lambda: threads)
    monkeypatch.setattr("sys.stdin", io.StringIO("What is a T cell?\nWhat is a B cell?"))
    asked = Agent.ask

    def interrupted(self: Agent, question: str, *_: object) -> object:
        if "B cell" in question:
            raise KeyboardInterrupt
        return asked(self, question)

    monkeypatch.setattr(Agent, "ask", interrupted)
    assert run(["chat"]) == 0
    assert "this question is not kept" in capsys.readouterr().err
    with Memory.open("default", threads) as memory:
        assert [turn.question for turn in memory.turns] == ["What is a T cell?"]


def test_the_published_conversation() -> None:
    """Twelve turns with their evidence; no passage in words, no time, no path of a machine."""
    text = (Path(__file__).parents[2] / "docs" / "transcript.md").read_text("utf-8")
    turns = text.split("\n## ")[1:]
    assert [int(turn.split(".")[0]) for turn in turns] == list(range(1, 13))
    assert turns[0].startswith("1. /cells ")
    assert all("\n- E1: " in turn or "cannot answer" in turn for turn in turns)
    assert "AUROC" in text
    assert "PMID:" in turns[-1]
    unwanted = r"states: “|years old|\b\d+ ms\b|(?:^|\s)/(?!cells|save)\w+/|20\d\d-\d\d-\d\dT"
    assert not re.search(unwanted, text)
