"""Marker lists of clusters as users have them: one cluster a line, or a CSV with a header.

Gives :func:`read_gene_lists`. Genes are brought to current human symbols
(:mod:`data.harmonise`); mouse lists are told by their spelling (``Cd3e``), each list by itself, so
that one file may hold both. It scores nothing.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from data.errors import BadFile, BadInput
from data.genetable import Species
from data.harmonise import harmonise

__all__ = ["GeneList", "read_gene_lists", "with_symbols"]

_GENES = re.compile(
    r"(?:\w+[ _.-]){0,2}(?:marker|gene)s?(?:[ _.-](?:gene|list|set|name|symbol)s?)?", re.IGNORECASE
)
_NAME = re.compile(r"cluster|^name$|cell.?type|^id$", re.IGNORECASE)
_TISSUE = re.compile(r"tissue|organ", re.IGNORECASE)
_SPECIES = re.compile(r"species|organism", re.IGNORECASE)
_SPLIT = re.compile(r"[\s,;|]+")


@dataclass(frozen=True, slots=True)
class GeneList:
    """Genes of one cluster, strongest first; ``unread`` are names that are no known gene.

    ``refused`` says why the cluster has no genes, and on which line, where the file names none.
    """

    name: str
    genes: tuple[str, ...]
    tissue: str = ""
    species: str = ""
    unread: tuple[str, ...] = ()
    refused: str = ""


def read_gene_lists(path: Path) -> tuple[GeneList, ...]:
    """Read clusters and their genes, as current human symbols.

    A line is ``NAME<TAB>GENE GENE ...`` (blanks, commas or semicolons between genes) or
    ``NAME,GENE,GENE,...``. A CSV or TSV whose first line names a column of genes (marker, gene) is
    read by its header; it may have columns for the cluster, the tissue and the species.

    Blank lines, those of separators alone too, and comments (#) are passed over. A cluster without
    genes stays, ``refused`` with the number of its line: the others are read all the same.

    Raises
    ------
    BadFile
        When the file cannot be read or holds no cluster with genes.
    """
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise BadFile(f"marker lists {path} cannot be read: {error}") from error
    lines = [
        (number, line)
        for number, line in enumerate(text.splitlines(), 1)
        if _split(line.replace('"', " ")) and not line.startswith("#")
    ]
    if not lines:
        raise BadFile(f"{path} holds no line; expected one cluster a line: name, then its genes")
    lists = _tabular(lines)
    if lists is None:
        lists = [_plain(number, line) for number, line in lines]
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
    try:
        read = harmonise(wanted, species=species)
    except BadInput:  # too few names are genes: each list then says that it has none
        return {}
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


def _tabular(lines: Sequence[tuple[int, str]]) -> list[GeneList] | None:
    """The rows below a header that names a column of genes; None where there is no such header."""
    first = lines[0][1]
    delimiter = "\t" if "\t" in first else ","
    header = next(csv.reader([first], delimiter=delimiter))
    genes = [i for i, name in enumerate(header) if _GENES.fullmatch(name.strip())]
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
    rows = csv.reader(io.StringIO("\n".join(line for _, line in lines[1:])), delimiter=delimiter)
    found = []
    for row in rows:
        read = _split(cell(row, genes[0]))
        number, called = lines[rows.line_num][0], cell(row, name)
        why = "" if read else _no_genes(number, called)
        found.append(GeneList(called, read, cell(row, tissue), cell(row, species), refused=why))
    return found


def _plain(number: int, line: str) -> GeneList:
    name, _, rest = line.partition("\t") if "\t" in line else line.partition(",")
    name, genes = name.strip().strip('"'), _split(rest)
    return GeneList(name, genes, refused="" if genes else _no_genes(number, name))


def _no_genes(number: int, name: str) -> str:
    return f"line {number}: cluster {name[:60]!r} has no genes"


def _split(text: str) -> tuple[str, ...]:
    return tuple(gene for gene in _SPLIT.split(text.strip().strip('"')) if gene)
