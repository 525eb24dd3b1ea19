"""Confidence that means what it says: probability that an answer is on the line of the truth.

Gives :class:`Calibration`, a logistic curve on the log odds of a raw confidence, and
:func:`shipped`, the curves of ``data/weights/annotation.json``: ``cell`` for the probability that
the marker score gives, ``neighbourhood`` for the mean of that probability over a cell's neighbours
(:func:`encoders.celltypes.smoothing.around`), which tells right from wrong answers better. On the
line means: the true term, one above it, or one below it. Fitted by
:mod:`training.annotation.calibrate` on the development datasets; the model card is
``docs/models/annotation.md``.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

import data
from data.errors import BadFile

__all__ = ["WEIGHTS", "Calibration", "Kind", "shipped"]

WEIGHTS = Path(data.__file__).parent / "weights" / "annotation.json"
"""Intercept and slope of each curve, with what they were fitted on."""

Kind = Literal["cell", "neighbourhood"]

_EDGE = 1e-4
"""Confidences are kept so far from 0 and 1: no finite sample tells them apart."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """p = 1 / (1 + exp(-(intercept + slope log(c / (1 - c))))), rising in c."""

    intercept: float
    slope: float

    def __call__(self, confidence: NDArray[np.floating]) -> NDArray[np.float32]:
        """Calibrated confidences, same shape."""
        z = self.intercept + self.slope * log_odds(confidence)
        return np.asarray(1 / (1 + np.exp(-z)), dtype=np.float32)


def log_odds(confidence: NDArray[np.floating]) -> NDArray[np.float64]:
    """log(c / (1 - c)), bounded."""
    c = np.clip(np.asarray(confidence, dtype=np.float64), _EDGE, 1 - _EDGE)
    return np.asarray(np.log(c) - np.log1p(-c))


@lru_cache(maxsize=1)
def _curves() -> dict[str, Calibration]:
    try:
        document = json.loads(WEIGHTS.read_text(encoding="utf-8"))
        curves = document["curves"]
        return {k: Calibration(float(c["intercept"]), float(c["slope"])) for k, c in curves.items()}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{WEIGHTS} is not the calibration that Celloquy ships: {error}") from error


def shipped(kind: Kind) -> Calibration:
    """The curve for confidences of this kind."""
    return _curves()[kind]
