"""The losses of scCello against numbers worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

torch = pytest.importorskip("torch")

from kg.backoff import Hierarchy  # noqa: E402
from training.genetokens.ontology_losses import (  # noqa: E402
    TypeLevels,
    inter,
    intra,
    regularised,
    scaled,
)

NEAR = torch.tensor([[3, 2, 1], [2, 3, 1], [1, 1, 3]])
NOT_ABOVE = torch.eye(3, dtype=torch.bool)


def softplus(x: float) -> float:
    return math.log1p(math.exp(x))


def test_vectors_have_the_length_of_the_temperature() -> None:
    """At .01 the product of a vector with itself is 100."""
    z = scaled(torch.tensor([[3.0, 4.0]]))
    assert float((z * z).sum()) == pytest.approx(100.0)
    assert z[0].tolist() == pytest.approx([6.0, 8.0])


def test_intra_by_hand() -> None:
    """Products 1 and 0 to the prototypes: ln(1 + 1/e); a cell without a type counts nothing."""
    z, h = torch.tensor([[1.0, 0.0], [9.0, 9.0]]), torch.eye(2)
    value = intra(z, h, torch.tensor([0, -1]))
    assert float(value) == pytest.approx(math.log(1 + math.exp(-1)))
    assert float(intra(z, h, torch.tensor([-1, -1]))) == 0.0


def test_regularised_by_hand() -> None:
    z, mapped = torch.tensor([[1.0, 0.0], [5.0, 5.0]]), torch.tensor([[0.0, 0.0], [1.0, 2.0]])
    assert float(regularised(z, mapped, torch.tensor([1, -1]))) == pytest.approx((0 + 4) / 2)


def test_inter_by_hand() -> None:
    """Three cells of three types; 0 and 1 are nearer to each other than to 2.

    Products: z0.z1 = .5, z0.z2 = .1, z1.z2 = .2, and every cell with its other pass 1.
    Anchor 0, level 2: positives 0 and 1 against 2; level 3: positive 0 against 1 and 2.
    Anchor 1 likewise; anchor 2, level 3: positive 2 against 0 and 1.
    """
    z = torch.linalg.cholesky(torch.tensor([[1.0, 0.5, 0.1], [0.5, 1.0, 0.2], [0.1, 0.2, 1.0]]))
    value = inter(z, z, torch.arange(3), NEAR, NOT_ABOVE)
    lse = math.log
    anchor0 = [
        (softplus(0.1 - 1.0) + softplus(0.1 - 0.5)) / 2,
        softplus(lse(math.exp(0.5) + math.exp(0.1)) - 1.0),
    ]
    anchor1 = [
        (softplus(0.2 - 0.5) + softplus(0.2 - 1.0)) / 2,
        softplus(lse(math.exp(0.5) + math.exp(0.2)) - 1.0),
    ]
    anchor2 = [softplus(lse(math.exp(0.1) + math.exp(0.2)) - 1.0)]
    by_hand = sum(anchor0 + anchor1 + anchor2) / 5
    assert float(value) == pytest.approx(by_hand, rel=1e-5)


def test_the_other_pass_stands_on_the_diagonal() -> None:
    z = torch.eye(3)
    same = inter(z, z, torch.arange(3), NEAR, NOT_ABOVE)
    worse = inter(z, -z, torch.arange(3), NEAR, NOT_ABOVE)
    assert float(worse) > float(same)


def test_a_type_above_the_anchor_is_no_counter_example() -> None:
    """Two cells, the second of a type above the first's: no negative is left for the first."""
    near = torch.tensor([[3, 1], [1, 3]])
    above = torch.tensor([[True, True], [False, True]])
    z = torch.tensor([[1.0, 0.0], [0.6, 0.8]])
    value = inter(z, z, torch.arange(2), near, above)
    # Anchor 0: -log(e/e) = 0. Anchor 1: softplus(.6 - 1).
    assert float(value) == pytest.approx((0 + softplus(0.6 - 1.0)) / 2)
    z.requires_grad_()
    inter(z, z.detach(), torch.arange(2), near, above).backward()
    assert z.grad is not None and torch.isfinite(z.grad).all()


def test_cells_of_one_type_have_nothing_to_be_told_from() -> None:
    z = torch.randn(4, 3)
    assert float(inter(z, z, torch.zeros(4, dtype=torch.long), NEAR, NOT_ABOVE)) == 0.0
    assert float(inter(z, z, torch.full((4,), -1), NEAR, NOT_ABOVE)) == 0.0


def test_same_label_cells_are_positives_never_negatives() -> None:
    """Two cells of type 0 and one of type 2: at no level is one of type 0 against the other."""
    z = torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    value = inter(z, z, torch.tensor([0, 0, 2]), NEAR, NOT_ABOVE)
    # Anchors 0 and 1: products 1 and 1 against 0. Anchor 2: 1 against two of 0.
    by_hand = (2 * softplus(-1.0) + softplus(math.log(2) - 1.0)) / 3
    assert float(value) == pytest.approx(by_hand)


def test_levels_are_those_of_the_whole_graph() -> None:
    """On a path a - b - c the middle is nearer to the ends than they to each other."""
    path = Hierarchy.make({"X:a": [], "X:b": ["X:a"], "X:c": ["X:a", "X:b"]}, {})
    found = TypeLevels(path, ["X:a", "X:c", "X:b"])
    assert found.above.tolist() == [[True, False, False], [True, True, True], [True, False, True]]
    from kg.measures.pagerank import PageRank, levels

    walks = PageRank(path.ids, [("X:b", "X:a"), ("X:c", "X:b")])
    order = [0, 2, 1]
    assert np.array_equal(found.near, levels(walks.matrix)[np.ix_(order, order)])
