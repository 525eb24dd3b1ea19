"""Cells of any set of .h5ad files for training: read once in blocks, kept narrow, drawn at will.

:func:`gather` streams each file and keeps of every cell its highest genes
(:func:`encoders.genetokens.tokenizer.held`), in files on disk where a folder is given: 3 kB a cell,
so that memory stays bounded by the block whatever the number of cells. Labels are Cell Ontology
terms or unknown; other properties are what the file's columns say. One donor or dataset can be held
out for development. Knows no model.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.genetokens.tokenizer import MOST, Held, held
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["CellFile", "CellStore", "gather", "of_datasets"]

UNKNOWN = frozenset({"", "nan", "none", "na", "n/a", "unknown", "<na>", "null"})
"""What files write where a property is not known."""

Ground = Callable[[Sequence[str]], Mapping[str, Curie]]


@dataclass(frozen=True, slots=True)
class CellFile:
    """A file of cells.

    ``label`` is its column of cell types, "" where it has none; ``properties`` maps the name of a
    property to a column; ``donor`` is the column of donors.
    """

    path: Path
    label: str = ""
    properties: Mapping[str, str] = field(default_factory=dict)
    donor: str = ""


@dataclass(frozen=True, eq=False)
class CellStore:
    """Cells as training sees them.

    Attributes
    ----------
    genes
        Symbols that the cells' places stand for.
    cells
        Their highest genes, [n, kept]; may lie on disk.
    types
        Terms, None where unknown.
    properties
        What is said of each cell by property, "" where it is unknown.
    datasets, donors
        Where each cell comes from.
    usual
        Mean log1p value of each gene over the cells that express it, [genes].
    """

    genes: tuple[str, ...]
    cells: Held
    types: tuple[Curie | None, ...]
    properties: Mapping[str, tuple[str, ...]]
    datasets: tuple[str, ...]
    donors: tuple[str, ...]
    usual: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.types)

    def of(self, rows: NDArray[np.integer]) -> CellStore:
        """Some of the cells, in memory; ``usual`` stays that of all."""
        some = [int(i) for i in rows]
        return replace(
            self,
            cells=self.cells.of(rows),
            types=tuple(self.types[i] for i in some),
            properties={k: tuple(v[i] for i in some) for k, v in self.properties.items()},
            datasets=tuple(self.datasets[i] for i in some),
            donors=tuple(self.donors[i] for i in some),
        )

    def parts(
        self, rows: NDArray[np.integer], most: int = 5_000, seed: int = 0
    ) -> list[tuple[sp.csr_array, tuple[str, ...]]]:
        """Expression [cells, genes] of some of the cells, dataset by dataset, and the genes.

        Parameters
        ----------
        rows
            Which cells.
        most
            At most so many of a dataset, drawn.
        seed
            Of the draw.
        """
        import scipy.sparse as sp

        rng = np.random.default_rng(seed)
        names = np.array([self.datasets[int(i)] for i in rows])
        found = []
        for name in dict.fromkeys(names.tolist()):
            here = np.asarray(rows)[names == name]
            some = self.cells.of(np.sort(rng.permutation(here)[:most]))
            cell, place = np.nonzero(some.genes >= 0)
            at = (cell, some.genes[cell, place])
            shape = (len(some), len(self.genes))
            matrix = sp.csr_array((some.values[cell, place], at), shape=shape)
            seen = np.unique(at[1])
            found.append((sp.csr_array(matrix[:, seen]), tuple(self.genes[i] for i in seen)))
        return found

    def split(self, hold_out: str) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Rows to train on and rows held out: ``donor=NAME``, ``dataset=NAME``, or "" for none.

        Raises
        ------
        BadInput
            When it is not written so, or there is no such donor or dataset, or nothing else.
        """
        if not hold_out:
            return np.arange(len(self)), np.arange(0)
        what, _, name = hold_out.partition("=")
        source = {"donor": self.donors, "dataset": self.datasets}.get(what)
        if source is None or not name:
            raise BadInput(f"{hold_out!r} names nothing to hold out; expected donor=NAME or "
                           "dataset=NAME")  # fmt: skip
        mask = np.array([one == name for one in source])
        if not mask.any() or mask.all():
            there = ", ".join(sorted(set(source))[:8])
            raise BadInput(
                f"{what} {name!r} has {int(mask.sum()):,} of {len(self):,} cells; expected some of "
                f"them, of: {there}"
            )
        return np.flatnonzero(~mask), np.flatnonzero(mask)


def gather(
    files: Sequence[CellFile],
    ground: Ground,
    folder: Path | None = None,
    keep: int = MOST,
    only: Collection[str] | None = None,
) -> CellStore:
    """Read files of cells.

    Parameters
    ----------
    files
        The files.
    ground
        Labels to terms; those that it leaves out are unknown.
    folder
        Where the narrow arrays are kept; in memory where it is None.
    keep
        Genes of a cell that are kept at most.
    only
        Symbols besides which no gene is kept; every gene where it is None.

    Raises
    ------
    BadInput
        When there is no file or no cell in them.
    """
    from data.h5ad import open_cells

    if not files:
        raise BadInput("no files of cells were given; expected at least one")
    book = _Book(keep, folder, only)
    for number, one in enumerate(files):
        with open_cells(one.path) as opened:
            found = opened.harmonised()
            book.columns(one, found, ground)
            places = book.places(found.genes)
            book.begin(number, found.n_cells)
            for block in found.blocks():
                book.add(block.start, block.values, places)
    return book.store()


def of_datasets(
    parts: Sequence[tuple[str, Any, Sequence[str], Sequence[Curie | None]]], keep: int = MOST
) -> CellStore:
    """Cells in memory: name, log1p values, current symbols and types of each dataset."""
    book = _Book(keep, None)
    for number, (name, values, genes, types) in enumerate(parts):
        places = book.places(genes)
        book.types += list(types)
        book.datasets += [name] * len(types)
        book.donors += [""] * len(types)
        book.begin(number, values.shape[0])
        book.add(0, values, places)
    return book.store()


class _Book:
    """Gathers cells file by file."""

    def __init__(self, keep: int, folder: Path | None, only: Collection[str] | None = None) -> None:
        self.keep, self.folder = keep, folder
        self.only = None if only is None else frozenset(only)
        self.genes: dict[str, int] = {}
        self.types: list[Curie | None] = []
        self.datasets: list[str] = []
        self.donors: list[str] = []
        self.said: dict[str, list[str]] = {}
        self.parts: list[tuple[NDArray[np.int32], NDArray[np.float16]]] = []
        self.total: Counter[int] = Counter()
        self.times: Counter[int] = Counter()

    def places(self, genes: Sequence[str]) -> NDArray[np.int64]:
        """The place of each gene, -1 for those that are not asked for."""
        return np.array([
            self.genes.setdefault(gene, len(self.genes))
            if self.only is None or gene in self.only
            else -1
            for gene in genes
        ], dtype=np.int64)  # fmt: skip

    def columns(self, one: CellFile, found: Any, ground: Ground) -> None:
        before, n = len(self.types), found.n_cells
        labels = _told(found, one.label) if one.label else [""] * n
        terms = ground(sorted(set(labels) - {""}))
        self.types += [terms.get(label) for label in labels]
        self.datasets += [one.path.stem] * n
        self.donors += _told(found, one.donor) if one.donor else [""] * n
        for name in {*self.said, *one.properties}:
            column = one.properties.get(name, "")
            here = _told(found, column) if column in found.columns else [""] * n
            self.said.setdefault(name, [""] * before).extend(here)

    def begin(self, number: int, n: int) -> None:
        shape = (n, self.keep)
        if self.folder is None:
            self.parts.append((np.full(shape, -1, np.int32), np.zeros(shape, np.float16)))
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        genes = np.lib.format.open_memmap(
            self.folder / f"genes-{number}.npy", mode="w+", dtype=np.int32, shape=shape
        )
        values = np.lib.format.open_memmap(
            self.folder / f"values-{number}.npy", mode="w+", dtype=np.float16, shape=shape
        )
        self.parts.append((genes, values))

    def add(self, start: int, values: Any, places: NDArray[np.int64]) -> None:
        some = held(values, places, self.keep)
        genes, levels = self.parts[-1]
        stop, width = start + len(some), some.genes.shape[1]
        genes[start:stop, :width], genes[start:stop, width:] = some.genes, -1
        levels[start:stop, :width] = some.values
        sums = np.asarray(values.sum(axis=0)).ravel()
        times = np.asarray((values > 0).sum(axis=0)).ravel()
        for place, total, count in zip(places.tolist(), sums.tolist(), times.tolist(), strict=True):
            if place >= 0:
                self.total[place] += total
                self.times[place] += count

    def store(self) -> CellStore:
        if not self.types:
            raise BadInput("the files hold no cell; expected at least one")
        usual = np.array([self.total[i] / max(1, self.times[i]) for i in range(len(self.genes))])
        genes: Any = _Rows([part[0] for part in self.parts])
        values: Any = _Rows([part[1] for part in self.parts])
        return CellStore(
            tuple(self.genes),
            Held(genes, values),
            tuple(self.types),
            {name: tuple(some) for name, some in self.said.items()},
            tuple(self.datasets),
            tuple(self.donors),
            usual.astype(np.float32),
        )


class _Rows:
    """Arrays of equal width as one, read row by row: what lies on disk stays there."""

    def __init__(self, parts: Sequence[NDArray[Any]]) -> None:
        self.parts = list(parts)
        self.starts = np.concatenate([[0], np.cumsum([len(part) for part in parts])])

    def __len__(self) -> int:
        return int(self.starts[-1])

    def __getitem__(self, rows: NDArray[np.integer]) -> NDArray[Any]:
        wanted = np.asarray(rows)
        which = np.searchsorted(self.starts, wanted, side="right") - 1
        found = np.empty((len(wanted), self.parts[0].shape[1]), dtype=self.parts[0].dtype)
        for part in np.unique(which):
            here = which == part
            found[here] = self.parts[part][wanted[here] - self.starts[part]]
        return found


def _told(found: Any, column: str) -> list[str]:
    """A column as text, "" where it is not known."""
    values = [str(one) for one in np.asarray(found.column(column)).astype(object)]
    return ["" if one.strip().casefold() in UNKNOWN else one for one in values]
