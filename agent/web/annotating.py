"""Annotation of a session's dataset: as a job, as a summary, as a file to take away."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, cast

import numpy as np

from agent.web.datasets import Dataset
from agent.web.models import AnnotateRequest, MarkerDocument, SummaryDocument, TermAnswer
from data.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.annotation.annotate import AnnotateConfig, Knowledge
    from agent.annotation.result import MarkerEvidence
    from agent.web.jobs import Job
    from kg.graph import KnowledgeGraph

__all__ = ["annotated", "checked", "known", "summary", "written"]


def checked(one: Dataset, body: AnnotateRequest) -> AnnotateConfig:
    """How to annotate, as asked.

    Raises
    ------
    BadInput
        When the dataset's genes are not known, or there is no such column.
    """
    from agent.annotation.annotate import AnnotateConfig

    if one.about["unread"]:
        raise BadInput(one.about["unread"])
    if body.groupby is not None:
        one.column(body.groupby)
    return AnnotateConfig(
        min_confidence=body.min_confidence,
        groupby=body.groupby,
        candidates=tuple(body.candidates),
        tissue=body.tissue,
    )


def annotated(
    one: Dataset, config: AnnotateConfig | None, job: Job | None, graph: str | None
) -> dict[str, int]:
    """Annotate a dataset, and keep what was found with it."""
    from agent.annotation.annotate import annotate_cells
    from agent.lookup import open_graph

    def tell(done: int, total: int) -> None:
        if job is not None:
            job.tell(done, total, "annotating cells")

    found = annotate_cells(
        one.cells, config, known=known(open_graph(graph)), progress=tell if job else None
    )
    if job is not None:
        job.tell(job.done, job.total, "keeping the answers")
    found = replace(found, about=replace(found.about, source=one.name))
    _keep_embedding(one, found.embedding)
    (one.folder / "annotated.h5ad").unlink(missing_ok=True)
    # What is written to the file alone would be the largest part in memory.
    one.annotation = replace(found, embedding=np.zeros((0, 0), dtype=np.float32))
    return {"n_cells": found.n_cells, "abstained": found.abstained}


def known(graph: KnowledgeGraph) -> Knowledge:
    """What annotation knows beforehand, read once a process."""
    from agent.annotation.annotate import knowledge

    # Graphs are kept by identity; the protocol does not say that they can be.
    return cast("Callable[[object], Knowledge]", knowledge)(graph)


def _keep_embedding(
    one: Dataset, values: np.ndarray[tuple[int, ...], np.dtype[np.float32]]
) -> None:
    values.astype("<f4").tofile(one.folder / "embedding.f32")


def written(one: Dataset) -> Path:
    """The annotated copy, written when first wanted."""
    from data.h5ad import write_annotated

    found = one.annotation
    if found is None:
        raise BadInput(f"{one.name} is not annotated yet; run the annotation first")
    target = one.folder / "annotated.h5ad"
    with one.lock:
        if not target.is_file():
            embedding = np.fromfile(one.folder / "embedding.f32", dtype="<f4")
            extra = {"X_celloquy": embedding.reshape(one.n_cells, -1)}
            if not one.about["picture"].startswith("ob") and one.placed:
                extra["X_umap"] = one.xy
            write_annotated(
                one.source, target, obs=found.columns(), obsm=extra, uns={"celloquy": found.uns()}
            )
    return target


def summary(one: Dataset) -> SummaryDocument:
    """What was found, term by term."""
    found = one.annotation
    if found is None:
        raise BadInput(f"{one.name} is not annotated yet; run the annotation first")
    return SummaryDocument(
        n_cells=found.n_cells,
        abstained=found.abstained,
        terms=[
            TermAnswer(
                id=term.id,
                label=term.label,
                n_cells=term.n_cells,
                share=term.share,
                confidence=term.confidence,
                depth=term.depth,
                supporting=_markers(term.supporting),
                against=_markers(term.against),
            )
            for term in found.summaries
        ],
        notices=list(found.about.notices),
        releases=dict(found.about.releases),
        n_genes_used=found.about.n_genes_used,
        seconds=round(found.about.seconds, 2),
    )


def _markers(rows: Sequence[MarkerEvidence]) -> list[MarkerDocument]:
    return [
        MarkerDocument(
            gene=row.gene,
            role=row.role,
            inside=row.inside,
            outside=row.outside,
            sources=list(row.sources),
        )
        for row in rows
    ]
