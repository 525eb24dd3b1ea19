"""Personalised PageRank over an ontology, and the similarity levels that scCello makes of it.

Yuan et al. 2024, *Cell-ontology guided transcriptome foundation model*, arXiv:2408.12373. The
ontology is taken as an undirected graph; a walk starts at a term, follows an edge with probability
``damping`` at each step and otherwise goes back to the term. ``pi[u, v]`` is the share of its time
at v. The authors run networkx's power iteration once a term; here one factorisation gives the
exact limit for all terms: with degrees D and adjacency A,

    pi = (1 - damping) (I - damping D^-1 A)^-1

which is what ``networkx.pagerank(alpha=damping, personalization={u: 1})`` approaches in row u. A
term without edges keeps the walk to itself. One row alone is iterated, in milliseconds even for
the Gene Ontology (:meth:`PageRank.row`): Golub & Varga 1961, doi:10.1007/BF01386013.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.measures.similarity import Matrix
from kg.terms import IS_A, Category, Curie

__all__ = ["DAMPING", "THRESHOLD", "PageRank", "levels"]

DAMPING = 0.9  # scCello, section 3 and its released code
_EXACT = 1e-16  # what is left of the error when the iteration of a row ends
THRESHOLD = 1e-4  # scCello's: walks that meet more rarely are one level


class PageRank:
    """Personalised PageRank of all terms to all terms; made with :meth:`of`.

    Parameters
    ----------
    ids
        The terms.
    edges
        Pairs of terms, in either direction; repeated pairs and loops do not count.
    damping
        Probability of going on at each step, in (0, 1).
    """

    def __init__(
        self,
        ids: Sequence[Curie],
        edges: Iterable[tuple[Curie, Curie]],
        *,
        damping: float = DAMPING,
    ) -> None:
        if not 0.0 < damping < 1.0:
            raise ValueError(f"the damping is {damping}; expected a number between 0 and 1")
        self.ids = tuple(ids)
        self.damping = damping
        self._index = {one: number for number, one in enumerate(self.ids)}
        ends = [(self._index[a], self._index[b]) for a, b in edges if a != b]
        n = len(self.ids)
        start, end = np.array(ends, dtype=np.int64).reshape(-1, 2).T
        codes = np.unique(np.concatenate((start * n + end, end * n + start)))
        start, end = np.divmod(codes, n) if n else (codes, codes)
        alone = np.setdiff1d(np.arange(n), start)
        self._from = np.concatenate((start, alone))
        self._to = np.concatenate((end, alone))
        self._degree = np.bincount(self._from, minlength=n).astype(np.float64)

    @classmethod
    def of(
        cls,
        graph: KnowledgeGraph,
        categories: Iterable[Category] = (Category.CELL_TYPE,),
        predicates: Sequence[Curie] = (IS_A,),
        *,
        damping: float = DAMPING,
    ) -> PageRank:
        """Read the current terms of ``categories`` and the edges between them."""
        among = list(categories)
        ids = sorted(term.id for category in among for term in graph.terms_of(category))
        if len(among) == 1:
            edges = [(a, b) for a, _, b in graph.triples(predicates, within=among[0])]
        else:
            known = set(ids)
            edges = [(a, b) for a, _, b in graph.triples(predicates) if {a, b} <= known]
        return cls(ids, edges, damping=damping)

    @cached_property
    def matrix(self) -> Matrix:
        """``pi``, terms by terms: rows sum to 1, the row is where the walk starts.

        An ontology is nearly a tree, so that the sparse LU factors hardly fill in. 88 MB for CL.
        """
        from scipy.sparse import csc_array, eye_array
        from scipy.sparse.linalg import splu

        n = len(self.ids)
        # Transposed, as the factors solve for columns: the columns found are the rows of pi.
        along = self.damping / self._degree[self._from]
        steps = csc_array((along, (self._to, self._from)), shape=(n, n))
        # Each row of I - damping P is dominated by its diagonal: no pivoting is needed.
        factors = splu(
            (eye_array(n) - steps).tocsc(),
            permc_spec="MMD_AT_PLUS_A",
            diag_pivot_thresh=0.0,
            options={"SymmetricMode": True},
        )
        found = factors.solve(np.eye(n))
        found *= 1.0 - self.damping
        return found.T

    def proximity(self, a: Curie, b: Curie) -> float:
        """``pi[a, b] / pi[b, b]``: how much of b's own share a walk from a gives it, in [0, 1]."""
        i, j = self._number(a), self._number(b)
        # From b instead of to b, which is one row: degree[a] pi[a, b] = degree[b] pi[b, a].
        per_edge = self._row(j)[[i, j]] / self._degree[[i, j]]
        return float(per_edge[0] / per_edge[1])

    def row(self, id: Curie) -> NDArray[np.float64]:
        """The share of its time that a walk from the term spends at each of ``ids``."""
        return self._row(self._number(id))

    def _row(self, number: int) -> NDArray[np.float64]:
        """One row of ``pi`` by the Chebyshev semi-iteration.

        With D^-1/2 A D^-1/2, which is symmetric with eigenvalues in [-1, 1], it needs some 80
        products where the power iteration needs 350; the order of all sums is fixed, so that
        equal edges give equal numbers.
        """
        n = len(self.ids)
        root = np.sqrt(self._degree)
        weights = self.damping / (root[self._from] * root[self._to])
        # x = weights x + restart is what is solved; the row is x with the roots taken out.
        restart = np.zeros(n)
        restart[number] = 1.0 - self.damping
        # Each step leaves this share of the error of the one before.
        rate = (1.0 - math.sqrt(1.0 - self.damping**2)) / self.damping
        before, now, omega = np.zeros(n), restart, 2.0
        for _ in range(math.ceil(math.log(_EXACT) / math.log(rate))):
            omega = 1.0 / (1.0 - self.damping**2 * omega / 4.0)
            stepped = np.bincount(self._from, weights * now[self._to], n) + restart
            before, now = now, omega * (stepped - before) + before
        found: NDArray[np.float64] = now * root / root[number]
        return found

    def __contains__(self, id: Curie) -> bool:
        return id in self._index

    def _number(self, id: Curie) -> int:
        try:
            return self._index[id]
        except KeyError:
            raise UnknownTerm(
                f"{id} is none of the {len(self.ids):,} terms compared here"
            ) from None

    @cached_property
    def levels(self) -> NDArray[np.int64]:
        """ScCello's level of every pair of terms (:func:`levels`)."""
        return levels(self.matrix)


def levels(pagerank: Matrix, threshold: float = THRESHOLD) -> NDArray[np.int64]:
    """ScCello's levels: ``floor(log2(pi / threshold + 1))`` from the threshold on, 1 below it.

    Higher is nearer; a pair at the threshold has level 1 as well.

    >>> levels(np.array([0.5, 4e-4, 1e-4, 1e-6]))
    array([12,  2,  1,  1])
    """
    # The power of two is exact where floor(log2(x)) may miss it by one rounding.
    _, exponent = np.frexp(pagerank / threshold + 1.0)
    return np.where(pagerank >= threshold, exponent.astype(np.int64) - 1, 1)
