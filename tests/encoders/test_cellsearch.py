"""Cells ranked for a type or for words: which rank first, what is refused, orders that hold."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import given
from hypothesis import strategies as st

from data.errors import BadInput
from data.markers import Marker
from encoders.celltypes.cellsearch import of_term, of_text, ranks, scores
from encoders.celltypes.markers import GeneMoments, MarkerScorer
from encoders.celltypes.markersets import build_sets
from kg.backoff import Hierarchy

TREE = Hierarchy.make(
    {"R": "R", "L": "RL", "T": "RLT", "C": "RLTC", "B": "RLB", "M": "RM", "X": "X"},
    {"T": "T cell", "B": "B cell", "M": "monocyte", "C": "CD8 T cell"},
)
OWN = {"T": "abcdef", "C": "ghijkl", "B": "mnopqr", "M": "stuvwx"}
GENES = tuple("abcdefghijklmnopqrstuvwxyz")


@pytest.fixture(scope="module")
def sets():
    markers = [
        Marker(term, gene, True, ("celloquy-curated", "pegasus", "ASCT+B"))
        for term, genes in OWN.items()
        for gene in genes
    ]
    return build_sets(markers, TREE)


def dataset(seed: int = 0) -> tuple[sp.csr_matrix, list[str]]:
    rng = np.random.default_rng(seed)
    truth = [one for one in OWN for _ in range(15)]
    on = {one: set(OWN[one]) | (set(OWN["T"]) if one == "C" else set()) for one in OWN}
    mean = [[3.0 if g in on[one] else 0.1 for g in GENES] for one in truth]
    return sp.csr_matrix(np.log1p(rng.poisson(mean)).astype(np.float32)), truth


def found(sets, wanted, **more):
    values, truth = dataset()
    scorer = MarkerScorer.fit(sets, GENES, GeneMoments.of(values))
    return scores(values, GENES, wanted, scorer, **more), np.array(truth)


@pytest.mark.parametrize("term", list(OWN))
def test_the_cells_of_a_type_come_first(sets, term):
    made, truth = found(sets, of_term(term, sets, TREE))
    mine = np.isin(truth, ["T", "C"]) if term == "T" else truth == term
    assert made.score[mine].min() > np.quantile(made.score[~mine], 0.9)
    assert made.likeness[mine].mean() > 0.8 > made.likeness[~mine].mean()


def test_a_term_without_markers_takes_those_of_the_types_below_it(sets):
    wanted = of_term("L", sets, TREE)
    assert set(wanted.genes) == set(OWN["T"] + OWN["C"] + OWN["B"])
    made, truth = found(sets, wanted)
    assert made.likeness[truth != "M"].min() > made.likeness[truth == "M"].max()


def test_words_find_what_their_nearest_names_are_of(sets):
    cosine = np.full(len(TREE.ids), -0.5, dtype=np.float32)
    cosine[TREE.index("B")] = 0.9
    wanted = of_text(cosine, TREE.ids, sets, TREE)
    assert wanted.terms[0] == ("B", pytest.approx(1.0, abs=1e-3))
    made, truth = found(sets, wanted)
    assert set(truth[np.argsort(-made.score)[:15]]) == {"B"}


def test_a_gene_that_the_phrase_names_counts_beside_the_type(sets):
    plain, truth = found(sets, of_term("T", sets, TREE))
    asked, _ = found(sets, of_term("T", sets, TREE), asked=["g", "nowhere"])
    lift = asked.score - plain.score
    assert lift[truth == "C"].mean() > lift[truth == "T"].mean()
    assert asked.used[0] == "g" and "nowhere" not in asked.used


def test_what_nothing_with_markers_is_like_is_refused(sets):
    with pytest.raises(BadInput, match="no type with markers is like 'X'"):
        of_term("X", sets, TREE)


@given(st.lists(st.integers(0, 5), min_size=1, max_size=30), st.randoms())
def test_ranks_keep_order_ties_and_the_mean(values, random):
    made = ranks(np.array(values, dtype=float))
    assert 0 < made.min() <= made.max() < 1
    assert made.mean() == pytest.approx(0.5)
    order = list(range(len(values)))
    random.shuffle(order)
    np.testing.assert_allclose(ranks(np.array([values[i] for i in order], float)), made[order])
    for i, one in enumerate(values):
        for j, other in enumerate(values):
            assert (one < other) == (made[i] < made[j])
