"""The server process: a socket, uvicorn on it, and what is loaded while the first visitor comes."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable

from agent.web.app import create_app, warm_up
from agent.web.config import ServeConfig
from data.errors import BadInput

__all__ = ["listen", "run"]


def run(
    config: ServeConfig, say: Callable[[str], None] | None = None, *, loud: bool = False
) -> None:
    """Serve until stopped.

    Parameters
    ----------
    config
        Where, for whom, how much.
    say
        Is told the address.
    loud
        Log every request.

    Raises
    ------
    BadInput
        When the address cannot be listened on.
    """
    import uvicorn

    with listen(config) as listening:
        port = listening.getsockname()[1]
        host = f"[{config.host}]" if ":" in config.host else config.host
        listening.listen(2048)  # who comes before uvicorn is ready waits a moment
        if say is not None:
            say(f"Celloquy is at http://{host}:{port}/ (stop it with Ctrl+C)")
        threading.Thread(target=warm_up, args=(config,), name="warm-up", daemon=True).start()
        settings = uvicorn.Config(
            create_app(config), log_level="info" if loud else "warning", server_header=False,
            timeout_graceful_shutdown=2, lifespan="on", ws="none",
        )  # fmt: skip
        uvicorn.Server(settings).run(sockets=[listening])


def listen(config: ServeConfig) -> socket.socket:
    """A socket at the address; port 0 takes a free one."""
    found = None
    try:
        family, kind, proto, _, address = socket.getaddrinfo(
            config.host, config.port, type=socket.SOCK_STREAM
        )[0]
        found = socket.socket(family, kind, proto)
        found.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        found.bind(address)
    except OSError as error:
        if found is not None:
            found.close()
        raise BadInput(
            f"{config.host} port {config.port} cannot be listened on ({error.strerror}); another "
            "program may be there: choose another with --port"
        ) from None
    return found
