"""Which genes are linked to which terms: the relations that the bridge learns and predicts.

Gives :data:`TARGETS`, what a gene can be bridged to, and :func:`read_links`, its links as a sparse
table of genes and terms. Statements that a relation does *not* hold are left out, and so are
markers by absence; computed annotations (IEA) are in unless they are asked out. Annotations are
taken as stated, not propagated to ancestors. Links to phenotypes are read from HPO's file of genes
(Gargano et al. 2024, doi:10.1093/nar/gkad1005): the graph does not hold them. Knows no vector.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data import sources
from data.errors import BadInput
from kg.graph import KnowledgeGraph
from kg.terms import (
    COLOCALIZES_WITH,
    CONTRIBUTES_TO,
    ENABLES,
    GENE_DISEASE,
    HAS_PHENOTYPE,
    INVOLVED_IN,
    LOCATED_IN,
    MARKER_OF,
    Curie,
    Edge,
)

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = [
    "TARGETS",
    "Links",
    "Target",
    "current",
    "phenotype_edges",
    "phenotype_names",
    "read_links",
    "target",
]

_HUMAN: Curie = "NCBITaxon:9606"


@dataclass(frozen=True, slots=True)
class Target:
    """A kind of term that genes are linked to.

    ``prefix`` is that of its ids, ``predicates`` the relations that count, ``relation`` how they
    read, ``beside`` the targets whose links may describe a gene when this one is predicted:
    phenotypes are those of a gene's diseases, so that neither describes it for the other.
    """

    name: str
    prefix: str
    predicates: tuple[Curie, ...]
    relation: str
    beside: tuple[str, ...]


TARGETS: Mapping[str, Target] = MappingProxyType(
    {
        one.name: one
        for one in (
            Target("process", "GO", (INVOLVED_IN,), "involved in", ("function", "component")),
            Target(
                "function",
                "GO",
                (ENABLES, CONTRIBUTES_TO),
                "enables or contributes to",
                ("process", "component"),
            ),
            Target(
                "component",
                "GO",
                (LOCATED_IN, COLOCALIZES_WITH),
                "located in",
                ("process", "function"),
            ),
            Target(
                "disease",
                "MONDO",
                (GENE_DISEASE,),
                "associated with",
                ("process", "function", "component"),
            ),
            Target(
                "phenotype",
                "HP",
                (HAS_PHENOTYPE,),
                "has the phenotype",
                ("process", "function", "component"),
            ),
            Target(
                "celltype",
                "CL",
                (MARKER_OF,),
                "marker of",
                ("process", "function", "component"),
            ),
        )
    }
)
"""What a gene can be bridged to, by the word that users type."""


def target(word: str) -> Target:
    """The target of a word.

    Raises
    ------
    BadInput
        When there is none; the message lists them.
    """
    found = TARGETS.get(word.strip().lower().replace(" ", "").replace("-", ""))
    if found is None:
        raise BadInput(f"{word!r} is nothing to bridge a gene to; one of: {', '.join(TARGETS)}")
    return found


@dataclass(frozen=True, eq=False)
class Links:
    """The links of ``genes`` to ``tails``: ``table`` [genes, tails] is 1 where there is one.

    Genes and tails stand in the order of their ids.
    """

    target: Target
    genes: tuple[Curie, ...]
    tails: tuple[Curie, ...]
    table: csr_array

    @classmethod
    def of(
        cls, of: Target, pairs: Iterable[tuple[Curie, Curie]], genes: Sequence[Curie] = ()
    ) -> Links:
        """From pairs of gene and tail; over ``genes`` where they are given."""
        from scipy.sparse import csr_array

        stated = sorted(set(pairs))
        heads = tuple(genes) or tuple(sorted({gene for gene, _ in stated}))
        row = {gene: i for i, gene in enumerate(heads)}
        stated = [pair for pair in stated if pair[0] in row]
        tails = tuple(sorted({tail for _, tail in stated}))
        column = {tail: i for i, tail in enumerate(tails)}
        rows = np.array([row[gene] for gene, _ in stated], dtype=np.int64)
        columns = np.array([column[tail] for _, tail in stated], dtype=np.int64)
        ones = np.ones(len(stated), dtype=np.float32)
        table = csr_array((ones, (rows, columns)), shape=(len(heads), len(tails)))
        table.sort_indices()
        return cls(of, heads, tails, table)

    def over(self, genes: Sequence[Curie]) -> Links:
        """The same over other genes, in their order; tails stay."""
        from scipy.sparse import csr_array

        known = self.rows
        at = np.array([known.get(gene, -1) for gene in genes], dtype=np.int64)
        empty = csr_array((1, len(self.tails)), dtype=np.float32)
        from scipy.sparse import vstack

        stacked = vstack([self.table, empty], format="csr")
        return replace(self, genes=tuple(genes), table=csr_array(stacked[at]))

    @cached_property
    def rows(self) -> Mapping[Curie, int]:
        """The row of each gene."""
        return {gene: i for i, gene in enumerate(self.genes)}

    @cached_property
    def sizes(self) -> NDArray[np.int64]:
        """How many links each gene has."""
        return np.asarray(np.diff(self.table.indptr), dtype=np.int64)

    def of_gene(self, gene: Curie) -> frozenset[Curie]:
        """The tails that a gene is linked to."""
        row = self.rows.get(gene)
        if row is None:
            return frozenset()
        start, stop = self.table.indptr[row], self.table.indptr[row + 1]
        return frozenset(self.tails[i] for i in self.table.indices[start:stop])


def read_links(
    name: str,
    graph: KnowledgeGraph,
    *,
    evidence: Iterable[str] = (),
    genes: Sequence[Curie] = (),
    checked: bool = False,
) -> Links:
    """The links of human genes to a target.

    Parameters
    ----------
    name
        Of :data:`TARGETS`.
    graph
        Where annotations are read; phenotypes come from their own file.
    evidence
        Only these evidence codes of GO annotations; empty for all, IEA included.
    genes
        Over these genes, in this order; all that have a link where none are given.
    checked
        Leave out terms that their ontology no longer uses (this reads every term).
    """
    of = target(name)
    if of.name == "phenotype":
        return Links.of(of, _phenotypes()[0], genes)
    codes = tuple(evidence) if of.prefix == "GO" else ()
    pairs = [
        (gene, tail)
        for gene, _, tail in graph.triples(of.predicates, evidence=codes, taxon=_HUMAN)
        if gene.startswith("HGNC:") and tail.startswith(f"{of.prefix}:")
    ]
    if of.name == "celltype":
        absent = _absent(graph, {gene for gene, _ in pairs})
        pairs = [pair for pair in pairs if pair not in absent]
    if checked:
        used = current(graph, {tail for _, tail in pairs})
        pairs = [pair for pair in pairs if pair[1] in used]
    return Links.of(of, pairs, genes)


def current(graph: KnowledgeGraph, ids: Iterable[Curie]) -> dict[Curie, str]:
    """Labels of those terms that their ontology still uses; phenotypes are read from their file."""
    wanted = list(ids)
    found = {t.id: t.label for t in graph.terms(wanted).values() if not t.obsolete}
    if any(one.startswith("HP:") for one in wanted):
        names = phenotype_names()
        found |= {one: names[one] for one in wanted if one in names and one not in found}
    return found


def _absent(graph: KnowledgeGraph, genes: Iterable[Curie]) -> frozenset[tuple[Curie, Curie]]:
    """Pairs of gene and cell type that are stated for the gene's absence alone."""
    from data.markers import read_markers

    symbols = {term.label: term.id for term in graph.terms(genes).values()}
    signs: dict[tuple[Curie, Curie], set[bool]] = {}
    for marker in read_markers():
        if marker.gene in symbols:
            signs.setdefault((symbols[marker.gene], marker.cl_id), set()).add(marker.positive)
    return frozenset(pair for pair, seen in signs.items() if seen == {False})


# --- phenotypes, from HPO's own files ------------------------------------------------------------


def phenotype_names() -> Mapping[Curie, str]:
    """Labels of the phenotypes that genes are linked to."""
    return _phenotypes()[1]


def phenotype_edges(gene: Curie) -> tuple[Edge, ...]:
    """The phenotypes of a gene's diseases as statements; qualifiers are the diseases."""
    release = sources.asset("hpo-genes").release
    entrez = {one: number for number, one in _entrez().items()}.get(gene)
    via: dict[Curie, set[str]] = {}
    for number, phenotype, _, disease in _rows(sources.path("hpo-genes")):
        if number == entrez and phenotype in phenotype_names():
            via.setdefault(phenotype, set()).add(disease)
    return tuple(
        Edge(gene, HAS_PHENOTYPE, one, "HPO", release, qualifiers=tuple(sorted(of)), taxon=_HUMAN)
        for one, of in sorted(via.items())
    )


@lru_cache(maxsize=1)
def _phenotypes() -> tuple[list[tuple[Curie, Curie]], Mapping[Curie, str]]:
    """Pairs of gene and phenotype, and the phenotypes' names.

    The file also lists inheritance, onset and course; phenotypes are what the file of diseases
    has under the aspect P.
    """
    kept: set[Curie] = set()
    with sources.path("hpo-diseases").open(encoding="utf-8") as handle:
        for line in handle:
            cells = line.split("\t")
            if len(cells) > 10 and cells[10] == "P":
                kept.add(cells[3])
    ids = _entrez()
    pairs, names = set(), {}
    for number, phenotype, name, _ in _rows(sources.path("hpo-genes")):
        if phenotype in kept and number in ids:
            pairs.add((ids[number], phenotype))
            names[phenotype] = name
    return sorted(pairs), names


def _rows(path: Path) -> Iterable[tuple[str, Curie, str, str]]:
    from kg.readers.gene_tables import rows

    columns = ("ncbi_gene_id", "hpo_id", "hpo_name", "disease_id")
    return ((r[columns[0]], r[columns[1]], r[columns[2]], r[columns[3]])
            for r in rows(path, columns))  # fmt: skip


@lru_cache(maxsize=1)
def _entrez() -> Mapping[str, Curie]:
    """Human genes by the number that NCBI gave them."""
    from kg.readers.gene_tables import rows

    columns = ("HGNC ID", "Status", "NCBI Gene ID(supplied by NCBI)")
    return {row[columns[2]]: row[columns[0]] for row in rows(sources.path("hgnc"), columns)
            if row["Status"] == "Approved" and row[columns[2]]}  # fmt: skip
