"""Labelled images to measure on: MitoCheck's nuclei, and Visium spots with their patch of tissue.

MitoCheck (B. Neumann et al. 2010, 10.1038/nature08869): nuclei 64 x 64 of 16 phenotypes, as
published by WayScience; a file's name starts with its plate, and plates are held out: nuclei of one
field, and the same nucleus a frame later, stand in several files. The Visium crop is squidpy's.
:func:`turns` gives the eight flips and turns that change no phenotype.
"""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile
from encoders.image.pictures import Pictures, from_array, read_pictures

__all__ = ["TURNS", "LabelledImages", "Spots", "mitocheck", "split", "spots", "turned", "turns"]

TURNS = 8
"""Flips and turns of a square."""

MITOCHECK = "images/mitocheck_single_cell_nuclei_16classes_ccby4.tar.gz"
VISIUM = "images/squidpy_visium_hne_crop"

_LARGEST = 1 << 20  # bytes of one nucleus; they have 5,000


@dataclass(frozen=True, eq=False)
class LabelledImages:
    """Pictures, their classes, and the plate of each."""

    pictures: Pictures
    labels: NDArray[np.object_]
    groups: NDArray[np.object_]


@dataclass(frozen=True, eq=False)
class Spots:
    """Spots of tissue: ``patches``, log1p ``values`` [spots, genes], cluster and place of each."""

    patches: Pictures
    values: NDArray[np.float32]
    genes: tuple[str, ...]
    labels: NDArray[np.object_]
    places: NDArray[np.float64]


def mitocheck(folder: Path) -> LabelledImages:
    """Nuclei with their phenotypes, from the folder of development data.

    Raises
    ------
    BadFile
        When the archive is missing or is not as published.
    """
    from PIL import Image

    images, labels, groups = [], [], []
    try:
        with tarfile.open(folder / MITOCHECK) as archive:
            for member in sorted(archive.getmembers(), key=lambda one: one.name):
                if not member.isfile() or not member.name.endswith(".png"):
                    continue
                if member.size > _LARGEST:
                    raise BadFile(f"{member.name} has {member.size:,} bytes; expected a nucleus")
                stream: Any = archive.extractfile(member)
                with Image.open(io.BytesIO(stream.read())) as image:
                    images.append(np.asarray(image.convert("L")))
                *_, label, name = member.name.split("/")
                labels.append(label)
                groups.append(name.split("___")[0])
    except (OSError, tarfile.TarError, ValueError) as error:
        raise BadFile(f"{folder / MITOCHECK} cannot be read: {error}") from None
    pictures = from_array(np.stack(images)[:, None], ("DNA",), MITOCHECK)
    return LabelledImages(pictures, np.array(labels, object), np.array(groups, object))


def split(images: LabelledImages, parts: int = 5, seed: int = 0) -> NDArray[np.int64]:
    """The part of each image: plates are whole, classes as even as plates allow.

    The seed decides between plates with classes as uneven alone: of MitoCheck's, each seed makes
    the same parts.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    dealt = StratifiedGroupKFold(parts, shuffle=True, random_state=seed)
    found = np.zeros(len(images.labels), np.int64)
    rows = np.zeros((len(found), 1))
    for part, (_, held) in enumerate(dealt.split(rows, images.labels, images.groups)):
        found[held] = part
    return found


def spots(folder: Path, radius: int = 44) -> Spots:
    """Spots of the Visium crop, each with the patch of tissue around it.

    Parameters
    ----------
    folder
        Of development data.
    radius
        Half a side of a patch in pixels; a spot's own diameter in this image is 89.
    """
    from data.h5ad import open_cells

    tissue = read_pictures(folder / f"{VISIUM}.jpg").values[0]  # [3, h, w]
    with open_cells(folder / f"{VISIUM}_49spots.h5ad") as cells:
        places = np.asarray(cells.embedding("spatial"), np.float64)
        labels = np.array([str(one) for one in cells.column("leiden").astype(object)], object)
        values = np.concatenate([np.asarray(b.values.todense()) for b in cells.blocks()])
        genes = tuple(cells.genes)
    wide = np.pad(tissue, ((0, 0), (radius, radius), (radius, radius)), mode="reflect")
    patches = [
        wide[:, int(y) : int(y) + 2 * radius, int(x) : int(x) + 2 * radius] for x, y in places
    ]
    pictures = from_array(np.stack(patches), ("red", "green", "blue"), VISIUM)
    return Spots(pictures, values.astype(np.float32), genes, labels, places)


def turned(values: NDArray[np.float32], way: int) -> NDArray[np.float32]:
    """Images [n, c, h, w] flipped and turned in one of the ``TURNS`` ways; 0 leaves them."""
    found = np.rot90(values, way % 4, axes=(2, 3))
    return np.ascontiguousarray(found[..., ::-1] if way >= 4 else found)


def turns(pictures: Pictures, ways: int = TURNS) -> list[Pictures]:
    """The pictures in each of their ways, as they are first."""
    return [Pictures(turned(pictures.values, way), pictures.channels) for way in range(ways)]
