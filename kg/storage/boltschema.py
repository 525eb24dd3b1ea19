"""How the graph lies in a server: labels, relationship types, properties, and rows to values.

Everything that could become part of a Cypher text is named here, from closed tables; text from
users and from sources is only ever a parameter. A ``Term`` is a node with the properties of
:class:`kg.terms.Term`; an edge is a relationship whose type is its predicate's name and whose
``key`` is the edge's content hash; a ``Name`` is one lexical entry, numbered in search order; a
``Word`` holds the numbers of the names that contain it. What Cypher would be slow to find out is
stored: with a term its ancestors and how many terms are below it, how many terms a category has
(``Size``), and the edges between them as ``Hierarchy`` nodes of some thousand pairs. Long lists
of ids are one text: servers store and send it several times faster than a list.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from types import MappingProxyType
from typing import Any

from kg.graph import LexicalEntry
from kg.storage import schema
from kg.terms import PREDICATES, Category, Curie, Edge, Scope, Synonym, Term

__all__ = [
    "CONSTRAINTS",
    "LABELS",
    "TYPES",
    "ancestors_of",
    "edge_of",
    "edge_row",
    "entries_of",
    "entry_of",
    "entry_row",
    "hierarchy_rows",
    "layout",
    "term_of",
    "term_row",
    "triples_of",
    "types",
]

VERSION = 3  # of what is described above; a server that holds another one is loaded again

PAIRS = 5_000  # in one Hierarchy node: some 100 kB

LABELS = ("Term", "Name", "Word", "Hierarchy", "Size", "Release", "Count", "Notice", "Load")
"""Every label of Celloquy's; no other node of the database is ever touched."""


def _type(predicate: Curie) -> str:
    return re.sub(r"[^A-Z]+", "_", PREDICATES[predicate].label.upper())


TYPES: Mapping[Curie, str] = MappingProxyType({one: _type(one) for one in PREDICATES})
"""Relationship type of each predicate: ``IS_A``, ``DEVELOPS_FROM``, ..."""

CONSTRAINTS: tuple[str, ...] = (
    "CREATE CONSTRAINT celloquy_term IF NOT EXISTS FOR (t:Term) REQUIRE t.id IS UNIQUE",
    "CREATE CONSTRAINT celloquy_name IF NOT EXISTS FOR (n:Name) REQUIRE n.entry IS UNIQUE",
    "CREATE CONSTRAINT celloquy_word IF NOT EXISTS FOR (w:Word) REQUIRE w.word IS UNIQUE",
    "CREATE CONSTRAINT celloquy_hierarchy IF NOT EXISTS "
    "FOR (h:Hierarchy) REQUIRE h.number IS UNIQUE",
    "CREATE CONSTRAINT celloquy_load IF NOT EXISTS FOR (l:Load) REQUIRE l.part IS UNIQUE",
    "CREATE INDEX celloquy_key IF NOT EXISTS FOR (n:Name) ON (n.key)",
    "CREATE INDEX celloquy_category IF NOT EXISTS FOR (t:Term) ON (t.category)",
)
"""Made before anything is loaded: without its constraint each edge would scan every node."""


def layout() -> str:
    """A hash of how a graph lies in a server and of the closed tables."""
    parts = (str(VERSION), schema.layout(), *CONSTRAINTS, *LABELS, *TYPES.values())
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()


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


def term_row(
    term: Term,
    above: Iterable[tuple[int, Sequence[Curie], Sequence[int]]] = (),
    below: Mapping[int, int] = MappingProxyType({}),
) -> dict[str, Any]:
    """Properties of one term.

    ``above`` are its ancestors and their hops by stored closure, ``below`` how many terms there
    are (:meth:`kg.embedded.EmbeddedGraph.all_above` and ``all_counts``).
    """
    properties: dict[str, Any] = {
        "label": term.label,
        "category": term.category.value,
        "source": term.source,
        "release": term.release,
        "definition": term.definition,
        "definition_xrefs": list(term.definition_xrefs),
        "synonyms": [synonym.text for synonym in term.synonyms],
        "scopes": " ".join(synonym.scope.value for synonym in term.synonyms),
        "xrefs": list(term.xrefs),
        "replaced_by": term.replaced_by,
        "consider": list(term.consider),
        "taxon": term.taxon,
    }
    for closure, ids, hops in above:
        properties[f"above_{closure}"] = _levels(ids, hops)
    # Zero and False are values, not absences.
    counts = {f"below_{closure}": n for closure, n in below.items()}
    return {"id": term.id, **_given(properties), **counts, "obsolete": term.obsolete}


def _levels(ids: Sequence[Curie], hops: Sequence[int]) -> str:
    """Ids joined by blanks, and those of one hop more after a bar; an id has neither."""
    levels = groupby(zip(hops, ids, strict=True), key=lambda pair: pair[0])
    return schema.SEPARATOR.join(" ".join(id_ for _, id_ in level) for _, level in levels)


def ancestors_of(text: str) -> dict[Curie, int]:
    """Ancestors and their hops from the property of a term."""
    levels = enumerate(text.split(schema.SEPARATOR))
    return {id_: hop for hop, level in levels for id_ in level.split()}


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
            for text, scope in zip(
                found.get("synonyms", ()), found.get("scopes", "").split(), strict=True
            )
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
        "properties": {**_given(properties), "key": edge.key, "negated": edge.negated},
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


def entry_row(number: int, entry: LexicalEntry) -> dict[str, Any]:
    """Properties of one Name."""
    return {
        "entry": number,
        "key": entry.key,
        "text": entry.text,
        "scope": entry.scope.value,
        "id": entry.id,
        "category": entry.category.value,
    }


def hierarchy_rows(
    category: Category, triples: Sequence[tuple[Curie, Curie, Curie]], first: int
) -> Iterator[dict[str, Any]]:
    """Properties of the Hierarchy nodes of a category's edges, numbered from ``first`` on."""
    number = first
    for predicate, group in groupby(triples, key=lambda triple: triple[1]):
        some = list(group)
        for start in range(0, len(some), PAIRS):
            part = some[start : start + PAIRS]
            yield {
                "number": number,
                "category": category.value,
                "predicate": predicate,
                "subjects": " ".join(subject for subject, _, _ in part),
                "objects": " ".join(object_ for _, _, object_ in part),
            }
            number += 1


def triples_of(found: Mapping[str, Any]) -> list[tuple[Curie, Curie, Curie]]:
    """Edges from the properties of a Hierarchy node."""
    pairs = zip(found["subjects"].split(), found["objects"].split(), strict=True)
    return [(subject, found["predicate"], object_) for subject, object_ in pairs]
