"""The table of images: folds of whole groups, rows kept and gone on with, macro-F1 by hand."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

torch = pytest.importorskip("torch")
metrics = pytest.importorskip("sklearn.metrics")

from dataclasses import replace  # noqa: E402 - after the checks for optional packages
from pathlib import Path  # noqa: E402

from data.errors import BadFile  # noqa: E402
from encoders.image.pictures import Pictures  # noqa: E402
from training.evaluate import images as table  # noqa: E402
from training.evaluate.images import _choosing, _macro, _report, answered  # noqa: E402
from training.images.data import LabelledImages, split  # noqa: E402
from training.images.pretraining import PretrainConfig  # noqa: E402
from training.loop import LoopConfig  # noqa: E402

SHORT = LoopConfig(steps=3, learning_rate=1e-3, threads=1)
CONFIG = PretrainConfig(size=16, patch=8, width=32, layers=1, batch=8, loop=SHORT)


def nuclei(n: int = 96) -> LabelledImages:
    """Bright and dark pictures of 12 plates, each class on every plate."""
    draw = np.random.default_rng(0)
    values = draw.random((n, 1, 16, 16)).astype(np.float32) * 0.3
    labels = np.array(["bright" if i % 2 else "dark" for i in range(n)], object)
    values[labels == "bright"] += 0.5
    groups = np.array([f"plate {i // 8}" for i in range(n)], object)
    return LabelledImages(Pictures(values, ("DNA",)), labels, groups)


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4)), min_size=1, max_size=40))
def test_macro_f1_is_scikit_learns(pairs: list[tuple[int, int]]) -> None:
    real, told = (np.array(one) for one in zip(*pairs, strict=True))
    expected = metrics.f1_score(
        real, told, average="macro", labels=np.unique(real), zero_division=0
    )
    assert _macro(real, told) == pytest.approx(expected)


def test_the_fifth_that_chooses_has_plates_of_its_own() -> None:
    images = nuclei()
    held = split(images, 3, 1) == 0
    choosing = _choosing(images, held, 0)
    assert not (choosing & held).any()
    assert 0 < choosing.sum() < (~held).sum() / 3
    assert not set(images.groups[choosing]) & set(images.groups[~choosing])


def test_each_image_is_answered_once_and_a_run_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    images = nuclei()
    part = split(images, 2, 1)
    told = answered(images, part, work=tmp_path, config=CONFIG, tuning=SHORT)
    assert set(told) == {
        table.LARGEST, table.STATISTICS, table.UNTRAINED, table.UNTRAINED_BOTH, table.FEATURES,
        table.BOTH, table.TUNED,
    }  # fmt: skip
    assert all(set(answers) <= {0, 1} for answers in told.values())
    truth = (images.labels == "dark").astype(int)
    assert (told[table.STATISTICS] == truth).all()  # brightness is among the statistics
    report = _report(images, told, 2, 0, part == 1)
    assert report.baselines[table.STATISTICS]["macro-F1"].value == 1
    assert report.baselines[table.STATISTICS]["macro-F1"].n == len(truth)
    assert len([note for note in report.notes if " minus " in note]) == 2 * len(table._PAIRS)

    def never(*_: object, **__: object) -> None:
        raise AssertionError("it is trained again")

    (tmp_path / "fold-1" / "ViT-features-+-LR.npy").unlink()  # cut here
    monkeypatch.setattr(table, "finetune", never)
    again = answered(images, part, work=tmp_path, config=CONFIG, tuning=SHORT)
    assert all((again[name] == answers).all() for name, answers in told.items())
    monkeypatch.setattr(table, "pretrain", never)
    answered(images, part, work=tmp_path, config=CONFIG, tuning=SHORT)
    with pytest.raises(BadFile, match="other folds or settings"):
        answered(images, part, work=tmp_path, config=replace(CONFIG, batch=4), tuning=SHORT)
