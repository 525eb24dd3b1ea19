"""Simulated and real cells: what is drawn from which fact, what is marked, what is left out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import scipy.sparse as sp

from data.errors import BadFile, BadInput
from data.markers import Marker
from encoders.celltext import FLOOR, CellEncoder
from encoders.celltypes.markersets import MarkerSets, build_sets
from encoders.genept import Centring, GeneVectors
from kg.backoff import Hierarchy
from training import background, profiles
from training.background import Background
from training.profiles import Profiles, SimulationConfig

HIERARCHY = Hierarchy.make(
    {"CL:1": ["CL:1"], "CL:2": ["CL:1", "CL:2"], "CL:3": ["CL:1", "CL:3"]}, {}
)
GENES = tuple(f"HK{i}" for i in range(40))
BACKGROUND = Background(GENES, np.full(40, 100.0), 0.25, 0.1, 8.0, 0.5)
ALL = SimulationConfig(donors=2, cells=30, panel_share=0.0)


@pytest.fixture(scope="module")
def sets() -> MarkerSets:
    sources = ("celloquy-curated", "ASCT+B", "pegasus", "CellMarker2.0")
    facts = [
        Marker(term, f"{letter}{i}", positive=True, sources=sources)
        for term, letter in (("CL:2", "A"), ("CL:3", "B"))
        for i in range(4)
    ]
    facts.append(Marker("CL:2", "HK0", positive=False, sources=sources))
    return build_sets(facts, HIERARCHY)


def test_markers_go_up_and_negative_ones_down(sets: MarkerSets) -> None:
    (first, _) = profiles.simulate(sets, BACKGROUND, ALL, seed=1)
    assert first.simulated and first.types.count("CL:2") == 30
    place = {gene: i for i, gene in enumerate(first.genes)}
    dense = first.values.toarray()
    two = np.array([t == "CL:2" for t in first.types])
    up = dense[:, [place[f"A{i}"] for i in range(4)]]
    # Off, a gene that is no background has no counts at all.
    assert up[~two].max() == 0
    assert (up[two].mean(axis=0) > 0).sum() >= 3
    down = np.expm1(dense[:, place["HK0"]])
    assert 0 < down[two].mean() < 0.1 * down[~two].mean()


def test_values_are_log1p_of_ten_thousand_and_the_seed_decides(sets: MarkerSets) -> None:
    a, b = profiles.simulate(sets, BACKGROUND, ALL, seed=5)
    total = np.expm1(a.values.toarray()).sum(axis=1)
    assert total == pytest.approx(np.full(len(a), 1e4), rel=1e-4)
    again, _ = profiles.simulate(sets, BACKGROUND, ALL, seed=5)
    assert (a.values != again.values).nnz == 0
    assert (a.values != b.values).nnz > 0


def test_counts_are_spread_as_a_negative_binomial(sets: MarkerSets) -> None:
    # One type, equal depth: variance = mean + dispersion mean^2.
    flat = Background(GENES, np.full(40, 100.0), 0.25, 0.0, np.log(8_000), 0.0)
    level = np.full((1, 40), 1 / 40, dtype=np.float32)
    random = np.random.default_rng(0)
    values = profiles._draw(level, 4_000, flat, random).toarray()
    share = np.expm1(values) / 1e4
    # Shares of a fixed depth of 200 a gene; what dividing by the total takes away is 1/40.
    expected = (1 / 200 + 0.25) * (1 - 1 / 40)
    assert share.var() / share.mean() ** 2 == pytest.approx(expected, rel=0.08)


def test_a_panel_keeps_values_and_order() -> None:
    whole = Profiles(sp.csr_array(np.arange(12.0).reshape(2, 6)), tuple("abcdef"), ("x", "y"), "o")
    config = SimulationConfig(panel_genes=(3, 3))
    part = profiles.on_panel(whole, {"a"}, config, np.random.default_rng(0))
    assert len(part.genes) == 3 and list(part.genes) == sorted(part.genes)
    columns = ["abcdef".index(g) for g in part.genes]
    assert (part.values.toarray() == whole.values.toarray()[:, columns]).all()


def test_the_spread_is_measured_as_it_was_made() -> None:
    random = np.random.default_rng(0)
    mean = random.uniform(2, 20, 300)
    counts = random.poisson(mean * random.gamma(1 / 0.4, 0.4, (400, 300)))
    assert background.dispersion(counts.astype(float)) == pytest.approx(0.4, rel=0.1)


def test_the_shipped_background() -> None:
    found = background.read()
    rates = dict(zip(found.genes, found.rates, strict=True))
    assert len(found.genes) > 4_000
    assert rates["B2M"] > 20 and rates["ACTB"] > 20
    # What one lineage alone expresses is no background.
    assert not {"CD3E", "CD8A", "LYZ", "CD79A", "IGKC"} & {g for g, r in rates.items() if r > 5}
    assert 0.05 < found.dispersion < 1 and 500 < np.exp(found.depth_mean) < 10_000


def test_a_broken_background_is_named(tmp_path: Path) -> None:
    path = tmp_path / "b.tsv"
    path.write_text("gene\trate\nA\tx\n")
    with pytest.raises(BadFile, match="no table of background expression"):
        background.read(path)


class TestEncoder:
    def test_weights_and_centring_by_hand(self, monkeypatch: pytest.MonkeyPatch) -> None:
        table = GeneVectors(("A", "B"), np.eye(2, dtype=np.float32))
        monkeypatch.setattr("encoders.celltext.vectors", lambda *a, **k: table)
        encoder = CellEncoder({"A": 0.5})
        vectors = encoder.encode(sp.csr_array(np.array([[1.0, 25.0]])), ["A", "B"])
        # (1 x .5, 25 x .02) = (.5, .5)
        assert FLOOR == 0.02
        assert vectors == pytest.approx(np.full((1, 2), np.sqrt(0.5)))

    def test_saved_and_read_again(self, tmp_path: Path) -> None:
        pytest.importorskip("torch")
        turn = np.eye(2, dtype=np.float32)
        encoder = CellEncoder({"A": 0.5}, Centring(np.ones(2, dtype=np.float32), turn))
        encoder.save(tmp_path)
        again = CellEncoder.shipped(tmp_path)
        assert again.identity == encoder.identity
        assert again.weights == encoder.weights
        assert (again.centring.turn == turn).all()
        (tmp_path / "gene_text.safetensors").write_bytes(b"x")
        with pytest.raises(BadFile, match="sha256"):
            CellEncoder.shipped(tmp_path)

    @pytest.mark.assets
    def test_what_ships_has_no_gene_that_only_held_out_types_tell(self) -> None:
        pytest.importorskip("torch")
        from data.markers import read_markers
        from training.annotation.data import cell_ontology
        from training.holdout import held_out

        shipped = CellEncoder.shipped()
        assert shipped.centring is not None and shipped.centring.turn is not None
        assert shipped.weights["CD3E"] > 0.5
        unseen = held_out(cell_ontology()[0])
        told = {m.gene for m in read_markers() if m.positive and m.cl_id not in unseen}
        alone = {m.gene for m in read_markers() if m.cl_id in unseen} - told
        assert len(alone) > 50
        assert not alone & set(shipped.weights)


@pytest.mark.assets
def test_held_out_types_are_in_no_set() -> None:
    from training.annotation.data import cell_ontology
    from training.holdout import held_out

    hierarchy, _ = cell_ontology()
    unseen = held_out(hierarchy)
    sets = profiles.marker_sets(hierarchy, unseen)
    assert not set(sets.ids) & unseen
    assert len(sets.ids) > 500


@pytest.mark.assets
@pytest.mark.shared
def test_real_cells_by_id_and_by_label(shared_data: Path) -> None:
    from kg.embedded import EmbeddedGraph
    from training.annotation.data import cell_ontology

    hierarchy, _ = cell_ontology()
    cells = shared_data / "cells"
    with EmbeddedGraph.open() as graph:
        brain = profiles.real(
            cells / "cxg_mouse_brain_merfish_1000.h5ad",
            "cell_type_ontology_term_id", graph, hierarchy,
        )  # fmt: skip
        liver = profiles.real(
            cells / "liver_he2020_20cells_counts.h5ad", "cell_type", graph, hierarchy
        )
        with pytest.raises(BadInput, match="PBMC3k, on which"):
            profiles.real(
                cells / "pbmc3k_clustifyr_2638x2000_lognorm.h5ad", "cell_type", graph, hierarchy
            )
    assert len(brain) == 1_000 and not brain.simulated
    assert liver.types.count("CL:0000084") == 9
    assert liver.values.max() < 10
