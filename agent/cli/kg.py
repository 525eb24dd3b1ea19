"""``celloquy kg``: build the knowledge graph from the fetched assets, and count what is in it."""

from __future__ import annotations

import dataclasses
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options

if TYPE_CHECKING:
    from kg.graph import Count

__all__ = ["app"]

app = typer.Typer(
    help="The knowledge graph: build it from the fetched assets, count what is in it.",
    no_args_is_help=True,
    rich_markup_mode=None,
)


@app.command()
def build(
    force: Annotated[bool, typer.Option(help="Build even where the file is current.")] = False,
) -> None:
    """Build the graph file; nothing is done where it is current.

    The file is made of the assets in the cache, and made again where they, or Celloquy's tables,
    have changed: after `celloquy data update`, run this.
    """
    from kg.embedded import default_path, ensure_built

    started = time.monotonic()
    steps: list[str] = []

    def say(line: str) -> None:
        steps.append(line)
        if not options.quiet:
            sys.stderr.write(f"{time.monotonic() - started:6.1f} s  {line}\n")
            sys.stderr.flush()

    ensure_built(say, again=force)
    path = default_path()
    size = path.stat().st_size / 1e6
    done = f"built in {time.monotonic() - started:.0f} s" if steps else "current"
    typer.echo(f"{path}: {done}, {size:.0f} MB")


@app.command()
def stats(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    notices: Annotated[
        bool, typer.Option("--notices", help="Also what readers passed over, and why.")
    ] = False,
) -> None:
    """Count terms by category and edges by predicate, for each source and release."""
    from agent.lookup import open_graph

    graph = open_graph(options.graph)
    counts, said = graph.stats(), graph.notices()
    if as_json:
        emit_json(
            {
                "releases": [dataclasses.asdict(r) for r in graph.releases.values()],
                "counts": [dataclasses.asdict(count) for count in counts],
                "notices": [{"source": source, "notice": notice} for source, notice in said],
            }
        )
        return
    for line in _table(counts):
        typer.echo(line)
    if notices:
        typer.echo("")
        for source, notice in said:
            typer.echo(notice if notice.startswith(source) else f"{source}: {notice}")
    elif said:
        from agent.verification.wording import counted

        typer.echo(
            f"\n{counted(len(said), 'notice')} of what was passed over: celloquy kg stats --notices"
        )


@app.command()
def load(
    uri: Annotated[str, typer.Option(help="The server, as bolt://HOST:PORT.")],
    user: Annotated[
        str | None, typer.Option(help="Its user [default: CELLOQUY_GRAPH_USER or neo4j].")
    ] = None,
    database: Annotated[
        str | None, typer.Option(help="Its database [default: CELLOQUY_GRAPH_DATABASE or neo4j].")
    ] = None,
) -> None:
    """Copy the built graph to a graph server; goes on where a stopped load left off.

    The password comes from CELLOQUY_GRAPH_PASSWORD. Loading a graph that is already there changes
    nothing; another graph of Celloquy's in the database is replaced.
    """
    from agent.lookup import open_graph
    from data.progress import bar
    from kg.cypher import Connection
    from kg.embedded import EmbeddedGraph
    from kg.storage.boltload import load as copy

    there = Connection(uri)
    there = dataclasses.replace(there, user=user or there.user, database=database or there.database)
    graph = open_graph()
    assert isinstance(graph, EmbeddedGraph)  # no address was given
    bars: dict[str, Any] = {}

    def show(part: str, done: int, total: int) -> None:
        if part not in bars:
            bars[part] = bar(part, total, show=not options.quiet, done=done, unit=" rows")
        bars[part].update(done - bars[part].n)
        if done >= total:
            bars[part].close()

    report = copy(graph, there, show)
    rows = ", ".join(f"{n:,} {part}" for part, n in report.rows.items())
    typer.echo(f"{uri}: {rows}; {report.written:,} written now")


def _table(counts: Sequence[Count]) -> list[str]:
    from kg.terms import PREDICATES

    rows = [("", "TYPE", "", "SOURCE", "RELEASE", "NUMBER")]
    for count in counts:
        predicate = PREDICATES.get(count.type)
        label = predicate.label if predicate else ""
        rows.append((count.kind, count.type, label, count.source, count.release, f"{count.n:,}"))
    for kind in ("term", "edge"):
        total = sum(count.n for count in counts if count.kind == kind)
        rows.append((f"{kind}s", "", "", "", "", f"{total:,}"))
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(w) if i == len(row) - 1 else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        )
        for row in rows
    ]
