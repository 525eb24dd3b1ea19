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
from collections.abc import Iterable, Iterator

from kg.readers.source import Loaded
from kg.terms import MENTIONS, Curie, Edge, Release, Term

__all__ = ["MOLECULES", "TOO_GENERAL", "CellNames", "derive_mentions"]

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
    names = CellNames(cell_types.terms)
    edges = tuple(
        Edge(term.id, MENTIONS, cell, release.source, release.version)
        for term in go.terms
        if not term.obsolete
        for cell in names.mentioned(term.label)
    )
    notice = (
        f"derived-labels: {len({edge.subject for edge in edges})} GO terms mention "
        f"{len({edge.object for edge in edges})} cell types"
    )
    return Loaded(release, (), edges, (notice,))


class CellNames:
    """The labels of the current cell types, for finding them in other labels.

    >>> from kg.terms import Category
    >>> b_cell = Term("CL:0000236", "B cell", Category.CELL_TYPE, "CL", "x")
    >>> CellNames([b_cell]).mentioned("B cells and T cell receptor")
    ['CL:0000236']
    """

    def __init__(self, terms: Iterable[Term]) -> None:
        self._names: dict[tuple[str, ...], Curie | None] = {
            tuple(_tokens(name)): None for name in MOLECULES
        }
        for term in terms:
            if not term.obsolete and term.id not in TOO_GENERAL:
                self._names[tuple(_tokens(term.label))] = term.id
        # By first word (in the singular too: the first may be the only one), the longest length.
        self._reach: dict[str, int] = {}
        for name in self._names:
            self._reach[name[0]] = max(len(name), self._reach.get(name[0], 0))

    def mentioned(self, label: str) -> list[Curie]:
        """Return the types that a label names, each once, in order."""
        tokens = _tokens(label)
        found: dict[Curie, None] = {}
        start = 0
        while start < len(tokens):
            reach = max(self._reach.get(word, 0) for (word,) in _singular((tokens[start],)))
            for end in range(min(len(tokens), start + reach), start, -1):
                phrase = tuple(tokens[start:end])
                name = next((key for key in _singular(phrase) if key in self._names), None)
                if name:
                    cell = self._names[name]
                    if cell and not _turned(tokens, start, end):
                        found[cell] = None
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
