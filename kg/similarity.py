"""How alike two terms are: measures over information content and over shared ancestors.

:class:`Similarity` reads the ancestors of a set of terms once and answers pairs in about a
microsecond and blocks of pairs at once. What the measures are, for terms a and b with most
informative common ancestor m (:meth:`Similarity.mica`):

=================  ===========================================  ==================================
information content
  structural       -ln(descendants / n), the term included       Resnik 1999, doi:10.1613/jair.514
  annotations      -ln(p), p the share of annotations at or      Resnik 1995, arXiv:cmp-lg/9511007
                   below the term
resnik             IC(m)                                         Resnik 1995
lin                2 IC(m) / (IC(a) + IC(b))                     Lin 1998
jiang_conrath      1 / (1 + IC(a) + IC(b) - 2 IC(m))             Jiang & Conrath 1997,
                                                                 as a similarity in (0, 1]
jaccard            shared ancestors / all ancestors, both        Batet 2011,
                   terms included                                doi:10.1016/j.jbi.2010.09.002
=================  ===========================================  ==================================

The structural information content is the ``intrinsic_ic`` of nxontology, and the measures are its
``resnik``, ``lin``, ``jiang`` and ``batet``. Terms with no common ancestor have Resnik, Lin and
Jaccard 0. Other measures: :mod:`kg.wang`, :mod:`kg.pagerank`. Which paths lead from a to m is
:mod:`kg.ontology`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.terms import IS_A, Category, Curie

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["Matrix", "Measure", "Similarity"]

Matrix: TypeAlias = NDArray[np.float64]
Measure: TypeAlias = Literal["resnik", "lin", "jiang_conrath", "jaccard"]


class Similarity:
    """Measures over the terms ``ids``; made with :meth:`of`.

    Parameters
    ----------
    ids
        The population: n of the information content, and the only ancestors that count.
    ancestors
        For each of ``ids``, those at or above it; others than ``ids`` are passed over.
    annotations
        How often each term is annotated directly, for the information content from annotations;
        None for the structural one.
    pseudocount
        Added to every term's count, so that a term without annotations has a finite content.
        With no annotations at all the content is then the structural one.
    """

    def __init__(
        self,
        ids: Sequence[Curie],
        ancestors: Sequence[Iterable[Curie]],
        annotations: Mapping[Curie, float] | None = None,
        *,
        pseudocount: float = 1.0,
    ) -> None:
        if pseudocount <= 0:
            raise ValueError(f"the pseudocount is {pseudocount}; expected more than 0")
        self.ids: tuple[Curie, ...] = tuple(ids)
        self._index = {one: number for number, one in enumerate(self.ids)}
        index = self._index
        self._above = [sorted({index[a] for a in some if a in index}) for some in ancestors]
        counts = annotations or {}
        own = np.array([counts.get(one, 0.0) + pseudocount for one in self.ids])
        below = np.zeros(len(self.ids))
        for number, above in enumerate(self._above):
            below[above] += own[number]
        self._content = [float(x) for x in np.log(own.sum()) - np.log(below)]
        # Terms by rising content, so that of several common ancestors the last one is the most
        # informative; of equally informative ones the first by id.
        order = sorted(range(len(self.ids)), key=lambda i: (self._content[i], -i))
        self._by_rank = order
        self._rank = [0] * len(order)
        for rank, number in enumerate(order):
            self._rank[number] = rank
        self._ranks_above: list[frozenset[int] | None] = [None] * len(order)

    @classmethod
    def of(
        cls,
        graph: KnowledgeGraph,
        categories: Iterable[Category] = (Category.CELL_TYPE,),
        predicates: Sequence[Curie] = (IS_A,),
        annotations: Mapping[Curie, float] | None = None,
        *,
        pseudocount: float = 1.0,
    ) -> Similarity:
        """Read the current terms of ``categories`` and their ancestors over ``predicates``."""
        terms = [term.id for category in categories for term in graph.terms_of(category)]
        ids = sorted(terms)
        ancestors = [graph.ancestors(one, predicates) for one in ids]
        return cls(ids, ancestors, annotations, pseudocount=pseudocount)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: Curie) -> bool:
        return id in self._index

    # --- pairs ---------------------------------------------------------------------------------

    def information_content(self, id: Curie) -> float:
        """In nats; 0 for a root that everything is under."""
        return self._content[self._number(id)]

    def mica(self, a: Curie, b: Curie) -> Curie | None:
        """The most informative common ancestor, the first by id of several; None without any."""
        found = self._mica(self._number(a), self._number(b))
        return None if found is None else self.ids[found]

    def resnik(self, a: Curie, b: Curie) -> float:
        """Content of the most informative common ancestor."""
        found = self._mica(self._number(a), self._number(b))
        return 0.0 if found is None else self._content[found]

    def lin(self, a: Curie, b: Curie) -> float:
        """Shared content over the content of both, in [0, 1]; a term with itself is 1."""
        i, j = self._number(a), self._number(b)
        both = self._content[i] + self._content[j]
        found = self._mica(i, j)
        if found is None:
            return 0.0
        return 1.0 if both == 0.0 else 2.0 * self._content[found] / both

    def jiang_conrath(self, a: Curie, b: Curie) -> float:
        """1 / (1 + the content that is not shared), in (0, 1]; a term with itself is 1."""
        i, j = self._number(a), self._number(b)
        found = self._mica(i, j)
        shared = 0.0 if found is None else self._content[found]
        return 1.0 / (1.0 + self._content[i] + self._content[j] - 2.0 * shared)

    def jaccard(self, a: Curie, b: Curie) -> float:
        """Shared ancestors over all ancestors, each term among its own, in [0, 1]."""
        one, other = self._ranks(self._number(a)), self._ranks(self._number(b))
        shared = len(one & other)
        return shared / (len(one) + len(other) - shared)

    def _number(self, id: Curie) -> int:
        try:
            return self._index[id]
        except KeyError:
            raise UnknownTerm(
                f"{id} is none of the {len(self.ids):,} terms compared here"
            ) from None

    def _ranks(self, number: int) -> frozenset[int]:
        """Ranks of the ancestors, made when first asked for."""
        ranks = self._ranks_above[number]
        if ranks is None:
            ranks = frozenset(self._rank[above] for above in self._above[number])
            self._ranks_above[number] = ranks
        return ranks

    def _mica(self, i: int, j: int) -> int | None:
        shared = self._ranks(i) & self._ranks(j)
        return self._by_rank[max(shared)] if shared else None

    # --- blocks --------------------------------------------------------------------------------

    def block(
        self,
        measure: Measure,
        rows: Sequence[Curie] | None = None,
        columns: Sequence[Curie] | None = None,
    ) -> Matrix:
        """The measure of every pair of ``rows`` and ``columns``; None stands for all terms.

        All pairs of n terms take n * n * 8 bytes: CL's 3,300 terms fit, GO's need blocks.
        """
        over = [self._number(one) for one in (self.ids if rows is None else rows)]
        under = [self._number(one) for one in (self.ids if columns is None else columns)]
        if measure == "jaccard":
            return self._shared(over, under)
        shared = self._resnik(over, under)
        if measure == "resnik":
            return np.where(np.isnan(shared), 0.0, shared)
        content = np.array(self._content)
        both = content[over][:, None] + content[under][None, :]
        if measure == "jiang_conrath":
            return np.asarray(1.0 / (1.0 + both - 2.0 * np.nan_to_num(shared)))
        with np.errstate(invalid="ignore"):  # 0 / 0: roots that everything is under
            lin = np.where(both == 0.0, 1.0, 2.0 * shared / both)
        return np.where(np.isnan(shared), 0.0, lin)

    def _resnik(self, over: Sequence[int], under: Sequence[int]) -> Matrix:
        """Content of the common ancestor; NaN without one."""
        result = np.full((len(over), len(under)), np.nan)
        rows, columns = self._members(over), self._members(under)
        # Painted from the least to the most informative: what is painted last is the highest.
        for number in self._by_rank:
            if number in rows and number in columns:
                result[np.ix_(rows[number], columns[number])] = self._content[number]
        return result

    def _members(self, numbers: Sequence[int]) -> dict[int, NDArray[np.intp]]:
        """For each term, the positions in ``numbers`` of those at or below it."""
        found: dict[int, list[int]] = {}
        for position, number in enumerate(numbers):
            for above in self._above[number]:
                found.setdefault(above, []).append(position)
        return {above: np.array(positions, dtype=np.intp) for above, positions in found.items()}

    def _shared(self, over: Sequence[int], under: Sequence[int]) -> Matrix:
        one, other = self.ancestor_matrix[over], self.ancestor_matrix[under]
        shared = (one @ other.T).toarray()
        sizes = one.sum(axis=1)[:, None] + other.sum(axis=1)[None, :]
        return np.asarray(shared / (sizes - shared), dtype=np.float64)

    @cached_property
    def ancestor_matrix(self) -> csr_array:
        """All terms by all terms; 1 where the column is at or above the row."""
        from scipy.sparse import csr_array

        lengths = [len(above) for above in self._above]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        flat = np.fromiter((a for above in self._above for a in above), np.int64, sum(lengths))
        n = len(self.ids)
        return csr_array((np.ones(len(flat)), flat, offsets), shape=(n, n))

    @property
    def contents(self) -> dict[Curie, float]:
        """The information content of every term."""
        return dict(zip(self.ids, self._content, strict=True))
