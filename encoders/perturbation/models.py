"""Fast models of what a perturbation changes: four trivial ones, and ridge on gene features.

Gives :data:`RECIPES` and :func:`change`. No change, the mean profile and the additive model are the
baselines that large models have been measured to fall below (Ahlmann-Eltze et al. 2025,
doi:10.1038/s41592-025-02772-6). The linear model is the mean profile plus kernel ridge regression
of what is left on the genes' texts, GO terms, or both; a perturbation of several genes is the sum
of its genes' features. What a perturbation does to its own gene is learnt apart, as a share of the
gene's control level: it is the same for every gene of a screen. From nothing else of it is learnt
(:attr:`Training.own`): that a knocked-out gene's transcript is gone says nothing of what it does in
other knock-outs. Knows no file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from encoders.perturbation.genes import GeneSpace
from encoders.perturbation.screen import Screen

__all__ = [
    "ADDITIVE", "FAMILIES", "MEAN", "NO_CHANGE", "OWN", "RECIPES", "TRIVIAL", "Recipe",
    "Training", "change", "own_share", "training_of", "with_own",
]  # fmt: skip

Kernel = Literal["text", "go", "both"]

OWN_LEAST = 3
"""Perturbed genes that must be measured before their own change is generalised."""

RIDGES = (0.1, 0.3, 1.0, 3.0)
"""Penalties tried, in units of the kernel's mean diagonal: from hardly any to mostly the mean."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """A model by name; ``kernel`` and ``ridge`` for the linear ones, ``own`` with its own gene."""

    name: str
    kernel: Kernel | None = None
    ridge: float = 0.0
    own: bool = False

    @property
    def label(self) -> str:
        """The name with its penalty."""
        return f"{self.name} (ridge {self.ridge:g})" if self.kernel else self.name


NO_CHANGE = Recipe("no change")
MEAN = Recipe("mean profile")
ADDITIVE = Recipe("additive")
OWN = Recipe("mean profile and own gene", own=True)
TRIVIAL = (NO_CHANGE, MEAN, ADDITIVE)

_NAMES: tuple[tuple[str, Kernel], ...] = (
    ("linear on gene texts", "text"), ("linear on GO terms", "go"),
    ("linear on texts and GO terms", "both"),
)  # fmt: skip
RECIPES = (
    *TRIVIAL,
    OWN,
    *(Recipe(name, kernel, ridge, own=True) for name, kernel in _NAMES for ridge in RIDGES),
)
"""All fast models, the simplest first."""

FAMILIES: Mapping[str, tuple[Recipe, ...]] = {
    "auto": RECIPES,
    "no-change": (NO_CHANGE,),
    "mean": (MEAN,),
    "additive": (ADDITIVE,),
    "own": (OWN,),
    **{kernel: tuple(r for r in RECIPES if r.kernel == kernel) for _, kernel in _NAMES},
}
"""What may be asked for by a short name."""


@dataclass(frozen=True, eq=False)
class Training:
    """What a model learns from.

    ``sets`` [C] the perturbed genes, ``rows`` [C, G] their indicators over ``space``, ``changes``
    [C, N] as they were measured, ``control`` [N]; ``places`` [G] the measured gene that each gene
    is, or -1.
    """

    sets: tuple[tuple[str, ...], ...]
    rows: NDArray[np.float64]
    changes: NDArray[np.float64]
    control: NDArray[np.float64]
    places: NDArray[np.int64]
    space: GeneSpace

    @cached_property
    def own(self) -> NDArray[np.bool_]:
        """[C, N] where a measured gene is one that the perturbation targets."""
        found = np.zeros(self.changes.shape, dtype=bool)
        measured = np.flatnonzero(self.places >= 0)
        for row, gene in np.argwhere(self.rows[:, measured] > 0):
            found[row, self.places[measured[gene]]] = True
        return found

    def mean(self, rows: Sequence[int] | None = None) -> NDArray[np.float64]:
        """[N] mean change of each gene over perturbations that target others; nought without any.

        Parameters
        ----------
        rows
            Perturbations to look at; all by default.
        """
        at = np.arange(len(self.sets)) if rows is None else np.asarray(rows, dtype=np.int64)
        other = ~self.own[at]
        total = np.where(other, self.changes[at], 0.0).sum(axis=0)
        found: NDArray[np.float64] = total / np.maximum(other.sum(axis=0), 1)
        return found

    def measured(self, genes: Sequence[str]) -> NDArray[np.int64]:
        """Places of those of the genes that are measured."""
        at: NDArray[np.int64] = self.places[self.space.rows([genes])[0] > 0]
        return np.extract(at >= 0, at)

    def taken(self, kept: Sequence[int]) -> Training:
        """The same with these perturbations only."""
        at = np.asarray(kept, dtype=np.int64)
        return replace(
            self, sets=tuple(self.sets[i] for i in at), rows=self.rows[at],
            changes=self.changes[at],
        )  # fmt: skip


def training_of(screen: Screen, space: GeneSpace, panel: Sequence[str] | None = None) -> Training:
    """Bring a screen and the space of its genes together.

    Parameters
    ----------
    screen, space
        The space may hold more genes than the screen perturbs.
    panel
        Current symbols of the measured genes where they differ from the file's names.
    """
    measured = {gene: i for i, gene in enumerate(panel or screen.genes)}
    # A file names its panel and its perturbations alike, be the names current or not.
    for label, some in zip(screen.labels, screen.sets, strict=True):
        if len(some) == 1 and label in measured:
            measured.setdefault(some[0], measured[label])
    places = np.array([measured.get(gene, -1) for gene in space.genes], dtype=np.int64)
    return Training(
        screen.sets, space.rows(screen.sets), screen.changes, screen.control, places, space
    )


def change(recipe: Recipe, training: Training, genes: Sequence[str]) -> NDArray[np.float64]:
    """The change that a model predicts, [N], of mean log1p expression.

    Parameters
    ----------
    recipe
        The model.
    training
        At least one perturbation.
    genes
        What is perturbed; in the space of the training.
    """
    if recipe == NO_CHANGE:
        return np.zeros_like(training.control)
    if recipe == ADDITIVE:
        return _additive(training, genes)
    found = training.mean()
    if recipe.kernel is not None:
        found += _ridge(recipe, training, training.space.rows([genes])[0], found)
    return with_own(found, training, genes) if recipe.own else found


def with_own(
    found: NDArray[np.float64], training: Training, genes: Sequence[str]
) -> NDArray[np.float64]:
    """A predicted change [N] with the perturbed genes' own, where enough others were measured."""
    share = own_share(training)
    if share is None:
        return found
    at = training.measured(genes)
    out = found.copy()
    out[at] = share * training.control[at]
    return out


def own_share(training: Training) -> float | None:
    """By which share of its control level a perturbed gene changes; None where too few tell.

    A least-squares slope through nought: -0.8 is a knock-down that leaves a fifth (of log1p).
    """
    levels, moves = [], []
    alone = [i for i, some in enumerate(training.sets) if len(some) == 1]
    for i in alone:
        place = int(training.places[int(np.argmax(training.rows[i]))])
        if place >= 0 and training.control[place] > 0:
            levels.append(training.control[place])
            moves.append(training.changes[i, place])
    if len(levels) < OWN_LEAST:
        return None
    level = np.array(levels)
    return float(level @ np.array(moves) / (level @ level))


def _additive(training: Training, genes: Sequence[str]) -> NDArray[np.float64]:
    """The sum of what each gene did alone, its own change with it.

    The mean of the single ones stands for a gene that was never perturbed alone.
    """
    alone = {some[0]: i for i, some in enumerate(training.sets) if len(some) == 1}
    other = training.mean(list(alone.values())) if alone else training.mean() / len(genes)
    found = np.zeros_like(training.control)
    for gene in genes:
        found += training.changes[alone[gene]] if gene in alone else other
    return found


def _ridge(
    recipe: Recipe, training: Training, row: NDArray[np.float64], mean: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Kernel ridge regression of the departures from the mean; that of an own gene is nought."""
    between, own = np.zeros((len(training.rows),) * 2), np.zeros(len(training.rows))
    for kernel in _kernels(recipe, training.space):
        part = training.rows @ kernel @ training.rows.T
        scale = float(np.trace(part)) / len(part) or 1.0
        between += part / scale
        own += training.rows @ (kernel @ row) / scale
    penalty = recipe.ridge * float(np.trace(between)) / len(between)
    weights = np.linalg.solve(between + penalty * np.eye(len(between)), own)
    departures: NDArray[np.float64] = training.changes - mean
    departures[training.own] = 0.0
    found: NDArray[np.float64] = weights @ departures
    return found


def _kernels(recipe: Recipe, space: GeneSpace) -> list[NDArray[np.float64]]:
    if recipe.kernel == "text":
        return [space.text]
    return [space.go] if recipe.kernel == "go" else [space.text, space.go]
