"""From an encoder's vectors to soft tokens: vectors as wide as a language model's embeddings.

The projector of BioVERSE (IBM 2025) with its variants, and the trainable token [Bt] that follows a
cell's soft tokens. It takes any width to any other and knows neither of the two models.

==========  ==================================================================================
linear      one layer for each soft token
mlp2        Linear, ReLU, then one layer for each soft token; the original's released code
mlp3        as mlp2 with a second hidden layer, LayerNorm and dropout; the original's paper
per_token   an mlp2 of its own for each soft token, nothing shared
==========  ==================================================================================

A new layer's soft tokens would be some ten times as long as the words of the model beside them;
with ``scale`` they leave the projector with the root mean square of those words.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, Literal, get_args

import torch
from torch import nn

from data.errors import BadInput

__all__ = ["Kind", "Projector", "ProjectorConfig"]

Kind = Literal["linear", "mlp2", "mlp3", "per_token"]

HIDDEN = 1024
"""Width of the hidden layers, BioVERSE's."""


@dataclass(frozen=True, slots=True)
class ProjectorConfig:
    """What a projector is made of.

    ``tokens`` is k, the soft tokens of a cell (2 in the original); ``bt`` adds the trainable token
    after them; ``dropout`` works in training only; ``scale`` is the root mean square that every
    soft token is brought to, None to leave it as it comes.
    """

    width_in: int
    width_out: int
    tokens: int = 2
    kind: Kind = "mlp2"
    hidden: int = HIDDEN
    bt: bool = True
    dropout: float = 0.0
    scale: float | None = None

    def __post_init__(self) -> None:
        sizes = (self.width_in, self.width_out, self.tokens, self.hidden)
        if self.kind not in get_args(Kind) or min(sizes) < 1 or not 0 <= self.dropout < 1:
            raise BadInput(
                f"no projector can be made of {asdict(self)}; expected positive sizes, a dropout "
                f"below 1 and one of the kinds {', '.join(get_args(Kind))}"
            )


class _PerToken(nn.Module):
    """A linear layer of its own for each of k tokens: [b, k, in] -> [b, k, out]."""

    def __init__(self, tokens: int, width_in: int, width_out: int) -> None:
        super().__init__()
        layers = [nn.Linear(width_in, width_out) for _ in range(tokens)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found: torch.Tensor = torch.einsum("bki,koi->bko", x, self.weight) + self.bias
        return found


class Projector(nn.Module):
    """Vectors to soft tokens.

    Shapes: b cells, k soft tokens a cell, d the width of the encoder, w that of the words.

    Attributes
    ----------
    config
        What it is made of.
    bt
        The trainable token, [w], or None.
    """

    def __init__(self, config: ProjectorConfig) -> None:
        super().__init__()
        self.config = config
        k, d, h, w = config.tokens, config.width_in, config.hidden, config.width_out
        layers: list[nn.Module]
        if config.kind == "linear":
            layers = [_PerToken(k, d, w)]
        elif config.kind == "mlp2":
            layers = [nn.Linear(d, h), nn.ReLU(), nn.Dropout(config.dropout), _PerToken(k, h, w)]
        elif config.kind == "mlp3":
            first = [nn.Linear(d, h), nn.LayerNorm(h), nn.ReLU(), nn.Dropout(config.dropout)]
            second = [nn.Linear(h, h), nn.LayerNorm(h), nn.ReLU(), nn.Dropout(config.dropout)]
            layers = [*first, *second, _PerToken(k, h, w)]
        else:
            own = [_PerToken(k, d, h), nn.ReLU(), nn.Dropout(config.dropout)]
            layers = [*own, _PerToken(k, h, w)]
        self.layers = nn.Sequential(*layers)
        # N(0, 1) in the original; with a scale, of the same size as the tokens beside it.
        size = 1.0 if config.scale is None else config.scale
        self.bt = nn.Parameter(torch.randn(w) * size) if config.bt else None

    def forward(self, vectors: torch.Tensor) -> torch.Tensor:
        """Soft tokens of cells.

        Parameters
        ----------
        vectors
            One vector a cell, [b, d], or k of them, [b, k, d].

        Returns
        -------
        Tensor
            [b, k, w]; the trainable token is not among them.
        """
        config = self.config
        shape = tuple(vectors.shape)
        if (
            len(shape) not in (2, 3)
            or shape[-1] != config.width_in
            or (len(shape) == 3 and shape[1] != config.tokens)
        ):
            raise BadInput(
                f"vectors of shape {list(shape)} were given to a projector of {config.tokens} "
                f"tokens; expected [cells, {config.width_in}] or "
                f"[cells, {config.tokens}, {config.width_in}]"
            )
        if len(shape) == 2:  # [b, d] -> [b, k, d], the same vector for each token
            vectors = vectors.unsqueeze(1).expand(-1, config.tokens, -1)
        soft: torch.Tensor = self.layers(vectors)  # [b, k, w]
        if config.scale is not None:
            mean_square = soft.pow(2).mean(-1, keepdim=True)
            soft = soft * torch.rsqrt(mean_square + 1e-12) * config.scale
        return soft

    def document(self) -> dict[str, Any]:
        """The config as JSON keeps it."""
        return asdict(self.config)
