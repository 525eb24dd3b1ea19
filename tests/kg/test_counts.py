"""`kg stats` against the raw files, read here by other means than Celloquy's readers."""

from __future__ import annotations

import csv
import gzip
import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

import networkx
import pytest
import zstandard

from data import sources
from data.markers import TABLE
from kg.embedded import EmbeddedGraph
from kg.terms import (
    DEVELOPS_FROM,
    GENE_DISEASE,
    INTERACTS_WITH,
    IS_A,
    IS_A_OR_PART_OF,
    MARKER_OF,
    NEGATIVELY_REGULATES,
    ORTHOLOGOUS_TO,
    PART_OF,
    POSITIVELY_REGULATES,
    REGULATES,
)

pytestmark = pytest.mark.assets

# Official releases in place of the pinned ones have other shapes, and readers of their own.
PINNED = all(not sources.asset(name).updated for name in ("cl", "go", "gaf-human", "gaf-mouse"))


@pytest.fixture(scope="module")
def graph() -> Iterator[EmbeddedGraph]:
    with EmbeddedGraph.open() as opened:
        yield opened


@pytest.fixture(scope="module")
def counted(graph: EmbeddedGraph) -> Counter[tuple[str, str]]:
    """Terms by ("", source), edges by (predicate, source)."""
    found: Counter[tuple[str, str]] = Counter()
    for one in graph.stats():
        found["" if one.kind == "term" else one.type, one.source] += one.n
    return found


@pytest.mark.parametrize(
    ("asset", "source", "predicates"),
    [
        ("cl", "CL", (IS_A, PART_OF)),
        ("uberon", "UBERON", (IS_A_OR_PART_OF,)),
        ("mondo", "MONDO", (IS_A,)),
    ],
)
def test_ontologies_of_the_cellxgene_guide(
    counted: Counter[tuple[str, str]], asset: str, source: str, predicates: tuple[str, ...]
) -> None:
    with sources.path(asset).open("rb") as stream:
        raw = json.load(zstandard.ZstdDecompressor().stream_reader(stream))
    assert counted["", source] == len(raw)
    stated = sum(
        distance == 1
        for entry in raw.values()
        if not entry["deprecated"]
        for distance in entry["ancestors"].values()
    )
    assert sum(counted[predicate, source] for predicate in predicates) == stated


def stanzas(asset: str) -> Iterator[str]:
    text = sources.path(asset).read_text("utf-8")
    return (block for block in re.split(r"\n(?=\[)", text) if block.startswith("[Term]"))


def test_gene_ontology(counted: Counter[tuple[str, str]]) -> None:
    ids: set[str] = set()
    relations: Counter[str] = Counter()
    for block in stanzas("go"):
        ids.update(re.findall(r"^(?:id|alt_id): (GO:\d+)", block, re.M))
        if "\nis_obsolete: true" not in block:
            relations["is_a"] += len(re.findall(r"^is_a: GO:", block, re.M))
            relations.update(re.findall(r"^relationship: (\S+) GO:", block, re.M))
    assert counted["", "GO"] == len(ids)
    assert {p: n for (p, source), n in counted.items() if source == "GO" and p} == {
        IS_A: relations["is_a"],
        PART_OF: relations["part_of"],
        REGULATES: relations["regulates"],
        NEGATIVELY_REGULATES: relations["negatively_regulates"],
        POSITIVELY_REGULATES: relations["positively_regulates"],
    }


def test_develops_from_of_2014(graph: EmbeddedGraph, counted: Counter[tuple[str, str]]) -> None:
    def active(one: str) -> bool:
        term = graph.term(one)
        return term is not None and not term.obsolete

    stated = {
        (re.search(r"^id: (\S+)", block, re.M)[1], other)  # type: ignore[index]
        for block in stanzas("cl-2014")
        for other in re.findall(r"^relationship: develops_from (CL:\d+)", block, re.M)
        if "\nis_obsolete: true" not in block
    }
    both = {(a, b) for a, b in stated if active(a) and active(b)}
    assert len(stated) == 403
    assert counted[DEVELOPS_FROM, "CL-2014"] == len(both)


def table(asset: str) -> list[dict[str, str]]:
    with sources.path(asset).open(encoding="utf-8", newline="") as stream:
        return list(csv.DictReader(stream, delimiter="\t"))


def test_genes(counted: Counter[tuple[str, str]]) -> None:
    human = table("hgnc")
    assert counted["", "HGNC"] == len({row["HGNC ID"] for row in human})
    assert counted["", "MGI"] == len({row["ID"] for row in table("mgi")})
    approved = [row for row in human if row["Status"] == "Approved"]
    named = {
        (row["HGNC ID"], mouse)
        for row in approved
        for mouse in re.findall(r"MGI:\d+", row["Mouse genome database ID(supplied by MGI)"] or "")
    }
    known = {f"MGI:{row['ID'].removeprefix('MGI:')}" for row in table("mgi")}
    assert counted[ORTHOLOGOUS_TO, "HGNC"] == len([pair for pair in named if pair[1] in known])


def gaf(asset: str) -> Iterator[list[str]]:
    with gzip.open(sources.path(asset), "rt", encoding="utf-8") as stream:
        for line in stream:
            if not line.startswith("!"):
                yield line.rstrip("\n").split("\t")


@pytest.mark.skipif(not PINNED, reason="the annotations were updated past their pin")
def test_human_annotations(graph: EmbeddedGraph, counted: Counter[tuple[str, str]]) -> None:
    """Distinct rows once a protein is its gene: by accession, else by approved symbol.

    The few rows that name their gene by an older symbol are counted apart: they may be new or
    repeat another row.
    """
    current = {
        other: re.search(r"^id: (\S+)", block, re.M)[1]  # type: ignore[index]
        for block in stanzas("go")
        for other in re.findall(r"^alt_id: (\S+)", block, re.M)
    }
    by_accession, by_symbol = defaultdict(set), {}
    for row in table("hgnc"):
        if row["Status"] == "Approved":
            by_symbol[row["Approved symbol"]] = row["HGNC ID"]
            for accession in (row["UniProt ID(supplied by UniProt)"] or "").split(", "):
                by_accession[accession].add(row["HGNC ID"])
    rows = 0
    clear: dict[str, set[tuple[str, ...]]] = defaultdict(set)
    unclear = set()
    for cells in gaf("gaf-human"):
        rows += 1
        found = by_accession.get(cells[1], set())
        gene = next(iter(found)) if len(found) == 1 else by_symbol.get(cells[2])
        pmids = [part for part in cells[5].split("|") if part.startswith("PMID:")]
        said = (cells[8], cells[3], current.get(cells[4], cells[4]), cells[6], *pmids, cells[12])
        if gene:
            clear[gene].add(said)
        else:
            unclear.add((cells[1], *said))
    total = (
        sum(n for (p, source), n in counted.items() if source == "GOA-human" and p)
        - counted[INTERACTS_WITH, "GOA-human"]
    )
    least = sum(map(len, clear.values()))
    assert ("GOA-human", f"GOA-human: {rows} rows read") in graph.notices()
    assert least <= total <= least + len(unclear)
    assert len(unclear) < 0.01 * least
    sample = sorted(clear)[:: len(clear) // 300]
    predicates = [p for p, source in counted if source == "GOA-human" and p != INTERACTS_WITH]
    exact = sum(
        sum(
            edge.source == "GOA-human"
            for edge in graph.edges(gene, direction="out", predicates=[p for p in predicates if p])
        )
        == len(clear[gene])
        for gene in sample
    )
    assert exact >= 0.98 * len(sample)


@pytest.mark.skipif(not PINNED, reason="the annotations were updated past their pin")
def test_mouse_annotations_read_every_row(graph: EmbeddedGraph) -> None:
    rows = sum(1 for _ in gaf("gaf-mouse"))
    assert ("GOA-mouse", f"GOA-mouse: {rows} rows read") in graph.notices()


def test_every_edge_is_counted_joins_known_terms_and_is_in_order(graph: EmbeddedGraph) -> None:
    terms = list(graph.all_terms())
    known = {one.id for one in terms}
    edges: Counter[tuple[str, str, str]] = Counter()
    before = ("", "", "", "", "")
    for one in graph.all_edges():
        edges[one.predicate, one.source, one.release] += 1
        assert one.subject in known
        assert one.object in known
        here = (one.predicate, one.subject, one.object, one.source)
        assert before[:4] <= here
        # Keys are dear: only where they decide.
        key = one.key if before[:4] == here else ""
        assert before[:4] != here or before[4] <= key
        before = (*here, key)
    by_kind = Counter((one.category.value, one.source, one.release) for one in terms)
    stats = graph.stats()
    assert {(c.type, c.source, c.release): c.n for c in stats if c.kind == "term"} == by_kind
    assert {(c.type, c.source, c.release): c.n for c in stats if c.kind == "edge"} == edges


def test_genes_of_diseases(counted: Counter[tuple[str, str]]) -> None:
    """Distinct pairs once each disease record is the one Mondo disease that it stands for."""
    mondo = _guide("mondo")

    def current(number: str) -> str:
        one = f"MONDO:{number}"
        if mondo.get(one, {}).get("deprecated"):
            one = mondo[one].get("replaced_by", "")
        return one if one in mondo and not mondo[one]["deprecated"] else ""

    several: dict[str, set[str]] = defaultdict(set)
    hierarchy = networkx.DiGraph()
    for entry in json.loads(sources.path("mondo-xrefs").read_text(encoding="utf-8")):
        if one := current(entry["id"]):
            hierarchy.add_node(one)
            above = {current(p) for p in entry.get("relations", {}).get("is_a", ())} - {"", one}
            hierarchy.add_edges_from((one, parent) for parent in above)
            for xref in entry.get("xrefs", ()):
                prefix = xref["namespace"].replace("Orphanet", "ORPHA")
                several[f"{prefix}:{xref['id']}"].add(one)
    forms = {one for name, found in several.items() if name.startswith("OMIM:") for one in found}
    diseases: dict[str, set[str]] = defaultdict(set)
    for name, found in several.items():
        if len(found) > 1:
            found = {d for d in found if not found & networkx.descendants(hierarchy, d)}
        if len(found) > 1:
            found = found - forms
        diseases[name] = found if len(found) == 1 else set()
    approved = [row for row in table("hgnc") if row["Status"] == "Approved"]
    by_entrez = {row["NCBI Gene ID(supplied by NCBI)"]: row["HGNC ID"] for row in approved}
    by_symbol = {row["Approved symbol"]: row["HGNC ID"] for row in approved}
    pairs = set()
    for row in table("hpo-genes"):
        gene = by_entrez.get(row["ncbi_gene_id"]) or by_symbol.get(row["gene_symbol"])
        if gene:
            pairs |= {(gene, disease) for disease in diseases[row["disease_id"]]}
    assert counted[GENE_DISEASE, "HPO"] == len(pairs)


def test_markers(counted: Counter[tuple[str, str]]) -> None:
    """Distinct facts a species and sources; a few name their gene by an older symbol."""
    lines = [one for one in TABLE.read_text(encoding="utf-8").splitlines() if one[:1] != "#"]
    cells = {one for one, entry in _guide("cl").items() if not entry["deprecated"]}
    current = {
        "human": {row["Approved symbol"] for row in table("hgnc") if row["Status"] == "Approved"},
        "mouse": {row["symbol"] for row in table("mgi")},
    }
    facts, clear = set(), set()
    for row in csv.DictReader(lines, delimiter="\t"):
        for species, column in (("human", "gene"), ("mouse", "mouse_gene")):
            if species in row["species"] and row[column] and row["cl_id"] in cells:
                fact = (species, row[column], row["cl_id"], row["sign"], row["sources"])
                facts.add(fact)
                if row[column] in current[species]:
                    clear.add(fact)
    assert len(clear) <= counted[MARKER_OF, "celloquy-markers"] <= len(facts)
    assert len(clear) > 0.99 * len(facts)


def _guide(asset: str) -> dict[str, dict[str, Any]]:
    with sources.path(asset).open("rb") as stream:
        found: dict[str, dict[str, Any]] = json.load(
            zstandard.ZstdDecompressor().stream_reader(stream)
        )
    return found
