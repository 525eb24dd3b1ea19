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
Jaccard 0. Other measures: :mod:`kg.measures.wang`, :mod:`kg.measures.pagerank`. Which paths lead
from a to m is :mod:`kg.ontology`'s.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.storage.closure import hops_from
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
        index = {one: number for number, one in enumerate(self.ids)}
        numbers = [list({index[a] for a in some if a in index}) for some in ancestors]
        counts = annotations or {}
        own = np.array([counts.get(one, 0.0) + pseudocount for one in self.ids])
        below = np.zeros(len(self.ids))
        for number, above in enumerate(numbers):
            below[above] += own[number]
        content = np.log(own.sum()) - np.log(below)
        # Terms are kept by rising content, so that of several common ancestors the last is the
        # most informative; of equally informative ones the first by id.
        order = sorted(range(len(self.ids)), key=lambda i: (content[i], -i))
        rank = [0] * len(order)
        for position, number in enumerate(order):
            rank[number] = position
        self._rank = dict(zip(self.ids, rank, strict=True))
        self._id = [self.ids[number] for number in order]
        self._content = [float(content[number]) for number in order]
        self._above = [[rank[above] for above in numbers[number]] for number in order]
        self._sets: list[frozenset[int] | None] = [None] * len(order)

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
        ids = sorted(term.id for category in categories for term in graph.terms_of(category))
        up: dict[Curie, list[Curie]] = {}
        for subject, _, object_ in graph.triples(predicates):
            up.setdefault(subject, []).append(object_)
        ancestors = [hops_from(one, up) for one in ids]
        return cls(ids, ancestors, annotations, pseudocount=pseudocount)

    def __len__(self) -> int:
        return len(self.ids)

    def __contains__(self, id: Curie) -> bool:
        return id in self._rank

    # --- pairs ---------------------------------------------------------------------------------

    def information_content(self, id: Curie) -> float:
        """In nats; 0 for a root that everything is under."""
        return self._content[self._number(id)]

    def mica(self, a: Curie, b: Curie) -> Curie | None:
        """The most informative common ancestor, the first by id of several; None without any."""
        shared = self._ancestors(self._number(a)) & self._ancestors(self._number(b))
        return self._id[max(shared)] if shared else None

    def resnik(self, a: Curie, b: Curie) -> float:
        """Content of the most informative common ancestor."""
        shared = self._ancestors(self._number(a)) & self._ancestors(self._number(b))
        return self._content[max(shared)] if shared else 0.0

    def lin(self, a: Curie, b: Curie) -> float:
        """Shared content over the content of both, in [0, 1]; a term with itself is 1."""
        i, j = self._number(a), self._number(b)
        both = self._content[i] + self._content[j]
        shared = self._ancestors(i) & self._ancestors(j)
        if not shared:
            return 0.0
        return 1.0 if both == 0.0 else 2.0 * self._content[max(shared)] / both

    def jiang_conrath(self, a: Curie, b: Curie) -> float:
        """1 / (1 + the content that is not shared), in (0, 1]; a term with itself is 1."""
        both = self._content[self._number(a)] + self._content[self._number(b)]
        return 1.0 / (1.0 + both - 2.0 * self.resnik(a, b))

    def jaccard(self, a: Curie, b: Curie) -> float:
        """Shared ancestors over all ancestors, each term among its own, in [0, 1]."""
        one, other = self._ancestors(self._number(a)), self._ancestors(self._number(b))
        shared = len(one & other)
        return shared / (len(one) + len(other) - shared)

    def _number(self, id: Curie) -> int:
        """The term's rank by content, which is its number in everything below."""
        try:
            return self._rank[id]
        except KeyError:
            raise UnknownTerm(
                f"{id} is none of the {len(self.ids):,} terms compared here"
            ) from None

    def _ancestors(self, number: int) -> frozenset[int]:
        found = self._sets[number]
        if found is None:
            found = self._sets[number] = frozenset(self._above[number])
        return found

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
        for number in range(len(self.ids)):
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
        one, other = self._ancestor_matrix[over], self._ancestor_matrix[under]
        shared = (one @ other.T).toarray()
        sizes = one.sum(axis=1)[:, None] + other.sum(axis=1)[None, :]
        return np.asarray(shared / (sizes - shared), dtype=np.float64)

    @cached_property
    def _ancestor_matrix(self) -> csr_array:
        """Terms by terms, both by rank; 1 where the column is at or above the row."""
        from scipy.sparse import csr_array

        lengths = [len(above) for above in self._above]
        offsets = np.concatenate(([0], np.cumsum(lengths)))
        flat = np.fromiter((a for above in self._above for a in above), np.int64, sum(lengths))
        n = len(self.ids)
        return csr_array((np.ones(len(flat)), flat, offsets), shape=(n, n))

    @property
    def contents(self) -> dict[Curie, float]:
        """The information content of every term."""
        return {one: self._content[self._rank[one]] for one in self.ids}
