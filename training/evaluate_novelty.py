"""The suite ``novelty``: cells of a type that Celloquy was not told of.

``python -m training.evaluate_novelty --data FOLDER``: for each labelled type of the development
datasets with information content of at least 3, the markers of the type and of all below it are
removed (its parents keep theirs), the dataset is annotated, and the type's own cells are scored:
Lin's similarity of the answer to the truth, and the share of confident wrong leaves. A wrong leaf
is an answer off the line of the truth that has no type below it that could have been given;
confident is a probability of at least :data:`CONFIDENT`. Beside stand the answers "always the
parent" (the best that can be known) and "always the root" (nothing).
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from encoders.calibration import shipped, support
from encoders.markers import GeneMoments, MarkerScorer
from encoders.smoothing import neighbours, smooth
from kg.backoff import UNKNOWN
from kg.terms import Curie
from training import metrics
from training.annotation_data import DATASETS, Dataset, cell_ontology, load
from training.evaluate_annotation import Constants, Model
from training.figures import Report, versions

__all__ = ["LEAST_CONTENT", "held_out_types", "main", "novelty"]

LEAST_CONTENT = 3.0
"""Information content in nats from which a term is held out."""

LEAST_CELLS = 5
"""Cells of a type in a dataset below which it is not held out."""

CONFIDENT = 0.8
"""Calibrated confidence from which a wrong answer misleads."""


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


def novelty(folder: Path | None, names: Sequence[str] = DATASETS) -> Report:
    """Run the suite; a type that two datasets hold is held out in each."""
    hierarchy, release = cell_ontology()
    report = Report("novelty", versions=versions(), assets={"CL": release})
    model = Model(hierarchy)
    whole = model.sets(Constants().sets)
    rows: list[tuple[float, float, float, float]] = []
    terms: set[Curie] = set()
    cells = 0
    for name in names:
        dataset = load(name, folder)
        graph = neighbours(dataset.values)
        moments = GeneMoments.of(dataset.values)
        for term in held_out_types(model, dataset):
            left = whole.of(set(whole.ids) - set(hierarchy.below(term)))
            scorer = MarkerScorer.fit(left, dataset.genes, moments)
            chances = scorer.probabilities(scorer.scores(dataset.values))
            decision = model.decide(scorer.ids, smooth(chances, graph), Constants().threshold)
            sure = shipped("neighbourhood")(
                support(chances, scorer.ids, decision.term, graph, hierarchy)
            )
            mine = [i for i, t in enumerate(dataset.truth) if t == term]
            answers = [model.answers(decision)[i] for i in mine]
            truth = [term] * len(mine)
            wrong = ~metrics.along_the_line(truth, answers, hierarchy)
            inner = {
                int(a) for i in hierarchy.indices(scorer.ids) for a in hierarchy.above[i] if a != i
            }
            leaf = np.array(
                [decision.term[i] != UNKNOWN and int(decision.term[i]) not in inner for i in mine]
            )
            misled = float((wrong & leaf & (sure[mine] >= CONFIDENT)).mean())
            parent = max(
                hierarchy.parents[hierarchy.index(term)], key=lambda p: hierarchy.content[p]
            )
            always = [hierarchy.ids[parent]] * len(mine)
            similarity = metrics.lin(truth, answers, hierarchy)
            rows.append((similarity, misled, metrics.lin(truth, always, hierarchy), len(mine)))
            report.add(
                f"{name}: {hierarchy.labels[hierarchy.index(term)]}: Lin", similarity, len(mine)
            )
            terms.add(term)
            cells += len(mine)
    table = np.array(rows)
    report.add("types held out", len(terms), len(rows))
    report.add("mean Lin over types", table[:, 0].mean(), len(rows))
    report.beside("always the parent", "mean Lin over types", table[:, 2].mean(), len(rows))
    report.beside("always the root", "mean Lin over types", 0.0, len(rows))
    misled = float((table[:, 1] * table[:, 3]).sum() / table[:, 3].sum())
    report.add("confident wrong leaf, share of cells", misled, cells)
    return report


def main(arguments: list[str] | None = None) -> int:
    """Print the suite."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate_novelty")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    report = novelty(options.data)
    sys.stdout.write(report.table() + "\n")
    if options.json:
        options.json.write_text(report.text() + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
