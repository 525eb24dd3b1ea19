"""``celloquy mcp``: the typed tools over the Model Context Protocol."""

from __future__ import annotations

import sys

from agent.cli.console import options

__all__ = ["mcp"]


def mcp() -> None:
    """Serve ask and the typed graph tools over the Model Context Protocol (stdin and stdout).

    For programs that speak it: register the command "celloquy mcp" there. Reads only.
    """
    from importlib.metadata import version

    from agent.lookup import open_graph
    from agent.protocol import Server
    from agent.qa import Agent

    def write(line: str) -> None:
        sys.stdout.write(line)
        sys.stdout.flush()

    server = Server(Agent(open_graph(options.graph)), version("celloquy"))
    server.serve(sys.stdin, write)
