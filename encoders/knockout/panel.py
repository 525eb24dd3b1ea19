"""A panel of genes as tokens: what distinguishes perturbed cells from control cells.

A frozen encoder of expression: log1p values are z-scored by control cells, the mean of n cells is
brought to the size of a test statistic (times sqrt n, n up to ``MOST``) and projected to a few
directions, which :mod:`training.knockout.panel` fits: the log odds of the labels, or main
components. Each direction becomes a token of its own: its value times one fixed vector, plus
another that says which direction it is (:func:`fixed`); :func:`along` reads the value again.

Genes that a file does not hold count as unchanged; a file with too few of them is refused. It knows
no label and no language model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadFile, BadInput

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["MOST", "Panel", "along", "fixed", "pooled"]

MOST = 50
"""Cells of a pseudo-cell; the mean of more counts as that of so many."""

_CLIP = 5.0  # standard deviations of a single cell beyond which a value counts no further
_LEAST = 0.5  # share of the panel's genes that a file must hold


@dataclass(frozen=True, eq=False)
class Panel:
    """Expression of a panel of g genes as k tokens, each d wide.

    ``mean`` and ``deviation`` [g] are those of control cells, ``directions`` [g, k], ``offset`` [k]
    what is added to the values.
    """

    genes: tuple[str, ...]
    mean: NDArray[np.float32]
    deviation: NDArray[np.float32]
    directions: NDArray[np.float32]
    offset: NDArray[np.float32]

    @property
    def width(self) -> int:
        """Of a token, d: room for two fixed vectors for each direction."""
        return int(2 * self.directions.shape[1])

    def scores(self, values: sp.csr_matrix | NDArray[Any], genes: Sequence[str]) -> Any:
        """Cells as z-scores of the panel's genes.

        Parameters
        ----------
        values
            log1p expression, [cells, genes].
        genes
            Names of its columns.

        Returns
        -------
        ndarray
            [cells, g], float32; 0 for genes that are not there.

        Raises
        ------
        BadInput
            When fewer than half of the panel's genes are there.
        """
        place = {name: i for i, name in enumerate(genes)}
        here = [(i, place[name]) for i, name in enumerate(self.genes) if name in place]
        if len(here) < _LEAST * len(self.genes):
            raise BadInput(
                f"the cells have {len(here)} of the {len(self.genes)} genes that the model reads; "
                "expected at least half: use the expression of whole genes, by symbol"
            )
        own, theirs = (np.array(x) for x in zip(*here, strict=True))
        some: Any = values[:, theirs]
        dense = np.asarray(some.todense() if hasattr(some, "todense") else some, np.float32)
        found = np.zeros((len(dense), len(self.genes)), np.float32)
        found[:, own] = np.clip((dense - self.mean[own]) / self.deviation[own], -_CLIP, _CLIP)
        return found

    def tokens(self, statistics: NDArray[np.float32]) -> torch.Tensor:
        """Pseudo-cells [n, g] of :func:`pooled` as tokens, [n, k, d]."""
        values = torch.from_numpy(statistics @ self.directions + self.offset)  # [n, k]
        size, which = fixed(values.shape[1])
        found: torch.Tensor = values.unsqueeze(-1) * size + which
        return found

    def tensors(self) -> dict[str, torch.Tensor]:
        """What is to be kept, beside the genes."""
        return {
            name: torch.from_numpy(getattr(self, name))
            for name in ("mean", "deviation", "directions", "offset")
        }

    @classmethod
    def of(cls, genes: Sequence[str], tensors: Mapping[str, torch.Tensor]) -> Panel:
        """From what :meth:`tensors` gave.

        Raises
        ------
        BadFile
            When sizes do not fit.
        """
        mean, deviation, directions, offset = (
            tensors[name].numpy() for name in ("mean", "deviation", "directions", "offset")
        )
        if not len(genes) == len(mean) == len(deviation) == len(directions):
            raise BadFile(f"a panel of {len(genes)} genes has {len(mean)} means; train it again")
        if offset.shape != directions.shape[1:]:
            raise BadFile(f"a panel of {directions.shape[1]} directions has {len(offset)} offsets; "
                          "train it again")  # fmt: skip
        return cls(tuple(genes), mean, deviation, directions, offset)


def fixed(k: int) -> tuple[torch.Tensor, torch.Tensor]:
    """For k directions the vectors of their values and of their names, [k, 2k].

    Each is an axis of its own, so that an optimiser that scales each parameter by itself sees
    directions of any size alike.
    """
    found = torch.eye(2 * k)
    return found[:k], found[k:]


def along(tokens: torch.Tensor) -> torch.Tensor:
    """The values of the directions in tokens of a panel, [..., k, d] -> [..., k]."""
    return (tokens * fixed(tokens.shape[-2])[0].to(tokens)).sum(-1)


def pooled(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cells [n, g] as one pseudo-cell [g]: their mean, times sqrt n up to ``MOST``.

    >>> pooled(np.ones((4, 2), np.float32)).tolist()
    [2.0, 2.0]
    """
    found: NDArray[np.float32] = scores.mean(0) * np.sqrt(min(len(scores), MOST)).astype(np.float32)
    return found
