"""Other software that uses the names of Celloquy's folders: what hides what, and whose it is.

The front door refuses to start when one of Celloquy's packages is hidden, and says so in one
line; this gives the whole picture for ``celloquy doctor``, harmless cases included. It looks at
``sys.path`` and at the installed distributions' lists of files and imports nothing.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.machinery import all_suffixes
from importlib.metadata import distributions
from pathlib import Path

__all__ = ["PACKAGES", "Clash", "find"]

PACKAGES = ("agent", "training", "retrieval", "encoders", "kg", "data")

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True)
class Clash:
    """Something else that has the name of one of Celloquy's packages.

    ``effect`` is "hides" (Celloquy cannot work), "is hidden" (its own software cannot import it)
    or "shares" (a folder without ``__init__.py``: Python prefers Celloquy's, and nothing breaks).
    ``owner`` is the distribution that installed it, empty where none says so.
    """

    name: str
    found: Path
    effect: str
    owner: str = ""

    @property
    def line(self) -> str:
        """The clash in words, with what to do where something must be done."""
        where = f"{self.found}" + (f" of {self.owner}" if self.owner else "")
        if self.effect == "hides":
            remedy = f"uninstall {self.owner}" if self.owner else "rename it"
            return (
                f"{where} hides Celloquy's {self.name!r}; {remedy}, or install Celloquy in a "
                "virtual environment of its own"
            )
        if self.effect == "is hidden":
            return f"{where} is hidden by Celloquy's {self.name!r}: what needs it will not find it"
        return f"{where} shares the name {self.name!r} and hides nothing"


def find(path: Sequence[str] | None = None) -> list[Clash]:
    """Every clash along ``path``, by default ``sys.path``, in its order."""
    search = sys.path if path is None else path
    owners = _owners(search)
    found: list[Clash] = []
    passed_ours = False
    seen: set[Path] = set()
    for entry in search:
        folder = Path(entry or ".").resolve()
        if folder in seen or not folder.is_dir():
            continue
        seen.add(folder)
        for name in PACKAGES:
            owner = owners.get((folder, name), "")
            if folder == ROOT:
                if owner:  # installed into the same site: its files lie among ours
                    found.append(Clash(name, folder / name, "shares", owner))
            elif clash := _in_folder(folder, name, owner, passed_ours):
                found.append(clash)
        passed_ours = passed_ours or folder == ROOT
    return found


def _in_folder(folder: Path, name: str, owner: str, passed_ours: bool) -> Clash | None:
    effect = "is hidden" if passed_ours else "hides"
    if (folder / name / "__init__.py").is_file():
        return Clash(name, folder / name, effect, owner)
    for suffix in all_suffixes():
        if (folder / f"{name}{suffix}").is_file():
            return Clash(name, folder / f"{name}{suffix}", effect, owner)
    # A folder named data beside a user's scripts is no news; one among installed packages is.
    if (folder / name).is_dir() and (owner or folder != Path.cwd()):
        return Clash(name, folder / name, "shares", owner)
    return None


def _owners(search: Sequence[str]) -> dict[tuple[Path, str], str]:
    """Which other distributions installed files under one of our names, and where."""
    mine = re.compile(rf"^({'|'.join(PACKAGES)})(?:/|\.py,)", re.MULTILINE)
    owners: dict[tuple[Path, str], str] = {}
    for distribution in distributions(path=[entry or "." for entry in search]):
        name = str(distribution.metadata["Name"])
        if name == "celloquy":
            continue
        home = Path(str(distribution.locate_file(""))).resolve()
        for used in set(mine.findall(distribution.read_text("RECORD") or "")):
            owners[home, used] = name
    return owners
