"""The suite ``cells``: how well a phrase finds the cells that it describes.

For every label of a dataset with three cells or more the label's text is the phrase, and the score
of each cell is held against whether the cell has the label: the area under the ROC curve (AUROC).
PBMC3k's labels are asked as they are written and by their full names; its own part in the choices
of :mod:`encoders.celltypes.cellsearch` is none, they were made on the others. Beside stand marker
scoring alone, the ranking of the ontology alone, ScType's score, the text encoder alone (the
label's own term withheld, so that it must be found by what is near to it), the aligned projector,
the majority (the same score for all: .5) and a random order.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import DependencyMissing
from encoders.celltypes.cellsearch import Wanted, of_text, scores
from encoders.celltypes.markers import GeneMoments, MarkerScorer
from encoders.celltypes.markersets import MarkerSets
from encoders.celltypes.smoothing import neighbours
from kg.backoff import Hierarchy
from kg.terms import Curie
from training.annotation.data import DATASETS, Dataset, load
from training.evaluate.annotation_baselines import sctype
from training.evaluate.figures import Report, versions

__all__ = ["FULL_NAMES", "LEAST_CELLS", "Read", "cell_search"]

LEAST_CELLS = 3
"""Cells of a label below which its figure is chance."""

FULL_NAMES = {
    "Naive CD4 T": "naive CD4-positive T cell",
    "Memory CD4 T": "memory CD4-positive T cell",
    "CD14+ Mono": "CD14-positive monocyte",
    "B": "B cell",
    "CD8 T": "CD8-positive T cell",
    "FCGR3A+ Mono": "CD16-positive monocyte",
    "NK": "natural killer cell",
    "DC": "dendritic cell",
    "Platelet": "platelet",
}
"""PBMC3k's labels in words."""

Read = Callable[[str], tuple[Wanted, Curie | None]]
"""What a phrase wants, and the term it was read as; ``read_phrase`` of the agent."""


def cell_search(
    folder: Path | None,
    read: Read,
    sets: MarkerSets,
    hierarchy: Hierarchy,
    names: Sequence[str] = DATASETS[:4],
    seed: int = 0,
) -> Report:
    """Run the suite; see the module."""
    report = Report("cells", versions=versions("scikit-learn"), seed=seed)
    for name in names:
        dataset = load(name, folder)
        found = _Search(dataset, sets, hierarchy, seed)
        asked = [("", {one: one for one in sorted(set(dataset.labels))})]
        if name == "pbmc3k":
            asked = [("as written", asked[0][1]), ("full names", FULL_NAMES)]
        elif name == "tcells":  # clusters' codes: they are asked by the names of their terms
            terms = {hierarchy.labels[hierarchy.index(one)]: one for one in set(dataset.truth)}
            asked = [("", {label: label for label in sorted(terms)})]
        for how, phrases in asked:
            _asked(report, f"{name} {how}".strip(), phrases, found, read)
    return report


def _asked(report: Report, title: str, phrases: dict[str, str], found: _Search, read: Read) -> None:
    rows: dict[str, list[float]] = {}
    said = found.dataset.labels if found.dataset.name != "tcells" else found.truth
    for label, phrase in phrases.items():
        mine = np.array([one == label for one in said])
        if mine.sum() < LEAST_CELLS:
            continue
        wanted, term = read(phrase)
        if term is None:
            report.notes.append(f"{title}: {phrase!r} names no term; left out")
            continue
        one = {k: auroc(mine, v) for k, v in found.by(phrase, wanted, term).items()}
        report.add(f"{title}: {phrase}", one["celloquy"], int(mine.sum()))
        for method, value in one.items():
            rows.setdefault(method, []).append(value)
            if method != "celloquy":
                report.beside(method, f"{title}: {phrase}", value, int(mine.sum()))
    for method, values in rows.items():
        mean, spread = float(np.mean(values)), float(np.std(values))
        if method == "celloquy":
            report.add(f"{title}: mean AUROC", mean, len(values), spread)
        else:
            report.beside(method, f"{title}: mean AUROC", mean, len(values), spread)
    report.beside("majority", f"{title}: mean AUROC", 0.5, len(rows.get("celloquy", [])))


class _Search:
    """One dataset, made ready for any phrase."""

    def __init__(self, dataset: Dataset, sets: MarkerSets, hierarchy: Hierarchy, seed: int) -> None:
        from encoders.aligned import load as aligned
        from encoders.celltext import CellEncoder
        from encoders.text import load as text

        self.dataset, self.sets, self.hierarchy = dataset, sets, hierarchy
        self.truth = tuple(hierarchy.labels[hierarchy.index(one)] for one in dataset.truth)
        values, genes = dataset.values, dataset.genes
        self.scorer = MarkerScorer.fit(sets, genes, GeneMoments.of(values))
        self.graph = neighbours(values)
        self._sctype = sctype(sets, genes, values)
        dense = values.toarray()
        self._z = (dense - dense.mean(axis=0)) / np.maximum(dense.std(axis=0), 1e-9)
        self._aligned = aligned()
        self._cells = self._aligned.cells(CellEncoder.shipped().encode(values, genes))
        self._text = text()
        self._names = self._text.encode(list(hierarchy.labels), keep=True)
        self._random = np.random.default_rng(seed)

    def by(self, phrase: str, wanted: Wanted, term: Curie) -> dict[str, NDArray[np.floating]]:
        """Scores of the cells by every method."""
        values, genes = self.dataset.values, self.dataset.genes
        made = scores(values, genes, wanted, self.scorer, self.graph)
        weight = np.array([wanted.genes.get(gene, 0.0) for gene in genes])
        cosine = self._names @ self._text.encode([phrase])[0]
        cosine[self.hierarchy.index(term)] = -1
        withheld = of_text(cosine, self.hierarchy.ids, self.sets, self.hierarchy)
        below = [i for i, one in enumerate(self.sets.ids) if term in self.hierarchy.ancestors(one)]
        best = self._sctype[:, below].max(axis=1) if below else np.zeros(len(values.indptr) - 1)
        return {
            "celloquy": made.score,
            "markers alone": self._z @ weight,
            "ontology alone": made.likeness,
            "ScType": np.nan_to_num(best, neginf=-1e9),
            "text, term withheld": scores(values, genes, withheld, self.scorer, self.graph).score,
            "aligned projector": self._cells @ self._aligned.sayings([phrase])[0],
            "random": self._random.random(values.shape[0]),
        }


def auroc(mine: NDArray[np.bool_], score: NDArray[np.floating]) -> float:
    """Area under the ROC curve."""
    try:
        from sklearn.metrics import roc_auc_score
    except ImportError as error:
        raise DependencyMissing("the suite cells needs scikit-learn") from error
    return float(roc_auc_score(mine, score))
