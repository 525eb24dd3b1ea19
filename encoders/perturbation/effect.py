"""What a knock-out, or another perturbation, does to expression: a prediction that says its worth.

:func:`knockout` gives a :class:`~encoders.prediction.Prediction` of changes of log1p expression for
one gene or several with all that stands behind it: which model was taken and why, what the screen
itself shows where the gene was perturbed in it, and expected errors where they go with errors.
The model is fitted on the screen in the file, without the perturbation
that is asked about, or comes from a folder that ``celloquy train perturb`` wrote. Everything is
deterministic: the same file, genes and model give the same numbers. Asked again, the file is read
and the change computed again; only the fit is kept (:mod:`encoders.perturbation.fitted`). Knows no
graph facts and draws nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data import progress
from data.errors import BadFile, BadInput, CelloquyError
from encoders.perturbation.choice import SHOWN, Measure
from encoders.perturbation.fitted import fitted
from encoders.perturbation.genes import GeneSpace, gene_space
from encoders.perturbation.interaction import Interaction, interaction
from encoders.perturbation.models import (
    FAMILIES,
    MEAN,
    Recipe,
    Training,
    change,
    own_share,
    training_of,
    with_own,
)
from encoders.perturbation.screen import Screen, read_screen
from encoders.perturbation.store import Stored, load_stored
from encoders.prediction import Measured, Predicted, Prediction
from kg.graph import KnowledgeGraph

__all__ = ["LIMIT", "Knockout", "knockout"]

LIMIT = 100
"""Genes that a prediction ranks."""

UNIT = "change of mean log1p expression"


@dataclass(frozen=True, eq=False)
class Knockout:
    """A prediction with what stands behind it.

    Attributes
    ----------
    perturbed
        Current symbols of the perturbed genes.
    prediction
        What is predicted, most changed gene first.
    genes, changes, expected
        [N] the measured genes, their predicted changes, and the expected errors of these, None
        where those were not measured to go with errors.
    observed, observed_errors
        [N] what the cells of the file with this very perturbation show; None where there are none.
    observed_cells, held_out
        How many of them there are, and whether the prediction was made without them.
    screen
        What was read of the file.
    share
        By which share of its control level a perturbed gene itself changes; below 0 for a loss.
    interaction, interaction_of
        How two genes combine, where both were also perturbed alone: scores of the "observed" pair,
        or else of the "predicted" one.
    """

    perturbed: tuple[str, ...]
    prediction: Prediction
    genes: tuple[str, ...]
    changes: NDArray[np.float64]
    expected: NDArray[np.float64] | None
    observed: NDArray[np.float64] | None
    observed_errors: NDArray[np.float64] | None
    screen: Screen
    share: float | None
    observed_cells: int = 0
    held_out: bool = True
    interaction: Interaction | None = None
    interaction_of: str = ""


def knockout(
    path: Path | str | Any,
    genes: Sequence[str],
    model: Path | str | None = None,
    *,
    use: str = "auto",
    column: str | None = None,
    control: str | None = None,
    cells: str | None = None,
    within: str | None = None,
    layer: str | None = None,
    limit: int = LIMIT,
    graph: KnowledgeGraph | None = None,
    called: str | None = None,
) -> Knockout:
    """Predict what perturbing genes does to the control cells of a file.

    Parameters
    ----------
    path
        A screen, as .h5ad or AnnData; with ``model`` control cells are enough.
    genes
        Symbols, aliases or ids of human genes.
    model
        A folder of ``celloquy train perturb``; the fast models are fitted on the file without it.
    use
        A family of models (:data:`encoders.perturbation.models.FAMILIES`), or ``gears`` with a
        folder that holds one; ``auto`` takes what wins on left-out perturbations.
    column, control, cells, within, layer
        How the file is read; see :func:`encoders.perturbation.screen.read_screen`.
    limit
        Genes in the ranking.
    graph
        Where annotations are read.
    called
        What the file is called in what is told; its own name by default.

    Raises
    ------
    UnknownTerm
        When a gene is unknown, or nothing is known of it.
    BadInput
        When the file has no column of perturbations, no control cells, or too few perturbations.
    """
    if use != "gears" and use not in FAMILIES:
        raise BadInput(f"no model is called {use!r}; there are: {', '.join([*FAMILIES, 'gears'])}")
    wanted = _symbols(genes)
    stored = load_stored(Path(model)) if model is not None else None
    if use == "gears" and (stored is None or stored.network is None):
        raise BadInput(
            "gears is a trained model; train one with celloquy train perturb -o FOLDER, and name "
            "it with --model FOLDER"
        )
    with progress.line(f"what {' and '.join(wanted)} does") as say:
        say("reading the screen")
        here = read_screen(path, column=column, control=control, cells=cells, within=within,
                           layer=layer, called=called,
                           need_perturbations=stored is None)  # fmt: skip
        learnt = here if stored is None else _onto(stored, here)
        say("reading what is known of its genes")
        space = gene_space([*learnt.perturbed, *wanted], graph)
        space.expect(wanted)
        row = learnt.place(wanted)
        kept = [i for i in range(len(learnt.sets)) if i != row]
        training = training_of(learnt.taken(kept), space)
        say("choosing a model")
        found = _answer(training, wanted, use, stored, learnt, row is not None, say)
        made = _result(found, wanted, here, learnt, training, limit, (model, space))
        notes = (*made.prediction.notes, *_named(genes, wanted, learnt))
        return replace(made, prediction=replace(made.prediction, notes=notes))


@dataclass(frozen=True, eq=False)
class _Found:
    """What the chosen model gave."""

    name: str
    changes: NDArray[np.float64]
    expected: NDArray[np.float64] | None
    measured: Measured
    notes: tuple[str, ...]


def _symbols(genes: Sequence[str]) -> tuple[str, ...]:
    from data.genes import find_gene

    found = tuple(sorted({find_gene(gene).symbol for gene in genes}))
    if not found:
        raise BadInput("no gene was named; expected at least one")
    return found


def _named(genes: Sequence[str], wanted: Sequence[str], learnt: Screen) -> list[str]:
    """What to say of the genes as they were named: the same twice, or unknown to the screen."""
    said = []
    if len(genes) > len(wanted):
        said.append(
            f"{len(genes)} genes were named, and some are the same: it is told of "
            f"{' and '.join(wanted)} alone"
        )
    if new := [gene for gene in wanted if gene not in learnt.perturbed]:
        verb = "was" if len(new) == 1 else "were"
        said.append(
            f"{' and '.join(new)} {verb} not perturbed in the screen: what is told of it is "
            "learnt from other genes"
        )
    return said


def _onto(stored: Stored, here: Screen) -> Screen:
    """The screen of a trained model, on the genes that the file measures too."""
    place = {gene: i for i, gene in enumerate(here.genes)}
    shared = [i for i, gene in enumerate(stored.screen.genes) if gene in place]
    if 2 * len(shared) < len(stored.screen.genes):
        raise BadFile(
            f"{here.source} measures {len(shared):,} of the model's {len(stored.screen.genes):,} "
            "genes; expected at least half of them: use the file that the model was trained on, or "
            "train one on this file"
        )
    screen = stored.screen
    return replace(
        screen,
        genes=tuple(screen.genes[i] for i in shared),
        changes=screen.changes[:, shared],
        errors=screen.errors[:, shared],
        control=here.control[[place[screen.genes[i]] for i in shared]],
    )


def _answer(
    training: Training,
    wanted: tuple[str, ...],
    use: str,
    stored: Stored | None,
    learnt: Screen,
    seen: bool,
    say: Callable[[str], None],
) -> _Found:
    touched = {gene for some in training.sets for gene in some}
    unseen = sum(gene not in touched for gene in wanted)
    if use == "gears" and stored is not None:
        return _gears(stored, training, wanted, learnt, seen)
    recipes = FAMILIES[use]
    made = fitted(
        training, len(wanted), unseen, recipes,
        lambda done, of: say(f"measuring on perturbations left out: {done} of {of}"),
    )  # fmt: skip
    choice, worth = made.choice, made.worth
    if use == "auto" and stored is not None and not seen and unseen == len(wanted):
        beaten = stored.beats({training.sets[r]: s for r, s in zip(worth.rows, worth.auto,
                                                                   strict=True)})  # fmt: skip
        if beaten:
            return _gears(stored, training, wanted, learnt, seen)
    name = choice.recipe.label
    notes = [_why(use, choice.recipe, worth)]
    at = training.measured(wanted)
    expected = choice.expected(at) if worth.spearman > SHOWN else None
    if expected is None:
        notes.append(
            f"no expected errors are shown: their Spearman correlation with the errors is "
            f"{worth.spearman:.2f} on left-out perturbations, and {SHOWN} was asked for"
        )
    else:
        notes.append(
            f"expected errors say which genes are hard to predict (Spearman {worth.spearman:.2f} "
            "with the errors on left-out perturbations), not which perturbations are"
        )
    if unseen == len(wanted) and worth.near > SHOWN:
        notes += _near(training, wanted, touched, worth)
    changes = change(choice.recipe, training, wanted)
    kind = "left-out genes" if unseen == len(wanted) else "left-out perturbations"
    scored = {len(training.sets[row]) for row in worth.rows}
    if scored != {len(wanted)}:
        kind = "left-out single genes" if scored == {1} else "left-out perturbations"
        notes.append(
            f"too few perturbations of {len(wanted)} genes to measure by: the figure is of others"
        )
    measured = _measured(choice.recipe, worth, kind, learnt.source)
    return _Found(name, changes, expected, measured, tuple(notes))


def _near(
    training: Training, wanted: tuple[str, ...], touched: set[str], worth: Measure
) -> list[str]:
    """How near the training genes are, where that was measured to tell how good a prediction is."""
    found = [(gene, *training.space.nearest(gene, touched)) for gene in wanted]
    said = ", ".join(f"{near} for {gene} (cosine {alike:.2f})" for gene, alike, near in found)
    return [
        f"nearest perturbed gene by text: {said}; on left-out genes a nearer one went with a "
        f"better prediction (Spearman {worth.near:.2f})"
    ]


def _why(use: str, recipe: Recipe, worth: Measure) -> str:
    name = recipe.label
    if recipe in worth.baselines:
        name += ", a trivial model itself,"
    if use != "auto":
        return f"{name.rstrip(',')}: the model that was asked for"
    if recipe in worth.baselines:
        return (
            f"{name} was chosen among {len(FAMILIES['auto'])} models by left-out perturbations, "
            "and the figure is its own"
            + ("; it says the same whatever gene is asked about" if recipe == MEAN else "")
        )
    others = ", ".join(f"{r.name} {v.mean():.2f}" for r, v in worth.baselines.items())
    return (
        f"{name} was chosen among {len(FAMILIES['auto'])} models by left-out perturbations; the "
        f"choice itself is worth a delta-Pearson of {worth.auto.mean():.2f} ({others})"
    )


def _measured(recipe: Recipe, worth: Measure, kind: str, source: str) -> Measured:
    """The worth of the model that speaks, beside the best trivial one that is another.

    A trivial model has nothing that was chosen: its figure is its own. Of any other it is that of
    choosing, which names another model on some left-out perturbations.
    """
    own = worth.baselines.get(recipe, worth.auto)
    best = worth.best_other(recipe)
    return Measured(
        figure=f"delta-Pearson over {kind}",
        value=float(own.mean()),
        baseline=best.name,
        baseline_value=float(worth.baselines[best].mean()),
        data=Path(source).name,
        n=len(worth.rows),
        spread=float(own.std(ddof=1)) if len(worth.rows) > 1 else None,
    )


def _gears(
    stored: Stored, training: Training, wanted: tuple[str, ...], learnt: Screen, seen: bool
) -> _Found:
    """What the trained network predicts; its changes do not depend on the cell."""
    assert stored.network is not None and stored.measured is not None
    changes, expected = stored.network.predict(wanted)
    place = {gene: i for i, gene in enumerate(stored.screen.genes)}
    at = [place[gene] for gene in learnt.genes]
    notes = ["GEARS adds the same change to every cell: it reads no cell but the control mean"]
    if seen:
        notes.append("the model was trained on cells with this very perturbation: this is a fit, "
                     "not a prediction")  # fmt: skip
    shown = stored.scale * expected[at] if stored.spearman > SHOWN else None
    made = with_own(changes[at], training, wanted)
    return _Found("GEARS", made, shown, stored.measured, tuple(notes))


def _result(
    found: _Found,
    wanted: tuple[str, ...],
    here: Screen,
    learnt: Screen,
    training: Training,
    limit: int,
    made: tuple[Path | str | None, GeneSpace],
) -> Knockout:
    model, space = made
    order = np.lexsort((np.array(learnt.genes), -np.abs(found.changes)))[:limit]
    ranked = tuple(
        Predicted(
            _id(learnt.genes[i]), learnt.genes[i], float(found.changes[i]),
            None if found.expected is None else float(found.expected[i]),
        )
        for i in order
    )  # fmt: skip
    notes = [*found.notes, *here.notes]
    for gene in wanted:
        if gene in space.placed:
            near = ", ".join(space.placed[gene])
            notes.append(f"{gene} has no GO terms; it is placed by its text, beside {near}")
    row = here.place(wanted)
    seen = errors = None
    if row is not None:
        place = {gene: i for i, gene in enumerate(here.genes)}
        at = [place[gene] for gene in learnt.genes]
        seen, errors = here.changes[row][at], here.errors[row][at]
    release = _digest(training) if found.name != "GEARS" else _short(model)
    names = " and ".join(wanted)
    about = f"what perturbing {names} changes"
    if here.gain:
        about += f" in a screen with {here.gain}, which raises genes and is no knock-out"
    prediction = Prediction(
        about=about, model=found.name, release=release, unit=UNIT,
        measured=found.measured, ranked=ranked, notes=tuple(dict.fromkeys(notes)),
    )  # fmt: skip
    pair, of = _combined(wanted, learnt, found.changes, seen)
    return Knockout(
        wanted, prediction, learnt.genes, found.changes, found.expected, seen, errors, here,
        own_share(training), 0 if row is None else int(here.cells[row]), model is None, pair, of,
    )  # fmt: skip


def _combined(
    wanted: tuple[str, ...],
    learnt: Screen,
    changes: NDArray[np.float64],
    seen: NDArray[np.float64] | None,
) -> tuple[Interaction | None, str]:
    """Interaction scores of a pair whose genes were perturbed alone too."""
    rows = [learnt.place([gene]) for gene in wanted]
    both = changes if seen is None else seen
    if len(rows) != 2 or None in rows or not both.any():
        return None, ""
    a, b = (learnt.changes[row] for row in rows if row is not None)
    return interaction(a, b, both), "predicted" if seen is None else "observed"


def _id(name: str) -> str:
    """The CURIE of a measured gene, or its name where it is no known gene."""
    from data.genes import find_gene

    try:
        return find_gene(name).id
    except CelloquyError:
        return name


def _digest(training: Training) -> str:
    """The first 12 hex digits of the hash of what the model was fitted on."""
    from encoders.checkpoint import digest

    return digest(np.ascontiguousarray(training.changes.round(9)).tobytes())[:12]


def _short(model: Path | str | None) -> str:
    from encoders.checkpoint import load
    from encoders.perturbation.store import NAME

    assert model is not None
    return str(load(Path(model), NAME)[1]["sha256"])[:12]
