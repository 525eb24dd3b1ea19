"""Which cell types are expected in a tissue: a prior, never a ban.

Gives :func:`tissue_prior`, a weight for each type from ``data/tissues.tsv`` (type, UBERON id,
sources: facts) and the anatomy of the graph. A type counts as seen in a tissue when it, or a type
below it, was reported from that tissue, from a part of it, or from what it is a part of. Types
reported from many tissues (endothelial cells, leukocytes) are expected everywhere. The weights are
mild, since no table is complete.
"""

from __future__ import annotations

import csv
from collections import defaultdict
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

import data
from data.errors import UnknownTerm
from kg.backoff import Hierarchy
from kg.graph import KnowledgeGraph
from kg.terms import IS_A, IS_A_OR_PART_OF, PART_OF, Category, Curie

__all__ = ["ELSEWHERE", "EVERYWHERE", "TABLE", "UNREPORTED", "tissue_prior", "tissues_of"]

TABLE = Path(data.__file__).with_name("tissues.tsv")
"""Columns cl_id, uberon_id, sources; made with the marker table."""

EVERYWHERE = 15
"""A type reported from at least so many tissues is expected in any."""

UNREPORTED = 0.3
"""Weight of a type that was reported from no tissue at all."""

ELSEWHERE = 0.05
"""Weight of a type that was reported, but only from tissues that have nothing to do with this."""

_PARTS = (IS_A, PART_OF, IS_A_OR_PART_OF)


@lru_cache(maxsize=1)
def tissues_of() -> dict[Curie, frozenset[Curie]]:
    """The tissues from which each type was reported."""
    with TABLE.open(encoding="utf-8", newline="") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    found: dict[Curie, set[Curie]] = defaultdict(set)
    for row in csv.DictReader(lines, delimiter="\t"):
        found[row["cl_id"]].add(row["uberon_id"])
    return {term: frozenset(places) for term, places in found.items()}


def tissue_prior(
    ids: Sequence[Curie], tissue: Curie, hierarchy: Hierarchy, graph: KnowledgeGraph
) -> NDArray[np.float64]:
    """Weight of each type before the evidence, 1 for those expected in the tissue.

    Raises
    ------
    UnknownTerm
        When the graph has no anatomical entity of that id.
    """
    found = graph.term(tissue)
    if found is None or found.category is not Category.ANATOMY:
        raise UnknownTerm(
            f"{tissue} is no tissue of the graph; expected an id such as UBERON:0002107"
        )
    above = set(graph.ancestors(tissue, _PARTS))
    below = set(graph.descendants(tissue, _PARTS))
    places: list[set[Curie]] = [set() for _ in range(len(hierarchy))]
    for term, some in tissues_of().items():
        if term in hierarchy:
            for i in hierarchy.above[hierarchy.index(term)]:
                places[i] |= some
    weights = np.empty(len(ids))
    for k, i in enumerate(hierarchy.indices(ids)):
        here = places[i] & (above | below)
        if here or len(places[i]) >= EVERYWHERE:
            weights[k] = 1.0
        else:
            weights[k] = ELSEWHERE if places[i] else UNREPORTED
    return weights
