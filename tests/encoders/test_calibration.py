"""Calibrated confidence: the curve, the shipped weights."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from encoders.celltypes.calibration import WEIGHTS, Calibration, shipped
from training.annotation.calibrate import fit


def test_the_curve_by_hand() -> None:
    same = Calibration(0.0, 1.0)
    np.testing.assert_allclose(same(np.array([0.2, 0.5, 0.9])), [0.2, 0.5, 0.9], atol=1e-6)
    assert Calibration(np.log(3), 0.0)(np.array([0.1]))[0] == pytest.approx(0.75)


@pytest.mark.parametrize("kind", ["cell", "neighbourhood"])
def test_the_shipped_curves_rise_and_stay_within_bounds(kind: str) -> None:
    curve = shipped(kind)  # type: ignore[arg-type]
    values = curve(np.linspace(0, 1, 101))
    assert (np.diff(values) >= 0).all() and values[0] >= 0 and values[-1] <= 1
    assert curve.slope > 0
    assert WEIGHTS.is_file()


@settings(deadline=None)
@given(st.floats(-2, 2), st.floats(0.3, 3), st.integers(0, 5))
def test_a_fit_recovers_the_curve_that_made_the_data(a: float, b: float, seed: int) -> None:
    rng = np.random.default_rng(seed)
    raw = rng.uniform(0.02, 0.98, 6000)
    right = rng.uniform(size=6000) < Calibration(a, b)(raw)
    found = fit([raw], [right])
    np.testing.assert_allclose(found(raw), Calibration(a, b)(raw), atol=0.06)
