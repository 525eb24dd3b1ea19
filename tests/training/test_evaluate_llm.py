"""The suite's own parts: texts of genes, baselines and margins, on cells made by hand."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from data.errors import BadInput  # noqa: E402 - after the check for torch
from encoders.aligned import Aligned, SpaceConfig  # noqa: E402
from encoders.labels import token_vectors  # noqa: E402
from kg.backoff import Hierarchy  # noqa: E402
from kg.terms import Category, Term  # noqa: E402
from tests.encoders.tinymodels import tiny  # noqa: E402
from training.align import AlignConfig, untrained  # noqa: E402
from training.evaluate.ablate_llm import begin  # noqa: E402
from training.evaluate.llm import Bench, Set, draw, read_genes, top_genes  # noqa: E402
from training.holdout import split_of_term  # noqa: E402
from training.profiles import CellSet, Profiles  # noqa: E402

TREE = Hierarchy.make({"r": "r", "a": "ra", "b": "rb", "c": "rc"}, {i: i for i in "rabc"})


def test_the_highest_genes_are_named_highest_first() -> None:
    values = sp.csr_array(np.array([[0.0, 3.0, 1.0, 2.0], [4.0, 0.0, 0.0, 0.0]]))
    cells = Profiles(values, ("G1", "G2", "G3", "G4"), ("a", "b"), "here")
    assert top_genes(cells, np.array([1, 0]), top=2) == ["G1", "G2 G4"]


def test_the_model_reads_the_genes() -> None:
    language: Any = tiny("llama")
    language.tokenizer.chat_template = "{% for m in messages %}{{ m.content }} {% endfor %}?"
    scores = read_genes(language, ["T T T", "B B", ""], ["T cell", "B cell", "naive"])
    assert scores.shape == (3, 3)
    assert np.isfinite(scores).all() and (scores < 0).all()
    assert abs(scores[0] - scores[1]).max() > 1e-4
    again = read_genes(language, ["B B"], ["naive", "T cell"])
    assert again[0] == pytest.approx(scores[1][[2, 0]], abs=1e-4)


def bench() -> Bench:
    """Training cells of a and b; c has none."""
    rows = np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=np.float32)
    made = Bench.__new__(Bench)
    cells = CellSet(rows, ("a", "a", "b"), ("simulated",) * 3)
    made.material = SimpleNamespace(cells=cells)  # type: ignore[assignment]
    made.tree = TREE
    return made


def test_the_nearest_centroid_knows_nothing_of_types_without_cells() -> None:
    some = Set("here", np.array([[0.0, 1.0], [1.0, 0.0]], dtype=np.float32), ("b", "c"), ())
    scores = bench().nearest(some, ("a", "b", "c"))
    assert scores.tolist() == [[0.0, 1.0, -1.0], [1.0, 0.0, -1.0]]
    rank = bench().rank(some, ("a", "b", "c"), scores)
    assert (rank.r1, rank.r5) == (0.5, 1.0)
    assert rank.right.tolist() == [True, False]


@pytest.mark.parametrize("objective", ["token", "contextual"])
def test_an_ablation_begins_at_the_map_of_the_mean_cells(objective: str) -> None:
    """Mean cells lie nearest to their own words before any step, for each objective."""
    language: Any = tiny("llama")
    texts = {"CL:1": "T cell", "CL:2": "B cell", "CL:3": "naive T cell"}
    texts = {one: text for one, text in texts.items() if split_of_term(one, ()) == "train"}
    rows = np.eye(len(texts), 5, dtype=np.float32)
    cells = CellSet(rows, tuple(texts), ("simulated",) * len(texts))
    plan = AlignConfig(objective=objective)  # type: ignore[arg-type]
    model = begin(language, cells, texts, plan)
    words = token_vectors(language, list(texts.values()))
    soft = model.projector(torch.from_numpy(rows)).mean(1).detach().numpy()
    cosines = unit(soft - words.mean(axis=0)) @ unit(words - words.mean(axis=0)).T
    assert len(texts) > 1
    if objective == "token":
        assert (cosines.argmax(axis=1) == np.arange(len(texts))).all()
    else:  # of the length of words, so that the model reads them as such
        length = (model.projector(torch.from_numpy(rows)) ** 2).mean(-1).sqrt().detach().numpy()
        assert length == pytest.approx(language.scale, rel=1e-3)
    with pytest.raises(BadInput, match="without a ridge"):
        begin(language, cells, texts, AlignConfig(ridge=None))


def unit(rows: Any) -> Any:
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@pytest.mark.slow
def test_cells_and_their_names_are_drawn_before_and_after(tmp_path: Path) -> None:
    """Two pictures of the same cells differ where the alignment does."""
    pytest.importorskip("umap")
    from PIL import Image

    language: Any = tiny("llama")
    names = {"a": "T cell", "b": "B cell", "c": "naive T cell"}
    terms = {i: Term(i, n, Category.CELL_TYPE, "CL", "1") for i, n in names.items()}
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(3, 5)).repeat(10, axis=0) + 0.1 * rng.normal(size=(30, 5))
    some = Set("here", rows.astype(np.float32), tuple(np.array(list("abc")).repeat(10)), ())
    plan = AlignConfig(hidden=16, ridge=None)
    one, other = (
        Aligned(untrained(language, 5, plan, seed), SpaceConfig(), np.zeros(64, np.float32), (),
                np.zeros((0, 64), np.float32))
        for seed in range(2)
    )  # fmt: skip
    for name, found in (("same.png", one), ("other.png", other)):
        draw(some, found, one, terms, tmp_path / name)
    halves = []
    for name in ("same.png", "other.png"):
        with Image.open(tmp_path / name) as image:
            assert image.size == (1200, 600)
            halves += [np.array(image)[40:, :600], np.array(image)[40:, 600:]]
    assert np.array_equal(halves[0], halves[2]), "before is before"
    assert not np.array_equal(halves[1], halves[3])
