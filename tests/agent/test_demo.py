"""``celloquy demo``: what it measures by hand, and the whole of it on the pinned assets."""

from __future__ import annotations

import re
import socket
import time
import warnings

import pytest

from agent.attached.measures import WORTH
from agent.cli.main import run
from agent.evaluation.demo import compare, report
from data import locations
from data.errors import BadFile
from kg.backoff import Hierarchy
from retrieval.index import open_index

LINE = {"X:0": ["X:0"], "X:1": ["X:0", "X:1"], "X:2": ["X:0", "X:2"], "X:3": ["X:0", "X:1", "X:3"]}
NAMES = {"X:0": "cell", "X:1": "one", "X:2": "two", "X:3": "kind of one"}
MAPPED = {"a": ("X:3", "X:1"), "b": ("X:2", "X:2")}


@pytest.fixture
def small():
    return Hierarchy.make(LINE, NAMES)


def test_scores_worked_by_hand(small):
    labels = ["a", "a", "a", "b"]
    answers = ["X:3", "X:1", "X:0", "unknown"]  # the type, its class, too general, nothing
    found = compare(labels, answers, small, MAPPED)
    assert found.scores.accuracy == pytest.approx(2 / 4)
    # class X:1: 2 of 2 said are right, 2 of 3 found: F1 .8; class X:2: none.
    assert found.scores.macro_f1 == pytest.approx((0.8 + 0) / 2)
    # Roots left out: {1,3} against {1,3}, {1}, {} and {2} against {}.
    assert found.scores.hierarchical_f == pytest.approx((1 + 2 / 3 + 0 + 0) / 4)
    assert found.majority_label == "one"
    assert found.majority.accuracy == pytest.approx(3 / 4)
    assert found.majority.macro_f1 == pytest.approx(6 / 7 / 2)
    assert found.rows[0] == ("a", "X:3", 3, (("cell", 1), ("kind of one", 1), ("one", 1)))
    assert found.rows[1] == ("b", "X:2", 1, (("unknown", 1),))
    text = report(found)
    assert "0.500  0.750" in text
    assert "always one" in text


def test_the_narrower_of_two_classes_counts(small):
    nested = {"a": ("X:3", "X:3"), "b": ("X:1", "X:1")}
    found = compare(["a", "b"], ["X:3", "X:1"], small, nested)
    assert found.scores.accuracy == 1


def test_a_label_without_a_term_is_refused(small):
    with pytest.raises(BadFile, match="labels c"):
        compare(["a", "c"], ["X:3", "X:3"], small, MAPPED)


def figure(text: str, name: str) -> float:
    line = next(line for line in text.splitlines() if line.startswith(name))
    return float(line.split("coarse classes" if "coarse" in line else "populations")[1].split()[0])


@pytest.mark.assets
def test_the_three_jobs(tmp_path, capsys, monkeypatch):
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("nothing may be fetched")

    # What is cached is not fetched again: no name is looked up, nothing is connected to.
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    monkeypatch.setattr(socket.socket, "connect", refuse)
    import matplotlib

    matplotlib.use("agg")
    started = time.monotonic()
    assert run(["demo", "--output", str(tmp_path / "out"), "--quiet"]) == 0
    assert time.monotonic() - started < 240  # a graph that is not current is built first
    out, _ = capsys.readouterr()
    assert "nothing fetched" in out
    assert "$ celloquy ask 'Is a CD8-positive, alpha-beta T cell a lymphocyte?'\nYes" in out
    path = ("CL:0000625", "CL:0000791", "CL:0000789", "CL:0000084", "CL:0000542")
    first = out.index("Yes")
    for term in path:
        assert term in out[first : first + 600]
    assert "\nNo" in out
    assert "the other way round" in out
    assert "$ celloquy neighbours CD8A" in out
    assert "GO:0045065" in out
    assert "PMID:21873635" in out
    # What an answer about cells says that their annotation is worth.
    assert figure(out, "accuracy") == pytest.approx(WORTH, abs=0.01)
    assert figure(out, "macro-F1") >= 0.45
    assert figure(out, "hierarchical F") >= 0.8
    assert "always dendritic cell" in out
    assert out.rstrip().splitlines()[-1].endswith("to get ready")
    quotes = re.findall(r"PMID:(\d+) \[(\d+):(\d+)\]\n   “(.*)”", out)
    assert len(quotes) == 3
    with open_index(locations.literature() / "demo") as index:
        for pmid, start, end, quote in quotes:
            text = index.text(pmid)
            assert text is not None
            assert text[int(start) : int(end)] == quote
    assert (tmp_path / "out" / "umap.png").read_bytes().startswith(b"\x89PNG")
    assert (tmp_path / "out" / "umap.png").stat().st_size > 50_000
    anndata = pytest.importorskip("anndata")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the source file is of an old layout
        read = anndata.read_h5ad(tmp_path / "out" / "pbmc68k.celloquy.h5ad")
    assert "celloquy_cell_type" in read.obs
    assert read.obsm["X_celloquy"].shape == (700, 50)
