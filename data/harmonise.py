"""Every gene name of a dataset to one current human symbol, with a report of what was lost.

Gives :func:`harmonise`. It reads names only, never expression; summing the columns that meet in
one symbol is the business of :mod:`data.h5ad`. The outcome depends on the set of names, not on
their order.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from data import genetable
from data.errors import BadInput
from data.genetable import Species

__all__ = ["COVERAGE_FLOOR", "Harmonised", "expect_species", "harmonise"]

COVERAGE_FLOOR = 0.4
"""Smallest share of names that must be known genes of the species. Of eight real datasets, old
clone names included, the worst has 0.85; below this one, most of the matrix would be ignored."""

SPECIES_SHARE = 0.2
"""Share of names that must be, letter for letter, of a species that nobody has named. The eight
real datasets have at least 0.7; zebrafish symbols, in small letters, have next to none."""

ORTHOLOGUE_SUPPORT = 3
"""Predictors of HCOP's twelve that must agree on a pair that HGNC and MGI do not list."""

MIXED_SHARE = 0.15
"""Share of names that must be of the other species, and of it only, to call a dataset mixed."""

OWN_SHARE = 0.01
"""Share of names that only the other species knows, in any case of letters, from which a dataset is
not of the species that was named, unless a quarter as many are known to that one alone. Of five
real datasets 5 to 30 % are known to their own species alone, and .02 % at most to the other."""

OTHER_SPECIES = {
    "ENSRNOG": "rat", "ENSDARG": "zebrafish", "ENSMMUG": "rhesus macaque",
    "ENSMFAG": "crab-eating macaque", "ENSSSCG": "pig", "ENSBTAG": "cow", "ENSGALG": "chicken",
    "ENSOCUG": "rabbit", "ENSPTRG": "chimpanzee", "ENSCJAG": "marmoset", "ENSCAFG": "dog",
    "FBgn": "fruit fly", "WBGene": "roundworm", "ENSOARG": "sheep", "ENSXETG": "frog",
}  # fmt: skip
"""Prefixes of stable gene ids (https://www.ensembl.org/info/genome/stable_ids/prefixes.html)."""

_ENSEMBL = re.compile(r"ENS(?:MUS)?G\d{11}")
_TRANSCRIPT = re.compile(r"ENS(?:MUS)?[TP]\d{11}")
_BARCODE = re.compile(r"[ACGT]{12,}(?:-\d+)?")
_LOC = re.compile(r"(?:LOC|GeneID:|NCBIGene:)(\d+)")
_GENOME = re.compile(r"(?:GRCh3[78]|GRCm3[89]|hg19|hg38|mm10|mm39)(?:_+|-)(?=.)", re.IGNORECASE)
_SUFFIX = re.compile(r"(.+?)(?:[-.]\d{1,3}|__chr\w+)")
_COLUMN = re.compile(
    r"""
    (?: gene | feature | hgnc | ensembl | entrez | ncbi | mgi )? [ ._-]*
    (?: gene | short )? [ ._-]*
    (?: ids? | names? | symbols? | accession )
    | genes? | ensembl | entrez | hgnc
    """,
    re.IGNORECASE | re.VERBOSE,
)

_NUMBERS = re.compile(r"entrez|ncbi", re.IGNORECASE)
_NOTHING = {"", "nan", "none", "na", "n/a", "null", "<na>", "-"}

# Strongest reading first; what HGNC once approved says more than what authors have used.
_ROUTES = {"current": 0, "ensembl": 0, "entrez": 1, "previous": 2, "withdrawn": 3, "alias": 4}


@dataclass(frozen=True, slots=True)
class Harmonised:
    """Names of a dataset mapped to current human symbols.

    ``column[i]`` is the place in ``symbols`` of the i-th name, or -1 where it has none;
    ``routes[i]`` says how it was read: current, previous, alias, ensembl, entrez, repeat (a
    suffix that made a name unique), orthologue; or why not: unknown, ambiguous, shadowed (an
    alias of a gene that the dataset has under its own name), no_orthologue.
    """

    symbols: tuple[str, ...]
    ids: tuple[str, ...]
    column: tuple[int, ...]
    routes: tuple[str, ...]
    species: Species
    used: tuple[str, ...]
    ambiguous: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    merged: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    unknown: tuple[str, ...] = ()
    releases: Mapping[str, str] = field(default_factory=dict)

    @property
    def by_route(self) -> dict[str, int]:
        """Number of names by route, most frequent first."""
        return dict(Counter(self.routes).most_common())

    @property
    def coverage(self) -> float:
        """Share of the names that reached a current human symbol."""
        return sum(c >= 0 for c in self.column) / len(self.column)

    def report(self) -> str:
        """One paragraph in plain words."""
        parts = ", ".join(f"{route.replace('_', ' ')} {n:,}" for route, n in self.by_route.items())
        text = (
            f"{self.coverage:.1%} of {len(self.column):,} {self.species} names reached a current "
            f"human symbol ({parts}); read from {' and '.join(self.used)}"
        )
        if self.merged:
            some = ", ".join(sorted(self.merged)[:5])
            text += f"; {len(self.merged):,} symbols are fed by several columns ({some})"
        if self.ambiguous:
            some = ", ".join(f"{k}: {'/'.join(v)}" for k, v in sorted(self.ambiguous.items())[:3])
            text += f"; {len(self.ambiguous):,} names could not be told apart ({some})"
        return text


def harmonise(
    var_names: Sequence[str],
    columns: Mapping[str, Sequence[str]] | None = None,
    species: Species | None = None,
    *,
    least: float = COVERAGE_FLOOR,
) -> Harmonised:
    """Map the gene names of a dataset to current human symbols.

    Parameters
    ----------
    var_names
        Names as the dataset has them: symbols, Ensembl ids with or without version, NCBI ids.
    columns
        Further columns of the var table. Those that look like gene names are read too: the one
        that is best understood leads, the others fill its gaps.
    species
        "human" or "mouse"; found from the names where it is not given.
    least
        Share of names that must be known; 0 for a few names rather than a dataset's.

    Raises
    ------
    BadInput
        When there is no gene, the names are of another species or of two, they are no gene names,
        or fewer than ``least`` of them are known.
    """
    if not len(var_names):
        raise BadInput("the dataset has no genes; expected a var table with at least one row")
    if species not in (None, "human", "mouse"):
        raise BadInput(f"species {species!r} is not known; expected human or mouse")
    lists = _lists(var_names, columns)
    with closing(genetable.connection()) as db:
        book = _Book(db, {name for names in lists.values() for name in names})
        species = species or _species(book, lists)
        book.fold(species)
        return _Reader(db, book, species, least).read(lists)


def expect_species(
    var_names: Sequence[str], columns: Mapping[str, Sequence[str]] | None, species: Species
) -> None:
    """Refuse a species that the names of a dataset are not of.

    Names that both species know say nothing, however they are written (CD3E, Cd3e); a dataset of
    both species may be read as either.

    Raises
    ------
    BadInput
        When names are known to the other species alone, and hardly any to the named one.
    """
    other: Species = "mouse" if species == "human" else "human"
    names = {name for some in _lists(var_names, columns).values() for name in some} - {""}
    with closing(genetable.connection()) as db:
        book = _Book(db, names)
        known = {}
        for one in (species, other):
            book.fold(one)
            known[one] = {name for name in names if book.readings(book.keys[name], one)}
    own, others = known[species] - known[other], known[other] - known[species]
    if len(others) > max(OWN_SHARE * len(names), 4 * len(own)):
        some = ", ".join(sorted(others)[:3])
        raise BadInput(
            f"the species was given as {species}, but {len(others):,} of {len(names):,} gene names "
            f"are {other} ones only ({some}) and {len(own):,} {species} ones only; leave "
            f"--species out, or name {other}"
        )


def _lists(
    var_names: Sequence[str], columns: Mapping[str, Sequence[str]] | None
) -> dict[str, list[str]]:
    """Names by where they stand: the var names, and the columns that look like names of genes."""
    lists = {"var names": [_given(str(name)) for name in var_names]}
    for title, values in (columns or {}).items():
        if _COLUMN.fullmatch(title):
            numbers = bool(_NUMBERS.search(title))
            lists[f"var[{title!r}]"] = [_given(str(value), numbers) for value in values]
    return lists


def _given(name: str, numbers: bool = False) -> str:
    """A name without blanks; "" where there is none. Plain numbers are ids only by their title."""
    name = genetable.storable(name).strip()
    if name.lower() in _NOTHING:
        return ""
    if name.isdecimal():
        return f"GeneID:{name}" if numbers else f"#{name}"
    return name


class _Book:
    """All look-ups of one dataset, fetched from the table in a few queries."""

    def __init__(self, db: sqlite3.Connection, raw: set[str]) -> None:
        self.keys = {name: _clean(name) for name in raw}
        wanted = set(self.keys.values())
        wanted |= {m[1] for key in wanted if (m := _SUFFIX.fullmatch(key))}
        self.db, self.wanted = db, wanted - {""}
        self.exact = self._fetch("text", self.wanted)
        self.folded: dict[str, list[tuple[str, str, int]]] = {}

    def fold(self, species: Species) -> None:
        """Look up the names that the species does not know as written with case folded."""
        missing = {key for key in self.wanted if not self._of(self.exact.get(key), species)}
        self.folded = self._fetch("dashed", {genetable.dashed(key) for key in missing} - {""})

    @staticmethod
    def _of(
        entries: list[tuple[str, str, int]] | None, species: Species
    ) -> list[tuple[str, str, int]]:
        return [entry for entry in entries or [] if entry[0] == species]

    def _fetch(self, by: str, keys: Iterable[str]) -> dict[str, list[tuple[str, str, int]]]:
        found: dict[str, list[tuple[str, str, int]]] = defaultdict(list)
        pending = sorted(keys)
        for start in range(0, len(pending), 900):
            part = pending[start : start + 900]
            marks = ",".join("?" * len(part))
            for key, *entry in self.db.execute(
                f"SELECT {by}, species, route, gene FROM name WHERE {by} IN ({marks}) "
                "AND route NOT IN ('uniprot', 'name')",
                part,
            ):
                found[key].append((entry[0], entry[1], entry[2]))
        return dict(found)

    def readings(self, key: str, species: Species) -> list[tuple[int, str, int]]:
        """(strength, route, gene row) of one key, as written or else with case folded."""
        entries = self._of(self.exact.get(key), species)
        entries = entries or self._of(self.folded.get(genetable.dashed(key)), species)
        return sorted({(_ROUTES[route], route, gene) for _, route, gene in entries})

    def certain(self, key: str) -> set[str]:
        """Species of which the key is, letter for letter, a current symbol or an Ensembl id."""
        return {of for of, route, _ in self.exact.get(key, []) if route in ("current", "ensembl")}


def _clean(name: str) -> str:
    """Take off what tools add: genome prefixes, Ensembl versions, id_symbol pairs."""
    name = _GENOME.sub("", name, count=1) if _GENOME.match(name) else name
    ensembl = _ENSEMBL.search(name)
    if ensembl:
        return ensembl[0]
    number = _LOC.fullmatch(name)
    return number[1] if number else name


def _species(book: _Book, lists: Mapping[str, Sequence[str]]) -> Species:
    """The species that most names belong to, from the best understood list of names."""
    best: tuple[float, Counter[str]] = (-1.0, Counter())
    for names in lists.values():
        votes: Counter[str] = Counter()
        for name in names:
            of = book.certain(book.keys[name])
            if len(of) == 1:
                votes[next(iter(of))] += 1
        share = votes.total() / len(names)
        if share > best[0]:
            best = (share, votes)
    votes = best[1]
    n = len(next(iter(lists.values())))
    if votes.total() < SPECIES_SHARE * n:
        raise BadInput(
            f"only {votes.total():,} of {n:,} names are human or mouse genes "
            f"({_looks_like(lists['var names'])}); name the species if they are"
        )
    if min(votes["human"], votes["mouse"]) > MIXED_SHARE * n:
        raise BadInput(
            f"{votes['human']:,} names are human genes and {votes['mouse']:,} mouse genes; "
            "expected one species: split the dataset, or name one with --species"
        )
    return "human" if votes["human"] >= votes["mouse"] else "mouse"


class _Reader:
    """Reads the names of one species."""

    def __init__(self, db: sqlite3.Connection, book: _Book, species: Species, least: float) -> None:
        self.db, self.book, self.species, self.least = db, book, species, least
        self.ambiguous: dict[str, set[int]] = {}

    def read(self, lists: Mapping[str, Sequence[str]]) -> Harmonised:
        read = {title: self._names(names) for title, names in lists.items()}
        known = {title: sum(gene > 0 for _, gene in found) for title, found in read.items()}
        # Ties go to the var names, then to the alphabet: the order of columns decides nothing.
        order = sorted(lists, key=lambda t: (-known[t], t != "var names", t))
        rows = list(read[order[0]])
        used = [order[0]]
        for title in order[1:]:
            for i, found in enumerate(read[title]):
                if rows[i][1] <= 0 < found[1]:
                    rows[i] = found
                    used += [title] if title not in used else []
        self._refuse(lists, sum(gene > 0 for _, gene in rows))
        names = lists[order[0]]
        if self.species == "mouse":
            rows = self._orthologues(rows)
        return self._result(lists["var names"], names, rows, tuple(used))

    def _names(self, names: Sequence[str]) -> list[tuple[str, int]]:
        """(route, gene row, 0 if none) of each name."""
        present = set(names)
        direct = {
            gene
            for name in present
            for strength, _, gene in self.book.readings(self.book.keys[name], self.species)
            if strength == 0
        }
        read = {name: self._one(name, present, direct) for name in present}
        # A gene that another name has settled is not the one that an ambiguous name means.
        settled = direct | {gene for _, gene in read.values()}
        for name in [name for name, (route, _) in read.items() if route == "ambiguous"]:
            read[name] = self._one(name, present, settled)
        return [read[name] for name in names]

    def _one(self, name: str, present: set[str], settled: set[int]) -> tuple[str, int]:
        key = self.book.keys[name]
        readings = self.book.readings(key, self.species)
        if not readings:
            base = _SUFFIX.fullmatch(key)
            if base and (base[1] in present or "__chr" in key):
                found = self.book.readings(base[1], self.species)
                if found and found[0][0] == 0:
                    return "repeat", found[0][2]
            return "unknown", 0
        strength, route, gene = readings[0]
        rivals = {g for s, _, g in readings if s == strength}
        if len(rivals) > 1:
            left = rivals - settled
            if len(left) != 1:
                self.ambiguous[name] = rivals
                return "ambiguous", 0
            gene = left.pop()
        elif route == "alias" and gene in settled:
            return "shadowed", 0
        return ("previous" if route == "withdrawn" else route), gene

    def _refuse(self, lists: Mapping[str, Sequence[str]], known: int) -> None:
        names = lists["var names"]
        if known >= self.least * len(names):
            return
        share = f"only {known:,} of {len(names):,} names are known {self.species} genes"
        floor = f"at least {self.least:.0%} are needed"
        raise BadInput(f"{share} ({_looks_like(names)}); {floor}")

    def _orthologues(self, rows: Sequence[tuple[str, int]]) -> list[tuple[str, int]]:
        """The best supported human gene of each mouse gene."""
        best: dict[int, tuple[tuple[int, int, int, str], int]] = {}
        for mouse, curated, support, human, same, symbol in self.db.execute(
            "SELECT o.mouse, o.curated, o.support, o.human, upper(m.symbol) = h.symbol, h.symbol "
            "FROM orthologue o JOIN gene m ON m.row = o.mouse JOIN gene h ON h.row = o.human"
        ):
            if curated or support >= ORTHOLOGUE_SUPPORT:
                rank = (-curated, -support, -same, symbol)
                if mouse not in best or rank < best[mouse][0]:
                    best[mouse] = (rank, human)
        return [
            (route, 0)
            if gene == 0
            else ("orthologue", best[gene][1])
            if gene in best
            else ("no_orthologue", 0)
            for route, gene in rows
        ]

    def _result(
        self,
        var_names: Sequence[str],
        names: Sequence[str],
        rows: Sequence[tuple[str, int]],
        used: tuple[str, ...],
    ) -> Harmonised:
        from data import sources

        genes = {
            row: (symbol, curie) for row, symbol, curie in self._symbols({g for _, g in rows if g})
        }
        ordered = sorted(set(genes.values()))
        place = {gene: i for i, gene in enumerate(ordered)}
        fed: dict[str, list[str]] = defaultdict(list)
        for name, (_, gene) in zip(names, rows, strict=True):
            if gene:
                fed[genes[gene][0]].append(name)
        hard = {g for rivals in self.ambiguous.values() for g in rivals}
        label = {row: symbol for row, symbol, _ in self._symbols(hard)}
        unread = {
            name for name, (route, _) in zip(names, rows, strict=True) if route == "ambiguous"
        }
        return Harmonised(
            symbols=tuple(symbol for symbol, _ in ordered),
            ids=tuple(curie for _, curie in ordered),
            column=tuple(place[genes[gene]] if gene else -1 for _, gene in rows),
            routes=tuple(route for route, _ in rows),
            species=self.species,
            used=used,
            ambiguous={
                name: tuple(sorted(label[g] for g in self.ambiguous[name])) for name in unread
            },
            merged={symbol: tuple(sorted(n)) for symbol, n in fed.items() if len(n) > 1},
            unknown=tuple(
                sorted({n for n, (r, _) in zip(var_names, rows, strict=True) if r == "unknown"})
            ),
            releases={
                asset.source: asset.release for asset in map(sources.asset, genetable.ASSETS)
            },
        )

    def _symbols(self, rows: set[int]) -> list[tuple[int, str, str]]:
        pending, found = sorted(rows), []
        for start in range(0, len(pending), 900):
            part = pending[start : start + 900]
            marks = ",".join("?" * len(part))
            found += self.db.execute(
                f"SELECT row, symbol, id FROM gene WHERE row IN ({marks})", part
            ).fetchall()
        return found


def _looks_like(names: Sequence[str]) -> str:
    """What the names seem to be instead, for the message of a refusal."""
    some = ", ".join(repr(name) for name in names[:3])
    for prefix, animal in OTHER_SPECIES.items():
        if sum(name.startswith(prefix) for name in names) * 2 > len(names):
            return f"they are ids of {animal}, such as {names[0]!r}; expected human or mouse"
    if sum(bool(_BARCODE.fullmatch(name)) for name in names) * 2 > len(names):
        return f"they look like cell barcodes, such as {names[0]!r}: is the matrix transposed?"
    if sum(bool(_TRANSCRIPT.match(name)) for name in names) * 2 > len(names):
        return f"they are transcripts, such as {names[0]!r}; expected genes: sum them by gene"
    if all(name.startswith("#") for name in names):
        some = ", ".join(name.removeprefix("#") for name in names[:3])
        return f"they are plain numbers, such as {some}; expected symbols or Ensembl ids"
    return f"such as {some}; expected human or mouse symbols or Ensembl ids"
