"""Marker genes of cell types: consolidated facts, each with the sources that state it.

Gives :func:`read_markers`, the table ``markers.tsv`` as values, with a user's own tables added,
and :func:`provenance`, the licence and the reference of every source in it. The table is made by
``python -m training.annotation.marker_table``; it holds facts only (type, gene, sign, sources).
Symbols are current human ones; the mouse orthologue's symbol stands beside. This module scores
nothing.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from data.errors import BadFile

__all__ = [
    "AXIOMS",
    "COLLECTIONS",
    "COLUMNS",
    "TABLE",
    "Marker",
    "Provenance",
    "everywhere",
    "of_the_day",
    "provenance",
    "read_markers",
]

TABLE = Path(__file__).with_name("markers.tsv")
"""The table that ships with Celloquy."""

AXIOMS = Path(__file__).with_name("markers_axioms.tsv")
"""Genes that types lack by the ontology's axioms; made by ``training.annotation.marker_axioms``."""

COLLECTIONS = frozenset({"ASCT+B", "pegasus", "CellMarker2.0", "SingleCellBase", "axiom"})
"""Sources of the table that were collected from papers and experts, not checked one by one."""

COLUMNS = ("cl_id", "gene", "mouse_gene", "sign", "species", "contexts", "sources")
"""Columns of the table; a user's own needs ``cl_id`` and ``gene`` only."""


_EVERYWHERE = re.compile(
    r"""(?: RP[LS]P?\d+[AXYL]?\d* | RPSA | FAU | UBA52         # ribosome
          | MT-.+ | MTRNR2L\d+                               # mitochondrial genome
          | HSP(?:A[158][ABL]?|B1|D1|E1|H1|90A[AB]1|90B1) | DNAJ[AB]1   # heat shock
          | FOSB? | JUN[BD]? | EGR1 | IER[23] | DUSP1 | ATF3 | ZFP36    # stress of dissociation
          | EEF1[ABDG]\d? | EEF1B2 | EEF2 | EIF\d.* | TPT1 | NACA | BTF3  # translation
          | ACTB | ACTG1 | GAPDH | B2M | TMSB4X | TMSB10 | PFN1 | CFL1 | PTMA
          | FTL | FTH1 | UB[BC] | MALAT1 | NEAT1 | PPIA | TUBA1[AB]
        )""",
    re.VERBOSE,
)


def everywhere(gene: str) -> bool:
    """Whether nearly every cell expresses a gene, or every cell under stress.

    Ribosomal and mitochondrial genes, translation, housekeeping, heat shock, and the immediate
    early genes of dissociation (van den Brink et al. 2017, doi:10.1038/nmeth.4437).

    >>> [everywhere(g) for g in ("RPL13A", "MT-CO1", "HSPA1A", "RPS6KA1", "CD3E", "JUNB")]
    [True, True, True, False, False, True]
    """
    return _EVERYWHERE.fullmatch(gene) is not None


def of_the_day(gene: str, sources: Collection[str]) -> bool:
    """Whether one collection alone calls a gene that is everywhere a marker.

    Such a row says what was high in one dataset: it stays in the table, and is neither believed
    nor told.

    >>> of_the_day("RPL13", ["CellMarker2.0"]), of_the_day("CD3E", ["CellMarker2.0"])
    (True, False)
    """
    return len(sources) == 1 and COLLECTIONS.issuperset(sources) and everywhere(gene.upper())


@dataclass(frozen=True, slots=True)
class Marker:
    """One fact: this gene speaks for (``positive``) or against the type, say these sources.

    ``contexts`` is the largest number of tissues in which one source reports it (at least 1),
    ``species`` those in which it was reported, not those in which it holds.
    """

    cl_id: str
    gene: str
    positive: bool
    sources: tuple[str, ...]
    species: tuple[str, ...] = ("human",)
    contexts: int = 1
    mouse_gene: str = ""


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where a source's rows come from and on what terms."""

    source: str
    licence: str
    reference: str


def read_markers(extra: Iterable[Path] = (), *, table: Path = TABLE) -> tuple[Marker, ...]:
    """Return the facts of the shipped table, then those of each file of ``extra`` (:data:`AXIOMS`).

    Parameters
    ----------
    extra
        Tab-separated files with a header line and at least the columns ``cl_id`` and ``gene``;
        ``sign`` (``+`` or ``-``) and ``sources`` (several separated by ``;``) may follow. Lines
        that begin with ``#`` are comments. Without ``sources`` the file's name is the source.
    table
        Another table in place of the shipped one.

    Raises
    ------
    BadFile
        When a file lacks the columns or a row has no CL id, no gene or another sign.
    """
    markers = list(_read_shipped(table))
    for path in extra:
        markers += _rows(Path(path))
    return tuple(markers)


@lru_cache(maxsize=4)
def _read_shipped(table: Path) -> tuple[Marker, ...]:
    return tuple(_rows(table))


def provenance(table: Path = TABLE) -> tuple[Provenance, ...]:
    """Return the licence and reference of every source, from the table's header."""
    found = []
    with table.open(encoding="utf-8") as handle:
        for line in handle:
            if not line.startswith("#"):
                break
            fields = [field.strip() for field in line.lstrip("# ").split("|")]
            if len(fields) == 3 and fields[0] != "Source":
                found.append(Provenance(*fields))
    return tuple(found)


def _rows(path: Path) -> Iterator[Marker]:
    try:
        handle = path.open(encoding="utf-8", newline="")
    except OSError as error:
        raise BadFile(f"marker table {path} cannot be read: {error.strerror or error}") from error
    with handle:
        numbered = [(n, line) for n, line in enumerate(handle, 1) if not line.startswith("#")]
    reader = csv.DictReader((line for _, line in numbered), delimiter="\t")
    missing = {"cl_id", "gene"} - set(reader.fieldnames or ())
    if missing:
        raise BadFile(
            f"marker table {path} has no column {' and '.join(sorted(missing))}; "
            f"expected a header line with tab-separated {', '.join(COLUMNS)}"
        )
    for (number, _), row in zip(numbered[1:], reader, strict=False):
        yield _marker(path, number, row)


def _marker(path: Path, number: int, row: dict[str, str | None]) -> Marker:
    cl_id, gene = (row["cl_id"] or "").strip(), (row["gene"] or "").strip()
    sign = (row.get("sign") or "+").strip()
    contexts = (row.get("contexts") or "1").strip()
    valid = cl_id.startswith("CL:") and gene and sign in {"+", "-"} and contexts.isdecimal()
    if not valid:
        raise BadFile(
            f"marker table {path}, line {number}: {cl_id!r}, {gene!r}, sign {sign!r}; "
            f"expected an id such as CL:0000236, a gene symbol, and + or -"
        )
    return Marker(
        cl_id=cl_id,
        gene=gene,
        positive=sign == "+",
        sources=_split(row.get("sources")) or (path.stem,),
        species=_split(row.get("species")) or ("human",),
        contexts=max(1, int(contexts)),
        mouse_gene=(row.get("mouse_gene") or "").strip(),
    )


def _split(text: str | None) -> tuple[str, ...]:
    return tuple(part.strip() for part in (text or "").split(";") if part.strip())
