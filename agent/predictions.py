"""What models predict, as evidence: asked by name, told in fixed words, and asked again to check.

A question to a model is its name and arguments (:attr:`PredictionEvidence.asked`); the words are
made from the :class:`encoders.prediction.Prediction` alone and always say that it is predicted, by
what, and the figure that the model was measured at beside the best trivial baseline. The verifier
asks the model anew and shows no word that the model does not give. Models are loaded when asked.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import BadInput, CelloquyError
from data.genes import Species
from encoders.prediction import Predicted, Prediction
from kg.terms import Curie
from retrieval.evidence import PredictionEvidence

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells
    from encoders.perturbation.effect import Knockout
    from kg.graph import KnowledgeGraph

__all__ = ["MODELS", "Seen", "ask", "problem"]

SHOWN = 5
"""Candidates that a sentence names."""


@dataclass(frozen=True, eq=False)
class Seen:
    """What a model may look at besides its arguments."""

    graph: KnowledgeGraph
    cells: AttachedCells | None = None
    selection: str = ""
    image: Path | None = None
    knockouts: Path | None = None


Model = Callable[..., Prediction]
"""Called with what is seen and the arguments of the question."""


def ask(seen: Seen, model: str, *arguments: str) -> PredictionEvidence:
    """Ask a model of :data:`MODELS` and put its answer into words.

    Raises
    ------
    CelloquyError
        When the model cannot say anything on it; the message says why.
    """
    return _told(MODELS[model](seen, *arguments), (model, *arguments), seen.selection)


def problem(piece: PredictionEvidence, seen: Seen) -> str:
    """Why a prediction cannot be relied on to be the model's, or ""."""
    name, *arguments = piece.asked or ("",)
    if name not in MODELS:
        return f"no model is named {name!r}"
    try:
        again = ask(replace(seen, selection=piece.selection), name, *arguments)
    except (CelloquyError, TypeError, KeyError) as error:
        return f"the model does not say it again: {error}"
    if unknown := _unknown(again, seen.graph):
        return f"{unknown} is not in the loaded releases"
    return "" if again == piece else "the model, asked again, says something else"


def _unknown(piece: PredictionEvidence, graph: KnowledgeGraph) -> str:
    """The first of the candidates that no release holds, or ""; HPO's are in a file of its own."""
    from encoders.bridge.tables import current

    named = [one for one, _ in piece.figures if ":" in one]
    held = current(graph, named)
    return next((one for one in named if one not in held), "")


def _told(prediction: Prediction, asked: tuple[str, ...], selection: str) -> PredictionEvidence:
    shown = prediction.ranked[:SHOWN]
    measured = prediction.measured
    about = prediction.about[:1].upper() + prediction.about[1:]
    text = (
        f"{about}, predicted by {prediction.model}, not known: "
        f"{', '.join(map(_candidate, shown))} ({prediction.unit}); measured: {measured.sentence()}"
    )
    return PredictionEvidence(
        text,
        prediction.model,
        prediction.release,
        f"{measured.figure} {measured.value:.3f} on {measured.data}, n = {measured.n}",
        f"{measured.baseline} {measured.baseline_value:.3f}",
        selection=selection,
        figures=tuple((one.id, _short(one.score)) for one in shown),
        asked=asked,
        notes=prediction.notes,
        value=measured.value,
        baseline_value=measured.baseline_value,
        confidence=prediction.confidence,
        observed=prediction.observed,
    )


def _candidate(one: Predicted) -> str:
    """A candidate in words: its label, its id where that is another, its score."""
    name = f"{one.label} ({one.id})" if ":" in one.id else one.label
    error = "" if one.uncertainty is None else f" (expected error {one.uncertainty:.2g})"
    return f"{name} {_short(one.score):g}{error}"


def _short(value: float) -> float:
    """Three significant digits: what a reader compares, and what does not hang on last bits."""
    if value == 0 or not math.isfinite(value):
        return value
    return round(value, 2 - math.floor(math.log10(abs(value))))


def _bridge(seen: Seen, gene: Curie, target: str) -> Prediction:
    """Links of a gene that nobody has stated."""
    from encoders.bridge.links import bridge

    species: Species = "mouse" if gene.startswith("MGI:") else "human"
    return bridge(gene, target, limit=SHOWN, species=species, graph=seen.graph).prediction


def _knockout(seen: Seen, *genes: str) -> Prediction:
    """What knocking genes out changes, by the attached screen."""
    from encoders.perturbation.effect import knockout

    cells, many = _cells(seen), SHOWN + len(genes)
    found = knockout(cells.source, list(genes), limit=many, graph=seen.graph, called=cells.name)
    said = found.prediction
    # The target's own fall is no finding.
    ranked = tuple(one for one in said.ranked if one.label not in genes and one.id not in genes)
    return replace(said, ranked=ranked, observed=_observed(found, ranked[:SHOWN]))


def _observed(found: Knockout, shown: Sequence[Predicted]) -> str:
    """What the file's own cells of the perturbation show of the genes that are named, or ""."""
    if found.observed is None or found.observed_errors is None:
        return ""
    place = {gene: i for i, gene in enumerate(found.genes)}
    told = ", ".join(
        f"{one.label} {found.observed[place[one.label]]:+.2f} "
        f"± {found.observed_errors[place[one.label]]:.2f}"
        for one in shown
    )
    names = " and ".join(found.perturbed)
    return (
        f"Observed, not predicted, in the file's own {found.observed_cells:,} cells with {names} "
        f"perturbed, which the prediction was made without: {told}"
    )


def _knocked_out(seen: Seen) -> Prediction:
    """Which gene is knocked out in the selected cells, the image, or both."""
    if seen.knockouts is None:
        raise BadInput(
            "no model of knock-outs was named; train one with celloquy train knockout, and name "
            "its folder with --knockouts FOLDER"
        )
    from encoders.image.pictures import read_pictures
    from encoders.knockout.knocked import knocked_out

    pictures = read_pictures(seen.image) if seen.image is not None else None
    if seen.cells is None:
        said = knocked_out(seen.knockouts, pictures=pictures)
    else:
        values = seen.cells.log1p(seen.selection)
        said = knocked_out(seen.knockouts, values, seen.cells.named.genes, pictures)
    # Its scores are probabilities, scaled on guides that it was not trained on.
    return replace(said, confidence=said.ranked[0].score)


def _guess(seen: Seen) -> Prediction:
    """What the language-model core itself takes the selected cells for."""
    from agent.attached.cells import known
    from encoders.cellguess import guess

    cells, facts = _cells(seen), known(seen.graph)
    terms = seen.graph.terms(facts.sets.ids)
    ordered = [terms[one] for one in facts.sets.ids]
    return guess(
        cells.log1p(seen.selection), cells.named.genes, ordered, facts.hierarchy, top=SHOWN
    )


def _cells(seen: Seen) -> AttachedCells:
    if seen.cells is None:
        raise BadInput("no cells are attached; attach some with --h5ad FILE")
    return seen.cells


MODELS: Mapping[str, Model] = {
    "bridge": _bridge,
    "knockout": _knockout,
    "knocked out": _knocked_out,
    "core": _guess,
}
"""The models by name; each is called as ``model(seen, *arguments)``."""
