"""The evaluate command: what it accepts, and one suite in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.main import run


def test_an_unknown_suite_is_bad_input(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    assert run(["evaluate", "speed", "--data", str(tmp_path)]) == 2
    assert "there are: annotation" in capsys.readouterr().err


def test_data_that_is_not_there_is_bad_input(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["evaluate", "markers", "--data", "/no/such/folder"]) == 2
    assert "expected --data FOLDER" in capsys.readouterr().err


def test_a_picture_is_asked_of_its_suite_and_of_a_place_that_is_there(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    pytest.importorskip("torch")
    given = ["evaluate", "--data", str(tmp_path), "--picture"]
    assert run([*given, str(tmp_path / "a.png"), "markers"]) == 2
    assert "--picture is drawn by the suite llm" in capsys.readouterr().err
    for path in (tmp_path / "a.txt", tmp_path / "nowhere" / "a.png"):
        assert run([*given, str(path), "llm"]) == 2
        said = capsys.readouterr().err
        assert f"no picture can be written to {path}; expected a file that ends with .png" in said


@pytest.mark.shared
@pytest.mark.assets
def test_a_suite_prints_its_baselines(
    capsys: pytest.CaptureFixture[str], shared_data: Path
) -> None:
    assert run(["evaluate", "markers", "--json", "--data", str(shared_data)]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["suite"] == "markers"
    assert document["baselines"]
    assert {"value", "spread", "n"} == set(next(iter(document["figures"].values())))
    assert document["versions"]["celloquy"]
