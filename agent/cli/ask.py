"""``celloquy ask``: a question in words, an answer with its evidence."""

from __future__ import annotations

import os
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.console import emit_json, options
from agent.config import WRITER_THREAD
from data.errors import BadInput

if TYPE_CHECKING:
    from agent.answer import Answer
    from kg.graph import KnowledgeGraph

__all__ = ["EXIT", "ask", "shown"]

EXIT = {"ok": 0, "truncated": 0, "failed": 1, "abstained": 3}
"""The exit code by the answer's status."""


def ask(
    question: Annotated[str, typer.Argument(help="The question, in quotes.")],
    h5ad: Annotated[
        Path | None, typer.Option(help="Cells that the question is about, as an .h5ad file.")
    ] = None,
    cells: Annotated[
        str | None,
        typer.Option(
            help="Which of them are meant: leiden=3, cell_type=B and batch=1, index=0:50."
        ),
    ] = None,
    against: Annotated[
        str | None, typer.Option(help="Which of them to compare with, written alike.")
    ] = None,
    image: Annotated[
        Path | None, typer.Option(help="An image of cells that the question is about.")
    ] = None,
    knockouts: Annotated[
        Path | None,
        typer.Option(help="Folder of a model made by: celloquy train knockout."),
    ] = None,
    llm: Annotated[
        str | None,
        typer.Option(
            help="Language model that orders and phrases the facts: local, a folder, a hub id, or "
            "provider:model. Every sentence is checked; the default needs no model."
        ),
    ] = None,
    no_llm: Annotated[bool, typer.Option("--no-llm", help="No language model.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Answer a question about cells, with the evidence for every sentence.

    Exit code 3 when the loaded sources do not answer it.
    """
    from agent.config import AskConfig
    from agent.lookup import open_graph
    from agent.qa import ask as answer_question

    graph = open_graph(options.graph)
    config = AskConfig(llm=None if no_llm else llm, knockouts=knockouts)
    if h5ad is None and (cells or against):
        raise BadInput(f"--cells {cells or against} was given without a dataset; add --h5ad FILE")
    answer = answer_question(
        question, h5ad, cells, image, against=against, graph=graph, config=config
    )
    if as_json:
        emit_json(answer.to_json())
    else:
        sys.stdout.write(shown(answer, graph))
    return leave(EXIT[answer.status])


def leave(code: int) -> int:
    """The exit code; ends the process at once where a writer is still running.

    A thread in a model's native code cannot be stopped, and would abort the interpreter's exit.
    """
    if any(thread.name == WRITER_THREAD for thread in threading.enumerate()):
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    return code


def shown(answer: Answer, graph: KnowledgeGraph) -> str:
    """The answer for a reader: prose, evidence, warnings, ages of the sources."""
    lines = [answer.answer, ""]
    for citation in answer.citations:
        piece = citation.evidence
        release = f"{piece.source} {piece.release}".strip()
        text = " ".join(piece.text.split())
        lines.append(f"  {citation.key:<4} {text}" + ("" if release in text else f" [{release}]"))
    for claim in answer.claims:
        _, _, counted = claim.why.partition("; ")
        if claim.verdict == "supported" and counted:
            lines.append(f"  counted [{', '.join(claim.evidence)}]: {counted}")
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
