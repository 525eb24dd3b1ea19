"""Losses without labels, each against numbers worked by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from training.genetokens.masked import choose, gene_loss, independence, level_loss  # noqa: E402


def test_padding_is_never_masked_and_nothing_twice() -> None:
    there = torch.tensor([[True] * 500 + [False] * 500])
    draw = torch.Generator().manual_seed(0)
    first = choose(there, 0.15, draw)
    second = choose(there, 0.15, draw, first)
    assert not (first & ~there).any() and not (second & (first | ~there)).any()
    assert 0.10 < float(first[0, :500].float().mean()) < 0.20
    assert not choose(there, 0.0, draw).any()


def test_gene_loss_by_hand() -> None:
    """Cosines 1 and 0 to the two genes at temperature 1: ln(1 + 1/e); length does not count."""
    table = torch.tensor([[2.0, 0.0], [0.0, 5.0]])
    states = torch.tensor([[3.0, 0.0]])
    value = gene_loss(states, table, torch.tensor([0]), temperature=1.0)
    assert float(value) == pytest.approx(math.log(1 + math.exp(-1)))
    wrong = gene_loss(states, table, torch.tensor([1]), temperature=0.5)
    assert float(wrong) == pytest.approx(math.log(1 + math.exp(2)))


def test_genes_outside_the_table_count_nothing() -> None:
    table = torch.eye(2)
    states = torch.tensor([[1.0, 0.0], [0.3, 0.4]], requires_grad=True)
    value = gene_loss(states, table, torch.tensor([0, -1]), temperature=1.0)
    assert float(value.detach()) == pytest.approx(math.log(1 + math.exp(-1)))
    value.backward()
    assert states.grad is not None and not states.grad[1].any()
    assert float(gene_loss(states.detach(), table, torch.tensor([-1, -1]))) == 0.0


def test_level_loss_by_hand() -> None:
    assert float(level_loss(torch.tensor([0.5, 1.0]), torch.tensor([0.0, 0.8]))) == pytest.approx(
        (0.25 + 0.04) / 2
    )
    assert float(level_loss(torch.zeros(0), torch.zeros(0))) == 0.0


def test_independence_by_hand() -> None:
    """Two tokens in one direction, 1 apart: half of cosine 1, and half over 1."""
    same = torch.tensor([[[1.0, 0.0], [2.0, 0.0]]])
    assert float(independence(same)) == pytest.approx(0.5 + 0.5)
    # Three at right angles, all of length 1 and sqrt(2) apart.
    right = torch.eye(3)[None]
    assert float(independence(right)) == pytest.approx(0.5 / math.sqrt(2))
    assert float(independence(torch.ones(2, 1, 4))) == 0.0
