"""Folders that Celloquy writes to; nothing is written anywhere else unless a path was given."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["assets", "graph", "home", "literature", "models"]


def home() -> Path:
    """The root of everything cached: ``CELLOQUY_HOME``, else the user's cache folder."""
    named = os.environ.get("CELLOQUY_HOME")
    if named:
        return Path(named).expanduser().resolve()
    from platformdirs import user_cache_path

    return user_cache_path("celloquy", appauthor=False)


def assets() -> Path:
    """Verified copies of the pinned assets, one folder an asset."""
    return home() / "assets"


def graph() -> Path:
    """The knowledge-graph files built from the assets."""
    return home() / "graph"


def literature() -> Path:
    """Literature indexes, one folder an index; the default one is ``default``."""
    return home() / "literature"


def models() -> Path:
    """Models converted once to safetensors."""
    return home() / "models"
