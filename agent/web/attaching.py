"""Cells that a question of the page is about: a dataset with the selections of its picture.

A drawn selection has no column in the file: it is known under the text ``selection=NAME``, and its
cells are given by number. What was computed for a text is kept while the text means the same cells.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, cast

from agent.attached.cells import AttachedCells
from agent.attached.selection import ALL
from agent.web import annotating
from agent.web.jobs import Job
from data.errors import CelloquyError

if TYPE_CHECKING:
    from agent.annotation.result import Annotation
    from agent.web.asking import Tell
    from agent.web.datasets import Dataset, Selection
    from agent.web.sessions import Session
    from kg.graph import KnowledgeGraph

__all__ = ["PageCells", "attached"]

MOST_BYTES = 200_000_000
"""Values of genes that the verifier has read, in bytes, before they are let go."""

_WAIT = 0.3  # seconds between two looks at a running job


@dataclass
class PageCells(AttachedCells):
    """Cells of a dataset of the page; ``annotate`` gives the answers for all of them."""

    annotate: Callable[[], Annotation] = field(kw_only=True)
    _packed: dict[str, bytes] = field(default_factory=dict)

    @property
    def annotation(self) -> Annotation:
        """The answer for every cell, made when a question first needs it."""
        return self.annotate()

    def mean(self, one: Selection | None, other: Selection | None) -> None:
        """Mean these cells from now on, held against the other ones."""
        packed = {s.text: s.packed.tobytes() for s in (one, other) if s is not None}
        if any(self._packed.get(text, new) != new for text, new in packed.items()):
            self.forget()  # a name meant other cells before
        self._packed |= packed
        for selection in filter(None, (one, other)):
            self._masks[selection.text] = selection.mask(self.n_cells)
        self.selection = one.text if one is not None else ALL
        self.against = other.text if other is not None else ALL

    def spelled_out(self, selection: str | None) -> str:
        """A selection as the table spells it; those of the page are known by their text."""
        if selection is not None and selection in self._masks:
            return selection
        return super().spelled_out(selection)

    def forget(self) -> None:
        """Let go of what was computed."""
        for kept in (self._sums, self._masks, self._read):
            kept.clear()
        self._packed.clear()


def attached(
    session: Session, dataset: Dataset, one: Selection | None, other: Selection | None, tell: Tell
) -> PageCells:
    """The cells of a dataset, as a question means them."""
    from agent.lookup import open_graph

    graph: KnowledgeGraph = open_graph(session.graph)
    kept = cast("PageCells | None", dataset.attached)
    if kept is None:
        kept = PageCells(
            dataset.cells, graph, source=dataset.source,
            annotate=lambda: _annotation(session, dataset, tell),
        )  # fmt: skip
        dataset.attached = kept
    kept.annotate = lambda: _annotation(session, dataset, tell)
    if len(kept._read) * 8 * dataset.n_cells > MOST_BYTES:
        kept.forget()
    kept.mean(one, other)
    return kept


def _annotation(session: Session, dataset: Dataset, tell: Tell) -> Annotation:
    """The annotation: the one that is there, the one being made, or a new one."""
    if (found := dataset.annotation) is not None:
        return found
    running = [
        job
        for job in session.jobs.values()
        if job.dataset == dataset.id and job.kind == "annotate" and not job.ended.is_set()
    ]
    for job in running:
        while not job.ended.wait(_WAIT):
            _tell(job, tell)
        if (found := _kept(dataset)) is not None:
            return found
    job = session.add_job(Job("annotate", dataset.id, heard=lambda: _tell(job, tell)))
    job.run(lambda job: annotating.annotated(dataset, None, job, session.graph))
    if (found := _kept(dataset)) is None:
        raise CelloquyError(f"the cells could not be annotated: {job.error or 'it was stopped'}")
    return found


def _kept(dataset: Dataset) -> Annotation | None:
    return dataset.annotation  # another thread may have set it


def _tell(job: Job, tell: Tell) -> None:
    done = f", {job.done / job.total:.0%}" if job.total else ""
    tell("evidence", f"annotating the cells{done}")
