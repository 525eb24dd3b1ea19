"""Routes about the cells of a dataset: where they lie, their colours, selections, annotation."""

from __future__ import annotations

import base64
import secrets
from typing import Annotated, Literal

import numpy as np
from fastapi import APIRouter, Query
from fastapi.responses import FileResponse, Response
from numpy.typing import NDArray

from agent.web import annotating, worker
from agent.web.datasets import ANSWERS, Colouring, Dataset, Selection
from agent.web.jobs import Job
from agent.web.models import (
    AnnotateRequest,
    ColourDocument,
    CountDocument,
    JobDocument,
    LayoutRequest,
    SelectionDocument,
    SelectionRequest,
    SummaryDocument,
)
from agent.web.serving import Limits, Visitor, Workers
from agent.web.sessions import Session
from data.errors import BadFile, BadInput

__all__ = ["router"]

router = APIRouter(tags=["cells"])

_SHOWN_GROUPS = 8

# --- the picture ---------------------------------------------------------------------------------


@router.get("/datasets/{id}/points", response_class=Response)
def points(session: Visitor, id: str) -> Response:
    """Coordinates of the drawn cells: float32 pairs, little-endian, in the order of drawing."""
    one = session.dataset(id)
    body = np.ascontiguousarray(one.xy[one.drawn], dtype="<f4").tobytes()
    return Response(body, media_type="application/octet-stream")


@router.get("/datasets/{id}/colour")
def colour(
    session: Visitor,
    id: str,
    by: Literal["answer", "depth", "confidence", "column", "gene"],
    name: Annotated[str, Query(max_length=200)] = "",
) -> ColourDocument:
    """What colours the drawn cells: a column, the expression of a gene, or the annotation."""
    one = session.dataset(id)
    found = one.answers(by) if by in ANSWERS else getattr(one, by)(name)
    values = found.values[one.drawn]
    finite = values[np.isfinite(values)] if found.kind == "numbers" else values[:0]
    return ColourDocument(
        kind=found.kind,
        title=found.title,
        names=list(found.names),
        ids=list(found.ids),
        total=list(found.total),
        least=float(finite.min()) if len(finite) else None,
        most=float(finite.max()) if len(finite) else None,
        data=_base64(values),
    )


@router.get("/datasets/{id}/genes")
def genes(
    session: Visitor, id: str, q: Annotated[str, Query(min_length=1, max_length=60)]
) -> list[str]:
    """Genes of a dataset whose names begin with a text, the shortest first."""
    start = q.casefold()
    found = [g for g in session.dataset(id).about["genes"] if g.casefold().startswith(start)]
    return sorted(found, key=lambda gene: (len(gene), gene))[:20]


@router.post("/layout", status_code=202)
def layout(session: Visitor, limits: Limits, jobs: Workers, body: LayoutRequest) -> JobDocument:
    """Compute coordinates for a dataset that has none."""
    one = session.dataset(body.dataset)

    def work(job: Job) -> None:
        _laid_out(one, limits.worker_bytes, job)
        one.about["picture"] = "UMAP, computed here"

    return told(jobs.start(session.add_job(Job("layout", one.id)), work))


def _laid_out(one: Dataset, most_bytes: int, job: Job) -> None:
    try:
        worker.run("layout", one.source, one.folder, most_bytes, job.tell, stopping=job.stopping)
    except BadFile:
        job.tell(job.done, job.total)  # where it was stopped, that is why
        raise


# --- selections ----------------------------------------------------------------------------------


@router.get("/selections")
def selections(
    session: Visitor, dataset: Annotated[str, Query(max_length=64)]
) -> list[SelectionDocument]:
    """The selections of a dataset."""
    one = session.dataset(dataset)
    return [_said(s, one) for s in session.selections.values() if s.dataset == one.id]


@router.post("/selections", status_code=201)
def select(session: Visitor, limits: Limits, body: SelectionRequest) -> SelectionDocument:
    """Select cells; a polygon is held against all cells, drawn or not."""
    one = session.dataset(body.dataset)
    mask, how = _chosen(session, one, body)
    n = int(mask.sum())
    if not n:
        raise BadInput("no cell is selected; draw around some, or choose a group")
    while len(session.selections) >= limits.most_selections:
        session.selections.pop(next(iter(session.selections)))
    name = _unused(body.name or how, session, one)
    made = Selection(
        id=secrets.token_urlsafe(9),
        name=name,
        dataset=one.id,
        how=how,
        n_cells=n,
        packed=np.packbits(mask),
        text=_text(body, name),
    )
    session.selections[made.id] = made
    return _said(made, one)


@router.delete("/selections/{id}", status_code=204)
def unselect(session: Visitor, id: str) -> None:
    """Forget a selection."""
    session.selections.pop(session.selection(id).id, None)


def _chosen(
    session: Session, one: Dataset, body: SelectionRequest
) -> tuple[NDArray[np.bool_], str]:
    given = [
        name
        for name in ("polygon", "cells", "column", "answer", "combine")
        if getattr(body, name) is not None
    ]
    if len(given) != 1:
        raise BadInput(
            f"a selection was given {', '.join(given) or 'nothing'}; expected exactly one of "
            "polygon, cells, column with value, answer, combine with a and b"
        )
    if body.polygon is not None:
        return one.plane.inside(body.polygon), "drawn"
    if body.cells is not None:
        mask = np.zeros(one.n_cells, dtype=bool)
        if max(body.cells, default=0) >= one.n_cells:
            raise BadInput(f"cell {max(body.cells)} is not there; {one.name} has {one.n_cells:,}")
        mask[body.cells] = True
        return mask, "listed"
    if body.column is not None:
        return _group(one.column(body.column), body.value or ""), f"{body.column} = {body.value}"
    if body.answer is not None:
        return _group(one.answers("answer"), body.answer), body.answer
    return _combined(session, one, body)


def _unused(name: str, session: Session, one: Dataset) -> str:
    """The name, or with a number where another selection of the dataset is called so."""
    taken = {s.name for s in session.selections.values() if s.dataset == one.id}
    tries = (name if i == 1 else f"{name} ({i})" for i in range(1, len(taken) + 2))
    return next(one for one in tries if one not in taken)


def _text(body: SelectionRequest, name: str) -> str:
    """How answers write a selection: by a column of the table of cells where it is one."""
    if body.column is not None:
        return f"{body.column}={body.value or ''}"
    if body.answer is not None:
        return f"celloquy_cell_type={body.answer}"
    return f"selection={' '.join(name.split())}"


def _group(found: Colouring, name: str) -> NDArray[np.bool_]:
    if found.kind != "groups" or name not in found.names:
        some = ", ".join(found.names[:8]) or "none"
        raise BadInput(f"{found.title} has no group {name!r}; it has: {some}")
    return np.asarray(found.values == found.names.index(name))


def _combined(
    session: Session, one: Dataset, body: SelectionRequest
) -> tuple[NDArray[np.bool_], str]:
    if body.a is None or body.b is None:
        raise BadInput("two selections are combined; expected a and b")
    a, b = session.selection(body.a), session.selection(body.b)
    if {a.dataset, b.dataset} != {one.id}:
        raise BadInput("the selections are of different datasets; expected two of one")
    left, right = a.mask(one.n_cells), b.mask(one.n_cells)
    if body.combine == "both":
        return left & right, f"{a.name} and {b.name}"
    if body.combine == "either":
        return left | right, f"{a.name} or {b.name}"
    return left & ~right, f"{a.name} without {b.name}"


def _said(one: Selection, dataset: Dataset) -> SelectionDocument:
    mask = one.mask(dataset.n_cells)
    groups = dataset.answers("answer") if dataset.annotation is not None else dataset.grouping()
    rows: list[CountDocument] = []
    if groups is not None:
        counts = np.bincount(groups.values[mask], minlength=len(groups.names))
        best = np.argsort(-counts, kind="stable")[:_SHOWN_GROUPS]
        rows = [
            CountDocument(name=groups.names[i], n_cells=int(counts[i])) for i in best if counts[i]
        ]
    return SelectionDocument(
        id=one.id,
        name=one.name,
        dataset=dataset.id,
        how=one.how,
        n_cells=one.n_cells,
        share=one.n_cells / dataset.n_cells,
        groups_of=groups.title if groups is not None else "",
        groups=rows,
        drawn=_base64(np.packbits(mask[dataset.drawn])) if dataset.placed else "",
    )


# --- annotation and jobs -------------------------------------------------------------------------


@router.post("/annotate", status_code=202)
def annotate(session: Visitor, jobs: Workers, body: AnnotateRequest) -> JobDocument:
    """Name the cell type of every cell: a job; ask for its progress at its address."""
    one = session.dataset(body.dataset)
    config = annotating.checked(one, body)

    def work(job: Job) -> dict[str, int]:
        return annotating.annotated(one, config, job, session.graph)

    return told(jobs.start(session.add_job(Job("annotate", one.id)), work))


@router.get("/jobs/{id}")
def job(session: Visitor, id: str) -> JobDocument:
    """The progress of a job."""
    return told(session.job(id))


@router.delete("/jobs/{id}")
def cancel(session: Visitor, id: str) -> JobDocument:
    """Ask a job to stop."""
    session.job(id).cancel()
    return told(session.job(id))


@router.get("/datasets/{id}/summary")
def summary(session: Visitor, id: str) -> SummaryDocument:
    """What the annotation found, with the markers for and against each term."""
    return annotating.summary(session.dataset(id))


@router.get("/datasets/{id}/annotated", response_class=FileResponse)
def download(session: Visitor, id: str) -> FileResponse:
    """The dataset as an .h5ad with the annotation in it."""
    one = session.dataset(id)
    return FileResponse(
        annotating.written(one),
        media_type="application/x-hdf5",
        filename=f"{one.name.removesuffix('.h5ad')}.celloquy.h5ad",
    )


def told(one: Job) -> JobDocument:
    """A job as the API gives it."""
    return JobDocument(
        id=one.id,
        kind=one.kind,
        dataset=one.dataset,
        state=one.state,
        stage=one.stage,
        done=one.done,
        total=one.total,
        error=one.error,
        result=one.result if isinstance(one.result, dict) else None,
    )


def _base64(values: NDArray[np.generic]) -> str:
    return base64.b64encode(np.ascontiguousarray(values).tobytes()).decode()
