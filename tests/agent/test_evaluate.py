"""The evaluate command: what it accepts, and one suite in full."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from agent.cli.main import run
from training.evaluate.figures import Report


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
    assert "--picture is for the suite llm" in capsys.readouterr().err
    for path in (tmp_path / "a.txt", tmp_path / "nowhere" / "a.png"):
        assert run([*given, str(path), "llm"]) == 2
        said = capsys.readouterr().err
        assert f"no picture can be written to {path}; expected a file that ends with .png" in said


@pytest.mark.parametrize("words", [["--sample", "5"], ["--ablation", "bt"]])
def test_what_is_for_one_suite_is_refused_with_others(
    words: list[str], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run(["evaluate", "deletion", "--data", str(tmp_path), *words]) == 2
    assert f"{words[0]} is for the suite llm" in capsys.readouterr().err


def test_the_command_names_every_ablation() -> None:
    pytest.importorskip("torch")
    from agent.cli.evaluate import Ablation
    from training.evaluate.ablate_llm import ABLATIONS

    assert {one.value for one in Ablation} == set(ABLATIONS)


def test_reports_are_joined_figure_by_figure() -> None:
    one, other = Report("a", seed=1), Report("b", notes=["two"])
    one.add("x", 1.0, 3)
    one.beside("base", "x", 0.5, 3)
    other.add("y", 2.0, 4)
    other.beside("base", "y", 0.25, 4)
    other.assets = {"weights": "abc"}
    one.join(other)
    assert {name: figure.value for name, figure in one.figures.items()} == {"x": 1.0, "y": 2.0}
    assert set(one.baselines["base"]) == {"x", "y"}
    assert (one.suite, one.assets, one.notes) == ("a", {"weights": "abc"}, ["two"])


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
