"""Cells of a screen for training, and ways to leave perturbations out.

Gives :func:`read_cells`, :func:`folds` (by gene: no test gene is perturbed in training, alone or
with another) and :func:`split` (GEARS's: single genes and pairs by how many of their genes were
seen). A split with an empty part is refused: the published code leaves it empty without a word when
genes are missing from its graph. Knows no model.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.perturbation.screen import Screen, read_screen

__all__ = ["GENES", "Cells", "Part", "folds", "read_cells", "split"]

GENES = 2_000
"""Measured genes that a network is trained on at most: the most variable ones (GEARS: 5,000)."""

MOST_CELLS = 300
"""Cells of a perturbation that are kept, drawn at random: GEARS predicts with as many controls."""

Part = Literal["train", "unseen_single", "combo_seen0", "combo_seen1", "combo_seen2"]


@dataclass(frozen=True, eq=False)
class Cells:
    """A screen and some of its cells: ``values`` [n, N] log1p, ``rows`` [n] perturbations.

    ``rows`` are places in ``screen.sets``; -1 is a control cell.
    """

    screen: Screen
    values: NDArray[np.float32]
    rows: NDArray[np.int64]


def read_cells(source: Path | str | Any, *, seed: int = 0, **reading: Any) -> Cells:
    """Read a screen and at most :data:`MOST_CELLS` cells of each perturbation.

    Parameters
    ----------
    source
        An .h5ad or an AnnData.
    seed
        Of the cells that are drawn.
    reading
        Options of :func:`encoders.perturbation.screen.read_screen`; not ``within``, since single
        cells are trained on as they are.
    """
    from data.h5ad import open_cells

    screen = read_screen(source, **reading)
    kept = _most_variable(screen)
    screen = _narrowed(screen, kept)
    with open_cells(source, reading.get("layer")) as plain:
        ids = sum(gene.startswith("ENSG") for gene in plain.genes)
        opened = plain.harmonised() if 2 * ids > len(plain.genes) else plain
        wanted = reading.get("cells")
        mask = opened.where(wanted) if wanted else np.ones(opened.n_cells, dtype=bool)
        labels = opened.column(screen.column).astype(str).to_numpy()
        rows = _rows(labels, screen, reading.get("control"))
        chosen = _drawn(rows, mask, seed)
        found = [
            (block.values[:, kept].toarray(), rows[block.cells])
            for block in opened.blocks(cells=chosen)
        ]
    return Cells(
        screen, np.concatenate([v for v, _ in found]), np.concatenate([r for _, r in found])
    )


def _most_variable(screen: Screen) -> NDArray[np.int64]:
    """The genes whose cells differ most within perturbations, in file order."""
    if len(screen.genes) <= GENES:
        return np.arange(len(screen.genes))
    spread = (screen.errors * np.sqrt(screen.cells)[:, None]).mean(axis=0)
    return np.sort(np.argsort(-spread, kind="stable")[:GENES])


def _narrowed(screen: Screen, kept: NDArray[np.int64]) -> Screen:
    return replace(
        screen, genes=tuple(screen.genes[i] for i in kept), changes=screen.changes[:, kept],
        errors=screen.errors[:, kept], control=screen.control[kept],
    )  # fmt: skip


def _rows(labels: Sequence[str], screen: Screen, control: str | None) -> NDArray[np.int64]:
    """The perturbation of each cell, -1 for controls and -2 for what is left out."""
    from encoders.perturbation.screen import is_control, parts_of

    place = {label: i for i, label in enumerate(screen.labels)}
    parts = {parts_of(label): i for label, i in place.items()}
    found = np.full(len(labels), -2, dtype=np.int64)
    for i, label in enumerate(labels):
        if label in place:
            found[i] = place[label]
        elif label == control if control else (is_control(label) or not parts_of(label)):
            found[i] = -1
        else:
            found[i] = parts.get(parts_of(label), -2)
    return found


def _drawn(rows: NDArray[np.int64], mask: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    draw = np.random.default_rng(seed)
    chosen = np.zeros(len(rows), dtype=bool)
    for row in np.unique(rows[mask & (rows >= -1)]):
        at = np.flatnonzero(mask & (rows == row))
        chosen[draw.permutation(at)[: MOST_CELLS * (3 if row < 0 else 1)]] = True
    return chosen


def folds(
    sets: Sequence[Sequence[str]], n: int, seed: int = 0
) -> list[tuple[list[int], list[int]]]:
    """Train and test perturbations of each of ``n`` folds of single genes.

    Tested are the fold's genes perturbed alone; trained on is what touches none of them.

    Raises
    ------
    BadInput
        When a fold would have nothing to test or to train on.
    """
    single = sorted({some[0] for some in sets if len(some) == 1})
    if not 2 <= n <= len(single):
        raise BadInput(
            f"{n} folds of {len(single)} genes that are perturbed alone; expected 2 to "
            f"{len(single)} folds"
        )
    order = np.random.default_rng(seed).permutation(len(single))
    found = []
    for part in range(n):
        held = {single[i] for i in order[part::n]}
        test = [i for i, some in enumerate(sets) if len(some) == 1 and some[0] in held]
        train = [i for i, some in enumerate(sets) if not held & set(some)]
        if not train:
            raise BadInput(f"fold {part + 1} of {n} leaves nothing to train on; make more folds")
        found.append((train, test))
    return found


def split(
    sets: Sequence[Sequence[str]],
    share: float = 0.75,
    seed: int = 0,
    need: Sequence[Part] = ("train", "unseen_single"),
) -> Mapping[Part, tuple[int, ...]]:
    """GEARS's split by genes: ``share`` of the genes are seen, the others never in training.

    Single seen genes are trained on; of the pairs whose genes are both seen, half are
    (``combo_seen2`` are the others), as they are what teaches a model to combine.

    Parameters
    ----------
    sets
        The genes of each perturbation.
    share, seed
        How many genes are seen (GEARS: .75), and which.
    need
        Parts that must not be empty.

    Raises
    ------
    BadInput
        When one of them is, with what would fill it.
    """
    genes = sorted({gene for some in sets for gene in some})
    draw = np.random.default_rng(seed)
    seen = {genes[i] for i in draw.permutation(len(genes))[: round(share * len(genes))]}
    parts: dict[Part, list[int]] = {name: [] for name in get_args(Part)}
    both = [i for i, some in enumerate(sets) if len(some) > 1 and set(some) <= seen]
    taught = {both[i] for i in draw.permutation(len(both))[: len(both) // 2]}
    for i, some in enumerate(sets):
        known = len(seen & set(some))
        if len(some) == 1:
            parts["train" if known else "unseen_single"].append(i)
        elif len(some) == 2:
            name: Part = ("combo_seen0", "combo_seen1", "combo_seen2")[known]
            parts["train" if i in taught else name].append(i)
    for name in need:
        if not parts[name]:
            there = ", ".join(f"{part} {len(some)}" for part, some in parts.items())
            raise BadInput(
                f"the split leaves {name} empty ({there}); expected at least one perturbation: "
                f"take another share than {share:g}, another seed, or a screen that has such"
            )
    return {name: tuple(some) for name, some in parts.items()}
