"""Annotation by another dataset: labels carried over, backed off, refused; files and commands."""

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


@pytest.fixture(scope="module")
def halves():
    """Real cells in two halves: a reference, and one with a population that the other lacks."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is of an old layout
        whole = anndata.read_h5ad(sources.path("pbmc68k"))
    found = whole.raw.to_adata()
    found.obsm["X_pca"] = whole.obsm["X_pca"]
    labels = found.obs["bulk_labels"].astype(str)
    first = np.random.default_rng(0).random(found.n_obs) < 0.6
    reference = found[first & (labels != "CD19+ B").to_numpy()].copy()
    reference.obs["mine"] = reference.obs["bulk_labels"].astype(str)
    return reference, found[~first].copy()


def transferred(halves, **options):
    reference, query = halves
    config = {"atlas": reference, "atlas_key": "mine", **options}
    with open_cells(query) as cells:
        return annotate_cells(cells, AnnotateConfig(**config), workers=1)


@pytest.mark.parametrize("encoder", [None, "obsm:X_pca"])
def test_labels_are_carried_over_and_back_off(halves, encoder):
    found = transferred(halves, encoder=encoder)
    truth = halves[1].obs["bulk_labels"].astype(str).to_numpy()
    hierarchy, ids = found.hierarchy, found.ids()

    def share(label: str, term: str) -> float:
        here = truth == label
        return np.mean([i != "unknown" and term in hierarchy.ancestors(i) for i in ids[here]])

    assert share("CD14+ Monocyte", "CL:0000576") > 0.6
    assert share("CD56+ NK", "CL:0000623") > 0.4
    assert found.about.encoder == f"reference+{encoder or 'pca'}"
    assert any("cells of 9 labels (mine)" in one for one in found.about.notices)
    answered = found.term >= 0
    assert (found.confidence[answered] >= 0.5).all()
    for answer, leaf in zip(found.term[answered], found.leaf[answered], strict=True):
        assert answer in hierarchy.above[leaf]


def test_a_population_that_the_reference_lacks_is_none_of_these_more_often(halves):
    found = transferred(halves)
    label = np.array(found.carried[0], dtype=object)[found.carried[1]]
    b = halves[1].obs["bulk_labels"].astype(str).to_numpy() == "CD19+ B"
    none = label == "none of these"
    assert (found.ids()[none] == "unknown").all()
    assert none[b].mean() > 2 * none[~b].mean()


def test_an_order_of_cells_and_blocks_do_not_matter(halves):
    reference, query = halves
    order = np.random.default_rng(1).permutation(query.n_obs)
    expected = transferred(halves)
    found = transferred((reference, query[order].copy()), block=37)
    np.testing.assert_array_equal(found.term, expected.term[order])
    np.testing.assert_allclose(found.confidence, expected.confidence[order], atol=1e-5)


def test_groups_vote_and_the_python_call_writes_the_labels(halves):
    reference, query = halves
    found = tl.annotate(
        query, reference=reference, reference_key="mine", groupby="phase", copy=True
    )
    assert {"celloquy_reference_label", "celloquy_cluster_cell_type"} <= set(found.obs.columns)
    assert found.obsm["X_celloquy"].shape == (query.n_obs, 50)
    assert "celloquy_cell_type" not in query.obs


def test_the_command_writes_a_copy_and_a_document(halves, tmp_path, capsys):
    reference, query = halves
    for name, adata in (("ref", reference), ("in", query)):
        adata.write_h5ad(tmp_path / f"{name}.h5ad")
    arguments = ["annotate", str(tmp_path / "in.h5ad"), "--reference", str(tmp_path / "ref.h5ad")]
    assert run([*arguments, "--reference-key", "mine", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert document["encoder"] == "reference+pca"
    assert document["n_cells"] == sum(document["counts"].values()) + document["abstained"]
    written = anndata.read_h5ad(tmp_path / "in.celloquy.h5ad")
    assert "none of these" in set(written.obs["celloquy_reference_label"])
    for wrong, why in (
        (arguments, "--reference-key COLUMN"),
        ([*arguments, "--reference-key", "nothing"], "no column"),
        ([*arguments, "--reference-key", "phase"], "names a cell type"),
        ([*arguments[:2], "--reference-key", "mine"], "give --reference FILE"),
        ([*arguments, "--reference-key", "mine", "--tissue", "UBERON:0000178"], "leave it out"),
    ):
        assert run(wrong) == 2
        error = capsys.readouterr().err
        assert why in error and "Traceback" not in error


def test_how_well_strangers_are_told_is_measured_on_the_reference(halves):
    about = transferred(halves).about
    (said,) = [notice for notice in about.notices if "none of these" in notice]
    (worth,) = [notice for notice in about.notices if notice.startswith("confidence: ")]
    assert "not calibrated on other datasets" in worth
    told, lost = about.parameters["held_out_told"], about.parameters["held_in_lost"]
    assert 0 < lost <= 0.06 < told < 1
    assert f"{told:.0%} of its cells" in said


def test_genes_of_which_a_cell_shows_next_to_none_tell_no_types(halves):
    reference, query = halves
    rare = np.asarray((query.X > 0).mean(axis=0)).ravel() < 0.06
    assert rare.sum() > 60
    with pytest.raises(BadInput, match=r"shows \d\.\d of the \d+ genes .* expected 10 at least"):
        transferred((reference, query[:, rare].copy()))


def test_what_cannot_be_compared_is_refused(halves):
    reference, query = halves
    with pytest.raises(BadInput, match="genes; expected 50"):
        transferred((reference[:, :10].copy(), query))
    with pytest.raises(BadInput, match="no embedding"):
        transferred(halves, encoder="obsm:X_none")
    with pytest.raises(BadInput, match="dimensions in the reference"):
        other = reference.copy()
        other.obsm["X_pca"] = other.obsm["X_pca"][:, :7]
        transferred((other, query), encoder="obsm:X_pca")
