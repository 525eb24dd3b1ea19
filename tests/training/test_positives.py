"""Targets from a small ontology, worked by hand.

::

    r -- a -- b -- c
          \\-- d
"""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from kg.backoff import Hierarchy
from training.positives import Batches, Positives, PositivesConfig, Weight, weights

HIERARCHY = Hierarchy.make(
    {"r": "r", "a": "ra", "b": "rab", "c": "rabc", "d": "rad"}, {i: i for i in "rabcd"}
)
TERMS = ("a", "b", "c", "d")
A, B, C, D = range(4)


def positives(weight: Weight, **more: float) -> Positives:
    return Positives(HIERARCHY, TERMS, PositivesConfig(weight, **more))


def test_lin_by_hand() -> None:
    """IC = ln(5 / at or below): a ln 5/4, b ln 5/2, c and d ln 5."""
    ic = {"a": math.log(5 / 4), "b": math.log(5 / 2), "c": math.log(5), "d": math.log(5)}
    found = weights(HIERARCHY, TERMS, "lin")
    assert np.diag(found) == pytest.approx(1.0)
    assert found[B, C] == pytest.approx(2 * ic["b"] / (ic["b"] + ic["c"]))
    assert found[C, D] == pytest.approx(2 * ic["a"] / (ic["c"] + ic["d"]))
    assert found == pytest.approx(found.T)


def test_pagerank_weights_are_of_the_columns_own_share() -> None:
    """Three terms in a line would be enough; here the definition, pi = (1-d)(I - dP)^-1."""
    ids = HIERARCHY.ids
    step = np.zeros((5, 5))
    for x, y in (("r", "a"), ("a", "b"), ("b", "c"), ("a", "d")):
        i, j = ids.index(x), ids.index(y)
        step[i, j] = step[j, i] = 1
    step /= step.sum(1, keepdims=True)
    pi = 0.1 * np.linalg.inv(np.eye(5) - 0.9 * step)
    at = [ids.index(term) for term in TERMS]
    expected = pi[np.ix_(at, at)] / np.diag(pi)[at]
    assert weights(HIERARCHY, TERMS, "ppr") == pytest.approx(expected)
    found = weights(HIERARCHY, TERMS, "levels")
    level = np.floor(np.log2(pi / 1e-4 + 1))[np.ix_(at, at)] - 1
    own = np.diag(level)
    assert found == pytest.approx(level / own[:, None])


@pytest.mark.parametrize("weight", ["label", "lin", "levels", "ppr"])
def test_rows_are_distributions_and_the_own_label_is_highest(weight: Weight) -> None:
    target, _ = positives(weight).targets(np.arange(4), np.arange(4))
    assert target.sum(1) == pytest.approx(1.0)
    assert (target.argmax(1) == np.arange(4)).all()


def test_identity_is_the_original_arange() -> None:
    cells = np.array([C, C, B])
    target, keep = positives("identity").targets(cells, cells)
    assert target.tolist() == np.eye(3).tolist()
    # b is above c: no negative of it. c is not above b, and another c is a negative, as it was.
    assert keep.tolist() == [[True, True, False], [True, True, False], [True, True, True]]


def test_label_shares_among_the_same() -> None:
    cells = np.array([C, C, D])
    target, keep = positives("label").targets(cells, cells)
    assert target.tolist() == [[0.5, 0.5, 0.0], [0.5, 0.5, 0.0], [0.0, 0.0, 1.0]]
    assert keep.all()


def test_ancestors_are_no_negatives_and_descendants_are() -> None:
    _, keep = positives("label").targets(np.array([C, A]), np.arange(4))
    assert keep.tolist() == [[False, False, True, True], [True, True, True, True]]


def test_graded_by_hand() -> None:
    """Share .5 of lin to the power 1, floor .5: c has itself and b."""
    one = positives("lin", power=1.0, floor=0.5, share=0.5)
    lin = weights(HIERARCHY, TERMS, "lin")
    assert lin[C, B] > 0.5 > lin[C, D]
    target, keep = one.targets(np.array([C]), np.arange(4))
    graded = np.array([0.0, lin[C, B], 1.0, 0.0]) / (1 + lin[C, B])
    assert target[0] == pytest.approx(0.5 * np.array([0, 0, 1, 0]) + 0.5 * graded, abs=1e-6)
    # b, an ancestor with weight, is right in part; a, one without, is not counted.
    assert keep.tolist() == [[False, True, True, True]]


def test_without_its_own_text_the_graded_ones_are_all_there_is() -> None:
    one = positives("lin", power=1.0, floor=0.1, share=0.3)
    target, _ = one.targets(np.array([C]), np.array([B, D]))
    lin = weights(HIERARCHY, TERMS, "lin")
    assert target[0] == pytest.approx(lin[C, [B, D]] / lin[C, [B, D]].sum(), abs=1e-6)
    none, _ = positives("label").targets(np.array([C]), np.array([B, D]))
    assert none.tolist() == [[0.0, 0.0]]


def test_what_cannot_be_is_refused() -> None:
    with pytest.raises(BadInput, match="expected one of identity, label"):
        PositivesConfig("near")  # type: ignore[arg-type]
    with pytest.raises(BadInput, match="expected items"):
        Batches(np.array([], dtype=int))


# --- batches -----------------------------------------------------------------------------------

LABELS = np.array([0] * 90 + [1] * 8 + [2] * 2)


def test_rare_labels_come_as_often_as_common_ones() -> None:
    drawn = [LABELS[Batches(LABELS, size=3)(n)] for n in range(50)]
    assert all(sorted(one) == [0, 1, 2] for one in drawn)
    four = Batches(LABELS, size=6, each=2)(0)
    assert sorted(LABELS[four]) == [0, 0, 1, 1, 2, 2]


def test_more_places_than_labels_draw_some_again() -> None:
    assert len(Batches(LABELS, size=10)(0)) == 10


def test_shares_say_how_often() -> None:
    batches = Batches(LABELS, size=1, share={0: 8.0, 1: 1.0, 2: 1.0})
    drawn = np.concatenate([LABELS[batches(n)] for n in range(600)])
    assert (drawn == 0).mean() == pytest.approx(0.8, abs=0.06)


@given(st.integers(0, 2**31), st.integers(0, 10_000))
def test_a_batch_follows_from_seed_and_number(seed: int, number: int) -> None:
    one, two = Batches(LABELS, 3, seed=seed), Batches(LABELS, 3, seed=seed)
    two(number + 1)
    assert one(number).tolist() == two(number).tolist()
    items = {n: Batches(LABELS, 30, seed=seed)(n).tolist() for n in (number, number + 1)}
    assert items[number] != items[number + 1]
