"""How well scores rank the right term: recall at k, F1, area under the curve, and gaps.

Scores are [items, candidates], higher is likelier; ties count against the right one. Nothing here
knows what made the scores.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from kg.backoff import Hierarchy
from kg.terms import Curie
from training.evaluate import metrics

__all__ = ["Gap", "Ranking", "auroc", "gap", "paired", "ranks"]

Scores = NDArray[np.floating]


def ranks(scores: Scores, truth: NDArray[np.integer]) -> NDArray[np.int64]:
    """The place of the true candidate in each row, 1 is best."""
    own = scores[np.arange(len(scores)), truth]
    return np.asarray((scores >= own[:, None]).sum(axis=1), dtype=np.int64)


def auroc(scores: Scores, truth: NDArray[np.integer]) -> float:
    """Area under the curve of each candidate that is true somewhere and not everywhere, on average.

    One against the rest: the chance that an item of the candidate scores higher for it than
    another item does.
    """
    from scipy.stats import rankdata

    found = []
    for one in np.unique(truth):
        own = truth == one
        if own.all():
            continue
        place = rankdata(scores[:, one])
        n, m = int(own.sum()), int((~own).sum())
        found.append((place[own].sum() - n * (n + 1) / 2) / (n * m))
    return float(np.mean(found)) if found else float("nan")


@dataclass(frozen=True, slots=True)
class Ranking:
    """Figures of one method on one set; ``right`` is the first of each item, for comparisons.

    ``balanced`` counts each type alike: where the same five of n types are always first it is
    5 / n, however common they are, while R@5 is then the share of the five in the set.
    """

    r1: float
    r5: float
    balanced_r1: float
    balanced_r5: float
    macro_f1: float
    auroc: float
    lin: float
    right: NDArray[np.bool_]

    @classmethod
    def of(
        cls, scores: Scores, candidates: Sequence[Curie], truth: Sequence[Curie], tree: Hierarchy
    ) -> Ranking:
        """Score a method.

        Raises
        ------
        BadInput
            When a true term is no candidate.
        """
        place = {term: i for i, term in enumerate(candidates)}
        if missing := sorted(set(truth) - place.keys()):
            raise BadInput(f"{missing[0]} is true of some cells and no candidate")
        at = np.array([place[term] for term in truth])
        rank = ranks(scores, at)
        each = [rank[at == one] for one in np.unique(at)]
        # Where several are highest, the first is said; a tie was no hit for the rank.
        said = [candidates[int(i)] for i in scores.argmax(axis=1)]
        return cls(
            r1=float((rank <= 1).mean()),
            r5=float((rank <= 5).mean()),
            balanced_r1=float(np.mean([(one <= 1).mean() for one in each])),
            balanced_r5=float(np.mean([(one <= 5).mean() for one in each])),
            macro_f1=metrics.macro_f1(truth, said),
            auroc=auroc(scores, at),
            lin=metrics.lin(truth, said, tree),
            right=rank <= 1,
        )

    def figures(self) -> dict[str, float]:
        """By name."""
        return {
            "R@1": self.r1,
            "R@5": self.r5,
            "balanced R@5": self.balanced_r5,
            "macro-F1": self.macro_f1,
            "AUROC": self.auroc,
            "Lin": self.lin,
        }


def paired(one: NDArray[np.bool_], other: NDArray[np.bool_]) -> tuple[float, float]:
    """Mean difference of two methods on the same items, and its standard error."""
    difference = one.astype(float) - other.astype(float)
    return float(difference.mean()), float(difference.std(ddof=1) / np.sqrt(len(difference)))


@dataclass(frozen=True, slots=True)
class Gap:
    """How far cells and texts are apart in one space.

    ``distance`` is that of the two centroids of unit vectors, 0 where they coincide and at most 2;
    ``cell_to_text`` and ``text_to_cell`` are R@1 and R@5 between the mean cell of each type and
    its text.
    """

    distance: float
    cell_to_text: tuple[float, float]
    text_to_cell: tuple[float, float]


def gap(cells: Scores, texts: Scores) -> Gap:
    """The gap between the mean cell of each type and its text, row by row, [types, w] each."""
    cells, texts = _units(cells), _units(texts)
    scores = cells @ texts.T
    own = np.arange(len(scores))

    def recall(some: Scores) -> tuple[float, float]:
        rank = ranks(some, own)
        return float((rank <= 1).mean()), float((rank <= 5).mean())

    apart = float(np.linalg.norm(cells.mean(axis=0) - texts.mean(axis=0)))
    return Gap(apart, recall(scores), recall(scores.T))


def _units(rows: Scores) -> Scores:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
