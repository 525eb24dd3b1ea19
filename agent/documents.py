"""The JSON documents of the look-up commands, and what every output says of its sources.

Keys that docs/commands.md lists are stable; what else stands beside them may grow. Documents are
made of values that were looked up (:mod:`agent.lookup`); nothing is looked up here but terms and
releases.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from data.manifest import age_in_days
from kg.graph import KnowledgeGraph
from kg.measures.relatedness import OntologyPath
from kg.naming.mentions import Candidate
from kg.neighbours import Neighbour, Neighbourhood
from kg.terms import Edge, Term

__all__ = [
    "full_name",
    "neighbours_document",
    "path_document",
    "releases_of",
    "sources_of",
    "term_document",
]


def releases_of(graph: KnowledgeGraph, sources: Iterable[str]) -> dict[str, dict[str, Any]]:
    """What an answer says of its sources: version, date and age in days, by source name."""
    known = graph.releases
    return {
        name: {
            "version": known[name].version,
            "date": known[name].date,
            "age_days": age_in_days(known[name].date),
        }
        for name in sorted(set(sources))
        if name in known
    }


def sources_of(found: Neighbourhood | OntologyPath) -> set[str]:
    """Names of the sources that a result rests on."""
    if isinstance(found, OntologyPath):
        edges = found.path.edges if found.path else ()
        return {edge.source for edge in edges} | {found.a.source, found.b.source}
    rows = (*found.neighbours, *found.negated)
    return {edge.source for row in rows for edge in row.edges} | {found.centre.source}


def full_name(node: Term) -> str:
    """A gene's name in words: its first synonym that is no symbol; "" where there is none."""
    return next((s.text for s in node.synonyms if " " in s.text), "")


def neighbours_document(found: Neighbourhood, graph: KnowledgeGraph) -> dict[str, Any]:
    """The document of ``celloquy neighbours --json``."""
    centre = found.centre
    return {
        "gene": {"id": centre.id, "symbol": centre.label, "name": full_name(centre)},
        "neighbours": [_neighbour(row) for row in found.neighbours],
        "total": found.total,
        "negated": [_neighbour(row) for row in found.negated],
        "notices": list(found.notices),
        "releases": releases_of(graph, sources_of(found)),
    }


def _neighbour(row: Neighbour) -> dict[str, Any]:
    best = row.edge
    return {
        "id": row.term.id,
        "label": row.term.label,
        "category": row.term.category.value,
        "predicate": row.predicate,
        "relation": row.relation,
        "direction": row.direction,
        "evidence_code": best.evidence_code,
        "publications": list(row.publications),
        "source": best.source,
        "release": best.release,
        "score": row.score,
        "negated": row.negated,
        "hops": row.hops,
        "via": list(row.via),
        "edges": [_edge(edge) for edge in row.edges],
    }


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "subject": edge.subject,
        "predicate": edge.predicate,
        "object": edge.object,
        "evidence_code": edge.evidence_code,
        "publications": list(edge.publications),
        "negated": edge.negated,
        "qualifiers": list(edge.qualifiers),
        "taxon": edge.taxon,
        "source": edge.source,
        "release": edge.release,
    }


def path_document(found: OntologyPath, graph: KnowledgeGraph) -> dict[str, Any]:
    """The document of ``celloquy path --json``."""
    nodes = found.path.nodes if found.path else ()
    edges = found.path.edges if found.path else ()
    return {
        "a": _short(found.a),
        "b": _short(found.b),
        "lca": [
            {**_short(one), "information_content": round(content, 6)}
            for one, content in found.ancestors
        ],
        "path": {
            "nodes": [_short(found.terms[node]) for node in nodes],
            "edges": [
                {
                    "subject": edge.subject,
                    "predicate": edge.predicate,
                    "object": edge.object,
                    "source": edge.source,
                    "release": edge.release,
                }
                for edge in edges
            ],
        },
        "distance": found.distance,
        "similarity": {
            name: None if value is None else round(value, 6)
            for name, value in found.similarity.items()
        },
        "predicates": list(found.predicates),
        "notices": list(found.notices),
        "releases": releases_of(graph, sources_of(found)),
    }


def _short(one: Term) -> dict[str, str]:
    return {"id": one.id, "label": one.label}


def term_document(text: str, found: Sequence[Candidate], graph: KnowledgeGraph) -> dict[str, Any]:
    """The document of ``celloquy term --json``."""
    terms = graph.terms(candidate.id for candidate in found)
    return {
        "query": text,
        "candidates": [_candidate(candidate, terms.get(candidate.id)) for candidate in found],
        "releases": releases_of(graph, {candidate.source for candidate in found}),
    }


def _candidate(found: Candidate, known: Term | None) -> dict[str, Any]:
    return {
        "id": found.id,
        "label": found.label,
        "category": found.category.value,
        "definition": known.definition if known else "",
        "synonyms": [synonym.text for synonym in known.synonyms] if known else [],
        "score": found.score,
        "scope": found.scope.value,
        "matched": found.matched,
        "how": found.how,
        "source": found.source,
        "release": found.release,
        "replaced": found.replaced,
        "notice": found.notice,
    }
