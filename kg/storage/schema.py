"""The layout of the graph file: its tables, its version, and what the small integers stand for.

Knows nothing about where statements come from (:mod:`kg.readers.catalogue`), how the file is filled
(:mod:`kg.storage.build`) or read (:mod:`kg.embedded`). Nodes are numbered in the order of their
ids, and edges in the order that :class:`kg.graph.KnowledgeGraph` promises, so that reading by
number is reading in order.
"""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Iterable

from kg.terms import IS_A, IS_A_OR_PART_OF, PART_OF, PREDICATES, Category, Curie, Scope

__all__ = [
    "APPLICATION_ID",
    "CATEGORIES",
    "CLOSURES",
    "CODES",
    "INDEXES",
    "SCOPES",
    "SEPARATOR",
    "TABLES",
    "VERSION",
    "category_word",
    "codes",
    "layout",
]

APPLICATION_ID = 0x43454C51  # "CELQ" in SQLite's header: no other program's file is read as ours
VERSION = 1  # of the tables below; a file of another version is built again

CATEGORIES: tuple[Category, ...] = tuple(Category)
SCOPES: tuple[Scope, ...] = tuple(Scope)
"""In the order of their closeness, which is the order of lexical entries."""
CODES: tuple[Curie, ...] = tuple(sorted(PREDICATES))
"""Predicates by code: in the order of their ids, so that code order is edge order."""

CLOSURES: tuple[tuple[Curie, ...], ...] = (
    (IS_A,),
    (IS_A, PART_OF),
    (IS_A, PART_OF, IS_A_OR_PART_OF),
)
"""Predicates whose closure is stored; each set holds the one before it."""

SEPARATOR = "|"
"""Between the publications of an edge, as in GAF; the build refuses one that contains it."""

TABLES = """
CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE releases (
    release INTEGER PRIMARY KEY, source TEXT NOT NULL UNIQUE, version TEXT NOT NULL,
    date TEXT NOT NULL, licence TEXT NOT NULL, citation TEXT NOT NULL
);
CREATE TABLE notices (source TEXT NOT NULL, notice TEXT NOT NULL);

-- Narrow, so that thousands of ids are read from few pages; the rest of a term is in terms.
CREATE TABLE nodes (
    node INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,
    category INTEGER NOT NULL, obsolete INTEGER NOT NULL
);
CREATE TABLE terms (
    node INTEGER PRIMARY KEY, label TEXT NOT NULL, release INTEGER NOT NULL,
    definition TEXT NOT NULL, taxon TEXT, replaced_by TEXT,
    -- JSON arrays, NULL where empty; synonyms as pairs of text and scope
    synonyms TEXT, definition_xrefs TEXT, xrefs TEXT, consider TEXT
);
CREATE TABLE edges (
    edge INTEGER PRIMARY KEY, predicate INTEGER NOT NULL, subject INTEGER NOT NULL,
    object INTEGER NOT NULL, release INTEGER NOT NULL, evidence TEXT, publications TEXT,
    negated INTEGER NOT NULL, qualifiers TEXT, taxon TEXT, weight REAL
);
-- Edges are in order of their predicates: from where to where.
CREATE TABLE spans (
    predicate INTEGER PRIMARY KEY, first INTEGER NOT NULL, last INTEGER NOT NULL
);

-- One row a node and closure: arrays of 32-bit nodes and of 8-bit hops, nearest first. Closure c
-- of node n is row n * 4 + c; a row is left out where it equals that of the closure before.
CREATE TABLE ancestors (row INTEGER PRIMARY KEY, nodes BLOB NOT NULL, hops BLOB NOT NULL);
CREATE TABLE descendants (row INTEGER PRIMARY KEY, nodes BLOB NOT NULL, hops BLOB NOT NULL);

-- Entries are numbered in search order: current terms first, then fewer words, shorter keys,
-- closer scopes, ids, texts. The first hits of a search by number are then the best ones.
CREATE TABLE lexicon (
    entry INTEGER PRIMARY KEY, key TEXT NOT NULL, text TEXT NOT NULL,
    scope INTEGER NOT NULL, node INTEGER NOT NULL
);
CREATE TABLE words (word TEXT PRIMARY KEY, n INTEGER NOT NULL) WITHOUT ROWID;
CREATE VIRTUAL TABLE search USING fts5(
    words, content='', detail=none, columnsize=0, prefix='1 2 3 4',
    tokenize="ascii tokenchars '_'"
);
CREATE TABLE counts (
    kind TEXT NOT NULL, type TEXT NOT NULL, source TEXT NOT NULL, release TEXT NOT NULL,
    n INTEGER NOT NULL
);
"""

INDEXES = """
CREATE INDEX nodes_category ON nodes (category, obsolete, node);
CREATE INDEX edges_subject ON edges (subject, predicate);
CREATE INDEX edges_object ON edges (object, predicate);
CREATE INDEX lexicon_key ON lexicon (key);
"""


def category_word(category: Category) -> str:
    """The word that marks a category's names in the full-text index; no key contains it."""
    return f"_{CATEGORIES.index(category)}"


def codes(predicates: Iterable[Curie]) -> list[int] | None:
    """Codes of ``predicates``, empty for all; None where none of those named is known."""
    wanted = set(predicates)
    found = [code for code, predicate in enumerate(CODES) if predicate in wanted]
    return None if wanted and not found else found


def layout() -> str:
    """A hash of everything above and of the closed tables: files of another layout are stale."""
    parts = (str(VERSION), sys.byteorder, TABLES, INDEXES, *CODES, *CATEGORIES, *SCOPES)
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()
