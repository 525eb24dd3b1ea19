"""What a model of knock-outs is measured beside, and how its rankings are scored.

:class:`Ranked` holds scores of candidates for each input, however they were made; it gives top-1,
top-5, the mean reciprocal rank, and standard errors by guide: cells of one guide are no independent
witnesses. The baselines are the largest class, the nearest centroid and a logistic regression whose
penalty is chosen by guides of the training cells.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from training.knockout.data import Labels

__all__ = ["PENALTIES", "Ranked", "Repeated", "centroids", "joined", "largest", "regression"]

PENALTIES = (1e-4, 1e-3, 1e-2)
"""Inverse penalties that the regression chooses from."""

FIVE = 5


class _Figures(ABC):
    """Figures of what each input's share of them is known of, with errors over guides."""

    groups: Labels

    @abstractmethod
    def hits(self, figure: str) -> NDArray[np.float64]:
        """Each input's share of a figure: ``top-1``, ``top-5`` or ``MRR``."""

    def figure(self, figure: str) -> tuple[float, float]:
        """A figure and its standard error over guides."""
        return _mean(self.hits(figure), self.groups)

    def alike(self, figure: str) -> tuple[float, float]:
        """A figure with all guides alike, however many inputs each has, and its standard error."""
        return _of_guides(self.hits(figure), self.groups)

    def above(self, other: _Figures, figure: str) -> tuple[float, float]:
        """By how much a figure is above another method's on the same inputs, with its error."""
        return _mean(self.hits(figure) - other.hits(figure), self.groups)

    def above_alike(self, other: _Figures, figure: str) -> tuple[float, float]:
        """:meth:`above`, all guides alike."""
        return _of_guides(self.hits(figure) - other.hits(figure), self.groups)


@dataclass(frozen=True, eq=False)
class Ranked(_Figures):
    """Scores [n, c] of the candidates ``names``, what is ``right`` [n], and the guide of each."""

    names: tuple[str, ...]
    scores: NDArray[np.float64]
    right: Labels
    groups: Labels

    def __post_init__(self) -> None:
        if not len(self.scores) == len(self.right) == len(self.groups):
            raise BadInput(f"{len(self.scores)} rows of scores were given for {len(self.right)} "
                           "truths; expected one for each")  # fmt: skip

    def ranks(self) -> NDArray[np.float64]:
        """The rank of what is right, from 1; among equal scores the mean of their places."""
        place = {name: i for i, name in enumerate(self.names)}
        own = self.scores[np.arange(len(self.right)), [place[one] for one in self.right]]
        above = (self.scores > own[:, None]).sum(1)
        equal = (self.scores == own[:, None]).sum(1) - 1
        found: NDArray[np.float64] = 1 + above + equal / 2
        return found

    def hits(self, figure: str) -> NDArray[np.float64]:
        """Each input's share of a figure: ``top-1``, ``top-5`` or ``MRR``."""
        ranks = self.ranks()
        if figure == "MRR":
            return 1 / ranks
        return (ranks <= (1 if figure == "top-1" else FIVE)).astype(float)


@dataclass(frozen=True, eq=False)
class Repeated(_Figures):
    """Several runs of a method on the same inputs: each input's share is their mean.

    How well one untrained model does is an accident of its random numbers; its mean is not.
    """

    runs: tuple[Ranked, ...]

    @property
    def groups(self) -> Labels:  # type: ignore[override]
        """The guide of each input."""
        return self.runs[0].groups

    @property
    def right(self) -> Labels:
        """What is right for each input."""
        return self.runs[0].right

    def hits(self, figure: str) -> NDArray[np.float64]:
        """Each input's mean share of a figure."""
        found: NDArray[np.float64] = np.mean([one.hits(figure) for one in self.runs], axis=0)
        return found


def joined(parts: Sequence[Ranked]) -> Ranked:
    """Several folds as one; a candidate that a fold does not know is last there."""
    names = tuple(sorted({name for one in parts for name in one.names}))
    rows = []
    for one in parts:
        wide = np.full((len(one.scores), len(names)), -np.inf)
        wide[:, [names.index(name) for name in one.names]] = one.scores
        rows.append(wide)
    return Ranked(
        names,
        np.concatenate(rows),
        np.concatenate([one.right for one in parts]),
        np.concatenate([one.groups for one in parts]),
    )


def _mean(values: NDArray[np.float64], groups: Labels) -> tuple[float, float]:
    """Mean, and its standard error with groups as the units (the sandwich of a mean)."""
    mean = float(values.mean())
    sums = np.array([(values[groups == one] - mean).sum() for one in sorted(set(groups))])
    many = len(sums)
    correction = many / max(many - 1, 1)
    return mean, float(np.sqrt(correction * (sums**2).sum()) / len(values))


def _of_guides(values: NDArray[np.float64], groups: Labels) -> tuple[float, float]:
    means = np.array([values[groups == one].mean() for one in sorted(set(groups))])
    return float(means.mean()), float(means.std(ddof=1) / np.sqrt(len(means)))


def largest(labels: Labels, right: Labels, groups: Labels) -> Ranked:
    """The label that most training inputs have, then the next, whatever is asked."""
    names = tuple(sorted(set(labels)))
    counts = np.array([(labels == one).sum() for one in names], float)
    return Ranked(names, np.tile(counts, (len(right), 1)), right, groups)


def centroids(
    x: NDArray[np.float32],
    labels: Labels,
    asked: NDArray[np.float32],
    right: Labels,
    groups: Labels,
) -> Ranked:
    """The nearest mean of a label's training inputs, by cosine: sizes of groups differ."""
    names = tuple(sorted(set(labels)))
    means = np.stack([x[labels == one].mean(0) for one in names])
    near = _unit(asked) @ _unit(means).T
    return Ranked(names, near.astype(float), right, groups)


def regression(
    x: NDArray[np.float32],
    labels: Labels,
    held: NDArray[np.bool_],
    asked: NDArray[np.float32],
    right: Labels,
    groups: Labels,
) -> tuple[Ranked, float]:
    """A logistic regression; ``held`` are the training inputs that choose its penalty.

    Returns
    -------
    tuple
        Its ranking, and the inverse penalty that was chosen.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    scaled = StandardScaler().fit(x)
    best, chosen = -1.0, PENALTIES[0]
    if held.any() and len(set(labels[~held])) > 1:
        for penalty in PENALTIES:
            model = LogisticRegression(C=penalty, max_iter=500)
            model.fit(scaled.transform(x[~held]), labels[~held].astype(str))
            score = float(model.score(scaled.transform(x[held]), labels[held].astype(str)))
            if score > best:
                best, chosen = score, penalty
    model = LogisticRegression(C=chosen, max_iter=500)
    model.fit(scaled.transform(x), labels.astype(str))
    scores = model.predict_log_proba(scaled.transform(asked))
    return Ranked(tuple(model.classes_), scores, right, groups), chosen


def _unit(x: NDArray[np.float32]) -> NDArray[np.float32]:
    found: NDArray[np.float32] = x / (np.linalg.norm(x, axis=1, keepdims=True) + 1e-9)
    return found
