"""What the page needs of a dataset, taken out of its .h5ad once: coordinates, labels, genes.

Runs where the file is first looked at (:mod:`agent.web.worker`): the guard checks all of it, then
plain arrays and one JSON document are written to a folder, and the server reads those alone to
draw. Text from the file is shortened, never trusted.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput

if TYPE_CHECKING:
    from data.cells import CellMatrix

__all__ = ["ABOUT", "prepare"]

ABOUT = "about.json"

MOST_GROUPS = 2_000
"""A column of text with more values than that names cells, and colours nothing."""

FEW_NUMBERS = 64
"""A column of whole numbers with so few values holds groups, such as clusters."""

LETTERS = 200
"""Of a name that the page shows."""


def prepare(source: Path, folder: Path) -> dict[str, Any]:
    """Check a file and write what the page needs of it into a folder.

    Parameters
    ----------
    source
        The .h5ad.
    folder
        Where ``about.json``, ``xy.f32``, ``column-N.u16`` and ``column-N.f32`` go.

    Returns
    -------
    dict
        The document in ``about.json``.

    Raises
    ------
    BadInput
        When the guard refuses the file, or no matrix of it holds expression.
    """
    from data import preflight
    from data.h5ad import open_cells

    preflight.check(source, thorough=True)
    with open_cells(source) as cells:
        found = cells.umap()
        if found is not None:
            found[1].astype("<f4").tofile(folder / "xy.f32")
        about = {
            "n_cells": cells.n_cells,
            "n_genes": cells.n_genes,
            "matrix": cells.chosen,
            "picture": found[0] if found is not None else "",
            "columns": _columns(cells, folder),
            **_genes(cells),
        }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return about


def _genes(cells: CellMatrix) -> dict[str, Any]:
    """Names of genes as current symbols, or as they are where too few of them are known."""
    try:
        named = cells.harmonised()
    except BadInput as error:
        return {
            "genes": [name[:LETTERS] for name in cells.genes],
            "species": "",
            "notices": list(cells.notices),
            "unread": str(error),
        }
    read = named.harmonisation
    assert read is not None, "genes were harmonised"
    return {
        "genes": list(named.genes),
        "species": read.species,
        "notices": list(named.notices),
        "unread": "",
    }


def _columns(cells: CellMatrix, folder: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for name in cells.columns:
        values = cells.column(name)
        file = folder / f"column-{len(found)}"
        one = _groups(values, file) or _numbers(values, file)
        if one is not None:
            found.append({"name": name[:LETTERS], **one})
    return found


def _groups(values: Any, file: Path) -> dict[str, Any] | None:
    """A column of labels: a code a cell, and their names."""
    import pandas as pd

    kind = getattr(values.dtype, "kind", "O")
    if kind in "fc" or (kind in "iu" and values.nunique() > FEW_NUMBERS):
        return None
    codes, names = pd.factorize(values.astype(object), sort=False)
    if len(names) > MOST_GROUPS:
        return None
    texts = [str(name) for name in names]
    order = sorted(range(len(texts)), key=lambda i: _natural(texts[i]))
    place = np.empty(len(order) + 1, dtype=np.uint16)
    place[order] = np.arange(len(order))
    place[-1] = len(order)  # code -1: no value
    here: NDArray[np.uint16] = place[codes]
    labels = [texts[i][:LETTERS] for i in order]
    if (codes < 0).any():
        labels.append("(no value)")
    here.astype("<u2").tofile(file.with_suffix(".u16"))
    return {"kind": "groups", "names": labels, "file": file.with_suffix(".u16").name}


def _natural(text: str) -> tuple[int, float, str]:
    """Numbers in their order, before words."""
    return (0, float(text), text) if text.isdecimal() else (1, 0.0, text)


def _numbers(values: Any, file: Path) -> dict[str, Any] | None:
    """A column of numbers."""
    if getattr(values.dtype, "kind", "O") not in "fiu":
        return None
    with np.errstate(over="ignore"):
        array = np.asarray(values, dtype="<f4")
    array.tofile(file.with_suffix(".f32"))
    return {"kind": "numbers", "names": [], "file": file.with_suffix(".f32").name}
