"""Conversations that outlive a process: threads of turns in SQLite, holding ids and not contents.

A turn keeps what was asked, which tool ran on which terms and cells, and which ids the answer
listed; evidence is read from the graph and the file again when it is wanted. Threads are
checkpoints of a small LangGraph graph (langgraph-checkpoint-sqlite); only plain values are stored,
and only such are read back (strict msgpack: no class of anyone is built from a file).
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol, TypedDict

from data import locations
from data.errors import BadInput, DependencyMissing
from kg.terms import Curie

__all__ = ["MAX_TURNS", "Memory", "Scratch", "Turn", "Turns", "default_path"]

MAX_TURNS = 200
"""Turns that a thread keeps; older ones are forgotten."""

_NAME = re.compile(r"[\w.-]{1,64}")


@dataclass(frozen=True, slots=True)
class Turn:
    """One question of a conversation.

    ``tool``, ``terms``, ``organism``, ``selection`` and ``against`` are what was run on what; where
    nothing was run, ``terms`` are those that the question names.
    ``listed`` are the ids that the answer named, in its order: what "the second one" is. ``data``
    is the name of the dataset that was attached, and ``cells`` the selection that stood then.
    """

    question: str
    tool: str = ""
    terms: tuple[Curie, ...] = ()
    organism: Curie = ""
    selection: str = ""
    against: str = ""
    listed: tuple[Curie, ...] = ()
    status: str = ""
    data: str = ""
    cells: str = ""


class Turns(Protocol):
    """Where a conversation keeps its turns."""

    turns: list[Turn]

    def add(self, turn: Turn) -> None:
        """Append a turn."""
        ...

    def forget(self) -> None:
        """Empty the thread."""
        ...


@dataclass
class Scratch:
    """Turns that nobody wants to keep."""

    turns: list[Turn] = field(default_factory=list)

    def add(self, turn: Turn) -> None:
        """Append a turn."""
        self.turns.append(turn)

    def forget(self) -> None:
        """Empty them."""
        self.turns.clear()


class _Thread(TypedDict):
    turns: list[dict[str, Any]]


def default_path() -> Path:
    """Where the threads are kept."""
    return locations.home() / "threads.sqlite"


class Memory:
    """The turns of one thread, read once and appended to.

    Made with :meth:`open`. Two processes may keep different threads in one file.
    """

    def __init__(self, graph: Any, thread: str) -> None:
        self._graph = graph
        self.thread = thread
        self._config = {"configurable": {"thread_id": thread}}
        stored = self._graph.get_state(self._config).values.get("turns", [])
        rows = stored if isinstance(stored, list) else []
        self.turns = [turn for row in rows if (turn := _turn(row)) is not None]

    @classmethod
    @contextmanager
    def open(cls, thread: str = "default", path: Path | None = None) -> Iterator[Memory]:
        """Open a thread; a new one begins empty.

        Raises
        ------
        BadInput
            When the name cannot be one, or the file is no file of threads.
        DependencyMissing
            When langgraph-checkpoint-sqlite is not installed.
        """
        if not _NAME.fullmatch(thread):
            raise BadInput(
                f"{thread!r} cannot name a thread; expected up to 64 letters, digits, '.', '_', '-'"
            )
        path = path or default_path()
        path.parent.mkdir(parents=True, exist_ok=True)
        connection = sqlite3.connect(path, check_same_thread=False)
        try:
            try:
                memory = cls(_compiled(connection), thread)
            except (sqlite3.DatabaseError, NotImplementedError, ValueError) as error:
                raise BadInput(f"{path} holds no threads ({error}); name another file") from None
            yield memory
        finally:
            connection.close()

    def add(self, turn: Turn) -> None:
        """Append a turn; it is on disk when this returns."""
        self.turns = [*self.turns, turn][-MAX_TURNS:]
        self._graph.update_state(
            self._config, {"turns": [_row(one) for one in self.turns]}, as_node="keep"
        )
        self._prune()

    def forget(self) -> None:
        """Empty the thread."""
        self.turns = []
        self._graph.checkpointer.delete_thread(self.thread)

    def _prune(self) -> None:
        """Only the last checkpoint is kept: a thread of fifty turns stays as small as its turns."""
        saver = self._graph.checkpointer
        with saver.cursor() as cursor:
            for table in ("checkpoints", "writes"):
                cursor.execute(
                    f"DELETE FROM {table} WHERE thread_id = ? AND checkpoint_id < "
                    "(SELECT max(checkpoint_id) FROM checkpoints WHERE thread_id = ?)",
                    (self.thread, self.thread),
                )


def _row(turn: Turn) -> dict[str, Any]:
    """A turn as plain values, without what is empty."""
    return {
        name: list(value) if isinstance(value, tuple) else value
        for name, value in asdict(turn).items()
        if value
    }


def _turn(row: object) -> Turn | None:
    """A turn from stored values; None where they are not those of one."""
    if not isinstance(row, dict) or not isinstance(row.get("question"), str):
        return None
    known: dict[str, Any] = {}
    for name in Turn.__dataclass_fields__:
        value = row.get(name)
        if isinstance(value, list) and name in ("terms", "listed"):
            known[name] = tuple(one for one in value if isinstance(one, str))
        elif isinstance(value, str) and name not in ("terms", "listed"):
            known[name] = value
    return Turn(**known)


def _compiled(connection: sqlite3.Connection) -> Any:
    try:
        from langgraph.checkpoint.serde.jsonplus import JsonPlusSerializer
        from langgraph.checkpoint.sqlite import SqliteSaver
    except ImportError:
        raise DependencyMissing(
            "conversations need: pip install langgraph-checkpoint-sqlite"
        ) from None
    from langgraph.graph import START, StateGraph

    # None: only LangGraph's list of harmless types is read back, whatever the environment says.
    serde = JsonPlusSerializer(pickle_fallback=False, allowed_msgpack_modules=None)
    graph = StateGraph(_Thread)
    graph.add_node("keep", lambda state: state)
    graph.add_edge(START, "keep")
    return graph.compile(checkpointer=SqliteSaver(connection, serde=serde))
