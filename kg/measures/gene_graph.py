"""Genes that are alike by their annotations: the Jaccard graph of their term sets.

``J(g, h) = |T_g & T_h| / |T_g | T_h|`` over the sets of annotated terms, edges where it is above a
threshold; GEARS (Roohani et al. 2023, doi:10.1038/s41587-023-01905-6) uses the 20 nearest genes
with J > 0.1 over GO. Annotations are taken as they are stated, not propagated to ancestors, as
there; negated ones never count.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from kg.graph import KnowledgeGraph
from kg.terms import (
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    ENABLES,
    INVOLVED_IN,
    LOCATED_IN,
    Curie,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["ANNOTATIONS", "THRESHOLD", "annotated", "frequencies", "jaccard_graph", "nearest"]

THRESHOLD = 0.1  # GEARS
ANNOTATIONS: tuple[Curie, ...] = (
    ENABLES,
    CONTRIBUTES_TO,
    INVOLVED_IN,
    LOCATED_IN,
    COLOCALIZES_WITH,
)
"""Predicates of GO annotations."""

ROWS = 1024  # genes compared with all others at once: 160 MB at 20,000 genes
# A term of so many genes joins them in more pairs than a sparse product is good for ("protein
# binding" has 12,000); those few are multiplied as dense columns.
COMMON = 400


def annotated(
    graph: KnowledgeGraph,
    taxon: Curie | None = None,
    predicates: Sequence[Curie] = ANNOTATIONS,
    *,
    evidence: Iterable[str] = (),
) -> dict[Curie, frozenset[Curie]]:
    """The current GO terms of each gene that has any.

    Parameters
    ----------
    graph
        Where the annotations are.
    taxon
        Only statements about this species (``NCBITaxon:9606``).
    predicates, evidence
        Only these relations, and these evidence codes where any are named.
    """
    pairs = [
        (gene, term)
        for gene, _, term in graph.triples(predicates, evidence=evidence, taxon=taxon)
        if term.startswith("GO:")
    ]
    current = {
        term.id for term in graph.terms({term for _, term in pairs}).values() if not term.obsolete
    }
    found: dict[Curie, set[Curie]] = {}
    for gene, term in pairs:
        if term in current:
            found.setdefault(gene, set()).add(term)
    return {gene: frozenset(found[gene]) for gene in sorted(found)}


def frequencies(sets: Mapping[Curie, Collection[Curie]]) -> dict[Curie, int]:
    """How many genes each term annotates: for :class:`kg.measures.similarity.Similarity`."""
    return dict(Counter(term for some in sets.values() for term in set(some)))


def jaccard_graph(
    sets: Mapping[Curie, Collection[Curie]], threshold: float = THRESHOLD
) -> tuple[tuple[Curie, ...], csr_array]:
    """Every pair of genes whose Jaccard index is above ``threshold``.

    Parameters
    ----------
    sets
        The terms of each gene.
    threshold
        Not negative; pairs at or below it are left out.

    Returns
    -------
    tuple
        The genes by id, and a symmetric sparse matrix of their indices, without a diagonal.
    """
    from scipy.sparse import csr_array

    if threshold < 0:
        raise ValueError(f"the threshold is {threshold}; expected 0 or more")
    genes = tuple(sorted(sets))
    n = len(genes)
    blocks = list(_blocks(_incidence(genes, sets), threshold)) if genes else []
    lengths = [np.zeros(1, dtype=np.int64), *(lengths for lengths, _, _ in blocks)]
    columns = [np.zeros(0, dtype=np.int64), *(columns for _, columns, _ in blocks)]
    values = [np.zeros(0, dtype=np.float32), *(values for _, _, values in blocks)]
    offsets = np.cumsum(np.concatenate(lengths))
    return genes, csr_array(
        (np.concatenate(values), np.concatenate(columns), offsets), shape=(n, n)
    )


def _incidence(genes: Sequence[Curie], sets: Mapping[Curie, Collection[Curie]]) -> Any:
    """Genes by terms, 1 where annotated."""
    from scipy.sparse import csr_array

    terms = {term: n for n, term in enumerate(sorted({t for some in sets.values() for t in some}))}
    columns = [sorted({terms[t] for t in sets[gene]}) for gene in genes]
    offsets = np.concatenate(([0], np.cumsum([len(some) for some in columns])))
    flat = np.array([c for some in columns for c in some], dtype=np.int32)
    # float32 counts exactly up to 16 million and multiplies faster than integers do
    data = np.ones(len(flat), dtype=np.float32)
    return csr_array((data, flat, offsets), shape=(len(genes), max(1, len(terms))))


def _blocks(
    incidence: Any, threshold: float
) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]]:
    """For some genes at a time: how many near ones each has, which, and how near."""
    n = incidence.shape[0]
    sizes = np.asarray(incidence.sum(axis=1)).ravel()
    common = np.asarray(incidence.sum(axis=0)).ravel() >= COMMON
    dense = incidence[:, np.flatnonzero(common)].toarray()
    rare = incidence[:, np.flatnonzero(~common)].tocsr()
    turned = rare.T.tocsr()
    for start in range(0, n, ROWS):
        stop = min(start + ROWS, n)
        shared = dense[start:stop] @ dense.T
        product = (rare[start:stop] @ turned).tocoo()
        shared[product.row, product.col] += product.data  # each position stands once
        union = sizes[start:stop, None] + sizes[None, :] - shared
        near = shared >= 0.999 * threshold * union
        near &= shared > 0
        near[np.arange(stop - start), np.arange(start, stop)] = False
        rows, columns = np.nonzero(near)
        # In double precision a ratio of counts compares rightly with a threshold such as 0.1.
        values = shared[rows, columns].astype(np.float64) / union[rows, columns]
        above = values > threshold
        lengths = np.bincount(rows[above], minlength=stop - start)
        yield lengths, columns[above], values[above].astype(np.float32)


def nearest(
    genes: Sequence[Curie], matrix: csr_array, k: int = 20
) -> dict[Curie, list[tuple[Curie, float]]]:
    """The ``k`` most alike genes of each gene with any, best first; equal ones by id."""
    found = {}
    for number, gene in enumerate(genes):
        start, stop = matrix.indptr[number], matrix.indptr[number + 1]
        columns, values = matrix.indices[start:stop], matrix.data[start:stop]
        order = np.lexsort((columns, -values))[:k]
        if len(order):
            found[gene] = [(genes[columns[i]], float(values[i])) for i in order]
    return found
