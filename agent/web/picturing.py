"""What the page needs of an image of cells: its values as a plain array, and a small picture of it.

Runs where the file is first looked at (:mod:`agent.web.worker`): libraries of image formats are
large, and what they do with a hostile file is theirs. The server itself reads only what is written
here.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["ABOUT", "PREVIEW", "VALUES", "prepare_picture"]

ABOUT, VALUES, PREVIEW = "about.json", "pictures.npz", "preview.png"

SIDE = 256
"""Pixels of the longer side of the small picture."""

LETTERS = 60
"""Of a channel's name that the page shows."""


def prepare_picture(source: Path, folder: Path, most: int) -> dict[str, Any]:
    """Check an image and write what the page needs of it into a folder.

    Parameters
    ----------
    source
        The file.
    folder
        Where ``about.json``, ``pictures.npz`` and ``preview.png`` go.
    most
        Values that it may hold.

    Returns
    -------
    dict
        The document in ``about.json``.

    Raises
    ------
    BadInput
        When the file holds no image that can be read.
    """
    from PIL import Image

    from encoders.image.pictures import read_pictures

    pictures = read_pictures(source, most=most)
    count, _, height, width = pictures.values.shape
    names = np.array(pictures.channels, dtype=str)
    np.savez(folder / VALUES, images=pictures.values, channels=names)
    small = Image.fromarray(_colours(pictures.values[0]))
    small.thumbnail((SIDE, SIDE))
    small.save(folder / PREVIEW)
    about = {
        "pictures": count,
        "channels": [name[:LETTERS] for name in pictures.channels],
        "height": height,
        "width": width,
    }
    (folder / ABOUT).write_text(json.dumps(about), encoding="utf-8")
    return about


def _colours(values: NDArray[np.float32]) -> NDArray[np.uint8]:
    """One picture [c, h, w] to be looked at: its first three channels, or its one, [h, w(, 3)].

    Microscopes use a small part of what the numbers can hold: each channel is stretched.
    """
    shown = values[:3] if len(values) >= 3 else values[:1]
    top = np.quantile(shown, 0.995, axis=(1, 2), keepdims=True)
    bytes_ = (np.clip(shown / np.maximum(top, 1e-6), 0, 1) * 255).astype(np.uint8)
    return bytes_[0] if len(bytes_) == 1 else np.ascontiguousarray(np.moveaxis(bytes_, 0, -1))
