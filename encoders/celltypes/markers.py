"""Marker scores of cells: how much likelier a cell's expression is under a type than under none.

Every gene of a cell is read as absent, low or high (below or above the gene's mean among the cells
that express it). For a gene that is *on* in a type, and for one that is *off*, these three have
known chances; a marker that is on with belief b has the mixture b on + (1 - b) off. The score of a
type is the sum over genes of log(chance under the type / chance when off): the naive Bayes log
likelihood ratio against a cell in which no marker is on. So a missing marker counts against a type,
a gene that is everywhere counts for nothing, and scores of types with few and with many markers
can be compared: the open set needs no rescaling. Genes are not independent, hence ``temper``.

The chances come from the dataset, without labels, in one pass (:class:`GeneMoments`):

* on: a gene's counts where it is detected give, as a zero-truncated Poisson, how often it would be
  detected when on;
* off: a share of its overall detection rate, the larger the less well known the gene is as a
  marker of anything (:attr:`MarkerSets.reliability`): a dataset of T cells only does not make CD3E
  a gene of no meaning, and ubiquitous genes that some list names as a marker do no harm.

Related: CellAssign (Zhang et al. 2019, doi:10.1038/s41592-019-0529-1) fits such a model by EM; here
nothing is fitted, because on mixed data EM drifts to types with few markers
(docs/experiments/annotation.md). Genes are current human symbols. This module knows no file and no
labels, and decides nothing: :mod:`kg.backoff` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.celltypes.markersets import MarkerSets
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["GeneMoments", "MarkerScorer", "ScoreConfig"]

GRID = 2.0**-18
"""Step of sums over cells: 4e-6 of a log1p value; float64 adds 3e10 of them without rounding."""

MOST_COUNTS = 1e6
"""Largest estimate of a count: more is no count, but a smallest value that was corrected away."""


@dataclass(frozen=True)
class ScoreConfig:
    """Constants of the model; the values were chosen on development data (docs/models).

    ``least_measured`` own markers must be among the dataset's genes for a type to be scored.
    ``on_range`` bounds the chance to detect a gene that is on; ``off_floor`` is the least chance to
    detect one that is off, ``off_share`` the part of the detection rate that counts as off for a
    gene of no reliability, ``off_high`` the part of detections when off that are high, and
    ``on_high`` when on. ``absent`` multiplies the chance to detect a negative marker.
    ``prior_cells`` of ``prior_count`` counts steady the count of rarely detected genes.
    ``unknown`` is the weight of "none of the types" before the evidence.
    """

    least_measured: int = 5
    on_range: tuple[float, float] = (0.15, 0.9)
    on_high: float = 0.5
    off_floor: float = 0.03
    off_share: float = 0.9
    off_high: float = 0.1
    absent: float = 0.5
    prior_cells: float = 5.0
    prior_count: float = 1.3
    temper: float = 0.5
    unknown: float = 0.02


@dataclass(frozen=True, eq=False)
class GeneMoments:
    """Sums over all cells of a dataset; blocks may come in any order and size.

    ``detected`` counts cells with a value above zero, ``total`` sums log1p values, ``counts`` sums
    estimated counts: a cell's smallest value stands for one count. Both are summed in steps of
    ``GRID``, so that the sums are exact and no order of cells or size of blocks changes a bit.
    """

    n_cells: int
    detected: NDArray[np.float64]
    total: NDArray[np.float64]
    counts: NDArray[np.float64]

    @classmethod
    def zeros(cls, n_genes: int) -> GeneMoments:
        """No cell seen yet."""
        return cls(0, np.zeros(n_genes), np.zeros(n_genes), np.zeros(n_genes))

    @classmethod
    def of(cls, block: sp.csr_matrix) -> GeneMoments:
        """The sums of one block of log1p values, cells x genes."""
        n = block.shape[1]
        values = block.data.astype(np.float64)
        places = block.indices
        return cls(
            n_cells=block.shape[0],
            detected=np.bincount(places, minlength=n).astype(np.float64),
            total=_sums(places, _on_grid(values), n),
            counts=_sums(places, _on_grid(_counts(block, values)), n),
        )

    def __add__(self, other: GeneMoments) -> GeneMoments:
        if len(self.detected) != len(other.detected):
            raise BadInput(
                f"moments of {len(self.detected)} and of {len(other.detected)} genes do not add"
            )
        return GeneMoments(
            self.n_cells + other.n_cells,
            self.detected + other.detected,
            self.total + other.total,
            self.counts + other.counts,
        )

    @property
    def rate(self) -> NDArray[np.float64]:
        """Share of the cells in which each gene is detected."""
        return self.detected / max(1, self.n_cells)

    @property
    def level(self) -> NDArray[np.float64]:
        """Mean log1p value among the cells that express the gene."""
        return self.total / np.maximum(1.0, self.detected)

    def detectable(self, config: ScoreConfig) -> NDArray[np.float64]:
        """Chance to detect each gene where it is on: a zero-truncated Poisson's, bounded."""
        cells, count = config.prior_cells, config.prior_count
        mean = (self.counts + cells * count) / (self.detected + cells)
        rate = mean.copy()
        for _ in range(50):  # a contraction: mean = rate / (1 - exp(-rate)) for rate > 0
            rate = mean * -np.expm1(-rate)
        return np.clip(-np.expm1(-rate), *config.on_range)


def _on_grid(values: NDArray[np.float64]) -> NDArray[np.float64]:
    # Upward: where all values of a gene are equal, none is above their mean.
    return np.asarray(np.ceil(values / GRID) * GRID)


def _sums(places: NDArray[np.int32], values: NDArray[np.float64], n: int) -> NDArray[np.float64]:
    return np.bincount(places, weights=values, minlength=n).astype(np.float64)


def _counts(block: sp.csr_matrix, values: NDArray[np.float64]) -> NDArray[np.float64]:
    linear = np.expm1(values)
    lengths = np.diff(block.indptr)
    filled = lengths > 0
    if not filled.any():
        return linear
    smallest = np.minimum.reduceat(linear, block.indptr[:-1][filled])
    ratio = linear / np.repeat(np.maximum(smallest, 1e-12), lengths[filled])
    return np.asarray(np.minimum(ratio, MOST_COUNTS))


class MarkerScorer:
    """Scores blocks of cells; made once a dataset by :meth:`fit`, then pure.

    ``ids`` are the scored types in the order of the columns. ``used`` are the genes that carry any
    weight; a cell that expresses none of them has no evidence.
    """

    def __init__(
        self,
        sets: MarkerSets,
        low: sp.csr_array,
        high: sp.csr_array,
        start: NDArray[np.float32],
        level: NDArray[np.float32],
        config: ScoreConfig,
    ) -> None:
        self.sets, self.config = sets, config
        self.ids: tuple[Curie, ...] = sets.ids
        self._low, self._high, self._start, self._level = low, high, start, level

    @classmethod
    def fit(
        cls,
        sets: MarkerSets,
        genes: Sequence[str],
        moments: GeneMoments,
        config: ScoreConfig | None = None,
    ) -> MarkerScorer:
        """Set the chances from the dataset's moments.

        Raises
        ------
        BadInput
            When no type has enough of its markers among the genes.
        """
        config = config or ScoreConfig()
        here = sets.within(genes, config.least_measured)
        if not here.ids:
            raise BadInput(
                f"no cell type has {config.least_measured} of its markers among the "
                f"{len(genes):,} genes of the dataset; give a wider gene set"
            )
        detect_on = moments.detectable(config)
        reliability = np.maximum(sets.within(genes, 0).reliability, 0)
        detect_off = np.maximum(
            config.off_floor, config.off_share * moments.rate * (1 - reliability)
        )
        detect_on = np.maximum(detect_on, detect_off)
        low, high, start = _ratios(here, detect_on, detect_off, config)
        return cls(here, low, high, start, moments.level.astype(np.float32), config)

    def scores(self, block: sp.csr_matrix) -> NDArray[np.float32]:
        """Log likelihood ratio of each type, [n_cells, n_types]; 0 is a cell without markers."""
        import scipy.sparse as sp

        rows = sp.csr_array(block)
        above = rows.data > self._level[rows.indices]
        parts = []
        for flags, weights in ((~above, self._low), (above, self._high)):
            marked = sp.csr_array(
                (flags.astype(np.float32), rows.indices, rows.indptr), shape=rows.shape
            )
            parts.append((marked @ weights).toarray())
        return np.asarray(parts[0] + parts[1] + self._start, dtype=np.float32)

    def probabilities(
        self,
        scores: NDArray[np.float32],
        prior: NDArray[np.float64] | None = None,
        temper: float | None = None,
    ) -> NDArray[np.float32]:
        """Exclusive probabilities of the types; what is missing to 1 is "none of them".

        Parameters
        ----------
        scores
            [n, n_types], of :meth:`scores`.
        prior
            Weight of each type before the evidence, any scale; all equal where not given.
        temper
            Factor on the scores in place of the configured one (calibration).
        """
        weight = np.ones(len(self.ids)) if prior is None else np.asarray(prior, dtype=np.float64)
        share = weight / weight.sum() * (1 - self.config.unknown)
        with np.errstate(divide="ignore"):
            logits = (temper or self.config.temper) * scores.astype(np.float64) + np.log(share)
        none = np.log(self.config.unknown)
        top = np.maximum(logits.max(axis=1, keepdims=True), none)
        parts = np.exp(logits - top)
        whole = parts.sum(axis=1, keepdims=True) + np.exp(none - top)
        return np.asarray(parts / whole, dtype=np.float32)

    def evidence(self, block: sp.csr_matrix) -> NDArray[np.bool_]:
        """Which cells express at least one gene that carries weight."""
        carries = np.diff(self._high.indptr) > 0
        seen = np.asarray((block > 0) @ carries.astype(np.float32)).ravel()
        return np.asarray(seen > 0)


def _ratios(
    sets: MarkerSets,
    on: NDArray[np.float64],
    off: NDArray[np.float64],
    config: ScoreConfig,
) -> tuple[sp.csr_array, sp.csr_array, NDArray[np.float32]]:
    """Weights of a low and of a high value over those of an absent one, and the sum if all are.

    The chances of (absent, low, high) are (1 - d, d (1 - h), d h) with d the chance of detection
    and h the part that is high, on or off.
    """
    import scipy.sparse as sp

    belief = sp.coo_array(sets.on)
    g = belief.coords[1]
    b = belief.data.astype(np.float64)
    absent = np.log((b * (1 - on[g]) + (1 - b) * (1 - off[g])) / (1 - off[g]))
    ratios = []
    for share_on, share_off in (
        (1 - config.on_high, 1 - config.off_high),
        (config.on_high, config.off_high),
    ):
        when_off = off[g] * share_off
        seen = np.log((b * on[g] * share_on + (1 - b) * when_off) / when_off) - absent
        ratios.append(sp.coo_array((seen, belief.coords), shape=belief.shape).tocsr())
    against = sp.csr_array(sets.off) * np.log(config.absent)
    low, high = ((part + against).T.tocsr().astype(np.float32) for part in ratios)
    start = np.zeros(len(sets.ids))
    np.add.at(start, belief.coords[0], absent)
    return low, high, start.astype(np.float32)
