"""Routes that bring datasets in: streamed to disk under a cap, looked at by a worker first."""

from __future__ import annotations

import secrets
import shutil
from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query, Request
from fastapi.concurrency import run_in_threadpool

from agent.web import worker
from agent.web.config import ServeConfig
from agent.web.datasets import Dataset
from agent.web.models import ColumnDocument, DatasetDocument
from agent.web.serving import Limits, Visitor
from agent.web.sessions import Session, check_room
from data.errors import BadFile

__all__ = ["document", "receive", "router", "shown"]

router = APIRouter(tags=["datasets"])

RAW_BODY = {
    "requestBody": {
        "required": True,
        "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
    }
}
"""What OpenAPI says of a file that is the body of its request."""

LOOK_SECONDS = 900.0
"""How long the worker may look at a file; a million cells take well under a minute."""

_LETTERS = 120  # of a file's name that are shown


@router.get("/datasets")
def datasets(session: Visitor) -> list[DatasetDocument]:
    """The session's datasets."""
    return [document(one, session) for one in list(session.datasets.values())]


@router.get("/datasets/{id}")
def dataset(session: Visitor, id: str) -> DatasetDocument:
    """One of them."""
    return document(session.dataset(id), session)


@router.delete("/datasets/{id}", status_code=204)
def remove(session: Visitor, id: str) -> None:
    """Remove a dataset, its selections and its files."""
    session.remove(session.dataset(id))


@router.post(
    "/datasets",
    status_code=201,
    openapi_extra=RAW_BODY,
)
async def upload(
    request: Request,
    session: Visitor,
    limits: Limits,
    name: Annotated[str, Query(max_length=300)] = "cells.h5ad",
) -> DatasetDocument:
    """Take an .h5ad as the body of the request.

    It is written to disk as it arrives; 413 as soon as it is too large, 422 with the reason where
    the guard refuses it.
    """
    check_room(session, limits)
    folder = session.folder / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        await receive(request, folder / "cells.h5ad", limits, limits.upload_bytes)
        made = await run_in_threadpool(_prepared, shown(name), folder, limits)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    session.datasets[made.id] = made
    return document(made, session)


@router.post("/datasets/demo", status_code=201)
def demo(session: Visitor, limits: Limits) -> DatasetDocument:
    """Load the demonstration: 700 blood cells, sorted with antibodies before sequencing."""
    from agent.evaluation.demo import ASSET
    from agent.web.preparing import prepare
    from data import sources

    check_room(session, limits)
    source = sources.path(ASSET)
    folder = session.folder / secrets.token_hex(8)
    folder.mkdir(parents=True)
    try:
        prepare(source, folder)  # in this process: the file's hash is pinned
        made = Dataset(secrets.token_urlsafe(9), "PBMC68k (demo)", folder, source, limits.drawn)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    session.datasets[made.id] = made
    return document(made, session)


async def receive(request: Request, target: Path, limits: ServeConfig, largest: int) -> None:
    """Write the body to a file, and stop where it is more than is taken.

    Raises
    ------
    HTTPException
        413, when it has more than ``largest`` bytes or the disk has no room for it.
    """
    room = max(0, shutil.disk_usage(target.parent).free - limits.spare_bytes)
    most = min(largest, room)
    said = request.headers.get("content-length", "")
    if said.isdecimal() and int(said) > most:
        raise _too_large(int(said), most, most == largest)
    written = 0
    with target.open("xb") as file:
        async for chunk in request.stream():
            written += len(chunk)
            if written > most:
                raise _too_large(written, most, most == largest)
            await run_in_threadpool(file.write, chunk)


def _too_large(size: int, most: int, ruled: bool) -> HTTPException:
    why = "the server takes" if ruled else "its disk has room for"
    return HTTPException(
        413,
        f"the file has {size / 1e6:,.0f} MB or more; {why} at most {most / 1e6:,.0f} MB",
        {"connection": "close"},
    )


def _prepared(name: str, folder: Path, limits: ServeConfig) -> Dataset:
    source = folder / "cells.h5ad"
    try:
        worker.run("prepare", source, folder, limits.worker_bytes, seconds=LOOK_SECONDS)
    except BadFile as error:
        raise BadFile(str(error).replace(str(source), name)) from None
    return Dataset(secrets.token_urlsafe(9), name, folder, source, limits.drawn)


def shown(name: str, otherwise: str = "cells.h5ad") -> str:
    """A file's name as it is shown: no folders, nothing that cannot be printed."""
    last = name.replace("\\", "/").rpartition("/")[2]
    clean = "".join(c if c.isprintable() else " " for c in last).strip()
    return clean[:_LETTERS].encode("utf-8", "replace").decode() or otherwise


def document(one: Dataset, session: Session) -> DatasetDocument:
    """A dataset as the API gives it."""
    about = one.about
    running = [j.id for j in session.jobs.values() if j.dataset == one.id and not j.ended.is_set()]
    return DatasetDocument(
        id=one.id,
        name=one.name,
        n_cells=one.n_cells,
        n_genes=about["n_genes"],
        matrix=about["matrix"],
        species=about["species"],
        picture=about["picture"],
        placed=one.placed,
        drawn=len(one.drawn) if one.placed else 0,
        columns=[
            ColumnDocument(name=c["name"], kind=c["kind"], groups=len(c["names"]))
            for c in about["columns"]
        ],
        annotated=one.annotation is not None,
        notices=about["notices"],
        unread=about["unread"],
        jobs=running,
    )
