"""A dataset as blocks of cells: which matrix is used and why, genes by name, embeddings, labels.

Gives :class:`CellMatrix`, and :func:`choose`, which finds the matrix of a :class:`Store` that holds
counts or log1p values. Memory is bounded by the block, not by the dataset, and results depend
neither on the block's size nor on how the matrix is stored. Knows no file format
(:mod:`data.h5ad` makes the stores), no cell type and no marker.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp
from numpy.typing import NDArray

from data import expression
from data.errors import BadFile, BadInput
from data.expression import Judgement, Scale, Values
from data.genetable import Species
from data.harmonise import Harmonised, expect_species, harmonise
from data.matrices import Rows, in_memory

__all__ = ["BLOCK", "Block", "CellMatrix", "Store", "choose"]

BLOCK = 4_096
"""Cells a block: 2,000 genes at 100 values a cell are 5 MB, 30,000 at 3,000 are 150 MB."""

SAMPLE_CELLS = 2_000
"""Cells looked at to tell what a matrix holds; every block is checked against the outcome."""

SAMPLE_RUNS = 20
"""Runs of neighbouring cells that make the sample, spread evenly over the dataset."""

NOT_EXPRESSION = ("spliced", "unspliced", "ambiguous", "scaled", "scale_data", "scale.data")
"""Layers that are never chosen unasked: they hold a part of the counts or a transform of them."""

TOTALS = ("total_counts", "n_counts", "nCount_RNA", "ncounts", "n_umi", "nUMI", "n_umis")
"""Columns in which scanpy and Seurat keep a cell's total counts."""


class Store(Protocol):
    """Tables, embeddings and matrices of one dataset."""

    name: str
    n_cells: int

    def matrices(self) -> list[str]:
        """Names of the matrices: "X", "raw.X", "layers/NAME"."""
        ...

    def rows(self, matrix: str) -> Rows:
        """A matrix by rows."""
        ...

    def genes(self, matrix: str) -> list[str]:
        """Names of its genes."""
        ...

    def gene_columns(self, matrix: str) -> dict[str, list[str]]:
        """Text columns of the table of its genes."""
        ...

    def cell_names(self) -> NDArray[np.object_]:
        """Names of the cells."""
        ...

    def columns(self) -> list[str]:
        """Columns of the table of cells."""
        ...

    def column(self, key: str) -> Any:
        """One column of the table of cells, as a pandas Series."""
        ...

    def embeddings(self) -> list[str]:
        """Keys of the embeddings."""
        ...

    def embedding(self, key: str) -> NDArray[Any]:
        """One embedding, cells x dimensions."""
        ...

    def close(self) -> None:
        """Let go of the file."""
        ...


@dataclass(frozen=True, slots=True)
class Block:
    """Cells ``start`` to ``stop`` in file order; ``cells`` their numbers, ``values`` their rows."""

    start: int
    stop: int
    cells: NDArray[np.int64]
    values: sp.csr_matrix[np.float32]


class CellMatrix:
    """Expression of many cells, read block by block; made by :func:`open_cells`.

    ``matrix`` is the one that is used ("X", "raw.X", "layers/NAME"), ``holds`` what it was judged
    to hold, ``why`` the reason in words, ``notices`` what the user should know; ``genes`` are
    unique names, in file order or, after :meth:`harmonised`, current human symbols in
    alphabetical order.
    """

    def __init__(
        self,
        store: Store,
        matrix: str,
        rows: Rows,
        judged: Judgement,
        notices: Sequence[str],
    ) -> None:
        self._store, self._rows = store, rows
        self.name, self.matrix, self.holds = store.name, matrix, judged.kind
        self.n_cells = store.n_cells
        self.why = judged.why
        self.harmonisation: Harmonised | None = None
        names = store.genes(matrix)
        scale = Scale(
            judged,
            f"{store.name}: {matrix}",
            place=lambda row, column: f"cell {store.cell_names()[row]}, gene {names[column]}",
        )
        self.genes: tuple[str, ...] = tuple(dict.fromkeys(names))
        self.notices: tuple[str, ...] = tuple(notices)
        if judged.notice:
            self.notices += (f"{matrix}: {judged.notice}",)
        if len(self.genes) < len(names):
            place = {name: i for i, name in enumerate(self.genes)}
            scale = scale.merging([place[name] for name in names], len(self.genes))
            self.notices += (
                f"{len(names) - len(self.genes):,} columns repeat the name of another gene; "
                "their counts were summed",
            )
        self._scale = scale

    # --- genes ---------------------------------------------------------------------------------

    @property
    def n_genes(self) -> int:
        """Number of genes, after repeated names were summed."""
        return len(self.genes)

    @property
    def chosen(self) -> str:
        """One line: which matrix is used and why."""
        return f"{self.matrix} is used as {self.holds}: {self.why}"

    def harmonised(self, species: Species | None = None) -> CellMatrix:
        """The same cells with genes as current human symbols; columns that meet are summed.

        Raises
        ------
        BadInput
            When too few names are known genes (:func:`data.harmonise.harmonise`), or they are
            those of another species than the one named.
        """
        names = self._store.genes(self.matrix)
        columns = self._store.gene_columns(self.matrix)
        if species is not None:
            expect_species(names, columns, species)
        found = harmonise(names, columns, species)
        other = CellMatrix.__new__(CellMatrix)
        other.__dict__.update(self.__dict__)
        other.genes = found.symbols
        other.harmonisation = found
        other._scale = self._scale.merging(found.column, len(found.symbols))
        other.notices = (*self.notices, found.report())
        return other

    # --- blocks --------------------------------------------------------------------------------

    def blocks(
        self, size: int = BLOCK, values: Values = "log1p", cells: NDArray[np.bool_] | None = None
    ) -> Iterator[Block]:
        """Iterate over the cells in file order.

        Parameters
        ----------
        size
            Cells read at once.
        values
            "log1p" (natural logarithm, 10,000 counts a cell) or "counts".
        cells
            Mask of the cells wanted; a block without any is not read.

        Raises
        ------
        BadFile
            When a value contradicts what the matrix was judged to hold (NaN, negative, not whole),
            or when counts are asked for and the matrix has none.
        """
        if size < 1:
            raise BadInput(f"a block of {size} cells cannot be read; expected at least 1")
        convert = self._scale.counts if values == "counts" else self._scale.log1p
        for start in range(0, self.n_cells, size):
            stop = min(start + size, self.n_cells)
            wanted = np.arange(start, stop)
            if cells is not None:
                wanted = wanted[cells[start:stop]]
                if not len(wanted):
                    continue
            rows = convert(self._rows.read(start, stop), start)
            if len(wanted) < stop - start:
                rows = rows[wanted - start]
            yield Block(start, stop, wanted, rows)

    def over(self, values: Any) -> CellMatrix:
        """The same genes, read the same way, over other rows of the same matrix, in memory.

        Parameters
        ----------
        values
            [n, genes of the matrix], dense or sparse, as they are stored.
        """
        other = CellMatrix.__new__(CellMatrix)
        other.__dict__.update(self.__dict__)
        other._rows = in_memory(values, f"{self.name}: {self.matrix}")
        other.n_cells = int(values.shape[0])
        return other

    # --- tables and embeddings -------------------------------------------------------------------

    @property
    def cell_names(self) -> NDArray[np.object_]:
        """Names of the cells."""
        return self._store.cell_names()

    @property
    def columns(self) -> list[str]:
        """Columns of the table of cells."""
        return self._store.columns()

    def column(self, key: str) -> Any:
        """One column of the table of cells, as a pandas Series.

        Raises
        ------
        BadInput
            When there is no such column.
        """
        if key not in self._store.columns():
            some = ", ".join(self._store.columns()[:12]) or "none"
            raise BadInput(f"{self.name} has no column {key!r} in obs; it has: {some}")
        return self._store.column(key)

    def where(self, condition: str) -> NDArray[np.bool_]:
        """Mask of the cells for which a column has a value, written ``leiden=3``.

        Raises
        ------
        BadInput
            When the condition has another form, the column is unknown or no cell has the value.
        """
        key, equals, wanted = condition.partition("=")
        if not equals:
            raise BadInput(f"{condition!r} names no cells; expected COLUMN=VALUE, such as leiden=3")
        text = self.column(key.strip()).astype(str).to_numpy()
        mask = np.asarray(text == wanted.strip())
        if not mask.any():
            some = ", ".join(sorted(set(text))[:8])
            raise BadInput(f"no cell has {key.strip()} = {wanted.strip()!r}; there are: {some}")
        return mask

    @property
    def embeddings(self) -> list[str]:
        """Keys of the embeddings in the file."""
        return self._store.embeddings()

    def embedding(self, key: str) -> NDArray[np.float32]:
        """One embedding of the file, cells x dimensions; ``obsm:KEY`` is understood too.

        Raises
        ------
        BadInput
            When there is none of that name.
        BadFile
            When it is not a finite number for every cell.
        """
        key = key.removeprefix("obsm:")
        if key not in self._store.embeddings():
            some = ", ".join(self._store.embeddings()) or "none"
            raise BadInput(f"{self.name} has no embedding {key!r}; it has: {some}")
        try:
            found = np.asarray(self._store.embedding(key), dtype=np.float32)
        except (ValueError, TypeError) as error:
            raise BadFile(f"{self.name}: obsm[{key!r}] holds no numbers") from error
        found = found.reshape(self.n_cells, -1)
        if not np.isfinite(found).all():
            row = int(np.argwhere(~np.isfinite(found).all(axis=1))[0, 0])
            raise BadFile(f"{self.name}: obsm[{key!r}] is not finite at cell {row}; repair it")
        return found

    def umap(self) -> tuple[str, NDArray[np.float32]] | None:
        """A UMAP that the file already has, and where it was found."""
        keys = sorted(k for k in self.embeddings if "umap" in k.lower())
        for key in sorted(keys, key=lambda k: (k.lower() != "x_umap", k)):
            found = self.embedding(key)
            if found.shape[1] >= 2:
                return f"obsm:{key}", found[:, :2]
        names = {name.lower().replace("_", ""): name for name in self.columns}
        if {"umap1", "umap2"} <= set(names):
            pair = [np.asarray(self.column(names[n]), dtype=np.float32) for n in ("umap1", "umap2")]
            if all(np.isfinite(axis).all() for axis in pair):
                return f"obs:{names['umap1']}", np.column_stack(pair)
        return None

    # --- life ------------------------------------------------------------------------------------

    def close(self) -> None:
        """Let go of the file and of temporary ones."""
        self._rows.close()
        self._store.close()

    def __enter__(self) -> CellMatrix:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()


def choose(store: Store, layer: str | None = None, values: Values = "log1p") -> CellMatrix:
    """Use one matrix of a store: the layer named, or the widest that gives the values wanted.

    Raises
    ------
    BadFile
        When there are no cells or no genes, or no matrix holds expression.
    BadInput
        When there is no such layer.
    """
    if store.n_cells == 0:
        raise BadFile(f"{store.name} has no cells; expected at least one")
    names = _candidates(store, layer)
    if not any(store.genes(name) for name in names):
        raise BadFile(f"{store.name} has no genes; expected at least one")
    judged: dict[str, tuple[Rows, Judgement]] = {}
    for name in names:
        judged[name] = _judged(store, name)
    kinds = ("counts",) if values == "counts" else ("counts", "log1p", "linear")
    usable = [n for n in names if judged[n][1].kind in kinds]
    if not usable:
        found = "; ".join(f"{n}: {judged[n][1].why}" for n in names)
        wanted = "counts" if values == "counts" else "counts or log1p values"
        raise BadFile(
            f"{store.name} holds no {wanted} ({found}); expected them in X, raw or a layer: save "
            "the unscaled matrix in adata.raw or adata.layers"
        )
    best = min(usable, key=lambda n: _preference(*judged[n], names.index(n)))
    for name, (rows, _) in judged.items():
        if name != best:
            rows.close()
    notices = [f"{n} is not used: {judged[n][1].why}" for n in names if n not in usable]
    return CellMatrix(store, best, *judged[best], notices)


def _preference(rows: Rows, judged: Judgement, place: int) -> tuple[bool, int, int, int]:
    """Proven before assumed, many genes before few, counts before log1p, then X, raw, layers."""
    return bool(judged.notice), -rows.shape[1], judged.rank, place


def _candidates(store: Store, layer: str | None) -> list[str]:
    names = store.matrices()
    if layer is not None:
        wanted = {"raw": "raw.X", "X": "X", "raw.X": "raw.X"}.get(layer, f"layers/{layer}")
        if wanted not in names:
            some = ", ".join(n.removeprefix("layers/") for n in names) or "none"
            raise BadInput(f"{store.name} has no matrix {layer!r}; it has: {some}")
        return [wanted]
    layers = [n for n in names if n.startswith("layers/")]
    layers = [n for n in layers if n.removeprefix("layers/").lower() not in NOT_EXPRESSION]
    # A layer that says that it holds counts is looked at before the others.
    layers.sort(key=lambda n: ("count" not in n.lower(), n))
    found = [n for n in ("X", "raw.X") if n in names] + layers
    if not found:
        raise BadFile(f"{store.name} has no matrix; expected one in X, raw or a layer")
    return found


def _judged(store: Store, name: str) -> tuple[Rows, Judgement]:
    """A matrix and what it holds, told from cells spread over the dataset."""
    rows = store.rows(name)
    cells = _sample(store.n_cells)
    parts = [rows.read(span.start, span.stop) for span in cells]
    sample = sp.csr_matrix(sp.vstack(parts, format="csr"))
    found = expression.judge(sample, _totals(store, cells))
    if found.at is not None:
        row = [cell for span in cells for cell in span][found.at[0]]
        gene = store.genes(name)[found.at[1]]
        found = replace(found, why=f"{found.why} at cell {store.cell_names()[row]}, gene {gene}")
    return rows, found


def _sample(n_cells: int) -> list[range]:
    if n_cells <= SAMPLE_CELLS:
        return [range(n_cells)]
    run = SAMPLE_CELLS // SAMPLE_RUNS
    starts = np.linspace(0, n_cells - run, SAMPLE_RUNS).astype(int)
    return [range(int(start), int(start) + run) for start in starts]


def _totals(store: Store, cells: Sequence[range]) -> NDArray[np.float64] | None:
    """Total counts of some cells, where a column has them."""
    for key in TOTALS:
        if key in store.columns():
            values = np.asarray(store.column(key))
            if values.dtype.kind in "fiu":
                return np.concatenate([values[c.start : c.stop] for c in cells]).astype(np.float64)
    return None
