"""Corrected spellings: words of a vocabulary within one or two edits of an unknown word.

An edit is a letter dropped, added, changed, or two neighbours swapped (Damerau 1964,
10.1145/363958.363994). The first letter is taken to be right, and short words are never
corrected: too many words lie one edit away from them. Knows no meaning: whether a corrected text
names anything is the graph's to say.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

__all__ = ["SHORTEST", "Speller", "distance"]

SHORTEST = 6
"""The shortest word that is corrected."""
_LONG = 9  # from here on two edits are allowed


class Speller:
    """Finds the words of a vocabulary that a misspelt word may stand for."""

    def __init__(self, words: Iterable[str]) -> None:
        self._by_start: dict[tuple[str, int], list[str]] = defaultdict(list)
        for word in sorted(set(words)):
            if len(word) >= SHORTEST - 1 and word.isalpha():
                self._by_start[word[0], len(word)].append(word)

    def near(self, word: str) -> list[tuple[str, int]]:
        """Words within the edits allowed for a word of this length, nearest first.

        >>> Speller(["macrophage", "microglia"]).near("macrofage")
        [('macrophage', 2)]
        """
        if len(word) < SHORTEST or not word.isalpha():
            return []
        most = 2 if len(word) >= _LONG else 1
        letters = set(word)
        found = []
        for length in range(len(word) - most, len(word) + most + 1):
            for other in self._by_start.get((word[0], length), ()):
                # Every edit changes at most two members of the set of letters.
                if len(letters ^ set(other)) <= 2 * most:
                    edits = distance(word, other)
                    if 0 < edits <= most:
                        found.append((other, edits))
        return sorted(found, key=lambda pair: (pair[1], pair[0]))


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
