"""Cells beside the names of cell types: what an alignment is used for.

:class:`Aligned` is a soft-token model with the space in which it was aligned. It scores any Cell
Ontology terms for cells, seen in training or not, by the cosine of a cell's soft tokens to the
term's text; no cell type is built in. :func:`load` opens the weights that ship, or a folder that
``celloquy train align`` wrote.

    scores = load().scores(values, genes, terms, hierarchy)      # [cells, terms]

Cosines to the texts become probabilities over the terms that were trained and those asked for; a
term then scores the likeness to it that is expected under them, Lin's similarity to a power
(:meth:`Aligned.expected`). So a type that no cell was ever seen of is ranked by its own name and by
its place in the ontology beside the types that the cell resembles.

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
from encoders.likeness import lin_block
from kg.backoff import Hierarchy
from kg.terms import Curie, Term

if TYPE_CHECKING:
    import scipy.sparse as sp

    from encoders.adapter import SoftTokenModel
    from encoders.celltext import CellEncoder
    from encoders.language import LanguageModel

__all__ = ["ASK", "SHIPPED", "Aligned", "Space", "SpaceConfig", "expected", "load"]

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
    (1 / temperature); ``power`` is that of Lin's similarity in :meth:`Aligned.expected`, chosen on
    development types and on real training cells with a projector trained on simulated ones.
    """

    space: Space = "token"
    text: TextKind = "label"
    centred: bool = True
    scale: float = 1 / 0.07
    power: float = 4.0


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
    known
        The terms that it was trained on.
    known_texts
        Their unit vectors, [known, w].
    """

    def __init__(
        self,
        model: SoftTokenModel,
        config: SpaceConfig,
        centre: NDArray[np.float32],
        known: Sequence[Curie],
        known_texts: NDArray[np.float32],
    ) -> None:
        self.model, self.config, self.centre = model, config, centre
        self.known, self.known_texts = tuple(known), known_texts

    # --- both sides ----------------------------------------------------------------------------

    def texts(self, terms: Sequence[Term]) -> NDArray[np.float32]:
        """Unit vectors of terms, [terms, w]."""
        return self.sayings([term_text(term, self.config.text) for term in terms])

    def sayings(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts, [texts, w]."""
        make = token_vectors if self.config.space == "token" else state_vectors
        return _units(make(self.model.language, texts) - self.centre)

    def cells(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """Unit vectors of cells, [cells, w], from the encoder's vectors; zeros stay zeros."""
        found = _units(self.raw_cells(vectors) - self.centre)
        found[~vectors.any(axis=1)] = 0.0
        return found

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

    def expected(
        self, vectors: NDArray[np.float32], terms: Sequence[Term], hierarchy: Hierarchy
    ) -> NDArray[np.float32]:
        """Expected likeness of each term to what the cell is, [cells, terms], in [0, 1].

        Parameters
        ----------
        vectors
            The encoder's.
        terms
            Any terms of the hierarchy.
        hierarchy
            The Cell Ontology.
        """
        return expected(
            self.cells(vectors), self.known_texts, self.known, self.texts(terms),
            [term.id for term in terms], hierarchy, self.config,
        )  # fmt: skip

    def chances(
        self, vectors: NDArray[np.float32], terms: Sequence[Term], hierarchy: Hierarchy
    ) -> tuple[tuple[Curie, ...], NDArray[Any]]:
        """Probabilities of the trained terms and those asked for, which sum to 1.

        In double precision where no language model is run, so that how many cells come together
        changes nothing beyond the last of a million steps.

        Returns
        -------
        tuple
            Their ids, and [cells, ids]. The probabilities are not calibrated.
        """
        asked = tuple(term.id for term in terms)
        every, rows = _every(self.known, self.known_texts, asked, self.texts(terms), hierarchy)
        cells = self._precise(vectors) if self.config.space == "token" else self.cells(vectors)
        return every, _softmax(cells @ rows.T.astype(cells.dtype) * self.config.scale)

    def _precise(self, vectors: NDArray[np.float32]) -> NDArray[np.float64]:
        """What :meth:`cells` gives, in double precision."""
        import copy

        import torch

        with torch.inference_mode():
            double = copy.deepcopy(self.model.projector).double().cpu().eval()
            found = double(torch.from_numpy(vectors.astype(np.float64))).mean(1).numpy()
        moved = found - self.centre
        moved[~vectors.any(axis=1)] = 0.0
        length = np.maximum(np.linalg.norm(moved, axis=1, keepdims=True), 1e-12)
        return np.asarray(moved / length, dtype=np.float64)

    # --- from expression -----------------------------------------------------------------------

    def scores(
        self,
        values: sp.csr_matrix | sp.csr_array,
        genes: Sequence[str],
        terms: Sequence[Term],
        hierarchy: Hierarchy,
        encoder: CellEncoder | None = None,
    ) -> NDArray[np.float32]:
        """Scores of Cell Ontology terms for cells (:meth:`expected`), [cells, terms].

        Parameters
        ----------
        values
            Expression (log1p), [cells, genes].
        genes
            Current human symbols.
        terms
            Any terms of the hierarchy.
        hierarchy
            The Cell Ontology.
        encoder
            What it was trained with; the shipped one by default.

        Returns
        -------
        ndarray
            A cell without any gene that has a text scores 0 for every term.
        """
        from encoders.celltext import CellEncoder

        vectors = (encoder or CellEncoder.shipped()).encode(values, genes)
        scores = self.expected(vectors, terms, hierarchy)
        scores[~vectors.any(axis=1)] = 0.0
        return scores

    # --- keeping -------------------------------------------------------------------------------

    def save(
        self, folder: Path, *, encoder: dict[str, Any], about: dict[str, Any] | None = None
    ) -> str:
        """Write the soft tokens and the space; returns the sha256 of the soft tokens."""
        import torch

        tensors = {
            "centre": torch.from_numpy(self.centre),
            # Half precision: cosines change by 1e-4 at most.
            "known": torch.from_numpy(self.known_texts).to(torch.float16),
        }
        document = {"version": _VERSION, **asdict(self.config), "known": list(self.known)}
        checkpoint.save(folder, _NAME, tensors, document)
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
            centre, texts = tensors["centre"].numpy(), tensors["known"].float().numpy()
            known = document["known"]
        except KeyError as error:
            raise BadFile(f"{folder} has no {error} of its space; train it again") from None
        model = SoftTokenModel.load(folder, language, encoder=encoder, lora=False)
        return cls(model, config, centre, known, texts)


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


def expected(
    cells: NDArray[np.float32],
    known_texts: NDArray[np.float32],
    known: Sequence[Curie],
    texts: NDArray[np.float32],
    asked: Sequence[Curie],
    hierarchy: Hierarchy,
    config: SpaceConfig,
) -> NDArray[np.float32]:
    """Likeness of each asked term that is expected under the cells' probabilities.

    Probabilities are the softmax of scaled cosines over the known terms and the asked ones that
    are not among them; known terms that the hierarchy has no more are passed over.

    Parameters
    ----------
    cells
        Unit vectors, [cells, w].
    known_texts, known
        Unit vectors of the trained terms and their ids, [known, w].
    texts, asked
        The same of the terms asked for, [asked, w].
    hierarchy
        The Cell Ontology.
    config
        Scale and power.

    Returns
    -------
    ndarray
        [cells, asked].
    """
    every, rows = _every(known, known_texts, asked, texts, hierarchy)
    likeness = lin_block(hierarchy, every, asked) ** config.power
    found = np.empty((len(cells), len(asked)), dtype=np.float32)
    for start in range(0, len(cells), 4096):  # 4,096 x 600 probabilities at once
        some = slice(start, start + 4096)
        found[some] = _softmax((cells[some] @ rows.T) * config.scale) @ likeness
    return found


def _every(
    known: Sequence[Curie],
    known_texts: NDArray[np.float32],
    asked: Sequence[Curie],
    texts: NDArray[np.float32],
    hierarchy: Hierarchy,
) -> tuple[tuple[Curie, ...], NDArray[np.float32]]:
    """Known terms that the hierarchy still has, then the asked ones that are not among them."""
    trained = set(known)
    old = [i for i, term in enumerate(known) if term in hierarchy]
    new = [i for i, term in enumerate(asked) if term not in trained]
    ids = (*(known[i] for i in old), *(asked[i] for i in new))
    return ids, np.concatenate([known_texts[old], texts[new]])  # [every, w]


def _softmax(scores: NDArray[Any]) -> NDArray[Any]:
    chance = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def _units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    if rows.ndim != 2:
        raise BadInput(f"vectors of shape {rows.shape} were given; expected [rows, width]")
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.maximum(norm, 1e-12), dtype=np.float32)
