"""Images and resamplers: pictures read into tokens, a training step each, and candidates scored.

Weights are random, since only sizes count; scoring needs the fetched language model (`celloquy
data fetch models`) and is left out without it.

``python tests/benchmarks/bench_images.py``
"""

from __future__ import annotations

import numpy as np
import torch
from timing import Row, median, report

from data.errors import CelloquyError
from encoders import language as languages
from encoders.image.pictures import Pictures
from encoders.image.resampler import Resampler, ResamplerConfig
from encoders.image.tokens import TrainedHere
from encoders.image.vit import Autoencoder, SmallViT, ViTConfig
from encoders.knockout.multimodal import Asked, MultimodalModel

BATCH, TOKENS, WIDTH, WORDS = 64, 20, 40, 576
CANDIDATES = [f" GENE{i}." for i in range(20)]


def pictures() -> list[Row]:
    """The nuclei of docs/experiments/knockout.md: 64 x 64, patches of 8, width 96, 4 layers."""
    vit = SmallViT(ViTConfig(("DNA",)))
    some = Pictures(np.random.default_rng(0).random((BATCH, 1, 64, 64), np.float32), ("DNA",))
    encoder, model = TrainedHere(vit, ""), Autoencoder(vit)
    images = torch.from_numpy(some.values)

    def step() -> None:
        model.zero_grad()
        model(images).backward()

    return [
        Row(f"{BATCH} nuclei to tokens", median(lambda: encoder.encode(some), 5)),
        Row(f"masked autoencoder, a step of {BATCH} nuclei", median(step, 5)),
    ]


def resampled() -> Row:
    """A step of the resampler of expression, without the language model."""
    resampler = Resampler(ResamplerConfig(WIDTH, WORDS, 4, 128))
    features = torch.randn(BATCH, TOKENS, WIDTH)

    def step() -> None:
        resampler.zero_grad()
        resampler(features).sum().backward()

    return Row(f"resampler, a step of {BATCH} pseudo-cells", median(step, 9))


def scored() -> Row:
    """Twenty genes for 8 pseudo-cells through the language model, beside each by itself."""
    language = languages.load("local")
    model = MultimodalModel(language, {"gene": Resampler(ResamplerConfig(WIDTH, language.width))})
    asked = [
        Asked(
            "Which gene is knocked out?", {"gene": torch.randn(TOKENS, WIDTH)}, (), " The gene is"
        )
        for _ in range(8)
    ]
    return Row(
        "20 genes for 8 pseudo-cells",
        median(lambda: model.choose(asked, CANDIDATES), 3),
        other="each gene scored in full",
        theirs=median(lambda: model.score(asked, CANDIDATES), 1),
    )


def main() -> int:
    """Run them and print the table."""
    torch.manual_seed(0)
    rows = [*pictures(), resampled()]
    try:
        rows.append(scored())
    except CelloquyError as error:
        print(f"not scored: {error}")
    return 1 if report(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
