"""Cell types of gene lists."""

from __future__ import annotations

import numpy as np
import pytest

from data.genelists import GeneList
from data.markers import Marker
from encoders.celltypes.markerlists import ListConfig, ListScorer, annotate_lists, closeness
from encoders.celltypes.markersets import MarkerSets, SetConfig, build_sets
from kg.backoff import Hierarchy

HIERARCHY = Hierarchy.make(
    {
        "CL:0": {"CL:0"}, "CL:L": {"CL:0", "CL:L"}, "CL:T": {"CL:0", "CL:L", "CL:T"},
        "CL:4": {"CL:0", "CL:L", "CL:T", "CL:4"}, "CL:8": {"CL:0", "CL:L", "CL:T", "CL:8"},
        "CL:9": {"CL:0", "CL:L", "CL:T", "CL:9"}, "CL:B": {"CL:0", "CL:L", "CL:B"},
    },
    {"CL:T": "T cell", "CL:4": "CD4", "CL:8": "CD8", "CL:B": "B cell"},
)  # fmt: skip


def sets() -> MarkerSets:
    rows = {
        "CL:4": "CD4 CD40LG CD3E",
        "CL:8": "CD8A CD8B CD3E",
        "CL:9": "TRDC TRGC1 CD3E",
        "CL:B": "MS4A1 CD79A CD19",
    }
    facts = [Marker(t, g, True, ("a",)) for t, genes in rows.items() for g in genes.split()]
    facts.append(Marker("CL:B", "CD3E", False, ("a",)))
    return build_sets(facts, HIERARCHY, config=SetConfig(other_source=4.0))


def test_closeness_by_hand() -> None:
    worth = closeness(("CL:4", "CL:B"), HIERARCHY)
    at = {one: i for i, one in enumerate(HIERARCHY.ids)}
    # CD4 has the ancestors {L, T, 4} below the root.
    assert worth[0, at["CL:4"]] == 1
    assert worth[0, at["CL:T"]] == pytest.approx((2 * 2 / 5 + 0.5) / 2)
    assert worth[0, at["CL:L"]] == pytest.approx((2 * 1 / 4 + 0.5) / 2)
    assert worth[0, at["CL:8"]] == pytest.approx((2 * 2 / 6) / 2)  # a sibling is no close term
    assert worth[0, at["CL:0"]] == 0  # three steps above, and no ancestor below the root
    assert worth[1, at["CL:4"]] == pytest.approx((2 * 1 / 5) / 2)


def test_a_clear_list_gets_its_type_with_reasons() -> None:
    (found,) = annotate_lists([GeneList("0", ("MS4A1", "CD79A", "ACTB"))], sets(), HIERARCHY)
    assert (found.term, found.label, found.leaf) == ("CL:B", "B cell", "CL:B")
    assert found.supporting == ("MS4A1", "CD79A") and found.missing == ("CD19",)
    assert found.candidates[0][0] == "CL:B" and found.confidence > 0.9
    assert (found.n_genes, found.n_markers) == (3, 2)


def test_a_split_list_gets_the_parent() -> None:
    (found,) = annotate_lists([GeneList("0", ("CD3E",))], sets(), HIERARCHY)
    assert found.term == "CL:T" and found.leaf in {"CL:4", "CL:8", "CL:9"}


def test_a_list_without_markers_is_unknown() -> None:
    lists = [GeneList("a", ("ACTB", "GAPDH")), GeneList("b", ())]
    for found in annotate_lists(lists, sets(), HIERARCHY):
        assert found.term is None and found.confidence == 0 and found.candidates == ()


def test_whoever_wants_to_be_surer_gets_a_term_above_or_none() -> None:
    one = GeneList("0", ("CD3E",))
    (plain,) = annotate_lists([one], sets(), HIERARCHY)
    assert plain.term == "CL:T"
    (above,) = annotate_lists([one], sets(), HIERARCHY, min_confidence=plain.confidence + 1e-6)
    assert above.term is None or above.term in {"CL:L", "CL:0"}
    (none,) = annotate_lists([one], sets(), HIERARCHY, min_confidence=0.9999999)
    assert (none.term, none.n_markers) == (None, 1)


def test_a_list_that_fits_no_type_leaves_room_for_none_of_them() -> None:
    scorer = ListScorer(sets())
    fits = scorer.probabilities(("MS4A1", "CD79A", "CD19"))
    no_type = scorer.probabilities(("ACTB", "GAPDH"))
    assert fits.sum() > 0.99
    assert no_type.sum() == pytest.approx(0.5)  # no marker: as likely of no type as of any
    mixed = scorer.probabilities(("MS4A1", "TRDC", "CD8B", "CD40LG"))
    assert mixed.max() < fits.max()


def test_blocked_terms_and_priors_are_heeded() -> None:
    one = GeneList("0", ("CD3E",))
    (found,) = annotate_lists([one], sets(), HIERARCHY, never={"CL:T"})
    assert found.term != "CL:T"
    prior = np.array([1.0 if t == "CL:8" else 1e-6 for t in sets().ids])
    (found,) = annotate_lists([one], sets(), HIERARCHY, priors=[prior])
    assert found.term == "CL:8"


def test_absent_genes_and_against() -> None:
    (found,) = annotate_lists(
        [GeneList("0", ("MS4A1", "CD79A", "CD19", "CD3E"))], sets(), HIERARCHY
    )
    assert found.leaf == "CL:B" and found.against == ("CD3E",)


def test_early_genes_count_more() -> None:
    scorer = ListScorer(sets(), ListConfig(discount=0.5))
    filler = tuple(f"G{i}" for i in range(20))
    b = scorer.sets.ids.index("CL:B")
    early = scorer.scores(("MS4A1", *filler))[b]
    late = scorer.scores((*filler, "MS4A1"))[b]
    assert early > late
