"""``celloquy serve``: what it refuses, what it imports, and a whole life of it."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import urllib.request
from pathlib import Path

import pytest

from agent.cli.main import run
from agent.web import worker
from agent.web.config import ServeConfig
from agent.web.running import listen
from data.errors import BadFile, BadInput

RUN = "import celloquy; celloquy.main()"


def test_another_host_without_a_token(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("CELLOQUY_TOKEN", raising=False)
    assert run(["serve", "--host", "0.0.0.0"]) == 2
    error = capsys.readouterr().err
    assert error.count("\n") == 1
    assert "CELLOQUY_TOKEN" in error


def test_an_address_that_is_taken() -> None:
    with listen(ServeConfig(port=0)) as first:
        first.listen()
        port = first.getsockname()[1]
        with pytest.raises(BadInput, match="--port"):
            listen(ServeConfig(port=port))


def test_help_imports_no_server() -> None:
    code = (
        "import sys\nfrom agent.cli.main import run\nrun(['serve', '--help'])\n"
        "print('heavy:', sorted({'fastapi', 'uvicorn', 'numpy', 'anndata'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip().endswith("heavy: []")


@pytest.mark.assets
def test_a_life() -> None:
    """It says where it is, serves the page, and leaves no file behind."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "serve", "--port", "0"], stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    with process.stderr:
        address = re.search(r"http://127\.0\.0\.1:\d+/", process.stderr.readline())
        assert address is not None
        with urllib.request.urlopen(address[0], timeout=30) as answer:
            assert b"<title>Celloquy</title>" in answer.read()
        process.send_signal(signal.SIGINT)
        rest = process.stderr.read()
    assert process.wait(30) in (0, 130, -signal.SIGINT)
    assert "Traceback" not in rest


def test_a_worker_that_takes_too_long(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "never.h5ad")
    with pytest.raises(BadFile):
        worker.run("prepare", tmp_path / "never.h5ad", tmp_path, 1 << 33, seconds=0.01)
