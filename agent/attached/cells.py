"""Cells that a question is about: an .h5ad or AnnData, which of its cells are meant, their sums.

Holds what was read once: the annotation of every cell (:mod:`agent.annotation.annotate`) and, for a
selection, sums by gene. Everything is computed from the file by blocks; no label of the dataset is
read but the column that selects. What is said of the figures is in :mod:`agent.attached.measures`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import NDArray

from agent.attached.measurewords import ANNOTATED
from agent.attached.selection import ALL, resolved

if TYPE_CHECKING:
    import scipy.sparse as sp

    from agent.annotation.annotate import Knowledge
    from agent.annotation.result import Annotation, MarkerEvidence
    from data.cells import CellMatrix
    from kg.graph import KnowledgeGraph

__all__ = ["AttachedCells", "Sums", "attach", "known"]

PSEUDOCOUNT = 1.0
"""Added to mean counts per 10,000 before their ratio is taken, as Seurat's FoldChange does."""


MOST_READ = 200
"""Genes whose values the verifier keeps: ten answers' worth, 1.6 GB for a million cells."""


@dataclass(frozen=True, eq=False)
class Sums:
    """Over ``n`` cells, by gene: in how many it is detected, means of log1p and of counts.

    All are [n_genes]; counts are per 10,000 of a cell.
    """

    n: int
    detected: NDArray[np.float64]
    mean: NDArray[np.float64]
    counts: NDArray[np.float64]

    @property
    def share(self) -> NDArray[np.float64]:
        """Share of the cells in which each gene is detected."""
        return self.detected / max(1, self.n)

    def fold(self, other: Sums) -> NDArray[np.float64]:
        """Log2 fold change of the mean counts over those of other cells."""
        return np.log2(self.counts + PSEUDOCOUNT) - np.log2(other.counts + PSEUDOCOUNT)


@dataclass
class AttachedCells:
    """A dataset with a selection; made with :func:`attach`.

    ``selection`` is written as :mod:`agent.attached.selection` writes it; empty, all cells are
    meant. ``against`` is another one that comparisons are made with where a question names none;
    ``source`` is what was opened, for models that read a dataset whole.
    """

    cells: CellMatrix
    graph: KnowledgeGraph
    selection: str = ALL
    against: str = ALL
    source: Any = None
    _sums: dict[str, Sums] = field(default_factory=dict)
    _masks: dict[str, NDArray[np.bool_]] = field(default_factory=dict)
    _read: dict[str, NDArray[np.float64]] = field(default_factory=dict)

    # --- the table of cells --------------------------------------------------------------------

    @property
    def name(self) -> str:
        """The dataset's name: the source of what is computed from it."""
        return Path(self.cells.name).name

    @property
    def n_cells(self) -> int:
        """How many cells the dataset has."""
        return self.cells.n_cells

    @property
    def columns(self) -> list[str]:
        """Columns that cells can be selected by."""
        return list(dict.fromkeys([*self.cells.columns, ANNOTATED]))

    def column(self, key: str) -> Any:
        """One column of the table of cells; that of the annotation is made if need be."""
        if key == ANNOTATED and key not in self.cells.columns:
            import pandas as pd

            return pd.Series(self.annotation.labels())
        return self.cells.column(key)

    # --- selections ----------------------------------------------------------------------------

    def select(self, selection: str | None, against: str | None = None) -> None:
        """Mean other cells from now on.

        Raises
        ------
        BadInput
            When a selection cannot be read, names what is not there, or fits no cell.
        """
        self.selection, self.against = self.spelled_out(selection), self.spelled_out(against)

    def spelled_out(self, selection: str | None) -> str:
        """A selection as the table spells its columns and values, once it fits some cell."""
        text = str(resolved(selection, self))
        self.mask(text)
        return text

    def mask(self, selection: str) -> NDArray[np.bool_]:
        """Which cells are meant."""
        if selection not in self._masks:
            self._masks[selection] = resolved(selection, self).mask(self)
        return self._masks[selection]

    def rest(self, selection: str, against: str = ALL) -> NDArray[np.bool_]:
        """The cells that a selection is held against: the named ones, or all others."""
        return self.mask(against) if against else ~self.mask(selection)

    def size(self, selection: str) -> int:
        """How many cells are meant."""
        return int(self.mask(selection).sum())

    # --- annotation ----------------------------------------------------------------------------

    @cached_property
    def annotation(self) -> Annotation:
        """The answer for every cell of the dataset."""
        from agent.annotation.annotate import annotate_cells

        return annotate_cells(self.cells, known=known(self.graph))

    def answers(self, selection: str) -> list[tuple[int, int, float]]:
        """Place of each answer among the cells, how many have it, mean confidence.

        The most frequent first; the place is -1 for the cells without an answer.
        """
        chosen = self.mask(selection)
        places, confidence = self.annotation.term[chosen], self.annotation.confidence[chosen]
        found, counts = np.unique(places, return_counts=True)
        rows = [
            (int(place), int(n), float(confidence[places == place].mean(dtype=np.float64)))
            for place, n in zip(found, counts, strict=True)
        ]
        return sorted(rows, key=lambda row: (-row[1], row[0]))

    def markers(
        self, place: int, selection: str
    ) -> tuple[tuple[MarkerEvidence, ...], tuple[MarkerEvidence, ...]]:
        """Markers of an answer that speak for it in the cells of a selection, and against it."""
        from agent.annotation.termevidence import TermEvidence
        from encoders.celltypes.markers import ScoreConfig

        facts = known(self.graph)
        sets = facts.sets.within(self.named.genes, ScoreConfig().least_measured)
        every, inside = self.sums(ALL), self.sums(selection)
        evidence = TermEvidence(
            sets, facts.hierarchy, every.detected, every.n, facts.sources, self.spelled
        )
        return evidence.of(place, inside.n, inside.detected)

    # --- expression ----------------------------------------------------------------------------

    @cached_property
    def named(self) -> CellMatrix:
        """The dataset with genes as current human symbols."""
        return self.cells.harmonised()

    @cached_property
    def spelled(self) -> dict[str, str]:
        """The dataset's own name of each symbol."""
        from agent.annotation.annotate import spelled

        return spelled(self.cells, self.named)

    @cached_property
    def place(self) -> dict[str, int]:
        """The place of each gene, by its symbol."""
        return {gene: i for i, gene in enumerate(self.named.genes)}

    def symbol(self, name: str) -> str | None:
        """The symbol under which a gene is here; None where the dataset has no such gene."""
        if name in self.place:
            return name
        folded = name.casefold()
        for symbol in self.named.genes:
            if folded in (symbol.casefold(), self.spelled.get(symbol, "").casefold()):
                return symbol
        return None

    def sums(self, selection: str, against: str | None = None) -> Sums:
        """Sums over a selection; with ``against``, over the cells that it is held against."""
        key = selection if against is None else against or f"not {selection}"
        if key not in self._sums:
            chosen = self.mask(selection) if against is None else self.rest(selection, against)
            total = np.zeros((3, self.named.n_genes))
            for block in self.named.blocks(cells=chosen):
                values = block.values.astype(np.float64)
                total[0] += np.asarray(values.sign().sum(axis=0)).ravel()
                total[1] += np.asarray(values.sum(axis=0)).ravel()
                total[2] += np.asarray(values.expm1().sum(axis=0)).ravel()
            n = int(chosen.sum())
            self._sums[key] = Sums(n, total[0], total[1] / max(1, n), total[2] / max(1, n))
        return self._sums[key]

    def values(self, genes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Log1p values of a few genes in every cell, read from the file in one pass."""
        places = [self.place[gene] for gene in genes]
        found = np.zeros((self.n_cells, len(places)))
        for block in self.named.blocks():
            found[block.cells] = block.values[:, places].toarray()
        return {gene: found[:, i] for i, gene in enumerate(genes)}

    def log1p(self, selection: str) -> sp.csr_matrix:
        """Log1p expression of the cells of a selection, [cells, genes of ``named``]."""
        import scipy.sparse as sp

        blocks = [block.values for block in self.named.blocks(cells=self.mask(selection))]
        return sp.csr_matrix(sp.vstack(blocks, format="csr"))

    def read_again(self, genes: Sequence[str]) -> dict[str, NDArray[np.float64]]:
        """Values of genes for the verifier, which reads each from the file itself, once."""
        wanted = [gene for gene in dict.fromkeys(genes) if gene in self.place]
        if len(self._read.keys() | set(wanted)) > MOST_READ:
            self._read.clear()
        missing = [gene for gene in wanted if gene not in self._read]
        if missing:
            self._read |= self.values(missing)
        return self._read


def known(graph: KnowledgeGraph) -> Knowledge:
    """What annotates cells, read once a process and graph."""
    from agent.annotation.annotate import knowledge

    return cast("Callable[[object], Knowledge]", knowledge)(graph)  # cached by the graph itself


@contextmanager
def attach(
    source: Any,
    selection: str | None = None,
    graph: KnowledgeGraph | None = None,
    *,
    against: str | None = None,
) -> Iterator[AttachedCells]:
    """Open a dataset for questions.

    Parameters
    ----------
    source
        A path to an .h5ad file, or an AnnData.
    selection
        Which cells are meant, such as ``leiden=3``; all where not given.
    graph
        The releases that annotate; the built ones where not given.
    against
        Other cells to compare them with.

    Raises
    ------
    BadFile
        When the file cannot be used.
    BadInput
        When a selection cannot be used.
    """
    from agent.lookup import open_graph
    from data.h5ad import open_cells

    with open_cells(Path(source) if isinstance(source, str) else source) as cells:
        attached = AttachedCells(cells, graph or open_graph(), source=source)
        attached.select(selection, against)
        yield attached
