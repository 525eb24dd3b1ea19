"""Files that come in: caps, names, what is refused and how, and that sessions do not share them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import h5py
import pytest
from starlette.testclient import TestClient

from agent.web.app import create_app
from agent.web.config import ServeConfig
from agent.web.door import Door
from agent.web.uploads import shown as shown_name
from tests.agent.smallscreen import screen
from tests.agent.web.conftest import EVIL, HERE, events, opened

SECRET = "the canary sings"


def put(client: TestClient, path: Path, name: str = "small.h5ad"):
    return client.post("/api/datasets", params={"name": name}, content=path.read_bytes())


def test_a_file_is_described(client: TestClient, small_file: Path) -> None:
    answer = put(client, small_file, f"/tmp/../{EVIL}.h5ad")
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["n_cells"], found["n_genes"], found["placed"], found["drawn"]) == (
        40,
        11,
        True,
        40,
    )
    assert found["name"] == f"{EVIL}.h5ad"  # shown as text; the page makes no markup of it
    assert {c["name"]: c["kind"] for c in found["columns"]} == {
        "leiden": "groups",
        "label": "groups",
        "score": "numbers",
    }
    assert client.get("/api/datasets").json() == [found]
    assert client.delete(f"/api/datasets/{found['id']}").status_code == 204
    assert client.get("/api/datasets").json() == []


def test_sessions_do_not_see_each_other(
    app: Door, visitor: Callable[[], TestClient], small_file: Path, tmp_path: Path
) -> None:
    one, other = visitor(), visitor()
    dataset = opened(app, one, small_file, tmp_path)
    made = one.post("/api/selections", json={"dataset": dataset, "cells": [1, 2]}).json()["id"]
    assert other.get("/api/datasets").json() == []
    for method, path in (
        ("GET", f"/api/datasets/{dataset}"),
        ("DELETE", f"/api/datasets/{dataset}"),
        ("GET", f"/api/datasets/{dataset}/points"),
        ("GET", f"/api/datasets/{dataset}/annotated"),
        ("DELETE", f"/api/selections/{made}"),
    ):
        assert other.request(method, path).status_code == 404
    for body in ({"dataset": dataset}, {"dataset": dataset, "selection": made}):
        assert (
            other.post("/api/ask", json={"question": "What are these?", **body}).status_code == 404
        )
    assert one.get(f"/api/datasets/{dataset}").status_code == 200


def files_of(app: Door) -> list[Path]:
    return [path for path in app.sessions.folder.rglob("*") if path.is_file()]


def test_too_large_by_its_own_word(app: Door, client: TestClient) -> None:
    answer = client.post("/api/datasets", content=bytes(2_000_001))
    assert answer.status_code == 413
    assert "at most 2 MB" in answer.json()["error"]
    assert files_of(app) == []


def test_too_large_without_a_word(app: Door, client: TestClient) -> None:
    most = []

    def endless() -> Iterator[bytes]:
        for _ in range(100):
            yield bytes(100_000)
            most.append(sum(path.stat().st_size for path in files_of(app)))

    answer = client.post("/api/datasets", content=endless())
    assert answer.status_code == 413
    assert max(most, default=0) <= 2_100_000
    assert files_of(app) == []


def test_a_disk_without_room(small_file: Path) -> None:
    door = create_app(ServeConfig(spare_bytes=1 << 60))
    with TestClient(door):
        answer = put(TestClient(door, base_url=HERE), small_file)
        assert answer.status_code == 413
        assert "its disk has room for at most 0 MB" in answer.json()["error"]


def test_only_so_many_datasets(small_file: Path, tmp_path: Path) -> None:
    door = create_app(ServeConfig(most_datasets=1))
    with TestClient(door):
        client = TestClient(door, base_url=HERE)
        opened(door, client, small_file, tmp_path)
        answer = put(client, small_file)
        assert answer.status_code == 422
        assert "remove one first" in answer.json()["error"]


def test_no_dataset_says_so_under_its_own_name(app: Door, client: TestClient) -> None:
    answer = client.post("/api/datasets?name=notes.txt", content=b"hello, cells")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error.startswith("notes.txt is a text file")
    assert str(app.sessions.folder) not in error
    assert files_of(app) == []


def test_what_reaches_outside_is_refused_unopened(
    client: TestClient, small_file: Path, tmp_path: Path
) -> None:
    """The canary is a pipe: whoever opened it to read would wait for ever."""
    canary = tmp_path / "canary"
    os.mkfifo(canary)
    copy = tmp_path / "copy.h5ad"
    copy.write_bytes(small_file.read_bytes())
    with h5py.File(copy, "r+") as file:
        del file["obs/score"]
        file["obs"].create_dataset("score", (40,), "f8", external=[(str(canary), 0, 320)])
    answer = put(client, copy)
    assert answer.status_code == 422
    assert "another file" in answer.json()["error"]
    assert client.get("/api/datasets").status_code == 200


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        ("../../etc/passwd", "passwd"),
        ("C:\\data\\cells.h5ad", "cells.h5ad"),
        ("a\nb\x00.h5ad", "a b .h5ad"),
        ("", "cells.h5ad"),
        ("/", "cells.h5ad"),
        ("x" * 300, "x" * 120),
        ("\ud800.h5ad", " .h5ad".strip()),
    ],
)
def test_names_are_for_showing(given: str, shown: str) -> None:
    assert shown_name(given) == shown


@pytest.mark.assets
@pytest.mark.models
def test_answers_name_a_file_as_it_was_named(
    app: Door, client: TestClient, small_file: Path, tmp_path: Path
) -> None:
    """Not as it is kept; and never where."""

    def ask(dataset: str) -> str:
        body = {"question": "What happens if STAT2 is knocked out?", "dataset": dataset}
        text = client.post("/api/ask", json=body).text
        assert str(app.sessions.folder) not in text
        assert "cells.h5ad" not in text
        return str(events(text)[-1][1]["answer"])

    made = put(client, screen(tmp_path / "a.h5ad"), "my screen.h5ad").json()
    assert "over left-out genes" in (said := ask(made["id"]))
    assert "on my screen.h5ad (n = 5)" in said
    assert "in the file's own 12 cells with STAT2 perturbed" in said
    plain = put(client, small_file, "blood.h5ad").json()
    assert "blood.h5ad has no column of perturbations" in ask(plain["id"])
