"""The core's own guess: a ranking with its measurement, and names as a second opinion."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

pytest.importorskip("torch")
pytest.importorskip("transformers")

from data.errors import BadInput
from encoders.cellguess import MEASURED, Names, guess
from kg.backoff import Hierarchy
from kg.terms import Term
from training.align_data import cell_terms
from training.annotation.data import cell_ontology

pytestmark = [pytest.mark.assets, pytest.mark.models]

GENES = ["MS4A1", "CD79A", "CD79B", "CD19", "LYZ", "CD14", "S100A8", "FCN1", "ALB", "APOA1"]
IDS = ["CL:0000236", "CL:0000576", "CL:0000182", "CL:0000540"]
"""B cell, monocyte, hepatocyte, neuron."""


def cells() -> sp.csr_array:
    """Three B cells, three monocytes, three hepatocytes, and one that expresses nothing."""
    rows = np.zeros((10, len(GENES)), dtype=np.float32)
    rows[:3, :4], rows[3:6, 4:8], rows[6:9, 8:] = 2.0, 2.0, 2.0
    return sp.csr_array(rows)


@pytest.fixture(scope="module")
def known() -> tuple[list[Term], Hierarchy]:
    hierarchy, _ = cell_ontology()
    terms = cell_terms(hierarchy)
    return [terms[one] for one in IDS], hierarchy


def test_a_group_is_ranked_by_what_it_expresses(known: tuple[list[Term], Hierarchy]) -> None:
    terms, hierarchy = known
    for rows, term in ((slice(0, 3), IDS[0]), (slice(3, 6), IDS[1]), (slice(6, 10), IDS[2])):
        found = guess(cells()[rows], GENES, terms, hierarchy, top=3, write=False)
        assert found.ranked[0].id == term
        assert len(found.ranked) == 3
        scores = [one.score for one in found.ranked]
        assert scores == sorted(scores, reverse=True) and 0 <= scores[-1] <= scores[0] <= 1
        assert found.measured == MEASURED and found.measured.value > 0
        assert found.about == "what 3 cells are, by their soft tokens"


def test_nothing_to_guess_from(known: tuple[list[Term], Hierarchy]) -> None:
    terms, hierarchy = known
    with pytest.raises(BadInput, match="no gene of the 1 cells has a text"):
        guess(cells()[9:], GENES, terms, hierarchy, write=False)
    with pytest.raises(BadInput, match="0 types to choose from"):
        guess(cells(), GENES, [], hierarchy)


def test_names_speak_cell_by_cell(known: tuple[list[Term], Hierarchy]) -> None:
    from encoders.celltext import CellEncoder

    terms, hierarchy = known
    names = Names.of(terms, hierarchy)
    assert set(IDS) <= set(names.ids)
    vectors = CellEncoder.shipped().encode(cells(), GENES)
    found = names.chances(vectors)
    assert found.shape == (10, len(names.ids))
    assert found[:9].sum(axis=1) == pytest.approx(np.ones(9), abs=1e-3)
    assert not found[9].any()
    # How many cells come together does not matter, to the last bit.
    assert np.array_equal(names.chances(vectors[4:5])[0], found[4])


@pytest.mark.slow
def test_the_tuned_model_chooses_among_the_first(known: tuple[list[Term], Hierarchy]) -> None:
    terms, hierarchy = known
    found = guess(cells()[:3], GENES, terms, hierarchy, top=3)
    (said,) = (note for note in found.notes if "writes" in note)
    assert any(f"({one.id})" in said for one in found.ranked)
