"""Losses that bring cells to lie as the ontology lies: scCello's, with its constants.

Yuan et al. 2024, arXiv:2408.12373. With z the vectors of cells and h the prototypes of cell types,
all of length 1/sqrt(temperature), so that products are cosines over the temperature:

=====================  ============================================================================
:func:`intra`          a cell is told to its own type's prototype among all prototypes
:func:`regularised`    a linear map of the prototype is the cell, so that both stay in one space
:func:`inter`          at every level of likeness, cells as near as that are told from those farther
=====================  ============================================================================

Levels are made of personalised PageRank on the pinned Cell Ontology (:mod:`kg.measures.pagerank`).
A type above the anchor's is no counter-example of it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kg.backoff import Hierarchy
from kg.measures.pagerank import PageRank, levels
from kg.terms import Curie

__all__ = ["TEMPERATURE", "TypeLevels", "inter", "intra", "regularised", "scaled"]

TEMPERATURE = 0.01
"""ScCello's."""


class TypeLevels:
    """How near types are to each other.

    Attributes
    ----------
    terms
        The types.
    near
        ScCello's level of each pair, [types, types]: the walk starts at the row.
    above
        Whether the column is the row or lies above it, [types, types].
    """

    def __init__(self, hierarchy: Hierarchy, terms: Sequence[Curie]) -> None:
        self.terms = tuple(terms)
        edges = [
            (hierarchy.ids[child], hierarchy.ids[parent])
            for child, some in enumerate(hierarchy.parents)
            for parent in some
        ]
        walks = PageRank(hierarchy.ids, edges)
        places = hierarchy.indices(self.terms)
        rows = np.array([walks.row(term)[places] for term in self.terms])
        self.near: NDArray[np.int64] = levels(rows.reshape(len(self.terms), len(self.terms)))
        self.above: NDArray[np.bool_] = hierarchy.up(self.terms).toarray()[:, places] > 0


def scaled(vectors: torch.Tensor, temperature: float = TEMPERATURE) -> torch.Tensor:
    """Vectors of length 1/sqrt(temperature)."""
    found: torch.Tensor = nn.functional.normalize(vectors.float(), dim=-1) / temperature**0.5
    return found


def intra(z: torch.Tensor, h: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of each cell's own type among all prototypes.

    Parameters
    ----------
    z
        Cells, scaled, [b, d].
    h
        Prototypes, scaled, [types, d].
    types
        Of the cells, [b]; -1 counts nothing.
    """
    known = types >= 0
    if not bool(known.any()):
        return z.sum() * 0.0
    return nn.functional.cross_entropy(z[known] @ h.T, types[known])


def regularised(z: torch.Tensor, mapped: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
    """Mean squared difference of cells [b, d] and their types' mapped prototypes [types, d]."""
    known = types >= 0
    if not bool(known.any()):
        return z.sum() * 0.0
    return nn.functional.mse_loss(mapped[types[known]], z[known])


def inter(
    z: torch.Tensor, again: torch.Tensor, types: torch.Tensor, near: torch.Tensor,
    above: torch.Tensor,
) -> torch.Tensor:  # fmt: skip
    """Contrast at every level of likeness.

    For an anchor i and each level in its row of the batch but the smallest: the positives are the
    cells at that level or nearer, the negatives those farther whose type is neither the anchor's
    nor above it; of each positive p the loss is -log e^(z_i z_p) / (e^(z_i z_p) + sum of e^(z_i
    z_n) over negatives n). The mean is taken over positives, then over anchors and their levels.

    Parameters
    ----------
    z, again
        The same cells in two passes, scaled, [b, d]: a cell is its own positive by the other pass.
    types
        [b]; cells of -1 are left out.
    near, above
        :attr:`TypeLevels.near` and :attr:`TypeLevels.above`.
    """
    known = types >= 0
    z, again, types = z[known], again[known], types[known]
    if len(z) < 2:
        return z.sum() * 0.0
    score = z @ z.T  # [k, k]
    own = (z * again).sum(-1)
    eye = torch.eye(len(z), dtype=torch.bool)
    score = torch.where(eye, own[:, None], score)
    height, up = near[types][:, types], above[types][:, types]  # [k, k] each
    least = height.min(-1, keepdim=True).values  # [k, 1]
    total, count = score.sum() * 0.0, 0
    for level in torch.unique(height).tolist():
        anchors = ((height == level).any(-1, keepdim=True) & (least < level)).squeeze(-1)
        if not bool(anchors.any()):
            continue
        some, far = score[anchors], (height < level)[anchors] & ~up[anchors]
        positive = (height >= level)[anchors]
        against = torch.logsumexp(some.masked_fill(~far, float("-inf")), -1, keepdim=True)
        # Without a negative the logarithm is of nothing: e^-inf, and the loss 0.
        each = nn.functional.softplus(against.clamp(min=-1e4) - some)
        rows = (each * positive).sum(-1) / positive.sum(-1)
        total, count = total + rows.sum(), count + len(rows)
    found: torch.Tensor = total / max(1, count)
    return found
