"""Other ways to write a cell type's name: what a text says, as an ontology would say it.

Works on normalised words (:func:`kg.lexicon.normalise`) and knows no graph: each variant is a
key to look up, and whether any term bears it is the graph's to say. The rules:

* *lymphocyte* and *cell* after a lineage letter are the same word ("T lymphocyte", "T cell");
* a lineage letter at the end lacks its noun ("γδ T");
* a bare surface marker before a cell is meant as present ("CD4 T cell");
* a T cell with CD4 or CD8 is usually an alpha-beta T cell, which is what the Cell Ontology names;
* markers, state and lineage may stand in any order ("T cells CD8+", "memory CD8 T cells").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from kg.mentions import How
from kg.terms import Scope

__all__ = [
    "HEAD_WORDS",
    "LINEAGE_LETTERS",
    "MARKER",
    "Phenotype",
    "Variant",
    "phenotype",
    "variants",
]

MARKER = re.compile(r"cd\d+[a-z]{0,2}\d?")
"""A cluster-of-differentiation name, normalised."""

LINEAGE_LETTERS = frozenset({"t", "b", "nk", "nkt"})
"""Letters that name a lymphocyte and that writers leave without their noun."""

_SIGNS = frozenset({"positive", "negative", "high", "low", "dim", "bright", "intermediate"})
_STATE_WORDS = (
    "naive memory effector central activated exhausted cytotoxic regulatory cycling proliferating "
    "helper resting immature mature induced natural unswitched switched class transitional "
    "thymus derived"
)
_STATES = frozenset(_STATE_WORDS.split())
# Heads that take markers and states in front, longest first.
_HEADS = (
    ("natural", "killer", "cell"),
    ("t", "cell"),
    ("b", "cell"),
    ("nk", "cell"),
    ("dendritic", "cell"),
    ("monocyte",),
    ("macrophage",),
    ("thymocyte",),
)
HEAD_WORDS = frozenset(head[-1] for head in _HEADS)
"""Nouns that surface markers are written before."""
_ALPHA_BETA = ("alpha", "beta")
_GAMMA_DELTA = ("gamma", "delta")


@dataclass(frozen=True, slots=True)
class Variant:
    """Another key for a text: ``factor`` lowers the score, ``notice`` says what was assumed.

    ``scope`` is how the text fits a term of this key where that is not the key's own scope.
    """

    key: str
    factor: float
    scope: Scope | None = None
    notice: str = ""
    how: How = "name"


@dataclass(frozen=True, slots=True)
class Phenotype:
    """A cell type's name taken apart: markers with sign, states, lineage and head."""

    markers: tuple[tuple[str, str], ...]
    states: tuple[str, ...]
    lineage: tuple[str, ...]
    head: tuple[str, ...]
    bare: bool


def phenotype(words: tuple[str, ...]) -> Phenotype | None:
    """Take a name apart, or return None where a word of it is not understood.

    >>> phenotype(("memory", "cd8", "t", "cell")).markers
    (('cd8', 'positive'),)
    >>> phenotype(("enterocyte",)) is None
    True
    """
    start, head = _find_head(words)
    if head is None:
        return None
    rest = words[:start] + words[start + len(head) :]
    markers: list[tuple[str, str]] = []
    states: list[str] = []
    lineage: tuple[str, ...] = ()
    bare = False
    i = 0
    while i < len(rest):
        pair = rest[i : i + 2]
        if MARKER.fullmatch(rest[i]):
            signed = len(pair) == 2 and pair[1] in _SIGNS
            bare = bare or not signed
            markers.append((rest[i], pair[1] if signed else "positive"))
            i += 1 + signed
        elif pair in (_ALPHA_BETA, _GAMMA_DELTA):
            lineage = pair
            i += 2
        elif rest[i] in _STATES:
            states.append(rest[i])
            i += 1
        else:
            return None
    return Phenotype(tuple(markers), tuple(states), lineage, head, bare)


def _find_head(words: tuple[str, ...]) -> tuple[int, tuple[str, ...] | None]:
    for head in _HEADS:
        for start in range(len(words) - len(head) + 1):
            if words[start : start + len(head)] == head:
                return start, head
    return 0, None


def variants(words: tuple[str, ...], *, open_end: bool = True) -> Iterator[Variant]:
    """Yield other keys of a name, most faithful first; its own key is not among them.

    Parameters
    ----------
    words
        The name's normalised words.
    open_end
        Whether a lineage letter at the end may lack its noun (False where the text wrote it
        small: "t" is then no lineage).
    """
    if not words:
        return
    seen = {" ".join(words)}
    complete = words
    if "lymphocyte" in words:
        complete = tuple("cell" if word == "lymphocyte" else word for word in words)
    elif len(words) > 2 and words[-1] == "cell" and words[-2] in LINEAGE_LETTERS:
        # Some names have the noun in one form only ("pre-B-lymphocyte").
        yield Variant(" ".join((*words[:-1], "lymphocyte")), 0.94)
    elif open_end and words[-1] in LINEAGE_LETTERS:
        complete = (*words, "cell")
    for variant in _orders(words, complete):
        if variant.key not in seen:
            seen.add(variant.key)
            yield variant


def _orders(words: tuple[str, ...], complete: tuple[str, ...]) -> Iterator[Variant]:
    if complete != words and len(complete) > 1:
        yield Variant(" ".join(complete), 0.94)
    parts = phenotype(complete)
    if parts is None or not (parts.markers or parts.states):
        return
    implied = not parts.lineage and parts.head == ("t", "cell") and _is_cd4_or_cd8(parts)
    notice = "a bare marker is read as positive" if parts.bare else ""
    for order in _arrangements(parts, parts.lineage):
        yield Variant(" ".join(order), 0.96, None, notice, "phenotype")
    if implied:
        reading = "read as the alpha-beta T cell, the usual meaning"
        joined = f"{notice}; {reading}" if notice else reading
        for order in _arrangements(parts, _ALPHA_BETA):
            yield Variant(" ".join(order), 0.94, Scope.BROAD, joined, "phenotype")


def _is_cd4_or_cd8(parts: Phenotype) -> bool:
    return any(marker in ("cd4", "cd8") and sign == "positive" for marker, sign in parts.markers)


def _arrangements(parts: Phenotype, lineage: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The orders in which the Cell Ontology writes markers (M), states (S) and lineage (L)."""
    markers = tuple(word for pair in parts.markers for word in pair)
    # Only the ontology's own names say where a naive T cell comes from.
    states = tuple(s for s in parts.states if s not in ("thymus", "derived"))
    head = parts.head
    yield (*states, *markers, *lineage, *head)
    yield (*markers, *lineage, *states, *head)
    yield (*markers, *states, *lineage, *head)
    if states == ("naive",):
        yield ("naive", "thymus", "derived", *markers, *lineage, *head)
    if len(parts.markers) > 1:
        backwards = tuple(word for pair in reversed(parts.markers) for word in pair)
        yield (*states, *backwards, *lineage, *head)
        yield (*backwards, *lineage, *states, *head)
