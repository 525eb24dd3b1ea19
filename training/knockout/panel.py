"""The directions of a panel of genes: a penalised regression on guides, cross-fitted.

A multinomial regression on pseudo-cells, as many of every guide, gives one direction for each
label, whose value is its log odds; its penalty is the one that tells left-out guides best. What is
trained on top of such values must not see them on the guides that they were fitted to: there they
are far too good, and a resampler that learns from them believes every one (measured:
docs/experiments/knockout.md). So the guides are dealt in parts, the values of a part come from the
regression on the others (stacking, D. Wolpert 1992, 10.1016/S0893-6080(05)80023-1), and new cells
get the mean of these regressions.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.knockout.knocked import NONE
from encoders.knockout.panel import MOST, Panel, pooled
from training.knockout.data import Labels, folds

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["PENALTIES", "FittedPanel", "fit_panel", "guides_alike"]

PENALTIES = (3e-4, 1e-3, 3e-3)
"""Inverse penalties that are tried; left-out guides choose."""

PARTS = 3
"""That the guides are dealt in; most screens have three or four for each gene."""

_DRAWN = 30  # pseudo-cells of a guide that a regression learns from
_FLOOR = 0.05  # added to standard deviations: genes that control cells lack altogether
_LEAST = 20  # control cells that give a standard deviation


@dataclass(frozen=True, eq=False)
class FittedPanel:
    """A panel for new cells, and for the cells that it was fitted to.

    ``part`` [cells] says which of ``crossed`` gives a training cell its values; -1: ``panel``.
    """

    panel: Panel
    crossed: tuple[Panel, ...]
    part: NDArray[np.int64]

    def of(self, part: int) -> Panel:
        """The panel for the training cells of a part."""
        return self.panel if part < 0 else self.crossed[part]


def fit_panel(
    values: sp.csr_matrix | NDArray[Any],
    genes: Sequence[str],
    labels: Labels,
    guides: Labels,
    seed: int = 0,
) -> FittedPanel:
    """Fit on training cells alone.

    Parameters
    ----------
    values
        log1p expression, [cells, genes].
    genes
        Names of its columns.
    labels, guides
        What was knocked out in each cell, and by which guide; control cells are ``NONE``.
    seed
        Of the pseudo-cells.

    Raises
    ------
    BadInput
        When there are fewer than 20 control cells, or a single label.
    """
    dense: Any = values.todense() if hasattr(values, "todense") else values
    x = np.asarray(dense, np.float32)
    control = labels == NONE
    if control.sum() < _LEAST or len(set(labels)) < 2:
        raise BadInput(
            f"there are {int(control.sum())} control cells and {len(set(labels))} labels; expected "
            f"at least {_LEAST} and 2"
        )
    mean, deviation = x[control].mean(0), x[control].std(0) + np.float32(_FLOOR)
    none = np.zeros((len(genes), 0), np.float32)
    plain = Panel(tuple(genes), mean, deviation, none, none[0])
    scores = plain.scores(x, genes)
    part = folds(labels, guides, PARTS)
    pools = _Pools(scores, labels, guides, part, seed)
    fitted = [pools.directions(left_out) for left_out in range(PARTS) if (part == left_out).any()]
    if not fitted:
        fitted = [pools.directions(-2)]
        part = np.full(len(part), -1)
    directions, offsets = (np.mean([one[i] for one in fitted], axis=0) for i in (0, 1))
    made = [replace(plain, directions=one, offset=other) for one, other in fitted]
    return FittedPanel(replace(plain, directions=directions, offset=offsets), tuple(made), part)


def guides_alike(
    scores: NDArray[np.float32],
    labels: Labels,
    guides: Labels,
    asked: NDArray[np.float32],
    seed: int = 0,
    size: int = MOST,
) -> tuple[tuple[str, ...], NDArray[np.float64]]:
    """The panel's own regression, fitted to all training guides: a baseline.

    Parameters
    ----------
    scores, labels, guides
        Training cells [cells, g], and what they are.
    asked
        Pseudo-cells, [n, g].
    seed
        Of the pseudo-cells that it learns from, as many of each guide.
    size
        Their cells.

    Returns
    -------
    tuple
        The labels, and their log probabilities, [n, labels].
    """
    pools = _Pools(scores, labels, guides, folds(labels, guides, PARTS), seed, size)
    model = pools.fitted()
    return tuple(str(one) for one in model.classes_), model.predict_log_proba(asked)


class _Pools:
    """Pseudo-cells of training guides, and the regression on those of some parts."""

    def __init__(
        self,
        scores: NDArray[np.float32],
        labels: Labels,
        guides: Labels,
        part: NDArray[np.int64],
        seed: int,
        size: int = MOST,
    ) -> None:
        draw = np.random.default_rng(seed)
        x, y, parts = [], [], []
        for label, guide in sorted(set(zip(labels, guides, strict=True))):
            rows = np.flatnonzero((labels == label) & (guides == guide))
            for _ in range(_DRAWN):
                some = draw.choice(rows, min(size, len(rows)), replace=False)
                x.append(pooled(scores[some]))
                y.append(str(label))
                parts.append(part[rows[0]])
        self.x, self.y, self.part = np.stack(x), np.array(y), np.array(parts)
        self.names = sorted(set(y))
        self.penalty = self._chosen()

    def directions(self, left_out: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """One direction for each label, [g, labels], and its offset, without a part's guides."""
        model = self._fitted(self.part != left_out, self.penalty)
        own, offset = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # sklearn gives the odds of the second alone
            own, offset = np.concatenate([-own, own]) / 2, np.concatenate([-offset, offset]) / 2
        at = [self.names.index(name) for name in model.classes_]
        found = np.zeros((self.x.shape[1], len(self.names)), np.float32)
        # A label that has no other guide is as likely as the least likely one.
        offsets = np.full(len(self.names), offset.min(), np.float32)
        found[:, at], offsets[at] = own.T, offset
        return found, offsets

    def fitted(self) -> Any:
        """The regression on all guides."""
        return self._fitted(np.ones(len(self.y), bool), self.penalty)

    def _fitted(self, rows: NDArray[np.bool_], penalty: float) -> Any:
        from sklearn.linear_model import LogisticRegression

        return LogisticRegression(C=penalty, max_iter=300).fit(self.x[rows], self.y[rows])

    def _chosen(self) -> float:
        """The penalty with which left-out guides are told best."""
        best, chosen = -1.0, PENALTIES[0]
        for penalty in PENALTIES:
            right, many = 0, 0
            for left_out in sorted(set(self.part.tolist()) - {-1}):
                rows = self.part != left_out
                if len(set(self.y[rows])) < 2:
                    continue
                told = self._fitted(rows, penalty).predict(self.x[~rows])
                right, many = right + int((told == self.y[~rows]).sum()), many + len(told)
            if many and right / many > best:
                best, chosen = right / many, penalty
        return chosen
