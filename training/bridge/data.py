"""What the bridge is trained and measured on: links, features, and which genes are left out.

Genes, not links, are left out, so that a model is asked about a gene of which it has seen no link
(the inductive split of BioBridge, arXiv:2310.03320). A gene's part follows from its id alone: part
0 of ten is for choosing, parts 1 to 5 are the five splits, the rest is never scored. Tails are the
terms that any gene is linked to. Knows no model.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile
from encoders.bridge import features as nodefeatures
from encoders.bridge import tables as linktables
from encoders.bridge.features import FeatureTable
from encoders.bridge.tables import Links
from kg.graph import KnowledgeGraph
from kg.terms import Curie

__all__ = [
    "DEVELOPMENT",
    "GO",
    "PARTS",
    "SPLITS",
    "Material",
    "gather",
    "part_of",
    "summaries_of",
    "tail_features",
]

PARTS = 10  # a tenth of the genes a split, as in BioBridge
DEVELOPMENT = 0
SPLITS = (1, 2, 3, 4, 5)
GO = ("process", "function", "component")
"""The three branches of the Gene Ontology."""

SUMMARIES = Path("genes") / "refseq_gene_summaries_human_mouse.tsv.gz"
"""NCBI's gene summaries in the folder of evaluation data."""


def part_of(gene: Curie) -> int:
    """In which of the ten parts a gene is; the same on every machine and in every release.

    >>> part_of("HGNC:1678"), part_of("HGNC:1706")
    (3, 2)
    """
    digest = hashlib.sha256(f"bridge {gene}".encode()).digest()
    return int.from_bytes(digest[:8], "big") % PARTS


@dataclass(frozen=True, eq=False)
class Material:
    """Links of the same ``genes`` to each target, their ``features`` [genes, width], and tails'.

    ``tails`` are unit vectors of the tails' labels by target, [tails, width]; ``part`` that of
    each gene. Rows of ``features`` are zeros where a gene has none.
    """

    genes: tuple[Curie, ...]
    features: NDArray[np.float32]
    links: Mapping[str, Links]
    tails: Mapping[str, NDArray[np.float32]]
    part: NDArray[np.int64]
    name: str

    def known(self, target: str, out: Sequence[int]) -> NDArray[np.int64]:
        """Rows of the genes with a link, less those of the parts that are left out."""
        kept = (self.links[target].sizes > 0) & ~np.isin(self.part, out)
        return np.flatnonzero(kept & self.features.any(axis=1))

    def asked(self, target: str, part: int) -> NDArray[np.int64]:
        """Rows of the genes of a part that have a link and features."""
        kept = (self.links[target].sizes > 0) & (self.part == part)
        return np.flatnonzero(kept & self.features.any(axis=1))


def gather(
    graph: KnowledgeGraph,
    targets: Sequence[str] = GO,
    *,
    features: FeatureTable | None = None,
    evidence: Sequence[str] = (),
    with_tails: bool = True,
    progress: bool = False,
) -> Material:
    """Read links and features.

    Parameters
    ----------
    graph
        Where annotations are read.
    targets
        What genes are linked to (:data:`encoders.bridge.tables.TARGETS`).
    features
        Of the genes; the shipped vectors of their names by default.
    evidence
        Only GO annotations with these codes; empty for all, IEA included.
    with_tails
        Also vectors of the tails' labels, which needs the sentence encoder where they are not kept.
    progress
        A bar on stderr.
    """
    table = features or nodefeatures.shipped()
    read = {one: linktables.read_links(one, graph, evidence=evidence, checked=True)
            for one in targets}  # fmt: skip
    genes = tuple(sorted({g for one in read.values() for g in one.genes} | set(table.ids)))
    links = {one: found.over(genes) for one, found in read.items()}
    tails = tail_features(links, graph, progress=progress) if with_tails else {}
    part = np.array([part_of(gene) for gene in genes], dtype=np.int64)
    return Material(genes, table.of(genes), links, tails, part, table.name)


def tail_features(
    links: Mapping[str, Links], graph: KnowledgeGraph, *, progress: bool = False
) -> dict[str, NDArray[np.float32]]:
    """Centred unit vectors of the tails' labels, by target."""
    ids = sorted({tail for one in links.values() for tail in one.tails})
    labels = linktables.current(graph, ids)
    texts = {tail: labels[tail] for tail in ids}
    table = nodefeatures.text_features(texts, "labels", progress=progress)
    return {name: table.of(one.tails) for name, one in links.items()}


def summaries_of(file: Path) -> dict[str, str]:
    """NCBI's summaries of human genes by Entrez number (Taxon_ID, Gene_ID, Gene_summary).

    Raises
    ------
    BadFile
        When it is no such table.
    """
    try:
        with gzip.open(file, "rt", encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            return {r["Gene_ID"]: r["Gene_summary"] for r in reader if r["Taxon_ID"] == "9606"}
    except (OSError, EOFError, KeyError, UnicodeDecodeError, csv.Error) as error:
        raise BadFile(
            f"{file} cannot be read as NCBI's gene summaries ({error!r}); expected a gzipped table "
            "with Taxon_ID, Gene_ID and Gene_summary"
        ) from error
