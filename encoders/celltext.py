"""The default encoder of cells: gene texts weighted by what the graph knows of each gene.

:class:`CellEncoder` gives a vector for a cell by itself, whatever dataset it comes with: the mean
of the vectors of its genes' texts (:mod:`encoders.genept`), weighted by expression and by how well
each gene is known as a marker of anything, centred and whitened with the mean and spread of
training cells. Weights and centring are ``data/weights/gene_text``; they were made without the
held-out types and datasets by ``python -m training.profiles``. This module knows no cell type.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

import data as _data
from encoders.genept import Centring, GeneText, GeneVectors, cell_vectors, vectors, weighted

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["FLOOR", "WEIGHTS", "CellEncoder"]

WEIGHTS = Path(_data.__file__).parent / "weights"
"""Folder of what ships; the encoder's files there are called ``gene_text``."""

FLOOR = 0.02
"""Weight of a gene that is nobody's marker: a fiftieth of a sure one's."""

_NAME, _VERSION = "gene_text", 1


@dataclass(frozen=True, eq=False)
class CellEncoder:
    """Cells to vectors; made by :meth:`shipped` or by :func:`training.profiles.fitted`.

    Attributes
    ----------
    weights
        Weight of each gene that is more than :data:`FLOOR`.
    centring
        Mean and spread of training cells; None gives plain weighted means.
    text, encoder
        What gene texts say, and the sentence encoder's name (None: the bundled one).
    """

    weights: Mapping[str, float]
    centring: Centring | None = None
    text: GeneText | None = None
    encoder: str | None = None
    name: str = "gene-text"

    def gene_vectors(self, genes: Sequence[str], *, progress: bool = False) -> GeneVectors:
        """The weighted vectors of genes."""
        found = vectors(genes, self.text, encoder=self.encoder, progress=progress)
        return weighted(found, self.weights, FLOOR)

    def encode(
        self, values: sp.csr_matrix | sp.csr_array, genes: Sequence[str], *, progress: bool = False
    ) -> NDArray[np.float32]:
        """Vectors [cells, dimension] of log1p expression [cells, genes]; zeros where nothing is."""
        found = self.gene_vectors(genes, progress=progress)
        return cell_vectors(values, genes, found, centring=self.centring)

    @property
    def identity(self) -> dict[str, Any]:
        """What tells it from other encoders, as an aligned projector keeps it."""
        import hashlib

        digest = hashlib.sha256(repr(sorted(self.weights.items())).encode())
        if self.centring is not None:
            digest.update(np.ascontiguousarray(self.centring.mean, dtype=np.float32).tobytes())
        return {"name": self.name, "content": digest.hexdigest()[:16]}

    def save(self, folder: Path = WEIGHTS) -> str:
        """Write weights and centring; returns the sha256 of the tensors."""
        import torch

        from encoders import checkpoint

        genes = sorted(self.weights)
        tensors = {"weights": torch.tensor([self.weights[g] for g in genes], dtype=torch.float32)}
        if self.centring is not None:
            tensors["mean"] = torch.from_numpy(self.centring.mean)
            if self.centring.turn is not None:
                tensors["turn"] = torch.from_numpy(self.centring.turn)
        return checkpoint.save(folder, _NAME, tensors, {"version": _VERSION, "genes": genes})

    @classmethod
    def shipped(cls, folder: Path = WEIGHTS) -> CellEncoder:
        """The encoder as it ships.

        Raises
        ------
        BadFile
            When its files are damaged or of another version.
        """
        from encoders import checkpoint

        tensors, document = checkpoint.load(folder, _NAME)
        checkpoint.expect(document, {"version": _VERSION}, str(folder / _NAME), "install it again")
        weights = dict(zip(document["genes"], tensors["weights"].tolist(), strict=True))
        turn = tensors.get("turn")
        centring = None
        if "mean" in tensors:
            centring = Centring(
                tensors["mean"].numpy(), None if turn is None else turn.float().numpy()
            )
        return cls(weights, centring)
