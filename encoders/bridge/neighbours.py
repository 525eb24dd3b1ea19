"""Links of a gene from those of the genes most like it: the neighbours' vote.

Each of the ``k`` most similar genes votes for its own links with the weight ``exp(b (s - 1))``,
where ``s`` is the similarity and ``b`` how sharply it counts; ``c`` votes more go to every term by
how common it is, or by what a trained bridge makes of it (:mod:`encoders.bridge.network`). The
score of a term is its share of all votes: between 0 and 1, not a calibrated probability. With ``b =
0`` and weights by cosine this is the usual k-nearest-neighbours baseline (:func:`plain`), which it
beats by letting close relatives outvote many distant ones. Knows no file, no graph and no training.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "PLAIN",
    "Votes",
    "VotesConfig",
    "nearest",
    "plain",
    "popularity",
    "similarity",
    "supporters",
    "votes",
]

PLAIN = 20
"""Neighbours of the baseline kNN-20."""


@dataclass(frozen=True, slots=True)
class VotesConfig:
    """How neighbours vote; the defaults were chosen on development genes of GO functions.

    ``weights`` are those of the kinds of features by name; they are brought to a sum of one.
    """

    k: int = 50
    sharpness: float = 12.0
    prior: float = 1e-3
    weights: Mapping[str, float] = field(default_factory=lambda: {"name": 1.0})

    def __post_init__(self) -> None:
        total = sum(self.weights.values())
        if self.k < 1 or self.prior < 0 or not total > 0 or min(self.weights.values()) < 0:
            raise BadInput(
                f"votes of {self.k} neighbours with the weights {dict(self.weights)} and the "
                f"prior {self.prior}; expected at least one neighbour and weights above 0"
            )


@dataclass(frozen=True, eq=False)
class Votes:
    """Scores, and who voted.

    ``scores`` [asked, tails]; ``voters`` [asked, k] are rows of the known genes, the most similar
    first, ``weights`` what each vote weighs.
    """

    scores: NDArray[np.float64]
    voters: NDArray[np.int64]
    weights: NDArray[np.float64]


def similarity(
    asked: Mapping[str, Any], known: Mapping[str, Any], weights: Mapping[str, float]
) -> NDArray[np.float32]:
    """Weighted mean of cosines [asked, known]; features are unit rows, dense or sparse, by kind.

    A gene that lacks a kind (its row is all zeros) is compared by the others alone.
    """
    used = {kind: weight for kind, weight in weights.items() if weight > 0}
    there = {kind: _present(asked[kind]) for kind in used}
    total = sum(used[kind] * there[kind] for kind in used)
    found: NDArray[np.float32] | None = None
    for kind, weight in used.items():
        part = asked[kind] @ known[kind].T
        dense = part if isinstance(part, np.ndarray) else part.toarray()
        share = weight * there[kind] / np.where(total > 0, total, 1)
        scaled = np.asarray(dense * share[:, None], dtype=np.float32)
        found = scaled if found is None else found + scaled
    assert found is not None  # the weights have a sum above zero
    return found


def _present(rows: Any) -> NDArray[np.float64]:
    """1 for each row that has anything, 0 for the others."""
    dense = isinstance(rows, np.ndarray)
    return np.asarray(rows.any(axis=1) if dense else np.diff(rows.indptr) > 0, dtype=np.float64)


def nearest(similar: NDArray[np.floating], k: int) -> NDArray[np.int64]:
    """Columns of the ``k`` highest of each row, best first; equal ones by their column."""
    k = min(k, similar.shape[1])
    border = np.partition(similar, -k, axis=1)[:, -k]
    found = np.empty((len(similar), k), dtype=np.int64)
    for i, row in enumerate(similar):
        # All that equal the k-th stay in the draw, so that the choice depends on no library.
        drawn = np.flatnonzero(row >= border[i])
        found[i] = drawn[np.argsort(-row[drawn], kind="stable")[:k]]
    return found


def popularity(table: csr_array) -> NDArray[np.float64]:
    """The share of genes with each tail [tails]."""
    counts = np.bincount(table.indices, minlength=table.shape[1])
    return np.asarray(counts / max(1, table.shape[0]), dtype=np.float64)


def votes(
    similar: NDArray[np.floating],
    table: csr_array,
    config: VotesConfig,
    prior: NDArray[np.floating] | None = None,
) -> Votes:
    """Share of the votes that each tail gets.

    Parameters
    ----------
    similar
        Of the genes asked about to the known ones, [asked, known].
    table
        Links of the known genes, [known, tails].
    config
        How they vote.
    prior
        What the further votes go by, [tails] or [asked, tails]; how common a tail is by default.
    """
    near = nearest(similar, config.k)
    close = np.take_along_axis(similar, near, axis=1).astype(np.float64)
    weight = np.exp(config.sharpness * (close - 1.0))
    summed = _summed(near, weight, table)
    back = popularity(table) if prior is None else np.asarray(prior, dtype=np.float64)
    total = weight.sum(axis=1, keepdims=True) + config.prior
    return Votes((summed + config.prior * back) / total, near, weight)


def plain(similar: NDArray[np.floating], table: csr_array, k: int = PLAIN) -> NDArray[np.float64]:
    """The usual baseline: the k nearest vote with their cosine; ties go to commoner tails."""
    near = nearest(similar, k)
    weight = np.maximum(np.take_along_axis(similar, near, axis=1), 0).astype(np.float64)
    total = np.maximum(weight.sum(axis=1, keepdims=True), 1e-12)
    return np.asarray(_summed(near, weight, table) / total + 1e-6 * popularity(table))


def _summed(
    near: NDArray[np.int64], weight: NDArray[np.float64], table: csr_array
) -> NDArray[np.float64]:
    from scipy.sparse import csr_array

    asked, k = near.shape
    offsets = np.arange(asked + 1, dtype=np.int64) * k
    chosen = csr_array((weight.ravel(), near.ravel(), offsets), shape=(asked, table.shape[0]))
    return np.asarray((chosen @ table.astype(np.float64)).toarray(), dtype=np.float64)


def supporters(found: Votes, table: csr_array, row: int, tail: int) -> Sequence[int]:
    """Rows of the known genes that voted for a tail, the heaviest vote first."""
    held = table[:, [tail]].toarray().ravel() > 0
    return [int(one) for one in found.voters[row] if held[one]]
