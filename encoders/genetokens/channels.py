"""The knowledge channels that ship, and those that are learnt from cells.

=============  ====================================================================================
text           what a gene's text says (:mod:`encoders.genept`)
family         families and complexes that FamPlex puts it in, at any height
ontology       Gene Ontology terms, rare ones first: genes annotated together lie together
interaction    gene products that it is stated to interact with (GO annotations, ligand-receptor)
position       where it lies on the genome (:func:`encoders.genetokens.tokenizer.genomic`)
regulation     which transcription factors it is a target of: a table of the user's, or CollecTRI
               or DoRothEA where they were fetched (``celloquy data fetch collectri``)
coexpression   which genes go with it in the training cells
factors        which transcription factors go with it in the training cells
=============  ====================================================================================

A channel that was made is kept by the hashes of what it was made of. Statements are those of the
built graph; negated ones never count. :func:`shipped` gives channels by name, :func:`learnt` the
last two, :func:`read_regulation` reads a table of factors and targets. Knows no cell type.
"""

from __future__ import annotations

import csv
import gzip
import hashlib
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data import locations, sources
from data.errors import BadFile, BadInput
from data.genetable import Species
from encoders.genetokens.knowledge import WIDTH, Channel, channel, compressed

if TYPE_CHECKING:
    import scipy.sparse as sp

    from kg.graph import KnowledgeGraph

__all__ = ["LEARNT", "SHIPPED", "learnt", "read_regulation", "shipped"]

SHIPPED = ("text", "family", "ontology", "interaction", "position", "regulation")
"""Names that :func:`shipped` knows; regulation only where a table of it was fetched."""

LEARNT = ("coexpression", "factors")
"""Names that :func:`learnt` knows."""

_EDITION = 1
"""Raised when a channel of the same name is made otherwise."""

_ASSETS: Mapping[str, tuple[str, ...]] = {
    "text": ("hgnc", "gaf-human", "go", "minilm"),
    "family": ("famplex", "hgnc"),
    "ontology": ("gaf-human", "go", "hgnc"),
    "interaction": ("gaf-human", "ligand-receptor", "hgnc"),
    "position": ("coordinates-human", "hgnc"),
}
_REGULATION = ("collectri", "dorothea")

_LEAST, _MOST = 2, 2_000
"""Genes of a family, a term or a partner that counts: one says nothing of others, and what has
thousands ("protein binding") nothing of one (:data:`encoders.genetexts.COMMON`)."""


def shipped(names: Sequence[str] = SHIPPED, graph: KnowledgeGraph | None = None) -> list[Channel]:
    """Channels by name, compressed; regulation is passed over where no table was fetched.

    Raises
    ------
    BadInput
        When a name is none of :data:`SHIPPED`.
    AssetMissing
        When what a channel is made of was not fetched, or the graph was not built.
    """
    unknown = [name for name in names if name not in SHIPPED]
    if unknown:
        raise BadInput(f"no channel is named {unknown[0]!r}; expected {', '.join(SHIPPED)}")
    found = []
    for name in names:
        if name != "regulation":
            found.append(_kept(name, _ASSETS[name], lambda name=name: _MADE[name](graph)))  # type: ignore[misc]
            continue
        table = next((one for one in _REGULATION if sources.present(one)), None)
        if table is not None:
            path = sources.path(table)
            found.append(_kept(name, (table,), lambda path=path: read_regulation(path)))  # type: ignore[misc]
    return found


def _kept(name: str, assets: Iterable[str], make: Callable[[], Channel]) -> Channel:
    """The channel from the cache, or made and put there."""
    from safetensors import SafetensorError, safe_open
    from safetensors.numpy import save_file

    pins = [[file.sha256 for file in sources.asset(one).files] for one in assets]
    key = hashlib.sha256(json.dumps([name, WIDTH, _EDITION, pins]).encode()).hexdigest()[:16]
    path = locations.models() / "channels" / f"{name}-{key}.safetensors"
    try:
        with safe_open(path, framework="np") as file:
            about = json.loads(file.metadata()["channel"])
            rows = file.get_tensor("values").astype(np.float32)
            return Channel(name, tuple(about["genes"]), rows, about["source"])
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        pass
    made = compressed(make())
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    about = json.dumps({"genes": made.genes, "source": made.source})
    save_file({"values": np.ascontiguousarray(made.values)}, scratch, {"channel": about})
    scratch.replace(path)
    return made


# --- statements --------------------------------------------------------------------------------


def _text(graph: KnowledgeGraph | None) -> Channel:
    from encoders.genept import coding_genes, vectors

    found = vectors(sorted(coding_genes()), graph=graph)
    return Channel("text", found.genes, found.values, "HGNC and GO in words, all-MiniLM-L6-v2")


def _family(graph: KnowledgeGraph | None) -> Channel:
    up: dict[str, set[str]] = {}
    genes: set[str] = set()
    with sources.path("famplex").open(encoding="utf-8", newline="") as handle:
        for of, name, _, _, above in csv.reader(handle):
            key = f"{of}:{name}"
            up.setdefault(key, set()).add(f"FPLX:{above}")
            if of == "HGNC":
                genes.add(name)
    sets = {}
    for gene in sorted(genes):
        found: set[str] = set()
        ring = up[f"HGNC:{gene}"]
        while ring:
            found |= ring
            ring = {above for one in ring for above in up.get(one, ())} - found
        sets[gene] = found
    return _of_sets("family", sets, "FamPlex", _scattered)


def _ontology(graph: KnowledgeGraph | None) -> Channel:
    from kg.embedded import EmbeddedGraph
    from kg.measures.gene_graph import annotated
    from kg.readers.gene_tables import HUMAN

    if graph is None:
        with EmbeddedGraph.open() as opened:
            return _ontology(opened)
    sets = annotated(graph, HUMAN)
    named = {gene: term.label for gene, term in graph.terms(sets).items()}
    by_symbol = {named[gene]: set(terms) for gene, terms in sets.items() if gene in named}
    return _of_sets("ontology", by_symbol, "Gene Ontology annotations")


def _interaction(graph: KnowledgeGraph | None) -> Channel:
    from kg.embedded import EmbeddedGraph
    from kg.readers.gene_tables import HUMAN
    from kg.terms import INTERACTS_WITH

    if graph is None:
        with EmbeddedGraph.open() as opened:
            return _interaction(opened)
    pairs = [
        (a, b)
        for a, _, b in graph.triples((INTERACTS_WITH,), taxon=HUMAN)
        if a.startswith("HGNC:") and b.startswith("HGNC:") and a != b
    ]
    ends = {one for pair in pairs for one in pair}
    named = {gene: term.label for gene, term in graph.terms(ends).items()}
    sets: dict[str, set[str]] = {}
    for a, b in pairs:
        if a in named and b in named:
            for one, other in ((named[a], named[b]), (named[b], named[a])):
                # With itself among its partners a hub lies near those that it holds together.
                sets.setdefault(one, {one}).add(other)
    return _of_sets("interaction", sets, "GO annotations and ligand-receptor pairs")


def _position(graph: KnowledgeGraph | None) -> Channel:
    from encoders.genept import coding_genes
    from encoders.genetokens.tokenizer import genomic

    genes, rows = genomic(sorted(coding_genes()))
    return Channel("position", genes, rows, "GENCODE v48")


_MADE: Mapping[str, Callable[[KnowledgeGraph | None], Channel]] = {
    "text": _text,
    "family": _family,
    "ontology": _ontology,
    "interaction": _interaction,
    "position": _position,
}


def _of_sets(
    name: str,
    sets: Mapping[str, Iterable[str]],
    source: str,
    narrow: Callable[[sp.csr_array, int], NDArray[np.float32]] | None = None,
) -> Channel:
    """Genes by what they are in: weighted by rarity, rows of length 1, leading components."""
    import scipy.sparse as sp

    count: dict[str, int] = {}
    for some in sets.values():
        for one in some:
            count[one] = count.get(one, 0) + 1
    kept = {one: i for i, one in enumerate(sorted(o for o, n in count.items()
                                                  if _LEAST <= n <= _MOST))}  # fmt: skip
    rows: list[int] = []
    columns: list[int] = []
    weights: list[float] = []
    genes: list[str] = []
    for gene in sorted(sets):
        inside = [one for one in sorted(sets[gene]) if one in kept]
        if not inside:
            continue
        weight = np.log(len(sets) / np.array([count[one] for one in inside]))
        rows += [len(genes)] * len(inside)
        columns += [kept[one] for one in inside]
        weights += list(weight / max(float(np.linalg.norm(weight)), 1e-12))
        genes.append(gene)
    matrix = sp.csr_array((weights, (rows, columns)), shape=(len(genes), len(kept)))
    return Channel(name, tuple(genes), (narrow or _components)(matrix, WIDTH), source)


def _scattered(matrix: sp.csr_array, width: int) -> NDArray[np.float32]:
    """A random projection: families hardly overlap, so that components would show the largest."""
    turn = np.random.default_rng(0).standard_normal((matrix.shape[1], width))
    return np.asarray(matrix @ turn, dtype=np.float32)


def _components(matrix: sp.csr_array, width: int) -> NDArray[np.float32]:
    """Left singular vectors times their sizes, [rows, width]; the same for the same matrix."""
    from scipy.sparse.linalg import svds

    width = min(width, min(matrix.shape) - 1)
    start = np.random.default_rng(0).standard_normal(min(matrix.shape))
    left, size, _ = svds(matrix.astype(np.float64), k=width, v0=start)
    found = left[:, ::-1] * size[::-1]
    largest = found[np.abs(found).argmax(axis=0), np.arange(width)]
    return np.asarray(found * np.where(largest < 0, -1, 1), dtype=np.float32)


# --- factors and targets -----------------------------------------------------------------------

_SOURCE = ("source", "tf", "source_genesymbol", "regulator")
_TARGET = ("target", "target_genesymbol", "gene")
_WEIGHT = ("weight", "mor", "sign")


def read_regulation(path: Path, species: Species | None = None) -> Channel:
    """Targets by the factors that act on them, from a table of the user's or one of the known.

    Parameters
    ----------
    path
        Tab- or comma-separated with a header, may be gzipped: a column of factors (source, tf,
        source_genesymbol), one of targets (target, target_genesymbol, gene) and, where it is there,
        one of signed weights (weight, mor).
    species
        Of the names.

    Raises
    ------
    BadFile
        When the file cannot be read or lacks a column.
    """
    import scipy.sparse as sp

    pairs = _pairs(path)
    factors = sorted({factor for factor, _ in pairs})
    genes = sorted({gene for pair in pairs for gene in pair})
    column = {name: i for i, name in enumerate(factors)}
    row = {name: i for i, name in enumerate(genes)}
    entries = dict(pairs) | {(one, one): 1.0 for one in factors}  # a factor lies with its targets
    size = np.zeros(len(factors))
    for factor, _ in entries:
        size[column[factor]] += 1
    data = [w * np.log1p(len(genes) / size[column[f]]) for (f, _), w in entries.items()]
    at = ([row[gene] for _, gene in entries], [column[factor] for factor, _ in entries])
    matrix = sp.csr_array((data, at), shape=(len(genes), len(factors)))
    length = np.maximum(np.sqrt((matrix.multiply(matrix)).sum(axis=1)), 1e-12)
    rows = _components(sp.csr_array(matrix.multiply(1 / np.asarray(length).reshape(-1, 1))), WIDTH)
    return channel("regulation", genes, rows, source=path.name.split("?")[0], species=species)


def _pairs(path: Path) -> dict[tuple[str, str], float]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8-sig", newline="") as handle:
            head = handle.readline()
            delimiter = "\t" if "\t" in head else ","
            names = [name.strip().casefold() for name in next(csv.reader([head],
                     delimiter=delimiter), [])]  # fmt: skip
            source, target, weight = (_column(names, some) for some in (_SOURCE, _TARGET, _WEIGHT))
            if source < 0 or target < 0:
                raise BadFile(
                    f"{path} has the columns {', '.join(names) or 'none'}; expected one of "
                    f"{', '.join(_SOURCE)} and one of {', '.join(_TARGET)}"
                )
            found = {}
            for row in csv.reader(handle, delimiter=delimiter):
                if len(row) == len(names):
                    # Complexes are written with underscores: each part acts.
                    for part in row[source].removeprefix("COMPLEX:").split("_"):
                        value = float(row[weight]) if weight >= 0 and row[weight] else 1.0
                        found[part, row[target]] = value
    except (OSError, UnicodeDecodeError, EOFError, csv.Error, ValueError) as error:
        if isinstance(error, BadFile):
            raise
        raise BadFile(f"the table {path} of factors and targets cannot be read: {error}") from error
    if len({factor for factor, _ in found}) < 2:
        raise BadFile(f"{path} has fewer than two factors; expected rows of factor and target")
    return found


def _column(names: Sequence[str], wanted: Sequence[str]) -> int:
    return next((names.index(one) for one in wanted if one in names), -1)


# --- learnt from cells -------------------------------------------------------------------------

_CELLS, _GENES = 5_000, 4_000
"""Cells of a dataset and genes that correlations are taken over: seconds, and 64 MB."""


def learnt(
    parts: Sequence[tuple[sp.csr_matrix | sp.csr_array, Sequence[str]]],
    names: Sequence[str] = LEARNT,
    *,
    seed: int = 0,
) -> list[Channel]:
    """Channels of which genes go together in the training cells, never in others.

    Parameters
    ----------
    parts
        Log1p expression [cells, genes] of each training dataset, and its current symbols.
    names
        Some of :data:`LEARNT`.
    seed
        Of the draw where a dataset has more than 5,000 cells.

    Raises
    ------
    BadInput
        When a name is none of them.
    """
    unknown = [name for name in names if name not in LEARNT]
    if unknown:
        raise BadInput(f"no channel {unknown[0]!r} is learnt; expected {', '.join(LEARNT)}")
    genes, matrix = _correlations(parts, seed)
    found = []
    for name in names:
        if name == "coexpression":
            columns = matrix
        else:
            factors = _factors()
            columns = matrix[:, [i for i, gene in enumerate(genes) if gene in factors]]
            if columns.shape[1] < 2:
                continue
        found.append(Channel(name, genes, _leading(columns, WIDTH), "correlation in the cells"))
    return found


def _correlations(
    parts: Sequence[tuple[sp.csr_matrix | sp.csr_array, Sequence[str]]], seed: int
) -> tuple[tuple[str, ...], NDArray[np.float32]]:
    """Pearson's correlation of every pair of genes, the mean over datasets weighted by cells."""
    rng = np.random.default_rng(seed)
    share: dict[str, float] = {}
    for values, names in parts:
        for gene, n in zip(names, np.asarray((values > 0).sum(axis=0)).ravel(), strict=True):
            share[gene] = share.get(gene, 0.0) + float(n)
    genes = tuple(sorted(sorted(share, key=lambda g: (-share[g], g))[:_GENES]))
    place = {gene: i for i, gene in enumerate(genes)}
    total = np.zeros((len(genes), len(genes)), dtype=np.float32)
    weight = np.zeros_like(total)
    for values, names in parts:
        here = [i for i, gene in enumerate(names) if gene in place]
        rows = np.sort(rng.permutation(values.shape[0])[:_CELLS])
        dense = values[rows][:, here].toarray().astype(np.float32)
        dense -= dense.mean(axis=0)
        dense /= np.maximum(np.linalg.norm(dense, axis=0), 1e-9)
        at = np.ix_(*([[place[names[i]] for i in here]] * 2))
        total[at] += len(rows) * (dense.T @ dense)
        weight[at] += len(rows)
    return genes, np.asarray(total / np.maximum(weight, 1), dtype=np.float32)


def _leading(rows: NDArray[np.float32], width: int) -> NDArray[np.float32]:
    """Leading components of the columns, by the smaller of the two scatter matrices."""
    import scipy.sparse as sp

    return _components(sp.csr_array(rows), width)


def _factors() -> frozenset[str]:
    """Current symbols of the transcription factors."""
    from kg.readers.gene_tables import rows

    with sources.path("transcription-factors").open(encoding="utf-8", newline="") as handle:
        ids = {row["EntrezGene"] for row in csv.DictReader(handle)}
    entrez = "NCBI Gene ID(supplied by NCBI)"
    table = rows(sources.path("hgnc"), ("Approved symbol", "Status", entrez))
    return frozenset(
        row["Approved symbol"]
        for row in table
        if row["Status"] == "Approved" and row[entrez] in ids
    )
