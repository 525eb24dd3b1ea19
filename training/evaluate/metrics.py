"""How good cell-type answers are: exact, by the ontology, and as probabilities.

Every function takes plain sequences and returns numbers; an answer may be None (abstained). The
ontology-aware measures are those of algorithms.md's references: scTab's rule (Fischer et al. 2024),
hierarchical precision and recall over sets of ancestors (Kiritchenko et al. 2005), the distance
through the lowest common ancestor and Lin's similarity (Lin 1998); calibration is the expected
calibration error over 15 bins (Guo et al. 2017, arXiv:1706.04599) and the area under the
risk-coverage curve (Geifman & El-Yaniv 2017, arXiv:1705.08500).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = [
    "Hierarchical",
    "accuracy",
    "along_the_line",
    "aurc",
    "expected_calibration_error",
    "hierarchical",
    "lca_distance",
    "lin",
    "macro_f1",
    "risk_coverage",
    "sctab",
    "within_two_steps",
]

Answers = Sequence[Curie | None]
ECE_BINS = 15


def _pairs(truth: Sequence[Curie], answers: Answers) -> None:
    if len(truth) != len(answers) or not len(truth):
        raise BadInput(
            f"{len(answers)} answers were given for {len(truth)} truths; expected as many, "
            "and at least one"
        )


def accuracy(truth: Sequence[Curie], answers: Answers) -> float:
    """Share of answers that are the very term; an abstention is wrong."""
    _pairs(truth, answers)
    return sum(t == a for t, a in zip(truth, answers, strict=True)) / len(truth)


def macro_f1(truth: Sequence[Curie], answers: Answers) -> float:
    """Mean over the true classes of F1; answers outside them only cost recall."""
    _pairs(truth, answers)
    scores = []
    for label in sorted(set(truth)):
        both = sum(t == a == label for t, a in zip(truth, answers, strict=True))
        said = sum(a == label for a in answers)
        real = sum(t == label for t in truth)
        scores.append(2 * both / (said + real))
    return float(np.mean(scores))


def sctab(truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy) -> float:
    """Share of answers that are the true term or a subtype of it."""
    _pairs(truth, answers)
    return float(
        np.mean(
            [
                a is not None and t in hierarchy.ancestors(a)
                for t, a in zip(truth, answers, strict=True)
            ]
        )
    )


def along_the_line(
    truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy
) -> NDArray[np.bool_]:
    """Which answers are the true term, one above it or one below it; an abstention is not.

    What a label can contradict: a broader answer is a true statement, a narrower one goes beyond
    the label. This is the event that a confidence speaks of.
    """
    _pairs(truth, answers)
    return np.array(
        [
            a is not None and (t in hierarchy.ancestors(a) or a in hierarchy.ancestors(t))
            for t, a in zip(truth, answers, strict=True)
        ]
    )


@dataclass(frozen=True, slots=True)
class Hierarchical:
    """Means over items of precision, recall and F over the ancestor sets, roots left out."""

    precision: float
    recall: float
    f: float


def hierarchical(truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy) -> Hierarchical:
    """Overlap of the ancestors of answer and truth, each with itself; an abstention scores 0."""
    _pairs(truth, answers)
    roots = {hierarchy.ids[i] for i in np.flatnonzero(hierarchy.depth == 0)}
    rows = []
    for t, a in zip(truth, answers, strict=True):
        real = hierarchy.ancestors(t) - roots
        said = hierarchy.ancestors(a) - roots if a is not None else frozenset()
        both = len(real & said)
        rows.append(
            (
                both / len(said) if said else 0.0,
                both / len(real) if real else 0.0,
                2 * both / (len(said) + len(real)) if said or real else 0.0,
            )
        )
    precision, recall, f = (float(x) for x in np.mean(rows, axis=0))
    return Hierarchical(precision, recall, f)


def _hops(start: Curie, hierarchy: Hierarchy) -> dict[int, int]:
    """Fewest steps from a term to each term above it."""
    found = {hierarchy.index(start): 0}
    ring = set(found)
    while ring:
        ring = {p for i in ring for p in hierarchy.parents[i]} - found.keys()
        step = max(found.values()) + 1
        found |= dict.fromkeys(ring, step)
    return found


def lca_distance(truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy) -> float:
    """Mean steps from answer to truth through the nearest common ancestor.

    An abstention counts as the root that lies nearest above the truth.
    """
    _pairs(truth, answers)
    distances = []
    for t, a in zip(truth, answers, strict=True):
        above = _hops(t, hierarchy)
        if a is None:
            distances.append(min(n for i, n in above.items() if hierarchy.depth[i] == 0))
            continue
        other = _hops(a, hierarchy)
        distances.append(min(above[i] + other[i] for i in above.keys() & other.keys()))
    return float(np.mean(distances))


def lin(truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy) -> float:
    """Mean of 2 IC(lca) / (IC(answer) + IC(truth)); an abstention scores 0."""
    _pairs(truth, answers)
    values = []
    for t, a in zip(truth, answers, strict=True):
        if a is None:
            values.append(0.0)
            continue
        i, j = hierarchy.index(t), hierarchy.index(a)
        shared = np.intersect1d(hierarchy.above[i], hierarchy.above[j])
        both = hierarchy.content[i] + hierarchy.content[j]
        top = hierarchy.content[shared].max() if len(shared) else 0.0
        values.append(float(2 * top / both) if both > 0 else 1.0)
    return float(np.mean(values))


def within_two_steps(truth: Sequence[Curie], answers: Answers, hierarchy: Hierarchy) -> float:
    """Mean of 1 for the very term, one half for one within two steps above or below it, else 0."""
    _pairs(truth, answers)
    scores = []
    for t, a in zip(truth, answers, strict=True):
        if a is None:
            scores.append(0.0)
        elif a == t:
            scores.append(1.0)
        else:
            up, down = _hops(t, hierarchy), _hops(a, hierarchy)
            i, j = hierarchy.index(a), hierarchy.index(t)
            steps = min(up.get(i, 9), down.get(j, 9))
            scores.append(0.5 if steps <= 2 else 0.0)
    return float(np.mean(scores))


def expected_calibration_error(
    confidence: Sequence[float] | NDArray[np.floating],
    right: Sequence[bool] | NDArray[np.bool_],
    bins: int = ECE_BINS,
) -> float:
    """Mean difference of confidence and share right over bins of equal width, weighted by size."""
    c, r = np.asarray(confidence, dtype=float), np.asarray(right, dtype=float)
    place = np.minimum((c * bins).astype(int), bins - 1)
    gaps = [
        (place == b).mean() * abs(c[place == b].mean() - r[place == b].mean())
        for b in np.unique(place)
    ]
    return float(sum(gaps))


def risk_coverage(
    confidence: Sequence[float] | NDArray[np.floating],
    right: Sequence[bool] | NDArray[np.bool_],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Coverage and the risk (share wrong) among the most confident, ties taken together.

    Items of equal confidence cannot be told apart: their errors are spread evenly over them.
    """
    c = np.asarray(confidence, dtype=float)
    wrong = 1.0 - np.asarray(right, dtype=float)
    values, place = np.unique(-c, return_inverse=True)
    sizes = np.bincount(place, minlength=len(values))
    mean_wrong = np.bincount(place, weights=wrong, minlength=len(values)) / sizes
    spread = np.repeat(mean_wrong, sizes)
    n = np.arange(1, len(c) + 1)
    return n / len(c), np.cumsum(spread) / n


def aurc(
    confidence: Sequence[float] | NDArray[np.floating],
    right: Sequence[bool] | NDArray[np.bool_],
) -> float:
    """Area under the risk-coverage curve: mean risk over all coverages, 0 is best."""
    return float(risk_coverage(confidence, right)[1].mean())
