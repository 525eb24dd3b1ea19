"""The suite ``typenovelty``: naming cells of types that no labelled cell was ever seen of.

scCello's protocol (Yuan et al. 2024, arXiv:2408.12373, novel cell type classification) on blood
cells and T-cell states: PBMC68k-reduced, PBMC3k and tumour T cells over the genes that they share.
In each of ten draws half of the types are held out. A known type is the mean vector of its cells,
r_k; a cell of a held-out type is described by its cosines to the r_k, and named the candidate t
whose closeness to the known types orders them most alike (Spearman). Candidates are a quarter, half
or all of the held-out types, and only their cells are named.

Closeness of t to the known types is personalised PageRank over the Cell Ontology; beside it stand
the cosines of their names in a sentence encoder (text only), random numbers, and the majority. The
vectors are principal components of the known cells, gene texts, random gene vectors, and the
gene-token encoder trained on the known cells alone. Nothing is chosen here.

``python -m training.evaluate.typenovelty --data FOLDER [--tokens] [--draws N]``
"""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from encoders.celltypes.transfer import Principal
from kg.backoff import Hierarchy
from kg.measures.pagerank import PageRank
from kg.terms import Curie
from training.annotation.data import cell_ontology, load
from training.evaluate.figures import Report, versions
from training.evaluate.metrics import accuracy, macro_f1

__all__ = ["SHARES", "Cells", "Draw", "closeness", "draws", "main", "named", "typenovelty"]

DATA = ("pbmc68k", "pbmc3k", "tcells")
SHARES = (0.25, 0.5, 1.0)
"""Of the held-out types that are candidates; scCello's are 10, 25, 50 and 100 %."""

DRAWS = 10
LEAST_CELLS = 5
COMPONENTS = 50
STEPS = 400


@dataclass(frozen=True, eq=False)
class Cells:
    """Cells of several datasets over the genes that all have."""

    values: sp.csr_matrix
    genes: tuple[str, ...]
    truth: NDArray[np.object_]


@dataclass(frozen=True)
class Draw:
    """Known types, and the candidates by share of the held-out ones."""

    known: tuple[Curie, ...]
    novel: Mapping[float, tuple[Curie, ...]]


Space = Callable[[Cells, NDArray[np.bool_], int], NDArray[np.float32]]
"""Vectors of all cells, learnt from those of the mask alone; the number is the draw's."""


def pooled(folder: Path | None, names: Sequence[str] = DATA) -> Cells:
    """The datasets, one under another."""
    parts = [load(name, folder) for name in names]
    genes = sorted(set.intersection(*(set(one.genes) for one in parts)))
    values = []
    for one in parts:
        place = {gene: i for i, gene in enumerate(one.genes)}
        values.append(one.values[:, [place[gene] for gene in genes]])
    truth = np.array([t for one in parts for t in one.truth], dtype=object)
    return Cells(sp.vstack(values).tocsr(), tuple(genes), truth)


def draws(truth: NDArray[np.object_], n: int, seed: int = 0) -> list[Draw]:
    """Halves of the types that have cells enough, dealt ``n`` times."""
    types = sorted(t for t in set(truth) if (truth == t).sum() >= LEAST_CELLS)
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(n):
        order = [types[i] for i in rng.permutation(len(types))]
        held = order[: len(order) // 2]
        novel = {share: tuple(held[: max(2, round(share * len(held)))]) for share in SHARES}
        made.append(Draw(tuple(sorted(order[len(order) // 2 :])), novel))
    return made


def named(
    cosines: NDArray[np.floating], close: NDArray[np.floating], candidates: Sequence[Curie]
) -> list[Curie]:
    """The candidate whose closeness orders the known types as the cell's cosines do.

    Parameters
    ----------
    cosines
        Of cells to known types [cells, known].
    close
        Of candidates to known types [candidates, known].
    candidates
        Their ids.
    """
    from scipy.stats import rankdata

    def standard(rows: NDArray[np.floating]) -> NDArray[np.float64]:
        ranks = rankdata(rows, axis=1)
        ranks -= ranks.mean(axis=1, keepdims=True)
        return np.asarray(ranks / np.maximum(np.linalg.norm(ranks, axis=1, keepdims=True), 1e-12))

    best = (standard(cosines) @ standard(close).T).argmax(axis=1)
    return [candidates[i] for i in best]


def closeness(
    types: Sequence[Curie], hierarchy: Hierarchy, rng: np.random.Generator
) -> dict[str, NDArray[np.floating]]:
    """How close all types are to each other [types, types], by each way to say it."""
    from encoders.text import load as text

    edges = [
        (one, hierarchy.ids[p]) for i, one in enumerate(hierarchy.ids) for p in hierarchy.parents[i]
    ]
    walks = PageRank(hierarchy.ids, edges)
    places = hierarchy.indices(types)
    names = text().encode([hierarchy.labels[i] for i in places], keep=True)
    return {
        "ontology": np.stack([walks.row(one)[places] for one in types]),
        "text only": names @ names.T,
        "random similarity": rng.random((len(types), len(types))),
    }


# --- vectors -------------------------------------------------------------------------------------


def _principal(cells: Cells, known: NDArray[np.bool_], draw: int) -> NDArray[np.float32]:
    return Principal.fit(cells.values[np.flatnonzero(known)], COMPONENTS)(cells.values)


def _texts(random: bool) -> Space:
    def run(cells: Cells, known: NDArray[np.bool_], draw: int) -> NDArray[np.float32]:
        from encoders.genept import cell_vectors, random_like, vectors

        table = vectors(cells.genes)
        found = cell_vectors(
            cells.values, cells.genes, random_like(table, draw) if random else table
        )
        return np.asarray(found - found[known].mean(axis=0), dtype=np.float32)

    return run


def _tokens(cells: Cells, known: NDArray[np.bool_], draw: int) -> NDArray[np.float32]:
    from training.evaluate.ablate_gene_tokens import small
    from training.genetokens.cell_store import of_datasets
    from training.genetokens.recipe import channels_for, train

    rows = np.flatnonzero(known)
    values, truth = cells.values[rows], tuple(cells.truth[rows])
    config = small(STEPS, seed=draw)
    store = of_datasets([("known", values, cells.genes, truth)])
    made, _ = train(
        store, cell_ontology()[0], config, channels_for(config, [(values, cells.genes)])
    )
    found = made.encode(sp.csr_array(cells.values), cells.genes)
    return np.asarray(found - found[known].mean(axis=0), dtype=np.float32)


SPACES: dict[str, Space] = {
    "PCA-50": _principal,
    "gene texts": _texts(random=False),
    "random gene vectors": _texts(random=True),
    "gene-tokens": _tokens,
}


# --- the suite -----------------------------------------------------------------------------------


def typenovelty(
    folder: Path | None, spaces: Sequence[str] = tuple(SPACES)[:3], n: int = DRAWS, seed: int = 0
) -> Report:
    """Run the suite on some of :data:`SPACES`; the column ``celloquy`` is PCA with the ontology."""
    hierarchy, release = cell_ontology()
    report = Report("typenovelty", versions=versions("scikit-learn"), seed=seed)
    report.assets = {"CL": release}
    cells = pooled(folder)
    types = sorted(set(cells.truth))
    place = {one: i for i, one in enumerate(types)}
    close = closeness(types, hierarchy, np.random.default_rng(seed))
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for number, draw in enumerate(draws(cells.truth, n, seed)):
        for space in spaces:
            _one(cells, draw, number, space, close, place, found)
    for (method, name), values in found.items():
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1)) if n > 1 else None
        if method == "PCA-50, ontology":
            report.add(name, mean, n, spread)
        else:
            report.beside(method, name, mean, n, spread)
    report.notes.append(f"{n} draws of {len(types)} types, {cells.values.shape[1]} shared genes; "
                        "celloquy: PCA-50 with the ontology")  # fmt: skip
    return report


def _one(
    cells: Cells,
    draw: Draw,
    number: int,
    space: str,
    close: Mapping[str, NDArray[np.floating]],
    place: Mapping[Curie, int],
    found: dict[tuple[str, str], list[float]],
) -> None:
    known = np.isin(cells.truth, list(draw.known))
    vectors = _units(SPACES[space](cells, known, number))
    means = _units(np.stack([vectors[cells.truth == one].mean(axis=0) for one in draw.known]))
    columns = [place[one] for one in draw.known]
    for share, candidates in draw.novel.items():
        mine = np.flatnonzero(np.isin(cells.truth, list(candidates)))
        truth = list(cells.truth[mine])
        answers = {"majority": [max(sorted(set(truth)), key=truth.count)] * len(truth)}
        for how, table in close.items():
            rows = table[[place[one] for one in candidates]][:, columns]
            answers[f"{space}, {how}"] = named(vectors[mine] @ means.T, rows, candidates)
        for method, said in answers.items():
            if method == "majority" and space != "PCA-50":
                continue
            for figure, measure in (("accuracy", accuracy), ("macro-F1", macro_f1)):
                found[method, f"{share:.0%} of held-out types: {figure}"].append(
                    measure(truth, said)
                )


def _units(rows: NDArray[np.floating]) -> NDArray[np.float32]:
    length = np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    return np.asarray(rows / length, dtype=np.float32)


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.typenovelty")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--tokens", action="store_true", help="the gene-token encoder too")
    parser.add_argument("--draws", type=int, default=DRAWS)
    parser.add_argument("--json", type=Path)
    options = parser.parse_args(arguments)
    spaces = tuple(SPACES) if options.tokens else tuple(SPACES)[:3]
    typenovelty(options.data, spaces, options.draws).show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
