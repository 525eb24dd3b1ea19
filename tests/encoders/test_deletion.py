"""Deletion scores: worked by hand for an encoder that changes nothing, and what may not matter."""

from __future__ import annotations

import numpy as np
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from encoders import deletion
from encoders.deletion import deletion_scores


def same(values, genes):
    return values.toarray().astype(np.float32)


def test_by_hand():
    values = sp.csr_matrix(np.array([[3.0, 4.0, 0.0], [0.0, 0.0, 2.0]], dtype=np.float32))
    # cos of (3, 4) to (0, 4) is 4/5, to (3, 0) it is 3/5; the second cell loses all it has: cos 0.
    np.testing.assert_allclose(
        deletion_scores(same, values, "abc"), [0.2 / 2, 0.4 / 2, 1 / 2], atol=1e-6
    )
    np.testing.assert_array_equal(values.toarray(), [[3, 4, 0], [0, 0, 2]])


@given(arrays(np.float32, (5, 7), elements=st.integers(0, 4).map(float)), st.permutations(range(7)))
def test_the_order_of_genes_and_the_size_of_batches_do_not_matter(dense, order):
    genes = [f"g{i}" for i in range(7)]
    expected = deletion_scores(same, sp.csr_matrix(dense), genes)
    moved = deletion_scores(same, sp.csr_matrix(dense[:, order]), [genes[i] for i in order])
    np.testing.assert_allclose(moved, expected[list(order)], atol=1e-6)
    rows, deletion._ROWS = deletion._ROWS, 3
    try:
        np.testing.assert_allclose(
            deletion_scores(same, sp.csr_matrix(dense), genes), expected, atol=1e-6
        )
    finally:
        deletion._ROWS = rows
    assert ((expected >= -1e-6) & (expected <= 2)).all()
    assert (expected[~dense.any(axis=0)] == 0).all()


def test_a_gene_that_an_encoder_does_not_read_scores_nothing():
    turn = np.array([[1.0, 0.0], [0.5, 1.0], [0.0, 0.0]], dtype=np.float32)
    values = sp.csr_matrix(np.ones((4, 3), dtype=np.float32))
    found = deletion_scores(lambda v, g: (v @ turn).astype(np.float32), values, "abc")
    assert found[2] == 0 and (found[:2] > 0).all()
