"""Cells as dots in two dimensions, coloured by a label: Axes in, Axes out.

The largest groups get the colours that are easiest to tell apart, after Okabe and Ito (2008,
https://jfly.uni-koeln.de/color/) and, beyond their eight, Tableau's twenty; what is left is grey
and said to be so. This module knows no dataset and computes no embedding.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput, DependencyMissing

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["MOST_COLOURS", "colours_for", "draw_cells", "new_axes", "shades"]

_OKABE_ITO = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#F0E442")
_TABLEAU = (
    "#8c564b", "#9467bd", "#aec7e8", "#ffbb78", "#98df8a", "#ff9896", "#c5b0d5", "#c49c94",
    "#f7b6d2", "#bcbd22", "#17becf", "#dbdb8d", "#9edae5",
)  # fmt: skip
_REST = "#bbbbbb"

MOST_COLOURS = len(_OKABE_ITO) + len(_TABLEAU)
"""Groups that are told apart; more colours would look alike."""

_LETTERS = 38  # of a label in the legend


def colours_for(labels: Sequence[str], given: Mapping[str, str] | None = None) -> dict[str, str]:
    """A colour for each label, the most frequent ones first; ``unknown`` and the rest are grey."""
    counted = Counter(labels)
    ranked = sorted(counted, key=lambda one: (-counted[one], one))
    found = dict(given or {})
    taken = {colour.lower() for colour in found.values()}
    left = [c for c in (*_OKABE_ITO, *_TABLEAU) if c.lower() not in taken]
    for label in ranked:
        if label not in found:
            found[label] = left.pop(0) if left and label != "unknown" else _REST
    return {label: found[label] for label in ranked}


def shades(members: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Colours of labels that belong to families: a colour each family, a shade each member.

    Parameters
    ----------
    members
        Labels of each family; order decides who gets the purest shade. The family "" is grey.
    """
    found = {}
    pure = iter((*_OKABE_ITO, *_TABLEAU))
    for family, labels in members.items():
        base = next(pure, _REST) if family else "#888888"
        for place, label in enumerate(labels):
            # Every second shade is darker, the others lighter, in growing steps.
            step = (place + 1) // 2 * 0.9 / max(1, len(labels) // 2 + 1)
            found[label] = _mixed(base, "#ffffff" if place % 2 else "#000000", min(step, 0.75))
    return found


def _mixed(colour: str, other: str, share: float) -> str:
    pairs = [(int(colour[i : i + 2], 16), int(other[i : i + 2], 16)) for i in (1, 3, 5)]
    return "#" + "".join(f"{round(a + (b - a) * share):02x}" for a, b in pairs)


def new_axes(width: float, height: float) -> Axes:
    """Axes of a figure of their own, in inches."""
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise DependencyMissing(
            "pictures need matplotlib; install it with: pip install 'celloquy[plot]'"
        ) from error
    return Figure(figsize=(width, height), layout="constrained").add_subplot()


def draw_cells(
    xy: NDArray[Any],
    labels: Sequence[str] | NDArray[Any],
    *,
    title: str = "",
    colours: Mapping[str, str] | None = None,
    ax: Axes | None = None,
) -> Axes:
    """Draw cells coloured by label, with a legend below that says how many cells each has.

    Parameters
    ----------
    xy
        Two coordinates a cell.
    labels
        One a cell.
    title
        What stands above.
    colours
        Colours that some labels shall have, so that pictures side by side agree.
    ax
        Axes to draw into; None makes a figure.

    Raises
    ------
    BadInput
        When there are not two coordinates for each label.
    """
    xy = np.asarray(xy)
    names = [str(label) for label in labels]
    if xy.shape != (len(names), 2):
        raise BadInput(
            f"coordinates of shape {xy.shape} were given for {len(names):,} labels; expected two "
            "for each"
        )
    ax = ax or new_axes(6.4, 7.4)
    found = colours_for(names, colours)
    counted = Counter(names)
    values = np.array(names, dtype=object)
    size = float(np.clip(6000 / max(1, len(names)), 0.5, 14))
    handles = []
    for label, colour in found.items():  # the most frequent first: the rare ones lie on top
        here = values == label
        handles.append(
            ax.scatter(
                xy[here, 0], xy[here, 1], s=size, c=colour, linewidths=0,
                rasterized=len(names) > 20_000,
            )
        )  # fmt: skip
    shown = [i for i, label in enumerate(found) if found[label] != _REST or label == "unknown"]
    texts = [f"{_cut(label)} ({counted[label]:,})" for label in found]
    rest = [label for i, label in enumerate(found) if i not in shown]
    handles, texts = [handles[i] for i in shown], [texts[i] for i in shown]
    if rest:
        texts.append(f"{len(rest)} more ({sum(counted[label] for label in rest):,})")
        handles.append(ax.scatter([], [], s=size, c=_REST))
    legend = ax.legend(
        handles, texts, loc="upper center", bbox_to_anchor=(0.5, -0.02), ncols=2, fontsize=7,
        frameon=False, handletextpad=0.2, columnspacing=0.8,
    )  # fmt: skip
    for handle in legend.legend_handles:
        if handle is not None and hasattr(handle, "set_sizes"):
            handle.set_sizes([18.0])
    ax.set_title(title)
    ax.set_xticks([])
    ax.set_yticks([])
    ax.set_aspect("equal", adjustable="datalim")
    return ax


def _cut(label: str) -> str:
    return label if len(label) <= _LETTERS else label[: _LETTERS - 1] + "…"
