"""Facts laid on the ontology: how belief adds up and travels, worked by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from data.errors import BadInput
from data.markers import Marker
from encoders.celltypes.markersets import MarkerSets, SetConfig, build_sets
from kg.backoff import Hierarchy

ANCESTORS = {
    "CL:0": {"CL:0"},
    "CL:L": {"CL:0", "CL:L"},
    "CL:T": {"CL:0", "CL:L", "CL:T"},
    "CL:N": {"CL:0", "CL:L", "CL:T", "CL:N"},
    "CL:B": {"CL:0", "CL:L", "CL:B"},
    "CL:E": {"CL:0", "CL:E"},
}
CONFIG = SetConfig(
    source_weight={"good": 3.0, "weak": 1.0}, least_markers=1, lineage_floor=0.1, inherit=0.5,
    heterogeneous=0.5, half=3.0, power=1.0, ceiling=0.9,
)  # fmt: skip


def belief(weight: float) -> float:
    return 0.9 * (1 - math.exp(-weight / 3))


def fact(cl_id: str, gene: str, positive: bool = True, *sources: str, contexts: int = 1) -> Marker:
    return Marker(cl_id, gene, positive, sources or ("good",), contexts=contexts)


def test_a_gene_that_is_everywhere_needs_two_collections(hierarchy: Hierarchy) -> None:
    facts = [
        fact("CL:T", "CD3E", True, "pegasus"),
        fact("CL:T", "RPL13A", True, "CellMarker2.0", contexts=4),
        fact("CL:T", "B2M", True, "CellMarker2.0", "pegasus"),
        fact("CL:T", "JUNB", True, "celloquy-curated"),
        fact("CL:T", "HSPA1A", True, "my own"),
        fact("CL:T", "MT-CO1", False, "axiom"),
    ]
    made = build_sets(facts, hierarchy, config=SetConfig(least_markers=1, lineage_floor=0.1))
    row = made.own[[made.ids.index("CL:T")]].tocoo()
    assert {made.genes[g] for g in row.coords[1]} == {"CD3E", "B2M", "JUNB", "HSPA1A"}


@pytest.fixture
def hierarchy() -> Hierarchy:
    return Hierarchy.make(ANCESTORS, {})


def entry(sets: MarkerSets, kind: str, cl_id: str, gene: str) -> float:
    if gene not in sets.genes:
        return 0.0
    row, column = sets.ids.index(cl_id), sets.genes.index(gene)
    return float(getattr(sets, kind)[[row]].toarray()[0, column])


def test_sources_add_up_and_saturate(hierarchy: Hierarchy) -> None:
    sets = build_sets(
        [fact("CL:T", "CD3E", True, "good", "weak"), fact("CL:T", "MAL", True, "weak")],
        hierarchy, config=CONFIG,
    )  # fmt: skip
    assert entry(sets, "on", "CL:T", "CD3E") == pytest.approx(belief(4.0), rel=1e-5)
    assert entry(sets, "on", "CL:T", "MAL") == pytest.approx(belief(1.0), rel=1e-5)


def test_a_source_that_is_not_listed_has_the_default_weight(hierarchy: Hierarchy) -> None:
    sets = build_sets([fact("CL:T", "CD3E", True, "my lab")], hierarchy, config=CONFIG)
    assert entry(sets, "on", "CL:T", "CD3E") == pytest.approx(belief(1.0), rel=1e-5)


def test_genes_are_handed_down_but_not_up_or_across(hierarchy: Hierarchy) -> None:
    sets = build_sets(
        [fact("CL:T", "CD3E"), fact("CL:N", "LEF1"), fact("CL:B", "MS4A1"), fact("CL:E", "EPCAM")],
        hierarchy, config=CONFIG,
    )  # fmt: skip
    assert entry(sets, "on", "CL:N", "CD3E") == pytest.approx(0.5 * belief(3), rel=1e-5)
    assert entry(sets, "own", "CL:N", "CD3E") == 0
    assert entry(sets, "on", "CL:T", "LEF1") == 0
    assert entry(sets, "on", "CL:B", "CD3E") == 0


def test_a_negative_marker_bars_what_is_above_and_halves_it_there(hierarchy: Hierarchy) -> None:
    sets = build_sets(
        [fact("CL:T", "GZMB"), fact("CL:N", "LEF1"), fact("CL:N", "GZMB", False)],
        hierarchy, config=CONFIG,
    )  # fmt: skip
    assert entry(sets, "on", "CL:N", "GZMB") == 0
    assert entry(sets, "off", "CL:N", "GZMB") == 1
    assert entry(sets, "on", "CL:T", "GZMB") == pytest.approx(0.5 * belief(3), rel=1e-5)


def test_abstract_terms_hand_nothing_down(hierarchy: Hierarchy) -> None:
    facts = [fact("CL:L", "PTPRC"), fact("CL:T", "CD3E")]
    near = build_sets(facts, hierarchy, config=CONFIG)
    assert entry(near, "on", "CL:T", "PTPRC") > 0
    from dataclasses import replace

    far = build_sets(facts, hierarchy, config=replace(CONFIG, lineage_floor=1.0))
    assert entry(far, "on", "CL:T", "PTPRC") == 0


def test_forbidden_and_poor_types_are_no_candidates_but_hand_down(hierarchy: Hierarchy) -> None:
    facts = [fact("CL:T", "CD3E"), fact("CL:N", "LEF1"), fact("CL:N", "CCR7"), fact("CL:X", "A")]
    from dataclasses import replace

    sets = build_sets(facts, hierarchy, config=replace(CONFIG, least_markers=2))
    assert sets.ids == ("CL:N",)
    assert entry(sets, "on", "CL:N", "CD3E") > 0
    assert build_sets(facts, hierarchy, never={"CL:N"}, config=CONFIG).ids == ("CL:T",)


def test_restriction_to_types_and_to_genes(hierarchy: Hierarchy) -> None:
    sets = build_sets(
        [fact("CL:T", "CD3E"), fact("CL:T", "CD2"), fact("CL:B", "MS4A1")], hierarchy, config=CONFIG
    )
    assert sets.of({"CL:B", "CL:none"}).ids == ("CL:B",)
    with pytest.raises(BadInput, match="none of the candidate"):
        sets.of({"CL:none"})
    here = sets.within(("MS4A1", "ACTB", "CD2"), least=1)
    assert here.ids == ("CL:B", "CL:T")
    assert here.genes == ("MS4A1", "ACTB", "CD2")
    expected = np.array([[belief(3), 0, 0], [0, 0, belief(3)]])
    np.testing.assert_allclose(here.on.toarray(), expected, rtol=1e-5)
    assert sets.within(("CD2",), least=2).ids == ()
    np.testing.assert_allclose(here.reliability, expected.max(axis=0), rtol=1e-5)
