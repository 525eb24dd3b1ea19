"""Charts of an annotation as SVG text: cells, dots of evidence, expected errors by coverage.

Plain strings with no library behind them, for pages that must stand alone; pictures for papers are
:mod:`agent.pictures.scatter`'s. All text is escaped here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from html import escape
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.result import MarkerEvidence, TermSummary
from agent.pictures.scatter import colours_for

__all__ = ["MOST_CELLS", "coverage", "dots", "scatter"]

MOST_CELLS = 20_000
"""Cells drawn; of more, every so many-th one is taken, and the chart says so."""

_TERMS, _GENES = 24, 4  # rows of the dot plot, and markers that each brings
_FEW = 3  # cells below which a term is only in the table: its shares are those of single cells
_BLUE, _RED, _GREY = "#0072B2", "#D55E00", "#888888"


def scatter(xy: NDArray[Any], labels: NDArray[Any], size: int = 560) -> str:
    """Cells as dots coloured by label, the legend beside them."""
    step = -(-len(labels) // MOST_CELLS)
    points = np.asarray(xy, dtype=np.float64)[::step]
    names = np.asarray(labels, dtype=object)[::step]
    low, high = points.min(axis=0), points.max(axis=0)
    span = np.maximum(high - low, 1e-9).max()
    placed = (points - low) / span * (size - 20) + 10
    placed[:, 1] = size - placed[:, 1]
    colours = colours_for([str(name) for name in labels])
    counted = Counter(str(name) for name in labels)
    radius = float(np.clip(3000 / max(1, len(names)), 1.6, 5))
    shapes, legend = [], []
    for row, (label, colour) in enumerate(colours.items()):
        here = placed[names == label]
        dots = "".join(f"M{x:.1f} {y:.1f}h0" for x, y in here)
        shapes.append(f"<path d='{dots}' stroke='{colour}'/>")
        if row < _TERMS:
            y = 16 + 20 * row
            legend.append(
                f"<circle cx='{size + 16}' cy='{y - 4}' r='5' fill='{colour}'/>"
                f"<text x='{size + 28}' y='{y}' font-size='12'>{escape(label)} "
                f"({counted[label]:,})</text>"
            )
    if len(colours) > _TERMS:
        y = 16 + 20 * _TERMS
        more = f"{len(colours) - _TERMS} more"
        legend.append(f"<text x='{size + 28}' y='{y}' font-size='12'>{more}</text>")
    if step > 1:
        legend.append(
            f"<text x='10' y='{size - 6}' font-size='11'>one cell in {step} is drawn</text>"
        )
    strokes = f"<g fill='none' stroke-linecap='round' stroke-width='{radius:.1f}'>"
    return _svg(size + 360, size, f"{strokes}{''.join(shapes)}</g>{''.join(legend)}", "cells")


def dots(summaries: Sequence[TermSummary]) -> str:
    """Terms by markers: how often each marker is detected, and what that says."""
    rows = [one for one in summaries if one.n_cells >= _FEW][:_TERMS] or summaries[:_TERMS]
    columns: dict[str, None] = {}
    for one in rows:
        for marker in (*one.supporting[:_GENES], *one.against[: _GENES // 2]):
            columns.setdefault(marker.gene)
    place = {gene: i for i, gene in enumerate(columns)}
    left, top, cell = 290, 80, 17
    body = []
    for gene, i in place.items():
        x = left + cell * i + cell / 2
        body.append(
            f"<text x='{x}' y='{top - 8}' font-size='11' "
            f"transform='rotate(-60 {x} {top - 8})'>{escape(gene)}</text>"
        )
    for j, one in enumerate(rows):
        y = top + cell * j + cell / 2
        label = one.label if len(one.label) <= 42 else one.label[:41] + "…"
        body.append(
            f"<text x='{left - 8}' y='{y + 4}' font-size='12' text-anchor='end'>"
            f"{escape(label)}</text>"
        )
        for marker in (*one.supporting, *one.against):
            if marker.gene in place:
                x = left + cell * place[marker.gene] + cell / 2
                body.append(_dot(marker, x, y, cell / 2 - 1))
    width = left + cell * len(place) + 60
    return _svg(width, top + cell * len(rows) + 10, "".join(body), "markers for and against")


def _dot(one: MarkerEvidence, x: float, y: float, most: float) -> str:
    said = f"{one.gene}: {one.role}, {one.inside:.0%} of these cells, {one.outside:.0%} of others"
    title = f"<title>{escape(said)}</title>"
    radius = max(1.0, most * float(np.sqrt(one.inside)))
    if one.role == "missing":
        return (
            f"<circle cx='{x}' cy='{y}' r='{most * 0.6:.1f}' fill='none' stroke='{_RED}'>"
            f"{title}</circle>"
        )
    colour = _BLUE if one.role == "present" else _RED
    return f"<circle cx='{x}' cy='{y}' r='{radius:.1f}' fill='{colour}'>{title}</circle>"


def coverage(confidence: NDArray[np.float32]) -> str:
    """Expected share of wrong answers among the surest cells, by the share that is kept."""
    known = np.sort(confidence[confidence > 0])[::-1].astype(np.float64)
    width, height, left, bottom = 520, 240, 60, 36
    if not len(known):
        return _svg(width, 40, "<text x='10' y='24' font-size='13'>no answers</text>", "coverage")
    risk = np.cumsum(1 - known) / np.arange(1, len(known) + 1)
    share = np.arange(1, len(known) + 1) / len(confidence)
    top = max(0.1, float(np.ceil(risk.max() * 10) / 10))
    take = np.unique(np.linspace(0, len(known) - 1, 200).astype(int))
    xs = left + share[take] * (width - left - 20)
    ys = height - bottom - risk[take] / top * (height - bottom - 16)
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in zip(xs, ys, strict=True))
    body = [f"<polyline points='{line}' fill='none' stroke='{_BLUE}' stroke-width='2'/>"]
    for part in (0.0, 0.5, 1.0):
        y = height - bottom - part * (height - bottom - 16)
        body.append(f"<text x='{left - 8}' y='{y + 4}' font-size='11' text-anchor='end'>"
                    f"{part * top:.0%}</text>")  # fmt: skip
        body.append(f"<path d='M{left} {y}H{width - 20}' stroke='{_GREY}' stroke-width='.4'/>")
        x = left + part * (width - left - 20)
        body.append(f"<text x='{x}' y='{height - bottom + 16}' font-size='11' "
                    f"text-anchor='middle'>{part:.0%}</text>")  # fmt: skip
    body.append(f"<text x='{left + 6}' y='12' font-size='11'>expected to be wrong</text>")
    body.append(f"<text x='{left}' y='{height - 4}' font-size='11'>share of the cells that are "
                "kept, the surest first</text>")  # fmt: skip
    return _svg(width, height, "".join(body), "expected errors by coverage")


def _svg(width: float, height: float, body: str, title: str) -> str:
    return (
        f"<svg xmlns='http://www.w3.org/2000/svg' width='{width:.0f}' height='{height:.0f}' "
        f"viewBox='0 0 {width:.0f} {height:.0f}' role='img'><title>{escape(title)}</title>"
        f"{body}</svg>"
    )
