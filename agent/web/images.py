"""Routes about images of cells: taken, looked at by a worker first, shown small, removed."""

from __future__ import annotations

import json
import secrets
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import FileResponse

from agent.web import worker
from agent.web.config import ServeConfig
from agent.web.models import ImageDocument
from agent.web.picturing import ABOUT, PREVIEW, VALUES
from agent.web.serving import Limits, Visitor
from agent.web.sessions import Session
from agent.web.uploads import RAW_BODY, receive, shown
from data.errors import BadFile, BadInput

__all__ = ["Image", "router"]

router = APIRouter(tags=["images"])

ENDINGS = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".npy", ".npz")
"""Of files that are taken; those of :mod:`encoders.image.pictures`, which a test compares."""

LOOK_SECONDS = 120.0
"""How long the worker may look at a file; the largest take a few seconds."""

WORKER_BYTES = 2 << 30
"""Address space of the worker: the largest image, unpacked several times."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image of a session; ``file`` holds its values as the worker wrote them."""

    id: str
    name: str
    folder: Path
    about: dict[str, Any]

    @property
    def file(self) -> Path:
        """What models read."""
        return self.folder / VALUES


@router.get("/images")
def images(session: Visitor) -> list[ImageDocument]:
    """The session's images."""
    return [_document(one) for one in list(session.images.values())]


@router.post(
    "/images",
    status_code=201,
    openapi_extra=RAW_BODY,
)
async def attach(
    request: Request,
    session: Visitor,
    limits: Limits,
    name: Annotated[str, Query(max_length=300)],
) -> ImageDocument:
    """Take an image as the body of the request; its name says by its ending what it is.

    413 as soon as it is too large, 422 with the reason where it cannot be read.
    """
    named = shown(name, "image")
    ending = Path(named).suffix.lower()
    if ending not in ENDINGS:
        raise BadFile(f"{named} is no image that is taken; expected one of {' '.join(ENDINGS)}")
    if len(session.images) >= limits.most_images:
        raise BadInput(f"this session has {len(session.images)} images already; remove one first")
    folder = session.folder / secrets.token_hex(8)
    folder.mkdir(parents=True)
    source = folder / f"image{ending}"
    try:
        largest = min(limits.image_bytes, limits.upload_bytes)
        await receive(request, source, limits, largest)
        made = await run_in_threadpool(_prepared, named, source, limits)
    except BaseException:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    session.images[made.id] = made
    return _document(made)


@router.get("/images/{id}/preview", response_class=FileResponse)
def preview(session: Visitor, id: str) -> FileResponse:
    """The image, small: its first picture, its first three channels in red, green and blue."""
    return FileResponse(session.image(id).folder / PREVIEW, media_type="image/png")


@router.delete("/images/{id}", status_code=204)
def remove(session: Visitor, id: str) -> None:
    """Remove an image and its files."""
    _forget(session, session.image(id))


def _forget(session: Session, image: Image) -> None:
    session.images.pop(image.id, None)
    shutil.rmtree(image.folder, ignore_errors=True)


def _prepared(name: str, source: Path, limits: ServeConfig) -> Image:
    try:
        worker.run(
            "picture", source, source.parent, min(WORKER_BYTES, limits.worker_bytes),
            seconds=LOOK_SECONDS, more=[str(limits.image_values)],
        )  # fmt: skip
    except BadFile as error:
        raise BadFile(str(error).replace(str(source), name)) from None
    source.unlink()
    about = json.loads((source.parent / ABOUT).read_text(encoding="utf-8"))
    return Image(secrets.token_urlsafe(9), name, source.parent, about)


def _document(one: Image) -> ImageDocument:
    return ImageDocument(id=one.id, name=one.name, **one.about)
