"""Confidence that means what it says: probability that an answer is on the line of the truth.

Gives :class:`Calibration`, a logistic curve on the log odds of a raw confidence, and
:func:`shipped`, the curves of ``data/weights/annotation.json``: ``cell`` for the probability that
the marker score gives, ``neighbourhood`` for :func:`support`, the mean of that probability over a
cell's neighbours, which tells right from wrong answers better. On the line means: the true term,
one above it, or one below it. Fitted by :mod:`training.calibrate_annotation` on the development
datasets; the model card is ``docs/models/annotation.md``.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from numpy.typing import NDArray

import data
from data.errors import BadFile
from kg.backoff import Hierarchy
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["WEIGHTS", "Calibration", "Kind", "shipped", "support"]

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


def support(
    probabilities: NDArray[np.float32],
    ids: Sequence[Curie],
    term: NDArray[np.integer],
    graph: sp.csr_array,
    hierarchy: Hierarchy,
) -> NDArray[np.float32]:
    """Mean probability of each cell's answer among its neighbours, itself not counted.

    Parameters
    ----------
    probabilities
        [n, len(ids)], not smoothed.
    ids
        The types.
    term
        [n], answers as indices of the hierarchy; unknown ones get the support of "any type".
    graph
        Neighbours of the cells (:func:`encoders.smoothing.neighbours`).
    hierarchy
        The Cell Ontology.
    """
    answers, place = np.unique(np.maximum(term, -1), return_inverse=True)
    up = hierarchy.up(ids).tocsc()
    columns = [np.ones(len(ids)) if a < 0 else up[:, [int(a)]].toarray().ravel() for a in answers]
    sums = probabilities @ np.stack(columns, axis=1)
    around = graph @ sums
    weight = np.maximum(np.asarray(graph.sum(axis=1)).ravel(), 1e-12)
    return np.asarray(around[np.arange(len(term)), place] / weight, dtype=np.float32)
