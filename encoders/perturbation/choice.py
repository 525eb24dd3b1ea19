"""Which model to trust: left-out perturbations like the one that is asked about.

Gives :func:`cases`, :func:`choose` and :func:`measure`. A case hides one perturbation, and as many
of its genes from all others as the question has genes that no training perturbation touches. The
choice is made on cases; what it is worth is measured on cases outside of it (leave-out within
leave-out), so that the best of sixteen models is not praised for being the best by chance. The same
cases say whether expected errors go with errors; where they do not, none are shown.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.perturbation.models import (
    MEAN,
    RECIPES,
    TRIVIAL,
    Recipe,
    Training,
    change,
)

__all__ = [
    "MOST",
    "SHOWN",
    "Case",
    "Choice",
    "Measure",
    "agreement",
    "beyond_chance",
    "cases",
    "cases_like",
    "choose",
    "measure",
    "pearson",
]

MOST = 24
"""Cases looked at, spread evenly: what more would tell is less than their spread."""

FEWEST = 3
"""Cases below which nothing is measured."""

SURE = 0.95
"""How sure it must be that a model is better than the mean profile. With one standard error (.84)
models were taken on pairs of unseen genes that then fell below the mean profile."""

AGREEING = math.ceil(math.log(1 - SURE) / math.log(0.5))
"""Independent cases below which no model leaves the mean profile: five. Of fewer not even gains in
each of them are beyond chance, which has four heads in a row once in sixteen throws."""

EXPRESSED = 0.1
"""Mean log1p expression from which on a gene counts as expressed."""

SHOWN = 0.2
"""Spearman correlation with the error from which on an uncertainty is shown."""


@dataclass(frozen=True, slots=True)
class Case:
    """Perturbation ``row`` is predicted from the perturbations ``kept``."""

    row: int
    kept: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Choice:
    """The model that won, delta-Pearson of all by case, and the winner's errors [cases, N].

    ``own`` [cases, N] is where a case's own genes are measured.
    """

    recipe: Recipe
    scores: Mapping[Recipe, NDArray[np.float64]]
    errors: NDArray[np.float64]
    own: NDArray[np.bool_]

    def expected(self, at: NDArray[np.int64]) -> NDArray[np.float64]:
        """[N] root mean square error of the winner for each gene.

        Of genes that are perturbed, at the places ``at``, by what befell others' own genes; of all
        genes else by the cases that do not target them.
        """
        squares, other = self.errors**2, ~self.own
        found = np.where(other, squares, 0.0).sum(axis=0) / np.maximum(other.sum(axis=0), 1)
        if self.own.any():
            found[at] = squares[self.own].mean()
        rooted: NDArray[np.float64] = np.sqrt(found)
        return rooted


@dataclass(frozen=True, eq=False)
class Measure:
    """What choosing is worth on cases outside of the choice.

    ``auto`` and ``baselines`` are delta-Pearson by case, ``rows`` the perturbations;
    ``predicted`` [cases, N] and ``expected`` [cases, N] errors; ``spearman`` their correlation with
    the true errors over genes, mean of the cases; ``near`` that of delta-Pearson with how alike
    the nearest training gene is, over cases.
    """

    rows: tuple[int, ...]
    auto: NDArray[np.float64]
    baselines: Mapping[Recipe, NDArray[np.float64]]
    chosen: tuple[Recipe, ...]
    predicted: NDArray[np.float64]
    expected: NDArray[np.float64]
    spearman: float
    near: float = 0.0

    def best_other(self, recipe: Recipe) -> Recipe:
        """The best baseline that is another model, and says something else on some case.

        Of genes that were never perturbed the additive model is the mean profile by another name.
        """
        own = self.baselines.get(recipe)
        others = {
            one: scores
            for one, scores in self.baselines.items()
            if own is None or (one != recipe and not np.allclose(scores, own))
        } or {one: scores for one, scores in self.baselines.items() if one != recipe}
        return max(others, key=lambda one: float(others[one].mean()))


def pearson(a: NDArray[np.float64], b: NDArray[np.float64]) -> float:
    """Correlation of two changes over genes, 0 where one of them is constant.

    >>> pearson(np.array([1.0, 2.0, 3.0]), np.array([2.0, 4.0, 6.0]))
    1.0
    >>> pearson(np.zeros(3), np.array([2.0, 4.0, 6.0]))
    0.0
    """
    a, b = a - a.mean(), b - b.mean()
    size = float(np.sqrt((a @ a) * (b @ b)))
    return float(np.clip(a @ b / size, -1, 1)) if size > 1e-12 else 0.0


def cases(sets: Sequence[Sequence[str]], size: int, unseen: int, most: int = MOST) -> list[Case]:
    """Ways to hide a perturbation of ``size`` genes so that ``unseen`` of them are in no other.

    A case that cannot be made so is no case: the list may be shorter than the screen, or empty.

    >>> cases((("A",), ("B",), ("A", "B"), ("C",), ("D",)), 1, 1)[0]
    Case(row=0, kept=(1, 3, 4))
    """
    found = []
    for row, some in enumerate(sets):
        if len(some) != size:
            continue
        for hidden in combinations(some, unseen):
            kept = [i for i, other in enumerate(sets) if i != row and not set(hidden) & set(other)]
            left = {gene for i in kept for gene in sets[i]}
            if len(kept) >= FEWEST and all(gene in left for gene in some if gene not in hidden):
                found.append(Case(row, tuple(kept)))
                break  # one case a perturbation: they are to be independent
    if len(found) > most:
        at = np.linspace(0, len(found) - 1, most).round().astype(int)
        found = [found[i] for i in at]
    return found


def cases_like(sets: Sequence[Sequence[str]], size: int, unseen: int) -> list[Case]:
    """Cases to choose by: of the kind asked for, or where those are too few, of unseen genes.

    Where every gene of the question is unseen, perturbations of any number of genes count: pairs
    that share a gene tell less than their number says, and all ask the same of a model.

    Raises
    ------
    BadInput
        When there are too few of any kind.
    """
    sizes = sorted({len(some) for some in sets})
    unseen_any = [case for n in sizes for case in cases(sets, n, n)]
    found = unseen_any if unseen == size else cases(sets, size, unseen)
    found = found if len(found) >= FEWEST else unseen_any
    if len(found) < FEWEST:
        raise BadInput(
            f"the screen has {len(sets)} perturbations of {len({g for s in sets for g in s})} "
            f"genes; expected enough to leave out {FEWEST} and learn from {FEWEST} others: give a "
            "larger screen, or a trained model with --model"
        )
    return found


def choose(training: Training, some: Sequence[Case], recipes: Sequence[Recipe] = RECIPES) -> Choice:
    """The model with the highest mean delta-Pearson on the cases.

    Where the mean profile is among them, a winner must beat it beyond chance (paired, one-sided t
    test at :data:`SURE`); otherwise the mean profile it is. Cases with unseen genes that share a
    gene count as one.
    """
    predicted: dict[Recipe, NDArray[np.float64]] = {}
    kept = [training.taken(case.kept) for case in some]
    for recipe in dict.fromkeys((MEAN, *recipes)):
        rows = [
            change(recipe, one, training.sets[case.row])
            for one, case in zip(kept, some, strict=True)
        ]
        predicted[recipe] = np.array(rows)
    at = [case.row for case in some]
    truth = training.changes[at]
    scores = {
        recipe: np.array([pearson(p, t) for p, t in zip(rows, truth, strict=True)])
        for recipe, rows in predicted.items()
    }
    order = list(recipes)
    best = max(order, key=lambda recipe: (float(scores[recipe].mean()), -order.index(recipe)))
    gain = _independent(scores[best] - scores[MEAN], training.sets, some)
    if MEAN in recipes and not beyond_chance(gain):
        best = MEAN
    return Choice(best, scores, predicted[best] - truth, training.own[at])


def beyond_chance(gain: NDArray[np.float64]) -> bool:
    """Whether the mean gain is above nought by a one-sided t test, of :data:`AGREEING` or more."""
    from scipy.stats import t as student

    if len(gain) < AGREEING:
        return False
    error = float(gain.std(ddof=1)) / np.sqrt(len(gain))
    return bool(gain.mean() > student.ppf(SURE, len(gain) - 1) * error)


def _independent(
    gain: NDArray[np.float64], sets: Sequence[Sequence[str]], some: Sequence[Case]
) -> NDArray[np.float64]:
    """Gains by case; the mean of those that share a gene, directly or through others.

    Where nothing is hidden but the perturbation itself they stay apart: all of their genes are
    known, and what is asked is how they combine.
    """
    if all(len(case.kept) == len(sets) - 1 for case in some):
        return gain
    groups: list[tuple[set[str], list[float]]] = []
    for one, case in zip(gain, some, strict=True):
        genes, values = set(sets[case.row]), [float(one)]
        apart = []
        for group in groups:
            if group[0] & genes:
                genes |= group[0]
                values += group[1]
            else:
                apart.append(group)
        groups = [*apart, (genes, values)]
    return np.array([np.mean(values) for _, values in groups])


def measure(
    training: Training,
    size: int,
    unseen: int,
    recipes: Sequence[Recipe] = RECIPES,
    progress: Callable[[int, int], None] | None = None,
) -> Measure:
    """Delta-Pearson of the choice, and of the baselines, each case outside of the choice.

    Parameters
    ----------
    training
        The screen.
    size, unseen
        Genes of the question, and how many of them no training perturbation touches.
    recipes
        The models to choose among.
    progress
        Called with the cases that are done, and all of them.

    Raises
    ------
    BadInput
        When the screen is too small to leave anything out twice.
    """
    outer = cases(training.sets, size, unseen)
    if len(outer) < FEWEST:
        outer = cases_like(training.sets, size, unseen)
    predicted, expected, chosen = [], [], []
    for case in outer:
        inside = training.taken(case.kept)
        choice = choose(inside, cases_like(inside.sets, size, unseen), recipes)
        genes = training.sets[case.row]
        predicted.append(change(choice.recipe, inside, genes))
        expected.append(choice.expected(inside.measured(genes)))
        chosen.append(choice.recipe)
        if progress is not None:
            progress(len(chosen), len(outer))
    rows = [case.row for case in outer]
    truth = training.changes[rows]
    baselines = {recipe: np.array([
        pearson(change(recipe, training.taken(case.kept), training.sets[case.row]), t)
        for case, t in zip(outer, truth, strict=True)
    ]) for recipe in TRIVIAL}  # fmt: skip
    made, spread = np.array(predicted), np.array(expected)
    auto = np.array([pearson(p, t) for p, t in zip(made, truth, strict=True)])
    return Measure(
        tuple(rows), auto, baselines, tuple(chosen), made, spread,
        agreement(spread, np.abs(made - truth), training.control),
        _nearness(training, outer, auto),
    )  # fmt: skip


def _nearness(training: Training, outer: Sequence[Case], scores: NDArray[np.float64]) -> float:
    """Spearman correlation of the scores with the likeness of the nearest training gene."""
    from scipy.stats import rankdata

    found = []
    for case in outer:
        left = {gene for i in case.kept for gene in training.sets[i]}
        genes = training.sets[case.row]
        found.append(min(training.space.nearest(gene, left)[0] for gene in genes))
    return pearson(rankdata(np.array(found)), rankdata(scores))


def agreement(
    expected: NDArray[np.float64], errors: NDArray[np.float64], control: NDArray[np.float64]
) -> float:
    """Spearman correlation of expected and true errors [cases, N] over genes, mean of the cases.

    Only over genes that control cells express: of the others both are nought, and agree.
    """
    from scipy.stats import rankdata

    some = control > EXPRESSED
    if some.sum() < FEWEST:
        return 0.0
    found = [
        pearson(rankdata(one[some]), rankdata(other[some]))
        for one, other in zip(expected, errors, strict=True)
    ]
    return float(np.mean(found))
