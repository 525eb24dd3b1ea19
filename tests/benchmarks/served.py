"""Rows of the graph over Bolt: reads beside the bare driver, loading beside bare UNWIND.

The server is the one of the tests (ArcadeDB on loopback, see tests/kg/bolt_peer.py), so that both
columns are of one server in one run: what is measured is what Celloquy adds to the driver. The
graph is CL with its older release, UBERON and GO, as large as the ontologies of most users.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from timing import Row, median_over

from data import sources
from kg.boltload import BATCH, load
from kg.build import build
from kg.catalogue import assets_needed, load_all
from kg.cypher import Connection, CypherGraph
from kg.embedded import EmbeddedGraph
from kg.terms import IS_A, Category
from tests.kg.bolt_peer import DATABASE, PASSWORD, peer

ADDED = 0.5e-3  # seconds that a read may take beyond the bare driver: the project's plan
# The plan's figures, as seconds for 1,000: 9,000 nodes/s and 7,500 edges/s.
PER_THOUSAND = {"terms": 1000 / 9000, "edges": 1000 / 7500}
SOURCES = ("CL", "CL-2014", "UBERON", "GO")


def over_bolt() -> list[Row]:
    """Load a server and read from it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "graph.sqlite"
        build(path, load_all({n: sources.path(n) for n in assets_needed(SOURCES)}, SOURCES))
        with EmbeddedGraph.open(path) as graph, peer(Path(folder)) as (uri, _):
            there = Connection(uri, "root", PASSWORD, DATABASE)
            bare = bare_load(graph, there)
            rows = loading(graph, there, bare)
            return rows + reading(graph, there)


def loading(graph: EmbeddedGraph, there: Connection, bare: dict[str, float]) -> list[Row]:
    moments: dict[str, list[tuple[float, int]]] = defaultdict(list)

    def note(part: str, done: int, total: int) -> None:
        moments[part].append((time.perf_counter(), done))

    load(graph, there, note)
    rows = []
    for part, bar in PER_THOUSAND.items():
        (begun, _), *_, (ended, n) = moments[part]
        took = (ended - begun) / n * 1000
        rows.append(
            Row(
                f"load 1,000 {part} over Bolt ({1000 / took:,.0f}/s)",
                took,
                bar,
                f"bare UNWIND, no ancestors ({1000 / bare[part]:,.0f}/s)",
                bare[part],
            )
        )
    start = time.perf_counter()
    assert load(graph, there).written == 0
    return [*rows, Row("load what is already there", time.perf_counter() - start)]


def bare_load(graph: EmbeddedGraph, there: Connection) -> dict[str, float]:
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
            begun = time.perf_counter()
            for start in range(0, len(rows), BATCH):
                write(query, rows[start : start + BATCH])
            taken[part] = (time.perf_counter() - begun) / len(rows) * 1000
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
