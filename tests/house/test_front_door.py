"""The front door: lazy names, the guard against name clashes, cheap start-up."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("agent", "training", "retrieval", "encoders", "kg", "data")
SOURCES = [
    ROOT / "celloquy.py",
    *sorted(path for folder in PACKAGES for path in (ROOT / folder).rglob("*.py")),
]

# What may not appear in the source: each runs or loads code from data.
FORBIDDEN_MODULES = {"pickle", "cPickle", "dill", "joblib", "shelve", "marshal", "pdb", "ipdb"}
FORBIDDEN_CALLS = {"eval", "exec", "breakpoint"}


def python(
    *arguments: str, cwd: Path = ROOT, **environment: str
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env={**os.environ, **environment},
    )


def test_a_foreign_package_of_the_same_name_is_named_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "__init__.py").write_text("")
    result = python("-c", "import celloquy; celloquy.main()", cwd=tmp_path)
    assert result.returncode == 4
    assert result.stderr.count("\n") == 1
    assert "'data'" in result.stderr
    assert str(tmp_path) in result.stderr


def test_a_users_own_agent_py_is_found_by_the_guard(tmp_path: Path) -> None:
    (tmp_path / "agent.py").write_text("")
    result = python("-c", "import celloquy; celloquy.ask('What is a T cell?')", cwd=tmp_path)
    last = result.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: another package hides a part of Celloquy: 'agent'")
    assert str(tmp_path) in last


def test_without_a_clash_nothing_is_reported() -> None:
    assert python("-c", "import celloquy; print(celloquy.shadowed())").stdout.strip() == "[]"


def test_help_imports_nothing_heavy() -> None:
    code = (
        "import sys\nfrom agent.cli.main import run\nrun(['--help'])\n"
        "heavy = {'torch', 'pandas', 'anndata', 'networkx', 'langgraph', 'scipy', 'matplotlib'}\n"
        "print('heavy:', sorted(heavy & set(sys.modules)))"
    )
    assert python("-c", code).stdout.strip().endswith("heavy: []")


def test_an_unknown_name_is_an_attribute_error() -> None:
    import celloquy

    with pytest.raises(AttributeError, match="nonsense"):
        _ = celloquy.nonsense


@pytest.mark.parametrize("path", SOURCES, ids=lambda path: str(path.relative_to(ROOT)))
def test_source_neither_unpickles_nor_evaluates(path: Path) -> None:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import | ast.ImportFrom):
            module = getattr(node, "module", None)
            names = [module] if module else [alias.name for alias in node.names]
            assert not {str(name).split(".")[0] for name in names} & FORBIDDEN_MODULES
        if isinstance(node, ast.Call):
            name = getattr(node.func, "id", None)
            assert name not in FORBIDDEN_CALLS, f"{path}:{node.lineno} calls {name}"
            attribute = getattr(node.func, "attr", None)
            owner = getattr(getattr(node.func, "value", None), "id", None)
            assert (owner, attribute) != ("torch", "load"), f"{path}:{node.lineno}"
            for keyword in node.keywords:
                is_true = isinstance(keyword.value, ast.Constant) and keyword.value.value is True
                assert not (keyword.arg in {"allow_pickle", "shell"} and is_true), (
                    f"{path}:{node.lineno}"
                )


def test_no_package_marker_under_tests() -> None:
    assert not list((ROOT / "tests").rglob("__init__.py"))
