"""The one place that reads and writes .h5ad files and AnnData objects.

Gives :func:`open_cells`, which returns a :class:`~data.cells.CellMatrix`, and
:func:`write_annotated`, which writes an annotated copy: the source is never touched, and the copy
appears whole or not at all. A file is guarded (:mod:`data.preflight`) before anything else touches
it, and its matrices stay on disk. What they hold is decided in :mod:`data.cells`.

Import this module inside the function that needs it: h5py, numpy and scipy come with it.
"""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from data import preflight
from data.cells import BLOCK, Block, CellMatrix, Store, choose
from data.errors import BadFile, BadInput, CelloquyError
from data.expression import Values
from data.matrices import Rows, in_memory, on_disk
from data.preflight import Limits

__all__ = [
    "BLOCK",
    "Block",
    "CellMatrix",
    "check_target",
    "open_cells",
    "open_store",
    "write_annotated",
]

LEGACY_BYTES = 4 << 30
"""Largest file of anndata before 0.7 that is read: those must be loaded whole."""


def open_cells(
    source: Path | str | Any,
    layer: str | None = None,
    values: Values = "log1p",
    limits: Limits | None = None,
) -> CellMatrix:
    """Open a dataset and find the matrix that holds counts or log1p values.

    Parameters
    ----------
    source
        Path of an .h5ad, or an AnnData in memory or backed.
    layer
        The matrix to use: "X", "raw" or the name of a layer. Unless it is given, the widest matrix
        that holds expression is used, counts before log1p, X before raw.X before layers.
    values
        "log1p" also takes a matrix of counts, which is normalised as it is read; "counts" takes
        nothing else.
    limits
        What the file may ask for; see :class:`data.preflight.Limits`.

    Raises
    ------
    UnsafeFile, BadFile
        When the guard refuses the file, or when no matrix holds expression.
    BadInput
        When there is no such layer.
    """
    store = open_store(source, limits)
    try:
        return choose(store, layer, values)
    except BaseException:
        store.close()
        raise


def open_store(source: Any, limits: preflight.Limits | None = None) -> Store:
    """Open a path or an AnnData.

    Raises
    ------
    UnsafeFile, BadFile
        From the guard.
    BadInput
        When ``source`` is neither a path nor an AnnData.
    """
    if isinstance(source, str | Path):
        path = Path(source)
        structure = preflight.check(path, limits)
        if structure.legacy:
            return _Memory(_read_legacy(path), str(path))
        return _File(path, structure)
    if not all(hasattr(source, part) for part in ("X", "obs", "var", "obsm", "layers")):
        raise BadInput(
            f"{type(source).__name__} is no dataset; expected an .h5ad path or an AnnData"
        )
    if source.isbacked and not source.is_view:
        return _Backed(source, limits)
    return _Memory(source, "the AnnData object")


def _read_legacy(path: Path) -> Any:
    """Load a file written by anndata before 0.7, whose tables are compound datasets."""
    import anndata

    if path.stat().st_size > LEGACY_BYTES:
        raise BadFile(
            f"{path} was written by anndata before 0.7 and is larger than {LEGACY_BYTES >> 30} GB; "
            "expected the present layout: open and save it with a newer anndata"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that the layout is old is said in our own notice
        try:
            return anndata.read_h5ad(path)
        except (KeyError, ValueError, TypeError, OSError, AttributeError, IndexError) as error:
            raise BadFile(f"{path} (layout before anndata 0.7) cannot be read: {error}; open and "
                          "save it with a newer anndata") from error  # fmt: skip


class _File:
    """An .h5ad whose matrices stay on disk."""

    def __init__(self, path: Path, structure: preflight.Structure) -> None:
        self.name, self.path, self.structure = str(path), path, structure
        self.n_cells = structure.n_cells
        # A chunk that does not stay in the cache is unpacked again for every block it touches.
        self.file = preflight.open_file(path, max(1 << 20, structure.cache))

    def matrices(self) -> list[str]:
        return list(self.structure.matrices)

    def _place(self, matrix: str) -> str:
        return "raw/X" if matrix == "raw.X" else matrix

    def rows(self, matrix: str) -> Rows:
        with self._reading(matrix):
            node = self.file[self._place(matrix)]
            return on_disk(node, self.structure.matrices[matrix], f"{self.name}: {matrix}")

    @contextmanager
    def _reading(self, what: str) -> Iterator[None]:
        """Turn every way in which HDF5 and anndata report damage into one clear line."""
        try:
            yield
        except CelloquyError:
            raise
        except Exception as error:  # anndata's "no reader for this type" has no public name
            why = str(error).partition("\n")[0] or type(error).__name__
            raise BadFile(
                f"{self.name}: {what} cannot be read ({why}); write the file again"
            ) from error

    def _var(self, matrix: str) -> h5py.Group:
        return self.file["raw/var" if matrix == "raw.X" else "var"]

    def genes(self, matrix: str) -> list[str]:
        return [str(name) for name in self._index(self._var(matrix))]

    def gene_columns(self, matrix: str) -> dict[str, list[str]]:
        table = self._var(matrix)
        index = _text(table.attrs["_index"])
        found = {}
        for key in table:
            if key in (index, "__categories"):
                continue
            values = self._series(table, key)
            if getattr(values, "dtype", None) is not None and values.dtype.kind not in "fiub":
                found[key] = [str(value) for value in values]
        return found

    def cell_names(self) -> NDArray[np.object_]:
        return self._index(self.file["obs"])

    def columns(self) -> list[str]:
        table = self.file["obs"]
        with self._reading("the list of columns of obs"):
            skip = {_text(table.attrs["_index"]), "__categories"}
            order = [_text(name) for name in table.attrs.get("column-order", [])]
        names = [name for name in table if name not in skip]
        return sorted(names, key=lambda n: order.index(n) if n in order else len(order))

    def column(self, key: str) -> Any:
        import pandas as pd

        values = self._series(self.file["obs"], key)
        return pd.Series(values, index=self.cell_names(), name=key)

    def _index(self, table: h5py.Group) -> NDArray[np.object_]:
        from anndata.io import read_elem

        with self._reading(f"the index of {table.name.strip('/')}"):
            names = read_elem(table[_text(table.attrs["_index"])])
            return np.asarray([_text(name) for name in names], dtype=object)

    def _series(self, table: h5py.Group, key: str) -> Any:
        import pandas as pd
        from anndata.io import read_elem

        with self._reading(f"column {key!r} of {table.name.strip('/')}"):
            node = table[key]
            if isinstance(node, h5py.Dataset) and "categories" in node.attrs:
                # anndata 0.7: codes here, categories behind a reference that the guard checked.
                labels = self.file[f"{table.name}/__categories/{key}"][...].tolist()
                labels = [_text(v) if isinstance(v, bytes) else v for v in labels]
                return pd.Categorical.from_codes(node[...].tolist(), pd.Index(labels))
            values = read_elem(node)
            if isinstance(values, np.ndarray) and values.dtype.kind == "O":
                return np.asarray([_text(v) for v in values], dtype=object)
            return values

    def embeddings(self) -> list[str]:
        return sorted(self.file["obsm"]) if "obsm" in self.file else []

    def embedding(self, key: str) -> NDArray[Any]:
        from anndata.io import read_elem

        with self._reading(f"obsm/{key}"):
            return _array(read_elem(self.file["obsm"][key]))

    def close(self) -> None:
        self.file.close()


class _Memory:
    """An AnnData in memory (or a view of a backed one)."""

    def __init__(self, adata: Any, name: str) -> None:
        self.adata, self.name = adata, name
        self.n_cells = int(adata.n_obs)

    def matrices(self) -> list[str]:
        found = ["X"] if self.adata.X is not None else []
        found += ["raw.X"] if self.adata.raw is not None else []
        return found + [f"layers/{key}" for key in self.adata.layers]

    def rows(self, matrix: str) -> Rows:
        if matrix == "X":
            values = self.adata.X
        elif matrix == "raw.X":
            values = self.adata.raw.X
        else:
            values = self.adata.layers[matrix.removeprefix("layers/")]
        if hasattr(values, "to_memory"):
            values = values.to_memory()
        return in_memory(values, f"{self.name}: {matrix}")

    def _var(self, matrix: str) -> Any:
        return self.adata.raw.var if matrix == "raw.X" else self.adata.var

    def genes(self, matrix: str) -> list[str]:
        return [str(name) for name in self._var(matrix).index]

    def gene_columns(self, matrix: str) -> dict[str, list[str]]:
        table = self._var(matrix)
        return {
            str(key): [str(value) for value in table[key]]
            for key in table.columns
            if table[key].dtype.kind not in "fiub"
        }

    def cell_names(self) -> NDArray[np.object_]:
        return np.asarray(self.adata.obs_names.astype(str), dtype=object)

    def columns(self) -> list[str]:
        return [str(key) for key in self.adata.obs.columns]

    def column(self, key: str) -> Any:
        return self.adata.obs[key]

    def embeddings(self) -> list[str]:
        return sorted(self.adata.obsm)

    def embedding(self, key: str) -> NDArray[Any]:
        return _array(self.adata.obsm[key])

    def close(self) -> None:
        return


class _Backed(_Memory):
    """A backed AnnData: tables as they are in memory, X and raw.X from its file."""

    def __init__(self, adata: Any, limits: Limits | None) -> None:
        super().__init__(adata, str(adata.filename))
        self.on_disk = open_store(Path(adata.filename), limits)

    def rows(self, matrix: str) -> Rows:
        if matrix.startswith("layers/"):
            return super().rows(matrix)
        return self.on_disk.rows(matrix)

    def close(self) -> None:
        self.on_disk.close()


def _array(values: Any) -> NDArray[Any]:
    if hasattr(values, "toarray"):
        values = values.toarray()
    return np.asarray(values)


def _text(value: object) -> str:
    return value.decode(errors="replace") if isinstance(value, bytes) else str(value)


# --- writing ------------------------------------------------------------------------------------


def write_annotated(
    src: Path | str,
    dst: Path | str,
    obs: Mapping[str, Any] | None = None,
    obsm: Mapping[str, Any] | None = None,
    uns: Mapping[str, Any] | None = None,
) -> Path:
    """Copy ``src`` to ``dst`` with columns, embeddings and metadata added or replaced.

    Parameters
    ----------
    src, dst
        The file that was read and the file to write; an existing ``dst`` is replaced.
    obs
        Columns by name, one value a cell in file order; categoricals stay categoricals.
    obsm
        Embeddings by key, one row a cell.
    uns
        Entries of ``uns`` by key: nested dicts of arrays, numbers and strings.

    Raises
    ------
    BadInput
        When ``dst`` is ``src``, is no place for a file, or a value has a wrong length.
    BadFile
        When the guard refuses ``src``.
    CelloquyError
        When the disk is full.
    """
    src, dst = Path(src), Path(dst)
    structure = preflight.check(src)
    check_target(src, dst)
    parts = dict(obs or {}), dict(obsm or {}), dict(uns or {})
    _refuse_parts(structure.n_cells, *parts)
    with _beside(dst) as part:
        if structure.legacy:
            _write_legacy(src, part, *parts)
        else:
            shutil.copyfile(src, part)
            with h5py.File(part, "r+") as file:
                _add(file, *parts)
    return dst


def _refuse_parts(
    n_cells: int, obs: dict[str, Any], obsm: dict[str, Any], uns: dict[str, Any]
) -> None:
    for table, entries in (("obs", obs), ("obsm", obsm)):
        for key, values in entries.items():
            if len(values) != n_cells:
                raise BadInput(
                    f"{table}[{key!r}] has {len(values):,} values; expected one for each of "
                    f"{n_cells:,} cells"
                )
    for key in [*obs, *obsm, *uns]:
        if not key or "/" in key:
            raise BadInput(f"{key!r} is no name for a column or key; expected one without a slash")


def check_target(src: Path, dst: Path) -> None:
    """Refuse a place that :func:`write_annotated` could not write to, before any work is done.

    Raises
    ------
    BadInput
        When ``dst`` is ``src``, is a folder, or its folder does not exist.
    """
    if dst.exists() and dst.samefile(src):
        raise BadInput(
            f"{dst} is the input itself; expected another name: the input stays as it is"
        )
    if dst.is_dir():
        raise BadInput(f"{dst} is a folder; expected the name of a file to write")
    if not dst.parent.is_dir():
        raise BadInput(f"{dst.parent} does not exist; expected a folder to write {dst.name} into")


@contextmanager
def _beside(dst: Path) -> Iterator[Path]:
    """A name beside ``dst`` that takes its place at the end, or vanishes where that fails."""
    part = dst.with_name(f".{dst.name}.{os.getpid()}.part")
    _sweep(dst)
    try:
        yield part
        with part.open("rb+") as handle:
            os.fsync(handle.fileno())
        part.replace(dst)
    except (OSError, RuntimeError) as error:  # HDF5 closes a file on a full disk with the latter
        cause = error if isinstance(error, OSError) else error.__context__
        number = getattr(cause, "errno", None)
        why = os.strerror(number) if number else str(error).partition("\n")[0]
        raise CelloquyError(
            f"{dst} was not written ({why}); nothing was left behind: free some space or write "
            "elsewhere"
        ) from error
    finally:
        part.unlink(missing_ok=True)


def _sweep(dst: Path) -> None:
    """Remove what a killed writer of the same file has left."""
    for old in dst.parent.glob(f".{dst.name}.*.part"):
        pid = old.name.split(".")[-2]
        if pid.isdigit() and not _alive(int(pid)):
            old.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _add(file: h5py.File, obs: dict[str, Any], obsm: dict[str, Any], uns: dict[str, Any]) -> None:
    from anndata.io import write_elem

    table = file["obs"]
    if _text(table.attrs["_index"]) in obs:
        raise BadInput(f"{_text(table.attrs['_index'])!r} names the cells; expected another column")
    order = [_text(name) for name in table.attrs.get("column-order", [])]
    for key, values in obs.items():
        _write(write_elem, table, key, _column(values))
        order += [key] if key not in order else []
    table.attrs["column-order"] = np.asarray(order, dtype=h5py.string_dtype())
    for name, entries in (("obsm", obsm), ("uns", uns)):
        if entries and name not in file:
            write_elem(file, name, {})
        for key, values in entries.items():
            _write(write_elem, file[name], key, values)


def _write(write_elem: Any, group: h5py.Group, key: str, values: Any) -> None:
    if key in group:
        del group[key]
    if "__categories" in group and key in group["__categories"]:
        del group["__categories"][key]  # anndata 0.7 kept a replaced column's categories there
    try:
        write_elem(group, key, values)
    except OSError:
        raise
    except Exception as error:  # anndata's own "no writer for this type" has no public name
        raise BadInput(
            f"{key!r} cannot be written ({str(error).splitlines()[0]}); expected an array, a "
            "categorical, text or numbers"
        ) from error


def _column(values: Any) -> Any:
    """Values as anndata writes a column: a categorical, or an array."""
    import pandas as pd

    if isinstance(values, pd.Series):
        values = values.array
    if isinstance(values, pd.Categorical) or hasattr(values, "_mask"):
        return values
    array = np.asarray(values)
    return array.astype(object) if array.dtype.kind in "UT" else array


def _write_legacy(
    src: Path, part: Path, obs: dict[str, Any], obsm: dict[str, Any], uns: dict[str, Any]
) -> None:
    adata = _read_legacy(src)
    for key, values in obs.items():
        adata.obs[key] = _column(values)
    for key, values in obsm.items():
        adata.obsm[key] = values
    adata.uns.update(uns)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        adata.write_h5ad(part)
