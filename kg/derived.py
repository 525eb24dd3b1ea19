"""Links derived from labels: a GO term whose label names a cell type *mentions* it.

"regulation of T cell activation" mentions T cell. That is a statement about words, made here and
in no source: its predicate is ``celloquy:mentions`` and its source ``derived-labels``, so that it
is never taken for biology that a curator stated.

A label names a type if the type's label stands in it word for word, in any letter case, the last
word in singular or plural. At each place the longest label wins ("CD8-positive, alpha-beta T
cell" and not "T cell" inside it); a label may name several types. Nothing is named by "cell"
(:data:`TOO_GENERAL`), inside the name of a molecule (:data:`MOLECULES`: "fibroblast growth factor")
or where a hyphen turns the meaning ("non-", "-derived"). Synonyms are not used: "HSC" is a hepatic
stellate cell too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from kg.source import Loaded
from kg.terms import MENTIONS, Curie, Edge, Release, Term

__all__ = ["MOLECULES", "TOO_GENERAL", "derive_mentions", "mentioned"]

TOO_GENERAL = frozenset({"CL:0000000"})
"""``cell``: thousands of GO labels hold the word and say nothing about a type."""

MOLECULES = (
    "B cell growth factor",
    "fibroblast growth factor",
    "granulocyte colony-stimulating factor",
    "granulocyte macrophage colony-stimulating factor",
    "hepatocyte growth factor",
    "keratinocyte growth factor",
    "macrophage colony-stimulating factor",
    "macrophage inflammatory protein",
    "macrophage migration inhibitory factor",
    "monocyte chemotactic protein",
    "platelet activating factor",
    "platelet derived growth factor",
    "stem cell factor",
)
"""Molecules in GO labels that are named after a cell type."""

_BEFORE = frozenset({"non", "pre", "pro", "anti"})
_AFTER = frozenset({"derived", "activating", "like", "type", "specific"})
_TOKEN = re.compile(r"\w+|[^\w\s]")


def derive_mentions(cell_types: Loaded, go: Loaded) -> Loaded:
    """Return the links from current GO terms to the current cell types in their labels."""
    release = Release(
        source="derived-labels",
        version=f"CL {cell_types.release.version}, GO {go.release.version}",
        date=min(cell_types.release.date, go.release.date),
        licence="CC BY 4.0",
        citation="derived by Celloquy from the labels of the Cell Ontology and the Gene Ontology",
    )
    names = _names(cell_types.terms)
    edges = tuple(
        Edge(term.id, MENTIONS, cell, release.source, release.version)
        for term in go.terms
        if not term.obsolete
        for cell in mentioned(term.label, names)
    )
    notice = (
        f"derived-labels: {len({edge.subject for edge in edges})} GO terms mention "
        f"{len({edge.object for edge in edges})} cell types"
    )
    return Loaded(release, (), edges, (notice,))


def mentioned(label: str, names: Mapping[tuple[str, ...], Curie]) -> list[Curie]:
    """Return the types that a label names, each once, in order.

    >>> mentioned("B cells and T cell receptor", {("b", "cell"): "CL:0000236"})
    ['CL:0000236']
    """
    tokens = _tokens(label)
    longest = max(map(len, (*names, *_DECOYS)), default=0)
    found: dict[Curie, None] = {}
    start = 0
    while start < len(tokens):
        for end in range(min(len(tokens), start + longest), start, -1):
            phrase = tuple(tokens[start:end])
            hit = next((names[key] for key in _singular(phrase) if key in names), None)
            if hit and not _turned(tokens, start, end):
                found[hit] = None
            if hit or phrase in _DECOYS:
                start = end
                break
        else:
            start += 1
    return list(found)


def _turned(tokens: list[str], start: int, end: int) -> bool:
    """Whether a hyphen joins the phrase to a word that changes what it names."""
    before, after = tokens[max(0, start - 2) : start], tokens[end : end + 2]
    return (len(before) == 2 and before[1] == "-" and before[0] in _BEFORE) or (
        len(after) == 2 and after[0] == "-" and after[1] in _AFTER
    )


def _names(terms: Iterable[Term]) -> dict[tuple[str, ...], Curie]:
    return {
        tuple(_tokens(term.label)): term.id
        for term in terms
        if not term.obsolete and term.id not in TOO_GENERAL
    }


def _tokens(label: str) -> list[str]:
    return _TOKEN.findall(label.casefold())


def _singular(phrase: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    *rest, word = phrase
    yield phrase
    if word.endswith("ies"):
        yield (*rest, word[:-3] + "y")
    if word.endswith("es"):
        yield (*rest, word[:-2])
    if word.endswith("s"):
        yield (*rest, word[:-1])


_DECOYS = frozenset(tuple(_tokens(name)) for name in MOLECULES)
