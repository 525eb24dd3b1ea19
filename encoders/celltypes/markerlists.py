"""Cell types of clusters from their marker lists alone.

A list of a cluster's strongest genes is read as draws: a gene that is on in a type gets into its
list with chance ``hit``, any other with a chance that grows with the length of the list and with
the number of types that the gene marks. The score of a type is the log likelihood ratio of the
list against a list of no type; genes that are missing count against it. Later genes count less
(``discount``), since lists are ordered. Only a type's own markers are used: a list is a contrast to
other cells, so what all of its lineage expresses is mostly absent from it.

The answer is the term with the greatest expected closeness to the truth under these probabilities:
the mean of hierarchical F and of 1, one half or 0 for the very term, one within two steps above or
below, and any other. It is an ancestor where the evidence is split among its subtypes.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.genelists import GeneList
from encoders.celltypes.markersets import MarkerSets
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["ListAnnotation", "ListConfig", "ListScorer", "annotate_lists", "closeness"]


NONE = 0.5
"""Probability of any type at all below which a list is of none: ribosomal genes, stress, noise."""


@dataclass(frozen=True)
class ListConfig:
    """Constants of the model.

    They were chosen on lists of collections that are not in the table and on ranked genes of the
    development datasets (docs/experiments/annotation.md). ``hit``: chance that a gene that is on is
    listed. ``universe``: number of genes from which the others are drawn. ``promiscuity``: power of
    the number of types that a gene marks, relative to ``typical``. ``discount``: weight 1 / (1 +
    discount x rank). ``against``: factor for a listed gene whose absence marks the type.
    ``temper``: factor on scores (1: genes as if independent).
    """

    hit: float = 0.2
    universe: float = 4000.0
    promiscuity: float = 0.5
    typical: float = 400.0
    discount: float = 0.02
    temper: float = 1.0
    against: float = 0.3


@dataclass(frozen=True, slots=True)
class ListAnnotation:
    """The answer for one list.

    ``term`` is None where no listed gene is a marker of any candidate, or the list is rather of no
    type than of any. ``confidence`` is the
    probability of the term and everything below it, ``candidates`` the most probable types with
    theirs, ``supporting`` the listed genes that speak for the leaf, ``missing`` its surest markers
    that are not listed, ``against`` listed genes whose absence marks it.
    """

    name: str
    term: Curie | None
    label: str
    confidence: float
    leaf: Curie | None
    candidates: tuple[tuple[Curie, float], ...]
    supporting: tuple[str, ...]
    missing: tuple[str, ...]
    against: tuple[str, ...]
    n_genes: int
    n_markers: int


class ListScorer:
    """Probabilities of types for gene lists; made once from the sets."""

    def __init__(self, sets: MarkerSets, config: ListConfig | None = None) -> None:
        self.sets, self.config = sets, config or ListConfig()
        self._own, self._off = sets.own.tocsc(), sets.off.tocsc()
        self._place = {gene: i for i, gene in enumerate(sets.genes)}
        self._sum = np.asarray(sets.own.sum(axis=1), dtype=np.float64).ravel()
        self._types = np.diff(self._own.indptr)

    def scores(self, genes: Sequence[str]) -> NDArray[np.float64]:
        """Log likelihood ratio of each type, [n_types]; all 0 where no gene is a marker."""
        known = [(rank, self._place[g]) for rank, g in enumerate(genes) if g in self._place]
        if not known:
            return np.zeros(len(self.sets.ids))
        c = self.config
        ranks = np.array([rank for rank, _ in known])
        columns = np.array([place for _, place in known])
        belief = self._own[:, columns].toarray().astype(np.float64)
        other = len(genes) / c.universe * (self._types[columns] / c.typical) ** c.promiscuity
        other = np.clip(other, 1e-9, c.hit / 2)
        seen = np.log1p(belief * (c.hit / other - 1)) / (1 + c.discount * ranks)
        against = self._off[:, columns].toarray() * np.log(c.against) / (1 + c.discount * ranks)
        missed = c.hit * (self._sum - belief.sum(axis=1))
        return np.asarray((seen + against).sum(axis=1) - missed)

    def probabilities(
        self, genes: Sequence[str], prior: NDArray[np.float64] | None = None
    ) -> NDArray[np.float64]:
        """Exclusive probabilities [n_types]; what is missing to 1 is "none of them".

        Before the evidence a list is as likely to be of no type as of any.
        """
        logits = self.config.temper * self.scores(genes)
        share = np.ones(len(logits)) if prior is None else np.maximum(prior, 1e-12)
        logits = logits + np.log(share / share.sum())
        top = max(0.0, float(logits.max()))
        parts = np.exp(logits - top)
        return np.asarray(parts / (parts.sum() + np.exp(-top)))

    def marked(self, genes: Sequence[str]) -> int:
        """How many of the genes are markers of any type."""
        return sum(self._types[self._place[g]] > 0 for g in genes if g in self._place)


def closeness(ids: Sequence[Curie], hierarchy: Hierarchy, steps: int = 2) -> NDArray[np.float32]:
    """How close each term of the hierarchy is as an answer when one of ``ids`` is the truth.

    Returns
    -------
    [len(ids), len(hierarchy)], in [0, 1].
    """
    size = len(hierarchy)
    every = hierarchy.up(hierarchy.ids).toarray()
    top = np.flatnonzero(hierarchy.depth == 0)
    every[:, top] = 0  # what everything is under says nothing
    mine = every[hierarchy.indices(ids)]
    both = mine @ every.T
    found = 2 * both / np.maximum(mine.sum(axis=1)[:, None] + every.sum(axis=1)[None, :], 1)
    near = np.zeros((len(ids), size), dtype=np.float32)
    parents = hierarchy.parents
    children: dict[int, list[int]] = defaultdict(list)
    for i, some in enumerate(parents):
        for parent in some:
            children[parent].append(i)
    for row, i in enumerate(hierarchy.indices(ids)):
        for step in (parents, children):
            ring = {int(i)}
            for _ in range(steps):
                ring = {j for k in ring for j in step[k]}
                near[row, sorted(ring)] = 0.5
        near[row, i] = 1
    return np.asarray((found + near) / 2, dtype=np.float32)


def annotate_lists(
    lists: Sequence[GeneList],
    sets: MarkerSets,
    hierarchy: Hierarchy,
    *,
    priors: Sequence[NDArray[np.float64] | None] | None = None,
    never: Collection[Curie] = (),
    config: ListConfig | None = None,
    min_confidence: float = 0.0,
) -> tuple[ListAnnotation, ...]:
    """Name the cell type of each list.

    Parameters
    ----------
    lists
        Genes as current human symbols, strongest first.
    sets
        The candidate types and their markers.
    hierarchy
        The Cell Ontology.
    priors
        For each list a weight of each type (:func:`kg.tissues.tissue_prior`), or None.
    never
        Terms that are no answer.
    config
        Constants of the model.
    min_confidence
        What the probability of an answer must reach: below it the answer is the deepest term above
        that does, and where none does there is none.
    """
    scorer = ListScorer(sets, config)
    worth = closeness(sets.ids, hierarchy)
    barred = {hierarchy.index(one) for one in never if one in hierarchy}
    worth[:, sorted(barred)] = -1
    up = hierarchy.up(sets.ids)
    found = []
    for number, one in enumerate(lists):
        marked = scorer.marked(one.genes)
        if not marked:
            found.append(_unknown(one))
            continue
        chances = scorer.probabilities(one.genes, priors[number] if priors else None)
        if chances.sum() < NONE:
            found.append(_unknown(one, marked))
            continue
        term = _sure(
            int((chances @ worth).argmax()), chances @ up, hierarchy, barred, min_confidence
        )
        if term is None:
            found.append(_unknown(one, marked))
            continue
        best = np.argsort(-chances, kind="stable")[:5]
        supporting, missing, against = _evidence(sets, int(best[0]), one.genes)
        found.append(
            ListAnnotation(
                name=one.name,
                term=hierarchy.ids[term],
                label=hierarchy.labels[term],
                confidence=float(min(1.0, (chances @ up)[term])),
                leaf=sets.ids[best[0]],
                candidates=tuple((sets.ids[k], float(chances[k])) for k in best),
                supporting=supporting,
                missing=missing,
                against=against,
                n_genes=len(one.genes),
                n_markers=marked,
            )
        )
    return tuple(found)


def _sure(
    term: int,
    sums: NDArray[np.float64],
    hierarchy: Hierarchy,
    barred: Collection[int],
    least: float,
) -> int | None:
    """The term, or the deepest above it that is sure enough; None where none is."""
    line = [int(a) for a in hierarchy.above[term] if int(a) not in barred and sums[a] >= least]
    if term in line:
        return term
    return max(line, key=lambda a: int(hierarchy.preference[a]), default=None)


def _unknown(one: GeneList, marked: int = 0) -> ListAnnotation:
    n = len(one.genes)
    return ListAnnotation(one.name, None, "unknown", 0.0, None, (), (), (), (), n, marked)


def _evidence(
    sets: MarkerSets, row: int, genes: Sequence[str], most: int = 8
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[str, ...]]:
    own, off = sets.own[[row]].tocoo(), sets.off[[row]].tocoo()
    belief = {sets.genes[g]: float(b) for g, b in zip(own.coords[1], own.data, strict=True)}
    absent = {sets.genes[g] for g in off.coords[1]}
    listed = set(genes)
    supporting = tuple(g for g in genes if g in belief)[:most]
    missing = sorted((g for g in belief if g not in listed), key=lambda g: (-belief[g], g))
    return supporting, tuple(missing[:most]), tuple(g for g in genes if g in absent)[:most]
