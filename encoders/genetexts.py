"""What is said of a gene in words: symbol, full name, aliases, Gene Ontology terms, a summary.

Gives :func:`texts`, one text a gene for a sentence encoder, and :func:`coding_genes`. The rarest
terms of a gene come first, since they say most; the definitions of the first ones follow. Family
names come with the full name ("C-C motif chemokine ligand 5"): the pinned gene table has no gene
groups. Only human genes have texts; :meth:`data.cells.CellMatrix.harmonised` brings others to
them. Sources: HGNC and the GO annotations of the built graph. Knows no cell type and no vector.
"""

from __future__ import annotations

import csv
import gzip
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from data.errors import BadFile
from kg.graph import KnowledgeGraph
from kg.terms import INVOLVED_IN, Curie, Term

__all__ = ["CODING", "COMMON", "GeneText", "coding_genes", "texts"]

CODING = ("gene with protein product", "immunoglobulin gene", "T cell receptor gene")
"""Locus types of HGNC whose genes are described by name alone; others need an annotation."""

COMMON = 2_000
"""GO terms of more genes say little of one ("protein binding", "cytoplasm", "nucleus")."""


@dataclass(frozen=True, slots=True)
class GeneText:
    """How much a gene's text says: about 100 word pieces, of the 256 that MiniLM reads.

    ``summaries`` is a table of the user's own (NCBI's, say): tab-separated, may be gzipped, with a
    column of Entrez ids (``Gene_ID``) or symbols (``symbol``) and one of texts (``Gene_summary``
    or ``summary``); where ``Taxon_ID`` is there, rows of other species than 9606 are passed over.
    """

    aliases: int = 3
    processes: int = 5
    others: int = 4
    definitions: int = 2
    definition_words: int = 18
    summary_words: int = 70
    summaries: Path | None = None


@dataclass(frozen=True, slots=True)
class _Gene:
    id: Curie
    symbol: str
    name: str
    aliases: tuple[str, ...]
    entrez: str
    coding: bool


def coding_genes() -> tuple[str, ...]:
    """Symbols of the human genes with a protein, immunoglobulin and T cell receptor genes."""
    return tuple(sorted(gene.symbol for gene in _catalogue().values() if gene.coding))


def texts(
    genes: Iterable[str], config: GeneText | None = None, graph: KnowledgeGraph | None = None
) -> dict[str, str]:
    """What is said of each gene, for those of which anything is known beyond the name.

    Parameters
    ----------
    genes
        Current human symbols.
    config
        How much.
    graph
        Where annotations are read; the graph of the fetched assets by default.

    Raises
    ------
    AssetMissing
        When the gene table or the graph is not there.
    BadFile
        When ``config.summaries`` is no table of summaries.
    """
    from kg.embedded import EmbeddedGraph
    from kg.measures.gene_graph import annotated, frequencies
    from kg.readers.gene_tables import HUMAN

    config = config or GeneText()
    catalogue = _catalogue()
    wanted = [catalogue[gene] for gene in dict.fromkeys(genes) if gene in catalogue]
    summaries = _summaries(config.summaries) if config.summaries else {}
    opened = EmbeddedGraph.open() if graph is None else nullcontext(graph)
    with opened as source:
        sets = annotated(source, HUMAN)
        common = {term for term, n in frequencies(sets).items() if n > COMMON}
        rank = {term: (n, term) for term, n in frequencies(sets).items()}
        processes = _processes(source)
        own = {g.id: sorted(sets.get(g.id, frozenset()) - common, key=rank.__getitem__)
               for g in wanted}  # fmt: skip
        terms = source.terms({term for some in own.values() for term in some})
    found: dict[str, str] = {}
    for gene in wanted:
        summary = summaries.get(gene.entrez) or summaries.get(gene.symbol) or ""
        if gene.coding or own[gene.id] or summary:
            inside = [terms[t] for t in own[gene.id] if t in processes]
            outside = [terms[t] for t in own[gene.id] if t not in processes]
            found[gene.symbol] = _text(gene, summary, inside, outside, config)
    return found


def _text(
    gene: _Gene, summary: str, inside: Sequence[Term], outside: Sequence[Term], config: GeneText
) -> str:
    parts = [f"{gene.symbol}: {gene.name}." if gene.name else f"{gene.symbol}."]
    if gene.aliases:
        parts.append(f"Also called {', '.join(gene.aliases[: config.aliases])}.")
    if summary:
        parts.append(_cut(summary, config.summary_words))
    # The rarest terms come first: they say most.
    if inside:
        parts.append("Takes part in " + _listed(inside[: config.processes]))
    if outside:
        parts.append("Has " + _listed(outside[: config.others]))
    parts += [
        _cut(term.definition, config.definition_words)
        for term in [*inside, *outside][: config.definitions]
        if term.definition
    ]
    return " ".join(parts)


def _listed(terms: Sequence[Term]) -> str:
    return "; ".join(term.label for term in terms) + "."


def _cut(text: str, words: int) -> str:
    first = text.split()[:words]
    return " ".join(first).rstrip(".,;") + "."


def _catalogue() -> Mapping[str, _Gene]:
    from data import sources
    from kg.readers.gene_tables import rows

    path = sources.path("hgnc")
    held = _CATALOGUES.get(path)
    if held is None:
        held = {row["Approved symbol"]: _gene(row) for row in rows(path, _COLUMNS)
                if row["Status"] == "Approved"}  # fmt: skip
        _CATALOGUES[path] = held
    return held


_CATALOGUES: dict[Path, Mapping[str, _Gene]] = {}
_ENTREZ = "NCBI Gene ID(supplied by NCBI)"
_COLUMNS = ("HGNC ID", "Approved symbol", "Approved name", "Status", "Alias symbols", _ENTREZ,
            "Locus type")  # fmt: skip


def _gene(row: Mapping[str, str]) -> _Gene:
    aliases = tuple(a.strip() for a in row["Alias symbols"].split(",") if a.strip())
    return _Gene(
        id=row["HGNC ID"],
        symbol=row["Approved symbol"],
        name=row["Approved name"],
        aliases=aliases,
        entrez=row[_ENTREZ],
        coding=row["Locus type"] in CODING,
    )


def _processes(graph: KnowledgeGraph) -> set[Curie]:
    return {term for _, _, term in graph.triples((INVOLVED_IN,))}


_IDS = ("gene_id", "geneid", "entrez", "symbol", "gene")
_WORDS = ("gene_summary", "summary")


def _summaries(path: Path) -> dict[str, str]:
    """Summaries by Entrez id or symbol, as the file has them."""
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as handle:
            reader = csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)
            columns = {name.lower(): name for name in reader.fieldnames or ()}
            key = next((columns[c] for c in _IDS if c in columns), None)
            text = next((columns[c] for c in _WORDS if c in columns), None)
            if key is None or text is None:
                raise BadFile(
                    f"{path} has the columns {', '.join(columns) or 'none'}; expected a table with "
                    "tabs, one of Gene_ID and symbol, and Gene_summary"
                )
            taxon = columns.get("taxon_id", "")
            return {row[key]: row[text] for row in reader if row.get(taxon, "9606") == "9606"}
    except (OSError, UnicodeDecodeError, EOFError, csv.Error) as error:
        raise BadFile(f"gene summaries {path} cannot be read: {error}") from error
