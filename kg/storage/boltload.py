"""Copy the built graph file to a server that speaks Bolt: in batches, resumable, idempotent.

Each batch and the note of how far the load has come are one transaction, so that a loader killed
at any moment leaves whole batches only, and the next run goes on after the last of them. The note
is read in that transaction too: a batch that is there already, because the answer to its commit
was lost or because another loader wrote it, is not written again. Rows are therefore created, not
merged, which is several times faster. A server that holds another graph is emptied of it first
(of Celloquy's own labels only). The last transaction writes the mark without which
:class:`kg.cypher.CypherGraph` refuses to read.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from itertools import islice
from typing import Any, TypeVar

from data.errors import CelloquyError
from kg.cypher import Before, Connection, Server
from kg.embedded import EmbeddedGraph
from kg.storage import schema
from kg.storage.boltschema import (
    CONSTRAINTS,
    LABELS,
    TYPES,
    edge_row,
    entries_of,
    entry_row,
    hierarchy_rows,
    layout,
    term_row,
)
from kg.terms import Category

__all__ = ["BATCH", "Report", "identity", "load"]

BATCH = 1_000
"""Rows a transaction: servers take them from a few hundred to some ten thousand equally fast."""

Progress = Callable[[str, int, int], None]
"""Called with the part, how much of it is there, and how much it has."""

_PARTS = ("terms", "edges", "names", "words", "hierarchies")

T = TypeVar("T")
Row = dict[str, Any]
Statements = list[tuple[str, Row]]


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
        if self._done("all"):
            return Report({part: self._kept(part) for part in _PARTS}, 0)
        stats = self.graph.stats()
        terms, edges = (sum(c.n for c in stats if c.kind == k) for k in ("term", "edge"))
        words, hierarchies = self._word_rows(), self._hierarchy_rows()
        parts: list[tuple[str, int, Iterable[Row], Callable[[list[Row]], Statements]]] = [
            ("terms", terms, self._term_rows(), _nodes("Term")),
            ("edges", edges, map(edge_row, self.graph.all_edges()), _relationships),
            ("names", self.graph.count_names(), self._name_rows(), _nodes("Name")),
            ("words", len(words), words, _nodes("Word")),
            ("hierarchies", len(hierarchies), hierarchies, _nodes("Hierarchy")),
        ]
        rows = {part: self._part(part, total, some, make) for part, total, some, make in parts}
        self._finish()
        return Report(rows, self.written)

    # --- where the load stands -------------------------------------------------------------------

    def _make_room(self) -> None:
        """Empty the server of another graph, or of what a stopped emptying left of one."""
        rows = self.server.read(
            "MATCH (l:Load) RETURN l.graph AS graph, l.layout AS layout LIMIT 1"
        )
        if rows and rows[0] == {"graph": self.identity, "layout": layout()}:
            return
        # The marks go last: a stopped emptying is then found here again.
        for label in LABELS:
            query = f"MATCH (n:{label}) WITH n LIMIT $batch DETACH DELETE n"
            while self.server.read(f"MATCH (n:{label}) RETURN n LIMIT 1"):
                self.server.write([(query, {"batch": self.batch})])
        self.server.write([self._mark("begun", 0)])

    def _mark(self, part: str, done: int) -> tuple[str, dict[str, Any]]:
        return (
            "MERGE (l:Load {part: $part}) SET l.graph = $graph, l.done = $done, l.layout = $layout",
            {"part": part, "graph": self.identity, "done": done, "layout": layout()},
        )

    def _done(self, part: str) -> int:
        rows = self.server.read("MATCH (l:Load {part: $part}) RETURN l.done AS done", part=part)
        return int(rows[0]["done"]) if rows else 0

    def _kept(self, part: str) -> int:
        done = self._done(part)
        self.progress(part, done, done)
        return done

    def _part(
        self, part: str, total: int, rows: Iterable[Row], make: Callable[[list[Row]], Statements]
    ) -> int:
        done = self._done(part)
        self.progress(part, done, total)
        for statements, n in _ahead(
            (make(some), len(some)) for some in _batches(islice(rows, done, None), self.batch)
        ):
            found = self.server.write(
                [*statements, self._mark(part, done + n)], self._at(part, done)
            )
            if found not in (done, done + n):
                raise CelloquyError(
                    f"another load into {self.server.connection.uri} is at work on the {part}; "
                    "wait until it has ended, and run again"
                )
            self.written += n if found == done else 0
            done += n
            self.progress(part, done, total)
        return done

    def _at(self, part: str, done: int) -> Before:
        """How far the load is, with a lock on it: two loaders never write the same batch."""
        query = "MERGE (l:Load {part: $part}) SET l.graph = $graph RETURN coalesce(l.done, 0) AS n"
        return query, {"part": part, "graph": self.identity}, done

    def _finish(self) -> None:
        releases = [asdict(one) for one in self.graph.releases.values()]
        counts = [asdict(one) for one in self.graph.stats()]
        sizes = [
            {"category": category.value, "n": self.graph.count_terms(category)}
            for category in Category
        ]
        notices = [
            {"number": number, "source": source, "text": text}
            for number, (source, text) in enumerate(self.graph.notices())
        ]
        self.server.write(
            [
                ("UNWIND $rows AS row MERGE (r:Release {source: row.source}) SET r += row",
                 {"rows": releases}),
                ("UNWIND $rows AS row MERGE (c:Count {kind: row.kind, type: row.type, "
                 "source: row.source, release: row.release}) SET c.n = row.n", {"rows": counts}),
                ("UNWIND $rows AS row MERGE (s:Size {category: row.category}) SET s.n = row.n",
                 {"rows": sizes}),
                ("UNWIND $rows AS row MERGE (n:Notice {number: row.number}) SET n = row",
                 {"rows": notices}),
                self._mark("all", 1),
            ]
        )  # fmt: skip

    # --- rows ------------------------------------------------------------------------------------

    def _term_rows(self) -> Iterator[Row]:
        below = self.graph.all_counts()
        every = self.graph.all_above()
        following = next(every, None)
        for term in self.graph.all_terms():
            above = []
            if following is not None and following[0] == term.id:
                above = following[1]
                following = next(every, None)
            yield term_row(term, above, below.get(term.id, {}))

    def _name_rows(self) -> Iterator[Row]:
        return (entry_row(number, entry) for number, entry in self.graph.all_names())

    def _hierarchy_rows(self) -> list[Row]:
        """The edges within each category, over everything that leads up."""
        rows: list[Row] = []
        for category in Category:
            triples = self.graph.triples(schema.CLOSURES[-1], within=category)
            rows += hierarchy_rows(category, triples, len(rows))
        return rows

    def _word_rows(self) -> list[Row]:
        """Every word of the names, with the numbers of the names that contain it by category."""
        counted: Counter[str] = Counter()
        entries: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
        for number, entry in self.graph.all_names():
            for word in set(entry.key.split()):
                counted[word] += 1
                entries[word][entries_of(entry.category)].append(number)
        return [{"word": word, "n": counted[word], **entries[word]} for word in sorted(counted)]


def _nodes(label: str) -> Callable[[list[Row]], Statements]:
    query = f"UNWIND $rows AS row CREATE (n:{label}) SET n = row"
    return lambda rows: [(query, {"rows": rows})]


def _relationships(rows: list[Row]) -> Statements:
    by_type: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        by_type[TYPES[row["properties"]["predicate"]]].append(row)
    return [
        (
            "UNWIND $rows AS row MATCH (a:Term {id: row.subject}) MATCH (b:Term {id: row.object}) "
            f"CREATE (a)-[r:{kind}]->(b) SET r = row.properties",
            {"rows": some},
        )
        for kind, some in by_type.items()
    ]


def _batches(rows: Iterable[T], size: int) -> Iterator[list[T]]:
    rows = iter(rows)
    while some := list(islice(rows, size)):
        yield some


def _ahead(values: Iterable[T]) -> Iterator[T]:
    """The values, each made in a thread of its own while the one before it is at work."""
    rows = iter(values)
    with ThreadPoolExecutor(1) as pool:
        coming = pool.submit(next, rows, None)
        while (value := coming.result()) is not None:
            coming = pool.submit(next, rows, None)
            yield value
