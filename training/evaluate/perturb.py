"""Perturbation models on screens of which nothing was used to make them: each beside the baselines.

``python -m training.evaluate.perturb --data FOLDER [--gears KEEP]`` prints the table and writes it
as JSON; ``celloquy evaluate perturb`` is the same without the network. Scored are left-out genes of
a THP-1 knock-out screen (Papalexi et al. 2021, doi:10.1038/s41588-021-00778-2) and left-out genes
and pairs of a K562 activation screen (Norman et al. 2019, doi:10.1126/science.aax4438): Pearson
correlation of changes over all genes, mean squared error on the twenty genes that differ most from
the control by Welch's t, and the share of these whose direction is right. Spread is the standard
deviation over perturbations.

GEARS is trained on folds of genes, not once a gene: a fit takes the better part of a minute. Its
sizes and rates were set on the third screen of the data (McFaline-Figueroa et al. 2023, nine kinase
knock-downs in three glioma lines), which is not scored. ``KEEP`` is where fits are kept, so that a
run that was cut goes on.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.perturbation.choice import Measure, agreement, cases, measure, pearson
from encoders.perturbation.genes import gene_space
from encoders.perturbation.models import FAMILIES, MEAN, training_of
from encoders.perturbation.screen import Screen, read_screen
from training.evaluate.figures import Report, versions

if TYPE_CHECKING:
    from training.perturb.data import Cells
    from training.perturb.train import PerturbConfig

__all__ = ["SCREENS", "Score", "perturb", "scores"]

TOP = 20
"""Differing genes that are looked at; GEARS's number."""

SCREENS: Mapping[str, tuple[str, str | None, tuple[tuple[str, int, int], ...]]] = {
    "THP-1": (
        "papalexi2021_eccite_thp1_crisprko_dev_counts.h5ad", None, (("genes", 1, 1),),
    ),
    "Norman": (
        "perturbench_norman19_mcfaline23_5961x500_lognorm.h5ad", "dataset=norman19",
        (("genes", 1, 1), ("pairs of seen genes", 2, 0), ("pairs, one gene unseen", 2, 1),
         ("pairs of unseen genes", 2, 2)),
    ),
}  # fmt: skip
"""Screens by name: file, cells, and what is left out: genes of a question, and unseen ones."""

FAMILY_NAMES = {
    "no-change": "no change", "mean": "mean profile", "additive": "additive",
    "own": "mean and own gene", "text": "linear, texts", "go": "linear, GO",
    "both": "linear, texts and GO",
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Score:
    """Of one prediction: delta-Pearson, error on the top genes, share of right directions."""

    correlation: float
    error: float
    direction: float


def scores(
    predicted: NDArray[np.float64], screen: Screen, rows: Sequence[int]
) -> tuple[Score, ...]:
    """Score predictions [rows, N] of perturbations of a screen."""
    found = []
    for made, row in zip(predicted, rows, strict=True):
        truth, errors = screen.changes[row], screen.errors[row]
        t = np.abs(truth) / np.where(errors > 0, errors, np.inf)
        top = np.argsort(-t, kind="stable")[:TOP]
        found.append(
            Score(
                pearson(made, truth),
                float(((made - truth)[top] ** 2).mean()),
                float((np.sign(made[top]) == np.sign(truth[top])).mean()),
            )
        )
    return tuple(found)


def perturb(
    folder: Path, seed: int = 0, gears: Path | None = None, only: str | None = None
) -> Report:
    """The suite, as ``celloquy evaluate`` prints it.

    Parameters
    ----------
    folder
        Evaluation data, with ``perturbation/`` in it.
    seed
        Of GEARS's folds and weights; the other models draw nothing.
    gears
        Also GEARS; the folder where its fits are kept.
    only
        One screen of :data:`SCREENS`.

    Raises
    ------
    BadInput
        When there is no such screen.
    """
    if only is not None and only not in SCREENS:
        raise BadInput(f"no screen is called {only!r}; there are: {', '.join(SCREENS)}")
    report = Report("perturb", versions=versions("torch", "scikit-learn"), seed=seed)
    for name, (file, cells, kinds) in SCREENS.items():
        if only not in (None, name):
            continue
        path = folder / "perturbation" / file
        screen = read_screen(path, cells=cells)
        training = training_of(screen, gene_space(screen.perturbed))
        for what, size, unseen in kinds:
            auto = measure(training, size, unseen)
            _add(report, f"{name}, {what}", None, scores(auto.predicted, screen, auto.rows))
            for family, label in FAMILY_NAMES.items():
                one = measure(training, size, unseen, FAMILIES[family])
                _add(report, f"{name}, {what}", label, scores(one.predicted, screen, one.rows))
            _beside_mean(report, f"{name}, {what}", auto)
            if gears is not None and (size, unseen) != (2, 1) and (size, unseen) != (2, 2):
                _add_gears(report, f"{name}, {what}", (path, cells, seed, gears), auto.rows)
    report.notes.append(
        "auto is measured on perturbations outside of its choice; chance directions are right half "
        "the time, and all mean profiles share the noise of the control mean with the truth"
    )
    return report


def _add(report: Report, what: str, label: str | None, found: Sequence[Score]) -> None:
    for name, values in (
        ("delta-Pearson", [s.correlation for s in found]),
        (f"top-{TOP} error", [s.error for s in found]),
        ("right direction", [s.direction for s in found]),
    ):
        mean, spread = float(np.mean(values)), float(np.std(values, ddof=1))
        if label is None:
            report.add(f"{what}: {name}", mean, len(values), spread)
        else:
            report.beside(label, f"{what}: {name}", mean, len(values), spread)


def _beside_mean(report: Report, what: str, auto: Measure) -> None:
    """The paired difference to the mean profile, and how far expected errors go with errors."""
    gain = auto.auto - auto.baselines[MEAN]
    error = float(gain.std(ddof=1) / np.sqrt(len(gain)))
    report.add(f"{what}: above the mean profile (spread: standard error)", float(gain.mean()),
               len(gain), error)  # fmt: skip
    report.add(f"{what}: Spearman of expected and true errors", auto.spearman, len(gain))


def _add_gears(
    report: Report,
    what: str,
    source: tuple[Path, str | None, int, Path],
    rows: Sequence[int],
) -> None:
    """GEARS by folds."""
    from training.perturb.data import read_cells
    from training.perturb.train import PerturbConfig

    path, wanted, seed, keep = source
    cells = read_cells(path, seed=seed, cells=wanted)
    base = PerturbConfig()
    base = replace(base, loop=replace(base.loop, seed=seed))
    label = "GEARS"
    size = len(cells.screen.sets[rows[0]])
    found = dict(_kept(keep / f"{path.stem}-{size}-{label}-{seed}.npz", cells, size, base))
    at = [row for row in rows if row in found]
    made = np.array([found[row][0] for row in at])
    _add(report, what, label, scores(made, cells.screen, at))
    expected = np.array([found[row][1] for row in at])
    errors = np.abs(made - cells.screen.changes[at])
    value = agreement(expected, errors, cells.screen.control)
    report.beside(label, f"{what}: Spearman of expected and true errors", value, len(at))


FOLDS = 5
"""Parts of a screen of which GEARS leaves one out at a time."""


def _kept(
    file: Path, cells: Cells, size: int, config: PerturbConfig
) -> Iterator[tuple[int, tuple[NDArray[np.float64], NDArray[np.float64]]]]:
    """Held-out changes and expected errors by row; each fold is written once it is there."""
    from encoders.perturbation.graphs import gene_nodes
    from training.perturb.data import folds
    from training.perturb.train import held_out

    sets = cells.screen.sets
    parts = folds(sets, FOLDS, config.loop.seed) if size == 1 else _pair_folds(sets)
    done: dict[str, NDArray[np.float64]] = {}
    if file.is_file():
        with np.load(file, allow_pickle=False) as read:
            done = {key: read[key] for key in read.files}
    nodes = None
    for part in parts:
        if any(f"change-{row}" not in done for row in part[1]):
            nodes = nodes or gene_nodes(cells.screen.perturbed)
            for row, (change, expected) in held_out(cells, nodes, [part], config).items():
                done[f"change-{row}"], done[f"expected-{row}"] = change, expected
            file.parent.mkdir(parents=True, exist_ok=True)
            np.savez_compressed(file, **done)  # type: ignore[arg-type]
        yield from ((row, (done[f"change-{row}"], done[f"expected-{row}"])) for row in part[1])


def _pair_folds(sets: Sequence[Sequence[str]]) -> list[tuple[list[int], list[int]]]:
    """Pairs whose genes are all perturbed elsewhere, a fifth of them left out at a time.

    A pair may only be left out where each of its genes is still trained on.
    """
    rows = [case.row for case in cases(sets, 2, 0)]
    found = []
    for part in range(FOLDS):
        test = rows[part::FOLDS]
        train = [i for i in range(len(sets)) if i not in test]
        left = {gene for i in train for gene in sets[i]}
        found.append((train, [row for row in test if set(sets[row]) <= left]))
    return [part for part in found if part[1]]


def main() -> None:
    """Print the table; with ``--write``, the JSON document too."""
    parse = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parse.add_argument("--data", type=Path, required=True)
    parse.add_argument("--gears", type=Path)
    parse.add_argument("--only", choices=list(SCREENS))
    parse.add_argument("--seed", type=int, default=0)
    parse.add_argument("--write", type=Path)
    given = parse.parse_args()
    perturb(given.data, given.seed, given.gears, given.only).show(given.write)


if __name__ == "__main__":
    main()
