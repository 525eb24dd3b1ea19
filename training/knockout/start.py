"""Where a resampler of expression starts: its panel's log odds, said in words.

Each token of a panel stands for one answer and holds its log odds (:mod:`encoders.knockout.panel`).
So the pointer of a resampler (:class:`encoders.image.resampler.Pointer`) can start as the panel's
own softmax: its m-th token is the mixture of the m-th word pieces of all names, each weighted by
the probability that the panel gives the name, sharpened. Other tokens start as the sum of these
pieces, each times its log odds, in which the names that are less likely have their order. What the
residual path adds starts as nothing. A language model repeats what stands in its prompt, unasked:
before any teaching it names what the panel ranks first in nine of ten cases
(docs/experiments/knockout.md).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch

from encoders.image.resampler import Resampler
from encoders.knockout.multimodal import MultimodalModel
from encoders.knockout.panel import fixed
from encoders.language import LanguageModel

__all__ = ["pieces", "point"]

CENTRE = 0.5
"""Share of the names' mean that is taken away: what all mixtures share tells nothing."""


GAIN = 0.3
"""Words by log odds, where a token's log odds are not sharpened but added."""


def pieces(language: LanguageModel, names: Sequence[str], tokens: int) -> torch.Tensor:
    """The embeddings of the first word pieces of each name, then of the end, [c, tokens, w]."""
    end = language.tokenizer.eos_token_id
    rows = []
    for name in names:
        ids = language.tokens(f" {name}")[:tokens]
        rows.append(ids + [end] * (tokens - len(ids)))
    with torch.no_grad():
        return language.words(torch.tensor(rows, device=language.device)).float()


def point(model: MultimodalModel, names: Sequence[str], sharp: Sequence[float]) -> None:
    """Set the pointer for expression, in place.

    Parameters
    ----------
    model
        With a pointed resampler for expression.
    names
        What the panel's tokens stand for, in their order.
    sharp
        What the log odds are multiplied by, for each group of tokens; each group says a name. 0:
        the tokens of that group add words up by log odds.
    """
    resampler = model.resamplers["gene"]
    assert isinstance(resampler, Resampler) and resampler.pointer is not None
    many = resampler.config.tokens // len(sharp)
    words = pieces(model.language, names, many)  # [c, many, w]
    words = words - CENTRE * words.mean(0)
    size, which = (one.to(words) for one in fixed(len(names)))  # [c, 2c] each
    with torch.no_grad():
        resampler.leave.weight.zero_()
        resampler.leave.bias.zero_()
        for place in range(resampler.config.tokens):
            own = words[:, place % many]
            power = sharp[place // many]
            resampler.pointer.keys[place] = power * size.sum(0)
            resampler.pointer.values[place] = which.T @ own
            if not power:
                resampler.pointer.values[place] += GAIN * len(names) * size.T @ own
