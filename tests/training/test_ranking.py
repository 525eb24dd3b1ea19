"""Ranks, areas and gaps, worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import BadInput
from kg.backoff import Hierarchy
from training.evaluate.ranking import Ranking, auroc, gap, paired, ranks

HIERARCHY = Hierarchy.make(
    {"r": "r", "a": "ra", "b": "ra" + "b", "c": "rc"}, {i: i for i in "rabc"}
)
SCORES = np.array([[3.0, 2.0, 1.0], [1.0, 3.0, 2.0], [1.0, 1.0, 1.0], [0.0, 5.0, 4.0]])


def test_ranks_and_ties() -> None:
    """A tie counts against the right one: no method gains by saying the same of everything."""
    assert ranks(SCORES, np.array([0, 2, 0, 2])).tolist() == [1, 2, 3, 2]


def test_area_under_the_curve_by_hand() -> None:
    """Candidate 0: 3 and 1 against 1 and 0: 3 of 4 pairs, one of them a tie, counted half."""
    first = (1 + 1 + 0.5 + 1) / 4
    # Candidate 2 of items 1 and 3: 2 and 4 against 1 and 1.
    assert auroc(SCORES, np.array([0, 2, 0, 2])) == pytest.approx((first + 1.0) / 2)
    assert np.isnan(auroc(SCORES, np.array([1, 1, 1, 1])))


def test_a_ranking_by_hand() -> None:
    found = Ranking.of(SCORES, ("a", "b", "c"), ("a", "c", "a", "b"), HIERARCHY)
    # Said: a, b, a (a tie, the first), b. Of the ranks 1, 2, 3, 1 two are first.
    assert (found.r1, found.r5) == (0.5, 1.0)
    # a: 2 of 2; b: one right of two said; c: none.
    assert found.macro_f1 == pytest.approx((1 + 2 / 3 + 0) / 3)
    # b for c meets in the root: 0.
    assert found.lin == pytest.approx(3 / 4)
    assert found.right.tolist() == [True, False, False, True]
    with pytest.raises(BadInput, match="x is true of some cells"):
        Ranking.of(SCORES, ("a", "b", "c"), ("a", "x", "a", "b"), HIERARCHY)


def test_the_same_five_of_every_item_find_as_much_as_types_of_them_are_true() -> None:
    """Six types, the first five always named; eight of ten items are a, one is e and one f."""
    tree = Hierarchy.make({i: i for i in "abcdef"}, {i: i for i in "abcdef"})
    found = Ranking.of(np.tile(np.arange(6.0)[::-1], (10, 1)), "abcdef", "a" * 8 + "ef", tree)
    assert found.r5 == pytest.approx(0.9)
    assert found.balanced_r5 == pytest.approx(2 / 3)
    assert found.balanced_r1 == pytest.approx(1 / 3)
    assert found.figures()["balanced R@5"] == found.balanced_r5


def test_paired_differences() -> None:
    one, other = np.array([1, 1, 1, 0], dtype=bool), np.array([0, 1, 0, 0], dtype=bool)
    mean, error = paired(one, other)
    assert mean == 0.5
    assert error == pytest.approx(np.std([1, 0, 1, 0], ddof=1) / 2)


def test_a_gap_by_hand() -> None:
    cells = np.array([[2.0, 0.0], [0.0, 3.0]])
    assert gap(cells, cells).distance == 0.0
    assert gap(cells, cells).cell_to_text == (1.0, 1.0)
    other = gap(cells, -cells[::-1])
    assert other.distance == pytest.approx(np.sqrt(2))
    assert gap(cells, np.array([[1.0, 0.1], [1.0, 0.0]])).cell_to_text[0] == 0.0
