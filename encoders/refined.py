"""Gene-text vectors of cells, refined by contrast: what ``celloquy train encoder`` leaves.

A cell is the mean of the text vectors of its ``top`` highest genes, weighted by expression
(:mod:`encoders.genept`), less the mean of the training cells, through two layers (numpy, so that
using it needs no torch beyond the gene texts). The recipe is :mod:`training.genetext`'s. This
module knows no labels.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.genept import GeneVectors, cell_vectors, vectors

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["NAME", "Refined", "forward"]

NAME = "gene_text_refined"
"""Of the files in a folder."""

_VERSION = 1
_KEYS = ("mean", "first", "first_bias", "second", "second_bias")


def forward(x: NDArray[np.float32], layers: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """Two layers with a ReLU between; rows of length 1.

    Parameters
    ----------
    x
        [n, d], centred.
    layers
        Weights [h, d], bias [h], weights [k, h], bias [k], as torch keeps them.
    """
    first, first_bias, second, second_bias = layers
    hidden = np.maximum(x @ first.T + first_bias, 0)  # [n, h]
    out = hidden @ second.T + second_bias  # [n, k]
    return np.asarray(out / np.maximum(np.linalg.norm(out, axis=1, keepdims=True), 1e-12), "f4")


@dataclass(frozen=True, eq=False)
class Refined:
    """The trained encoder; ``mean`` [d] and ``layers`` as in :func:`forward`."""

    top: int
    mean: NDArray[np.float32]
    layers: tuple[NDArray[np.float32], ...]
    name: str = "gene-text-refined"
    _kept: dict[tuple[str, ...], GeneVectors] = field(default_factory=dict, repr=False)

    def encode(
        self, values: sp.csr_matrix | sp.csr_array, genes: Sequence[str]
    ) -> NDArray[np.float32]:
        """Vectors [cells, k] of log1p expression [cells, genes]."""
        key = tuple(genes)
        if key not in self._kept:  # looked up once a dataset, not once a block
            self._kept.clear()
            self._kept[key] = vectors(genes)
        x = cell_vectors(values, genes, self._kept[key], top=self.top)
        return forward(x - self.mean, self.layers)

    def save(self, folder: Path) -> str:
        """Write the tensors and their document; returns the sha256."""
        import torch

        from encoders import checkpoint

        arrays = dict(zip(_KEYS, (self.mean, *self.layers), strict=True))
        tensors = {key: torch.from_numpy(value) for key, value in arrays.items()}
        return checkpoint.save(folder, NAME, tensors, {"version": _VERSION, "top": self.top})

    @classmethod
    def load(cls, folder: Path) -> Refined:
        """Read it.

        Raises
        ------
        BadFile
            When the folder holds none, or one that is damaged or of another version.
        """
        from encoders import checkpoint

        tensors, document = checkpoint.load(folder, NAME)
        checkpoint.expect(document, {"version": _VERSION}, str(folder / NAME), "train it again")
        mean, *layers = (tensors[key].numpy() for key in _KEYS)
        return cls(int(document["top"]), mean, tuple(layers), name=folder.name)
