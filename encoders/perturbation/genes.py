"""What is known of perturbed genes before any cell is seen: their texts and their annotations.

Gives :class:`GeneSpace`: for a few genes, text vectors (:mod:`encoders.genept`) and sets of GO
terms, and how alike two genes are by each. A gene without GO terms stands where the genes with the
most similar texts stand; one with neither is refused. Knows no expression.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.terms import Curie

__all__ = ["NEAREST", "GeneSpace", "annotation_sets", "gene_space", "jaccard"]

NEAREST = 5
"""Genes by whose GO terms a gene without any is placed."""


@dataclass(frozen=True, eq=False)
class GeneSpace:
    """Genes by symbol, with their likenesses.

    ``text`` [G, G] are cosines of the centred text vectors, 0 where a gene has no text; ``go``
    [G, G] Jaccard indices of GO terms. ``placed`` are the genes without GO terms, each with those
    by whose terms it was placed; ``unknown`` those of which nothing is known.
    """

    genes: tuple[str, ...]
    text: NDArray[np.float64]
    go: NDArray[np.float64]
    placed: Mapping[str, tuple[str, ...]]
    unknown: tuple[str, ...] = ()

    @classmethod
    def bare(cls, genes: Iterable[str]) -> GeneSpace:
        """Genes by name alone, none like another: for models that ask neither texts nor terms."""
        named = tuple(sorted(set(genes)))
        return cls(named, np.eye(len(named)), np.eye(len(named)), {})

    def rows(self, sets: Sequence[Sequence[str]]) -> NDArray[np.float64]:
        """[sets, G]: 1 where a gene is in a set."""
        place = {gene: i for i, gene in enumerate(self.genes)}
        rows = np.zeros((len(sets), len(self.genes)))
        for i, some in enumerate(sets):
            for gene in some:
                rows[i, place[gene]] = 1.0
        return rows

    def nearest(self, gene: str, others: Iterable[str]) -> tuple[float, str]:
        """How alike, by text, the most similar of some other genes is, and which it is."""
        own = self.genes.index(gene)
        rivals = sorted(set(others) - {gene})
        return max(((float(self.text[own, self.genes.index(o)]), o) for o in rivals),
                   default=(0.0, ""))  # fmt: skip

    def expect(self, genes: Iterable[str]) -> None:
        """Refuse genes of which nothing is known.

        Raises
        ------
        UnknownTerm
            One line with the reason.
        """
        if lost := [gene for gene in genes if gene in self.unknown]:
            raise UnknownTerm(
                f"nothing is known of {', '.join(lost)}: no Gene Ontology annotation and no text; "
                "a perturbation of it cannot be told from any other, name another gene"
            )


def gene_space(genes: Iterable[str], graph: KnowledgeGraph | None = None) -> GeneSpace:
    """Read what is known of some genes; kept for the graph that it was read from.

    Parameters
    ----------
    genes
        Current human symbols.
    graph
        Where annotations are read; the graph of the fetched assets by default.
    """
    named = tuple(sorted(set(genes)))
    if graph is None:
        return _read(named, None)
    kept = _KEPT.setdefault(graph, {})
    if named not in kept:
        while len(kept) >= _MOST:
            kept.pop(next(iter(kept)))
        kept[named] = _read(named, graph)
    return kept[named]


_MOST = 8  # spaces that are kept: a screen has one for each question of it
_KEPT: WeakKeyDictionary[KnowledgeGraph, dict[tuple[str, ...], GeneSpace]] = WeakKeyDictionary()


def _read(named: tuple[str, ...], graph: KnowledgeGraph | None) -> GeneSpace:
    from encoders.genept import vectors
    from kg.embedded import EmbeddedGraph

    opened = EmbeddedGraph.open() if graph is None else nullcontext(graph)
    with opened as source:
        sets = {gene: terms for gene, terms in annotation_sets(named, source).items() if terms}
        table = vectors(named, graph=source)
    values = np.zeros((len(named), table.dimension))
    places = table.places(named)
    has_text = places >= 0
    values[has_text] = table.values[places[has_text]]
    if has_text.any():
        values[has_text] -= values[has_text].mean(axis=0)
    norm = np.linalg.norm(values, axis=1, keepdims=True)
    values = values / np.where(norm > 0, norm, 1)
    text = values @ values.T
    go, placed = _placed(named, jaccard(named, sets), text, set(sets), has_text)
    unknown = tuple(
        gene for gene, known in zip(named, has_text, strict=True) if not known and gene not in sets
    )
    return GeneSpace(named, text, go, placed, unknown)


def annotation_sets(genes: Sequence[str], graph: KnowledgeGraph) -> dict[str, frozenset[Curie]]:
    """Current GO terms of each gene, read by index: nothing but these genes is touched."""
    from data.genes import find_gene
    from kg.measures.gene_graph import ANNOTATIONS

    found: dict[str, frozenset[Curie]] = {}
    for gene in genes:
        edges = graph.edges(find_gene(gene).id, direction="out", predicates=ANNOTATIONS)
        terms = {e.object for e in edges if not e.negated and e.object.startswith("GO:")}
        current = graph.terms(terms)
        found[gene] = frozenset(t for t in terms if t in current and not current[t].obsolete)
    return found


def jaccard(genes: Sequence[str], sets: Mapping[str, frozenset[Curie]]) -> NDArray[np.float64]:
    """[G, G] Jaccard indices, 1 between a gene and itself; 0 for genes without terms.

    >>> sets = {"A": frozenset({"GO:1", "GO:2"}), "B": frozenset({"GO:2", "GO:3"})}
    >>> jaccard(("A", "B"), sets).round(3).tolist()
    [[1.0, 0.333], [0.333, 1.0]]
    """
    terms = sorted({t for some in sets.values() for t in some})
    place = {t: i for i, t in enumerate(terms)}
    table = np.zeros((len(genes), max(1, len(terms))), dtype=np.float32)
    for i, gene in enumerate(genes):
        table[i, [place[t] for t in sets.get(gene, ())]] = 1.0
    shared = (table @ table.T).astype(np.float64)
    sizes = table.sum(axis=1, dtype=np.float64)
    union = sizes[:, None] + sizes[None, :] - shared
    found: NDArray[np.float64] = shared / np.where(union > 0, union, 1)
    np.fill_diagonal(found, 1.0)
    return found


def _placed(
    genes: Sequence[str],
    go: NDArray[np.float64],
    text: NDArray[np.float64],
    annotated: set[str],
    has_text: NDArray[np.bool_],
) -> tuple[NDArray[np.float64], dict[str, tuple[str, ...]]]:
    """Genes without GO terms get the mean row of the annotated genes with the nearest texts."""
    known = [i for i, gene in enumerate(genes) if gene in annotated]
    placed: dict[str, tuple[str, ...]] = {}
    out = go.copy()
    for i, gene in enumerate(genes):
        if gene in annotated or not has_text[i] or not known:
            continue
        near = sorted(known, key=lambda j: (-text[i, j], genes[j]))[:NEAREST]
        row = go[near].mean(axis=0)
        row[i] = 1.0
        out[i], out[:, i] = row, row
        placed[gene] = tuple(genes[j] for j in near)
    return out, placed
