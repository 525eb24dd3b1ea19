"""A small vision transformer for any number of channels, trained without labels on images at hand.

Each patch of each channel is a token: one linear layer for all channels, a learned vector for the
channel, a fixed one for the place (after ChannelViT, Y. Bao et al. 2024, arXiv:2309.16108), so that
fluorescence with six stains and a grey nucleus need nothing of their own. It is trained as a
masked autoencoder (K. He et al. 2022, arXiv:2111.06377): three patches in four are hidden, the rest
is read, and the hidden ones are drawn again, each normalised; reading a quarter is what makes it
affordable on a processor.

It knows no label; :mod:`training.images.pretraining` trains it, :mod:`encoders.image.tokens` uses
it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from data.errors import BadFile, BadInput
from encoders import checkpoint

__all__ = ["NAME", "Autoencoder", "SmallViT", "ViTConfig", "load_vit", "save_vit"]

NAME = "vit"
"""Of its files in a folder."""

_VERSION = 1


@dataclass(frozen=True, slots=True)
class ViTConfig:
    """What a small vision transformer is made of.

    ``channels`` are names, in order; ``size`` and ``patch`` are sides in pixels; ``mean`` and
    ``deviation`` are those of the training images, one for each channel; ``hidden`` is the share
    of patches that is hidden in training (.75 in the original).
    """

    channels: tuple[str, ...]
    size: int = 64
    patch: int = 8
    width: int = 96
    layers: int = 4
    heads: int = 4
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()
    hidden: float = 0.75

    def __post_init__(self) -> None:
        sizes = (self.size, self.patch, self.width, self.layers, self.heads, len(self.channels))
        per_channel = {len(self.channels), 0}
        if (
            min(sizes) < 1
            or self.size % self.patch
            or self.width % (4 * self.heads)
            or not 0 < self.hidden < 1
            or {len(self.mean), len(self.deviation)} - per_channel
        ):
            raise BadInput(
                f"no vision transformer can be made of {asdict(self)}; expected positive sizes, a "
                "side that the patch divides, a width that 4 times the heads divide"
            )

    @property
    def patches(self) -> int:
        """Of one channel."""
        return (self.size // self.patch) ** 2


class SmallViT(nn.Module):
    """Images to tokens.

    Shapes: b images, c channels, p patches of a channel, w the width.
    """

    place: torch.Tensor
    mean: torch.Tensor
    deviation: torch.Tensor

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        c, w = len(config.channels), config.width
        self.embed = nn.Linear(config.patch**2, w)
        self.channel = nn.Parameter(torch.randn(c, 1, w) * 0.02)
        self.register_buffer("place", _places(config.size // config.patch, w), persistent=False)
        self.register_buffer("mean", torch.tensor(config.mean or [0.0] * c).view(c, 1, 1))
        self.register_buffer("deviation", torch.tensor(config.deviation or [1.0] * c).view(c, 1, 1))
        self.layers = nn.ModuleList(_layer(w, config.heads) for _ in range(config.layers))
        self.last = nn.LayerNorm(w)

    def cut(self, images: torch.Tensor) -> torch.Tensor:
        """Standardised patches, [b, c, h, w] -> [b, c * p, patch * patch]."""
        shape, config = tuple(images.shape), self.config
        wanted = (len(config.channels), config.size, config.size)
        if len(shape) != 4 or shape[1:] != wanted:
            raise BadInput(f"images of shape {list(shape)} were given; expected [images, "
                           f"{', '.join(str(one) for one in wanted)}]")  # fmt: skip
        standard = (images - self.mean) / self.deviation
        step = config.patch
        some = standard.unfold(2, step, step).unfold(3, step, step)  # [b, c, s, s, patch, patch]
        return some.flatten(4).flatten(1, 3)

    def tokens(self, patches: torch.Tensor) -> torch.Tensor:
        """Patches with their channel and place, [b, c * p, w]."""
        where = self.channel + self.place  # [c, p, w]
        found: torch.Tensor = self.embed(patches) + where.flatten(0, 1)
        return found

    def think(self, tokens: torch.Tensor) -> torch.Tensor:
        """Through the layers."""
        for layer in self.layers:
            tokens = layer(tokens)
        found: torch.Tensor = self.last(tokens)
        return found

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Tokens of images, [b, c, h, w] -> [b, c * p, w]."""
        return self.think(self.tokens(self.cut(images)))


class Autoencoder(nn.Module):
    """The transformer with a small decoder that draws the hidden patches again."""

    def __init__(self, vit: SmallViT, width: int = 48) -> None:
        super().__init__()
        self.vit = vit
        config = vit.config
        c, w = len(config.channels), config.width
        self.narrow = nn.Linear(w, width)
        self.blank = nn.Parameter(torch.randn(width) * 0.02)
        self.where = nn.Parameter(torch.randn(c * config.patches, width) * 0.02)
        self.layer = _layer(width, 4)
        self.draw = nn.Linear(width, config.patch**2)

    def forward(self, images: torch.Tensor, draw: torch.Generator | None = None) -> torch.Tensor:
        """Mean squared error over the hidden patches, each normalised.

        Parameters
        ----------
        images
            [b, c, h, w].
        draw
            What decides which patches are hidden; None for torch's own.
        """
        patches = self.vit.cut(images)  # [b, t, q]
        b, t, _ = patches.shape
        order = torch.rand(b, t, generator=draw).argsort(1)
        keep = max(1, round(t * (1 - self.vit.config.hidden)))
        seen, unseen = order[:, :keep], order[:, keep:]
        tokens = self.vit.tokens(patches)
        read = self.vit.think(_take(tokens, seen))  # [b, keep, w]
        narrow = self.narrow(read)
        blanks = self.blank.expand(b, t - keep, -1)
        both = torch.cat([narrow, blanks], 1) + self.where[torch.cat([seen, unseen], 1)]
        drawn = self.draw(self.layer(both)[:, keep:])  # [b, t - keep, q]
        wanted = _take(patches, unseen)
        mean, deviation = wanted.mean(-1, keepdim=True), wanted.std(-1, keepdim=True)
        return nn.functional.mse_loss(drawn, (wanted - mean) / (deviation + 0.1))


def save_vit(vit: SmallViT, folder: Path, about: Mapping[str, Any] | None = None) -> str:
    """Write it below a folder; returns the sha256 of its tensors."""
    document = {"version": _VERSION, "vit": asdict(vit.config), "about": dict(about or {})}
    return checkpoint.save(folder, NAME, vit.state_dict(), document)


def load_vit(folder: Path) -> tuple[SmallViT, str]:
    """Read what :func:`save_vit` wrote, with its sha256.

    Raises
    ------
    BadFile
        When the files cannot be used.
    """
    tensors, document = checkpoint.load(folder, NAME)
    checkpoint.expect(document, {"version": _VERSION}, str(folder), "train it again")
    try:
        fields: dict[str, Any] = {
            key: tuple(value) if isinstance(value, list) else value
            for key, value in document["vit"].items()
        }
        vit = SmallViT(ViTConfig(**fields))
        vit.load_state_dict(tensors)
    except (TypeError, KeyError, RuntimeError) as error:
        reason = " ".join(str(error).split())[:200]
        raise BadFile(f"{folder} holds no vision transformer of ours: {reason}") from None
    return vit.eval(), str(document["sha256"])


def _layer(width: int, heads: int) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(
        width, heads, 4 * width, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )


def _places(side: int, width: int) -> torch.Tensor:
    """Fixed vectors of the places of a square, [side * side, width]: sines, as in the original."""
    rates = 10_000 ** (-torch.arange(width // 4) / (width / 4))
    one = torch.arange(side).unsqueeze(1) * rates  # [side, width / 4]
    line = torch.cat([one.sin(), one.cos()], 1)  # [side, width / 2]
    rows = line.unsqueeze(1).expand(-1, side, -1)
    columns = line.unsqueeze(0).expand(side, -1, -1)
    return torch.cat([rows, columns], -1).flatten(0, 1)


def _take(tokens: torch.Tensor, which: torch.Tensor) -> torch.Tensor:
    """Tokens by place, [b, t, w] and [b, k] -> [b, k, w]."""
    return tokens.gather(1, which.unsqueeze(-1).expand(-1, -1, tokens.shape[-1]))
