"""Cells told by simulated centroids: right where the centroids are, by hand."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.sparse as sp

from encoders.genept import GeneVectors
from training.evaluate.genetext import accuracies
from training.profiles import Profiles

TABLE = GeneVectors(("A", "B", "C"), np.eye(3, dtype=np.float32))


def cells(rows: list[list[float]], types: str, origin: str = "x") -> Profiles:
    return Profiles(sp.csr_array(np.array(rows)), ("A", "B", "C"), tuple(types), origin)


DRAWN = [cells([[4, 0, 1], [3, 0, 1], [0, 4, 1], [0, 3, 1], [0, 0, 9]], "aabbc", "simulated")]


@pytest.mark.parametrize("whiten", [False, True])
def test_a_type_counts_once_however_many_its_cells(whiten: bool) -> None:
    # Three of type a, all right; one of type b that looks like a.
    real = cells([[5, 0, 1], [2, 0, 1], [9, 1, 1], [6, 0, 1]], "aaab")
    other = cells([[5, 0, 1], [0, 5, 1]], "ab")
    assert accuracies(DRAWN, [real, other], TABLE, whiten=whiten) == [0.5, 1.0]


def test_one_known_type_is_no_question() -> None:
    real = cells([[5, 0, 1], [1, 1, 1]], "az")
    assert accuracies(DRAWN, [real], TABLE, whiten=False) == [None]
