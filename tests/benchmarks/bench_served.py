"""The graph over Bolt: reads beside the bare driver, loading beside bare UNWIND.

The server is the one of the tests (ArcadeDB on loopback, see tests/kg/bolt_peer.py), so that both
columns are of one server in one run: what is measured is what Celloquy adds to the driver. The
processors' time is that of both ends. The graph is CL with its older release, UBERON and GO, as
large as the ontologies of most users. Needs the fetched assets: `celloquy data fetch core`.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import psutil
from timing import Row, Taken, median_over, report

from data import sources
from kg.cypher import Connection, CypherGraph, Server
from kg.embedded import EmbeddedGraph
from kg.measures.relatedness import relate
from kg.readers.catalogue import assets_needed, load_all
from kg.storage.boltload import BATCH, load
from kg.storage.build import build
from kg.terms import IS_A, Category
from tests.kg.bolt_peer import DATABASE, PASSWORD, peer

ADDED = 0.5e-3  # seconds that a read may take beyond the bare driver: the project's plan
# The plan's figures, as seconds for 1,000: 9,000 nodes/s and 7,500 edges/s.
PER_THOUSAND = {"terms": 1000 / 9000, "edges": 1000 / 7500}
SOURCES = ("CL", "CL-2014", "UBERON", "GO")


Clock = Callable[[], tuple[float, float]]
"""Seconds on the wall, and those that both ends have worked."""


@contextmanager
def server_of(graph: Path, folder: Path) -> Iterator[tuple[EmbeddedGraph, Connection, Clock]]:
    with EmbeddedGraph.open(graph) as opened, peer(folder) as (uri, process):
        ends = [psutil.Process(), psutil.Process(process.pid)]

        def clock() -> tuple[float, float]:
            worked = [one.cpu_times() for one in ends]
            return time.perf_counter(), sum(one.user + one.system for one in worked)

        yield opened, Connection(uri, "root", PASSWORD, DATABASE), clock


def main() -> int:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        path = folder / "graph.sqlite"
        build(path, load_all({n: sources.path(n) for n in assets_needed(SOURCES)}, SOURCES))
        with server_of(path, folder) as (graph, there, clock):
            # Twice, since a server compiles what it runs often: the first time is no measure.
            bare_load(graph, there, clock)
            bare = bare_load(graph, there, clock)
            rows = loading(graph, there, bare, clock)
            rows += reading(graph, there)
            rows += paths(graph, there)
    return 1 if report(rows) else 0


def loading(
    graph: EmbeddedGraph, there: Connection, bare: dict[str, Taken], clock: Clock
) -> list[Row]:
    # Once to have the server compile it, as the bare load was run twice; then all over again.
    load(graph, there)
    server = Server(there)
    server.write([("MATCH (l:Load) SET l.layout = 'of another version'", {})])
    server.close()
    moments: dict[str, list[tuple[float, float, int]]] = defaultdict(list)

    def note(part: str, done: int, total: int) -> None:
        moments[part].append((*clock(), done))

    load(graph, there, note)
    rows = []
    for part, bar in PER_THOUSAND.items():
        (begun, worked, _), *_, (ended, worked_after, n) = moments[part]
        took = Taken((ended - begun) / n * 1000, (worked_after - worked) / n * 1000)
        rows.append(
            Row(
                f"load 1,000 {part} over Bolt ({1000 / took:,.0f}/s)",
                took,
                bar,
                f"bare UNWIND, ids only ({1000 / bare[part]:,.0f}/s)",
                bare[part],
            )
        )
    begun, worked = clock()
    assert load(graph, there).written == 0
    ended, worked_after = clock()
    return [*rows, Row("load what is already there", Taken(ended - begun, worked_after - worked))]


def bare_load(graph: EmbeddedGraph, there: Connection, clock: Clock) -> dict[str, Taken]:
    """The least that stores ids, labels and edges: no resumption, names, definitions, provenance.

    Under labels of its own, which Celloquy does not read, and gone afterwards.
    """
    from neo4j import GraphDatabase

    terms = [{"id": term.id, "label": term.label} for term in graph.all_terms()]
    edges = [{"a": edge.subject, "b": edge.object} for edge in graph.all_edges()]
    node = "UNWIND $rows AS row MERGE (n:Bare {id: row.id}) SET n.label = row.label"
    edge = (
        "UNWIND $rows AS row MATCH (a:Bare {id: row.a}), (b:Bare {id: row.b}) "
        "CREATE (a)-[:BARE]->(b)"
    )
    taken = {}
    with (
        GraphDatabase.driver(there.uri, auth=(there.user, there.password)) as driver,
        driver.session(database=there.database) as session,
    ):

        def write(query: str, rows: Sequence[dict[str, str]] = ()) -> None:
            session.execute_write(lambda one: one.run(query, rows=list(rows)).consume())

        write("CREATE CONSTRAINT bare IF NOT EXISTS FOR (n:Bare) REQUIRE n.id IS UNIQUE")
        for part, query, rows in (("terms", node, terms), ("edges", edge, edges)):
            begun, worked = clock()
            for start in range(0, len(rows), BATCH):
                write(query, rows[start : start + BATCH])
            ended, after = clock()
            n = len(rows) / 1000
            taken[part] = Taken((ended - begun) / n, (after - worked) / n)
        for _ in range(0, len(terms), BATCH):
            write(f"MATCH (n:Bare) WITH n LIMIT {BATCH} DETACH DELETE n")
    return taken


def reading(graph: EmbeddedGraph, there: Connection) -> list[Row]:
    from neo4j import GraphDatabase

    chance = random.Random(5)
    ids = [term.id for term in graph.terms_of(Category.CELL_TYPE)]
    some = chance.sample(ids, 300)
    with (
        GraphDatabase.driver(there.uri, auth=(there.user, there.password)) as driver,
        driver.session(database=there.database) as session,
        CypherGraph.open(there) as served,
    ):

        def bare(query: str) -> Callable[[str], list[dict[str, Any]]]:
            def work(transaction: Any, one: str) -> list[dict[str, Any]]:
                return [record.data() for record in transaction.run(query, id=one)]

            return lambda one: session.execute_read(work, one)

        pairs: list[tuple[str, Callable[[str], object], Callable[[str], object]]] = [
            (
                "a term over Bolt",
                served.term,
                bare("MATCH (t:Term {id: $id}) RETURN properties(t) AS t"),
            ),
            (
                "neighbours over Bolt",
                served.edges,
                bare("MATCH (t:Term {id: $id})-[r]-(m:Term) RETURN properties(r) AS r, m.id AS m"),
            ),
            (
                "ancestors over Bolt",
                lambda one: served.ancestors(one, (IS_A,)),
                bare("MATCH (t:Term {id: $id})-[:IS_A*0..]->(m:Term) RETURN DISTINCT m.id AS m"),
            ),
        ]
        rows = []
        for what, ours, theirs in pairs:
            for one in some[:100]:  # the server compiles what it runs often
                ours(one)
                theirs(one)
            plain = median_over(theirs, some)
            rows.append(
                Row(what, median_over(ours, some), plain + ADDED, "bare driver, one session", plain)
            )
        return rows


def paths(graph: EmbeddedGraph, there: Connection) -> list[Row]:
    """Path and similarity of two processes; a new connection keeps nothing from the one before."""
    chance = random.Random(6)
    ids = [term.id for term in graph.terms_of(Category.PROCESS)]
    pairs = [(chance.choice(ids), chance.choice(ids)) for _ in range(12)]

    def asked(a: str, b: str) -> None:
        with CypherGraph.open(there) as one:
            relate(one, a, b)

    for a, b in pairs[:2]:
        asked(a, b)
    with CypherGraph.open(there) as one:
        assert all(relate(one, a, b) == relate(graph, a, b) for a, b in pairs)
    here = median_over(partial(relate, graph), pairs)
    ours = median_over(asked, pairs)
    return [Row("path of two processes, with connecting", ours, 2.0, "embedded, warm", here)]


if __name__ == "__main__":
    raise SystemExit(main())
