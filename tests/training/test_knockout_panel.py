"""The classifiers of a panel: shrunken centroids and the weights of a stack, by hand."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("sklearn")

from encoders.knockout.knocked import NONE
from tests.training.test_knockout import labels, screen
from training.knockout.data import pools
from training.knockout.panel import THRESHOLDS, fit_panel, shrunken, weights_of


def test_centroids_are_drawn_to_the_mean_of_all() -> None:
    # Means 3 and -3 of the first gene, .5 and -.5 of the second; deviations within labels of 1.
    x = np.array([[4, 1.5], [2, -0.5], [-2, 0.5], [-4, -1.5]], np.float32)
    y = np.array(["A", "A", "B", "B"])
    direction, offset = shrunken(x, y, 0.0)
    assert direction == pytest.approx(np.array([[3, -3], [0.5, -0.5]]), rel=1e-4)
    assert offset == pytest.approx([-(9 + 0.25) / 2] * 2, rel=1e-4)
    direction, _ = shrunken(x, y, 1.0)
    assert direction == pytest.approx(np.array([[2, -2], [0, 0]]), rel=1e-4)
    direction, offset = shrunken(x, y, 5.0)
    assert not direction.any() and not offset.any()


def test_the_nearest_centroid_in_deviations_is_the_likeliest() -> None:
    draw = np.random.default_rng(0)
    x = draw.normal(2, 1, (60, 5)).astype(np.float32) * np.array([1, 1, 1, 9, 9], np.float32)
    y = np.array(["A", "B", "C"] * 20)
    x[y == "B", 0] += 2
    means = np.stack([x[y == one].mean(0) for one in "ABC"])
    within = np.sqrt(np.mean([(x[y == one] - x[y == one].mean(0)) ** 2 for one in "ABC"], (0, 1)))
    near = (((x[:, None] - means) / within) ** 2).sum(-1).argmin(1)
    direction, offset = shrunken(x, y, 0.0)
    assert (x @ direction + offset).argmax(1).tolist() == near.tolist()


def test_what_tells_nothing_or_the_contrary_gets_no_weight() -> None:
    draw = np.random.default_rng(0)
    right = draw.integers(0, 4, 400)
    told = 2.0 * np.eye(4)[right] + draw.normal(0, 1, (400, 4))
    weights, loss = weights_of([told, -told], right)
    assert weights[0] > 0.5 and weights[1] == pytest.approx(0, abs=1e-6)
    assert loss < np.log(4) - 0.3
    nothing, even = weights_of([draw.normal(0, 1, (400, 4))], right)
    assert nothing[0] < 0.2 and even == pytest.approx(np.log(4), abs=0.02)


def test_a_screen_with_one_guide_a_gene_has_a_panel_that_nothing_chose() -> None:
    some = screen()
    first = np.isin(some.guides, ["AAg0", "BBg0", f"{NONE}g0"])
    named = some.labels[first]
    fitted = fit_panel(some.values[first], some.genes, named, labels(*some.guides[first]))
    assert set(fitted.part) == {-1} and not fitted.crossed
    assert fitted.of(-1) is fitted.panel
    scores = fitted.panel.scores(some.values[first], some.genes)
    cells, right, _ = pools(scores, named, some.guides[first], 0)
    told = (cells @ fitted.panel.directions + fitted.panel.offset).argmax(1)
    assert np.array(["AA", "BB", NONE])[told].tolist() == right.tolist()


def test_thresholds_rise_from_none() -> None:
    assert THRESHOLDS[0] == 0 and list(THRESHOLDS) == sorted(set(THRESHOLDS))
