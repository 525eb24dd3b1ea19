"""Where sources of markers disagree: with each other, or with a type's own definition.

A marker table takes over what several lists say, and one list may name a gene that another names
as absent, or that the Cell Ontology's definition calls negative ("CXCR3-positive, CCR6-negative").
Both are shown with the answer; which is right is not decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence

from agent.facts import Facts, Finding
from agent.kinds.genes import listing_sources
from agent.verification.statement import Form, Statement
from kg.terms import Curie, Edge, Scope

__all__ = ["disagreements"]

_SIGNS = {False: "negative|low", True: "positive|high|bright"}
"""Words of a definition that speak against a gene's being listed as present, or as absent."""
_SHORTEST = 3  # characters of a gene's name that is looked for in a definition


def disagreements(
    facts: Facts,
    type: Curie,
    present: Mapping[Curie, Sequence[Edge]],
    absent: Mapping[Curie, Sequence[Edge]],
) -> tuple[list[Finding], list[str]]:
    """The definition, where it says otherwise, and a note on lists that contradict each other.

    Parameters
    ----------
    type
        The cell type.
    present, absent
        Genes that are listed as its markers, and whose absence is, with the edges that say so.
    """
    notes = [
        f"Sources disagree on {facts.names.label(gene)}: {_listed(present[gene])} as a marker, "
        f"{_listed(absent[gene])} as absent."
        for gene in present
        if gene in absent
    ]
    words = facts.words(type, "definition")
    if words is None:
        return [], notes
    against = [
        f"{facts.names.label(gene)} is {sign}"
        for genes, listed_absent in ((present, False), (absent, True))
        for gene, sign in _said(facts, words.text, genes, listed_absent=listed_absent)
    ]
    if not against:
        return [], notes
    statement = Statement(Form.DEFINED, subject=type, quotes=(words.text,))
    lead = f"But by the definition {' and '.join(against)}"
    return [Finding(statement, (words,), lead)], notes


def _listed(edges: Iterable[Edge]) -> str:
    return f"listed by {', '.join(listing_sources(edges)) or 'the marker table'}"


def _said(
    facts: Facts, definition: str, genes: Iterable[Curie], *, listed_absent: bool
) -> list[tuple[Curie, str]]:
    """The genes of which a definition says the contrary, with its word for it."""
    found = []
    for gene in genes:
        term = facts.names.term(gene)
        exact = [s.text for s in term.synonyms if s.scope is Scope.EXACT] if term else []
        names = [name for name in (facts.names.label(gene), *exact) if len(name) >= _SHORTEST]
        either = "|".join(re.escape(name) for name in names)
        match = re.search(rf"(?<![\w-])(?:{either})[ -]({_SIGNS[listed_absent]})\b", definition)
        if match and either:
            found.append((gene, match[1]))
    return found
