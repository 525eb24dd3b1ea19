"""Look-ups in the knowledge graph, as Python functions and as the documents of the command line.

:func:`neighbours`, :func:`path` and :func:`term` are what ``celloquy.neighbours`` and the commands
of those names call; the ``*_document`` functions give their JSON. Names that people type are
resolved here (genes by :mod:`data.genes`, everything else by :mod:`kg.grounding`); ranking and
ontology mathematics are in kg. Nothing heavy is imported: a cold look-up goes to SQLite alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import cache
from typing import TYPE_CHECKING, Any

from data.errors import AssetMissing, BadInput
from data.manifest import age_in_days
from kg.graph import KnowledgeGraph
from kg.mentions import Candidate
from kg.neighbours import Neighbour, Neighbourhood, evidence_codes, neighbourhood, relation
from kg.terms import Category, Curie, Edge, Term, is_curie

if TYPE_CHECKING:
    from data.genes import Species

__all__ = [
    "gene_neighbourhood",
    "neighbours",
    "neighbours_document",
    "open_graph",
    "releases_of",
    "term",
    "term_document",
]


@cache
def open_graph(uri: str | None = None) -> KnowledgeGraph:
    """Open the knowledge graph: the built file, or a server; once a process.

    Parameters
    ----------
    uri
        ``bolt://host:port`` of a graph server; None for the file that was built from the
        fetched assets. It is built where it is not there.

    Raises
    ------
    AssetMissing
        When the assets were not fetched.
    BadInput
        When the address is no such address.
    """
    if uri is not None:
        return _server(uri)
    from kg.embedded import EmbeddedGraph

    try:
        return EmbeddedGraph.open()
    except AssetMissing:
        from kg.embedded import ensure_built

        return EmbeddedGraph.open(ensure_built(_say))


def _server(uri: str) -> KnowledgeGraph:
    raise BadInput(f"{uri!r} is no graph server; expected bolt://host:port")


def _say(line: str) -> None:
    import sys

    sys.stderr.write(f"building the graph: {line}\n")


def neighbours(
    gene: str,
    relations: Iterable[str] | None = None,
    limit: int = 50,
    *,
    evidence: Iterable[str] = (),
    hops: int = 1,
    species: Species = "human",
    graph: KnowledgeGraph | None = None,
) -> list[Neighbour]:
    """Give a gene's neighbours in the knowledge graph, best supported first.

    Parameters
    ----------
    gene
        A symbol, alias or identifier ("CD8A", "cd8alpha", "ENSG00000153563.16", "HGNC:1706"),
        or the id of any other node.
    relations
        Only these relations, by label or id ("involved in", "RO:0002331"); None means all.
    limit
        At most so many.
    evidence
        Only rows with these evidence codes or classes ("IDA", "experimental").
    hops
        How far to go, 1 to 3.
    species
        Whose gene symbols are meant.
    graph
        Another graph than the default one.

    Returns
    -------
    list of Neighbour
        Statements that a relation does not hold are not among them
        (:func:`gene_neighbourhood` gives them apart).

    Raises
    ------
    UnknownTerm
        When no gene is called so; the message has suggestions.
    BadInput
        When several genes are, or a relation or evidence code is not known.
    """
    found = gene_neighbourhood(
        gene,
        relations=relations,
        evidence=evidence,
        hops=hops,
        limit=limit,
        species=species,
        graph=graph,
    )
    return list(found.neighbours)


def gene_neighbourhood(
    gene: str,
    *,
    relations: Iterable[str] | None = None,
    evidence: Iterable[str] = (),
    hops: int = 1,
    limit: int | None = 50,
    offset: int = 0,
    species: Species = "human",
    graph: KnowledgeGraph | None = None,
) -> Neighbourhood:
    """Like :func:`neighbours`, with the total, a page, and the statements that do not hold."""
    store = graph or open_graph()
    return neighbourhood(
        store,
        _node(gene, species, store),
        relations=[relation(word) for word in relations or ()],
        evidence=evidence_codes(evidence),
        hops=hops,
        limit=limit,
        offset=offset,
    )


def _node(text: str, species: Species, graph: KnowledgeGraph) -> Curie:
    """The id of the gene or node that a text means."""
    if is_curie(text) and (known := graph.term(text)) is not None:
        return known.replaced_by or known.id if known.obsolete else known.id
    from data.genes import find_gene

    return find_gene(text, species).id


def term(
    text: str,
    *,
    categories: Sequence[Category] = (),
    limit: int = 10,
    graph: KnowledgeGraph | None = None,
) -> list[Candidate]:
    """Rank the terms that a text names: cell types, genes, processes, anatomy, diseases.

    Raises
    ------
    BadInput
        When the text is empty.
    """
    if not text.strip():
        raise BadInput("no text was given; expected a name or an id, such as 'NK cells'")
    from kg.grounding import candidates

    store = graph or open_graph()
    return list(candidates(text, store, categories=categories, limit=limit))


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


def neighbours_document(found: Neighbourhood, graph: KnowledgeGraph) -> dict[str, Any]:
    """The document of ``celloquy neighbours --json``."""
    centre = found.centre
    rows = (*found.neighbours, *found.negated)
    sources = {edge.source for row in rows for edge in row.edges} | {centre.source}
    return {
        "gene": {"id": centre.id, "symbol": centre.label, "name": _full_name(centre)},
        "neighbours": [_neighbour(row) for row in found.neighbours],
        "total": found.total,
        "negated": [_neighbour(row) for row in found.negated],
        "notices": list(found.notices),
        "releases": releases_of(graph, sources),
    }


def _full_name(node: Term) -> str:
    """A gene's name in words: the first synonym that is no symbol."""
    return next((s.text for s in node.synonyms if " " in s.text), "")


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
