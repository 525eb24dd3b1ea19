"""From probabilities of cell types to one answer: the deepest term that the evidence supports.

A :class:`Hierarchy` is the *is a* graph of the Cell Ontology as arrays. :meth:`Hierarchy.sum_up`
adds the probability of every type to all its ancestors; :func:`decide` takes for each cell the
deepest term whose sum reaches the threshold, the more informative one of two equally deep, and the
first by id of two equally informative; a cell for which no term reaches it stays unknown. What is
never an answer is :mod:`kg.blocked`'s to say. This module knows no gene.

Deciding on a sum over descendants follows the hierarchical loss of scPRINT (Kalfon et al. 2025) and
the depth rule of popV (Ergen et al. 2024); the threshold on it is Celloquy's own.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.terms import IS_A, Category, Curie

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["UNKNOWN", "Decision", "Hierarchy", "Novelty", "decide", "novelty"]

UNKNOWN = -1
"""Index of the answer where no term reached the threshold."""


@dataclass(frozen=True, eq=False)
class Hierarchy:
    """Terms in order of id, with their ancestors.

    ``above[i]`` holds the indices at or above term i, rising. ``depth`` is the longest way up to a
    root, ``content`` the information content -ln(terms at or below / all terms).
    """

    ids: tuple[Curie, ...]
    labels: tuple[str, ...]
    above: tuple[NDArray[np.int32], ...]
    depth: NDArray[np.int32]
    content: NDArray[np.float64]

    @classmethod
    def of(
        cls, graph: KnowledgeGraph, category: Category = Category.CELL_TYPE, prefix: str = "CL:"
    ) -> Hierarchy:
        """Read the current terms of a category whose ids begin with ``prefix``."""
        terms = [term for term in graph.terms_of(category) if term.id.startswith(prefix)]
        return cls.make(
            {term.id: graph.ancestors(term.id, (IS_A,)) for term in terms},
            {term.id: term.label for term in terms},
        )

    @classmethod
    def make(
        cls, ancestors: Mapping[Curie, Collection[Curie]], labels: Mapping[Curie, str]
    ) -> Hierarchy:
        """Build from the ancestors of each term; ancestors that are no key are passed over."""
        ids = tuple(sorted(ancestors))
        index = {one: i for i, one in enumerate(ids)}
        above = tuple(
            np.array(sorted({index[a] for a in ancestors[one] if a in index} | {index[one]}), "i4")
            for one in ids
        )
        below = np.zeros(len(ids))
        for some in above:
            below[some] += 1
        return cls(
            ids=ids,
            labels=tuple(labels.get(one, one) for one in ids),
            above=above,
            depth=_depth(above),
            content=np.log(len(ids)) - np.log(np.maximum(below, 1)),
        )

    def __len__(self) -> int:
        return len(self.ids)

    @cached_property
    def _index(self) -> dict[Curie, int]:
        return {one: i for i, one in enumerate(self.ids)}

    def index(self, id: Curie) -> int:
        """The place of a term.

        Raises
        ------
        UnknownTerm
            When the hierarchy has no such term.
        """
        found = self._index.get(id)
        if found is None:
            raise UnknownTerm(f"{id} is no current term of this hierarchy of {len(self):,}")
        return found

    def __contains__(self, id: object) -> bool:
        return id in self._index

    def indices(self, ids: Sequence[Curie]) -> NDArray[np.int32]:
        """The places of several terms."""
        return np.array([self.index(one) for one in ids], dtype="i4")

    def ancestors(self, id: Curie) -> frozenset[Curie]:
        """The term and everything above it."""
        return frozenset(self.ids[i] for i in self.above[self.index(id)])

    def below(self, id: Curie) -> tuple[Curie, ...]:
        """The term and everything below it."""
        i = self.index(id)
        return tuple(self.ids[j] for j, some in enumerate(self.above) if i in some)

    def up(self, ids: Sequence[Curie]) -> csr_array:
        """0/1 matrix [len(ids), len(self)]: which terms are at or above each of ``ids``."""
        from scipy.sparse import csr_array

        rows = [self.above[i] for i in self.indices(ids)]
        starts = np.concatenate([[0], np.cumsum([len(row) for row in rows])])
        places = np.concatenate(rows) if rows else np.zeros(0, "i4")
        ones = np.ones(len(places), dtype=np.float32)
        return csr_array((ones, places, starts), shape=(len(rows), len(self)))

    def sum_up(
        self, probabilities: NDArray[np.float32], ids: Sequence[Curie]
    ) -> NDArray[np.float32]:
        """Probabilities [n, len(ids)] of exclusive types to sums [n, len(self)] over all below."""
        if probabilities.shape[1] != len(ids):
            raise BadInput(f"{probabilities.shape[1]} columns were given for {len(ids)} terms")
        return np.asarray(probabilities @ self.up(ids), dtype=np.float32)

    @cached_property
    def parents(self) -> tuple[tuple[int, ...], ...]:
        """Direct parents: proper ancestors that are above no other proper ancestor."""
        found = []
        for i, above in enumerate(self.above):
            proper = {int(a) for a in above} - {i}
            higher = {int(b) for a in proper for b in self.above[a] if b != a}
            found.append(tuple(sorted(proper - higher)))
        return tuple(found)

    @cached_property
    def preference(self) -> NDArray[np.int32]:
        """Rank of each term as an answer: deeper first, then more informative, then by id."""
        order = sorted(
            range(len(self)), key=lambda i: (self.depth[i], self.content[i], _reversed(self.ids[i]))
        )
        rank = np.empty(len(self), dtype="i4")
        rank[order] = np.arange(len(self))
        return rank


@dataclass(frozen=True, eq=False)
class Decision:
    """One answer a cell: ``term`` its index in the hierarchy or :data:`UNKNOWN`.

    ``confidence`` is the sum at the answer, or where unknown the probability that it is any of the
    types; ``leaf`` the most probable type before back-off, ``leaf_confidence`` its own probability.
    """

    term: NDArray[np.int32]
    confidence: NDArray[np.float32]
    leaf: NDArray[np.int32]
    leaf_confidence: NDArray[np.float32]


def decide(
    probabilities: NDArray[np.float32],
    ids: Sequence[Curie],
    hierarchy: Hierarchy,
    *,
    threshold: float,
    never: Collection[Curie] = (),
) -> Decision:
    """Answer for each row with the deepest term whose probability reaches the threshold.

    Parameters
    ----------
    probabilities
        [n, len(ids)], of exclusive types; a row sums to at most 1, the rest is "none of them".
    ids
        The types, terms of the hierarchy.
    threshold
        In (0, 1].
    never
        Terms that are no answer; their probability counts for their ancestors all the same.

    Raises
    ------
    BadInput
        When the threshold is outside (0, 1].
    """
    if not 0 < threshold <= 1:
        raise BadInput(f"the least confidence is {threshold}; expected more than 0 and at most 1")
    blocked = {hierarchy.index(one) for one in never if one in hierarchy}
    up = hierarchy.up(ids).tocsc()
    # Only what is above a candidate can be an answer; the most preferred comes first.
    columns = np.flatnonzero(np.diff(up.indptr))
    columns = np.array([c for c in columns if int(c) not in blocked], dtype=np.int64)
    columns = columns[np.argsort(-hierarchy.preference[columns])]
    rows = np.arange(len(probabilities))
    if len(columns):
        sums = np.asarray(probabilities @ up[:, columns], dtype=np.float32)
        # A sum of float32 may end a rounding error below a threshold that it equals.
        open_to = sums >= threshold - 1e-6
        first = open_to.argmax(axis=1)
        unknown = ~open_to[rows, first]
        term, sure = columns[first], sums[rows, first]
    else:
        unknown = np.ones(len(rows), dtype=bool)
        term, sure = np.zeros(len(rows), np.int64), np.zeros(len(rows), np.float32)
    confidence = np.where(unknown, probabilities.sum(axis=1), sure)
    best = probabilities.argmax(axis=1)
    return Decision(
        term=np.where(unknown, UNKNOWN, term).astype("i4"),
        confidence=np.clip(confidence, 0, 1).astype(np.float32),
        leaf=hierarchy.indices(ids)[best],
        leaf_confidence=probabilities[rows, best].astype(np.float32),
    )


@dataclass(frozen=True, slots=True)
class Novelty:
    """A cell (or cluster) that is surely ``term`` but none of its known subtypes.

    ``nearest`` is the most probable type below the term, ``share`` its part of the term's
    probability.
    """

    term: Curie
    nearest: Curie
    share: float


def novelty(
    probabilities: NDArray[np.float32],
    ids: Sequence[Curie],
    hierarchy: Hierarchy,
    answer: int,
    *,
    share: float = 0.5,
) -> Novelty | None:
    """Say whether one row stopped above the known types because none of them stands out.

    Returns None where the answer is unknown, has no type below it, or one type below (or at) it
    holds more than ``share`` of its probability.
    """
    if answer == UNKNOWN:
        return None
    places = hierarchy.indices(ids)
    under = [k for k, i in enumerate(places) if answer in hierarchy.above[i] and i != answer]
    if not under:
        return None
    inside = [k for k, i in enumerate(places) if answer in hierarchy.above[i]]
    total = float(probabilities[inside].sum())
    best = max(under, key=lambda k: float(probabilities[k]))
    part = float(probabilities[best]) / total if total else 0.0
    own = max(float(probabilities[k]) for k in inside) / total if total else 0.0
    if own > share:
        return None
    return Novelty(hierarchy.ids[answer], ids[best], part)


def _depth(above: Sequence[NDArray[np.int32]]) -> NDArray[np.int32]:
    """Longest way up: one more than the deepest proper ancestor."""
    depth = np.zeros(len(above), dtype="i4")
    for i in sorted(range(len(above)), key=lambda i: len(above[i])):
        proper = above[i][above[i] != i]
        if len(proper):
            depth[i] = depth[proper].max() + 1
    return depth


def _reversed(id: Curie) -> tuple[int, ...]:
    """A key that puts the first id last, so that of equals it has the highest rank."""
    return tuple(-ord(c) for c in id)
