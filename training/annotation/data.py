"""The development datasets of annotation: expression beside labels as Cell Ontology terms.

Gives :func:`cell_ontology` and :func:`load`, by name: PBMC68k-reduced (a pinned asset) and, from
the folder of development data, PBMC3k, tumour T cells, mouse brain (MERFISH) and liver. Labels come
from ``data/label_maps`` (facts made by hand) or, for the brain, from the file's own CELLxGENE
column. Nothing else of Celloquy reads labels.
"""

from __future__ import annotations

import csv
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import data as _data
from data import sources
from data.errors import BadFile, BadInput
from kg.backoff import Hierarchy
from kg.terms import IS_A, Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["DATASETS", "Dataset", "cell_ontology", "label_map", "load"]


@dataclass(frozen=True)
class _Place:
    file: str  # below the folder of development data; an asset's name where it has no slash
    column: str
    mapped: bool = True


_PLACES: Mapping[str, _Place] = {
    "pbmc68k": _Place("pbmc68k", "bulk_labels"),
    "pbmc3k": _Place("cells/pbmc3k_clustifyr_2638x2000_lognorm.h5ad", "cell_type"),
    "tcells": _Place("cells/tcells_wu2020_200x30727_counts.h5ad", "cluster_orig"),
    "brain": _Place(
        "cells/cxg_mouse_brain_merfish_1000.h5ad", "cell_type_ontology_term_id", mapped=False
    ),
    "liver": _Place("cells/liver_he2020_20cells_counts.h5ad", "cell_type"),
}

DATASETS = tuple(_PLACES)
"""Names that :func:`load` knows."""


@dataclass(frozen=True, eq=False)
class Dataset:
    """Cells of one dataset: log1p ``values`` over current human symbols, and their true types.

    ``coarse`` are the classes that the figures of benchmarks.md are restricted to, or None.
    """

    name: str
    genes: tuple[str, ...]
    values: sp.csr_matrix
    truth: tuple[Curie, ...]
    coarse: tuple[Curie, ...] | None
    labels: tuple[str, ...] = ()
    """As they are written in the file."""

    def __len__(self) -> int:
        return len(self.truth)

    def part(self, rows: NDArray[np.integer]) -> Dataset:
        """The cells of some rows, by number."""
        some = [int(i) for i in rows]
        coarse = tuple(self.coarse[i] for i in some) if self.coarse else None
        labels = tuple(self.labels[i] for i in some) if self.labels else ()
        truth = tuple(self.truth[i] for i in some)
        return replace(self, values=self.values[some], truth=truth, coarse=coarse, labels=labels)

    def nine_tenths(self, seed: int) -> Dataset:
        """Nine tenths of the cells of every type, drawn by a seed."""
        rng = np.random.default_rng(seed)
        truth, kept = np.array(self.truth), []
        for one in sorted(set(self.truth)):
            here = rng.permutation(np.flatnonzero(truth == one))
            kept += here[len(here) // 10 :].tolist()
        return self.part(np.sort(kept))


def cell_ontology() -> tuple[Hierarchy, str]:
    """The Cell Ontology and its version, read from the pinned file: no built graph is needed."""
    from kg.readers.cellxgene import read_cellxgene

    loaded = read_cellxgene(sources.path("cl"))
    labels = {t.id: t.label for t in loaded.terms if t.id.startswith("CL:") and not t.obsolete}
    parents: dict[Curie, set[Curie]] = {term: set() for term in labels}
    for edge in loaded.edges:
        if edge.predicate == IS_A and edge.subject in labels and edge.object in labels:
            parents[edge.subject].add(edge.object)
    above: dict[Curie, set[Curie]] = {}
    for term in labels:
        found, ring = {term}, {term}
        while ring:
            ring = {p for one in ring for p in parents[one]} - found
            found |= ring
        above[term] = found
    return Hierarchy.make(above, labels), loaded.release.version


def label_map(name: str) -> dict[str, tuple[Curie, Curie]]:
    """Label to its term and its coarse class, from ``data/label_maps``."""
    path = Path(_data.__file__).parent / "label_maps" / f"{name}.tsv"
    with path.open(encoding="utf-8", newline="") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    rows = csv.DictReader(lines, delimiter="\t")
    return {row["label"]: (row["cl_id"], row["coarse"]) for row in rows}


def load(name: str, folder: Path | None = None) -> Dataset:
    """Read a dataset whole; all are small.

    Parameters
    ----------
    name
        One of :data:`DATASETS`.
    folder
        The folder of development data; not needed for pbmc68k.

    Raises
    ------
    BadInput
        When the name is unknown or the folder is needed and not given.
    BadFile
        When a label of the file is not in its map.
    """
    import scipy.sparse as sp

    from data.h5ad import open_cells

    place = _PLACES.get(name)
    if place is None:
        raise BadInput(f"no development dataset is named {name!r}; one of: {', '.join(DATASETS)}")
    if "/" not in place.file:
        path = sources.path(place.file)
    elif folder is None:
        raise BadInput(f"{name} lies in the folder of development data; name it with --data")
    else:
        path = folder / place.file
    with open_cells(path) as found:
        cells = found.harmonised()
        values = sp.vstack([block.values for block in cells.blocks()]).tocsr()
        labels = [str(label) for label in np.asarray(cells.column(place.column))]
        genes = tuple(cells.genes)
        written = labels
        if not place.mapped and "cell_type" in cells.columns:
            written = [str(label) for label in np.asarray(cells.column("cell_type"))]
    if not place.mapped:
        return Dataset(name, genes, values, tuple(labels), None, tuple(written))
    known = label_map(name)
    missing = sorted(set(labels) - known.keys())
    if missing:
        raise BadFile(f"{path}: no term is mapped for the labels {', '.join(missing)}")
    return Dataset(
        name,
        genes,
        values,
        tuple(known[label][0] for label in labels),
        tuple(known[label][1] for label in labels),
        tuple(written),
    )
