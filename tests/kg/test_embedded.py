"""The graph file: what a build refuses and counts, that it is whole or absent, cold reads."""

from __future__ import annotations

import ast
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from data.errors import AssetMissing, BadInput, CelloquyError
from kg.embedded import EmbeddedGraph
from kg.readers.source import Loaded
from kg.storage import build as build_module
from kg.storage import graphfile
from kg.storage.build import build, lock
from kg.terms import ENABLES, IS_A, PART_OF, REGULATES, Category, Edge, Release
from tests.strategies import GENES, RELEASE, term

ROOT = Path(__file__).parents[2]
A, B, GONE = term("CL:0000001"), term("CL:0000002"), term("CL:0000003", obsolete=True)


def edge(subject: str, predicate: str, object_: str, **given: object) -> Edge:
    return replace(Edge(subject, predicate, object_, "CL", "v1"), **given)  # type: ignore[arg-type]


def built(path: Path, *loaded: Loaded) -> EmbeddedGraph:
    build(path / "graph.sqlite", loaded)
    return EmbeddedGraph.open(path / "graph.sqlite")


# --- what is refused ---------------------------------------------------------------------------


def test_what_is_not_kept_is_counted(tmp_path: Path) -> None:
    kept = edge(B.id, IS_A, A.id)
    refused = [
        edge(B.id, IS_A, "CL:0000404"),
        edge("GO:0000404", PART_OF, A.id),
        edge("GO:0000405", PART_OF, A.id),
        edge(B.id, "RO:0000404", A.id),
        edge(B.id, REGULATES, A.id, release="v2"),
        edge(B.id, REGULATES, A.id, publications=("PMID:1|PMID:2",)),
        edge(B.id, REGULATES, A.id, qualifiers=("",)),
        edge(B.id, REGULATES, GONE.id),
        kept,
    ]
    foreign = replace(A, id="CL:0000009", release="v2")
    with built(
        tmp_path, Loaded(RELEASE, [A, B, GONE, A, foreign], [kept, *refused], ("CL: said so",))
    ) as graph:
        assert list(graph.all_edges()) == [kept]
        assert [one.id for one in graph.all_terms()] == [A.id, B.id, GONE.id]
        found = [f"{source}: {notice}" for source, notice in graph.notices()]
    stale = "between ontology terms of which one is obsolete"
    assert sorted(found) == sorted(
        [
            "CL: CL: said so",
            "CL: 1 edges given twice (is a)",
            "CL: 1 edges refused: RO:0000404 is not a known predicate",
            "CL: 1 edges refused: they name a release not loaded",
            "CL: 2 edges refused: a reference contains '|' or is empty",
            "CL: 1 terms passed over: CL defines them already",
            "CL: 1 terms refused: they name a release not loaded",
            "CL: 1 edges refused (is a): no loaded source defines their end, such as CL:0000404",
            "CL: 2 edges refused (part of): no loaded source defines their end, such as GO:0000404",
            f"CL: 1 edges refused (regulates): {stale}",
        ]
    )


def test_annotations_to_obsolete_terms_are_kept(tmp_path: Path) -> None:
    note = Edge("HGNC:1", ENABLES, GONE.id, "HGNC", "2024-02", qualifiers=("obsolete_term",))
    with built(tmp_path, Loaded(RELEASE, [GONE]), Loaded(GENES, [term("HGNC:1")], [note])) as graph:
        assert list(graph.edges(GONE.id)) == [note]


def test_a_cycle_is_kept_and_counted(tmp_path: Path) -> None:
    edges = [edge(A.id, IS_A, B.id), edge(B.id, IS_A, A.id)]
    with built(tmp_path, Loaded(RELEASE, [A, B, term("CL:0000004")], edges)) as graph:
        assert list(graph.all_edges()) == edges
        assert [notice for _, notice in graph.notices()] == [
            "2 terms are above themselves over is a, part of, is a or part of, such as CL:0000001"
        ]


def test_one_release_of_each_source(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="CL was given in the releases v1 and v2"):
        build(tmp_path / "graph.sqlite", [Loaded(RELEASE), Loaded(replace(RELEASE, version="v2"))])
    with built(tmp_path, Loaded(RELEASE, [A]), Loaded(RELEASE, [B])) as graph:
        assert [one.id for one in graph.all_terms()] == [A.id, B.id]


# --- whole or absent ---------------------------------------------------------------------------


def names(folder: Path) -> list[str]:
    return sorted(one.name for one in folder.iterdir())


def test_a_build_that_fails_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    def breaking() -> Iterator[Loaded]:
        yield Loaded(RELEASE, [B])
        raise RuntimeError("a reader broke")

    built(tmp_path, Loaded(RELEASE, [A])).close()
    with pytest.raises(RuntimeError, match="a reader broke"):
        build(tmp_path / "graph.sqlite", breaking())
    assert names(tmp_path) == ["graph.sqlite"]
    with EmbeddedGraph.open(tmp_path / "graph.sqlite") as graph:
        assert graph.term(A.id) == A


def test_an_open_graph_outlives_its_replacement(tmp_path: Path) -> None:
    before = built(tmp_path, Loaded(RELEASE, [A]))
    after = built(tmp_path, Loaded(RELEASE, [B]))
    with before, after:
        assert (before.term(A.id), before.term(B.id)) == (A, None)
        assert (after.term(A.id), after.term(B.id)) == (None, B)


KILLED = """
import sys
from pathlib import Path
from kg.storage.build import build, lock
from kg.readers.source import Loaded
from kg.terms import IS_A, Edge
from tests.strategies import RELEASE, term
terms = [term(f"CL:{n:07d}") for n in range(4000)]
edges = [Edge(f"CL:{n:07d}", IS_A, f"CL:{n // 2:07d}", "CL", "v1") for n in range(1, 4000)]
path = Path(sys.argv[1])
with lock(path):
    print("begun", flush=True)
    build(path, [Loaded(RELEASE, terms, edges)], fingerprint="new")
print("done", flush=True)
"""


def test_a_killed_build_leaves_the_old_file_and_the_next_one_completes(tmp_path: Path) -> None:
    path = tmp_path / "graph.sqlite"
    build(path, [Loaded(RELEASE, [A])], fingerprint="old")
    left_behind = killed = 0
    # From before the first table to after the last: a build here takes about 0.3 s.
    for delay in (0.0, 0.01, 0.02, 0.05, 0.08, 0.12, 0.16, 0.2, 0.25, 0.3):
        with subprocess.Popen(
            [sys.executable, "-c", KILLED, str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
        ) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begun\n"
            time.sleep(delay)
            process.send_signal(signal.SIGKILL)
            killed += "done" not in process.stdout.read()
        left_behind += any(".tmp" in name for name in names(tmp_path))
        with EmbeddedGraph.open(path) as graph:
            assert graph.fingerprint in ("old", "new")
            assert len(list(graph.all_terms())) == {"old": 1, "new": 4000}[graph.fingerprint]
    assert killed >= 5, "the builds were too fast to be killed"
    assert left_behind >= 1, "no build was killed while it wrote"
    result = subprocess.run(
        [sys.executable, "-c", KILLED, str(path)], cwd=ROOT, capture_output=True, text=True
    )
    assert result.stdout == "begun\ndone\n", result.stderr
    assert names(tmp_path) == ["graph.sqlite", "graph.sqlite.lock"]
    with EmbeddedGraph.open(path) as graph:
        assert graph.fingerprint == "new"


def test_two_processes_do_not_build_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_module, "LOCK_SECONDS", 0.1)
    path = tmp_path / "graph.sqlite"
    with lock(path):
        second = lock(path)
        with pytest.raises(CelloquyError, match="another process has been building"):
            second.__enter__()
    with lock(path):
        pass


FULL = """
import resource, signal, sys
from pathlib import Path
from data.errors import CelloquyError
from kg.storage.build import build
from kg.readers.source import Loaded
from tests.strategies import RELEASE, term
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))
terms = [term(f"CL:{n:07d}", definition="x" * 500) for n in range(4000)]
try:
    build(Path(sys.argv[1]), [Loaded(RELEASE, terms)])
except CelloquyError as error:
    print(error)
"""


def test_a_full_disk_is_one_line_and_leaves_the_old_file(tmp_path: Path) -> None:
    built(tmp_path, Loaded(RELEASE, [A])).close()
    result = subprocess.run(
        [sys.executable, "-c", FULL, str(tmp_path / "graph.sqlite")],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout.startswith("the graph cannot be written to")
    assert result.stdout.count("\n") == 1
    assert names(tmp_path) == ["graph.sqlite"]
    with EmbeddedGraph.open(tmp_path / "graph.sqlite") as graph:
        assert graph.term(A.id) == A


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(CelloquyError, match="cannot be written"):
        build(tmp_path / "file" / "graph.sqlite", [])


# --- what is no graph --------------------------------------------------------------------------


def test_what_cannot_be_opened_says_what_to_run(tmp_path: Path) -> None:
    path = tmp_path / "graph.sqlite"
    with pytest.raises(AssetMissing, match=r"no knowledge graph at .*; run: celloquy kg build"):
        EmbeddedGraph.open(path)
    path.write_bytes(b"no database" * 1000)
    with pytest.raises(AssetMissing, match="is no graph file; run: celloquy kg build"):
        EmbeddedGraph.open(path)
    path.unlink()
    build(path, [Loaded(RELEASE, [A])])
    with sqlite3.connect(path) as db:
        db.execute("UPDATE meta SET value = 'of old' WHERE name = 'layout'")
    db.close()
    with pytest.raises(AssetMissing, match="was built by another version of Celloquy"):
        EmbeddedGraph.open(path)


def test_each_layout_has_a_file_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    here = graphfile.default_path()
    assert here.name.startswith("graph-")
    assert here == graphfile.default_path()
    monkeypatch.setattr("kg.storage.schema.VERSION", 1000)
    assert graphfile.default_path() != here
    assert graphfile.default_path().parent == here.parent


def test_the_fingerprint_covers_every_module_that_decides_the_content() -> None:
    """Catalogue and builder and all of kg that they import, however far down, and nothing more."""
    folder = ROOT / "kg"
    needed, waiting = set(), {"readers.catalogue", "storage.build"}
    while waiting:
        module = waiting.pop()
        needed.add(module)
        path = folder / f"{module.replace('.', '/')}.py"
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "kg":
                inside = str(node.module).removeprefix("kg").removeprefix(".")
                if (folder / inside.replace(".", "/")).is_dir():  # a package: modules of it
                    named = {f"{inside}.{one.name}".removeprefix(".") for one in node.names}
                else:
                    named = {inside}
                waiting |= named - needed
    assert {one.replace(".", "/") for one in needed} == set(graphfile.CONTENT)


def test_files_of_other_layouts_go_after_a_while(tmp_path: Path) -> None:
    mine, old, young = (
        tmp_path / f"graph-{layout}.sqlite" for layout in ("11111111", "22222222", "33333333")
    )
    for path in (mine, old, young):
        path.write_bytes(b"")
    long_ago = time.time() - 2 * graphfile.UNUSED_SECONDS
    os.utime(mine, (long_ago, long_ago))
    os.utime(old, (long_ago, long_ago))
    graphfile._drop_unused(mine)
    assert names(tmp_path) == [mine.name, young.name]


def test_reading_never_writes(tmp_path: Path) -> None:
    with built(tmp_path, Loaded(RELEASE, [A, B], [edge(B.id, IS_A, A.id)])) as graph:
        graph.edges(A.id)
        graph.search("type")
        with pytest.raises(sqlite3.OperationalError, match="readonly"):
            graph._db.execute("DELETE FROM edges")
        assert names(tmp_path) == ["graph.sqlite"]


def test_threads_read_one_graph(tmp_path: Path) -> None:
    terms = [term(f"CL:{n:07d}") for n in range(300)]
    edges = [edge(f"CL:{n:07d}", IS_A, f"CL:{n // 2:07d}") for n in range(1, 300)]
    with built(tmp_path, Loaded(RELEASE, terms, edges)) as graph:
        ids = [one.id for one in terms]
        alone = [(graph.term(one), graph.edges(one), graph.ancestors(one)) for one in ids]
        with ThreadPoolExecutor(8) as pool:
            together = pool.map(
                lambda one: (graph.term(one), graph.edges(one), graph.ancestors(one)), ids * 4
            )
            assert list(together) == alone * 4


def test_empty_sources_make_an_empty_graph(tmp_path: Path) -> None:
    with built(tmp_path) as graph:
        assert dict(graph.releases) == {}
        assert graph.search("cell") == []
        assert graph.ancestors("CL:0000001") == {}
        assert list(graph.terms_of(Category.GENE)) == []


def test_networkx_gets_the_ontology_alone(tmp_path: Path) -> None:
    note = Edge("HGNC:1", ENABLES, A.id, "HGNC", "2024-02")
    no = edge(A.id, IS_A, B.id, negated=True)
    with built(
        tmp_path,
        Loaded(RELEASE, [A, B, GONE], [edge(B.id, IS_A, A.id), edge(B.id, PART_OF, A.id), no]),
        Loaded(GENES, [term("HGNC:1")], [note]),
    ) as graph:
        made = graph.to_networkx()
    assert dict(made.nodes(data="label")) == {A.id: A.label, B.id: B.label}
    assert dict(made.edges) == {(B.id, A.id): {"predicates": (PART_OF, IS_A)}}


# --- the real file -----------------------------------------------------------------------------

COLD = """
import sys, time
from kg.embedded import EmbeddedGraph
start = time.perf_counter()
with EmbeddedGraph.open() as graph:
    edges = graph.edges("HGNC:1706")
seconds = time.perf_counter() - start
heavy = {"numpy", "networkx", "scipy", "pandas", "obonet", "torch"} & set(sys.modules)
print(len(edges), seconds, sorted(heavy))
"""


@pytest.mark.assets
def test_a_cold_read_takes_milliseconds_and_loads_nothing_heavy() -> None:
    seconds = []
    for _ in range(3):
        result = subprocess.run(
            [sys.executable, "-c", COLD],
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=True,
            env={**os.environ},
        )
        number, took, heavy = result.stdout.split(maxsplit=2)
        assert int(number) > 50
        assert heavy.strip() == "[]"
        seconds.append(float(took))
    # Measured 0.01 s; a busy machine gets ten times that.
    assert min(seconds) < 0.1


def test_releases_come_back_whole(tmp_path: Path) -> None:
    full = Release("CL", "v1", "2026-03-26", "CC BY 4.0", "Diehl et al. 2016")
    with built(tmp_path, Loaded(full, [A]), Loaded(GENES)) as graph:
        assert dict(graph.releases) == {"CL": full, "HGNC": GENES}
