"""Whether a run of words that equals a name is meant as that name: capitals and company.

Gene symbols are the hard case: CAT, SET, REST and IMPACT are genes and words. Capitals decide
where the text has both kinds, and the company of words that speak of genes where it has not. A
small word with a vowel is never a gene by its letters alone. Ordinary English words
(``ordinary.txt``) that also name a term are read as words unless the text is nothing else.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kg.graph import LexicalEntry
from kg.naming.lexicon import normalise
from kg.terms import Category, Scope

__all__ = ["Setting", "Token", "is_ordinary", "name_factor", "read_setting", "tokens_of"]

_TOKEN = re.compile(
    r"""
    [^\W_]+(?:['\u2019][^\W_]+)*          # letters and digits, an inner apostrophe
    (?: \++ | \u207a+                      # CD4+, CD4⁺
      | [-\u2212\u207b](?=CD\d|[\s,;:)/.]|$) # CD4- before a space or the next marker
    )?
    """,
    re.VERBOSE,
)
_MARKER_MINUS = re.compile(r"(cd\d+\w*|[a-z]*\d+\w*)[-\u2212\u207b]", re.IGNORECASE)
_SPEAKING_OF_GENES = (
    "gene genes mrna mrnas transcript transcripts protein proteins expression expressed expressing "
    "expresses express knockout knockouts ko kd knockdown mutation mutations mutant variant "
    "allele locus promoter deficient deficiency encode encodes encoded encoding symbol "
    "overexpression upregulated downregulated upregulation downregulation marker markers "
    "silencing deletion loss"
)
_GENE_WORDS = frozenset(_SPEAKING_OF_GENES.split())
_GENE_NOUNS = frozenset({"gene", "protein", "mrna", "transcript", "knockout", "locus", "promoter"})
_COUNTABLE = frozenset({Category.CELL_TYPE, Category.ANATOMY, Category.GENE})
_VOWEL = re.compile(r"[aeiouy]", re.IGNORECASE)
_REACH = 3


@dataclass(frozen=True, slots=True)
class Token:
    """A word of a text with its place and its normalised key."""

    text: str
    start: int
    end: int
    key: str


@dataclass(frozen=True, slots=True)
class Setting:
    """What a text says about its own words."""

    tokens: tuple[Token, ...]
    shouting: bool
    whole: bool
    gene_words: frozenset[int]
    strong: frozenset[int]


def tokens_of(text: str) -> list[Token]:
    """Cut a text into words; a surface marker keeps its sign."""
    tokens = []
    for match in _TOKEN.finditer(text):
        word, end = match[0], match.end()
        if word[-1] in "-\u2212\u207b" and not _MARKER_MINUS.fullmatch(word):
            word, end = word[:-1], end - 1
        key = _signed(word)
        if key:
            tokens.append(Token(word, match.start(), end, key))
    return tokens


def _signed(word: str) -> str:
    if word[-1] in "-\u2212\u207b":
        return f"{normalise(word[:-1])} negative"
    return normalise(word.rstrip("\u207a") + "+" if word[-1] == "\u207a" else word)


def read_setting(text: str, tokens: Sequence[Token], *, whole: bool = False) -> Setting:
    """Read from a text how far its capitals and its words can be trusted.

    ``whole`` says that the text is one name and nothing else.
    """
    letters = [char for char in text if char.isalpha()]
    capitals = sum(char.isupper() for char in letters)
    words = sum(token.text.isalpha() for token in tokens)
    # Four words and four fifths of capitals: written in capitals throughout.
    shouting = words >= 4 and capitals >= 0.8 * len(letters)
    return Setting(
        tuple(tokens),
        shouting,
        whole,
        frozenset(i for i, t in enumerate(tokens) if t.text.lower() in _GENE_WORDS),
        frozenset(i for i, t in enumerate(tokens) if _looks_like_symbol(t.text)),
    )


def _looks_like_symbol(word: str) -> bool:
    """Letters with digits in capitals, as only identifiers are written (CD8A, FOXP3)."""
    return len(word) >= 3 and word.isupper() and any(c.isdigit() for c in word)


@cache
def _ordinary() -> frozenset[str]:
    text = files("kg.naming").joinpath("ordinary.txt").read_text(encoding="utf-8")
    return frozenset(
        word for line in text.splitlines() if not line.startswith("#") for word in line.split()
    )


def is_ordinary(word: str) -> bool:
    """Whether a word is one of the ordinary English words that are names as well."""
    return word.lower() in _ordinary() or normalise(word) in _ordinary()


def name_factor(written: str, entry: LexicalEntry, setting: Setting, run: tuple[int, int]) -> float:
    """How far ``written`` may be read as ``entry``: 1 surely, 0 never."""
    if entry.category is Category.GENE and _is_symbol(entry):
        return _symbol_factor(written, entry, setting, run)
    if " " in written.strip() or "-" in written:
        return 1.0
    if setting.whole:
        return 1.0 if len(written) > 1 else 0.0
    if len(written) == 1 or (len(written) == 2 and not written.isupper()):
        return 0.0
    if is_ordinary(written):
        # AIDS, NASH: the capitals are the name's own.
        capital = written.isupper() and written == entry.text and not setting.shouting
        return 0.9 if capital and len(written) >= 3 else 0.0
    # An abbreviation written small, or a capital word for a small one, is something else.
    short = entry.text.isalpha() and entry.text.isupper() and len(entry.text) <= 5
    if short and written.rstrip("s") != entry.text and written != entry.text:
        return 0.0
    # There are several TAMs where they are cells, not where TAM is a disease.
    several = short and written == entry.text + "s"
    return 0.0 if several and entry.category not in _COUNTABLE else 1.0


def _is_symbol(entry: LexicalEntry) -> bool:
    """Whether a gene's name is a symbol and not its name in words ("catalase").

    MGI's table has symbols alone, some of them words ("peripheral").
    """
    name = entry.text
    in_words = name.isalpha() and name.islower() and len(name) >= 5
    return " " not in name and (not in_words or entry.id.startswith("MGI:"))


def _symbol_factor(
    written: str, entry: LexicalEntry, setting: Setting, run: tuple[int, int]
) -> float:
    same = written == entry.text
    if setting.whole:
        return 1.0 if same else 0.97
    if len(written) < 3 or not any(char.isalpha() for char in written):
        return _short_symbol_factor(written, same, setting, run)
    company = _in_company(setting, run)
    if any(char.isdigit() for char in written):
        return 1.0 if same else 0.9
    ordinary = is_ordinary(written)
    if ordinary and (setting.shouting or not written.isupper()):
        return 0.75 if _noun_follows(setting, run) else 0.0
    if written.islower():
        return 0.85 if company or not _VOWEL.search(written) else 0.0
    if written.isupper() and not setting.shouting:
        return _capital_factor(entry, same, ordinary, company)
    if setting.shouting:
        return 0.8 if company else 0.0
    # A capital first letter is a mouse gene's, and any word's that begins a sentence.
    return 0.9 if company or (same and run[0] > 0) else 0.0


def _short_symbol_factor(written: str, same: bool, setting: Setting, run: tuple[int, int]) -> float:
    """One or two letters are a symbol only where a text says so."""
    if not same or not any(char.isalpha() for char in written):
        return 0.0
    if len(written) == 1 or not written.isupper():
        return 0.9 if _noun_follows(setting, run) else 0.0
    return 0.9 if _in_company(setting, run) else 0.0


def _capital_factor(entry: LexicalEntry, same: bool, ordinary: bool, company: bool) -> float:
    """Capitals without a digit: a current symbol, or one of many acronyms."""
    current = entry.scope is Scope.LABEL
    if company:
        return 1.0 if same else 0.9
    if ordinary:
        return 0.85 if same and current else 0.0
    if current:
        return 0.97 if same else 0.87
    return 0.65


def _in_company(setting: Setting, run: tuple[int, int]) -> bool:
    i, j = run
    near = {k for k in range(i - _REACH, j + _REACH) if not i <= k < j}
    return bool(near & (setting.gene_words | setting.strong))


def _noun_follows(setting: Setting, run: tuple[int, int]) -> bool:
    j = run[1]
    return j < len(setting.tokens) and setting.tokens[j].key in _GENE_NOUNS
