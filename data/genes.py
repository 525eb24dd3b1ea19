"""Which gene a text means: one name typed by a person, or the var names of a whole dataset.

Gives :func:`resolve_gene` (ranked candidates), :func:`find_gene` (the one gene, or a clear
refusal), :func:`suggest_genes` (names close to a misspelling) and :func:`harmonise` (every name of
a dataset to a current human symbol, with a coverage report). Knows the names of human and mouse
genes only; it reads no expression and no ontology.

A name is read by the first of these routes that knows it: an identifier (HGNC, MGI, Ensembl with
or without its version, NCBI Gene, UniProt), a current symbol, a previous or withdrawn symbol, an
alias; first as written, then with case folded and separators unified.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterable
from contextlib import closing
from dataclasses import dataclass

from data import genetable
from data.errors import BadInput, UnknownTerm
from data.genetable import Gene, Species
from data.harmonise import Harmonised, harmonise

__all__ = [
    "Candidate",
    "Gene",
    "Harmonised",
    "Species",
    "find_gene",
    "gene_by_id",
    "harmonise",
    "resolve_gene",
    "suggest_genes",
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gene that a text may mean: by which route, and which of its names matched."""

    gene: Gene
    route: str
    matched: str
    score: float
    spelling: int = 0
    """0: as written, 1: case folded and separators unified, 2: separators dropped."""

    @property
    def symbol(self) -> str:
        """The gene's current symbol."""
        return self.gene.symbol


SCORES = {
    "id": 1.0,
    "current": 1.0,
    "previous": 0.9,
    "withdrawn": 0.85,
    "alias": 0.8,
    "name": 0.7,
    "family": 0.6,
}
"""Rank of a route: identifiers and current symbols are certain, a family member is an offer."""

RESPELLED = 0.95
"""Factor for a match that needed case folded or separators dropped."""

_ENSEMBL = re.compile(r"(ENS(?:MUS)?G\d{11})(?:\.\d+)?(?:_PAR_Y)?", re.IGNORECASE)
_CURIE = re.compile(r"(HGNC|MGI|ENSEMBL|NCBIGene|GeneID|UniProtKB|UniProt):(.+)", re.IGNORECASE)
_UNIPROT = re.compile(
    r"[OPQ]\d[A-Z0-9]{3}\d|[A-NR-Z]\d(?:[A-Z][A-Z0-9]{2}\d){1,2}"
)  # uniprot.org/help/accession_numbers

# Symbols write the first Latin letter of a Greek one: IFN-γ is IFNG.
_GREEK_END = re.compile(r"(alpha|beta|gamma|delta|epsilon|zeta|theta|kappa)$")

_GENE = "gene.id, gene.symbol, gene.name, gene.species, gene.ensembl"


def resolve_gene(text: str, species: Species = "human") -> tuple[Candidate, ...]:
    """Return the genes that ``text`` may mean, best first; empty where none is known.

    One candidate where the text is an identifier or a current symbol. Otherwise every gene that
    had or has it as another name, and the members of the family that it names: ``CD8`` was once
    the symbol of CD8A, and CD8B is offered beside it.

    Parameters
    ----------
    text
        A symbol, alias or identifier, in any case, with or without hyphens and Greek letters.
    species
        Whose symbols are meant. An identifier speaks for itself.
    """
    text = genetable.storable(text).strip()
    with closing(genetable.connection()) as db:
        found = _by_identifier(db, text)
        if found:
            return found
        found = _by_name(db, text, species)
        letter = _GREEK_END.sub(lambda match: match[1][0], genetable.squashed(text))
        if not found and letter != genetable.squashed(text):
            found = _by_name(db, letter, species)
        if len(found) == 1 and found[0].route == "current":
            return found
        return found + _family(db, text, species, {c.gene.id for c in found})


def find_gene(text: str, species: Species = "human") -> Gene:
    """Return the one gene that ``text`` means.

    Raises
    ------
    UnknownTerm
        When no gene has that name; the message carries suggestions.
    BadInput
        When several genes have it; the message names them.

    >>> find_gene("CD8alpha").symbol  # doctest: +SKIP
    'CD8A'
    """
    candidates = resolve_gene(text, species)
    if not candidates:
        near = suggest_genes(text, species)
        hint = f"did you mean {', '.join(near)}?" if near else "give a symbol or an Ensembl id"
        raise UnknownTerm(f"no {species} gene is called {text!r}; {hint}")
    first, *others = candidates
    rivals = [c for c in others if c.route == "family" or c.spelling == first.spelling]
    if rivals:
        offers = ", ".join(f"{c.symbol} ({c.gene.id})" for c in candidates[:8])
        raise BadInput(f"{text!r} may mean several {species} genes: {offers}; name one of them")
    return first.gene


def gene_by_id(id: str) -> Gene | None:
    """Return the gene with this CURIE, or None."""
    with closing(genetable.connection()) as db:
        row = db.execute(f"SELECT {_GENE} FROM gene WHERE id = ?", (id,)).fetchone()
    return Gene(*row) if row else None


def _by_identifier(db: sqlite3.Connection, text: str) -> tuple[Candidate, ...]:
    ensembl = _ENSEMBL.fullmatch(text)
    curie = _CURIE.fullmatch(text)
    if curie and curie[1].upper() in {"HGNC", "MGI"}:
        where, key = "gene.id = ?", f"{curie[1].upper()}:{curie[2]}"
        sql = f"SELECT {_GENE} FROM gene WHERE {where}"
    else:
        if curie and curie[1].upper() == "ENSEMBL":
            ensembl = _ENSEMBL.fullmatch(curie[2])
        if ensembl:
            route, key = "ensembl", ensembl[1].upper()
        elif curie and curie[1].upper() in {"NCBIGENE", "GENEID"}:
            route, key = "entrez", curie[2]
        elif (curie and curie[1].upper().startswith("UNIPROT")) or _UNIPROT.fullmatch(text):
            route, key = "uniprot", (curie[2] if curie else text)
        else:
            return ()
        sql = (
            f"SELECT DISTINCT {_GENE} FROM name JOIN gene ON gene.row = name.gene "
            f"WHERE name.text = ? AND name.route = '{route}' ORDER BY gene.symbol"
        )
    return tuple(Candidate(Gene(*row), "id", key, 1.0) for row in db.execute(sql, (key,)))


def _by_name(db: sqlite3.Connection, text: str, species: Species) -> tuple[Candidate, ...]:
    """Match as written, then with separators unified, then without; each is a weaker reading."""
    best: dict[str, Candidate] = {}
    squashed = genetable.squashed(text)
    if not squashed:
        return ()
    rows = db.execute(
        f"SELECT name.text, name.dashed, name.route, {_GENE} "
        "FROM name JOIN gene ON gene.row = name.gene "
        "WHERE name.squashed = ? AND name.species = ?",
        (squashed, species),
    )
    dashed = genetable.dashed(text)
    for matched, key, route, *gene in rows:
        respelled = 0 if matched == text else 1 if key == dashed else 2
        score = SCORES[route] * RESPELLED**respelled
        candidate = Candidate(Gene(*gene), route, matched, round(score, 4), respelled)
        held = best.get(candidate.gene.id)
        if held is None or held.score < score:
            best[candidate.gene.id] = candidate
    ranked = sorted(best.values(), key=lambda c: (-c.score, c.symbol))
    # A current symbol leaves no doubt, whatever other genes were once called that.
    current = [c for c in ranked if c.route == "current"]
    return tuple(current[:1]) if current else tuple(ranked)


def _family(
    db: sqlite3.Connection, text: str, species: Species, known: set[str]
) -> tuple[Candidate, ...]:
    """Current symbols that are the text and one more letter: CD8 -> CD8A, CD8B."""
    stem = genetable.squashed(text)
    if len(stem) < 3:
        return ()
    rows = db.execute(
        f"SELECT {_GENE} FROM name JOIN gene ON gene.row = name.gene "
        "WHERE name.squashed BETWEEN ? AND ? AND length(name.squashed) = ? "
        "AND name.species = ? AND name.route = 'current' ORDER BY gene.symbol",
        (stem + "a", stem + "z", len(stem) + 1, species),
    )
    members = (Candidate(Gene(*row), "family", text, SCORES["family"]) for row in rows)
    return tuple(c for c in members if c.gene.id not in known)


def suggest_genes(text: str, species: Species = "human", limit: int = 5) -> tuple[str, ...]:
    """Return current symbols that look like ``text``, nearest first, by edit distance."""
    wanted = genetable.squashed(genetable.storable(text))
    if not wanted:
        return ()
    close = (species, len(wanted) - 2, len(wanted) + 2)
    with closing(genetable.connection()) as db:
        span = (wanted[:2], wanted[:2] + "\U0010ffff")
        rows = db.execute(f"{_NEAR} AND name.squashed >= ? AND name.squashed < ?", (*close, *span))
        alike = rows.fetchall()
        # The beginning may be what was mistyped.
        rows = db.execute(f"{_NEAR} AND substr(name.squashed, -2) = ?", (*close, wanted[-2:]))
        found = _nearest(wanted, [*alike, *rows])
    return tuple(found[:limit])


_NEAR = (
    "SELECT DISTINCT name.squashed, name.route, gene.symbol "
    "FROM name JOIN gene ON gene.row = name.gene "
    "WHERE name.species = ? AND length(name.squashed) BETWEEN ? AND ?"
)


def _nearest(wanted: str, rows: Iterable[tuple[str, str, str]]) -> list[str]:
    """Symbols by edit distance of any of their names, own symbols before other names.

    A name that goes on where the text ends is as near as one with a single edit.
    """
    nearest: dict[str, tuple[int, int, str]] = {}
    for key, route, symbol in rows:
        edits = 1 if key.startswith(wanted) else _distance(wanted, key)
        rank = (edits, int(route != "current"), symbol)
        if rank[0] <= max(2, len(wanted) // 3) and rank < nearest.get(symbol, (99, 0, "")):
            nearest[symbol] = rank
    return sorted(nearest, key=nearest.__getitem__)


def _distance(a: str, b: str) -> int:
    """Levenshtein's edit distance."""
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        diagonal, row[0] = row[0], i
        for j, right in enumerate(b, start=1):
            diagonal, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, diagonal + (left != right))
    return row[-1]
