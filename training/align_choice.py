"""What an alignment's constants are chosen by: real datasets, left out of training one by one.

``python -m training.align_choice --data FOLDER [--seeds N] [--steps N ...] [--only NAME ...]``

Of the development datasets that the core may be trained on (tumour T cells, mouse brain, liver)
each is left out in turn; a projector is trained on the simulated cells and the other two, and
scored on the one left out, restricted to its own types. A variant's score is the mean over the
datasets of balanced accuracy, AUROC and Lin's similarity. PBMC3k and PBMC68k are not read.

What was not left out: the encoder's whitening and the background of simulated cells were measured
on these datasets too, without their labels and in four lineages (:mod:`training.background`).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from encoders.aligned import SpaceConfig, expected
from encoders.labels import term_text
from kg.terms import Curie
from training.align import AlignConfig, align
from training.align_data import Material, gather
from training.evaluate.figures import Report, versions
from training.evaluate.ranking import Ranking
from training.holdout import split_of_term
from training.positives import PositivesConfig
from training.profiles import SIMULATED, CellSet

if TYPE_CHECKING:
    from encoders.aligned import Aligned
    from encoders.language import LanguageModel

__all__ = ["VARIANTS", "choose", "main", "parted"]

_MLP = AlignConfig(kind="mlp3", ridge=None, temperature=0.07)

VARIANTS: Mapping[str, AlignConfig] = {
    "shipped": AlignConfig(),
    "ridge 1": AlignConfig(ridge=1.0),
    "ridge 0.01": AlignConfig(ridge=0.01),
    "definitions": AlignConfig(text="definition"),
    "texts of the batch": AlignConfig(bank=False),
    "share of the graded 1": AlignConfig(positives=PositivesConfig(share=1.0)),
    "share of the graded 0.3": AlignConfig(positives=PositivesConfig(share=0.3)),
    "linear, random start": AlignConfig(ridge=None, temperature=0.07),
    "mlp3, random start": _MLP,
    "mlp3, random start, definitions": replace(_MLP, text="definition"),
}
"""Configs by name; the first is the default."""


def choose(
    material: Material,
    language: LanguageModel,
    *,
    seeds: int = 1,
    steps: Sequence[int] = (0, 800),
    only: Collection[str] = (),
) -> Report:
    """Score variants after so many steps each.

    Parameters
    ----------
    material
        All that may be trained on, real cells with their origins.
    language
        The language model.
    seeds
        Of training.
    steps
        Lengths of runs; 0 is where training starts.
    only
        Names of variants; all where it is empty.
    """
    report = Report("llm", versions=versions("torch"))
    left = sorted(set(material.cells.origins) - {SIMULATED})
    report.notes.append(f"left out in turn: {', '.join(left)}; {seeds} seeds")
    for name in left:
        for scale in (15.0, 30.0):
            _add(report, f"nearest mean cell, spread, scale {scale:.0f}", name, 0,
                 [_centroid(material, name, SpaceConfig(scale=scale))])  # fmt: skip
    for variant, config in VARIANTS.items():
        if only and variant not in only:
            continue
        for length in steps:
            for name in left:
                runs = [_scored(material, language, config, name, length, s) for s in range(seeds)]
                _add(report, variant, name, length, runs)
    _means(report)
    return report


def _scored(
    material: Material,
    language: LanguageModel,
    config: AlignConfig,
    name: str,
    steps: int,
    seed: int,
) -> dict[str, float]:
    """Figures of a projector that was trained without a dataset on its cells."""
    own, others = parted(material.cells, name)
    # A run has a step at least; at a rate of nothing it stays where it starts.
    rate = config.loop.learning_rate if steps else 1e-12
    loop = replace(config.loop, steps=max(steps, 1), seed=seed, learning_rate=rate)
    texts = {one: term_text(term, config.text) for one, term in material.terms.items()}
    made: Aligned
    made, _ = align(
        language, others, texts, material.hierarchy, replace(config, loop=loop),
        unseen=material.unseen,
    )  # fmt: skip
    types = sorted(set(own.types))
    terms = [material.terms[one] for one in types]
    return _figures(material, own, types, made.expected(own.vectors, terms, material.hierarchy))


def _centroid(material: Material, name: str, config: SpaceConfig) -> dict[str, float]:
    """The nearest mean cell in the encoder's space, spread over the ontology: no projector."""
    own, others = parted(material.cells, name)
    types = np.array(others.types)
    known = [t for t in sorted(set(others.types)) if split_of_term(t, ()) == "train"]
    means = np.stack([others.vectors[types == one].mean(axis=0) for one in known])
    means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    asked = sorted(set(own.types))
    nothing = np.zeros((len(asked), means.shape[1]), np.float32)
    scores = expected(own.vectors, means, known, nothing, asked, material.hierarchy, config)
    return _figures(material, own, asked, scores)


def parted(cells: CellSet, name: str) -> tuple[CellSet, CellSet]:
    """The cells of a dataset, and all others."""
    here = np.array([origin == name for origin in cells.origins])
    return cells.of(here), cells.of(~here)


def _figures(
    material: Material, own: CellSet, types: Sequence[Curie], scores: NDArray[np.float32]
) -> dict[str, float]:
    found = Ranking.of(scores, types, own.types, material.hierarchy)
    return {"balanced accuracy": found.balanced_r1, "AUROC": found.auroc, "Lin": found.lin}


def _add(
    report: Report, variant: str, name: str, steps: int, runs: Sequence[Mapping[str, float]]
) -> None:
    for figure in runs[0]:
        values = [run[figure] for run in runs]
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        report.beside(
            f"{variant}, {steps} steps", f"{name}: {figure}", float(np.mean(values)),
            len(values), spread,
        )  # fmt: skip


def _means(report: Report) -> None:
    """The score of each variant, best first, as notes."""
    means = {
        variant: float(np.mean([figure.value for figure in some.values()]))
        for variant, some in report.baselines.items()
    }
    ranked = sorted(means.items(), key=lambda pair: -pair[1])
    report.notes += [f"score {value:.3f}: {variant}" for variant, value in ranked]


def main(arguments: list[str] | None = None) -> int:
    """Print the scores."""
    from encoders.language import load

    parser = argparse.ArgumentParser(prog="python -m training.align_choice")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--steps", type=int, nargs="+", default=[0, 800])
    parser.add_argument("--only", nargs="*", default=(), choices=tuple(VARIANTS))
    given = parser.parse_args(arguments)
    report = choose(
        gather((), given.data), load("local"), seeds=given.seeds, steps=given.steps,
        only=given.only,
    )  # fmt: skip
    sys.stdout.write(report.table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
