"""The whole API under requests made up from its own description: nothing may break the server.

Ids that exist are put in for most of the made-up ones, so that what lies behind them is met too.
"""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, settings

schemathesis = pytest.importorskip("schemathesis")

from starlette.testclient import TestClient  # noqa: E402

from agent.web.app import create_app  # noqa: E402
from agent.web.config import ServeConfig  # noqa: E402
from agent.web.door import COOKIE  # noqa: E402
from tests.agent.web.conftest import opened, small  # noqa: E402

pytestmark = [
    pytest.mark.web,
    pytest.mark.assets,
    # Of schemathesis and its parts, not of ours.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
]

EXAMPLES = 120  # of each of the operations
LEAST = 2_000
SLOW = ("/api/layout", "/api/datasets/demo")  # seconds of work for each that is understood

app = create_app(ServeConfig(upload_bytes=1_000_000, spare_bytes=0, most_datasets=3))


async def lasting(scope: Any, receive: Any, send: Any) -> None:
    """The application without its end: every request would otherwise be the last one."""
    if scope["type"] != "lifespan":
        await app(scope, receive, send)
        return
    ended = False
    while not ended:
        message = await receive()
        ended = message["type"] == "lifespan.shutdown"
        await send({"type": f"{message['type']}.complete"})


HOST = {"Host": "127.0.0.1"}
schema = schemathesis.openapi.from_asgi("/api/openapi.json", lasting, headers=HOST)
met: Counter[int] = Counter()
turns = itertools.count()


@pytest.fixture(scope="module")
def state() -> dict[str, str]:
    """A session with a dataset, a selection and a job that has ended."""
    client = TestClient(app, base_url="http://localhost")
    folder = Path(tempfile.mkdtemp(dir=app.sessions.folder))
    dataset = opened(app, client, small(folder / "small.h5ad"), folder)
    made = client.post("/api/selections", json={"dataset": dataset, "cells": [1, 2, 3]}).json()
    job = client.post("/api/annotate", json={"dataset": dataset}).json()
    return {
        "cookie": client.cookies[COOKIE],
        "dataset": dataset,
        "selection": made["id"],
        "job": job.get("id", "none"),
    }


def known(case: Any, state: dict[str, str]) -> None:
    """Put ids that exist in the place of made-up ones, three times in four."""
    if next(turns) % 4 == 0 or case.path in SLOW:
        return
    owner = next(
        (what for what in ("dataset", "selection", "job") if f"/{what}s/" in case.path), ""
    )
    if owner and case.path_parameters and case.method != "DELETE":
        case.path_parameters["id"] = state[owner]
    if isinstance(case.body, dict):
        if "dataset" in case.body:
            case.body["dataset"] = state["dataset"]
        for name in ("selection", "other", "a", "b"):
            if name in case.body:
                case.body[name] = state["selection"]
    if isinstance(case.query, dict) and "dataset" in case.query:
        case.query["dataset"] = state["dataset"]


@schema.parametrize()
@settings(
    max_examples=EXAMPLES, deadline=None, database=None, phases=[Phase.generate],
    suppress_health_check=list(HealthCheck), derandomize=True,
)  # fmt: skip
@pytest.mark.timeout(1200)
def test_no_request_breaks_the_server(case: Any, state: dict[str, str]) -> None:
    known(case, state)
    response = case.call(cookies={COOKIE: state["cookie"]}, headers=HOST)
    met[response.status_code] += 1
    assert response.status_code < 500, response.text
    if response.status_code >= 400:
        error = response.json()["error"]
        assert "\n" not in error
        assert "Traceback" not in error
        assert str(app.sessions.folder) not in error


@pytest.fixture(scope="module", autouse=True)
def count() -> Iterator[None]:
    yield
    app.sessions.close()
    print(f"\n{met.total():,} requests: {dict(sorted(met.items()))}")


def test_there_were_enough(state: dict[str, str]) -> None:
    assert met.total() >= LEAST
    assert met[200] + met[201] + met[202] + met[204] > LEAST / 10  # not all were refused
    client = TestClient(app, base_url="http://localhost")
    assert client.get("/api/health").json()["status"] == "ok"
