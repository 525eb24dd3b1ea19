"""Labels carried over: who is learnt from, probabilities, strangers, what is refused."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from data.errors import BadInput
from encoders.celltypes.transfer import Principal, Transfer, TransferConfig, chosen_cells

RULES = ("logistic", "knn", "both")


def clouds(n: int = 30, types: int = 3, seed: int = 0) -> tuple[np.ndarray, list[str]]:
    """Cells around corners of a cube in eight dimensions."""
    rng = np.random.default_rng(seed)
    centre = np.eye(8)[:types] * 6
    vectors = np.concatenate([rng.normal(centre[i], 0.8, size=(n, 8)) for i in range(types)])
    return vectors.astype(np.float32), [one for one in "ABCDEF"[:types] for _ in range(n)]


@pytest.mark.parametrize("rule", RULES)
def test_new_cells_get_the_label_of_those_they_are_near(rule):
    vectors, labels = clouds()
    made = Transfer.fit(vectors, labels, TransferConfig(rule=rule))
    new, truth = clouds(seed=1)
    chances, strange = made.judged(new)
    assert made.names == ("A", "B", "C")
    np.testing.assert_allclose(chances.sum(axis=1), 1, atol=1e-5)
    assert [made.names[i] for i in chances.argmax(axis=1)] == truth
    assert (strange > made.limit).mean() < 0.15


def test_a_type_that_the_reference_lacks_is_none_of_its_types():
    vectors, labels = clouds(types=5)
    known = np.array([one != "E" for one in labels])
    made = Transfer.fit(vectors[known], [one for one in labels if one != "E"])
    new, truth = clouds(types=5, seed=2)
    strange = made.judged(new)[1] > made.limit
    stranger = np.array(truth) == "E"
    assert strange[stranger].mean() > 0.9
    assert strange[~stranger].mean() < 0.15
    # What is measured on the reference alone, its types left out in turn.
    assert made.none.found > 0.9
    assert made.none.lost <= 0.05 + 0.01


def test_types_that_cannot_be_told_apart_are_not_missed_when_they_are_left_out():
    vectors, _ = clouds(types=1, n=900)
    made = Transfer.fit(vectors, ["A", "B", "C"] * 300)
    assert made.none.found < 0.5  # not none: with fewer cells left the nearest are farther


@pytest.mark.parametrize("rule", RULES)
def test_neither_scale_nor_company_changes_an_answer(rule):
    vectors, labels = clouds()
    new, _ = clouds(seed=3)
    made = Transfer.fit(vectors, labels, TransferConfig(rule=rule))
    larger = Transfer.fit(vectors * 1000, labels, TransferConfig(rule=rule))
    whole, strange = made.judged(new)
    np.testing.assert_allclose(larger.judged(new * 1000)[0], whole, atol=1e-3)
    one = made.judged(new[7:8])
    np.testing.assert_allclose(one[0][0], whole[7], atol=1e-5)
    np.testing.assert_allclose(one[1][0], strange[7], atol=1e-5)


def test_cells_without_a_label_and_rare_labels_teach_nothing():
    vectors, labels = clouds()
    given = [None if i % 2 else one for i, one in enumerate(labels)]
    given[0] = "rare"
    assert Transfer.fit(vectors, given).names == ("A", "B", "C")


@settings(max_examples=30)
@given(st.lists(st.sampled_from(["A", "B", None]), max_size=60), st.integers(1, 10))
def test_the_chosen_cells_are_labelled_and_bounded(labels, most):
    config = TransferConfig(most=most, least=2)
    kept = chosen_cells(labels, config)
    assert (np.diff(kept) > 0).all()
    for name in "AB":
        here = sum(labels[i] == name for i in kept)
        all_of_it = labels.count(name)
        assert here == (min(all_of_it, most) if all_of_it >= 2 else 0)
    assert all(labels[i] is not None for i in kept)


def test_components_of_the_reference_place_other_cells():
    rng = np.random.default_rng(0)
    values = sp.csr_matrix(rng.poisson(1.0, size=(40, 12)).astype(np.float32))
    made = Principal.fit(values, 50)
    found = made(values)
    assert found.shape == (40, 11)
    dense = values.toarray() - values.toarray().mean(axis=0)
    # All but one of the components there are: distances hardly shrink.
    assert np.linalg.norm(found) == pytest.approx(np.linalg.norm(dense), rel=0.05)
    np.testing.assert_allclose(made(values[3:5]), found[3:5], atol=1e-4)


@pytest.mark.parametrize(
    ("vectors", "labels", "why"),
    [
        (np.ones((6, 2)), ["A"] * 3 + ["B"] * 3, "same vector"),
        (np.eye(6), ["A"] * 6, "two at least"),
        (np.eye(6), ["A"] * 5, "were given for 5 cells"),
        (np.eye(6), [None] * 6, "0 labels"),
    ],
)
def test_what_teaches_nothing_is_refused(vectors, labels, why):
    with pytest.raises(BadInput, match=why):
        Transfer.fit(vectors.astype(np.float32), labels)


def test_vectors_of_another_width_are_refused():
    vectors, labels = clouds()
    with pytest.raises(BadInput, match="8 dimensions"):
        Transfer.fit(vectors, labels).judged(vectors[:, :5])
