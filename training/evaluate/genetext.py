"""What gene texts, marker weights and whitening give: cells told by simulated centroids alone.

``python -m training.evaluate.genetext --data FOLDER``: for each development dataset that is not
kept out, every cell gets the type whose centroid of simulated cells (:mod:`training.profiles`) is
nearest by cosine; no real cell is looked at before. Scored is the mean accuracy over types.
Beside the texts stand the same vectors dealt out to the genes at random and random vectors, over
seeds. Centring is fitted on the simulated cells alone here. The weights and the whitening of the
default encoder were chosen on these figures, which are therefore no test of it; the kept-out
datasets are (``celloquy evaluate llm``).
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from encoders.celltext import FLOOR
from encoders.genept import (
    Centring,
    GeneVectors,
    cell_vectors,
    permuted,
    random_like,
    vectors,
    weighted,
)
from training.annotation.data import cell_ontology
from training.background import read
from training.evaluate.figures import Report, versions
from training.holdout import held_out
from training.profiles import (
    Profiles,
    SimulationConfig,
    development,
    gene_weights,
    marker_sets,
    simulate,
)

__all__ = ["accuracies", "evaluate", "main"]

SEEDS = 5
"""Of the controls."""


def accuracies(
    drawn: Sequence[Profiles], measured: Sequence[Profiles], table: GeneVectors, *, whiten: bool
) -> list[float | None]:
    """For each dataset the mean over types of the share of cells that get their own type.

    A cell gets the type of the nearest centroid of drawn cells. Only the types that the dataset
    holds are candidates; None where that is fewer than two.
    """
    cells = np.concatenate([cell_vectors(one.values, one.genes, table) for one in drawn])
    types = np.array([term for one in drawn for term in one.types])
    centring = Centring.fit(cells, whiten=whiten)
    moved = centring(cells)
    found: list[float | None] = []
    for real in measured:
        known = sorted(set(real.types) & set(types))
        if len(known) < 2:
            found.append(None)
            continue
        centroids = np.stack([moved[types == term].mean(axis=0) for term in known])
        centroids /= np.linalg.norm(centroids, axis=1, keepdims=True)
        truth = np.array([term if term in known else "" for term in real.types])
        asked: NDArray[np.float32] = centring(cell_vectors(real.values, real.genes, table))
        said = np.array(known)[(asked @ centroids.T).argmax(axis=1)]
        found.append(float(np.mean([(said[truth == term] == term).mean() for term in known])))
    return found


def evaluate(folder: Path, seeds: int = SEEDS) -> Report:
    """All settings on all development datasets that are not kept out."""
    hierarchy, release = cell_ontology()
    sets = marker_sets(hierarchy, held_out(hierarchy))
    drawn = simulate(sets, read(), SimulationConfig(donors=4, cells=4))
    measured = development(folder)
    texts = vectors(sorted({gene for one in [*drawn, *measured] for gene in one.genes}))
    weights = gene_weights(sets)

    def score(table: GeneVectors, plain: bool = False, whiten: bool = True) -> list[float | None]:
        used = table if plain else weighted(table, weights, FLOOR)
        return accuracies(drawn, measured, used, whiten=whiten)

    report = Report("gene-text", versions=versions("sentence-transformers"),
                    assets={"CL": release})  # fmt: skip
    names = [f"{real.origin}: mean accuracy over types" for real in measured]
    for name, real, value in zip(names, measured, score(texts), strict=True):
        if value is not None:
            report.add(name, value, len(real))
            known = set(real.types) & set(sets.ids)
            report.beside("chance", name, 1 / len(known), len(real))
    others = {
        "not whitened": [score(texts, whiten=False)],
        "no weights": [score(texts, plain=True)],
        "neither": [score(texts, plain=True, whiten=False)],
        "permuted": [score(permuted(texts, seed)) for seed in range(seeds)],
        "random": [score(random_like(texts, seed)) for seed in range(seeds)],
    }
    for said, runs in others.items():
        for place, (name, real) in enumerate(zip(names, measured, strict=True)):
            values = [value for run in runs if (value := run[place]) is not None]
            if values:
                spread = float(np.std(values)) if len(values) > 1 else None
                report.beside(said, name, float(np.mean(values)), len(real), spread)
    report.notes.append("weights and whitening were chosen on these datasets")
    return report


def main(arguments: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.genetext")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    report = evaluate(options.data, options.seeds)
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
