"""The names of one category by their words: which names share words with a text, and how well.

Word order and inflection do not count here ("glomerular endothelium", "endothelial cell of
glomerulus"): names are bags of words, each word under the form that the curated table of equal
words gives it, weighted by how rare it is among the names. What a shared bag of words means is for
:mod:`kg.naming.labels` to say. The index also holds the words themselves, for
:mod:`kg.naming.spelling`.

Weights are the inverse document frequency of Sparck Jones (1972, 10.1108/eb026526).
"""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from weakref import WeakKeyDictionary

from kg.graph import KnowledgeGraph
from kg.naming.abbreviations import same_word
from kg.naming.lexicon import normalise
from kg.naming.spelling import Speller
from kg.terms import Category, Curie, Scope

__all__ = ["Match", "Vocabulary", "bag", "vocabulary"]

_LINKING = frozenset({"a", "an", "and", "by", "for", "from", "in", "of", "or", "the", "to", "with"})
# Words that ontologies add for the species of a term; a label of a dataset leaves them out.
_SPECIES = frozenset({"human", "mouse", "mmus", "sensu", "homo", "sapiens", "mus", "musculus"})


@dataclass(frozen=True, slots=True)
class Name:
    """One name of a term as a bag of words."""

    id: Curie
    label: str
    text: str
    scope: Scope
    words: frozenset[str]
    head: str


@dataclass(frozen=True, slots=True)
class Match:
    """A name that shares words with a text.

    ``recall`` is the share of the text's weight that the name has, ``precision`` the share of the
    name's weight that the text has. ``missing`` are the text's words that the name lacks, ``added``
    the name's words that the text lacks. ``factor`` lowers the balance for what shares do not say.
    """

    name: Name
    recall: float
    precision: float
    missing: frozenset[str]
    added: frozenset[str]
    factor: float = 1.0

    @property
    def balance(self) -> float:
        """The harmonic mean of both shares."""
        total = self.recall + self.precision
        return self.factor * 2 * self.recall * self.precision / total if total else 0.0


def bag(words: Iterable[str]) -> tuple[str, ...]:
    """Words without the linking ones, each under its common form."""
    return tuple(same_word(word) for word in words if word not in _LINKING)


class Vocabulary:
    """The current names of one category; read from the graph once."""

    def __init__(self, graph: KnowledgeGraph, category: Category) -> None:
        names = []
        self._definitions: list[str] = []
        for term in graph.terms_of(category):
            self._definitions.append(term.definition)
            texts = [(term.label, Scope.LABEL), *((s.text, s.scope) for s in term.synonyms)]
            for text, scope in texts:
                words = normalise(text).split()
                if words:
                    forms = frozenset(bag(words))
                    names.append(Name(term.id, term.label, text, scope, forms, head(words)))
        self.names = tuple(names)

    @cached_property
    def heads(self) -> frozenset[str]:
        """Nouns that names end on ("macrophage", "neuron"), *cell* aside: each says a type."""
        counted = Counter(name.head for name in self.names if name.scope is Scope.LABEL)
        return frozenset(word for word in counted if word not in ("cell", "") and word.isalpha())

    @cached_property
    def types(self) -> Mapping[str, frozenset[Curie]]:
        """Words that say a type, with the terms that bear them: nouns, and X of any "X cell"."""
        found: dict[str, set[Curie]] = defaultdict(set)
        for name in self.names:
            if name.words == {name.head} or name.words == {name.head, "cell"}:
                found[name.head].add(name.id)
            elif len(name.words) == 2 and name.head == "cell":
                (word,) = name.words - {"cell"}
                found[word].add(name.id)
        for word in self.heads:
            found.setdefault(word, set())
        return {word: frozenset(ids) for word, ids in found.items()}

    @cached_property
    def words(self) -> frozenset[str]:
        """Every word of every name, as normalised."""
        return frozenset(w for name in self.names for w in normalise(name.text).split())

    @cached_property
    def spelt(self) -> frozenset[str]:
        """Words that need no correction: those of names and of definitions."""
        return self.words | {w for text in self._definitions for w in normalise(text).split()}

    @cached_property
    def speller(self) -> Speller:
        """Finds the words that a misspelt word may stand for."""
        return Speller(self.words)

    @cached_property
    def _weights(self) -> Mapping[str, float]:
        n = len(self.names)
        weights = {word: math.log(1 + n / (1 + len(has))) for word, has in self._places.items()}
        return weights | dict.fromkeys(_SPECIES, _TELLS_LITTLE)

    def weight(self, word: str) -> float:
        """How much a word tells: the logarithm of its rarity; an unknown word as a rare one."""
        found = self._weights.get(word)
        return math.log(1 + len(self.names)) if found is None else found

    def known(self, word: str) -> bool:
        """Whether any name has the word."""
        return word in self._places

    def matches(self, words: Iterable[str]) -> list[Match]:
        """Names that share words with ``words`` (of :func:`bag`), best balance first."""
        wanted = frozenset(words)
        total = sum(self.weight(word) for word in wanted)
        shared: dict[int, float] = defaultdict(float)
        for word in wanted:
            weight = self.weight(word)
            for i in self._places.get(word, ()):
                shared[i] += weight
        result = []
        for i, mass in shared.items():
            # Both shares are at most 1, so a name this far apart is not worth a closer look.
            recall, precision = mass / total, mass / self._masses[i]
            if recall * precision > _TOO_FAR:
                name = self.names[i]
                result.append(
                    Match(name, recall, precision, wanted - name.words, name.words - wanted)
                )
        result.sort(key=lambda m: (-m.balance, m.name.scope is not Scope.LABEL, m.name.id))
        return result

    @cached_property
    def _places(self) -> Mapping[str, list[int]]:
        places: dict[str, list[int]] = defaultdict(list)
        for i, name in enumerate(self.names):
            for word in name.words:
                places[word].append(i)
        return places

    @cached_property
    def _masses(self) -> list[float]:
        return [sum(self.weight(word) for word in name.words) for name in self.names]


_TELLS_LITTLE = 0.05
_TOO_FAR = 0.1


def head(words: list[str]) -> str:
    """The noun a name turns on: the last word before *of*, a comma's rest or a bracket.

    >>> head("enterocyte of epithelium of large intestine".split())
    'enterocyte'
    """
    for i, word in enumerate(words):
        if word in ("of", "in", "from") and i:
            return words[i - 1]
    return next((word for word in reversed(words) if word not in _SPECIES), "")


_KNOWN: WeakKeyDictionary[KnowledgeGraph, dict[Category, Vocabulary]] = WeakKeyDictionary()


def vocabulary(graph: KnowledgeGraph, category: Category) -> Vocabulary:
    """The vocabulary of a category of a graph, made at first use."""
    of_graph = _KNOWN.setdefault(graph, {})
    if category not in of_graph:
        of_graph[category] = Vocabulary(graph, category)
    return of_graph[category]
