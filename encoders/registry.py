"""Encoders of cells by name: those that ship, and those that other packages bring.

An encoder has a ``name`` and a method ``encode(values, genes)`` that turns log1p expression
[cells, genes] (CSR; genes are current human symbols) into vectors [cells, d], each cell by itself.
A folder that ``celloquy train encoder`` wrote is one by its path. A package registers one under the
entry-point group ``celloquy.encoders``: a class, or a function, that is called without arguments
and gives such an object. :func:`problems` is the test that it must pass; :func:`find` runs it
before an encoder of others is used.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput

if TYPE_CHECKING:
    import scipy.sparse as sp

    from encoders.genept import GeneVectors

__all__ = ["GROUP", "SHIPPED", "Encoder", "find", "names", "problems"]

GROUP = "celloquy.encoders"
SHIPPED = ("gene-text",)
"""Names that need no other package."""

_GENES = ("CD3D", "CD3E", "MS4A1", "CD79A", "LYZ", "NKG7", "GNLY", "PPBP")
"""Genes of the conformance test: any encoder of cells should know most of them."""


class Encoder(Protocol):
    """Turns cells into vectors."""

    @property
    def name(self) -> str:
        """Under which it is known."""
        ...

    def encode(self, values: sp.csr_array, genes: Sequence[str]) -> NDArray[np.float32]:
        """Vectors [cells, d] of log1p expression [cells, genes]."""
        ...


def names() -> tuple[str, ...]:
    """Every name that :func:`find` knows."""
    return (*SHIPPED, *sorted({one.name for one in entry_points(group=GROUP)} - set(SHIPPED)))


def find(name: str) -> Encoder:
    """The encoder of that name, made and tried.

    Raises
    ------
    BadInput
        When there is none, or it fails :func:`problems`.
    """
    if name == "gene-text":
        return _GeneText()
    from encoders.refined import NAME as REFINED
    from encoders.refined import Refined

    folder = Path(name)
    if (folder / f"{REFINED}.json").is_file():
        return Refined.load(folder)
    if (folder / "gene_tokens.json").is_file():
        from encoders.genetokens.expression import GeneTokens

        return GeneTokens.load(folder)
    for point in entry_points(group=GROUP):
        if point.name == name:
            made: Encoder = point.load()()
            found = problems(made)
            if found:
                raise BadInput(f"the encoder {name!r} ({point.value}) is none: {'; '.join(found)}")
            return made
    raise BadInput(
        f"no encoder is named {name!r}; expected markers, obsm:KEY, the folder of one that was "
        f"trained, or one of: {', '.join(names())}"
    )


class _GeneText:
    """The encoder that ships; the vectors of a dataset's genes are looked up once."""

    name = "gene-text"

    def __init__(self) -> None:
        from encoders.celltext import CellEncoder

        self._encoder = CellEncoder.shipped()
        self._found: GeneVectors | None = None
        self._genes: tuple[str, ...] = ()

    def encode(self, values: sp.csr_array, genes: Sequence[str]) -> NDArray[np.float32]:
        """Vectors of cells."""
        from encoders.genept import cell_vectors

        if self._found is None or self._genes != tuple(genes):
            self._found = self._encoder.gene_vectors(genes)
            self._genes = tuple(genes)
        return cell_vectors(values, genes, self._found, centring=self._encoder.centring)


def problems(encoder: Any, genes: Sequence[str] = _GENES) -> list[str]:
    """What an encoder does wrong, in words; nothing where it conforms.

    Tried on a few made-up cells: the form of the vectors, that a cell's vector depends on nothing
    but the cell, that the order of genes does not matter, and that the input is left as it is.
    """
    import scipy.sparse as sp

    if not isinstance(getattr(encoder, "name", None), str):
        return ["it has no name"]
    if not callable(getattr(encoder, "encode", None)):
        return ["it has no method encode(values, genes)"]
    rng = np.random.default_rng(0)
    dense = np.log1p(rng.poisson(1.0, size=(12, len(genes)))).astype(np.float32)
    dense[3] = 0
    values = sp.csr_array(dense)
    try:
        whole = np.asarray(encoder.encode(values, list(genes)))
        part = np.asarray(encoder.encode(values[2:6], list(genes)))
        order = rng.permutation(len(genes))
        moved = encoder.encode(sp.csr_array(dense[:, order]), [genes[i] for i in order])
    except Exception as error:  # noqa: BLE001 - an encoder of others may fail in any way
        return [f"encode failed: {type(error).__name__}: {error}"]
    if whole.ndim != 2 or len(whole) != 12 or not whole.shape[1]:
        return [f"12 cells gave an array of shape {whole.shape}; expected one row a cell"]
    found = []
    if whole.dtype.kind != "f" or not np.isfinite(whole).all():
        found.append("the vectors are not finite floating-point numbers")
    elif not np.allclose(part, whole[2:6], atol=1e-4):
        found.append("a cell's vector depends on the cells that come with it")
    elif not np.allclose(moved, whole, atol=1e-4):
        found.append("the order of the genes changes the vectors")
    elif np.allclose(whole, whole[0]):
        found.append("all cells get the same vector")
    if not np.array_equal(values.toarray(), dense):
        found.append("it changes its input")
    return found
