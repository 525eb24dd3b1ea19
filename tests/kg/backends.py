"""Every back end of the graph protocol, for the compliance suite: one entry each.

A back end is a function from what was loaded to an open graph, as a context manager.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import pytest

from kg.build import build
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.source import Loaded

Opened = Callable[[Sequence[Loaded]], AbstractContextManager[KnowledgeGraph]]


@contextmanager
def embedded(loaded: Sequence[Loaded]) -> Iterator[KnowledgeGraph]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.sqlite"
        build(path, loaded)
        with EmbeddedGraph.open(path) as graph:
            yield graph


BACKENDS: list[Any] = [pytest.param(embedded, id="embedded")]
