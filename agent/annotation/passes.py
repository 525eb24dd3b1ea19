"""The passes over a dataset: sums by gene, then block by block what is judged of each cell.

Blocks are worked on side by side in threads and put together in order. All sums are of whole
numbers, so that nothing depends on the size of blocks, on the order of cells or on the number of
threads. This module reads no options and no files: :mod:`agent.annotation.annotate` does.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

import numpy as np
from numpy.typing import NDArray

from agent.annotation.judging import STEPS, Judged
from agent.annotation.result import About, Annotation, Clusters, TermSummary
from agent.annotation.termevidence import TermEvidence
from kg.backoff import UNKNOWN, Hierarchy, novelty
from kg.terms import Curie

if TYPE_CHECKING:
    from data.cells import Block, CellMatrix
    from encoders.celltypes.markers import GeneMoments

__all__ = ["Collected", "Progress", "Source", "Told", "in_order"]

CACHED_VALUES = 1 << 26
"""Values of a dataset (0.5 GB as CSR) up to which it is read once and kept."""

Progress = Callable[[int, int], None]
"""Called with the cells done and the cells to do, all passes together."""

_One = TypeVar("_One")
_Other = TypeVar("_Other")


@dataclass
class Told:
    """Adds up what is done, for the one who wants to know."""

    progress: Progress | None
    total: int
    done: int = 0

    def __call__(self, cells: int) -> None:
        """So many more are done."""
        self.done += cells
        if self.progress is not None:
            self.progress(self.done, self.total)


class Source:
    """The blocks of a dataset, read at each pass, or once and kept where there are few values.

    ``whole`` keeps them however many there are.
    """

    def __init__(self, cells: CellMatrix, size: int, *, whole: bool = False) -> None:
        self.cells, self.size = cells, size
        self._limit = None if whole else CACHED_VALUES
        self.kept: list[Block] | None = []

    def moments(self, workers: int, told: Told) -> GeneMoments:
        """The first pass: what the scores need to know of each gene."""
        from encoders.celltypes.markers import GeneMoments

        total = GeneMoments.zeros(self.cells.n_genes)
        values = 0

        def sums(block: Block) -> tuple[Block, GeneMoments]:
            return block, GeneMoments.of(block.values)

        for block, found in in_order(sums, self.cells.blocks(self.size), workers):
            total = total + found
            values += block.values.nnz
            if self._limit is not None and values > self._limit:
                self.kept = None
            if self.kept is not None:
                self.kept.append(block)
            told(block.stop - block.start)
        return total

    def blocks(self) -> Iterable[Block]:
        """The blocks once more."""
        return self.cells.blocks(self.size) if self.kept is None else self.kept


def in_order(
    work: Callable[[_One], _Other], items: Iterable[_One], workers: int
) -> Iterator[_Other]:
    """Results of ``work`` in the order of ``items``, a few at a time in threads.

    Only a few more than ``workers`` items are held; numpy and scipy leave the interpreter free
    while they compute.
    """
    if workers == 1:
        yield from map(work, items)
        return
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[Future[_Other]] = deque()
        try:
            for item in items:
                waiting.append(pool.submit(work, item))
                if len(waiting) > workers:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for one in waiting:
                one.cancel()


class Collected:
    """Answers of all cells, and sums by answer; the order in which blocks come does not matter."""

    def __init__(self, n_cells: int, dimensions: int) -> None:
        self.term = np.full(n_cells, UNKNOWN, dtype=np.int32)
        self.confidence = np.zeros(n_cells, dtype=np.float32)
        self.leaf = np.full(n_cells, UNKNOWN, dtype=np.int32)
        self.reason = np.zeros(n_cells, dtype=np.int8)
        self.embedding = np.zeros((n_cells, dimensions), dtype=np.float32)
        self._detected: dict[int, NDArray[np.float64]] = {}
        self._summed: dict[int, NDArray[np.float64]] = {}

    def add(self, found: Judged) -> None:
        """Put a block in its place."""
        here = slice(found.start, found.stop)
        for name in ("term", "confidence", "leaf", "reason", "embedding"):
            getattr(self, name)[here] = getattr(found, name)
        for row, term in enumerate(found.present.tolist()):
            for into, rows in ((self._detected, found.detected), (self._summed, found.summed)):
                into[term] = into[term] + rows[row] if term in into else rows[row].copy()

    def annotation(
        self,
        hierarchy: Hierarchy,
        ids: Sequence[Curie],
        evidence: TermEvidence,
        *,
        reasons: tuple[str, ...],
        about: About,
        clusters: Clusters | None = None,
        carried: tuple[tuple[str, ...], NDArray[np.int32]] | None = None,
    ) -> Annotation:
        """The answers as a whole, with the summaries of the terms."""
        return Annotation(
            hierarchy=hierarchy,
            term=self.term,
            confidence=self.confidence,
            leaf=self.leaf,
            reason=self.reason,
            reasons=reasons,
            embedding=self.embedding,
            summaries=self.summaries(hierarchy, ids, evidence),
            about=about,
            clusters=clusters,
            carried=carried,
        )

    def summaries(
        self, hierarchy: Hierarchy, ids: Sequence[Curie], evidence: TermEvidence
    ) -> tuple[TermSummary, ...]:
        """The terms that were answers, those of most cells first."""
        found = []
        for term, detected in self._detected.items():
            if term == UNKNOWN:
                continue
            n = int((self.term == term).sum())
            confidence, *_ = mean = self._summed[term] / STEPS / n
            new = novelty(mean[1:].astype(np.float32), ids, hierarchy, term)
            supporting, against = evidence.of(term, n, detected)
            found.append(
                TermSummary(
                    id=hierarchy.ids[term],
                    label=hierarchy.labels[term],
                    n_cells=n,
                    share=n / len(self.term),
                    confidence=round(float(confidence), 4),
                    depth=int(hierarchy.depth[term]),
                    supporting=supporting,
                    against=against,
                    novelty=new,
                    nearest_label=hierarchy.labels[hierarchy.index(new.nearest)] if new else "",
                )
            )
        return tuple(sorted(found, key=lambda one: (-one.n_cells, one.id)))
