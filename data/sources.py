"""The pinned assets: what there is, where each one lies, and how to bring it here.

``path`` is the one call that readers need: it gives a verified file (or folder) and touches no
network; where the asset is not in the cache it raises :class:`~data.errors.AssetMissing` with the
command to run. ``fetch`` and ``update`` are the only functions that use the network. Knows
nothing about what is inside the files.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from data import cache, locations
from data.errors import AssetMissing, BadInput, CorruptAsset
from data.manifest import GROUPS, Asset, age_in_days, pinned
from data.releases import asset, manifest

__all__ = [
    "Asset",
    "State",
    "asset",
    "fetch",
    "manifest",
    "markdown_table",
    "path",
    "present",
    "prune",
    "revert",
    "select",
    "states",
    "update",
    "verify",
]


# --- what there is -----------------------------------------------------------------------------


def select(names: Iterable[str]) -> list[Asset]:
    """Assets for names and groups; ``all`` stands for every group but ``optional``.

    A group gives only assets that are pinned; one without a pin is named by itself.
    """
    known = manifest()
    chosen: dict[str, Asset] = {}
    for name in names:
        if name == "all":
            chosen |= {k: v for k, v in known.items() if v.group != "optional"}
        elif name in GROUPS:
            chosen |= {k: v for k, v in known.items() if v.group == name and v.pinned}
        elif name in known:
            chosen[name] = known[name]
        else:
            raise BadInput(
                f"no asset or group is named {name!r}; groups: {', '.join(GROUPS)}, all; "
                f"assets: {', '.join(sorted(known))}"
            )
    return list(chosen.values())


# --- where it is -------------------------------------------------------------------------------


def path(name: str) -> Path:
    """The verified file of an asset, or its folder where the asset is one.

    Compares size and modification time with those of the last verification, and hashes only
    where they differ; ``verify`` hashes always.

    Raises
    ------
    AssetMissing
        If the asset is not in the cache; the message says which command brings it.
    CorruptAsset
        If a cached file no longer has the pinned hash.
    """
    wanted = asset(name)
    trouble = cache.problem(wanted)
    home = cache.folder(wanted)
    if trouble is None:
        return home if wanted.folder else home / wanted.files[0].name
    if trouble == "missing":
        raise AssetMissing(
            f"{wanted.title} ({name}) is not in the cache {locations.assets()}; "
            f"run: celloquy data fetch {name}"
        )
    raise CorruptAsset(
        f"{home / trouble} does not have the pinned sha256; run: celloquy data fetch {name}"
    )


def present(name: str) -> bool:
    """Whether ``path`` would give the asset."""
    return cache.problem(asset(name)) is None


# --- how it gets here --------------------------------------------------------------------------


def fetch(names: Iterable[str] = ("core",), *, progress: bool = False) -> list[Asset]:
    """Bring assets into the cache and verify them; what is there and right is left alone.

    An asset without a pin is brought in its newest release, as ``update`` does.

    Parameters
    ----------
    names
        Names of assets and groups.
    progress
        Show progress bars on stderr.

    Returns
    -------
    list of Asset
        The assets that were brought; empty where everything was there.

    Raises
    ------
    ServerUnavailable
        If an origin does not answer.
    CorruptAsset
        If what came does not have the pinned hash.
    """
    wanted = [a for a in select(names) if cache.problem(a) is not None]
    if not wanted:
        return []
    from data import origins

    return origins.bring(wanted, progress=progress)


def verify(names: Iterable[str] = ()) -> dict[str, str]:
    """Hash every cached file again.

    Returns
    -------
    dict of str to str
        For each asset "ok", "missing", or which files are wrong.
    """
    wanted = select(names)
    found = {}
    for one in wanted or manifest().values():
        home = cache.folder(one) if one.files else Path()
        if not one.files or not all((home / file.name).is_file() for file in one.files):
            found[one.name] = "missing"
            continue
        wrong = [f.name for f in one.files if cache.sha256(home / f.name) != f.sha256]
        if wrong:
            # Without its stamp the file is hashed, and refused, by everyone who asks for it.
            cache.stamp_path(one).unlink(missing_ok=True)
            found[one.name] = f"{', '.join(wrong)} in {home}: not the pinned sha256"
        else:
            cache.write_stamp(one)
            found[one.name] = "ok"
    return found


def update(name: str, *, progress: bool = False) -> Asset:
    """Move an asset to its newest official release and record it in the cache.

    Where the official file has another format it is an asset of its own (``cl-obo`` for ``cl``)
    and that one is brought; readers prefer it while it is there.

    Returns
    -------
    Asset
        The asset that was moved, as ``path`` gives it from now on.

    Raises
    ------
    BadInput
        If no official address is known for the asset.
    ServerUnavailable
        If the address does not answer.
    """
    from data import origins

    return origins.newest(_updatable(name), progress=progress)


def revert(name: str) -> Asset:
    """Go back from an update to the pinned release; the newer files stay until ``prune``."""
    target = _updatable(name)
    updates = cache.read_updates()
    if updates.pop(target.name, None) is None:
        raise BadInput(f"{target.name} was not updated: nothing to go back from")
    cache.write_json(cache.updates_path(), updates)
    return asset(target.name)


def _updatable(name: str) -> Asset:
    known = asset(name)
    return asset(known.newer) if known.newer else known


def prune(*, everything: bool = False) -> int:
    """Remove from the cache what no asset uses any more.

    Parameters
    ----------
    everything
        Remove all assets, and the record of updates with them.

    Returns
    -------
    int
        Bytes given back.
    """
    from data import origins

    return origins.prune(everything=everything)


# --- as a table --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """One asset and what the cache holds of it.

    ``age`` in days, None where no date is known; ``bytes`` on disk, all releases together.
    """

    asset: Asset
    fetched: bool
    age: int | None
    bytes: int


def states() -> list[State]:
    """Every asset with its state in the cache, in the manifest's order."""
    return [
        State(
            asset=one,
            fetched=cache.problem(one) is None,
            age=age_in_days(one.date),
            bytes=cache.bytes_below(locations.assets() / one.name),
        )
        for one in manifest().values()
    ]


def markdown_table() -> str:
    """The sources as a Markdown table, as the repository pins them: the README's is made by this.

    Says the release, not the age: ages belong to the day of reading (``celloquy data list``).
    """
    lines = [
        "| asset | content | release | licence of the data | comes in (licence of the package) |",
        "|---|---|---|---|---|",
    ]
    for one in pinned().values():
        release = one.release or "newest, on demand"
        if one.date and one.date not in release:
            release += f" ({one.date})"
        carrier = f"{one.carrier} ({one.package_licence})" if one.origins else f"<{one.official}>"
        lines.append(
            f"| {one.title} `{one.name}` | {one.content} | {release} | {one.data_licence} "
            f"| {carrier} |"
        )
    return "\n".join(lines) + "\n"
