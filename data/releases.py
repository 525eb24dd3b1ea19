"""The assets in the release that is in use: as pinned, or as the last update moved them."""

from __future__ import annotations

from collections.abc import Mapping

from data import cache
from data.errors import BadInput
from data.manifest import Asset, pinned

__all__ = ["asset", "manifest"]


def manifest() -> Mapping[str, Asset]:
    """Every asset by name; one that ``update`` moved has the release that it was moved to."""
    updates = cache.read_updates()
    return {
        name: cache.updated(known, updates[name]) if name in updates else known
        for name, known in pinned().items()
    }


def asset(name: str) -> Asset:
    """One asset by name, in the release that ``path`` gives.

    Raises
    ------
    BadInput
        If the manifest has no such asset.
    """
    known = pinned().get(name)
    if known is None:
        raise BadInput(f"no asset is named {name!r}; one of: {', '.join(sorted(pinned()))}")
    entry = cache.read_updates().get(name)
    return cache.updated(known, entry) if entry else known
