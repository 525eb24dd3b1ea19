"""The cells of a dataset over the API: places, colours, selections, annotation, questions."""

from __future__ import annotations

import base64
import io
import time
from pathlib import Path
from typing import Any

import anndata
import numpy as np
import pytest
from starlette.testclient import TestClient

from agent.web.asking import STAGES
from agent.web.door import Door
from tests.agent.web.conftest import EVIL, events, opened

EVERYWHERE = [[-1e6, -1e6], [1e6, -1e6], [1e6, 1e6], [-1e6, 1e6]]


@pytest.fixture
def dataset(app: Door, client: TestClient, small_file: Path, tmp_path: Path) -> str:
    return opened(app, client, small_file, tmp_path)


def places(client: TestClient, dataset: str) -> np.ndarray:
    """The number of each drawn cell: the first coordinate of the small file."""
    raw = client.get(f"/api/datasets/{dataset}/points").content
    return np.frombuffer(raw, "<f4").reshape(-1, 2)[:, 0].astype(int)


def test_colours_are_the_files_values(client: TestClient, dataset: str, small_file: Path) -> None:
    order = places(client, dataset)
    assert sorted(order) == list(range(40))
    adata = anndata.read_h5ad(small_file)

    def colour(**query: str) -> dict[str, Any]:
        return client.get(f"/api/datasets/{dataset}/colour", params=query).json()

    score = colour(by="column", name="score")
    values = np.frombuffer(base64.b64decode(score["data"]), "<f4")
    np.testing.assert_allclose(values, adata.obs["score"].to_numpy()[order], rtol=1e-6)
    assert (score["least"], score["most"]) == (0, 1)

    label = colour(by="column", name="label")
    codes = np.frombuffer(base64.b64decode(label["data"]), "<u2")
    assert [label["names"][c] for c in codes] == adata.obs["label"].astype(str).to_numpy()[
        order
    ].tolist()
    assert dict(zip(label["names"], label["total"], strict=True)) == {EVIL: 10, "T cell": 30}

    gene = colour(by="gene", name="cd3d")
    assert gene["title"] == "CD3D"
    counts = adata.X.toarray()
    expected = np.log1p(counts / counts.sum(axis=1, keepdims=True) * 1e4)[:, 0][order]
    np.testing.assert_allclose(
        np.frombuffer(base64.b64decode(gene["data"]), "<f4"), expected, rtol=1e-5
    )


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"by": "column", "name": "nothing"}, "no column 'nothing'"),
        ({"by": "gene", "name": "nothing"}, "no gene 'nothing'"),
        ({"by": "answer"}, "not annotated yet"),
        ({"by": "shoe size"}, "by:"),
    ],
)
def test_colours_that_are_not_there(
    client: TestClient, dataset: str, query: dict[str, str], words: str
) -> None:
    answer = client.get(f"/api/datasets/{dataset}/colour", params=query)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def select(client: TestClient, dataset: str, **body: Any) -> Any:
    return client.post("/api/selections", json={"dataset": dataset, **body})


def chosen(client: TestClient, dataset: str, made: dict[str, Any]) -> set[int]:
    drawn = np.unpackbits(np.frombuffer(base64.b64decode(made["drawn"]), np.uint8), count=40)
    return set(places(client, dataset)[drawn.astype(bool)].tolist())


def test_selections_and_how_they_combine(client: TestClient, dataset: str) -> None:
    box = [[-0.5, -1], [9.5, -1], [9.5, 1], [-0.5, 1]]
    a = select(client, dataset, polygon=box, name="A").json()
    assert (a["n_cells"], a["share"]) == (10, 0.25)
    assert chosen(client, dataset, a) == set(range(10))
    b = select(client, dataset, cells=[8, 9, 10, 11], name="B").json()
    third = select(client, dataset, column="leiden", value="1").json()
    assert third["name"] == "leiden = 1"
    assert chosen(client, dataset, third) == {i for i in range(40) if i % 3 == 1}
    for how, expected in (("both", {8, 9}), ("either", set(range(12))), ("without", set(range(8)))):
        made = select(client, dataset, combine=how, a=a["id"], b=b["id"]).json()
        assert chosen(client, dataset, made) == expected
    again = select(client, dataset, cells=[0], name="A").json()
    assert again["name"] == "A (2)"
    assert len(client.get("/api/selections", params={"dataset": dataset}).json()) == 7


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "was given nothing"),
        ({"cells": [1], "column": "leiden"}, "exactly one"),
        ({"cells": [40]}, "cell 40 is not there"),
        ({"cells": []}, "no cell is selected"),
        ({"polygon": [[100, 100], [101, 100], [101, 101]]}, "no cell is selected"),
        ({"polygon": [[0, 0], [1, 1]]}, "polygon"),
        ({"column": "leiden", "value": "9"}, "no group '9'"),
        ({"column": "score", "value": "1"}, "no group"),
        ({"combine": "both"}, "expected a and b"),
        ({"answer": "T cell"}, "not annotated yet"),
        ({"cells": [1], "shoes": 2}, "shoes"),
    ],
)
def test_selections_that_cannot_be(
    client: TestClient, dataset: str, body: dict[str, Any], words: str
) -> None:
    answer = select(client, dataset, **body)
    assert answer.status_code == 422
    assert words in answer.json()["error"]


def test_a_sample_is_drawn_and_all_cells_are_counted(
    app: Door, client: TestClient, small_file: Path, tmp_path: Path
) -> None:
    one = opened(app, client, small_file, tmp_path, drawn=12)
    assert client.get(f"/api/datasets/{one}").json()["drawn"] == 12
    assert len(places(client, one)) == 12
    everything = select(client, one, polygon=EVERYWHERE).json()
    assert everything["n_cells"] == 40


def wait(client: TestClient, job: dict[str, Any]) -> dict[str, Any]:
    for _ in range(600):
        if job["state"] not in ("waiting", "running"):
            return job
        time.sleep(0.1)
        job = client.get(f"/api/jobs/{job['id']}").json()
    raise AssertionError("the job did not end")


@pytest.mark.assets
def test_annotation_as_a_job(client: TestClient, demo: dict[str, Any]) -> None:
    of = demo["id"]
    job = client.post("/api/annotate", json={"dataset": of})
    assert job.status_code == 202
    ended = wait(client, job.json())
    assert (ended["state"], ended["error"]) == ("done", "")
    summary = client.get(f"/api/datasets/{of}/summary").json()
    counts = {term["label"]: term["n_cells"] for term in summary["terms"]}
    assert sum(counts.values()) + summary["abstained"] == 700
    answer = client.get(f"/api/datasets/{of}/colour", params={"by": "answer"}).json()
    assert dict(zip(answer["names"], answer["total"], strict=True)).items() >= counts.items()
    for by, most in (("depth", 20), ("confidence", 1)):
        numbers = client.get(f"/api/datasets/{of}/colour", params={"by": by}).json()
        assert 0 <= numbers["least"] <= numbers["most"] <= most
    label = summary["terms"][0]["label"]
    assert select(client, of, answer=label).json()["n_cells"] == counts[label]
    raw = client.get(f"/api/datasets/{of}/annotated")
    assert raw.status_code == 200
    adata = anndata.read_h5ad(io.BytesIO(raw.content))
    assert adata.obs["celloquy_cell_type"].value_counts().to_dict().items() >= counts.items()
    assert adata.obsm["X_celloquy"].shape[0] == 700


@pytest.mark.assets
def test_a_stopped_annotation(client: TestClient, demo: dict[str, Any]) -> None:
    job = client.post("/api/annotate", json={"dataset": demo["id"]}).json()
    client.delete(f"/api/jobs/{job['id']}")
    ended = wait(client, job)
    assert ended["state"] in ("cancelled", "done")  # it may have been quicker
    annotated = client.get(f"/api/datasets/{demo['id']}").json()["annotated"]
    assert annotated == (ended["state"] == "done")


@pytest.mark.assets
def test_a_question_about_a_selection(client: TestClient, demo: dict[str, Any]) -> None:
    made = select(client, demo["id"], column="bulk_labels", value="CD56+ NK").json()
    body = {
        "dataset": demo["id"],
        "selection": made["id"],
        "question": "What are these cells, and why?",
    }
    answer = client.post("/api/ask", json=body)
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = events(answer.text)
    stages = [data["stage"] for event, data in told if event == "stage"]
    order = [STAGES.index(stage) for stage in stages]
    assert order == sorted(order)
    assert set(stages) == set(STAGES)
    event, document = told[-1]
    assert event == "answer"
    assert document["status"] == "ok"
    assert "natural killer cell" in document["answer"]
    assert {"prediction", "cells", "kg_edge"} <= {c["kind"] for c in document["citations"]}
    asked = client.get("/api/conversation", params={"format": "json"}).json()
    assert [turn["question"] for turn in asked["turns"]] == [body["question"]]
    assert "natural killer cell" in client.get("/api/conversation").text
    assert client.delete("/api/conversation").status_code == 204
    assert client.get("/api/conversation", params={"format": "json"}).json() == {"turns": []}


@pytest.mark.assets
def test_a_follow_up_leans_on_the_question_before(client: TestClient, demo: dict[str, Any]) -> None:
    def ask(question: str) -> dict[str, Any]:
        return events(client.post("/api/ask", json={"question": question}).text)[-1][1]

    assert ask("What is a natural killer cell?")["status"] == "ok"
    second = ask("What are its markers?")
    assert second["status"] == "ok"
    assert "atural killer cell" in second["answer"]
    nothing = ask("What is the airspeed of a swallow?")
    assert (nothing["status"], nothing["citations"]) == ("abstained", [])


@pytest.mark.assets
def test_look_ups(client: TestClient) -> None:
    term = client.get("/api/term", params={"q": "NK cell"}).json()
    assert term["candidates"][0]["id"] == "CL:0000623"
    path = client.get("/api/path", params={"a": "NK cell", "b": "T cell"}).json()
    assert path["distance"] == len(path["path"]["edges"])
    neighbours = client.get("/api/neighbours", params={"gene": "CD8A", "limit": 5}).json()
    assert neighbours["gene"]["symbol"] == "CD8A"
    assert len(neighbours["neighbours"]) == 5
    for url in ("/api/neighbours?gene=zzzz", "/api/path?a=zzzz&b=T+cell"):
        answer = client.get(url)
        assert answer.status_code == 422
        assert "\n" not in answer.json()["error"]
    assert client.get("/api/health").json()["status"] == "ok"


def test_text_that_is_no_text(client: TestClient) -> None:
    raw = b'{"question": "\\ud800"}'
    answer = client.post("/api/ask", content=raw, headers={"content-type": "application/json"})
    assert answer.status_code in (200, 422)


def test_a_name_that_means_other_cells_is_computed_anew(
    app: Door, client: TestClient, dataset: str
) -> None:
    def how_many(made: dict[str, Any], other: dict[str, Any] | None = None) -> str:
        body = {
            "dataset": dataset,
            "selection": made["id"],
            "question": "How many cells are there?",
        }
        body |= {"other": other["id"]} if other else {}
        return events(client.post("/api/ask", json=body).text)[-1][1]["answer"]

    first = select(client, dataset, cells=[1, 2, 3], name="mine").json()
    assert "3" in how_many(first)
    client.delete(f"/api/selections/{first['id']}")
    second = select(client, dataset, cells=[4, 5, 6, 7], name="mine").json()
    assert second["name"] == "mine"
    third = select(client, dataset, cells=[9], name="yours").json()
    assert "4" in how_many(second, third)
