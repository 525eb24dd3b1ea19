"""Points in polygons, against the rule applied point by point; the sample that is drawn."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from agent.web.polygons import Plane
from agent.web.sampling import stratified

WHOLE = st.integers(-8, 8)
CORNERS = st.lists(st.tuples(WHOLE, WHOLE), min_size=3, max_size=12)


def naive(x: float, y: float, corners: list[tuple[int, int]]) -> bool:
    odd = False
    for (x0, y0), (x1, y1) in zip(corners, corners[1:] + corners[:1], strict=True):
        if (y0 <= y) != (y1 <= y) and x < x0 + (y - y0) * (x1 - x0) / (y1 - y0):
            odd = not odd
    return odd


@given(
    CORNERS,
    hnp.arrays(
        np.float32, st.tuples(st.integers(0, 60), st.just(2)), elements=st.integers(-36, 36)
    ),
)
def test_even_odd(corners: list[tuple[int, int]], quarters: np.ndarray) -> None:
    xy = (quarters / 4 + 0.1).astype(np.float32)  # on no corner and no level edge
    found = Plane(xy).inside(corners)
    assert found.tolist() == [naive(float(x), float(y), corners) for x, y in xy]


def test_a_star_has_a_hole() -> None:
    angles = np.arange(5) * 4 * np.pi / 5  # a pentagram: its middle is wound twice
    star = np.column_stack([np.cos(angles), np.sin(angles)])
    assert Plane(np.array([[0, 0], [0.8, 0]], dtype=np.float32)).inside(star).tolist() == [
        False,
        True,
    ]


@given(hnp.arrays(np.int64, st.integers(1, 400), elements=st.integers(0, 6)), st.integers(7, 120))
def test_no_group_is_lost(groups: np.ndarray, most: int) -> None:
    drawn = stratified(groups, most)
    assert len(set(drawn.tolist())) == len(drawn) == min(len(groups), len(drawn))
    assert set(groups[drawn].tolist()) == set(groups.tolist())
    assert len(drawn) == len(groups) if len(groups) <= most else most - 7 <= len(drawn) <= most
    np.testing.assert_array_equal(drawn, stratified(groups, most))


def test_small_groups_keep_their_least() -> None:
    groups = np.array([0] * 9_000 + [1] * 900 + [2] * 100)
    counts = np.bincount(groups[stratified(groups, 2_000)])
    assert counts[2] == 100
    assert counts[1] >= 300
    assert counts.sum() >= 1_998


def test_corners_beyond_all_numbers() -> None:
    far = [[1e12, -1e-300], [-1e12, 1e-300], [0, 1e12], [1e-300, -1e12]]
    assert Plane(np.zeros((3, 2), dtype=np.float32)).inside(far).shape == (3,)
