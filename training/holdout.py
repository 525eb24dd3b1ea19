"""What the language-model core never sees in training: cell types by name, and two datasets.

``data/heldout_terms.tsv`` lists the types; everything below them is held out as well:
:func:`held_out`. None of them is in a simulated profile, a real training cell, a text that is
aligned to, a positive target or an instruction. Zero-shot figures are of these types alone, on
:data:`KEPT_OUT` and on simulated cells. :func:`split_of_term` divides the other terms into train
and dev. :func:`refuse_kept_out` recognises the kept-out files by content and says no.

The rule behind the list stands in its header; ``python -m training.holdout`` makes it again.
"""

from __future__ import annotations

import csv
import hashlib
import sys
from collections.abc import Collection
from pathlib import Path
from typing import Literal

import data as _data
from data import cache, sources
from data.errors import BadFile, BadInput
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = [
    "KEPT_OUT",
    "TABLE",
    "held_out",
    "held_out_roots",
    "main",
    "refuse_kept_out",
    "split_of_term",
]

TABLE = Path(_data.__file__).parent / "heldout_terms.tsv"
"""The committed list."""

KEPT_OUT = ("pbmc3k", "pbmc68k")
"""Datasets (:mod:`training.annotation.data`) on which the core is scored and never trained."""

_PBMC3K = "cc338b1be3bd71102d10633e668a9b528e236dbe3fccb17539807e084420fb47"
"""Hash of the file of development data (rnabioco/clustifyr's PBMC3k)."""

_NAMED: dict[Curie, str] = {
    "CL:0000623": "a population of both kept-out datasets",
    "CL:0000233": "a population of pbmc3k",
    "CL:0000451": "a population of both kept-out datasets",
    "CL:0001054": "a population of both kept-out datasets",
    "CL:0002396": "a population of pbmc3k",
    "CL:0000895": "a population of both kept-out datasets",
    "CL:0000900": "a population of pbmc68k",
}
"""Named by hand, so that the kept-out datasets hold both seen and unseen types."""

_REAL: tuple[Curie, ...] = (
    "CL:0000624", "CL:0000909", "CL:0000913", "CL:0001050", "CL:0000897", "CL:0000792",
    "CL:0000084", "CL:0000625", "CL:0000940", "CL:0000235", "CL:0000576", "CL:0000236",
    "CL:0000115", "CL:0000679", "CL:0000617", "CL:0000128", "CL:0000127", "CL:0000129",
    "CL:0002453", "CL:4023051", "CL:0000192", "CL:0011028",
)  # fmt: skip
"""Types of the real training cells: holding them out would leave no real cells to train on."""

_ONE_IN, _CONTENT, _BELOW = 12, 3.0, 25

_HEADER = f"""\
# Cell types that the language-model core is never trained on; all types below them are held out too.
# Made by `python -m training.holdout`: those named by hand, and of the types with positive markers
# in markers.tsv every {_ONE_IN}th by hash (the first 8 digits of SHA-256 of the id, divisible by
# {_ONE_IN}) that has an information content of {_CONTENT:g} or more, at most {_BELOW} types at or below it,
# and no type of the real training cells among them.
"""  # noqa: E501 - the header of a table


def held_out_roots(table: Path = TABLE) -> dict[Curie, str]:
    """The listed types with the reason of each.

    Raises
    ------
    BadFile
        When the table is not as it ships.
    """
    try:
        with table.open(encoding="utf-8", newline="") as handle:
            lines = [line for line in handle if not line.startswith("#")]
        rows = list(csv.DictReader(lines, delimiter="\t"))
        return {row["cl_id"]: row["why"] for row in rows}
    except (OSError, KeyError, UnicodeDecodeError) as error:
        raise BadFile(f"{table} is no list of held-out types ({error})") from error


def held_out(hierarchy: Hierarchy, roots: Collection[Curie] | None = None) -> frozenset[Curie]:
    """The held-out types and everything below them."""
    chosen = held_out_roots() if roots is None else roots
    inside = [root for root in chosen if root in hierarchy]
    return frozenset(term for root in inside for term in hierarchy.below(root))


def split_of_term(id: Curie, unseen: Collection[Curie]) -> Literal["train", "dev", "test"]:
    """``test`` for held-out types; of the others one in ten, by hash, is ``dev``."""
    if id in unseen:
        return "test"
    place = int(hashlib.sha256(f"split {id}".encode()).hexdigest()[:8], 16) % 10
    return "dev" if place == 0 else "train"


def refuse_kept_out(path: Path) -> None:
    """Say no to a file whose cells the core is scored on.

    Raises
    ------
    BadInput
        When the file is one of the kept-out datasets, whatever its name.
    """
    known = {file.sha256: "PBMC68k-reduced" for file in sources.asset("pbmc68k").files}
    known[_PBMC3K] = "PBMC3k"
    name = known.get(cache.sha256(path))
    if name is not None:
        raise BadInput(
            f"{path} is {name}, on which the aligned model is scored; expected other cells to "
            "train on"
        )


def main() -> int:
    """Write the table."""
    from data.markers import read_markers
    from training.annotation.data import cell_ontology

    hierarchy, _ = cell_ontology()
    marked = sorted({m.cl_id for m in read_markers() if m.positive and m.cl_id in hierarchy})
    rows = dict(_NAMED)
    for term in marked:
        below = hierarchy.below(term)
        chosen = int(hashlib.sha256(term.encode()).hexdigest()[:8], 16) % _ONE_IN == 0
        specific = hierarchy.content[hierarchy.index(term)] >= _CONTENT and len(below) <= _BELOW
        if chosen and specific and not set(below) & set(_REAL):
            rows.setdefault(term, "by hash")
    with TABLE.open("w", encoding="utf-8", newline="") as handle:
        handle.write(_HEADER)
        writer = csv.writer(handle, delimiter="\t", lineterminator="\n")
        writer.writerow(["cl_id", "label", "why"])
        for term in sorted(rows):
            writer.writerow([term, hierarchy.labels[hierarchy.index(term)], rows[term]])
    sys.stdout.write(f"{len(rows)} types, {len(held_out(hierarchy))} with those below them\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
