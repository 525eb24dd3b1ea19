"""Annotation of the development datasets as they are: each is read, and the mouse is known."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest

from agent.annotation.annotate import annotate_file, knowledge

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.assets


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.shared
def test_mouse_brain_by_itself(shared_data, tmp_path):
    source = shared_data / "cells" / "cxg_mouse_brain_merfish_1000.h5ad"
    found, _ = annotate_file(source, tmp_path / "out.h5ad")
    assert found.about.species == "mouse"
    assert {"MGI", "HCOP"} <= set(found.about.releases)
    truth = anndata.read_h5ad(tmp_path / "out.h5ad").obs["cell_type_ontology_term_id"]
    line = knowledge().hierarchy.ancestors
    answers = found.ids()
    right = [
        a != "unknown" and (t in line(a) or a in line(t))
        for a, t in zip(answers, truth.astype(str), strict=True)
    ]
    assert np.mean(right) >= 0.6


@pytest.mark.shared
def test_every_shared_dataset_is_read(shared_data, tmp_path):
    layers = {}
    for source in sorted((shared_data / "cells").glob("*.h5ad")):
        before = digest(source)
        found, _ = annotate_file(source, tmp_path / source.name)
        layers[source.name.split("_")[0]] = found.about.layer_used
        assert found.abstained < 0.2 * found.n_cells
        assert digest(source) == before
    assert layers == {"cxg": "X", "liver": "raw.X", "pbmc3k": "X", "tcells": "X"}
