"""Questions about development: what a cell type develops from and into.

The loaded Cell Ontology may lack these statements; then they come from the release of 2014, a
source of its own, and the answer says so.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.hierarchy import walk
from agent.verification.statement import Form, Statement, compose
from kg.terms import DEVELOPS_FROM, IS_A, Curie, Edge

__all__ = ["develops_from", "develops_into", "does_develop"]

MAX_HOPS = 12
"""No lineage of the Cell Ontology is longer."""


def develops_into(facts: Facts, a: Curie) -> Found:
    """What ``a`` develops into, one step on."""
    return _listed(facts, a, inverse=True)


def develops_from(facts: Facts, a: Curie) -> Found:
    """What ``a`` develops from, one step back, and the line of descent behind that."""
    return _listed(facts, a, inverse=False)


def _listed(facts: Facts, a: Curie, *, inverse: bool) -> Found:
    edges = _steps(facts, a, inverse)
    if not edges:
        return _inherited(facts, a, inverse)
    others = tuple(dict.fromkeys(edge.subject if inverse else edge.object for edge in edges))
    statement = Statement(
        Form.FACT, subject=a, predicate=DEVELOPS_FROM, objects=others, inverse=inverse
    )
    findings = [Finding(statement, tuple(facts.edge(edge) for edge in edges))]
    if not inverse:
        further = _line(facts, a)
        if len(further) > 1:
            findings.append(walk(facts, further))
    return Found(tuple(findings), _notes(edges))


def _inherited(facts: Facts, a: Curie, inverse: bool) -> Found:
    """Nothing is said of ``a`` itself: look at the class it belongs to."""
    if not inverse:
        line = _line(facts, a)
        if any(edge.predicate == DEVELOPS_FROM for edge in line):
            return Found((walk(facts, line),), _notes(line))
    else:
        # What develops from a class that a belongs to need not come from a itself.
        for kind in sorted(facts.graph.descendants(a).items(), key=lambda item: (item[1], item[0])):
            if kind[0] != a and (edges := _steps(facts, kind[0], inverse=True)):
                statement = Statement(
                    Form.FACT,
                    subject=kind[0],
                    predicate=DEVELOPS_FROM,
                    objects=tuple(dict.fromkeys(edge.subject for edge in edges)),
                    inverse=True,
                )
                up = walk(facts, facts.climb(kind[0], a))
                evidence = tuple(facts.edge(edge) for edge in edges)
                return Found((up, Finding(statement, evidence)), _notes(edges))
    what = "develops from" if not inverse else "develops into"
    return none_found(
        f"no loaded release says what {facts.label(a)} {what}; the full Cell Ontology "
        "(`celloquy data fetch cl-obo`, then `celloquy kg build`) has more such statements"
    )


def does_develop(facts: Facts, a: Curie, b: Curie) -> Found:
    """Whether ``a`` develops from ``b``."""
    if line := _line(facts, a, goal=b):
        return Found((walk(facts, line, "Yes"),), _notes(line))
    if line := _line(facts, b, goal=a):
        reverse = walk(facts, line, "It is the other way round")
        absent = Statement(Form.NOT_FOUND, subject=a, predicate=DEVELOPS_FROM, objects=(b,))
        return Found((Finding(absent, reverse.evidence, "No"), reverse), _notes(line))
    lines = [_line(facts, node) for node in (a, b)]
    evidence = tuple(facts.path(line) for line in lines if line)
    touched = {node for piece in evidence for node in piece.path.nodes}
    words = tuple(w for node in (a, b) if node not in touched and (w := facts.words(node)))
    absent = Statement(Form.NOT_FOUND, subject=a, predicate=DEVELOPS_FROM, objects=(b,))
    findings = [Finding(absent, (*evidence, *words), "Not as far as is recorded")]
    findings += [walk(facts, line) for line in lines if line]
    note = "That a release does not record a line of development does not rule it out."
    return Found(tuple(findings), (note, *_notes([edge for line in lines for edge in line])))


def _steps(facts: Facts, a: Curie, inverse: bool) -> list[Edge]:
    edges = facts.graph.edges(a, direction="in" if inverse else "out", predicates=(DEVELOPS_FROM,))
    return [edge for edge in edges if not edge.negated]


def _line(facts: Facts, start: Curie, goal: Curie | None = None) -> tuple[Edge, ...]:
    """The shortest line of descent from ``start`` to ``goal``, or to the far end of it.

    Goes by ``develops from``, and by ``is a`` where nothing is said of a type itself.
    """
    queue: deque[tuple[Curie, Curie | None, tuple[Edge, ...]]] = deque([(start, None, ())])
    seen: set[tuple[Curie, Curie | None]] = {(start, None)}
    best: tuple[Edge, ...] = ()
    while queue:
        node, held, walked = queue.popleft()
        if held == DEVELOPS_FROM:
            if node == goal:
                return walked
            own_step = walked[-1].predicate == DEVELOPS_FROM
            if goal is None and own_step and len(walked) > len(best):
                best = walked
        if len(walked) == MAX_HOPS:
            continue
        own = _steps(facts, node, inverse=False)
        following = own
        if goal is not None or not own:
            following = [*own, *_classes(facts, node)]
        for edge in following:
            composed = edge.predicate if held is None else compose(held, edge.predicate)
            state = (edge.object, composed)
            if composed is not None and state not in seen:
                seen.add(state)
                queue.append((*state, (*walked, edge)))
    return best if goal is None else ()


def _classes(facts: Facts, node: Curie) -> list[Edge]:
    return list(facts.graph.edges(node, direction="out", predicates=(IS_A,)))


def _notes(edges: Iterable[Edge]) -> tuple[str, ...]:
    """Say which release development was read from, where it is an old one."""
    old = sorted({e.release for e in edges if e.source == "CL-2014"})
    return tuple(
        f"Development is read from the Cell Ontology's release of {release}, because the current "
        "one, as loaded, has no develops-from statements; it may be out of date."
        for release in old
    )
