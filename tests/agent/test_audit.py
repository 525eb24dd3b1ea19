"""Audit: labels that fit, labels that do not, labels that cannot be read."""

from __future__ import annotations

import json

import numpy as np
import pytest
import scipy.sparse as sp

from agent.cli.main import run

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.assets

MARKERS = {
    "T cell": ("CD3D", "CD3E", "CD3G", "CD2", "TRAC", "CD247", "IL7R", "LCK"),
    "B cell": ("CD79A", "CD79B", "MS4A1", "CD19", "BANK1", "BLK", "CD22", "PAX5"),
    "monocyte": ("LYZ", "CD14", "FCN1", "S100A8", "S100A9", "VCAN", "LST1", "CST3"),
}
GENES = ("ACTB", "B2M", "GAPDH", *(g for genes in MARKERS.values() for g in genes))


@pytest.fixture
def file(tmp_path):
    """Thirty cells of each type, under labels that fit, do not fit, and say nothing."""
    rng = np.random.default_rng(0)
    rows, labels = [], []
    for kind, own in MARKERS.items():
        for i in range(30):
            mean = [6.0 if g in GENES[:3] else 3.0 if g in own else 0.03 for g in GENES]
            rows.append(rng.poisson(mean))
            labels.append({"T cell": "T-cells", "B cell": "Monocytes_2"}.get(kind, "weird <stuff>"))
            if kind == "T cell" and i < 6:
                labels[-1] = "CL:0000084"
            if kind == "monocyte" and i < 10:
                labels[-1] = "leukocyte"
    adata = anndata.AnnData(sp.csr_matrix(np.array(rows, dtype=np.float32)))
    adata.var_names, adata.obs["cell_type"] = list(GENES), labels
    adata.write_h5ad(tmp_path / "in.h5ad")
    return tmp_path / "in.h5ad"


def test_labels_are_judged_by_what_the_cells_show(file, capsys):
    before = file.read_bytes()
    assert run(["audit", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert "X is used as counts" in err
    assert document["key"] == "cell_type"
    assert document["n_cells"] == 90
    found = {row["label"]: row for row in document["labels"]}
    assert document["labels"][0]["label"] == "Monocytes_2"  # what is contradicted comes first
    wrong = found["Monocytes_2"]
    assert wrong["verdict"] == "contradicted"
    assert wrong["claimed"] == "CL:0000576"
    assert wrong["contradict"] >= 0.5
    assert wrong["agree"] == 0
    assert wrong["instead"][0]["n_cells"] > 10
    assert {m["gene"] for m in wrong["against"]} & {"LYZ", "FCN1", "S100A9", "CST3", "LST1"}
    for label in ("T-cells", "CL:0000084"):
        assert found[label]["verdict"] == "supported"
        assert found[label]["claimed"] == "CL:0000084"
        assert "CD3E" in {m["gene"] for m in found[label]["supporting"]}
    assert found["leukocyte"]["verdict"] == "supported"  # more general is no contradiction
    assert found["weird <stuff>"]["verdict"] == "not read"
    assert found["weird <stuff>"]["claimed"] is None
    assert file.read_bytes() == before


def test_the_table_and_a_missing_column(file, capsys):
    assert run(["audit", str(file), "--quiet"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "contradicted" in out
    assert "CL:0000576 monocyte" in out
    assert run(["audit", str(file), "--key", "label"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "no column 'label'" in err
