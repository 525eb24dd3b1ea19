"""The marker table: its reader, and what the shipped facts promise."""

from __future__ import annotations

import csv
from collections import defaultdict
from pathlib import Path

import pytest

from data.errors import BadFile
from data.markers import TABLE, Marker, provenance, read_markers


def test_a_user_table_needs_two_columns_and_comes_after_the_shipped_one(tmp_path: Path) -> None:
    own = tmp_path / "mine.tsv"
    own.write_text("# my notes\ncl_id\tgene\nCL:0000236\tMS4A1\n", encoding="utf-8")
    markers = read_markers([own])
    assert markers[-1] == Marker("CL:0000236", "MS4A1", True, ("mine",))
    assert len(markers) == len(read_markers()) + 1


def test_signs_sources_and_contexts_are_read(tmp_path: Path) -> None:
    own = tmp_path / "mine.tsv"
    own.write_text(
        "cl_id\tgene\tsign\tsources\tcontexts\nCL:0000084\tMS4A1\t-\tlab;atlas\t3\n", "utf-8"
    )
    (marker,) = read_markers(table=own)
    assert (marker.positive, marker.sources, marker.contexts) == (False, ("lab", "atlas"), 3)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("gene\nMS4A1\n", "no column cl_id"),
        ("cl_id\tgene\nB cell\tMS4A1\n", "line 2"),
        ("# note\ncl_id\tgene\nCL:0000236\t\n", "line 3"),
        ("cl_id\tgene\tsign\nCL:0000236\tMS4A1\tyes\n", "'yes'"),
        ("", "no column"),
    ],
)
def test_a_table_that_cannot_be_used_is_refused_in_one_line(
    tmp_path: Path, text: str, said: str
) -> None:
    own = tmp_path / "bad.tsv"
    own.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=said) as caught:
        read_markers(table=own)
    assert "\n" not in str(caught.value)


def test_a_missing_table_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match=r"nowhere\.tsv cannot be read"):
        read_markers(table=tmp_path / "nowhere.tsv")


def test_the_shipped_table_covers_five_hundred_types_and_stays_small() -> None:
    types = {m.cl_id for m in read_markers() if m.positive}
    assert len(types) >= 500
    assert TABLE.stat().st_size < 2_000_000


def test_every_source_has_a_licence_and_a_reference_and_none_is_forbidden() -> None:
    named = {entry.source: entry for entry in provenance()}
    used = {source for m in read_markers() for source in m.sources}
    assert used == set(named)
    assert all(entry.licence and entry.reference for entry in named.values())
    assert not used & {"Azimuth", "CELLxGENE", "PanglaoDB", "MSigDB", "Abcam", "Cell Taxonomy"}


def test_facts_are_unique_and_no_gene_is_both_positive_and_negative() -> None:
    signs: dict[tuple[str, str], set[bool]] = defaultdict(set)
    keys = [(m.cl_id, m.gene, m.positive) for m in read_markers()]
    assert len(keys) == len(set(keys))
    for cl_id, gene, positive in keys:
        signs[cl_id, gene].add(positive)
    assert all(len(both) == 1 for both in signs.values())


@pytest.mark.parametrize(
    ("cl_id", "gene", "positive"),
    [
        ("CL:0000084", "CD3E", True),
        ("CL:0000236", "MS4A1", True),
        ("CL:0000236", "CD3E", False),
        ("CL:0000182", "ALB", True),
        ("CL:0000169", "INS", True),
        ("CL:0000127", "AQP4", True),
        ("CL:0000623", "NKG7", True),
        ("CL:0000623", "CD3D", False),
        ("CL:0000653", "NPHS1", True),
    ],
)
def test_textbook_markers_are_there(cl_id: str, gene: str, positive: bool) -> None:
    assert any((m.cl_id, m.gene, m.positive) == (cl_id, gene, positive) for m in read_markers())


@pytest.mark.assets
def test_types_are_current_terms_and_symbols_are_current() -> None:
    from data import genetable
    from training.annotation.data import cell_ontology

    hierarchy, _ = cell_ontology()
    assert all(m.cl_id in hierarchy for m in read_markers())
    with genetable.connection() as db:
        rows = db.execute("SELECT symbol FROM gene WHERE species = 'human'")
        symbols = {symbol for (symbol,) in rows}
    assert {m.gene for m in read_markers()} <= symbols


@pytest.mark.assets
def test_labels_beside_ids_are_the_ontologys() -> None:
    from training.annotation.data import cell_ontology

    hierarchy, _ = cell_ontology()
    tables = [*(TABLE.parent / "label_maps").glob("*.tsv")]
    tables += [TABLE.with_name(f"{name}.tsv") for name in
               ("markers_curated", "markers_excluded", "blocked_terms")]  # fmt: skip
    for path in tables:
        with path.open(encoding="utf-8", newline="") as handle:
            rows = list(csv.DictReader((x for x in handle if x[0] != "#"), delimiter="\t"))
        assert rows
        for row in rows:
            label = row["cl_label"] if "cl_label" in row else row["label"]
            assert hierarchy.labels[hierarchy.index(row["cl_id"])] == label, path
            if row.get("coarse"):
                assert hierarchy.labels[hierarchy.index(row["coarse"])] == row["coarse_label"]
