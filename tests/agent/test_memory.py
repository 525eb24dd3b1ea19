"""Threads on disk: what is kept, how small, and that nothing in a file is run."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer

from agent.conversation.chat import Conversation
from agent.conversation.memory import MAX_TURNS, Memory, Turn
from agent.qa import Agent
from data.errors import BadInput
from kg.graph import KnowledgeGraph
from kg.terms import Release

T, B = "CL:0000084", "CL:0000236"


def turn(tool: str, *terms: str, listed: tuple[str, ...] = ()) -> Turn:
    return Turn("?", tool=tool, terms=terms, listed=listed, status="ok")


_TEXT = st.text(max_size=30).filter(lambda text: "\ud800" not in text)
_IDS = st.lists(st.from_regex(r"(CL|GO|HGNC):[0-9]{1,7}", fullmatch=True), max_size=5).map(tuple)
TURNS = st.builds(
    Turn,
    question=_TEXT.filter(bool), tool=_TEXT, terms=_IDS, organism=_TEXT, selection=_TEXT,
    against=_TEXT, listed=_IDS, status=st.sampled_from(["ok", "abstained", "failed"]),
    data=_TEXT, cells=_TEXT,
)  # fmt: skip


@settings(max_examples=15)
@given(st.lists(TURNS, min_size=1, max_size=4), st.from_regex(r"[\w.-]{1,20}", fullmatch=True))
def test_what_is_kept_is_what_is_read(
    tmp_path_factory: pytest.TempPathFactory, turns: list[Turn], thread: str
) -> None:
    path = tmp_path_factory.mktemp("threads") / "threads.sqlite"
    with Memory.open(thread, path) as memory:
        for one in turns:
            memory.add(one)
    with Memory.open(thread, path) as memory:
        assert memory.turns == turns


def test_fifty_turns_stay_small(small: KnowledgeGraph, tmp_path: Path) -> None:
    """A turn costs its ids and its question, not its answer; and costs the same at the end."""
    path = tmp_path / "threads.sqlite"
    rows = []
    with Memory.open("t", path) as memory:
        conversation = Conversation(Agent(small), memory)
        conversation.say("What kinds of lymphocyte are there?")
        for _ in range(49):
            conversation.say("Is the first one a leukocyte?")
            memory.turns[-1] = replace(memory.turns[-1], listed=(T, B))
            with sqlite3.connect(path) as db:
                rows.append(db.execute("SELECT count(*), sum(length(checkpoint)) FROM checkpoints"
                                       ).fetchone())  # fmt: skip
            db.close()
        assert len(memory.turns) == 50
    assert {count for count, _ in rows} == {1}
    sizes = [size for _, size in rows]
    growth = [after - before for before, after in pairwise(sizes)]
    assert max(growth) < 400
    assert path.stat().st_size < 100_000


def test_the_oldest_turns_are_forgotten(tmp_path: Path) -> None:
    with Memory.open("t", tmp_path / "threads.sqlite") as memory:
        memory.turns = [Turn(str(n)) for n in range(MAX_TURNS)]
        memory.add(Turn("last"))
        assert len(memory.turns) == MAX_TURNS
        assert (memory.turns[0].question, memory.turns[-1].question) == ("1", "last")


def test_ids_are_kept_and_contents_are_not(small: KnowledgeGraph, tmp_path: Path) -> None:
    with Memory.open("t", tmp_path / "threads.sqlite") as memory:
        Conversation(Agent(small), memory).say("What is a T cell?")
    stored = b"".join(file.read_bytes() for file in tmp_path.glob("threads.sqlite*"))
    assert T.encode() in stored
    assert b"does not make antibodies" not in stored


def test_forgetting(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    with Memory.open("t", path) as memory:
        memory.add(turn("definition", T))
        memory.forget()
        memory.add(turn("definition", B))
    with Memory.open("t", path) as memory:
        assert [one.terms for one in memory.turns] == [(B,)]


def test_a_file_that_holds_no_threads(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    path.write_bytes(b"this is no database, and long enough to be taken for one" * 40)
    with pytest.raises(BadInput, match="holds no threads"), Memory.open("t", path):
        pass
    with pytest.raises(BadInput, match="name a thread"), Memory.open("../x", path):
        pass


def test_a_class_in_the_file_is_not_built(tmp_path: Path) -> None:
    """A stored value that names a class stays plain data, and a pickle is not read at all."""
    path = tmp_path / "threads.sqlite"
    with Memory.open("t", path) as memory:
        memory.add(turn("definition", T))
    serde = JsonPlusSerializer()
    with sqlite3.connect(path) as db:
        ((kind, stored),) = db.execute("SELECT type, checkpoint FROM checkpoints").fetchall()
        checkpoint = serde.loads_typed((kind, stored))
        checkpoint["channel_values"]["turns"].append(Release("a", "b"))
        db.execute("UPDATE checkpoints SET checkpoint = ?", (serde.dumps_typed(checkpoint)[1],))
    db.close()
    with Memory.open("t", path) as memory:
        assert [one.terms for one in memory.turns] == [(T,)]
    owned = tmp_path / "owned"
    evil = b"cos\nsystem\n(S'touch " + str(owned).encode() + b"'\ntR."
    with sqlite3.connect(path) as db:
        db.execute("UPDATE checkpoints SET type = 'pickle', checkpoint = ?", (evil,))
    db.close()
    with pytest.raises(BadInput, match="holds no threads"), Memory.open("t", path):
        pass
    assert not owned.exists()


def test_values_of_another_kind_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "threads.sqlite"
    with Memory.open("t", path) as memory:
        rows = [{"question": "q", "terms": [T, 7], "tool": ["x"], "else": 1}, {"question": 3}, 4]
        memory._graph.update_state(memory._config, {"turns": rows}, as_node="keep")
    with Memory.open("t", path) as memory:
        assert memory.turns == [Turn("q", terms=(T,))]
