"""Whole labels of datasets: what they mean, what was assumed, and what means nothing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kg.embedded import EmbeddedGraph
from kg.naming.abbreviations import expand, same_word, short_names
from kg.naming.labels import ground_label
from kg.naming.spelling import Speller, distance
from kg.terms import Category, Scope

GOLDEN = Path(__file__).parents[1] / "golden" / "cassia_labels.tsv"


@pytest.mark.parametrize(
    ("label", "id"),
    [
        ("CD14+ Monocytes", "CL:0001054"),
        ("CD14 Mono", "CL:0001054"),
        ("FCGR3A+ Mono", "CL:0002397"),  # FCGR3A is CD16
        ("CD16+ monocyte", "CL:0002397"),
        ("Naive CD4 T", "CL:0000895"),
        ("CD4 Naive", "CL:0000895"),
        ("T cells CD8+", "CL:0000625"),
        ("CD8_memory_T", "CL:0000909"),
        ("CD4+/CD45RA+/CD25- Naive T", "CL:0000895"),
        ("B naive", "CL:0000788"),
        ("B cell_1", "CL:0000236"),
        ("0: T cells", "CL:0000084"),
        ("c12_Macrophage", "CL:0000235"),
        ("gd T cells 1", "CL:0000798"),
        ("Excitatory neurons", "CL:0000679"),
        ("Alveolar macrophage", "CL:0000583"),
        ("Endothelial cell (lymphatic)", "CL:0002138"),
        ("Glomerular endothelium", "CL:0002188"),
        ("Immune (NK cell)", "CL:0000623"),
        ("MNP-c/dendritic cell", "CL:0000451"),
        ("Tissue macrophage", "CL:0000864"),
        ("Fibroblast_EFEMP1 high", "CL:0000057"),
        ("SPP1+ macrophages", "CL:0000235"),
        ("Proliferating T cells", "CL:4033069"),
        ("macrofages", "CL:0000235"),
        ("Peribronchial fibroblasts", "CL:0000057"),
        ("Non-inflammatory macrophages", "CL:0000235"),
    ],
)
def test_labels_as_datasets_write_them(label: str, id: str, graph: EmbeddedGraph) -> None:
    assert ground_label(label, graph)[0].id == id


@pytest.mark.parametrize(
    "label",
    ["Unknown", "Other", "Low quality", "nan", "Doublets", "Proliferating cell", "Cycling cell",
     "", "12", "cell", "immune"],
)  # fmt: skip
def test_labels_that_mean_no_type_mean_nothing(label: str, graph: EmbeddedGraph) -> None:
    assert [c for c in ground_label(label, graph) if c.id != "CL:0000000"] == []


def test_a_plain_name_scores_above_every_guess(graph: EmbeddedGraph) -> None:
    plain = ground_label("macrophage", graph)[0]
    for guess in ("macrofages", "SPP1+ macrophages", "Non-inflammatory macrophages", "Mac_3"):
        best = ground_label(guess, graph)[0]
        assert best.id == plain.id
        assert best.score < plain.score
        assert best.notice


def test_two_types_mean_their_common_supertype_and_both(graph: EmbeddedGraph) -> None:
    found = ground_label("DC/macrophage", graph)
    assert found[0].id == "CL:0000113"
    assert found[0].scope is Scope.NARROW
    assert {c.id for c in found[1:]} == {"CL:0000451", "CL:0000235"}
    assert "dendritic cell and macrophage" in found[0].notice


def test_what_excludes_a_name_is_not_passed_over(graph: EmbeddedGraph) -> None:
    # Small and large intestine are different places: neither stands for another one.
    best = ground_label("goblet cell of epithelium of third intestine", graph)[0]
    assert best.id == "CL:0000160"
    assert ground_label("large intestine goblet", graph)[0].id == "CL:1000320"


def test_other_categories(graph: EmbeddedGraph) -> None:
    assert ground_label("Lungs", graph, category=Category.ANATOMY)[0].id == "UBERON:0002048"
    assert ground_label("Lungs", graph) == ()


@given(st.text(max_size=30))
def test_any_label_is_taken(graph: EmbeddedGraph, label: str) -> None:
    found = ground_label(label, graph)
    assert all(0.0 < c.score <= 1.0 for c in found)
    assert [c.score for c in found] == sorted((c.score for c in found), reverse=True)
    assert len({c.id for c in found}) == len(found)


def test_short_names_count_capitals() -> None:
    assert [s.id for s in short_names("NK")] == ["CL:0000623"]
    assert [s.id for s in short_names("Tregs")] == ["CL:0000815"]
    assert [s.id for s in short_names("ILC2s")] == ["CL:0001069"]
    assert list(short_names("asc")) == []  # a word, not the antibody secreting cell
    assert list(short_names("Mono")) == []  # a name in labels alone
    assert [s.id for s in short_names("Mono", whole=True)] == ["CL:0000576"]


def test_words_of_labels() -> None:
    assert expand("mph") == ("macrophage",)
    assert expand("macrophage") == ("macrophage",)
    assert same_word("renal") == same_word("kidney")


@pytest.mark.parametrize(
    ("a", "b", "edits"),
    [("cell", "cell", 0), ("lymhpocyte", "lymphocyte", 1), ("macrofage", "macrophage", 2),
     ("", "abc", 3), ("neuron", "neutron", 1)],
)  # fmt: skip
def test_edit_distance(a: str, b: str, edits: int) -> None:
    assert distance(a, b) == distance(b, a) == edits


@given(st.text("abc", max_size=6), st.text("abc", max_size=6), st.text("abc", max_size=6))
def test_edit_distance_bounds(a: str, b: str, c: str) -> None:
    assert abs(len(a) - len(b)) <= distance(a, b) <= max(len(a), len(b))
    assert (distance(a, b) == 0) == (a == b)


def test_short_words_are_never_corrected() -> None:
    speller = Speller(["cell", "cells", "glial", "neuron"])
    assert speller.near("cekl") == []
    assert speller.near("neuran") == [("neuron", 1)]
    assert speller.near("xeuron") == []  # the first letter is taken to be right


@pytest.mark.assets
def test_the_table_holds_current_cell_types(real: EmbeddedGraph) -> None:
    from kg.naming.abbreviations import _rows

    ids = {row.means for row in _rows() if row.use in ("text", "any", "label")}
    terms = real.terms(ids)
    assert ids == set(terms)
    assert [
        t.id
        for t in terms.values()
        if t.obsolete or t.category not in (Category.CELL_TYPE, Category.ANATOMY)
    ] == []


@pytest.mark.shared
@pytest.mark.assets
def test_labels_of_a_published_benchmark(real: EmbeddedGraph, shared_data: Path) -> None:
    """Of 100 labels at least 85 ground; plain matching of names reaches 44."""
    with (shared_data / "qa" / "cassia_marker100.csv").open(encoding="utf-8-sig") as stream:
        labels = [row["True Cell Type"] for row in csv.DictReader(stream)]
    judged = {}
    for line in GOLDEN.read_text(encoding="utf-8").splitlines():
        if line[:1].isdigit():
            row, chosen, _ = line.split("\t")
            judged[int(row)] = chosen
    found = [ground_label(label, real) for label in labels]
    assert sum(bool(candidates) for candidates in found) >= 85
    right = sum(bool(c) and c[0].id == judged[i] for i, c in enumerate(found, start=1))
    assert right >= 85
    # What no term means is not made to mean one.
    assert all(not found[row - 1] for row, chosen in judged.items() if not chosen)
