"""Marker genes for and against each answer, from how often they were detected in its cells.

For an answer that has markers of its own these are looked at; for a more general one, those of the
types below it: what any of them expresses may speak for it, what only all of them express is
missed where it is not there. Counts of detections in, a few rows out: no expression, no scores.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.annotation.result import MarkerEvidence, Role
from kg.backoff import Hierarchy
from kg.terms import Curie

if TYPE_CHECKING:
    from data.markers import Marker
    from encoders.celltypes.markersets import MarkerSets

__all__ = ["SHOWN", "TermEvidence", "sources_of"]

SHOWN = 10
"""Markers kept for each side of a term."""

PLAIN = 0.1
"""Difference of the shares inside and outside from which a marker speaks for the answer, and share
inside from which a gene that should be absent is there. One that is detected less often than
elsewhere is as absent as ambient RNA lets it be, and speaks against nothing."""

EXPECTED = 0.5
"""Belief from which a marker is missed where it is not detected more often than elsewhere."""

Sources = Mapping[tuple[Curie, str], tuple[str, ...]]


def sources_of(markers: Sequence[Marker]) -> Sources:
    """Which collections state a fact, by type and gene."""
    found: dict[tuple[Curie, str], tuple[str, ...]] = {}
    for marker in markers:
        key = (marker.cl_id, marker.gene)
        found[key] = tuple(sorted({*found.get(key, ()), *marker.sources}))
    return found


@dataclass(frozen=True, eq=False)
class TermEvidence:
    """Answers which markers speak for and against a term.

    Parameters
    ----------
    sets
        The scored types and their markers among the dataset's genes.
    hierarchy
        The ontology.
    detected
        In how many cells of the dataset each gene was detected, [n_genes].
    n_cells
        How many cells there are.
    sources
        Who states each fact.
    spelled
        The dataset's name of each symbol.
    """

    sets: MarkerSets
    hierarchy: Hierarchy
    detected: NDArray[np.float64]
    n_cells: int
    sources: Sources
    spelled: Mapping[str, str]

    def of(
        self, term: int, n_inside: int, inside: NDArray[np.float64]
    ) -> tuple[tuple[MarkerEvidence, ...], tuple[MarkerEvidence, ...]]:
        """Rows for and rows against, the strongest first.

        Parameters
        ----------
        term
            Place of the answer in the hierarchy.
        n_inside
            How many cells have it.
        inside
            In how many of them each gene was detected, [n_genes].
        """
        rows = self._rows(term)
        if not rows:
            return (), ()
        on = self.sets.on[rows].toarray()
        off = self.sets.off[rows].toarray()
        share_in = inside / max(1, n_inside)
        share_out = (self.detected - inside) / max(1, self.n_cells - n_inside)
        gain = share_in - share_out

        near = self._near(term)

        def row(g: int, role: Role, belief: NDArray[np.float32]) -> MarkerEvidence:
            return MarkerEvidence(
                gene=self.sets.genes[g],
                name=self.spelled.get(self.sets.genes[g], self.sets.genes[g]),
                role=role,
                belief=round(float(belief[g]), 4),
                inside=round(float(share_in[g]), 4),
                outside=round(float(share_out[g]), 4),
                sources=self._who(term, near, self.sets.genes[g]),
            )

        any_on, all_on, all_off = on.max(axis=0), on.min(axis=0), off.min(axis=0)
        present = any_on * np.where(gain >= PLAIN, gain, 0) * self._specific(term)
        there = (share_in >= PLAIN) & (gain >= 0) & (any_on == 0)
        unexpected = all_off * np.where(there, share_in, 0)
        missing = np.where((all_on >= EXPECTED) & (gain <= 0), all_on, 0)
        against = [row(g, "unexpected", all_off) for g in self._best(unexpected)]
        against += [row(g, "missing", all_on) for g in self._best(missing)]
        return (
            tuple(row(g, "present", any_on) for g in self._best(present)),
            tuple(against[:SHOWN]),
        )

    def _specific(self, term: int) -> NDArray[np.float64]:
        """How far each gene is the mark of few types beside a term's own line, in [.5, 1].

        Of two genes that are as much more frequent in the cells, the one that marks fewer other
        types says more (SRGN marks every blood cell). Inverse document frequency over the scored
        types that are neither above nor below the term (K. Spärck Jones 1972).
        """
        places = self.hierarchy.indices(self.sets.ids)
        own = {int(up) for up in self.hierarchy.above[term]}
        beside = [
            i
            for i, place in enumerate(places)
            if place not in own and term not in self.hierarchy.above[place]
        ]
        share = np.asarray((self.sets.on[beside] > 0).sum(axis=0), np.float64).ravel()
        rarity = np.log((1 + len(beside)) / (1 + share)) / np.log(1 + max(1, len(beside)))
        return np.asarray((1 + rarity) / 2)

    def _rows(self, term: int) -> list[int]:
        """Rows of the sets that describe a term: its own, or those of the types below it."""
        own = [i for i, one in enumerate(self.sets.ids) if one == self.hierarchy.ids[term]]
        places = self.hierarchy.indices(self.sets.ids)
        return own or [i for i, p in enumerate(places) if term in self.hierarchy.above[p]]

    def _best(self, worth: NDArray[np.float64]) -> list[int]:
        found = [int(g) for g in np.flatnonzero(worth > 0)]
        return sorted(found, key=lambda g: (-worth[g], self.sets.genes[g]))[:SHOWN]

    def _near(self, term: int) -> list[Curie]:
        """The terms above and the scored types below."""
        hierarchy = self.hierarchy
        below = (one for one in self.sets.ids if term in hierarchy.above[hierarchy.index(one)])
        return sorted({*below, *(hierarchy.ids[i] for i in hierarchy.above[term])})

    def _who(self, term: int, near: Sequence[Curie], gene: str) -> tuple[str, ...]:
        """Those who state it of the term or, failing that, of a term above or below it."""
        own = self.sources.get((self.hierarchy.ids[term], gene))
        if own:
            return own
        return tuple(sorted({s for one in near for s in self.sources.get((one, gene), ())}))
