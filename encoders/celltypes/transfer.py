"""Labels of a reference carried over to other cells: nearest neighbours and logistic regression.

:class:`Transfer` is fitted on the vectors of labelled cells, from any encoder or from
:class:`Principal` components of the genes that both datasets have. It gives for each new cell a
probability of each label, and how strange the cell is to the reference: its mean distance to its
nearest reference cells over the distance that is usual within the type it is nearest to, both
between unit vectors from the reference's mean, since depth changes lengths and not directions.
From which strangeness on a cell is "none of these" is calibrated on the reference alone, by
holding out its types one at a time (:func:`calibrated`). Labels are names here; what they mean, and
how answers back off up the ontology, is for others to say.

After CellTypist (Dominguez Conde et al. 2022, doi:10.1126/science.abl5197) for the regression; the
ratio of distances is that of nearest-neighbour outlier tests (Breunig et al. 2000,
doi:10.1145/335191.335388).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput, DependencyMissing
from encoders.celltypes.reference import PoolConfig

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = [
    "Limit",
    "Principal",
    "Rule",
    "Transfer",
    "TransferConfig",
    "calibrated",
    "chosen_cells",
]

Rule = Literal["both", "knn", "logistic"]

_DISTANCES = 1 << 22
"""Distances held at once, 16 MB."""


@dataclass(frozen=True, slots=True)
class TransferConfig:
    """How labels are carried over; docs/experiments/transfer.md says how the values were chosen.

    ``neighbours`` and ``components`` are common custom, ``strength`` the regression's C;
    ``lost`` is the share of the reference's own cells that may be called none of its types;
    ``least`` the fewest cells of a label that is learnt, ``most`` the most that are kept.
    """

    rule: Rule = "logistic"
    neighbours: int = 15
    components: int = 50
    strength: float = 1.0
    lost: float = 0.05
    least: int = PoolConfig.least
    most: int = 1000


@dataclass(frozen=True, eq=False)
class Limit:
    """From which distance on a cell is none of the types, and how well that tells.

    ``usual`` [t] is what distance is usual within each type, ``value`` the ratio to it from which
    on a cell is a stranger. ``found`` is the share of a held-out type's cells that are told so,
    mean of the types; ``lost`` that of cells whose type is there. Both are of the reference.
    """

    usual: NDArray[np.float64]
    value: float
    found: float
    lost: float


class Principal:
    """Principal components of a reference, for any cells with the same genes.

    >>> import scipy.sparse as sp
    >>> values = sp.csr_matrix(np.eye(4, dtype=np.float32) * [[1], [2], [3], [4]])
    >>> Principal.fit(values, 2)(values).shape
    (4, 2)
    """

    def __init__(self, mean: NDArray[np.float64], axes: NDArray[np.float64]) -> None:
        self.mean, self.axes = mean, axes

    @classmethod
    def fit(cls, values: sp.csr_matrix, components: int) -> Principal:
        """Fit on log1p values [cells, genes]; fewer components where the reference is smaller."""
        from encoders.celltypes.smoothing import decomposed

        if min(values.shape) < 2:
            raise BadInput(
                f"{values.shape[0]} reference cells share {values.shape[1]} genes with the "
                "dataset; expected two of each at least"
            )
        _, mean, axes = decomposed(values, min(components, *(size - 1 for size in values.shape)))
        return cls(mean, axes)

    def __call__(self, values: sp.csr_matrix) -> NDArray[np.float32]:
        """Scores of cells [cells, components]."""
        return np.asarray(values @ self.axes.T - self.mean @ self.axes.T, dtype=np.float32)


class Transfer:
    """Labels of reference cells, ready to be carried over; made by :meth:`fit`, then pure.

    Shapes: m reference cells, d dimensions, t labels.
    """

    def __init__(
        self,
        names: tuple[str, ...],
        ways: NDArray[np.float32],  # [m, d], of unit length
        code: NDArray[np.int64],  # [m]
        scale: tuple[NDArray[np.float32], float],  # mean [d] and spread of the vectors
        plane: tuple[NDArray[np.float64], NDArray[np.float64]] | None,  # [t, d] and [t]
        none: Limit,
        config: TransferConfig,
    ) -> None:
        self.names, self.config, self.none, self.limit = names, config, none, none.value
        self._ways, self._code, self._scale = ways, code, scale
        self._plane, self._usual = plane, none.usual

    @classmethod
    def fit(
        cls,
        vectors: NDArray[np.float32],
        labels: Sequence[str | None],
        config: TransferConfig | None = None,
    ) -> Transfer:
        """Learn from labelled cells.

        Parameters
        ----------
        vectors
            [m, d], finite.
        labels
            One a cell; None is a cell without one, and labels of too few cells are left out.
        config
            How.

        Raises
        ------
        BadInput
            When fewer than two labels have enough cells, or the vectors do not tell cells apart.
        DependencyMissing
            When the regression is asked for and scikit-learn is not installed.
        """
        config = config or TransferConfig()
        if vectors.ndim != 2 or len(vectors) != len(labels):
            raise BadInput(f"vectors of shape {vectors.shape} were given for {len(labels):,} cells")
        kept = chosen_cells(labels, config)
        some = [labels[i] or "" for i in kept]
        names = tuple(sorted(set(some)))
        if len(names) < 2:
            raise BadInput(
                f"{len(names)} labels of the reference have {config.least} cells or more; expected "
                "two at least: name another column with --reference-key"
            )
        code = np.array([names.index(one) for one in some])
        mean = vectors[kept].mean(axis=0)
        spread = float(np.sqrt(vectors[kept].var(axis=0).mean()))
        if not spread > 0:
            raise BadInput(
                "all cells of the reference have the same vector; expected an encoder or an "
                "embedding that tells them apart"
            )
        points = ((vectors[kept] - mean) / spread).astype(np.float32)
        plane = None if config.rule == "knn" else _plane(points, code, config)
        ways = _units(points)
        none = calibrated(ways, code, len(names), config)
        return cls(names, ways, code, (mean, spread), plane, none, config)

    def chances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Probabilities of the labels [n, t]; each row sums to 1."""
        return self.judged(vectors)[0]

    def judged(
        self, vectors: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """Probabilities of the labels [n, t], and how strange each cell is [n].

        Above :attr:`limit` a cell is none of the reference's types.
        """
        if vectors.ndim != 2 or vectors.shape[1] != self._ways.shape[1]:
            raise BadInput(
                f"vectors of shape {vectors.shape} were given; expected the reference's "
                f"{self._ways.shape[1]} dimensions: name the same encoder for both"
            )
        mean, spread = self._scale
        points = ((vectors - mean) / spread).astype(np.float32)
        k = min(self.config.neighbours, len(self._ways))
        distance, place = _nearest(_units(points), self._ways, k)
        votes = np.zeros((len(points), len(self.names)))
        rows = np.repeat(np.arange(len(points)), k)
        np.add.at(votes, (rows, self._code[place].ravel()), 1 / k)
        strange = distance.mean(axis=1) / self._usual[votes.argmax(axis=1)]
        found = votes
        if self._plane is not None:
            found = _softmax(points.astype(np.float64) @ self._plane[0].T + self._plane[1])
            if self.config.rule == "both":
                found = (found + votes) / 2
        return found.astype(np.float32), strange.astype(np.float32)


def chosen_cells(labels: Sequence[str | None], config: TransferConfig) -> NDArray[np.int64]:
    """Places of the cells that are learnt from: of each label at most ``most``, evenly spread."""
    counts = Counter(one for one in labels if one is not None)
    found: list[NDArray[np.int64]] = []
    for name, n in counts.items():
        if n >= config.least:
            places = np.flatnonzero(np.array([one == name for one in labels]))
            step = np.linspace(0, n - 1, min(n, config.most)).round().astype(np.int64)
            found.append(places[step])
    return np.sort(np.concatenate(found)) if found else np.zeros(0, np.int64)


def calibrated(
    points: NDArray[np.float32], code: NDArray[np.int64], n_types: int, config: TransferConfig
) -> Limit:
    """What distance is usual within each type, and from which ratio to it on a cell is a stranger.

    Each reference cell is seen twice: as a cell of a known type (all others remain) and as one of
    a type that was held out (all of its type are gone). The limit tells the two apart best, the
    types counting alike, among those that call at most ``lost`` of the known cells strangers.

    Parameters
    ----------
    points, code
        Unit vectors of reference cells [m, d] and the places of their labels [m].
    n_types
        How many labels there are.
    config
        Neighbours, and ``lost``.
    """
    k = min(config.neighbours, len(points) - 1)
    known, near = _nearest(points, points, k, never=np.arange(len(points)), code=None)
    own = known.mean(axis=1)
    # Halfway between the type's own and everyone's: few cells of a tight type say little of others.
    usual = np.sqrt([np.median(own[code == t]) * np.median(own) for t in range(n_types)])
    usual = np.maximum(usual, 1e-6 * max(float(own.max()), 1e-12))
    kin = _majority(code[near], n_types)
    ratio = own / usual[kin]
    away, near = _nearest(points, points, k, never=None, code=code)
    strange = away.mean(axis=1) / usual[_majority(code[near], n_types)]
    floor = float(np.quantile(ratio, 1 - config.lost))
    options = np.unique(np.quantile(strange, np.linspace(0, 1, 201)))
    options = np.append(options[options > floor], floor)
    found = [np.mean([(strange[code == t] > o).mean() for t in range(n_types)]) for o in options]
    worth = [f - (ratio > o).mean() for f, o in zip(found, options, strict=True)]
    best = float(options[int(np.argmax(worth))])
    # Between the two: a type that is missing may be nearer than those that were held out.
    limit = float(np.sqrt(floor * best))
    told = [float((strange[code == t] > limit).mean()) for t in range(n_types)]
    return Limit(usual, limit, float(np.mean(told)), float((ratio > limit).mean()))


def _units(points: NDArray[np.float32]) -> NDArray[np.float32]:
    length = np.sqrt((points.astype(np.float64) ** 2).sum(axis=1, keepdims=True))
    return np.asarray(points / np.maximum(length, 1e-12), dtype=np.float32)


def _majority(codes: NDArray[np.int64], n_types: int) -> NDArray[np.int64]:
    """The commonest code of each row."""
    counts = np.zeros((len(codes), n_types))
    np.add.at(counts, (np.repeat(np.arange(len(codes)), codes.shape[1]), codes.ravel()), 1)
    return np.asarray(counts.argmax(axis=1))


def _nearest(
    points: NDArray[np.float32],
    others: NDArray[np.float32],
    k: int,
    *,
    never: NDArray[np.int64] | None = None,
    code: NDArray[np.int64] | None = None,
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Distances [n, k] to the nearest of ``others``, and their places.

    ``never`` is one place a row that does not count; with ``code`` none of the row's own code does.
    """
    square = (others.astype(np.float64) ** 2).sum(axis=1)
    step = max(16, _DISTANCES // max(1, len(others)))
    distances, places = [], []
    for start in range(0, len(points), step):
        some = points[start : start + step]
        mine = (some.astype(np.float64) ** 2).sum(axis=1)
        table = mine[:, None] + square - 2 * (some @ others.T).astype(np.float64)
        if never is not None:
            table[np.arange(len(some)), never[start : start + step]] = np.inf
        if code is not None:
            table[code[start : start + step, None] == code] = np.inf
        place = np.argpartition(table, k - 1, axis=1)[:, :k]
        found = np.take_along_axis(table, place, axis=1)
        # Fewer than k others are left where a type makes most of the reference.
        found = np.where(np.isinf(found), np.nanmax(np.where(np.isinf(found), 0, found)), found)
        distances.append(np.sqrt(np.maximum(found, 0)))
        places.append(place)
    if not distances:
        return np.zeros((0, k)), np.zeros((0, k), np.int64)
    return np.concatenate(distances), np.concatenate(places)


def _plane(
    points: NDArray[np.float32], code: NDArray[np.int64], config: TransferConfig
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights [t, d] and offsets [t] of a multinomial logistic regression."""
    try:
        from sklearn.linear_model import LogisticRegression
    except ImportError as error:
        raise DependencyMissing(
            "carrying labels over by regression needs scikit-learn; install it with: "
            "pip install 'celloquy[models]'"
        ) from error
    made = LogisticRegression(C=config.strength, max_iter=1000).fit(points.astype("f8"), code)
    weights, offsets = made.coef_, made.intercept_
    if len(weights) == 1:  # two labels: one plane, of the second
        weights = np.concatenate([-weights, weights]) / 2
        offsets = np.concatenate([-offsets, offsets]) / 2
    return weights, offsets


def _softmax(logits: NDArray[np.float64]) -> NDArray[np.float64]:
    parts = np.exp(logits - logits.max(axis=1, keepdims=True))
    return np.asarray(parts / parts.sum(axis=1, keepdims=True))
