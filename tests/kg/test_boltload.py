"""Loading a server: whole batches whatever happens, nothing changed by a second load."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path

import pytest

from data import sources
from data.errors import AssetMissing, BadInput, ServerUnavailable
from kg import ontology
from kg.cypher import Connection, CypherGraph, Server
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.measures.relatedness import relate
from kg.neighbours import Neighbourhood, neighbourhood
from kg.readers.catalogue import assets_needed, load_all
from kg.storage.boltload import load
from kg.storage.boltschema import TYPES
from kg.storage.build import build
from kg.terms import IS_A, PART_OF, Category
from kg.verbalise import sentence
from tests.immune import immune_graph
from tests.kg.backends import connection
from tests.kg.bolt_peer import DATABASE, PASSWORD, free_port, peer

pytestmark = [pytest.mark.bolt, pytest.mark.assets]

LOADER = """
import sys
from pathlib import Path
from kg import ontology
from kg.storage.boltload import load
from kg.cypher import Connection
from kg.embedded import EmbeddedGraph
path, uri, user, password, database, batch = sys.argv[1:]
def say(part, done, total):
    print(part, done, flush=True)
with EmbeddedGraph.open(Path(path)) as graph:
    load(graph, Connection(uri, user, password, database), say, int(batch))
"""


@pytest.fixture(scope="module")
def cells(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedGraph]:
    """The Cell Ontology with develops_from: real, and small enough to load many times."""
    path = tmp_path_factory.mktemp("graph") / "cl.sqlite"
    names = ("CL", "CL-2014")
    paths = {one: sources.path(one) for one in assets_needed(names)}
    build(path, load_all(paths, names))
    with EmbeddedGraph.open(path) as graph:
        yield graph


@pytest.fixture
def server() -> Iterator[Server]:
    server = Server(connection())
    yield server
    server.close()


def empty(server: Server) -> None:
    server.write([("MATCH (n) DETACH DELETE n", {})])


def whole_batches(server: Server) -> dict[str, int]:
    """Compare what is there with how far the load says it has come; returns the counts."""
    counts = {
        "terms": server.read("MATCH (t:Term) RETURN count(t) AS n")[0]["n"],
        "edges": server.read("MATCH (:Term)-[r]->(:Term) RETURN count(r) AS n")[0]["n"],
        "names": server.read("MATCH (n:Name) RETURN count(n) AS n")[0]["n"],
        "words": server.read("MATCH (w:Word) RETURN count(w) AS n")[0]["n"],
        "hierarchies": server.read("MATCH (h:Hierarchy) RETURN count(h) AS n")[0]["n"],
    }
    rows = server.read("MATCH (l:Load) RETURN l.part AS part, l.done AS done")
    marks = {row["part"]: row["done"] for row in rows}
    for part, n in counts.items():
        assert n == marks.get(part, 0), f"{part}: {n} are there, {marks.get(part, 0)} acknowledged"
    return counts


def edge_checksum(server: Server) -> list[tuple[str, str, str]]:
    rows = server.read(
        "MATCH (a:Term)-[r]->(b:Term) RETURN a.id AS a, b.id AS b, r.key AS key ORDER BY key"
    )
    return [(row["a"], row["b"], row["key"]) for row in rows]


def kill_the_loader(cells: EmbeddedGraph, server: Server, times: int) -> None:
    there = connection()
    arguments = [str(cells.path), there.uri, there.user, there.password, there.database, "150"]
    chance = random.Random(0)
    empty(server)
    killed = 0
    for _ in range(times):
        process = subprocess.Popen(
            [sys.executable, "-c", LOADER, *arguments],
            stdout=subprocess.PIPE,
            cwd=Path(__file__).parents[2],
            env={**os.environ, "PYTHONUNBUFFERED": "1"},
        )
        assert process.stdout is not None
        # Somewhere in the middle of a batch, counted from the first that was acknowledged.
        for _ in range(chance.randint(1, 8)):
            process.stdout.readline()
        time.sleep(chance.random() * 0.2)
        if process.poll() is None:
            process.send_signal(signal.SIGKILL)
            killed += 1
        process.wait()
        process.stdout.close()
        whole_batches(server)
    assert killed >= times // 2


def complete(cells: EmbeddedGraph, server: Server) -> None:
    load(cells, connection())
    whole_batches(server)
    with CypherGraph.open(connection()) as served:
        assert list(served.stats()) == list(cells.stats())
        assert list(served.notices()) == list(cells.notices())
    assert edge_checksum(server) == sorted(
        ((edge.subject, edge.object, edge.key) for edge in cells.all_edges()),
        key=lambda row: row[2],
    )


def test_a_killed_load_leaves_whole_batches_and_goes_on(
    cells: EmbeddedGraph, server: Server
) -> None:
    kill_the_loader(cells, server, 4)
    complete(cells, server)


@pytest.mark.slow
def test_a_load_killed_twenty_times_completes(cells: EmbeddedGraph, server: Server) -> None:
    kill_the_loader(cells, server, 20)
    complete(cells, server)


def test_loading_twice_changes_nothing(cells: EmbeddedGraph, server: Server) -> None:
    load(cells, connection())
    before = whole_batches(server), edge_checksum(server)
    assert load(cells, connection()).written == 0
    assert (whole_batches(server), edge_checksum(server)) == before


def test_a_half_loaded_graph_is_refused(cells: EmbeddedGraph, server: Server) -> None:
    load(cells, connection())
    server.write([("MATCH (l:Load {part: 'all'}) DELETE l", {})])
    with pytest.raises(AssetMissing, match="celloquy kg load"):
        CypherGraph.open(connection())
    load(cells, connection())
    CypherGraph.open(connection()).close()


def test_a_graph_laid_out_as_by_another_version_is_replaced(
    cells: EmbeddedGraph, server: Server
) -> None:
    load(cells, connection())
    server.write([("MATCH (l:Load) SET l.layout = 'older'", {})])
    with pytest.raises(AssetMissing, match="another version"):
        CypherGraph.open(connection())
    assert load(cells, connection()).written > 0
    whole_batches(server)
    CypherGraph.open(connection()).close()


def sentences(graph: KnowledgeGraph, found: Neighbourhood) -> list[str]:
    rows = [edge for one in found.neighbours for edge in one.edges]
    labels = graph.terms(end for edge in rows for end in (edge.subject, edge.object))
    named = {one: term.label for one, term in labels.items()}
    return [sentence(edge, named) for edge in rows]


# Six questions a round; a thousand take a minute, on a busy machine more than the usual limit.
@pytest.mark.timeout(1200)
@pytest.mark.parametrize("rounds", [25, pytest.param(170, marks=pytest.mark.slow)])
def test_random_questions_have_the_same_answers(
    cells: EmbeddedGraph, server: Server, rounds: int
) -> None:
    """Neighbours, ancestors, paths, common ancestors, facts, names: embedded and over Bolt."""
    load(cells, connection())
    chance = random.Random(1)
    ids = sorted(term.id for term in cells.terms_of(Category.CELL_TYPE, obsolete=True))
    current = [term.id for term in cells.terms_of(Category.CELL_TYPE)]
    names = [entry for _, entry in cells.all_names()]
    met = stated = 0
    with CypherGraph.open(connection()) as served:
        for _ in range(rounds):
            one, other = chance.choice(ids), chance.choice(ids)
            cut = {"limit": chance.choice([None, 1, 5]), "offset": chance.randint(0, 2)}
            assert list(served.edges(one, **cut)) == list(cells.edges(one, **cut))
            predicates = chance.choice([(IS_A,), (IS_A, PART_OF)])
            assert served.ancestors(one, predicates) == cells.ancestors(one, predicates)
            assert served.edges_between(one, other) == cells.edges_between(one, other)
            text = chance.choice(names).text
            assert served.search(text, limit=5) == cells.search(text, limit=5)
            a, b = chance.choice(current), chance.choice(current)
            meeting = ontology.meeting(cells, a, b, predicates)
            assert ontology.meeting(served, a, b, predicates) == meeting
            met += meeting.path is not None
            assert relate(served, a, b, "i,p") == relate(cells, a, b, "i,p")
            found = neighbourhood(cells, a, limit=5)
            assert neighbourhood(served, a, limit=5) == found
            assert sentences(served, found) == sentences(cells, found)
            stated += len(found.neighbours)
    assert met > rounds // 2
    assert stated > rounds


@pytest.mark.slow
def test_every_way_up_is_the_same(cells: EmbeddedGraph, server: Server) -> None:
    load(cells, connection())
    chance = random.Random(2)
    ids = [term.id for term in cells.terms_of(Category.CELL_TYPE)]
    with CypherGraph.open(connection()) as served:
        for one in chance.sample(ids, 40):
            above = chance.choice(list(cells.ancestors(one)))
            ways = list(islice(ontology.all_paths_up(cells, one, above), 50))
            assert list(islice(ontology.all_paths_up(served, one, above), 50)) == ways
            assert ontology.depth(served, one) == ontology.depth(cells, one)


def test_facts_of_genes_are_the_same(tmp_path: Path, server: Server) -> None:
    with immune_graph(tmp_path) as genes:
        load(genes, connection())
        with CypherGraph.open(connection()) as served:
            for gene in genes.terms_of(Category.GENE):
                for hops in (1, 2):
                    found = neighbourhood(genes, gene.id, hops=hops)
                    assert neighbourhood(served, gene.id, hops=hops) == found
                    assert sentences(served, found) == sentences(genes, found)


def test_a_server_killed_in_mid_query_is_one_line_and_soon(tmp_path: Path) -> None:
    numbers = "range(1, 100000)"
    endless = f"UNWIND {numbers} AS a UNWIND {numbers} AS b WITH a, b WHERE a < 0 RETURN count(b)"
    with peer(tmp_path) as (uri, process), ThreadPoolExecutor(1) as pool:
        server = Server(Connection(uri, "root", PASSWORD, DATABASE))
        try:
            assert server.read("RETURN 1 AS one") == [{"one": 1}]
            asked = pool.submit(server.read, endless)
            time.sleep(0.5)
            assert not asked.done()
            process.kill()
            start = time.monotonic()
            with pytest.raises(ServerUnavailable, match="does not answer") as caught:
                asked.result(timeout=60)
            took = time.monotonic() - start
        finally:
            server.close()
    assert "\n" not in str(caught.value)
    assert took < 15  # reaching it again is given up after 2 s; a busy machine gets more


def test_a_server_that_is_not_there_is_one_line() -> None:
    uri = f"bolt://127.0.0.1:{free_port()}"
    with pytest.raises(ServerUnavailable, match="leave --graph out") as caught:
        CypherGraph.open(Connection(uri, password="x"))
    assert "\n" not in str(caught.value)


def test_the_command_says_so_in_one_line_too() -> None:
    uri = f"bolt://127.0.0.1:{free_port()}"
    code = "import celloquy; celloquy.main()"
    done = subprocess.run(
        [sys.executable, "-c", code, "--graph", uri, "neighbours", "CD8A"],
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 4
    assert done.stdout == ""
    (line,) = done.stderr.splitlines()
    assert f"the graph server {uri} does not answer" in line


def test_an_address_of_another_kind_is_bad_input() -> None:
    with pytest.raises(BadInput, match="expected bolt://"):
        Connection("http://127.0.0.1:7474")


def test_a_wrong_password_is_bad_input(cells: EmbeddedGraph) -> None:
    there = connection()
    with pytest.raises(BadInput, match="CELLOQUY_GRAPH_PASSWORD"):
        CypherGraph.open(Connection(there.uri, there.user, "wrong", there.database))


def test_relationship_types_are_names_that_need_no_quoting() -> None:
    assert all(one.replace("_", "").isalpha() and one.isupper() for one in TYPES.values())
    assert len(set(TYPES.values())) == len(TYPES)
