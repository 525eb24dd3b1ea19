"""The graph in formats of others: which there are, and what goes into a file.

Out: KGX JSON Lines, OBO Graphs JSON, GraphML, SSSOM. In: the first two. Whatever is written, is
written as it is read, in order, whole or not at all. What each format keeps is said in its
module; this one knows none of them but their names.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol, runtime_checkable

from data.errors import BadInput
from kg.exchange.graphml import write_graphml
from kg.exchange.kgx import read_kgx, write_kgx
from kg.exchange.obographs import read_obographs, write_obographs
from kg.exchange.sssom import write_sssom
from kg.graph import KnowledgeGraph
from kg.readers.source import Loaded
from kg.terms import Category, Curie, Edge, Release, Term

__all__ = ["FORMATS", "Content", "content_of", "export", "loaded_content", "read"]


@dataclass(frozen=True, slots=True)
class Content:
    """What is to be written; terms and edges can be iterated more than once."""

    releases: tuple[Release, ...]
    terms: Callable[[], Iterable[Term]]
    edges: Callable[[], Iterable[Edge]]


@runtime_checkable
class _Whole(Protocol):
    """A back end that can be read from end to end."""

    def all_terms(self) -> Iterator[Term]: ...

    def all_edges(self) -> Iterator[Edge]: ...


FORMATS: Mapping[str, Callable[[Path, Content], tuple[int, int]]] = {
    "kgx": lambda path, c: write_kgx(path, c.releases, c.terms(), c.edges()),
    "obograph": lambda path, c: write_obographs(path, c.releases, c.terms(), c.edges()),
    "graphml": lambda path, c: write_graphml(path, c.terms(), c.edges()),
    "sssom": lambda path, c: write_sssom(path, c.releases, c.terms()),
}
"""Format to its writer, which returns two counts: nodes and edges (mappings and references left
out for sssom)."""

SUFFIXES: Mapping[str, tuple[str, ...]] = {
    "kgx": (),
    "obograph": (".json",),
    "graphml": (".graphml", ".xml"),
    "sssom": (".tsv",),
}
"""What names of files end on, if they have an ending at all; nothing for a folder."""

_OF_FILES = {".json", ".jsonl", ".graphml", ".xml", ".tsv", ".csv", ".txt", ".gz", ".zip"}


def content_of(graph: KnowledgeGraph, sources: Collection[str] = ()) -> Content:
    """Return what a graph holds of ``sources`` (all, if none is named).

    With sources named, terms of others are in it where an edge ends at one.

    Raises
    ------
    BadInput
        When the graph has no source of that name.
    """
    known = graph.releases
    for name in sources:
        if name not in known:
            raise BadInput(f"the graph has no source {name!r}; it has: {', '.join(sorted(known))}")
    whole = graph if isinstance(graph, _Whole) else _Walk(graph)
    if not sources:
        return Content(tuple(known.values()), whole.all_terms, whole.all_edges)
    return _of_sources(known.values(), whole.all_terms, whole.all_edges, frozenset(sources))


def loaded_content(loaded: Iterable[Loaded]) -> Content:
    """Return what readers gave, as content to write."""
    kept = tuple(loaded)
    return Content(
        tuple(one.release for one in kept),
        lambda: (term for one in kept for term in one.terms),
        lambda: (edge for one in kept for edge in one.edges),
    )


def export(content: Content, format: str, path: Path) -> tuple[int, int]:
    """Write ``content`` to ``path`` (a folder for kgx) and return the writer's two counts.

    Raises
    ------
    BadInput
        When there is no such format, the path is a folder where a file is to be, or a file where
        a folder is to be, or its name ends on something else.
    """
    if format not in FORMATS:
        raise BadInput(f"no format is named {format!r}; one of: {', '.join(FORMATS)}")
    if path.exists() and path.is_dir() != (format == "kgx"):
        what, wanted = ("folder", "file") if path.is_dir() else ("file", "folder")
        raise BadInput(f"{path} is a {what}; {format} is written to a {wanted}")
    expected = SUFFIXES[format]
    if path.suffix and (path.suffix not in expected if expected else path.suffix in _OF_FILES):
        wanted = " or ".join(expected) if expected else "a folder's name"
        raise BadInput(f"{path} ends on {path.suffix}; expected {wanted} for {format}")
    return FORMATS[format](path, content)


def read(path: Path) -> list[Loaded]:
    """Read a KGX folder or an OBO Graphs document.

    Raises
    ------
    BadInput
        When there is nothing at ``path``, or it is not what it should be (BadFile).
    """
    if not path.exists():
        raise BadInput(f"{path} is not there; expected a KGX folder or an OBO Graphs file")
    return read_kgx(path) if path.is_dir() else read_obographs(path)


def _of_sources(
    releases: Iterable[Release],
    terms: Callable[[], Iterable[Term]],
    edges: Callable[[], Iterable[Edge]],
    sources: frozenset[str],
) -> Content:
    def chosen() -> Iterator[Edge]:
        return (edge for edge in edges() if edge.source in sources)

    ends: set[Curie] = set()
    for edge in chosen():
        ends |= {edge.subject, edge.object}
    needed = {term.source for term in terms() if term.id in ends} | sources
    return Content(
        tuple(release for release in releases if release.source in needed),
        lambda: (term for term in terms() if term.source in sources or term.id in ends),
        chosen,
    )


class _Walk:
    """Reads any back end from end to end, term by term."""

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._graph = graph

    def all_terms(self) -> Iterator[Term]:
        for category in Category:
            yield from self._graph.terms_of(category, obsolete=True)

    def all_edges(self) -> Iterator[Edge]:
        for term in self.all_terms():
            yield from self._graph.edges(term.id, direction="out")
