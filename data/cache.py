"""Where assets lie in the user's cache, and whether the bytes there are the right ones.

Layout, below :func:`data.locations.assets`::

    <asset>/<release>/<file>      the bytes as the origin has them
    <asset>/<release>.json        stamp: size, mtime and sha256 of each file when it was verified
    updates.json                  assets moved past their pin by ``celloquy data update``

Touches no network and imports nothing heavy: readers pass here on every start.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from data import locations
from data.manifest import Asset, File, Origin

__all__ = [
    "as_umask_says",
    "bytes_below",
    "folder",
    "problem",
    "read_updates",
    "record_update",
    "sha256",
    "stamp_path",
    "updated",
    "updates_path",
    "write_json",
    "write_stamp",
]

CHUNK = 1 << 20  # bytes read at once while hashing


def folder(asset: Asset) -> Path:
    """The folder of one release of an asset, whether or not it is there.

    An updated release carries a piece of its hash, so that a file published again under the same
    release name never takes the place of the pinned one.
    """
    release = re.sub(r"[^A-Za-z0-9._-]", "-", asset.release) or "unreleased"
    if asset.updated:
        release += "-" + asset.files[0].sha256[:8]
    return locations.assets() / asset.name / release


def problem(asset: Asset) -> str | None:
    """None where all is well, "missing", or the name of the first file with wrong bytes.

    Compares size and time with the stamp, and hashes only where they differ.
    """
    if not asset.files:
        return "missing"
    home = folder(asset)
    stamp = _read_json(stamp_path(asset))
    hashed = False
    for file in asset.files:
        try:
            status = (home / file.name).stat()
        except OSError:
            return "missing"
        if stamp.get(file.name) != [status.st_size, status.st_mtime_ns, file.sha256]:
            if status.st_size != file.size or sha256(home / file.name) != file.sha256:
                return file.name
            hashed = True
    if hashed:
        write_stamp(asset)  # a copied cache: the right bytes at other times
    return None


def stamp_path(asset: Asset) -> Path:
    """Where the stamp of an asset's release is kept: beside its folder, not in it."""
    home = folder(asset)
    return home.with_name(home.name + ".json")


def write_stamp(asset: Asset) -> None:
    """Remember size, time and hash of files that were just verified.

    A full disk or a read-only cache is no reason to fail: the stamp only saves time.
    """
    stamp: dict[str, Any] = {}
    for file in asset.files:
        status = (folder(asset) / file.name).stat()
        stamp[file.name] = [status.st_size, status.st_mtime_ns, file.sha256]
    try:
        write_json(stamp_path(asset), stamp)
    except OSError:
        return


def sha256(file: Path) -> str:
    """The hash of a file, read in blocks."""
    digest = hashlib.sha256()
    with file.open("rb") as stream:
        while block := stream.read(CHUNK):
            digest.update(block)
    return digest.hexdigest()


def as_umask_says(file: Path) -> None:
    """Let others read a file where the user's umask does; temporary files are 0600."""
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)


def bytes_below(home: Path) -> int:
    """The size of all files below a folder; 0 where it is not there."""
    return sum(file.stat().st_size for file in home.rglob("*") if file.is_file())


# --- updates -----------------------------------------------------------------------------------


def updates_path() -> Path:
    """The record of assets moved past their pin."""
    return locations.assets() / "updates.json"


def read_updates() -> dict[str, dict[str, Any]]:
    """The recorded updates by asset; empty where there are none."""
    return _read_json(updates_path())


def record_update(asset: Asset, url: str) -> None:
    """Write down that ``path`` shall give this release of the asset from now on."""
    entry = {
        "release": asset.release,
        "date": asset.date,
        "dated": asset.dated,
        "url": url,
        "files": [asdict(file) for file in asset.files],
    }
    write_json(updates_path(), read_updates() | {asset.name: entry})


def updated(asset: Asset, entry: Mapping[str, Any]) -> Asset:
    """The asset in the release that an entry of ``updates.json`` names."""
    return replace(
        asset,
        release=entry["release"],
        date=entry["date"],
        dated=entry["dated"],
        files=tuple(File(**file) for file in entry["files"]),
        origins=(Origin(url=entry["url"]),),
        updated=True,
    )


def write_json(file: Path, document: Mapping[str, Any]) -> None:
    """Write a small JSON file whole or not at all."""
    import tempfile  # not needed where nothing is written, which is nearly always

    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=file.name, suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            json.dump(document, stream, indent=1)
        as_umask_says(Path(temporary))
        Path(temporary).replace(file)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise


def _read_json(file: Path) -> dict[str, Any]:
    try:
        document = json.loads(file.read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return document if isinstance(document, dict) else {}
