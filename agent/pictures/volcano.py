"""A predicted knock-out as a picture: change against change over its expected error.

Gives :func:`draw_knockout`, Axes out. Like a volcano plot, but its height is no significance: it is
how many expected errors a change is from none. Where there are no expected errors, genes stand by
rank. What was observed, where the file holds it, is drawn as open circles and named observed.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from agent.pictures.scatter import new_axes

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from encoders.perturbation.effect import Knockout

__all__ = ["draw_knockout"]

NAMED = 12
"""Genes whose names are written."""

_FALLS, _RISES, _SEEN = "#0072B2", "#D55E00", "#444444"


def draw_knockout(found: Knockout, ax: Axes | None = None) -> Axes:
    """Draw a prediction.

    Parameters
    ----------
    found
        What :func:`encoders.perturbation.effect.knockout` returned.
    ax
        Where to draw; new Axes by default.
    """
    axes: Any = new_axes(8.0, 6.0) if ax is None else ax
    changes = found.changes
    height, label = _height(found)
    order = np.argsort(-np.abs(changes), kind="stable")
    colours = np.where(changes < 0, _FALLS, _RISES)
    sizes = np.where(np.isin(np.arange(len(changes)), order[:NAMED]), 28, 9)
    axes.scatter(changes, height, c=colours, s=sizes, alpha=0.75, linewidths=0, label="predicted")
    if found.observed is not None:
        top = order[:NAMED]
        axes.scatter(
            found.observed[top], height[top], facecolors="none", edgecolors=_SEEN, s=34,
            label="observed in the file",
        )  # fmt: skip
        for i in top:
            axes.plot([changes[i], found.observed[i]], [height[i]] * 2, color=_SEEN, lw=0.6)
    for i in order[:NAMED]:
        axes.annotate(
            found.genes[i], (changes[i], height[i]), xytext=(4, 4), textcoords="offset points",
            fontsize=8,
        )  # fmt: skip
    axes.axvline(0, color="#999999", lw=0.8)
    axes.margins(x=0.12)
    axes.set_xlabel(found.prediction.unit)
    axes.set_ylabel(label)
    axes.set_title(f"{' and '.join(found.perturbed)}: predicted by {found.prediction.model}")
    axes.legend(loc="best", frameon=False, fontsize=8)
    axes.text(
        0, -0.16, found.prediction.measured.sentence(), transform=axes.transAxes, fontsize=7,
        va="top", wrap=True,
    )  # fmt: skip
    drawn: Axes = axes
    return drawn


def _height(found: Knockout) -> tuple[Any, str]:
    size = np.abs(found.changes)
    if found.expected is None:
        ranks = np.argsort(np.argsort(size, kind="stable"), kind="stable")
        return ranks, "rank of the change (no expected errors)"
    floor = np.median(found.expected[found.expected > 0]) * 0.1 if found.expected.any() else 1.0
    return size / np.maximum(found.expected, floor), "change in expected errors"
