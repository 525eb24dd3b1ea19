"""The mean over types: a rare type counts as much as a common one."""

from __future__ import annotations

import pytest

from kg.backoff import Hierarchy
from training.evaluate.rarecells import figures

HIERARCHY = Hierarchy.make(
    {"CL:0": {"CL:0"}, "CL:A": {"CL:0", "CL:A"}, "CL:B": {"CL:0", "CL:B"}}, {}
)


def test_a_lost_rare_type_costs_the_mean_more_than_the_cells() -> None:
    truth = ["CL:A"] * 9 + ["CL:B"]
    over_cells, over_types = figures(truth, ["CL:A"] * 10, HIERARCHY)
    one_wrong = figures(["CL:B"], ["CL:A"], HIERARCHY)[0]
    assert over_types == pytest.approx((1 + one_wrong) / 2)
    assert over_types < over_cells < 1
    assert figures(truth, list(truth), HIERARCHY) == (1, 1)
