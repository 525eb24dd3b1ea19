"""Perceiver resamplers: any number of feature tokens becomes a fixed number of soft tokens.

M learned queries attend to what an encoder gives of an image (M_i queries) or of a transcriptome
(M_t queries); what they gather is written as wide as a language model's words::

    R = softmax(Q W_Q (F W_K)^T / sqrt h) F W_V

with several heads, LayerNorm on both inputs, a residual feed-forward layer and a mask over padding,
after Perceiver (A. Jaegle et al. 2021, arXiv:2103.03206) and Flamingo (J.-B. Alayrac et al. 2022,
arXiv:2204.14198). Where each feature stands for one answer a second attention, without LayerNorm
and with values of its own for each query (:class:`Pointer`), goes straight from the features to the
words. It knows neither what the features are nor which model reads the tokens.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import nn

from data.errors import BadInput

__all__ = ["Pointer", "Resampler", "ResamplerConfig", "padded"]


@dataclass(frozen=True, slots=True)
class ResamplerConfig:
    """What a resampler is made of.

    ``width_in`` is that of the features, ``width_out`` that of the words; ``tokens`` is M;
    ``scale`` is the root mean square that every token is brought to, None to leave it as it comes:
    tokens far longer than the words beside them drown these. ``pointed`` adds a :class:`Pointer`.
    """

    width_in: int
    width_out: int
    tokens: int = 4
    width: int = 256
    heads: int = 4
    layers: int = 1
    dropout: float = 0.0
    scale: float | None = None
    pointed: bool = False

    def __post_init__(self) -> None:
        sizes = (self.width_in, self.width_out, self.tokens, self.width, self.heads, self.layers)
        if min(sizes) < 1 or self.width % self.heads or not 0 <= self.dropout < 1:
            raise BadInput(
                f"no resampler can be made of {asdict(self)}; expected positive sizes, a width "
                "that its heads divide and a dropout below 1"
            )


class _Layer(nn.Module):
    """Queries attend to features, then think: [b, m, w], [b, t, w] -> [b, m, w]."""

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        w = config.width
        self.of_queries, self.of_features, self.of_thought = (nn.LayerNorm(w) for _ in range(3))
        self.attention = nn.MultiheadAttention(
            w, config.heads, dropout=config.dropout, batch_first=True
        )
        self.feed = nn.Sequential(
            nn.Linear(w, 4 * w), nn.GELU(), nn.Dropout(config.dropout), nn.Linear(4 * w, w)
        )

    def forward(
        self, queries: torch.Tensor, features: torch.Tensor, padding: torch.Tensor | None
    ) -> torch.Tensor:
        keys = self.of_features(features)
        gathered, _ = self.attention(
            self.of_queries(queries), keys, keys, key_padding_mask=padding, need_weights=False
        )
        queries = queries + gathered  # [b, m, w]
        found: torch.Tensor = queries + self.feed(self.of_thought(queries))
        return found


class Pointer(nn.Module):
    """One attention straight to the words: [b, t, d] -> [b, m, w].

    The m-th token is ``sum_t softmax_t(F_t k_m) F_t V_m``: a mixture of what the features stand
    for, each weighted by how strongly it is there.

    Attributes
    ----------
    keys, values
        [m, d] and [m, d, w]; random until someone who knows what the features mean sets them.
    """

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        m, d, w = config.tokens, config.width_in, config.width_out
        self.keys = nn.Parameter(torch.randn(m, d) * d**-0.5)
        self.values = nn.Parameter(torch.randn(m, d, w) * d**-0.5)

    def weights(self, features: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """How much of each feature is in each token, [b, m, t]."""
        logits = torch.einsum("btd,md->bmt", features, self.keys)
        if padding is not None:
            logits = logits.masked_fill(padding.unsqueeze(1), -torch.inf)
        return logits.softmax(-1)

    def forward(self, features: torch.Tensor, padding: torch.Tensor | None) -> torch.Tensor:
        """Features [b, t, d] and which of them are padding, to [b, m, w]."""
        if padding is not None:  # what stands there may be no number
            features = features.masked_fill(padding.unsqueeze(-1), 0.0)
        mixed = torch.einsum("bmt,btd->bmd", self.weights(features, padding), features)
        return torch.einsum("bmd,mdw->bmw", mixed, self.values)


class Resampler(nn.Module):
    """Features of any number to M soft tokens.

    Shapes: b inputs, t feature tokens, d their width, M soft tokens, w the width of the words.

    Attributes
    ----------
    config
        What it is made of.
    queries
        The learned queries, [M, width].
    pointer
        The attention straight to the words; None where the config asks for none.
    """

    def __init__(self, config: ResamplerConfig) -> None:
        super().__init__()
        self.config = config
        self.queries = nn.Parameter(torch.randn(config.tokens, config.width) * config.width**-0.5)
        self.enter = nn.Linear(config.width_in, config.width)
        self.layers = nn.ModuleList(_Layer(config) for _ in range(config.layers))
        self.last = nn.LayerNorm(config.width)
        self.leave = nn.Linear(config.width, config.width_out)
        self.pointer = Pointer(config) if config.pointed else None

    def forward(self, features: torch.Tensor, mask: torch.Tensor | None = None) -> torch.Tensor:
        """Soft tokens of inputs.

        Parameters
        ----------
        features
            [b, t, d].
        mask
            1 for features and 0 for padding, [b, t]; None where nothing is padded.

        Returns
        -------
        Tensor
            [b, M, w], whatever t is.

        Raises
        ------
        BadInput
            When the shapes do not fit, or an input has no feature at all.
        """
        shape, wanted = tuple(features.shape), self.config.width_in
        if len(shape) != 3 or shape[-1] != wanted or shape[1] == 0:
            raise BadInput(
                f"features of shape {list(shape)} were given to a resampler; expected "
                f"[inputs, at least one token, {wanted}]"
            )
        padding = None
        if mask is not None:
            if tuple(mask.shape) != shape[:2] or not bool(mask.bool().any(1).all()):
                raise BadInput(
                    f"a mask of shape {list(mask.shape)} was given with features {list(shape)}; "
                    f"expected {list(shape[:2])} with at least one token of each input"
                )
            padding = ~mask.bool()
        entered = self.enter(features)  # [b, t, width]
        found = self.queries.expand(shape[0], -1, -1)  # [b, M, width]
        for layer in self.layers:
            found = layer(found, entered, padding)
        soft: torch.Tensor = self.leave(self.last(found))  # [b, M, w]
        if self.pointer is not None:
            soft = soft + self.pointer(features, padding)
        if self.config.scale is not None:
            mean_square = soft.pow(2).mean(-1, keepdim=True)
            soft = soft * torch.rsqrt(mean_square + 1e-12) * self.config.scale
        return soft

    def document(self) -> dict[str, Any]:
        """The config as JSON keeps it."""
        return asdict(self.config)


def padded(features: list[torch.Tensor]) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs of different lengths side by side, [b, t, d], with their mask, [b, t]."""
    longest = max(len(one) for one in features)
    mask = torch.tensor([[1] * len(one) + [0] * (longest - len(one)) for one in features])
    side_by_side = torch.nn.utils.rnn.pad_sequence(features, batch_first=True)
    return side_by_side, mask.to(side_by_side.device)
