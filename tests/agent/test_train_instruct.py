"""The command ``train instruct``: one line for what it cannot use, before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "celloquy", "train", "instruct", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_folder_of_data_that_is_not_there(tmp_path: Path) -> None:
    done = run("--data", str(tmp_path / "absent"))
    assert done.returncode == 2
    assert done.stderr.count("\n") == 1
    assert "absent is no folder; expected that of development data" in done.stderr


def test_an_alignment_that_is_not_there_is_refused_before_cells_are_gathered(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for needed in ("torch", "transformers", "peft"):
        pytest.importorskip(needed)
    import encoders.language
    import training.align_data
    from agent.cli.train_instruct import instruct
    from data.errors import BadFile
    from tests.encoders.tinymodels import tiny

    gathered: list[object] = []
    monkeypatch.setattr(encoders.language, "load", lambda name: tiny("llama"))
    monkeypatch.setattr(training.align_data, "gather", lambda *a, **k: gathered.append(a))
    with pytest.raises(BadFile, match="nosuch"):
        instruct(aligned=tmp_path / "nosuch", output=tmp_path / "out")
    with pytest.raises(BadFile, match=r"before.lora holds no adapter_model.safetensors"):
        instruct(aligned=tmp_path / "nosuch", output=tmp_path / "out", start=tmp_path / "before")
    assert not gathered


def test_its_help_names_what_is_frozen() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Projector and marks of the alignment stay as they are" in done.stdout
