"""What the figures of attached cells say, in words: each a function of its figures alone.

A sentence with an altered number, direction or selection is none that its figures make, which is
how :mod:`agent.verification.recount` tells it. Several measurements that begin alike, up to a
colon, are said in one sentence (:mod:`agent.verification.wording`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from agent.verification.wording import many
from kg.terms import Curie
from retrieval.evidence import CellsEvidence, PredictionEvidence

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells

__all__ = ["ANNOTATED", "PAIR", "WORDS", "cells_of", "percent"]

ANNOTATED = "celloquy_cell_type"
"""The column of the annotation, which can be selected from whether or not the file has it."""

PAIR = " & "
"""What stands between two genes that one figure is of; no symbol has it."""

MOST_NAME = 80
"""Characters of a selection that a sentence shows: a column of the file may hold any text."""


DRAWN = "selection="
"""What a selection begins with that was drawn and has a name, but no column of the file."""


def cells_of(selection: str) -> str:
    """A selection in words.

    >>> cells_of("leiden=3"), cells_of("")
    ('cells with leiden=3', 'cells of the dataset')
    >>> cells_of("celloquy_cell_type=B cell or celloquy_cell_type=mature B cell")
    'cells annotated as B cell or mature B cell'
    >>> cells_of("selection=lasso 1")
    'cells of the selection lasso 1'
    """
    text = " ".join(selection.split())
    if text and all(part.startswith(f"{ANNOTATED}=") for part in text.split(" or ")):
        text = text.replace(f"{ANNOTATED}=", "")
        text = text if len(text) <= MOST_NAME else text[: MOST_NAME - 1] + "…"
        return f"cells annotated as {text}"
    if len(text) > MOST_NAME:
        text = text[: MOST_NAME - 1] + "…"
    if text.startswith(DRAWN) and "=" not in text.removeprefix(DRAWN):
        return f"cells of the selection {text.removeprefix(DRAWN)}"
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


def _gene(piece: CellsEvidence, cells: AttachedCells) -> str:
    return _spelled(piece.gene, cells)


def _spelled(gene: str, cells: AttachedCells) -> str:
    own = cells.spelled.get(gene, gene)
    return gene if own == gene else f"{gene} ({own} in the file)"


def _group_size_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    column, _, value = " ".join(piece.selection.split()).partition("=")
    n, of = int(f["cells"]), int(f["of"])
    return (
        f"Of the {of:,} cells of the dataset, by {column}: {value[:MOST_NAME]} has {n:,} "
        f"({percent(n / of)})"
    )


def _together_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    first, second = (_spelled(gene, cells) for gene in piece.gene.split(PAIR))
    n, of = int(f["both"]), int(f["of"])
    chance = f["share_first"] * f["share_second"]
    return (
        f"{first} and {second} are both detected in {n:,} of the {of:,} {_with(piece)} "
        f"({percent(n / of)}): {first} in {percent(f['share_first'])}, {second} in "
        f"{percent(f['share_second'])}, so that {percent(chance)} would have both if neither had "
        "to do with the other"
    )


def _size_words(piece: CellsEvidence, cells: AttachedCells) -> str:
    figures = dict(piece.figures)
    n, of = int(figures["cells"]), int(figures["of"])
    if not piece.selection:
        return f"The dataset has {many(n, 'cell')}"
    return f"{n:,} of the {of:,} cells of the dataset ({percent(n / of)}) {_are(figures)} " + (
        _with(piece).replace("cells", "those", 1)
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
        return f"{lead} {_are(f)} without an answer that is sure enough"
    return (
        f"{lead} {_are(f)} annotated as {_term(piece.subject, cells)}, with a mean confidence of "
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


def _are(f: Mapping[str, float]) -> str:
    return "is" if f["cells"] == 1 else "are"


def _of(f: Mapping[str, float]) -> str:
    n, of = int(f["cells"]), int(f["of"])
    return f"All {n:,}" if n == of else f"{n:,} of the {of:,}" if n else f"None of the {of:,}"


def _share(f: Mapping[str, float]) -> str:
    """The share behind a count, where it says more than "all" or "none"."""
    return f" ({percent(f['cells'] / f['of'])})" if 0 < f["cells"] < f["of"] else ""


def _below_words(piece: PredictionEvidence, cells: AttachedCells) -> str:
    f = dict(piece.figures)
    return (
        f"{_of(f)} {_with(piece)}{_share(f)} {_are(f)} annotated as "
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


WORDS: Mapping[str, Callable[..., str]] = {
    "size": _size_words,
    "expression": _expression_words,
    "listed_expression": _listed_words,
    "by_group": _group_words,
    "difference": _difference_words,
    "group_size": _group_size_words,
    "together": _together_words,
    "annotated": _annotated_words,
    "listed_annotated": _listed_annotated_words,
    "annotated_below": _below_words,
    "below_by_group": _below_group_words,
    "contrasted": _contrasted_words,
}
"""The words of each statistic."""
