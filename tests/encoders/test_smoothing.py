"""Smoothing over the neighbourhood graph: what it keeps and what it mends."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from data.errors import BadInput
from encoders.celltypes.smoothing import around, neighbours, smooth


def two_groups(n: int = 80) -> sp.csr_matrix:
    rng = np.random.default_rng(1)
    centre = np.zeros((2, 20))
    centre[0, :10] = 3
    centre[1, 10:] = 3
    noise = rng.normal(scale=0.3, size=(n, 20))
    return sp.csr_matrix(np.maximum(centre[np.arange(n) % 2] + noise, 0).astype(np.float32))


def test_the_graph_is_symmetric_without_loops_and_stays_in_groups() -> None:
    graph = neighbours(two_groups()).toarray()
    np.testing.assert_array_equal(graph, graph.T)
    assert not graph.diagonal().any()
    across = graph[0::2][:, 1::2]
    assert across.sum() == 0


def test_the_graph_does_not_depend_on_the_order_of_cells() -> None:
    values = two_groups()
    order = np.random.default_rng(0).permutation(values.shape[0])
    moved = neighbours(values[order]).toarray()
    np.testing.assert_allclose(moved, neighbours(values).toarray()[np.ix_(order, order)])


def test_equal_rows_stay_and_a_wrong_cell_is_mended() -> None:
    graph = neighbours(two_groups())
    same = np.full((80, 2), 0.5, dtype=np.float32)
    np.testing.assert_allclose(smooth(same, graph, power=1.0), same, atol=1e-6)
    chances = np.tile([[0.9, 0.05], [0.05, 0.9]], (40, 1)).astype(np.float32)
    chances[0] = [0.05, 0.9]
    assert smooth(chances, graph, 1.0)[0].argmax() == 0


def test_strength_nought_only_sharpens() -> None:
    graph = neighbours(two_groups())
    chances = np.tile([[0.6, 0.3]], (80, 1)).astype(np.float32)
    whole = np.array([0.6, 0.3, 0.1]) ** 2
    expected = np.tile(whole[:2] / whole.sum(), (80, 1))
    np.testing.assert_allclose(smooth(chances, graph, 0.0, power=2.0), expected, atol=1e-6)


def test_smoothing_solves_the_linear_system() -> None:
    graph = sp.csr_array(np.array([[0, 1.0, 0], [1, 0, 1], [0, 1, 0]]))
    chances = np.array([[1, 0], [0, 0.5], [0, 0.25]], dtype=np.float32)
    laplacian = np.diag([1, 2, 1]) - graph.toarray()
    expected = np.linalg.solve(np.eye(3) + 0.3 * laplacian, chances)
    np.testing.assert_allclose(smooth(chances, graph, 0.3, power=1.0), expected, atol=1e-6)


def test_too_few_cells_and_wrong_sizes_are_refused() -> None:
    with pytest.raises(BadInput, match="at least 3"):
        neighbours(two_groups(2))
    with pytest.raises(BadInput, match="same cells"):
        smooth(np.ones((3, 2), np.float32), neighbours(two_groups()))


def test_what_is_around_a_cell_leaves_it_out() -> None:
    graph = sp.csr_array(np.array([[0, 1.0, 0.5], [1, 0, 0], [0.5, 0, 0]]))
    chances = np.array([[1, 0], [0.6, 0.4], [0.0, 0.1]], dtype=np.float32)
    np.testing.assert_allclose(around(chances, graph), [[0.4, 0.3], [1, 0], [1, 0]], atol=1e-6)
