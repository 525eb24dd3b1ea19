"""The two graphs of GEARS: genes that are expressed together, and genes annotated alike.

Gives :func:`coexpression` over measured genes, :class:`Nodes` over perturbed genes and the genes
whose GO terms are most like theirs, and the place of a gene that is no node. Jaccard indices come
from one sparse product (:mod:`kg.measures.gene_graph`), in seconds where the published code takes
hours. Rows are normalised as graph convolutions do (Kipf and Welling 2017): a self loop of weight
1, then ``D^-1/2 A D^-1/2``. Reference: Roohani et al. 2023, doi:10.1038/s41587-023-01905-6.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import UnknownTerm
from encoders.perturbation.genes import NEAREST, annotation_sets, gene_space, jaccard
from kg.graph import KnowledgeGraph
from kg.terms import Curie

__all__ = ["Nodes", "coexpression", "gene_nodes", "normalised", "place"]

NEIGHBOURS = 20  # GEARS: of each gene, in both graphs
TOGETHER = 0.4  # GEARS: least |Pearson| of genes expressed together
ALIKE = 0.1  # GEARS: least Jaccard index of genes annotated alike


@dataclass(frozen=True, eq=False)
class Nodes:
    """Genes by symbol and id, and ``weights`` [P, P]: row = target, raw Jaccard indices."""

    genes: tuple[str, ...]
    ids: tuple[Curie, ...]
    weights: NDArray[np.float32]


def coexpression(values: Any, k: int = NEIGHBOURS, least: float = TOGETHER) -> NDArray[np.float32]:
    """The ``k`` genes most correlated with each gene, where |Pearson| exceeds ``least``.

    Parameters
    ----------
    values
        Expression, cells x genes, dense or sparse.

    Returns
    -------
    ndarray
        [N, N], row = target, |Pearson| or 0.
    """
    dense = values.toarray() if hasattr(values, "toarray") else np.asarray(values)
    dense = dense.astype(np.float32) - dense.mean(axis=0, dtype=np.float64).astype(np.float32)
    norm = np.linalg.norm(dense, axis=0)
    dense /= np.where(norm > 0, norm, 1)
    found = np.abs(dense.T @ dense)
    np.fill_diagonal(found, 0)
    found[found <= least] = 0
    return _strongest(found, k)


def gene_nodes(perturbed: Sequence[str], graph: KnowledgeGraph | None = None) -> Nodes:
    """Perturbed genes and their nearest genes by GO terms; genes without terms stand alone.

    Parameters
    ----------
    perturbed
        Current human symbols.
    graph
        Where annotations are read; the graph of the fetched assets by default.
    """
    from contextlib import nullcontext

    from data.genes import find_gene
    from kg.embedded import EmbeddedGraph
    from kg.measures.gene_graph import annotated
    from kg.readers.gene_tables import HUMAN

    own = {find_gene(gene).id: gene for gene in sorted(set(perturbed))}
    opened = EmbeddedGraph.open() if graph is None else nullcontext(graph)
    with opened as source:
        sets = annotated(source, HUMAN)
        near = _nearest_genes(list(own), sets)
        ids = [*own, *sorted(near - set(own))]
        named = source.terms(ids)
    genes = [own.get(one) or (named[one].label if one in named else one) for one in ids]
    return Nodes(tuple(genes), tuple(ids), _strongest(_likeness(ids, sets, ids), NEIGHBOURS))


def _nearest_genes(ids: Sequence[Curie], sets: Mapping[Curie, frozenset[Curie]]) -> set[Curie]:
    others = sorted(sets)
    found: set[Curie] = set()
    for row in _likeness(ids, sets, others):
        order = np.lexsort((np.arange(len(row)), -row))[: NEIGHBOURS + 1]
        found |= {others[i] for i in order if row[i] > 0}
    return found


def _likeness(
    rows: Sequence[Curie], sets: Mapping[Curie, frozenset[Curie]], columns: Sequence[Curie]
) -> NDArray[np.float32]:
    """[rows, columns] Jaccard indices above the threshold, 0 between a gene and itself."""
    from scipy.sparse import csr_array

    terms = {t: i for i, t in enumerate(sorted({t for g in rows for t in sets.get(g, ())}))}

    def table(genes: Sequence[Curie]) -> Any:
        at = [[terms[t] for t in sets.get(g, ()) if t in terms] for g in genes]
        ends = np.concatenate(([0], np.cumsum([len(some) for some in at])))
        flat = np.array([i for some in at for i in some], dtype=np.int32)
        shape = (len(genes), max(1, len(terms)))
        return csr_array((np.ones(len(flat), np.float32), flat, ends), shape=shape)

    shared = (table(rows) @ table(columns).T).toarray()
    sizes = np.array([len(sets.get(g, ())) for g in rows], dtype=np.float32)
    others = np.array([len(sets.get(g, ())) for g in columns], dtype=np.float32)
    union = sizes[:, None] + others[None, :] - shared
    found = (shared / np.where(union > 0, union, 1)).astype(np.float32)
    found[np.equal.outer(np.array(rows, object), np.array(columns, object))] = 0
    found[found <= ALIKE] = 0
    return np.asarray(found, dtype=np.float32)


def _strongest(weights: NDArray[np.float32], k: int) -> NDArray[np.float32]:
    """Each row's ``k`` largest; of equal ones the first."""
    if weights.shape[1] <= k:
        return weights
    order = np.argsort(-weights, axis=1, kind="stable")
    out = weights.copy()
    np.put_along_axis(out, order[:, k:], 0, axis=1)
    return out


def normalised(weights: NDArray[np.float32]) -> NDArray[np.float32]:
    """``D^-1/2 (A + I) D^-1/2``, where D sums what flows into a node.

    >>> normalised(np.array([[0, 1], [1, 0]], np.float32)).round(3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    looped = weights + np.eye(len(weights), dtype=np.float32)
    root = 1 / np.sqrt(looped.sum(axis=1))
    found: NDArray[np.float32] = (root[:, None] * looped * root[None, :]).astype(np.float32)
    return found


def place(
    gene: str, nodes: Nodes, trained: Sequence[str], graph: KnowledgeGraph | None = None
) -> tuple[NDArray[np.float32], str]:
    """Where a gene that was not trained on stands among the nodes, and by what.

    By its GO terms; without likeness in these, by the trained genes with the most similar texts.

    Returns
    -------
    tuple
        [P] weights that stand in for the gene's normalised row, and "GO terms" or "text".

    Raises
    ------
    UnknownTerm
        When neither is known.
    """
    from contextlib import nullcontext

    from kg.embedded import EmbeddedGraph

    by, at = "GO terms", {node: i for i, node in enumerate(nodes.genes)}
    opened = EmbeddedGraph.open() if graph is None else nullcontext(graph)
    with opened as source:
        if gene in at:
            row = nodes.weights[at[gene]].copy()
        else:
            terms = annotation_sets([gene, *nodes.genes], source)
            row = jaccard((gene, *nodes.genes), terms)[0, 1:].astype(np.float32)
            row[row <= ALIKE] = 0
            row = _strongest(row[None, :], NEIGHBOURS)[0]
        if not row.any():
            by = "text"
            space = gene_space([gene, *trained], source)
            space.expect([gene])
            alike = space.text[space.genes.index(gene)]
            others = [i for i, one in enumerate(space.genes) if one != gene]
            for i in sorted(others, key=lambda i: -alike[i])[:NEAREST]:
                row[at[space.genes[i]]] = max(float(alike[i]), 0.0)
    if not row.any():
        raise UnknownTerm(
            f"{gene} is like no gene that the model was trained on, by GO terms or text; expected "
            "one that is: train on a screen with genes nearer to it"
        )
    into = nodes.weights.sum(axis=1) + 1
    return (row / np.sqrt(float(row.sum()) * into)).astype(np.float32), by
