"""The suite ``pooling``: whether a second opinion helps the marker score.

``python -m training.evaluate.pooling --data FOLDER`` prints, for each development dataset:

* zero-shot: gene-text vectors of cells against gene-text vectors of the types' marker profiles,
  pooled with the marker score, beside either alone and beside permuted gene vectors;
* with labels: centroids of a fifth of the cells (their labels given, on principal components, as
  ``--encoder obsm:KEY --reference COLUMN`` has them), pooled, scored on the other cells, beside
  either alone; and the same where the most frequent type has no labelled cell.

Weight, temperature and the cosine of "none" are chosen leave-one-dataset-out, by mean hierarchical
F on the other datasets. Three random choices of the labelled cells.
"""

from __future__ import annotations

import argparse
import itertools
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.celltext import CellEncoder
from encoders.celltypes.markers import GeneMoments, MarkerScorer
from encoders.celltypes.reference import Centroids, PoolConfig, pooled
from encoders.celltypes.smoothing import around, neighbours, principal, smooth
from kg.terms import Curie
from training.annotation.data import DATASETS, Dataset, cell_ontology, load
from training.evaluate import metrics
from training.evaluate.annotation import LEAST_CELLS, Constants, Model
from training.evaluate.figures import Report, versions

__all__ = ["GRID", "main", "pooling"]

SEEDS = 3
LABELLED = 0.2
GRID = tuple(
    PoolConfig(temperature, none, weight)
    for temperature, none, weight in itertools.product(
        (0.05, 0.1, 0.2), (0.2, 0.4), (0.25, 0.5, 0.75)
    )
)
_Table = Mapping[str, NDArray[np.float64]]


class _Run:
    """One dataset with what the markers say of it."""

    def __init__(self, model: Model, dataset: Dataset) -> None:
        self.model, self.dataset = model, dataset
        self.graph = neighbours(dataset.values)
        sets = model.sets(Constants().sets)
        self.scorer = MarkerScorer.fit(sets, dataset.genes, GeneMoments.of(dataset.values))
        self.chances = self.scorer.probabilities(self.scorer.scores(dataset.values))

    def f(self, chances: NDArray[np.float32], mask: NDArray[np.bool_] | None = None) -> float:
        """Hierarchical F of the answers, over some of the cells."""
        made = self.model.decide(
            self.scorer.ids, smooth(chances, self.graph), around(chances, self.graph)
        )
        answers, truth = self.model.answers(made), self.dataset.truth
        some = range(len(truth)) if mask is None else np.flatnonzero(mask).tolist()
        return metrics.hierarchical(
            [truth[i] for i in some], [answers[i] for i in some], self.model.hierarchy
        ).f

    def joined(
        self, said: NDArray[np.float32], labels: Sequence[Curie], weight: float
    ) -> NDArray[np.float32]:
        """Both opinions; a weight of 1 leaves the markers only the division of a type."""
        hierarchy = self.model.hierarchy
        return pooled(self.chances, self.scorer.ids, said, labels, hierarchy, weight)


def _texts(run: _Run, encoder: CellEncoder, seed: int | None = None) -> dict[PoolConfig, float]:
    """F by configuration of gene texts against marker profiles; a seed permutes the genes."""
    import scipy.sparse as sp

    names = np.array(run.dataset.genes, dtype=object)
    genes = names if seed is None else names[np.random.default_rng(seed).permutation(len(names))]
    cells = encoder.encode(run.dataset.values, [str(g) for g in genes])
    types = encoder.encode(sp.csr_array(run.scorer.sets.on), [str(g) for g in genes])
    made = Centroids.at(run.scorer.ids, types)
    return {c: run.f(run.joined(made.chances(cells, c), run.scorer.ids, c.weight)) for c in GRID}


def _labels(run: _Run, seed: int, missing: bool) -> tuple[dict[PoolConfig, float], float]:
    """F by configuration on the cells without a label, and that of the markers alone there."""
    truth = run.dataset.truth
    given = np.random.default_rng(seed).random(len(truth)) < LABELLED
    common = Counter(truth).most_common(1)[0][0] if missing else None
    labels = [t if g and t != common else None for t, g in zip(truth, given, strict=True)]
    vectors = principal(run.dataset.values, 30).astype(np.float32)
    made = Centroids.of(vectors, labels)
    scored = {
        c: run.f(run.joined(made.chances(vectors, c), made.ids, c.weight), ~given) for c in GRID
    }
    return scored, run.f(run.chances, ~given)


def _report(
    report: Report, title: str, table: _Table, alone: Mapping[str, float], voters: Sequence[str]
) -> None:
    for name, row in table.items():
        others = [table[one] for one in voters if one != name]
        best = int(np.mean(others, axis=0).argmax())
        report.add(f"{name}, {title}", row[best], 1)
        report.beside("markers alone", f"{name}, {title}", alone[name], 1)
        report.beside("shipped", f"{name}, {title}", row[GRID.index(PoolConfig())], 1)
        report.notes.append(f"{name}, {title}: {GRID[best]}")


def pooling(folder: Path | None, names: Sequence[str] = DATASETS) -> Report:
    """Run the suite; the liver's 20 cells are too few to give labels."""
    hierarchy, release = cell_ontology()
    report = Report("pooling", versions=versions(), assets={"CL": release})
    model, encoder = Model(hierarchy), CellEncoder.shipped()
    runs = {name: _Run(model, load(name, folder)) for name in names}
    voters = [name for name, run in runs.items() if len(run.dataset) >= LEAST_CELLS]
    alone = {name: run.f(run.chances) for name, run in runs.items()}
    texts = {name: np.array([*_texts(run, encoder).values()]) for name, run in runs.items()}
    _report(report, "gene texts", texts, alone, voters)
    for name, run in runs.items():
        control = _texts(run, encoder, seed=0)[PoolConfig()]
        report.beside("permuted genes", f"{name}, gene texts", control, 1)
    both: dict[str, list[NDArray[np.float64]]] = {name: [] for name in voters}
    for title, missing in (("labels of a fifth", False), ("the commonest type unlabelled", True)):
        table, plain = {}, {}
        for name in voters:
            found = [_labels(runs[name], seed, missing) for seed in range(SEEDS)]
            table[name] = np.mean([[*scored.values()] for scored, _ in found], axis=0)
            plain[name] = float(np.mean([f for _, f in found]))
            both[name].append(table[name])
        _report(report, title, table, plain, voters)
    mean = np.mean([np.mean(some, axis=0) for some in both.values()], axis=0)
    best = int(mean.argmax())
    report.notes.append(f"best over both settings and all datasets, {mean[best]:.3f}: {GRID[best]}")
    return report


def main(arguments: list[str] | None = None) -> int:
    """Print the suite."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.pooling")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    options = parser.parse_args(arguments)
    sys.stdout.write(pooling(options.data).table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
