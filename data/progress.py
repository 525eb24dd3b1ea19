"""Progress on stderr: a bar for what arrives, one line for what is computed.

Both are silent where they shall be. A line is for terminals: it is written over itself, and gone
when the work is done; only a program that has a terminal switches it on (:func:`show_lines`).
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

__all__ = ["bar", "line", "show_lines"]

_showing = False


def show_lines(show: bool) -> None:
    """Whether lines are written from now on; nothing is where stderr is no terminal."""
    global _showing
    _showing = show and sys.stderr.isatty()


@contextmanager
def line(title: str) -> Iterator[Callable[[str], None]]:
    """Give what writes how far the work is; the line is wiped at the end."""

    def say(text: str) -> None:
        if _showing:
            sys.stderr.write(f"\r{title}: {text}\x1b[K")
            sys.stderr.flush()

    try:
        yield say
    finally:
        if _showing:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()


def bar(title: str, total: int, *, show: bool, done: int = 0, unit: str = "B") -> Any:
    """A tqdm bar over ``total`` units (0: not known), ``done`` of them there already."""
    from tqdm import tqdm

    return tqdm(
        desc=title,
        total=total or None,
        initial=done,
        unit=unit,
        unit_scale=True,
        disable=not show,
        file=sys.stderr,
        # On a terminal the bar moves; in a log one line at the end is enough.
        mininterval=0.1 if sys.stderr.isatty() else 30,
    )
