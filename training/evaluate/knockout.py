"""Which gene is knocked out: guides held out, four folds, beside the baselines on the same inputs.

Expression: the THP-1 screen of Papalexi et al. 2021 (10.1038/s41588-021-00778-2), 19 genes and
control cells, as pseudo-cells of about 50 cells and as single cells. Images: crops of the
optical pooled screen PERISCOPE (10.1038/s41592-024-02537-7), 5 genes and control cells, too few to
tune anything on. Genuine pairs: spots of a Visium section with the tissue under them.

A fold that was measured is kept below ``work`` and not measured again; ``python -m
training.evaluate.knockout DATA WORK PART ...`` measures one part at a time (``pooled-0`` ...,
``single-0`` ..., ``images``, ``spots``); ``--seed N`` draws otherwise.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import numpy as np

from data.errors import BadInput
from encoders.image.tokens import TrainedHere
from encoders.knockout.knocked import KnockedOut
from encoders.language import LanguageModel, load
from training.evaluate.figures import Report, versions
from training.images.pretraining import pretrain
from training.knockout.baselines import Ranked, Repeated, joined
from training.knockout.data import folds, read_image_screen, read_screen
from training.knockout.figures import ALONE, FIGURES, IMAGE_VIT, OWN, image_inputs
from training.knockout.run import (
    Inputs,
    alike,
    alone,
    image_tokens,
    inputs_of,
    learn,
    score,
    through,
    untaught,
    untrained,
)
from training.knockout.spots import measure_spots
from training.knockout.train import KnockoutConfig

__all__ = ["FIGURES", "OWN", "PARTS", "knockout", "main"]

FOLDS = 4
PARTS = (
    *(f"{what}-{i}" for what in ("pooled", "single") for i in range(FOLDS)),
    "images",
    "spots",
)

CELLS = "perturbation/papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad"
CROPS = "images/periscope_hela_ko_crops_dev.npz"

SINGLE = 400
"""Single cells that are scored in each fold."""

UNTRAINED = "untrained"
RUNS = {"pooled": 8, "single": 3, "images": 8}
"""Untrained models whose mean is the control: what one of them ranks first is an accident."""

NOT_TAUGHT = "not taught"
"""The resampler as it starts, without a step through the language model."""

IMAGE_STEPS = 60
"""Steps in token space for each fold of images, none through the language model; not tuned."""

Outcome = dict[str, Ranked]


def knockout(folder: Path, seed: int = 0, work: Path | None = None) -> Report:
    """All parts, beside their baselines; about half an hour on one core.

    Parameters
    ----------
    folder
        Of development data.
    seed
        Of everything that is drawn.
    work
        Where parts that were measured are kept; None to keep nothing.
    """
    if work is None:  # single cells are told by the models that were trained for pseudo-cells
        with tempfile.TemporaryDirectory() as made:
            return knockout(folder, seed, Path(made))
    found = [_part(part, folder, seed, work) for part in PARTS]
    report = Report("knockout", versions=versions("torch", "transformers", "scikit-learn"),
                    seed=seed)  # fmt: skip
    for group in dict.fromkeys(name for one in found for name in one):
        outcomes = [one[group] for one in found if group in one]
        shared = [name for name in outcomes[0] if all(name in one for one in outcomes)]
        together = {name: joined([one[name] for one in outcomes]) for name in shared}
        _tell(report, group, together)
    return report


def _tell(report: Report, group: str, outcome: Outcome) -> None:
    """The figures of one group; the first ranking is the model's own."""
    (_, own), *others = _runs_together(outcome)
    for figure in FIGURES:
        report.add(f"{group}, {figure}", own.figure(figure)[0], len(own.right),
                   round(own.figure(figure)[1], 4))  # fmt: skip
        for name, one in others:
            value, error = one.figure(figure)
            report.beside(name, f"{group}, {figure}", value, len(one.right), round(error, 4))
    for name, one in others:
        for figure in FIGURES:
            by, error = own.above(one, figure)
            even, of_even = own.above_alike(one, figure)
            report.notes.append(
                f"{group}: {figure} is {by:+.3f} +- {error:.3f} against {name} "
                f"(n = {len(own.right)}; {even:+.3f} +- {of_even:.3f} with the "
                f"{len(set(own.groups))} guides alike)"
            )


def _runs_together(outcome: Outcome) -> list[tuple[str, Ranked | Repeated]]:
    """Rankings by name, those of all untrained models as one."""
    runs = tuple(one for name, one in outcome.items() if name.startswith(UNTRAINED))
    found: list[tuple[str, Ranked | Repeated]] = []
    for name, one in outcome.items():
        if not name.startswith(UNTRAINED):
            found.append((name, one))
        elif one is runs[0]:
            found.append((f"{UNTRAINED}, mean of {len(runs)}", Repeated(runs)))
    return found


def _never_trained(
    knocked: KnockedOut, test: Inputs, config: KnockoutConfig, part: str
) -> dict[str, Ranked]:
    """What several untrained models say of the same inputs."""
    return {
        f"{UNTRAINED} {run}": through(untrained(knocked, config, run), test)
        for run in range(RUNS[part])
    }


def _part(part: str, folder: Path, seed: int, work: Path | None) -> dict[str, Outcome]:
    """What one part measures, by what it was measured on; read where it was measured before."""
    path = work / f"{part}-{seed}.npz" if work else None
    if path is not None and path.is_file():
        return _read(path)
    language = load()
    if part == "images":
        found = {"images": _images(folder, language, seed)}
    elif part == "spots":
        found = {"spots": measure_spots(folder, language, seed)}
    else:
        found = _fold(folder, language, part, seed, work)
    if path is not None:
        _write(path, found)
    return found


def _fold(
    folder: Path, language: LanguageModel, part: str, seed: int, work: Path | None
) -> dict[str, Outcome]:
    """One fold of guides as pseudo-cells, as single cells, or beside the control."""
    name, number = part.split("-")
    held = int(number)
    screen = read_screen(folder / CELLS, "perturbation", "guide_id")
    config = _seeded(KnockoutConfig(), seed)
    kept = work / f"run-{held}-{seed}" if work else None
    knocked, _ = learn(language, screen, None, held, config, kept, show=work is not None)
    single = name == "single"
    learnt, test = inputs_of(
        knocked, screen, held, pools_of_cells=not single, most=SINGLE if single else None, seed=seed
    )
    own = {
        OWN: through(knocked, test),
        ALONE: alone(knocked, test, config),
        **({} if single else {NOT_TAUGHT: through(untaught(knocked, config), test)}),
        **_never_trained(knocked, test, config, name),
    }
    regressed = None if single else alike(knocked, screen, held, test, seed)
    return {name: score(learnt, test, own, regressed)}


def _images(folder: Path, language: LanguageModel, seed: int) -> Outcome:
    """PERISCOPE crops, all folds."""
    screen = read_image_screen(folder / CROPS)
    vit, _ = pretrain(screen.pictures, IMAGE_VIT)
    encoder = TrainedHere(vit, "crops")
    tokens = image_tokens(encoder, screen)
    config = _seeded(KnockoutConfig(), seed)
    config = replace(config, align=replace(config.align, steps=IMAGE_STEPS), align_batch=16)
    seen = (screen, encoder, tokens)
    outcomes: dict[str, list[Ranked]] = {}
    for held in range(folds(screen.labels, screen.guides).max() + 1):
        learnt, test = image_inputs(seen, held)
        if not len(test.right):
            continue
        knocked, _ = learn(language, None, seen, held, config, steps=("align",))
        own = {
            OWN: through(knocked, test),
            ALONE: alone(knocked, test, config),
            **_never_trained(knocked, test, config, "images"),
        }
        for name, one in score(learnt, test, own).items():
            outcomes.setdefault(name, []).append(one)
    return {name: joined(parts) for name, parts in outcomes.items()}


def _seeded(config: KnockoutConfig, seed: int) -> KnockoutConfig:
    return replace(
        config,
        align=replace(config.align, seed=seed),
        teach=replace(config.teach, seed=seed),
        teach_images=replace(config.teach_images, seed=seed),
    )


def _write(path: Path, found: Mapping[str, Outcome]) -> None:
    arrays = {}
    for group, outcome in found.items():
        for name, one in outcome.items():
            key = f"{group}|{name}"
            arrays[f"{key}|names"] = np.array(one.names, str)
            arrays[f"{key}|scores"] = one.scores
            arrays[f"{key}|right"] = one.right.astype(str)
            arrays[f"{key}|groups"] = one.groups.astype(str)
    path.parent.mkdir(parents=True, exist_ok=True)
    np.savez(path, **arrays)  # type: ignore[arg-type]


def _read(path: Path) -> dict[str, Outcome]:
    found: dict[str, Outcome] = {}
    with np.load(path, allow_pickle=False) as arrays:
        for key in arrays.files:
            group, name, what = key.split("|")
            if what == "names":
                names, scores, right, groups = (
                    arrays[f"{group}|{name}|{one}"]
                    for one in ("names", "scores", "right", "groups")
                )
                found.setdefault(group, {})[name] = Ranked(
                    tuple(names.tolist()), scores, right.astype(object), groups.astype(object)
                )
    return found


def main() -> int:
    """``python -m training.evaluate.knockout DATA WORK [PART ...] [--seed N]``."""
    words = sys.argv[1:]
    seed = int(words.pop(words.index("--seed") + 1)) if "--seed" in words else 0
    folder, work, *parts = (Path(one) for one in words if one != "--seed")
    if unknown := {str(one) for one in parts} - set(PARTS):
        raise BadInput(f"{sorted(unknown)[0]} is no part; expected: {', '.join(PARTS)}")
    for part in parts:
        _part(str(part), folder, seed, work)
    if not parts:
        knockout(folder, seed, work).show(work / "knockout.json")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
