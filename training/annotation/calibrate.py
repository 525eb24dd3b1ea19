"""Fits the calibration of annotation: ``python -m training.annotation.calibrate --data FOLDER``.

Two logistic curves (Platt 1999) on the development datasets, each dataset with the same weight
however many cells it has: one on the confidence of a cell's own score, one on the support of its
neighbours. Reported are ECE and AURC before and after, leaving one dataset out, and on held-out
halves of the cells of all; what ships is fitted on all cells. ``--write`` puts it into
``data/weights/annotation.json``.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.celltypes.calibration import WEIGHTS, Calibration, Kind, log_odds
from encoders.celltypes.smoothing import around, neighbours, smooth
from kg.backoff import UNKNOWN
from training.annotation.data import DATASETS, cell_ontology, load
from training.evaluate import metrics
from training.evaluate.annotation import LEAST_CELLS, Constants, Model
from training.evaluate.figures import Report, versions

__all__ = ["Sample", "calibration", "fit", "main"]

KINDS: tuple[Kind, ...] = ("cell", "neighbourhood")
SPLITS = 5
"""Random halves of the cells."""

MOST = 200
"""Cells that a dataset counts for at most: the smallest that chooses constants has as many."""


@dataclass(frozen=True, eq=False)
class Sample:
    """Answered cells of one dataset: raw confidence of each kind, and whether they were right."""

    name: str
    raw: dict[Kind, NDArray[np.float32]]
    right: NDArray[np.bool_]
    own: NDArray[np.float32]


def fit(
    raw: Sequence[NDArray[np.floating]], right: Sequence[NDArray[np.bool_]], ridge: float = 1e-3
) -> Calibration:
    """Logistic regression of right on log odds; no dataset counts for more than `MOST` cells."""
    from scipy.optimize import minimize

    x = np.concatenate([log_odds(r) for r in raw])
    y = np.concatenate(right).astype(float)
    w = np.concatenate([np.full(len(r), min(1.0, MOST / len(r))) for r in raw])
    w /= w.sum()

    def loss(beta: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        z = beta[0] + beta[1] * x
        p = 1 / (1 + np.exp(-np.clip(z, -30, 30)))
        value = float((w * (np.logaddexp(0, z) - y * z)).sum() + ridge * (beta**2).sum() / 2)
        slope = np.array([(w * (p - y)).sum(), (w * (p - y) * x).sum()])
        return value, slope + ridge * beta

    # A falling curve would call the surest answers wrong; the slope is kept from it.
    found = minimize(loss, np.array([0.0, 1.0]), jac=True, bounds=[(-20, 20), (0.05, 20)])
    return Calibration(float(found.x[0]), float(found.x[1]))


def sample(model: Model, name: str, folder: Path | None) -> Sample:
    """Annotate one dataset as `celloquy annotate` does: scored, smoothed, decided."""
    dataset = load(name, folder)
    ids, chances = model.probabilities(dataset, Constants())
    graph = neighbours(dataset.values)
    decision = model.decide(ids, smooth(chances, graph), around(chances, graph))
    plain = model.decide(ids, chances)
    answered = decision.term != UNKNOWN
    right = metrics.along_the_line(dataset.truth, model.answers(decision), model.hierarchy)
    alone = metrics.along_the_line(dataset.truth, model.answers(plain), model.hierarchy)
    known = plain.term != UNKNOWN
    return Sample(
        name,
        {"cell": plain.confidence[known], "neighbourhood": decision.confidence[answered]},
        right[answered],
        alone[known],
    )


def calibration(folder: Path | None, seed: int = 0) -> tuple[Report, dict[Kind, Calibration]]:
    """The report and the curves fitted on all cells."""
    model = Model(cell_ontology()[0])
    samples = [sample(model, name, folder) for name in DATASETS]
    report = Report("calibration", versions=versions(), seed=seed)
    curves: dict[Kind, Calibration] = {}
    for kind in KINDS:
        raw = [s.raw[kind] for s in samples]
        right = [s.right if kind == "neighbourhood" else s.own.astype(bool) for s in samples]
        for i, one in enumerate(samples):
            rest = [j for j in range(len(samples)) if j != i]
            curve = fit([raw[j] for j in rest], [right[j] for j in rest])
            _before_after(report, f"{one.name} ({kind}), left out", raw[i], right[i], curve)
        _held_out(report, kind, raw, right, seed)
        voters = [i for i, s in enumerate(samples) if len(s.right) >= LEAST_CELLS]
        curves[kind] = fit([raw[i] for i in voters], [right[i] for i in voters])
    return report, curves


def _before_after(
    report: Report,
    name: str,
    raw: NDArray[np.floating],
    right: NDArray[np.bool_],
    curve: Calibration,
) -> None:
    n = len(right)
    after = curve(raw)
    report.add(f"{name}: ECE", metrics.expected_calibration_error(after, right), n)
    report.beside("before", f"{name}: ECE", metrics.expected_calibration_error(raw, right), n)
    report.add(f"{name}: AURC", metrics.aurc(after, right), n)
    report.beside("before", f"{name}: AURC", metrics.aurc(raw, right), n)
    report.beside("constant", f"{name}: AURC", 1 - float(right.mean()), n)


def _held_out(
    report: Report,
    kind: Kind,
    raw: list[NDArray[np.float32]],
    right: list[NDArray[np.bool_]],
    seed: int,
) -> None:
    """ECE and AURC on the half of the cells of all datasets that the curve has not seen."""
    figures = []
    n = 0
    for split in range(SPLITS):
        rng = np.random.default_rng(seed + split)
        halves = [rng.permutation(len(r)) % 2 == 0 for r in right]
        curve = fit(
            [r[h] for r, h in zip(raw, halves, strict=True)],
            [r[h] for r, h in zip(right, halves, strict=True)],
        )
        before = np.concatenate([r[~h] for r, h in zip(raw, halves, strict=True)])
        truth = np.concatenate([r[~h] for r, h in zip(right, halves, strict=True)])
        after = curve(before)
        n = len(truth)
        figures.append(
            (
                metrics.expected_calibration_error(before, truth),
                metrics.expected_calibration_error(after, truth),
                metrics.aurc(after, truth),
                1 - truth.mean(),
            )
        )
    mean, spread = np.mean(figures, axis=0), np.std(figures, axis=0)
    name = f"held-out cells ({kind})"
    report.beside("before", f"{name}: ECE", mean[0], n, float(spread[0]))
    report.add(f"{name}: ECE", mean[1], n, float(spread[1]))
    report.add(f"{name}: AURC", mean[2], n, float(spread[2]))
    report.beside("constant", f"{name}: AURC", mean[3], n)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures; with ``--write`` replace the shipped curves."""
    parser = argparse.ArgumentParser(prog="python -m training.annotation.calibrate")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--write", action="store_true")
    options = parser.parse_args(arguments)
    report, curves = calibration(options.data)
    sys.stdout.write(report.table() + "\n")
    document = {
        "what": "logistic curves from the log odds of a raw confidence to the probability that "
        "the answer is the true term, one above it or one below it",
        "curves": {kind: asdict(curve) for kind, curve in curves.items()},
        "fitted_on": [name for name in DATASETS if name != "liver"],
        "command": "python -m training.annotation.calibrate --data FOLDER --write",
        "figures": report.document()["figures"],
        "card": "docs/models/annotation.md",
    }
    if options.write:
        WEIGHTS.parent.mkdir(exist_ok=True)
        WEIGHTS.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
