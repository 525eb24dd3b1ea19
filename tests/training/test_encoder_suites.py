"""The suites of encoders: what the methods name, how types are held out, how scores are read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from training.annotation.data import Dataset
from training.evaluate.cells import auroc
from training.evaluate.encoders import METHODS, _across, _within, encoders
from training.evaluate.typenovelty import SHARES, draws, named

GENES = tuple(f"g{i}" for i in range(30))
TYPES = ("CL:0000236", "CL:0000623", "CL:0000576")


def dataset(seed: int, name: str = "made", n: int = 40) -> Dataset:
    rng = np.random.default_rng(seed)
    truth = tuple(one for one in TYPES for _ in range(n))
    mean = np.full((len(truth), 30), 0.2)
    for i, one in enumerate(truth):
        mean[i, 8 * TYPES.index(one) : 8 * TYPES.index(one) + 8] = 3.0
    values = sp.csr_matrix(np.log1p(rng.poisson(mean)).astype(np.float32))
    return Dataset(name, GENES, values, truth, truth)


@pytest.mark.parametrize("method", ["PCA-50 + LR", "PCA-50 + kNN", "variable genes + LR"])
def test_a_method_names_another_dataset_and_the_folds_of_its_own(method):
    across = _across(METHODS[method], dataset(0), dataset(1), 0)
    assert across["coarse accuracy"] > 0.95 and across["fine macro-F1"] > 0.95
    within = _within(METHODS[method], dataset(0), 0)
    assert within["fine accuracy"] > 0.95 and set(within) == {"fine accuracy", "fine macro-F1"}


def test_labels_that_say_nothing_give_chance():
    one = dataset(0)
    shuffled = tuple(np.random.default_rng(0).permutation(np.array(one.truth)).tolist())
    lost = Dataset(one.name, one.genes, one.values, shuffled, shuffled)
    assert _across(METHODS["PCA-50 + LR"], lost, dataset(1), 0)["fine accuracy"] < 0.6
    assert _across(METHODS["majority"], one, dataset(1), 0)["fine accuracy"] == 1 / 3


@pytest.mark.shared
@pytest.mark.assets
def test_a_file_of_runs_is_gone_on_with(shared_data, tmp_path):
    out = tmp_path / "runs.jsonl"
    first = encoders(shared_data, ["majority"], out)
    lines = out.read_text().splitlines()
    assert {json.loads(line)["where"] for line in lines} == {
        "pbmc68k to pbmc3k", "pbmc3k to pbmc68k", "within pbmc68k", "within pbmc3k"
    }  # fmt: skip
    assert encoders(shared_data, ["majority"], out).baselines == first.baselines
    assert out.read_text().splitlines() == lines
    figure = "within pbmc3k: fine accuracy"
    assert first.baselines["majority"][figure].value == 697 / 2638
    # Cut after a fold: that one is not made again, the others are.
    last = [json.loads(line) for line in lines[-6:]]
    assert [row.get("fold") for row in last] == [0, 1, 2, 3, 4, None]
    other = last[0] | {"said": ["CL:0000236"] * len(last[0]["said"])}
    out.write_text("\n".join([*lines[:-6], json.dumps(other)]) + "\n")
    again = encoders(shared_data, ["majority"], out)
    assert out.read_text().splitlines()[-5:-1] == lines[-5:-1]
    assert again.baselines["majority"][figure].value != first.baselines["majority"][figure].value


def test_the_candidate_that_orders_the_known_types_alike_is_named():
    close = np.array([[0.9, 0.5, 0.1], [0.1, 0.5, 0.9]])  # of two candidates to three known types
    cosines = np.array([[0.3, 0.2, 0.1], [-1.0, 0.0, 0.5], [10.0, 5.0, 4.0]])
    assert named(cosines, close, ["first", "second"]) == ["first", "second", "first"]
    # Spearman: only the order counts.
    assert named(np.exp(9 * cosines), close**3, ["first", "second"]) == ["first", "second", "first"]


@settings(max_examples=20)
@given(st.integers(0, 10**6))
def test_draws_hold_out_half_of_the_types_and_nest_their_candidates(seed):
    truth = np.array([f"t{i}" for i in range(11) for _ in range(5 + i)] + ["rare"], dtype=object)
    for draw in draws(truth, 3, seed):
        assert len(draw.known) == 6 and "rare" not in draw.known
        quarter, half, whole = (set(draw.novel[share]) for share in SHARES)
        assert quarter <= half <= whole and len(whole) == 5 and len(quarter) == 2
        assert not whole & set(draw.known)


def test_area_under_the_curve_by_hand():
    mine = np.array([True, False, True, False])
    assert auroc(mine, np.array([4.0, 1.0, 2.0, 3.0])) == 0.75
    assert auroc(mine, np.zeros(4)) == 0.5
