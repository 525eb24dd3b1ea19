"""The suite ``markers``: cell types from gene lists alone, beside overlap and random.

``python -m training.evaluate.markers --data FOLDER`` scores CASSIA's 100 clusters
(``qa/cassia_marker100.csv``) against terms that were judged by hand and frozen before anything was
scored (``tests/golden/cassia_labels.tsv``). Constants were chosen elsewhere: on lists of
collections that are not in the table, and on ranked genes of the development datasets. A label that
no term was found for counts 0 over all 100, and is left out over the grounded ones.
"""

from __future__ import annotations

import argparse
import csv
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.genelists import GeneList, read_gene_lists
from data.markers import AXIOMS, read_markers
from encoders.celltypes.markerlists import annotate_lists
from encoders.celltypes.markersets import MarkerSets, build_sets
from kg.backoff import Hierarchy
from kg.blocked import blocked
from kg.terms import Curie
from training.annotation.data import cell_ontology
from training.evaluate import metrics
from training.evaluate.annotation_baselines import shuffled
from training.evaluate.figures import Report, versions

__all__ = ["golden", "main", "markers", "overlap"]

SEEDS = 5


def golden(path: Path) -> dict[int, Curie | None]:
    """Row number (from 1) of the published file to its term; None where there is none."""
    with path.open(encoding="utf-8", newline="") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t")
    return {int(row["row"]): row["id"] if row["id"].startswith("CL:") else None for row in rows}


def overlap(sets: MarkerSets, genes: Sequence[str]) -> Curie | None:
    """The type whose own markers share the largest summed IDF with the list."""
    place = {gene: i for i, gene in enumerate(sets.genes)}
    columns = [place[g] for g in genes if g in place]
    if not columns:
        return None
    holds = (sets.own > 0).tocsc().astype(np.float64)
    rare = np.log(holds.shape[0] / np.maximum(1, np.asarray(holds.sum(axis=0)).ravel()))
    return sets.ids[int((holds[:, columns] @ rare[columns]).argmax())]


def markers(folder: Path, labels: Path, seed: int = 0) -> Report:
    """Run the suite; see the module."""
    report = Report("markers", versions=versions(), seed=seed)
    hierarchy, release = cell_ontology()
    report.assets = {"CL": release}
    never = blocked(hierarchy)
    sets = build_sets(read_markers([AXIOMS]), hierarchy, never=never)
    file = folder / "qa" / "cassia_marker100.csv"
    lists = read_gene_lists(file)
    with file.open(encoding="utf-8-sig", newline="") as handle:
        origin = [row["Dataset"] for row in csv.DictReader(handle)]
    truth = [golden(labels).get(i) for i in range(1, len(lists) + 1)]
    answers = {"": _celloquy(lists, sets, hierarchy, never)}
    answers["IDF overlap"] = [overlap(sets, one.genes) for one in lists]
    for setting, mask in _settings(truth, lists, origin).items():
        for name, said in answers.items():
            _add(report, name, setting, mask, truth, said, hierarchy)
    everything = np.ones(len(truth), dtype=bool)
    controls = [_celloquy(lists, shuffled(sets, seed + k), hierarchy, never) for k in range(SEEDS)]
    found = np.array([_figures(truth, said, everything, hierarchy) for said in controls])
    for i, figure in enumerate(("score", "hierarchical F")):
        name = f"all {len(truth)}: {figure}"
        report.beside(
            "random", name, float(found[:, i].mean()), len(truth), float(found[:, i].std())
        )
    return report


def _celloquy(
    lists: Sequence[GeneList], sets: MarkerSets, hierarchy: Hierarchy, never: frozenset[Curie]
) -> list[Curie | None]:
    return [one.term for one in annotate_lists(lists, sets, hierarchy, never=never)]


def _settings(
    truth: Sequence[Curie | None], lists: Sequence[GeneList], origin: Sequence[str]
) -> dict[str, NDArray[np.bool_]]:
    grounded = np.array([t is not None for t in truth])
    azimuth = np.array(["azimuth" in o.casefold() for o in origin])
    mouse = np.array([one.species == "mouse" for one in lists])
    return {
        f"all {len(truth)}": np.ones(len(truth), dtype=bool),
        "grounded": grounded,
        "grounded, without Azimuth's": grounded & ~azimuth,
        "grounded, human": grounded & ~mouse,
        "grounded, mouse": grounded & mouse,
    }


def _figures(
    truth: Sequence[Curie | None],
    said: Sequence[Curie | None],
    mask: NDArray[np.bool_],
    hierarchy: Hierarchy,
) -> tuple[float, float]:
    """Mean score and hierarchical F over the rows of the mask; a row without a term scores 0."""
    rows = [int(i) for i in np.flatnonzero(mask)]
    real = [(truth[i], said[i]) for i in rows if truth[i] is not None]
    if not real:
        return 0.0, 0.0
    t = [a for a, _ in real if a is not None]
    s = [b for _, b in real]
    share = len(real) / len(rows)
    return (
        share * metrics.within_two_steps(t, s, hierarchy),
        share * metrics.hierarchical(t, s, hierarchy).f,
    )


def _add(
    report: Report,
    name: str,
    setting: str,
    mask: NDArray[np.bool_],
    truth: Sequence[Curie | None],
    said: Sequence[Curie | None],
    hierarchy: Hierarchy,
) -> None:
    n = int(mask.sum())
    if not n:
        return
    for figure, value in zip(
        ("score", "hierarchical F"), _figures(truth, said, mask, hierarchy), strict=True
    ):
        if name:
            report.beside(name, f"{setting}: {figure}", value, n)
        else:
            report.add(f"{setting}: {figure}", value, n)


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.markers")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--labels", type=Path, default=Path("tests/golden/cassia_labels.tsv"))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    report = markers(options.data, options.labels)
    report.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
