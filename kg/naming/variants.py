"""Other ways to write a cell type's name: what a text says, as an ontology would say it.

Works on normalised words (:func:`kg.naming.lexicon.normalise`) and knows no graph: each variant is
a key to look up, and whether any term bears it is the graph's to say. The rules:

* *lymphocyte* and *cell* after a lineage letter are the same word ("T lymphocyte", "T cell");
* a lineage letter at the end lacks its noun ("γδ T");
* a bare surface marker before a cell is meant as present ("CD4 T cell");
* a T cell with CD4 or CD8 is usually an alpha-beta T cell, which is what the Cell Ontology names;
* markers, state and lineage may stand in any order ("T cells CD8+", "memory CD8 T cells").
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from kg.naming.mentions import How
from kg.terms import Scope

__all__ = [
    "HEAD_WORDS",
    "LINEAGE_LETTERS",
    "MARKER",
    "SIGN_WORDS",
    "Phenotype",
    "Variant",
    "phenotype",
    "variants",
]

MARKER = re.compile(r"cd\d+[a-z]{0,2}\d?")
"""A cluster-of-differentiation name, normalised."""
# Other things that stand with a sign ("IgM+", "Ly6C-high"): a word with a digit, or one of these.
_SIGNED = re.compile(r"(?=\w*\d)[a-z]\w{1,7}|ig[adegm]|lin|kit|sca|tcr\w*")
# "CD56bright", "CD14hi": marker and sign in one word.
_JOINED = re.compile(r"(cd\d+[a-z]?)(bright|dim|high|hi|low|lo|pos|neg|int)")
_LONG_SIGN = {"hi": "high", "lo": "low", "pos": "positive", "neg": "negative"}
_LONG_SIGN["int"] = "intermediate"

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
SIGN_WORDS = _SIGNS
"""Words that say how much of a marker there is."""
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
    """A cell type's name taken apart: markers with sign, states, lineage and head.

    ``bare`` are the markers that had no sign.
    """

    markers: tuple[tuple[str, str], ...]
    states: tuple[str, ...]
    lineage: tuple[str, ...]
    head: tuple[str, ...]
    bare: tuple[str, ...] = ()

    @property
    def marker_words(self) -> tuple[str, ...]:
        """The markers as the Cell Ontology writes them, each with its sign."""
        return tuple(word for pair in self.markers for word in pair)


def phenotype(words: tuple[str, ...]) -> Phenotype | None:
    """Take a name apart, or return None where a word of it is not understood.

    >>> phenotype(("memory", "cd8", "t", "cell")).markers
    (('cd8', 'positive'),)
    >>> phenotype(("enterocyte",)) is None
    True
    """
    words = tuple(part for word in words for part in _apart(word))
    start, head = _find_head(words)
    if head is None:
        return None
    rest = words[:start] + words[start + len(head) :]
    markers: list[tuple[str, str]] = []
    states: list[str] = []
    lineage: tuple[str, ...] = ()
    bare: list[str] = []
    i = 0
    while i < len(rest):
        pair = rest[i : i + 2]
        signed = len(pair) == 2 and pair[1] in _SIGNS
        # A bare CD8A is the gene: of the bare ones only CD4, CD8, CD14 and their like are meant.
        marked = MARKER.fullmatch(rest[i]) and (signed or rest[i][-1].isdigit())
        if marked or (signed and _SIGNED.fullmatch(rest[i])):
            bare += [] if signed else [rest[i]]
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
    return Phenotype(tuple(markers), tuple(states), lineage, head, tuple(bare))


def _apart(word: str) -> tuple[str, ...]:
    joined = _JOINED.fullmatch(word)
    return (joined[1], _LONG_SIGN.get(joined[2], joined[2])) if joined else (word,)


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
    bare = "a bare marker is read as positive" if parts.bare else ""
    yield from _readings(parts, 1.0, None, bare)
    # More markers than any name has: the others are left out, which is told.
    few = _few(parts)
    gone = [pair for pair in parts.markers if few is not None and pair not in few.markers]
    if few is not None and not {marker for marker, _ in gone} & set(parts.bare):
        said = ", ".join(" ".join(pair) for pair in gone)
        yield from _readings(few, 0.92, Scope.NARROW, f"{said} was left out")


def _readings(
    parts: Phenotype, factor: float, scope: Scope | None, notice: str
) -> Iterator[Variant]:
    for order in _arrangements(parts, parts.lineage):
        yield Variant(" ".join(order), 0.96 * factor, scope, notice, "phenotype")
    if not parts.lineage and parts.head == ("t", "cell") and _is_cd4_or_cd8(parts):
        reading = "read as the alpha-beta T cell, the usual meaning"
        joined = f"{notice}; {reading}" if notice else reading
        for order in _arrangements(parts, _ALPHA_BETA):
            yield Variant(" ".join(order), 0.94 * factor, scope or Scope.BROAD, joined, "phenotype")


def _few(parts: Phenotype) -> Phenotype | None:
    """The same with its lineage markers alone: CD4 and CD8 of a T cell, none of another cell."""
    kept = tuple(
        pair
        for pair in parts.markers
        if pair[0] in ("cd4", "cd8") and parts.head == ("t", "cell") and pair[1] == "positive"
    )
    return replace(parts, markers=kept) if len(kept) < len(parts.markers) else None


def _is_cd4_or_cd8(parts: Phenotype) -> bool:
    return any(marker in ("cd4", "cd8") and sign == "positive" for marker, sign in parts.markers)


def _arrangements(parts: Phenotype, lineage: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The orders in which the Cell Ontology writes markers (M), states (S) and lineage (L)."""
    markers = parts.marker_words
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
