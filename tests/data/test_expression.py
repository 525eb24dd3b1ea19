"""What a matrix holds, told from values alone: each kind of transform that files really have."""

from __future__ import annotations

import math

import numpy as np
import pytest
import scipy.sparse as sp

from data.expression import Judgement, Scale, judge

RNG = np.random.default_rng(7)
N_CELLS, N_GENES = 120, 300


@pytest.fixture(scope="module")
def counts() -> np.ndarray:
    """Cells of unlike depth over genes of unlike abundance, as real ones are."""
    abundance = RNG.gamma(0.3, 1.0, N_GENES)
    depth = RNG.lognormal(7, 0.5, N_CELLS)
    return RNG.poisson(np.outer(depth, abundance / abundance.sum()))


def found(values: np.ndarray, n_counts: np.ndarray | None = None) -> Judgement:
    return judge(sp.csr_matrix(values.astype(np.float64)), n_counts)


def logs(counts: np.ndarray, target: float = 1e4, base: float = math.e) -> np.ndarray:
    return np.log1p(counts / counts.sum(axis=1, keepdims=True) * target) / math.log(base)


def test_counts(counts: np.ndarray) -> None:
    assert found(counts).kind == "counts"
    assert found(counts).whole
    presence = found(counts > 0)
    assert (presence.kind, presence.notice) == ("counts", "all values are 0 or 1: presence only")


@pytest.mark.parametrize("target", [1e3, 1e4, 1e6, 2345.0])
@pytest.mark.parametrize("base", [math.e, 2.0, 10.0])
def test_log1p_of_all_genes(counts: np.ndarray, target: float, base: float) -> None:
    judged = found(logs(counts, target, base))
    assert (judged.kind, judged.base, judged.equal_sums) == ("log1p", base, True)
    assert judged.total == pytest.approx(target, rel=1e-6)


@pytest.mark.parametrize("dtype", [np.float64, np.float32, np.float16])
@pytest.mark.parametrize("base", [math.e, 2.0, 10.0])
def test_log1p_of_selected_genes(counts: np.ndarray, base: float, dtype: type) -> None:
    """The sums of cells no longer agree; whole multiples remain."""
    values = logs(counts, 1e4, base)[:, 100:].astype(dtype)
    judged = found(values)
    assert (judged.kind, judged.base, judged.total) == ("log1p", base, None)
    assert "normalised before genes were selected" in judged.why
    known = found(values, counts.sum(axis=1).astype(float))
    assert known.total == 1e4
    assert "scaled to 10,000 counts a cell before genes were selected" in known.why
    wrong = found(values, np.full(N_CELLS, 5.0) * np.arange(1, N_CELLS + 1))
    assert wrong.total is None


def test_log1p_rounded_to_three_decimals(counts: np.ndarray) -> None:
    assert found(np.round(logs(counts)[:, 100:], 3)).base == math.e


def test_linear_scales(counts: np.ndarray) -> None:
    linear = np.expm1(logs(counts))
    assert found(linear).kind == "linear"
    assert found(linear[:, 100:]).kind == "linear"
    assert found(linear / 1e4).kind == "linear"  # shares of a cell: so small that log1p is the same
    per_million = found(np.expm1(logs(counts, 1e6)))
    assert per_million.kind == "linear"


def test_scaled(counts: np.ndarray) -> None:
    values = logs(counts)
    scaled = (values - values.mean(axis=0)) / (values.std(axis=0) + 1e-9)
    judged = found(scaled)
    assert judged.kind == "scaled"
    assert "z-scored" in judged.why
    assert found(values / (values.max(axis=0) + 1e-9)).kind == "scaled"
    to_one = values / np.where(values.max(axis=0) > 0, values.max(axis=0), 1)
    assert found(to_one).kind == "scaled"


def test_corrected_counts(counts: np.ndarray) -> None:
    some = counts * np.where(RNG.random(counts.shape) < 0.4, 0.87, 1.0)
    judged = found(some)
    assert (judged.kind, judged.whole) == ("counts", False)
    assert "not all whole" in judged.notice
    all_of_them = found(counts * RNG.uniform(0.5, 1.5, counts.shape) * 20)
    assert (all_of_them.kind, all_of_them.whole) == ("counts", False)


def test_unproven_logs_are_said_to_be_assumed(counts: np.ndarray) -> None:
    smoothed = logs(counts) * RNG.uniform(0.7, 1.0, counts.shape)
    judged = found(smoothed)
    assert judged.kind == "log1p"
    assert "assumed" in judged.notice


def test_nothing_and_no_numbers() -> None:
    assert found(np.zeros((5, 5))).kind == "empty"
    assert judge(sp.csr_matrix((0, 5))).kind == "empty"
    values = np.ones((5, 5))
    values[3, 2] = np.inf
    judged = found(values)
    assert (judged.kind, judged.why, judged.at) == ("broken", "it holds infinity", (3, 2))


def test_linear_values_become_log1p(counts: np.ndarray) -> None:
    expected = logs(counts).astype(np.float32)
    for values in (counts, np.expm1(logs(counts)), counts * 3.7):
        block = sp.csr_matrix(values.astype(np.float64))
        ours = Scale(judge(block), "x").log1p(block, 0).toarray()
        np.testing.assert_allclose(ours, expected, rtol=1e-6)


def test_empty_cells_stay_empty() -> None:
    block = sp.csr_matrix(np.array([[0.0, 0.0], [1.0, 3.0]]))
    ours = Scale(judge(block), "x").log1p(block, 0)
    assert ours[0].nnz == 0
    assert np.isfinite(ours.data).all()
