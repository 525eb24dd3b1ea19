"""Marker facts laid on the ontology: how sure each gene is to be on in each cell type.

:func:`build_sets` turns facts (:mod:`data.markers`) into one matrix types x genes. An entry is the
probability that the gene is switched on in the type, as far as the sources say:

* sources are added up, each with a weight, and saturate: ``ceiling (1 - exp(-(w / half)^power))``.
  One report in one tissue says little (.04), three collections that agree much (.5 and more);
* a type has the genes of the types above it, a little less surely (``inherit``), down from terms
  with information content ``lineage_floor`` or more: "a cell of the blood" has no markers to give;
* a gene that is a negative marker of a type is not inherited by it, and is less sure for the types
  above it (``heterogeneous``): granzyme B is a marker of T cells, but not of naive ones. What a
  type lacks by definition (``lacks`` axioms of the ontology) is not handed up: that CD3 is absent
  from the earliest thymocytes does not make it a lesser marker of T cells.

A gene that is everywhere (:func:`data.markers.everywhere`) is believed as a marker where two
collections name it, or the table made by hand; one list that has it holds what was high that day.

Negative markers stand in a matrix of their own. Nothing here has seen a dataset; what expression
looks like when a gene is on or off is :mod:`encoders.celltypes.markers`'.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from data.markers import Marker, of_the_day
from kg.backoff import Hierarchy
from kg.terms import Curie

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["MarkerSets", "SetConfig", "build_sets"]

AXIOM = "CL"
"""Source of the facts that are axioms of the Cell Ontology: what a type lacks."""

SOURCE_WEIGHT: Mapping[str, float] = MappingProxyType(
    {
        "celloquy-curated": 1.5,  # textbook markers, checked one by one
        AXIOM: 1.5,  # what a type lacks by definition
        "ASCT+B": 1.0,  # tables made by the experts of an organ
        "pegasus": 1.0,  # lists that their authors use for annotation
        "CellMarker2.0": 0.6,  # collected from papers; many reports of one study
        "SingleCellBase": 0.6,
        "axiom": 0.4,  # partly from CellMarker2.0, biology not verified by its authors
    }
)
"""How much one collection's word counts; the order was set before anything was scored."""


@dataclass(frozen=True)
class SetConfig:
    """What is believed of a source, and how belief travels along *is a*.

    ``other_source`` is the weight of a source that is not listed, a user's own for one;
    ``context_gain`` what each doubling of the tissues that a source reports adds to its word.
    ``least_markers`` is the fewest positive genes of its own with which a type is a candidate.
    """

    source_weight: Mapping[str, float] = field(default_factory=lambda: SOURCE_WEIGHT)
    other_source: float = 1.0
    context_gain: float = 0.3
    half: float = 3.0
    power: float = 2.0
    ceiling: float = 0.9
    inherit: float = 0.6
    heterogeneous: float = 0.5
    lineage_floor: float = 0.8
    least_markers: int = 3

    def weight(self, marker: Marker) -> float:
        """The summed word of a fact's sources."""
        gain = 1 + self.context_gain * float(np.log2(marker.contexts))
        return sum(
            self.source_weight.get(source, self.other_source)
            * (gain if source in ("CellMarker2.0", "SingleCellBase") else 1)
            for source in marker.sources
        )

    def belief(self, weight: float) -> float:
        """Probability that the gene is on, from the summed word."""
        return self.ceiling * (1 - float(np.exp(-((weight / self.half) ** self.power))))


@dataclass(frozen=True, eq=False)
class MarkerSets:
    """Types x genes: ``on`` the belief that a gene is on, ``off`` how surely it is absent.

    ``own`` is ``on`` without what was inherited. ``reliability`` is the largest belief of each gene
    over all types: how well known it is as a marker of anything.
    """

    ids: tuple[Curie, ...]
    genes: tuple[str, ...]
    on: csr_array
    off: csr_array
    own: csr_array

    @property
    def reliability(self) -> NDArray[np.float32]:
        """Largest belief of each gene."""
        return np.asarray(self.on.max(axis=0).toarray(), dtype=np.float32).ravel()

    def of(self, ids: Iterable[Curie]) -> MarkerSets:
        """The same sets for some of the types only.

        Raises
        ------
        BadInput
            When none of them has markers.
        """
        wanted = set(ids)
        rows = [i for i, one in enumerate(self.ids) if one in wanted]
        if not rows:
            raise BadInput("none of the candidate cell types has markers in the table")
        return replace(
            self,
            ids=tuple(self.ids[i] for i in rows),
            on=self.on[rows],
            off=self.off[rows],
            own=self.own[rows],
        )

    def within(self, genes: Sequence[str], least: int) -> MarkerSets:
        """Columns in the order of ``genes``; types with fewer than ``least`` own ones leave."""
        place = {gene: i for i, gene in enumerate(self.genes)}
        known = np.array([place.get(gene, -1) for gene in genes])
        taken = _take_columns(known, len(self.genes))
        own = (self.own @ taken).tocsr()
        rows = np.flatnonzero(np.diff(own.indptr) >= least)
        return MarkerSets(
            ids=tuple(self.ids[i] for i in rows),
            genes=tuple(genes),
            on=(self.on @ taken).tocsr()[rows],
            off=(self.off @ taken).tocsr()[rows],
            own=own[rows],
        )


def _take_columns(places: NDArray[np.int64], size: int) -> csr_array:
    from scipy.sparse import csr_array

    found = np.flatnonzero(places >= 0)
    ones = np.ones(len(found), dtype=np.float32)
    return csr_array((ones, (places[found], found)), shape=(size, len(places)))


def build_sets(
    markers: Iterable[Marker],
    hierarchy: Hierarchy,
    *,
    never: Collection[Curie] = (),
    config: SetConfig | None = None,
) -> MarkerSets:
    """Lay the facts on the ontology.

    Parameters
    ----------
    markers
        Facts; those of types that the hierarchy does not hold are passed over.
    hierarchy
        The Cell Ontology.
    never
        Types that are no candidates; their genes are inherited all the same.
    config
        What is believed of a source.
    """
    config = config or SetConfig()
    markers = tuple(one for one in markers if not _of_the_day(one))
    positive, negative = _by_type(markers, hierarchy, config)
    # What a type lacks by definition sets it apart; it says nothing of the types beside it.
    observed = _by_type((m for m in markers if m.sources != (AXIOM,)), hierarchy, config)[1]
    forbidden = {hierarchy.index(one) for one in never if one in hierarchy}
    chosen = sorted(
        t for t in positive if t not in forbidden and len(positive[t]) >= config.least_markers
    )
    contradicted = _contradicted_below(observed, hierarchy)
    genes = sorted({g for some in (positive, negative) for row in some.values() for g in row})
    rows_on, rows_off, rows_own = [], [], []
    for t in chosen:
        own = {g: w * _share(contradicted, t, g, config) for g, w in positive[t].items()}
        rows_own.append(own)
        rows_on.append(_inherited(t, own, positive, negative, contradicted, hierarchy, config))
        absent: dict[str, float] = {}
        for a in hierarchy.above[t]:
            for gene, weight in negative.get(int(a), {}).items():
                if gene not in positive[t]:
                    absent[gene] = max(absent.get(gene, 0.0), weight)
        rows_off.append(absent)
    return MarkerSets(
        ids=tuple(hierarchy.ids[t] for t in chosen),
        genes=tuple(genes),
        on=_matrix(rows_on, genes),
        off=_matrix(rows_off, genes),
        own=_matrix(rows_own, genes),
    )


_Table = dict[int, dict[str, float]]


def _of_the_day(marker: Marker) -> bool:
    """Whether one collection alone calls a gene that is everywhere a marker."""
    return marker.positive and of_the_day(marker.gene, marker.sources)


def _by_type(
    markers: Iterable[Marker], hierarchy: Hierarchy, config: SetConfig
) -> tuple[_Table, _Table]:
    """Belief of each positive and strength (at most 1) of each negative fact, by type."""
    words: dict[bool, _Table] = {True: defaultdict(dict), False: defaultdict(dict)}
    for marker in markers:
        if marker.cl_id in hierarchy:
            row = words[marker.positive][hierarchy.index(marker.cl_id)]
            row[marker.gene] = row.get(marker.gene, 0.0) + config.weight(marker)
    positive = {t: {g: config.belief(w) for g, w in row.items()} for t, row in words[True].items()}
    negative = {t: {g: min(1.0, w) for g, w in row.items()} for t, row in words[False].items()}
    return positive, negative


def _contradicted_below(negative: _Table, hierarchy: Hierarchy) -> dict[int, set[str]]:
    """For each type the genes that are negative markers of a type below it."""
    found: dict[int, set[str]] = defaultdict(set)
    for t, genes in negative.items():
        for a in hierarchy.above[t]:
            if a != t:
                found[int(a)] |= genes.keys()
    return found


def _share(contradicted: Mapping[int, set[str]], t: int, gene: str, config: SetConfig) -> float:
    return config.heterogeneous if gene in contradicted.get(t, ()) else 1.0


def _inherited(
    t: int,
    own: Mapping[str, float],
    positive: _Table,
    negative: _Table,
    contradicted: Mapping[int, set[str]],
    hierarchy: Hierarchy,
    config: SetConfig,
) -> dict[str, float]:
    """The genes of a type with those of the types above it, the surest belief of each."""
    found = dict(own)
    barred = negative.get(t, {}).keys()
    for above in hierarchy.above[t]:
        a = int(above)
        if a == t or hierarchy.content[a] <= config.lineage_floor:
            continue
        for gene, belief in positive.get(a, {}).items():
            if gene not in barred:
                handed = belief * config.inherit * _share(contradicted, a, gene, config)
                found[gene] = max(found.get(gene, 0.0), handed)
    return found


def _matrix(rows: Sequence[Mapping[str, float]], genes: Sequence[str]) -> csr_array:
    from scipy.sparse import csr_array

    place = {gene: i for i, gene in enumerate(genes)}
    data, columns, starts = [], [], [0]
    for row in rows:
        for gene in sorted(row):
            columns.append(place[gene])
            data.append(row[gene])
        starts.append(len(columns))
    return csr_array(
        (np.array(data, "f4"), np.array(columns, "i4"), np.array(starts, "i4")),
        shape=(len(rows), len(genes)),
    )
