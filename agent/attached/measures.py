"""Figures of attached cells as evidence: how many, how much of a gene, which answers, what differs.

Each statistic is made from sums over blocks (:class:`agent.attached.cells.Sums`) and put into words
by :mod:`agent.attached.measurewords`; :mod:`agent.verification.recount` computes it again for the
verifier.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.attached.measurewords import PAIR, WORDS
from agent.attached.selection import ALL
from kg.terms import Curie
from retrieval.evidence import CellsEvidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells, Sums

__all__ = [
    "COUNTS",
    "DECIDES",
    "Figures",
    "annotated",
    "annotated_below",
    "below_by_group",
    "by_group",
    "contrasted",
    "difference",
    "differences",
    "expression",
    "group_size",
    "size",
    "together",
]

WORTH, BASELINE_WORTH = 0.854, 0.343
"""Accuracy of the annotation over six classes of PBMC68k, zero-shot, and of always naming the
largest; ``celloquy demo`` computes both, docs/models/annotation.md has the other datasets."""

MEASURED = f"accuracy {WORTH:.3f} over 6 classes of PBMC68k, sorted cells, zero-shot (n = 700)"
BASELINE = f"always the largest class {BASELINE_WORTH:.3f}"

DIGITS = 6
"""Decimals that figures are kept with."""

Figures: TypeAlias = Mapping[str, float]


def size(cells: AttachedCells, selection: str) -> CellsEvidence:
    """How many cells are selected."""
    return _cells(cells, "size", selection, {"cells": cells.size(selection), "of": cells.n_cells})


def group_size(cells: AttachedCells, column: str, value: str) -> CellsEvidence:
    """How many cells one group of a column has."""
    selection = cells.spelled_out(f"{column}={value}")
    figures = {"cells": cells.size(selection), "of": cells.n_cells}
    return _cells(cells, "group_size", selection, figures)


def together(cells: AttachedCells, genes: tuple[str, str], selection: str) -> CellsEvidence:
    """In how many of the cells two genes are both detected, and each of them."""
    values, chosen = cells.values(genes), cells.mask(selection)
    first, second = (values[gene][chosen] > 0 for gene in genes)
    figures = {
        "both": int((first & second).sum()),
        "of": int(chosen.sum()),
        "share_first": float(first.mean()),
        "share_second": float(second.mean()),
    }
    return _cells(cells, "together", selection, figures, gene=PAIR.join(genes))


def expression(
    cells: AttachedCells, gene: str, selection: str, against: str = ALL, *, listed: bool = False
) -> CellsEvidence:
    """In how many of the cells a gene is detected, and its mean, against other cells.

    ``listed`` words it as one of several genes.
    """
    here, g = cells.sums(selection), cells.place[gene]
    figures = {"share": here.share[g], "mean": here.mean[g]}
    if selection or against:
        there = cells.sums(selection, against)
        figures |= {"share_outside": there.share[g], "mean_outside": there.mean[g]}
    statistic = "listed_expression" if listed else "expression"
    return _cells(cells, statistic, selection, figures, against, gene)


def difference(
    cells: AttachedCells, gene: str, selection: str, against: str = ALL
) -> CellsEvidence:
    """How a gene differs between the cells and others: shares, means, fold change and AUROC."""
    here, there = cells.sums(selection), cells.sums(selection, against)
    values, g = cells.values([gene])[gene], cells.place[gene]
    inside, outside = cells.mask(selection), cells.rest(selection, against)
    figures = _both(here, there, g) | {"auroc": _auroc(values[inside], values[outside])}
    return _cells(cells, "difference", selection, figures, against, gene)


def _both(here: Sums, there: Sums, g: int) -> dict[str, float]:
    return {
        "share": here.share[g],
        "mean": here.mean[g],
        "share_outside": there.share[g],
        "mean_outside": there.mean[g],
        "log2_fold_change": here.fold(there)[g],
    }


def below_by_group(cells: AttachedCells, id: Curie, column: str, value: str) -> PredictionEvidence:
    """How many cells of one group of a column were annotated as a term or a kind of it."""
    return _prediction(cells, "below_by_group", cells.spelled_out(f"{column}={value}"), id)


def by_group(cells: AttachedCells, gene: str, column: str, value: str) -> CellsEvidence:
    """In how many cells of one group of a column a gene is detected, and its mean."""
    selection = cells.spelled_out(f"{column}={value}")
    here, g = cells.sums(selection), cells.place[gene]
    figures = {"share": here.share[g], "mean": here.mean[g]}
    return _cells(cells, "by_group", selection, figures, gene=gene)


def differences(
    cells: AttachedCells,
    selection: str,
    against: str = ALL,
    *,
    lower: bool = False,
    most: int = 8,
) -> tuple[CellsEvidence, ...]:
    """The genes that are higher (or ``lower``) in the cells than in others, the clearest first.

    A gene is told of when a random cell of the selection has more of it than a random other cell
    in at least :data:`LEAST_AUROC` of pairs, ties counted half.
    """
    here, there = cells.sums(selection), cells.sums(selection, against)
    if not here.n or not there.n:
        return ()
    sign = -1 if lower else 1
    fold = here.fold(there)
    gain = sign * (here.share - there.share + here.mean - there.mean)
    order = np.argsort(-gain, kind="stable")[:CANDIDATES]
    genes = [cells.named.genes[g] for g in order if sign * fold[g] > 0]
    if not genes:
        return ()
    inside, outside = cells.mask(selection), cells.rest(selection, against)
    found = []
    for gene, values in cells.values(genes).items():
        g = cells.place[gene]
        figures = _both(here, there, g) | {"auroc": _auroc(values[inside], values[outside])}
        if sign * (figures["auroc"] - 0.5) >= LEAST_AUROC - 0.5:
            found.append(_cells(cells, "difference", selection, figures, against, gene))
    found.sort(key=lambda piece: (-sign * piece.value, piece.gene))
    return tuple(found[:most])


CANDIDATES = 60
"""Genes whose ranks are compared: those with the greatest difference of shares and means."""

LEAST_AUROC = 0.6
"""An AUROC below this separates hardly better than chance (.5)."""


def annotated(
    cells: AttachedCells, id: Curie, selection: str, *, listed: bool = False
) -> PredictionEvidence:
    """How many of the cells were annotated as a term; "" for those without an answer.

    ``listed`` words it as one of several answers.
    """
    return _prediction(cells, "listed_annotated" if listed else "annotated", selection, id)


def annotated_below(cells: AttachedCells, id: Curie, selection: str) -> PredictionEvidence:
    """How many of the cells were annotated as a term or a kind of it."""
    return _prediction(cells, "annotated_below", selection, id)


def contrasted(cells: AttachedCells, id: Curie, selection: str, against: str) -> PredictionEvidence:
    """How many of the cells of two selections were annotated as a term."""
    return _prediction(cells, "contrasted", selection, id, against)


def _auroc(inside: NDArray[np.float64], outside: NDArray[np.float64]) -> float:
    """Share of pairs in which the inner value is the greater one, ties half."""
    order = np.sort(outside)
    below = np.searchsorted(order, inside, "left").sum()
    upto = np.searchsorted(order, inside, "right").sum()
    return float((below + upto) / (2 * len(inside) * len(outside)))


def _rounded(figures: Figures) -> tuple[tuple[str, float], ...]:
    return tuple((name, round(float(value), DIGITS)) for name, value in figures.items())


DECIDES = {
    "size": "cells",
    "expression": "share",
    "listed_expression": "share",
    "by_group": "share",
    "difference": "auroc",
    "group_size": "cells",
    "together": "both",
}
"""The figure that decides what is said, by statistic."""


def _cells(
    cells: AttachedCells,
    statistic: str,
    selection: str,
    figures: Figures,
    against: str = ALL,
    gene: str = "",
) -> CellsEvidence:
    kept = _rounded(figures)
    bare = CellsEvidence(
        statistic, dict(kept)[DECIDES[statistic]], cells.size(selection), "", cells.name, "",
        selection, against, gene, kept,
    )  # fmt: skip
    return replace(bare, text=WORDS[statistic](bare, cells))


def _prediction(
    cells: AttachedCells, statistic: str, selection: str, id: Curie, against: str = ALL
) -> PredictionEvidence:
    about = cells.annotation.about
    figures = _rounded(COUNTS[statistic](cells, id, selection, against))
    bare = PredictionEvidence(
        "", f"annotation by {about.encoder}", about.sha256[:12], MEASURED, BASELINE,
        statistic, selection, against, id, figures, value=WORTH, baseline_value=BASELINE_WORTH,
    )  # fmt: skip
    return replace(bare, text=WORDS[statistic](bare, cells))


def _count(cells: AttachedCells, id: Curie, selection: str, against: str) -> Figures:
    place = cells.annotation.hierarchy.index(id) if id else -1
    rows = {row[0]: row for row in cells.answers(selection)}
    n, confidence = rows.get(place, (place, 0, 0.0))[1:]
    return {"cells": n, "of": cells.size(selection), "confidence": confidence}


def _count_below(cells: AttachedCells, id: Curie, selection: str, against: str) -> Figures:
    hierarchy = cells.annotation.hierarchy
    wanted = hierarchy.index(id)
    rows = cells.answers(selection)
    n = sum(n for place, n, _ in rows if place >= 0 and wanted in hierarchy.above[place])
    return {"cells": n, "of": cells.size(selection)}


def _count_both(cells: AttachedCells, id: Curie, selection: str, against: str) -> Figures:
    here = _count(cells, id, selection, ALL)
    place = cells.annotation.hierarchy.index(id) if id else -1
    there = cells.annotation.term[cells.rest(selection, against)]
    return {
        "cells": here["cells"], "of": here["of"],
        "cells_outside": int((there == place).sum()), "of_outside": len(there),
    }  # fmt: skip


COUNTS: Mapping[str, Callable[[AttachedCells, Curie, str, str], Figures]] = {
    "annotated": _count,
    "listed_annotated": _count,
    "annotated_below": _count_below,
    "below_by_group": _count_below,
    "contrasted": _count_both,
}
"""How the counts of each statistic of an annotation are made."""
