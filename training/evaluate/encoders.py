"""The suite ``encoders``: labels carried over between datasets and within them, by every encoder.

``python -m training.evaluate.encoders --data FOLDER [--out FILE] [--only NAME ...]``: train on
PBMC68k-reduced, name the cells of PBMC3k, and back; and within each by five folds. Every encoder is
followed by the same logistic regression on its vectors
(:class:`encoders.celltypes.transfer.Transfer`), and principal components by nearest neighbours as
well. Beside them stand the most variable genes themselves, CellTypist trained on the same cells
where it is installed, gene texts (GenePT-w), the same with random and with permuted gene vectors,
and the gene-token encoder, across datasets also with random and permuted knowledge. Across datasets
the coarse classes that both have are scored, mapped by the Cell Ontology (``data/label_maps``), and
the types that both have; within one, its own types.

A seed leaves out a tenth of the training cells of every type, or deals the folds anew; the spread
is the standard deviation over seeds. The gene-token encoder is trained anew on the training cells
of each, over the genes that both datasets have, as every other method is (and as ``celloquy train
encoder --genes-of`` does). Nothing is chosen on what is scored. Last stands the rule for "none of
these" on principal components: the share of cells that it refuses, of types that the reference has
and of those that it lacks, between the datasets and, one type at a time held out of a part of the
cells, in mouse brain. With ``--out`` each run and each fold leaves a line of JSON, and one that the
file holds is not made again; all of it takes most of an hour of one core, half for gene tokens.
"""

from __future__ import annotations

import argparse
import json
import logging
import warnings
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from encoders.celltypes.transfer import Principal, Transfer, TransferConfig
from training.annotation.data import Dataset, cell_ontology, load
from training.evaluate.ablate_gene_tokens import over, scores, small
from training.evaluate.figures import Report, versions
from training.genetext import folds

__all__ = ["METHODS", "OURS", "encoders", "main"]

WAYS = (("pbmc68k", "pbmc3k"), ("pbmc3k", "pbmc68k"))
WITHIN = ("pbmc68k", "pbmc3k")

OURS = "gene-tokens"
"""The encoder that the others stand beside."""

VARIABLE = 500
"""Most variable genes of the training cells: a third of PBMC3k's, two thirds of PBMC68k's."""

STEPS = 400
"""Steps of the gene-token encoder here: half a minute of one processor."""

SEEDS, TRAINED_SEEDS = 3, 2
"""Seeds and deals; deals of gene tokens, ten trainings each, and seeds of their controls."""

LONG = f"{OURS}, as the command trains"
"""128 tokens and 600 steps: three minutes a training, so one seed across datasets alone."""

FOLDS = 5

LEAST_HELD_OUT = 10
"""Cells of a type in the reference from which it is held out of it."""


Names = list[str]
Method = Callable[[Dataset, Dataset, int], Names]
Key = dict[str, Any]
Run = Callable[[], dict[str, Any]]
Once = Callable[[Key, Run], dict[str, Any]]
"""What a run gave, from the file of runs or from making it."""


def encoders(
    folder: Path | None,
    names: Sequence[str] = (),
    out: Path | None = None,
    seed: int = 0,
    seeds: tuple[int, int] = (SEEDS, TRAINED_SEEDS),
    *,
    within: bool = True,
) -> Report:
    """Run the suite; see the module.

    Parameters
    ----------
    folder
        Of development data.
    names
        Some of :data:`METHODS`; all of them where empty.
    out
        File of runs.
    seed
        The first one.
    seeds
        How many, and how many deals of gene tokens and seeds of their controls.
    within
        Whether the folds within a dataset are made too.
    """
    report = Report("encoders", versions=versions("scikit-learn", "torch", "celltypist"), seed=seed)
    chosen = [one for one in METHODS if not names or one in names]
    held = {name: load(name, folder) for name in WITHIN}
    rows = _read(out)

    def once(key: Key, run: Run) -> dict[str, Any]:
        for row in rows:
            if all(row.get(k) == v for k, v in key.items()) and ("fold" in row) == ("fold" in key):
                return row
        rows.append(key | run())
        if out is not None:
            with out.open("a", encoding="utf-8") as handle:
                handle.write(json.dumps(rows[-1]) + "\n")
        return rows[-1]

    for key, run in _jobs(chosen, held, seed, seeds, once):
        if key["where"].startswith("within") and not within:
            continue
        try:
            once(key, run)
        except ImportError as error:
            report.notes.append(f"{key['method']}: left out ({error})")
    _figures(report, rows, held)
    if not names:
        _strangers(report, folder, held)
    return report


def _strangers(report: Report, folder: Path | None, held: dict[str, Dataset]) -> None:
    """How many cells are none of the reference's types, where they are and where they are not."""

    def refused(a: Dataset, b: Dataset, lacking: set[str]) -> tuple[float, float]:
        turn = Principal.fit(a.values, TransferConfig().components)
        made = Transfer.fit(turn(a.values), list(a.truth))
        none = made.judged(turn(b.values))[1] > made.limit
        lacks = np.isin(np.array(b.truth), sorted(lacking))
        return float(none[~lacks].mean()), float(none[lacks].mean())

    for x, y in WAYS:
        genes = sorted(set(held[x].genes) & set(held[y].genes))
        coarse = [
            replace(over(held[one], genes), truth=tuple(held[one].coarse or ())) for one in (x, y)
        ]
        found = refused(coarse[0], coarse[1], set(coarse[1].truth) - set(coarse[0].truth))
        for which, share in zip(("has", "lacks"), found, strict=True):
            report.add(f"{x} to {y}: refused, types it {which}", share, len(held[y]))
    brain = load("brain", folder)
    fold = np.random.default_rng(0).permutation(len(brain)) % 3
    near, far = (brain.part(np.flatnonzero(part)) for part in (fold > 0, fold == 0))
    types = [one for one in sorted(set(near.truth)) if near.truth.count(one) >= LEAST_HELD_OUT]
    rows = []
    for one in types:
        rest = np.flatnonzero([t != one for t in near.truth])
        rows.append(refused(near.part(rest), far, {one}))
    for which, share in zip(("has", "lacks"), np.mean(rows, axis=0), strict=True):
        report.add(f"brain, type held out: refused, types it {which}", float(share), len(types))


def _jobs(
    chosen: Sequence[str],
    held: dict[str, Dataset],
    first: int,
    seeds: tuple[int, int],
    once: Once,
) -> Iterator[tuple[Key, Run]]:
    for name in chosen:
        method = METHODS[name]
        many, deals = _seeds(name, *seeds)
        for seed in range(first, first + many):
            for a, b in WAYS:
                key = {"method": name, "where": f"{a} to {b}", "seed": seed}
                yield key, partial(_across, method, held[a].nine_tenths(seed), held[b], seed)
            for a in WITHIN if seed - first < deals else ():
                key = {"method": name, "where": f"within {a}", "seed": seed}
                yield key, partial(_within, method, held[a], seed, partial(_under, once, key))


def _seeds(name: str, many: int, few: int) -> tuple[int, int]:
    """Seeds across datasets and deals of the folds within: fewer of what takes minutes."""
    if name == OURS:
        return many, few
    if name.startswith(OURS):
        return 1 if name == LONG else few, 0
    return (1, 1) if name == "majority" else (many, many)


def _under(once: Once, key: Key, more: Key, run: Run) -> dict[str, Any]:
    return once(key | more, run)


def _across(method: Method, a: Dataset, b: Dataset, seed: int) -> dict[str, float]:
    """One dataset names the other's cells, over the genes that both have."""
    genes = sorted(set(a.genes) & set(b.genes))
    a, b = over(a, genes), over(b, genes)
    none = np.zeros((0, 1))
    return scores(none, a, none, b, method(a, b, seed))


def _anew(key: Key, run: Run) -> dict[str, Any]:
    return run()


def _within(method: Method, found: Dataset, seed: int, once: Once = _anew) -> dict[str, float]:
    """Out-of-fold names of one dataset, its own types."""
    fold = folds(found.truth, FOLDS, seed)
    said = np.empty(len(found), dtype=object)
    for k in range(FOLDS):
        near, far = (found.part(np.flatnonzero(part)) for part in (fold != k, fold == k))
        said[fold == k] = once({"fold": k}, partial(_said, method, near, far, seed))["said"]
    none = np.zeros((0, 1))
    made = scores(none, found, none, found, [str(one) for one in said])
    return {name: value for name, value in made.items() if name.startswith("fine")}


def _said(method: Method, near: Dataset, far: Dataset, seed: int) -> dict[str, Any]:
    return {"said": method(near, far, seed)}


# --- methods -------------------------------------------------------------------------------------


def _named(
    near: NDArray[np.float32], a: Dataset, far: NDArray[np.float32], config: TransferConfig
) -> Names:
    """Labels carried over, every cell and every label of the reference used."""
    made = Transfer.fit(near, list(a.truth), replace(config, least=1, most=len(near)))
    return [made.names[i] for i in made.chances(far).argmax(axis=1)]


def _pca(rule: Any) -> Method:
    config = TransferConfig(rule=rule)

    def run(a: Dataset, b: Dataset, seed: int) -> Names:
        turn = Principal.fit(a.values, config.components)
        return _named(turn(a.values), a, turn(b.values), config)

    return run


def _variable(a: Dataset, b: Dataset, seed: int) -> Names:
    near, far = a.values.toarray(), b.values.toarray()
    spread = near.std(axis=0)
    genes = np.argsort(-spread, kind="stable")[:VARIABLE]
    mean, size = near[:, genes].mean(axis=0), np.maximum(spread[genes], 1e-6)
    near, far = (near[:, genes] - mean) / size, (far[:, genes] - mean) / size
    return _named(near, a, far, TransferConfig())


def _celltypist(a: Dataset, b: Dataset, seed: int) -> Names:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own, on libraries to come
        celltypist = import_module("celltypist")
        celltypist.logger.set_level(logging.ERROR)  # it reports every step of every training
        # Its other solver needs an option that scikit-learn 1.8 no longer has.
        made = celltypist.train(
            a.values, labels=np.array(a.truth), genes=np.array(a.genes), check_expression=False,
            n_jobs=1, max_iter=200, use_SGD=True, random_state=seed,
        )  # fmt: skip
    # Its own call checks for 10,000 counts over all genes, of which these datasets have a part.
    columns = [b.genes.index(gene) for gene in made.classifier.features]
    scaled = (b.values.toarray()[:, columns] - made.scaler.mean_) / made.scaler.scale_
    decision = made.classifier.decision_function(np.minimum(scaled, 10))
    names = made.classifier.classes_
    if decision.ndim == 1:
        return [str(names[int(one > 0)]) for one in decision]
    return [str(names[i]) for i in decision.argmax(axis=1)]


def _genes(kind: str) -> Method:
    def run(a: Dataset, b: Dataset, seed: int) -> Names:
        from encoders.celltext import CellEncoder
        from encoders.genept import cell_vectors, permuted, random_like, vectors

        if kind == "shipped":
            encoder = CellEncoder.shipped()
            near, far = encoder.encode(a.values, a.genes), encoder.encode(b.values, b.genes)
            return _named(near, a, far, TransferConfig())
        table = vectors(sorted({*a.genes, *b.genes}))
        if kind == "random":
            table = random_like(table, seed)
        elif kind == "permuted":
            table = permuted(table, seed)
        near, far = (cell_vectors(one.values, one.genes, table) for one in (a, b))
        return _named(near, a, far, TransferConfig())

    return run


def _tokens(control: Any = "", *, whole: bool = False) -> Method:
    def run(a: Dataset, b: Dataset, seed: int) -> Names:
        from training.genetokens.cell_store import of_datasets
        from training.genetokens.recipe import GeneTokenConfig, channels_for, train

        config = replace(small(STEPS, seed=seed), control=control)
        if whole:
            config = GeneTokenConfig()
            config = replace(config, loop=replace(config.loop, seed=seed, save_every=0))
        store = of_datasets([(a.name, a.values, a.genes, a.truth)])
        channels = channels_for(config, [(a.values, a.genes)])
        made, _ = train(store, cell_ontology()[0], config, channels)
        near, far = made.encode(a.values, a.genes), made.encode(b.values, b.genes)
        return _named(near, a, far, TransferConfig())

    return run


def _majority(a: Dataset, b: Dataset, seed: int) -> Names:
    top = max(sorted(set(a.truth)), key=a.truth.count)
    return [top] * len(b)


METHODS: dict[str, Method] = {
    OURS: _tokens(),
    LONG: _tokens(whole=True),
    "PCA-50 + LR": _pca("logistic"),
    "PCA-50 + kNN": _pca("knn"),
    "variable genes + LR": _variable,
    "CellTypist": _celltypist,
    "GenePT-w + LR": _genes("plain"),
    "gene-text + LR": _genes("shipped"),
    "random gene vectors": _genes("random"),
    "permuted gene texts": _genes("permuted"),
    f"{OURS}, random channels": _tokens("random"),
    f"{OURS}, permuted channels": _tokens("permuted"),
    "majority": _majority,
}
"""Each names the cells of the second dataset by those of the first."""


# --- figures -------------------------------------------------------------------------------------


def _figures(report: Report, rows: Sequence[dict[str, Any]], held: dict[str, Dataset]) -> None:
    found: dict[tuple[str, str], list[float]] = defaultdict(list)
    for row in rows:
        for name, value in row.items() if "fold" not in row else ():
            if name not in ("method", "where", "seed"):
                found[row["method"], f"{row['where']}: {name}"].append(value)
    for (method, name), values in sorted(
        found.items(), key=lambda item: (list(METHODS).index(item[0][0]), item[0][1])
    ):
        n = len(held[name.partition(":")[0].split()[-1]])
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        if method == OURS:
            report.add(name, float(np.mean(values)), n, spread)
        else:
            report.beside(method, name, float(np.mean(values)), n, spread)
    report.notes.append(
        f"spread: standard deviation over {SEEDS} seeds or deals of the folds, {TRAINED_SEEDS} of "
        f"{OURS} within and of its controls across; where none stands, of one"
    )


def _read(file: Path | None) -> list[dict[str, Any]]:
    if file is None or not file.is_file():
        return []
    return [json.loads(line) for line in file.read_text("utf-8").splitlines() if line.strip()]


def main(arguments: list[str] | None = None) -> int:
    """Print the suite; ``--json FILE`` writes it too."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.encoders")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--only", nargs="*", default=[], choices=list(METHODS))
    parser.add_argument("--out", type=Path, help="file of runs; those that it holds are kept")
    parser.add_argument("--json", type=Path)
    parser.add_argument("--across", action="store_true", help="leave out the folds within")
    options = parser.parse_args(arguments)
    made = encoders(options.data, options.only, options.out, within=not options.across)
    made.show(options.json)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
