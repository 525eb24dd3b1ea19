"""Cells as the texts of their genes: one vector a gene, weighted by expression.

Gives :func:`vectors`, the texts of :mod:`encoders.genetexts` through a sentence encoder, each
embedded once and kept, and the two cell representations of GenePT (Y. Chen and J. Zou, 2023,
doi:10.1101/2023.10.16.562533): :func:`cell_vectors`, the mean of gene vectors weighted by
expression, and :func:`sentence_vectors`, the ranked gene names as one sentence.
:func:`random_like` and :func:`permuted` are the controls that say how much of a figure is owed to
the texts. This module knows no cell type.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.cells import BLOCK
from data.errors import BadInput
from encoders.genetexts import GeneText, coding_genes, texts
from encoders.textstore import TextStore
from kg.graph import KnowledgeGraph

if TYPE_CHECKING:
    import scipy.sparse as sp

    from encoders.text import TextEncoder

__all__ = [
    "Centring",
    "GeneText",
    "GeneVectors",
    "cell_sentences",
    "cell_vectors",
    "coding_genes",
    "permuted",
    "random_like",
    "sentence_vectors",
    "texts",
    "vectors",
    "weighted",
]


@dataclass(frozen=True, eq=False)
class GeneVectors:
    """Vectors [genes, dimension] of the ``genes`` that have a text; ``missing`` have none.

    ``encoder`` names what made them.
    """

    genes: tuple[str, ...]
    values: NDArray[np.float32]
    missing: tuple[str, ...] = ()
    encoder: str = ""
    _place: Mapping[str, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or len(self.values) != len(self.genes):
            raise BadInput(
                f"{len(self.genes):,} genes were given vectors of shape {self.values.shape}; "
                "expected one row a gene"
            )
        object.__setattr__(self, "_place", {gene: i for i, gene in enumerate(self.genes)})

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return int(self.values.shape[1])

    @property
    def coverage(self) -> float:
        """Share of the genes asked for that have a vector."""
        return len(self.genes) / max(1, len(self.genes) + len(self.missing))

    def places(self, genes: Sequence[str]) -> NDArray[np.int64]:
        """The row of each gene, -1 where it has none."""
        return np.array([self._place.get(gene, -1) for gene in genes], dtype=np.int64)

    def report(self) -> str:
        """One line on what is there."""
        return (
            f"{len(self.genes):,} of {len(self.genes) + len(self.missing):,} genes have a text "
            f"({self.coverage:.0%})"
        )


# --- vectors -----------------------------------------------------------------------------------


def vectors(
    genes: Iterable[str],
    config: GeneText | None = None,
    *,
    encoder: str | None = None,
    graph: KnowledgeGraph | None = None,
    progress: bool = False,
) -> GeneVectors:
    """Unit vectors of the genes' texts; only texts that were never embedded are embedded now.

    The first full set of 20,000 genes takes some minutes; interrupted, it goes on where it was.

    Parameters
    ----------
    genes
        Current human symbols; the result has them in this order, less the missing ones.
    config
        What the texts say.
    encoder
        Name of a sentence encoder (:func:`encoders.text.load`); the bundled one by default.
    graph
        Where annotations are read.
    progress
        Show a bar on stderr.
    """
    from encoders import text

    asked = list(dict.fromkeys(genes))
    said = texts(asked, config, graph)
    known = [gene for gene in asked if gene in said]
    name = encoder or text.BUNDLED
    store = TextStore.of(name)
    values = store.vectors([said[gene] for gene in known], progress=progress, title="gene texts")
    missing = tuple(gene for gene in asked if gene not in said)
    return GeneVectors(tuple(known), values, missing, name)


def random_like(found: GeneVectors, seed: int = 0) -> GeneVectors:
    """Random unit vectors for the same genes; a gene's depends on its symbol and the seed only."""
    rows = []
    for gene in found.genes:
        digest = hashlib.sha256(f"{seed}\x1f{gene}".encode()).digest()
        rows.append(np.random.default_rng(list(digest)).standard_normal(found.dimension))
    values = np.asarray(rows, dtype=np.float32).reshape(len(rows), found.dimension)
    return replace(found, values=_units(values), encoder=f"random {seed}")


def permuted(found: GeneVectors, seed: int = 0) -> GeneVectors:
    """The same vectors, dealt out to the genes at random."""
    order = np.random.default_rng(seed).permutation(len(found.genes))
    return replace(found, values=found.values[order], encoder=f"{found.encoder} permuted {seed}")


def weighted(found: GeneVectors, weights: Mapping[str, float], floor: float) -> GeneVectors:
    """The vectors with lengths: a gene's weight, or ``floor`` where it has none."""
    lengths = np.array([max(floor, weights.get(gene, 0.0)) for gene in found.genes], np.float32)
    return replace(found, values=found.values * lengths[:, None])


# --- cells -------------------------------------------------------------------------------------


@dataclass(frozen=True, eq=False)
class Centring:
    """Takes away what all cells share: ``mean`` [d]; with ``turn`` [d, d] it whitens as well.

    Gene texts have a common direction and cells share their housekeeping genes, so that raw cell
    vectors lie within a few degrees of each other. A centring is fitted once on reference cells
    and then holds for every cell by itself, whatever dataset it comes with.
    """

    mean: NDArray[np.float32]
    turn: NDArray[np.float32] | None = None

    @classmethod
    def fit(
        cls, cells: NDArray[np.float32], *, whiten: bool = False, shrink: float = 0.1
    ) -> Centring:
        """Fit on cell vectors [n, d]; ``shrink`` is the share of the mean variance added to all."""
        mean = cells.mean(axis=0, dtype=np.float64)
        if not whiten:
            return cls(mean.astype(np.float32))
        spread = np.cov((cells - mean).T.astype(np.float64), bias=True)
        values, axes = np.linalg.eigh(spread)
        floor = shrink * max(float(values.mean()), 1e-12)
        turn = axes / np.sqrt(np.maximum(values, 0) + floor)
        return cls(mean.astype(np.float32), turn.astype(np.float32))

    def __call__(self, cells: NDArray[np.float32]) -> NDArray[np.float32]:
        """Centred unit vectors, same number of rows; rows of zeros stay zeros."""
        empty = ~cells.any(axis=1)
        moved = cells - self.mean
        if self.turn is not None:
            moved = moved @ self.turn
        moved[empty] = 0
        return _units(moved)


def cell_vectors(
    values: sp.csr_matrix | sp.csr_array,
    genes: Sequence[str],
    found: GeneVectors,
    *,
    centring: Centring | None = None,
    top: int | None = None,
) -> NDArray[np.float32]:
    """GenePT-w: the mean of the gene vectors, weighted by expression, as a unit vector.

    Parameters
    ----------
    values
        Expression (log1p), [n_cells, n_genes].
    genes
        Symbols of its columns; those without a vector are passed over.
    found
        Gene vectors.
    centring
        Applied to the result.
    top
        Only this many highest genes of each cell; ties go to the first by name.

    Returns
    -------
    ndarray
        [n_cells, dimension]; zeros for a cell that expresses no gene with a vector.
    """
    matrix = _rows(values, genes)
    places = found.places(genes)
    known = np.flatnonzero(places >= 0)
    weights = matrix[:, known]
    table = found.values[places[known]]
    out = np.zeros((matrix.shape[0], found.dimension), dtype=np.float32)
    for start in range(0, matrix.shape[0], BLOCK):
        block = weights[start : start + BLOCK]
        if top is not None:
            block = _highest(block, [genes[int(i)] for i in known], top)
        out[start : start + BLOCK] = _units(np.asarray(block @ table, dtype=np.float32))
    return out if centring is None else centring(out)


def cell_sentences(
    values: sp.csr_matrix | sp.csr_array, genes: Sequence[str], top: int = 1_000
) -> Iterator[str]:
    """Each cell's expressed genes by falling expression, as GenePT-s writes them."""
    matrix = _rows(values, genes)
    rank = np.argsort(np.argsort(np.array(genes, dtype=object)))
    for i in range(matrix.shape[0]):
        span = slice(matrix.indptr[i], matrix.indptr[i + 1])
        level, column = matrix.data[span], matrix.indices[span]
        order = np.lexsort((rank[column], -level))
        shown = [genes[int(j)] for j in column[order][level[order] > 0][:top]]
        yield "A cell with genes ranked by expression: " + " ".join(shown)


def sentence_vectors(
    values: sp.csr_matrix | sp.csr_array,
    genes: Sequence[str],
    encoder: TextEncoder,
    top: int = 1_000,
) -> NDArray[np.float32]:
    """GenePT-s: the sentence of each cell through the encoder, [n_cells, dimension].

    MiniLM reads 256 word pieces, which are 60 to 90 gene names: the rest of the 1,000 is cut.
    """
    return encoder.encode(list(cell_sentences(values, genes, top)))


def _rows(values: Any, genes: Sequence[str]) -> sp.csr_array:
    import scipy.sparse as sp

    matrix = sp.csr_array(values)
    if matrix.shape[1] != len(genes):
        raise BadInput(
            f"{matrix.shape[1]:,} columns of expression were given {len(genes):,} gene names"
        )
    return matrix


def _highest(block: Any, genes: Sequence[str], top: int) -> Any:
    """The block with all but the ``top`` highest values of each row set to zero."""
    import scipy.sparse as sp

    row = np.repeat(np.arange(block.shape[0]), np.diff(block.indptr))
    rank = np.argsort(np.argsort(np.array(genes, dtype=object)))
    order = np.lexsort((rank[block.indices], -block.data, row))
    place = np.empty(len(order), dtype=np.int64)
    place[order] = np.arange(len(order)) - block.indptr[:-1][row[order]]
    data = np.where(place < top, block.data, 0)
    return sp.csr_array((data, block.indices, block.indptr), shape=block.shape)


def _units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    norm = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(norm > 0, norm, 1), dtype=np.float32)
