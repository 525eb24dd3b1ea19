"""Expression starts as its panel says, teaching draws the language model to it; guides alike."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")
pytest.importorskip("sklearn")

from encoders.knockout.answers import Answers  # noqa: E402 - after the check for torch
from encoders.knockout.knocked import NONE, Calibration, KnockedOut, answer_of  # noqa: E402
from encoders.knockout.panel import along  # noqa: E402
from encoders.prediction import Measured  # noqa: E402
from tests.encoders.tinyseeing import tiny_seeing  # noqa: E402
from tests.training.test_knockout import CONFIG, labels, screen  # noqa: E402
from training.knockout.baselines import Ranked  # noqa: E402
from training.knockout.panel import fit_panel, guides_alike  # noqa: E402
from training.knockout.run import alike, alone, inputs_of, learn, untrained  # noqa: E402
from training.knockout.train import (  # noqa: E402
    ExpressionSource,
    distance,
    name_targets,
    token_logits,
)


@pytest.fixture(scope="module")
def start() -> KnockedOut:
    return learn(tiny_seeing(), screen(), None, 0, CONFIG, steps=("align",))[0]


@pytest.mark.parametrize("sharp", [8.0, 0.0])  # a mixture of words; their sum by log odds
def test_at_the_start_soft_tokens_say_what_the_panel_says(sharp: float) -> None:
    config = replace(CONFIG, sharp=(sharp,))
    start, _ = learn(tiny_seeing(), screen(), None, 0, config, steps=("align",))
    _, test = inputs_of(start, screen(), 0, pools_of_cells=True)
    names = start.labels["gene"]
    targets = name_targets(start.model.language, names, CONFIG.tokens)
    with torch.inference_mode():
        near = token_logits(start.model, test.features, targets).argmax(1)
    odds = along(torch.stack([one["gene"] for one in test.features]))
    assert near.tolist() == odds.argmax(1).tolist()


def test_what_was_never_trained_does_not_start_so(start: KnockedOut) -> None:
    bare = untrained(start, CONFIG).model.resamplers["gene"]
    assert bare.leave.weight.abs().sum() > 0  # type: ignore[union-attr, operator]


def test_teaching_draws_the_language_model_to_the_panel(start: KnockedOut) -> None:
    taught, _ = learn(tiny_seeing(), screen(), None, 0, CONFIG)
    _, test = inputs_of(start, screen(), 0, pools_of_cells=True)
    tree = Answers(start.model.language, [answer_of(one) for one in start.labels["gene"]])
    with torch.inference_mode():
        before, after = (
            float(distance(one.model, tree, test.features, CONFIG.taught))
            for one in (start, taught)
        )
    assert after < before


def test_guides_are_drawn_alike_and_left_out() -> None:
    some = screen()
    few = np.flatnonzero((some.guides != "AAg0") | (np.arange(len(some)) % 10 == 0))
    own, guides = some.labels[few], some.guides[few]
    fitted = fit_panel(some.values[few], some.genes, own, guides)
    scores = fitted.panel.scores(some.values[few], some.genes)
    source = ExpressionSource(fitted, scores, own, guides, (1,))
    drawn = [str(guides[rows[0]]) for rows in source.cells(np.random.default_rng(0), 900)]
    assert 48 < drawn.count("AAg0") < 102  # of twelve guides one, though it has 2 cells of 222
    assert source.shares() == {"AA": 1 / 3, "BB": 1 / 3, NONE: 1 / 3}
    kept, left = source.split(3)
    assert (len(kept.rows), len(left.rows)) == (8, 4)
    assert not {tuple(one) for one in kept.rows} & {tuple(one) for one in left.rows}


def test_the_baseline_is_the_regression_that_the_panel_is_made_of(start: KnockedOut) -> None:
    some = screen()
    _, test = inputs_of(start, some, 0, pools_of_cells=True)
    found = alike(start, some, 0, test)
    assert found.figure("top-1")[0] == alone(start, test, CONFIG).figure("top-1")[0] == 1
    names, logs = guides_alike(
        start.panel.scores(some.values, some.genes), some.labels, some.guides, test.vectors  # type: ignore[union-attr]
    )  # fmt: skip
    assert names == ("AA", "BB", NONE)
    assert np.exp(logs).sum(1) == pytest.approx(1)


def test_figures_with_guides_alike_by_hand() -> None:
    scores = np.array([[2.0, 1.0], [2.0, 1.0], [2.0, 1.0], [1.0, 2.0]])
    own = Ranked(("A", "B"), scores, labels("A", "A", "B", "A"), labels("g1", "g1", "g1", "g2"))
    # g1: 2 of 3, g2: 0 of 1.
    mean, error = own.alike("top-1")
    assert mean == pytest.approx(1 / 3)
    assert error == pytest.approx(1 / 3)
    other = replace(own, scores=scores[:, ::-1].copy())
    # The other is right where this is wrong: 1 of 3 and 1 of 1.
    assert own.above_alike(other, "top-1")[0] == pytest.approx((1 / 3 - 1) / 2)


def test_an_answer_says_when_nothing_stands_out(start: KnockedOut) -> None:
    some = screen(seed=5)
    measured = {"gene": Measured("top-1", 0.5, "largest class", 0.3, "these cells", 10)}
    names = start.labels["gene"]
    flat = Calibration(0.0, {NONE: 0.1}, dict.fromkeys(names, 1 / 3))
    found = replace(start, measured=measured, calibrations={"gene": flat}).predict(
        some.values[:30], some.genes
    )
    assert found.ranked[0].id == NONE
    assert found.ranked[0].label == "no gene (control cells)"
    assert "most like control cells" in found.notes[0]
    assert found.notes[1].startswith("nothing stands out: control cells has the probability 0.36")
    assert found.confidence == found.ranked[0].score == 0.36
    sure = Calibration(0.0, {"AA": 5.0}, dict.fromkeys(names, 1 / 3))
    found = replace(start, measured=measured, calibrations={"gene": sure}).predict(
        some.values[:30], some.genes
    )
    assert found.ranked[0].id == "AA"
    assert not [one for one in found.notes if "stands out" in one or "control" in one]
