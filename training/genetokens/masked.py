"""Losses of a gene-token encoder that need no label: masked genes, masked levels, unlike tokens.

:func:`choose` draws which tokens of a cell lose their gene or their level, each a share of .15
(scCello's, arXiv:2408.12373); :func:`gene_loss` asks for the gene by its cosine to the table of
genes, :func:`level_loss` for the level. :func:`independence` keeps the special tokens from saying
the same (scPRINT, doi:10.1038/s41467-025-58699-1). The network is
:mod:`encoders.genetokens.expression`'s.
"""

from __future__ import annotations

import torch
from torch import nn

__all__ = ["MASKED", "TEMPERATURE", "choose", "gene_loss", "independence", "level_loss"]

MASKED = 0.15
"""Share of a cell's tokens, scCello's."""

TEMPERATURE = 0.01
"""ScCello's: scores are cosines times 100."""


def choose(
    there: torch.Tensor,
    share: float,
    generator: torch.Generator,
    not_in: torch.Tensor | None = None,
) -> torch.Tensor:
    """Draw tokens, each with the chance ``share``, [b, t].

    Parameters
    ----------
    there
        Where there is a token, [b, t]; padding is never drawn.
    share
        Chance of each.
    generator
        Of the draw.
    not_in
        Tokens that are not to be drawn, [b, t].
    """
    drawn = torch.rand(there.shape, generator=generator) < share
    return drawn & there if not_in is None else drawn & there & ~not_in


def gene_loss(
    states: torch.Tensor, table: torch.Tensor, truth: torch.Tensor, temperature: float = TEMPERATURE
) -> torch.Tensor:
    """Cross-entropy of the true gene among all of a table, by cosine over the temperature.

    Parameters
    ----------
    states
        Of masked tokens through the gene head, [m, d].
    table
        Genes through the same head, [g, d].
    truth
        Rows of the table, [m]; -1 for a gene that is not in it, which counts nothing.
    temperature
        Divides cosines.
    """
    known = truth >= 0
    if not bool(known.any()):
        return states.sum() * 0.0
    unit = nn.functional.normalize
    scores = unit(states[known].float(), dim=-1) @ unit(table.float(), dim=-1).T / temperature
    return nn.functional.cross_entropy(scores, truth[known])


def level_loss(said: torch.Tensor, truth: torch.Tensor) -> torch.Tensor:
    """Mean squared error of levels, [m] each; 0 where none is masked."""
    if not len(said):
        return said.sum() * 0.0
    return nn.functional.mse_loss(said.float(), truth.float())


def independence(tokens: torch.Tensor) -> torch.Tensor:
    """Half the mean squared cosine of two special tokens, and half over their mean distance.

    Parameters
    ----------
    tokens
        States of the special tokens, [b, s, d]; the loss is 0 for a single one.

    Examples
    --------
    >>> right = torch.tensor([[[3.0, 0.0], [0.0, 4.0]]])  # at right angles, 5 apart
    >>> round(float(independence(right)), 4)
    0.1
    """
    s = tokens.shape[1]
    if s < 2:
        return tokens.sum() * 0.0
    tokens = tokens.float()
    first, second = torch.triu_indices(s, s, 1)
    cosines = nn.functional.cosine_similarity(tokens[:, first], tokens[:, second], dim=-1)
    apart = (tokens[:, first] - tokens[:, second]).norm(dim=-1).mean()
    found: torch.Tensor = 0.5 * cosines.pow(2).mean() + 0.5 / apart.clamp(min=1e-6)
    return found
