"""``celloquy kg export``: the graph as files that other tools read."""

from __future__ import annotations

import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.console import options
from agent.cli.targets import apart, to_write

__all__ = ["export"]


class Format(StrEnum):
    """Those of :data:`kg.exchange.formats.FORMATS`; written out so that --help loads nothing."""

    KGX = "kgx"
    OBOGRAPH = "obograph"
    GRAPHML = "graphml"
    SSSOM = "sssom"


def export(
    out: Annotated[Path, typer.Argument(help="File to write; for kgx a folder.")],
    to: Annotated[
        Format,
        typer.Option(
            "--format",
            help="kgx: Biolink records as JSON Lines; obograph: OBO Graphs JSON; graphml: for "
            "Cytoscape, Gephi, igraph; sssom: the terms' cross-references as mappings.",
        ),
    ] = Format.KGX,
    source: Annotated[
        list[str] | None,
        typer.Option(help="Only this source, such as CL or GOA-human; may be repeated."),
    ] = None,
    converted: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Write what this KGX folder or OBO Graphs file holds instead of the graph.",
        ),
    ] = None,
) -> None:
    """Write the graph, or some of its sources, in a format of other tools.

    KGX and OBO Graphs keep everything: sources, releases, evidence, publications, negation.
    Before the results are passed on: each source has its licence (celloquy data list).
    """
    from data.errors import BadInput
    from kg.exchange.formats import content_of, loaded_content, read
    from kg.exchange.formats import export as write

    started = time.monotonic()
    apart(out, converted)
    if out.is_file() and to is not Format.KGX:
        to_write(out)
    if converted is not None:
        if source:
            raise BadInput("--source chooses sources of the graph; leave it out with --from")
        loaded = read(converted)
        for one in loaded:
            for notice in one.notices:
                sys.stderr.write(f"{notice}\n")
        content = loaded_content(loaded)
    else:
        from agent.lookup import open_graph

        content = content_of(open_graph(options.graph), source or ())
    first, second = write(content, to.value, out)
    wrote = (
        f"{first:,} mappings ({second:,} references without a prefix left out)"
        if to is Format.SSSOM
        else f"{first:,} nodes, {second:,} edges"
    )
    typer.echo(f"{out}: {wrote}, {time.monotonic() - started:.0f} s")
