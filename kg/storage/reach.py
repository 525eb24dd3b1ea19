"""Hierarchies in the graph file, by node number: what is above, below, and how much of it.

Reads the tables that :mod:`kg.storage.closure` writes, for :class:`kg.embedded.EmbeddedGraph` (one
term at a time) and for :mod:`kg.storage.boltload` (all of them in one go). Knows numbers, not ids.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Literal, TypeAlias

from kg.storage import schema
from kg.storage.closure import decode, row
from kg.terms import Category, Curie

__all__ = ["PARAMETERS", "Table", "all_above", "all_counts", "current", "marks", "reach"]

Table: TypeAlias = Literal["ancestors", "descendants"]

PARAMETERS = 900
"""SQLite's smallest default limit of parameters in one statement is 999 in old builds."""

_STORED = {frozenset(predicates): closure for closure, predicates in enumerate(schema.CLOSURES)}
_CLOSURES = 4  # places for closures in the numbering of rows, see kg.storage.closure.row


def reach(
    db: sqlite3.Connection, start: int, predicates: Sequence[Curie], table: Table
) -> tuple[Sequence[int], Sequence[int]]:
    """Nodes above or below one, itself included, and their hops; nearest first."""
    closure = _STORED.get(frozenset(predicates))
    if closure is None:
        found = _walk(db, start, schema.codes(predicates), table)
        return list(found), list(found.values())
    first = row(start, 0)
    stored = db.execute(
        f"SELECT nodes, hops FROM {table} WHERE row BETWEEN ? AND ? ORDER BY row DESC LIMIT 1",
        (first, first + closure),
    ).fetchone()
    return decode(*stored) if stored else ([start], [0])


def _walk(
    db: sqlite3.Connection, start: int, chosen: list[int] | None, table: Table
) -> dict[int, int]:
    """Over predicates whose closure is not stored: level by level."""
    here, there = ("subject", "object") if table == "ancestors" else ("object", "subject")
    found = {start: 0}
    level, hop = [start], 0
    while level and chosen:
        hop += 1
        following = []
        for begin in range(0, len(level), PARAMETERS):
            some = level[begin : begin + PARAMETERS]
            rows = db.execute(
                f"SELECT DISTINCT {there} FROM edges WHERE {here} IN ({marks(some)}) "
                f"AND predicate IN ({marks(chosen)}) AND NOT negated",
                [*some, *chosen],
            )
            for (node,) in rows:
                if node not in found:
                    found[node] = hop
                    following.append(node)
        level = following
    return found


def current(db: sqlite3.Connection, category: Category) -> dict[int, Curie]:
    """The nodes of a category that are in use, with their ids, in order."""
    rows = db.execute(
        "SELECT node, id FROM nodes WHERE category = ? AND NOT obsolete ORDER BY node",
        (schema.CATEGORIES.index(category),),
    )
    return dict(rows.fetchall())


def all_above(db: sqlite3.Connection) -> Iterator[tuple[int, list[tuple[int, bytes, bytes]]]]:
    """Each node that has any: its stored closures with the two columns of :func:`decode`."""
    node, some = 0, list[tuple[int, bytes, bytes]]()
    for number, nodes, hops in db.execute("SELECT row, nodes, hops FROM ancestors ORDER BY row"):
        following, closure = divmod(number, _CLOSURES)
        if following != node and some:
            yield node, some
            some = []
        node = following
        some.append((closure, nodes, hops))
    if some:
        yield node, some


def all_counts(db: sqlite3.Connection) -> dict[int, dict[int, int]]:
    """Current terms of its own category at or below each node, by stored closure.

    A closure that is left out has the number of the one before; a node that is, is the only one.
    """
    kind: dict[int, int | None] = dict(
        db.execute("SELECT node, CASE WHEN obsolete THEN NULL ELSE category END FROM nodes")
    )
    of: dict[int, int] = dict(db.execute("SELECT node, category FROM nodes"))
    found: dict[int, dict[int, int]] = defaultdict(dict)
    for node in (node for node, own in kind.items() if own is None):
        found[node][0] = 0
    for number, nodes in db.execute("SELECT row, nodes FROM descendants ORDER BY row"):
        node, closure = divmod(number, _CLOSURES)
        own = of[node]
        found[node][closure] = sum(kind[one] == own for one in decode(nodes, b"")[0])
    return found


def marks(values: Sequence[object]) -> str:
    """So many parameters of a statement."""
    return ",".join("?" * len(values))
