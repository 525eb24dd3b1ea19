"""Screens to learn from: what was knocked out in which cells or images, and by which guide.

Gives :class:`Screen` (expression) and :class:`ImageScreen`, their readers, :func:`folds`, which
keeps the guides of a gene apart, and pseudo-cells. A guide is the unit that is held out: cells of
one guide share its off-targets and its efficiency, so that a model that is scored on cells of a
guide that it has seen is scored too well.
"""

from __future__ import annotations

import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput
from encoders.image.pictures import Pictures, from_array, why
from encoders.knockout.knocked import NONE
from encoders.knockout.panel import MOST, pooled

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = [
    "CONTROLS",
    "DEAL",
    "NONE",
    "ImageScreen",
    "Screen",
    "folds",
    "pools",
    "read_image_screen",
    "read_screen",
    "without",
]

CONTROLS = (
    "non-targeting", "nontargeting", "non_targeting", "control", "ctrl", "nt", "ntc", "none",
    "scramble", "safe-targeting",
)  # fmt: skip
"""What control cells are called, compared without case."""

DEAL = 2
"""How the guides of a screen of cells are dealt into folds: stated before anything was scored on
it (docs/experiments/knockout.md)."""

Labels = NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Screen:
    """Expression of a screen: log1p ``values`` [cells, genes], the gene and the guide of each cell.

    ``labels`` say :data:`NONE` for control cells.
    """

    genes: tuple[str, ...]
    values: sp.csr_matrix
    labels: Labels
    guides: Labels

    def __len__(self) -> int:
        return len(self.labels)

    def folds(self) -> NDArray[np.int64]:
        """The fold of each cell (:func:`folds`), in the deal that figures are measured on."""
        return folds(self.labels, self.guides, deal=DEAL)


@dataclass(frozen=True, eq=False)
class ImageScreen:
    """Pictures of a screen, the gene and the guide of each."""

    pictures: Pictures
    labels: Labels
    guides: Labels

    def __len__(self) -> int:
        return len(self.labels)


def read_screen(path: Path, label: str, guide: str | None, control: str | None = None) -> Screen:
    """Read cells and what was knocked out in them.

    Parameters
    ----------
    path
        An .h5ad file.
    label
        Its column of knocked-out genes.
    guide
        Its column of guides; None where there is none: then parts of the cells stand for guides.
    control
        What control cells are called there; None to look for a usual name.

    Raises
    ------
    BadFile, BadInput
        When the file, a column or the control cells are not there.
    """
    import scipy.sparse as sp

    from data.h5ad import open_cells

    with open_cells(path) as cells:
        named = cells.harmonised()
        labels = [str(one) for one in cells.column(label).astype(object)]
        guides = [str(one) for one in cells.column(guide).astype(object)] if guide else None
        values = sp.vstack([block.values for block in named.blocks()], format="csr")
        genes = tuple(named.genes)
    ours = _named(labels, control, f"the column {label!r} of {path}")
    kept = np.array([one.lower() != "nan" for one in labels])
    own = np.array(guides if guides else _parts(ours), object)
    return Screen(genes, values[kept], ours[kept], own[kept])


def read_image_screen(path: Path, control: str | None = None) -> ImageScreen:
    """Read an .npz file with arrays images [n, c, h, w], gene, channels and, if known, guide.

    Raises
    ------
    BadFile
        When arrays are missing or do not fit.
    """
    if not path.is_file():
        raise BadFile(f"{path} is no file; expected an .npz file of images: check the path")
    if not zipfile.is_zipfile(path):
        raise BadFile(f"{path} is no .npz file; expected what numpy.savez wrote, with the arrays "
                      "images, gene, channels and guide")  # fmt: skip
    try:
        with np.load(path, allow_pickle=False) as loaded:
            found = {name: loaded[name] for name in loaded.files}
    except Exception as error:  # noqa: BLE001 - zipfile, zlib, numpy: each has its own
        raise BadFile(f"{path} cannot be read as .npz ({why(error)}); expected arrays images, "
                      "gene, channels and guide, without objects") from None  # fmt: skip
    if missing := {"images", "gene"} - found.keys():
        raise BadFile(f"{path} holds {', '.join(found) or 'nothing'}; expected also "
                      f"{', '.join(sorted(missing))}")  # fmt: skip
    labels = [str(one) for one in found["gene"]]
    channels = [str(one) for one in found["channels"]] if "channels" in found else None
    pictures = from_array(found["images"], channels, str(path))
    guides = found.get("guide", np.array(_parts(np.array(labels, object))))
    if not len(pictures) == len(labels) == len(guides):
        raise BadFile(f"{path} holds {len(pictures)} images, {len(labels)} genes and "
                      f"{len(guides)} guides; expected one of each for each image")  # fmt: skip
    own = np.array([str(one) for one in guides], object)
    return ImageScreen(pictures, _named(labels, control, str(path)), own)


def _parts(labels: Labels) -> list[str]:
    """Where no guides are known: four parts of the cells of each gene, dealt in turn."""
    seen: dict[str, int] = {}
    found = []
    for one in labels:
        seen[one] = seen.get(one, -1) + 1
        found.append(f"{one} part {seen[one] % 4 + 1}")
    return found


def _named(labels: Sequence[str], control: str | None, where: str) -> Labels:
    """Labels with control cells under our own name."""
    distinct = sorted(set(labels))
    called = {one for one in distinct if one.lower() in CONTROLS} if control is None else {control}
    if not called & set(distinct):
        shown = ", ".join(distinct[:6])
        if control is not None:
            raise BadInput(f"no cell of {where} is named {control!r}; expected one of its values, "
                           f"such as {shown}")  # fmt: skip
        raise BadInput(f"{where} has no control cells (of a usual name; there are: {shown}"
                       "); name them: --control NAME")  # fmt: skip
    return np.array([NONE if one in called else one for one in labels], object)


def without(screen: ImageScreen, rows: NDArray[np.bool_]) -> ImageScreen:
    """The images that are not among the rows."""
    pictures = Pictures(screen.pictures.values[~rows], screen.pictures.channels)
    return ImageScreen(pictures, screen.labels[~rows], screen.guides[~rows])


def folds(labels: Labels, guides: Labels, n: int = 4, deal: int = 0) -> NDArray[np.int64]:
    """The fold of each cell: the guides of a gene, in order of their names, are dealt in turn.

    Another ``deal`` than 0 shuffles the guides of each gene, and the fold it starts with.

    All cells of a guide are in one fold. A gene with fewer guides than folds is missing from the
    test cells of some folds; one with a single guide is in no fold (-1): it is learnt, never
    scored.

    >>> genes = np.array(["A", "A", "A", "B"], object)
    >>> folds(genes, np.array(["2", "1", "2", "3"], object), 2).tolist()
    [1, 0, 1, -1]
    """
    place = {}
    for gene in sorted(set(labels)):
        own = sorted(set(guides[labels == gene]))
        start = 0
        if deal:
            draw = np.random.default_rng([deal, *str(gene).encode()])
            start = int(draw.integers(n))
            own = [own[i] for i in draw.permutation(len(own))]
        for number, guide in enumerate(own):
            place[gene, guide] = (start + number) % n if len(own) > 1 else -1
    return np.array([place[pair] for pair in zip(labels, guides, strict=True)], np.int64)


def pools(
    scores: NDArray[np.float32], labels: Labels, guides: Labels, seed: int, size: int = MOST
) -> tuple[NDArray[np.float32], Labels, Labels]:
    """Every cell once, in pseudo-cells of about ``size`` cells of one guide: scored, not learnt.

    Returns
    -------
    tuple
        Statistics [n, g], labels [n] and guides [n]. A guide with fewer cells is one pseudo-cell.
    """
    draw = np.random.default_rng(seed)
    found: list[Any] = []
    for label, guide in sorted(set(zip(labels, guides, strict=True))):
        rows = draw.permutation(np.flatnonzero((labels == label) & (guides == guide)))
        for part in np.array_split(rows, max(1, len(rows) // size)):
            found.append((pooled(scores[part]), label, guide))
    statistics, names, by = zip(*found, strict=True)
    return np.stack(statistics), np.array(names, object), np.array(by, object)
