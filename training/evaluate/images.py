"""What the small vision transformer is worth: MitoCheck's phenotypes, plates held out.

Plates are dealt into folds; of each fold every row is trained on the other folds' plates alone, so
that every nucleus is scored once, by models that saw nothing of its plate. Beside the largest class
and a logistic regression on statistics of the pixels (intensities, areas, edges) stand the same
regression on features of the transformer, untrained and trained without labels, each alone and
joined to the statistics, and the transformer trained on the classes. A fifth of the training plates
chooses the regression's penalty; nothing else is chosen.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadFile
from encoders.image.pictures import Pictures
from encoders.image.tokens import TrainedHere
from encoders.image.vit import SmallViT
from training.evaluate.figures import Report, versions
from training.images.data import LabelledImages, mitocheck, split
from training.images.pretraining import (
    PretrainConfig,
    finetune,
    pooled_tokens,
    pretrain,
    sized,
)
from training.loop import LoopConfig

__all__ = ["FOLDS", "answered", "main", "phenotypes", "pixel_statistics"]

FOLDS = 5

PENALTIES = (0.1, 1.0, 10.0)
"""Inverse penalties of the regressions that a fifth of the training plates chooses from."""

PRETRAINING = PretrainConfig(
    loop=LoopConfig(
        steps=250, learning_rate=1e-3, weight_decay=0.05, warmup=0.05, save_every=50, threads=1
    )
)
"""6 passes over the nuclei; .1 s a step on one core."""

TUNING = LoopConfig(
    steps=160, learning_rate=1e-3, weight_decay=0.05, warmup=0.1, save_every=20, threads=1
)
"""Of training on classes: 4 passes; .25 s a step."""

LARGEST, STATISTICS = "largest class", "pixel statistics + LR"
UNTRAINED, UNTRAINED_BOTH = "untrained ViT + LR", "untrained ViT and pixel statistics + LR"
FEATURES, BOTH = "ViT features + LR", "ViT features and pixel statistics + LR"
TUNED = "ViT trained on classes"

_OWN = (BOTH, FEATURES, TUNED)
_PAIRS = (
    (BOTH, STATISTICS), (BOTH, UNTRAINED_BOTH), (UNTRAINED_BOTH, STATISTICS),
    (FEATURES, STATISTICS), (FEATURES, UNTRAINED), (TUNED, STATISTICS), (TUNED, BOTH),
)  # fmt: skip

Answers = dict[str, NDArray[np.int64]]


def pixel_statistics(pictures: Pictures) -> NDArray[np.float32]:
    """Intensities, areas above thresholds and edges of each channel, [n, 20 c]."""
    x = pictures.values
    flat = x.reshape(*x.shape[:2], -1)
    mean, deviation = flat.mean(-1), flat.std(-1) + 1e-6
    standard = (flat - mean[..., None]) / deviation[..., None]
    edges = np.hypot(np.diff(x, axis=2)[..., :-1], np.diff(x, axis=3)[..., :-1, :])
    edges = edges.reshape(*x.shape[:2], -1)
    columns = [mean, deviation, (standard**3).mean(-1), (standard**4).mean(-1)]
    columns += list(np.quantile(flat, (0.01, 0.05, 0.25, 0.5, 0.75, 0.95, 0.99, 1.0), axis=-1))
    columns += [(flat > level).mean(-1) for level in (0.1, 0.2, 0.3, 0.5)]
    columns += [edges.mean(-1), edges.std(-1), *np.quantile(edges, (0.9, 0.99), axis=-1)]
    return np.concatenate([np.asarray(one) for one in columns], axis=1).astype(np.float32)


def phenotypes(
    folder: Path,
    seed: int = 0,
    work: Path | None = None,
    *,
    folds: int = FOLDS,
    config: PretrainConfig = PRETRAINING,
    tuning: LoopConfig = TUNING,
    show: bool = False,
) -> Report:
    """MitoCheck's sixteen classes: accuracy and macro-F1 beside baselines, paired differences.

    Parameters
    ----------
    folder
        Of development data.
    seed
        Of the training; MitoCheck's folds are the same for each (:func:`split`).
    work
        Folder of checkpoints and answers, to go on from; None to keep none.
    folds
        Into how many the plates are dealt.
    config, tuning
        The two runs.
    show
        Bars on stderr.
    """
    images = mitocheck(folder)
    told = answered(
        images, split(images, folds, seed), seed, work, config=config, tuning=tuning, show=show
    )  # fmt: skip
    return _report(images, told, folds, seed, ~_explored(images))


def _explored(images: LabelledImages) -> NDArray[np.bool_]:
    """Images of plates that were scored while rows and settings were still being chosen: fold 0."""
    return np.asarray(split(images, 5, 0) == 0)


def answered(
    images: LabelledImages,
    part: NDArray[np.int64],
    seed: int = 0,
    work: Path | None = None,
    *,
    config: PretrainConfig = PRETRAINING,
    tuning: LoopConfig = TUNING,
    show: bool = False,
) -> Answers:
    """The class that each row of the table gives each image, by models of the other folds.

    Parameters
    ----------
    images
        Labelled, in groups that folds do not split.
    part
        The fold of each image.
    seed, work, config, tuning, show
        As :func:`phenotypes` takes them.

    Raises
    ------
    BadFile
        When ``work`` holds answers of another run.
    """
    config = replace(config, loop=replace(config.loop, seed=seed))
    tuning = replace(tuning, seed=seed)
    if work is not None:
        _same_run(work, {
            "seed": seed, "part": part.tolist(), "pretraining": asdict(config),
            "tuning": asdict(tuning), "penalties": PENALTIES,
        })  # fmt: skip
    classes, truth = np.unique(images.labels.astype(str), return_inverse=True)
    statistics = pixel_statistics(images.pictures)
    told: Answers = {}
    for fold in np.unique(part):
        held = part == fold
        kept = _Kept(work / f"fold-{fold}" if work else None)
        made = _fold(images, truth, len(classes), statistics, held, kept, config, tuning, show)
        for name, some in made.items():
            told.setdefault(name, np.full(len(truth), -1))[held] = some
    return told


class _Kept:
    """Answers of a fold, read where they were made before: a run that is cut goes on."""

    def __init__(self, folder: Path | None) -> None:
        self.folder = folder
        if folder is not None:
            folder.mkdir(parents=True, exist_ok=True)

    def __call__(self, name: str, make: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
        if self.folder is None:
            return make()
        path = self.folder / f"{name.replace(' ', '-')}.npy"
        if not path.is_file():
            part = path.with_suffix(".part")
            with part.open("wb") as file:
                np.save(file, make())
            part.replace(path)
        found: NDArray[np.int64] = np.load(path, allow_pickle=False)
        return found

    def checkpoints(self, name: str) -> Path | None:
        """Of a run of training."""
        return self.folder / name if self.folder else None


def _same_run(work: Path, run: dict[str, Any]) -> None:
    """Refuse a folder that holds another run; note this one where it holds none."""
    work.mkdir(parents=True, exist_ok=True)
    path, text = work / "run.json", json.dumps(run)
    if not path.is_file():
        path.write_text(text, encoding="utf-8")
    elif path.read_text(encoding="utf-8") != text:
        raise BadFile(f"{work} holds a run with other folds or settings; expected an empty folder, "
                      "or one of the same run to go on from")  # fmt: skip


def _fold(
    images: LabelledImages,
    truth: NDArray[np.int64],
    classes: int,
    statistics: NDArray[np.float32],
    held: NDArray[np.bool_],
    kept: _Kept,
    config: PretrainConfig,
    tuning: LoopConfig,
    show: bool,
) -> Answers:
    """Answers of every row on the held-out images."""
    choosing = _choosing(images, held, tuning.seed)
    shown = _only(images.pictures, ~held)

    def regressed(features: NDArray[np.float32]) -> NDArray[np.int64]:
        return _regress(features, truth, held, choosing)

    @cache
    def vit() -> SmallViT:
        return pretrain(shown, config, kept.checkpoints("pretrain"), show=show)[0]

    @cache
    def trained() -> NDArray[np.float32]:
        return _features(vit(), images)

    @cache
    def control() -> NDArray[np.float32]:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(tuning.seed)
            return _features(SmallViT(vit().config).eval(), images)

    def tuned() -> NDArray[np.int64]:
        model = finetune(vit(), shown, truth[~held], classes, tuning,
                         folder=kept.checkpoints("tuning"), show=show)  # fmt: skip
        with torch.inference_mode():
            some = torch.split(sized(_only(images.pictures, held), config.size), 64)
            found: NDArray[np.int64] = torch.cat([model(one).argmax(1) for one in some]).numpy()
        return found

    largest = np.bincount(truth[~held]).argmax()
    return {
        LARGEST: np.full(int(held.sum()), largest),
        STATISTICS: kept(STATISTICS, lambda: regressed(statistics)),
        UNTRAINED: kept(UNTRAINED, lambda: regressed(control())),
        UNTRAINED_BOTH: kept(UNTRAINED_BOTH, lambda: regressed(np.hstack([control(), statistics]))),
        FEATURES: kept(FEATURES, lambda: regressed(trained())),
        BOTH: kept(BOTH, lambda: regressed(np.hstack([trained(), statistics]))),
        TUNED: kept(TUNED, tuned),  # last: it changes the transformer
    }


def _choosing(images: LabelledImages, held: NDArray[np.bool_], seed: int) -> NDArray[np.bool_]:
    """A fifth of the training images, plates whole, that chooses the penalty."""
    rows = np.flatnonzero(~held)
    some = LabelledImages(images.pictures, images.labels[rows], images.groups[rows])
    found = np.zeros(len(held), bool)
    found[rows[split(some, 5, seed) == 0]] = True
    return found


def _report(
    images: LabelledImages, told: Answers, folds: int, seed: int, fresh: NDArray[np.bool_]
) -> Report:
    """Figures of all images, and of the ``fresh`` ones, whose plates nobody had scored before."""
    report = Report("phenotypes", versions=versions("torch", "scikit-learn"), seed=seed)
    classes, truth = np.unique(images.labels.astype(str), return_inverse=True)
    every = np.ones(len(truth), bool)
    sets = (("", every), (", plates not scored before", fresh))
    for name, answers in told.items():
        for where, rows in sets:
            real, said, groups = truth[rows], answers[rows], images.groups[rows]
            for figure, score in (("accuracy", _right), ("macro-F1", _macro)):
                value, spread = score(real, said), _spread(real, said, groups, score)
                if name in _OWN:
                    report.add(f"{figure}, {name}{where}", value, len(real), spread)
                else:
                    report.beside(name, f"{figure}{where}", value, len(real), spread)
    for one, other in _PAIRS:
        for where, rows in sets:
            by, error = _above(truth[rows], told[one][rows], told[other][rows], images.groups[rows])
            report.notes.append(f"macro-F1{where}, {one} minus {other}: {by:+.3f} +- {error:.3f}")
    report.notes.append(
        f"{len(truth)} nuclei of {len(set(images.groups))} plates ({int(fresh.sum())} of "
        f"{len(set(images.groups[fresh]))} not scored before), each scored once, in {folds} folds "
        f"of whole plates; {len(classes)} classes; spread: standard error over plates"
    )
    return report


def _right(real: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    return float((real == answers).mean())


def _macro(real: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    """Macro-F1 over the classes that are there, as scikit-learn has it; drawn often."""
    classes = 1 + int(max(real.max(), answers.max()))
    right = np.bincount(real[real == answers], minlength=classes)
    many, said = np.bincount(real, minlength=classes), np.bincount(answers, minlength=classes)
    there = many > 0
    return float((2 * right[there] / (many + said)[there]).mean())


def _above(
    real: NDArray[np.int64],
    answers: NDArray[np.int64],
    others: NDArray[np.int64],
    groups: NDArray[np.object_],
) -> tuple[float, float]:
    """By how much macro-F1 is above that of others' answers, with its error over plates."""

    def by(real: NDArray[np.int64], places: NDArray[np.int64]) -> float:
        return _macro(real, answers[places]) - _macro(real, others[places])

    every = np.arange(len(real))
    return by(real, every), _spread(real, every, groups, by)


def _spread(
    real: NDArray[np.int64],
    answers: NDArray[np.int64],
    groups: NDArray[np.object_],
    score: Callable[[NDArray[np.int64], NDArray[np.int64]], float],
    times: int = 200,
) -> float:
    """Standard error by drawing whole plates anew."""
    draw = np.random.default_rng(0)
    rows = [np.flatnonzero(groups == one) for one in sorted(set(groups))]
    found = []
    for _ in range(times):
        some = np.concatenate([rows[i] for i in draw.integers(0, len(rows), len(rows))])
        found.append(score(real[some], answers[some]))
    return round(float(np.std(found)), 4)


def _regress(
    features: NDArray[np.float32],
    truth: NDArray[np.int64],
    held: NDArray[np.bool_],
    choosing: NDArray[np.bool_],
) -> NDArray[np.int64]:
    """Answers on the held-out images of a regression whose penalty the choosing ones chose."""
    import warnings

    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    def fitted(rows: NDArray[np.bool_], penalty: float):  # type: ignore[no-untyped-def]
        told = LogisticRegression(C=penalty, max_iter=500)
        model = make_pipeline(StandardScaler(), told)
        with warnings.catch_warnings():
            # Where 500 steps are not enough the penalty is too small to be chosen.
            warnings.simplefilter("ignore", ConvergenceWarning)
            return model.fit(features[rows], truth[rows])

    tried = [
        _macro(truth[choosing], fitted(~held & ~choosing, one).predict(features[choosing]))
        for one in PENALTIES
    ]
    best = PENALTIES[int(np.argmax(tried))]
    return np.asarray(fitted(~held, best).predict(features[held]), np.int64)


def _features(vit: SmallViT, images: LabelledImages) -> NDArray[np.float32]:
    return pooled_tokens(TrainedHere(vit, "").encode(images.pictures))


def _only(pictures: Pictures, rows: NDArray[np.bool_]) -> Pictures:
    return Pictures(pictures.values[rows], pictures.channels)


def main(arguments: Sequence[str] | None = None) -> int:
    """``python -m training.evaluate.images DATA WORK [--folds 5]``; run again, it goes on."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("data", type=Path, help="folder of evaluation data")
    parser.add_argument("work", type=Path, help="folder of checkpoints and answers")
    parser.add_argument("--folds", type=int, default=FOLDS)
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args(arguments)
    report = phenotypes(given.data, given.seed, given.work, folds=given.folds, show=True)
    report.show(given.work / "phenotypes.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
