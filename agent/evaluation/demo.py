"""What the demonstration measures and draws: answers beside the labels that cells were sorted by.

The cells are PBMC68k-reduced (Zheng et al. 2017): ten populations of blood cells, sorted with
antibodies, here as Cell Ontology terms by ``data/label_maps/pbmc68k.tsv``. Annotation has not seen
those labels; they are read afterwards, to score it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from agent.annotation.result import UNKNOWN_LABEL
from data.errors import BadFile
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["ASSET", "LABELS", "Comparison", "compare", "draw_umap", "report"]

ASSET = "pbmc68k"
"""The dataset's name among the assets."""

LABELS = "bulk_labels"
"""The column of the sorted populations."""


@dataclass(frozen=True, slots=True)
class Scores:
    """Exact figures on the coarse classes, and the ontology's view of the answers as they are."""

    accuracy: float
    macro_f1: float
    hierarchical_f: float


@dataclass(frozen=True, eq=False)
class Comparison:
    """Answers beside true labels.

    ``rows`` has for each true label: its term, how many cells, and the answers that these got,
    the most frequent first, by label. ``coarse`` maps each coarse class to its number of cells.
    """

    n_cells: int
    rows: tuple[tuple[str, Curie, int, tuple[tuple[str, int], ...]], ...]
    coarse: Mapping[Curie, int]
    scores: Scores
    majority: Scores
    majority_label: str


def compare(
    labels: Sequence[str],
    answers: Sequence[str],
    hierarchy: Hierarchy,
    mapped: Mapping[str, tuple[Curie, Curie]],
) -> Comparison:
    """Score answers against labels.

    Parameters
    ----------
    labels
        The true label of each cell.
    answers
        CURIE of each cell's answer, or ``unknown``.
    hierarchy
        The ontology.
    mapped
        Term and coarse class of each label (:func:`training.annotation.data.label_map`).

    Raises
    ------
    BadFile
        When a label has no term.
    """
    missing = sorted(set(labels) - mapped.keys())
    if missing:
        raise BadFile(f"no term is mapped for the labels {', '.join(missing)}; expected all")
    fine = [mapped[label][0] for label in labels]
    coarse = [mapped[label][1] for label in labels]
    counted = Counter(coarse)
    most = min(counted, key=lambda one: (-counted[one], one))
    given = [None if one == UNKNOWN_LABEL else one for one in answers]
    name = dict(zip(hierarchy.ids, hierarchy.labels, strict=True)) | {None: UNKNOWN_LABEL}
    rows = []
    for label in sorted(mapped):
        got = Counter(name[a] for a, b in zip(given, labels, strict=True) if b == label)
        if got:
            best = tuple(sorted(got.items(), key=lambda pair: (-pair[1], pair[0])))
            rows.append((label, mapped[label][0], got.total(), best))
    classes = tuple(sorted(counted))
    return Comparison(
        n_cells=len(labels),
        rows=tuple(rows),
        coarse=dict(counted),
        scores=_scores(
            coarse, [_class(a, classes, hierarchy) for a in given], fine, given, hierarchy
        ),
        majority=_scores(coarse, [most] * len(labels), fine, [most] * len(labels), hierarchy),
        majority_label=name[most],
    )


def _class(answer: Curie | None, classes: Sequence[Curie], hierarchy: Hierarchy) -> Curie | None:
    """The coarse class that an answer lies in; None where it is more general, or elsewhere."""
    above = hierarchy.ancestors(answer) if answer is not None else frozenset()
    found = [one for one in classes if one in above]
    # Where classes lie in each other, the narrower one is meant.
    return max(found, key=lambda one: (len(hierarchy.ancestors(one)), one), default=None)


def _scores(
    coarse: Sequence[Curie],
    classes: Sequence[Curie | None],
    fine: Sequence[Curie],
    answers: Sequence[Curie | None],
    hierarchy: Hierarchy,
) -> Scores:
    from training.evaluate import metrics

    return Scores(
        accuracy=metrics.accuracy(coarse, classes),
        macro_f1=metrics.macro_f1(coarse, classes),
        hierarchical_f=metrics.hierarchical(fine, answers, hierarchy).f,
    )


def report(found: Comparison) -> str:
    """The comparison as a table."""
    lines = [f"{'SORTED AS':<30}  {'TERM':<10}  {'CELLS':>5}  ANSWERS"]
    for label, term, n, answers in found.rows:
        said = ", ".join(f"{one} {k}" for one, k in answers[:3])
        rest = sum(k for _, k in answers[3:])
        said += f", others {rest}" if rest else ""
        lines.append(f"{label:<30}  {term:<10}  {n:>5,}  {said}")
    ours, theirs = found.scores, found.majority
    always = f"always {found.majority_label}"
    lines += [
        "",
        f"{'':<42}  {'celloquy':>8}  {always}",
        f"{f'accuracy, {len(found.coarse)} coarse classes':<42}  "
        f"{ours.accuracy:>8.3f}  {theirs.accuracy:.3f}",
        f"{f'macro-F1, {len(found.coarse)} coarse classes':<42}  "
        f"{ours.macro_f1:>8.3f}  {theirs.macro_f1:.3f}",
        f"{f'hierarchical F, {len(found.rows)} populations':<42}  "
        f"{ours.hierarchical_f:>8.3f}  {theirs.hierarchical_f:.3f}",
        "",
        "Zero-shot: no label was used. An answer counts for the coarse class that it lies in; one "
        "that is",
        "more general than its class counts as wrong.",
    ]
    return "\n".join(lines) + "\n"


def draw_umap(
    xy: NDArray[np.float32],
    labels: Sequence[str],
    answers: Sequence[str],
    hierarchy: Hierarchy,
    mapped: Mapping[str, tuple[Curie, Curie]],
    file: Path,
) -> Path:
    """Write a picture: the true labels on the left, the answers on the right.

    Each coarse class has one colour on both sides, in shades; what lies in none of them is grey.

    Parameters
    ----------
    xy
        Two coordinates a cell.
    labels, answers, hierarchy, mapped
        As for :func:`compare`.
    file
        The picture to write.
    """
    from agent.pictures.picture import save
    from agent.pictures.scatter import draw_cells, new_axes, shades

    name = dict(zip(hierarchy.ids, hierarchy.labels, strict=True))
    counted = Counter(mapped[label][1] for label in labels)
    classes = sorted(counted, key=lambda one: (-counted[one], one))
    left_of: dict[str, list[str]] = {one: [] for one in [*classes, ""]}
    right_of: dict[str, list[str]] = {one: [] for one in [*classes, ""]}
    for label, _ in Counter(labels).most_common():
        left_of[mapped[label][1]].append(label)
    for answer, _ in Counter(answers).most_common():
        family = _class(None if answer == UNKNOWN_LABEL else answer, classes, hierarchy)
        right_of[family or ""].append(name.get(answer, answer))

    left = new_axes(13.0, 8.6)
    figure = left.get_figure(root=True)
    assert figure is not None, "the axes were made with a figure"
    left.set_subplotspec(figure.add_gridspec(1, 2)[0])
    right = figure.add_subplot(1, 2, 2)
    draw_cells(xy, labels, title="sorted with antibodies", colours=shades(left_of), ax=left)
    said = [name.get(answer, answer) for answer in answers]
    draw_cells(xy, said, title="Celloquy, zero-shot", colours=shades(right_of), ax=right)
    save(left, file)
    return file
