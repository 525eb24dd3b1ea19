"""Marker lists of clusters: every form that users write them in."""

from __future__ import annotations

from pathlib import Path

import pytest

from data.errors import BadFile
from data.genelists import read_gene_lists

pytestmark = pytest.mark.assets


def test_one_cluster_a_line_with_tab_or_comma(tmp_path: Path) -> None:
    path = tmp_path / "lists.txt"
    path.write_text("# clusters\n0\tCD3D, CD3E;IL7R\n1,MS4A1,CD79A\n\n", encoding="utf-8")
    first, second = read_gene_lists(path)
    assert (first.name, first.genes) == ("0", ("CD3D", "CD3E", "IL7R"))
    assert (second.name, second.genes) == ("1", ("MS4A1", "CD79A"))


def test_a_header_names_the_columns(tmp_path: Path) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(
        '\ufeffSpecies,Cluster,Top markers,Tissue\nHuman,a,"CD3D, CD3E",blood\n', encoding="utf-8"
    )
    (one,) = read_gene_lists(path)
    assert (one.name, one.genes, one.tissue, one.species) == (
        "a",
        ("CD3D", "CD3E"),
        "blood",
        "human",
    )


def test_mouse_lists_and_old_symbols_become_current_human_ones(tmp_path: Path) -> None:
    path = tmp_path / "lists.tsv"
    path.write_text("m\tCd3e Ms4a1 Nosuchgene\nh\tFAM84B CD3E\n", encoding="utf-8")
    mouse, human = read_gene_lists(path)
    assert (mouse.species, mouse.genes, mouse.unread) == (
        "mouse",
        ("CD3E", "MS4A1"),
        ("Nosuchgene",),
    )
    assert human.genes == ("LRATD2", "CD3E")


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a\tCD3D CD3E\n\n  \t \nb\t\n,\nc\tMS4A1\n", 4),
        ("cluster,genes\na,CD3D;CD3E\n\n,\nb,\n# c\nc,MS4A1\n", 5),
        ('# made by hand\ncluster,genes\na,"CD3D, CD3E"\nb\nc,MS4A1\n', 4),
    ],
)
def test_one_cluster_without_genes_costs_no_other(tmp_path: Path, text: str, line: int) -> None:
    path = tmp_path / "lists.csv"
    path.write_text(text, encoding="utf-8")
    found = read_gene_lists(path)
    assert [(one.name, one.genes) for one in found] == [
        ("a", ("CD3D", "CD3E")),
        ("b", ()),
        ("c", ("MS4A1",)),
    ]
    assert [one.refused for one in found] == ["", f"line {line}: cluster 'b' has no genes", ""]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n# nothing\n",
        "cluster one with no genes\n",
        "a\t\n",
        "cluster,genes\n",
        "cluster,genes\na,\n",
        ',,\n""\n',
    ],
)
def test_files_without_clusters_are_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.txt"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match="expected"):
        read_gene_lists(path)


def test_a_file_that_is_not_there_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="cannot be read"):
        read_gene_lists(tmp_path / "no.txt")
