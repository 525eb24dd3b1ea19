"""Whether markers go together: real company, chance, and what must not change the figure."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from data.markers import Marker
from encoders.celltypes.coherence import by_chance, coherence
from encoders.celltypes.markersets import MarkerSets, SetConfig, build_sets
from kg.backoff import Hierarchy

HIERARCHY = Hierarchy.make(
    {"CL:0": {"CL:0"}, "CL:T": {"CL:0", "CL:T"}, "CL:B": {"CL:0", "CL:B"}}, {}
)
T, B = ("CD3D", "CD3E", "CD3G", "TRAC"), ("MS4A1", "CD79A", "CD79B", "CD19")


def sets() -> MarkerSets:
    facts = [Marker("CL:T", g, True, ("a",)) for g in T] + [
        Marker("CL:B", g, True, ("a",)) for g in B
    ]
    made = build_sets(facts, HIERARCHY, config=SetConfig(least_markers=1, other_source=3.0))
    return made.within((*T, *B), 1)


def cells(n: int = 400, seed: int = 0) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    rates = np.where(np.arange(n)[:, None] % 2 == np.repeat([0, 1], 4), 2.0, 0.1)
    return sp.csr_matrix(np.log1p(rng.poisson(rates)).astype(np.float32))


def permuted(values: sp.csr_matrix, seed: int) -> sp.csr_matrix:
    rng = np.random.default_rng(seed)
    return sp.csr_matrix(np.column_stack([rng.permutation(c) for c in values.toarray().T]))


def test_genes_in_perfect_company_have_the_ratio_of_their_number() -> None:
    """Four equal weights on one variable: (4 w)^2 / (4 w^2) = 4."""
    column = np.random.default_rng(1).random(300)[:, None]
    values = sp.csr_matrix(np.hstack([np.repeat(column, 4, axis=1), np.zeros((300, 4))]))
    assert coherence(values, sets()) == pytest.approx(4)


@pytest.mark.parametrize("seed", range(5))
def test_real_company_is_told_from_chance(seed: int) -> None:
    values = cells(seed=seed)
    assert coherence(values, sets()) > 1.5 > by_chance(400)
    assert coherence(permuted(values, seed), sets()) < by_chance(400)


def test_neither_the_order_of_cells_nor_scale_matters() -> None:
    values = cells()
    order = np.random.default_rng(2).permutation(values.shape[0])
    found = coherence(values, sets())
    assert coherence(values[order], sets()) == pytest.approx(found)
    assert coherence(values * 7, sets()) == pytest.approx(found, rel=1e-4)


def test_genes_that_do_not_vary_say_nothing() -> None:
    assert coherence(sp.csr_matrix(np.ones((50, 8), dtype=np.float32)), sets()) == 1
