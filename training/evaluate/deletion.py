"""The suite ``deletion``: whether the genes that an encoder relies on mark the cell type.

For every type of a dataset that has markers among its genes, each gene that its cells express gets
a deletion score (:mod:`encoders.deletion`) over twenty of them, and the scores are held against
whether the graph calls the gene a marker of the type (positive markers of ``data/markers.tsv``, the
type's own): the area under the ROC curve. Beside stand the mean expression in the same cells and
the fold change over all other cells, neither of which needs an encoder, and random scores.

``python -m training.evaluate.deletion --data FOLDER [--encoder FOLDER ...]``
"""

from __future__ import annotations

import argparse
import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data.markers import TABLE, read_markers
from encoders.celltext import CellEncoder
from encoders.celltypes.transfer import Principal
from encoders.deletion import deletion_scores
from kg.terms import Curie
from training.annotation.data import Dataset, load
from training.evaluate.cells import auroc
from training.evaluate.figures import Report, versions

__all__ = ["deletion", "main"]

CELLS = 20
"""Cells of a type that are looked at."""

LEAST_MARKERS = 5
"""Markers among the genes of the cells below which a type's figure is chance."""

DATA = ("pbmc68k", "pbmc3k", "brain")
COMPONENTS = 50
_PLAIN = ("mean expression", "fold change")  # what needs no encoder

Encode = Callable[[sp.csr_array, Sequence[str]], NDArray[np.float32]]


def deletion(
    folder: Path | None, encoders: Sequence[str] = (), names: Sequence[str] = DATA, seed: int = 0
) -> Report:
    """Run the suite for gene texts, their control, principal components and named encoders."""
    report = Report("deletion", versions=versions("scikit-learn"), seed=seed)
    report.assets = {
        "markers": hashlib.sha256(TABLE.read_bytes()).hexdigest()[:16],
        "encoder": CellEncoder.shipped().identity["content"],
    }
    known: dict[Curie, set[str]] = defaultdict(set)
    for marker in read_markers():
        if marker.positive:
            known[marker.cl_id].add(marker.gene)
    for name in names:
        dataset = load(name, folder)
        rows: dict[str, list[float]] = defaultdict(list)
        made = _encoders(dataset, encoders, seed)
        rng = np.random.default_rng(seed)
        for term in sorted(set(dataset.truth)):
            for method, value in _type(dataset, term, known[term], made, rng).items():
                rows[method].append(value)
        for method, values in rows.items():
            mean, spread = float(np.mean(values)), float(np.std(values))
            figure = f"{name}: mean AUROC over types"
            if method == "gene texts":
                report.add(figure, mean, len(values), spread)
            else:
                report.beside(method, figure, mean, len(values), spread)
    report.notes.append(
        "celloquy: plain gene texts (GenePT-w); the encoder that ships weighs genes by the same "
        "marker table, so that its figure is circular; spread over types"
    )
    report.notes.append(_closing(report))
    return report


def _closing(report: Report) -> str:
    """Against the best of what needs no encoder, over the datasets."""
    held = {}
    for name, own in report.figures.items():
        rivals = {base: report.baselines[base][name].value for base in _PLAIN}
        best = max(rivals, key=lambda base: rivals[base])
        held[name.partition(":")[0]] = (own.value - rivals[best], best)
    above = sum(gain > 0 for gain, _ in held.values())
    each = "; ".join(f"{name} {gain:+.3f} ({best})" for name, (gain, best) in held.items())
    return (
        f"gene texts tell markers better than the better of {' and '.join(_PLAIN)} on {above} of "
        f"{len(held)} dataset{'s' * (len(held) != 1)}: {each}"
    )


def _encoders(dataset: Dataset, named: Sequence[str], seed: int) -> dict[str, Encode]:
    from encoders.genept import cell_vectors, random_like, vectors
    from encoders.registry import find

    texts = vectors(dataset.genes)
    table = random_like(texts, seed)
    turn = Principal.fit(dataset.values, COMPONENTS)
    found: dict[str, Encode] = {
        "gene texts": lambda values, genes: cell_vectors(values, genes, texts),
        "gene-text (knows the markers)": find("gene-text").encode,
        "PCA-50": lambda values, genes: turn(sp.csr_matrix(values)),
        "random gene vectors": lambda values, genes: cell_vectors(values, genes, table),
    }
    for one in named:
        encoder = find(one)
        found[Path(one).name] = encoder.encode
    return found


def _type(
    dataset: Dataset,
    term: Curie,
    markers: set[str],
    made: dict[str, Encode],
    rng: np.random.Generator,
) -> dict[str, float]:
    """AUROC of every method for one type; nothing where it has too few markers or cells."""
    mine = np.array([one == term for one in dataset.truth])
    cells = rng.permutation(np.flatnonzero(mine))[:CELLS]
    values = sp.csr_array(dataset.values[np.sort(cells)])
    seen = np.flatnonzero(np.asarray((values > 0).sum(axis=0)).ravel())
    positive = np.array([dataset.genes[i] in markers for i in seen], dtype=bool)
    if len(cells) < LEAST_MARKERS or positive.sum() < LEAST_MARKERS or positive.all():
        return {}
    inside = np.asarray(dataset.values[np.flatnonzero(mine)].mean(axis=0)).ravel()
    outside = np.asarray(dataset.values[np.flatnonzero(~mine)].mean(axis=0)).ravel()
    scores = {name: deletion_scores(encode, values, dataset.genes) for name, encode in made.items()}
    scores |= {
        "mean expression": np.asarray(values.mean(axis=0)).ravel(),
        "fold change": inside - outside,
        "random": rng.random(len(dataset.genes)),
    }
    return {name: auroc(positive, score[seen]) for name, score in scores.items()}


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.deletion")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--encoder", action="append", default=[], help="a folder or a name; repeat")
    parser.add_argument("--only", nargs="*", default=list(DATA), choices=DATA)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    deletion(options.data, options.encoder, options.only).show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
