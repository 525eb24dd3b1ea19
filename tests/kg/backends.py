"""Every back end of the graph protocol, for the compliance suite: one entry each.

A back end is a function from what was loaded to an open graph, as a context manager.
"""

from __future__ import annotations

import atexit
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from kg.cypher import Connection, CypherGraph
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.readers.source import Loaded
from kg.storage.boltload import load
from kg.storage.build import build
from tests.kg.bolt_peer import DATABASE, PASSWORD, peer

Opened = Callable[[Sequence[Loaded]], AbstractContextManager[KnowledgeGraph]]


@contextmanager
def embedded(loaded: Sequence[Loaded]) -> Iterator[KnowledgeGraph]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.sqlite"
        build(path, loaded)
        with EmbeddedGraph.open(path) as graph:
            yield graph


@contextmanager
def over_bolt(loaded: Sequence[Loaded]) -> Iterator[KnowledgeGraph]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.sqlite"
        build(path, loaded)
        with EmbeddedGraph.open(path) as graph:
            load(graph, connection(), batch=7)
        with CypherGraph.open(connection()) as served:
            yield served


@cache
def connection() -> Connection:
    """A server for the whole run, started when it is first asked for and stopped at exit."""
    folder = tempfile.TemporaryDirectory()
    stack = ExitStack()
    stack.enter_context(folder)
    uri, _ = stack.enter_context(peer(Path(folder.name)))
    atexit.register(stack.close)
    return Connection(uri, user="root", password=PASSWORD, database=DATABASE)


BACKENDS: list[Any] = [
    pytest.param(embedded, id="embedded"),
    pytest.param(over_bolt, id="bolt", marks=pytest.mark.bolt),
]
