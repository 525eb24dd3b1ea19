"""Probabilities summed up the ontology, and the deepest term that they support."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from data.errors import BadInput, UnknownTerm
from kg.backoff import UNKNOWN, Hierarchy, decide, novelty

#        cell
#        /  \
#      leuk  epi
#      /  \
#     T    B
#    / \
#  CD4  CD8
PARENTS = {
    "CL:cell": [], "CL:leuk": ["CL:cell"], "CL:epi": ["CL:cell"], "CL:T": ["CL:leuk"],
    "CL:B": ["CL:leuk"], "CL:CD4": ["CL:T"], "CL:CD8": ["CL:T"],
}  # fmt: skip


def _closed(parents: dict[str, list[str]]) -> dict[str, set[str]]:
    above: dict[str, set[str]] = {}
    for term, some in parents.items():
        above[term] = {term}.union(*(above[p] for p in some))
    return above


@pytest.fixture
def tree() -> Hierarchy:
    return Hierarchy.make(_closed(PARENTS), {"CL:T": "T cell"})


LEAVES = ("CL:B", "CL:CD4", "CL:CD8", "CL:epi")


def _answer(tree: Hierarchy, row: list[float], threshold: float, **kw: object) -> str | None:
    chances = np.array([row], dtype=np.float32)
    term = decide(chances, LEAVES, tree, threshold=threshold, **kw).term[0]  # type: ignore[arg-type]
    return None if term == UNKNOWN else tree.ids[term]


def test_the_hierarchy_by_hand(tree: Hierarchy) -> None:
    assert tree.ids == ("CL:B", "CL:CD4", "CL:CD8", "CL:T", "CL:cell", "CL:epi", "CL:leuk")
    assert tree.labels[3] == "T cell" and tree.labels[0] == "CL:B"
    assert tree.depth.tolist() == [2, 3, 3, 2, 0, 1, 1]
    assert tree.ancestors("CL:CD4") == {"CL:CD4", "CL:T", "CL:leuk", "CL:cell"}
    assert set(tree.below("CL:T")) == {"CL:T", "CL:CD4", "CL:CD8"}
    np.testing.assert_allclose(tree.content[tree.index("CL:T")], np.log(7 / 3))
    assert tree.content[tree.index("CL:cell")] == 0
    assert [tree.ids[p] for p in tree.parents[tree.index("CL:CD8")]] == ["CL:T"]


def test_sums_by_hand(tree: Hierarchy) -> None:
    chances = np.array([[0.1, 0.3, 0.4, 0.2]], dtype=np.float32)
    sums = dict(zip(tree.ids, tree.sum_up(chances, LEAVES)[0], strict=True))
    assert sums["CL:T"] == pytest.approx(0.7)
    assert sums["CL:leuk"] == pytest.approx(0.8)
    assert sums["CL:cell"] == pytest.approx(1.0)
    assert sums["CL:CD8"] == pytest.approx(0.4)


@pytest.mark.parametrize(
    ("row", "threshold", "expected"),
    [
        ([0.1, 0.3, 0.4, 0.2], 0.5, "CL:T"),  # neither subtype is sure, their parent is
        ([0.1, 0.3, 0.4, 0.2], 0.75, "CL:leuk"),
        ([0.0, 0.1, 0.9, 0.0], 0.5, "CL:CD8"),
        ([0.0, 0.5, 0.5, 0.0], 0.5, "CL:CD4"),  # as deep and as informative: first by id
        ([0.2, 0.1, 0.1, 0.0], 0.5, None),  # the rest is "none of them"
        ([0.25, 0.25, 0.25, 0.25], 0.9, "CL:cell"),
    ],
)
def test_the_deepest_supported_term(
    tree: Hierarchy, row: list[float], threshold: float, expected: str | None
) -> None:
    assert _answer(tree, row, threshold) == expected


def test_blocked_terms_pass_their_probability_up(tree: Hierarchy) -> None:
    assert _answer(tree, [0.1, 0.3, 0.4, 0.2], 0.5, never={"CL:T", "CL:not-there"}) == "CL:leuk"


def test_confidence_and_leaf(tree: Hierarchy) -> None:
    chances = np.array([[0.1, 0.3, 0.4, 0.2], [0.1, 0.1, 0.0, 0.0]], dtype=np.float32)
    found = decide(chances, LEAVES, tree, threshold=0.5)
    assert found.confidence.tolist() == pytest.approx([0.7, 0.2])
    assert [tree.ids[i] for i in found.leaf] == ["CL:CD8", "CL:B"]
    assert found.leaf_confidence.tolist() == pytest.approx([0.4, 0.1])


@pytest.mark.parametrize("threshold", [0.0, 1.5, -1.0])
def test_thresholds_outside_0_1_are_refused(tree: Hierarchy, threshold: float) -> None:
    with pytest.raises(BadInput, match="expected more than 0"):
        _answer(tree, [1, 0, 0, 0], threshold)


def test_unknown_terms_and_widths_are_refused(tree: Hierarchy) -> None:
    with pytest.raises(UnknownTerm, match="CL:X"):
        tree.index("CL:X")
    with pytest.raises(BadInput, match="columns"):
        tree.sum_up(np.zeros((1, 2), np.float32), LEAVES)


def test_novelty_says_where_the_known_types_end(tree: Hierarchy) -> None:
    row = np.array([0.02, 0.42, 0.46, 0.1], dtype=np.float32)
    assert novelty(row, LEAVES, tree, tree.index("CL:T")) is None  # .46 of .88 stands out
    even = np.array([0.0, 0.3, 0.3, 0.0], dtype=np.float32)
    new = novelty(even, LEAVES, tree, tree.index("CL:T"), share=0.6)
    assert new is not None and new.nearest == "CL:CD4" and new.share == pytest.approx(0.5)
    assert novelty(even, LEAVES, tree, tree.index("CL:CD4")) is None  # nothing below it
    assert novelty(even, LEAVES, tree, UNKNOWN) is None


@given(
    arrays(np.float32, (4, 4), elements=st.floats(0, 1, width=32)),
    st.floats(0.05, 1.0),
    st.permutations(range(4)),
)
def test_properties_of_a_decision(raw: np.ndarray, threshold: float, order: list[int]) -> None:
    tree = Hierarchy.make(_closed(PARENTS), {})
    chances = (raw / np.maximum(raw.sum(axis=1, keepdims=True), 1)).astype(np.float32)
    found = decide(chances, LEAVES, tree, threshold=threshold)
    sums = tree.sum_up(chances, LEAVES)
    for i, term in enumerate(found.term):
        reached = [j for j in range(len(tree)) if sums[i, j] >= threshold - 1e-6]
        if term == UNKNOWN:
            assert not reached
        else:
            assert term in reached
            assert tree.depth[term] == max(tree.depth[j] for j in reached)
    shuffled = decide(chances[:, order], tuple(LEAVES[k] for k in order), tree, threshold=threshold)
    np.testing.assert_array_equal(found.term, shuffled.term)
    rows = decide(chances[::-1], LEAVES, tree, threshold=threshold)
    np.testing.assert_array_equal(found.term, rows.term[::-1])
