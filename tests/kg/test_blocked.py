"""The terms that are never an answer are argued from the ontology, and held against it here."""

from __future__ import annotations

import pytest

from kg.backoff import Hierarchy
from kg.blocked import blocked, kinds

pytestmark = pytest.mark.assets


@pytest.fixture(scope="module")
def hierarchy() -> Hierarchy:
    from training.annotation.data import cell_ontology

    return cell_ontology()[0]


def test_a_function_has_only_roots_and_functions_above_it(hierarchy: Hierarchy) -> None:
    across = {term for term, kind in kinds().items() if kind in ("function", "quality", "upper")}
    for term in across:
        for parent in hierarchy.parents[hierarchy.index(term)]:
            assert hierarchy.ids[parent] in kinds(), hierarchy.labels[hierarchy.index(term)]


def test_what_is_below_a_function_but_is_a_type_is_not_blocked(hierarchy: Hierarchy) -> None:
    never = blocked(hierarchy)
    assert {"CL:0000329", "CL:0000255", "CL:0000151", "CL:0000548"} & set(hierarchy.ids) <= never
    for term in ("CL:0000232", "CL:0000084", "CL:0000182", "CL:0000169", "CL:0000540"):
        assert term not in never  # erythrocyte, T cell, hepatocyte, beta cell, neuron


def test_branches_are_blocked_with_all_below(hierarchy: Hierarchy) -> None:
    never = blocked(hierarchy)
    assert set(hierarchy.below("CL:0001034")) <= never  # cell in vitro
    assert set(hierarchy.below("CL:0001061")) <= never  # abnormal cell


def test_the_schema_forbidden_labels_are_blocked(hierarchy: Hierarchy) -> None:
    forbidden = {"CL:0000255", "CL:0000257", "CL:0000548"} & set(hierarchy.ids)
    assert forbidden <= blocked(hierarchy)
