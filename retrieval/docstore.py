"""Citations in one SQLite file: what was read, where it stands, and what may not be cited bare.

One row a citation (the newest record of a PMID), its windows as offsets, its MeSH headings, the
notices that link articles (retractions, errata), and the hashes of the files already read. The
lexical postings live in the same file, so that a batch is in both or in neither. Knows nothing
of vectors.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from retrieval import lexical
from retrieval.filters import RETRACTED, Filters, in_words
from retrieval.medline import Citation, Notice, retracted_in, stored_text
from retrieval.passages import windows

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Docstore", "Put", "Stored"]

# Citations whose windows are looked up one by one; above, reading the whole table is quicker.
_FEW = 2000

_SCHEMA = """
CREATE TABLE citations (
    doc INTEGER PRIMARY KEY AUTOINCREMENT,
    pmid TEXT NOT NULL UNIQUE,
    title TEXT NOT NULL,
    abstract TEXT NOT NULL,
    journal TEXT NOT NULL,
    journal_abbreviation TEXT NOT NULL,
    year INTEGER,
    retracted INTEGER NOT NULL,
    version INTEGER NOT NULL,
    revised TEXT NOT NULL,
    types TEXT NOT NULL,
    origin TEXT NOT NULL,
    digest TEXT NOT NULL
);
CREATE INDEX citations_year ON citations (year);
CREATE TABLE passages (
    id INTEGER PRIMARY KEY AUTOINCREMENT, doc INTEGER NOT NULL, start INTEGER NOT NULL,
    "end" INTEGER NOT NULL
);
CREATE INDEX passages_doc ON passages (doc);
CREATE TABLE mesh (
    term TEXT NOT NULL COLLATE NOCASE, doc INTEGER NOT NULL, place INTEGER NOT NULL,
    PRIMARY KEY (term, doc)
) WITHOUT ROWID;
CREATE INDEX mesh_doc ON mesh (doc);
CREATE TABLE notices (
    pmid TEXT NOT NULL, kind TEXT NOT NULL, target TEXT NOT NULL,
    PRIMARY KEY (pmid, kind, target)
) WITHOUT ROWID;
CREATE INDEX notices_target ON notices (target);
CREATE TABLE files (
    sha256 TEXT PRIMARY KEY, name TEXT NOT NULL, records INTEGER NOT NULL,
    problems INTEGER NOT NULL
) WITHOUT ROWID;
"""
# PMIDs that NLM withdrew: an older file, read later or again, shall not bring them back.
_WITHDRAWN = "CREATE TABLE IF NOT EXISTS withdrawn (pmid TEXT PRIMARY KEY) WITHOUT ROWID"


@dataclass(frozen=True, slots=True)
class Stored:
    """A citation as the index has it."""

    doc: int
    citation: Citation
    retracted: bool
    origin: str
    notices: tuple[str, ...]


@dataclass(slots=True)
class Put:
    """What became of the records of a batch."""

    added: int = 0
    updated: int = 0
    unchanged: int = 0
    older: int = 0
    deleted: int = 0

    def __add__(self, other: Put) -> Put:
        return Put(
            self.added + other.added,
            self.updated + other.updated,
            self.unchanged + other.unchanged,
            self.older + other.older,
            self.deleted + other.deleted,
        )


class Docstore:
    """The SQLite file of citations and postings.

    Reads may come from several threads; writes go through :meth:`write`, one at a time.
    """

    def __init__(self, path: Path, *, writable: bool = False) -> None:
        mode = "rwc" if writable else "ro"
        self._db = sqlite3.connect(
            f"{path.resolve().as_uri()}?mode={mode}",
            uri=True,
            isolation_level=None,
            check_same_thread=False,
        )
        if writable and not self._db.execute("SELECT 1 FROM sqlite_master").fetchone():
            self._db.executescript(
                f"PRAGMA page_size={lexical.PAGE};BEGIN;{_SCHEMA}{lexical.SCHEMA}COMMIT;"
            )
        if writable:
            self._db.execute(_WITHDRAWN)  # an index of an older release has no such table
        self._db.create_function("retracted_in", 2, retracted_in, deterministic=True)
        self.lexical = lexical.Lexical(self._db)

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    # -- writing

    def write(
        self,
        citations: Iterable[Citation],
        deleted: Iterable[str] = (),
        *,
        origin: str,
        bare: Iterable[Citation] = (),
    ) -> Put:
        """Store a batch in one transaction: all of it is there afterwards, or none.

        A record replaces an older one of its PMID (by version, then by date of revision); an
        equal one is passed over. What is ``deleted`` was withdrawn by NLM, and no record of it is
        taken again. Of ``bare`` records only the notices are kept: a retraction
        notice without an abstract still marks the article that it retracts.
        """
        done = Put()
        with self._transaction():
            for citation in citations:
                self._put(citation, origin, done)
            for citation in bare:
                self._note(citation)
            for pmid in deleted:
                done.deleted += self._delete(pmid)
                self._db.execute("INSERT OR IGNORE INTO withdrawn VALUES (?)", (pmid,))
        return done

    def delete(self, pmids: Iterable[str]) -> int:
        """Delete citations at a user's wish; returns how many there were.

        The files they came from may be read again afterwards. Which those were is not kept, so
        every file counts as unread; reading one again changes only what is not there.
        """
        with self._transaction():
            gone = sum(self._delete(pmid) for pmid in pmids)
            if gone:
                self._db.execute("DELETE FROM files")
        return gone

    @contextmanager
    def _transaction(self) -> Iterator[None]:
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
            self.lexical.flush()
            self._db.execute("COMMIT")
        except BaseException:
            self._db.execute("ROLLBACK")
            self.lexical.discard()
            raise

    def finish_file(self, sha256: str, name: str, records: int, problems: int) -> None:
        """Remember a file as read to its end."""
        self._db.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?)", (sha256, name, records, problems)
        )

    def _put(self, citation: Citation, origin: str, done: Put) -> None:
        if self._db.execute("SELECT 1 FROM withdrawn WHERE pmid = ?", (citation.pmid,)).fetchone():
            done.older += 1
            return
        digest = citation.digest
        old = self._db.execute(
            "SELECT doc, version, revised, digest FROM citations WHERE pmid = ?", (citation.pmid,)
        ).fetchone()
        if old:
            if old[3] == digest:
                done.unchanged += 1
                return
            if (citation.version, citation.revised) < (old[1], old[2]):
                done.older += 1
                return
            self._delete(citation.pmid)
            done.updated += 1
        else:
            done.added += 1
        cursor = self._db.execute(
            "INSERT INTO citations (pmid, title, abstract, journal, journal_abbreviation, year, "
            "retracted, version, revised, types, origin, digest) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                *(citation.pmid, citation.title, citation.abstract, citation.journal),
                *(citation.journal_abbreviation, citation.year, citation.retracted),
                *(citation.version, citation.revised, "\n".join(citation.types), origin, digest),
            ),
        )
        doc = cursor.lastrowid
        assert doc is not None
        text = stored_text(citation)
        body = len(text) - len(citation.abstract) if citation.abstract else 0
        self._db.executemany(
            'INSERT INTO passages (doc, start, "end") VALUES (?, ?, ?)',
            [(doc, group[0].start, group[-1].end) for group in windows(text, body)],
        )
        self._db.executemany(
            "INSERT OR IGNORE INTO mesh VALUES (?, ?, ?)",
            [(term, doc, place) for place, term in enumerate(citation.mesh)],
        )
        self._note(citation)
        self.lexical.stage(doc, text)

    def _note(self, citation: Citation) -> None:
        self._db.execute("DELETE FROM notices WHERE pmid = ?", (citation.pmid,))
        self._db.executemany(
            "INSERT OR IGNORE INTO notices VALUES (?, ?, ?)",
            [(citation.pmid, notice.kind, notice.pmid) for notice in citation.notices],
        )

    def _delete(self, pmid: str) -> int:
        self._db.execute("DELETE FROM notices WHERE pmid = ?", (pmid,))
        row = self._db.execute("SELECT doc FROM citations WHERE pmid = ?", (pmid,)).fetchone()
        if row is None:
            return 0
        for table in ("citations", "passages", "mesh"):
            self._db.execute(f"DELETE FROM {table} WHERE doc = ?", row)
        self.lexical.remove(row[0])
        return 1

    # -- reading

    def get(self, docs: Sequence[int]) -> dict[int, Stored]:
        """The citations of these numbers, as far as they exist."""
        found: dict[int, Stored] = {}
        for part in _parts(docs):
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                "SELECT doc, pmid, title, abstract, journal, journal_abbreviation, year, "
                f"version, revised, types, origin, {RETRACTED} FROM citations c "
                f"WHERE doc IN ({marks})",
                part,
            ).fetchall()
            for row in rows:
                found[row[0]] = self._stored(row)
        return found

    def by_pmid(self, pmid: str) -> Stored | None:
        """The citation of a PMID."""
        row = self._db.execute("SELECT doc FROM citations WHERE pmid = ?", (pmid,)).fetchone()
        return self.get([row[0]])[row[0]] if row else None

    def _stored(self, row: tuple[object, ...]) -> Stored:
        doc, pmid, title, abstract, journal, short, year, version, revised, types, origin, out = row
        mesh = self._db.execute("SELECT term FROM mesh WHERE doc = ? ORDER BY place", (doc,))
        own = self._db.execute("SELECT kind, target FROM notices WHERE pmid = ?", (pmid,))
        notices = tuple(Notice(*pair) for pair in own)
        citation = Citation(
            pmid=str(pmid),
            title=str(title),
            abstract=str(abstract),
            journal=str(journal),
            journal_abbreviation=str(short),
            year=int(str(year)) if year is not None else None,
            mesh=tuple(term for (term,) in mesh),
            types=tuple(str(types).split("\n")) if types else (),
            notices=notices,
            version=int(str(version)),
            revised=str(revised),
        )
        others = self._db.execute("SELECT kind, pmid FROM notices WHERE target = ?", (pmid,))
        words = in_words(notices, others)
        if where := retracted_in(citation.title, citation.abstract):
            words = (*words, f"retracted: its {where} says so")
        return Stored(int(str(doc)), citation, bool(out), str(origin), words)

    def allowed(self, filters: Filters) -> NDArray[np.int64] | None:
        """The numbers of the citations that pass, or None where all do."""
        import numpy as np

        where, values = filters.clause()
        if not where:
            return None
        rows = self._db.execute(
            f"SELECT c.doc FROM citations c WHERE {where} ORDER BY c.doc", values
        ).fetchall()
        return np.array([row[0] for row in rows], np.int64)

    def passage_ids(self, docs: NDArray[np.int64] | None = None) -> NDArray[np.int64]:
        """The ids of all windows, or of those of some citations, ascending."""
        import numpy as np

        if docs is None:
            rows = self._db.execute("SELECT id FROM passages ORDER BY id").fetchall()
            return np.array([row[0] for row in rows], np.int64)
        if len(docs) <= _FEW:
            found = []
            for part in _parts(docs.tolist()):
                marks = ",".join("?" * len(part))
                found += self._db.execute(
                    f"SELECT id FROM passages WHERE doc IN ({marks})", part
                ).fetchall()
            return np.sort(np.array([row[0] for row in found], np.int64))
        table = np.array(
            self._db.execute("SELECT id, doc FROM passages ORDER BY id").fetchall(), np.int64
        ).reshape(-1, 2)
        ids: NDArray[np.int64] = table[np.isin(table[:, 1], docs), 0]
        return ids

    def passages(self, ids: Sequence[int]) -> dict[int, tuple[int, int, int]]:
        """Citation number, start and end of each window."""
        found: dict[int, tuple[int, int, int]] = {}
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                f'SELECT id, doc, start, "end" FROM passages WHERE id IN ({marks})', part
            )
            found.update({row[0]: (row[1], row[2], row[3]) for row in rows})
        return found

    def window_texts(self, ids: Sequence[int]) -> Iterator[tuple[int, str, str]]:
        """Id, title and words of each window, in the order of the ids."""
        for part in _parts(ids):
            marks = ",".join("?" * len(part))
            rows = self._db.execute(
                'SELECT p.id, p.start, p."end", c.title, c.abstract FROM passages p '
                f"JOIN citations c ON c.doc = p.doc WHERE p.id IN ({marks}) ORDER BY p.id",
                part,
            )
            for number, start, end, title, abstract in rows.fetchall():
                text = stored_text(Citation("", title, abstract))
                yield number, title, text[start:end]

    def file(self, sha256: str) -> str | None:
        """The name under which a file of these bytes was read to its end."""
        row = self._db.execute("SELECT name FROM files WHERE sha256 = ?", (sha256,)).fetchone()
        return row[0] if row else None

    def counts(self) -> dict[str, int]:
        """How many citations, windows, retracted articles and files there are."""
        counted = {
            "citations": "citations",
            "windows": "passages",
            "retracted": f"citations c WHERE {RETRACTED}",
            "files": "files",
        }
        return {
            name: int(self._db.execute(f"SELECT count(*) FROM {what}").fetchone()[0])
            for name, what in counted.items()
        }

    def origins(self) -> dict[str, tuple[int, str]]:
        """Per origin, how many citations and the date of the newest revision."""
        rows = self._db.execute(
            "SELECT origin, count(*), max(revised) FROM citations GROUP BY origin ORDER BY origin"
        )
        return {row[0]: (row[1], row[2]) for row in rows}

    def check(self) -> str:
        """Look through the whole file after a crash; returns what is wrong, or nothing."""
        try:
            result = self._db.execute("PRAGMA integrity_check(1)").fetchone()[0]
            if result != "ok":
                return str(result)
            rows = self._db.execute("SELECT doc, digest FROM citations ORDER BY doc").fetchall()
            digests: dict[int, str] = dict(rows)
            for part in _parts(list(digests)):
                for doc, stored in self.get(part).items():
                    if stored.citation.digest != digests[doc]:
                        return f"PMID {stored.citation.pmid} does not have its stored hash"
        except sqlite3.DatabaseError as error:
            return str(error)
        return ""


def _parts(values: Sequence[int], size: int = 500) -> Iterator[list[int]]:
    """Portions that fit SQLite's limit on parameters."""
    for i in range(0, len(values), size):
        yield [int(value) for value in values[i : i + size]]
