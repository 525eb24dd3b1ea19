"""The directions of a panel of genes: two classifiers stacked, cross-fitted by guides.

A multinomial regression and nearest shrunken centroids (R. Tibshirani et al. 2002,
10.1073/pnas.082099299), both on pseudo-cells, as many of every guide, each give one direction for
each label, whose value is its log odds. How strong either is, and how much each counts, is what
makes left-out training guides likeliest: no label of a guide that is to be told is seen.

What is trained on top of such values must not see them on the guides that they were fitted to:
there they are far too good, and a resampler that learns from them believes every one (measured:
docs/experiments/knockout.md). So the guides are dealt in parts, the values of a part come from
classifiers of the others (stacking, D. Wolpert 1992, 10.1016/S0893-6080(05)80023-1), and new cells
get those of classifiers of all.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
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

__all__ = ["PENALTIES", "THRESHOLDS", "FittedPanel", "Pools", "fit_panel", "guides_alike",
           "shrunken", "weights_of"]  # fmt: skip

PENALTIES = (3e-4, 1e-3, 3e-3)
"""Inverse penalties of the regression that are tried; left-out guides choose."""

THRESHOLDS = (0.0, 0.25, 0.5, 0.75, 1.0, 1.25)
"""Of centroids, in deviations of a gene within labels, that are tried; left-out guides choose."""

PARTS = 3
"""That the guides are dealt in; most screens have three or four for each gene."""

_DRAWN = 30  # pseudo-cells of a guide that a regression learns from
_FLOOR = 0.05  # added to standard deviations: genes that control cells lack altogether
_LEAST = 20  # control cells that give a standard deviation
_ALL = -2  # the part that is left out where none is
_STRONGEST = 2.0  # weight; where guides are told without fault none is strong enough
_NARROWEST = 0.1  # deviation within labels: pseudo-cells of a guide with few cells are all the same
_WIDEST = 4.0  # spread of log odds: beyond it is no room for a language model to say them in

Directions = tuple[NDArray[np.float32], NDArray[np.float32]]
Fitted = Callable[[int, float], Directions]


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
    pools = Pools(scores, labels, guides, part, seed)
    if not (part >= 0).any():
        direction, offset = pools.regressed(_ALL, PENALTIES[0])
        return FittedPanel(replace(plain, directions=direction, offset=offset), (), part)
    stack = _Stack(pools)
    made = []
    for left_out in (*range(PARTS), _ALL):
        # A part without guides asks nothing of its panel; it is fitted, so that places hold.
        direction, offset = stack.directions(left_out)
        made.append(replace(plain, directions=direction, offset=offset))
    return FittedPanel(made[-1], tuple(made[:-1]), part)


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
    pools = Pools(scores, labels, guides, folds(labels, guides, PARTS), seed, size)
    model = pools.fitted(_ALL, pools.chosen())
    return tuple(str(one) for one in model.classes_), model.predict_log_proba(asked)


class Pools:
    """Pseudo-cells of training guides, and classifiers of those of some parts."""

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
        self.left_out = sorted(set(self.part.tolist()) - {-1})

    def regressed(self, left_out: int, penalty: float) -> Directions:
        """The regression's direction for each label, [g, labels], and its offset."""
        model = self.fitted(left_out, penalty)
        own, offset = model.coef_, model.intercept_
        if len(model.classes_) == 2:  # sklearn gives the odds of the second alone
            own, offset = np.concatenate([-own, own]) / 2, np.concatenate([-offset, offset]) / 2
        return own.T.astype(np.float32), offset.astype(np.float32)

    def centred(self, left_out: int, threshold: float) -> Directions:
        """That of nearest shrunken centroids."""
        rows = self.part != left_out
        return shrunken(self.x[rows], self.y[rows], threshold)

    def shares(self) -> Directions:
        """What is said of a label where nothing is seen: its share of the guides."""
        share = np.array([(self.y == name).mean() for name in self.names])
        none = np.zeros((self.x.shape[1], len(self.names)), np.float32)
        return none, np.log(share).astype(np.float32)

    def fitted(self, left_out: int, penalty: float) -> Any:
        """The regression without a part's guides."""
        from sklearn.linear_model import LogisticRegression

        rows = self.part != left_out
        return LogisticRegression(C=penalty, max_iter=300).fit(self.x[rows], self.y[rows])

    def chosen(self) -> float:
        """The penalty with which the regression alone tells left-out guides best."""
        best, chosen = -1.0, PENALTIES[0]
        for penalty in PENALTIES:
            right, many = 0, 0
            for left_out in self.left_out:
                rows = self.part == left_out
                told = self.fitted(left_out, penalty).predict(self.x[rows])
                right, many = right + int((told == self.y[rows]).sum()), many + len(told)
            if many and right / many > best:
                best, chosen = right / many, penalty
        return chosen


class _Stack:
    """Which regression, which centroids, and how much each counts beside the labels' shares."""

    def __init__(self, pools: Pools) -> None:
        self.pools = pools
        self.rows = np.isin(pools.part, pools.left_out)
        self.right = np.array([pools.names.index(one) for one in pools.y[self.rows]])
        shares = pools.shares()
        self.penalty = self._best(pools.regressed, PENALTIES, shares)
        self.threshold = self._best(pools.centred, THRESHOLDS, shares)
        told = [self._told(pools.regressed, self.penalty),
                self._told(pools.centred, self.threshold), self._odds(shares)]  # fmt: skip
        weights, _ = weights_of(told, self.right)
        spread = float(np.std(np.tensordot(weights, _centred(told), 1)))
        self.weights = weights * min(1.0, _WIDEST / spread)

    def directions(self, left_out: int) -> Directions:
        """The stack's direction for each label, and its offset, without a part's guides."""
        pools = self.pools
        of = (pools.regressed(left_out, self.penalty), pools.centred(left_out, self.threshold),
              pools.shares())  # fmt: skip
        direction, offset = (
            sum(weight * one[i] for weight, one in zip(self.weights, of, strict=True))
            for i in (0, 1)
        )
        # What all labels share says nothing of any.
        direction, offset = np.asarray(direction), np.asarray(offset)
        direction = direction - direction.mean(1, keepdims=True)
        return direction.astype(np.float32), (offset - offset.mean()).astype(np.float32)

    def _odds(self, given: Directions) -> NDArray[np.float64]:
        return np.asarray(self.pools.x[self.rows] @ given[0] + given[1], np.float64)

    def _told(self, fitted: Fitted, setting: float) -> NDArray[np.float64]:
        """Log odds of pseudo-cells by what is fitted without their guides' part."""
        found = np.zeros((len(self.pools.y), len(self.pools.names)))
        for left_out in self.pools.left_out:
            rows = self.pools.part == left_out
            direction, offset = fitted(left_out, setting)
            found[rows] = self.pools.x[rows] @ direction + offset
        return found[self.rows]

    def _best(self, fitted: Fitted, settings: Sequence[float], shares: Directions) -> float:
        losses = [
            weights_of([self._told(fitted, one), self._odds(shares)], self.right)[1]
            for one in settings
        ]
        return settings[int(np.argmin(losses))]


def shrunken(x: NDArray[np.float32], y: NDArray[Any], threshold: float) -> Directions:
    """Nearest shrunken centroids as log odds, without shares of labels.

    Parameters
    ----------
    x, y
        Inputs [n, g] and their labels [n].
    threshold
        By how many of a gene's deviations within labels each label's mean is drawn to the mean of
        all labels; a gene whose means all come to lie there tells nothing.

    Returns
    -------
    tuple
        Directions [g, labels], labels in order of their names, and offsets [labels].
    """
    names, of = np.unique(y, return_inverse=True)
    means = np.stack([x[of == i].mean(0) for i in range(len(names))])
    overall = means.mean(0)
    deviation = np.maximum(np.sqrt(((x - means[of]) ** 2).mean(0)), np.float32(_NARROWEST))
    apart = (means - overall) / deviation
    apart = np.sign(apart) * np.maximum(np.abs(apart) - threshold, 0)
    nearest = apart + overall / deviation  # [labels, g], in deviations
    return (nearest / deviation).T.astype(np.float32), -(nearest**2).sum(1) / 2


def weights_of(
    odds: Sequence[NDArray[np.float64]], right: NDArray[np.int64]
) -> tuple[NDArray[np.float64], float]:
    """What several log odds [n, c] are multiplied by, 0 to 2, for ``right`` to be likeliest.

    Returns
    -------
    tuple
        The weights, and the mean cross-entropy with them.
    """
    from scipy.optimize import minimize
    from scipy.special import log_softmax

    given = _centred(odds)
    at = np.arange(len(right))

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logs = log_softmax(np.tensordot(x, given, 1), axis=1)
        off = np.exp(logs)
        off[at, right] -= 1
        return -float(logs[at, right].mean()), np.einsum("nc,knc->k", off, given) / len(right)

    found = minimize(loss, np.full(len(given), 0.1), jac=True, method="L-BFGS-B",
                     bounds=[(0, _STRONGEST)] * len(given))  # fmt: skip
    return found.x, float(found.fun)


def _centred(odds: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    return np.stack([one - one.mean(1, keepdims=True) for one in odds])
