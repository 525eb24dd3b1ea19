"""Corrected spellings: words of a vocabulary within one or two edits of an unknown word.

An edit is a letter dropped, added, changed, or two neighbours swapped (Damerau 1964,
10.1145/363958.363994); letters that sound alike (ph and f, y and i, a double and a single one)
cost nothing. The first letter is taken to be right, and short words are never corrected: too many
words lie one edit away from them. Knows no meaning: whether a corrected text names anything is
the graph's to say.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable
from functools import lru_cache

__all__ = ["SHORTEST", "Speller", "distance"]

SHORTEST = 6
"""The shortest word that is corrected."""
_LONG = 13  # from here on two edits are allowed
_SOUNDS = (("ph", "f"), ("ae", "e"), ("oe", "e"), ("y", "i"))
_APART = 4  # letters that edits and sounds together can make a word longer
_DOUBLE = re.compile(r"(.)\1")


class Speller:
    """Finds the words of a vocabulary that a misspelt word may stand for."""

    def __init__(self, words: Iterable[str]) -> None:
        self._long: list[str] = []
        self._by_part: dict[str, list[str]] = defaultdict(list)
        self._known: dict[str, list[tuple[str, int]]] = {}
        for word in sorted(set(words)):
            if len(word) < SHORTEST - 1 or not word.isalpha():
                continue
            for part in _parts(word):
                self._by_part[part].append(word)
            if len(word) >= _LONG - 2:
                self._long.append(word)

    def near(self, word: str) -> list[tuple[str, int]]:
        """Words within the edits allowed for a word of this length, nearest first.

        >>> Speller(["macrophage", "microglia"]).near("macrofage")
        [('macrophage', 0)]
        """
        if len(word) < SHORTEST or not word.isalpha():
            return []
        if word not in self._known:
            self._known[word] = self._search(word)
        return self._known[word]

    def _search(self, word: str) -> list[tuple[str, int]]:
        most = 2 if len(word) >= _LONG else 1
        if most == 1:
            near = {other for part in _parts(word) for other in self._by_part.get(part, ())}
        else:
            near = set(self._long)
        sound = _sound(word)
        found = []
        for other in near:
            if other[0] == word[0] and other != word and abs(len(other) - len(word)) <= _APART:
                edits = min(_edits(sound, _sound(other), most), _edits(word, other, most))
                if edits <= most:
                    found.append((other, edits))
        return sorted(found, key=lambda pair: (pair[1], pair[0]))


def _parts(word: str) -> set[str]:
    """Beginnings and ends, of which a single edit leaves one as it was."""
    return {
        part for form in (word, _sound(word)) for part in (f"{form[:3]}-", f"{form[0]}-{form[-2:]}")
    }


@lru_cache(maxsize=16_384)
def _sound(word: str) -> str:
    for letters, sound in _SOUNDS:
        word = word.replace(letters, sound)
    return _DOUBLE.sub(r"\1", word)


def _edits(a: str, b: str, most: int) -> int:
    """The distance, or more than ``most`` where the letters alone tell that it is more."""
    # Every edit changes at most two members of the set of letters.
    return distance(a, b) if len(set(a) ^ set(b)) <= 2 * most else most + 1


def distance(a: str, b: str) -> int:
    """Edits between two words, a swap of neighbours counting once.

    >>> distance("lymhpocyte", "lymphocyte")
    1
    """
    before: list[int] = []
    row = list(range(len(b) + 1))
    for i, left in enumerate(a, start=1):
        last, above = before, row
        row = [i]
        for j, right in enumerate(b, start=1):
            cost = min(above[j] + 1, row[j - 1] + 1, above[j - 1] + (left != right))
            if i > 1 and j > 1 and left == b[j - 2] and a[i - 2] == right:
                cost = min(cost, last[j - 2] + 1)
            row.append(cost)
        before = above
    return row[-1]
