"""How two terms are related: the path through their lowest common ancestor, and how closely.

Puts :mod:`kg.ontology` (paths) and :mod:`kg.measures.closeness` (measures) together for one pair,
as a user asks for it. Knows ids, not names.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from data.errors import BadInput, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.measures.closeness import closeness, contents, proximity
from kg.ontology import (
    HIERARCHY,
    Resolved,
    most_recent_common_ancestors,
    path_through,
    resolve,
)
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

__all__ = ["OntologyPath", "relate", "upward"]

_LETTERS = {"i": IS_A, "p": PART_OF}  # the letters of the Ontology Access Kit


@dataclass(frozen=True, slots=True)
class OntologyPath:
    """How two terms are related: through which ancestor, over which edges, and how closely.

    ``ancestors`` are the lowest common ancestors, the most informative first (of equals the
    nearest), each with its information content in nats; ``path`` leads through the first. It is
    None, and ``distance`` with it, where there is none.
    ``similarity`` has resnik, lin, jaccard and ppr (of all current terms of the category).
    ``notices`` say which obsolete id was followed.
    """

    a: Term
    b: Term
    ancestors: tuple[tuple[Term, float], ...]
    path: Path | None
    terms: Mapping[Curie, Term]
    predicates: tuple[Curie, ...]
    similarity: Mapping[str, float]
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
    lowest = most_recent_common_ancestors(graph, one.id, other.id, leading)
    content = contents(graph, lowest, one.category, leading)
    # The nearest may say least: two blood cells are both cells in a hop or two.
    lowest.sort(key=lambda above: -content[above])
    path = path_through(graph, one.id, other.id, lowest[0], leading) if lowest else None
    terms = graph.terms({*lowest, *(path.nodes if path else ())})
    return OntologyPath(
        a=one,
        b=other,
        ancestors=tuple((terms[m], content[m]) for m in lowest),
        path=path,
        terms=terms,
        predicates=leading,
        similarity={
            **closeness(graph, one.id, other.id, one.category, leading),
            "ppr": proximity(graph, one.id, other.id, one.category, leading),
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
