"""The graph file: where it stands, whether it is current, and that what is opened is one.

The file is built from the fetched assets when it is first needed (:func:`ensure_built`), and again
where they, the tables that come with Celloquy or its readers have changed. Knows what goes into
the file by name alone; :mod:`kg.storage.build` fills it, :mod:`kg.embedded` reads it.
"""

from __future__ import annotations

import hashlib
import sqlite3
import time
from contextlib import closing, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from data import locations
from data.errors import AssetMissing
from kg.storage import schema

if TYPE_CHECKING:
    from kg.storage.build import Progress

__all__ = ["default_path", "ensure_built", "is_current", "open_database"]

# The modules that decide what is in the file: readers, builder, and all of kg that these import (a
# test compares). An edit to one of them may read another graph from the same assets, also where
# nobody thought of raising kg.readers.catalogue.EDITION, which is among these bytes; an edit to a
# module that only reads the built file must not cost every user a rebuild of 250 MB.
CONTENT = (
    *("readers/annotations", "readers/associations", "readers/catalogue", "readers/cellxgene"),
    *("readers/derived", "readers/gene_tables", "readers/obo", "readers/obo_lines"),
    *("readers/source", "terms", "naming/lexicon"),
    *("storage/build", "storage/closure", "storage/schema"),
)
KG = Path(__file__).parents[1]
UNUSED_SECONDS = 14 * 24 * 3600.0  # in which an older version may still be in use


def default_path() -> Path:
    """Where the graph file of the fetched assets stands.

    Its name tells its layout, so that two versions of Celloquy that share a cache do not take
    turns in building each other's file.
    """
    return locations.graph() / f"graph-{schema.layout()[:8]}.sqlite"


def ensure_built(progress: Progress | None = None, *, again: bool = False) -> Path:
    """Build the graph file where there is none, or where its assets or its layout have changed.

    Parameters
    ----------
    progress
        Called with a line for each step of a build.
    again
        Build even where the file is current.

    Raises
    ------
    AssetMissing
        When a core asset that the graph is made of was not fetched.
    """
    path = default_path()
    paths, wanted = _inputs()
    if again or _built_of(path) != wanted:
        from kg.readers.catalogue import load_all
        from kg.storage.build import build, lock

        with lock(path):
            paths, wanted = _inputs()
            if again or _built_of(path) != wanted:  # another process may have built it meanwhile
                build(path, load_all(paths), fingerprint=wanted, progress=progress)
        _drop_unused(path)
    return path


def _drop_unused(path: Path) -> None:
    """Remove the graph files of other layouts that have not been built for a while."""
    for other in path.parent.glob("graph-*.sqlite*"):
        if not other.name.startswith(path.name):
            with suppress(OSError):  # another process may remove it, or hold it open
                if time.time() - other.stat().st_mtime > UNUSED_SECONDS:
                    other.unlink()


def _inputs() -> tuple[dict[str, Path], str]:
    """The files that the graph is made of by asset, and a hash of all that goes into it."""
    from data import sources
    from kg.readers.catalogue import SOURCES

    digest = hashlib.sha256(schema.layout().encode())
    known = sources.manifest()
    paths, lacking = {}, []
    for name in sorted({a for s in SOURCES.values() for a in (*s.assets, s.instead) if a}):
        if sources.present(name):
            paths[name] = sources.path(name)
            digest.update(repr((name, known[name].release, known[name].files)).encode())
        elif known[name].group == "core":
            lacking.append(name)
    if lacking:
        raise AssetMissing(
            f"the knowledge graph needs assets that are not in the cache: {', '.join(lacking)}; "
            f"run: celloquy data fetch core"
        )
    digest.update(Path(sources.__file__).with_name("markers.tsv").read_bytes())
    for module in CONTENT:
        digest.update((KG / f"{module}.py").read_bytes())
    return paths, digest.hexdigest()


def is_current() -> bool:
    """Whether the graph file is there and made of the assets and tables of today."""
    return _built_of(default_path()) == _inputs()[1]


def _built_of(path: Path) -> str | None:
    """The fingerprint of the file at ``path``; None where it cannot be used."""
    if not path.exists():
        return None
    try:
        with closing(open_database(path)) as db:
            found = db.execute("SELECT value FROM meta WHERE name = 'fingerprint'").fetchone()
            return str(found[0])
    except AssetMissing:
        return None


def open_database(path: Path) -> sqlite3.Connection:
    """Connect to a graph file, for reading only.

    Raises
    ------
    AssetMissing
        When it is not there, is no graph file or has another layout; the message says what to
        run.
    """
    if not path.is_file():
        raise AssetMissing(f"no knowledge graph at {path}; run: celloquy kg build")
    # Never written after it was moved into place: no locks, no log, no look at the clock.
    db = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro&immutable=1",
        uri=True,
        check_same_thread=False,
        isolation_level=None,
    )
    try:
        ours = db.execute("PRAGMA application_id").fetchone()[0] == schema.APPLICATION_ID
        query = "SELECT value FROM meta WHERE name = 'layout'"
        layout = db.execute(query).fetchone() if ours else None
    except sqlite3.DatabaseError:
        ours, layout = False, None
    if layout is None or layout[0] != schema.layout():
        db.close()
        what = "was built by another version of Celloquy" if ours else "is no graph file"
        raise AssetMissing(f"{path} {what}; run: celloquy kg build")
    db.execute("PRAGMA mmap_size=1073741824")
    return db
