"""Other names of what a query names, from the ontology: how a query is widened.

The terms that a query mentions are grounded, and their labels and exact synonyms returned, so
that "killer T cell" also meets "cytotoxic T lymphocyte". Knows nothing of indexes.
"""

from __future__ import annotations

from collections.abc import Sequence

from kg.graph import KnowledgeGraph
from kg.grounding import ground
from kg.terms import Scope
from retrieval.hybrid import Expand

__all__ = ["synonyms"]

# Below a name as written (LABEL, EXACT) the grounding has guessed, and a guess widens the wrong
# way.
_FLOOR = 0.9
_NAMES = 6  # a term's label and first synonyms; genes have dozens of historical aliases


def synonyms(graph: KnowledgeGraph) -> Expand:
    """A function from a query to the other names of the terms that it mentions."""

    def expand(query: str) -> Sequence[str]:
        mentions = [m for m in ground(query, graph, limit=1) if m.score >= _FLOOR]
        terms = graph.terms(mention.id for mention in mentions)
        names: list[str] = []
        for term in terms.values():
            exact = [s.text for s in term.synonyms if s.scope is Scope.EXACT]
            names += [term.label, *exact][:_NAMES]
        return names

    return expand
