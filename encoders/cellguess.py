"""What the language-model core itself thinks cells are: by their soft tokens alone.

:func:`guess` ranks cell types for a group of cells by the aligned projector and, where a tuned
adapter ships, adds which of the types ranked first the language model writes when it is asked with
the cells' soft tokens in the prompt. :class:`Names` gives the same probabilities cell by cell, as a
second opinion beside markers. Neither looks at a marker table: it is a guess to set beside the
evidence, and :data:`MEASURED` says how good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.aligned import ASK, SHIPPED, Aligned, load
from encoders.labels import naming
from encoders.prediction import Measured, Predicted, Prediction
from kg.backoff import Hierarchy
from kg.terms import Curie, Term

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["MEASURED", "Names", "guess"]

MODEL = "language-model core"

_NEW_TOKENS = 40  # 99 in 100 names of the ontology are shorter; the others are not written
_GRID = 2.0**-20
"""Probabilities are brought to whole steps: the last bits of a product depend on how many cells are
multiplied at once."""

MEASURED = Measured(
    figure="Lin similarity to the truth of the first of 656 types, cell by cell",
    value=0.656,
    baseline="the nearest mean training cell, spread over the ontology",
    baseline_value=0.592,
    data="PBMC3k, never trained on",
    n=2638,
)
"""``python -m training.evaluate.llm`` (docs/experiments/llm.md). On PBMC68k .711 beside .659."""


@dataclass(frozen=True, eq=False)
class Names:
    """Probabilities of cell types by their names, for the encoder's vectors of cells."""

    aligned: Aligned
    terms: tuple[Term, ...]
    hierarchy: Hierarchy
    ids: tuple[Curie, ...]

    @classmethod
    def of(
        cls, terms: Iterable[Term], hierarchy: Hierarchy, aligned: Aligned | None = None
    ) -> Names:
        """Of the shipped alignment by default."""
        aligned, some = aligned or load(), tuple(terms)
        nobody = np.zeros((0, aligned.model.projector.config.width_in), np.float32)
        return cls(aligned, some, hierarchy, aligned.chances(nobody, some, hierarchy)[0])

    def chances(self, vectors: NDArray[np.float32]) -> NDArray[np.float32]:
        """[cells, ids]; a cell whose vector is zero has none."""
        _, found = self.aligned.chances(vectors, self.terms, self.hierarchy)
        found[~vectors.any(axis=1)] = 0.0
        return np.asarray(np.rint(found / _GRID) * _GRID, dtype=np.float32)


def guess(
    values: sp.csr_matrix | sp.csr_array,
    genes: Sequence[str],
    terms: Sequence[Term],
    hierarchy: Hierarchy,
    *,
    top: int = 5,
    write: bool = True,
) -> Prediction:
    """What a group of cells is, by the shipped weights.

    Parameters
    ----------
    values
        Expression (log1p) of the cells, [cells, genes].
    genes
        Current human symbols.
    terms
        The types to choose from.
    hierarchy
        The Cell Ontology.
    top
        How many types are named.
    write
        Whether the tuned language model also chooses among them: some seconds on a processor.

    Raises
    ------
    BadInput
        When no cell expresses a gene that has a text, or there are no types to choose from.
    """
    from encoders.celltext import CellEncoder

    if not terms or top < 1:
        raise BadInput(f"{len(terms)} types to choose from, the first {top} asked; expected some")
    vectors = CellEncoder.shipped().encode(values, genes)
    seen = vectors[vectors.any(axis=1)]
    if not len(seen):
        raise BadInput(f"no gene of the {values.shape[0]} cells has a text; expected gene symbols")
    mean = seen.mean(axis=0, keepdims=True)
    mean /= np.maximum(np.linalg.norm(mean), 1e-12)
    aligned = load()
    scores = aligned.expected(mean, terms, hierarchy)[0]
    best = np.argsort(-scores, kind="stable")[:top]
    ranked = tuple(Predicted(terms[i].id, terms[i].label, float(scores[i])) for i in best)
    notes = ["trained mostly on cells simulated from marker tables"]
    if write:
        notes += _written(aligned, mean, [terms[i] for i in best])
    return Prediction(
        about=f"what {len(seen):,} cells are, by their soft tokens",
        model=MODEL,
        release=_release(),
        unit="expected likeness to the cells, 0 to 1",
        measured=MEASURED,
        ranked=ranked,
        notes=tuple(notes),
    )


def _written(aligned: Aligned, mean: NDArray[np.float32], terms: Sequence[Term]) -> list[str]:
    """The type that the tuned language model writes, of those ranked first; nothing if none ships.

    Held to all names of the ontology it writes of a T cell for most real cells.
    """
    import torch

    from encoders.adapter import LORA, Prompt, SoftTokenModel

    if not (SHIPPED / LORA).is_dir():
        return []
    tuned = SoftTokenModel.load(SHIPPED, aligned.model.language)
    answers = {f" {naming(term.label)}": term for term in terms}
    (said,) = tuned.generate(
        [Prompt(ASK)], torch.from_numpy(mean), max_new_tokens=_NEW_TOKENS, allowed=list(answers)
    )
    term = answers.get(f" {said.text.strip()}")
    where = f" ({term.id})" if term else ""
    return [f"the tuned language model, held to these names, writes: {said.text}{where}"]


def _release() -> str:
    from encoders import checkpoint

    return str(checkpoint.load(SHIPPED, "adapter")[1]["sha256"])[:12]
