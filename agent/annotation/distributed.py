"""Annotation of a dataset that lies in many places: the same work a block, spread by dask.

:func:`annotate_dask` takes expression as a dask array of blocks of cells (of a zarr store, of an
.h5ad, of anything), and does what :func:`agent.annotation.annotate.annotate_cells` does on one
machine: sums by gene in a first round, answers block by block in a second, with the same functions
on the same whole numbers, so that the answers are the same. Blocks stay on the workers; what comes
back is an answer a cell and sums a term. The scheduler is whichever is active: threads, processes,
a cluster.

What looks at all cells at once stays behind: no smoothing, no votes, no second opinion. How to get
such an array, and what it costs: docs/distributed.md.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.annotate import (
    AnnotateConfig,
    Knowledge,
    check,
    finished,
    judge_for,
    knowledge,
    placed,
)
from agent.annotation.judging import Judge, Judged
from agent.annotation.passes import Collected
from agent.annotation.result import Annotation
from data.cells import CellMatrix, choose
from data.errors import BadInput, DependencyMissing
from data.matrices import Rows, canonical

if TYPE_CHECKING:
    from encoders.celltypes.markers import GeneMoments

__all__ = ["annotate_dask"]

_TOGETHER = 16
"""Sums that are added at once: a tree of them, so that no machine holds those of all blocks."""


def annotate_dask(
    values: Any,
    genes: Sequence[str],
    config: AnnotateConfig | None = None,
    *,
    cell_names: Sequence[str] | None = None,
    name: str = "dask array",
    known: Knowledge | None = None,
) -> Annotation:
    """Annotate the cells of a dask array, block by block.

    Parameters
    ----------
    values
        Counts or log1p values [cells, genes], a dask array with blocks that are dense or sparse
        matrices; columns are brought into one block.
    genes
        Names of its columns.
    config
        How to annotate; without ``groupby``, ``encoder`` and ``smooth``.
    cell_names
        Names of the rows; numbers where not given.
    name
        What messages call the dataset.
    known
        Ontology and markers; those of the built graph where not given.

    Raises
    ------
    BadInput
        When an option needs all cells at once, or the genes cannot be read.
    DependencyMissing
        When dask is not installed.
    """
    started = time.monotonic()
    config = config or AnnotateConfig()
    _refuse(config)
    try:
        from dask import base
        from dask.delayed import delayed
    except ImportError as error:
        raise DependencyMissing(
            "blocks are spread by dask; install it with: pip install 'dask[array,distributed]'"
        ) from error
    store = _Lazy(values, tuple(genes), cell_names, name)
    cells = choose(store)
    named = cells.harmonised(config.species)
    known = known or knowledge()
    config = placed(config, known)
    chunks = list(store.values.to_delayed().ravel())
    starts = np.concatenate([[0], np.cumsum(store.values.chunks[0])]).astype(int).tolist()
    reading = delayed(named, traverse=False)
    sums = [delayed(_sums)(chunk, reading) for chunk in chunks]
    while len(sums) > 1:
        parts = (sums[i : i + _TOGETHER] for i in range(0, len(sums), _TOGETHER))
        sums = [delayed(_added)(part) for part in parts]
    compute: Callable[..., tuple[Any, ...]] = base.compute
    (moments,) = compute(sums[0])
    judge = judge_for(known, named, moments, config)
    judging = delayed(judge, traverse=False)
    answers = [
        delayed(_answers)(chunk, reading, judging, start)
        for chunk, start in zip(chunks, starts, strict=False)
    ]
    collected = Collected(cells.n_cells, known.places.shape[1])
    for found in compute(*answers):
        collected.add(found)
    made = finished(known, cells, named, moments, judge, collected, replace(config, smooth=False))
    return replace(made, about=replace(made.about, seconds=time.monotonic() - started))


def _refuse(config: AnnotateConfig) -> None:
    check(config)
    for option, given in (
        ("groupby", config.groupby),
        ("smooth", config.smooth),
        ("reference", config.reference or config.atlas),
        ("encoder", None if config.encoder == "markers" else config.encoder),
    ):
        if given:
            raise BadInput(
                f"{option}={given!r} needs all cells in one place; leave it out here, or annotate "
                "on one machine"
            )


def _sums(chunk: Any, named: CellMatrix) -> GeneMoments:
    from encoders.celltypes.markers import GeneMoments

    total = GeneMoments.zeros(named.n_genes)
    for block in named.over(chunk).blocks():
        total = total + GeneMoments.of(block.values)
    return total


def _added(parts: Sequence[GeneMoments]) -> GeneMoments:
    total, *rest = parts
    for one in rest:
        total = total + one
    return total


def _answers(chunk: Any, named: CellMatrix, judge: Judge, start: int) -> Judged:
    (block,) = named.over(chunk).blocks(size=max(1, chunk.shape[0]))
    moved = replace(block, start=start, stop=start + block.stop, cells=block.cells + start)
    # Probabilities of single cells stay where they are: they would outweigh the answers.
    return replace(judge(moved), chances=np.zeros((0, 0)))


@dataclass
class _Lazy:
    """A dataset of one matrix that is a dask array, and of no tables."""

    values: Any
    names: tuple[str, ...]
    cells: Sequence[str] | None
    name: str

    def __post_init__(self) -> None:
        shape: tuple[int, ...] = getattr(self.values, "shape", ())
        if not hasattr(self.values, "to_delayed") or len(shape) != 2:
            raise BadInput(
                f"{type(self.values).__name__} is no dask array of cells x genes; expected one"
            )
        if shape[1] != len(self.names):
            raise BadInput(f"{shape[1]:,} columns were given {len(self.names):,} names of genes")
        if any(np.isnan(size) for some in self.values.chunks for size in some):
            self.values = self.values.compute_chunk_sizes()
        self.values = self.values.rechunk({1: -1})
        self.n_cells = int(self.values.shape[0])

    def __getstate__(self) -> dict[str, Any]:
        # Workers get their blocks by themselves: the array, and the names, stay here.
        return {**self.__dict__, "values": None, "cells": None}

    def matrices(self) -> list[str]:
        return ["X"]

    def rows(self, matrix: str) -> Rows:
        return _LazyRows(self.values, self.name)

    def genes(self, matrix: str) -> list[str]:
        return list(self.names)

    def gene_columns(self, matrix: str) -> dict[str, list[str]]:
        return {}

    def cell_names(self) -> NDArray[np.object_]:
        if self.cells is None:
            return np.array([str(i) for i in range(self.n_cells)], dtype=object)
        return np.array([str(one) for one in self.cells], dtype=object)

    def columns(self) -> list[str]:
        return []

    def column(self, key: str) -> Any:
        raise BadInput(f"{self.name} has no column {key!r}: an array has no table of cells")

    def embeddings(self) -> list[str]:
        return []

    def embedding(self, key: str) -> NDArray[Any]:
        raise BadInput(f"{self.name} has no embedding {key!r}")

    def close(self) -> None:
        return


@dataclass(frozen=True)
class _LazyRows:
    """Runs of rows of a dask array, computed when they are read."""

    values: Any
    what: str

    @property
    def shape(self) -> tuple[int, int]:
        cells, genes = self.values.shape
        return int(cells), int(genes)

    def read(self, start: int, stop: int) -> Any:
        import scipy.sparse as sp

        rows: Any = sp.csr_matrix(self.values[start:stop].compute())
        return canonical(rows.data, rows.indices, rows.indptr, self.shape[1], self.what)

    def __getstate__(self) -> dict[str, Any]:
        return {"values": None, "what": self.what}

    def __setstate__(self, state: dict[str, Any]) -> None:
        for key, value in state.items():
            object.__setattr__(self, key, value)

    def close(self) -> None:
        return
