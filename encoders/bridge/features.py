"""Frozen features of the nodes that the bridge joins: what a gene and a term are known by.

* :func:`name_texts`: symbol, full name and aliases of a gene (HGNC), and nothing of what it does,
  so that no annotation leaks into what predicts annotations; :func:`shipped` has the vectors of
  these texts, made once with all-MiniLM-L6-v2, so that a look-up needs no language model.
* :func:`read_table`: a table of the user's own, such as ESM-2 vectors of the proteins.
* :func:`text_features`: any texts through the sentence encoder, each embedded once.
* :func:`profiles`: links of other kinds as sparse vectors, rare terms weighing more, and
  :func:`partners`, the proteins that a gene's protein binds.

Knows neither a target nor a model.
"""

from __future__ import annotations

import csv
import gzip
import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data import sources
from data.errors import BadFile, DependencyMissing
from kg.graph import KnowledgeGraph
from kg.terms import INTERACTS_WITH, Curie

if TYPE_CHECKING:
    from scipy.sparse import csr_array

    from encoders.bridge.tables import Links

__all__ = [
    "SHIPPED",
    "FeatureTable",
    "name_texts",
    "partners",
    "profiles",
    "quantised",
    "read_table",
    "shipped",
    "text_features",
]

SHIPPED = Path(__file__).parents[2] / "data" / "weights" / "bridge"
"""Vectors of gene names, and the figures that predictions carry."""

_CODING = frozenset(
    {"gene with protein product", "immunoglobulin gene", "T cell receptor gene"}
)  # locus types of HGNC
_ALIASES = 3  # as in encoders.genetexts
_LEVELS = 127  # of one signed byte


@dataclass(frozen=True, eq=False)
class FeatureTable:
    """A vector a node: ``values`` [nodes, width]; ``name`` says where they come from."""

    ids: tuple[Curie, ...]
    values: NDArray[np.float32]
    name: str
    _place: Mapping[Curie, int] = field(init=False, repr=False)

    def __post_init__(self) -> None:
        if self.values.ndim != 2 or len(self.values) != len(self.ids):
            raise BadFile(
                f"{len(self.ids):,} nodes were given features of shape {self.values.shape}; "
                "expected one row a node"
            )
        object.__setattr__(self, "_place", {one: i for i, one in enumerate(self.ids)})

    def places(self, ids: Sequence[Curie]) -> NDArray[np.int64]:
        """The row of each node, -1 where it has none."""
        return np.array([self._place.get(one, -1) for one in ids], dtype=np.int64)

    @cached_property
    def units(self) -> NDArray[np.float32]:
        """Centred unit vectors: what all texts share says nothing of one."""
        moved = self.values - self.values.mean(axis=0, dtype=np.float64).astype(np.float32)
        return units(moved)

    def of(self, ids: Sequence[Curie]) -> NDArray[np.float32]:
        """Rows of :attr:`units` in the order of ``ids``; zeros where a node has none."""
        at = self.places(ids)
        rows = self.units[at]
        rows[at < 0] = 0
        return rows


def units(rows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Rows of length one; rows of zeros stay zeros."""
    length = np.linalg.norm(rows, axis=1, keepdims=True)
    return np.asarray(rows / np.where(length > 0, length, 1), dtype=np.float32)


# --- texts ---------------------------------------------------------------------------------------


def name_texts(
    genes: Iterable[Curie] = (), *, summaries: Mapping[str, str] | None = None
) -> dict[Curie, str]:
    """What human genes are called, in words; protein-coding ones where none are named.

    >>> name_texts(["HGNC:1678"])  # doctest: +SKIP
    {'HGNC:1678': 'CD4: CD4 molecule. Also called ...'}

    Parameters
    ----------
    genes
        By HGNC id; unknown ones are left out.
    summaries
        Texts by Entrez number that follow the names (NCBI's summaries, 70 words of each). They
        tell what a gene does, often in the words of its annotations.
    """
    asked = dict.fromkeys(genes)
    found: dict[Curie, str] = {}
    for row in _catalogue():
        if row["HGNC ID"] in asked if asked else row["Locus type"] in _CODING:
            aliases = [a.strip() for a in row["Alias symbols"].split(",") if a.strip()][:_ALIASES]
            text = f"{row['Approved symbol']}: {row['Approved name']}."
            if aliases:
                text += f" Also called {', '.join(aliases)}."
            more = (summaries or {}).get(row[_ENTREZ], "")
            found[row["HGNC ID"]] = " ".join([text, *more.split()[:_SUMMARY]])
    return found


_SUMMARY = 70  # words, as in encoders.genetexts
_ENTREZ = "NCBI Gene ID(supplied by NCBI)"
_COLUMNS = ("HGNC ID", "Approved symbol", "Approved name", "Status", "Alias symbols", _ENTREZ,
            "Locus type")  # fmt: skip


@lru_cache(maxsize=1)
def _catalogue() -> tuple[Mapping[str, str], ...]:
    from kg.readers.gene_tables import rows

    table = rows(sources.path("hgnc"), _COLUMNS)
    return tuple(row for row in table if row["Status"] == "Approved")


def text_features(
    texts: Mapping[Curie, str], name: str, *, encoder: str | None = None, progress: bool = False
) -> FeatureTable:
    """Vectors of the texts through a sentence encoder, each made once and kept on disk."""
    from encoders import text
    from encoders.textstore import TextStore

    store = TextStore.of(encoder or text.BUNDLED)
    ids = tuple(texts)
    return FeatureTable(ids, store.vectors([texts[one] for one in ids], progress=progress,
                                           title=name), name)  # fmt: skip


# --- tables --------------------------------------------------------------------------------------


@lru_cache(maxsize=2)
def shipped(folder: Path = SHIPPED) -> FeatureTable:
    """The vectors of gene names that come with Celloquy.

    Raises
    ------
    DependencyMissing
        Without safetensors.
    BadFile
        When the files are not there, or are not those that belong together.
    """
    import hashlib

    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load
    except ImportError:
        raise DependencyMissing(
            "safetensors is not installed; vectors of gene names need: "
            "pip install 'celloquy[models]'"
        ) from None
    path = folder / "genes.json"
    try:
        document = json.loads(path.read_text("utf-8"))
        content = path.with_suffix(".safetensors").read_bytes()
        if hashlib.sha256(content).hexdigest() != document["sha256"]:
            raise BadFile(f"{path.with_suffix('.safetensors')} is not the file that {path.name} "
                          "names by its sha256")  # fmt: skip
        tensors = load(content)
        values = tensors["values"].astype(np.float32) * tensors["scale"]
        ids = tuple(f"HGNC:{number}" for number in tensors["hgnc"])
    except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
        raise BadFile(f"{folder} holds no vectors of gene names ({error})") from error
    return FeatureTable(ids, np.asarray(values, dtype=np.float32), document["name"])


def quantised(
    values: NDArray[np.float32], width: int
) -> tuple[NDArray[np.int8], NDArray[np.float32]]:
    """The first ``width`` principal directions of the centred values, a byte each, and the scale.

    One scale for all directions: a cosine of the result is one of the values, to within .01.
    """
    centred = values - values.mean(axis=0)
    _, axes = np.linalg.eigh(np.cov(centred.T.astype(np.float64)))
    turned = centred @ axes[:, ::-1][:, :width].astype(np.float32)
    scale = np.float32(np.abs(turned).max() / _LEVELS)
    return np.rint(turned / scale).astype(np.int8), np.array([scale], dtype=np.float32)


def read_table(path: Path) -> FeatureTable:
    """A table of the user's own: a line a gene, its name or id and then the numbers.

    Separated by tabs or commas, with or without a header, may be gzipped; or ``.npz`` with the
    arrays ``genes`` and ``values``. Names are brought to current human genes; where several lines
    come to one gene the first counts.

    Raises
    ------
    BadFile
        When it is no such table.
    """
    names, values = _npz(path) if path.suffix == ".npz" else _lines(path)
    if values.ndim != 2 or len(values) != len(names) or not values.size:
        raise BadFile(
            f"{path} has {len(names)} genes and values of shape {values.shape}; expected a row of "
            "numbers for each gene"
        )
    if not np.isfinite(values).all():
        raise BadFile(f"{path} has values that are no numbers; expected finite ones only")
    from data.genes import harmonise

    found = harmonise(names)
    at: dict[Curie, int] = {}
    for i, column in enumerate(found.column):
        if column >= 0:
            at.setdefault(found.ids[column], i)
    rows = values[list(at.values())].astype(np.float32)
    return FeatureTable(tuple(at), rows, path.name)


def _npz(path: Path) -> tuple[list[str], NDArray[Any]]:
    from zipfile import BadZipFile

    why = "it is no .npz of texts and numbers"  # not numpy's words, which advise to unpickle it
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as held:
            if missing := [one for one in ("genes", "values") if one not in held]:
                why = f"it has no array {missing[0]!r}"
                raise KeyError(missing[0])
            values = np.asarray(held["values"])
            if values.dtype.kind not in "biuf":
                why = "its values are no numbers"
                raise ValueError(values.dtype)
            return [str(one) for one in held["genes"]], values
    except OSError as error:
        why = error.strerror or why
    except (EOFError, ValueError, KeyError, TypeError, BadZipFile):
        pass
    raise BadFile(
        f"{path} cannot be read: {why}; expected an .npz with the arrays genes (texts) and values "
        "(numbers), none of them of objects"
    )


def _lines(path: Path) -> tuple[list[str], NDArray[Any]]:
    opener: Callable[..., Any] = gzip.open if path.suffix == ".gz" else open
    try:
        with opener(path, "rt", encoding="utf-8", newline="") as handle:
            first = handle.readline()
            handle.seek(0)
            delimiter = "\t" if "\t" in first else ","
            table = [row for row in csv.reader(handle, delimiter=delimiter) if row]
        if table and not _numbers(table[0][1:]):
            table = table[1:]
        if why := _odd(table):
            raise ValueError(why)
        return [row[0] for row in table], np.array([[float(x) for x in row[1:]] for row in table])
    except (OSError, EOFError, UnicodeDecodeError, csv.Error, ValueError) as error:
        raise BadFile(
            f"{path} cannot be read as a table of features ({error}); expected a line a gene, its "
            "name and then the numbers"
        ) from error


def _odd(table: Sequence[Sequence[str]]) -> str:
    """Why lines are no table of numbers; nothing where they are one."""
    if not table or max(len(row) for row in table) == 1:
        return "it has no numbers"
    widths = [len(row) - 1 for row in table]
    if len(set(widths)) > 1:
        return f"genes have {min(widths)} to {max(widths)} numbers"
    names = [row[0] for row in table if not _numbers(row[1:])]
    return f"{len(names):,} genes, such as {names[0]}, have what is no number" if names else ""


def _numbers(cells: Sequence[str]) -> bool:
    try:
        return bool([float(cell) for cell in cells])
    except ValueError:
        return False


# --- the graph -----------------------------------------------------------------------------------


def profiles(tables: Sequence[Links], genes: Sequence[Curie]) -> csr_array:
    """Links of several kinds side by side as unit rows [genes, terms].

    A term weighs the logarithm of how rare it is; a gene without links has a row of zeros.
    """
    from scipy.sparse import csr_array, hstack

    joined = csr_array(hstack([one.over(genes).table for one in tables], format="csr"))
    return _weighted(joined)


def partners(graph: KnowledgeGraph, genes: Sequence[Curie]) -> csr_array:
    """Which proteins a gene's protein binds, itself included, as unit rows [genes, genes].

    A gene of which no partner is known has a row of zeros.
    """
    from scipy.sparse import csr_array, diags_array

    row = {gene: i for i, gene in enumerate(genes)}
    pairs = [
        (row[a], row[b])
        for a, _, b in graph.triples((INTERACTS_WITH,))
        if a in row and b in row and a != b
    ]
    ends = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
    size = len(genes)
    ones = np.ones(len(pairs), dtype=np.float32)
    one_way = csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(size, size))
    bound = csr_array(one_way + one_way.T)
    own = np.asarray(np.diff(bound.indptr) > 0, dtype=np.float32)
    both = csr_array(bound + diags_array(own, format="csr"))
    both.eliminate_zeros()
    both.data[:] = 1
    return _weighted(both)


def _weighted(table: csr_array) -> csr_array:
    """Columns times the logarithm of their rarity, rows brought to length one."""
    from scipy.sparse import csr_array

    n = table.shape[0]
    counts = np.bincount(table.indices, minlength=table.shape[1])
    rarity = np.log(n / np.maximum(counts, 1)).astype(np.float32)
    data = table.data * rarity[table.indices]
    row = np.repeat(np.arange(n), np.diff(table.indptr))
    length = np.sqrt(np.bincount(row, weights=data.astype(np.float64) ** 2, minlength=n))
    data = (data / np.where(length > 0, length, 1)[row]).astype(np.float32)
    return csr_array((data, table.indices, table.indptr), shape=table.shape)
