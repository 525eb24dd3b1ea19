"""Questions that a model answers: what is known first, then the prediction, never mixed.

A prediction is one sentence that says it is predicted, by what, and the figure the model was
measured at beside its best trivial baseline (:mod:`agent.predictions`). Where a model cannot say
anything, what is known is still told, and why there is no more.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from agent import predictions
from agent.attached.these import These, measured
from agent.config import AskConfig
from agent.facts import Facts, Found, none_found
from agent.kinds.genes import fact
from agent.predictions import Seen
from agent.routing.router import Plan
from data.errors import BadFile, CelloquyError
from kg.terms import (
    ENABLES,
    GENE_DISEASE,
    HAS_PHENOTYPE,
    INVOLVED_IN,
    LOCATED_IN,
    MARKER_OF,
    Curie,
)

__all__ = [
    "KNOCKED_OUT",
    "LINKS",
    "Link",
    "knocked_out",
    "knockout",
    "linked",
    "no_screen",
    "second_opinion",
    "usable_image",
    "which_gene",
]

KNOWN = 5
"""Known links that are named before the predicted ones."""


@dataclass(frozen=True, slots=True)
class Link:
    """A kind of term that a gene may be linked to, as the bridge calls it."""

    target: str
    predicate: Curie


LINKS = {
    "predicted_processes": Link("process", INVOLVED_IN),
    "predicted_functions": Link("function", ENABLES),
    "predicted_locations": Link("component", LOCATED_IN),
    "predicted_diseases": Link("disease", GENE_DISEASE),
    "predicted_phenotypes": Link("phenotype", HAS_PHENOTYPE),
    "predicted_types": Link("celltype", MARKER_OF),
}
"""By the name of the tool that asks for it."""


def linked(name: str) -> Callable[[Facts, Curie], Found]:
    """The tool of that name: known links of a gene, then predicted ones."""
    link = LINKS[name]

    def run(facts: Facts, gene: Curie) -> Found:
        known, total = facts.around(gene, (link.predicate,), "out", limit=KNOWN)
        findings = [fact(facts, gene, link.predicate, known, lead="Known")] if known else []
        notes = [] if total <= len(known) else [f"{len(known)} of {total} known ones are named."]
        try:
            said = predictions.ask(Seen(facts.graph), "bridge", gene, link.target)
        except CelloquyError as error:
            why = f"nothing is predicted: {_line(error)}"
            return Found(tuple(findings), (*notes, f"{why}."), lacking=why)
        return Found((*findings, measured(said)), tuple(notes), warnings=said.notes)

    run.__doc__ = f"Known links of a gene to a {link.target}, then predicted ones."
    return run


def knockout(facts: Facts, these: These, *genes: Curie) -> Found:
    """What knocking genes out changes, all at once, by a model of the attached screen."""
    return _asked(Seen(facts.graph, these.cells), "knockout", *map(facts.names.label, genes))


def no_screen(facts: Facts, gene: Curie) -> Found:
    """What to do where no screen is attached."""
    label = facts.names.label(gene)
    return none_found(
        f"what a knock-out of {label} changes is predicted from a screen, and none is attached; "
        f"attach one (--h5ad FILE), or: celloquy knockout {label} --h5ad FILE"
    )


def second_opinion(facts: Facts, these: These) -> Found:
    """What the language-model core takes the cells for, by their soft tokens alone."""
    return _asked(Seen(facts.graph, these.cells, these.selection), "core")


KNOCKED_OUT = "knocked_out"
"""The tool that says which gene is knocked out in what is attached."""

_OUT = r"(?:knocked[- ]?(?:out|down)|deleted|missing|perturbed|silenced|disrupted|inactivated|ko)"
_WHICH = re.compile(
    rf"\b(?:which|what) genes? (?:is|are|was|were|has been|have been|do (?:these|the) cells) "
    rf"(?:\w+ )?{_OUT}\b|\b(?:which|what) (?:knock-?out|perturbation) (?:is|are|was|were|do)\b",
    re.IGNORECASE,
)


def which_gene(question: str) -> Plan | None:
    """The plan for "Which gene is knocked out here?"; None for any other question."""
    found = _WHICH.search(question)
    return Plan(KNOCKED_OUT, why=f"asks {found[0]!r} of what is attached") if found else None


def usable_image(image: Path | str | None, config: AskConfig | None) -> Path | None:
    """The image's path once it can be read, and the model beside it: before anything is asked.

    Raises
    ------
    BadFile
        When the image or the folder of the model cannot be used.
    """
    folder = config.knockouts if config else None
    if folder is not None and not (folder / "knockout.json").is_file():
        raise BadFile(
            f"{folder} holds no model of knock-outs; expected a folder that celloquy train "
            "knockout wrote"
        )
    if image is None:
        return None
    from encoders.image.pictures import read_pictures

    read_pictures(image)
    return Path(image)


def knocked_out(seen: Seen) -> Found:
    """Which gene is knocked out in the selected cells, the image, or both."""
    return _asked(seen, "knocked out")


def _asked(seen: Seen, model: str, *arguments: str) -> Found:
    try:
        said = predictions.ask(seen, model, *arguments)
    except CelloquyError as error:
        return none_found(_line(error))
    notes = (f"{said.observed}.",) if said.observed else ()
    return Found((measured(said),), notes, warnings=said.notes)


def _line(error: CelloquyError) -> str:
    return " ".join(str(error).split()).rstrip(".")
