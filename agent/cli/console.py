"""What every command shares: the global options and the one way to print a document."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Options", "emit_json", "hoist", "options"]


@dataclass
class Options:
    """What the global options set; read by the commands through :data:`options`."""

    graph: str | None = None
    seed: int = 0
    debug: bool = False
    quiet: bool = False


options = Options()

_WITH_VALUE = ("--graph", "--seed")
_FLAGS = ("--debug", "--no-debug", "--quiet", "--no-quiet")


def hoist(arguments: Sequence[str]) -> list[str]:
    """Move the global options to the front, so that they may stand anywhere before ``--``.

    >>> hoist(["neighbours", "CD8A", "--graph", "bolt://127.0.0.1", "--json"])
    ['--graph', 'bolt://127.0.0.1', 'neighbours', 'CD8A', '--json']
    """
    front: list[str] = []
    rest: list[str] = []
    left = list(arguments)
    while left:
        word = left.pop(0)
        if word == "--":
            rest += [word, *left]
            break
        if word in _FLAGS or word.startswith(tuple(f"{name}=" for name in _WITH_VALUE)):
            front.append(word)
        elif word in _WITH_VALUE and left:
            front += [word, left.pop(0)]
        else:
            rest.append(word)
    return front + rest


def emit_json(document: Any) -> None:
    """Write one JSON document to stdout."""
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=2) + "\n")
