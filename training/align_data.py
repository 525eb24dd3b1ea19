"""What an alignment is trained on: simulated and real cells as vectors, and the texts of terms.

:func:`gather` brings the default together (gene-text vectors of simulated cells, of the development
datasets that are not kept out, and of files the user names), or, for an encoder ``obsm:KEY``, the
vectors that the user's files hold. Held-out types are left out throughout. What was gathered is
kept by content, since simulating takes a minute.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from data import locations, sources
from data.errors import BadFile, BadInput
from kg.backoff import Hierarchy
from kg.terms import Curie, Term
from training.annotation.data import cell_ontology
from training.holdout import KEPT_OUT, held_out, refuse_kept_out
from training.profiles import CellSet, SimulationConfig, joined

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["GENE_TEXT", "Labelled", "Material", "cell_terms", "gather"]

GENE_TEXT = "gene-text"
"""The default encoder: :class:`encoders.celltext.CellEncoder`."""

_OBSM = "obsm:"

_SIMULATION = SimulationConfig(donors=16, cells=3, panel_share=0.75)
"""More donors than the encoder was fitted on: a donor is one draw of levels and one panel of genes,
and there is no end of panels among real files."""


@dataclass(frozen=True, slots=True)
class Labelled:
    """A file of cells and its column of Cell Ontology ids or names."""

    path: Path
    column: str


@dataclass(frozen=True, eq=False)
class Material:
    """Cells, the terms of the ontology, and the encoder that made the vectors."""

    cells: CellSet
    terms: dict[Curie, Term]
    hierarchy: Hierarchy
    unseen: frozenset[Curie]
    encoder: dict[str, Any]

    @property
    def origins(self) -> dict[str, int]:
        """Cells by where they come from."""
        names, counts = np.unique(np.array(self.cells.origins), return_counts=True)
        return {str(name): int(count) for name, count in zip(names, counts, strict=True)}


def cell_terms(hierarchy: Hierarchy) -> dict[Curie, Term]:
    """The current terms of the pinned Cell Ontology, with definitions and synonyms."""
    from kg.readers.cellxgene import read_cellxgene

    loaded = read_cellxgene(sources.path("cl"))
    return {term.id: term for term in loaded.terms if term.id in hierarchy}


def gather(
    files: Sequence[Labelled] = (),
    folder: Path | None = None,
    *,
    encoder: str = GENE_TEXT,
    simulated: bool = True,
    graph: KnowledgeGraph | None = None,
    seed: int = 0,
) -> Material:
    """Bring together what to train on.

    Parameters
    ----------
    files
        The user's own labelled cells.
    folder
        Of development data; its datasets that are not kept out are used as well.
    encoder
        ``gene-text``, or ``obsm:KEY`` for vectors that every file holds.
    simulated
        Whether to draw cells from the graph's markers; never for ``obsm:KEY``.
    graph
        Where labels of files are looked up.
    seed
        Of the draw.

    Raises
    ------
    BadInput
        When a file is kept out of training, has no such vectors, or nothing is left to train on.
    """
    hierarchy, release = cell_ontology()
    unseen = held_out(hierarchy)
    if encoder == GENE_TEXT:
        cells, identity = _gene_text(files, folder, simulated, graph, hierarchy, release, seed)
    elif encoder.startswith(_OBSM):
        cells, identity = _own_vectors(files, encoder, graph, hierarchy, unseen)
    else:
        raise BadInput(f"no encoder is called {encoder!r}; expected {GENE_TEXT} or {_OBSM}KEY")
    if not len(cells):
        raise BadInput("no cells to train on; expected labelled files or simulated cells")
    return Material(cells, cell_terms(hierarchy), hierarchy, unseen, identity)


def _gene_text(
    files: Sequence[Labelled],
    folder: Path | None,
    simulated: bool,
    graph: KnowledgeGraph | None,
    hierarchy: Hierarchy,
    release: str,
    seed: int,
) -> tuple[CellSet, dict[str, Any]]:
    from encoders.celltext import CellEncoder
    from training import profiles

    encoder = CellEncoder.shipped()
    names = [] if folder is None else _development(folder)
    key = json.dumps(
        [encoder.identity, release, simulated, seed, names, _source_hash(), repr(_SIMULATION),
         [[_hash(one.path), one.column] for one in files]]
    )  # fmt: skip
    name = hashlib.sha256(key.encode()).hexdigest()[:32]
    kept = _read(name)
    if kept is not None:
        return kept, encoder.identity
    measured = [] if folder is None else profiles.development(folder)
    measured += [_real(one, graph, hierarchy) for one in files]
    unseen = held_out(hierarchy)
    if simulated:
        cells = profiles.training_cells(
            hierarchy, measured, encoder=encoder, config=_SIMULATION, seed=seed
        )
    else:
        cells = profiles.encoded(measured, encoder, unseen=unseen)
    _write(name, cells)
    return cells, encoder.identity


def _own_vectors(
    files: Sequence[Labelled],
    encoder: str,
    graph: KnowledgeGraph | None,
    hierarchy: Hierarchy,
    unseen: frozenset[Curie],
) -> tuple[CellSet, dict[str, Any]]:
    from data.h5ad import open_cells

    if not files:
        raise BadInput(f"{encoder} needs files that hold it; name them with --cells")
    sets = []
    for one in files:
        refuse_kept_out(one.path)
        with open_cells(one.path) as cells:
            vectors = np.asarray(cells.embedding(encoder), dtype=np.float32)
            labels = [str(label) for label in np.asarray(cells.column(one.column))]
        terms = _grounded(labels, graph, hierarchy)
        keep = [i for i, label in enumerate(labels) if terms.get(label, "") not in {"", *unseen}]
        types = tuple(terms[labels[i]] for i in keep)
        sets.append(CellSet(vectors[keep], types, (one.path.stem,) * len(keep)))
    widths = sorted({one.vectors.shape[1] for one in sets})
    if len(widths) > 1:
        raise BadInput(f"{encoder} is {widths} wide in the files; expected one width")
    return joined(sets), {"name": encoder, "width": widths[0]}


def _real(one: Labelled, graph: KnowledgeGraph | None, hierarchy: Hierarchy) -> Any:
    from training import profiles

    return profiles.real(one.path, one.column, _needed(graph), hierarchy)


def _needed(graph: KnowledgeGraph | None) -> KnowledgeGraph:
    if graph is None:
        raise BadInput("labels are looked up in the graph; expected one")
    return graph


def _grounded(
    labels: Sequence[str], graph: KnowledgeGraph | None, hierarchy: Hierarchy
) -> dict[str, Curie]:
    """Labels to current terms; those that name none are left out."""
    from kg.naming.labels import ground_label

    found: dict[str, Curie] = {}
    for label in sorted(set(labels)):
        named = label.replace("_", ":", 1) if label.startswith("CL_") else label
        if named in hierarchy:
            found[label] = named
        elif best := ground_label(named, _needed(graph)):
            found[label] = best[0].id
    return {label: term for label, term in found.items() if term in hierarchy}


def _development(folder: Path) -> list[str]:
    from training.annotation.data import DATASETS

    return [name for name in DATASETS if name not in KEPT_OUT] if folder.is_dir() else []


def _sources() -> list[Path]:
    """What simulated cells follow from: tables, and the programs that read, believe and draw."""
    import data.markers
    import encoders.celltypes.markersets
    import kg.blocked
    import training.background
    import training.holdout
    import training.profiles

    programs = (data.markers, encoders.celltypes.markersets, kg.blocked, training.profiles)
    tables = (
        data.markers.TABLE, kg.blocked.TABLE, training.background.TABLE, training.holdout.TABLE,
    )  # fmt: skip
    return [*tables, *(Path(str(one.__file__)) for one in programs)]


def _source_hash() -> str:
    hashes = "".join(_hash(one) for one in _sources())
    return hashlib.sha256(hashes.encode()).hexdigest()[:16]


def _hash(path: Path) -> str:
    from data.cache import sha256

    if not path.is_file():
        raise BadFile(f"{path} is no file; expected an .h5ad file")
    return sha256(path)


def _place(name: str) -> Path:
    return locations.models() / "training" / f"{name}.safetensors"


def _read(name: str) -> CellSet | None:
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(_place(name), framework="np") as file:
            about = json.loads(file.metadata()["cells"])
            return CellSet(file.get_tensor("vectors"), tuple(about[0]), tuple(about[1]))
    except (OSError, SafetensorError, KeyError, ValueError, TypeError):
        return None


def _write(name: str, cells: CellSet) -> None:
    from safetensors.numpy import save_file

    path = _place(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    scratch = path.with_suffix(".part")
    about = json.dumps([cells.types, cells.origins])
    save_file({"vectors": np.ascontiguousarray(cells.vectors)}, scratch, {"cells": about})
    scratch.replace(path)
