"""Routes of the conversation: a question answered as a stream, and the whole to take away."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Literal

from fastapi import APIRouter, Query
from fastapi.responses import Response, StreamingResponse

from agent.kinds.predictions import which_gene
from agent.web.asking import Tell, stream, watched
from agent.web.models import AskRequest
from agent.web.serving import Limits, Visitor
from agent.web.sessions import Session
from data.errors import BadInput

if TYPE_CHECKING:
    from agent.answer import Answer
    from agent.web.attaching import PageCells

__all__ = ["router"]

router = APIRouter(tags=["conversation"])

_KEPT = 200  # turns that are remembered, and that an export holds


@router.post(
    "/ask",
    response_class=StreamingResponse,
    responses={200: {"content": {"text/event-stream": {"schema": {"type": "string"}}}}},
)
async def ask(session: Visitor, limits: Limits, body: AskRequest) -> StreamingResponse:
    """Answer a question as Server-Sent Events.

    Events named ``stage`` tell routing, evidence, writing, verifying and answer; ``answer`` has
    the document of ``celloquy ask --json``; ``error`` says in one line why there is none.
    """
    if body.dataset is not None:
        session.dataset(body.dataset)
    for one in (body.selection, body.other):
        if one is not None:
            session.selection(one)
    if body.image is not None:
        session.image(body.image)

    def work(tell: Tell) -> Answer:
        return _answered(session, body, tell)

    return StreamingResponse(stream(work), media_type="text/event-stream")


def _answered(session: Session, body: AskRequest, tell: Tell) -> Answer:
    tell("routing", "")
    with session.asking:  # one question at a time: each may lean on the one before
        conversation = session.conversation
        conversation.cells = _cells(session, body, tell)
        conversation.image = session.image(body.image).file if body.image is not None else None
        answer = watched(lambda: conversation.say(body.question), tell)
        del conversation.answers[:-_KEPT]
        del conversation.memory.turns[:-_KEPT]
    return answer


def _cells(session: Session, body: AskRequest, tell: Tell) -> PageCells | None:
    """The cells that the question is about, where there are any."""
    if body.dataset is None:
        return None
    if body.image is not None and body.selection is None and which_gene(body.question):
        return None  # "here" is the image; cells are read beside it where some are selected
    dataset = session.dataset(body.dataset)
    if dataset.about["unread"]:
        return None  # its genes are not known: nothing can be said of its cells
    from agent.web.attaching import attached

    one, other = (session.selection(s) if s else None for s in (body.selection, body.other))
    for selection in (one, other):
        if selection is not None and selection.dataset != dataset.id:
            raise BadInput(f"{selection.name} is a selection of another dataset; select anew")
    return attached(session, dataset, one, other, tell)


@router.get("/conversation")
def conversation(
    session: Visitor, form: Annotated[Literal["md", "json"], Query(alias="format")] = "md"
) -> Response:
    """The conversation, for readers or for programs."""
    from agent.conversation.chat import as_json, as_markdown

    answers = session.conversation.answers if "conversation" in session.__dict__ else []
    text = as_markdown(answers) if form == "md" else as_json(answers)
    kind = "text/markdown" if form == "md" else "application/json"
    named = f'attachment; filename="celloquy-conversation.{form}"'
    return Response(text, media_type=kind, headers={"content-disposition": named})


@router.delete("/conversation", status_code=204)
def forget(session: Visitor) -> None:
    """Begin anew."""
    with session.asking:
        session.forget()
