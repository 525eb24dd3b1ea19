"""Genuine pairs: spots of a Visium section, each with its expression and the tissue under it.

49 spots of one crop, so that the interval is wide. What is told is the cluster that the file's
authors made of the expression of the whole section: expression alone can therefore be expected to
tell it nearly always, and the question is whether a resampler for each modality, trained with
either left out at times, answers from both no worse than from the better one.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.image.pictures import Pictures
from encoders.image.tokens import TrainedHere
from encoders.knockout.knocked import KnockedOut
from encoders.knockout.panel import Panel
from encoders.language import LanguageModel
from training.images.data import TURNS, Spots, spots, turns
from training.images.pretraining import PretrainConfig, pooled_tokens, pretrain
from training.knockout.baselines import Ranked, joined, largest, regression
from training.knockout.run import Inputs, alone
from training.knockout.train import KnockoutConfig, PairedSource, align, build
from training.loop import LoopConfig

__all__ = ["measure_spots"]

FOLDS = 5
LEAST = 5
"""Spots of a cluster below which it is left out: with fewer, some folds could not learn it."""

COMPONENTS = 10

VIT = PretrainConfig(
    size=96, patch=16, width=96, layers=3, batch=16,
    loop=LoopConfig(steps=150, learning_rate=1e-3, weight_decay=0.05, warmup=0.05, threads=1),
)  # fmt: skip
"""Trained on the 49 patches themselves, without labels; not tuned."""

STEPS = 60
"""Of the resamplers in token space, for each fold; not tuned."""

WAYS = {"both": ("image", "gene"), "image alone": ("image",), "expression alone": ("gene",)}


def measure_spots(folder: Path, language: LanguageModel, seed: int = 0) -> dict[str, Ranked]:
    """Rankings of the clusters from both modalities, from either and from neither."""
    found = _common(spots(folder))
    vit, _ = pretrain(found.patches, VIT)
    encoder = TrainedHere(vit, "spots")
    tokens = np.stack([encoder.encode(one) for one in turns(found.patches, TURNS)], axis=1)
    draw = np.random.default_rng(seed)
    part = draw.permutation(np.arange(len(found.labels)) % FOLDS)
    outcomes: dict[str, list[Ranked]] = {}
    for held in range(FOLDS):
        for name, one in _fold(found, tokens, part, held, language, seed).items():
            outcomes.setdefault(name, []).append(one)
    return {name: joined(parts) for name, parts in outcomes.items()}


def _common(found: Spots) -> Spots:
    """Spots of clusters with enough of them."""
    names, counts = np.unique(found.labels.astype(str), return_counts=True)
    kept = np.isin(found.labels.astype(str), names[counts >= LEAST])
    patches = Pictures(found.patches.values[kept], found.patches.channels)
    labels = np.array([f"cluster {one}" for one in found.labels[kept]], object)
    return Spots(patches, found.values[kept], found.genes, labels, found.places[kept])


def _fold(
    found: Spots,
    tokens: NDArray[np.float32],
    part: NDArray[np.int64],
    held: int,
    language: LanguageModel,
    seed: int,
) -> dict[str, Ranked]:
    learnt, asked = part != held, part == held
    panel = _panel(found, learnt)
    genes = panel.tokens(panel.scores(found.values, found.genes)).numpy()
    source = PairedSource(tokens[learnt], genes[learnt], found.labels[learnt])
    loop = LoopConfig(steps=STEPS, learning_rate=1e-3, weight_decay=0.1, warmup=0.05, seed=seed,
                      threads=1)  # fmt: skip
    config = KnockoutConfig(align=loop, align_batch=32)
    model = build(language, {"image": tokens.shape[-1], "gene": panel.width}, config, seed)
    align(model, [source], config)
    known = KnockedOut(model, {"image": source.names, "gene": source.names}, {})
    right = found.labels[asked]
    groups = np.array([f"spot {i}" for i in np.flatnonzero(asked)], object)
    features = [{"image": torch.from_numpy(tokens[i, 0]), "gene": torch.from_numpy(genes[i])}
                for i in np.flatnonzero(asked)]  # fmt: skip
    along = panel.scores(found.values, found.genes) @ panel.directions
    vectors = {"image": pooled_tokens(tokens[:, 0]), "gene": along}
    outcome = {}
    for name, used in WAYS.items():
        some = [{one: row[one] for one in used} for row in features]
        test = Inputs(some, np.zeros((len(some), 0), np.float32), right, groups)
        outcome[name] = alone(known, test, config)
        x = np.concatenate([vectors[one] for one in used], axis=1)
        every = np.arange(int(learnt.sum())) % 3 == 0
        fitted, _ = regression(x[learnt], found.labels[learnt], every, x[asked], right, groups)
        outcome[f"regression, {name}"] = fitted
    outcome["neither"] = largest(found.labels[learnt], right, groups)
    return outcome


def _panel(found: Spots, learnt: NDArray[np.bool_]) -> Panel:
    """Standardised expression of the training spots along its main directions."""
    from sklearn.decomposition import PCA

    x = found.values[learnt]
    mean, deviation = x.mean(0), x.std(0) + np.float32(0.25)
    z = np.clip((x - mean) / deviation, -5, 5)
    main = PCA(COMPONENTS, svd_solver="full").fit(z)
    directions = main.components_.T / (z @ main.components_.T).std(0)
    offset = np.zeros(directions.shape[1], np.float32)
    return Panel(found.genes, mean, deviation, directions.astype(np.float32), offset)
