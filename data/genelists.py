"""Marker lists of clusters as users have them: one cluster a line, or a table with a header.

Gives :func:`read_gene_lists`. Genes are brought to current human symbols
(:mod:`data.harmonise`); mouse lists are told by their spelling (``Cd3e``), each list by itself, so
that one file may hold both. It scores nothing; the numbers of a table are not read, but for the
sign of a fold change.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.errors import BadFile
from data.genetable import Species
from data.harmonise import harmonise

__all__ = ["GeneList", "read_gene_lists", "with_symbols"]

_GENES = re.compile(
    r"(?:\w+[ _.-]){0,2}(?:marker|gene)s?(?:[ _.-](?:gene|list|set|name|symbol)s?)?", re.IGNORECASE
)
_NAME = re.compile(r"cluster|^name$|cell.?type|^id$", re.IGNORECASE)
_TISSUE = re.compile(r"tissue|organ", re.IGNORECASE)
_SPECIES = re.compile(r"species|organism", re.IGNORECASE)
_CHANGE = re.compile(
    r"(?:(?:avg|mean)[ _.-]?)?log(?:2|e)?[ _.-]?(?:fc|fold[ _.-]?changes?)", re.IGNORECASE
)
_SCANPY = ("names", "group")  # of scanpy.get.rank_genes_groups_df: genes, and their clusters
_SPLIT = re.compile(r"[\s,;|]+")
_HEAD = 4_096  # bytes by which a text is told


@dataclass(frozen=True, slots=True)
class GeneList:
    """Genes of one cluster, strongest first; ``unread`` are names that are no known gene.

    ``refused`` says why the cluster has no genes, and on which line, where the file names none;
    ``lower`` counts the genes that a table calls lower in the cluster than elsewhere.
    """

    name: str
    genes: tuple[str, ...]
    tissue: str = ""
    species: str = ""
    unread: tuple[str, ...] = ()
    refused: str = ""
    lower: int = 0


@dataclass(frozen=True, slots=True)
class _Row:
    """A line of a file; rows of the same ``key`` cannot be told apart."""

    one: GeneList
    number: int
    key: tuple[str, ...]
    lower: bool = False


def read_gene_lists(path: Path) -> tuple[GeneList, ...]:
    """Read clusters and their genes, as current human symbols.

    A line is ``NAME<TAB>GENE GENE ...`` (blanks, commas or semicolons between genes) or
    ``NAME,GENE,GENE,...``. A CSV or TSV whose first line names a column of genes (marker, gene) is
    read by its header; it may have columns for the cluster, the tissue and the species. Where each
    of its rows is one gene and clusters have several, as Seurat's FindAllMarkers and scanpy write
    them, rows are joined by cluster in the order of the file, the strongest first; genes with a
    fold change below 0 are no markers and only counted.

    Blank lines, those of separators alone too, and comments (#) are passed over. A cluster without
    genes stays, ``refused`` with the number of its line: the others are read all the same. Lines
    of one name are lists of their own, whose names say the line.

    Raises
    ------
    BadFile
        When the file cannot be read or holds no cluster with genes, or when lines of one gene
        each repeat their clusters and no header says so.
    """
    text = _text(path)
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if _split(line.replace('"', " ")) and not line.startswith("#")
    ]
    if not lines:
        raise BadFile(f"{path} holds no line; expected one cluster a line: name, then its genes")
    rows = _tabular(lines)
    if rows is None:
        rows = [_plain(number, line) for number, line in lines]
    if all(len(row.one.genes) <= 1 for row in rows) and any(len(row.key) > 1 for row in rows):
        rows = _joined(rows)
    lists = _apart(rows, path)
    if not any(one.genes for one in lists):
        why = next((one.refused for one in lists), "it has a header and no line below it")
        raise BadFile(f"{path}, {why}; expected a name, a tab or a comma, and genes")
    return with_symbols(lists)


def with_symbols(lists: Sequence[GeneList]) -> tuple[GeneList, ...]:
    """The same lists with current human symbols; unknown names are set aside."""
    species = [_species(one) for one in lists]
    found: list[GeneList | None] = [None] * len(lists)
    kinds: tuple[Species, ...] = ("human", "mouse")
    for kind in kinds:
        members = [i for i, of in enumerate(species) if of == kind]
        symbol = _symbols({g for i in members for g in lists[i].genes}, kind)
        for i in members:
            known = [symbol[g] for g in lists[i].genes if symbol.get(g)]
            found[i] = replace(
                lists[i],
                genes=tuple(dict.fromkeys(known)),
                species=kind,
                unread=tuple(g for g in lists[i].genes if not symbol.get(g)),
            )
    return tuple(one for one in found if one is not None)


def _symbols(names: Iterable[str], species: Species) -> dict[str, str]:
    wanted = sorted(set(names))
    if not wanted:
        return {}
    # However few are genes: the others are named list by list.
    read = harmonise(wanted, species=species, least=0.0)
    return {
        name: read.symbols[place]
        for name, place in zip(wanted, read.column, strict=True)
        if place >= 0
    }


def _species(one: GeneList) -> Species:
    named = one.species.casefold()
    if "mus" in named or "mouse" in named:
        return "mouse"
    if "homo" in named or "human" in named:
        return "human"
    letters = [gene for gene in one.genes if gene[:1].isalpha() and len(gene) > 1]
    capitalised = sum(gene[0].isupper() and gene[1:] == gene[1:].lower() for gene in letters)
    return "mouse" if capitalised > len(letters) / 2 else "human"


def _tabular(lines: Sequence[tuple[int, str]]) -> list[_Row] | None:
    """The rows below a header that names a column of genes; None where there is no such header."""
    first = lines[0][1]
    delimiter = "\t" if "\t" in first else ","
    header = [name.strip() for name in next(csv.reader([first], delimiter=delimiter))]
    genes = [i for i, name in enumerate(header) if _GENES.fullmatch(name)]
    if not genes and set(_SCANPY) <= set(header):
        genes = [header.index(_SCANPY[0])]
        header[header.index(_SCANPY[1])] = "cluster"
    if len(header) < 2 or not genes:
        return None
    names = [i for i, name in enumerate(header) if _NAME.search(name) and i != genes[0]]
    columns = [i for i in range(len(header)) if i != genes[0]]
    name = (names or columns)[0]

    def cell(row: list[str], place: int) -> str:
        return row[place].strip() if 0 <= place < len(row) else ""

    def column(pattern: re.Pattern[str]) -> int:
        return next((i for i, h in enumerate(header) if pattern.search(h)), -1)

    tissue, species = column(_TISSUE), column(_SPECIES)
    change = next((i for i, h in enumerate(header) if _CHANGE.fullmatch(h)), -1)
    rows = csv.reader(io.StringIO("\n".join(line for _, line in lines[1:])), delimiter=delimiter)
    found = []
    for row in rows:
        read = _split(cell(row, genes[0]))
        number, called = lines[rows.line_num][0], cell(row, name)
        why = "" if read else _no_genes(number, called)
        one = GeneList(called, read, cell(row, tissue), cell(row, species), refused=why)
        others = (cell(row, i) for i in columns if _number(cell(row, i)) is None)
        lower = (_number(cell(row, change)) or 0) < 0
        found.append(_Row(one, number, ("table", called, *others), lower))
    return found


def _joined(rows: Sequence[_Row]) -> list[_Row]:
    """Rows of one gene each as a row for each cluster, in the order of the file."""
    groups: dict[tuple[str, ...], list[_Row]] = {}
    for row in rows:
        groups.setdefault((row.one.name, row.one.tissue, row.one.species), []).append(row)
    found = []
    for key, members in groups.items():
        genes = tuple(dict.fromkeys(g for row in members if not row.lower for g in row.one.genes))
        first = members[0]
        why = "" if genes else first.one.refused or _no_genes(first.number, first.one.name)
        lower = sum(row.lower for row in members)
        one = replace(first.one, genes=genes, refused=why, lower=lower)
        found.append(replace(first, one=one, key=("table", *key)))
    return found


def _apart(rows: Sequence[_Row], path: Path) -> list[GeneList]:
    """The lists, those of one name called by their lines too.

    A gene a line under names that come again is a table whose header is missing: to answer it gene
    by gene would be wrong.
    """
    lines: dict[tuple[str, ...], list[int]] = {}
    for row in rows:
        lines.setdefault(row.key, []).append(row.number)
    again = next((row for row in rows if row.number != lines[row.key][0]), None)
    if again is not None and all(len(row.one.genes) <= 1 for row in rows):
        raise BadFile(
            f"{path}, line {again.number}: cluster {again.one.name[:60]!r} was on line "
            f"{lines[again.key][0]} already, with one gene a line; expected all genes of a cluster "
            "on its line, or a header that names the columns cluster and gene"
        )
    return [
        row.one
        if len(lines[row.key]) == 1
        else replace(row.one, name=f"{row.one.name} (line {row.number})")
        for row in rows
    ]


def _plain(number: int, line: str) -> _Row:
    name, _, rest = line.partition("\t") if "\t" in line else line.partition(",")
    name, genes = name.strip().strip('"'), _split(rest)
    one = GeneList(name, genes, refused="" if genes else _no_genes(number, name))
    return _Row(one, number, (name,))


def _text(path: Path) -> str:
    """What stands in a text file; no other kind of file is read to its end."""
    try:
        with path.open("rb") as handle:
            head = handle.read(_HEAD)
            content = head + (b"" if b"\0" in head else handle.read())
    except OSError as error:
        raise BadFile(f"marker lists {path} cannot be read: {error.strerror}") from error
    try:
        if b"\0" in head:
            raise ValueError(head)
        return content.decode("utf-8-sig")
    except ValueError:
        kind = "an HDF5 file, no text" if head.startswith(b"\x89HDF") else "no text in UTF-8"
        raise BadFile(
            f"{path} is {kind}; expected marker lists in a text file, one cluster a line: its "
            "name, a tab or a comma, its genes"
        ) from None


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _no_genes(number: int, name: str) -> str:
    return f"line {number}: cluster {name[:60]!r} has no genes"


def _split(text: str) -> tuple[str, ...]:
    return tuple(gene for gene in _SPLIT.split(text.strip().strip('"')) if gene)
