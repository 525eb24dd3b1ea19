"""How the graph lies in a server: labels, relationship types, properties, and rows to values.

Everything that could become part of a Cypher text is named here, from closed tables; text from
users and from sources is only ever a parameter. A ``Term`` is a node with the properties of
:class:`kg.terms.Term`; an edge is a relationship whose type is its predicate's name and whose
``key`` is the edge's content hash; a ``Name`` is one lexical entry, numbered in search order; a
``Word`` holds the numbers of the names that contain it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from kg import schema
from kg.graph import LexicalEntry
from kg.terms import PREDICATES, Category, Curie, Edge, Scope, Synonym, Term

__all__ = [
    "CONSTRAINTS",
    "TYPES",
    "edge_of",
    "edge_row",
    "entries_of",
    "entry_of",
    "term_of",
    "term_row",
    "types",
]


def _type(predicate: Curie) -> str:
    return re.sub(r"[^A-Z]+", "_", PREDICATES[predicate].label.upper())


TYPES: Mapping[Curie, str] = MappingProxyType({one: _type(one) for one in PREDICATES})
"""Relationship type of each predicate: ``IS_A``, ``DEVELOPS_FROM``, ..."""

CONSTRAINTS: tuple[str, ...] = (
    "CREATE CONSTRAINT celloquy_term IF NOT EXISTS FOR (t:Term) REQUIRE t.id IS UNIQUE",
    "CREATE CONSTRAINT celloquy_name IF NOT EXISTS FOR (n:Name) REQUIRE n.entry IS UNIQUE",
    "CREATE CONSTRAINT celloquy_word IF NOT EXISTS FOR (w:Word) REQUIRE w.word IS UNIQUE",
    "CREATE CONSTRAINT celloquy_load IF NOT EXISTS FOR (l:Load) REQUIRE l.part IS UNIQUE",
    "CREATE INDEX celloquy_key IF NOT EXISTS FOR (n:Name) ON (n.key)",
    "CREATE INDEX celloquy_category IF NOT EXISTS FOR (t:Term) ON (t.category)",
)
"""Made before anything is loaded: a MERGE without its constraint scans every node."""


def types(predicates: Iterable[Curie]) -> str | None:
    """``:IS_A|PART_OF`` for a pattern; empty for all, None where none of those named is known."""
    wanted = list(dict.fromkeys(predicates))
    known = [TYPES[one] for one in wanted if one in TYPES]
    if wanted and not known:
        return None
    return ":" + "|".join(known) if known else ""


def entries_of(category: Category) -> str:
    """The property of a Word that holds the entries of one category."""
    return f"entries_{schema.CATEGORIES.index(category)}"


def _given(properties: Mapping[str, Any]) -> dict[str, Any]:
    """Without what is empty: servers keep no null, and an absent property reads as empty."""
    return {key: value for key, value in properties.items() if value not in (None, "", [])}


def term_row(term: Term, above: Iterable[tuple[int, list[Curie], list[int]]]) -> dict[str, Any]:
    """Parameters of one term; ``above`` are its ancestors and their hops by stored closure."""
    properties: dict[str, Any] = {
        "label": term.label,
        "category": term.category.value,
        "source": term.source,
        "release": term.release,
        "definition": term.definition,
        "definition_xrefs": list(term.definition_xrefs),
        "synonyms": [synonym.text for synonym in term.synonyms],
        "scopes": [synonym.scope.value for synonym in term.synonyms],
        "xrefs": list(term.xrefs),
        "replaced_by": term.replaced_by,
        "consider": list(term.consider),
        "taxon": term.taxon,
    }
    for closure, ids, hops in above:
        properties[f"above_{closure}"], properties[f"hops_{closure}"] = ids, hops
    # False is a value, not an absence.
    return {"id": term.id, "properties": {**_given(properties), "obsolete": term.obsolete}}


def term_of(found: Mapping[str, Any]) -> Term:
    """A term from the properties of its node."""
    return Term(
        id=found["id"],
        label=found.get("label", ""),
        category=Category(found["category"]),
        source=found["source"],
        release=found["release"],
        definition=found.get("definition", ""),
        definition_xrefs=tuple(found.get("definition_xrefs", ())),
        synonyms=tuple(
            Synonym(text, Scope(scope))
            for text, scope in zip(found.get("synonyms", ()), found.get("scopes", ()), strict=True)
        ),
        xrefs=tuple(found.get("xrefs", ())),
        obsolete=found["obsolete"],
        replaced_by=found.get("replaced_by"),
        consider=tuple(found.get("consider", ())),
        taxon=found.get("taxon"),
    )


def edge_row(edge: Edge) -> dict[str, Any]:
    """Parameters of one edge."""
    properties = {
        "predicate": edge.predicate,
        "source": edge.source,
        "release": edge.release,
        "evidence_code": edge.evidence_code,
        "publications": list(edge.publications),
        "qualifiers": list(edge.qualifiers),
        "taxon": edge.taxon,
        "weight": edge.weight,
    }
    return {
        "subject": edge.subject,
        "object": edge.object,
        "key": edge.key,
        "properties": {**_given(properties), "negated": edge.negated},
    }


def edge_of(subject: Curie, object: Curie, found: Mapping[str, Any]) -> Edge:
    """An edge from its ends and the properties of its relationship."""
    return Edge(
        subject=subject,
        predicate=found["predicate"],
        object=object,
        source=found["source"],
        release=found["release"],
        evidence_code=found.get("evidence_code"),
        publications=tuple(found.get("publications", ())),
        negated=found["negated"],
        qualifiers=tuple(found.get("qualifiers", ())),
        taxon=found.get("taxon"),
        weight=found.get("weight"),
    )


def entry_of(found: Mapping[str, Any]) -> LexicalEntry:
    """A lexical entry from the properties of its Name."""
    return LexicalEntry(
        key=found["key"],
        text=found["text"],
        scope=Scope(found["scope"]),
        id=found["id"],
        category=Category(found["category"]),
    )
