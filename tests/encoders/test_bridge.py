"""Predicted links: the vote worked by hand, features, and answers on the real graph."""

from __future__ import annotations

import json
import math
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy.sparse import csr_array

from data.errors import BadFile, BadInput, UnknownTerm
from encoders.bridge import features as nodefeatures
from encoders.bridge import tables as linktables
from encoders.bridge.features import FeatureTable
from encoders.bridge.links import SETTINGS, bridge
from encoders.bridge.neighbours import (
    VotesConfig,
    nearest,
    plain,
    popularity,
    similarity,
    supporters,
    votes,
)
from encoders.bridge.network import BridgeNet, layer_norm
from encoders.bridge.tables import TARGETS, Links
from kg.embedded import EmbeddedGraph

ROOT = Path(__file__).parents[2]
TABLE = csr_array(np.array([[1, 1, 0], [0, 1, 0], [0, 0, 1]], dtype=np.float32))

# --- the vote ------------------------------------------------------------------------------------


def test_the_vote_by_hand() -> None:
    similar = np.array([[0.9, 0.5, 0.1]])
    config = VotesConfig(k=2, sharpness=2.0, prior=0.0)
    a, b = math.exp(2 * (0.9 - 1)), math.exp(2 * (0.5 - 1))
    found = votes(similar, TABLE, config)
    assert found.scores[0] == pytest.approx([a / (a + b), 1.0, 0.0])
    assert found.voters.tolist() == [[0, 1]]
    assert supporters(found, TABLE, 0, 1) == [0, 1]
    assert supporters(found, TABLE, 0, 0) == [0]


def test_the_prior_counts_as_so_many_votes() -> None:
    config = VotesConfig(k=1, sharpness=1.0, prior=0.5)
    vote = math.exp(-0.5)
    found = votes(np.array([[0.0, 0.5, 0.0]]), TABLE, config).scores[0]
    common = [1 / 3, 2 / 3, 1 / 3]
    own = [0.0, 1.0, 0.0]
    assert found == pytest.approx(
        [(vote * o + 0.5 * c) / (vote + 0.5) for o, c in zip(own, common, strict=True)]
    )
    given_prior = votes(np.array([[0.0, 0.5, 0.0]]), TABLE, config, np.array([[1.0, 0.0, 0.0]]))
    assert given_prior.scores[0] == pytest.approx([0.5 / (vote + 0.5), vote / (vote + 0.5), 0.0])


def test_plain_neighbours_weigh_by_cosine() -> None:
    found = plain(np.array([[0.6, 0.2, -0.5]]), TABLE, k=3)[0]
    assert found == pytest.approx([0.75, 1.0, 0.0], abs=1e-5)


def test_equal_neighbours_are_taken_in_their_order() -> None:
    similar = np.array([[0.5, 0.7, 0.5, 0.5]])
    assert nearest(similar, 2).tolist() == [[1, 0]]
    assert nearest(similar, 9).tolist() == [[1, 0, 2, 3]]


def test_popularity_is_the_share_of_genes() -> None:
    assert popularity(TABLE) == pytest.approx([1 / 3, 2 / 3, 1 / 3])


def test_a_gene_without_a_kind_is_compared_by_the_others() -> None:
    names = np.array([[1.0, 0.0], [1.0, 0.0]], dtype=np.float32)
    graph = csr_array(np.array([[0, 1], [0, 0]], dtype=np.float32))
    known = {"name": np.array([[0.6, 0.8]], np.float32), "graph": csr_array([[0.0, 1.0]])}
    found = similarity({"name": names, "graph": graph}, known, {"name": 1.0, "graph": 3.0})
    assert found[:, 0] == pytest.approx([0.25 * 0.6 + 0.75, 0.6], abs=1e-6)


@given(
    st.integers(1, 6).flatmap(
        lambda n: st.tuples(
            st.lists(st.lists(st.booleans(), min_size=4, max_size=4), min_size=n, max_size=n),
            st.lists(st.floats(-1, 1), min_size=n, max_size=n),
        )
    ),
    st.integers(1, 8),
    st.floats(0, 40),
)
def test_a_share_is_a_share(
    drawn: tuple[list[list[bool]], list[float]], k: int, sharpness: float
) -> None:
    table = csr_array(np.array(drawn[0], dtype=np.float32))
    config = VotesConfig(k=k, sharpness=sharpness, prior=1e-3)
    scores = votes(np.array([drawn[1]]), table, config).scores
    assert scores.shape == (1, 4)
    assert (scores >= 0).all()
    assert (scores <= 1 + 1e-9).all()


@pytest.mark.parametrize("weights", [{}, {"name": 0.0}, {"name": 1.0, "graph": -1.0}])
def test_weights_that_weigh_nothing_are_refused(weights: dict[str, float]) -> None:
    with pytest.raises(BadInput, match="weights above 0"):
        VotesConfig(weights=weights)


# --- links and features --------------------------------------------------------------------------


def test_links_over_other_genes() -> None:
    found = Links.of(TARGETS["process"], [("g2", "t1"), ("g1", "t2"), ("g1", "t1")])
    assert (found.genes, found.tails) == (("g1", "g2"), ("t1", "t2"))
    moved = found.over(["g3", "g2", "g1"])
    assert moved.table.toarray().tolist() == [[0, 0], [1, 0], [1, 1]]
    assert moved.sizes.tolist() == [0, 1, 2]
    assert moved.of_gene("g2") == {"t1"}
    assert moved.of_gene("g9") == frozenset()


def test_an_unknown_target_is_told() -> None:
    assert linktables.target("Cell type").name == "celltype"
    with pytest.raises(BadInput, match="one of: process, function"):
        linktables.target("drug")


def test_profiles_weigh_rare_terms_more() -> None:
    links = Links.of(TARGETS["process"], [("a", "x"), ("b", "x"), ("b", "y"), ("c", "x")])
    found = nodefeatures.profiles([links], ["a", "b", "c", "d"]).toarray()
    x, y = math.log(4 / 3), math.log(4)
    assert found[0].tolist() == [1.0, 0.0]
    assert found[1] == pytest.approx(np.array([x, y]) / math.hypot(x, y))
    assert not found[3].any()


def test_bytes_keep_the_cosines() -> None:
    rng = np.random.default_rng(0)
    rows = nodefeatures.units(
        (rng.standard_normal((300, 6)) @ rng.standard_normal((6, 24))).astype(np.float32)
    )
    values, scale = nodefeatures.quantised(rows, 6)
    assert values.dtype == np.int8
    ids = tuple(str(i) for i in range(300))
    own, kept = (
        FeatureTable(ids, some, "x").units for some in (rows, values.astype(np.float32) * scale)
    )
    assert np.abs(own @ own.T - kept @ kept.T).max() < 0.03


def test_a_node_without_features_has_zeros() -> None:
    table = FeatureTable(("a", "b"), np.array([[1, 0], [0, 1]], np.float32), "x")
    assert not table.of(["c"]).any()
    assert np.linalg.norm(table.of(["b", "a"]), axis=1) == pytest.approx([1, 1])
    with pytest.raises(BadFile, match="one row a node"):
        FeatureTable(("a",), np.zeros((2, 2), np.float32), "x")


@pytest.mark.assets
@pytest.mark.parametrize("kind", ["tsv", "csv", "npz"])
def test_tables_of_the_users_own(tmp_path: Path, kind: str) -> None:
    file = tmp_path / f"esm2.{kind}"
    if kind == "npz":
        np.savez(file, genes=np.array(["CD8A", "ENSG00000010610"]), values=np.eye(2))
    else:
        cut = "\t" if kind == "tsv" else ","
        rows = [["gene", "v1", "v2"], ["CD8A", "1", "0"], ["ENSG00000010610", "0", "1"]]
        file.write_text("\n".join(cut.join(row) for row in rows), encoding="utf-8")
    table = nodefeatures.read_table(file)
    assert table.ids == ("HGNC:1706", "HGNC:1678")
    assert table.values.tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("CD8A\t1\nCD4\t1\t2\n", "genes have 1 to 2 numbers"),
        ("", "it has no numbers"),
        ("CD8A\tx\ty\n", "it has no numbers"),
    ],
)
def test_tables_that_are_none(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "bad.tsv"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(BadFile, match=said):
        nodefeatures.read_table(file)


@pytest.mark.parametrize("kind", ["objects", "text", "half", "empty", "unnamed", "words", "absent"])
def test_arrays_that_are_none_are_refused_without_advice_to_unpickle(
    tmp_path: Path, kind: str
) -> None:
    file = tmp_path / "own.npz"
    genes, values = np.array(["CD8A", "CD4"]), np.eye(2)
    if kind == "objects":
        np.savez(file, genes=genes.astype(object), values=values)
    elif kind == "unnamed":
        np.savez(file, names=genes, values=values)
    elif kind == "words":
        np.savez(file, genes=genes, values=np.array([["a"], ["b"]]))
    elif kind == "half":
        np.savez(file, genes=genes, values=values)
        file.write_bytes(file.read_bytes()[:200])
    elif kind != "absent":
        file.write_bytes(b"CD8A\t1\n" if kind == "text" else b"")
    with pytest.raises(BadFile, match=r"own\.npz cannot be read: .*; expected an \.npz") as told:
        nodefeatures.read_table(file)
    assert "pickle" not in str(told.value) and "\n" not in str(told.value)


def test_values_that_are_no_numbers(tmp_path: Path) -> None:
    file = tmp_path / "bad.tsv"
    file.write_text("CD8A\t1\tnan\n", encoding="utf-8")
    with pytest.raises(BadFile, match="finite"):
        nodefeatures.read_table(file)


def test_layer_norm_by_hand() -> None:
    one: NDArray[np.float32] = np.ones(2, np.float32)
    found = layer_norm(np.array([[1.0, 3.0]], np.float32), 2 * one, one)
    assert found[0] == pytest.approx([-1, 3], abs=1e-4)


def test_a_folder_without_a_bridge(tmp_path: Path) -> None:
    with pytest.raises(BadFile, match="holds no trained bridge"):
        BridgeNet.load(tmp_path)


# --- answers on the real graph -------------------------------------------------------------------


@pytest.mark.assets
def test_links_leave_out_what_does_not_hold(real: EmbeddedGraph) -> None:
    links = linktables.read_links("celltype", real)
    by_absence = [
        (edge.subject, edge.object)
        for edge in real.edges("HGNC:1678", predicates=links.target.predicates)
        if "negative" in edge.qualifiers and edge.subject == "HGNC:1678"
    ]
    assert by_absence
    stated = {e.object for e in real.edges("HGNC:1678", predicates=links.target.predicates)
              if "negative" not in e.qualifiers}  # fmt: skip
    assert links.of_gene("HGNC:1678") == stated
    # APC is said not to bind cadherin.
    functions = linktables.read_links("function", real)
    edges = real.edges("HGNC:583", direction="out", predicates=functions.target.predicates)
    assert any(edge.negated for edge in edges)
    assert functions.of_gene("HGNC:583") == {e.object for e in edges if not e.negated}


@pytest.mark.assets
def test_phenotypes_are_no_inheritance_and_no_onset() -> None:
    names = set(linktables.phenotype_names().values())
    assert "Seizure" in names
    assert not names & {"Autosomal recessive inheritance", "Adult onset", "Slowly progressive"}


@pytest.mark.assets
def test_known_and_predicted_never_mix(real: EmbeddedGraph) -> None:
    pytest.importorskip("safetensors")
    found = bridge("TREM2", "disease", graph=real)
    known = {one.term.id for one in found.known}
    predicted = [one.id for one in found.prediction.ranked]
    assert len(known) >= 2
    assert len(predicted) == 10
    assert not known & set(predicted)
    above = {a for one in known for a in real.ancestors(one)}
    assert not above & set(predicted)
    scores = [one.score for one in found.prediction.ranked]
    assert scores == sorted(scores, reverse=True)
    # The other gene of the disease that TREM2 is known for.
    assert any("TYROBP" in rests for rests in found.rests_on.values())
    measured = found.prediction.measured
    assert measured.baseline in found.prediction.measured.sentence()
    assert 0 < measured.baseline_value < 1 and 0 < measured.value < 1
    assert bridge("TREM2", "disease", graph=real).prediction == found.prediction


@pytest.mark.assets
def test_what_rests_on_nothing_is_not_predicted(real: EmbeddedGraph) -> None:
    pytest.importorskip("safetensors")
    found = bridge("TREM2", "disease", limit=100_000, graph=real)
    assert 10 < len(found.prediction.ranked) < 1000
    assert all(found.rests_on[one.id] for one in found.prediction.ranked)


@pytest.mark.assets
def test_a_mouse_gene_is_described_by_its_orthologue(real: EmbeddedGraph) -> None:
    pytest.importorskip("safetensors")
    found = bridge("Trem2", "phenotype", species="mouse", graph=real, limit=3)
    assert found.gene.startswith("MGI:")
    assert found.described_by == "TREM2"
    assert "human orthologue TREM2" in found.prediction.notes[0]
    human = bridge("TREM2", "phenotype", graph=real, limit=3)
    assert found.prediction.ranked == human.prediction.ranked
    assert {one.edge.source for one in human.known} == {"HPO"}


@pytest.mark.assets
def test_every_target_has_its_figures() -> None:
    document = json.loads((nodefeatures.SHIPPED / "figures.json").read_text("utf-8"))
    assert set(document["figures"]) == set(TARGETS) == set(SETTINGS)
    for by in document["figures"].values():
        assert set(by) == {"name", "graph"}


@pytest.mark.assets
def test_what_cannot_be_answered_is_one_line(real: EmbeddedGraph) -> None:
    pytest.importorskip("safetensors")
    with pytest.raises(UnknownTerm, match="NOTAGENE"):
        bridge("NOTAGENE", "disease", graph=real)
    with pytest.raises(BadInput, match="nothing to bridge a gene to"):
        bridge("TREM2", "drug", graph=real)
    with pytest.raises(BadInput, match="nothing describes"):
        bridge("AIRN", "disease", graph=real)
    with pytest.raises(BadInput, match="limit is 0"):
        bridge("TREM2", "disease", limit=0, graph=real)


@pytest.mark.assets
def test_the_command_answers_without_torch() -> None:
    pytest.importorskip("safetensors")
    program = (
        "import sys, celloquy; sys.argv = ['celloquy', 'bridge', 'TREM2', '--to', 'celltype']\n"
        "code = celloquy.main()\n"
        "assert 'torch' not in sys.modules, 'torch was loaded'\n"
        "sys.exit(code)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    known, predicted = done.stdout.split("PREDICTED, not known")
    assert "KNOWN:" in known
    assert "marker of" in known
    assert "measured: mean reciprocal rank" in predicted
    assert "kNN-20" in predicted


@pytest.mark.assets
def test_one_document_keeps_them_apart(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("safetensors")
    from agent.cli.main import run

    assert run(["bridge", "TREM2", "--to", "disease", "--limit", "2", "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    known = {one["id"] for one in document["known"]}
    predicted = document["predicted"]
    assert len(predicted["ranked"]) == 2
    assert not known & {one["id"] for one in predicted["ranked"]}
    assert {one["source"] for one in document["known"]} == {"HPO"}
    assert set(predicted["measured"]) >= {"figure", "value", "baseline", "baseline_value"}
    assert predicted["notes"]
    assert (predicted["status"], predicted["prediction_confidence"]) == ("predicted", None)


@pytest.mark.assets
@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["NOTAGENE", "--to", "disease"], "no human gene is called 'NOTAGENE'"),
        (["T cells", "--to", "process"], "is the cell type T cell (CL:0000084), no gene"),
        (["asthma", "--to", "disease"], "is the disease asthma"),
        (["HLA-A", "--to", "process", "--species", "mouse"], "no one gene for it but"),
        (["GNLY", "--to", "process", "--species", "mouse"], "no mouse orthologue of it is known"),
        (["TREM2", "--to", "drug"], "one of: process, function, component"),
        (["TREM2", "--to", "disease", "--features", "absent.tsv"], "absent.tsv cannot be read"),
        (["TREM2", "--to", "disease", "--model", "absent"], "absent holds no trained bridge"),
    ],
)
def test_the_command_says_what_it_cannot_use(
    capsys: pytest.CaptureFixture[str], words: list[str], said: str
) -> None:
    from agent.cli.main import run

    assert run(["bridge", *words]) == 2
    told = capsys.readouterr().err
    assert said in told
    assert told.count("\n") == 1
