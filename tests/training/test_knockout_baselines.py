"""Rankings of knocked-out genes and their errors, by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from data.errors import BadInput
from training.knockout.baselines import (
    Ranked,
    Repeated,
    centroids,
    joined,
    largest,
    regression,
)


def labels(*names: str):  # type: ignore[no-untyped-def]
    return np.array(names, object)


RANKED = Ranked(
    ("A", "B", "C"),
    np.array([[3.0, 2.0, 1.0], [3.0, 2.0, 1.0], [1.0, 1.0, 0.0]]),
    labels("A", "C", "B"),
    labels("g1", "g1", "g2"),
)


def test_ranks_and_figures() -> None:
    assert RANKED.ranks().tolist() == [1, 3, 1.5]  # equal scores share their places
    assert RANKED.figure("top-1")[0] == pytest.approx(1 / 3)
    assert RANKED.figure("top-5")[0] == 1
    assert RANKED.figure("MRR")[0] == pytest.approx((1 + 1 / 3 + 1 / 1.5) / 3)


def test_errors_count_guides_not_cells() -> None:
    """Ten copies of each input tell nothing more."""
    many = Ranked(RANKED.names, RANKED.scores.repeat(10, 0), RANKED.right.repeat(10),
                  RANKED.groups.repeat(10))  # fmt: skip
    assert many.figure("top-1") == pytest.approx(RANKED.figure("top-1"))
    # Deviations from 1/3 sum to +1/3 in one guide and -1/3 in the other.
    assert RANKED.figure("top-1")[1] == pytest.approx(np.sqrt(2 * 2 * (1 / 3) ** 2) / 3)


def test_a_difference_is_of_the_same_inputs() -> None:
    better = Ranked(RANKED.names, np.eye(3)[[0, 2, 1]], RANKED.right, RANKED.groups)
    assert better.above(RANKED, "top-1")[0] == pytest.approx(2 / 3)
    assert better.above(better, "MRR") == (0, 0)


def test_runs_of_a_method_count_as_their_mean() -> None:
    other = Ranked(RANKED.names, np.eye(3)[[0, 2, 1]], RANKED.right, RANKED.groups)
    both = Repeated((RANKED, other))
    # Right first: of the first run input 1 alone, of the other all three.
    assert both.hits("top-1").tolist() == [1.0, 0.5, 0.5]
    assert both.figure("top-1")[0] == pytest.approx(2 / 3)
    assert both.alike("top-1")[0] == pytest.approx((0.75 + 0.5) / 2)
    assert other.above(both, "top-1")[0] == pytest.approx(1 / 3)
    assert Repeated((RANKED, RANKED)).figure("MRR") == RANKED.figure("MRR")


def test_folds_that_know_different_names_are_joined() -> None:
    other = Ranked(("B", "D"), np.array([[0.0, 1.0]]), labels("D"), labels("g3"))
    both = joined([RANKED, other])
    assert both.names == ("A", "B", "C", "D")
    assert both.ranks().tolist() == [1, 3, 1.5, 1]


def test_baselines() -> None:
    x = np.array([[2, 0], [3, 0.1], [0, 1], [0.1, 2], [4, 0]] * 40, np.float32)
    named = labels(*["A", "A", "B", "B", "A"] * 40)
    asked = np.array([[9, 1], [0, 5]], np.float32)
    right, groups = labels("A", "B"), labels("1", "2")
    assert largest(named, right, groups).ranks().tolist() == [1, 2]
    assert centroids(x, named, asked, right, groups).ranks().tolist() == [1, 1]
    held = np.array([False, True, False, True, False] * 40)
    found, _ = regression(x, named, held, asked, right, groups)
    assert found.ranks().tolist() == [1, 1]


def test_scores_must_fit_their_truths() -> None:
    with pytest.raises(BadInput, match="one for each"):
        Ranked(("A",), np.zeros((2, 1)), labels("A"), labels("g"))
