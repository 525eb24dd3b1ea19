"""Cells ranked for a phrase: every cell gets a score for the type that is wanted.

What is wanted (:class:`Wanted`) is a weight for each scored type, and genes. A phrase that names a
term is wanted by that term alone (:func:`of_term`); another one by the types whose names are near
to it in a sentence encoder (:func:`of_text`), which also tells that a phrase means nothing here.

Two things are known of a cell: the types that its markers, and its neighbours', make likely, each
counted by its likeness to what is wanted in the ontology; and how high the wanted genes are in it
and around it. Both are turned into ranks among the dataset's cells, and averaged
(:func:`scores`): a score orders cells and is no probability. How like the wanted type a cell's
markers make it, in the ontology, is given beside (``likeness``). Labels are never read;
docs/experiments/transfer.md has the choices. Knows no phrase and no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.likeness import lin_block
from kg.backoff import Hierarchy
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

    from encoders.celltypes.markers import MarkerScorer
    from encoders.celltypes.markersets import MarkerSets

__all__ = ["MEANINGLESS", "POWER", "Found", "Wanted", "of_term", "of_text", "ranks", "scores"]

POWER = 16
"""Power of Lin's similarity: what is not near counts for little. Best of 4, 8, 16."""

TEMPERATURE = 0.05
"""Divides cosines between a phrase and the names of types. Best of .02, .05, .1."""

MEANINGLESS = 0.45
"""Cosine to the nearest name below which a phrase says nothing of cells: of twenty phrases about
other things the nearest reached .40, of 23 that describe cells 19 reached .50."""

NEAREST = 10
"""Names that a phrase is read as; the rest would be noise."""

_LISTED = 5


@dataclass(frozen=True, eq=False)
class Wanted:
    """What is looked for, for each scored type [types], and ``genes`` with their weights.

    ``sharp`` is what ranks cells, Lin's similarity to a power; ``likeness`` is that similarity
    itself. ``terms`` are those that it comes from, the weightiest first.
    """

    ids: tuple[Curie, ...]
    sharp: NDArray[np.float64]
    likeness: NDArray[np.float64]
    genes: Mapping[str, float]
    terms: tuple[tuple[Curie, float], ...] = ()


@dataclass(frozen=True, eq=False)
class Found:
    """``score`` in (0, 1) ranks the cells; ``likeness`` in [0, 1] is what its markers promise."""

    score: NDArray[np.float32]
    likeness: NDArray[np.float32]
    used: tuple[str, ...] = field(default=())


def of_term(term: Curie, sets: MarkerSets, hierarchy: Hierarchy) -> Wanted:
    """A term is wanted: its markers, or those of the scored types nearest to it.

    Raises
    ------
    BadInput
        When no scored type is anything like it.
    """
    found = _of_terms({term: 1.0}, sets, hierarchy)
    if not found.genes:
        label = hierarchy.labels[hierarchy.index(term)]
        raise BadInput(f"no type with markers is like {label!r} ({term}); name a more special type")
    return found


def of_text(
    cosine: NDArray[np.float32], names: Sequence[Curie], sets: MarkerSets, hierarchy: Hierarchy
) -> Wanted:
    """A phrase is wanted that names no term: the terms whose names are nearest to it.

    Parameters
    ----------
    cosine
        Between the phrase and the name of each term [terms].
    names
        The terms.
    sets, hierarchy
        Marker sets and the ontology.
    """
    order = np.argsort(-cosine, kind="stable")[:NEAREST]
    share = np.exp((cosine[order] - cosine.max()).astype(np.float64) / TEMPERATURE)
    share /= share.sum()
    wanted = {names[i]: float(one) for i, one in zip(order, share, strict=True)}
    return _of_terms(wanted, sets, hierarchy)


def _of_terms(terms: Mapping[Curie, float], sets: MarkerSets, hierarchy: Hierarchy) -> Wanted:
    asked = list(terms)
    near = lin_block(hierarchy, list(sets.ids), asked).astype(np.float64)  # [types, terms]
    share, total = np.zeros(len(sets.ids)), 0.0
    lines = [hierarchy.ancestors(one) for one in sets.ids]
    for k, term in enumerate(asked):
        below = [i for i, line in enumerate(lines) if term in line]
        own = [i for i in below if sets.ids[i] == term]
        near[below, k] = 1  # everything below the term is the term
        if not near[:, k].max() > 0:
            continue
        rows = own or below or np.flatnonzero(near[:, k] == near[:, k].max()).tolist()
        share[rows] += terms[term] / len(rows)
        total += terms[term]
    weight = np.array(list(terms.values()))
    listed = sorted(terms.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]
    return Wanted(
        sets.ids,
        near**POWER @ weight,
        near @ weight,
        _genes(share, sets) if total else {},
        tuple((term, round(one, 4)) for term, one in listed if one > 0.01),
    )


def _genes(share: NDArray[np.float64], sets: MarkerSets) -> dict[str, float]:
    weight = np.asarray(share @ sets.own).ravel()
    return {sets.genes[i]: float(weight[i]) for i in np.flatnonzero(weight > 1e-4)}


def scores(
    values: sp.csr_matrix,
    genes: Sequence[str],
    wanted: Wanted,
    scorer: MarkerScorer,
    graph: sp.csr_array | None = None,
    asked: Sequence[str] = (),
) -> Found:
    """Score every cell.

    Parameters
    ----------
    values
        log1p values [cells, genes].
    genes
        Current human symbols.
    wanted
        What is looked for.
    scorer
        The marker score, fitted to the dataset.
    graph
        Neighbours of the cells [cells, cells]; without it each cell speaks for itself alone.
    asked
        Genes that the phrase itself names: each counts as much as either of the other parts.

    Raises
    ------
    BadInput
        When neither a type that is like the wanted one nor one of its genes is in the dataset.
    """
    place = {one: i for i, one in enumerate(wanted.ids)}
    here = [place[one] for one in scorer.ids]
    said = scorer.probabilities(scorer.scores(values)).astype(np.float64)
    sharp, likeness = (
        _shared(said @ some[here], graph) for some in (wanted.sharp, wanted.likeness)
    )
    column = {gene: i for i, gene in enumerate(genes)}
    used = sorted(set(wanted.genes) & column.keys(), key=lambda g: (-wanted.genes[g], g))
    weight = np.zeros(len(genes))
    weight[[column[gene] for gene in used]] = [wanted.genes[gene] for gene in used]
    named = [gene for gene in asked if gene in column]
    if not used and not named and not sharp.any():
        raise BadInput(
            "none of the genes that would tell these cells is in the dataset; expected a dataset "
            "with more genes"
        )
    level = values @ (weight / _spread(values))
    parts = [ranks(sharp), ranks(_shared(level, graph))] if used or not named else []
    parts += [ranks(_shared(values[:, [column[g]]].toarray().ravel(), graph)) for g in named]
    mean = np.mean(parts, axis=0)
    return Found(mean.astype(np.float32), likeness.astype(np.float32), (*named, *used))


def _spread(values: sp.csr_matrix) -> NDArray[np.float64]:
    """Standard deviation of each gene; 1 where it does not vary."""
    x = values.astype(np.float64)
    mean = np.asarray(x.mean(axis=0)).ravel()
    square = np.asarray(x.multiply(x).mean(axis=0)).ravel()
    found = np.sqrt(np.maximum(square - mean**2, 0))
    return np.where(found > 1e-9, found, 1.0)


def _shared(own: NDArray[np.float64], graph: sp.csr_array | None) -> NDArray[np.float64]:
    """Halfway between a cell's own value and the mean of its neighbours'."""
    if graph is None:
        return np.asarray(own)
    weight = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12)
    return np.asarray((own + (graph @ own) / weight) / 2)


def ranks(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Mean ranks in (0, 1); equal values have equal ranks.

    >>> ranks(np.array([3.0, 1.0, 3.0, 2.0])).tolist()
    [0.75, 0.125, 0.75, 0.375]
    """
    from scipy.stats import rankdata

    return np.asarray((rankdata(values) - 0.5) / len(values))
