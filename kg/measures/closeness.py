"""How close two terms are, from what is above them alone: for one question, not for all pairs.

The values of :class:`kg.measures.similarity.Similarity` and :class:`kg.measures.pagerank.PageRank`,
where it says what they are, without reading a whole ontology first: the ancestors of both terms,
how many terms are below those that they share, and for the walk one row of the PageRank.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from kg.graph import KnowledgeGraph
from kg.terms import Category, Curie

if TYPE_CHECKING:
    from kg.measures.pagerank import PageRank

__all__ = ["closeness", "contents", "proximity"]


def contents(
    graph: KnowledgeGraph, ids: Iterable[Curie], category: Category, predicates: Sequence[Curie]
) -> dict[Curie, float]:
    """Structural information content in nats, ``ln(n / descendants)``, among a category's terms.

    Those of ``ids`` with none of these terms below are left out.
    """
    n = graph.count_terms(category)
    below = graph.count_descendants(ids, category, predicates)
    return {one: math.log(n) - math.log(count) for one, count in below.items() if count}


def closeness(
    graph: KnowledgeGraph, a: Curie, b: Curie, category: Category, predicates: Sequence[Curie]
) -> dict[str, float]:
    """Resnik, Lin and Jaccard of two current terms of a category.

    Only ancestors of the category count; terms without a common one have 0 of each.
    """
    over_a, over_b = graph.ancestors(a, predicates), graph.ancestors(b, predicates)
    among = {
        term.id
        for term in graph.terms({*over_a, *over_b}).values()
        if term.category is category and not term.obsolete
    }
    shared = over_a.keys() & over_b.keys() & among
    known = contents(graph, {a, b, *shared}, category, predicates)
    resnik = max((known[one] for one in shared), default=0.0)
    both = known[a] + known[b]
    lin = 1.0 if both == 0.0 else 2.0 * resnik / both
    every = (over_a.keys() | over_b.keys()) & among
    return {
        "resnik": resnik,
        "lin": lin if shared else 0.0,
        "jaccard": len(shared) / len(every),
    }


# The edges of an ontology, by graph: many questions are often asked of one. Gone with the graph.
_WALKS: WeakKeyDictionary[KnowledgeGraph, dict[tuple[Category, Sequence[Curie]], PageRank]]
_WALKS = WeakKeyDictionary()


def proximity(
    graph: KnowledgeGraph, a: Curie, b: Curie, category: Category, predicates: Sequence[Curie]
) -> float:
    """:meth:`kg.measures.pagerank.PageRank.proximity` of two current terms of a category."""
    known = _WALKS.setdefault(graph, {})
    asked = category, tuple(predicates)
    if asked not in known or a not in known[asked] or b not in known[asked]:
        from kg.measures.pagerank import PageRank

        edges = [(x, y) for x, _, y in graph.triples(predicates, within=category)]
        # Terms without edges are on no walk but their own: only those asked for are needed.
        ids = sorted({a, b}.union(*edges))
        known[asked] = PageRank(ids, edges)
    return known[asked].proximity(a, b)
