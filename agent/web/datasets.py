"""A dataset as the page sees it: where its cells lie, how they are coloured, which are meant.

Reads what :mod:`agent.web.preparing` wrote; of the .h5ad itself only the expression of a gene, and
what questions about the cells need. Nothing of a dataset outlives its folder.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.web.polygons import Plane
from agent.web.preparing import ABOUT
from agent.web.sampling import stratified
from data.errors import BadInput

if TYPE_CHECKING:
    from agent.annotation.result import Annotation
    from data.cells import CellMatrix

__all__ = ["ANSWERS", "Colouring", "Dataset", "Selection"]

ANSWERS = ("answer", "depth", "confidence")
"""What an annotation colours by: the term, its depth in the Cell Ontology, how sure it is."""

_GROUPINGS = ("leiden", "louvain", "cluster", "clusters", "seurat_clusters", "cell_type")
"""Columns that are likely to hold the groups of cells: drawn first, and kept in the sample."""

_KEPT_GENES = 24  # of those looked at last


@dataclass(frozen=True, eq=False)
class Colouring:
    """A group or a number for each cell; ``total`` counts the cells of each group."""

    kind: Literal["groups", "numbers"]
    title: str
    values: NDArray[Any]
    names: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()
    total: tuple[int, ...] = ()

    @classmethod
    def groups(
        cls, title: str, codes: NDArray[Any], names: Sequence[str], ids: Sequence[str] = ()
    ) -> Colouring:
        """A colouring by groups."""
        total = np.bincount(codes, minlength=len(names))
        return cls(
            "groups", title, codes.astype("<u2"), tuple(names), tuple(ids), tuple(total.tolist())
        )


@dataclass(frozen=True, eq=False)
class Selection:
    """Some cells of a dataset under a name; ``text`` is how answers write it."""

    id: str
    name: str
    dataset: str
    how: str
    n_cells: int
    packed: NDArray[np.uint8]
    text: str

    def mask(self, n_cells: int) -> NDArray[np.bool_]:
        """Which cells are meant."""
        return np.unpackbits(self.packed, count=n_cells).astype(bool)


@dataclass(eq=False)
class Dataset:
    """A dataset in its folder; made where its file was prepared.

    ``attached`` is what questions about its cells have computed (:mod:`agent.web.attaching`).
    """

    id: str
    name: str
    folder: Path
    source: Path
    most_drawn: int
    about: dict[str, Any] = field(default_factory=dict)
    annotation: Annotation | None = None
    attached: Any = None
    lock: threading.RLock = field(default_factory=threading.RLock)
    _genes: dict[str, NDArray[np.float32]] = field(default_factory=dict)
    _cells: CellMatrix | None = None

    def __post_init__(self) -> None:
        self.about = json.loads((self.folder / ABOUT).read_text(encoding="utf-8"))

    @property
    def n_cells(self) -> int:
        """How many cells it has."""
        return int(self.about["n_cells"])

    @property
    def placed(self) -> bool:
        """Whether its cells have coordinates."""
        return (self.folder / "xy.f32").is_file()

    # --- the picture -----------------------------------------------------------------------------

    @cached_property
    def xy(self) -> NDArray[np.float32]:
        """Two coordinates a cell.

        Raises
        ------
        BadInput
            When they were not computed yet.
        """
        if not self.placed:
            raise BadInput(f"{self.name} has no picture yet; compute one first")
        return np.fromfile(self.folder / "xy.f32", dtype="<f4").reshape(-1, 2)

    @cached_property
    def plane(self) -> Plane:
        """The coordinates, ready for polygons."""
        return Plane(self.xy)

    @cached_property
    def drawn(self) -> NDArray[np.int32]:
        """Numbers of the cells that are drawn, in the order of drawing."""
        first = self.grouping()
        if first is not None:
            return stratified(first.values.astype(np.int64), self.most_drawn)
        low, high = self.xy.min(axis=0), self.xy.max(axis=0)
        fields = ((self.xy - low) / np.maximum(high - low, 1e-9) * 31.99).astype(np.int64)
        return stratified(fields[:, 0] * 32 + fields[:, 1], self.most_drawn)

    # --- colours ---------------------------------------------------------------------------------

    def grouping(self) -> Colouring | None:
        """The column that most likely holds the groups of cells."""
        columns = [c["name"] for c in self.about["columns"] if 1 < len(c["names"]) <= 200]
        ranked = sorted(
            columns, key=lambda c: _GROUPINGS.index(c.lower()) if c.lower() in _GROUPINGS else 99
        )
        return self.column(ranked[0]) if ranked else None

    def column(self, name: str) -> Colouring:
        """Cells by a column of the table of cells."""
        for one in self.about["columns"]:
            if one["name"] == name:
                break
        else:
            some = ", ".join(c["name"] for c in self.about["columns"][:12]) or "none"
            raise BadInput(f"{self.name} has no column {name!r} to colour by; it has: {some}")
        if one["kind"] == "groups":
            codes = np.fromfile(self.folder / one["file"], dtype="<u2")
            return Colouring.groups(name, codes, one["names"])
        return Colouring("numbers", name, np.fromfile(self.folder / one["file"], dtype="<f4"))

    def answers(self, what: str) -> Colouring:
        """Cells by what the annotation says of them."""
        found = self.annotation
        if found is None:
            raise BadInput(f"{self.name} is not annotated yet; run the annotation first")
        if what == "confidence":
            return Colouring("numbers", "confidence", found.confidence)
        if what == "depth":
            depth = np.append(found.hierarchy.depth, 0)[found.term]
            return Colouring("numbers", "depth in the Cell Ontology", depth.astype("<f4"))
        labels = [one.label for one in found.summaries]
        ids = [one.id for one in found.summaries]
        place = np.full(len(found.hierarchy) + 1, len(ids), dtype=np.uint16)
        place[found.hierarchy.indices(ids)] = np.arange(len(ids))
        if found.abstained:
            labels, ids = [*labels, "unknown"], [*ids, ""]
        return Colouring.groups("cell type", place[found.term], labels, ids)

    def gene(self, symbol: str) -> Colouring:
        """Cells by the expression of a gene, log1p of 10,000 counts a cell."""
        known = {name.casefold(): i for i, name in enumerate(self.about["genes"])}
        place = known.get(symbol.casefold())
        if place is None:
            raise BadInput(f"{self.name} has no gene {symbol!r}; expected one of its genes")
        name = self.about["genes"][place]
        with self.lock:
            if name not in self._genes:
                while len(self._genes) >= _KEPT_GENES:
                    self._genes.pop(next(iter(self._genes)))
                self._genes[name] = self._expression(place)
            return Colouring("numbers", name, self._genes[name])

    def _expression(self, place: int) -> NDArray[np.float32]:
        """One gene in the drawn cells; zero in the others, which are not read."""
        found = np.zeros(self.n_cells, dtype=np.float32)
        wanted = np.zeros(self.n_cells, dtype=bool)
        wanted[self.drawn] = True
        cells = self.cells
        named = cells.harmonised() if not self.about["unread"] else cells
        for block in named.blocks(cells=wanted):
            found[block.cells] = block.values[:, [place]].toarray().ravel()
        return found

    # --- the file --------------------------------------------------------------------------------

    @property
    def cells(self) -> CellMatrix:
        """The open file."""
        from data.h5ad import open_cells

        with self.lock:
            if self._cells is None:
                self._cells = open_cells(self.source)
                self._cells.name = self.name  # what answers call it
            return self._cells

    def close(self) -> None:
        """Let go of the file and remove the folder."""
        with self.lock:
            if self._cells is not None:
                self._cells.close()
                self._cells = None
        shutil.rmtree(self.folder, ignore_errors=True)
