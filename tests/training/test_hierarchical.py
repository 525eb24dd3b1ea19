"""Targets over the leaves of an ontology: the rule for internal nodes, by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from kg.backoff import Hierarchy  # noqa: E402
from training.genetokens.hierarchical import Leaves, hierarchical_loss, property_loss  # noqa: E402

LN2 = math.log(2)

# cell > T > (CD4, CD8 > CD8 memory); cell > B
TREE = Hierarchy.make(
    {
        "X:cell": [],
        "X:T": ["X:cell"],
        "X:B": ["X:cell"],
        "X:CD4": ["X:T", "X:cell"],
        "X:CD8": ["X:T", "X:cell"],
        "X:CD8m": ["X:CD8", "X:T", "X:cell"],
    },
    {},
)


def test_leaves_are_those_that_no_other_label_lies_below() -> None:
    found = Leaves(TREE, ["X:T", "X:B", "X:CD4", "X:CD8"])
    assert found.terms == ("X:B", "X:CD4", "X:CD8", "X:T")
    assert found.ids == ("X:B", "X:CD4", "X:CD8"), "CD8 memory is in the tree but no label"
    assert found.below.tolist() == [
        [True, False, False],
        [False, True, False],
        [False, False, True],
        [False, True, True],
    ]
    assert found.codes(["X:T", None, "X:unheard", "X:B"]).tolist() == [3, -1, -1, 0]


def test_a_leaf_is_plain_binary_cross_entropy() -> None:
    """All logits 0: every leaf costs ln 2, whichever it is."""
    leaves = Leaves(TREE, ["X:T", "X:B", "X:CD4", "X:CD8"])
    below = torch.from_numpy(leaves.below)
    value = hierarchical_loss(torch.zeros(1, 3), torch.tensor([0]), below)
    assert float(value) == pytest.approx(LN2)
    logits = torch.tensor([[2.0, -1.0, 0.5]])
    by_hand = (math.log1p(math.exp(-2)) + math.log1p(math.exp(-1)) + math.log1p(math.exp(0.5))) / 3
    assert float(hierarchical_loss(logits, torch.tensor([0]), below)) == pytest.approx(by_hand)


def test_an_internal_node_asks_for_one_of_its_leaves() -> None:
    """T: CD4 and CD8 count nothing each; B shall be no, and logsumexp(CD4, CD8) yes."""
    below = torch.from_numpy(Leaves(TREE, ["X:T", "X:B", "X:CD4", "X:CD8"]).below)
    logits = torch.tensor([[0.3, 1.0, -2.0]], requires_grad=True)
    value = hierarchical_loss(logits, torch.tensor([3]), below)
    together = math.log(math.exp(1.0) + math.exp(-2.0))
    by_hand = (math.log1p(math.exp(0.3)) + math.log1p(math.exp(-together))) / 2
    assert float(value.detach()) == pytest.approx(by_hand)
    value.backward()
    assert logits.grad is not None
    no, first, second = logits.grad[0].tolist()
    assert no > 0 > first, "B goes down, the likelier leaf goes up"
    # The push is shared as the leaves' softmax is: exp(1) to exp(-2).
    assert first / second == pytest.approx(math.exp(3))


def test_an_unknown_label_has_weight_nothing() -> None:
    below = torch.from_numpy(Leaves(TREE, ["X:B", "X:CD4"]).below)
    logits = torch.tensor([[5.0, -3.0], [0.0, 0.0]], requires_grad=True)
    value = hierarchical_loss(logits, torch.tensor([-1, 1]), below)
    assert float(value.detach()) == pytest.approx(LN2)
    value.backward()
    assert logits.grad is not None and not logits.grad[0].any()
    assert float(hierarchical_loss(logits.detach(), torch.tensor([-1, -1]), below)) == 0.0


def test_flat_properties() -> None:
    logits = torch.tensor([[LN2, 0.0], [7.0, 1.0]])
    assert float(property_loss(logits, torch.tensor([0, -1]))) == pytest.approx(-math.log(2 / 3))
    assert float(property_loss(logits, torch.tensor([-1, -1]))) == 0.0
