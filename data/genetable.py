"""One SQLite file of every name of every human and mouse gene, made once from the pinned tables.

Gives :func:`connection`, a read-only connection to that file: ``gene`` (one row a gene),
``name`` (one row a spelling, with the route by which it names the gene) and ``orthologue``
(human-mouse pairs with the number of supporting predictors). The file is rebuilt when one of the
tables it was made from changes. This module knows neither datasets nor questions; those are
:mod:`data.genes`.

Sources: HGNC (Seal et al. 2023), MGI (Blake et al. 2021), GENCODE (Frankish et al. 2023) and HCOP
(Yates et al. 2021), as pinned in ``sources.toml``.
"""

from __future__ import annotations

import csv
import gzip
import os
import re
import sqlite3
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeAlias

if TYPE_CHECKING:
    from data.manifest import Asset

__all__ = ["ASSETS", "Gene", "Species", "connection", "dashed", "squashed", "storable"]

ASSETS = ("hgnc", "mgi", "gencode-human", "gencode-mouse", "orthologues")
"""Names in ``sources.toml`` of the tables that the file is made from."""

Species: TypeAlias = Literal["human", "mouse"]
"""The two species whose gene names are known."""

_SCHEMA_VERSION = "4"

_SCHEMA = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT) WITHOUT ROWID;
CREATE TABLE gene (
    row INTEGER PRIMARY KEY, id TEXT, species TEXT, symbol TEXT, name TEXT, ensembl TEXT);
CREATE TABLE name (species TEXT, text TEXT, dashed TEXT, squashed TEXT, route TEXT, gene INTEGER);
CREATE TABLE orthologue (mouse INTEGER, human INTEGER, curated INTEGER, support INTEGER);
"""

_INDEXES = """
CREATE UNIQUE INDEX gene_id ON gene (id);
CREATE INDEX name_text ON name (text);
CREATE INDEX name_dashed ON name (dashed) WHERE dashed IS NOT NULL;
CREATE INDEX name_squashed ON name (squashed) WHERE squashed IS NOT NULL;
CREATE INDEX orthologue_mouse ON orthologue (mouse);
CREATE INDEX orthologue_human ON orthologue (human);
"""


@dataclass(frozen=True, slots=True)
class Gene:
    """A gene: its CURIE, current symbol, full name ("" for mouse) and Ensembl id ("" if none)."""

    id: str
    symbol: str
    name: str
    species: Species
    ensembl: str = ""


_GREEK = str.maketrans(
    {"α": "alpha", "β": "beta", "γ": "gamma", "δ": "delta", "ε": "epsilon", "ζ": "zeta",
     "η": "eta", "θ": "theta", "κ": "kappa", "λ": "lambda", "μ": "mu", "τ": "tau", "ω": "omega"}
)  # fmt: skip
_SEPARATOR = re.compile(r"[\s._\-‐-―−/]+")


def storable(text: str) -> str:
    """The text without what SQLite cannot hold: halves of characters from undecodable bytes."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def dashed(text: str) -> str:
    """Fold case and write every separator as a hyphen; the segments of the name stay apart.

    >>> dashed("HLA.DRA"), dashed("C9ORF142")
    ('hla-dra', 'c9orf142')
    """
    folded = text.lower()
    if not text.isascii():
        folded = unicodedata.normalize("NFKC", text).casefold().translate(_GREEK)
    return _SEPARATOR.sub("-", folded).strip("-")


def squashed(text: str) -> str:
    """Fold case, name Greek letters and drop every separator.

    >>> squashed("CD8-α"), squashed("IL 2")
    ('cd8alpha', 'il2')
    """
    return dashed(text).replace("-", "")


def connection() -> sqlite3.Connection:
    """Open the file of genes read-only, making it first where it is absent or out of date.

    Raises
    ------
    AssetMissing
        When one of the pinned tables was not fetched.
    """
    from data import locations

    global _checked
    file = locations.graph() / "genes.sqlite"
    now = (file, file.stat().st_mtime_ns) if file.exists() else None
    if now is None or now != _checked:
        _ensure(file)
        _checked = (file, file.stat().st_mtime_ns)
    return _open(file)


_checked: tuple[Path, int] | None = None
"""The file that this process has checked against the pinned tables, and its time."""


def _ensure(file: Path) -> None:
    from data import sources

    tables = {name: sources.path(name) for name in ASSETS}
    stamp = " ".join([_SCHEMA_VERSION, *(_pinned(sources.asset(name)) for name in ASSETS)])
    if _stamp_of(file) != stamp:
        _build(file, tables, stamp)


def _pinned(asset: Asset) -> str:
    return ":".join([asset.name, asset.release, *(file.sha256 for file in asset.files)])


def _open(file: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{file.as_uri()}?mode=ro", uri=True, check_same_thread=False)


def _stamp_of(file: Path) -> str | None:
    if not file.is_file():
        return None
    try:
        with _open(file) as db:
            row = db.execute("SELECT value FROM meta WHERE key = 'stamp'").fetchone()
    except sqlite3.DatabaseError:
        return None
    return str(row[0]) if row else None


def _build(file: Path, tables: dict[str, Path], stamp: str) -> None:
    """Write the file beside and rename it, so that another process sees all of it or none."""
    file.parent.mkdir(parents=True, exist_ok=True)
    part = file.with_name(f".{file.name}.{os.getpid()}.part")
    part.unlink(missing_ok=True)
    try:
        db = sqlite3.connect(part)
        try:
            db.execute("PRAGMA journal_mode = OFF")
            db.execute("PRAGMA synchronous = OFF")
            db.executescript(_SCHEMA)
            _Builder(db, tables).run()
            db.executescript(_INDEXES)
            db.execute("INSERT INTO meta VALUES ('stamp', ?)", (stamp,))
            db.commit()
        finally:
            db.close()
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)


_WITHDRAWN_TO = re.compile(r"\[(HGNC:\d+)\]")


class _Builder:
    """Reads the five tables in the order in which they may overrule one another."""

    def __init__(self, db: sqlite3.Connection, tables: dict[str, Path]) -> None:
        self.db = db
        self.tables = tables
        self.by_id: dict[str, int] = {}
        self.by_ensembl: dict[str, int] = {}
        self.by_symbol: dict[tuple[str, str], int] = {}
        self.genes: list[tuple[object, ...]] = []
        self.names: list[tuple[object, ...]] = []

    def run(self) -> None:
        curated = self._hgnc()
        self._mgi()
        self._gencode("human", "gencode-human")
        self._gencode("mouse", "gencode-mouse")
        self._orthologues(curated)
        self.db.executemany("INSERT INTO gene VALUES (?, ?, ?, ?, ?, ?)", self.genes)
        self.db.executemany("INSERT INTO name VALUES (?, ?, ?, ?, ?, ?)", self.names)

    def _gene(self, id: str, species: str, symbol: str, name: str = "", ensembl: str = "") -> int:
        if id in self.by_id:  # MGI lists a gene once for each of its Ensembl ids
            if ensembl:
                self.by_ensembl.setdefault(ensembl, self.by_id[id])
            return self.by_id[id]
        row = len(self.genes) + 1
        self.genes.append((row, id, species, symbol, name, ensembl))
        self.by_id[id] = row
        if ensembl:
            self.by_ensembl.setdefault(ensembl, row)
        self.by_symbol.setdefault((species, symbol), row)
        return row

    def _names(self, species: str, gene: int, route: str, texts: Iterable[str]) -> None:
        # Identifiers are only ever looked up as they stand; folded keys would double the file.
        folded = route in {"current", "previous", "withdrawn", "alias", "name"}
        for text in texts:
            if text:
                key = dashed(text) if folded else None
                joined = key.replace("-", "") if key is not None else None
                self.names.append((species, text, key, joined, route, gene))

    def _hgnc(self) -> list[tuple[int, str]]:
        """Human genes and their names; returns the curated (human row, MGI id) pairs."""
        curated: list[tuple[int, str]] = []
        withdrawn: list[tuple[str, list[str]]] = []
        for row in _tsv(self.tables["hgnc"]):
            symbol = row["Approved symbol"]
            if row["Status"] != "Approved":
                # "Symbol Withdrawn" names its successor; "Entry Withdrawn" has none.
                withdrawn.append((symbol, _WITHDRAWN_TO.findall(row["Approved name"])))
                continue
            gene = self._gene(
                row["HGNC ID"], "human", symbol, row["Approved name"], row["Ensembl gene ID"]
            )
            self._names("human", gene, "current", [symbol])
            self._names("human", gene, "previous", _list(row["Previous symbols"]))
            self._names("human", gene, "alias", _list(row["Alias symbols"]))
            self._names("human", gene, "name", [row["Approved name"]])
            self._names("human", gene, "ensembl", [row["Ensembl gene ID"]])
            self._names("human", gene, "entrez", _list(row["NCBI Gene ID(supplied by NCBI)"]))
            self._names("human", gene, "uniprot", _list(row["UniProt ID(supplied by UniProt)"]))
            mouse = row["Mouse genome database ID(supplied by MGI)"]
            curated += [(gene, mgi) for mgi in _list(mouse)]
        for symbol, successors in withdrawn:
            known = {self.by_id[new] for new in successors if new in self.by_id}
            for gene in sorted(known):
                self._names("human", gene, "withdrawn", [symbol])
        return curated

    def _mgi(self) -> None:
        for row in _tsv(self.tables["mgi"]):
            gene = self._gene(f"MGI:{row['ID']}", "mouse", row["symbol"], ensembl=row["ensembl"])
            self._names("mouse", gene, "current", [row["symbol"]])
            self._names("mouse", gene, "alias", (row["synonyms"] or "").split("|"))
            self._names("mouse", gene, "ensembl", [row["ensembl"]])

    def _gencode(self, species: str, asset: str) -> None:
        """Add Ensembl ids that HGNC and MGI lack, and the symbols that are newer than theirs."""
        with gzip.open(self.tables[asset], "rt", encoding="utf-8", newline="") as handle:
            lines = [(line[0], line[1]) for line in csv.reader(handle)]
        # Families of small RNAs share one name ("Y_RNA"): such a name names no gene.
        times = Counter(symbol for _, symbol in lines)
        for ensembl, symbol in lines:
            named = symbol != ensembl and times[symbol] == 1
            holder = self.by_symbol.get((species, symbol))
            gene = self.by_ensembl.get(ensembl)
            if gene is None and symbol != ensembl and holder is not None:
                self.by_ensembl[ensembl] = holder
                self._names(species, holder, "ensembl", [ensembl])
            elif gene is None:
                gene = self._gene(
                    f"ENSEMBL:{ensembl}", species, symbol if named else ensembl, ensembl=ensembl
                )
                self._names(species, gene, "ensembl", [ensembl])
                self._names(species, gene, "current", [symbol] if named else [])
            elif named and holder is None:
                self._names(species, gene, "alias", [symbol])

    def _orthologues(self, curated: list[tuple[int, str]]) -> None:
        pairs: dict[tuple[int, int], list[int]] = {}
        for human, mgi in curated:
            if mgi in self.by_id:
                pairs[self.by_id[mgi], human] = [1, 0]
        with self.tables["orthologues"].open(encoding="utf-8", newline="") as handle:
            for row in csv.DictReader(handle):
                human_row = self.by_ensembl.get(row["Gene stable ID"]) or self.by_symbol.get(
                    ("human", row["Gene name"])
                )
                mouse_row = self.by_ensembl.get(row["Mouse gene stable ID"]) or self.by_symbol.get(
                    ("mouse", row["Mouse gene name"])
                )
                if human_row and mouse_row:
                    pair = pairs.setdefault((mouse_row, human_row), [0, 0])
                    pair[1] = max(pair[1], len(row["supporting_source"].split(",")))
        self.db.executemany(
            "INSERT INTO orthologue VALUES (?, ?, ?, ?)",
            [(mouse, human, *found) for (mouse, human), found in pairs.items()],
        )


def _tsv(path: Path) -> Iterator[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        yield from csv.DictReader(handle, delimiter="\t", quoting=csv.QUOTE_NONE)


def _list(cell: str) -> list[str]:
    return [part.strip() for part in cell.split(",") if part.strip()]
