"""The Cell Annotation Schema document: its form, and that it says what was found."""

from __future__ import annotations

import json
from dataclasses import replace

import jsonschema
import numpy as np
import pytest

from agent.annotation.cas import cas_document
from tests.agent.annotated import made, voted

TEXT = {"type": "string"}
TEXTS = {"type": "array", "items": TEXT}
SCHEMA = {  # what the general schema, release 1.1.0, asks for, stated anew
    "type": "object",
    "required": ["author_name", "title", "annotations", "labelsets"],
    "properties": {
        "title": {"type": "string", "maxLength": 200},
        "author_name": TEXT,
        "cellannotation_schema_version": {"type": "string", "pattern": r"^\d+\.\d+\.\d+$"},
        "cellannotation_timestamp": {
            "type": "string",
            "pattern": r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$",
        },
        "labelsets": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["name"],
                "properties": {
                    "annotation_method": {"enum": ["algorithmic", "manual", "both"]},
                    "name": TEXT,
                    "description": TEXT,
                },
                "not": {"required": ["automated_annotation"]},  # it needs an address of the code
            },
        },
        "annotations": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["labelset", "cell_label"],
                "properties": {
                    "labelset": TEXT,
                    "cell_label": TEXT,
                    "cell_fullname": TEXT,
                    "cell_ontology_term_id": {"type": "string", "pattern": r"^CL:\d{7}$"},
                    "cell_ontology_term": TEXT,
                    "cell_ids": TEXTS,
                    "rationale": {"type": "string", "maxLength": 2000},
                    "marker_gene_evidence": TEXTS,
                    "author_annotation_fields": {"type": "object"},
                },
            },
        },
    },
}

CELLS = [f"c{i}" for i in range(5)]


def test_the_document_has_the_schema_s_form():
    jsonschema.validate(cas_document(made(), CELLS), SCHEMA)
    jsonschema.validate(cas_document(voted(), CELLS), SCHEMA)
    long = made(about=replace(made().about, source="x" * 500 + ".h5ad"))
    jsonschema.validate(cas_document(long, CELLS), SCHEMA)


def test_every_cell_is_in_one_annotation_of_each_labelset():
    document = cas_document(voted(), CELLS)
    sets = {one["name"] for one in document["labelsets"]}
    assert sets == {"celloquy_cell_type", "celloquy_cluster_cell_type"}
    for name in sets:
        rows = [row for row in document["annotations"] if row["labelset"] == name]
        assert sorted(cell for row in rows for cell in row["cell_ids"]) == CELLS
    votes = {
        row["cell_label"]: row["cell_ids"]
        for row in document["annotations"]
        if row["labelset"] == "celloquy_cluster_cell_type"
    }
    assert votes == {"T cell": ["c0", "c1", "c3"], "lymphocyte": ["c2"], "unknown": ["c4"]}


def test_it_says_what_was_found():
    document = cas_document(made(), CELLS, title="My cells")
    assert document["title"] == "My cells"
    t_cell, *others = document["annotations"]
    assert t_cell["cell_ontology_term_id"] == "CL:0000084"
    assert t_cell["cell_ids"] == ["c0", "c1", "c3"]
    assert t_cell["marker_gene_evidence"] == ["Cd3e"]  # as the dataset calls it
    assert "CD3E 67/0%" in t_cell["rationale"]
    assert "unexpected CD19 33/50%" in t_cell["rationale"]
    assert "atlas, book" in t_cell["rationale"]
    by_label = {row["cell_label"]: row for row in others}
    assert "nearest: T cell" in by_label["lymphocyte"]["rationale"]
    unknown = by_label["unknown"]
    assert "cell_ontology_term_id" not in unknown
    assert unknown["cell_ids"] == ["c4"]
    assert unknown["rationale"] == "unknown: no marker (1 cell)"


@pytest.mark.assets
def test_markers_are_in_the_matrix_by_the_names_it_has(tmp_path, capsys):
    anndata = pytest.importorskip("anndata")
    from agent.cli.main import run

    genes = ["Cd3d", "Cd3e", "Cd3g", "Cd2", "Trac", "Cd79a", "Cd79b", "Ms4a1", "Cd19", "Bank1",
             "Actb", "Gapdh", "Il7r", "Lck", "Blk", "Cd22"]  # fmt: skip
    rng = np.random.default_rng(0)
    counts = rng.poisson(0.05, size=(40, len(genes)))
    counts[:20, [0, 1, 2, 3, 4, 12, 13]] += rng.poisson(4, size=(20, 7))
    counts[20:, [5, 6, 7, 8, 9, 14, 15]] += rng.poisson(4, size=(20, 7))
    counts[:, 10:12] += 5
    adata = anndata.AnnData(counts.astype(np.float32))
    adata.var_names = genes
    adata.obs_names = [f"cell{i}" for i in range(40)]
    adata.write_h5ad(tmp_path / "in.h5ad")
    target = tmp_path / "cas.json"
    assert run(["annotate", str(tmp_path / "in.h5ad"), "--cas", str(target), "--quiet"]) == 0
    capsys.readouterr()
    document = json.loads(target.read_text(encoding="utf-8"))
    jsonschema.validate(document, SCHEMA)
    named = {g for row in document["annotations"] for g in row.get("marker_gene_evidence", ())}
    assert {"Cd79a", "Cd3e"} <= named <= set(genes)
    assert run(["annotate", str(tmp_path / "in.h5ad"), "--cas", str(tmp_path), "--quiet"]) == 2
    before = target.read_bytes()
    nowhere = str(tmp_path / "none" / "cas.json")
    assert run(["annotate", str(tmp_path / "in.h5ad"), "--cas", nowhere, "--quiet"]) == 2
    same = str(tmp_path / "in.h5ad")
    assert run(["annotate", same, "--cas", same, "--quiet"]) == 2
    assert target.read_bytes() == before
