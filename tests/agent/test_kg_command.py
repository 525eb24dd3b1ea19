"""`celloquy kg` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

CELLOQUY = Path(sys.executable).with_name("celloquy")


def celloquy(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(CELLOQUY), *arguments],
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, **environment},
    )


@pytest.mark.assets
def test_stats_as_a_table_and_as_json_agree() -> None:
    document = json.loads(celloquy("kg", "stats", "--json").stdout)
    terms = sum(count["n"] for count in document["counts"] if count["kind"] == "term")
    edges = sum(count["n"] for count in document["counts"] if count["kind"] == "edge")
    assert {"CL", "UBERON", "MONDO", "GO", "HGNC", "GOA-human", "CL-2014"} <= {
        release["source"] for release in document["releases"]
    }
    table = celloquy("kg", "stats", "--notices").stdout
    rows = [line.split() for line in table.splitlines()]
    assert ["terms", f"{terms:,}"] in rows
    assert ["edges", f"{edges:,}"] in rows
    assert all(notice["notice"] in table for notice in document["notices"])


def test_without_assets_one_line_says_what_to_run(tmp_path: Path) -> None:
    for command in ("build", "stats"):
        result = celloquy("kg", command, CELLOQUY_HOME=str(tmp_path))
        assert result.returncode == 4
        assert result.stdout == ""
        assert result.stderr.count("\n") == 1
        assert "run: celloquy data fetch core" in result.stderr
        assert not list(tmp_path.rglob("*.sqlite"))


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("neighbours CD8A --hops 9", "--hops is 9; expected 3 or less; see: celloquy neighbours"),
        ("neighbours CD8A --limit 0", "--limit is 0; expected 1 or more; see: celloquy neighbours"),
        ("term x --limit 1.5", "--limit is 1.5; expected a whole number; see: celloquy term"),
        ("neighbours x --species dog", "--species is dog; expected one of human, mouse; see:"),
        ("kg export x --format rdf", "--format is rdf; expected one of kgx, obograph, graphml,"),
        ("path x", "Missing argument 'TERM_B'; see: celloquy path --help"),
    ],
)
def test_wrong_words_are_one_line_with_what_was_expected(words: str, line: str) -> None:
    result = celloquy(*words.split())
    assert result.returncode == 2
    assert result.stdout == ""
    assert result.stderr.startswith(f"celloquy: {line}")
    assert result.stderr.count("\n") == 1
