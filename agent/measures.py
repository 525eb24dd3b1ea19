"""Figures of attached cells as evidence: computed, put into words, computed again to be checked.

Each statistic is made here once from sums over blocks (:class:`agent.cells.Sums`). The verifier
asks :func:`problem`, which reads the gene's values from the file anew and computes every figure by
another way: plain means, and ranks by scipy. The words of a piece of evidence are a function of its
figures, so that a sentence with an altered number, direction or selection does not pass.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from agent.selection import ALL
from data.errors import CelloquyError
from kg.terms import Curie
from retrieval.evidence import CellsEvidence, Evidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.cells import AttachedCells, Sums

__all__ = [
    "ANNOTATED",
    "annotated",
    "annotated_below",
    "below_by_group",
    "by_group",
    "cells_of",
    "contrasted",
    "difference",
    "differences",
    "expression",
    "prepare",
    "problem",
    "size",
]

MEASURED = (
    "zero-shot on datasets not used to choose its constants; figures in docs/models/annotation.md"
)
BASELINE = "the most frequent class of each dataset, in the same table"

ANNOTATED = "celloquy_cell_type"
"""The column of the annotation, which can be selected from whether or not the file has it."""

DIGITS = 6
"""Decimals that figures are kept with."""

TOLERANCE = 1e-5
"""By how much a figure may differ when it is computed in another order."""

MOST_NAME = 80
"""Characters of a selection that a sentence shows: a column of the file may hold any text."""

Figures: TypeAlias = Mapping[str, float]


def cells_of(selection: str) -> str:
    """A selection in words.

    >>> cells_of("leiden=3"), cells_of("")
    ('cells with leiden=3', 'cells of the dataset')
    """
    text = " ".join(selection.split())
    if len(text) > MOST_NAME:
        text = text[: MOST_NAME - 1] + "…"
    return f"cells with {text}" if text else "cells of the dataset"


def _others(against: str) -> str:
    return f"the {cells_of(against)}" if against else "the other cells"


def percent(share: float) -> str:
    """A share as a reader wants it: one decimal, and never 0 or 100 where it is neither.

    >>> percent(0.5), percent(0.00001), percent(0.99999), percent(1)
    ('50.0 %', '<0.1 %', '>99.9 %', '100 %')
    """
    if share in (0, 1):
        return f"{100 * share:.0f} %"
    if share < 0.0005:
        return "<0.1 %"
    return ">99.9 %" if share > 0.9995 else f"{100 * share:.1f} %"


# --- made ----------------------------------------------------------------------------------------


def size(cells: AttachedCells, selection: str) -> CellsEvidence:
    """How many cells are selected."""
    return _cells(cells, "size", selection, {"cells": cells.size(selection), "of": cells.n_cells})


def expression(
    cells: AttachedCells, gene: str, selection: str, against: str = ALL, *, listed: bool = False
) -> CellsEvidence:
    """In how many of the cells a gene is detected, and its mean, against other cells.

    ``listed`` words it as one of several genes.
    """
    here, g = cells.sums(selection), cells.place[gene]
    figures = {"share": here.share[g], "mean": here.mean[g]}
    if selection:
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


_DECIDES = {
    "size": "cells",
    "expression": "share",
    "listed_expression": "share",
    "by_group": "share",
    "difference": "auroc",
}


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
        statistic, dict(kept)[_DECIDES[statistic]], cells.size(selection), "", cells.name, "",
        selection, against, gene, kept,
    )  # fmt: skip
    return replace(bare, text=_WORDS[statistic](bare, cells))


def _prediction(
    cells: AttachedCells, statistic: str, selection: str, id: Curie, against: str = ALL
) -> PredictionEvidence:
    about = cells.annotation.about
    figures = _rounded(_COUNTS[statistic](cells, id, selection, against))
    bare = PredictionEvidence(
        "", f"annotation by {about.encoder}", about.sha256[:12], MEASURED, BASELINE,
        statistic, selection, against, id, figures,
    )  # fmt: skip
    return replace(bare, text=_WORDS[statistic](bare, cells))


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


_COUNTS: Mapping[str, Callable[[AttachedCells, Curie, str, str], Figures]] = {
    "annotated": _count,
    "listed_annotated": _count,
    "annotated_below": _count_below,
    "below_by_group": _count_below,
    "contrasted": _count_both,
}


# --- words ---------------------------------------------------------------------------------------


def _gene(piece: CellsEvidence, cells: AttachedCells) -> str:
    own = cells.spelled.get(piece.gene, piece.gene)
    return piece.gene if own == piece.gene else f"{piece.gene} ({own} in the file)"


def _size_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    figures = dict(piece.figures)
    n, of = int(figures["cells"]), int(figures["of"])
    if not piece.selection:
        return f"The dataset has {n:,} cells"
    return f"{n:,} of the {of:,} cells of the dataset ({percent(n / of)}) are those with " + (
        _with(piece).removeprefix("cells with ")
    )


def _with(piece: CellsEvidence | PredictionEvidence) -> str:
    return cells_of(piece.selection)


def _expression_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    text = (
        f"{_gene(piece, cells)} is detected in {percent(f['share'])} of the {_with(piece)} "
        f"(mean log1p {f['mean']:.2f})"
    )
    if "share_outside" in f:
        text += (
            f" and in {percent(f['share_outside'])} of {_others(piece.against)} "
            f"(mean {f['mean_outside']:.2f})"
        )
    return text


def _listed_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    text = f"Detected in the {_with(piece)}"
    if "share_outside" not in f:
        return (
            f"{text}: {_gene(piece, cells)} in {percent(f['share'])} (mean log1p {f['mean']:.2f})"
        )
    return (
        f"{text} and in {_others(piece.against)}: {_gene(piece, cells)} in "
        f"{percent(f['share'])} and {percent(f['share_outside'])} (mean log1p {f['mean']:.2f} and "
        f"{f['mean_outside']:.2f})"
    )


def _group_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    column, _, value = " ".join(piece.selection.split()).partition("=")
    groups = "annotated type" if column == ANNOTATED else column
    return (
        f"{_gene(piece, cells)} is detected by {groups}: {value[:MOST_NAME]} in "
        f"{percent(f['share'])} of {piece.n_cells:,} (mean log1p {f['mean']:.2f})"
    )


def _difference_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    way = "Higher" if f["auroc"] > 0.5 else "Lower"
    return (
        f"{way} in the {_with(piece)} than in {_others(piece.against)}: {_gene(piece, cells)} "
        f"in {percent(f['share'])} against {percent(f['share_outside'])} of cells, log2 fold "
        f"change {f['log2_fold_change']:.2f}, AUROC {f['auroc']:.2f}"
    )


def _term(id: Curie, cells: AttachedCells) -> str:
    hierarchy = cells.annotation.hierarchy
    return f"{hierarchy.labels[hierarchy.index(id)]} ({id})" if id else "none of the known types"


def _annotated_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    lead = f"{_of(f)} {_with(piece)}{_share(f)}"
    if not piece.subject:
        return f"{lead} have no answer that is sure enough"
    return (
        f"{lead} are annotated as {_term(piece.subject, cells)}, with a mean confidence of "
        f"{f['confidence']:.2f}"
    )


def _listed_annotated_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    text = (
        f"Of the {int(f['of']):,} {_with(piece)}, by annotation: {int(f['cells']):,} "
        f"({percent(f['cells'] / f['of'])})"
    )
    if not piece.subject:
        return f"{text} without an answer that is sure enough"
    return f"{text} {_term(piece.subject, cells)}, mean confidence {f['confidence']:.2f}"


def _of(f: Figures) -> str:
    n, of = int(f["cells"]), int(f["of"])
    return f"All {n:,}" if n == of else f"{n:,} of the {of:,}" if n else f"None of the {of:,}"


def _share(f: Figures) -> str:
    """The share behind a count, where it says more than "all" or "none"."""
    return f" ({percent(f['cells'] / f['of'])})" if 0 < f["cells"] < f["of"] else ""


def _below_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    return (
        f"{_of(f)} {_with(piece)}{_share(f)} are annotated as "
        f"{_term(piece.subject, cells)} or a kind of it"
    )


def _below_group_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    column, _, value = " ".join(piece.selection.split()).partition("=")
    return (
        f"Annotated as {_term(piece.subject, cells)} or a kind of it, by {column}: in "
        f"{value[:MOST_NAME]} {int(f['cells']):,} of {int(f['of']):,} cells "
        f"({percent(f['cells'] / f['of'])})"
    )


def _contrasted_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    return (
        f"Annotated in the {_with(piece)} and in {_others(piece.against)}: as "
        f"{_term(piece.subject, cells)} {percent(f['cells'] / f['of'])} against "
        f"{percent(f['cells_outside'] / max(1, f['of_outside']))}"
    )


_WORDS: Mapping[str, Callable[..., str]] = {
    "size": _size_words,
    "expression": _expression_words,
    "listed_expression": _listed_words,
    "by_group": _group_words,
    "difference": _difference_words,
    "annotated": _annotated_words,
    "listed_annotated": _listed_annotated_words,
    "annotated_below": _below_words,
    "below_by_group": _below_group_words,
    "contrasted": _contrasted_words,
}


# --- checked -------------------------------------------------------------------------------------


def prepare(pieces: Iterable[Evidence], cells: AttachedCells) -> None:
    """Read the values of all genes that are to be checked in one pass over the file."""
    cells.read_again([p.gene for p in pieces if isinstance(p, CellsEvidence) and p.gene])


def problem(piece: CellsEvidence | PredictionEvidence, cells: AttachedCells) -> str:
    """Why a figure does not hold of the attached cells, or ""."""
    if (piece.statistic in _COUNTS) != isinstance(piece, PredictionEvidence) or (
        piece.statistic not in _WORDS
    ):
        return f"no statistic is named {piece.statistic!r}"
    if isinstance(piece, CellsEvidence) and piece.source != cells.name:
        return f"it is of {piece.source}, and {cells.name} is attached"
    try:
        again = _recomputed(piece, cells)
        words = _WORDS[piece.statistic](piece, cells)
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
    if piece.statistic == "size":
        found: Figures = {"cells": int(inside.sum()), "of": cells.n_cells}
    else:
        values = cells.read_again([piece.gene])[piece.gene]
        outside = cells.rest(piece.selection, piece.against)
        found = _figures_again(piece, values[inside], values[outside])
    if piece.value != dict(piece.figures)[_DECIDES[piece.statistic]]:
        raise ValueError("its value is none of its figures")
    return found


def _figures_again(
    piece: CellsEvidence, inside: NDArray[np.float64], outside: NDArray[np.float64]
) -> Figures:
    found = {"share": float(np.mean(inside > 0)), "mean": float(np.mean(inside))}
    if piece.selection and piece.statistic != "by_group":
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
