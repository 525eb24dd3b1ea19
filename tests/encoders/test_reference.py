"""Centroids of labelled cells, none of them, and how they join the markers."""

from __future__ import annotations

import numpy as np
import pytest

from data.errors import BadInput
from encoders.celltypes.reference import Centroids, PoolConfig, pooled
from kg.backoff import Hierarchy

TREE = Hierarchy.make(
    {"R": "R", "T": "RT", "C": "RTC", "D": "RTD", "B": "RB"},
    {},
)


def cloud(seed: int = 0) -> tuple[np.ndarray, list[str]]:
    rng = np.random.default_rng(seed)
    centre = np.eye(3) * 4
    vectors = np.concatenate([rng.normal(centre[i], 0.3, size=(20, 3)) for i in range(3)])
    return vectors.astype(np.float32), [one for one in "TBC" for _ in range(20)]


def test_cells_go_to_their_centroid_and_strangers_to_none() -> None:
    vectors, labels = cloud()
    given = [one if i % 2 and one != "C" else None for i, one in enumerate(labels)]
    made = Centroids.of(vectors, given)
    assert made.ids == ("B", "T")
    said = made.chances(vectors)
    assert (said.sum(axis=1) <= 1).all()
    np.testing.assert_array_equal(said[:40].argmax(axis=1), [1] * 20 + [0] * 20)
    assert (said[:40].max(axis=1) > 0.9).all()
    assert (said[40:].sum(axis=1) < 0.5).all()  # the type without a label is none of these


def test_neither_order_nor_company_changes_what_is_said() -> None:
    vectors, labels = cloud(1)
    order = np.random.default_rng(2).permutation(len(labels))
    made = Centroids.of(vectors, labels)
    moved = Centroids.of(vectors[order], [labels[i] for i in order])
    np.testing.assert_array_equal(made.values, moved.values)
    whole = made.chances(vectors)
    np.testing.assert_array_equal(moved.chances(vectors[order]), whole[order])
    alone = np.concatenate([made.chances(vectors[i : i + 1]) for i in range(len(vectors))])
    np.testing.assert_array_equal(alone, whole)


def test_markers_divide_what_a_centroid_gives() -> None:
    ids = ("B", "C", "D")
    chances = np.array([[0.2, 0.6, 0.2]], dtype=np.float32)
    said = np.array([[1.0]], dtype=np.float32)
    found = pooled(chances, ids, said, ("T",), TREE, 0.5)
    np.testing.assert_allclose(found, [[0.1, 0.3 + 0.375, 0.1 + 0.125]], atol=1e-5)
    same = pooled(chances, ids, np.zeros((1, 1), np.float32), ("T",), TREE, 0.5)
    np.testing.assert_allclose(same, chances)  # none of these: the markers stand


def test_a_label_that_nothing_is_below_says_nothing() -> None:
    chances = np.array([[0.5, 0.3]], dtype=np.float32)
    said = np.array([[0.9]], dtype=np.float32)
    np.testing.assert_allclose(pooled(chances, ("C", "D"), said, ("B",), TREE, 0.5), chances)


def test_too_few_labels_are_refused() -> None:
    vectors, labels = cloud()
    with pytest.raises(BadInput, match="1 types have 3 labelled cells"):
        Centroids.of(vectors, [one if one == "T" else None for one in labels])
    with pytest.raises(BadInput, match="60 cells"):
        Centroids.of(vectors[:5], labels)
    assert PoolConfig().least == 3
