"""The suite ``novelty``: cells of a type that Celloquy was not told of.

``python -m training.evaluate.novelty --data FOLDER``: for each labelled type of the development
datasets with information content of at least 3, the markers of the type and of all below it are
removed (its parents keep theirs), the dataset is annotated, and the type's own cells are scored:
Lin's similarity of the answer to the truth, and the share of confident wrong leaves. A wrong leaf
is an answer off the line of the truth that has no type below it that could have been given;
confident is a calibrated confidence of at least :data:`CONFIDENT`. Beside stand the answers "always
the parent" (the best that can be known) and "always the root" (nothing), and the plain rule (the
deepest term with a probability of one half).

One constant decides how far answers back off, the floor of :mod:`kg.nearest`. It is chosen for each
held-out type on others: on types of other datasets, never the same type, and on the known types of
those datasets, with the same weight. "shipped" is the constant that Celloquy has.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.celltypes.calibration import shipped
from encoders.celltypes.markers import GeneMoments, MarkerScorer
from encoders.celltypes.smoothing import around, neighbours, smooth
from kg.backoff import UNKNOWN, Decision
from kg.nearest import FLOOR
from kg.terms import Curie
from training.annotation.data import DATASETS, Dataset, cell_ontology, load
from training.evaluate import metrics
from training.evaluate.annotation import Constants, Model
from training.evaluate.figures import Report, versions

__all__ = ["FLOORS", "LEAST_CONTENT", "Run", "chosen_floor", "held_out_types", "main", "novelty"]

LEAST_CONTENT = 3.0
"""Information content in nats from which a term is held out."""

LEAST_CELLS = 5
"""Cells of a type in a dataset below which it is not held out."""

CONFIDENT = 0.8
"""Calibrated confidence from which a wrong answer misleads."""

FLOORS = (0.2, 0.3, 0.4, 0.5)
"""Floors to choose from."""


@dataclass(frozen=True)
class Run:
    """One dataset annotated without one type (or with all of them: ``term`` is None).

    ``lin`` and ``misled`` are by floor; ``plain`` is the Lin of the plain rule. With all types
    they are over all cells, without a type over its cells only.
    """

    dataset: str
    term: Curie | None
    cells: int
    lin: dict[float, float]
    misled: dict[float, float]
    parent: float = 0.0
    plain: float = 0.0


def held_out_types(model: Model, dataset: Dataset) -> list[Curie]:
    """Types of the dataset that can be held out, by id."""
    known = set(model.sets(Constants().sets).ids)
    found = []
    for term in sorted(set(dataset.truth)):
        place = model.hierarchy.index(term)
        specific = model.hierarchy.content[place] >= LEAST_CONTENT
        enough = dataset.truth.count(term) >= LEAST_CELLS
        told = known & set(model.hierarchy.below(term))
        if specific and enough and told and _can_back_off(model, place):
            found.append(term)
    return found


def _can_back_off(model: Model, place: int) -> bool:
    """Whether a parent is a possible answer: right below the root there is nothing to back off to.

    Endothelial cell is such a term: with its markers gone, "unknown" is the right answer, which
    Lin's measure counts as 0 all the same.
    """
    parents = model.hierarchy.parents[place]
    return any(
        model.hierarchy.depth[p] > 0 and model.hierarchy.ids[p] not in model.never for p in parents
    )


def runs(model: Model, dataset: Dataset) -> list[Run]:
    """The dataset with all types, and without each of those that can be held out."""
    whole = model.sets(Constants().sets)
    graph = neighbours(dataset.values)
    moments = GeneMoments.of(dataset.values)
    found = []
    for term in (None, *held_out_types(model, dataset)):
        gone = set(model.hierarchy.below(term)) if term else set()
        scorer = MarkerScorer.fit(whole.of(set(whole.ids) - gone), dataset.genes, moments)
        chances = scorer.probabilities(scorer.scores(dataset.values))
        mended, others = smooth(chances, graph), around(chances, graph)
        mine = np.array([term is None or one == term for one in dataset.truth])
        lin, misled = {}, {}
        for floor in FLOORS:
            made = model.decide(scorer.ids, mended, others, floor)
            lin[floor] = _lin(model, dataset, made, mine)
            misled[floor] = _misled(model, dataset, scorer.ids, made, mine)
        plain = _lin(model, dataset, model.deepest(scorer.ids, mended), mine)
        parent = _parent(model, term) if term else 0.0
        found.append(Run(dataset.name, term, int(mine.sum()), lin, misled, parent, plain))
    return found


def _lin(model: Model, dataset: Dataset, made: Decision, mine: NDArray[np.bool_]) -> float:
    answers, places = model.answers(made), np.flatnonzero(mine)
    truth = [dataset.truth[i] for i in places]
    return metrics.lin(truth, [answers[i] for i in places], model.hierarchy)


def _misled(
    model: Model, dataset: Dataset, ids: Sequence[Curie], made: Decision, mine: NDArray[np.bool_]
) -> float:
    hierarchy = model.hierarchy
    wrong = ~metrics.along_the_line(dataset.truth, model.answers(made), hierarchy)
    inner = {int(a) for i in hierarchy.indices(ids) for a in hierarchy.above[i] if a != i}
    leaf = np.array([t != UNKNOWN and int(t) not in inner for t in made.term])
    sure = shipped("neighbourhood")(made.confidence) >= CONFIDENT
    return float((wrong & leaf & sure)[mine].mean())


def _parent(model: Model, term: Curie) -> float:
    hierarchy = model.hierarchy
    parents = hierarchy.parents[hierarchy.index(term)]
    best = max(parents, key=lambda p: hierarchy.content[p])
    return metrics.lin([term], [hierarchy.ids[best]], hierarchy)


def chosen_floor(mine: Run, others: Sequence[Run]) -> float:
    """The floor that is best on other datasets: half on known types, half on held-out ones."""
    rest = [run for run in others if run.dataset != mine.dataset and run.term != mine.term]
    known = [run for run in rest if run.term is None]
    held = [run for run in rest if run.term is not None]

    def worth(floor: float) -> float:
        return sum(
            float(np.mean([run.lin[floor] for run in some])) for some in (known, held) if some
        )

    return max(FLOORS, key=worth)


def novelty(folder: Path | None, names: Sequence[str] = DATASETS) -> Report:
    """Run the suite; a type that two datasets hold is held out in each."""
    hierarchy, release = cell_ontology()
    report = Report("novelty", versions=versions(), assets={"CL": release})
    model = Model(hierarchy)
    every = [run for name in names for run in runs(model, load(name, folder))]
    held = [run for run in every if run.term is not None]
    floors = [chosen_floor(run, every) for run in held]
    for run, floor in zip(held, floors, strict=True):
        name = f"{run.dataset}: {hierarchy.labels[hierarchy.index(run.term or '')]}: Lin"
        report.add(name, run.lin[floor], run.cells)
        report.beside("always the parent", name, run.parent, run.cells)
        report.beside("deepest at one half", name, run.plain, run.cells)
    report.add("types held out", len({run.term for run in held}), len(held))
    name = "mean Lin over types"
    mean = float(np.mean([r.lin[f] for r, f in zip(held, floors, strict=True)]))
    report.add(name, mean, len(held))
    report.beside("shipped", name, float(np.mean([r.lin[FLOOR] for r in held])), len(held))
    report.beside("always the parent", name, float(np.mean([r.parent for r in held])), len(held))
    report.beside("deepest at one half", name, float(np.mean([r.plain for r in held])), len(held))
    report.beside("always the root", name, 0.0, len(held))
    cells = sum(run.cells for run in held)
    misled = sum(r.misled[f] * r.cells for r, f in zip(held, floors, strict=True)) / cells
    report.add("confident wrong leaf, share of cells", misled, cells)
    tally = {floor: floors.count(floor) for floor in FLOORS}
    report.notes.append(f"floors chosen on other datasets and types: {tally}")
    return report


def main(arguments: list[str] | None = None) -> int:
    """Print the suite."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.novelty")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    report = novelty(options.data)
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
