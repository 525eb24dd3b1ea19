"""What breaks around a question: writers, the graph server, the order of hashes, the network."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from agent.cli.ask import EXIT
from agent.config import AskConfig
from agent.qa import Agent
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph

ROOT = Path(__file__).parents[2]
SCHEMA = json.loads((ROOT / "tests" / "golden" / "ask.schema.json").read_text("utf-8"))
QUESTION = "What kinds of lymphocyte are there?"
LIMIT = 1.5


def asked(graph: KnowledgeGraph, mode: str) -> tuple[dict[str, Any], float]:
    agent = Agent(graph, AskConfig(llm=f"ollama:{mode}", write_seconds=LIMIT))
    start = time.perf_counter()
    answer = agent.ask(QUESTION)
    return answer.to_json(), time.perf_counter() - start


def test_a_chat_model_by_name_writes_through_the_verifier(
    small: KnowledgeGraph, sent: list[dict[str, Any]]
) -> None:
    document, _ = asked(small, "good")
    assert document["status"] == "ok"
    assert document["model"] == "ollama:good"
    assert document["answer"].startswith("B cell (CL:0000236) is a kind of lymphocyte")
    assert sent[-1]["model"] == "good"
    assert QUESTION in str(sent[-1]["messages"])


@pytest.mark.parametrize(
    ("mode", "status", "warning"),
    [
        ("empty", "ok", "no sentence of ollama:empty was supported"),
        ("spaces", "ok", "no sentence of ollama:spaces was supported"),
        ("garbage", "ok", "no sentence of ollama:garbage was supported"),
        ("lies", "ok", "no sentence of ollama:lies was supported"),
        ("long", "truncated", "met its limit and was cut"),
        ("hang", "truncated", "it wrote nothing within 1.5 seconds"),
        ("drip", "truncated", "it wrote nothing within 1.5 seconds"),
        ("error", "ok", "it failed: HTTP Error 500"),
        ("nojson", "ok", "it failed: Expecting value"),
        ("cut", "ok", "it failed: Remote end closed"),
    ],
)
def test_a_writer_that_misbehaves_costs_its_draft_and_no_more_than_its_time(
    small: KnowledgeGraph, sent: list[dict[str, Any]], mode: str, status: str, warning: str
) -> None:
    plain = Agent(small).ask(QUESTION).to_json()
    asked(small, "good")  # imports aside
    document, seconds = asked(small, mode)
    assert seconds < LIMIT + 1.0
    assert document["status"] == status
    assert any(warning in line for line in document["warnings"]), document["warnings"]
    assert document["answer"] == plain["answer"]
    assert document["citations"] == plain["citations"]
    jsonschema.validate(document, SCHEMA)


def test_a_model_that_is_not_there_is_one_clear_line(small: KnowledgeGraph) -> None:
    from data.errors import CelloquyError

    with pytest.raises(CelloquyError, match="nonesuch") as caught:
        Agent(small, AskConfig(llm="nonesuch:model")).ask(QUESTION)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("mode", "verdicts"),
    [("yes", ["supported"]), ("no", ["dropped"]), ("garbage", ["supported"]),
     ("error", ["supported"]), ("hang", ["supported"])],
)  # fmt: skip
def test_a_second_check_may_only_take_claims_away(
    small: KnowledgeGraph, sent: list[dict[str, Any]], mode: str, verdicts: list[str]
) -> None:
    config = AskConfig(llm=f"ollama:{mode}", write_seconds=LIMIT, entailment=True)
    agent = Agent(small, config)
    agent.writer = None
    start = time.perf_counter()
    document = agent.ask(QUESTION).to_json()
    assert time.perf_counter() - start < LIMIT + 1.0
    assert [claim["verdict"] for claim in document["claims"]] == verdicts
    assert document["status"] == ("abstained" if mode == "no" else "ok")
    heard = not any("gave no verdict" in line for line in document["warnings"])
    assert heard == (mode in ("yes", "no"))
    jsonschema.validate(document, SCHEMA)


def test_a_second_check_needs_a_model() -> None:
    with pytest.raises(ValueError, match="needs a language model"):
        AskConfig(entailment=True)


# --- the graph server ---------------------------------------------------------------------------


class Killing:
    """A graph whose server is killed when the first edges are read."""

    def __init__(self, graph: KnowledgeGraph, process: subprocess.Popen[bytes]) -> None:
        self._graph, self._process, self.killed = graph, process, 0.0

    def __getattr__(self, name: str) -> Any:
        if name in ("edges", "edges_between") and not self.killed:
            os.kill(self._process.pid, signal.SIGKILL)
            self._process.wait()
            self.killed = time.perf_counter()
        return getattr(self._graph, name)


@pytest.mark.slow
@pytest.mark.parametrize("with_fallback", [False, True])
def test_a_graph_server_killed_in_mid_question(
    small: KnowledgeGraph, tmp_path: Path, with_fallback: bool
) -> None:
    from kg.cypher import Connection, CypherGraph
    from kg.storage.boltload import load
    from tests.kg.bolt_peer import DATABASE, PASSWORD, peer

    with peer(tmp_path) as (uri, process):
        there = Connection(uri, user="root", password=PASSWORD, database=DATABASE)
        load(small, there)  # type: ignore[arg-type]
        with CypherGraph.open(there) as served:
            graph = Killing(served, process)
            fallback = (lambda: small) if with_fallback else None
            agent = Agent(graph, AskConfig(), fallback)  # type: ignore[arg-type]
            answer = agent.ask(QUESTION)
            seconds = time.perf_counter() - graph.killed
    assert graph.killed
    assert seconds < 2.0
    jsonschema.validate(answer.to_json(), SCHEMA)
    if with_fallback:
        assert answer.answer == Agent(small).ask(QUESTION).answer
        assert "does not answer" in answer.warnings[0]
        assert "built-in graph instead" in answer.warnings[0]
        assert EXIT[answer.status] == 0
    else:
        assert (answer.status, EXIT[answer.status]) == ("failed", 1)
        assert "does not answer" in answer.answer
        assert answer.citations == ()


# --- the same answer everywhere -------------------------------------------------------------------

FORTY = """
import json, sys
def refuse(event, _):
    if event in ("socket.connect", "socket.getaddrinfo", "socket.bind"):
        raise OSError("the network was used")
sys.addaudithook(refuse)
from agent.lookup import open_graph
from agent.qa import Agent
agent = Agent(open_graph())
for question in json.loads(sys.argv[1]):
    document = agent.ask(question).to_json()
    for step in document["route"]:
        step["ms"] = 0
    print(json.dumps(document))
"""


@pytest.mark.assets
def test_forty_answers_are_the_same_bytes_in_every_process_without_a_network(
    real: EmbeddedGraph,
) -> None:
    rows = (ROOT / "tests" / "golden" / "questions.tsv").read_text("utf-8").splitlines()[1:]
    questions = json.dumps([row.split("\t")[0] for row in rows[::3]])
    written = []
    for seed in ("0", "4242"):
        done = subprocess.run(
            [sys.executable, "-c", FORTY, questions],
            capture_output=True,
            cwd=ROOT,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": str(ROOT)},
            timeout=300,
        )
        assert done.returncode == 0, done.stderr.decode()
        written.append(done.stdout)
    assert len(written[0].splitlines()) == 40
    assert written[0] == written[1]
    statuses = {json.loads(line)["status"] for line in written[0].splitlines()}
    assert statuses == {"ok", "abstained"}
