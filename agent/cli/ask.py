"""``celloquy ask``: a question in words, an answer with its evidence."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.main import emit_json, options

if TYPE_CHECKING:
    from agent.answer import Answer
    from kg.graph import KnowledgeGraph

__all__ = ["EXIT", "ask", "shown"]

EXIT = {"ok": 0, "truncated": 0, "failed": 1, "abstained": 3}
"""The exit code by the answer's status."""


def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Answer a question about cells, with the evidence for every sentence.

    Exit code 3 when the loaded sources do not answer it.
    """
    from agent.lookup import open_graph
    from agent.qa import ask as answer_question

    graph = open_graph(options.graph)
    answer = answer_question(question, graph=graph)
    if as_json:
        emit_json(answer.to_json())
    else:
        sys.stdout.write(shown(answer, graph))
    return EXIT[answer.status]


def shown(answer: Answer, graph: KnowledgeGraph) -> str:
    """The answer for a reader: prose, evidence, warnings, ages of the sources."""
    lines = [answer.answer, ""]
    for citation in answer.citations:
        piece = citation.evidence
        release = f"{piece.source} {piece.release}".strip()
        text = " ".join(piece.text.split())
        lines.append(f"  {citation.key:<4} {text}" + ("" if release in text else f" [{release}]"))
    if answer.citations:
        lines.append("")
    if answer.releases:
        lines.append("  " + "; ".join(_age(graph, source) for source in answer.releases))
    lines += [f"  note: {warning}" for warning in answer.warnings]
    return "\n".join(lines).rstrip() + "\n"


def _age(graph: KnowledgeGraph, source: str) -> str:
    from data.manifest import age_in_days

    release = graph.releases.get(source)
    if release is None:
        return source
    days = age_in_days(release.date)
    if days is None:
        return f"{source} {release.version}"
    age = f"{days / 365.25:.1f} years" if days > 730 else f"{days / 30.44:.0f} months"
    return f"{source} {release.version} ({age} old)"
