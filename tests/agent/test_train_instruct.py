"""The command ``train instruct``: one line for what it cannot use, before anything is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

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
