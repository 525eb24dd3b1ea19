"""The manifest of a literature index: which files belong to it, and the bytes they must have.

Every file is named with its size and sha256, and the manifest carries a hash of itself, so that
a flipped byte anywhere is refused. A file that is being written is marked *open* before its first
byte changes and closed, with its new hash, after the last; a file found open without a living
writer was left by a crash, and is looked through before it is used again. Replaced by rename.
"""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data.errors import AssetMissing, CelloquyError, CorruptAsset

__all__ = ["Manifest", "load", "save", "seal", "verify", "writing"]

NAME = "manifest.json"
_LOCK = "lock"
_FORMAT = 1
_BLOCK = 1 << 20


@dataclass(slots=True)
class Manifest:
    """What an index folder holds.

    ``files`` maps a file name to ``[size, sha256]``, or to None while the file is open for
    writing. ``dense`` describes the vector index (encoder, kind, measured recall) once there is
    one; ``corpus`` names what the index was built from.
    """

    files: dict[str, tuple[int, str] | None] = field(default_factory=dict)
    dense: dict[str, Any] | None = None
    corpus: str = ""


def load(folder: Path) -> Manifest:
    """Read the manifest of a folder.

    Raises
    ------
    AssetMissing
        When there is no index in the folder.
    CorruptAsset
        When the manifest does not have the hash that it carries.
    """
    path = folder / NAME
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        raise AssetMissing(f"no literature index in {folder}; run: celloquy index build") from None
    try:
        document = json.loads(raw)
        known = document.pop("sha256")
        right = known == _hash(document) and document["format"] == _FORMAT
        files = {
            name: None if state is None else (int(state[0]), str(state[1]))
            for name, state in document["files"].items()
        }
        found = Manifest(files, document["dense"], document["corpus"])
    except (ValueError, KeyError, TypeError, AttributeError, IndexError):
        right = False
    if not right:
        raise CorruptAsset(_refusal(path))
    return found


def save(folder: Path, manifest: Manifest) -> None:
    """Write the manifest whole or not at all, and onto the disk before returning."""
    document: dict[str, Any] = {
        "format": _FORMAT,
        "corpus": manifest.corpus,
        "files": {name: manifest.files[name] for name in sorted(manifest.files)},
        "dense": manifest.dense,
    }
    document["sha256"] = _hash(document)
    temporary = folder / (NAME + ".new")
    with temporary.open("w", encoding="utf-8") as stream:
        json.dump(document, stream, indent=1)
        stream.write("\n")
        stream.flush()
        os.fsync(stream.fileno())
    temporary.replace(folder / NAME)
    with suppress(OSError):  # not every system lets a folder be opened
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def seal(folder: Path, name: str) -> tuple[int, str]:
    """The size and hash of a file as it is now."""
    digest = hashlib.sha256()
    size = 0
    with (folder / name).open("rb") as stream:
        while block := stream.read(_BLOCK):
            digest.update(block)
            size += len(block)
    return size, digest.hexdigest()


def verify(folder: Path, manifest: Manifest, name: str) -> None:
    """Compare a file with what the manifest says of it.

    Raises
    ------
    CorruptAsset
        When size or hash differ, or the file is gone.
    """
    path = folder / name
    known = manifest.files.get(name)
    try:
        if known is None or path.stat().st_size != known[0] or seal(folder, name) != known:
            raise CorruptAsset(_refusal(path))
    except FileNotFoundError:
        raise CorruptAsset(_refusal(path)) from None


@contextmanager
def writing(folder: Path) -> Iterator[None]:
    """Hold the folder's write lock; it goes with the process, however that ends.

    Raises
    ------
    CelloquyError
        When another process holds it.
    """
    folder.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(folder / _LOCK, timeout=0, isolation_level=None)
    try:
        try:
            connection.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise CelloquyError(
                f"another process is writing the literature index in {folder}; "
                f"wait until it is done, then run the command again"
            ) from error
        yield
    finally:
        connection.close()


def _hash(document: dict[str, Any]) -> str:
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()


def _refusal(path: Path) -> str:
    return (
        f"{path} does not have the bytes that its manifest names; expected an index file as "
        f"written; run: celloquy index build --fresh"
    )
