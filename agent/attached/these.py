"""The cells that a question means, and how what was measured of them becomes a finding.

Knows no question: what is asked of the cells is in :mod:`agent.kinds.cells` and
:mod:`agent.kinds.expression`.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from agent.attached.measurewords import ANNOTATED, cells_of
from agent.attached.selection import ALL
from agent.facts import Finding
from agent.verification.statement import Form, Statement
from kg.terms import Curie
from retrieval.evidence import CellsEvidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells

__all__ = ["CLUSTERS", "These", "measured", "share_of"]

CLUSTERS = ("leiden", "louvain", "seurat_clusters", "cluster", "clusters", "group", "cell_type")
"""Columns that tools of the field keep clusters in, the first that a dataset has being meant."""


@dataclass(frozen=True, eq=False)
class These:
    """The cells that a question means: a selection of a dataset, and what it is held against."""

    cells: AttachedCells
    selection: str = ALL
    against: str = ALL

    @property
    def words(self) -> str:
        """The selection in words."""
        return cells_of(self.selection)

    @property
    def answers(self) -> list[tuple[Curie, int]]:
        """Each answer and how many of the cells have it, most first; "" for none."""
        ids = self.cells.annotation.hierarchy.ids
        return [(ids[p] if p >= 0 else "", n) for p, n, _ in self.cells.answers(self.selection)]

    @property
    def total(self) -> int:
        """How many cells are meant."""
        return self.cells.size(self.selection)

    def annotated_as(self, *types: Curie) -> str:
        """The selection of all cells annotated as one of the types or a kind of it; "" for none."""
        hierarchy = self.cells.annotation.hierarchy
        below = {one for type_ in types if type_ in hierarchy for one in hierarchy.below(type_)}
        return self.answered(below)

    def answered(self, wanted: Collection[Curie]) -> str:
        """The selection of all cells whose answer is one of these types; "" for none."""
        hierarchy = self.cells.annotation.hierarchy
        rows = replace(self, selection=ALL, against=ALL).answers
        labels = [hierarchy.labels[hierarchy.index(one)] for one, _ in rows if one in wanted]
        text = " or ".join(f"{ANNOTATED}={label}" for label in labels)
        return self.cells.spelled_out(text) if text else ""

    @property
    def clusters(self) -> str:
        """The column of the dataset's clusters; "" where it has none."""
        names = {name.lower(): name for name in self.cells.columns}
        if known := next((names[name] for name in CLUSTERS if name in names), ""):
            return known
        return next((names[n] for n in names if "cluster" in n and self._groups(names[n])), "")

    def _groups(self, column: str) -> bool:
        """Whether a column groups cells: some values, and no number measured for each."""
        values = self.cells.column(column)
        return bool(values.dtype.kind not in "fc" and 1 < values.nunique() <= 100)


def measured(*evidence: CellsEvidence | PredictionEvidence, lead: str = "") -> Finding:
    """Measurements as one sentence with their evidence."""
    quotes = tuple(piece.text for piece in evidence)
    return Finding(Statement(Form.MEASURED, quotes=quotes), evidence, lead)


def share_of(piece: PredictionEvidence) -> float:
    """The share of the cells that a count of answers is."""
    figures = dict(piece.figures)
    return figures["cells"] / figures["of"]
