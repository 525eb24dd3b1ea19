"""Metrics, each worked by hand on a small tree."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from kg.backoff import Hierarchy
from training.evaluate import metrics

# 0 - L - T - {4, 8};  L - B;  0 - E
TREE = Hierarchy.make(
    {
        "CL:0": {"CL:0"}, "CL:L": {"CL:0", "CL:L"}, "CL:T": {"CL:0", "CL:L", "CL:T"},
        "CL:4": {"CL:0", "CL:L", "CL:T", "CL:4"}, "CL:8": {"CL:0", "CL:L", "CL:T", "CL:8"},
        "CL:B": {"CL:0", "CL:L", "CL:B"}, "CL:E": {"CL:0", "CL:E"},
    },
    {},
)  # fmt: skip
TRUTH = ["CL:T", "CL:T", "CL:B", "CL:E"]
SAID = ["CL:T", "CL:4", "CL:L", None]


def test_exact_figures() -> None:
    assert metrics.accuracy(TRUTH, SAID) == 0.25
    # T: 2*1/(1+2) = 2/3; B: 0; E: 0.
    assert metrics.macro_f1(TRUTH, SAID) == pytest.approx(2 / 9)
    assert metrics.sctab(TRUTH, SAID, TREE) == 0.5
    assert metrics.along_the_line(TRUTH, SAID, TREE).tolist() == [True, True, True, False]


def test_hierarchical_figures() -> None:
    found = metrics.hierarchical(TRUTH, SAID, TREE)
    # Ancestors below the root: T {L,T}, 4 {L,T,4}, L {L}, B {L,B}, E {E}.
    assert found.precision == pytest.approx((1 + 2 / 3 + 1 + 0) / 4)
    assert found.recall == pytest.approx((1 + 1 + 1 / 2 + 0) / 4)
    assert found.f == pytest.approx((1 + 4 / 5 + 2 / 3 + 0) / 4)


def test_distances_and_similarities() -> None:
    # T-T 0, 4-T 1, L-B 1; E abstained: one step to the root.
    assert metrics.lca_distance(TRUTH, SAID, TREE) == pytest.approx((0 + 1 + 1 + 1) / 4)
    ic = {1: np.log(7), 3: np.log(7 / 3), 5: np.log(7 / 5)}
    expected = (1 + 2 * ic[3] / (ic[3] + ic[1]) + 2 * ic[5] / (ic[5] + ic[1]) + 0) / 4
    assert metrics.lin(TRUTH, SAID, TREE) == pytest.approx(expected)
    assert metrics.lin(["CL:0"], ["CL:0"], TREE) == 1


@pytest.mark.parametrize(
    ("truth", "said", "score"),
    [("CL:4", "CL:4", 1), ("CL:4", "CL:T", 0.5), ("CL:4", "CL:L", 0.5), ("CL:4", "CL:0", 0),
     ("CL:L", "CL:4", 0.5), ("CL:4", "CL:8", 0), ("CL:4", None, 0)],
)  # fmt: skip
def test_within_two_steps(truth: str, said: str | None, score: float) -> None:
    assert metrics.within_two_steps([truth], [said], TREE) == score


def test_calibration_error_by_hand() -> None:
    confidence = [0.9, 0.9, 0.1, 0.1]
    right = [True, False, False, False]
    assert metrics.expected_calibration_error(confidence, right) == pytest.approx(
        0.5 * 0.4 + 0.5 * 0.1
    )
    assert metrics.expected_calibration_error([1.0, 1.0], [True, True]) == 0


def test_risk_coverage_by_hand_and_with_ties() -> None:
    coverage, risk = metrics.risk_coverage([0.9, 0.8, 0.7], [True, False, True])
    np.testing.assert_allclose(coverage, [1 / 3, 2 / 3, 1])
    np.testing.assert_allclose(risk, [0, 1 / 2, 1 / 3])
    assert metrics.aurc([0.9, 0.8, 0.7], [True, False, True]) == pytest.approx(5 / 18)
    # A constant confidence knows nothing: its area is the error rate, in any order.
    assert metrics.aurc([0.5] * 4, [True, False, False, False]) == pytest.approx(0.75)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1, max_size=40), st.randoms())
def test_aurc_does_not_depend_on_order(rows: list[tuple[float, bool]], random: object) -> None:
    shuffled = list(rows)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    values = [metrics.aurc(*zip(*some, strict=True)) for some in (rows, shuffled)]
    assert values[0] == pytest.approx(values[1])


def test_sizes_that_do_not_match_are_refused() -> None:
    with pytest.raises(BadInput, match="3 answers were given for 4"):
        metrics.accuracy(TRUTH, SAID[:3])
    with pytest.raises(BadInput, match="at least one"):
        metrics.macro_f1([], [])
