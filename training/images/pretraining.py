"""A small vision transformer learns from images alone, and then, if wanted, from their classes.

:func:`pretrain` is the masked autoencoder of :mod:`encoders.image.vit`; :func:`finetune` goes on
from it with a linear layer over classes, for figures that say what pretraining is worth. Both draw
their batches, flips and turns from the number of the step: a run that is cut goes on as it was.
"""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from encoders.image.pictures import Pictures
from encoders.image.vit import Autoencoder, SmallViT, ViTConfig
from training.images.data import TURNS, turned
from training.loop import History, LoopConfig, fit

__all__ = ["Classifier", "PretrainConfig", "finetune", "pooled_tokens", "pretrain", "sized"]


@dataclass(frozen=True, slots=True)
class PretrainConfig:
    """Everything that a small vision transformer is made with.

    Parameters
    ----------
    size, patch, width, layers
        Of the transformer.
    batch
        Images a step.
    loop
        The run. The original's rate of 1.5e-4 is for 4,096 images a batch and 800 passes.
    """

    size: int = 64
    patch: int = 8
    width: int = 96
    layers: int = 4
    batch: int = 64
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=800, learning_rate=1e-3, weight_decay=0.05, warmup=0.05, save_every=200,
            threads=1,
        )
    )  # fmt: skip


class Classifier(torch.nn.Module):
    """A vision transformer and a linear layer over the mean and the largest of its tokens."""

    def __init__(self, vit: SmallViT, classes: int, dropout: float = 0.2) -> None:
        super().__init__()
        self.vit = vit
        self.drop = torch.nn.Dropout(dropout)
        self.head = torch.nn.Linear(2 * vit.config.width, classes)

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits, [b, classes]."""
        tokens = self.vit(images)
        both = torch.cat([tokens.mean(1), tokens.amax(1)], 1)
        found: torch.Tensor = self.head(self.drop(both))
        return found


def sized(pictures: Pictures, size: int) -> torch.Tensor:
    """Pictures of the size that a transformer reads, [n, c, size, size]."""
    values = torch.from_numpy(pictures.values)
    if tuple(values.shape[2:]) == (size, size):
        return values
    return functional.interpolate(values, (size, size), mode="bilinear", antialias=True)


def pooled_tokens(tokens: NDArray[np.float32]) -> NDArray[np.float32]:
    """Mean and largest of each image's tokens, [n, t, d] -> [n, 2 d]: features for a classifier."""
    return np.concatenate([tokens.mean(1), tokens.max(1)], axis=1)


def pretrain(
    pictures: Pictures,
    config: PretrainConfig,
    folder: Path | None = None,
    *,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[SmallViT, History]:
    """Train a transformer on pictures without labels.

    Parameters
    ----------
    pictures
        Of any size and channels.
    config
        The run.
    folder
        Of checkpoints; None to keep none.
    seconds
        Stop, with a checkpoint, after so long.
    show
        A bar on stderr.
    """
    images = sized(pictures, config.size)
    made = replace(
        ViTConfig(pictures.channels, config.size, config.patch, config.width, config.layers),
        mean=tuple(images.mean((0, 2, 3)).tolist()),
        deviation=tuple((images.std((0, 2, 3)) + 1e-3).tolist()),
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.loop.seed)
        model = Autoencoder(SmallViT(made))

    def step(number: int) -> torch.Tensor:
        _, batch = _drawn(images, config.batch, config.loop.seed, number)
        found: torch.Tensor = model(batch)
        return found

    history = fit(
        dict(model.named_parameters()), step, lambda number: number, config.loop, folder,
        about={"vit": _plain(made), "batch": config.batch, "images": _digest(images)},
        seconds=seconds, show=show,
    )  # fmt: skip
    return model.vit.eval(), history


def finetune(
    vit: SmallViT,
    pictures: Pictures,
    labels: NDArray[np.int64],
    classes: int,
    loop: LoopConfig,
    batch: int = 64,
    folder: Path | None = None,
    *,
    show: bool = False,
) -> Classifier:
    """Train the transformer and a new linear layer on classes; the given one is changed.

    Classes count by the inverse root of their number: macro-F1 weighs them alike.
    """
    images = sized(pictures, vit.config.size)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(loop.seed)
        model = Classifier(vit, classes)
    counts = np.maximum(np.bincount(labels, minlength=classes), 1)
    weight = torch.tensor((counts.mean() / counts) ** 0.5, dtype=torch.float32)
    truth = torch.from_numpy(labels)

    def step(number: int) -> torch.Tensor:
        rows, drawn = _drawn(images, batch, loop.seed, number)
        return functional.cross_entropy(
            model(drawn), truth[rows], weight=weight, label_smoothing=0.1
        )

    model.train()
    fit(
        dict(model.named_parameters()), step, lambda number: number, loop, folder,
        about={"vit": _plain(vit.config), "batch": batch, "images": _digest(images),
               "labels": hashlib.sha256(labels.tobytes()).hexdigest()[:16]}, show=show,
    )  # fmt: skip
    return model.eval()


def _drawn(
    images: torch.Tensor, n: int, seed: int, number: int
) -> tuple[torch.Tensor, torch.Tensor]:
    """The images of a step, each flipped and turned at random: their rows, and themselves."""
    draw = np.random.default_rng([seed, number])
    per_pass = max(1, len(images) // n)
    # Each pass sees every image once, in an order of its own.
    order = np.random.default_rng([seed, number // per_pass, 1]).permutation(len(images))
    start = number % per_pass * n
    rows = order[start : start + n]
    ways = draw.integers(0, TURNS, len(rows))
    found = images[rows].clone()
    for way in range(1, TURNS):
        some = np.flatnonzero(ways == way)
        if len(some):
            found[some] = torch.from_numpy(turned(found[some].numpy(), way))
    return torch.from_numpy(rows), found


def _plain(config: ViTConfig) -> dict[str, Any]:
    return {k: list(v) if isinstance(v, tuple) else v for k, v in asdict(config).items()}


def _digest(images: torch.Tensor) -> str:
    return hashlib.sha256(images.numpy().tobytes()).hexdigest()[:16]
