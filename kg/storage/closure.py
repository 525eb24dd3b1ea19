"""Ancestors and descendants of every term, stored when the graph file is built.

Breadth first over the hierarchical edges, so that the hops are the shortest and a cycle in a source
ends instead of looping (it is counted as a notice). Knows the tables of :mod:`kg.storage.schema`
and nothing of what the terms mean.
"""

from __future__ import annotations

import sqlite3
from array import array
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import TypeAlias, TypeVar

from kg.storage import schema
from kg.terms import PREDICATES

__all__ = ["decode", "hops_from", "row", "write_closures"]

Node = TypeVar("Node", bound=Hashable)
Neighbours: TypeAlias = Mapping[Node, Sequence[Node]]


def row(node: int, closure: int) -> int:
    """The number of the row that holds closure ``closure`` of ``node``."""
    return node * 4 + closure


def decode(nodes: bytes, hops: bytes) -> tuple[array[int], array[int]]:
    """Nodes and their hops, nearest first, from the two columns of a row."""
    return array("i", nodes), array("B", hops)


def hops_from(start: Node, neighbours: Neighbours[Node]) -> dict[Node, int]:
    """Every node that can be reached, with its distance, nearest first; ``start`` is 0."""
    found = {start: 0}
    level, hop = [start], 0
    while level:
        hop += 1
        following = []
        for node in level:
            for other in neighbours.get(node, ()):
                if other not in found:
                    found[other] = hop
                    following.append(other)
        level = following
    return found


def write_closures(db: sqlite3.Connection) -> Iterator[tuple[str, str]]:
    """Fill the tables of ancestors and descendants; yield a notice for each source of cycles."""
    up: dict[int, list[int]] = defaultdict(list)
    down: dict[int, list[int]] = defaultdict(list)
    known: tuple[str, ...] = ()
    for closure, predicates in enumerate(schema.CLOSURES):
        new = [schema.CODES.index(p) for p in predicates if p not in known]
        known = predicates
        query = (
            "SELECT DISTINCT subject, object FROM edges WHERE NOT negated "
            f"AND predicate IN ({','.join('?' * len(new))}) ORDER BY subject, object"
        )
        touched = set()
        for subject, object_ in db.execute(query, new).fetchall():
            if object_ not in up[subject]:
                up[subject].append(object_)
                down[object_].append(subject)
                touched |= {subject, object_}
        _write(db, "ancestors", closure, _affected(touched, down), up)
        _write(db, "descendants", closure, _affected(touched, up), down)
    yield from _cycles(db, up)


def _affected(touched: set[int], neighbours: Neighbours[int]) -> list[int]:
    """The nodes whose closure the new edges change: those that reach an end of one."""
    found = set(touched)
    stack = list(touched)
    while stack:
        for other in neighbours.get(stack.pop(), ()):
            if other not in found:
                found.add(other)
                stack.append(other)
    return sorted(found)


def _write(
    db: sqlite3.Connection, table: str, closure: int, nodes: list[int], neighbours: Neighbours[int]
) -> None:
    def rows() -> Iterator[tuple[int, bytes, bytes]]:
        for node in nodes:
            found = hops_from(node, neighbours)
            # A node number fits 32 bits, and no ontology is 255 levels deep (array would refuse).
            yield (
                row(node, closure),
                array("i", found).tobytes(),
                array("B", found.values()).tobytes(),
            )

    db.executemany(f"INSERT INTO {table} VALUES (?, ?, ?)", rows())


def _cycles(db: sqlite3.Connection, up: Neighbours[int]) -> Iterator[tuple[str, str]]:
    """One notice for each source with terms above themselves."""
    below: dict[int, int] = defaultdict(int)
    for parents in up.values():
        for parent in parents:
            below[parent] += 1
    # Take away terms with nothing below until none is left; what stays is in or above a cycle.
    waiting = dict(below)
    free = [node for node in up if not waiting.get(node)]
    while free:
        for parent in up.get(free.pop(), ()):
            waiting[parent] -= 1
            if not waiting[parent]:
                free.append(parent)
    rest = {node for node, count in waiting.items() if count > 0}
    circular = [
        node for node in rest if any(node in hops_from(parent, up) for parent in up.get(node, ()))
    ]
    labels = ", ".join(PREDICATES[p].label for p in schema.CLOSURES[-1])
    by_source: dict[str, list[str]] = defaultdict(list)
    for node in sorted(circular):
        id_, source = db.execute(
            "SELECT n.id, r.source FROM nodes n JOIN terms t USING (node) "
            "JOIN releases r USING (release) WHERE n.node = ?",
            (node,),
        ).fetchone()
        by_source[source].append(id_)
    for source, ids in sorted(by_source.items()):
        yield (
            source,
            f"{len(ids):,} terms are above themselves over {labels}, such as {ids[0]}",
        )
