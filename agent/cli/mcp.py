"""``celloquy mcp``: the typed tools over the Model Context Protocol."""

from __future__ import annotations

from importlib.util import find_spec

from agent.cli.console import options
from data.errors import DependencyMissing

__all__ = ["mcp"]


def mcp() -> None:
    """Serve ask, look-ups and typed graph tools over the Model Context Protocol (stdin, stdout).

    For programs that speak it: register the command "celloquy mcp" there. Reads only.
    """
    if find_spec("mcp") is None:
        raise DependencyMissing("the package mcp is not installed; pip install 'celloquy[mcp]'")
    from importlib.metadata import version

    import anyio
    from mcp.server.stdio import stdio_server

    from agent.degraded import built_in
    from agent.lookup import open_graph
    from agent.protocol import server
    from agent.qa import Agent

    serving = server(Agent(open_graph(options.graph), fallback=built_in), version("celloquy"))

    async def serve() -> None:
        # The transport keeps the real stdout for itself: what anything else prints goes to stderr.
        async with stdio_server() as (received, sent):
            await serving.run(received, sent, serving.create_initialization_options())

    anyio.run(serve)
