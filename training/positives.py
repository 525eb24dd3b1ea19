"""What counts as right for a cell, and how right: targets graded by the Cell Ontology.

A batch of cells with labels c_i is compared with texts of labels c_j. :class:`Positives` gives
q_ij, the distribution that the softmax over the texts shall have, from a weight w of two terms:

==========  ====================================================================================
identity    1 for the cell's own text alone: the original target, ``arange``
label       1 for the same term (SupCon)
levels      scCello's level of the pair as a share of the term's level to itself
lin         Lin's similarity, 2 IC(lca) / (IC(a) + IC(b))
ppr         personalised PageRank from a to b as a share of b's own
==========  ====================================================================================

The graded weights are raised to a power, dropped below a floor, and mixed with the same label:
q = (1 - share) * label + share * graded. Ancestors of a cell's term that have no weight are kept
out of its negatives (scCello, arXiv:2408.12373): a T cell is no counter-example of a lymphocyte.

:class:`Batches` draws cells label by label, so that rare types are seen as often as common ones.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.likeness import lin_block
from kg.backoff import Hierarchy
from kg.measures.pagerank import PageRank, levels
from kg.terms import Curie

__all__ = ["Batches", "Positives", "PositivesConfig", "Weight", "weights"]

Weight = Literal["identity", "label", "levels", "lin", "ppr"]


@dataclass(frozen=True, slots=True)
class PositivesConfig:
    """Which weight, and how much of it.

    ``power``, ``floor`` and ``share`` work on the graded weights only. Their values were chosen on
    the development types (docs/experiments/llm.md).
    """

    weight: Weight = "lin"
    power: float = 2.0
    floor: float = 0.2
    share: float = 0.6

    def __post_init__(self) -> None:
        if self.weight not in get_args(Weight) or not 0 <= self.share <= 1 or self.power <= 0:
            raise BadInput(
                f"positives by {self.weight!r} to the power {self.power}, share {self.share}; "
                f"expected one of {', '.join(get_args(Weight))}, a power above 0 and a share "
                "between 0 and 1"
            )


def weights(hierarchy: Hierarchy, terms: Sequence[Curie], kind: Weight) -> NDArray[np.float64]:
    """The weight of every pair of terms, [n, n], 1 on the diagonal.

    Information content and PageRank are those of the whole hierarchy.
    """
    if kind in ("identity", "label"):
        return np.asarray([[float(a == b) for b in terms] for a in terms])
    if kind == "lin":
        return lin_block(hierarchy, terms, terms)
    places = hierarchy.indices(terms)
    edges = [
        (hierarchy.ids[child], hierarchy.ids[parent])
        for child, some in enumerate(hierarchy.parents)
        for parent in some
    ]
    walks = PageRank(hierarchy.ids, edges).matrix
    own = walks[places, places]
    if kind == "ppr":
        return np.asarray(walks[np.ix_(places, places)] / own[None, :])
    # Level 1 is where scCello puts all that are far: no weight.
    height = levels(walks[np.ix_(places, places)]) - 1.0
    return np.asarray(height / np.maximum(levels(own) - 1.0, 1.0)[:, None])


class Positives:
    """Targets over terms, made once for a training set.

    Parameters
    ----------
    hierarchy
        The ontology.
    terms
        Those in use; items and texts are given by their place here.
    config
        The weight.

    Attributes
    ----------
    graded
        q's weights before a batch normalises them, [n, n].
    above
        Whether the column is a proper ancestor of the row, [n, n].
    """

    def __init__(
        self, hierarchy: Hierarchy, terms: Sequence[Curie], config: PositivesConfig
    ) -> None:
        self.terms = tuple(terms)
        self.config = config
        found = weights(hierarchy, self.terms, config.weight)
        if config.weight not in ("identity", "label"):
            found = np.clip(found, 0.0, 1.0) ** config.power
            found[found < config.floor] = 0.0
        self.graded = found
        places = hierarchy.indices(self.terms)
        up = hierarchy.up(self.terms).toarray() > 0
        self.above = up[:, places] & ~np.eye(len(self.terms), dtype=bool)

    def targets(
        self, cells: NDArray[np.integer], texts: NDArray[np.integer]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The targets of cells over texts, and which texts their softmax runs over.

        Parameters
        ----------
        cells, texts
            Places among ``terms``, [b] and [m]. With the weight ``identity`` the text of cell i is
            text i.

        Returns
        -------
        targets
            q, [b, m]; rows sum to 1, or to 0 where no text is right.
        keep
            [b, m], False for ancestors without weight.
        """
        same = cells[:, None] == texts[None, :]
        if self.config.weight == "identity":
            same = np.eye(len(cells), len(texts), dtype=bool)
        target = _rows(same.astype(np.float64))
        if self.config.weight not in ("identity", "label"):
            graded = _rows(self.graded[np.ix_(cells, texts)])
            share = np.where(target.sum(1, keepdims=True) > 0, self.config.share, 1.0)
            target = (1 - share) * target + share * graded
        keep = ~self.above[np.ix_(cells, texts)] | (target > 0)
        return target.astype(np.float32), keep


def _rows(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row over its sum; a row of zeros stays."""
    sums = values.sum(axis=1, keepdims=True)
    found: NDArray[np.float64] = np.zeros_like(values)
    np.divide(values, sums, out=found, where=sums > 0)
    return found


class Batches:
    """Which items are in which batch: label by label, from the number of the batch alone.

    Parameters
    ----------
    labels
        The label of each item, [n].
    size
        Items a batch.
    each
        Items of a label in a batch; drawn with replacement.
    seed
        Of all draws; batch 7 is the same whether or not batch 6 was drawn.
    share
        How often a label is drawn relative to others; all alike where it is not named.
    """

    def __init__(
        self,
        labels: NDArray[np.integer],
        size: int = 64,
        each: int = 1,
        *,
        seed: int = 0,
        share: Mapping[int, float] | None = None,
    ) -> None:
        if not len(labels) or not 0 < each <= size:
            raise BadInput(
                f"{len(labels)} items, {each} of a label in batches of {size}; expected items, "
                "and at least one of a label"
            )
        self.size, self.each, self.seed = size, each, seed
        order = np.argsort(labels, kind="stable")
        values, starts = np.unique(labels[order], return_index=True)
        self._items = np.split(order, starts[1:])
        weight = np.array([(share or {}).get(int(value), 1.0) for value in values])
        self._share = weight / weight.sum()

    def __call__(self, number: int) -> NDArray[np.int64]:
        """The items of a batch, [size]; no label twice where there are enough of them."""
        rng = np.random.default_rng((self.seed, number))
        wanted = -(-self.size // self.each)
        again = wanted > int(np.count_nonzero(self._share))
        drawn = rng.choice(len(self._items), wanted, replace=again, p=self._share)
        found = [rng.choice(self._items[label], self.each) for label in drawn]
        return np.concatenate(found)[: self.size].astype(np.int64)
