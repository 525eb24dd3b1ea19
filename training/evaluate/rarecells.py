"""Whether sure cells should keep their own answer where their neighbours say something else.

``python -m training.evaluate.rarecells FOLDER`` prints, for the development datasets that choose
constants (never PBMC68k or PBMC3k), the smoothed answers beside those of a margin rule: a cell
whose own evidence for its answer is ``sure`` or more, and whose neighbours' is ``most`` or less, is
judged by its own evidence alone. The rule is not used; docs/experiments/annotation.md says why.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.celltypes.smoothing import around, neighbours, smooth
from kg.backoff import UNKNOWN, Hierarchy
from kg.terms import Curie
from training.annotation.data import cell_ontology, load
from training.evaluate import metrics
from training.evaluate.annotation import Constants, Model

__all__ = ["figures", "main"]

DATASETS = ("tcells", "brain", "liver")
SURE, MOST = (0.8, 0.9, 0.95, 0.99), (0.05, 0.1, 0.2, 0.35, 0.5)


def figures(
    truth: Sequence[Curie], answers: Sequence[Curie | None], hierarchy: Hierarchy
) -> tuple[float, float]:
    """Hierarchical F over the cells, and its mean over the true types."""
    by_type: dict[Curie, list[Curie | None]] = defaultdict(list)
    for one, answer in zip(truth, answers, strict=True):
        by_type[one].append(answer)
    each = [metrics.hierarchical([t] * len(a), a, hierarchy).f for t, a in by_type.items()]
    return metrics.hierarchical(truth, list(answers), hierarchy).f, float(np.mean(each))


def _compare(model: Model, folder: Path, name: str) -> None:
    data, hierarchy = load(name, folder), model.hierarchy
    truth = list(data.truth)
    ids, own = model.probabilities(data, Constants())
    graph = neighbours(data.values)
    mended, others = smooth(own, graph), around(own, graph)
    alone, smoothed = model.decide(ids, own), model.decide(ids, mended, others)
    for title, decision in (("own", alone), ("smoothed", smoothed)):
        f, mean = figures(truth, model.answers(decision), hierarchy)
        sys.stdout.write(f"{name:<8} {title:<22} F {f:.4f}  mean of types {mean:.4f}\n")
    rows, term = np.arange(len(truth)), np.maximum(alone.term, 0)
    said = hierarchy.sum_up(own, ids)[rows, term]
    heard = hierarchy.sum_up(others, ids)[rows, term]
    for sure in SURE:
        for most in MOST:
            kept = (alone.term != UNKNOWN) & (said >= sure) & (heard <= most)
            if not kept.any():
                continue
            mixed = np.where(kept[:, None], own, mended)
            answers = model.answers(model.decide(ids, mixed, np.where(kept[:, None], own, others)))
            f, mean = figures(truth, answers, hierarchy)
            here = np.flatnonzero(kept)
            before, after = (
                metrics.along_the_line([truth[i] for i in here], [some[i] for i in here], hierarchy)
                for some in (model.answers(smoothed), answers)
            )
            sys.stdout.write(
                f"{name:<8} sure {sure:<4} most {most:<4} F {f:.4f}  mean of types {mean:.4f}  "
                f"{len(here)} cells keep theirs, on the line {before.mean():.2f} to "
                f"{after.mean():.2f}\n"
            )


def main(arguments: list[str] | None = None) -> int:
    """Print the comparison."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.rarecells")
    parser.add_argument("data", type=Path, help="the folder of development data")
    options = parser.parse_args(arguments)
    model = Model(cell_ontology()[0])
    for name in DATASETS:
        _compare(model, options.data, name)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
