"""The web application: routes put together, errors turned into one line, files of the page.

Made by :func:`create_app`; run by ``celloquy serve`` (:mod:`agent.cli.serve`). What the routes do
is in the modules beside this one. No request leaves the machine, and documentation of the API is
served as OpenAPI alone: the usual viewers are loaded from elsewhere.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.staticfiles import StaticFiles
from starlette.exceptions import HTTPException

from agent.web import cellroutes, conversing, images, lookups, uploads
from agent.web.config import ServeConfig
from agent.web.door import Door
from agent.web.jobs import Jobs
from agent.web.models import ErrorDocument
from agent.web.sessions import NotThere, Sessions
from data.errors import BadInput, CelloquyError, Missing

__all__ = ["STATIC", "create_app", "warm_up"]

STATIC = Path(__file__).parent / "static"

_REFUSALS: dict[int | str, dict[str, Any]] = {
    code: {"model": ErrorDocument} for code in (400, 401, 403, 404, 411, 413, 421, 422, 503)
}


def create_app(config: ServeConfig | None = None) -> Door:
    """The application with its sessions.

    Parameters
    ----------
    config
        Limits; those of a server on this machine alone where not given.
    """
    config = config or ServeConfig()
    sessions = Sessions(config)

    @asynccontextmanager
    async def life(app: FastAPI) -> AsyncIterator[None]:
        yield
        app.state.jobs.close()
        sessions.close()

    app = FastAPI(
        title="Celloquy",
        description="Questions about cells, answered with checked evidence.",
        version=version("celloquy"),
        openapi_url="/api/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=life,
        responses=_REFUSALS,
    )
    app.state.config, app.state.sessions, app.state.jobs = config, sessions, Jobs()
    for routes in (lookups, uploads, images, cellroutes, conversing):
        app.include_router(routes.router, prefix="/api")
    app.add_exception_handler(RequestValidationError, _unfit)
    app.add_exception_handler(HTTPException, _plain)
    app.add_exception_handler(CelloquyError, _refused)
    app.mount("/", StaticFiles(directory=STATIC, html=True), name="page")
    return Door(app, config, sessions)


def _answer(status: int, text: str) -> JSONResponse:
    # A lone half of a character would not be text; nothing the user sent may break the answer.
    clean = text.encode("utf-8", "replace").decode()
    return JSONResponse({"error": clean}, status_code=status)


async def _refused(request: Request, error: Exception) -> JSONResponse:
    """One of Celloquy's own errors."""
    if isinstance(error, NotThere):
        return _answer(404, str(error))
    if isinstance(error, Missing):
        return _answer(503, str(error))
    return _answer(422 if isinstance(error, BadInput) else 500, str(error))


async def _unfit(request: Request, error: Exception) -> JSONResponse:
    """A request of the wrong form."""
    assert isinstance(error, RequestValidationError)
    said = []
    for one in error.errors()[:3]:
        where = ".".join(str(part) for part in one["loc"][1:]) or "the request"
        said.append(f"{where}: {one['msg']}")
    return _answer(422, "; ".join(said)[:600])


async def _plain(request: Request, error: Exception) -> JSONResponse:
    """What the framework itself refuses: no such address, no such method."""
    assert isinstance(error, HTTPException)
    answer = _answer(error.status_code, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def warm_up(config: ServeConfig) -> None:
    """Load what the first question and the first dataset would wait for; meant for a thread.

    Whatever is lacking is said when it is needed, to the one who needs it.
    """
    from contextlib import suppress

    with suppress(CelloquyError, OSError):
        import data.h5ad  # noqa: F401 - its import takes seconds
        from agent.lookup import open_graph
        from agent.qa import Agent
        from agent.web.annotating import known

        graph = open_graph(config.graph)
        Agent(graph).ask("What is a T cell?")
        known(graph)
