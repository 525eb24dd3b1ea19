"""The answer nearest to the truth in expectation, by hand, and what must hold of any."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kg.backoff import UNKNOWN, Hierarchy
from kg.nearest import Nearest, agreement, settled

#        R
#      /   \
#     A     B
#   / | \    \
#  C  D  E    F
TREE = Hierarchy.make(
    {"R": "R", "A": "RA", "B": "RB", "C": "RAC", "D": "RAD", "E": "RAE", "F": "RBF"}, {}
)
IDS = ("C", "D", "E", "F")


def rows(*values: tuple[float, ...]) -> np.ndarray:
    return np.array(values, dtype=np.float32)


def chosen(p: np.ndarray, support: np.ndarray | None = None, floor: float = 0.3) -> list[str]:
    found = Nearest(IDS, TREE).choose(p, p if support is None else support, floor)
    return ["unknown" if i == UNKNOWN else TREE.ids[i] for i in found]


def test_agreement_by_hand() -> None:
    found = agreement(("C",), TREE)[0]
    said = {one: found[TREE.index(one)] for one in TREE.ids}
    # without the root: C is {A, C}, A is {A}, D is {A, D}, F is {B, F}
    assert said == pytest.approx({"R": 0, "A": 2 / 3, "B": 0, "C": 1, "D": 0.5, "E": 0.5, "F": 0})


def test_a_sure_type_is_chosen_and_a_split_goes_to_the_parent() -> None:
    assert chosen(rows((0.9, 0, 0, 0), (0.29, 0.29, 0.29, 0), (0, 0, 0, 0))) == [
        "C",
        "A",
        "unknown",
    ]


def test_the_neighbours_decide_among_what_the_cell_allows() -> None:
    own = rows((0.45, 0.4, 0, 0.15))
    assert chosen(own) == ["C"]
    assert chosen(own, rows((0.0, 0.9, 0, 0))) == ["D"]
    assert chosen(own, rows((0.0, 0.0, 0, 0.9))) != ["F"]  # below the floor, whoever says it


def test_what_is_no_answer_is_never_chosen() -> None:
    found = Nearest(IDS, TREE, never=("C", "A", "R")).choose(
        rows((0.9, 0, 0, 0)), rows((1, 0, 0, 0))
    )
    assert found.tolist() == [UNKNOWN]


def test_it_goes_up_its_own_line_until_it_is_sure() -> None:
    nearest = Nearest(IDS, TREE)
    support = rows((0.5, 0.3, 0.1, 0.1), (0.5, 0.3, 0.1, 0.1), (0.2, 0.2, 0.1, 0.1))
    places = TREE.indices(["C", "C", "C"])
    for threshold, terms in ((0.5, "CC."), (0.7, "AA."), (0.95, "RR.")):
        term, sure = settled(nearest, places, support, threshold, lambda c: c)
        said = ["?" if i == UNKNOWN else TREE.ids[i] for i in term]
        assert said[:2] == list(terms[:2])
        assert (sure[term != UNKNOWN] >= threshold).all()
        assert (sure[term == UNKNOWN] == 0).all()
    assert settled(nearest, places, support, 0.95, lambda c: c)[0][2] == UNKNOWN


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**32 - 1), st.floats(0.05, 1), st.floats(0.05, 1))
def test_rows_stand_alone_and_surer_means_higher_on_the_same_line(
    seed: int, a: float, b: float
) -> None:
    rng = np.random.default_rng(seed)
    p = (rng.dirichlet(np.full(5, 0.4), 30)[:, :4]).astype(np.float32)
    nearest = Nearest(IDS, TREE)
    whole = nearest.choose(p, p)
    order = rng.permutation(30)
    np.testing.assert_array_equal(nearest.choose(p[order], p[order]), whole[order])
    np.testing.assert_array_equal(
        np.concatenate([nearest.choose(p[i : i + 1], p[i : i + 1]) for i in range(30)]), whole
    )
    low, high = sorted((a, b))
    loose, strict = (settled(nearest, whole, p, t, lambda c: c)[0] for t in (low, high))
    for first, second in zip(loose, strict, strict=True):
        assert second == UNKNOWN or second in TREE.above[first]
