"""What instruction tuning is trained on: items of the training terms, and plain text beside them.

Gives :func:`instructions` and :func:`marker_lists`. The plain text is definitions of Cell Ontology
terms of the training split (CC BY 4.0). Held-out types are in neither.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Mapping
from functools import partial
from typing import TYPE_CHECKING

from kg.terms import Curie
from training.holdout import split_of_term
from training.instruction_data import Item, Kind, Writer

if TYPE_CHECKING:
    from encoders.language import LanguageModel
    from training.align_data import Material

__all__ = ["CLOSING", "LEARNT", "TOKENS", "instructions", "marker_lists"]

TOKENS, TALK_TOKENS = 88, 64
"""The most tokens of facts and one question, of an item by itself and in a talk: short facts teach
reading as well as long ones and cost less."""


LEARNT: Mapping[Kind, float] = {
    "yes_no": 0.1, "type": 0.34, "parent": 0.07, "markers": 0.05, "member": 0.05, "choice": 0.11,
    "fact_parent": 0.06, "fact_marker": 0.06, "certainty": 0.04, "abstain": 0.12,
}  # fmt: skip
"""Share of each kind among what is learnt. Of questions about cells more than half ask for the
type: a name is written right once it has been written a dozen times."""

CLOSING: Mapping[Kind, float] = {
    "type": 0.54, "parent": 0.02, "markers": 0.02, "member": 0.03, "choice": 0.03, "yes_no": 0.08,
    "fact_parent": 0.07, "fact_marker": 0.06, "certainty": 0.04, "abstain": 0.11,
}  # fmt: skip
"""The same for the steps at the end: names above all among the questions about cells, and single
questions on facts beside them, since a model that goes on with names alone forgets to abstain."""

_READ = 4  # one talk in so many reads lists of markers, parents or degrees of certainty


def marker_lists(unseen: Collection[Curie] = ()) -> dict[Curie, list[str]]:
    """Positive markers of each type but those of ``unseen``, most sources first."""
    from data.markers import read_markers

    found: dict[Curie, list[tuple[int, str]]] = defaultdict(list)
    for marker in read_markers():
        if marker.positive and marker.cl_id not in unseen:
            found[marker.cl_id].append((-len(marker.sources), marker.gene))
    return {term: [gene for _, gene in sorted(genes)] for term, genes in found.items()}


def instructions(
    found: Material,
    language: LanguageModel,
    n: int,
    *,
    seed: int = 0,
    shares: Mapping[Kind, float] = LEARNT,
    closing: bool = False,
) -> tuple[list[Item], list[list[Item]], list[str]]:
    """About ``n`` items of the training terms, half as many talks, and definitions of the terms.

    Parameters
    ----------
    found
        Cells, terms and the ontology.
    language
        Whose tokens are counted.
    n
        Items.
    seed
        Of the items.
    shares
        Of the kinds of items.
    closing
        Whether these are the steps at the end, which have more wordings.
    """
    items, talks = (
        Writer(
            found.hierarchy,
            found.unseen,
            "train",
            markers=marker_lists(found.unseen),
            cells=set(found.cells.types),
            seed=seed,
            closing=closing,
            fits=partial(_fits, language, most),
        )
        for most in (TOKENS, TALK_TOKENS)
    )
    plain = [
        term.definition
        for one, term in sorted(found.terms.items())
        if term.definition and split_of_term(one, found.unseen) == "train"
    ]
    held: list[list[Item]] = []
    for number in range(n):
        talk = talks.conversation(8) if number % _READ else talks.reading(8)
        if len(talk) > 1:
            held.append(talk)
    return items.items(n, shares), held[: n // 2], plain


def _fits(language: LanguageModel, most: int, text: str) -> bool:
    return language.count(text) <= most
