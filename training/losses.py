"""Contrastive losses with graded targets, and how to make their batches large.

All of them compare a batch of cells with texts by cosine and ask the softmax over the texts for a
distribution q that may spread over several (:mod:`training.positives` makes it from the ontology):

    L = -1/B sum_i sum_j q_ij log( exp(cos(a_i, t_j) / T) / sum_{j kept} exp(cos(a_i, t_j) / T) )

With q_ij = 1[i = j] this is InfoNCE (van den Oord et al. 2018, arXiv:1807.03748) with the target
``arange`` of BioVERSE (IBM 2025); with q_ij equal among the same labels it is SupCon (Khosla et al.
2020, arXiv:2004.11362). What a_i and t_j are is the objective's: see :mod:`training.align`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import nn

from data.errors import BadInput

__all__ = ["TEMPERATURE", "GradedInfoNCE", "grad_cache", "graded_cross_entropy"]

TEMPERATURE = 0.07
"""BioVERSE's and CLIP's."""

# CLIP's bound (Radford et al. 2021, arXiv:2103.00020): scores are multiplied by 100 at most.
_MOST = 100.0


def graded_cross_entropy(
    scores: torch.Tensor, targets: torch.Tensor, keep: torch.Tensor | None = None
) -> torch.Tensor:
    """Mean over rows of the cross-entropy between a target distribution and a softmax.

    Parameters
    ----------
    scores
        [b, m].
    targets
        q, [b, m]; each row sums to 1, or to 0 where a row has no positive: such a row counts
        nothing.
    keep
        Which columns a row's softmax runs over, [b, m]; None for all. A column with a target is
        always kept.
    """
    if keep is not None:
        scores = scores.masked_fill(~(keep | (targets > 0)), float("-inf"))
    logs = torch.log_softmax(scores.float(), dim=-1)
    held = targets.sum(-1) > 0
    # A dropped column is -inf with the target 0: their product is no number, so it is left out.
    rows = -torch.where(targets > 0, targets * logs, 0.0).sum(-1)
    return rows[held].sum() / max(1, int(held.sum()))


class GradedInfoNCE(nn.Module):
    """Contrast of cells and texts, one-way or in both directions.

    1. Scores are cosines over a temperature.
    2. Each cell's softmax over the texts is pulled to its row of q.
    3. If symmetric, each text's softmax over the cells is pulled to its column of q, brought to
       the sum 1, and the two are averaged.

    ================  ====================================================================
    input             shape
    ================  ====================================================================
    anchors           [b, w], cells
    texts             [m, w]; m = b where each cell has its own, or any number of them
    targets           q, [b, m]
    keep              [b, m] bool, columns that are negatives or positives; None for all
    ================  ====================================================================

    Relations: with q the identity and ``symmetric`` it is CLIP's loss. The texts may be more than
    those of the batch: the text side is frozen, so that a bank of all texts is exact.

    Parameters
    ----------
    temperature
        Its value, or its first one where it is learned.
    learned
        Whether the temperature is trained (as exp of a parameter, CLIP's).
    symmetric
        Both directions.

    Examples
    --------
    >>> loss = GradedInfoNCE(temperature=1.0)
    >>> a = torch.eye(2)
    >>> round(float(loss(a, a, torch.eye(2))), 4)  # ln(1 + 1/e)
    0.3133
    """

    def __init__(
        self, temperature: float = TEMPERATURE, *, learned: bool = False, symmetric: bool = False
    ) -> None:
        super().__init__()
        if not temperature > 0:
            raise BadInput(f"the temperature is {temperature}; expected more than 0")
        start = torch.tensor(1.0 / temperature).log()
        self.log_scale = nn.Parameter(start) if learned else None
        self._scale = 1.0 / temperature
        self.symmetric = symmetric

    @property
    def scale(self) -> torch.Tensor:
        """What cosines are multiplied by: 1 / temperature."""
        if self.log_scale is None:
            return torch.tensor(self._scale)
        return self.log_scale.exp().clamp(max=_MOST)

    def forward(
        self,
        anchors: torch.Tensor,
        texts: torch.Tensor,
        targets: torch.Tensor,
        keep: torch.Tensor | None = None,
    ) -> torch.Tensor:
        """The loss of a batch, a scalar."""
        cosines = nn.functional.normalize(anchors.float(), dim=-1) @ (
            nn.functional.normalize(texts.float(), dim=-1).T
        )  # [b, m]
        scores = cosines * self.scale.to(cosines.device)
        one = graded_cross_entropy(scores, targets, keep)
        if not self.symmetric:
            return one
        columns = targets.T / targets.T.sum(-1, keepdim=True).clamp(min=1e-12)
        other = graded_cross_entropy(scores.T, columns, None if keep is None else keep.T)
        return (one + other) / 2


def grad_cache(
    encode: Callable[[Any], torch.Tensor],
    pieces: Sequence[Any],
    loss: Callable[[torch.Tensor], torch.Tensor],
) -> torch.Tensor:
    """Backward through a loss over all pieces in the memory of one: GradCache.

    Gao et al. 2021 (arXiv:2101.06983): encode every piece without gradient, take the gradient of
    the loss with respect to the vectors, then encode piece by piece again and pass it on. The
    gradients are those of one large batch, as long as encoding a piece is deterministic.

    Parameters
    ----------
    encode
        A piece to its vectors, [n, w].
    pieces
        Parts of the batch.
    loss
        All vectors, in order, to a scalar.

    Returns
    -------
    Tensor
        The loss, without gradient; gradients are added to the parameters.
    """
    states = []
    with torch.no_grad():
        vectors = []
        for piece in pieces:
            states.append(torch.get_rng_state())  # so that dropout falls the same way again
            vectors.append(encode(piece))
    whole = torch.cat(vectors).requires_grad_()
    with torch.enable_grad():
        value = loss(whole)
        value.backward()  # type: ignore[no-untyped-call]
    assert whole.grad is not None, "the loss uses the vectors"
    parts = torch.split(whole.grad, [len(one) for one in vectors])
    after = torch.get_rng_state()
    for piece, part, state in zip(pieces, parts, states, strict=True):
        torch.set_rng_state(state)
        encode(piece).backward(part)  # type: ignore[no-untyped-call]
    torch.set_rng_state(after)
    return value.detach()
