"""GO annotations of genes, and protein pairs, from Gene Annotation Files (GAF 2.1 and 2.2).

One row is one edge: gene, predicate by aspect and qualifier, GO term, evidence code, PMIDs, taxon.
``NOT`` rows become edges with ``negated=True`` and are nothing else than that. A row's PubMed ids
are taken as they stand; other references (``GO_REF``) are no publications and are left out.

* Subjects are genes: by UniProt accession, then by the symbol in the file; a protein whose gene is
  not in the table stays as a term of its own, ``UniProtKB:``.
* Alternative GO ids are followed to the current one. An annotation to an obsolete GO term keeps
  it and carries the qualifier :data:`OBSOLETE`: it is not to be cited as current.
* ``IPI`` rows name the interaction partner in the *with* column: each gives an edge
  ``molecularly interacts with`` between the two genes, with the row's PMIDs. The relation is
  symmetric: the lesser id is the subject.

Format: https://geneontology.org/docs/go-annotation-file-gaf-format-2.2/. Not read: annotation
extensions, the date and the group of each row, what else stands in the *with* column.
"""

from __future__ import annotations

import gzip
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from data.errors import BadFile
from kg import terms as t
from kg.readers.gene_tables import GeneIndex
from kg.readers.source import Loaded
from kg.terms import ECO, Category, Curie, Edge, Release, Term

__all__ = ["OBSOLETE", "read_gaf"]

OBSOLETE = "obsolete_term"
"""Qualifier of an annotation whose GO term the loaded GO release has made obsolete."""

_COLUMNS = (15, 16, 17)  # the last two are optional
_ASPECTS: Mapping[str, Curie] = {"P": t.INVOLVED_IN, "F": t.ENABLES, "C": t.LOCATED_IN}
_RELATIONS: Mapping[str, Curie | None] = {
    "contributes_to": t.CONTRIBUTES_TO,
    "colocalizes_with": t.COLOCALIZES_WITH,
    # GAF 2.2 always names the relation.
    "enables": t.ENABLES,
    "involved_in": t.INVOLVED_IN,
    "located_in": t.LOCATED_IN,
    # What is part of a complex, or active in a place, is located in it (Smith et al. 2005,
    # doi:10.1186/gb-2005-6-5-r46); the qualifier keeps the narrower word.
    "part_of": t.LOCATED_IN,
    "is_active_in": t.LOCATED_IN,
    # Outside the closed table: said to act around the process, not in it.
    "acts_upstream_of": None,
    "acts_upstream_of_positive_effect": None,
    "acts_upstream_of_negative_effect": None,
    "acts_upstream_of_or_within": None,
    "acts_upstream_of_or_within_positive_effect": None,
    "acts_upstream_of_or_within_negative_effect": None,
}
_PLAIN = frozenset({"enables", "involved_in", "located_in"})
_PMID = re.compile(r"PMID:\d+")
_TAXON = re.compile(r"taxon:(\d+)(?:\|taxon:\d+)?")
_PROTEIN = re.compile(r"UniProtKB:([A-Z0-9]+)")
_GENERATED = re.compile(r"!\s*(?:date-)?generated:?\s*(\d{4}-\d{2}-\d{2})", re.IGNORECASE)


def read_gaf(path: Path, release: Release, genes: GeneIndex, go: Mapping[Curie, Term]) -> Loaded:
    """Read one file, plain or gzipped.

    Parameters
    ----------
    path
        GAF 2.1 or 2.2.
    release
        The source; version and date are the file's own where its header says when it was
        generated.
    genes
        Of the file's species.
    go
        The terms of the loaded GO release by id, obsolete and alternative ones included.

    Raises
    ------
    BadFile
        With the line number, when a row is malformed.
    """
    return _Reading(path, release, genes, go).loaded()


@dataclass
class _Reading:
    """One file on its way from rows to edges."""

    path: Path
    release: Release
    genes: GeneIndex
    go: Mapping[Curie, Term]
    number: int = 0
    rows: int = 0
    subjects: dict[tuple[str, str], Curie] = field(default_factory=dict)
    proteins: dict[Curie, Term] = field(default_factory=dict)
    accessions: dict[str, Curie] = field(default_factory=dict)
    pairs: list[tuple[Edge, str]] = field(default_factory=list)
    publications: dict[str, tuple[str, ...]] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)

    def loaded(self) -> Loaded:
        rows = (edge for cells in self._cells() for edge in self._edges(cells))
        edges = self._once(rows, "rows that differ only in what is not read")
        edges |= self._once(self._interactions(), "repeated interactions")
        if not self.rows:
            raise BadFile(f"{self.path.name} holds no annotations; expected a GAF file")
        notices = [f"{self.release.source}: {self.rows} rows read"]
        notices += [f"{self.release.source}: {n} {what}" for what, n in self.counts.items()]
        return Loaded(self.release, tuple(self.proteins.values()), tuple(edges), tuple(notices))

    def _once(self, stated: Iterable[Edge], what: str) -> dict[Edge, None]:
        edges: dict[Edge, None] = {}
        repeated = 0
        for edge in stated:
            repeated += edge in edges
            edges[edge] = None
        if repeated:
            self.counts[f"{what}, made one"] = repeated
        return edges

    def _cells(self) -> Iterator[list[str]]:
        try:
            with self.path.open("rb") as raw:
                zipped = raw.read(2) == b"\x1f\x8b"
            opener = gzip.open if zipped else open
            with opener(self.path, "rt", encoding="utf-8", newline="\n") as file:
                for self.number, line in enumerate(file, 1):
                    if line.startswith("!"):
                        self._header(line)
                    elif line.strip():
                        self.rows += 1
                        cells = line.rstrip("\r\n").split("\t")
                        if len(cells) not in _COLUMNS:
                            raise self._fail(f"{len(cells)} columns", "15 to 17, tab-separated")
                        yield cells
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise BadFile(f"{self.path.name}, after line {self.number}: {error}") from error

    def _header(self, line: str) -> None:
        version = re.match(r"!\s*gaf-version:\s*(\S+)", line)
        if version and version[1] not in ("2.0", "2.1", "2.2"):
            raise self._fail(f"gaf-version {version[1]}", "2.0, 2.1 or 2.2")
        generated = _GENERATED.match(line)
        if generated:
            self.release = replace(self.release, version=generated[1], date=generated[1])

    def _fail(self, found: str, expected: str) -> BadFile:
        return BadFile(f"{self.path.name}, line {self.number}: {found}; expected {expected}")

    def _edges(self, cells: list[str]) -> Iterator[Edge]:
        database, accession, symbol, qualifier, go_id, reference, code, others, aspect = cells[:9]
        taxon = _TAXON.fullmatch(cells[12])
        if taxon is None:
            raise self._fail(f"taxon {cells[12]!r}", "taxon:NUMBER")
        if code not in ECO:
            raise self._fail(f"evidence code {code!r}", "a code of the GO Consortium")
        words = qualifier.split("|") if qualifier else []
        negated = "NOT" in words
        predicate, relation = self._relation(words, aspect)
        if predicate is None:
            self.counts[f"rows with the relation {relation}, not loaded"] += 1
            return
        obsolete, go_id = self._current(go_id)
        edge = Edge(
            subject=self._subject(database, accession, symbol, f"NCBITaxon:{taxon[1]}"),
            predicate=predicate,
            object=go_id,
            source=self.release.source,
            release=self.release.version,
            evidence_code=code,
            publications=self._pmids(reference),
            negated=negated,
            qualifiers=(*(() if relation in _PLAIN | {""} else (relation,)), *obsolete),
            taxon=f"NCBITaxon:{taxon[1]}",
        )
        yield edge
        if code == "IPI":
            partners = dict.fromkeys(_PROTEIN.findall(others))
            self.pairs.extend((edge, partner) for partner in partners)

    def _relation(self, words: Iterable[str], aspect: str) -> tuple[Curie | None, str]:
        named = [word for word in words if word != "NOT"]
        if aspect not in _ASPECTS:
            raise self._fail(f"aspect {aspect!r}", "P, F or C")
        if len(named) > 1 or (named and named[0].lower() not in _RELATIONS):
            raise self._fail(f"qualifier {'|'.join(named)!r}", "a relation of GAF 2.2")
        if not named:
            return _ASPECTS[aspect], ""
        return _RELATIONS[named[0].lower()], named[0].lower()

    def _current(self, go_id: str) -> tuple[tuple[str, ...], Curie]:
        term = self.go.get(go_id)
        if term is None:
            self.counts["rows with a GO id that the loaded GO release lacks, kept"] += 1
            return (), go_id
        if not term.obsolete:
            return (), term.id
        if self._alternative(term):
            assert term.replaced_by is not None
            self.counts["rows with an alternative GO id, followed to the current one"] += 1
            return (), term.replaced_by
        self.counts[f"rows with an obsolete GO term, kept and marked {OBSOLETE}"] += 1
        return (OBSOLETE,), term.id

    def _alternative(self, term: Term) -> bool:
        """Whether a merged id, which has its successor's name and no definition of its own."""
        successor = self.go.get(term.replaced_by or "")
        return successor is not None and successor.label == term.label and not term.definition

    def _subject(self, database: str, accession: str, symbol: str, taxon: Curie) -> Curie:
        known = self.subjects.get((accession, symbol))
        if known:
            return known
        found = self.genes.by_xref(f"{database}:{accession}")
        named = self.genes.by_name(symbol)
        if len(found) == 1:
            gene = found[0]
        elif named and (named in found or not found):
            gene = named
        else:
            gene = accession if accession.startswith(f"{database}:") else f"{database}:{accession}"
            self.counts["proteins whose gene is not in the gene table, kept as they are"] += 1
            self.proteins[gene] = Term(
                gene,
                symbol,
                Category.GENE,
                self.release.source,
                self.release.version,
                taxon=taxon,
            )
        self.subjects[accession, symbol] = gene
        if database == "UniProtKB":
            self.accessions[accession] = gene
        return gene

    def _pmids(self, reference: str) -> tuple[str, ...]:
        known = self.publications.get(reference)
        if known is None:
            known = self.publications[reference] = tuple(
                dict.fromkeys(part for part in reference.split("|") if _PMID.fullmatch(part))
            )
        return known

    def _interactions(self) -> Iterator[Edge]:
        """Pairs of genes; only after all rows is it known which gene each protein is of."""
        for row, accession in self.pairs:
            partner = self.accessions.get(accession)
            if partner is None:
                found = self.genes.by_xref(f"UniProtKB:{accession}")
                partner = found[0] if len(found) == 1 else None
            if partner is None:
                self.counts["interaction partners of no single known gene, not loaded"] += 1
            elif not row.publications:
                self.counts["interactions without a PMID, not loaded"] += 1
            elif partner == row.subject:
                self.counts["interactions of a protein with itself, not loaded"] += 1
            else:
                left, right = sorted((row.subject, partner))
                yield replace(
                    row, subject=left, predicate=t.INTERACTS_WITH, object=right, qualifiers=()
                )
