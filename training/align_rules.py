"""Other rules by which an alignment could score types, beside the one that ships.

``python -m training.align_rules --data FOLDER [--seeds N]``

Names differ in how near they are to cells of any kind, and types in how many relatives they have
among those that were trained: both lift a type whatever the cell is. What could mend that knows a
fixed background, simulated cells of all training types, and nothing of the cells that are scored:

* less the mean: a text's cosine less its mean over the background; in whole, or in units of its
  standard deviation there;
* CSLS (Conneau et al. 2018, arXiv:1710.04087): less half of its mean over the ten background cells
  nearest to it;
* inverted softmax (Smith et al. 2017, arXiv:1702.03859): probabilities over those that the
  background has on average;
* likeness over its mean: the expected likeness over its mean in the background, or the root of it;
  or in standard deviations from that mean;
* text alone: cosines, without the ontology.

Compared as constants are (:mod:`training.align_choice`): datasets left out one by one, the default
config trained without each; ``seeds`` are of the simulated cells. Nothing here ships: no rule was
better than the first by more than the draw of simulated cells changes (docs/experiments/llm.md).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.labels import term_text
from encoders.likeness import lin_block
from training.align import AlignConfig, align
from training.align_choice import parted
from training.align_data import Material, gather
from training.evaluate.figures import Report, versions
from training.evaluate.ranking import Ranking
from training.holdout import split_of_term
from training.profiles import SIMULATED, CellSet

if TYPE_CHECKING:
    from encoders.language import LanguageModel

__all__ = ["SHIPS", "compare", "main", "rules"]

SHIPS = "expected likeness (ships)"

_EACH = 6
"""Background cells of a type: 2,900 in all."""

_NEAREST = 10  # cells of CSLS, the original's


def rules(
    cells: NDArray[np.float32],
    background: NDArray[np.float32],
    texts: NDArray[np.float32],
    likeness: NDArray[np.floating],
    asked: NDArray[np.integer],
    scale: float,
) -> Mapping[str, NDArray[Any]]:
    """Scores of the asked terms by each rule, [cells, asked].

    Parameters
    ----------
    cells, background
        Unit vectors, [cells, w] and [background, w].
    texts
        Unit vectors of all terms, [every, w].
    likeness
        Of every term to the asked ones, to its power, [every, asked].
    asked
        Places of the asked terms among all.
    scale
        What cosines are multiplied by.
    """
    own, other = cells @ texts.T, background @ texts.T  # cosines
    mean, spread = other.mean(axis=0), np.maximum(other.std(axis=0), 1e-6)
    nearest = np.sort(other, axis=0)[-_NEAREST:].mean(axis=0)
    chance, prior = _softmax(own * scale), _softmax(other * scale)
    inverted = chance / np.maximum(prior.mean(axis=0), 1e-12)
    inverted /= inverted.sum(axis=1, keepdims=True)
    found, usual = chance @ likeness, prior @ likeness
    middle = np.maximum(usual.mean(axis=0), 1e-12)
    return {
        SHIPS: found,
        "less the mean": _softmax((own - mean) * scale) @ likeness,
        "less the mean, over the deviation": _softmax(
            (own - mean) / spread * spread.mean() * scale
        ) @ likeness,
        "CSLS": _softmax((own - nearest / 2) * scale) @ likeness,
        "inverted softmax": inverted @ likeness,
        "likeness over its mean": found / middle,
        "likeness over the root of its mean": found / np.sqrt(middle),
        "likeness in deviations from its mean": (found - middle)
        / np.maximum(usual.std(axis=0), 1e-12),
        "text alone": own[:, asked],
    }  # fmt: skip


def compare(folder: Path, language: LanguageModel, *, seeds: int = 1) -> Report:
    """Score every rule on every dataset left out, and the mean over them.

    Parameters
    ----------
    folder
        Of development data.
    language
        The language model.
    seeds
        Of the simulated cells.
    """
    report = Report("llm", versions=versions("torch"))
    values: dict[str, dict[str, list[float]]] = {}
    for seed in range(seeds):
        _one(gather((), folder, seed=seed), language, values)
    for rule, some in values.items():
        for name, found in some.items():
            error = float(np.std(found, ddof=1)) if seeds > 1 else None
            report.beside(rule, name, float(np.mean(found)), seeds, error)
    for rule, some in values.items():
        gain = np.array(some["score"]) - np.array(values[SHIPS]["score"])
        error = np.std(gain, ddof=1) / np.sqrt(seeds) if seeds > 1 else float("nan")
        report.notes.append(f"{rule}: {gain.mean():+.4f}, standard error {error:.4f}")
    return report


def _one(
    material: Material, language: LanguageModel, values: dict[str, dict[str, list[float]]]
) -> None:
    """Add the figures of one draw of simulated cells."""
    left = sorted(set(material.cells.origins) - {SIMULATED})
    sums: dict[str, list[float]] = {}
    for name in left:
        for rule, rank in _left_out(material, language, name).items():
            score = float(np.mean([rank.balanced_r1, rank.auroc, rank.lin]))
            sums.setdefault(rule, []).append(score)
            some = values.setdefault(rule, {})
            some.setdefault("score", [])
            for figure, value in (
                ("score", score), ("R@5", rank.r5), ("balanced R@5", rank.balanced_r5),
            ):  # fmt: skip
                some.setdefault(f"{name}: {figure}", []).append(value)
    for rule, found in sums.items():
        values[rule]["score"].append(float(np.mean(found)))


def _left_out(material: Material, language: LanguageModel, name: str) -> dict[str, Ranking]:
    own, others = parted(material.cells, name)
    tree, config = material.hierarchy, AlignConfig()
    texts = {one: term_text(term, config.text) for one, term in material.terms.items()}
    made, _ = align(language, others, texts, tree, config, unseen=material.unseen)
    asked = sorted(set(own.types))
    new = [one for one in asked if one not in set(made.known)]
    every = [*made.known, *new]
    rows = np.concatenate([made.known_texts, made.texts([material.terms[one] for one in new])])
    found = rules(
        made.cells(own.vectors), made.cells(_background(others).vectors), rows,
        lin_block(tree, every, asked) ** made.config.power,
        np.array([every.index(one) for one in asked]), made.config.scale,
    )  # fmt: skip
    return {rule: Ranking.of(one, asked, own.types, tree) for rule, one in found.items()}


def _background(cells: CellSet) -> CellSet:
    """Simulated cells of the training types, so many of each."""
    types = np.array(cells.types)
    drawn = np.array([one == SIMULATED for one in cells.origins])
    random = np.random.default_rng(0)
    chosen = np.zeros(len(cells), dtype=bool)
    for one in np.unique(types[drawn]):
        if split_of_term(str(one), ()) == "train":
            rows = np.flatnonzero(drawn & (types == one))
            chosen[random.choice(rows, min(_EACH, len(rows)), replace=False)] = True
    return cells.of(chosen)


def _softmax(scores: NDArray[Any]) -> NDArray[Any]:
    chance = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(chance / chance.sum(axis=1, keepdims=True))


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison."""
    from encoders.language import load

    parser = argparse.ArgumentParser(prog="python -m training.align_rules")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--seeds", type=int, default=1, help="draws of simulated cells")
    given = parser.parse_args(arguments)
    report = compare(given.data, load("local"), seeds=given.seeds)
    sys.stdout.write(report.table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
