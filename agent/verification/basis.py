"""What an absence or a total rests on: what was counted, in which release.

A fact stands in the records that its claim cites; that something is *not* recorded, or how many
there are, is said by a release as a whole. These words name the statements that were gone through,
so that a reader can count them again (``celloquy neighbours ID --relation RELATION``).
"""

from __future__ import annotations

from collections.abc import Iterable

from agent.verification.statement import RULES, Form, Statement
from agent.verification.wording import Names, join, many
from kg.graph import Direction, KnowledgeGraph
from kg.terms import (
    DEVELOPS_FROM,
    IS_A,
    IS_A_OR_PART_OF,
    PART_OF,
    PREDICATES,
    Curie,
    Edge,
)

__all__ = ["CLOSED", "basis"]

CLOSED: dict[Curie, tuple[Curie, ...]] = {
    IS_A: (IS_A,),
    PART_OF: (IS_A, PART_OF, IS_A_OR_PART_OF),
    IS_A_OR_PART_OF: (IS_A, PART_OF, IS_A_OR_PART_OF),
    DEVELOPS_FROM: (IS_A, DEVELOPS_FROM),
}
"""Relations of class hierarchies, where a release is complete about itself: that it holds no path
can be said, naming it. Of annotations it cannot: what is not annotated may still be so."""


def basis(graph: KnowledgeGraph, names: Names, statement: Statement) -> str:
    """In words, what an absence, a total or a comparison was counted over; "" for other claims.

    Parameters
    ----------
    graph
        The releases that were asked.
    names
        For labels.
    statement
        A statement that was checked.
    """
    match statement.form:
        case Form.NOT_FOUND:
            return _absence(graph, names, statement)
        case Form.TOTAL:
            return _total(graph, names, statement, statement.subject)
        case Form.COMPARED:
            pair = (statement.subject, statement.objects[0])
            return "; ".join(_total(graph, names, statement, one) for one in pair)
        case Form.FACT if statement.unlike:
            return _unlike(graph, names, statement)
    return ""


def _absence(graph: KnowledgeGraph, names: Names, statement: Statement) -> str:
    subject, predicate, target = statement.subject, statement.predicate, statement.objects[0]
    one, other = names.label(subject), names.label(target)
    if predicate in CLOSED:
        above = set(graph.ancestors(subject, CLOSED[predicate])) - {subject}
        edges = graph.edges(subject, direction="out", predicates=CLOSED[predicate])
        of = f"none of the {len(above):,} classes" if len(above) != 1 else "not the one class"
        return f"{other} is {of} above {one} in {_releases(edges)}"
    edges = graph.edges(subject, direction="out", predicates=(predicate,))
    rule = RULES.get(predicate)
    narrower = " or a kind of it" if rule and rule.after else ""
    relation = PREDICATES[predicate].label
    if not edges:
        return f"no {relation!r} statement on {one} is loaded"
    held = many(len(edges), f"{relation!r} statement")
    of = f"none of the {held}" if len(edges) != 1 else f"the {held}"
    no = "is of" if len(edges) != 1 else "is not of"
    return f"{of} on {one} in {_releases(edges)} {no} {other}{narrower}"


def _total(graph: KnowledgeGraph, names: Names, statement: Statement, node: Curie) -> str:
    direction: Direction = "in" if statement.inverse else "out"
    edges = graph.edges(node, direction=direction, predicates=(statement.predicate,))
    held = [e for e in edges if not e.negated and "negative" not in e.qualifiers]
    ends = {e.subject if statement.inverse else e.object for e in held}
    relation = PREDICATES[statement.predicate].label
    return (
        f"{many(len(held), f'{relation!r} statement')} {'to' if statement.inverse else 'from'} "
        f"{names.label(node)} in {_releases(held)}, of {many(len(ends), 'different term')}"
    )


def _unlike(graph: KnowledgeGraph, names: Names, statement: Statement) -> str:
    direction: Direction = "in" if statement.inverse else "out"
    edges = graph.edges(statement.unlike, direction=direction, predicates=(statement.predicate,))
    relation, other = PREDICATES[statement.predicate].label, names.label(statement.unlike)
    if not edges:
        return f"no {relation!r} statement on {other} is loaded"
    return (
        f"none of them is among the {many(len(edges), f'{relation!r} statement')} on {other} in "
        f"{_releases(edges)}"
    )


def _releases(edges: Iterable[Edge]) -> str:
    found = dict.fromkeys(f"{edge.source} {edge.release}" for edge in edges)
    return join(list(found)) if found else "the loaded releases"
