"""The command ``train instruct``: what it cannot use, and that a killed run ends as a whole one."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

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


def test_its_help_names_what_is_frozen() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "Projector and marks of the alignment stay as they are" in done.stdout


@pytest.mark.slow
@pytest.mark.assets
@pytest.mark.models
def test_killed_in_the_middle_and_run_again(tmp_path: Path) -> None:
    """A tiny model on the real instructions: the checkpoint is of step 20, the kill comes later."""
    pytest.importorskip("peft")
    from tests.encoders.tinymodels import tiny

    language: Any = tiny("llama", context=192)
    model, aligned = tmp_path / "model", tmp_path / "aligned"
    language.model.save_pretrained(model)
    language.tokenizer.save_pretrained(model)
    environment = {k: v for k, v in os.environ.items() if k != "CELLOQUY_TEST_DATA"}
    command = [sys.executable, "-m", "celloquy", "train"]
    made = subprocess.run(
        [*command, "align", "--llm", str(model), "--steps", "5", "-o", str(aligned), "--quiet"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    command += ["instruct", "--llm", str(model), "--aligned", str(aligned), "--items", "80",
                "--steps", "400", "--quiet", "--json"]  # fmt: skip

    def finish(folder: Path) -> dict[str, Any]:
        done = subprocess.run(
            [*command, "-o", str(folder)],
            cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found: dict[str, Any] = json.loads(done.stdout)
        return found

    whole = finish(tmp_path / "whole")
    folder = tmp_path / "killed"
    process = subprocess.Popen([*command, "-o", str(folder)], cwd=ROOT, env=environment)
    until = time.monotonic() + 300
    while not list((folder / "training").glob("step-*.json")):
        assert process.poll() is None and time.monotonic() < until, "it was to be killed in time"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (folder / "lora").exists()
    again = finish(folder)
    assert again["step"] == whole["step"] == 400
    assert again["loss"] == pytest.approx(whole["loss"], abs=1e-5)
    assert again["sha256"] == whole["sha256"]
