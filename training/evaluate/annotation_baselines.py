"""Beside the annotation figures: ScType's score, random markers, the majority, and a ceiling.

Each gives one class a cell for classes that are known beforehand (the restricted setting), or one
term a cell over all candidates (the open one). The ceiling is the only one that sees labels.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import DependencyMissing
from encoders.celltypes.markersets import MarkerSets
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["ceiling", "majority", "sctype", "shuffled"]


def majority(truth: Sequence[Curie]) -> list[Curie]:
    """The most frequent class for every cell."""
    top = min(Counter(truth).items(), key=lambda item: (-item[1], item[0]))[0]
    return [top] * len(truth)


def sctype(sets: MarkerSets, genes: Sequence[str], values: sp.csr_matrix) -> NDArray[np.float64]:
    """ScType's cell scores (Ianevski et al. 2022, doi:10.1038/s41467-022-28803-w), [n, n_types].

    Genes are z-scored over the cells and weighted by how few sets hold them; a type scores the sum
    over its own positive genes by the root of their number, less the same of its negative ones.
    """
    here = sets.within(genes, 1)
    holds = (here.own > 0).astype(np.float64)
    counts = np.asarray(holds.sum(axis=0)).ravel()
    many = max(2.0, float(holds.shape[0]))
    rare = np.where(counts > 0, (many - counts) / (many - 1), 0.0)
    dense = values.toarray().astype(np.float64)
    scaled = (dense - dense.mean(axis=0)) / np.maximum(dense.std(axis=0), 1e-9) * rare
    absent = (here.off > 0).astype(np.float64)
    found = np.full((values.shape[0], len(sets.ids)), -np.inf)
    plus = np.sqrt(np.maximum(1, np.asarray(holds.sum(axis=1)).ravel()))
    minus = np.sqrt(np.maximum(1, np.asarray(absent.sum(axis=1)).ravel()))
    columns = [sets.ids.index(one) for one in here.ids]
    found[:, columns] = (scaled @ holds.T) / plus - (scaled @ absent.T) / minus
    return found


def shuffled(sets: MarkerSets, seed: int) -> MarkerSets:
    """The same sets with the names of the genes permuted: the random control."""
    order = np.random.default_rng(seed).permutation(len(sets.genes))
    return replace(sets, genes=tuple(sets.genes[i] for i in order))


def ceiling(
    cells: sp.csr_matrix, truth: Sequence[Curie], folds: int = 5, seed: int = 0
) -> list[Curie]:
    """Out-of-fold predictions of a logistic regression on the labels: the supervised ceiling.

    Raises
    ------
    DependencyMissing
        When scikit-learn is not installed.
    """
    try:
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold
    except ImportError as error:
        raise DependencyMissing("the supervised ceiling needs scikit-learn") from error
    labels = np.asarray(truth)
    values = cells.toarray()
    predicted = np.empty(len(labels), dtype=object)
    for train, test in StratifiedKFold(folds, shuffle=True, random_state=seed).split(
        values, labels
    ):
        model = LogisticRegression(max_iter=300).fit(values[train], labels[train])
        predicted[test] = model.predict(values[test])
    return [str(label) for label in predicted]
