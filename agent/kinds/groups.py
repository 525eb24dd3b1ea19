"""Questions about the groups of attached cells: which is largest, where a gene or a type is most.

Groups are those of the file's own column of clusters; types are those of the annotation. Every
figure is a measurement (:mod:`agent.attached.measures`) that the verifier computes again.
"""

from __future__ import annotations

from agent.attached import measures
from agent.attached.measurewords import ANNOTATED
from agent.attached.selection import ALL
from agent.attached.these import These, measured
from agent.facts import Facts, Found, none_found
from agent.kinds.cells import groups_of_type
from agent.kinds.expression import GROUPS, NO_CLUSTERS, expressing_groups, expressing_types
from kg.terms import Curie

__all__ = [
    "columns",
    "highest_groups",
    "highest_types",
    "largest_group",
    "most_of_type",
    "smallest_group",
]


def largest_group(facts: Facts, these: These) -> Found:
    """The clusters by their number of cells, the largest first."""
    return _by_size(these, lead="Largest first", sign=-1)


def smallest_group(facts: Facts, these: These) -> Found:
    """The clusters by their number of cells, the smallest first."""
    return _by_size(these, lead="Smallest first", sign=1)


def _by_size(these: These, *, lead: str, sign: int) -> Found:
    column = these.clusters
    if not column:
        return none_found(NO_CLUSTERS)
    values = sorted(set(these.cells.column(column).dropna().astype(str)))
    pieces = [measures.group_size(these.cells, column, value) for value in values]
    pieces.sort(key=lambda piece: (sign * piece.value, piece.selection))
    more = len(pieces) - GROUPS
    notes = (f"{GROUPS} of {len(pieces)} clusters are named.",) if more > 0 else ()
    return Found((measured(*pieces[:GROUPS], lead=lead),), notes)


def most_of_type(facts: Facts, these: These, type_: Curie) -> Found:
    """The clusters by how many cells of a type they have, the most first."""
    return groups_of_type(facts, these, type_, by="cells")


def highest_groups(facts: Facts, these: These, gene: Curie) -> Found:
    """The clusters by the mean of a gene; the annotated types where the file has no clusters."""
    if not these.clusters:
        return highest_types(facts, these, gene)
    return expressing_groups(facts, these, gene, by="mean")


def highest_types(facts: Facts, these: These, gene: Curie) -> Found:
    """The annotated types by the mean of a gene."""
    return expressing_types(facts, these, gene, by="mean")


def columns(facts: Facts, these: These) -> Found:
    """Which columns the file's table of cells has."""
    names = [name for name in these.cells.columns if name != ANNOTATED]
    lead = f"{len(names)} column{'s' * (len(names) != 1)} in the file's table of cells"
    found = measured(measures.size(these.cells, ALL), lead=lead)
    listed = ", ".join(names[:COLUMNS]) + (", …" if len(names) > COLUMNS else "")
    note = f"They are: {listed}; select by any of them." if names else ""
    return Found((found,), (note,) if note else ())


COLUMNS = 30  # named
