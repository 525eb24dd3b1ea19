"""``celloquy serve``: the page in a browser, and its JSON API."""

from __future__ import annotations

import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from agent.cli.console import options
from data.errors import DependencyMissing

__all__ = ["serve"]


def serve(
    host: Annotated[
        str, typer.Option(help="Where to listen; any but this machine needs a token.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65_535, help="The port; 0 takes a free one.")
    ] = 8765,
    token: Annotated[
        str | None,
        typer.Option(
            envvar="CELLOQUY_TOKEN",
            show_envvar=False,
            help="What visitors must know; else CELLOQUY_TOKEN.",
        ),
    ] = None,
    knockouts: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a model made by celloquy train knockout, to ask of images and cells."
        ),
    ] = None,
    upload_limit: Annotated[int, typer.Option(min=1, help="Largest file taken, in MB.")] = 8192,
) -> None:
    """Serve the page: cells to look at and select, questions with their evidence.

    Nothing leaves this machine, and what is uploaded goes when the server ends.
    """
    lacking = [name for name in ("fastapi", "uvicorn") if find_spec(name) is None]
    if lacking:
        raise DependencyMissing(
            f"{' and '.join(lacking)} not installed; pip install 'celloquy[web]'"
        )
    from agent.config import AskConfig
    from agent.kinds.predictions import usable_image
    from agent.web.config import ServeConfig
    from agent.web.running import run

    usable_image(None, AskConfig(knockouts=knockouts))  # a folder without a model is said now
    config = ServeConfig(
        host=host, port=port, token=token or None, graph=options.graph, knockouts=knockouts,
        upload_bytes=upload_limit * 1_000_000,
    )  # fmt: skip
    run(config, say=None if options.quiet else _say, loud=options.debug)


def _say(line: str) -> None:
    sys.stderr.write(f"{line}\n")
    sys.stderr.flush()
