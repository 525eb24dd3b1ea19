"""Labels of any height in the ontology as targets over its leaves (scPRINT).

A head has one logit for each *leaf* of the labels in use: a type that no other label lies below.
For a cell whose label is a leaf the loss is the binary cross-entropy of all leaves. Where the label
is an internal node, its leaves count nothing each, and one more logit, the log-sum-exp over exactly
those leaves, has the target 1: one of them it is, whichever. A cell without a label counts nothing.

Kalfon et al. 2025, doi:10.1038/s41467-025-58699-1. Knows no network.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["Leaves", "hierarchical_loss", "property_loss"]


class Leaves:
    """The leaves of some labels.

    Parameters
    ----------
    hierarchy
        The ontology.
    labels
        Terms in use, in any order and of any height.

    Attributes
    ----------
    terms
        The labels, sorted.
    ids
        The leaves among them.
    below
        Which leaves lie at or below each label, [labels, leaves].
    """

    def __init__(self, hierarchy: Hierarchy, labels: Sequence[Curie]) -> None:
        self.terms = tuple(sorted(set(labels)))
        places = hierarchy.indices(self.terms)
        above = hierarchy.up(self.terms).toarray()[:, places] > 0  # [of, is it above]
        proper = above & ~np.eye(len(self.terms), dtype=bool)
        leaf = np.flatnonzero(~proper.any(axis=0))
        self.ids = tuple(self.terms[i] for i in leaf)
        self.below: NDArray[np.bool_] = above[leaf].T
        self._place = {term: i for i, term in enumerate(self.terms)}

    def codes(self, labels: Sequence[Curie | None]) -> NDArray[np.int64]:
        """Places among ``terms``; -1 for None and for what is not among them."""
        return np.array([-1 if one is None else self._place.get(one, -1) for one in labels])


def hierarchical_loss(
    logits: torch.Tensor, labels: torch.Tensor, below: torch.Tensor
) -> torch.Tensor:
    """Mean over labelled cells of the mean binary cross-entropy over what counts.

    Parameters
    ----------
    logits
        Of the leaves, [b, leaves].
    labels
        Places among the labels, [b]; -1 where the label is unknown.
    below
        :attr:`Leaves.below`, [labels, leaves].

    Returns
    -------
    Tensor
        A scalar; 0 where no cell has a label.
    """
    known = labels >= 0
    if not bool(known.any()):
        return logits.sum() * 0.0
    logits, inside = logits[known].float(), below[labels[known]]  # [k, leaves] each
    leaf = inside.sum(-1) == 1  # [k]
    each = nn.functional.binary_cross_entropy_with_logits(
        logits, inside.float(), reduction="none"
    )  # [k, leaves]
    counted = ~inside | leaf[:, None]
    one_of = torch.logsumexp(logits.masked_fill(~inside, float("-inf")), -1)  # [k]
    extra = torch.where(leaf, 0.0, nn.functional.softplus(-one_of))
    total = torch.where(counted, each, 0.0).sum(-1) + extra
    return (total / (counted.sum(-1) + (~leaf).float())).mean()


def property_loss(logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
    """Cross-entropy of a flat property; labels of -1 count nothing."""
    if not bool((labels >= 0).any()):
        return logits.sum() * 0.0
    return nn.functional.cross_entropy(logits.float(), labels, ignore_index=-1)
