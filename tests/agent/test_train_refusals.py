"""What ``annotate`` and the commands of ``train`` cannot use is refused before any work is done."""

from __future__ import annotations

from pathlib import Path

import pytest

from agent.cli.main import run

pytestmark = pytest.mark.assets


@pytest.fixture
def refused(capsys: pytest.CaptureFixture[str]):
    """Runs a command that must fail with one line on stderr, and gives the line."""

    def told(*command: str | Path) -> str:
        assert run([str(part) for part in command]) == 2
        out, err = capsys.readouterr()
        assert out == ""
        assert err.startswith("celloquy: ")
        assert err.count("\n") == 1
        return err

    return told


@pytest.mark.parametrize("rows", ["TREM2\t1\t2\nCD4\t2\t3\n", "TREM2\t1\t2\nCD4\t1\t2\n"])
def test_a_bridge_of_two_genes(refused, tmp_path: Path, rows: str) -> None:
    table = tmp_path / "w2.tsv"
    table.write_text(f"gene\tx\ty\n{rows}", encoding="utf-8")
    said = refused("train", "bridge", "--features", table, "-o", tmp_path / "out")
    assert "w2.tsv has numbers for 2 known genes; expected at least 200" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("gene\tname\nTREM2\ta\nCD4\tb\n", "2 genes, such as TREM2, have what is no number"),
        ("TREM2\nCD4\n", "it has no numbers"),
        ("gene\n", "it has no numbers"),
        ("", "it has no numbers"),
        ("TREM2\t1\t2\nCD4\t1\n", "genes have 1 to 2 numbers"),
    ],
)
def test_a_bridge_of_no_numbers(refused, tmp_path: Path, text: str, why: str) -> None:
    table = tmp_path / "w0.tsv"
    table.write_text(text, encoding="utf-8")
    said = refused("train", "bridge", "--features", table, "-o", tmp_path / "out")
    assert f"({why}); expected a line a gene" in said


@pytest.mark.parametrize(
    "command",
    [
        ("bridge",),
        ("perturb", "--h5ad", "none.h5ad"),
        ("knockout", "--images", "none.npz"),
    ],
)
def test_an_output_that_is_a_file(refused, tmp_path: Path, command: tuple[str, ...]) -> None:
    there = tmp_path / "there.txt"
    there.write_text("mine", encoding="utf-8")
    for output in (there, there / "below"):
        said = refused("train", *command, "-o", output)
        assert "there.txt is a file; expected a folder" in said
    assert there.read_text(encoding="utf-8") == "mine"


def test_images_that_are_none(refused, tmp_path: Path) -> None:
    import numpy as np

    text = tmp_path / "text.png"
    text.write_text("no picture", encoding="utf-8")
    said = refused("train", "knockout", "--images", text, "-o", tmp_path / "out")
    assert "text.png is no .npz file; expected" in said
    assert "pickle" not in said
    objects = tmp_path / "objects.npz"
    np.savez(objects, images=np.array([{"a": 1}], object), gene=["A"], allow_pickle=True)
    said = refused("train", "knockout", "--images", objects, "-o", tmp_path / "out")
    assert "objects.npz cannot be read as .npz (it holds Python objects" in said
    assert "pickle" not in said
    gone = refused("train", "knockout", "--images", tmp_path / "no.npz", "-o", tmp_path / "out")
    assert "no.npz is no file; expected" in gone
    np.savez(tmp_path / "named.npz", images=np.zeros((2, 1, 8, 8)), gene=["A", "B"])
    said = refused("train", "knockout", "--images", tmp_path / "named.npz", "--control", "nosuch")
    assert "is named 'nosuch'; expected one of its values, such as A, B" in said


@pytest.mark.parametrize("column", [(), ("--column", "perturbation")])
def test_a_control_that_no_cell_has(refused, tmp_path: Path, column: tuple[str, ...]) -> None:
    anndata = pytest.importorskip("anndata")
    import numpy as np
    import pandas as pd

    labels = ["STAT1", "JAK2", "nothing-done", "STAT1"]
    cells = anndata.AnnData(
        np.ones((4, 3), dtype=np.float32),
        obs=pd.DataFrame({"perturbation": labels}, index=[f"c{i}" for i in range(4)]),
        var=pd.DataFrame(index=["STAT1", "JAK2", "CD4"]),
    )
    cells.write_h5ad(tmp_path / "screen.h5ad")
    said = refused("train", "perturb", "--h5ad", tmp_path / "screen.h5ad", *column,
                   "--control", "nosuch", "-o", tmp_path / "out")  # fmt: skip
    assert "is named 'nosuch' in the column 'perturbation'; expected one of its values" in said
    assert "STAT1, JAK2, nothing-done" in said
    assert "--control" not in said


def test_annotate_names_what_is_wrong(refused, tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py")
    cells = tmp_path / "cells.h5ad"
    with h5py.File(cells, "w"):
        pass
    said = refused("annotate", cells, "--reference", tmp_path / "nosuch.h5ad")
    assert "nosuch.h5ad does not exist; expected" in said
    said = refused("annotate", cells, "--encoder", "nonsense")
    assert "'nonsense'; expected one of markers, llm, gene-text" in said
    assert "obsm:KEY" in said
    said = refused("annotate", "--markers", cells)
    assert "cells.h5ad is an HDF5 file, no text; expected marker lists" in said


def test_annotate_reads_a_long_table_by_cluster(
    capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    import json

    table = tmp_path / "markers.csv"
    table.write_text(
        "p_val,avg_log2FC,pct.1,pct.2,p_val_adj,cluster,gene\n"
        + "".join(f"0,3,.9,.1,0,0,{gene}\n" for gene in ("CD3D", "CD3E", "TRAC", "IL7R"))
        + "".join(f"0,3,.9,.1,0,1,{gene}\n" for gene in ("MS4A1", "CD79A", "CD19", "NOSUCH"))
        + "0,-3,.1,.9,0,1,LYZ\n",
        encoding="utf-8",
    )
    assert run(["annotate", "--markers", str(table), "--json"]) == 0
    out, err = capsys.readouterr()
    first, second = json.loads(out)["clusters"]
    assert (first["name"], first["n_genes"]) == ("0", 4)
    assert (second["name"], second["unread"]) == ("1", ["NOSUCH"])
    assert "B cell" in second["label"]
    assert "1: 1 name is no known gene: NOSUCH" in err
    assert "1: genes lower in it than elsewhere, no markers of it: 1" in err
