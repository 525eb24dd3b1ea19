"""Annotation: the same answers whatever the storage and order, back-off, votes, files, errors."""

from __future__ import annotations

import hashlib
import json
import os
import signal
import subprocess
import sys
import time
import warnings
from dataclasses import replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.annotation.annotate import (
    FORBIDDEN,
    AnnotateConfig,
    annotate_cells,
    annotate_file,
    knowledge,
)
from agent.annotation.passes import in_order
from agent.attached.genenames import doubt, looks_like
from agent.cli.main import run
from data import sources
from data.errors import BadInput, UnknownTerm
from encoders.celltypes.markers import GeneMoments
from kg.backoff import UNKNOWN

anndata = pytest.importorskip("anndata")
pytestmark = pytest.mark.assets

ROOT = Path(__file__).parents[2]
COMMON = ("ACTB", "B2M", "MALAT1", "TMSB4X", "RPLP0", "EEF1A1", "GAPDH", "FTL")
TYPES = {
    "CL:0000084": ("CD3D", "CD3E", "CD3G", "CD2", "TRAC", "CD247", "IL7R", "LCK"),
    "CL:0000236": ("CD79A", "CD79B", "MS4A1", "CD19", "BANK1", "BLK", "CD22", "PAX5"),
    "CL:0000576": ("LYZ", "CD14", "FCN1", "S100A8", "S100A9", "VCAN", "LST1", "CST3"),
    "CL:0000623": ("GNLY", "NKG7", "KLRD1", "NCAM1", "PRF1", "KLRF1", "GZMB", "FGFBP2"),
}
GENES = (*COMMON, *(gene for genes in TYPES.values() for gene in genes))


def cells(per_type: int = 12, seed: int = 0, **more: int):
    """Counts of cells that express their type's markers, a little of the others', and much else."""
    rng = np.random.default_rng(seed)
    rows, truth = [], []
    for term, own in TYPES.items():
        for _ in range(more.get(term.replace(":", "_"), per_type)):
            mean = np.array([8.0 if g in COMMON else 3.0 if g in own else 0.04 for g in GENES])
            rows.append(rng.poisson(mean))
            truth.append(term)
    adata = anndata.AnnData(sp.csr_matrix(np.array(rows, dtype=np.float32)))
    adata.obs_names = [f"cell{i}" for i in range(len(rows))]
    adata.var_names = list(GENES)
    adata.obs["truth"] = truth
    return adata


def annotated(adata, **options):
    from data.h5ad import open_cells

    workers = options.pop("workers", 1)
    layer = options.pop("layer", None)
    with open_cells(adata, layer) as opened:
        return annotate_cells(opened, AnnotateConfig(**options), workers=workers)


@pytest.fixture(scope="module")
def known():
    return knowledge()


@pytest.fixture(scope="module")
def immune():
    return cells()


@pytest.fixture(scope="module")
def pbmc():
    """A hundred real cells with counts undone, so that every format holds the same values."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the file is of an old layout
        whole = anndata.read_h5ad(sources.path("pbmc68k"))
    raw = whole.raw.to_adata()[::7]
    linear = np.expm1(raw.X.toarray())
    least = np.where(linear > 0, linear, np.inf).min(axis=1, keepdims=True)
    adata = anndata.AnnData(np.rint(linear / least).astype(np.float32))
    adata.obs_names, adata.var_names = raw.obs_names, raw.var_names
    return adata


# --- the same answers ----------------------------------------------------------------------------


def stored(values, layout: str, dtype: str):
    if dtype == "float16" and layout != "dense":
        dtype = "float32"  # scipy has no sparse halves
    made = {"dense": np.asarray, "csr": sp.csr_matrix, "csc": sp.csc_matrix}[layout](values)
    return made.astype(dtype)


@pytest.mark.parametrize("smooth", [False, True])
@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    seed=st.integers(0, 2**32 - 1),
    layout=st.sampled_from(["dense", "csr", "csc"]),
    dtype=st.sampled_from(["float16", "float32", "float64", "int32", "int64", "uint16"]),
    block=st.integers(1, 130),
    workers=st.integers(1, 3),
    place=st.sampled_from(["X", "raw", "layer"]),
)
def test_order_storage_and_blocks_change_nothing(
    pbmc, smooth, seed, layout, dtype, block, workers, place
):
    rng = np.random.default_rng(seed)
    rows, columns = rng.permutation(pbmc.n_obs), rng.permutation(pbmc.n_vars)
    values = stored(pbmc.X[rows][:, columns], layout, dtype)
    moved = anndata.AnnData(values)
    moved.obs_names, moved.var_names = pbmc.obs_names[rows], pbmc.var_names[columns]
    if place == "raw":
        moved.raw = moved.copy()
        moved.X = -np.ones(moved.shape, dtype=np.float32)
    if place == "layer":
        moved.layers["counts"] = values
        moved.X = -np.ones(moved.shape, dtype=np.float32)
    expected = annotated(pbmc, smooth=smooth)
    found = annotated(moved, smooth=smooth, block=block, workers=workers)
    np.testing.assert_array_equal(found.term, expected.term[rows])
    np.testing.assert_array_equal(found.leaf, expected.leaf[rows])
    np.testing.assert_array_equal(found.reason, expected.reason[rows])
    np.testing.assert_array_equal(found.confidence, expected.confidence[rows])
    np.testing.assert_allclose(found.embedding, expected.embedding[rows], atol=1e-5)
    assert found.summaries == expected.summaries


def test_a_backed_dataset_gets_the_same(pbmc, tmp_path):
    expected = annotated(pbmc, smooth=False)
    pbmc.write_h5ad(tmp_path / "x.h5ad")
    backed = anndata.read_h5ad(tmp_path / "x.h5ad", backed="r")
    found = annotated(backed, smooth=False, block=17)
    backed.file.close()
    np.testing.assert_array_equal(found.term, expected.term)
    np.testing.assert_array_equal(found.confidence, expected.confidence)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(1, 40))
def test_moments_add_up_to_the_same_bits(seed, block):
    rng = np.random.default_rng(seed)
    dense = np.log1p(rng.gamma(0.3, 2.0, size=(60, 9)) * (rng.random((60, 9)) < 0.5))
    whole = GeneMoments.of(sp.csr_matrix(dense.astype(np.float32)))
    moved = sp.csr_matrix(dense[rng.permutation(60)].astype(np.float32))
    total = GeneMoments.zeros(9)
    for start in range(0, 60, block):
        total = total + GeneMoments.of(moved[start : start + block])
    for name in ("detected", "total", "counts"):
        np.testing.assert_array_equal(getattr(total, name), getattr(whole, name))


def test_results_come_in_order_and_an_error_ends_it():
    def work(number):
        time.sleep(0.001 * (number % 3))
        if number == 30:
            raise ValueError("stop")
        return number

    assert list(in_order(work, range(30), 3)) == list(range(30))
    with pytest.raises(ValueError, match="stop"):
        list(in_order(work, range(40), 3))


def test_an_anndata_gets_what_the_file_gets(immune, tmp_path):
    from agent import tl

    immune.write_h5ad(tmp_path / "in.h5ad")
    _, written = annotate_file(tmp_path / "in.h5ad", config=AnnotateConfig(groupby="truth"))
    assert written == tmp_path / "in.celloquy.h5ad"
    read = anndata.read_h5ad(written)
    copy = tl.annotate(immune, groupby="truth", copy=True)
    assert [c for c in immune.obs.columns if c.startswith("celloquy")] == []
    for name in [c for c in copy.obs.columns if c.startswith("celloquy")]:
        assert list(read.obs[name]) == list(copy.obs[name]), name
        assert read.obs[name].dtype == copy.obs[name].dtype
    np.testing.assert_array_equal(read.obsm["X_celloquy"], copy.obsm["X_celloquy"])
    assert read.uns["celloquy"]["encoder"] == copy.uns["celloquy"]["encoder"]
    assert set(read.uns["celloquy"]) == {
        "version", "encoder", "parameters", "releases", "layer_used", "species", "coverage",
        "n_genes_used", "evidence",
    }  # fmt: skip
    assert tl.annotate(copy, key_added="again") is None
    assert list(copy.obs["again_cell_type"]) == list(copy.obs["celloquy_cell_type"])
    tl.annotate(copy)  # without groups: columns of the earlier vote would no longer fit
    assert not any("_cluster_" in name for name in copy.obs.columns)


# --- the answers ---------------------------------------------------------------------------------


@pytest.mark.parametrize("smooth", [False, True])
def test_types_are_found_and_columns_obey_the_schema(known, immune, smooth):
    found = annotated(immune, smooth=smooth)
    right = [
        answer != "unknown" and truth in known.hierarchy.ancestors(answer)
        for answer, truth in zip(found.ids(), immune.obs["truth"], strict=True)
    ]
    assert np.mean(right) >= 0.95
    columns = found.columns()
    assert list(columns) == [
        "celloquy_cell_type", "celloquy_cell_type_ontology_term_id", "celloquy_confidence",
        "celloquy_leaf", "celloquy_leaf_ontology_term_id", "celloquy_reason",
    ]  # fmt: skip
    for name in ("celloquy_cell_type_ontology_term_id", "celloquy_leaf_ontology_term_id"):
        for one in columns[name].categories:
            term = known.graph.term(one)
            assert one == "unknown" or (term is not None and not term.obsolete)
            assert one not in FORBIDDEN
    assert columns["celloquy_confidence"].dtype == np.float32
    answered = found.term != UNKNOWN
    assert (found.confidence[answered] >= 0.5).all()
    assert (found.confidence[~answered] == 0).all()
    assert found.embedding.shape == (immune.n_obs, 50)
    assert np.linalg.norm(found.embedding, axis=1).max() <= 1 + 1e-5


@pytest.mark.parametrize("smooth", [False, True])
def test_a_cell_without_any_marker_is_unknown_and_says_why(immune, smooth):
    dense = immune.X.toarray()
    dense[5] = 0
    dense[5, 0] = 9  # ACTB alone
    dense[7] = 0
    bare = anndata.AnnData(sp.csr_matrix(dense), var=immune.var, obs=immune.obs)
    found = annotated(bare, smooth=smooth)
    assert list(found.ids()[[5, 7]]) == ["unknown", "unknown"]
    columns = found.columns()
    for i in (5, 7):
        assert columns["celloquy_reason"][i] == "unknown: no marker gene was detected"
        assert columns["celloquy_leaf"][i] == "unknown"
        assert found.confidence[i] == 0
        assert not found.embedding[i].any()
    assert found.abstained == (found.term == UNKNOWN).sum() >= 2
    assert len(columns["celloquy_reason"].categories) <= 4


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(a=st.floats(0.3, 0.99), b=st.floats(0.3, 0.99), smooth=st.booleans())
def test_who_wants_to_be_surer_gets_a_more_general_answer(pbmc, known, a, b, smooth):
    low, high = sorted((a, b))
    loose = annotated(pbmc, min_confidence=low, smooth=smooth)
    strict = annotated(pbmc, min_confidence=high, smooth=smooth)
    depth = np.append(known.hierarchy.depth, -1)  # unknown is above everything
    assert (depth[strict.term] <= depth[loose.term]).all()
    answered = strict.term != UNKNOWN
    assert (strict.confidence[answered] >= high).all()


def test_it_backs_off_to_the_lineage_where_subtypes_cannot_be_told(known, immune):
    found = annotated(immune, smooth=False, min_confidence=0.8)
    deep = annotated(immune, smooth=False, min_confidence=0.3)
    assert known.hierarchy.depth[found.term].mean() < known.hierarchy.depth[deep.term].mean()
    assert "CL:0000542" in {a for one in found.counts() for a in known.hierarchy.ancestors(one)}


@pytest.mark.parametrize("smooth", [False, True])
def test_the_leaf_lies_at_or_below_the_answer_and_the_reason_fits(known, immune, smooth):
    for least in (0.3, 0.8, 0.97):
        found = annotated(immune, smooth=smooth, min_confidence=least)
        for term, leaf, reason in zip(found.term, found.leaf, found.reason, strict=True):
            if term == UNKNOWN:
                assert leaf == UNKNOWN
                assert found.reasons[reason].startswith("unknown")
            else:
                assert term in known.hierarchy.above[leaf]
                assert ("leaf" in found.reasons[reason]) == (term != leaf)


def test_a_species_that_the_names_contradict_is_doubted(immune):
    assert looks_like(["CD3E", "C1orf21", "MT-ND1", "ENSG00000198851.10"]) == ("human", 0.75)
    assert looks_like(["Cd3e", "mt-Nd1", "Trac", "ENSMUSG00000032093"]) == ("mouse", 0.75)
    assert looks_like(["a", "b", "1"]) is None
    assert doubt(["Cd3e", "Trac"], None) == doubt(["Cd3e", "Trac"], "mouse") == ()
    found = annotated(immune, smooth=False, species="human")
    assert not any(notice.startswith("warning") for notice in found.about.notices)
    moved = immune.copy()
    moved.var_names = [name.capitalize() for name in immune.var_names]
    found = annotated(moved, smooth=False, species="human")
    (said,) = [notice for notice in found.about.notices if notice.startswith("warning")]
    assert "given as human" in said and "name mouse" in said


def test_shuffled_values_are_told_as_such(immune):
    assert not any("shuffled" in one for one in annotated(immune, smooth=False).about.notices)
    rng = np.random.default_rng(0)
    noise = cells(per_type=40)
    noise.X = sp.csr_matrix(np.column_stack([rng.permutation(c) for c in noise.X.toarray().T]))
    (said,) = [one for one in annotated(noise, smooth=False).about.notices if "shuffled" in one]
    assert said.startswith("warning: no structure")


def test_what_a_type_lacks_by_definition_counts_and_names_its_source(known):
    row, column = known.sets.ids.index("CL:0000623"), known.sets.genes.index("CD19")
    assert known.sources["CL:0000623", "CD19"] == ("CL",)  # an axiom, no other collection
    assert known.sets.off[[row], :].toarray()[0, column] > 0
    adata = cells(CL_0000623=12)
    b_like = adata[adata.obs["truth"] == "CL:0000623"].to_memory()
    b_like.X = b_like.X.toarray()
    b_like.X[:, list(b_like.var_names).index("CD19")] = 3
    found = annotated(b_like, smooth=False, candidates=("CL:0000623",))
    against = [m for one in found.summaries for m in one.against]
    assert ("CD19", "unexpected", ("CL",)) in {(m.gene, m.role, m.sources) for m in against}


def test_candidates_bound_the_answers(known, immune):
    found = annotated(immune, candidates=("CL:0000542",))
    for one in found.counts():
        assert "CL:0000542" in known.hierarchy.ancestors(one)
    assert found.about.parameters["candidates"] == "CL:0000542"
    with pytest.raises(UnknownTerm, match="CL:9999999"):
        annotated(immune, candidates=("CL:9999999",))
    with pytest.raises(BadInput, match="no cell type"):
        annotated(immune, candidates=("GO:0006915",))
    # The other types are scored all the same: none of these cells is a hepatocyte or a neuron.
    for other in ("CL:0000151", "CL:0000540"):
        assert annotated(immune, candidates=(other,)).abstained == immune.n_obs
    scored = set(known.sets.ids)
    bare = next(one for one in known.hierarchy.ids if not scored & set(known.hierarchy.below(one)))
    with pytest.raises(BadInput, match="wider term"):
        annotated(immune, candidates=(bare,))


def test_a_tissue_is_a_prior(known, immune):
    plain, blood = (annotated(immune, smooth=False, tissue=t) for t in (None, "UBERON:0000178"))
    assert blood.about.parameters["tissue"] == "UBERON:0000178"
    assert "UBERON" in blood.about.releases
    assert "UBERON" not in plain.about.releases
    assert (plain.embedding != blood.embedding).any()
    with pytest.raises(UnknownTerm, match="no tissue"):
        annotated(immune, tissue="CL:0000084")


def test_evidence_is_what_was_counted(known, immune):
    found = annotated(immune, smooth=False)
    seen = immune.X.toarray() > 0
    for one in found.summaries:
        inside = found.ids() == one.id
        assert one.n_cells == inside.sum()
        assert one.confidence == pytest.approx(found.confidence[inside].mean(), abs=1e-4)
        for marker in (*one.supporting, *one.against):
            column = seen[:, GENES.index(marker.gene)]
            assert marker.inside == pytest.approx(column[inside].mean(), abs=1e-4)
            assert marker.outside == pytest.approx(column[~inside].mean(), abs=1e-4)
            assert marker.sources
        genes = {m.gene for m in one.supporting}
        assert not genes & {m.gene for m in one.against}
        assert all(m.inside > m.outside for m in one.supporting)
    everything = {m.gene for one in found.summaries for m in one.supporting}
    assert {"CD79A", "LYZ", "CD3D"} <= everything


# --- votes ---------------------------------------------------------------------------------------


def test_a_rare_type_keeps_its_own_answer_in_a_cluster(known):
    adata = cells(CL_0000084=40, CL_0000236=2, CL_0000576=0, CL_0000623=0)
    adata.obs["cluster"] = ["one"] * adata.n_obs
    found = annotated(adata, groupby="cluster", smooth=False)
    votes = found.clusters
    assert votes.names == ("one",)
    assert "CL:0000084" in known.hierarchy.ancestors(known.hierarchy.ids[votes.term[0]])
    term, _ = found.cluster_answers()
    answers = [known.hierarchy.ids[i] for i in term]
    assert all("CL:0000084" in known.hierarchy.ancestors(one) for one in answers[:40])
    sure = found.confidence[40:] >= 0.75
    assert sure.any()
    for one, own in zip(answers[40:], votes.kept[40:], strict=True):
        assert own == ("CL:0000236" in known.hierarchy.ancestors(one))
    assert not votes.kept[:40].any()


def test_cells_of_no_cluster_are_unknown_in_the_vote(immune):
    adata = immune.copy()
    groups = adata.obs["truth"].astype(object)
    groups.iloc[3] = None
    adata.obs["cluster"] = groups
    found = annotated(adata, groupby="cluster")
    columns = found.columns()
    assert columns["celloquy_cluster_cell_type_ontology_term_id"][3] == "unknown"
    assert columns["celloquy_cluster_confidence"][3] == 0
    with pytest.raises(BadInput, match="no column 'leiden'"):
        annotated(adata, groupby="leiden")


@settings(max_examples=10, deadline=None, suppress_health_check=list(HealthCheck))
@given(seed=st.integers(0, 2**32 - 1), block=st.integers(1, 60))
def test_votes_do_not_depend_on_order(immune, seed, block):
    order = np.random.default_rng(seed).permutation(immune.n_obs)
    expected = annotated(immune, groupby="truth", smooth=False)
    found = annotated(immune[order].copy(), groupby="truth", smooth=False, block=block)
    np.testing.assert_array_equal(found.clusters.term, expected.clusters.term)
    np.testing.assert_array_equal(found.clusters.confidence, expected.clusters.confidence)


# --- files and the command -----------------------------------------------------------------------


@pytest.fixture
def file(immune, tmp_path):
    immune.write_h5ad(tmp_path / "cells.h5ad")
    return tmp_path / "cells.h5ad"


def digest(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_the_json_document(file, capsys):
    before = digest(file)
    assert run(["annotate", str(file), "--json", "--groupby", "truth"]) == 0
    out, err = capsys.readouterr()
    document = json.loads(out)
    assert list(document) == [
        "n_cells", "n_genes_used", "layer_used", "releases", "encoder", "counts", "abstained",
        "notices", "seconds", "peak_rss_mb",
    ]  # fmt: skip
    assert document["n_cells"] == 48
    assert document["layer_used"] == "X"
    assert document["releases"]["CL"].startswith("v20")
    assert sum(document["counts"].values()) + document["abstained"] == 48
    assert "X is used as counts" in err
    assert "reached a current human symbol" in err
    assert digest(file) == before
    assert (file.parent / "cells.celloquy.h5ad").exists()


def test_the_table(file, capsys):
    assert run(["annotate", str(file), "--quiet", "--groupby", "truth"]) == 0
    out, err = capsys.readouterr()
    assert err == ""
    assert "48 human cells" in out
    assert "FOR" in out
    assert "TRUTH" in out
    assert "CD79A 100/" in out or "MS4A1 100/" in out or "CD79B 100/" in out


def refused(arguments, capsys, folder: Path, *expected: str) -> None:
    before = {path: digest(path) for path in folder.iterdir()}
    assert run(arguments) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.count("\n") == 1, err
    for part in expected:
        assert part in err
    assert {path: digest(path) for path in folder.iterdir()} == before


def test_what_cannot_be_annotated_is_refused_in_one_line(file, immune, tmp_path, capsys):
    whole = file.read_bytes()
    (tmp_path / "cut.h5ad").write_bytes(whole[: len(whole) // 2])
    refused(["annotate", str(tmp_path / "cut.h5ad")], capsys, tmp_path, "cut.h5ad")
    anndata.AnnData(np.zeros((0, 3), dtype=np.float32)).write_h5ad(tmp_path / "empty.h5ad")
    refused(["annotate", str(tmp_path / "empty.h5ad")], capsys, tmp_path, "no cells")
    scaled = immune.copy()
    values = immune.X.toarray()
    scaled.X = (values - values.mean(axis=0)) / (values.std(axis=0) + 1)
    scaled.write_h5ad(tmp_path / "scaled.h5ad")
    refused(["annotate", str(tmp_path / "scaled.h5ad")], capsys, tmp_path, "negative", "raw")
    refused(["annotate", str(file), "-o", str(file)], capsys, tmp_path, "input itself")
    text = str(tmp_path / "x.txt")
    refused(["annotate", str(file), "-o", text], capsys, tmp_path, "does not end in .h5ad")
    nowhere = tmp_path / "no" / "out.h5ad"
    refused(["annotate", str(file), "-o", str(nowhere)], capsys, tmp_path, "does not exist")
    refused(["annotate", str(file), "--groupby", "leiden"], capsys, tmp_path, "leiden")
    refused(["annotate", str(file), "--min-confidence", "1.5"], capsys, tmp_path, "1.5")
    refused(["annotate"], capsys, tmp_path, "either a dataset")
    refused(["annotate", str(tmp_path / "none.h5ad")], capsys, tmp_path, "none.h5ad")
    gone = ["annotate", str(tmp_path / "none.h5ad"), "-o", str(tmp_path / "odd.celloquy.h5ad")]
    (tmp_path / "odd.celloquy.h5ad").touch()  # an earlier answer that would be replaced
    refused(gone, capsys, tmp_path, "none.h5ad does not exist", "expected an .h5ad file")
    refused(["annotate", str(tmp_path)], capsys, tmp_path, "is a folder")
    refused(["annotate", "--markers", str(tmp_path)], capsys, tmp_path, "is a folder")
    lost = str(tmp_path / "lost.tsv")
    refused(["annotate", "--markers", lost], capsys, tmp_path, "lost.tsv does not exist")
    made = str(tmp_path / "made.h5ad")
    refused(["annotate", "--markers", lost, "-o", made], capsys, tmp_path, "leave out --output")
    measured = immune.copy()
    measured.obs["score"] = np.linspace(0, 1, measured.n_obs)
    measured.obs["barcode"] = [f"cell{i}" for i in range(measured.n_obs)]
    measured.write_h5ad(tmp_path / "measured.h5ad")
    for key in ("score", "barcode"):
        grouped = ["annotate", str(tmp_path / "measured.h5ad"), "--groupby", key]
        refused(grouped, capsys, tmp_path, key, "expected a column of groups")
    odd = immune.copy()
    odd.var_names = [f"thing{i}" for i in range(odd.n_vars)]
    odd.write_h5ad(tmp_path / "odd.h5ad")
    refused(["annotate", str(tmp_path / "odd.h5ad")], capsys, tmp_path, "0 of 40 names")


KILLED = """
import sys, time, pathlib
from agent.cli.main import run
moved = pathlib.Path.replace
def slow(self, target):
    print("writing", flush=True)
    time.sleep(60)
    return moved(self, target)
pathlib.Path.replace = slow
run(["annotate", sys.argv[1], "-o", sys.argv[2], "--quiet", "--no-smooth"])
"""


def test_a_kill_while_writing_leaves_no_half_file(file, tmp_path):
    target = tmp_path / "out.h5ad"
    with h5py.File(target, "w") as earlier:  # a copy that was written before
        earlier.create_group("uns/celloquy")
    stood, before = digest(target), digest(file)
    process = subprocess.Popen(
        [sys.executable, "-c", KILLED, str(file), str(target)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    with process:
        assert process.stdout.readline() == "writing\n"
        process.send_signal(signal.SIGKILL)
        process.wait(timeout=30)
    assert (digest(target), digest(file)) == (stood, before)
    assert run(["annotate", str(file), "-o", str(target), "--quiet"]) == 0
    assert anndata.read_h5ad(target).n_obs == 48
    assert sorted(path.name for path in tmp_path.iterdir()) == ["cells.h5ad", "out.h5ad"]


def test_the_chosen_matrix_and_the_species_are_told(pbmc, tmp_path, capsys):
    moved = pbmc.copy()
    moved.raw = moved.copy()
    moved.X = pbmc.X - pbmc.X.mean(axis=0)
    moved.write_h5ad(tmp_path / "in.h5ad")
    assert run(["annotate", str(tmp_path / "in.h5ad"), "--json"]) == 0
    out, err = capsys.readouterr()
    assert json.loads(out)["layer_used"] == "raw.X"
    assert "X is not used: it holds negative values" in err


def test_sums_by_answer_are_whole_however_blocks_fall(immune):
    one = annotated(immune, smooth=False, block=7)
    other = annotated(immune, smooth=False, block=48)
    assert one.summaries == other.summaries
    assert replace(one.about, seconds=0) == replace(other.about, seconds=0)


def test_marker_lists_alone(known, tmp_path, capsys):
    file = tmp_path / "lists.txt"
    file.write_text(
        "one\tCD79A MS4A1 CD19 BANK1\n\ntwo\tLyz2 Cd14 S100a8\nthree,ACTB,nothing\nfour\t\n"
    )
    assert run(["annotate", "--markers", str(file), "--json"]) == 0
    out, err = capsys.readouterr()
    first, second, third, fourth = json.loads(out)["clusters"]
    assert (fourth["id"], fourth["refused"]) == ("unknown", "line 5: cluster 'four' has no genes")
    assert fourth["refused"] in err
    assert "CL:0000236" in known.hierarchy.ancestors(first["id"])
    assert first["species"] == "human"
    assert {"CD79A", "MS4A1"} <= set(first["supporting"])
    assert second["species"] == "mouse"
    assert third["unread"] == ["nothing"]
    assert "nothing" in err
    assert run(["annotate", "--markers", str(file), "--candidates", "CL:0000542", "--quiet"]) == 0
    out, _ = capsys.readouterr()
    assert "B cell" in out
    assert run(["annotate", "x.h5ad", "--markers", str(file)]) == 2
    house = "four\tRPL13 RPS2 RPL10 RPS18 RPL32\nfive\tHSPA1A FOS JUN DNAJB1\nsix\tCD3E\n"
    file.write_text(house)
    capsys.readouterr()
    assert run(["annotate", "--markers", str(file), "--min-confidence", "0.95", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)["clusters"]
    assert [one["id"] for one in found[:2]] == ["unknown", "unknown"]
    assert found[2]["id"] == "unknown" or found[2]["confidence"] >= 0.95
