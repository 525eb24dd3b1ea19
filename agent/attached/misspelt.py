"""Misspelt words of a phrase that describes cells: put right, or told to be unknown.

Where a phrase names no cell type as it stands, each word that no name and no definition has is
replaced by words of names within an edit of it, several words at once and short ones too: the
phrase as a whole then decides, since only a combination that names a type is taken. Where none
does, what each word is nearest to still stands in its place. English words are replaced only
beside a misspelt one ("dendritc sell").

What neither the field nor the sentence encoder knows as a word says nothing, however near the
letters of some name are: :func:`unknown` lists such words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice, product

from kg.graph import KnowledgeGraph
from kg.grounding import FUNCTION_WORDS, candidates
from kg.naming.lexicon import normalise
from kg.naming.spelling import SHORTEST, distance
from kg.naming.symbols import is_ordinary
from kg.naming.vocabulary import Vocabulary, vocabulary
from kg.terms import Category

__all__ = ["Respelt", "respelt", "unknown"]

_WORD = re.compile(r"[^\W\d_]{4,}")
"""Of three letters each word is an edit away from many others."""

_OPTIONS, _COMBINATIONS = 6, 200  # of a word, and tried
_NOUNS = ("cell", "cells")


@dataclass(frozen=True, slots=True)
class Respelt:
    """A phrase put right; ``names`` is whether it names a cell type now."""

    text: str
    notice: str
    names: bool


def respelt(phrase: str, graph: KnowledgeGraph) -> Respelt | None:
    """Put a phrase right that names no cell type; None where no word of it seems misspelt.

    Parameters
    ----------
    phrase
        As it was written.
    graph
        Where names are looked up.
    """
    words = vocabulary(graph, Category.CELL_TYPE)
    found = list(_WORD.finditer(phrase))
    odd = [_odd(one[0], words, graph) for one in found]
    if not any(odd):
        return None
    options = [_options(one[0], strange, words) for one, strange in zip(found, odd, strict=True)]
    nearest: str | None = None
    for chosen in islice(_by_edits(options), _COMBINATIONS):
        text = _with(phrase, found, [word for word, _ in chosen])
        if text == phrase:
            continue
        if candidates(text, graph, categories=(Category.CELL_TYPE,), limit=1):
            return Respelt(text, f"read as {text!r}", True)
        if nearest is None and all(
            (word != one[0]) == strange
            for (word, _), one, strange in zip(chosen, found, odd, strict=True)
        ):
            nearest = text
    return None if nearest is None else Respelt(nearest, f"read as {nearest!r}", False)


def unknown(
    phrase: str, graph: KnowledgeGraph, is_word: Callable[[str], bool]
) -> tuple[tuple[str, ...], bool]:
    """Words of a phrase that nothing knows, and whether it has no others that say something.

    Parameters
    ----------
    phrase
        As it is read.
    graph
        Where names are looked up.
    is_word
        Whether another vocabulary has a word.
    """
    words = vocabulary(graph, Category.CELL_TYPE)
    said = [
        one
        for one in re.findall(r"[^\W_]+", phrase)
        if one.lower() not in (*_NOUNS, *FUNCTION_WORDS)
    ]
    lost = [one for one in said if _odd(one, words, graph) and not is_word(one.lower())]
    return tuple(dict.fromkeys(lost)), len(lost) == len(said)


def _odd(word: str, words: Vocabulary, graph: KnowledgeGraph) -> bool:
    """Whether a word is in no name, in no definition of a cell type and no ordinary English."""
    key = normalise(word)
    return (
        len(word) >= 4
        and word.isalpha()
        and not is_ordinary(word)
        and not {key, word.lower()} & words.spelt
        and not any(graph.lookup({key}).values())
    )


def _options(word: str, odd: bool, words: Vocabulary) -> list[tuple[str, int]]:
    """Words that may be meant, with their edits, the nearest first."""
    key = word.lower()
    if not odd:
        other = [(noun, 1) for noun in _NOUNS if key not in _NOUNS and distance(key, noun) == 1]
        return [(word, 0), *other]
    if len(key) >= SHORTEST:
        near = words.speller.near(key)
    else:
        near = sorted(
            (other, 1)
            for other in words.words
            if other[0] == key[0] and abs(len(other) - len(key)) <= 1 and distance(other, key) == 1
        )
    return near[:_OPTIONS] or [(word, 0)]


def _by_edits(
    options: Sequence[Sequence[tuple[str, int]]],
) -> Iterator[tuple[tuple[str, int], ...]]:
    """Combinations of options, those with the fewest edits first."""
    every = islice(product(*options), 10 * _COMBINATIONS)
    return iter(sorted(every, key=lambda chosen: sum(edits for _, edits in chosen)))


def _with(phrase: str, found: Sequence[re.Match[str]], words: Sequence[str]) -> str:
    """The phrase with some of its words replaced."""
    for match, word in reversed(list(zip(found, words, strict=True))):
        phrase = phrase[: match.start()] + word + phrase[match.end() :]
    return phrase
