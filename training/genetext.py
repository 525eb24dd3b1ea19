"""Recipe ``gene-text``: vectors of cells from gene texts, refined by contrast, then neighbours.

After the study of retinal ganglion cells (arXiv:2509.23543): each cell is its top N expressed
genes, weighted by expression; a small network is trained so that cells of one subtype, and two
dropouts of one cell, come to lie together (InfoNCE); a new cell is named by its nearest labelled
neighbours. The paper states neither N, nor temperature, nor network: the values here are choices
(:class:`RecipeConfig`), with what others give in docs/experiments/annotation.md.

:func:`compare` says by k folds what the texts and the training are worth: the recipe beside the
same vectors untrained, beside random and permuted gene vectors trained alike, and beside principal
components with the same neighbours. No cell is named by a network that has seen its label.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.celltypes.smoothing import principal
from encoders.genept import GeneVectors, cell_vectors, permuted, random_like, vectors
from encoders.refined import Refined, forward

if TYPE_CHECKING:
    import scipy.sparse as sp
    import torch

__all__ = ["Cells", "RecipeConfig", "compare", "folds", "nearest_labels", "refine"]


@dataclass(frozen=True, slots=True)
class RecipeConfig:
    """Choices of the recipe.

    ``top``: N. ``dropout``: share of a view's genes that is left out. ``neighbours`` vote on a
    cell's label. ``hidden`` and ``width`` are the network's.
    """

    top: int = 256
    dropout: float = 0.3
    temperature: float = 0.1
    hidden: int = 256
    width: int = 64
    batch: int = 128
    steps: int = 300
    learning_rate: float = 1e-3
    neighbours: int = 15
    folds: int = 5
    seed: int = 0


@dataclass(frozen=True, eq=False)
class Cells:
    """Log1p ``values`` [cells, genes] over current symbols, and a label each."""

    values: sp.csr_matrix
    genes: tuple[str, ...]
    labels: tuple[str, ...]


def folds(labels: Sequence[str], n: int, seed: int) -> NDArray[np.int64]:
    """The fold of each cell; every label is spread evenly.

    Raises
    ------
    BadInput
        When a label has fewer cells than there are folds.
    """
    names = np.asarray(labels, dtype=object)
    found = np.zeros(len(names), dtype=np.int64)
    rng = np.random.default_rng(seed)
    for one in sorted(set(labels)):
        here = np.flatnonzero(names == one)
        if len(here) < n:
            raise BadInput(
                f"{one!r} has {len(here)} cells; expected at least {n}, one for each fold"
            )
        found[rng.permutation(here)] = (np.arange(len(here)) + rng.integers(n)) % n
    return found


def nearest_labels(
    known: NDArray[np.floating], labels: Sequence[str], asked: NDArray[np.floating], k: int
) -> list[str]:
    """The label that most of the k nearest known cells have, by cosine; ties go to the first."""
    names = sorted(set(labels))
    code = np.array([names.index(one) for one in labels])
    k = min(k, len(code))
    near = np.argsort(-(_units(asked) @ _units(known).T), axis=1, kind="stable")[:, :k]
    votes = np.stack([(code[near] == i).sum(axis=1) for i in range(len(names))], axis=1)
    return [names[i] for i in votes.argmax(axis=1)]


def refine(
    cells: Cells,
    table: GeneVectors,
    config: RecipeConfig,
    *,
    folder: Path | None = None,
    show: bool = False,
) -> Refined:
    """Train on all cells that are given."""
    import torch

    from training.loop import LoopConfig, fit
    from training.losses import graded_cross_entropy

    x = cell_vectors(cells.values, cells.genes, table, top=config.top)
    mean = x.mean(axis=0)
    views = _views(cells, table, mean, config)
    names = sorted(set(cells.labels))
    code = torch.tensor([names.index(one) for one in cells.labels])
    torch.manual_seed(config.seed)
    model = torch.nn.Sequential(
        torch.nn.Linear(x.shape[1], config.hidden),
        torch.nn.ReLU(),
        torch.nn.Linear(config.hidden, config.width),
    )

    def batches(number: int) -> NDArray[np.int64]:
        rng = np.random.default_rng([config.seed, number])
        size = min(config.batch, len(code))
        return rng.permutation(len(code))[:size]

    def step(rows: NDArray[np.int64]) -> torch.Tensor:
        rng = np.random.default_rng([config.seed, int(rows[0]), int(rows.sum())])
        both = torch.from_numpy(np.concatenate([views(rows, rng), views(rows, rng)]))  # [2b, d]
        z = torch.nn.functional.normalize(model(both), dim=-1)  # [2b, k]
        label = code[rows].repeat(2)
        others = ~torch.eye(len(z), dtype=torch.bool)
        # The other view of a cell has its label too: both kinds of positives at once.
        same = ((label[:, None] == label[None]) & others).float()
        targets = same / same.sum(dim=1, keepdim=True).clamp(min=1)
        return graded_cross_entropy(z @ z.T / config.temperature, targets, others)

    loop = LoopConfig(
        steps=config.steps, learning_rate=config.learning_rate, warmup=0.1, seed=config.seed
    )
    fit(dict(model.named_parameters()), step, batches, loop, folder, show=show)
    layers = tuple(p.detach().numpy().copy() for p in model.parameters())
    return Refined(config.top, mean, layers)


def _views(
    cells: Cells, table: GeneVectors, mean: NDArray[np.float32], config: RecipeConfig
) -> Callable[[NDArray[np.int64], np.random.Generator], NDArray[np.float32]]:
    """A maker of dropouts: vectors [b, d] of some cells, each without a share of its genes."""
    highest = _highest(cells.values, config.top)

    def made(rows: NDArray[np.int64], rng: np.random.Generator) -> NDArray[np.float32]:
        some = highest[rows]
        some.data[rng.random(some.nnz) < config.dropout] = 0
        return cell_vectors(some, cells.genes, table) - mean

    return made


def _highest(values: sp.csr_matrix, top: int) -> sp.csr_matrix:
    """The same with all but the ``top`` highest values of each row set to zero."""
    found = values.copy()
    for start, stop in zip(values.indptr[:-1], values.indptr[1:], strict=True):
        if stop - start > top:
            low = np.argpartition(-values.data[start:stop], top - 1)[top:]
            found.data[start + low] = 0
    found.eliminate_zeros()
    return found


def compare(
    cells: Cells, config: RecipeConfig, *, progress: Callable[[str], None] | None = None
) -> dict[str, dict[str, float]]:
    """Accuracy and macro-F1 by k folds: the recipe, and what stands beside it.

    Parameters
    ----------
    cells
        Labelled cells.
    config
        The recipe.
    progress
        Told what is under way.
    """
    from training.evaluate import metrics

    texts = vectors(cells.genes)
    fold = folds(cells.labels, config.folds, config.seed)
    plain = cell_vectors(cells.values, cells.genes, texts, top=config.top)
    components = min(50, min(cells.values.shape) - 1)
    answers = {
        "gene texts, refined + kNN": _refined(cells, texts, fold, config),
        "gene texts + kNN": _untrained(plain, cells.labels, fold, config),
        "random gene vectors, refined + kNN": _refined(cells, random_like(texts), fold, config),
        "permuted gene vectors, refined + kNN": _refined(cells, permuted(texts), fold, config),
        "random gene vectors + kNN": _untrained(
            cell_vectors(cells.values, cells.genes, random_like(texts), top=config.top),
            cells.labels, fold, config,
        ),
        f"PCA-{components} + kNN": _untrained(
            principal(cells.values, components).astype(np.float32), cells.labels, fold, config
        ),
        "majority": _majority(cells.labels),
    }  # fmt: skip
    found = {}
    for name, answer in answers.items():
        if progress is not None:
            progress(name)
        said = answer()
        found[name] = {
            "accuracy": metrics.accuracy(cells.labels, said),
            "macro-F1": metrics.macro_f1(cells.labels, said),
        }
    return found


def _refined(
    cells: Cells, table: GeneVectors, fold: NDArray[np.int64], config: RecipeConfig
) -> Callable[[], list[str]]:
    def answer() -> list[str]:
        said = np.empty(len(cells.labels), dtype=object)
        x = cell_vectors(cells.values, cells.genes, table, top=config.top)
        for one in range(config.folds):
            seen = np.flatnonzero(fold != one)
            made = refine(taken(cells, seen), table, replace(config, seed=config.seed + one))
            z = forward(x - made.mean, made.layers)
            labels = [cells.labels[i] for i in seen]
            said[fold == one] = nearest_labels(z[seen], labels, z[fold == one], config.neighbours)
        return [str(label) for label in said]

    return answer


def _untrained(
    x: NDArray[np.float32], labels: Sequence[str], fold: NDArray[np.int64], config: RecipeConfig
) -> Callable[[], list[str]]:
    def answer() -> list[str]:
        said = np.empty(len(labels), dtype=object)
        for one in range(config.folds):
            seen = np.flatnonzero(fold != one)
            mean = x[seen].mean(axis=0)
            known = [labels[int(i)] for i in seen]
            said[fold == one] = nearest_labels(
                x[seen] - mean, known, x[fold == one] - mean, config.neighbours
            )
        return [str(label) for label in said]

    return answer


def _majority(labels: Sequence[str]) -> Callable[[], list[str]]:
    common = max(sorted(set(labels)), key=list(labels).count)
    return lambda: [common] * len(labels)


def taken(cells: Cells, rows: NDArray[np.int64]) -> Cells:
    """Some of the cells."""
    return Cells(cells.values[rows], cells.genes, tuple(cells.labels[i] for i in rows))


def _units(rows: NDArray[np.floating]) -> NDArray[np.float64]:
    wide = rows.astype(np.float64)
    return np.asarray(wide / np.maximum(np.linalg.norm(wide, axis=1, keepdims=True), 1e-12))
