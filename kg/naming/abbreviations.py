"""The curated short names of cell types (``abbreviations.tsv``), ready to look up.

The table is a list of facts of usage; what each column means stands at its head. It holds ids of
the Cell Ontology only, and knows nothing of the release that is loaded.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from types import MappingProxyType

from kg.naming.lexicon import normalise
from kg.terms import Curie, Scope

__all__ = ["SHORT_WORDS", "ShortName", "expand", "same_word", "short_names"]

SHORT_WORDS = 4
"""Words of the longest short name, a following *cell* among them."""

_PLURAL = re.compile(r"(?<=[A-Za-z0-9])s$")
_CELL = re.compile(r"[\s\-](?:cells?|lymphocytes?)$", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ShortName:
    """A row of the table: what a short name means, and how sure its spelling makes it."""

    name: str
    id: Curie
    scope: Scope
    factor: float = 1.0


@dataclass(frozen=True, slots=True)
class _Row:
    name: str
    use: str
    means: str
    scope: str


@cache
def _rows() -> tuple[_Row, ...]:
    text = files("kg.naming").joinpath("abbreviations.tsv").read_text(encoding="utf-8")
    lines = [line for line in text.splitlines() if line and not line.startswith("#")]
    return tuple(_Row(*f"{line}\t\t".split("\t")[:4]) for line in lines[1:])


@cache
def _by_key() -> Mapping[str, tuple[_Row, ...]]:
    table: dict[str, list[_Row]] = {}
    for row in _rows():
        if row.use in ("text", "any", "label"):
            table.setdefault(_key(row.name), []).append(row)
    return MappingProxyType({key: tuple(rows) for key, rows in table.items()})


@cache
def _words() -> Mapping[str, tuple[str, ...]]:
    """Word of a label to the normalised words that it stands for."""
    return MappingProxyType(
        {normalise(r.name): tuple(normalise(r.means).split()) for r in _rows() if r.use == "word"}
    )


def _key(name: str) -> str:
    return re.sub(r"[\s\-]+", " ", name).casefold()


def short_names(written: str, *, whole: bool = False) -> Iterator[ShortName]:
    """Yield what a text means as a curated short name, first choice first.

    Parameters
    ----------
    written
        The text as written: capitals count, a plural s and a following *cell* do not.
    whole
        Whether the text is all there is, so that names for labels alone hold too.
    """
    stem = _CELL.sub("", written)
    seen: set[Curie] = set()
    for form in dict.fromkeys((written, _PLURAL.sub("", written), stem, _PLURAL.sub("", stem))):
        for row in _by_key().get(_key(form), ()):
            factor = _spelled(form, row, whole)
            if factor and row.means not in seen and (whole or row.use != "label"):
                seen.add(row.means)
                yield ShortName(row.name, row.means, Scope(row.scope), factor)


def _spelled(form: str, row: _Row, whole: bool) -> float:
    if row.use == "any" or form == row.name:
        return 1.0
    # Short all-letter names in other capitals are more often words ("asc", "cop").
    distinct = len(row.name) >= 4 or any(char.isdigit() for char in row.name)
    return 0.9 if distinct or whole else 0.0


def expand(word: str) -> tuple[str, ...]:
    """The normalised words that a normalised word of a label stands for; itself when unknown.

    >>> expand("mono")
    ('monocyte',)
    """
    return _words().get(word, (word,))


def same_word(word: str) -> str:
    """The common form of a normalised word; itself when it has no other.

    >>> same_word("renal"), same_word("ii")
    ('kidney', '2')
    """
    return _same().get(word, word)


@cache
def _same() -> Mapping[str, str]:
    return MappingProxyType({r.name: normalise(r.means) for r in _rows() if r.use == "same"})
