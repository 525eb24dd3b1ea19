"""Look-ups in the knowledge graph, as `celloquy.neighbours` and `celloquy.path` call them.

Names that people type are resolved here (genes by :mod:`data.genes`, everything else by
:mod:`kg.grounding`); ranking and ontology mathematics are in kg, documents in
:mod:`agent.documents`. Nothing heavy is imported: a cold look-up goes to SQLite alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING

from data.errors import AssetMissing, BadInput, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.naming.mentions import Candidate
from kg.neighbours import Neighbour, Neighbourhood, neighbourhood
from kg.support import evidence_codes, relation
from kg.terms import Category, Curie, Scope, is_curie

if TYPE_CHECKING:
    from data.genes import Species
    from kg.measures.relatedness import OntologyPath

__all__ = ["gene_neighbourhood", "neighbours", "open_graph", "path", "term"]

_UNCLEAR = 0.005  # candidates this close are equally good: the user is asked
_ONTOLOGIES = tuple(c for c in Category if c not in (Category.GENE, Category.OTHER))
_TAXA = {"human": "NCBITaxon:9606", "mouse": "NCBITaxon:10090"}
_EXACT = 0.92  # a label or an exact synonym of any category, as written
_TELLING = 4  # letters with which a shared beginning of a word says something
# "Tcell", "Bcells": a name and its noun without the space between.
_GLUED = re.compile(r"\b([A-Za-z][A-Za-z0-9+\-]{0,14}?)(cells?|lymphocytes?)\b")
_LIKE = 0.4  # score of a name that merely shares its words with the text


@cache
def open_graph(uri: str | None = None) -> KnowledgeGraph:
    """Open the knowledge graph, once a process.

    Parameters
    ----------
    uri
        None for the file that is built from the fetched assets (it is built where it is not
        there); ``bolt://HOST:PORT`` for a server that `celloquy kg load` has filled.

    Raises
    ------
    AssetMissing
        When the assets were not fetched, or when the server holds no complete graph.
    ServerUnavailable
        When the server does not answer.
    """
    if uri is not None:
        from kg.cypher import Connection, CypherGraph

        return CypherGraph.open(Connection(uri))
    from kg.embedded import EmbeddedGraph, ensure_built

    try:
        return EmbeddedGraph.open()
    except AssetMissing:
        return EmbeddedGraph.open(ensure_built(_say))


def _say(line: str) -> None:
    sys.stderr.write(f"building the graph: {line}\n")


def neighbours(
    gene: str,
    relations: Iterable[str] | None = None,
    limit: int = 50,
    *,
    evidence: Iterable[str] = (),
    hops: int = 1,
    species: Species | None = None,
    graph: KnowledgeGraph | None = None,
) -> list[Neighbour]:
    """Give a gene's neighbours in the knowledge graph, best supported first.

    Parameters
    ----------
    gene
        A symbol, alias or identifier ("CD8A", "cd8alpha", "ENSG00000153563.16", "HGNC:1706"),
        or the id or the exact name of any other term.
    relations
        Only these relations, by label or id ("involved in", "RO:0002331"); None means all.
    limit
        At most so many.
    evidence
        Only rows with these evidence codes or classes ("IDA", "experimental").
    hops
        How far to go, 1 to 3.
    species
        Whose gene symbols are meant and whose statements are wanted; None reads symbols as
        human ones and keeps the statements of all.
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
    species: Species | None = None,
    graph: KnowledgeGraph | None = None,
) -> Neighbourhood:
    """Like :func:`neighbours`, with the total, a page, and the statements that do not hold."""
    chosen = [relation(word) for word in relations or ()]
    codes = evidence_codes(evidence)
    store = graph or open_graph()
    node, said = _node(gene, species or "human", store)
    found = neighbourhood(
        store,
        node,
        relations=chosen,
        evidence=codes,
        taxon=_TAXA.get(species or ""),
        hops=hops,
        limit=limit,
        offset=offset,
    )
    return replace(found, notices=(*said, *found.notices))


def _node(text: str, species: Species, graph: KnowledgeGraph) -> tuple[Curie, tuple[str, ...]]:
    """The id of the gene or other node that a text means, and what to tell about it."""
    if not text.strip():
        raise BadInput("no gene was given; expected a symbol or an id, such as CD8A")
    if is_curie(text) and (_of_an_ontology(text, graph) or graph.term(text) is not None):
        from kg.ontology import resolve

        resolved = resolve(graph, text)
        return resolved.term.id, resolved.notices
    from data.genes import find_gene

    try:
        return find_gene(text, species).id, ()
    except UnknownTerm:
        # No gene: perhaps the name of a cell type or a process, exactly as it is written.
        from kg.grounding import candidates

        found = [c for c in candidates(text, graph, categories=_ONTOLOGIES) if c.score >= _EXACT]
        if len(found) != 1:
            raise
        return found[0].id, (found[0].notice,) if found[0].notice else ()


def _of_an_ontology(id: Curie, graph: KnowledgeGraph) -> bool:
    """Whether the prefix is an ontology's own; tables of genes are read by :mod:`data.genes`."""
    prefix = id.split(":")[0]
    return prefix in graph.releases and prefix not in ("HGNC", "MGI")


def path(
    a: str,
    b: str,
    *,
    predicates: str | Iterable[str] | None = None,
    graph: KnowledgeGraph | None = None,
) -> OntologyPath:
    """Give the path between two terms through their lowest common ancestor.

    Parameters
    ----------
    a, b
        Names or ids of two terms of one ontology ("NK cell", "CL:0000084").
    predicates
        What counts as upward: ``"i"`` is a, ``"p"`` part of, or ids; the default is *is a*, and
        for anatomy *is a* and *part of*, which its file does not tell apart.
    graph
        Another graph than the default one.

    Raises
    ------
    UnknownTerm
        When a name is not known.
    BadInput
        When a name may mean several terms, or the terms are of different ontologies.
    """
    from kg.measures.relatedness import relate

    store = graph or open_graph()
    ends = [_ontology_term(text, store) for text in (a, b)]
    found = relate(store, ends[0].id, ends[1].id, predicates)
    said = (*(end.notice for end in ends if end.notice), *found.notices)
    return replace(found, notices=tuple(dict.fromkeys(said)))


def _ontology_term(text: str, graph: KnowledgeGraph) -> Candidate:
    """The one ontology term that a text means."""
    from kg.grounding import candidates
    from kg.naming.labels import ground_label

    found = candidates(text, graph, categories=_ONTOLOGIES)
    if not found and is_curie(text):
        raise UnknownTerm(f"no term {text} in the graph; find one with: celloquy term NAME")
    found = found or tuple(c for c in ground_label(text, graph) if c.how != "part")
    if not found:
        raise UnknownTerm(_no_term(text, graph))
    first, *others = found
    rivals = [c for c in others if c.score >= first.score - _UNCLEAR]
    if rivals:
        offers = ", ".join(f"{c.label} ({c.id})" for c in (first, *rivals)[:5])
        raise BadInput(f"{text!r} may mean several terms: {offers}; name one of them")
    return first


def _no_term(text: str, graph: KnowledgeGraph) -> str:
    """Why a text is no end of a path: what it names instead, if it names anything."""
    from kg.grounding import candidates

    other = next(iter(candidates(text, graph, limit=1)), None)
    if other is None:
        return f"{text!r} names no term; find one with: celloquy term {text!r}"
    if other.category is Category.GENE:
        return (
            f"{text!r} is the gene {other.label} ({other.id}), and a path joins two terms of one "
            f"ontology; for what is known of a gene: celloquy neighbours {other.label}, for two "
            f"genes: celloquy ask 'How is {other.label} connected to GENE?'"
        )
    return (
        f"{text!r} is {other.label} ({other.id}), which is in no ontology with a hierarchy; "
        "expected a cell type, process, tissue or disease"
    )


def term(
    text: str,
    *,
    categories: Sequence[Category] = (),
    limit: int = 10,
    graph: KnowledgeGraph | None = None,
) -> list[Candidate]:
    """Rank the terms that a text names: cell types, genes, processes, anatomy, diseases.

    A text that names nothing exactly is read as a label of a dataset; if that fails too, names
    that share its words are offered, with low scores. ``Candidate.how`` and ``notice`` tell which.

    Raises
    ------
    BadInput
        When the text is empty.
    """
    if not text.strip():
        raise BadInput("no text was given; expected a name or an id, such as 'NK cells'")
    from kg.grounding import candidates
    from kg.naming.labels import ground_label

    store = graph or open_graph()
    found = candidates(text, store, categories=categories, limit=limit)
    if not found:
        found = candidates(_GLUED.sub(r"\1 \2", text), store, categories=categories, limit=limit)
    if not found and is_curie(text) and _of_an_ontology(text, store):
        return []  # an id that its ontology does not have: no name is meant
    if not found and (not categories or Category.CELL_TYPE in categories):
        found = ground_label(text, store, limit=limit)
    if found and found[0].how != "part":
        return list(found)
    return [*found, *_similar(text, categories, limit - len(found), store)]


def _shares(text: str, key: str) -> bool:
    """Whether a name begins a word as the text does, words that say nothing aside."""
    from kg.grounding import FUNCTION_WORDS
    from kg.naming.lexicon import normalise

    asked = [w for w in normalise(text).split() if w not in FUNCTION_WORDS]
    return any(
        word.startswith(one) and len(one) >= _TELLING for one in asked for word in key.split()
    )


def _similar(
    text: str, categories: Sequence[Category], limit: int, graph: KnowledgeGraph
) -> list[Candidate]:
    """Terms whose names share words with the text, as the graph's full-text search ranks them."""
    entries = [
        entry
        for entry in graph.search(text, categories=categories, limit=4 * limit)
        if _shares(text, entry.key)
    ]
    terms = graph.terms(entry.id for entry in entries)
    found: dict[Curie, Candidate] = {}
    for entry in entries:
        known = terms[entry.id]
        if known.obsolete or entry.id in found:
            continue
        found[entry.id] = Candidate(
            id=entry.id,
            label=known.label,
            category=known.category,
            # The order of the search is the order of the scores.
            score=round(max(0.01, _LIKE - 0.01 * len(found)), 4),
            scope=Scope.UNKNOWN,
            matched=entry.text,
            source=known.source,
            release=known.release,
            how="words",
            notice=f"shares words with {entry.text!r}",
        )
    return list(found.values())[:limit]
