"""The script of the marker table: what is merged, what is passed over."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from data.markers import read_markers
from training.annotation import marker_table
from training.annotation.marker_table import ALLOWED, LONG_LIST, Row, Symbols, consolidate

B, T, DC = "CL:0000236", "CL:0000084", "CL:0000451"
ACTIVE = {B, T, DC}


class Names(Symbols):
    """Symbols without the gene table: upper case is human, anything with an x is unknown."""

    def __init__(self) -> None:
        self._human_of: dict[str, str] = {}
        self._mouse_of: dict[str, str] = {}

    def human(self, text: str, species: str) -> str | None:  # type: ignore[override]
        return None if "x" in text else text.upper()


def row(source: str, cl_id: str, gene: str, positive: bool = True, tissue: str = "") -> Row:
    return Row(source, cl_id, gene, positive, "human", tissue)


def merge(
    rows: list[Row], excluded: set[tuple[str, str]] | None = None
) -> dict[tuple[str, str, bool], set[str]]:
    facts, _ = consolidate(rows, active=ACTIVE, excluded=excluded or set(), symbols=Names())
    return {key: set(fact.tissues) for key, fact in facts.items()}


def test_equal_facts_merge_and_sources_are_counted() -> None:
    rows = [row("ASCT+B", B, "MS4A1", tissue="u1"), row("pegasus", B, "Ms4a1"),
            row("ASCT+B", B, "MS4A1", tissue="u2")]  # fmt: skip
    facts, passed = consolidate(rows, active=ACTIVE, excluded=set(), symbols=Names())
    assert set(facts) == {(B, "MS4A1", True)}
    assert facts[B, "MS4A1", True].tissues == {"ASCT+B": {"u1", "u2"}, "pegasus": {""}}
    assert not passed


def test_unknown_genes_old_types_and_excluded_lists_are_passed_over_and_counted() -> None:
    rows = [row("pegasus", B, "xyz"), row("pegasus", "CL:9999999", "MS4A1"),
            row("ASCT+B", T, "CD3E"), row("pegasus", T, "CD3E")]  # fmt: skip
    facts, passed = consolidate(
        rows, active=ACTIVE, excluded={(T, "ASCT+B"), (B, "*")}, symbols=Names()
    )
    assert {key: set(f.tissues) for key, f in facts.items()} == {(T, "CD3E", True): {"pegasus"}}
    assert sum(passed.values()) == 3


def test_the_species_twin_of_a_type_is_the_type() -> None:
    assert merge([row("pegasus", "CL:0001056", "CD1C")]) == {(DC, "CD1C", True): {"pegasus"}}


def test_the_hand_made_sign_wins_then_the_number_of_sources_then_the_positive() -> None:
    by_hand = [row("celloquy-curated", B, "CD3D", False), row("ASCT+B", B, "CD3D"),
               row("pegasus", B, "CD3D")]  # fmt: skip
    assert set(merge(by_hand)) == {(B, "CD3D", False)}
    more = [
        row("axiom", B, "CD14", False),
        row("pegasus", B, "CD14", False),
        row("ASCT+B", B, "CD14"),
    ]
    assert set(merge(more)) == {(B, "CD14", False)}
    assert set(merge(more[1:])) == {(B, "CD14", True)}


def test_a_long_list_keeps_only_what_is_confirmed() -> None:
    rows = [row("CellMarker2.0", T, f"G{i}", tissue="u1") for i in range(LONG_LIST + 1)]
    rows += [row("CellMarker2.0", T, "G0", tissue="u2"), row("pegasus", T, "G1")]
    assert set(merge(rows)) == {(T, "G0", True), (T, "G1", True)}
    assert len(merge(rows[:LONG_LIST])) == LONG_LIST


def test_only_allowed_resources_of_the_accordion_are_read(tmp_path: Path) -> None:
    head = "species\tCL_ID\tCL_celltype\tUberon_ID\tmarker\tmarker_type\tresource\tECs_global\n"
    lines = [f"Human\t{B}\tB cell\tUBERON:1\tMS4A1\tpositive\t{r}\t9\n"
             for r in ("Azimuth", "CELLxGENE", "PanglaoDB", "MSigDB", "ASCT+B")]  # fmt: skip
    path = tmp_path / "a.tsv.gz"
    path.write_bytes(gzip.compress((head + "".join(lines)).encode()))
    assert [found.source for found in marker_table.accordion(path)] == ["ASCT+B"]


def test_a_tissue_rests_on_two_sources_or_several_genes(tmp_path: Path) -> None:
    many = [row("ASCT+B", T, f"G{i}", tissue="UBERON:0000001") for i in range(2)]
    few = [row("ASCT+B", T, "G0", tissue="UBERON:0000002"),
           row("ASCT+B", T, "G1", tissue="UBERON:0000003"),
           row("CellMarker2.0", T, "G2", tissue="UBERON:0000003"),
           row("ASCT+B", B, "MS4A1", tissue="UBERON:0000002"),
           row("ASCT+B", B, "CD19", tissue="UBERON:0000479")]  # fmt: skip
    path = tmp_path / "t.tsv"
    assert marker_table.write_tissues(path, [*many, *few], ACTIVE) == 3
    pairs = [line.split("\t")[:2] for line in path.read_text("utf-8").splitlines()[2:]]
    assert pairs == [[T, "UBERON:0000001"], [T, "UBERON:0000003"], [B, "UBERON:0000002"]]


def test_nested_pegasus_lists_and_axiom_rules(tmp_path: Path) -> None:
    inner = {"cell_types": [{"name": "B", "markers": [{"genes": ["CD19+"]}]}]}
    outer = {"name": "T", "markers": [{"genes": ["CD3D+", "MS4A1-"]}], "subtypes": inner}
    nested = {"cell_types": [outer]}
    path = tmp_path / "p.json"
    path.write_text(json.dumps(nested), encoding="utf-8")
    names = {("pegasus", "T"): T, ("pegasus", "B"): B, ("axiom", "B"): B}
    found = [(r.cl_id, r.gene, r.positive) for r in marker_table.pegasus([path], names)]
    assert found == [(T, "CD3D", True), (T, "MS4A1", False), (B, "CD19", True)]
    rules = [
        {"cell_type": "B", "rule_type": kind, "evidence_source": evidence, "status": status,
         "gene_or_regulon": [gene]}
        for kind, evidence, status, gene in (
            ("positive", "marker_genes", "ACTIVE", "CD19"),
            ("negative", "marker_genes", "ACTIVE", "CD3E"),
            ("negative", "regulon", "ACTIVE", "TBX21"),
            ("positive", "marker_genes", "RETIRED", "CD5"),
        )
    ]  # fmt: skip
    path.write_text(json.dumps(rules), encoding="utf-8")
    found = [(r.cl_id, r.gene, r.positive) for r in marker_table.axiom(path, names)]
    assert found == [(B, "CD19", True), (B, "CD3E", False)]


@pytest.mark.shared
@pytest.mark.assets
def test_the_shipped_table_is_what_the_script_makes(shared_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "markers.tsv"
    marker_table.main(
        ["--accordion", str(shared_data / "markers" / "accordion_markers_cl.tsv.gz"),
         "--output", str(out), "--tissues", str(tmp_path / "tissues.tsv")]
    )  # fmt: skip
    assert read_markers(table=out) == read_markers()
    assert {s for m in read_markers(table=out) for s in m.sources} == {a.source for a in ALLOWED}
