"""The vectors of windows in one SQLite file, half precision: what a dense index is built from.

Encoding is what costs time, so each batch is safe on disk as soon as it is encoded, and nothing
is encoded twice; the FAISS index beside it can be made again from here in seconds. Knows vectors
only by the number of their window.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["VectorStore"]

_SCHEMA = """
CREATE TABLE made (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE vectors (id INTEGER PRIMARY KEY, vector BLOB NOT NULL);
"""


class VectorStore:
    """Vectors by number; half precision loses less (cosine 1 - 1e-7) than the encoder's own."""

    def __init__(self, path: Path) -> None:
        self._db = sqlite3.connect(path, isolation_level=None)
        if not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._db.executescript(f"BEGIN;{_SCHEMA}COMMIT;")

    @property
    def fingerprint(self) -> str:
        """The encoder that made the vectors; empty while there are none."""
        row = self._db.execute("SELECT value FROM made WHERE name = 'encoder'").fetchone()
        return row[0] if row else ""

    def begin(self, fingerprint: str) -> None:
        """Say which encoder the vectors come from; those of another one are thrown away."""
        if fingerprint == self.fingerprint:
            return
        self._db.execute("BEGIN IMMEDIATE")
        self._db.execute("DELETE FROM vectors")
        self._db.execute("INSERT OR REPLACE INTO made VALUES ('encoder', ?)", (fingerprint,))
        self._db.execute("COMMIT")

    def __len__(self) -> int:
        return int(self._db.execute("SELECT count(*) FROM vectors").fetchone()[0])

    def ids(self) -> NDArray[np.int64]:
        """All numbers, ascending."""
        import numpy as np

        rows = self._db.execute("SELECT id FROM vectors ORDER BY id").fetchall()
        return np.array([row[0] for row in rows], np.int64)

    def put(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Store a batch, whole or not at all."""
        import numpy as np

        halves = vectors.astype(np.float16)
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany(
            "INSERT OR REPLACE INTO vectors VALUES (?, ?)",
            [(int(number), row.tobytes()) for number, row in zip(ids, halves, strict=True)],
        )
        self._db.execute("COMMIT")

    def delete(self, ids: NDArray[np.int64]) -> None:
        """Forget vectors."""
        self._db.execute("BEGIN IMMEDIATE")
        self._db.executemany("DELETE FROM vectors WHERE id = ?", [(int(number),) for number in ids])
        self._db.execute("COMMIT")

    def blocks(
        self, ids: NDArray[np.int64] | None = None, size: int = 16384
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        """Numbers and vectors [n, d], all or some, in ascending order of number."""
        import numpy as np

        if ids is None:
            cursor = self._db.execute("SELECT id, vector FROM vectors ORDER BY id")
        else:
            self._db.execute("CREATE TEMP TABLE IF NOT EXISTS wanted (id INTEGER PRIMARY KEY)")
            self._db.execute("DELETE FROM wanted")
            self._db.executemany(
                "INSERT INTO wanted VALUES (?)", [(int(number),) for number in ids]
            )
            cursor = self._db.execute(
                "SELECT id, vector FROM vectors JOIN wanted USING (id) ORDER BY id"
            )
        while rows := cursor.fetchmany(size):
            numbers = np.array([row[0] for row in rows], np.int64)
            flat = np.frombuffer(b"".join(row[1] for row in rows), np.float16)
            yield numbers, flat.reshape(len(rows), -1).astype(np.float32)

    def check(self) -> str:
        """Look through the whole file after a crash; returns what is wrong, or nothing."""
        try:
            result = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            widths = self._db.execute("SELECT DISTINCT length(vector) FROM vectors").fetchall()
        except sqlite3.DatabaseError as error:
            return str(error)
        if result == "ok" and len(widths) > 1:
            return "vectors of different widths"
        return "" if result == "ok" else str(result)

    def close(self) -> None:
        """Close the file."""
        self._db.close()
