"""A second opinion beside the markers: embeddings, references, encoders by name."""

from __future__ import annotations

import json
import warnings

import numpy as np
import pytest

from agent import tl
from agent.annotation.annotate import AnnotateConfig, annotate_cells
from agent.cli.main import run
from data import sources
from data.errors import BadInput
from data.h5ad import open_cells

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.assets

NAMES = {"CD19+ B": "B cell", "CD56+ NK": "CL:0000623", "CD14+ Monocyte": "CD14-positive monocyte"}


@pytest.fixture(scope="module")
def pbmc():
    """Real cells; a third of three populations have their names, under a column of their own."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is of an old layout
        whole = anndata.read_h5ad(sources.path("pbmc68k"))
    found = whole.raw.to_adata()
    found.obsm["X_pca"] = whole.obsm["X_pca"]
    true = found.obs["bulk_labels"].astype(str)
    given = np.random.default_rng(0).random(found.n_obs) < 0.33
    found.obs["some"] = [
        NAMES.get(one, "unknown") if g else "nan" for one, g in zip(true, given, strict=True)
    ]
    return found


def annotated(adata, **options):
    with open_cells(adata) as cells:
        return annotate_cells(cells, AnnotateConfig(**options), workers=1)


def test_labels_of_some_cells_help_the_others_and_bind_nobody(pbmc):
    alone = annotated(pbmc)
    found = annotated(pbmc, encoder="obsm:X_pca", reference="some")
    assert found.about.encoder == "markers+obsm:X_pca"
    assert any("cells of 3 types are the reference" in one for one in found.about.notices)
    true = pbmc.obs["bulk_labels"].astype(str).to_numpy()
    for label, term in (("CD19+ B", "CL:0000236"), ("CD56+ NK", "CL:0000623")):
        here = true == label
        right = [[term in f.hierarchy.ancestors(one) for one in f.ids()[here] if one != "unknown"]
                 for f in (alone, found)]  # fmt: skip
        assert np.mean(right[1]) >= np.mean(right[0]) - 0.05
    # Types that have no labelled cell keep what the markers say of them.
    t_cells = np.array([one.startswith(("CD4+", "CD8+")) for one in true])
    said = found.ids()[t_cells]
    kept = [one != "unknown" and "CL:0000084" in found.hierarchy.ancestors(one) for one in said]
    assert np.mean(kept) > 0.85


def test_an_order_of_cells_does_not_matter_to_it(pbmc):
    options = {"encoder": "obsm:X_pca", "reference": "some"}
    some = pbmc[::5].copy()
    order = np.random.default_rng(1).permutation(some.n_obs)
    expected = annotated(some, **options)
    found = annotated(some[order].copy(), block=37, **options)
    np.testing.assert_array_equal(found.term, expected.term[order])
    np.testing.assert_array_equal(found.confidence, expected.confidence[order])


def test_without_a_reference_an_embedding_says_who_is_near_whom(pbmc):
    found = annotated(pbmc, encoder="obsm:X_pca", smooth=True)
    assert any("which cells are neighbours" in notice for notice in found.about.notices)
    agree = np.mean(found.term == annotated(pbmc, smooth=True).term)
    assert 0.7 < agree < 1


def test_what_cannot_be_used_is_refused(pbmc):
    few = pbmc[:60].copy()
    few.obsm["X_zero"], few.obsm["X_one"] = np.zeros((60, 5)), np.ones((60, 5))
    for options, why in (
        ({"reference": "some"}, "needs vectors"),
        ({"encoder": "obsm:X_none"}, "X_none"),
        ({"encoder": "obsm:X_zero"}, "X_zero is all zeros"),
        ({"encoder": "obsm:X_one", "reference": "some"}, "the same for every cell"),
        ({"encoder": "nobody"}, "no encoder is named"),
        ({"encoder": "obsm:X_pca", "reference": "none"}, "no column"),
        ({"encoder": "obsm:X_pca", "reference": "phase"}, "names a cell type"),
    ):
        with pytest.raises(BadInput, match=why):
            annotated(few, **options)


def test_marker_lists_have_no_vectors(tmp_path, capsys):
    (tmp_path / "lists.txt").write_text("a: CD3D, CD3E\n")
    file = str(tmp_path / "lists.txt")
    assert run(["annotate", "--markers", file, "--encoder", "gene-text"]) == 2
    assert "no cells" in capsys.readouterr().err


@pytest.mark.models
def test_gene_texts_by_the_command_and_from_python(pbmc, tmp_path, capsys):
    some = pbmc[::20].copy()
    del some.raw
    some.write_h5ad(tmp_path / "cells.h5ad")
    file = str(tmp_path / "cells.h5ad")
    assert run(["annotate", file, "--encoder", "gene-text", "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["encoder"] == "markers+gene-text"
    assert "marker profiles" in err
    copy = tl.annotate(some, encoder="gene-text", copy=True)
    assert copy.uns["celloquy"]["encoder"]["name"] == "markers+gene-text"
    with_labels = tl.annotate(some, encoder="gene-text", reference="bulk_labels", copy=True)
    assert with_labels.uns["celloquy"]["parameters"]["reference"] == "bulk_labels"


@pytest.mark.models
def test_the_language_model_core_speaks_by_names(pbmc):
    pytest.importorskip("torch")
    some = pbmc[:150].copy()
    found = annotated(some, encoder="llm", smooth=False)
    assert found.about.encoder == "markers+llm"
    assert any("compared with the names of" in one for one in found.about.notices)
    alone = annotated(some, smooth=False)
    assert any(a != b for a, b in zip(found.ids(), alone.ids(), strict=True)), "it is heard"
    with pytest.raises(BadInput, match="llm goes by the names of all types; leave out --reference"):
        annotated(some, encoder="llm", reference="some")
