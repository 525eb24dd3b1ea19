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


SEURAT = """"","p_val","avg_log2FC","pct.1","pct.2","p_val_adj","cluster","gene"
"CD3D",0,3.1,0.9,0.1,0,"0","CD3D"
"IL7R",0,2.5,0.8,0.2,0,"0","IL7R"
"LYZ",0,-4.5,0.1,0.9,0,"0","LYZ"
"MS4A1",0,3.3,0.9,0.1,0,"1","MS4A1"
"CD3D.1",1,0.5,0.5,0.4,1,"1","CD3D"
"ACTB",0,-1.0,0.5,0.6,0,"2","ACTB"
"""


@pytest.mark.parametrize(
    "text",
    [
        SEURAT,
        "cluster,gene,avg_log2FC\n0,CD3D,3\n1,MS4A1,3\n0,IL7R,2\n1,CD3D,1\n0,LYZ,-4\n2,ACTB,-1\n",
        "group\tnames\tscores\tlogfoldchanges\n0\tCD3D\t9\t3\n0\tIL7R\t8\t2\n0\tLYZ\t-9\t-2\n"
        "1\tMS4A1\t8\t3\n1\tCD3D\t2\t1\n2\tACTB\t-2\t-1\n",
    ],
)
def test_a_table_of_one_gene_a_row_is_joined_by_cluster(tmp_path: Path, text: str) -> None:
    path = tmp_path / "long.csv"
    path.write_text(text, encoding="utf-8")
    found = read_gene_lists(path)
    assert [(one.name, one.genes, one.lower) for one in found] == [
        ("0", ("CD3D", "IL7R"), 1),
        ("1", ("MS4A1", "CD3D"), 0),
        ("2", (), 1),
    ]
    assert [bool(one.refused) for one in found] == [False, False, True]
    assert found[2].refused.endswith("cluster '2' has no genes")


@pytest.mark.parametrize(
    "text",
    [
        "a\tCD3D CD3E\nb\tCD19\na\tMS4A1\n",
        "\na,CD3D,CD3E\nb,CD19\na,MS4A1\n",
        "cluster,size,genes\na,10,CD3D;CD3E\nb,1,CD19\na,20,MS4A1\n",
    ],
)
def test_lines_of_one_name_are_lists_of_their_own_told_apart(tmp_path: Path, text: str) -> None:
    path = tmp_path / "twice.csv"
    path.write_text(text, encoding="utf-8")
    one, other, again = read_gene_lists(path)
    first = 1 if text.startswith("a\t") else 2
    assert (one.name, again.name) == (f"a (line {first})", f"a (line {first + 2})")
    assert other.name == "b"
    assert (one.genes, again.genes) == (("CD3D", "CD3E"), ("MS4A1",))


def test_a_gene_a_line_without_a_header_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "long.csv"
    path.write_text("a,CD3D\nb,CD3E\na,CD19\n", encoding="utf-8")
    with pytest.raises(BadFile, match=r"line 3: cluster 'a' was on line 1 already, with one gene"):
        read_gene_lists(path)


def test_one_type_of_two_tissues_stays_two(tmp_path: Path) -> None:
    path = tmp_path / "tissues.csv"
    path.write_text("cluster,genes,tissue\nT,CD3D;CD3E,blood\nT,CD3D;CD69,lung\n", encoding="utf-8")
    assert [one.tissue for one in read_gene_lists(path)] == ["blood", "lung"]


@pytest.mark.parametrize("unknown", [("FOO", "BAR"), ("FOO1", "1-Foo", "2-Foo", "#7", "Q9Q9Q")])
def test_unknown_names_do_not_cost_the_known_ones(tmp_path: Path, unknown: tuple[str, ...]) -> None:
    path = tmp_path / "odd.tsv"
    path.write_text(f"c1\t{','.join(unknown)},CD19\n", encoding="utf-8")
    (one,) = read_gene_lists(path)
    assert (one.genes, one.unread) == (("CD19",), unknown)


@pytest.mark.parametrize("content", [b"\x89HDF\r\n\x1a\n\0\0", b"a\tCD3D \xff\xfe\n", b"a\0b"])
def test_what_is_no_text_is_one_line(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "cells.h5ad"
    path.write_bytes(content)
    with pytest.raises(BadFile, match=r"cells\.h5ad is .*no text.*; expected marker lists") as told:
        read_gene_lists(path)
    assert "codec" not in str(told.value)
