"""Each loss against numbers worked by hand."""

from __future__ import annotations

import math

import pytest

torch = pytest.importorskip("torch")

from data.errors import BadInput  # noqa: E402 - after the check for torch
from training.losses import (  # noqa: E402
    GradedInfoNCE,
    grad_cache,
    graded_cross_entropy,
)

LN2, LN3 = math.log(2), math.log(3)


def test_graded_cross_entropy_by_hand() -> None:
    """Scores ln 2 and 0: probabilities 2/3 and 1/3; targets 3/4 and 1/4."""
    scores = torch.tensor([[LN2, 0.0]])
    value = graded_cross_entropy(scores, torch.tensor([[0.75, 0.25]]))
    assert float(value) == pytest.approx(-0.75 * math.log(2 / 3) - 0.25 * math.log(1 / 3))


def test_a_dropped_negative_is_not_in_the_sum() -> None:
    scores = torch.tensor([[0.0, 0.0, 5.0]])
    target = torch.tensor([[1.0, 0.0, 0.0]])
    kept = torch.tensor([[True, True, False]])
    assert float(graded_cross_entropy(scores, target, kept)) == pytest.approx(LN2)
    # A column with a target stays, whatever is asked for.
    assert float(graded_cross_entropy(scores, target, torch.zeros(1, 3, dtype=torch.bool))) == 0.0


def test_rows_without_a_positive_count_nothing() -> None:
    scores = torch.tensor([[0.0, 0.0], [9.0, 1.0]])
    target = torch.tensor([[1.0, 0.0], [0.0, 0.0]])
    assert float(graded_cross_entropy(scores, target)) == pytest.approx(LN2)


def test_gradient_is_softmax_less_target() -> None:
    scores = torch.tensor([[LN2, 0.0, 3.0]], requires_grad=True)
    target = torch.tensor([[0.0, 1.0, 0.0]])
    kept = torch.tensor([[True, True, False]])
    graded_cross_entropy(scores, target, kept).backward()
    assert scores.grad is not None
    assert scores.grad[0].tolist() == pytest.approx([2 / 3, 1 / 3 - 1, 0.0])


def test_info_nce_by_hand() -> None:
    """Two cells on two texts at right angles, temperature 1: ln(1 + 1/e), either way."""
    eye = torch.eye(2)
    by_hand = math.log(1 + math.exp(-1))
    assert float(GradedInfoNCE(1.0)(eye * 5, eye * 0.1, eye)) == pytest.approx(by_hand)
    assert float(GradedInfoNCE(1.0, symmetric=True)(eye, eye, eye)) == pytest.approx(by_hand)
    assert float(GradedInfoNCE(0.5)(eye, eye, eye)) == pytest.approx(math.log(1 + math.exp(-2)))


def test_symmetric_is_the_mean_of_rows_and_columns() -> None:
    """Both cells on the first text. Rows: ln(1+1/e) and ln(1+e); columns: ln 2 each."""
    cells = torch.tensor([[1.0, 0.0], [1.0, 0.0]])
    texts = torch.eye(2)
    rows = (math.log(1 + math.exp(-1)) + math.log(1 + math.e)) / 2
    assert float(GradedInfoNCE(1.0)(cells, texts, texts)) == pytest.approx(rows)
    both = GradedInfoNCE(1.0, symmetric=True)(cells, texts, texts)
    assert float(both) == pytest.approx((rows + LN2) / 2)


def test_columns_of_graded_targets_are_brought_to_one() -> None:
    """One text for two cells of equal weight: its column is one half each."""
    cells = torch.tensor([[1.0, 0.0], [0.0, 1.0]])
    texts = torch.tensor([[1.0, 0.0]])
    target = torch.tensor([[1.0], [1.0]])
    # Rows have one text only: loss 0. Column: scores 1 and 0, q one half each.
    column = math.log(math.e + 1) - 0.5
    value = GradedInfoNCE(1.0, symmetric=True)(cells, texts, target)
    assert float(value) == pytest.approx(column / 2)


def test_same_label_targets_are_supcon() -> None:
    """Three texts, two of the cell's label: the mean of both terms over the softmax of all."""
    cell = torch.tensor([[1.0, 0.0]])
    texts = torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]])
    value = GradedInfoNCE(1.0)(cell, texts, torch.tensor([[0.5, 0.5, 0.0]]))
    assert float(value) == pytest.approx(math.log(math.e + 1 + math.exp(-1)) - 0.5)


def test_a_learned_temperature_is_trained_and_bounded() -> None:
    loss = GradedInfoNCE(0.07, learned=True)
    assert loss.scale.item() == pytest.approx(1 / 0.07)
    eye = torch.eye(3)
    loss(eye, eye, eye).backward()
    assert loss.log_scale is not None
    assert loss.log_scale.grad is not None
    assert float(loss.log_scale.grad) < 0, "sharper is better where all is right"
    with torch.no_grad():
        loss.log_scale.fill_(50.0)
    assert loss.scale.item() == pytest.approx(100.0)
    assert list(GradedInfoNCE(0.07).parameters()) == []
    with pytest.raises(BadInput, match="expected more than 0"):
        GradedInfoNCE(0.0)


def test_grad_cache_gives_the_gradients_of_the_large_batch() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Linear(4, 3)
    x, texts = torch.randn(6, 4), torch.randn(6, 3)
    contrast = GradedInfoNCE(0.5)
    whole = contrast(layer(x), texts, torch.eye(6))
    whole.backward()
    expected = [p.grad.clone() for p in layer.parameters()]
    layer.zero_grad()
    pieces = list(x.split(2))
    value = grad_cache(layer, pieces, lambda a: contrast(a, texts, torch.eye(6)))
    assert value.item() == pytest.approx(whole.item())
    for parameter, gradient in zip(layer.parameters(), expected, strict=True):
        assert torch.allclose(parameter.grad, gradient, atol=1e-6)
    # Piece by piece alone is another loss: the others are no negatives then.
    layer.zero_grad()
    for i in range(3):
        contrast(layer(pieces[i]), texts[2 * i : 2 * i + 2], torch.eye(2)).backward()
    assert not torch.allclose(layer.weight.grad, expected[0], atol=1e-3)


def test_grad_cache_drops_the_same_units_twice() -> None:
    torch.manual_seed(0)
    layer = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Dropout(0.5))
    seen: list[torch.Tensor] = []

    def encode(piece: torch.Tensor) -> torch.Tensor:
        out: torch.Tensor = layer(piece)
        seen.append(out.detach().clone())
        return out

    grad_cache(encode, list(torch.randn(4, 4).split(2)), lambda a: a.pow(2).mean())
    assert torch.equal(seen[0], seen[2]) and torch.equal(seen[1], seen[3])
