"""Cells of several files: streamed, narrow, on disk, split by donor or dataset."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from data.errors import BadInput
from training.genetokens.cell_store import CellFile, gather, of_datasets

anndata = pytest.importorskip("anndata")

NAMES = {"T": "CL:0000084", "B": "CL:0000236"}
GENES = ("CD3D", "CD3E", "CD79A", "GNLY", "LYZ", "MS4A1", "NKG7", "PPBP")


def write(path: Path, cells: int, seed: int, columns: dict[str, list[str]]) -> np.ndarray:
    import pandas as pd

    rng = np.random.default_rng(seed)
    genes = list(rng.permutation(GENES))
    counts = rng.poisson(2.0, size=(cells, len(genes))).astype(np.float32) + 1
    obs = pd.DataFrame(columns, index=[f"c{i}" for i in range(cells)])
    made = anndata.AnnData(sp.csr_matrix(counts), obs=obs, var=pd.DataFrame(index=genes))
    made.write_h5ad(path)
    return counts


@pytest.fixture
def files(tmp_path: Path) -> list[CellFile]:
    one = {"kind": ["T", "B", "T", "huh"], "who": ["d1", "d1", "d2", "d2"],
           "place": ["blood", "unknown", "blood", "nan"]}  # fmt: skip
    two = {"kind": ["B", "B", "T"], "who": ["d3"] * 3}
    write(tmp_path / "one.h5ad", 4, 0, one)
    write(tmp_path / "two.h5ad", 3, 1, two)
    said = {"tissue": "place"}
    return [CellFile(tmp_path / f"{name}.h5ad", "kind", said, "who") for name in ("one", "two")]


@pytest.mark.assets
def test_files_become_one_store(files: list[CellFile], tmp_path: Path) -> None:
    found = gather(files, lambda labels: {k: v for k, v in NAMES.items() if k in labels})
    assert len(found) == 7
    t, b = NAMES["T"], NAMES["B"]
    assert found.types == (t, b, t, None, b, b, t), "a label that names no type is unknown"
    assert found.datasets == ("one",) * 4 + ("two",) * 3
    assert found.donors == ("d1", "d1", "d2", "d2", "d3", "d3", "d3")
    assert found.properties == {"tissue": ("blood", "", "blood", "", "", "", "")}
    assert sorted(found.genes) == sorted(GENES)
    on_disk = gather(files, lambda labels: NAMES, tmp_path / "cells")
    assert len(list((tmp_path / "cells").glob("*.npy"))) == 4
    rows = np.array([6, 0, 3])
    assert np.array_equal(found.cells.of(rows).genes, on_disk.cells.of(rows).genes)
    assert np.array_equal(found.cells.of(rows).values, on_disk.cells.of(rows).values)


@pytest.mark.assets
def test_only_the_genes_that_are_asked_for_are_kept(files: list[CellFile]) -> None:
    """As if the files had no others: the order of a cell's genes, their values, the usual ones."""
    whole = gather(files, lambda labels: NAMES)
    some = gather(files, lambda labels: NAMES, only={"LYZ", "CD3E", "PPBP", "HBB"})
    assert sorted(some.genes) == ["CD3E", "LYZ", "PPBP"], "no file has HBB"
    place = [whole.genes.index(gene) for gene in some.genes]
    assert np.allclose(some.usual, whole.usual[place])
    (all_values, all_genes), _ = whole.parts(np.arange(7))
    (values, genes), _ = some.parts(np.arange(7))
    columns = [all_genes.index(gene) for gene in genes]
    assert np.array_equal(values.toarray(), all_values.toarray()[:, columns])


@pytest.mark.assets
def test_values_are_those_of_the_file(files: list[CellFile]) -> None:
    from data.h5ad import open_cells

    found = gather(files, lambda labels: NAMES)
    (first, genes), (second, _) = found.parts(np.arange(7))
    assert first.shape[0] == 4 and second.shape[0] == 3
    with open_cells(files[0].path) as opened:
        named = opened.harmonised()
        whole = next(iter(named.blocks())).values.toarray()
    columns = [named.genes.index(gene) for gene in genes]
    assert np.abs(first.toarray() - whole[:, columns]).max() < 5e-3, "half precision"
    by_gene = {gene: i for i, gene in enumerate(found.genes)}
    every = np.concatenate([m.toarray()[:, list(g).index("CD3D")] for m, g in found.parts(
        np.arange(7))])  # fmt: skip
    assert found.usual[by_gene["CD3D"]] == pytest.approx(every[every > 0].mean(), abs=5e-3)


def test_donors_and_datasets_are_held_out() -> None:
    values = sp.csr_array(np.eye(4, 2, dtype=np.float32) + 1)
    found = of_datasets(
        [("a", values, ("CD3D", "LYZ"), [None] * 4), ("b", values, ("LYZ", "PPBP"), [None] * 4)]
    )
    rows, aside = found.split("dataset=b")
    assert rows.tolist() == [0, 1, 2, 3] and aside.tolist() == [4, 5, 6, 7]
    assert [len(part) for part in found.split("")] == [8, 0]
    assert found.of(aside).datasets == ("b",) * 4
    assert found.of(aside).cells.of(np.array([0])).genes.tolist() == [[1, 2]]
    for bad, why in (
        ("dataset=c", "has 0 of 8 cells"),
        ("donor=", "names nothing"),
        ("batch=1", "names nothing"),
        ("donor=d", "has 0 of 8 cells"),
    ):
        with pytest.raises(BadInput, match=why):
            found.split(bad)


def test_no_cells_are_refused() -> None:
    with pytest.raises(BadInput, match="no files"):
        gather([], lambda labels: {})
    with pytest.raises(BadInput, match="no cell"):
        of_datasets([("a", sp.csr_array((0, 1), dtype=np.float32), ("CD3D",), [])])


def test_a_large_set_keeps_only_what_is_asked() -> None:
    values = sp.csr_array(np.arange(1, 13, dtype=np.float32).reshape(2, 6))
    found = of_datasets([("a", values, GENES[:6], [None, None])], keep=2)
    assert found.cells.of(np.array([0])).genes.tolist() == [[5, 4]]
    assert found.cells.of(np.array([1])).values.tolist() == [[12.0, 11.0]]
