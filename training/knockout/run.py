"""From a screen to a model of knock-outs with its figures: encoders, the steps of stage 1, scores.

:func:`learn` trains on all folds but one, :func:`score` measures on that one beside the baselines,
on the same pseudo-cells, single cells or images. The model that is kept is the one that was
measured: nothing is trained again on the guides that were held out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.image.tokens import ImageEncoder
from encoders.knockout.knocked import Calibration, KnockedOut
from encoders.knockout.panel import MOST, along, pooled
from encoders.language import LanguageModel
from training.images.data import TURNS, turns
from training.knockout.baselines import Ranked, centroids, largest, regression
from training.knockout.data import ImageScreen, Labels, Screen, folds, pools
from training.knockout.panel import fit_panel, guides_alike
from training.knockout.start import point
from training.knockout.train import (
    ExpressionSource,
    ImageSource,
    KnockoutConfig,
    Source,
    align,
    build,
    teach,
    unread,
)

__all__ = ["Inputs", "alike", "alone", "calibrated", "image_tokens", "inputs_of", "learn", "score",
           "through", "untaught", "untrained"]  # fmt: skip

DRAWN = 1_500
"""Pseudo-cells that the baselines learn from, drawn as the model's are."""

CALIBRATING = 128
"""Training inputs that the calibration is fitted to; the language model reads them all."""

TEMPERED = 1_000
"""Training inputs that say how sure a panel may be."""

SHRINK = 1e-4
"""Of the squared biases: there are nearly as many as inputs, and each input has all names."""

SINGLES = 4_000
"""Single training cells that the baselines learn from, where there are more."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What is asked of every method: features for the model, vectors for the others."""

    features: list[dict[str, torch.Tensor]]
    vectors: NDArray[np.float32]
    right: Labels
    groups: Labels


def image_tokens(
    encoder: ImageEncoder, screen: ImageScreen, ways: int = TURNS
) -> NDArray[np.float32]:
    """Tokens of images in each of their flips and turns, [n, ways, t, d]."""
    return np.stack([encoder.encode(one) for one in turns(screen.pictures, ways)], axis=1)


def learn(
    language: LanguageModel,
    screen: Screen | None,
    images: tuple[ImageScreen, ImageEncoder, NDArray[np.float32]] | None,
    held: int,
    config: KnockoutConfig,
    folder: Path | None = None,
    *,
    steps: tuple[str, ...] = ("align", "teach"),
    seconds: float | None = None,
    show: bool = False,
) -> tuple[KnockedOut, bool]:
    """Train on every fold but ``held``.

    Parameters
    ----------
    language
        The language model, frozen.
    screen, images
        What to learn from; an image screen comes with its encoder and its tokens.
    held
        The fold that is left out.
    config
        The run.
    folder
        Of checkpoints.
    steps
        Which of ``align`` and ``teach`` to do; none leaves the model untrained. Expression starts
        as its panel with either.
    seconds
        Time for ``teach``.
    show
        Bars on stderr.

    Returns
    -------
    tuple
        The model, without figures, and whether it was trained to the end.
    """
    sources: list[Source] = []
    widths: dict[str, int] = {}
    labels: dict[str, tuple[str, ...]] = {}
    panel = None
    if screen is not None:
        kept = screen.folds() != held
        own, guides = screen.labels[kept], screen.guides[kept]
        fitted = fit_panel(screen.values[kept], screen.genes, own, guides, config.align.seed)
        panel = fitted.panel
        scores = panel.scores(screen.values[kept], screen.genes)
        sources.append(ExpressionSource(fitted, scores, own, guides, config.sizes))
        widths["gene"], labels["gene"] = panel.width, sources[-1].names
    if images is not None:
        shown, encoder, tokens = images
        kept = folds(shown.labels, shown.guides) != held
        sources.append(ImageSource(tokens[kept], shown.labels[kept]))
        widths["image"], labels["image"] = encoder.width, sources[-1].names
    if not sources:
        raise BadInput("neither cells nor images were given; expected a screen to learn from")
    if len(sources) > 1:
        sources += _same_gene(sources)
    pointed = ("gene",) if screen is not None else ()
    model = build(language, widths, config, config.align.seed, pointed)
    done = True
    if pointed and steps:
        point(model, labels["gene"], config.sharp)
    pictured = [one for one in sources if isinstance(one, ImageSource)]
    if "align" in steps and pictured:
        align(model, pictured, config, folder, show=show)
    if "teach" in steps:
        done = teach(model, sources, config, folder, show=show, seconds=seconds).finished
    made = KnockedOut(model, labels, {}, panel, images[1] if images else None)
    return (calibrated(made, sources, config) if steps and done else made), done


def calibrated(
    knocked: KnockedOut, sources: Sequence[Source], config: KnockoutConfig
) -> KnockedOut:
    """With scales and biases that bring the language model's scores to what was there before.

    On training inputs the panel, or the resampler alone, gives each name a probability; a scale and
    a bias for each name are fitted to these (vector scaling, C. Guo et al. 2017, arXiv:1706.04599).
    The panel's log odds are first multiplied by what makes them likeliest on training guides, which
    it did not see. They get a scale alone: the language model was taught all of them, and biases
    from so few inputs undo the order of the names that are less likely (measured).
    """
    found = {}
    for kind, source in zip(knocked.labels, sources, strict=False):
        draw = np.random.default_rng([config.align.seed, 3_000])
        inputs, _ = source.draw(draw, CALIBRATING)
        names, scores = replace(knocked, calibrations={}).log_probabilities(inputs)
        wanted = unread(knocked.model, inputs, names, config.tokens).double().numpy()
        assert isinstance(source, ExpressionSource | ImageSource)
        if isinstance(source, ExpressionSource):
            wanted = wanted * _temperature(source, draw)
        else:
            wanted = wanted / config.temperature
        biased = not isinstance(source, ExpressionSource)
        found[kind] = replace(_scaled(names, scores, wanted, biased), prior=source.shares())
    return replace(knocked, calibrations=found)


def _temperature(source: ExpressionSource, draw: np.random.Generator) -> float:
    """What makes the panel's log odds of training inputs likeliest when multiplied by it."""
    from scipy.optimize import minimize_scalar
    from scipy.special import log_softmax

    inputs, labels = source.draw(draw, TEMPERED)
    odds = along(torch.stack([one["gene"] for one in inputs])).double().numpy()
    right = np.array([source.names.index(one) for one in labels])

    def loss(power: float) -> float:
        own = log_softmax(np.exp(power) * odds, axis=1)[np.arange(len(right)), right]
        return -float(own.mean())

    return float(np.exp(minimize_scalar(loss, bounds=(-2, 2), method="bounded").x))


def _scaled(
    names: Sequence[str],
    scores: NDArray[np.float64],
    wanted: NDArray[np.float64],
    biased: bool,
) -> Calibration:
    """The scale, and the biases, with which scores say what is wanted, by cross-entropy."""
    from scipy.optimize import minimize
    from scipy.special import log_softmax, softmax

    target = softmax(wanted, axis=1)

    def loss(x: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        logits = np.exp(x[0]) * scores + x[1:]
        off = (np.exp(log_softmax(logits, axis=1)) - target) / len(scores)
        value = -(target * log_softmax(logits, axis=1)).sum() / len(scores)
        shifts = off.sum(0) * biased  # without biases they stay where they start, at 0
        gradient = np.concatenate([[(off * np.exp(x[0]) * scores).sum()], shifts])
        return value + SHRINK * float((x[1:] ** 2).sum()), gradient + np.r_[0, 2 * SHRINK * x[1:]]

    fitted = minimize(loss, np.zeros(len(names) + 1), jac=True, method="L-BFGS-B").x
    bias = {name: round(float(one), 4) for name, one in zip(names, fitted[1:], strict=True)}
    return Calibration(round(float(np.exp(fitted[0])), 5), bias)


class _SameGene:
    """Cells and an image of the same gene, from two screens that share genes."""

    def __init__(self, cells: ExpressionSource, images: ImageSource) -> None:
        self.cells, self.images = cells, images
        self.shared = tuple(sorted(set(cells.names) & set(images.names)))

    @property
    def names(self) -> tuple[str, ...]:
        """Labels of either: what can be answered where both are shown."""
        return tuple(sorted({*self.cells.names, *self.images.names}))

    def draw(
        self, draw: np.random.Generator, n: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[str]]:
        """N pairs."""
        found: list[dict[str, torch.Tensor]] = []
        labels: list[str] = []
        while len(found) < n:
            cells, named = self.cells.draw(draw, n)
            for one, label in zip(cells, named, strict=True):
                rows = np.flatnonzero(self.images.labels == label)
                if len(rows) and len(found) < n:
                    turned = int(draw.integers(0, self.images.tokens.shape[1]))
                    image = self.images.tokens[draw.choice(rows), turned]
                    found.append({"image": torch.from_numpy(image), **one})
                    labels.append(label)
        return found, labels

    def digest(self) -> str:
        """Of both."""
        return self.cells.digest() + self.images.digest()


def _same_gene(sources: list[Source]) -> list[Source]:
    """Pairs, where two screens share a gene that is knocked out."""
    cells, images = sources
    assert isinstance(cells, ExpressionSource) and isinstance(images, ImageSource)
    pairs = _SameGene(cells, images)
    return [pairs] if len(pairs.shared) > 1 else []


# --- scoring -----------------------------------------------------------------------------------


def inputs_of(
    knocked: KnockedOut,
    screen: Screen,
    held: int,
    *,
    pools_of_cells: bool,
    most: int | None = None,
    seed: int = 0,
) -> tuple[Inputs, Inputs]:
    """Training and test inputs of a screen of cells, as pseudo-cells or as single cells.

    ``most`` test inputs are drawn where there are more. Genes that the model was not trained on
    are left out of the test.
    """
    assert knocked.panel is not None
    part = screen.folds()
    scores = knocked.panel.scores(screen.values, screen.genes)
    kept = part != held
    draw = np.random.default_rng(seed)
    if pools_of_cells:
        learnt = _drawn(scores[kept], screen.labels[kept], screen.guides[kept], draw)
        asked = pools(scores[part == held], screen.labels[part == held],
                      screen.guides[part == held], seed)  # fmt: skip
    else:
        own = np.flatnonzero(kept)
        own = np.sort(draw.choice(own, min(SINGLES, len(own)), replace=False))
        learnt = (scores[own], screen.labels[own], screen.guides[own])
        asked = (scores[part == held], screen.labels[part == held], screen.guides[part == held])
    known = np.isin(asked[1], knocked.labels["gene"])
    rows = np.flatnonzero(known)
    if most is not None and len(rows) > most:
        rows = np.sort(draw.choice(rows, most, replace=False))
    vectors, right, groups = asked[0][rows], asked[1][rows], asked[2][rows]
    tokens = knocked.panel.tokens(vectors)
    return (
        Inputs([], *learnt),
        Inputs([{"gene": one} for one in tokens], vectors, right, groups),
    )


def _drawn(
    scores: NDArray[np.float32], labels: Labels, guides: Labels, draw: np.random.Generator
) -> tuple[NDArray[np.float32], Labels, Labels]:
    """Pseudo-cells for the baselines, a guide as likely as it has cells."""
    vectors, chosen = [], draw.integers(0, len(labels), DRAWN)
    for cell in chosen:
        rows = np.flatnonzero((guides == guides[cell]) & (labels == labels[cell]))
        vectors.append(pooled(scores[draw.choice(rows, min(MOST, len(rows)), replace=False)]))
    return np.stack(vectors), labels[chosen], guides[chosen]


def through(knocked: KnockedOut, inputs: Inputs) -> Ranked:
    """The model's own ranking, every candidate scored by the language model."""
    names, logs = knocked.log_probabilities(inputs.features)
    return Ranked(names, logs, inputs.right, inputs.groups)


def alone(knocked: KnockedOut, inputs: Inputs, config: KnockoutConfig) -> Ranked:
    """Without the language model: the panel's own ranking, or the nearest name of an image."""
    used = sorted({name for one in inputs.features for name in one})
    names = tuple(sorted({label for name in used for label in knocked.labels[name]}))
    logits = torch.cat(
        [
            unread(knocked.model, inputs.features[i : i + 64], names, config.tokens)
            for i in range(0, len(inputs.features), 64)
        ]
    )
    return Ranked(names, logits.double().numpy(), inputs.right, inputs.groups)


def alike(
    knocked: KnockedOut, screen: Screen, held: int, test: Inputs, seed: int = 0, size: int = MOST
) -> Ranked:
    """The panel's own regression, all training guides alike: the baseline for expression."""
    assert knocked.panel is not None
    kept = screen.folds() != held
    scores = knocked.panel.scores(screen.values[kept], screen.genes)
    names, logs = guides_alike(
        scores, screen.labels[kept], screen.guides[kept], test.vectors, seed, size
    )
    return Ranked(names, logs, test.right, test.groups)


def score(
    learnt: Inputs, test: Inputs, own: Mapping[str, Ranked], regressed: Ranked | None = None
) -> dict[str, Ranked]:
    """The rankings ``own`` beside the baselines', on the same test inputs.

    ``regressed`` is the logistic regression where there is a better one (:func:`alike`).
    """
    if regressed is None:
        units = sorted(set(learnt.groups.tolist()), key=str)
        # Every fourth guide of the training inputs chooses the regression's penalty.
        held = np.isin(learnt.groups, np.array(units, dtype=learnt.groups.dtype)[::4])
        regressed, _ = regression(
            learnt.vectors, learnt.right, held, test.vectors, test.right, test.groups
        )
    return {
        **own,
        "largest class": largest(learnt.right, test.right, test.groups),
        "nearest centroid": centroids(
            learnt.vectors, learnt.right, test.vectors, test.right, test.groups
        ),
        "logistic regression": regressed,
    }


def untaught(knocked: KnockedOut, config: KnockoutConfig) -> KnockedOut:
    """The same encoder of expression before a resampler that only starts as it: a control."""
    names = knocked.labels["gene"]
    widths = {"gene": 2 * len(names)}
    model = build(knocked.model.language, widths, config, config.align.seed, ("gene",))
    point(model, names, config.sharp)
    return replace(knocked, model=model, calibrations={})


def untrained(knocked: KnockedOut, config: KnockoutConfig, run: int = 0) -> KnockedOut:
    """The same encoders before resamplers that were never trained: a control.

    ``run`` draws others.
    """
    resamplers: Any = knocked.model.resamplers
    widths = {name: one.config.width_in for name, one in resamplers.items()}
    pointed = [name for name, one in resamplers.items() if one.config.pointed]
    model = build(knocked.model.language, widths, config, config.align.seed + 1_000 + run, pointed)
    return replace(knocked, model=model, calibrations={})
