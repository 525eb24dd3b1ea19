"""Cells as gene tokens: which genes of a cell are read, how high they are, and where they lie.

A cell becomes at most :data:`MOST` gene tokens behind its special tokens. :func:`held` keeps of
each cell its highest known genes as two narrow arrays, which is what training stores;
:class:`Tokenizer` picks the tokens of a cell from them and gives each a level in [0, 1]:

=======  =========================================================================================
bins     where the log1p value lies among :attr:`TokenConfig.bins` equal steps up to
         :attr:`TokenConfig.ceiling`: the same value is the same token in every dataset
rank     the place among the cell's own genes, highest first, as a share of the places: nothing but
         the order counts (Geneformer)
=======  =========================================================================================

Equal values are ordered by gene, never by column, so that neither the order of a dataset's columns
nor padding changes a cell. :func:`genomic` tells where a gene lies on the genome by sines of its
place (scPRINT, doi:10.1038/s41467-025-58699-1); places are GENCODE's. This module knows no model.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["CELL", "MOST", "PROPERTIES", "Held", "TokenConfig", "Tokenizer", "Tokens", "genomic",
           "held", "special"]  # fmt: skip

CELL = "cell"
"""Name of the special token that every cell has."""

PROPERTIES = ("cell_type", "tissue", "disease", "sex", "assay", "organism")
"""Properties that CELLxGENE gives of every cell; users name others."""

MOST = 512
"""Gene tokens a cell at most."""

Layout = Literal["bins", "rank"]


@dataclass(frozen=True, slots=True)
class TokenConfig:
    """What a cell's tokens are.

    ``tokens`` genes a cell at most. ``ceiling`` is the log1p value of the last bin: 1,800 counts
    in 10,000. With ``relative`` genes are chosen by their level over the gene's usual one, so that
    genes which every cell has in plenty do not fill the tokens (Geneformer's medians); the levels
    themselves stay as they are.
    """

    tokens: int = 128
    layout: Layout = "bins"
    bins: int = 50
    ceiling: float = 7.5
    relative: bool = True

    def __post_init__(self) -> None:
        known = self.layout in get_args(Layout)
        if not known or not 1 <= self.tokens <= MOST or self.bins < 2 or self.ceiling <= 0:
            raise BadInput(
                f"no tokens can be made of {asdict(self)}; expected 1 to {MOST} tokens, at least "
                f"two bins, a ceiling above 0 and one of the layouts {', '.join(get_args(Layout))}"
            )


@dataclass(frozen=True, eq=False)
class Held:
    """What is kept of some cells: their highest genes.

    Attributes
    ----------
    genes
        Places in the vocabulary, [cells, kept]; -1 where a cell has fewer.
    values
        Their log1p values, [cells, kept]; 0 there.
    """

    genes: NDArray[np.int32]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.genes)

    def of(self, rows: NDArray[np.integer]) -> Held:
        """Some of the cells, no wider than they need."""
        genes = np.asarray(self.genes[rows])
        width = max(1, int((genes >= 0).sum(axis=1).max(initial=0)))
        values = np.asarray(self.values[rows], dtype=np.float32)
        return Held(genes[:, :width], values[:, :width])


@dataclass(frozen=True, eq=False)
class Tokens:
    """Gene tokens of some cells, the longest cell as wide as the arrays.

    Attributes
    ----------
    genes
        Places in the vocabulary, [cells, tokens]; 0 where there is none.
    levels
        In [0, 1], [cells, tokens].
    there
        Where there is a token, [cells, tokens].
    """

    genes: NDArray[np.int64]
    levels: NDArray[np.float32]
    there: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.genes)


def special(properties: Sequence[str] = PROPERTIES) -> tuple[str, ...]:
    """The special tokens of a cell in order: [CELL] and one for each property.

    Raises
    ------
    BadInput
        When a property is named twice, or like the token of the cell.
    """
    names = (CELL, *properties)
    if len(set(names)) < len(names) or not all(names):
        raise BadInput(f"properties {', '.join(properties)} were named; expected each once")
    return names


def held(
    values: sp.csr_matrix | sp.csr_array, places: NDArray[np.integer], keep: int = MOST
) -> Held:
    """The ``keep`` highest genes of each cell, by value and then by place.

    Parameters
    ----------
    values
        Log1p expression, [cells, columns].
    places
        The place of each column in the vocabulary, [columns]; -1 for genes that are not in it.
    keep
        Genes a cell.
    """
    import scipy.sparse as sp

    rows = sp.csr_array(values)
    if rows.shape[1] != len(places):
        raise BadInput(f"{rows.shape[1]} columns were given for {len(places)} genes")
    longest = int(np.diff(rows.indptr).max(initial=0))
    width = max(1, min(keep, longest))
    genes = np.full((rows.shape[0], width), -1, dtype=np.int32)
    levels = np.zeros((rows.shape[0], width), dtype=np.float32)
    for i, (start, stop) in enumerate(zip(rows.indptr[:-1], rows.indptr[1:], strict=True)):
        place, value = places[rows.indices[start:stop]], rows.data[start:stop]
        known = (place >= 0) & (value > 0)
        place, value = place[known], value[known]
        order = np.lexsort((place, -value))[:width]
        genes[i, : len(order)] = place[order]
        levels[i, : len(order)] = value[order]
    return Held(genes, levels)


class Tokenizer:
    """Picks the tokens of cells.

    Parameters
    ----------
    config
        What tokens are.
    usual
        The usual log1p value of each gene of the vocabulary where it is expressed, [vocabulary];
        needed for ``config.relative``, 0 where it is not known.
    """

    def __init__(self, config: TokenConfig, usual: NDArray[np.float32] | None = None) -> None:
        self.config = config
        self.usual: NDArray[np.float32] | None = None
        if config.relative and usual is not None:
            known = usual[usual > 0]
            # A gene that was never seen is taken to be as high as genes usually are.
            middle = float(np.median(known)) if len(known) else 1.0
            self.usual = np.where(usual > 0, usual, middle).astype(np.float32)

    def __call__(
        self,
        cells: Held,
        *,
        hide: NDArray[np.bool_] | None = None,
        tokens: int | None = None,
    ) -> Tokens:
        """Tokens of some cells.

        Parameters
        ----------
        cells
            Their genes.
        hide
            Genes that are passed over, as if they were not expressed, [cells, kept].
        tokens
            At most so many; ``config.tokens`` by default.
        """
        open_ = cells.genes >= 0 if hide is None else (cells.genes >= 0) & ~hide
        score = cells.values.astype(np.float32, copy=True)
        if self.usual is not None:
            score = score / self.usual[np.maximum(cells.genes, 0)]
        score = np.where(open_, score, -np.inf)
        # Highest score first; equal ones by gene, so that columns may stand in any order.
        order = np.lexsort((cells.genes, -score), axis=1)
        order = order[:, : tokens or self.config.tokens]
        longest = max(1, int(min(order.shape[1], open_.sum(axis=1).max(initial=0))))
        order = order[:, :longest]
        there = np.take_along_axis(open_, order, axis=1)
        genes = np.where(there, np.take_along_axis(cells.genes, order, axis=1), 0)
        value = np.take_along_axis(cells.values, order, axis=1)
        levels = np.where(there, self._levels(value, genes, there), 0.0)
        return Tokens(genes.astype(np.int64), levels.astype(np.float32), there)

    def _levels(
        self, values: NDArray[np.float32], genes: NDArray[np.int32], there: NDArray[np.bool_]
    ) -> NDArray[np.floating]:
        config = self.config
        if config.layout == "bins":
            step = np.floor(values / config.ceiling * config.bins)
            return np.asarray(np.clip(step, 0, config.bins - 1) / (config.bins - 1))
        order = np.lexsort((genes, -np.where(there, values, -np.inf)), axis=1)
        place = np.argsort(order, axis=1, kind="stable")
        count = np.maximum(there.sum(axis=1, keepdims=True), 1)
        return np.asarray(1.0 - place / count)


# --- where genes lie ---------------------------------------------------------------------------

_CHROMOSOMES = (*map(str, range(1, 23)), "X", "Y", "M")
_COLUMNS = ("chrom", "start", "end", "gene_name")
_NEAR, _FAR = 1e4, 3e9
"""Bases: what counts as the same place (scPRINT's 10,000), and the length of the genome."""


def genomic(genes: Sequence[str], width: int = 16) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Where genes lie: sines and cosines of the place on the genome, chromosomes end to end.

    Parameters
    ----------
    genes
        Current human symbols.
    width
        Even number of columns: wavelengths from 10,000 bases to the whole genome.

    Returns
    -------
    tuple
        The genes whose place is known, and their rows, [known, width].
    """
    place = _places()
    known = tuple(gene for gene in genes if gene in place)
    at = np.array([place[gene] for gene in known], dtype=np.float64)[:, None]
    waves = np.geomspace(_NEAR, _FAR, width // 2)[None, :]
    angle = 2 * np.pi * at / waves
    return known, np.concatenate([np.sin(angle), np.cos(angle)], axis=1).astype(np.float32)


@lru_cache(maxsize=1)
def _places() -> Mapping[str, float]:
    """The middle of each gene by symbol, in bases from the start of chromosome 1."""
    from data import sources

    rows = _coordinates(sources.path("coordinates-human"))
    length = dict.fromkeys(_CHROMOSOMES, 0)
    for chromosome, _, end, _ in rows:
        if chromosome in length:
            length[chromosome] = max(length[chromosome], end)
    starts = np.concatenate([[0], np.cumsum(list(length.values()))])
    offset = dict(zip(_CHROMOSOMES, starts, strict=False))
    found: dict[str, float] = {}
    for chromosome, start, end, symbol in rows:
        if chromosome in offset:
            found.setdefault(symbol, float(offset[chromosome]) + (start + end) / 2)
    return found


def _coordinates(path: Path) -> list[tuple[str, int, int, str]]:
    """Chromosome, start, end and symbol of each gene."""
    with gzip.open(path, "rt", encoding="utf-8") as handle:
        reader = csv.DictReader(handle)
        lacking = set(_COLUMNS) - set(reader.fieldnames or ())
        if lacking:
            raise BadFile(f"{path} has no column {', '.join(sorted(lacking))}; fetch it again")
        return [
            (row["chrom"].removeprefix("chr"), int(row["start"]), int(row["end"]), row["gene_name"])
            for row in reader
        ]
