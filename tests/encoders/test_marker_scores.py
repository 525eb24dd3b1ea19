"""Scores of cells: the likelihood ratio by hand, and what must not change it."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from data.markers import Marker
from encoders.celltypes.markers import GeneMoments, MarkerScorer, ScoreConfig
from encoders.celltypes.markersets import MarkerSets, SetConfig, build_sets
from kg.backoff import Hierarchy

HIERARCHY = Hierarchy.make(
    {"CL:0": {"CL:0"}, "CL:T": {"CL:0", "CL:T"}, "CL:B": {"CL:0", "CL:B"}}, {}
)
GENES = ("CD3D", "CD3E", "MS4A1", "CD79A", "ACTB")
FACTS = [
    Marker("CL:T", "CD3D", True, ("a",)), Marker("CL:T", "CD3E", True, ("a",)),
    Marker("CL:T", "MS4A1", False, ("a",)),
    Marker("CL:B", "MS4A1", True, ("a",)), Marker("CL:B", "CD79A", True, ("a",)),
]  # fmt: skip
CONFIG = ScoreConfig(least_measured=1)


def sets() -> MarkerSets:
    return build_sets(FACTS, HIERARCHY, config=SetConfig(least_markers=1, other_source=3.0))


def cells(seed: int = 0, n: int = 60) -> sp.csr_matrix:
    """Half T, half B, in log1p of counts; ACTB everywhere."""
    rng = np.random.default_rng(seed)
    rates = np.array([[3, 3, 0.05, 0.05, 8], [0.05, 0.05, 3, 3, 8]])
    counts = rng.poisson(rates[np.arange(n) % 2])
    return sp.csr_matrix(np.log1p(counts).astype(np.float32))


def test_moments_by_hand_and_in_parts() -> None:
    block = sp.csr_matrix(np.log1p(np.array([[1, 0, 2], [3, 0, 0]], dtype=np.float32)))
    moments = GeneMoments.of(block)
    assert moments.n_cells == 2
    assert moments.detected.tolist() == [2, 0, 1]
    np.testing.assert_allclose(moments.total, [np.log(2) + np.log(4), 0, np.log(3)], rtol=1e-5)
    # The first cell's smallest value is one count; the second cell's only value is its smallest.
    np.testing.assert_allclose(moments.counts, [1 + 1, 0, 2], rtol=1e-5)
    parts = GeneMoments.zeros(3) + GeneMoments.of(block[:1]) + GeneMoments.of(block[1:])
    np.testing.assert_allclose(parts.total, moments.total)
    assert parts.rate.tolist() == [1, 0, 0.5]
    with pytest.raises(BadInput, match="do not add"):
        moments + GeneMoments.zeros(2)


def test_an_empty_block_has_moments() -> None:
    empty = GeneMoments.of(sp.csr_matrix((3, 4), dtype=np.float32))
    assert empty.n_cells == 3 and not empty.detected.any()


def test_detection_follows_the_truncated_poisson() -> None:
    config = ScoreConfig(prior_cells=0.0, on_range=(0.0, 1.0))
    # Mean 2 counts where detected solves 2 = r / (1 - exp(-r)); r = 1.5936.
    moments = GeneMoments(10, np.array([5.0]), np.array([1.0]), np.array([10.0]))
    np.testing.assert_allclose(moments.detectable(config), [1 - np.exp(-1.59362)], atol=1e-4)


def test_the_score_is_the_log_likelihood_ratio() -> None:
    values = cells()
    made = sets()
    scorer = MarkerScorer.fit(made, GENES, GeneMoments.of(values), CONFIG)
    moments = GeneMoments.of(values)
    on = moments.detectable(CONFIG)
    here = made.within(GENES, 1)
    off = np.maximum(0.03, 0.9 * moments.rate * (1 - here.reliability))
    on = np.maximum(on, off)
    dense = values.toarray()
    for t, cl_id in enumerate(scorer.ids):
        b = here.on.toarray()[here.ids.index(cl_id)]
        neg = here.off.toarray()[here.ids.index(cl_id)]
        for row, expected in zip(dense[:6], scorer.scores(values[:6])[:, t], strict=True):
            total = 0.0
            for g, x in enumerate(row):
                high = x > np.float32(moments.level[g])
                p_on = 1 - on[g] if x == 0 else on[g] * 0.5
                p_off = 1 - off[g] if x == 0 else off[g] * (0.1 if high else 0.9)
                total += np.log((b[g] * p_on + (1 - b[g]) * p_off) / p_off)
                total += neg[g] * np.log(CONFIG.absent) * (x > 0)
            assert expected == pytest.approx(total, abs=1e-3)


def test_cells_get_their_type_and_an_empty_cell_gets_none() -> None:
    values = cells()
    scorer = MarkerScorer.fit(sets(), GENES, GeneMoments.of(values), CONFIG)
    chances = scorer.probabilities(scorer.scores(values))
    said = [scorer.ids[i] for i in chances.argmax(axis=1)]
    right = np.mean([s == ("CL:T", "CL:B")[i % 2] for i, s in enumerate(said)])
    assert right > 0.95
    assert (chances.sum(axis=1) <= 1 + 1e-6).all()
    only_actb = sp.csr_matrix(np.array([[0, 0, 0, 0, 2.0], [0, 0, 0, 0, 0]], dtype=np.float32))
    assert scorer.evidence(only_actb).tolist() == [False, False]
    assert scorer.evidence(values[:2]).tolist() == [True, True]


def test_priors_and_temper_move_probabilities() -> None:
    values = cells()
    scorer = MarkerScorer.fit(sets(), GENES, GeneMoments.of(values), CONFIG)
    scores = scorer.scores(values)
    t = scorer.ids.index("CL:T")
    prior = np.ones(2)
    prior[t] = 0.0
    assert (scorer.probabilities(scores, prior)[:, t] == 0).all()
    flat = scorer.probabilities(scores, temper=1e-9)
    np.testing.assert_allclose(flat, (1 - CONFIG.unknown) / 2, atol=1e-4)


def test_a_dataset_without_markers_is_refused() -> None:
    values = sp.csr_matrix(np.ones((3, 2), dtype=np.float32))
    with pytest.raises(BadInput, match="no cell type has"):
        MarkerScorer.fit(sets(), ("ACTB", "GAPDH"), GeneMoments.of(values), CONFIG)


@given(st.permutations(range(60)), st.permutations(range(5)), st.integers(1, 60), st.booleans())
def test_order_blocks_and_dtype_do_not_matter(
    rows: list[int], columns: list[int], cut: int, double: bool
) -> None:
    values = cells()
    expected = MarkerScorer.fit(sets(), GENES, GeneMoments.of(values), CONFIG).scores(values)
    moved = values[rows][:, columns].astype(np.float64 if double else np.float32)
    genes = tuple(GENES[i] for i in columns)
    moved.sort_indices()
    moments = GeneMoments.of(moved[:cut]) + GeneMoments.of(moved[cut:])
    scorer = MarkerScorer.fit(sets(), genes, moments, CONFIG)
    found = np.concatenate([scorer.scores(moved[:cut]), scorer.scores(moved[cut:])])
    np.testing.assert_allclose(found, expected[rows], atol=2e-4)
