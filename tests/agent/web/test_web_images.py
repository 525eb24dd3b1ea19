"""Images of cells in the page's API: taken, refused, shown small, asked about, removed."""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from starlette.testclient import TestClient

Image = pytest.importorskip("PIL.Image")
tifffile = pytest.importorskip("tifffile")

from agent.cli.main import run  # noqa: E402 - after the checks for optional packages
from agent.web import images  # noqa: E402
from agent.web.app import create_app  # noqa: E402
from agent.web.config import ServeConfig  # noqa: E402
from agent.web.door import Door  # noqa: E402
from agent.web.picturing import SIDE, prepare_picture  # noqa: E402
from data.errors import BadFile  # noqa: E402
from encoders.image.pictures import ENDINGS, read_pictures  # noqa: E402
from tests.agent.web.conftest import EVIL, HERE, events, opened  # noqa: E402

WHICH = "Which gene is knocked out here?"


def png(h: int = 12, w: int = 9) -> bytes:
    body = io.BytesIO()
    draw = np.random.default_rng(0)
    Image.fromarray(draw.integers(0, 255, (h, w, 3), np.uint8)).save(body, "png")
    return body.getvalue()


def put(client: TestClient, body: bytes, name: str = "cell.png") -> Any:
    return client.post("/api/images", params={"name": name}, content=body)


def files_of(app: Door) -> list[Path]:
    return [path for path in app.sessions.folder.rglob("*") if path.is_file()]


def put_in(app: Door, client: TestClient, folder: Path) -> str:
    """Put an image into the visitor's session, prepared without a process of its own."""
    client.get("/api/images")
    mine = next(iter(app.sessions))
    (folder / "cell.png").write_bytes(png())
    about = prepare_picture(folder / "cell.png", folder, 1 << 20)
    mine.images["one"] = images.Image("one", "cell.png", folder, about)
    return "one"


def test_kinds_of_files_are_those_that_can_be_read() -> None:
    assert images.ENDINGS == ENDINGS


def test_an_image_is_described_shown_small_and_removed(app: Door, client: TestClient) -> None:
    answer = put(client, png(300, 600), f"/tmp/../{EVIL}.png")
    assert answer.status_code == 201, answer.text
    found = answer.json()
    assert (found["height"], found["width"], found["pictures"]) == (300, 600, 1)
    assert found["channels"] == ["red", "green", "blue"]
    assert found["name"] == f"{EVIL}.png"  # shown as text; the page makes no markup of it
    assert client.get("/api/images").json() == [found]
    small = client.get(f"/api/images/{found['id']}/preview")
    assert small.headers["content-type"] == "image/png"
    assert Image.open(io.BytesIO(small.content)).size == (SIDE, SIDE // 2)
    (kept,) = next(iter(app.sessions)).images.values()
    shown = np.asarray(Image.open(io.BytesIO(png(300, 600)))) / 255
    np.testing.assert_allclose(
        read_pictures(kept.file).values[0], np.moveaxis(shown, -1, 0), atol=1e-6
    )
    assert client.delete(f"/api/images/{found['id']}").status_code == 204
    assert client.get("/api/images").json() == []
    assert files_of(app) == []


def test_stacks_keep_the_names_of_their_channels(tmp_path: Path) -> None:
    values = np.zeros((3, 2, 8, 8), np.float32)
    values[0, 0] = 0.25  # of a microscope that uses a quarter of what the numbers can hold
    np.savez(tmp_path / "a.npz", images=values, channels=["DNA", EVIL * 9])
    about = prepare_picture(tmp_path / "a.npz", tmp_path, 1_000)
    assert (about["pictures"], about["channels"][0], len(about["channels"][1])) == (3, "DNA", 60)
    assert np.asarray(Image.open(tmp_path / "preview.png")).max() == 255


@pytest.mark.parametrize("name", ["cells.h5ad", "picture.svg", "picture", "a.png.exe", ""])
def test_other_kinds_are_refused_before_they_are_read(
    app: Door, client: TestClient, name: str
) -> None:
    answer = put(client, b"<svg onload=alert(1)>", name)
    assert answer.status_code == 422
    assert "expected one of .png" in answer.json()["error"]
    assert files_of(app) == []


def test_no_image_says_so_under_its_own_name(app: Door, client: TestClient) -> None:
    answer = put(client, b"no picture", "mine.tif")
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error.startswith("mine.tif cannot be read")
    assert str(app.sessions.folder) not in error
    assert files_of(app) == []


def test_an_image_that_unpacks_to_too_much(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.zeros((100, 100), np.uint8))
    with pytest.raises(BadFile, match="10,000 values; expected at most 9,999"):
        prepare_picture(tmp_path / "a.npy", tmp_path, 9_999)


def test_a_picture_that_names_another_file_does_not_open_it(
    client: TestClient, tmp_path: Path
) -> None:
    """The canary is a pipe: whoever opened it to read would wait for ever."""
    canary = tmp_path / "canary.ome.tif"
    os.mkfifo(canary)
    planes = "".join(
        f'<TiffData IFD="0" FirstC="{c}" PlaneCount="1"><UUID FileName="{name}">urn:uuid:{c}</UUID>'
        "</TiffData>"
        for c, name in enumerate(("image.tif", canary))
    )
    ome = (
        '<OME xmlns="http://www.openmicroscopy.org/Schemas/OME/2016-06" UUID="urn:uuid:0">'
        '<Image ID="Image:0"><Pixels ID="Pixels:0" DimensionOrder="XYZCT" Type="uint8" SizeX="8" '
        f'SizeY="8" SizeZ="1" SizeC="2" SizeT="1">{planes}</Pixels></Image></OME>'
    )
    mine = io.BytesIO()
    tifffile.imwrite(mine, np.full((8, 8), 50, np.uint8), description=ome, metadata=None)
    answer = put(client, mine.getvalue(), "mine.ome.tif")
    assert answer.status_code == 201, answer.text
    assert answer.json()["channels"] == ["grey"]


def test_too_large_and_too_many(tmp_path: Path) -> None:
    door = create_app(ServeConfig(image_bytes=1_000, most_images=1, spare_bytes=0))
    with TestClient(door):
        client = TestClient(door, base_url=HERE)
        answer = put(client, bytes(1_001))
        assert answer.status_code == 413
        put_in(door, client, tmp_path)
        answer = put(client, png(4, 4))
        assert answer.status_code == 422
        assert "remove one first" in answer.json()["error"]


def test_sessions_do_not_see_each_other(
    app: Door, visitor: Callable[[], TestClient], tmp_path: Path
) -> None:
    one, other = visitor(), visitor()
    image = put_in(app, one, tmp_path)
    assert other.get("/api/images").json() == []
    for method, path in (
        ("GET", f"/api/images/{image}/preview"),
        ("DELETE", f"/api/images/{image}"),
    ):
        assert other.request(method, path).status_code == 404
    assert other.post("/api/ask", json={"question": WHICH, "image": image}).status_code == 404
    assert one.get(f"/api/images/{image}/preview").status_code == 200


@pytest.mark.assets
def test_without_a_model_the_answer_says_what_is_missing_and_how_to_get_it(
    app: Door, client: TestClient, tmp_path: Path
) -> None:
    image = put_in(app, client, tmp_path)
    asked = client.post("/api/ask", json={"question": WHICH, "image": image})
    kind, document = events(asked.text)[-1]
    assert (kind, document["status"]) == ("answer", "abstained")
    assert "no model of knock-outs was named" in document["answer"]
    assert "celloquy train knockout" in document["answer"]
    assert "--knockouts FOLDER" in document["answer"]
    assert client.get("/api/health").json()["knockouts"] is False


@pytest.mark.assets
def test_here_is_the_image_unless_cells_are_selected(
    app: Door,
    client: TestClient,
    small_file: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "image").mkdir()
    image = put_in(app, client, tmp_path / "image")
    dataset = opened(app, client, small_file, tmp_path)
    made = client.post("/api/selections", json={"dataset": dataset, "cells": [1, 2]}).json()["id"]
    seen: list[tuple[Any, Any]] = []

    def looked(agent: Any, question: str, cells: Any, selection: Any, picture: Any) -> Any:
        seen.append((cells, picture))
        return asked(agent, question, cells, selection, picture)

    from agent.qa import Agent

    asked = Agent.ask
    monkeypatch.setattr(Agent, "ask", looked)
    for body in ({}, {"selection": made}):
        client.post(
            "/api/ask", json={"question": WHICH, "image": image, "dataset": dataset, **body}
        )
    client.post("/api/ask", json={"question": WHICH, "dataset": dataset})
    assert [(cells is not None, picture is not None) for cells, picture in seen] == [
        (False, True),
        (True, True),
        (True, False),
    ]


@pytest.mark.assets
def test_links_are_predicted_after_the_known_ones(client: TestClient) -> None:
    asked = client.post("/api/ask", json={"question": "What diseases might TREM2 be linked to?"})
    _, document = events(asked.text)[-1]
    assert document["status"] == "ok"
    kinds = [citation["kind"] for citation in document["citations"]]
    assert kinds == sorted(kinds)  # kg_edge before prediction
    assert kinds[-1] == "prediction"
    last = document["citations"][-1]
    assert f"{last['measured_value']:.3f}" in document["answer"]
    assert last["baseline"] in document["answer"]
    told = [claim["tells"] for claim in document["claims"]]
    assert told == ["known", "predicted"]


@pytest.mark.assets
def test_models_that_read_a_dataset_whole_are_given_its_file(
    app: Door, client: TestClient, small_file: Path, tmp_path: Path
) -> None:
    """Forty cells are no screen; what the model says of them tells that it has read them."""
    dataset = opened(app, client, small_file, tmp_path)
    body = {"question": "What happens when CD8A is knocked out?", "dataset": dataset}
    _, document = events(client.post("/api/ask", json=body).text)[-1]
    assert document["status"] == "abstained"
    assert "perturbation" in document["answer"]
    assert "NoneType" not in document["answer"]


def test_a_folder_without_a_model_is_refused_at_the_start(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["serve", "--knockouts", str(tmp_path)]) == 2
    error = capsys.readouterr().err
    assert "celloquy train knockout" in error
    assert error.count("\n") == 1
