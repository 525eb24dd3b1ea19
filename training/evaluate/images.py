"""What the small vision transformer is worth: MitoCheck's phenotypes, plates held out.

Beside the largest class and a logistic regression on statistics of the pixels (intensities, areas,
edges) stand the same regression on features of the transformer, untrained and trained without
labels, and the transformer trained on the classes. One part of five, by plate, is scored; another
chooses the regression's penalty; nothing else is chosen.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

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

__all__ = ["main", "phenotypes", "pixel_statistics"]

PENALTIES = (0.1, 1.0, 10.0)
"""Inverse penalties of the regressions that the development part chooses from."""

STEPS = 250
"""Of pretraining: 6 passes over the nuclei; .1 s each on one core."""

TUNING = LoopConfig(
    steps=160, learning_rate=1e-3, weight_decay=0.05, warmup=0.1, save_every=20, threads=1
)
"""Of training on classes: 4 passes; .25 s each."""


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
    config: PretrainConfig | None = None,
    tuning: LoopConfig = TUNING,
    show: bool = False,
) -> Report:
    """MitoCheck's sixteen classes: accuracy and macro-F1 beside baselines.

    Parameters
    ----------
    folder
        Of development data.
    seed
        Of the parts and the training.
    work
        Folder of checkpoints, to go on from; None to keep none.
    config, tuning
        The two runs.
    show
        Bars on stderr.
    """
    config = config or PretrainConfig(
        loop=LoopConfig(
            steps=STEPS, learning_rate=1e-3, weight_decay=0.05, warmup=0.05, save_every=50,
            threads=1, seed=seed,
        )
    )  # fmt: skip
    images = mitocheck(folder)
    part = split(images, seed=seed)
    classes, truth = np.unique(images.labels.astype(str), return_inverse=True)
    report = Report("phenotypes", versions=versions("torch", "scikit-learn"), seed=seed)
    told: dict[str, NDArray[np.int64]] = {}
    score = _scorer(report, truth, part, images, told)

    learnt = part != 0
    statistics = pixel_statistics(images.pictures)
    largest = np.bincount(truth[learnt]).argmax()
    score("largest class", np.full(len(truth), largest)[part == 0])
    score(
        "pixel statistics + LR",
        _kept(work, "statistics", lambda: _regress(statistics, truth, part)),
    )
    vit, _ = pretrain(_only(images.pictures, learnt), config,
                      work / "pretrain" if work else None, show=show)  # fmt: skip
    features = _features(vit, images)
    score(
        "ViT features + LR",
        _kept(work, "features", lambda: _regress(features, truth, part)),
        own=True,
    )
    both = np.concatenate([features, statistics], axis=1)
    score(
        "ViT features and pixel statistics + LR",
        _kept(work, "both", lambda: _regress(both, truth, part)),
        own=True,
    )
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        untrained = SmallViT(vit.config).eval()
    score(
        "untrained ViT + LR",
        _kept(work, "untrained", lambda: _regress(_features(untrained, images), truth, part)),
    )
    control = np.concatenate([_features(untrained, images), statistics], axis=1)
    score(
        "untrained ViT and pixel statistics + LR",
        _kept(work, "control", lambda: _regress(control, truth, part)),
    )
    model = finetune(vit, _only(images.pictures, learnt), truth[learnt], len(classes), tuning,
                     folder=work / "finetune" if work else None, show=show)  # fmt: skip
    with torch.inference_mode():
        shown = torch.split(sized(_only(images.pictures, part == 0), vit.config.size), 64)
        answers = torch.cat([model(some).argmax(1) for some in shown]).numpy()
    score("ViT trained on classes", answers, own=True)
    for name in ("ViT features + LR", "ViT features and pixel statistics + LR",
                 "ViT trained on classes"):  # fmt: skip
        by, error = _above(truth[part == 0], told[name], told["pixel statistics + LR"],
                           images.groups[part == 0])  # fmt: skip
        report.notes.append(f"macro-F1, {name}: {by:+.3f} +- {error:.3f} against pixel statistics")
    report.notes.append(
        f"{int((part == 0).sum())} nuclei of {len(set(images.groups[part == 0]))} plates, none of "
        f"which was trained on; {len(classes)} classes; spread: standard error over plates"
    )
    return report


def _kept(work: Path | None, name: str, make: Callable[[], NDArray[np.int64]]) -> NDArray[np.int64]:
    """Answers, read where they were made before: a run that is cut goes on."""
    path = work / f"{name}.npy" if work else None
    if path is not None and path.is_file():
        found: NDArray[np.int64] = np.load(path, allow_pickle=False)
        return found
    made = make()
    if path is not None:
        np.save(path, made)
    return made


def _scorer(
    report: Report,
    truth: NDArray[np.int64],
    part: NDArray[np.int64],
    images: LabelledImages,
    told: dict[str, NDArray[np.int64]],
) -> Callable[..., None]:
    """A function that adds the figures of one method's answers on the scored part to ``told``."""
    real, groups = truth[part == 0], images.groups[part == 0]

    def score(name: str, answers: NDArray[np.int64], own: bool = False) -> None:
        told[name] = answers
        for figure, value, spread in (
            ("accuracy", float((answers == real).mean()), _spread(real, answers, groups, _right)),
            ("macro-F1", _macro(real, answers), _spread(real, answers, groups, _macro)),
        ):
            if own:
                report.add(f"{figure}, {name}", value, len(real), spread)
            else:
                report.beside(name, figure, value, len(real), spread)

    return score


def _right(real: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    return float((real == answers).mean())


def _macro(real: NDArray[np.int64], answers: NDArray[np.int64]) -> float:
    from sklearn.metrics import f1_score

    return float(f1_score(real, answers, average="macro", labels=np.unique(real), zero_division=0))


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
    features: NDArray[np.float32], truth: NDArray[np.int64], part: NDArray[np.int64]
) -> NDArray[np.int64]:
    """Answers of a logistic regression whose penalty part 1 chose, on part 0."""
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
        _macro(truth[part == 1], fitted(part > 1, one).predict(features[part == 1]))
        for one in PENALTIES
    ]
    best = PENALTIES[int(np.argmax(tried))]
    return np.asarray(fitted(part != 0, best).predict(features[part == 0]), np.int64)


def _features(vit: SmallViT, images: LabelledImages) -> NDArray[np.float32]:
    return pooled_tokens(TrainedHere(vit, "").encode(images.pictures))


def _only(pictures: Pictures, rows: NDArray[np.bool_]) -> Pictures:
    return Pictures(pictures.values[rows], pictures.channels)


def main() -> int:
    """``python -m training.evaluate.images DATA WORK``."""
    folder, work = Path(sys.argv[1]), Path(sys.argv[2])
    work.mkdir(parents=True, exist_ok=True)
    phenotypes(folder, work=work, show=True).show(work / "phenotypes.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
