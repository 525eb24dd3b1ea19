"""What every route is given: the session of the visitor, the server's limits, its jobs."""

from __future__ import annotations

from typing import Annotated

from fastapi import Depends, Request

from agent.web.config import ServeConfig
from agent.web.jobs import Jobs
from agent.web.sessions import Session

__all__ = ["Limits", "Visitor", "Workers"]


def _session(request: Request) -> Session:
    session: Session = request.scope["state"]["session"]
    return session


def _config(request: Request) -> ServeConfig:
    config: ServeConfig = request.app.state.config
    return config


def _jobs(request: Request) -> Jobs:
    jobs: Jobs = request.app.state.jobs
    return jobs


Visitor = Annotated[Session, Depends(_session)]
Limits = Annotated[ServeConfig, Depends(_config)]
Workers = Annotated[Jobs, Depends(_jobs)]
