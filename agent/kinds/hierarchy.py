"""Questions about the class hierarchy: is a, part of, kinds, parents, siblings, how two relate.

A release of an ontology is complete about its own hierarchy, so "no" is an answer here, with the
release named and the reason given: the other way round, or where the two meet. It remains an
answer about that release.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.facts import Facts, Finding, Found, none_found
from agent.verification.statement import Form, Statement
from kg.terms import (
    HAS_PART,
    IS_A,
    IS_A_OR_PART_OF,
    PART_OF,
    Category,
    Curie,
    Edge,
)
from retrieval.evidence import Evidence, PathEvidence

__all__ = [
    "is_a",
    "part_of",
    "parts",
    "related",
    "siblings",
    "subtypes",
    "supertypes",
    "walk",
    "wholes",
]

_OPEN_PARTS = "That a release does not record a part does not mean that it is none."
_OPEN_KINDS = "A release can lack a link that holds; this is what it says, not what cannot be."
_PARTHOOD = (IS_A, PART_OF, IS_A_OR_PART_OF)
_CELL = "CL:0000000"
_PART_OF_CELL = re.compile(
    r"(?:an? |the |any )?(?:part|component|constituent|portion|region|compartment)s? "
    r"(?:of|within|inside) (?:an? |the |any )?cell "
    r"(?=that|which|contained|where|situated|formed|bearing|encompassing|near|by)",
    re.IGNORECASE,
)


def walk(facts: Facts, edges: Sequence[Edge], lead: str = "") -> Finding:
    """A way up the hierarchy, hop by hop."""
    statement = Statement(
        Form.WALK,
        subject=edges[0].subject,
        objects=tuple(edge.object for edge in edges),
        hops=tuple(edge.predicate for edge in edges),
    )
    return Finding(statement, (facts.path(edges),), lead)


def is_a(facts: Facts, a: Curie, b: Curie) -> Found:
    """Whether every ``a`` is a ``b``."""
    if up := facts.climb(a, b):
        return Found((walk(facts, up, "Yes"),))
    if a == b:
        return none_found(f"both names mean {facts.label(a)}; ask about two different terms")
    if wider := facts.climb(a, b, _PARTHOOD):
        return _wider(facts, wider, asked=IS_A)
    return _no(facts, a, b, IS_A)


def _wider(facts: Facts, edges: Sequence[Edge], asked: Curie) -> Found:
    """The hierarchy links the two, but not by the relation that was asked about."""
    kinds = {edge.predicate for edge in edges}
    if IS_A_OR_PART_OF in kinds:
        source = edges[0].source
        note = (
            f"{source} {edges[0].release}, as loaded, gives parents without saying which of them "
            "are 'is a' and which 'part of', so the answer cannot be closer than this."
        )
        return Found((walk(facts, edges, "As a kind or as a part, yes"),), (note,))
    lead = "No, as a part of it" if asked == IS_A else "Yes, as a kind of it"
    return Found((walk(facts, edges, lead),))


def _no(facts: Facts, a: Curie, b: Curie, predicate: Curie) -> Found:
    """A no with its reason: the other way round, the place where the two meet, or neither.

    A release states all kinds, but not all parts: parthood that is not stated is not denied.
    """
    absent = Statement(Form.NOT_FOUND, subject=a, predicate=predicate, objects=(b,))
    predicates = (IS_A,) if predicate == IS_A else _PARTHOOD
    open_world = predicate == PART_OF
    lead = "Not as far as is recorded" if open_world else "No, by this release"
    notes: tuple[str, ...] = (_OPEN_PARTS,) if open_world else (_OPEN_KINDS,)
    if down := facts.climb(b, a, predicates):
        reverse = walk(facts, down, "It is the other way round")
        if not open_world:
            # No two classes are each above the other: here the no is certain.
            lead, notes = "No", ()
        return Found((Finding(absent, reverse.evidence, lead), reverse), notes)
    if meeting := _common(facts, a, b):
        common, evidence = meeting[0]
        return Found((Finding(absent, evidence, lead), Finding(common, evidence)), notes)
    words = tuple(piece for node in (a, b) if (piece := facts.words(node)) is not None)
    note = "The two have no common ancestor in the loaded releases."
    return Found((Finding(absent, words, lead),), (note, *notes))


def _common(facts: Facts, a: Curie, b: Curie) -> list[tuple[Statement, tuple[Evidence, ...]]]:
    """Where two terms meet, with both ways there: by is a, or else by whatever leads up."""
    for predicate, predicates in ((IS_A, (IS_A,)), (IS_A_OR_PART_OF, _PARTHOOD)):
        found: list[tuple[Statement, tuple[Evidence, ...]]] = []
        for meeting in facts.meeting(a, b, predicates)[:2]:
            ways = (facts.climb(other, meeting, predicates) for other in (a, b))
            statement = Statement(Form.COMMON, subject=meeting, predicate=predicate, objects=(a, b))
            found.append((statement, tuple(facts.path(edges) for edges in ways if edges)))
        if found:
            return found
    return []


def part_of(facts: Facts, a: Curie, b: Curie) -> Found:
    """Whether ``a`` is part of ``b``."""
    if b == _CELL and (found := _of_a_cell(facts, a)):
        return found
    up = facts.climb(a, b, (IS_A, PART_OF))
    if up and any(edge.predicate == PART_OF for edge in up):
        return Found((walk(facts, up, "Yes"),))
    if up:
        return Found((walk(facts, up, "No, it is a kind of it"),))
    if wider := facts.climb(a, b, _PARTHOOD):
        return _wider(facts, wider, asked=PART_OF)
    return _no(facts, a, b, PART_OF)


def _of_a_cell(facts: Facts, a: Curie) -> Found | None:
    """Whether a component is part of the cell, by a class that GO itself defines as such.

    No edge leads from the components of the Gene Ontology to the cell of the Cell Ontology; the
    nearest class above whose definition begins "a component of a cell" says it in words.
    """
    if facts.names.category(a) is not Category.COMPONENT:
        return None
    upward = (IS_A, PART_OF)
    near: list[tuple[int, Curie, tuple[Edge, ...]]] = []
    for above in facts.graph.ancestors(a, upward):
        term = facts.names.term(above)
        if term and _PART_OF_CELL.match(term.definition):
            edges = facts.climb(a, above, upward)
            near.append((len(edges), above, edges))
    if not near:
        return None
    _, above, edges = min(near, key=lambda one: one[:2])
    words = facts.words(above, "definition")
    assert words is not None
    defined = Finding(Statement(Form.DEFINED, subject=above, quotes=(words.text,)), (words,))
    if not edges:
        return Found((Finding(defined.statement, defined.evidence, "Yes"),))
    return Found((walk(facts, edges, "Yes"), defined))


def related(facts: Facts, a: Curie, b: Curie) -> Found:
    """How two terms of one hierarchy are related: one above the other, or where they meet."""
    for start, goal in ((a, b), (b, a)):
        if up := facts.climb(start, goal, _PARTHOOD):
            return Found((walk(facts, up),))
    meetings = _common(facts, a, b)
    if not meetings:
        return none_found(
            f"the loaded releases relate {facts.label(a)} and {facts.label(b)} neither directly "
            "nor through a common ancestor; name two terms of one ontology, or a gene and a term "
            "it is annotated to"
        )
    findings = [Finding(*meeting) for meeting in meetings]
    findings += [
        walk(facts, piece.path.edges)
        for piece in meetings[0][1]
        if isinstance(piece, PathEvidence) and len(piece.path.edges) > 1
    ]
    return Found(tuple(findings))


def supertypes(facts: Facts, a: Curie) -> Found:
    """What ``a`` is a kind of, one step up."""
    return _listed(facts, a, inverse=False, lacking="has no parent class: it is a root")


def subtypes(facts: Facts, a: Curie) -> Found:
    """The kinds of ``a``, one step down."""
    return _listed(facts, a, inverse=True, lacking="has no kinds of its own: it is a leaf")


def _listed(facts: Facts, a: Curie, *, inverse: bool, lacking: str) -> Found:
    predicate = IS_A
    edges = _steps(facts, a, predicate, inverse)
    if not edges:
        predicate = IS_A_OR_PART_OF
        edges = _steps(facts, a, predicate, inverse)
    if not edges:
        term = facts.names.term(a)
        where = f" in {term.source} {term.release}" if term else ""
        return none_found(f"{facts.label(a)} {lacking}{where}")
    return listing(facts, a, predicate, edges, inverse=inverse)


def listing(
    facts: Facts, a: Curie, predicate: Curie, edges: Sequence[Edge], *, inverse: bool
) -> Found:
    """A list of direct neighbours, with their number."""
    others = list(dict.fromkeys(edge.subject if inverse else edge.object for edge in edges))
    shown = others[: facts.shown]
    cited = [e for e in edges if (e.subject if inverse else e.object) in shown]
    evidence = tuple(facts.edge(edge) for edge in cited)
    fact = Statement(
        Form.FACT, subject=a, predicate=predicate, objects=tuple(shown), inverse=inverse
    )
    if len(others) == len(shown):
        return Found((Finding(fact, evidence),))
    total = Statement(
        Form.TOTAL, subject=a, predicate=predicate, inverse=inverse, numbers=(len(others),)
    )
    note = f"{len(shown)} of them are named here."
    return Found((Finding(total, evidence[:1]), Finding(fact, evidence)), (note,))


def _steps(facts: Facts, a: Curie, predicate: Curie, inverse: bool) -> list[Edge]:
    direction = "in" if inverse else "out"
    edges = facts.graph.edges(a, direction=direction, predicates=(predicate,))  # type: ignore[arg-type]
    return [edge for edge in edges if not edge.negated]


def siblings(facts: Facts, a: Curie) -> Found:
    """Other kinds of the nearest parents of ``a``."""
    parents = _steps(facts, a, IS_A, inverse=False) or _steps(
        facts, a, IS_A_OR_PART_OF, inverse=False
    )
    findings: list[Finding] = []
    notes: list[str] = []
    for up in parents:
        edges = _steps(facts, up.object, up.predicate, inverse=True)
        others = [edge for edge in edges if edge.subject != a]
        shown = others[: facts.shown]
        if not shown:
            continue
        fact = Statement(
            Form.FACT,
            subject=up.object,
            predicate=up.predicate,
            objects=(a, *(edge.subject for edge in shown)),
            inverse=True,
        )
        evidence = tuple(facts.edge(edge) for edge in (up, *shown))
        findings.append(Finding(fact, evidence))
        if len(others) > len(shown):
            notes.append(
                f"{len(shown)} of {len(others)} other kinds of {facts.label(up.object)} are named."
            )
    if not findings:
        return none_found(f"{facts.label(a)} has no siblings in the loaded releases")
    return Found(tuple(findings), tuple(notes))


def parts(facts: Facts, a: Curie) -> Found:
    """What is part of ``a``, one step down."""
    edges = _steps(facts, a, PART_OF, inverse=True)
    if edges:
        return listing(facts, a, PART_OF, edges, inverse=True)
    if edges := _steps(facts, a, HAS_PART, inverse=False):
        return listing(facts, a, HAS_PART, edges, inverse=False)
    if edges := _steps(facts, a, IS_A_OR_PART_OF, inverse=True):
        found = listing(facts, a, IS_A_OR_PART_OF, edges, inverse=True)
        return Found(found.findings, (*found.notes, _unlabelled(edges[0])))
    return none_found(f"no loaded release names parts of {facts.label(a)}")


def wholes(facts: Facts, a: Curie) -> Found:
    """What ``a`` is part of, one step up."""
    if edges := _steps(facts, a, PART_OF, inverse=False):
        return listing(facts, a, PART_OF, edges, inverse=False)
    if edges := _steps(facts, a, IS_A_OR_PART_OF, inverse=False):
        found = listing(facts, a, IS_A_OR_PART_OF, edges, inverse=False)
        return Found(found.findings, (*found.notes, _unlabelled(edges[0])))
    term = facts.names.term(a)
    hint = ""
    if term and term.category is Category.CELL_TYPE:
        hint = (
            "; the loaded Cell Ontology has hardly any part-of statements: `celloquy data fetch "
            "cl-obo` brings the full release with them"
        )
    return none_found(f"no loaded release says what {facts.label(a)} is part of{hint}")


def _unlabelled(edge: Edge) -> str:
    return (
        f"{edge.source} {edge.release}, as loaded, does not say which of these are kinds and "
        "which are parts."
    )
