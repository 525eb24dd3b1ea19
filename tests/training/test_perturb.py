"""GEARS here: graphs, forward pass, losses, training, storing; splits that are never empty."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import get_args

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import BadInput
from encoders.perturbation.gears import Gears, GearsConfig, Network, mixture
from encoders.perturbation.genes import GeneSpace
from encoders.perturbation.graphs import Nodes, coexpression, normalised
from encoders.perturbation.models import training_of
from encoders.perturbation.screen import Screen
from encoders.perturbation.store import Stored, load_stored, save_stored
from encoders.prediction import Measured
from training.loop import LoopConfig
from training.perturb.data import Cells, Part, folds, split
from training.perturb.train import (
    PerturbConfig,
    _counted,
    _trivial,
    change_loss,
    held_out,
    train,
    trained,
    uncertainty_loss,
)

pytestmark = pytest.mark.models
GENES = tuple(f"G{i}" for i in range(6))


def config(**changes: object) -> PerturbConfig:
    base = {
        "cells": 4, "bag": 4, "network": GearsConfig(width=8),
        "loop": LoopConfig(steps=60, learning_rate=0.02, warmup=0.0, threads=1),
    }  # fmt: skip
    return PerturbConfig(**{**base, **changes})  # type: ignore[arg-type]


def simulated(seed: int = 0) -> tuple[Cells, Nodes]:
    """Six knock-outs of 30 cells, of which the first three and the last three do the same."""
    rng = np.random.default_rng(seed)
    control = rng.uniform(1, 3, 20)
    effect = rng.standard_normal((2, 20))
    changes = np.repeat(effect, 3, axis=0)
    rows = np.repeat(np.arange(-1, 6), 30)
    means = np.vstack([control, control + changes])
    values = (means[rows + 1] + 0.1 * rng.standard_normal((len(rows), 20))).astype(np.float32)
    measured = np.array([values[rows == i].mean(axis=0) for i in range(-1, 6)], dtype=float)
    screen = Screen(
        tuple(f"M{i}" for i in range(20)), tuple((g,) for g in GENES), GENES,
        measured[1:] - measured[0], np.full((6, 20), 0.02), np.full(6, 30), measured[0], 30,
        source="simulated",
    )  # fmt: skip
    weights = np.kron(np.eye(2), np.ones((3, 3))) - np.eye(6)
    nodes = Nodes(GENES, tuple(f"HGNC:{i}" for i in range(6)), weights.astype(np.float32))
    return Cells(screen, values, rows), nodes


# --- graphs --------------------------------------------------------------------------------------


def test_genes_expressed_together_are_joined() -> None:
    rng = np.random.default_rng(1)
    one = rng.standard_normal(200)
    values = np.column_stack([one, -one + 0.1 * rng.standard_normal(200), rng.standard_normal(200)])
    found = coexpression(values)
    assert found[0, 1] > 0.9
    assert found[0, 2] == found[2, 1] == 0
    assert np.diag(found).tolist() == [0, 0, 0]
    assert (coexpression(rng.standard_normal((9, 40)), k=3) > 0).sum(axis=1).max() <= 3


@given(st.integers(1, 6), st.integers(0, 99))
def test_rows_are_normalised_as_by_kipf_and_welling(n: int, seed: int) -> None:
    weights = np.abs(np.random.default_rng(seed).standard_normal((n, n))).astype(np.float32)
    np.fill_diagonal(weights, 0)
    looped = weights + np.eye(n)
    root = np.diag(looped.sum(axis=1) ** -0.5)
    assert normalised(weights) == pytest.approx(root @ looped @ root, rel=1e-5)


def test_an_unseen_gene_stands_where_its_neighbours_stand() -> None:
    _, nodes = simulated()
    mixed, count = mixture([("G0",), ("G0", "G3")], nodes, GENES[1:])
    assert mixed[0, 0] == 0  # nothing has trained its own embedding
    assert (mixed[0, 1:3] > 0).all()
    assert mixed[0, 3:].tolist() == [0, 0, 0]
    assert count.tolist() == [1, 2]
    seen, _ = mixture([("G0",)], nodes, GENES)
    assert seen[0].numpy() == pytest.approx(normalised(nodes.weights)[0])


# --- network and losses --------------------------------------------------------------------------


def test_forward_gives_a_change_a_gene_and_none_of_it_reads_the_cell() -> None:
    torch.manual_seed(0)
    model = Gears(GearsConfig(width=8), np.zeros((20, 20), np.float32), 6).eval()
    _, nodes = simulated()
    mixed, count = mixture([("G0",), ("G3",), ()], nodes, GENES)
    change, spread = model(mixed, count)
    assert change.shape == spread.shape == (3, 20)
    assert not torch.equal(change[0], change[1])
    for rows in model.perturbed.weight, model.gene.weight:
        assert rows.requires_grad


def test_control_cells_get_no_perturbation() -> None:
    torch.manual_seed(0)
    model = Gears(GearsConfig(width=8), np.zeros((20, 20), np.float32), 6).eval()
    none = torch.zeros(1, 6)
    one, _ = model(none, torch.zeros(1))
    with torch.no_grad():
        model.perturbed.weight.add_(1)
        model.node_convolution.bias.add_(1)
    other, _ = model(none, torch.zeros(1))
    assert torch.equal(one, other)


def test_the_change_loss_by_hand() -> None:
    predicted = torch.tensor([[[1.0, 0.0]]])
    cells = torch.tensor([[[3.0, 5.0]]])
    counted = torch.tensor([[1.0, 0.0]])
    plain = config(direction=0.0)
    assert change_loss(predicted, cells, torch.zeros(2), counted, plain).item() == pytest.approx(16)
    # Far from the control on either side, a softened sign is a sign: (1 - -1)^2 is added.
    signed = change_loss(predicted, cells, torch.tensor([2.0, 0.0]), counted, config(direction=0.1))
    assert signed.item() == pytest.approx(16.4)


def test_the_direction_loss_has_a_gradient() -> None:
    """The published one takes the sign, whose gradient is nought everywhere."""
    predicted = torch.tensor([[[0.05]]], requires_grad=True)
    loss = change_loss(
        predicted, torch.tensor([[[-1.0]]]), torch.zeros(1), torch.ones(1, 1),
        config(direction=1.0, gamma=200.0),
    )  # fmt: skip
    loss.backward()  # type: ignore[no-untyped-call]
    assert predicted.grad is not None
    assert predicted.grad.item() > 0


@settings(max_examples=20, deadline=None)
@given(st.floats(0.2, 3.0))
def test_the_log_variance_is_bounded_and_right_at_its_best(error: float) -> None:
    """exp(-s) d^4 + s is least at s = log d^4; without + s it falls without end."""
    predicted, cells = torch.zeros(1, 1, 1), torch.full((1, 1, 1), error)
    best = 4 * np.log(error)

    def loss(s: float) -> float:
        at = torch.full((1, 1), s)
        return uncertainty_loss(predicted, at, cells, torch.ones(1, 1), config()).item()

    assert loss(best) < loss(best + 0.3)
    assert loss(best) < loss(best - 0.3)
    assert loss(50.0) > loss(best)


# --- training ------------------------------------------------------------------------------------


def test_training_learns_what_a_left_out_gene_does_from_its_neighbours() -> None:
    cells, nodes = simulated()
    found = held_out(cells, nodes, [([1, 2, 3, 4, 5], [0])], config())
    change, expected = found[0]
    assert np.corrcoef(change, cells.screen.changes[0])[0, 1] > 0.8
    assert (expected > 0).all()


def own_lost(cells: Cells) -> Cells:
    """The same screen, whose panel holds all six perturbed genes; each loses 0.9 of its own."""
    screen = cells.screen
    changes, values = screen.changes.copy(), cells.values.copy()
    for i in range(6):
        changes[i, i] = -0.9 * screen.control[i]
        values[cells.rows == i, i] = 0.1 * screen.control[i]
    named = (*GENES, *screen.genes[6:])
    return replace(cells, screen=replace(screen, genes=named, changes=changes), values=values)


def test_no_loss_looks_at_what_a_knock_out_does_to_its_own_gene() -> None:
    cells, _ = simulated()
    own = own_lost(cells)
    found = _counted(own, [-1, *range(6)])
    assert found[0].tolist() == [1] * 20
    assert (found[1:] == 1 - np.eye(6, 20)).all()
    assert _counted(cells, [2]).tolist() == [[1] * 20]  # its gene is not on this panel
    # Nor does the mean profile that it is measured beside.
    trivial = _trivial(training_of(own.screen, GeneSpace.bare(GENES)), [([1, 2, 3], [0])])
    others = own.screen.changes[[2, 3], 1].mean()
    assert trivial[0][1] == pytest.approx(others)


def test_a_left_out_gene_loses_the_share_that_others_lost() -> None:
    cells, nodes = simulated()
    short = config(loop=LoopConfig(steps=2, learning_rate=0.01, warmup=0.0, threads=1))
    own = own_lost(cells)
    change, _ = held_out(own, nodes, [([1, 2, 3, 4, 5], [0])], short)[0]
    assert change[0] == pytest.approx(-0.9 * own.screen.control[0])


def test_training_is_the_same_each_time() -> None:
    cells, nodes = simulated()
    short = config(loop=LoopConfig(steps=5, learning_rate=0.01, warmup=0.0, threads=1))
    one, _ = train(cells, nodes, short)
    other, _ = train(cells, nodes, short)
    assert (one.predict(("G0",))[0] == other.predict(("G0",))[0]).all()


def test_a_trained_model_is_read_back_as_it_was(tmp_path: Path) -> None:
    cells, nodes = simulated()
    short = config(loop=LoopConfig(steps=5, learning_rate=0.01, warmup=0.0, threads=1))
    made = trained(cells, nodes, short, parts=2)
    assert made.measured is not None
    assert made.measured.n == 6
    save_stored(tmp_path / "model", made)
    back = load_stored(tmp_path / "model")
    assert back.network is not None
    assert made.network is not None
    assert (back.network.predict(("G1",))[0] == made.network.predict(("G1",))[0]).all()
    assert back.measured == made.measured
    assert back.scores == made.scores
    assert back.screen.sets == cells.screen.sets
    assert (back.screen.changes == cells.screen.changes).all()


def test_a_network_is_taken_only_where_it_wins_beyond_chance() -> None:
    cells, nodes = simulated()
    model = Gears(GearsConfig(width=8), np.zeros((20, 20), np.float32), 6)
    scores: dict[tuple[str, ...], float] = {(g,): 0.5 + 0.01 * i for i, g in enumerate(GENES)}
    measured = Measured("delta-Pearson", 0.5, "mean profile", 0.3, "simulated", 6)
    made = Stored(cells.screen, Network(model, nodes, GENES), measured, scores)
    assert made.beats(dict.fromkeys(scores, 0.3))
    assert not made.beats(dict.fromkeys(scores, 0.52))
    assert not made.beats({("G0",): 0.1})  # too few to tell
    assert not Stored(cells.screen).beats(dict.fromkeys(scores, 0.0))


# --- splits --------------------------------------------------------------------------------------

SETS = st.lists(
    st.sets(st.sampled_from("ABCDEFGHIJ"), min_size=1, max_size=2).map(lambda s: tuple(sorted(s))),
    min_size=1, max_size=20, unique=True,
)  # fmt: skip


@given(SETS, st.integers(2, 6), st.integers(0, 9))
def test_folds_share_no_gene_and_are_never_empty(
    sets: list[tuple[str, ...]], n: int, seed: int
) -> None:
    try:
        parts = folds(sets, n, seed)
    except BadInput:
        return
    tested = [row for _, test in parts for row in test]
    assert sorted(tested) == [i for i, some in enumerate(sets) if len(some) == 1]
    for own, test in parts:
        assert own
        assert test
        assert not {g for i in own for g in sets[i]} & {g for i in test for g in sets[i]}


@given(SETS, st.integers(0, 9), st.sets(st.sampled_from(get_args(Part))))
def test_a_split_is_whole_or_refused(
    sets: list[tuple[str, ...]], seed: int, need: set[Part]
) -> None:
    try:
        parts = split(sets, seed=seed, need=sorted(need))
    except BadInput as error:
        assert "empty" in str(error)
        return
    assert sorted(i for some in parts.values() for i in some) == list(range(len(sets)))
    assert all(parts[name] for name in need)
    seen = {g for i in parts["train"] for g in sets[i]}
    assert all(sets[i][0] not in seen for i in parts["unseen_single"])
    assert all(not set(sets[i]) & seen for i in parts["combo_seen0"])


def test_an_empty_part_is_named() -> None:
    with pytest.raises(BadInput, match=r"leaves combo_seen2 empty \(train 2"):
        split([("A",), ("B",), ("C",)], share=0.67, need=("train", "combo_seen2"))
