"""Copy the built graph file to a server that speaks Bolt: in batches, resumable, idempotent.

Each batch and the note of how far the load has come are one transaction, so that a loader killed
at any moment leaves whole batches only, and the next run goes on after the last of them. A server
that holds another graph is emptied of it first (of Celloquy's own labels only). The last
transaction writes the mark without which :class:`kg.cypher.CypherGraph` refuses to read.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar

from kg import schema
from kg.boltschema import CONSTRAINTS, TYPES, edge_row, entries_of, term_row
from kg.cypher import Connection, Server
from kg.embedded import EmbeddedGraph
from kg.terms import Term

__all__ = ["BATCH", "Report", "identity", "load"]

BATCH = 1_000
"""Rows a transaction: servers take them from a few hundred to some ten thousand equally fast."""

_LABELS = ("Term", "Name", "Word", "Release", "Count", "Load")

Progress = Callable[[str, int, int], None]
"""Called with the part, how much of it is there, and how much it has."""

T = TypeVar("T")
Statements = list[tuple[str, dict[str, Any]]]


@dataclass(frozen=True, slots=True)
class Report:
    """What a load found and did: rows by part, and how many of them it wrote itself."""

    rows: dict[str, int]
    written: int


def identity(graph: EmbeddedGraph) -> str:
    """The sha256 of the graph file: loads of one file are one load."""
    with graph.path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def load(
    graph: EmbeddedGraph,
    connection: Connection,
    progress: Progress = lambda part, done, total: None,
    batch: int = BATCH,
) -> Report:
    """Bring the whole graph to the server; does nothing where it is already there.

    Raises
    ------
    ServerUnavailable
        When the server does not answer; run again to go on.
    """
    server = Server(connection)
    try:
        for statement in CONSTRAINTS:
            server.define(statement)
        return _Load(graph, server, progress, batch).run()
    finally:
        server.close()


class _Load:
    def __init__(
        self, graph: EmbeddedGraph, server: Server, progress: Progress, batch: int
    ) -> None:
        self.graph, self.server, self.progress, self.batch = graph, server, progress, batch
        self.identity = identity(graph)
        self.written = 0

    def run(self) -> Report:
        self._make_room()
        parts: list[tuple[str, int, Iterable[Any], Callable[[list[Any]], Statements]]] = [
            ("terms", self._total("term"), self.graph.all_terms(), self._terms),
            ("edges", self._total("edge"), self.graph.all_edges(), self._edges),
            ("names", self.graph.count_names(), self.graph.all_names(), self._names),
        ]
        rows = {part: self._part(part, total, some, make) for part, total, some, make in parts}
        words = self._word_rows()
        rows["words"] = self._part("words", len(words), words, self._words)
        self._finish()
        return Report(rows, self.written)

    def _total(self, kind: str) -> int:
        return sum(count.n for count in self.graph.stats() if count.kind == kind)

    # --- where the load stands -------------------------------------------------------------------

    def _make_room(self) -> None:
        """Empty the server of another graph, or of what a stopped emptying left of one."""
        rows = self.server.read("MATCH (l:Load) RETURN l.graph AS graph LIMIT 1")
        if rows and rows[0]["graph"] == self.identity:
            return
        # The marks go last: a stopped emptying is then found here again.
        for label in _LABELS:
            query = f"MATCH (n:{label}) WITH n LIMIT $batch DETACH DELETE n"
            while self.server.read(f"MATCH (n:{label}) RETURN n LIMIT 1"):
                self.server.write([(query, {"batch": self.batch})])
        self.server.write([self._mark("begun", 0)])

    def _mark(self, part: str, done: int) -> tuple[str, dict[str, Any]]:
        return (
            "MERGE (l:Load {part: $part}) SET l.graph = $graph, l.done = $done, l.layout = $layout",
            {"part": part, "graph": self.identity, "done": done, "layout": schema.layout()},
        )

    def _done(self, part: str) -> int:
        rows = self.server.read("MATCH (l:Load {part: $part}) RETURN l.done AS done", part=part)
        return int(rows[0]["done"]) if rows else 0

    def _part(
        self, part: str, total: int, rows: Iterable[T], make: Callable[[list[T]], Statements]
    ) -> int:
        done = self._done(part)
        self.progress(part, done, total)
        for some in _batches(islice(rows, done, None), self.batch):
            self.server.write([*make(some), self._mark(part, done + len(some))])
            done += len(some)
            self.written += len(some)
            self.progress(part, done, total)
        return done

    def _finish(self) -> None:
        releases = [asdict(one) for one in self.graph.releases.values()]
        counts = [asdict(one) for one in self.graph.stats()]
        self.server.write(
            [
                ("UNWIND $rows AS row MERGE (r:Release {source: row.source}) SET r += row",
                 {"rows": releases}),
                ("UNWIND $rows AS row MERGE (c:Count {kind: row.kind, type: row.type, "
                 "source: row.source, release: row.release}) SET c.n = row.n", {"rows": counts}),
                self._mark("all", 1),
            ]
        )  # fmt: skip

    # --- rows ------------------------------------------------------------------------------------

    def _terms(self, terms: list[Term]) -> Statements:
        rows = [term_row(term, self._above(term)) for term in terms]
        return [("UNWIND $rows AS row MERGE (t:Term {id: row.id}) SET t += row.properties",
                 {"rows": rows})]  # fmt: skip

    def _above(self, term: Term) -> Iterator[tuple[int, list[str], list[int]]]:
        """Ancestors by closure, left out where they are those of the closure before."""
        before: dict[str, int] = {term.id: 0}
        for closure, predicates in enumerate(schema.CLOSURES):
            found = dict(self.graph.ancestors(term.id, predicates))
            if found != before:
                yield closure, list(found), list(found.values())
            before = found

    def _edges(self, edges: list[Any]) -> Statements:
        by_type: dict[str, list[dict[str, Any]]] = defaultdict(list)
        for edge in edges:
            by_type[TYPES[edge.predicate]].append(edge_row(edge))
        return [
            (
                "UNWIND $rows AS row MATCH (a:Term {id: row.subject}), (b:Term {id: row.object}) "
                f"MERGE (a)-[r:{kind} {{key: row.key}}]->(b) SET r += row.properties",
                {"rows": rows},
            )
            for kind, rows in by_type.items()
        ]

    def _names(self, names: list[tuple[int, Any]]) -> Statements:
        rows = [
            {
                "entry": number,
                "properties": {
                    "key": entry.key,
                    "text": entry.text,
                    "scope": entry.scope.value,
                    "id": entry.id,
                    "category": entry.category.value,
                },
            }
            for number, entry in names
        ]
        return [("UNWIND $rows AS row MERGE (n:Name {entry: row.entry}) SET n += row.properties",
                 {"rows": rows})]  # fmt: skip

    def _word_rows(self) -> list[dict[str, Any]]:
        """Every word of the names, with the numbers of the names that contain it by category."""
        counted: Counter[str] = Counter()
        entries: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, entry in self.graph.all_names():
            for word in set(entry.key.split()):
                counted[word] += 1
                entries[word][entries_of(entry.category)].append(number)
        return [
            {"word": word, "properties": {"n": counted[word], **entries[word]}}
            for word in sorted(counted)
        ]

    def _words(self, rows: list[dict[str, Any]]) -> Statements:
        return [("UNWIND $rows AS row MERGE (w:Word {word: row.word}) SET w += row.properties",
                 {"rows": rows})]  # fmt: skip


def _batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some
