"""Makes data/markers.tsv: one table of marker facts from collections whose terms permit it.

``python -m training.annotation.marker_table --accordion FILE`` reads the allowed collections,
brings every gene to its current human symbol and every type to an active Cell Ontology id, merges
equal facts and counts the collections that state them. Nothing but facts is kept: type, gene, sign,
species, sources. What is passed over is counted and printed.

:data:`ALLOWED` names each source with its licence and reference. Left out of the Cell Marker
Accordion (Busarello et al. 2025, doi:10.1038/s41467-025-60900-4), and why:

* computed from datasets that Celloquy is scored on, or that may hold them: Azimuth, CELLxGENE,
  HUSCH, Human Cell Landscape, CellMatch (Mouse Cell Atlas), MSigDB (C8 holds the lung and pancreas
  studies behind Azimuth, M8 is Tabula Muris Senis, and the rows do not say which set they are from)
* terms that forbid redistribution or commercial use, or copyleft: PanglaoDB, Cell Taxonomy
  (academic use), ScType (GPL-3), the posters of Abcam, BD, Cell Signaling and ThermoFisher
* terms not stated: CellTypist's encyclopedia, DRscDB, DropViz, Human Cell Atlas list,
  NeuroExpresso, scBrainMap, SHOGoiN
"""

from __future__ import annotations

import argparse
import csv
import gzip
import json
import sys
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from data import genes, genetable, sources
from data.errors import BadFile
from data.markers import COLUMNS, TABLE, Provenance

__all__ = ["ALLOWED", "Fact", "consolidate", "main"]

ALLOWED = (
    Provenance(
        "ASCT+B",
        "CC BY 4.0",
        "Human Reference Atlas ASCT+B tables, Boerner et al. 2021, doi:10.1038/s41556-021-00788-6",
    ),
    Provenance(
        "CellMarker2.0",
        "CC BY 4.0, as axiom-sc 0.2.6 (Apache-2.0) states it; not verified at the source",
        "Hu et al. 2023, doi:10.1093/nar/gkac947",
    ),
    Provenance(
        "SingleCellBase",
        "CC0 1.0 for data of the article (BMC), CC BY 4.0 for the article",
        "Meng et al. 2023, doi:10.1186/s40364-023-00523-3",
    ),
    Provenance(
        "pegasus",
        "BSD-3-Clause",
        "pegasuspy 1.10.2 annotate_cluster, Li et al. 2020, doi:10.1038/s41592-020-0905-x",
    ),
    Provenance(
        "axiom", "Apache-2.0", "axiom-sc 0.2.6 rules 0.2.0; not independent of CellMarker2.0"
    ),
    Provenance("celloquy-curated", "Apache-2.0", "data/markers_curated.tsv"),
)
"""Every source of the table, with its licence and one reference."""

LONG_LIST = 150
"""A collection's list for one type longer than this is a table of differential expression.

Of such a list only genes that a second tissue or a second collection confirms are kept: one
collection gives natural killer cells 4,836 genes, where the median type has 8.
"""

NO_TISSUE = {"UBERON:0005408", "UBERON:0000479", "UBERON:0000062", "UBERON:0000468"}
"""Ids that stand for "any": tissue, organ, organism, and circumventricular organ, to which the
accordion maps entries of a hundred types of every organ."""

TISSUE_GENES = 2
"""Genes that one collection must name for a type of a tissue to place it there."""

SPECIES_TWINS = {"CL:0001056": "CL:0000451"}
"""Terms that repeat another for one species (dendritic cell, human): species is a column here."""


@dataclass
class Fact:
    """One fact while it is put together: the tissues a source reports it from, the species."""

    tissues: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    species: set[str] = field(default_factory=set)


@dataclass(frozen=True)
class Row:
    """A row of a collection as read: nothing resolved yet."""

    source: str
    cl_id: str
    gene: str
    positive: bool
    species: genes.Species
    tissue: str = ""


class Symbols:
    """Current human symbols of whatever a collection writes, looked up once each."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, str], str | None] = {}
        pairs = genetable.connection().execute(
            "SELECT m.symbol, h.symbol FROM orthologue o JOIN gene m ON m.row = o.mouse "
            "JOIN gene h ON h.row = o.human ORDER BY o.curated, o.support, h.symbol, m.symbol"
        )
        # Best supported last, so that it stays.
        self._human_of: dict[str, str] = {}
        self._mouse_of: dict[str, str] = {}
        for mouse, human in pairs:
            self._human_of[mouse], self._mouse_of[human] = human, mouse

    def human(self, text: str, species: genes.Species) -> str | None:
        """The one current human symbol, through the orthologue for mouse; None if none is sure."""
        key = (text, species)
        if key not in self._known:
            self._known[key] = self._find(text, species)
        return self._known[key]

    def mouse(self, symbol: str) -> str:
        """The symbol of the best supported mouse orthologue; "" if there is none."""
        return self._mouse_of.get(symbol, "")

    def _find(self, text: str, species: genes.Species) -> str | None:
        found = genes.resolve_gene(text.strip(), species)
        best = [c for c in found if c.score == found[0].score]
        if len(best) != 1 or best[0].route == "family":
            return None
        if species == "human":
            return best[0].symbol
        return self._human_of.get(best[0].symbol)


def accordion(path: Path) -> Iterator[Row]:
    """Rows of the allowed resources of the Cell Marker Accordion's table."""
    allowed = {"ASCT+B", "CellMarker2.0", "SingleCellBase"}
    with gzip.open(path, "rt", encoding="utf-8", newline="") as handle:
        for row in csv.DictReader(handle, delimiter="\t"):
            if row["resource"] in allowed:
                yield Row(
                    source=row["resource"],
                    cl_id=row["CL_ID"],
                    gene=row["marker"],
                    positive=row["marker_type"] == "positive",
                    species="mouse" if row["species"] == "Mouse" else "human",
                    tissue=row["Uberon_ID"] or "",
                )


def pegasus(paths: Iterable[Path], names: Mapping[tuple[str, str], str]) -> Iterator[Row]:
    """Rows of pegasus's nested JSON lists; a gene is written with its sign, as ``CD3D+``."""

    def walk(types: list[dict[str, Any]]) -> Iterator[Row]:
        for entry in types:
            cl_id = names.get(("pegasus", entry["name"]))
            for signed in (g for group in entry["markers"] for g in group["genes"]):
                if cl_id:
                    yield Row("pegasus", cl_id, signed[:-1], signed.endswith("+"), "human")
            yield from walk(entry.get("subtypes", {}).get("cell_types", []))

    for path in paths:
        yield from walk(json.loads(path.read_text(encoding="utf-8"))["cell_types"])


def axiom(path: Path, names: Mapping[tuple[str, str], str]) -> Iterator[Row]:
    """Rows of axiom's rules: a negative rule's genes contradict the type however it is worded."""
    for rule in json.loads(path.read_text(encoding="utf-8")):
        cl_id = names.get(("axiom", rule["cell_type"]))
        regulon = rule["evidence_source"] == "regulon"
        if (
            cl_id
            and rule["status"] == "ACTIVE"
            and not (regulon and rule["rule_type"] != "positive")
        ):
            for gene in rule["gene_or_regulon"]:
                yield Row("axiom", cl_id, gene, rule["rule_type"] != "negative", "human")


def curated(path: Path) -> Iterator[Row]:
    """Rows of the table made by hand."""
    for line in _table(path):
        for column, positive in (("positive", True), ("negative", False)):
            for gene in line[column].split():
                yield Row("celloquy-curated", line["cl_id"], gene, positive, "human")


def consolidate(
    rows: Iterable[Row], *, active: set[str], excluded: set[tuple[str, str]], symbols: Symbols
) -> tuple[dict[tuple[str, str, bool], Fact], Counter[str]]:
    """Merge rows into facts keyed by (CL id, gene, positive); count what is passed over.

    A gene that sources call both positive and negative for a type is kept with the sign of the
    table made by hand, else with the one that more of them give, positive on a tie.
    """
    facts: dict[tuple[str, str, bool], Fact] = defaultdict(Fact)
    passed: Counter[str] = Counter()
    for row in rows:
        cl_id = SPECIES_TWINS.get(row.cl_id, row.cl_id)
        gene = symbols.human(row.gene, row.species)
        if cl_id not in active:
            passed["type not an active CL term"] += 1
        elif {(row.cl_id, row.source), (row.cl_id, "*")} & excluded:
            passed["list excluded after reading it"] += 1
        elif gene is None:
            passed[f"no sure human gene for a {row.species} symbol"] += 1
        else:
            fact = facts[cl_id, gene, row.positive]
            fact.tissues[row.source].add(row.tissue)
            fact.species.add(row.species)
    _drop_contradicted(facts, passed)
    _drop_unconfirmed(facts, passed)
    return dict(facts), passed


def _drop_contradicted(facts: dict[tuple[str, str, bool], Fact], passed: Counter[str]) -> None:
    def word(key: tuple[str, str, bool]) -> tuple[bool, int]:
        return "celloquy-curated" in facts[key].tissues, len(facts[key].tissues)

    for cl_id, gene, positive in list(facts):
        key, twin = (cl_id, gene, True), (cl_id, gene, False)
        if positive and twin in facts:
            del facts[key if word(twin) > word(key) else twin]
            passed["sign contradicted, by hand or by more sources"] += 1


def _drop_unconfirmed(facts: dict[tuple[str, str, bool], Fact], passed: Counter[str]) -> None:
    sizes = Counter((key[0], source) for key, fact in facts.items() for source in fact.tissues)
    for key, fact in list(facts.items()):
        confirmed = len(fact.tissues) > 1 or max(map(len, fact.tissues.values())) > 1
        (source, *_) = fact.tissues
        if not confirmed and sizes[key[0], source] > LONG_LIST:
            del facts[key]
            passed[f"unconfirmed gene of a list longer than {LONG_LIST}"] += 1


def write(path: Path, facts: Mapping[tuple[str, str, bool], Fact], symbols: Symbols) -> None:
    """Write the table, sorted, with the sources' licences in its header."""
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write(
            "# Marker facts; made by `python -m training.annotation.marker_table`.\n"
            "# Source | licence | reference:\n"
        )
        for entry in ALLOWED:
            handle.write(f"# {entry.source} | {entry.licence} | {entry.reference}\n")
        out = csv.writer(handle, delimiter="\t", lineterminator="\n")
        out.writerow(COLUMNS)
        for (cl_id, gene, positive), fact in sorted(facts.items()):
            out.writerow(
                [
                    cl_id,
                    gene,
                    symbols.mouse(gene),
                    "+" if positive else "-",
                    ";".join(sorted(fact.species)),
                    max(len(tissues) for tissues in fact.tissues.values()),
                    ";".join(sorted(fact.tissues)),
                ]
            )


def write_tissues(path: Path, rows: Iterable[Row], active: set[str]) -> int:
    """Write which types the collections report from which tissue; returns the number of facts.

    A pair is kept when two collections state it, when one gives at least :data:`TISSUE_GENES`
    genes for it, or when no other tissue of the type fares better: one gene alone is often that of
    a cell that passed by.
    """
    seen: dict[str, dict[str, dict[str, set[str]]]] = defaultdict(
        lambda: defaultdict(lambda: defaultdict(set))
    )
    for row in rows:
        cl_id = SPECIES_TWINS.get(row.cl_id, row.cl_id)
        if row.tissue.startswith("UBERON:") and row.tissue not in NO_TISSUE and cl_id in active:
            seen[cl_id][row.tissue][row.source].add(row.gene)
    kept = []
    for cl_id, tissues in seen.items():
        most = {t: max(len(genes) for genes in some.values()) for t, some in tissues.items()}
        floor = min(TISSUE_GENES, max(most.values()))
        for tissue, some in tissues.items():
            if len(some) > 1 or most[tissue] >= floor:
                kept.append([cl_id, tissue, ";".join(sorted(some))])
    with path.open("w", encoding="utf-8", newline="") as handle:
        handle.write("# Types and the tissues they are reported from; sources as in markers.tsv.\n")
        out = csv.writer(handle, delimiter="\t", lineterminator="\n")
        out.writerow(["cl_id", "uberon_id", "sources"])
        out.writerows(sorted(kept))
    return len(kept)


def main(arguments: list[str] | None = None) -> int:
    """Make the table; prints counts to stderr."""
    parser = argparse.ArgumentParser(
        prog="python -m training.annotation.marker_table", description=__doc__
    )
    parser.add_argument("--accordion", type=Path, required=True, help="accordion_markers_cl.tsv.gz")
    parser.add_argument("--output", type=Path, default=TABLE)
    parser.add_argument("--tissues", type=Path, default=TABLE.with_name("tissues.tsv"))
    options = parser.parse_args(arguments)
    here = TABLE.parent
    maps = _table(here / "label_maps" / "marker_sources.tsv")
    names = {(row["source"], row["name"]): row["cl_id"] for row in maps}
    rows = [
        *accordion(options.accordion),
        *pegasus([sources.path(f"pegasus-{k}") for k in ("immune", "lung", "brain")], names),
        *axiom(sources.path("axiom"), names),
        *curated(here / "markers_curated.tsv"),
    ]
    excluded = {(row["cl_id"], row["source"]) for row in _table(here / "markers_excluded.tsv")}
    symbols = Symbols()
    active = _active_cl()
    facts, passed = consolidate(rows, active=active, excluded=excluded, symbols=symbols)
    write(options.output, facts, symbols)
    places = write_tissues(options.tissues, rows, active)
    types = {cl_id for cl_id, _, _ in facts}
    sys.stderr.write(f"{len(facts)} facts of {len(types)} types from {len(rows)} rows\n")
    sys.stderr.write(f"{places} pairs of a type and a tissue\n")
    for reason, n in passed.most_common():
        sys.stderr.write(f"passed over {n}: {reason}\n")
    return 0


def _active_cl() -> set[str]:
    from kg.readers.cellxgene import read_cellxgene

    loaded = read_cellxgene(sources.path("cl"))
    return {term.id for term in loaded.terms if term.id.startswith("CL:") and not term.obsolete}


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    rows = list(csv.DictReader(lines, delimiter="\t"))
    if any(None in row.values() for row in rows):
        raise BadFile(f"{path}: a line has fewer columns than the header")
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
