"""Normalise a name to the key under which the graph's lexicon stores it.

Two spellings of one name share a key: "CD8+ T cells", "CD8⁺ T-cell" and "cd8-positive t cell".
This module knows no term and no graph; :mod:`kg.grounding` decides which of the entries under a
key a text means. Keys are made per word, so that for texts joined by a space
``normalise(a + " " + b) == normalise(a) + " " + normalise(b)``.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache
from types import MappingProxyType

__all__ = ["GREEK", "normalise"]

GREEK = MappingProxyType(
    {
        "α": "alpha",
        "β": "beta",
        "γ": "gamma",
        "δ": "delta",
        "ε": "epsilon",
        "ζ": "zeta",
        "η": "eta",
        "θ": "theta",
        "ι": "iota",
        "κ": "kappa",
        "λ": "lambda",
        "μ": "mu",
        "ν": "nu",
        "ξ": "xi",
        "ο": "omicron",
        "π": "pi",
        "ρ": "rho",
        "σ": "sigma",
        "ς": "sigma",
        "τ": "tau",
        "υ": "upsilon",
        "φ": "phi",
        "χ": "chi",
        "ψ": "psi",
        "ω": "omega",
    }
)
"""Names of the Greek letters, as the ontologies write them in words."""

_GREEK_TABLE = str.maketrans({letter: f" {name} " for letter, name in GREEK.items()})

# Latin and Greek plurals that occur in names of cells and anatomy; the rule of -s misses them.
_IRREGULAR = {
    "alveoli": "alveolus",
    "bronchi": "bronchus",
    "cilia": "cilium",
    "dendrites": "dendrite",
    "endothelia": "endothelium",
    "epithelia": "epithelium",
    "flagella": "flagellum",
    "ganglia": "ganglion",
    "glomeruli": "glomerulus",
    "mitochondria": "mitochondrion",
    "nuclei": "nucleus",
    "vertebrae": "vertebra",
    "villi": "villus",
}

# A surface marker's sign: "CD4+" anywhere, "CD4-" only where nothing is joined by the hyphen.
_PLUS = re.compile(r"(?<=\w)\+")
_MINUS = re.compile(r"\b(cd\d+\w?)[-\u2010-\u2013\u2212](?=[\s,;:)/]|$)")
# "DCs", "HSCs": a capital abbreviation with a small s.
_ABBREVIATION = re.compile(r"\b((?:[a-z]|i)?[A-Z]{2,})s\b")
_POSSESSIVE = re.compile(r"(?<=\w)['\u2019]s\b")
_SEPARATOR = re.compile(r"[\W_]+")


def normalise(text: str) -> str:
    """Return the lexicon key of ``text``: small words, single spaces, no marks, no plurals.

    Compatibility forms are unified (NFKD) and accents dropped, Greek letters become their names,
    a sign after a surface marker becomes ``positive`` or ``negative``, other punctuation becomes
    a space, and plurals of five letters or more become singular. Shorter words keep their s,
    because many gene symbols end in one (KRAS, FAS).

    >>> normalise("CD8+ T-cells")
    'cd8 positive t cell'
    >>> normalise("CD4- thymocyte")
    'cd4 negative thymocyte'
    >>> normalise("TNF-α"), normalise("TNFα")
    ('tnf alpha', 'tnf alpha')
    >>> normalise("Peyer's patches"), normalise("Müller cell")
    ('peyer patch', 'muller cell')
    >>> normalise("KRAS"), normalise("HSCs"), normalise("thymus")
    ('kras', 'hsc', 'thymus')
    """
    if not text.isascii():
        decomposed = unicodedata.normalize("NFKD", text)
        text = "".join(char for char in decomposed if not unicodedata.combining(char))
    text = _ABBREVIATION.sub(r"\1", text).lower()
    if not text.isascii():
        text = text.translate(_GREEK_TABLE)
    if "+" in text:
        text = _PLUS.sub(" positive ", text)
    if "cd" in text:
        text = _MINUS.sub(r"\1 negative ", text)
    if "'" in text or "\u2019" in text:
        text = _POSSESSIVE.sub("", text)
    words = _SEPARATOR.sub(" ", text).split()
    return " ".join([_singular(word) for word in words])


@lru_cache(maxsize=65_536)
def _singular(word: str) -> str:
    if len(word) < 5:
        return word
    if word in _IRREGULAR:
        return _IRREGULAR[word]
    if not word.endswith("s") or word.endswith(("ss", "us", "is")) or not word.isalpha():
        return word
    if word.endswith("ies"):
        return word[:-3] + "y"
    if word.endswith(("ches", "shes", "sses", "xes")):
        return word[:-2]
    return word[:-1]
