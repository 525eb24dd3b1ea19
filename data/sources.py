"""The pinned assets in the user's cache: where each one is, and how it got there.

``path`` is the one call that readers need: it gives a verified file (or folder) and touches no
network; it raises :class:`~data.errors.AssetMissing` with the command to run where the asset is
not in the cache. ``fetch`` brings assets, ``update`` moves one to its newest official release.
Knows nothing about what is inside the files.

Layout of the cache, below :func:`data.locations.assets`::

    <asset>/<release>/<file>      the bytes as the origin has them
    <asset>/<release>.json        stamp: size, mtime and sha256 of each file when it was verified
    updates.json                  assets moved past their pin by ``update``
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from data import locations
from data.errors import AssetMissing, BadInput, CorruptAsset
from data.manifest import GROUPS, Asset, File, Origin, age_in_days, pinned

__all__ = [
    "Asset",
    "State",
    "asset",
    "fetch",
    "folder",
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

CHUNK = 1 << 20  # bytes read at once while hashing


# --- what there is -----------------------------------------------------------------------------


def manifest() -> Mapping[str, Asset]:
    """Every asset by name; one that ``update`` moved has the release that it was moved to."""
    known = dict(pinned())
    for name, entry in read_updates().items():
        if name in known:
            known[name] = _updated(known[name], entry)
    return known


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
    entry = read_updates().get(name)
    return _updated(known, entry) if entry else known


def select(names: Iterable[str]) -> list[Asset]:
    """Assets for names and groups; ``all`` stands for every group but ``optional``."""
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

    Reads the stamp and compares size and modification time; hashes only where they differ.

    Raises
    ------
    AssetMissing
        If the asset is not in the cache; the message says which command brings it.
    CorruptAsset
        If a cached file no longer has the pinned hash.
    """
    wanted = asset(name)
    problem = _problem(wanted)
    if problem is None:
        return folder(wanted) if wanted.folder else folder(wanted) / wanted.files[0].name
    if problem == "missing":
        raise AssetMissing(
            f"{wanted.title} ({name}) is not in the cache {locations.assets()}; "
            f"run: celloquy data fetch {name}"
        )
    raise CorruptAsset(
        f"{folder(wanted) / problem} does not have the pinned sha256; "
        f"run: celloquy data fetch {name}"
    )


def present(name: str) -> bool:
    """Whether ``path`` would give the asset."""
    return _problem(asset(name)) is None


def folder(wanted: Asset) -> Path:
    """The folder of one release of an asset, whether or not it is there."""
    release = re.sub(r"[^A-Za-z0-9._-]", "-", wanted.release) or "unreleased"
    return locations.assets() / wanted.name / release


def _problem(wanted: Asset) -> str | None:
    """None where all is well, "missing", or the name of the file that is not what it should be."""
    if not wanted.files:
        return "missing"
    home = folder(wanted)
    stamp = _read_json(stamp_path(wanted))
    fresh = False
    for file in wanted.files:
        try:
            status = (home / file.name).stat()
        except OSError:
            return "missing"
        if stamp.get(file.name) != [status.st_size, status.st_mtime_ns, file.sha256]:
            if status.st_size != file.size or sha256(home / file.name) != file.sha256:
                return file.name
            fresh = True
    if fresh:
        write_stamp(wanted)  # a copied cache: right bytes, other times
    return None


def stamp_path(wanted: Asset) -> Path:
    """Where the stamp of an asset's release is kept: beside its folder, not in it."""
    home = folder(wanted)
    return home.with_name(home.name + ".json")


def write_stamp(wanted: Asset) -> None:
    """Remember size, time and hash of files that were just verified.

    A full disk or a read-only cache is no reason to fail: the stamp only saves time.
    """
    home = folder(wanted)
    stamp: dict[str, Any] = {}
    for file in wanted.files:
        status = (home / file.name).stat()
        stamp[file.name] = [status.st_size, status.st_mtime_ns, file.sha256]
    try:
        write_json(stamp_path(wanted), stamp)
    except OSError:
        return


def sha256(file: Path) -> str:
    """The hash of a file, read in blocks."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


# --- how it gets there -------------------------------------------------------------------------


def fetch(names: Iterable[str] = ("core",), *, progress: bool = False) -> list[Asset]:
    """Bring assets into the cache and verify them; what is there and right is left alone.

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
    from data import origins

    wanted = select(names)
    return origins.bring([a for a in wanted if _problem(a) is not None], progress=progress)


def verify(names: Iterable[str] = ()) -> dict[str, str]:
    """Hash every cached file again; the state of each asset: "ok", "missing" or what is wrong."""
    found = {}
    for wanted in select(names) if names else manifest().values():
        home = folder(wanted)
        bad = [f.name for f in wanted.files if (home / f.name).exists()]
        if len(bad) < len(wanted.files) or not wanted.files:
            found[wanted.name] = "missing"
            continue
        bad = [f.name for f in wanted.files if sha256(home / f.name) != f.sha256]
        if bad:
            stamp_path(wanted).unlink(missing_ok=True)
            found[wanted.name] = f"{', '.join(bad)}: the bytes do not have the pinned sha256"
        else:
            write_stamp(wanted)
            found[wanted.name] = "ok"
    return found


def update(name: str, *, progress: bool = False) -> Asset:
    """Move an asset to its newest official release and record it in the cache.

    Raises
    ------
    BadInput
        If no official address is known for the asset.
    ServerUnavailable
        If the address does not answer.
    """
    from data import origins

    return origins.newest(asset(name), progress=progress)


def revert(name: str) -> Asset:
    """Go back from an update to the pinned release; the updated files stay until ``prune``."""
    asset(name)
    updates = read_updates()
    if updates.pop(name, None) is None:
        raise BadInput(f"{name} was not updated: it is at its pinned release already")
    write_json(updates_path(), updates)
    return asset(name)


def prune(*, everything: bool = False) -> int:
    """Remove from the cache what no asset uses any more; the number of bytes given back.

    Parameters
    ----------
    everything
        Remove all assets, and the record of updates with them.
    """
    from data import origins

    return origins.prune(everything=everything)


# --- updates -----------------------------------------------------------------------------------


def updates_path() -> Path:
    """The record of assets moved past their pin."""
    return locations.assets() / "updates.json"


def read_updates() -> dict[str, dict[str, Any]]:
    """The recorded updates by asset; empty where there are none."""
    return _read_json(updates_path())


def record_update(wanted: Asset, url: str) -> None:
    """Write down that ``path`` shall give this release of the asset from now on."""
    updates = read_updates()
    updates[wanted.name] = {
        "release": wanted.release,
        "date": wanted.date,
        "dated": wanted.dated,
        "url": url,
        "files": [asdict(file) for file in wanted.files],
    }
    write_json(updates_path(), updates)


def _updated(base: Asset, entry: dict[str, Any]) -> Asset:
    return replace(
        base,
        release=entry["release"],
        date=entry["date"],
        dated=entry["dated"],
        files=tuple(File(**file) for file in entry["files"]),
        origins=(Origin(url=entry["url"]),),
        updated=True,
    )


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write a small JSON file whole or not at all."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=1)
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


# --- as a table --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class State:
    """One asset and what the cache holds of it; ``age`` in days, None where no date is known."""

    asset: Asset
    fetched: bool
    age: int | None
    bytes: int


def states() -> list[State]:
    """Every asset with its state in the cache, in the manifest's order."""
    return [
        State(a, _problem(a) is None, age_in_days(a.date), _bytes_below(folder(a)))
        for a in manifest().values()
    ]


def _bytes_below(home: Path) -> int:
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


def markdown_table() -> str:
    """The pinned sources as a Markdown table: the one in the README is made by this."""
    rows = [
        "| asset | content | release | licence of the data | comes in |",
        "|---|---|---|---|---|",
    ]
    for a in pinned().values():
        release = f"{a.release} ({a.date})" if a.date and a.date not in a.release else a.release
        rows.append(
            f"| {a.title} (`{a.name}`) | {a.content} | {release or 'newest'} | {a.data_licence} "
            f"| {a.carrier} |"
        )
    return "\n".join(rows) + "\n"
