"""The suite ``annotation``: zero-shot figures on the development datasets beside their baselines.

``python -m training.evaluate.annotation --data FOLDER`` prints, for each dataset, the open set over
the Cell Ontology and, where classes are given, the restricted setting. No label is used but to
score, with one exception that it shows: constants are chosen leave-one-dataset-out from a small
grid, by mean hierarchical F on the other datasets, and the figure of a dataset is the one that it
gets with the constants of the others. "default" are the shipped constants, chosen on all.
"""

from __future__ import annotations

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.markers import AXIOMS, read_markers
from encoders.celltypes.markers import GeneMoments, MarkerScorer, ScoreConfig
from encoders.celltypes.markersets import MarkerSets, SetConfig, build_sets
from encoders.celltypes.smoothing import around, neighbours, smooth
from kg.backoff import UNKNOWN, Decision, Hierarchy, decide
from kg.blocked import blocked
from kg.nearest import FLOOR, Nearest
from kg.terms import Curie
from training.annotation.data import DATASETS, Dataset, cell_ontology, load
from training.evaluate import annotation_baselines as baselines
from training.evaluate import metrics
from training.evaluate.figures import Report, versions

__all__ = ["Constants", "Model", "annotation", "main"]

SEEDS = 5
"""Seeds of the random control."""

CEILING_LEAST = 5
"""Cells of the rarest class for a supervised ceiling in five folds."""

LEAST_CELLS = 100
"""Datasets with fewer cells are scored, but choose no constants."""


@dataclass(frozen=True)
class Constants:
    """What is chosen on other datasets; the defaults are the shipped ones."""

    sets: SetConfig = field(default_factory=SetConfig)
    score: ScoreConfig = field(default_factory=ScoreConfig)
    floor: float = FLOOR

    @property
    def words(self) -> str:
        """The constants of the grid, in words."""
        return (
            f"inherit {self.sets.inherit}, half {self.sets.half}, off_high {self.score.off_high}, "
            f"temper {self.score.temper}"
        )


def grid() -> list[Constants]:
    """A small grid around the shipped constants."""
    return [
        Constants(SetConfig(inherit=inherit, half=half), ScoreConfig(off_high=high, temper=temper))
        for inherit, half, high, temper in itertools.product(
            (0.5, 0.6, 0.8), (2.0, 3.0), (0.1, 0.3), (0.35, 0.5, 0.7)
        )
    ]


class Model:
    """The hierarchy, the blocked terms and the marker sets for given constants, kept."""

    def __init__(self, hierarchy: Hierarchy) -> None:
        self.hierarchy = hierarchy
        self.never = blocked(hierarchy)
        self._markers = read_markers([AXIOMS])
        self._sets: list[tuple[SetConfig, MarkerSets]] = []
        self._nearest: dict[tuple[Curie, ...], Nearest] = {}

    def sets(self, config: SetConfig) -> MarkerSets:
        """Marker sets for these constants."""
        known = next((made for of, made in self._sets if of == config), None)
        if known is None:
            known = build_sets(self._markers, self.hierarchy, never=self.never, config=config)
            self._sets.append((config, known))
        return known

    def probabilities(
        self, dataset: Dataset, constants: Constants, candidates: Sequence[Curie] | None = None
    ) -> tuple[tuple[Curie, ...], NDArray[np.float32]]:
        """Types and their probabilities [n, n_types]."""
        sets = self.sets(constants.sets)
        if candidates is not None:
            below = {one for c in candidates for one in self.hierarchy.below(c)}
            sets = sets.of(below)
        moments = GeneMoments.of(dataset.values)
        scorer = MarkerScorer.fit(sets, dataset.genes, moments, constants.score)
        return scorer.ids, scorer.probabilities(scorer.scores(dataset.values))

    def decide(
        self,
        ids: Sequence[Curie],
        probabilities: NDArray[np.float32],
        support: NDArray[np.float32] | None = None,
        floor: float = FLOOR,
    ) -> Decision:
        """Answers as `celloquy annotate` chooses them; ``support`` is the neighbours' say."""
        support = probabilities if support is None else support
        key = tuple(ids)
        if key not in self._nearest:
            self._nearest[key] = Nearest(ids, self.hierarchy, self.never)
        term = self._nearest[key].choose(probabilities, support, floor)
        rows, best = np.arange(len(term)), probabilities.argmax(axis=1)
        sums = self.hierarchy.sum_up(support, ids)
        sure = np.where(term == UNKNOWN, support.sum(axis=1), sums[rows, term])
        return Decision(
            term=term,
            confidence=np.clip(sure, 0, 1).astype(np.float32),
            leaf=self.hierarchy.indices(ids)[best],
            leaf_confidence=probabilities[rows, best],
        )

    def deepest(
        self, ids: Sequence[Curie], probabilities: NDArray[np.float32], threshold: float = 0.5
    ) -> Decision:
        """The plain rule beside: the deepest term whose probability reaches a threshold."""
        return decide(probabilities, ids, self.hierarchy, threshold=threshold, never=self.never)

    def answers(self, decision: Decision) -> list[Curie | None]:
        """Answers as ids."""
        return [None if i == UNKNOWN else self.hierarchy.ids[i] for i in decision.term]


def restricted(
    hierarchy: Hierarchy,
    ids: Sequence[Curie],
    values: NDArray[np.floating],
    classes: Sequence[Curie],
) -> list[Curie]:
    """The class with the largest sum over the types at or below it."""
    columns = hierarchy.up(ids).toarray()[:, hierarchy.indices(classes)]
    return [classes[i] for i in (values @ columns).argmax(axis=1)]


def scores(
    report: Report, where: str, name: str, truth: Sequence[Curie], answers: list[Curie | None],
    hierarchy: Hierarchy, decision: Decision | None = None,
) -> None:  # fmt: skip
    """Add every figure of one setting; ``where`` is "" for Celloquy, else the baseline."""
    n = len(truth)
    h = metrics.hierarchical(truth, answers, hierarchy)
    values = {
        "accuracy": metrics.accuracy(truth, answers),
        "macro-F1": metrics.macro_f1(truth, answers),
        "scTab rule": metrics.sctab(truth, answers, hierarchy),
        "hierarchical P": h.precision,
        "hierarchical R": h.recall,
        "hierarchical F": h.f,
        "LCA distance": metrics.lca_distance(truth, answers, hierarchy),
        "Lin": metrics.lin(truth, answers, hierarchy),
        "on the line": float(metrics.along_the_line(truth, answers, hierarchy).mean()),
    }
    if decision is not None:
        known = decision.term != UNKNOWN
        right = metrics.along_the_line(truth, answers, hierarchy)
        deeper = hierarchy.depth[decision.leaf] - hierarchy.depth[np.maximum(decision.term, 0)]
        values["abstained"] = 1 - float(known.mean())
        values["levels backed off"] = float(deeper[known].mean())
        if known.any():
            sure = decision.confidence[known]
            values["ECE"] = metrics.expected_calibration_error(sure, right[known])
        # Who abstains is unsure: such a cell comes last on the risk-coverage curve.
        values["AURC"] = metrics.aurc(np.where(known, decision.confidence, 0), right)
    for figure, value in values.items():
        if where:
            report.beside(where, f"{name} {figure}", value, n)
        else:
            report.add(f"{name} {figure}", value, n)


def annotation(folder: Path | None, names: Sequence[str] = DATASETS, seed: int = 0) -> Report:
    """Run the suite on the named datasets; see the module."""
    report = Report("annotation", versions=versions("scikit-learn", "anndata"), seed=seed)
    hierarchy, release = cell_ontology()
    report.assets = {"CL": release}
    model = Model(hierarchy)
    sets = {name: load(name, folder) for name in names}
    chosen = _leave_one_out(model, sets, report)
    for name, dataset in sets.items():
        _open_set(model, dataset, chosen[name], report)
        if dataset.coarse is not None:
            _restricted(model, dataset, chosen[name], report, seed)
    return report


def _leave_one_out(
    model: Model, sets: Mapping[str, Dataset], report: Report
) -> dict[str, Constants]:
    """For each dataset the constants that are best on the others."""
    voters = [name for name, dataset in sets.items() if len(dataset) >= LEAST_CELLS]
    if len(voters) < 2:
        report.notes.append("one dataset only: the shipped constants are used")
        return dict.fromkeys(sets, Constants())
    options = grid()
    table = np.zeros((len(options), len(voters)))
    for j, name in enumerate(voters):
        for i, constants in enumerate(options):
            ids, chances = model.probabilities(sets[name], constants)
            answers = model.answers(model.decide(ids, chances, floor=constants.floor))
            table[i, j] = metrics.hierarchical(sets[name].truth, answers, model.hierarchy).f
    chosen = {}
    for name in sets:
        others = [j for j, voter in enumerate(voters) if voter != name]
        chosen[name] = options[int(table[:, others].mean(axis=1).argmax())]
        report.notes.append(f"{name}: chosen on the other datasets: {chosen[name].words}")
    return chosen


def _open_set(model: Model, dataset: Dataset, constants: Constants, report: Report) -> None:
    truth, hierarchy = dataset.truth, model.hierarchy
    ids, chances = model.probabilities(dataset, constants)
    decision = model.decide(ids, chances, floor=constants.floor)
    name = f"{dataset.name} open:"
    scores(report, "", name, truth, model.answers(decision), hierarchy, decision)
    graph = neighbours(dataset.values)
    smoothed = smooth(chances, graph)
    again = model.decide(ids, smoothed, around(chances, graph), constants.floor)
    scores(report, "smoothed", name, truth, model.answers(again), hierarchy, again)
    plain = model.deepest(ids, smoothed)
    scores(report, "smoothed, deepest", name, truth, model.answers(plain), hierarchy, plain)
    ids, chances = model.probabilities(dataset, Constants())
    decision = model.decide(ids, chances)
    scores(report, "default", name, truth, model.answers(decision), hierarchy, decision)
    whole = model.sets(constants.sets)
    sctype = baselines.sctype(whole, dataset.genes, dataset.values).argmax(axis=1)
    scores(report, "ScType", name, truth, [whole.ids[i] for i in sctype], hierarchy)
    common = [*baselines.majority(truth)]
    scores(report, "majority", name, truth, [*common], hierarchy)
    control = _random(model, dataset, constants, 0)
    scores(report, "random", name, truth, model.answers(control), hierarchy, control)


def _random(model: Model, dataset: Dataset, constants: Constants, seed: int) -> Decision:
    sets = baselines.shuffled(model.sets(constants.sets), seed)
    scorer = MarkerScorer.fit(sets, dataset.genes, GeneMoments.of(dataset.values), constants.score)
    chances = scorer.probabilities(scorer.scores(dataset.values))
    return model.decide(scorer.ids, chances, floor=constants.floor)


def _restricted(
    model: Model, dataset: Dataset, constants: Constants, report: Report, seed: int
) -> None:
    assert dataset.coarse is not None
    in_class = [i for i, one in enumerate(dataset.coarse) if one]
    truth = [dataset.coarse[i] for i in in_class]
    classes = sorted(set(truth))
    n, hierarchy = len(truth), model.hierarchy

    def add(where: str, answers: Sequence[Curie]) -> None:
        if len(answers) > n:  # of all cells, those without a class too
            answers = [answers[i] for i in in_class]
        for figure, value in (
            ("accuracy", metrics.accuracy(truth, answers)),
            ("macro-F1", metrics.macro_f1(truth, answers)),
        ):
            name = f"{dataset.name} {len(classes)} classes: {figure}"
            if where:
                report.beside(where, name, value, n)
            else:
                report.add(name, value, n)

    ids, chances = model.probabilities(dataset, constants, classes)
    add("", restricted(hierarchy, ids, chances, classes))
    graph = neighbours(dataset.values)
    add("smoothed", restricted(hierarchy, ids, smooth(chances, graph), classes))
    shipped, plain = model.probabilities(dataset, Constants(), classes)
    add("default", restricted(hierarchy, shipped, plain, classes))
    some = model.sets(constants.sets).of(ids)
    whole = baselines.sctype(some, dataset.genes, dataset.values)
    inside = hierarchy.up(some.ids).toarray()[:, hierarchy.indices(classes)] > 0
    best = np.stack([whole[:, inside[:, k]].max(axis=1) for k in range(len(classes))], axis=1)
    add("ScType", [classes[i] for i in best.argmax(axis=1)])
    add("majority", baselines.majority(truth))
    control = []
    for offset in range(SEEDS):
        sets = baselines.shuffled(some, seed + offset)
        scorer = MarkerScorer.fit(
            sets, dataset.genes, GeneMoments.of(dataset.values),
            replace(constants.score, least_measured=1),
        )  # fmt: skip
        guess = scorer.probabilities(scorer.scores(dataset.values))
        control.append(restricted(hierarchy, scorer.ids, guess[in_class], classes))
    for figure, measure in (("accuracy", metrics.accuracy), ("macro-F1", metrics.macro_f1)):
        found = [measure(truth, answers) for answers in control]
        name = f"{dataset.name} {len(classes)} classes: {figure}"
        report.beside("random", name, float(np.mean(found)), n, float(np.std(found)))
    if min(truth.count(c) for c in classes) >= CEILING_LEAST:
        taught = baselines.ceiling(dataset.values[in_class], truth, seed=seed)
        add("supervised ceiling", taught)


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.annotation")
    parser.add_argument("--data", type=Path, help="folder of development data")
    parser.add_argument("--only", nargs="*", default=list(DATASETS), choices=DATASETS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    report = annotation(options.data, options.only)
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
