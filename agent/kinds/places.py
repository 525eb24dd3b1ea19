"""Questions about where in the body a cell type is, and which cell types are in a tissue.

Part-of statements come with the official release of the Cell Ontology; without them a type's
definition says where it is found, and is quoted as it stands. A definition that names a tissue is
no census of it, and the answer says so.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agent.facts import Facts, Finding, Found, none_found
from agent.verification.statement import Form, Statement
from kg.grounding import ground
from kg.terms import PART_OF, Category, Curie, Scope, Term
from kg.tissues import tissues_of

__all__ = ["tissue", "types_in"]

_QUOTED = 6  # definitions that an answer quotes
_TOO_GENERAL = frozenset(
    {"UBERON:0001062", "UBERON:0000468", "UBERON:0000479", "UBERON:0000062", "UBERON:0000061"}
)
"""Anatomical entity, multicellular organism, tissue, organ, structure: they say no place."""


def tissue(facts: Facts, type_: Curie) -> Found:
    """Where a cell type is: what it is part of, and its definition where that names a place."""
    findings = _stated(facts, type_, inward=False)
    term = facts.names.term(type_)
    words = facts.words(type_, "definition")
    places = _places(facts, words.text) if words else []
    if term and words and places:
        findings.append(Finding(Statement(Form.DEFINED, type_, quotes=(words.text,)), (words,)))
    if findings:
        return Found(tuple(findings))
    return none_found(
        f"no loaded release states what {facts.label(type_)} is part of, and its definition names "
        "no tissue; part-of statements come with: celloquy data update cl"
    )


def _places(facts: Facts, text: str) -> list[Curie]:
    found = ground(text, facts.graph)
    return [m.id for m in found if m.category is Category.ANATOMY and m.id not in _TOO_GENERAL]


def types_in(facts: Facts, tissue: Curie) -> Found:
    """Cell types that are part of a tissue, or whose definitions name it."""
    findings = _stated(facts, tissue, inward=True)
    named = _naming(facts, tissue)
    for term in named[:_QUOTED]:
        if (words := facts.words(term.id, "definition")) is not None:
            statement = Statement(Form.DEFINED, term.id, quotes=(words.text,))
            findings.append(Finding(statement, (words,)))
    if not findings:
        return none_found(
            f"no loaded release states which cell types are part of {facts.label(tissue)}, and no "
            "definition of one names it; part-of statements come with: celloquy data update cl"
        )
    notes = []
    if named:
        label = facts.names.label(tissue)
        if len(named) == 1:
            notes.append(
                f"Quoted is the one definition that names {label}; which other types are found "
                "there it does not say."
            )
        else:
            few = f"{_QUOTED} of {len(named)}" if len(named) > _QUOTED else f"{len(named)}"
            notes.append(
                f"Quoted are {few} definitions that name {label}; which other types are found "
                "there they do not say."
            )
    return Found(tuple(findings), tuple(notes))


def _stated(facts: Facts, id: Curie, *, inward: bool) -> list[Finding]:
    """Part-of statements that join a cell type and a place."""
    edges = [
        edge
        for edge in facts.graph.edges(
            id, direction="in" if inward else "out", predicates=(PART_OF,)
        )
        if not edge.negated
    ]
    facts.names.load(edge.subject if inward else edge.object for edge in edges)
    wanted = Category.CELL_TYPE if inward else Category.ANATOMY
    others = {
        end: facts.edge(edge)
        for edge in edges
        if facts.names.category(end := edge.subject if inward else edge.object) is wanted
    }
    if not others:
        return []
    shown = dict(list(others.items())[: facts.shown])
    statement = Statement(
        Form.FACT, subject=id, predicate=PART_OF, objects=tuple(shown), inverse=inward
    )
    return [Finding(statement, tuple(shown.values()))]


def _naming(facts: Facts, tissue: Curie) -> Sequence[Term]:
    """Cell types whose definitions name the tissue, those reported from it first."""
    term = facts.names.term(tissue)
    if term is None or tissue in _TOO_GENERAL:
        return []
    names = [term.label, *(s.text for s in term.synonyms if s.scope is Scope.EXACT)]
    pattern = re.compile(
        rf"\b(?:{'|'.join(re.escape(name) for name in names if len(name) > 2)})s?\b", re.IGNORECASE
    )
    found = []
    for one in facts.graph.terms_of(Category.CELL_TYPE):
        if match := pattern.search(one.definition):
            reported = tissue in tissues_of().get(one.id, ())
            found.append((not reported, match.start(), one.id, one))
    return [row[-1] for row in sorted(found, key=lambda row: row[:3])]
