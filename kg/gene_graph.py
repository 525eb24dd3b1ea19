"""Genes that are alike by their annotations: the Jaccard graph of their term sets.

``J(g, h) = |T_g & T_h| / |T_g | T_h|`` over the sets of annotated terms, edges where it is above a
threshold; GEARS (Roohani et al. 2023, doi:10.1038/s41587-023-01905-6) uses the 20 nearest genes
with J > 0.1 over GO. Annotations are taken as they are stated, not propagated to ancestors, as
there; negated ones never count.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from kg.graph import KnowledgeGraph
from kg.terms import (
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    ENABLES,
    INVOLVED_IN,
    LOCATED_IN,
    Category,
    Curie,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["ANNOTATIONS", "THRESHOLD", "annotated", "jaccard_graph", "nearest"]

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
    """The GO terms of each gene that has any, read term by term.

    Parameters
    ----------
    graph
        Where the annotations are.
    taxon
        Only statements about this species (``NCBITaxon:9606``).
    predicates, evidence
        Only these relations and evidence codes; empty means all.
    """
    wanted = tuple(evidence)
    found: dict[Curie, set[Curie]] = {}
    for category in (Category.PROCESS, Category.FUNCTION, Category.COMPONENT):
        for term in graph.terms_of(category):
            for edge in graph.edges(
                term.id,
                direction="in",
                predicates=predicates,
                categories=(Category.GENE,),
                evidence=wanted,
            ):
                if not edge.negated and (taxon is None or edge.taxon == taxon):
                    found.setdefault(edge.subject, set()).add(term.id)
    return {gene: frozenset(found[gene]) for gene in sorted(found)}


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
    from scipy.sparse import csr_array, vstack

    if threshold < 0:
        raise ValueError(f"the threshold is {threshold}; expected 0 or more")
    genes = tuple(sorted(sets))
    if not genes:
        return genes, csr_array((0, 0), dtype=np.float32)
    blocks = [csr_array(block) for block in _blocks(_incidence(genes, sets), threshold)]
    return genes, csr_array(vstack(blocks, format="csr"))


def _incidence(genes: Sequence[Curie], sets: Mapping[Curie, Collection[Curie]]) -> Any:
    """Genes by terms, 1 where annotated; int32 so that sums are exact."""
    from scipy.sparse import csr_array

    terms = {term: n for n, term in enumerate(sorted({t for some in sets.values() for t in some}))}
    columns = [sorted({terms[t] for t in sets[gene]}) for gene in genes]
    offsets = np.concatenate(([0], np.cumsum([len(some) for some in columns])))
    flat = np.array([c for some in columns for c in some], dtype=np.int32)
    # float32 counts exactly up to 16 million and multiplies faster than integers do
    data = np.ones(len(flat), dtype=np.float32)
    return csr_array((data, flat, offsets), shape=(len(genes), max(1, len(terms))))


def _blocks(incidence: Any, threshold: float) -> Iterator[Any]:
    from scipy.sparse import coo_array

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
        rows, columns, values = rows[above], columns[above], values[above].astype(np.float32)
        yield coo_array((values, (rows, columns)), shape=(stop - start, n)).tocsr()


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
