"""A progress bar on stderr for what arrives; it is silent where it shall be."""

from __future__ import annotations

import sys
from typing import Any

__all__ = ["bar"]


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
