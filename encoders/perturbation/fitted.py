"""Models that were fitted are kept within the process, by the content that they were fitted on.

Gives :func:`fitted`: which model was chosen for a kind of question, and what the choice is worth
(:mod:`encoders.perturbation.choice`). Both take seconds and depend on the training perturbations
and on the kind of question alone; what a chosen model predicts for genes is no part of them, and is
computed each time it is asked. Content is told by a hash of every array, so that a file that was
changed, or read another way, is fitted anew.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from threading import Lock

import numpy as np

from encoders.perturbation.choice import Choice, Measure, cases_like, choose, measure
from encoders.perturbation.models import Recipe, Training

__all__ = ["KEPT", "Fitted", "content", "fitted"]

KEPT = 8
"""Fits that are kept; each holds some dozens of rows of the measured genes."""

_kept: OrderedDict[str, Fitted] = OrderedDict()
_lock = Lock()


@dataclass(frozen=True, eq=False)
class Fitted:
    """The model that was chosen, and what choosing was worth on perturbations left out."""

    choice: Choice
    worth: Measure


def fitted(
    training: Training,
    size: int,
    unseen: int,
    recipes: Sequence[Recipe],
    progress: Callable[[int, int], None] | None = None,
) -> Fitted:
    """Choose among models and measure the choice, once a content and kind of question.

    Parameters
    ----------
    training
        The perturbations to learn from.
    size, unseen
        Genes of the question, and how many of them no training perturbation touches.
    recipes
        The models to choose among.
    progress
        Called with the left-out perturbations that are done, and all of them.

    Raises
    ------
    BadInput
        When the screen is too small to leave anything out twice.
    """
    key = f"{content(training)} {size} {unseen} {tuple(recipes)!r}"
    with _lock:
        if key in _kept:
            _kept.move_to_end(key)
            return _kept[key]
    choice = choose(training, cases_like(training.sets, size, unseen), recipes)
    made = Fitted(choice, measure(training, size, unseen, recipes, progress))
    with _lock:
        _kept[key] = made
        while len(_kept) > KEPT:
            _kept.popitem(last=False)
    return made


def content(training: Training) -> str:
    """A hash of all that a model is fitted on."""
    digest = hashlib.sha256(repr((training.sets, training.space.genes)).encode())
    arrays = (training.rows, training.changes, training.control, training.places)
    for array in (*arrays, training.space.text, training.space.go):
        digest.update(repr((array.shape, array.dtype.str)).encode())
        digest.update(np.ascontiguousarray(array).tobytes())
    return digest.hexdigest()
