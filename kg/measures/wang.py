"""Wang similarity: terms are alike as far as the parts of the hierarchy above them are.

Wang et al. 2007, doi:10.1093/bioinformatics/btm087. A term A gives each term t above it, by the
best way up, ``S_A(t) = max over ways of the product of the weights of its edges``, and itself 1.
For two terms,

    wang(A, B) = sum over shared t of (S_A(t) + S_B(t)) / (sum S_A + sum S_B)

It uses the shape of the ontology alone: no information content. Weights are by predicate.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from heapq import heappop, heappush
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.measures.similarity import Matrix
from kg.terms import IS_A, PART_OF, Category, Curie

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["WEIGHTS", "Wang"]

WEIGHTS: Mapping[Curie, float] = MappingProxyType({IS_A: 0.8, PART_OF: 0.6})
"""The authors' weights."""


class Wang:
    """Wang similarity over the terms ``ids``; made with :meth:`of`.

    Parameters
    ----------
    ids
        The terms to compare.
    parents
        For each term, those one hop up with the weight of the edge, in (0, 1).
    """

    def __init__(
        self, ids: Sequence[Curie], parents: Mapping[Curie, Mapping[Curie, float]]
    ) -> None:
        self.ids = tuple(ids)
        self._parents = parents
        self._values: dict[Curie, dict[Curie, float]] = {}

    @classmethod
    def of(
        cls,
        graph: KnowledgeGraph,
        categories: Iterable[Category] = (Category.CELL_TYPE,),
        weights: Mapping[Curie, float] = WEIGHTS,
    ) -> Wang:
        """Read the current terms of ``categories`` and the weighted edges up from them."""
        ids = sorted(term.id for category in categories for term in graph.terms_of(category))
        known = set(ids)
        parents: dict[Curie, dict[Curie, float]] = {one: {} for one in ids}
        for subject, predicate, object_ in graph.triples(tuple(weights)):
            if subject in known and object_ in known and subject != object_:
                found = parents[subject]
                found[object_] = max(weights[predicate], found.get(object_, 0.0))
        return cls(ids, parents)

    def semantic_values(self, id: Curie) -> Mapping[Curie, float]:
        """S of the term: what it gives to each term at or above it.

        Raises
        ------
        UnknownTerm
            When the term is not one of those compared.
        """
        if id not in self._parents:
            raise UnknownTerm(f"{id} is none of the {len(self.ids):,} terms compared here")
        return self._value(id)

    def _value(self, id: Curie) -> dict[Curie, float]:
        """Best first, so that a term is final when it is reached: weights only shrink a way."""
        known = self._values.get(id)
        if known is not None:
            return known
        values: dict[Curie, float] = {}
        waiting = [(-1.0, id)]
        while waiting:
            negative, here = heappop(waiting)
            if here in values:
                continue
            values[here] = -negative
            for parent, weight in self._parents.get(here, {}).items():
                if parent not in values:
                    heappush(waiting, (negative * weight, parent))
        self._values[id] = values
        return values

    def similarity(self, a: Curie, b: Curie) -> float:
        """Of two terms, in [0, 1]; a term with itself is 1."""
        one, other = self.semantic_values(a), self.semantic_values(b)
        shared = sum(one[t] + other[t] for t in one.keys() & other.keys())
        return shared / (sum(one.values()) + sum(other.values()))

    def block(
        self, rows: Sequence[Curie] | None = None, columns: Sequence[Curie] | None = None
    ) -> Matrix:
        """The similarity of every pair of ``rows`` and ``columns``; None stands for all terms."""
        index = {one: number for number, one in enumerate(self.ids)}
        over = [index[one] for one in (self.ids if rows is None else rows)]
        under = [index[one] for one in (self.ids if columns is None else columns)]
        a, b = self._matrix[over], self._matrix[under]
        mark_a, mark_b = a.copy(), b.copy()
        mark_a.data[:], mark_b.data[:] = 1.0, 1.0
        shared = (a @ mark_b.T).toarray() + (mark_a @ b.T).toarray()
        sizes = a.sum(axis=1)[:, None] + b.sum(axis=1)[None, :]
        return np.asarray(shared / sizes, dtype=np.float64)

    @cached_property
    def _matrix(self) -> csr_array:
        from scipy.sparse import csr_array

        index = {one: number for number, one in enumerate(self.ids)}
        values = [self._value(one) for one in self.ids]
        offsets = np.concatenate(([0], np.cumsum([len(some) for some in values])))
        columns = np.array([index[t] for some in values for t in some], dtype=np.int64)
        data = np.array([value for some in values for value in some.values()])
        n = len(self.ids)
        return csr_array((data, columns, offsets), shape=(n, n))
