"""The recipe gene-tokens: it learns, resumes with the same numbers, and is told what is wrong."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import scipy.sparse as sp

torch = pytest.importorskip("torch")

from data.errors import BadFile, BadInput  # noqa: E402
from encoders.genetokens.expression import ModelConfig  # noqa: E402
from encoders.genetokens.knowledge import Channel  # noqa: E402
from encoders.genetokens.tokenizer import TokenConfig  # noqa: E402
from kg.backoff import Hierarchy  # noqa: E402
from training.genetokens.cell_store import CellStore, of_datasets  # noqa: E402
from training.genetokens.recipe import GeneTokenConfig, Weights, card, train  # noqa: E402
from training.loop import LoopConfig  # noqa: E402

TREE = Hierarchy.make(
    {"X:cell": [], "X:B": ["X:cell"], "X:T": ["X:cell"], "X:CD4": ["X:T", "X:cell"],
     "X:CD8": ["X:T", "X:cell"]},
    {},
)  # fmt: skip
GENES = tuple(f"g{i:02}" for i in range(24))
KINDS = ("X:B", "X:CD4", "X:CD8")


def cells(n: int = 90, seed: int = 0) -> tuple[sp.csr_array, list[str]]:
    """Three types with genes of their own; CD4 and CD8 share some."""
    rng = np.random.default_rng(seed)
    kind = rng.integers(3, size=n)
    rate = np.full((3, 24), 0.3)
    rate[0, :6], rate[1, 6:12], rate[2, 12:18], rate[1:, 18:22] = 5.0, 5.0, 5.0, 4.0
    values = np.log1p(rng.poisson(rate[kind])).astype(np.float32)
    return sp.csr_array(values), [KINDS[k] for k in kind]


def store(unknown: int = 0) -> CellStore:
    values, types = cells()
    some: list[str | None] = [None if i < unknown else one for i, one in enumerate(types)]
    made = of_datasets([("a", values[:60], GENES, some[:60]), ("b", values[60:], GENES, some[60:])])
    tissue = tuple("blood" if i % 3 else "" for i in range(90))
    return replace(made, properties={"tissue": tissue, "sex": ("",) * 90})


def config(steps: int = 40, **other: Any) -> GeneTokenConfig:
    return GeneTokenConfig(
        tokens=TokenConfig(tokens=16, bins=10, ceiling=4.0),
        model=ModelConfig(width=16, layers=1, heads=2, inner=32, gene_width=8),
        batch=24, text_prototypes=False, panel=0.2,
        loop=LoopConfig(steps, learning_rate=1e-2, warmup=0.1, threads=1, save_every=5), **other,
    )  # fmt: skip


CHANNEL = Channel("known", GENES, np.repeat(np.eye(4, dtype=np.float32), 6, axis=0))


def test_it_learns_to_tell_types_apart() -> None:
    """Unseen cells by the nearest mean of the training cells, and by the head itself."""
    made, history = train(store(), TREE, config(60), [CHANNEL])
    assert history.finished
    values, types = cells(seed=1)
    near = made.encode(cells()[0], GENES)
    truth = np.array(cells()[1])
    means = np.stack([near[truth == kind].mean(axis=0) for kind in KINDS])
    said = (made.encode(values, GENES) @ means.T).argmax(axis=1)
    assert np.mean([KINDS[s] == t for s, t in zip(said, types, strict=True)]) > 0.9
    own = made.chances(values, GENES).argmax(axis=1)
    assert np.mean([made.leaves[s] == t for s, t in zip(own, types, strict=True)]) > 0.6


def test_a_killed_run_ends_with_the_same_numbers(tmp_path: Path) -> None:
    whole, _ = train(store(), TREE, config(12), [CHANNEL], tmp_path / "whole")
    part = tmp_path / "part"
    _, history = train(store(), TREE, config(12), [CHANNEL], part, seconds=0.0)
    assert not history.finished and history.step < 12
    resumed, history = train(store(), TREE, config(12), [CHANNEL], part)
    assert history.finished
    values = cells(seed=2)[0]
    assert np.array_equal(resumed.encode(values, GENES), whole.encode(values, GENES))
    with pytest.raises(BadFile, match="remove it, or name another folder"):
        train(store(), TREE, replace(config(12), hide=0.1), [CHANNEL], part)


def test_the_card_says_what_it_is(tmp_path: Path) -> None:
    made, history = train(store(), TREE, config(4), [CHANNEL], hold_out="dataset=b")
    assert history.scores, "a held-out dataset is scored"
    text = card(made, history, store())
    assert made.model.tokens == ("cell", "cell_type", "tissue"), "no cell says anything of sex"
    for part in ("a (60); b (30)", "24 genes", "known", "tissue (1)", "dataset=b", "4 of 4 steps"):
        assert part in text
    made.about["genes of"] = ["far.h5ad"]
    assert "24 genes, those alone that far.h5ad has too." in card(made, history, store())
    made.save(tmp_path)
    document = json.loads((tmp_path / "gene_tokens.json").read_text("utf-8"))
    assert document["about"]["cells"] == 60 and document["about"]["hold_out"] == "dataset=b"


def test_unknown_labels_train_genes_but_no_type() -> None:
    """With two thirds unlabelled it runs; with all, there is nothing to be told."""
    made, history = train(store(unknown=60), TREE, config(3), [CHANNEL])
    assert np.isfinite(history.loss) and set(made.model.labels.types) <= set(KINDS)
    with pytest.raises(BadInput, match="no cell to train on has a cell type"):
        train(store(unknown=90), TREE, config(3), [CHANNEL])


@pytest.mark.parametrize(
    "name", ["genes", "levels", "inter", "intra", "regular", "labels", "independence"]
)
def test_every_loss_is_on_or_off(name: str) -> None:
    """One loss alone moves the network; with all at nothing there is no loss."""
    off = dict.fromkeys(Weights.__dataclass_fields__, 0.0)
    _, history = train(store(), TREE, config(1, weights=Weights(**{**off, name: 1.0})), [CHANNEL])
    assert history.loss > 0
    _, nothing = train(store(), TREE, config(1, weights=Weights(**off)), [CHANNEL])
    assert nothing.loss == 0.0


def test_without_channels_and_with_padding_only_cells() -> None:
    values, types = cells()
    empty = sp.csr_array(np.zeros((2, 24), dtype=np.float32))
    some = of_datasets([("a", values, GENES, types), ("b", empty, GENES, ["X:B", "X:T"])])
    made, history = train(some, TREE, config(3), [])
    assert np.isfinite(history.loss)
    assert np.isfinite(made.encode(empty, GENES)).all()
    assert "X:T" in made.model.labels.types and "X:T" not in made.leaves


def test_what_cannot_be_is_refused() -> None:
    for bad in ({"channels": ("spam",)}, {"hide": 1.0}, {"each": 0}, {"control": "shuffled"}):
        with pytest.raises(BadInput, match="expected channels"):
            config(1, **bad)  # type: ignore[arg-type]


def _panel(path: Path, genes: list[str]) -> Path:
    """A file with one cell of a few genes."""
    anndata = pytest.importorskip("anndata")
    pandas = pytest.importorskip("pandas")
    counts = sp.csr_matrix(np.ones((1, len(genes)), dtype=np.float32))
    anndata.AnnData(counts, var=pandas.DataFrame(index=genes)).write_h5ad(path)
    return path


@pytest.mark.assets
def test_the_genes_of_several_files_are_those_that_all_have(tmp_path: Path) -> None:
    from agent.cli.train_gene_tokens import _enough, _genes_of

    named = ["CD3D", "CD3E", "LYZ", "MS4A1", "NKG7"]
    one = _panel(tmp_path / "one.h5ad", named)
    two = _panel(tmp_path / "two.h5ad", [*named[1:], "PPBP"])
    assert _genes_of([]) is None
    assert _genes_of([one]) == set(named)
    assert _genes_of([one, two]) == set(named[1:])
    with pytest.raises(BadInput, match=r"one\.h5ad and two\.h5ad share 4 genes; expected 50"):
        _enough(named[1:], [one, two])
    _enough(["g"] * 50, [one])


@pytest.mark.assets
@pytest.mark.slow
def test_the_command_trains_a_folder_that_is_found(tmp_path: Path) -> None:
    from agent.cli.main import run
    from data import sources
    from encoders.registry import find, problems

    file = str(sources.path("pbmc68k"))
    folder = str(tmp_path / "mine")
    arguments = ["--quiet", "train", "encoder", "--recipe", "gene-tokens", "--cells", file,
                 "--label", "bulk_labels", "-o", folder, "--steps", "3", "--tokens", "16",
                 "--property", "phase", "--without", "factors"]  # fmt: skip
    assert run(arguments) == 0
    assert problems(find(folder)) == []
    assert (tmp_path / "mine" / "card.md").is_file()
    assert run([*arguments[:-1], "spam"]) == 2
    few = str(_panel(tmp_path / "few.h5ad", ["CD3D", "CD3E", "LYZ", "MS4A1", "NKG7"]))
    assert run([*arguments, "--genes-of", few]) == 2
    mine = ["-o", str(tmp_path / "same")]
    assert run([*arguments, *mine, "--genes-of", file]) == 0
    assert "those alone that" in (tmp_path / "same" / "card.md").read_text("utf-8")
