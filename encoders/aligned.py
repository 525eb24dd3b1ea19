"""Cells beside the names of cell types: what an alignment is used for.

:class:`Aligned` is a soft-token model with the space in which it was aligned. It scores any Cell
Ontology terms for cells, seen in training or not, by the cosine of a cell's soft tokens to the
term's text; no cell type is built in. :func:`load` opens the weights that ship, or a folder that
``celloquy train align`` wrote.

    scores = load().scores(values, genes, terms)      # [cells, terms]

In the token space a cell is the mean of its soft tokens and no language model is run; in the
contextual one it is the mean state at them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

import data as _data
from data.errors import AssetMissing, BadFile, BadInput
from encoders import checkpoint
from encoders.labels import TextKind, state_vectors, term_text, token_vectors
from kg.terms import Term

if TYPE_CHECKING:
    import scipy.sparse as sp

    from encoders.adapter import SoftTokenModel
    from encoders.celltext import CellEncoder
    from encoders.language import LanguageModel

__all__ = ["ASK", "SHIPPED", "Aligned", "Space", "SpaceConfig", "load"]

ASK = "What cell type is this? [BIO]"
"""BioVERSE's question; what a cell's states are taken from."""

SHIPPED = Path(_data.__file__).parent / "weights" / "llm"
"""The weights that come with Celloquy."""

Space = Literal["token", "contextual"]

_NAME = "space"
_VERSION = 1
_BATCH = 32


@dataclass(frozen=True, slots=True)
class SpaceConfig:
    """Where cells and texts are compared.

    ``centred`` takes the mean of the training texts from both sides: the words of cell types
    share a direction, and what tells them apart is what is left. ``scale`` multiplies cosines
    (1 / temperature).
    """

    space: Space = "token"
    text: TextKind = "label"
    centred: bool = True
    scale: float = 1 / 0.07


class Aligned:
    """Cells and texts in one space.

    Parameters
    ----------
    model
        The soft-token model.
    config
        The space.
    centre
        The mean of the training texts, [w]; zeros where it is not centred.
    """

    def __init__(
        self, model: SoftTokenModel, config: SpaceConfig, centre: NDArray[np.float32]
    ) -> None:
        self.model, self.config, self.centre = model, config, centre

    # --- both sides ----------------------------------------------------------------------------

    def texts(self, terms: Sequence[Term]) -> NDArray[np.float32]:
        """Unit vectors of terms, [terms, w]."""
        return self.sayings([term_text(term, self.config.text) for term in terms])

    def sayings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, [texts, w]."""
        make = token_vectors if self.config.space == "token" else state_vectors
        return _units(make(self.model.language, texts) - self.centre)

    def cells(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors of cells, [cells, w], from the encoder's vectors."""
        return _units(self.raw_cells(vectors) - self.centre)

    def raw_cells(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Cells where they are, neither centred nor of unit length, [cells, w]."""
        import torch

        from encoders.adapter import Prompt

        self.model.eval()
        rows = []
        step = 4096 if self.config.space == "token" else _BATCH
        device = self.model.marks.device
        with torch.inference_mode():
            for start in range(0, len(vectors), step):
                some = torch.from_numpy(np.ascontiguousarray(vectors[start : start + step]))
                if self.config.space == "token":
                    found = self.model.projector(some.to(device)).mean(1)
                else:
                    found = self.model.embed([Prompt(ASK)] * len(some), some)
                rows.append(found.float().cpu().numpy())
        width = self.model.language.width
        return np.concatenate(rows) if rows else np.zeros((0, width), np.float32)

    def compare(self, vectors: NDArray[np.float32], terms: Sequence[Term]) -> NDArray[np.float32]:
        """Scores of terms for the encoder's vectors, [cells, terms]: scaled cosines.

        Softmax over the terms makes probabilities of them; they are not calibrated.
        """
        found = self.cells(vectors) @ self.texts(terms).T * self.config.scale
        return np.asarray(found, dtype=np.float32)

    # --- from expression -----------------------------------------------------------------------

    def scores(
        self,
        values: sp.csr_matrix | sp.csr_array,
        genes: Sequence[str],
        terms: Sequence[Term],
        encoder: CellEncoder | None = None,
    ) -> NDArray[np.float32]:
        """Scores of Cell Ontology terms for cells, [cells, terms]; higher is likelier.

        Parameters
        ----------
        values
            Expression (log1p), [cells, genes].
        genes
            Current human symbols.
        terms
            Any terms.
        encoder
            What it was trained with; the shipped one by default.

        Returns
        -------
        ndarray
            A cell without any gene that has a text scores 0 for every term.
        """
        from encoders.celltext import CellEncoder

        vectors = (encoder or CellEncoder.shipped()).encode(values, genes)
        scores = self.compare(vectors, terms)
        scores[~vectors.any(axis=1)] = 0.0
        return scores

    # --- keeping -------------------------------------------------------------------------------

    def save(
        self, folder: Path, *, encoder: dict[str, Any], about: dict[str, Any] | None = None
    ) -> str:
        """Write the soft tokens and the space; returns the sha256 of the soft tokens."""
        import torch

        tensors = {"centre": torch.from_numpy(self.centre)}
        checkpoint.save(folder, _NAME, tensors, {"version": _VERSION, **asdict(self.config)})
        return self.model.save(folder, encoder=encoder, about=about)

    @classmethod
    def load(
        cls, folder: Path, language: LanguageModel, encoder: dict[str, Any] | None = None
    ) -> Aligned:
        """Read what :meth:`save` wrote.

        Raises
        ------
        BadFile
            When it is damaged, or was made for another language model or encoder.
        """
        from encoders.adapter import SoftTokenModel

        tensors, document = checkpoint.load(folder, _NAME)
        checkpoint.expect(document, {"version": _VERSION}, str(folder), "train it again")
        fields = SpaceConfig.__dataclass_fields__
        try:
            config = SpaceConfig(**{key: document[key] for key in fields})
            centre = tensors["centre"].numpy()
        except KeyError as error:
            raise BadFile(f"{folder} has no {error} of its space; train it again") from None
        model = SoftTokenModel.load(folder, language, encoder=encoder, lora=False)
        return cls(model, config, centre)


@lru_cache(maxsize=2)
def load(folder: Path = SHIPPED, language: str = "local") -> Aligned:
    """Open an alignment, once a process.

    Raises
    ------
    AssetMissing
        When there is none in the folder.
    """
    if not (folder / f"{_NAME}.json").is_file():
        raise AssetMissing(f"{folder} holds no alignment; make one with: celloquy train align")
    from encoders.language import load as open_language

    return Aligned.load(folder, open_language(language))


def _units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if rows.ndim != 2:
        raise BadInput(f"vectors of shape {rows.shape} were given; expected [rows, width]")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norm, 1e-12), dtype=np.float32)
