"""How two terms are related: the path through their lowest common ancestor, and how closely.

Puts :mod:`kg.ontology` (paths), :mod:`kg.similarity` and :mod:`kg.pagerank` (measures) together
for one pair, as a user asks for it. The measures over a whole ontology are read once for each
graph and kept. Knows ids, not names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from data.errors import BadInput, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.ontology import HIERARCHY, Resolved, meeting, resolve
from kg.support import relation
from kg.terms import (
    IS_A,
    IS_A_OR_PART_OF,
    PART_OF,
    PREDICATES,
    Category,
    Curie,
    Path,
    Term,
)

if TYPE_CHECKING:
    from kg.pagerank import PageRank
    from kg.similarity import Similarity

__all__ = ["OntologyPath", "relate", "upward"]

_LETTERS = {"i": IS_A, "p": PART_OF}  # the letters of the Ontology Access Kit
_WALKED = 6_000
"""Terms of an ontology up to which all walks at once are held; more would take gigabytes."""


@dataclass(frozen=True, slots=True)
class OntologyPath:
    """How two terms are related: through which ancestor, over which edges, and how closely.

    ``ancestors`` are the lowest common ancestors, the nearest first, each with its information
    content in nats. ``path`` is None, and ``distance`` with it, where there is none.
    ``similarity`` has resnik, lin, jaccard and ppr; ppr is None where the ontology is too large
    for all walks at once. ``notices`` say which obsolete id was followed.
    """

    a: Term
    b: Term
    ancestors: tuple[tuple[Term, float], ...]
    path: Path | None
    terms: Mapping[Curie, Term]
    predicates: tuple[Curie, ...]
    similarity: Mapping[str, float | None]
    notices: tuple[str, ...] = ()

    @property
    def distance(self) -> int | None:
        """Hops along the path."""
        return None if self.path is None else len(self.path.edges)

    def __str__(self) -> str:
        """The path in words, a hop at a time."""
        if self.path is None:
            return f"{self.a.label} and {self.b.label} have no common ancestor"
        words = [self.terms[self.path.nodes[0]].label]
        for node, edge in zip(self.path.nodes[1:], self.path.edges, strict=True):
            row = PREDICATES[edge.predicate]
            words.append(row.label if edge.object == node else row.inverse_label)
            words.append(self.terms[node].label)
        return " > ".join(words)


def relate(
    graph: KnowledgeGraph, a: Curie, b: Curie, predicates: str | Iterable[str] | None = None
) -> OntologyPath:
    """Relate two terms of one ontology.

    Parameters
    ----------
    graph
        Where the terms are read.
    a, b
        Their ids; obsolete ones are followed.
    predicates
        What leads upward, as :func:`upward` takes it.

    Raises
    ------
    UnknownTerm
        When no loaded source has an id, or it is obsolete and nothing replaces it.
    BadInput
        When the terms are of different ontologies.
    """
    ends = (_current(resolve(graph, a)), _current(resolve(graph, b)))
    one, other = (end.term for end in ends)
    if one.category is not other.category:
        raise BadInput(
            f"{one.label} ({one.id}) and {other.label} ({other.id}) are of different kinds; "
            f"expected two terms of one ontology"
        )
    leading = upward(predicates, one.category)
    met = meeting(graph, one.id, other.id, leading)
    measures = _measures(graph, one.category, leading)
    terms = graph.terms({*met.ancestors, *(met.path.nodes if met.path else ())})
    small = len(measures) <= _WALKED
    walks = _walks(graph, one.category, leading) if small else None
    return OntologyPath(
        a=one,
        b=other,
        ancestors=tuple((terms[m], measures.information_content(m)) for m in met.ancestors),
        path=met.path,
        terms=terms,
        predicates=leading,
        similarity={
            "resnik": measures.resnik(one.id, other.id),
            "lin": measures.lin(one.id, other.id),
            "jaccard": measures.jaccard(one.id, other.id),
            "ppr": walks.proximity(one.id, other.id) if walks else None,
        },
        notices=tuple(notice for end in ends for notice in end.notices),
    )


def _current(found: Resolved) -> Resolved:
    if found.term.obsolete:
        raise UnknownTerm("; ".join(found.notices) + "; expected a term in use")
    return found


def upward(predicates: str | Iterable[str] | None, category: Category) -> tuple[Curie, ...]:
    """The predicates that lead from a term to those above it.

    ``"i"`` is *is a*, ``"p"`` *part of*; ids and labels do too, several joined by commas. The
    default is *is a*; for anatomy both, which its file does not tell apart.

    Raises
    ------
    BadInput
        When one of them does not lead upward.

    >>> upward("i,p", Category.CELL_TYPE)
    ('rdfs:subClassOf', 'BFO:0000050')
    """
    if predicates is None:
        return tuple(HIERARCHY) if category is Category.ANATOMY else (IS_A,)
    words = predicates.split(",") if isinstance(predicates, str) else list(predicates)
    expected = BadInput(f"predicates are {words}; expected i (is a), p (part of), or both")
    try:
        chosen = [_LETTERS.get(word.strip()) or relation(word) for word in words if word.strip()]
    except BadInput as error:
        raise expected from error
    if not chosen or any(not PREDICATES[one].hierarchical for one in chosen):
        raise expected
    if category is Category.ANATOMY and {IS_A, PART_OF} <= set(chosen):
        chosen.append(IS_A_OR_PART_OF)
    return tuple(dict.fromkeys(chosen))


# What was read of an ontology, by graph; it goes when the graph goes.
_MEASURES: WeakKeyDictionary[KnowledgeGraph, dict[tuple[Category, tuple[Curie, ...]], Similarity]]
_MEASURES = WeakKeyDictionary()
_WALKS: WeakKeyDictionary[KnowledgeGraph, dict[tuple[Category, tuple[Curie, ...]], PageRank]]
_WALKS = WeakKeyDictionary()


def _measures(graph: KnowledgeGraph, category: Category, leading: tuple[Curie, ...]) -> Similarity:
    known = _MEASURES.setdefault(graph, {})
    if (category, leading) not in known:
        from kg.similarity import Similarity

        known[category, leading] = Similarity.of(graph, (category,), leading)
    return known[category, leading]


def _walks(graph: KnowledgeGraph, category: Category, leading: tuple[Curie, ...]) -> PageRank:
    known = _WALKS.setdefault(graph, {})
    if (category, leading) not in known:
        from kg.pagerank import PageRank

        known[category, leading] = PageRank.of(graph, (category,), leading)
    return known[category, leading]
