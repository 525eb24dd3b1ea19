"""Two more sets of questions written by hand, scored apart from the first.

``questions_second.tsv``: as a biologist asks, on terms, literature and attached cells, written
before the code that answers them was looked at. ``rewordings.tsv``: wordings that are in no table
of wordings, with the kind of each, for the classifier of routes, and questions that nothing
answers; written before it was trained and used for nothing but this score.
"""

from __future__ import annotations

import csv
import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.config import AskConfig
from agent.qa import Agent
from agent.routing.guessing import masked_question
from agent.routing.router import Plan
from data import sources
from data.errors import BadFile, Missing
from kg.graph import KnowledgeGraph
from kg.naming.mentions import Mention
from training.evaluate.figures import Report
from training.evaluate.qa import judge
from training.synthetic_qa import Item

if TYPE_CHECKING:
    from encoders.routes import RouteClassifier

__all__ = ["add_rewordings", "add_second", "read_rewordings", "second"]

NOTHING = "none"
"""The kind of rewordings that nothing answers."""

CELLS_FILE = "pbmc68k"
"""The dataset that questions of the second set are put to, where they name cells of it."""


def _rows(path: Path, columns: Sequence[str]) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as stream:
        lines = (line for line in stream if not line.startswith("#"))
        rows = list(csv.DictReader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    if not rows or list(rows[0]) != list(columns):
        raise BadFile(f"{path} is no such set of questions; expected {', '.join(columns)}")
    return rows


def read_rewordings(path: Path) -> list[tuple[str, str]]:
    """Each question with its kind.

    Raises
    ------
    BadFile
        When the file has not the columns of one.
    """
    return [(row["question"], row["kind"]) for row in _rows(path, ("kind", "question"))]


def second(graph: KnowledgeGraph, path: Path) -> list[tuple[str, Mapping[str, Any], list[str]]]:
    """Each question of the second set with its document and why it is wrong.

    Raises
    ------
    BadFile
        When the file has not the columns of one.
    """
    rows = _rows(path, ("question", "tool", "status", "lead", "ids", "cells"))
    agent = Agent(graph)
    found = [
        _asked(row, lambda r: agent.ask(r["question"]).to_json())
        for row in rows
        if not row["cells"]
    ]
    of_cells = [row for row in rows if row["cells"]]
    if of_cells and sources.present(CELLS_FILE):
        from agent.attached.cells import attach

        with attach(sources.path(CELLS_FILE), None, graph) as cells:
            found += [
                _asked(row, lambda r: agent.ask(r["question"], cells, r["cells"]).to_json())
                for row in of_cells
            ]
    return found


def _asked(
    row: dict[str, str], ask: Callable[[dict[str, str]], Mapping[str, Any]]
) -> tuple[str, Mapping[str, Any], list[str]]:
    document = ask(row)
    item = Item(row["question"], row["tool"], row["tool"], row["status"], row["lead"])
    reasons = judge(item, document)
    shown = json.dumps(document["citations"])
    if document["status"] == "ok":
        reasons += [f"does not cite {one}" for one in row["ids"].split(",") if one not in shown]
    return row["question"], document, reasons


def add_second(report: Report, graph: KnowledgeGraph, path: Path) -> None:
    """Score the second set."""
    judged = second(graph, path)
    right = sum(not reasons for *_, reasons in judged)
    report.add("second set by hand: right", right / len(judged), len(judged))
    for question, _, reasons in judged:
        if reasons:
            report.notes.append(f"second set: {question} ({'; '.join(reasons)})")


def add_rewordings(report: Report, graph: KnowledgeGraph, path: Path) -> None:
    """Score routes of rewordings: by rules, with the classifier, and by trivial classifiers."""
    pairs = read_rewordings(path)
    asked = [(q, kind) for q, kind in pairs if kind != NOTHING]
    nothing = [q for q, kind in pairs if kind == NOTHING]
    for name, config in (("rules alone", AskConfig(classifier=False)), ("", AskConfig())):
        agent = Agent(graph, config)
        tools = [_plan(agent, q).tool for q, _ in asked]
        figures = {
            "rewordings: right route": sum(
                tool == kind for tool, (_, kind) in zip(tools, asked, strict=True)
            )
            / len(asked),
            "rewordings: wrong route": sum(
                tool not in ("", kind) for tool, (_, kind) in zip(tools, asked, strict=True)
            )
            / len(asked),
        }
        refused = sum(not _plan(agent, q).tool for q in nothing) / len(nothing)
        for figure, value in figures.items():
            _put(report, name, figure, value, len(asked))
        _put(report, name, "rewordings that nothing answers: refused", refused, len(nothing))
    try:
        from encoders.routes import load

        _add_alone(report, graph, pairs, load())
    except Missing as error:
        report.notes.append(f"rewordings: no classifier ({error})")


def _grounded(agent: Agent, question: str) -> tuple[str, tuple[Mention, ...]]:
    """A question as it is read, with the terms that it names."""
    found = agent.ground({"question": question})
    return found["read"], found["mentions"]


def _plan(agent: Agent, question: str) -> Plan:
    """Where a question is sent, before anything is retrieved."""
    read, mentions = _grounded(agent, question)
    return agent.route({"question": question, "read": read, "mentions": mentions})["plan"]


def _put(report: Report, name: str, figure: str, value: float, n: int) -> None:
    if name:
        report.beside(name, figure, value, n)
    else:
        report.add(figure, value, n)


def _add_alone(
    report: Report,
    graph: KnowledgeGraph,
    pairs: Sequence[tuple[str, str]],
    classifier: RouteClassifier,
) -> None:
    """The classifier's likeliest kind without threshold or rules, beside trivial ones."""
    import numpy as np

    from encoders.routes import REVERSED
    from training.route_classifier import centroids, examples

    agent = Agent(graph)
    texts = [masked_question(*_grounded(agent, q)) for q, _ in pairs]
    kept = [(text, kind) for text, (_, kind) in zip(texts, pairs, strict=True) if text]
    vectors = classifier.encoder.encode([text for text, _ in kept])
    likeliest = classifier.probabilities([text for text, _ in kept]).argmax(axis=1)
    learnt = [e for e in examples() if not e.kept]
    nearest = centroids(learnt, classifier.encoder.encode([e.text for e in learnt]), vectors)
    figure = "rewordings: kind by the classifier alone"
    kinds = [kind for _, kind in kept]

    def share(labels: Sequence[str]) -> float:
        plain = [label.removesuffix(REVERSED) for label in labels]
        return float(np.mean([a == b for a, b in zip(plain, kinds, strict=True)]))

    report.add(figure, share([classifier.labels[int(i)] for i in likeliest]), len(kept))
    report.beside("nearest centroid", figure, share(nearest), len(kept))
    most = Counter(kinds).most_common(1)[0][1]
    report.beside("largest class", figure, most / len(kept), len(kept))
