"""Pictures of what was looked up: a gene's neighbours, and the path between two terms.

Both are layered: a path by the depth of its terms, the most general on top; neighbours by their
distance, in rows so that no two labels meet (up to :data:`MOST_NODES` of them). Colours are those
of Okabe and Ito (2008, https://jfly.uni-koeln.de/color/), told apart by colour-blind readers too.
A picture shows what it was given and reads nothing; it names the releases it rests on.
"""

from __future__ import annotations

import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path as File
from typing import TYPE_CHECKING

from data.errors import BadFile, BadInput, DependencyMissing
from kg.measures.relatedness import OntologyPath
from kg.neighbours import Neighbour, Neighbourhood
from kg.terms import PREDICATES, Category, Curie

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["MOST_NODES", "check_target", "draw_neighbours", "draw_path", "save"]

MOST_NODES = 60
"""Neighbours that one picture holds; more would be too small to read."""

FORMATS = (".svg", ".png", ".pdf")
_ROW = 0.30  # inches a row: a line of text at 9 points and the space around it
_LETTER = 0.075  # inches: the mean width of a letter at 9 points
_TEXT = 9
_LABEL = 46  # letters of a label before it is cut
_GAP = 0.8  # inches between the longest label of a column and the next column
_CENTRE = 16  # letters a line of the node asked about: its box ends before the neighbours' dots
_BOX = 26  # letters a line in the boxes of a path

COLOURS: Mapping[Category, str] = {
    Category.CELL_TYPE: "#0072B2",
    Category.GENE: "#E69F00",
    Category.PROCESS: "#009E73",
    Category.FUNCTION: "#56B4E9",
    Category.COMPONENT: "#CC79A7",
    Category.ANATOMY: "#8C564B",
    Category.DISEASE: "#D55E00",
    Category.PHENOTYPE: "#F0E442",
    Category.OTHER: "#999999",
}
_NAMES: Mapping[Category, str] = {
    Category.CELL_TYPE: "cell type",
    Category.GENE: "gene",
    Category.PROCESS: "process",
    Category.FUNCTION: "molecular function",
    Category.COMPONENT: "cellular component",
    Category.ANATOMY: "anatomy",
    Category.DISEASE: "disease",
    Category.PHENOTYPE: "phenotype",
    Category.OTHER: "other",
}


@dataclass(frozen=True, slots=True)
class _Dot:
    """A neighbour in its place: inches from the lower left, and where its label goes."""

    neighbour: Neighbour
    x: float
    y: float
    leftward: bool


def check_target(file: File) -> None:
    """Refuse a picture's file name before any work is done for it.

    Raises
    ------
    BadFile
        When the name ends on no format that is written, or its folder is not there.
    """
    if file.suffix.lower() not in FORMATS:
        raise BadFile(f"{file} is no picture's name; expected one that ends on .svg, .png or .pdf")
    if not file.parent.is_dir():
        raise BadFile(f"the folder {file.parent} is not there; make it, or name another")


def save(ax: Axes, file: File) -> None:
    """Write the picture that ``ax`` is in to a file, in the format that its name ends on."""
    check_target(file)
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes of a picture are in a figure"
    # Text stays text in SVG, so that it can be searched; the date would make each file differ.
    import matplotlib

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "celloquy"}):
        dated = {"Date": None} if file.suffix.lower() == ".svg" else {}
        figure.savefig(file, dpi=150, bbox_inches="tight", metadata=dated)


def _axes(width: float, height: float, ax: Axes | None) -> Axes:
    if ax is None:
        try:
            from matplotlib.figure import Figure
        except ImportError as error:
            raise DependencyMissing(
                "pictures need matplotlib; install it with: pip install 'celloquy[plot]'"
            ) from error
        ax = Figure(figsize=(width, height)).add_axes((0.0, 0.0, 1.0, 1.0))
    ax.set_xlim(0.0, width)
    ax.set_ylim(0.0, height)
    ax.set_axis_off()
    return ax


# --- neighbours --------------------------------------------------------------------------------


def draw_neighbours(
    found: Neighbourhood, *, releases: Iterable[str] = (), ax: Axes | None = None
) -> Axes:
    """Draw a node and its neighbours, by relation, in columns by distance.

    Parameters
    ----------
    found
        The page of neighbours to draw.
    releases
        What to say of the sources, such as "GOA-human 2019-01-14".
    ax
        Axes to draw into; None makes a figure of the size that the labels need.

    Returns
    -------
    matplotlib.axes.Axes
        ``ax.figure`` is the picture.

    Raises
    ------
    BadInput
        When there are more than :data:`MOST_NODES` neighbours.
    """
    rows = found.neighbours
    if len(rows) > MOST_NODES:
        raise BadInput(f"{len(rows)} neighbours; one picture holds {MOST_NODES}: use --limit")
    groups = _grouped(rows)
    if any(row.hops > 1 for row in rows):
        dots, width, height, centre = _in_columns(found, groups)
    else:
        dots, width, height, centre = _on_both_sides(found, groups)
    ax = _axes(width, height, ax)
    places = {dot.neighbour.term.id: (dot.x, dot.y) for dot in dots}
    places[found.centre.id] = centre
    labelled = {dot.neighbour.term.id: dot.x + 0.15 + len(_named(dot)) * _LETTER for dot in dots}
    for dot in dots:
        via = dot.neighbour.via
        if not via:
            _link(ax, centre, dot)
        elif via[-1] in labelled:
            _link(ax, (labelled[via[-1]], places[via[-1]][1]), dot)
        else:
            # What it hangs on is on another page.
            _link(ax, (dot.x - 0.4, dot.y), dot)
    for dot in dots:
        _label_dot(ax, dot)
    ax.text(
        *centre,
        "\n".join(_lines(found.centre.label)),
        ha="center",
        va="center",
        fontsize=_TEXT + 3,
        fontweight="bold",
        color="white",
        bbox={"boxstyle": "round,pad=0.5", "fc": COLOURS[found.centre.category], "ec": "none"},
        gid="label",
        zorder=4,
    )
    _headings(ax, groups, dots)
    title = f"{found.centre.label} ({found.centre.id}): {len(rows)} of {found.total} neighbours"
    _frame(ax, width, height, title, {row.term.category for row in rows}, releases)
    return ax


def _grouped(rows: Sequence[Neighbour]) -> list[tuple[str, list[Neighbour]]]:
    """Neighbours by relation, the relation with the best neighbour first."""
    groups: dict[str, list[Neighbour]] = {}
    for row in rows:
        groups.setdefault(row.relation if row.hops == 1 else f"hop {row.hops}", []).append(row)
    return list(groups.items())


_MARGIN = 0.9  # inches above for the title and below for legend and releases


def _on_both_sides(
    found: Neighbourhood, groups: list[tuple[str, list[Neighbour]]]
) -> tuple[list[_Dot], float, float, tuple[float, float]]:
    """Groups in rows, filling the right side and then the left; a row for each heading."""
    lines = sum(len(group) + 1 for _, group in groups)
    right: list[tuple[str, list[Neighbour]]] = []
    left: list[tuple[str, list[Neighbour]]] = []
    filled = 0
    for name, group in groups:
        room = lines // 2 + 1 - filled
        if room >= len(group) + 1 or (not left and room >= lines // 4):
            right.append((name, group))
            filled += len(group) + 1
        else:
            left.append((name, group))
    tall = max(filled, lines - filled, 4)
    height = tall * _ROW + 2 * _MARGIN
    reach = (_LABEL + 16) * _LETTER + 1.6
    middle = reach + 0.2
    dots = []
    for side, sign in ((right, 1), (left, -1)):
        count = sum(len(group) + 1 for _, group in side)
        y = height / 2 + count * _ROW / 2
        for _, group in side:
            y -= _ROW  # the heading's row
            for row in group:
                dots.append(_Dot(row, middle + sign * 1.9, y - _ROW / 2, sign < 0))
                y -= _ROW
    width = 2 * middle if left else middle + reach + 0.3
    if not left:
        shift = middle - 0.9
        dots = [_Dot(d.neighbour, d.x - shift, d.y, False) for d in dots]
        return dots, width - shift, height, (middle - shift, height / 2)
    return dots, width, height, (middle, height / 2)


def _in_columns(
    found: Neighbourhood, groups: list[tuple[str, list[Neighbour]]]
) -> tuple[list[_Dot], float, float, tuple[float, float]]:
    """A column for each distance, from left to right, in the order of what they hang on."""
    hops = sorted({row.hops for row in found.neighbours})
    columns = {hop: [row for row in found.neighbours if row.hops == hop] for hop in hops}
    tall = max(len(column) for column in columns.values())
    height = max(tall, 4) * _ROW + 2 * _MARGIN
    step = (_LABEL + 18) * _LETTER + _GAP
    dots: list[_Dot] = []
    level: dict[Curie, float] = {found.centre.id: height / 2}
    for hop in hops:
        column = sorted(
            columns[hop],
            key=lambda row: (-level.get(row.via[-1], 0.0) if row.via else 0.0, -row.score),
        )
        y = height / 2 + len(column) * _ROW / 2
        for row in column:
            dots.append(_Dot(row, 1.9 + (hop - 1) * step, y - _ROW / 2, False))
            level[row.term.id] = y - _ROW / 2
            y -= _ROW
    return dots, 1.9 + len(hops) * step, height, (0.8, height / 2)


def _link(ax: Axes, start: tuple[float, float], dot: _Dot) -> None:
    from matplotlib.patches import PathPatch
    from matplotlib.path import Path

    (x, y), (u, v) = start, (dot.x, dot.y)
    # Between columns: straight along the label's own row, and bent only in the gap.
    turn = u - _GAP if dot.neighbour.via and x < u - _GAP else x
    bend = (turn + u) / 2
    curve = Path(
        [(x, y), (turn, y), (bend, y), (bend, v), (u, v)],
        [Path.MOVETO, Path.LINETO, Path.CURVE4, Path.CURVE4, Path.CURVE4],
    )
    ax.add_patch(
        PathPatch(
            curve,
            fc="none",
            ec=COLOURS[dot.neighbour.term.category],
            lw=0.5 + 1.5 * dot.neighbour.score,
            alpha=0.55,
            zorder=1,
        )
    )


def _named(dot: _Dot) -> str:
    row = dot.neighbour
    code = f", {row.edge.evidence_code}" if row.edge.evidence_code else ""
    return f"{_cut(row.term.label)} ({row.term.id}{code})"


def _label_dot(ax: Axes, dot: _Dot) -> None:
    row = dot.neighbour
    ax.plot([dot.x], [dot.y], "o", ms=5, color=COLOURS[row.term.category], zorder=3)
    ax.text(
        dot.x + (-0.12 if dot.leftward else 0.12),
        dot.y,
        _named(dot),
        ha="right" if dot.leftward else "left",
        va="center",
        fontsize=_TEXT,
        gid="label",
        zorder=3,
    )


def _headings(ax: Axes, groups: list[tuple[str, list[Neighbour]]], dots: list[_Dot]) -> None:
    first: dict[str, _Dot] = {}
    for name, group in groups:
        inside = {id(row) for row in group}
        at = [dot for dot in dots if id(dot.neighbour) in inside]
        if at and at[0].neighbour.hops == 1 and not name.startswith("hop "):
            first[name] = max(at, key=lambda dot: dot.y)
    if any(dot.neighbour.hops > 1 for dot in dots):
        return
    for name, dot in first.items():
        ax.text(
            dot.x + (-0.12 if dot.leftward else 0.12),
            dot.y + _ROW,
            name,
            ha="right" if dot.leftward else "left",
            va="center",
            fontsize=_TEXT,
            fontstyle="italic",
            color="#555555",
            gid="label",
        )


def _lines(label: str) -> list[str]:
    return textwrap.wrap(label, _CENTRE, max_lines=6, placeholder="\N{HORIZONTAL ELLIPSIS}")


def _cut(label: str, most: int = _LABEL) -> str:
    return label if len(label) <= most else label[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


# --- paths -------------------------------------------------------------------------------------


def draw_path(found: OntologyPath, *, releases: Iterable[str] = (), ax: Axes | None = None) -> Axes:
    """Draw the path between two terms: the common ancestor on top, a branch to each term.

    Parameters
    ----------
    found
        The path.
    releases
        What to say of the sources, such as "CL v2026-03-26".
    ax
        Axes to draw into; None makes a figure of the size that the boxes need.

    Raises
    ------
    BadInput
        When the terms have no path.
    """
    if found.path is None:
        raise BadInput(f"{found.a.label} and {found.b.label} have no path: nothing to draw")
    places, width, height = _branches(found)
    ax = _axes(width, height, ax)
    top = found.ancestors[0][0].id
    boxes = {}
    for node, (x, y) in places.items():
        term = found.terms[node]
        end = node in (found.a.id, found.b.id)
        boxes[node] = ax.text(
            x,
            y,
            "\n".join(textwrap.wrap(term.label, _BOX)[:3]) + f"\n{node}",
            ha="center",
            va="center",
            fontsize=_TEXT,
            fontweight="bold" if end or node == top else "normal",
            color="white" if end or node == top else "black",
            bbox={
                "boxstyle": "round,pad=0.4",
                "fc": COLOURS[term.category] if end or node == top else "white",
                "ec": COLOURS[term.category],
            },
            gid="label",
            zorder=3,
        )
    figure = ax.get_figure(root=True)
    assert figure is not None, "axes are in a figure"
    figure.draw_without_rendering()  # the boxes have their sizes only now, and arrows end at them
    for edge in found.path.edges:
        name = PREDICATES[edge.predicate].label
        _arrow(ax, boxes[edge.subject], boxes[edge.object], name)
    measures = ", ".join(f"{k} {v:.3g}" for k, v in found.similarity.items() if v is not None)
    title = f"{found.a.label} \N{EN DASH} {found.b.label}: {found.distance} hops; {measures}"
    _frame(ax, width, height, title, {found.a.category}, releases)
    return ax


_STOREY = 1.05  # inches between two layers: three lines of label, the id, an arrow's name
_WING = 2.9  # inches from the middle to a branch


def _branches(
    found: OntologyPath,
) -> tuple[dict[Curie, tuple[float, float]], float, float]:
    """Places of the nodes: layers by hops below the ancestor, a's branch left and b's right."""
    assert found.path is not None
    nodes = found.path.nodes
    top = next(i for i, node in enumerate(nodes) if node == found.ancestors[0][0].id)
    depth = max(top, len(nodes) - 1 - top)
    title = f"{found.a.label}{found.b.label}"
    one_branch = top in (0, len(nodes) - 1)
    width = max(2 * _WING if one_branch else 2 * _WING + 2.6, len(title) * _LETTER + 5.2)
    height = (depth + 1) * _STOREY + 2 * _MARGIN
    places = {}
    for i, node in enumerate(nodes):
        wing = 0.0 if one_branch or i == top else (-_WING if i < top else _WING) / 2
        places[node] = (width / 2 + wing, height - _MARGIN - _STOREY * (abs(i - top) + 0.5))
    return places, width, height


def _arrow(ax: Axes, start: Text, end: Text, name: str) -> None:
    """An arrow from the top of a box to the bottom of one above, its relation on it."""
    (x, y), (u, v) = start.get_position(), end.get_position()
    y, v = _span(ax, start)[1], _span(ax, end)[0]
    ax.annotate(
        "",
        xy=(u, v),
        xytext=(x, y),
        arrowprops={"arrowstyle": "-|>", "color": "#777777", "shrinkA": 0, "shrinkB": 0},
        zorder=1,
    )
    ax.text(
        (x + u) / 2,
        (y + v) / 2,
        name,
        fontsize=_TEXT - 2,
        color="#555555",
        ha="center",
        va="center",
        bbox={"boxstyle": "round,pad=0.15", "fc": "white", "ec": "none"},
        gid="relation",
    )


def _span(ax: Axes, box: Text) -> tuple[float, float]:
    """Where a box that has been laid out begins and ends, from below."""
    patch = box.get_bbox_patch()
    assert patch is not None, "the boxes of a path are drawn"
    extent = patch.get_window_extent().transformed(ax.transData.inverted())
    return float(extent.y0), float(extent.y1)


def _frame(
    ax: Axes,
    width: float,
    height: float,
    title: str,
    categories: Iterable[Category],
    releases: Iterable[str],
) -> None:
    """Title above, legend and releases below."""
    from matplotlib.lines import Line2D

    ax.text(width / 2, height - 0.4, title, ha="center", va="center", fontsize=_TEXT + 2)
    shown = [category for category in COLOURS if category in set(categories)]
    if shown:
        ax.legend(
            handles=[
                Line2D([], [], marker="o", ls="", color=COLOURS[c], label=_NAMES[c]) for c in shown
            ],
            loc="lower center",
            ncols=len(shown),
            frameon=False,
            fontsize=_TEXT,
            bbox_to_anchor=(0.5, 0.35 / height),
        )
    if said := "; ".join(releases):
        ax.text(width / 2, 0.2, said, ha="center", va="center", fontsize=_TEXT - 2, color="#555555")
