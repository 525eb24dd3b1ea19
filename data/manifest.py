"""The manifest ``sources.toml`` as values: assets, their files, origins, releases and licences.

Knows nothing about the cache, the network or the assets' contents.
"""

from __future__ import annotations

import datetime
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import Any

__all__ = ["GROUPS", "Asset", "File", "Origin", "Wheel", "age_in_days", "pinned"]

GROUPS = ("core", "literature", "models", "demo", "optional")

MANIFEST = Path(__file__).with_name("sources.toml")


@dataclass(frozen=True, slots=True)
class Wheel:
    """A pinned Python wheel: downloaded with pip and unzipped, never imported or run.

    ``python_version``, ``platform`` and ``abi`` are given to pip where the wheel is built for one
    system only, so that every system gets the same, pinned file.
    """

    name: str
    version: str
    file: str
    size: int
    sha256: str
    licence: str
    python_version: str = ""
    platform: str = ""
    abi: str = ""


@dataclass(frozen=True, slots=True)
class File:
    """One file of an asset: its path below the asset's folder, its size in bytes, its hash."""

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an asset's files can be had: in a wheel below ``root``, or at the address ``url``.

    In ``url`` the text ``{name}`` stands for the file's name.
    """

    wheel: Wheel | None = None
    root: str = ""
    url: str = ""


@dataclass(frozen=True, slots=True)
class Asset:
    """One source of data or one model, in one release.

    ``date`` is ISO 8601, of reduced precision ("2024-02") where no day is known, empty where no
    date is; ``dated`` says where it was read. An asset without ``files`` is not pinned: it exists
    at its ``official`` address only and is fetched when asked for by name. ``newer`` names the
    asset that holds the newest official release in another format. ``updated`` is true where the
    release is one that ``celloquy data update`` brought instead of the pinned one.
    """

    name: str
    title: str
    source: str
    group: str
    format: str
    content: str
    data_licence: str
    citation: str
    release: str = ""
    date: str = ""
    dated: str = ""
    files: tuple[File, ...] = ()
    origins: tuple[Origin, ...] = ()
    official: str = ""
    newer: str = ""
    folder: bool = False
    updated: bool = False

    @property
    def size(self) -> int:
        """Bytes on disk, 0 where the asset is not pinned."""
        return sum(file.size for file in self.files)

    @property
    def pinned(self) -> bool:
        """Whether the manifest (or a recorded update) holds hashes for this asset."""
        return bool(self.files)

    @property
    def package_licence(self) -> str:
        """Licence of the wheel that carries the asset; empty where there is none."""
        return next((o.wheel.licence for o in self.origins if o.wheel), "")

    @property
    def carrier(self) -> str:
        """The first origin in words: ``package==version`` or the address."""
        for origin in self.origins:
            return f"{origin.wheel.name}=={origin.wheel.version}" if origin.wheel else origin.url
        return self.official


def age_in_days(date: str, today: datetime.date | None = None) -> int | None:
    """Days since ``date``, counted from the earliest day that it can mean; None if unknown.

    >>> age_in_days("2021-12", datetime.date(2022, 1, 1))
    31
    >>> age_in_days("") is None
    True
    """
    if not date:
        return None
    year, month, day_of_month = ([int(part) for part in date.split("-")] + [1, 1])[:3]
    day = datetime.date(year, month, day_of_month)
    return ((today or datetime.datetime.now(datetime.UTC).date()) - day).days


def pinned() -> Mapping[str, Asset]:
    """Every asset of the manifest by name, as the repository pins it."""
    return _read(MANIFEST)


@lru_cache(maxsize=4)
def _read(manifest: Path) -> Mapping[str, Asset]:
    with manifest.open("rb") as stream:
        document = tomllib.load(stream)
    wheels = {name: Wheel(name=name, **_plain(entry)) for name, entry in document["wheel"].items()}
    assets = {name: _asset(name, entry, wheels) for name, entry in document["asset"].items()}
    return MappingProxyType(assets)


def _asset(name: str, entry: dict[str, Any], wheels: dict[str, Wheel]) -> Asset:
    fields = _plain(entry)
    fields["files"] = tuple(File(**file) for file in entry.get("files", ()))
    fields["origins"] = tuple(
        Origin(
            wheel=wheels[origin["wheel"]] if "wheel" in origin else None,
            root=origin.get("root", ""),
            url=origin.get("url", ""),
        )
        for origin in entry.get("origins", ())
    )
    return Asset(name=name, **fields)


def _plain(entry: dict[str, Any]) -> dict[str, Any]:
    """TOML's dashes as Python's underscores."""
    return {key.replace("-", "_"): value for key, value in entry.items()}
