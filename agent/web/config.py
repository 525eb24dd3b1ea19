"""What a running page may do: where it listens, who may come in, and how much it takes."""

from __future__ import annotations

import re
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

from data.errors import BadInput

__all__ = ["ServeConfig", "is_loopback"]

_TOKEN = re.compile(r"[A-Za-z0-9._-]+")  # what a cookie, a header and an address hold alike


@dataclass(frozen=True, slots=True)
class ServeConfig:
    """Limits of a server.

    Parameters
    ----------
    host, port
        Where it listens.
    token
        What a visitor must know; needed wherever ``host`` is not this machine alone.
    graph
        ``bolt://HOST:PORT``, or None for the built-in graph file.
    knockouts
        Folder of a model that says which gene is knocked out (celloquy train knockout).
    upload_bytes
        Largest file taken.
    image_bytes, image_values
        Largest picture taken, as a file and unpacked.
    spare_bytes
        Room that an upload must leave on the disk.
    worker_bytes
        Address space of the process that looks at an upload first.
    most_sessions, idle_seconds
        Sessions kept; the one idle longest goes first, and any that is idle for so long.
    most_datasets, most_selections, most_images
        Kept in a session.
    drawn
        Cells drawn; of larger datasets a stratified sample is.
    """

    host: str = "127.0.0.1"
    port: int = 8765
    token: str | None = None
    graph: str | None = None
    knockouts: Path | None = None
    upload_bytes: int = 8 << 30
    image_bytes: int = 64 << 20
    image_values: int = 1 << 25
    spare_bytes: int = 1 << 30
    worker_bytes: int = 8 << 30
    most_sessions: int = 200
    idle_seconds: float = 12 * 3600.0
    most_datasets: int = 8
    most_selections: int = 64
    most_images: int = 8
    drawn: int = 200_000

    def __post_init__(self) -> None:
        if not is_loopback(self.host) and not self.token:
            raise BadInput(
                f"{self.host} is reached from other machines; expected a token for visitors: "
                "--token WORD, or the environment variable CELLOQUY_TOKEN"
            )
        if self.token and not _TOKEN.fullmatch(self.token):
            raise BadInput("the token cannot be sent; expected letters, digits, '-', '_' and '.'")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine alone.

    >>> is_loopback("127.0.0.1"), is_loopback("localhost"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    if host == "localhost":
        return True
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
