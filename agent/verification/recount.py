"""Statistics of attached cells computed again, for the verifier: no figure is believed as it comes.

The values of a gene are read from the file anew, and every figure is computed by another way than
:mod:`agent.attached.measures` does: plain means in place of sums over blocks, ranks by scipy in
place of counted pairs, each cell's answer and what is above it in place of counts of answers. The
words of a piece of evidence must be those that its figures make.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.attached.measures import COUNTS, DECIDES, Figures
from agent.attached.measurewords import PAIR, WORDS
from data.errors import CelloquyError
from retrieval.evidence import CellsEvidence, Evidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells

__all__ = ["prepare", "problem"]

TOLERANCE = 1e-5
"""By how much a figure may differ when it is computed in another order."""


def prepare(pieces: Iterable[Evidence], cells: AttachedCells) -> None:
    """Read the values of all genes that are to be checked in one pass over the file."""
    genes = (p.gene.split(PAIR) for p in pieces if isinstance(p, CellsEvidence) and p.gene)
    cells.read_again([gene for some in genes for gene in some])


def problem(piece: CellsEvidence | PredictionEvidence, cells: AttachedCells) -> str:
    """Why a figure does not hold of the attached cells, or ""."""
    if (piece.statistic in COUNTS) != isinstance(piece, PredictionEvidence) or (
        piece.statistic not in WORDS
    ):
        return f"no statistic is named {piece.statistic!r}"
    if isinstance(piece, CellsEvidence) and piece.source != cells.name:
        return f"it is of {piece.source}, and {cells.name} is attached"
    try:
        again = _recomputed(piece, cells)
        words = WORDS[piece.statistic](piece, cells)
    except (CelloquyError, KeyError, ValueError, ZeroDivisionError) as error:
        return f"it cannot be computed again: {error}"
    stated = dict(piece.figures)
    if set(stated) != set(again):
        return "its figures are not those of its statistic"
    for name, value in again.items():
        if not math.isclose(stated[name], value, rel_tol=TOLERANCE, abs_tol=TOLERANCE):
            return f"computed again, {name} is {value:g} and not {stated[name]:g}"
    return "" if words == piece.text else "its words do not say its figures"


def _recomputed(piece: CellsEvidence | PredictionEvidence, cells: AttachedCells) -> Figures:
    if isinstance(piece, PredictionEvidence):
        return _predicted_again(piece, cells)
    inside = cells.mask(piece.selection)
    if piece.n_cells != int(inside.sum()):
        raise ValueError(f"{int(inside.sum())} cells are selected, not {piece.n_cells}")
    if piece.statistic in ("size", "group_size"):
        found: Figures = {"cells": int(inside.sum()), "of": cells.n_cells}
    elif piece.statistic == "together":
        found = _together_again(piece, cells, inside)
    else:
        values = cells.read_again([piece.gene])[piece.gene]
        outside = cells.rest(piece.selection, piece.against)
        found = _figures_again(piece, values[inside], values[outside])
    if piece.value != dict(piece.figures)[DECIDES[piece.statistic]]:
        raise ValueError("its value is none of its figures")
    return found


def _together_again(
    piece: CellsEvidence, cells: AttachedCells, inside: NDArray[np.bool_]
) -> Figures:
    """Counted cell by cell."""
    genes = piece.gene.split(PAIR)
    if len(genes) != 2 or genes[0] == genes[1]:
        raise ValueError(f"{piece.gene} are not two genes")
    read = cells.read_again(genes)
    rows = [(a > 0, b > 0) for a, b in np.column_stack([read[gene] for gene in genes])[inside]]
    return {
        "both": sum(a and b for a, b in rows),
        "of": len(rows),
        "share_first": sum(a for a, _ in rows) / len(rows),
        "share_second": sum(b for _, b in rows) / len(rows),
    }


def _figures_again(
    piece: CellsEvidence, inside: NDArray[np.float64], outside: NDArray[np.float64]
) -> Figures:
    found = {"share": float(np.mean(inside > 0)), "mean": float(np.mean(inside))}
    if (piece.selection or piece.against) and piece.statistic != "by_group":
        found |= {
            "share_outside": float(np.mean(outside > 0)) if len(outside) else 0.0,
            "mean_outside": float(np.mean(outside)) if len(outside) else 0.0,
        }
    if piece.statistic == "difference":
        counts = [float(np.mean(np.expm1(values))) for values in (inside, outside)]
        found["log2_fold_change"] = math.log2((counts[0] + 1) / (counts[1] + 1))
        found["auroc"] = _auroc_by_ranks(inside, outside)
    return found


def _auroc_by_ranks(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """The same from the sum of ranks (Mann and Whitney 1947)."""
    from scipy.stats import rankdata

    n = len(inside)
    ranks = rankdata(np.concatenate([inside, outside]))[:n].sum()
    return float((ranks - n * (n + 1) / 2) / (n * len(outside)))


def _predicted_again(piece: PredictionEvidence, cells: AttachedCells) -> Figures:
    """The counts from each cell's answer and what is above it."""
    annotation = cells.annotation
    if piece.release != annotation.about.sha256[:12]:
        raise ValueError(f"{piece.release} is not the encoder that annotated")
    ids = annotation.ids()
    wanted = piece.subject or "unknown"
    inside = ids[cells.mask(piece.selection)]
    if piece.statistic in ("annotated_below", "below_by_group"):
        below = {*annotation.hierarchy.below(piece.subject)}
        return {"cells": sum(one in below for one in inside), "of": len(inside)}
    exact = inside == wanted
    found: dict[str, float] = {"cells": int(exact.sum()), "of": len(inside)}
    if piece.statistic == "contrasted":
        outside = ids[cells.rest(piece.selection, piece.against)]
        return found | {
            "cells_outside": int((outside == wanted).sum()), "of_outside": len(outside)
        }  # fmt: skip
    sure = annotation.confidence[cells.mask(piece.selection)][exact]
    return found | {"confidence": float(np.mean(sure, dtype=np.float64)) if len(sure) else 0.0}
