"""The figures that a model of knock-outs carries, and stage 2 with figures of its own.

:func:`figures_of` measures a model on the guides that were kept out, beside the baselines on the
same inputs; :func:`tuned` goes on to stage 2 and keeps the model's form.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.image.tokens import ImageEncoder
from encoders.knockout.knocked import KnockedOut
from encoders.prediction import Measured
from training.evaluate.images import pixel_statistics
from training.images.pretraining import PretrainConfig
from training.knockout.baselines import Ranked
from training.knockout.data import ImageScreen, Screen, folds
from training.knockout.panel import fit_panel
from training.knockout.run import Inputs, alike, alone, calibrated, inputs_of, score, through
from training.knockout.train import ExpressionSource, ImageSource, KnockoutConfig, Source
from training.knockout.tuning import (
    KINDS,
    LEVELS,
    Facts,
    TuningConfig,
    facts_of,
    formed,
    questions,
    ranks_of,
    told,
    tune,
)
from training.loop import LoopConfig

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["ALONE", "FIGURES", "IMAGE_VIT", "OWN", "Answered", "answers_of", "figures_of",
           "image_inputs", "measured", "sources_of", "stage_2", "tuned"]  # fmt: skip

OWN = "resampler + language model"
ALONE = "without the language model"
"""The panel's log odds of expression; the nearest name in token space of an image."""

FIGURES = ("top-1", "top-5", "MRR")

IMAGE_VIT = PretrainConfig(
    size=112, patch=16, width=96, layers=3, batch=16,
    loop=LoopConfig(steps=60, learning_rate=1e-3, weight_decay=0.05, warmup=0.05, threads=1),
)  # fmt: skip
"""The vision transformer of the images of a screen, trained on them without labels; not tuned."""


@dataclass(frozen=True, slots=True)
class Answered:
    """How the questions of one kind are answered.

    The share ``right`` where all answers of the kind are scored, that of the ``commonest`` right
    answer, the share that is ``formed`` as an answer where anything may be said, and of how many.
    """

    right: float
    commonest: float
    formed: float
    n: int


Seen = tuple[ImageScreen, ImageEncoder, NDArray[np.float32]]


def image_inputs(seen: Seen, held: int) -> tuple[Inputs, Inputs]:
    """Training and test inputs of a screen of images; the baselines see statistics of pixels."""
    screen, _, tokens = seen
    part = folds(screen.labels, screen.guides)
    learnt = part != held
    asked = np.flatnonzero(~learnt & np.isin(screen.labels, list(set(screen.labels[learnt]))))
    statistics = pixel_statistics(screen.pictures)
    features = [{"image": torch.from_numpy(tokens[i, 0])} for i in asked]
    return (
        Inputs([], statistics[learnt], screen.labels[learnt], screen.guides[learnt]),
        Inputs(features, statistics[asked], screen.labels[asked], screen.guides[asked]),
    )


def figures_of(
    knocked: KnockedOut,
    screen: Screen | None,
    seen: Seen | None,
    held: int,
    config: KnockoutConfig,
) -> tuple[dict[str, dict[str, dict[str, list[float]]]], dict[str, Measured]]:
    """Figures by modality, method and name, each with its error over guides, and what is carried.

    Cells are scored as pseudo-cells of about 50.
    """
    found: dict[str, dict[str, dict[str, list[float]]]] = {}
    carried = {}
    given = {
        "gene": inputs_of(knocked, screen, held, pools_of_cells=True) if screen else None,
        "image": image_inputs(seen, held) if seen else None,
    }
    for kind, inputs in given.items():
        if inputs is None:
            continue
        learnt, test = inputs
        own = {OWN: through(knocked, test), ALONE: alone(knocked, test, config)}
        regressed = None
        if kind == "gene" and screen is not None:
            regressed = alike(knocked, screen, held, test, config.align.seed)
        outcome = score(learnt, test, own, regressed)
        found[kind] = {
            name: {figure: [round(x, 4) for x in one.figure(figure)] for figure in FIGURES}
            for name, one in outcome.items()
        }
        others = {k: v for k, v in outcome.items() if k not in (OWN, ALONE)}
        what = "pseudo-cells of about 50 cells" if kind == "gene" else "images"
        carried[kind] = measured(
            outcome[OWN], others, f"guides kept out of its {kind} screen", what
        )
    return found, carried


def measured(own: Ranked, others: Mapping[str, Ranked], data: str, what: str) -> Measured:
    """The figure that a model carries: top-1 beside the best of the baselines."""
    best = max(others, key=lambda name: others[name].figure("top-1")[0])
    value, error = own.figure("top-1")
    return Measured(
        figure=f"share of {what} with the right gene first",
        value=round(value, 4),
        baseline=best,
        baseline_value=round(others[best].figure("top-1")[0], 4),
        data=data,
        n=len(own.right),
        spread=round(error, 4),
    )


# --- stage 2 -----------------------------------------------------------------------------------


def sources_of(
    screen: Screen | None, seen: Seen | None, held: int, config: KnockoutConfig
) -> list[Source]:
    """What stage 2 draws from: the same folds as stage 1."""
    found: list[Source] = []
    if screen is not None:
        kept = screen.folds() != held
        own, guides = screen.labels[kept], screen.guides[kept]
        fitted = fit_panel(screen.values[kept], screen.genes, own, guides, config.align.seed)
        scores = fitted.panel.scores(screen.values[kept], screen.genes)
        found.append(ExpressionSource(fitted, scores, own, guides, config.sizes))
    if seen is not None:
        shown, _, tokens = seen
        kept = folds(shown.labels, shown.guides) != held
        found.append(ImageSource(tokens[kept], shown.labels[kept]))
    return found


def tuned(
    knocked: KnockedOut,
    screen: Screen | None,
    seen: Seen | None,
    held: int,
    config: KnockoutConfig,
    graph: KnowledgeGraph,
    folder: Path | None = None,
    *,
    tuning: TuningConfig | None = None,
    show: bool = False,
) -> tuple[KnockedOut, dict[str, Facts]]:
    """The model after stage 2, and what the graph says of its genes."""
    sources = sources_of(screen, seen, held, config)
    genes = sorted({label for labels in knocked.labels.values() for label in labels})
    facts = facts_of(graph, genes)
    model, _ = tune(knocked, sources, facts, tuning or TuningConfig(), config, folder, show=show)
    return calibrated(replace(knocked, model=model, calibrations={}), sources, config), facts


def stage_2(
    first: KnockedOut,
    after: KnockedOut,
    screen: Screen | None,
    seen: Seen | None,
    held: int,
    facts: Mapping[str, Facts],
    config: KnockoutConfig,
) -> dict[str, dict[str, dict[str, dict[str, float]]]]:
    """By modality and kind of question :class:`Answered`, before stage 2 and after it."""
    given = {
        "gene": inputs_of(first, screen, held, pools_of_cells=True)[1] if screen else None,
        "image": image_inputs(seen, held)[1] if seen else None,
    }
    return {
        modality: {
            when: {
                kind: asdict(one)
                for kind, one in answers_of(first, model, test, facts, config).items()
            }
            for when, model in (("before", first), ("after", after))
        }
        for modality, test in given.items()
        if test is not None
    }


def answers_of(
    first: KnockedOut,
    after: KnockedOut,
    test: Inputs,
    facts: Mapping[str, Facts],
    config: KnockoutConfig,
    most: int = 20,
) -> dict[str, Answered]:
    """By kind of question how it is answered, of at most so many inputs.

    ``first`` is the model of stage 1, whose ranks say how sure it may be.
    """
    found = {}
    (kind_of,) = {name for one in test.features for name in one}
    names = first.labels[kind_of]
    every = np.linspace(0, len(test.right) - 1, min(most, len(test.right))).astype(int)
    for kind in KINDS:
        rows = [i for i in every if kind not in ("process", "compartment")
                or test.right[i] in facts]  # fmt: skip
        inputs = [test.features[i] for i in rows]
        genes = [str(test.right[i]) for i in rows]
        ranks = ranks_of(first.model, inputs, genes, names, config.tokens)
        asked = questions(inputs, genes, ranks, facts, random.Random(0), [kind] * len(rows))  # noqa: S311 - nothing secret
        answers = [one.answer or "" for _, one in asked]
        candidates = _candidates(kind, names, facts)
        found[kind] = Answered(
            float(np.mean(told(after.model, asked, kind, candidates))),
            max(answers.count(one) for one in set(answers)) / len(answers),
            float(np.mean(formed(after.model, asked, kind, candidates))),
            len(rows),
        )
    return found


def _candidates(kind: str, names: tuple[str, ...], facts: Mapping[str, Facts]) -> list[str]:
    known = [facts[name] for name in names if name in facts]
    some = {
        "gene": names,
        "process": [one.process for one in known],
        "compartment": [one.compartment for one in known],
        "sure": LEVELS,
        "control": ("Yes", "No"),
    }[kind]
    return [f" {one}." for one in sorted(set(some))]
