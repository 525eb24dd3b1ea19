"""Fill the graph file from what the readers loaded: once, in one pass, whole or not at all.

Takes :class:`kg.readers.source.Loaded` values one after another (a generator keeps memory at the
size of the largest source), stages them as they are, and then writes nodes, edges, closures, names
and counts in their final order. What cannot be kept is counted in the table of notices: an edge
whose end no source defines, whose predicate is not in the closed table or which was given twice, a
second definition of a term, an ontology edge of an obsolete term. Knows no file format.

The file is written under another name and moved into place, so that a reader sees the old file or
the new one, and a process killed at any moment leaves either. Two processes do not build at once.
"""

from __future__ import annotations

import json
import os
import sqlite3
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from data.cache import as_umask_says
from data.errors import BadInput, CelloquyError
from kg.naming.lexicon import normalise
from kg.readers.source import Loaded
from kg.storage import schema
from kg.storage.closure import write_closures
from kg.terms import PREDICATES, Category, Curie, Edge, Release, Scope, Term

__all__ = ["Progress", "build", "lock"]

Progress = Callable[[str], None]
"""Called with one line for each step of a build."""

LOCK_SECONDS = 900.0  # a build takes about a minute; a waiting process gives it time enough

_STAGES = """
CREATE TEMP TABLE staged_terms (
    id TEXT PRIMARY KEY, category INTEGER, obsolete INTEGER, label TEXT, release INTEGER,
    definition TEXT, taxon TEXT, replaced_by TEXT, synonyms TEXT, definition_xrefs TEXT,
    xrefs TEXT, consider TEXT
) WITHOUT ROWID;
CREATE TEMP TABLE staged_names (
    id TEXT, key TEXT, text TEXT, scope INTEGER, obsolete INTEGER, words INTEGER
);
CREATE TEMP TABLE staged_edges (
    predicate INTEGER, subject TEXT, object TEXT, release INTEGER, key INTEGER, evidence TEXT,
    publications TEXT, negated INTEGER, qualifiers TEXT, taxon TEXT, weight REAL
);
"""


def build(
    path: Path,
    loaded: Iterable[Loaded],
    *,
    fingerprint: str = "",
    progress: Progress | None = None,
) -> None:
    """Write the graph file of ``loaded`` to ``path``, replacing the one that is there.

    Parameters
    ----------
    path
        Where the file goes; its folder is made.
    loaded
        The sources, in order of precedence: a term defined by two keeps the first definition.
    fingerprint
        What the file was made of; :func:`kg.embedded.ensure_built` compares it.
    progress
        Called with a line for each step.

    Raises
    ------
    BadInput
        When two releases of one source are given.
    CelloquyError
        When the folder cannot be written.
    """
    say = progress or (lambda _: None)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        for leftover in path.parent.glob(f"{path.name}.*.tmp*"):
            leftover.unlink(missing_ok=True)  # of a build that was killed: we hold the lock
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=f"{path.name}.", suffix=".tmp")
        os.close(handle)
    except OSError as error:
        raise CelloquyError(f"the graph cannot be written to {path.parent}: {error}") from error
    scratch = Path(name)
    try:
        with closing(sqlite3.connect(scratch, isolation_level=None)) as db:
            _prepare(db)
            _Stage(db, say).take(loaded)
            _finish(db, fingerprint, say)
        _sync(scratch)
        as_umask_says(scratch)
        scratch.replace(path)
    except sqlite3.OperationalError as error:
        raise CelloquyError(f"the graph cannot be written to {path.parent}: {error}") from error
    finally:
        for suffix in ("", "-wal", "-shm"):
            scratch.with_name(scratch.name + suffix).unlink(missing_ok=True)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold the right to build ``path``; the system gives it back when the process dies."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(
        sqlite3.connect(
            path.with_name(path.name + ".lock"), timeout=LOCK_SECONDS, isolation_level=None
        )
    ) as db:
        try:
            db.execute("BEGIN EXCLUSIVE")
        except sqlite3.OperationalError as error:
            raise CelloquyError(
                f"another process has been building {path} for {LOCK_SECONDS:.0f} s: {error}"
            ) from error
        yield
        db.execute("ROLLBACK")


def _prepare(db: sqlite3.Connection) -> None:
    db.execute("PRAGMA page_size=8192")
    db.execute(f"PRAGMA application_id={schema.APPLICATION_ID}")
    db.execute(f"PRAGMA user_version={schema.VERSION}")
    db.execute("PRAGMA journal_mode=WAL")
    # Durability comes from one fsync before the rename: nobody reads the file until then.
    db.execute("PRAGMA synchronous=OFF")
    db.execute("PRAGMA cache_size=-262144")
    db.executescript(schema.TABLES)
    db.executescript(_STAGES)


def _finish(db: sqlite3.Connection, fingerprint: str, say: Progress) -> None:
    say("ordering nodes and edges")
    db.execute("BEGIN")
    _write_nodes(db)
    _write_edges(db)
    db.execute("COMMIT")
    say("closing over the hierarchies")
    db.execute("BEGIN")
    for notice in write_closures(db):
        db.execute("INSERT INTO notices VALUES (?, ?)", notice)
    db.execute("COMMIT")
    say("indexing names")
    db.execute("BEGIN")
    _write_names(db)
    _write_counts(db)
    db.executemany(
        "INSERT INTO meta VALUES (?, ?)",
        [("fingerprint", fingerprint), ("layout", schema.layout())],
    )
    db.execute("COMMIT")
    db.executescript(schema.INDEXES)
    say("writing the file")
    # Readers open the file as immutable, which a write-ahead log would not allow.
    db.execute("PRAGMA journal_mode=DELETE")


class _Stage:
    """Takes sources one by one into the staging tables, counting what is refused."""

    def __init__(self, db: sqlite3.Connection, say: Progress) -> None:
        self.db = db
        self.say = say
        self.releases: dict[tuple[str, str], int] = {}
        self.terms: dict[Curie, str] = {}  # with the source that defines it
        self.keys: set[int] = set()
        self.names: list[tuple[object, ...]] = []  # of the source being read
        self.refused: Counter[tuple[str, str]] = Counter()

    def take(self, loaded: Iterable[Loaded]) -> None:
        codes = {predicate: code for code, predicate in enumerate(schema.CODES)}
        for one in loaded:
            source = one.release.source
            self.db.execute("BEGIN")
            self._release(one.release)
            before = len(self.terms), len(self.keys)
            self.db.executemany(
                f"INSERT INTO staged_terms VALUES ({','.join('?' * 12)})", self._terms(one.terms)
            )
            self.db.executemany("INSERT INTO staged_names VALUES (?, ?, ?, ?, ?, ?)", self.names)
            self.names.clear()
            self.db.executemany(
                f"INSERT INTO staged_edges VALUES ({','.join('?' * 11)})",
                self._edges(one.edges, codes),
            )
            self.db.executemany(
                "INSERT INTO notices VALUES (?, ?)", [(source, text) for text in one.notices]
            )
            self.db.execute("COMMIT")
            self.say(
                f"{source} {one.release.version}: {len(self.terms) - before[0]:,} terms, "
                f"{len(self.keys) - before[1]:,} edges"
            )
        self.db.executemany(
            "INSERT INTO notices VALUES (?, ?)",
            [(source, f"{n:,} {what}") for (source, what), n in sorted(self.refused.items())],
        )

    def _release(self, release: Release) -> None:
        known = dict(self.releases.keys())
        if known.get(release.source, release.version) != release.version:
            raise BadInput(
                f"{release.source} was given in the releases {known[release.source]} and "
                f"{release.version}; expected one release of each source"
            )
        key = (release.source, release.version)
        if key in self.releases:
            return
        self.releases[key] = len(self.releases)
        self.db.execute(
            "INSERT INTO releases VALUES (?, ?, ?, ?, ?, ?)",
            (
                self.releases[key],
                release.source,
                release.version,
                release.date,
                release.licence,
                release.citation,
            ),
        )

    def _terms(self, terms: Sequence[Term]) -> Iterator[tuple[object, ...]]:
        categories = {category: code for code, category in enumerate(schema.CATEGORIES)}
        for term in terms:
            release = self.releases.get((term.source, term.release))
            if release is None:
                self.refused[term.source, "terms refused: they name a release not loaded"] += 1
                continue
            if term.id in self.terms:
                what = f"terms passed over: {self.terms[term.id]} defines them already"
                self.refused[term.source, what] += 1
                continue
            self.terms[term.id] = term.source
            self.names.extend(_names(term))
            yield (
                term.id,
                categories[term.category],
                int(term.obsolete),
                term.label,
                release,
                term.definition,
                term.taxon,
                term.replaced_by,
                _array([(s.text, s.scope.value) for s in term.synonyms]),
                _array(term.definition_xrefs),
                _array(term.xrefs),
                _array(term.consider),
            )

    def _edges(self, edges: Sequence[Edge], codes: dict[str, int]) -> Iterator[tuple[object, ...]]:
        for edge in edges:
            code = codes.get(edge.predicate)
            release = self.releases.get((edge.source, edge.release))
            publications = schema.SEPARATOR.join(edge.publications)
            qualifiers = schema.SEPARATOR.join(edge.qualifiers)
            why = None
            if code is None:
                why = f"edges refused: {edge.predicate} is not a known predicate"
            elif release is None:
                why = "edges refused: they name a release not loaded"
            elif _splits(publications, edge.publications) or _splits(qualifiers, edge.qualifiers):
                why = f"edges refused: a reference contains {schema.SEPARATOR!r} or is empty"
            else:
                # 64 bits, moved to SQLite's signed range without changing their order.
                key = int(edge.key, 16) - (1 << 63)
                if key in self.keys:
                    why = f"edges given twice ({PREDICATES[edge.predicate].label})"
            if why is not None:
                self.refused[edge.source, why] += 1
                continue
            self.keys.add(key)
            yield (
                code,
                edge.subject,
                edge.object,
                release,
                key,
                edge.evidence_code,
                publications or None,
                int(edge.negated),
                qualifiers or None,
                edge.taxon,
                edge.weight,
            )


def _splits(joined: str, parts: tuple[str, ...]) -> bool:
    """Whether ``joined`` would not come apart into ``parts`` again."""
    return bool(parts) and (joined.count(schema.SEPARATOR) != len(parts) - 1 or joined == "")


def _array(values: Sequence[object]) -> str | None:
    return json.dumps(values, ensure_ascii=False, separators=(",", ":")) if values else None


def _names(term: Term) -> Iterator[tuple[object, ...]]:
    seen = set()
    for text, scope in [(term.label, Scope.LABEL)] + [
        (synonym.text, synonym.scope) for synonym in term.synonyms
    ]:
        key = normalise(text)
        if key and (text, scope) not in seen:
            seen.add((text, scope))
            yield (
                term.id,
                key,
                text,
                schema.SCOPES.index(scope),
                int(term.obsolete),
                key.count(" ") + 1,
            )


def _write_nodes(db: sqlite3.Connection) -> None:
    db.execute(
        "INSERT INTO nodes (id, category, obsolete) "
        "SELECT id, category, obsolete FROM staged_terms ORDER BY id"
    )
    db.execute(
        "INSERT INTO terms SELECT n.node, s.label, s.release, s.definition, s.taxon, "
        "s.replaced_by, s.synonyms, s.definition_xrefs, s.xrefs, s.consider "
        "FROM nodes n JOIN staged_terms s ON s.id = n.id ORDER BY n.node"
    )
    db.execute("DROP TABLE staged_terms")


def _write_edges(db: sqlite3.Connection) -> None:
    """Keep the edges between known terms, in the order of the protocol; count the others."""
    genes = schema.CATEGORIES.index(Category.GENE)
    db.execute(
        "CREATE TEMP TABLE joined AS SELECT e.rowid AS id, a.node AS s, b.node AS o, "
        "a.category != ? AND b.category != ? AND (a.obsolete OR b.obsolete) AS stale "
        "FROM staged_edges e LEFT JOIN nodes a ON a.id = e.subject "
        "LEFT JOIN nodes b ON b.id = e.object",
        (genes, genes),
    )
    lost = db.execute(
        "SELECT r.source, e.predicate, "
        "CASE WHEN j.s IS NULL THEN e.subject ELSE e.object END AS end, count(*) "
        "FROM joined j JOIN staged_edges e ON e.rowid = j.id JOIN releases r USING (release) "
        "WHERE j.s IS NULL OR j.o IS NULL GROUP BY 1, 2, substr(end, 1, instr(end, ':')) "
        "ORDER BY 1, 2, 3"
    ).fetchall()
    stale = db.execute(
        "SELECT r.source, e.predicate, count(*) FROM joined j "
        "JOIN staged_edges e ON e.rowid = j.id JOIN releases r USING (release) "
        "WHERE j.stale GROUP BY 1, 2 ORDER BY 1, 2"
    ).fetchall()
    notices = [
        (
            source,
            f"{n:,} edges refused ({PREDICATES[schema.CODES[code]].label}): no loaded source "
            f"defines their end, such as {end}",
        )
        for source, code, end, n in lost
    ] + [
        (
            source,
            f"{n:,} edges refused ({PREDICATES[schema.CODES[code]].label}): between ontology "
            f"terms of which one is obsolete",
        )
        for source, code, n in stale
    ]
    db.executemany("INSERT INTO notices VALUES (?, ?)", notices)
    db.execute(
        "INSERT INTO edges (predicate, subject, object, release, evidence, publications, "
        "negated, qualifiers, taxon, weight) SELECT e.predicate, j.s, j.o, e.release, e.evidence, "
        "e.publications, e.negated, e.qualifiers, e.taxon, e.weight "
        "FROM joined j JOIN staged_edges e ON e.rowid = j.id JOIN releases r USING (release) "
        "WHERE j.s IS NOT NULL AND j.o IS NOT NULL AND NOT j.stale "
        "ORDER BY e.predicate, j.s, j.o, r.source, e.key"
    )
    db.execute(
        "INSERT INTO spans SELECT predicate, min(edge), max(edge) FROM edges GROUP BY predicate"
    )
    db.execute("DROP TABLE joined")
    db.execute("DROP TABLE staged_edges")


def _write_names(db: sqlite3.Connection) -> None:
    """Number the names in search order and index their words."""
    db.execute(
        "INSERT INTO lexicon (key, text, scope, node) SELECT s.key, s.text, s.scope, n.node "
        "FROM staged_names s JOIN nodes n ON n.id = s.id "
        "ORDER BY s.obsolete, s.words, length(s.key), s.scope, n.node, s.text"
    )
    db.execute("DROP TABLE staged_names")
    words: Counter[str] = Counter()
    marks = [schema.category_word(category) for category in schema.CATEGORIES]

    def rows() -> Iterator[tuple[int, str]]:
        for entry, key, category in db.execute(
            "SELECT l.entry, l.key, n.category FROM lexicon l JOIN nodes n USING (node) "
            "ORDER BY l.entry"
        ):
            words.update(set(key.split()))
            yield entry, f"{key} {marks[category]}"

    db.executemany("INSERT INTO search (rowid, words) VALUES (?, ?)", rows())
    db.execute("INSERT INTO search (search) VALUES ('optimize')")
    db.executemany("INSERT INTO words VALUES (?, ?)", sorted(words.items()))


def _write_counts(db: sqlite3.Connection) -> None:
    terms = db.execute(
        "SELECT n.category, r.source, r.version, count(*) FROM nodes n JOIN terms t USING (node) "
        "JOIN releases r USING (release) GROUP BY 1, 2, 3"
    ).fetchall()
    edges = db.execute(
        "SELECT e.predicate, r.source, r.version, count(*) FROM edges e "
        "JOIN releases r USING (release) GROUP BY 1, 2, 3"
    ).fetchall()
    rows = [("term", schema.CATEGORIES[code].value, *rest) for code, *rest in terms]
    rows += [("edge", schema.CODES[code], *rest) for code, *rest in edges]
    db.executemany("INSERT INTO counts VALUES (?, ?, ?, ?, ?)", sorted(rows))


def _sync(path: Path) -> None:
    with path.open("rb") as stream:
        os.fsync(stream.fileno())
