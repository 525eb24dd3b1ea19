"""The recipe gene-text on cells made by hand: folds, neighbours, contrast, and its controls."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from data.errors import BadInput
from encoders.genept import GeneVectors
from encoders.refined import Refined, forward
from training.genetext import Cells, RecipeConfig, folds, nearest_labels, refine, taken

torch = pytest.importorskip("torch")

SMALL = RecipeConfig(top=6, hidden=16, width=8, batch=32, steps=60, learning_rate=1e-2)


def made(n: int = 60, seed: int = 0) -> tuple[Cells, GeneVectors]:
    """Two types whose three own genes are drowned in one loud gene that says nothing."""
    rng = np.random.default_rng(seed)
    mean = np.array([[1.0, 1, 1, 0.1, 0.1, 0.1], [0.1, 0.1, 0.1, 1, 1, 1]])
    own = rng.poisson(mean[np.arange(n) % 2] * 2)
    loud = rng.gamma(2, 20, size=(n, 2))
    values = sp.csr_matrix(np.log1p(np.column_stack([own, loud])).astype(np.float32))
    genes = tuple("abcdefgh")
    table = rng.standard_normal((8, 24)).astype(np.float32)
    table /= np.linalg.norm(table, axis=1, keepdims=True)
    return Cells(values, genes, tuple("XY"[i % 2] for i in range(n))), GeneVectors(genes, table)


def test_folds_spread_every_label() -> None:
    labels = ["a"] * 11 + ["b"] * 6
    found = folds(labels, 3, 0)
    for label, least in (("a", 3), ("b", 2)):
        sizes = np.bincount(found[[one == label for one in labels]], minlength=3)
        assert sizes.min() >= least and sizes.max() <= least + 1
    np.testing.assert_array_equal(found, folds(labels, 3, 0))
    with pytest.raises(BadInput, match="'b' has 1 cells"):
        folds(["a", "a", "b"], 2, 0)


def test_neighbours_vote_by_cosine() -> None:
    known = np.array([[1, 0], [2, 0.1], [0, 1], [0.1, 3]])
    asked = np.array([[9, 1], [1, 9]])
    assert nearest_labels(known, ["a", "a", "b", "b"], asked, 2) == ["a", "b"]
    assert nearest_labels(known, ["b", "a", "a", "b"], asked, 4) == ["a", "a"]  # a tie


def test_contrast_brings_cells_of_a_type_together() -> None:
    cells, table = made()
    train, test = np.arange(40), np.arange(40, 60)
    model = refine(taken(cells, train), table, SMALL)
    again = refine(taken(cells, train), table, SMALL)
    for one, other in zip(model.layers, again.layers, strict=True):
        np.testing.assert_array_equal(one, other)
    from encoders.genept import cell_vectors

    x = cell_vectors(cells.values, cells.genes, table, top=SMALL.top) - model.mean
    z = forward(x, model.layers)
    np.testing.assert_allclose(np.linalg.norm(z, axis=1), 1, atol=1e-5)

    def right(points: np.ndarray) -> float:
        labels = [cells.labels[i] for i in train]
        said = nearest_labels(points[train], labels, points[test], 5)
        return float(np.mean([s == cells.labels[i] for s, i in zip(said, test, strict=True)]))

    assert right(z) >= 0.9
    assert right(z) >= right(x)


def test_what_is_saved_is_what_is_read(tmp_path: Path) -> None:
    cells, table = made()
    model = refine(cells, table, RecipeConfig(top=6, hidden=8, width=4, batch=16, steps=3))
    model.save(tmp_path)
    read = Refined.load(tmp_path)
    assert read.top == 6
    for one, other in zip(read.layers, model.layers, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.slow
@pytest.mark.models
@pytest.mark.assets
def test_the_command_trains_compares_and_draws(tmp_path: Path, capsys) -> None:  # type: ignore[no-untyped-def]
    from agent.cli.main import run
    from data import sources
    from encoders.registry import find, problems

    pytest.importorskip("umap")
    file = str(sources.path("pbmc68k"))
    arguments = ["train", "encoder", "--cells", file, "--label", "bulk_labels", "--json",
                 "--quiet", "-o", str(tmp_path / "e"), "--folds", "2"]  # fmt: skip
    assert run(arguments) == 0
    document = json.loads(capsys.readouterr().out)
    figures = document["figures"]
    assert figures["gene texts, refined + kNN"]["macro-F1"] > figures["majority"]["macro-F1"] + 0.3
    assert (tmp_path / "e" / "umap.png").stat().st_size > 20_000
    assert problems(find(str(tmp_path / "e"))) == []
