"""A question's text before it is read: cleaned, its words respelt, its language noticed.

Nothing here decides what a question asks. A word is respelt only where no name and no English
word is written so, and the answer says which reading it took.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence

from data.errors import BadInput
from kg.graph import KnowledgeGraph
from kg.grounding import FUNCTION_WORDS
from kg.naming.labels import ground_label
from kg.naming.lexicon import normalise
from kg.naming.mentions import Mention
from kg.naming.symbols import is_ordinary
from kg.terms import Scope

__all__ = ["MAX_QUESTION", "clean", "foreign", "respelt"]

MAX_QUESTION = 2000
"""Characters; a longer text is not a question and would only cost time."""

_SHORTEST = 6  # a word that is respelt as a whole, as in kg.naming.spelling
_ESCAPE = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_GLUED = re.compile(r"\b([A-Za-z][A-Za-z0-9+\-]{0,14}?)(cells?|lymphocytes?)\b")
_WORD = re.compile(r"[^\W\d_]+")
# Misspellings of the commonest noun behind a name; written small, CEL is no gene there.
_CEL = re.compile(r"(?<=[\w+)-] )(?:cel|cels|celll|cellls|clel|clels|ceel|ceels)\b")

# The commonest small words of languages that questions come in; those that are English words as
# well, or names of the field, are left out.
_SMALL_WORDS = {
    "German": "was ist sind eine einer ein der das den dem und welche welcher welches wie von zu "
    "nicht wird werden im für mit aus gibt zelle zellen gehört macht",
    "French": "que qu est est-ce qu'est-ce quoi quel quelle quels quelles une les des du de la le "
    "sont et dans pour avec cellule cellules quoi gène",
    "Spanish": "qué que es una un los las el la de del cuál cuáles son y en para con célula "
    "células cómo tipo tipos gen",
    "Portuguese": "que é uma um os as o da do das dos qual quais são e em para com célula células "
    "como",
    "Italian": "che cosa cos'è è una un il lo gli della del delle dei quale quali sono e di per "
    "con cellula cellule",
    "Dutch": "wat is een het de van welke hoe zijn niet wordt worden voor met uit cel cellen",
    "Polish": "co to jest są czym jakie który która i w na z komórka komórki komórek",
    "Turkish": "nedir ne bir ve hangi hücre hücresi hücreleri mi mı",
}
_WORDS_OF = {name: frozenset(words.split()) for name, words in _SMALL_WORDS.items()}
_ENGLISH = FUNCTION_WORDS | {
    *("what", "which", "who", "where", "how", "is", "are", "does", "do", "the", "a", "an", "of"),
    *("cell", "cells", "gene", "genes", "type", "types", "in", "and", "to", "tell", "me", "about"),
}
_SCRIPTS = {
    "CJK": "Chinese",
    "HIRAGANA": "Japanese",
    "KATAKANA": "Japanese",
    "HANGUL": "Korean",
    "CYRILLIC": "a language in Cyrillic script",
    "ARABIC": "a language in Arabic script",
    "HEBREW": "Hebrew",
    "DEVANAGARI": "a language in Devanagari script",
    "THAI": "Thai",
}


def clean(question: str) -> str:
    """The question without what nobody sees: control and formatting characters, extra spaces.

    Raises
    ------
    BadInput
        When nothing is left, when no letter or digit is, or when it is far too long.
    """
    visible = _ESCAPE.sub(" ", question)
    visible = "".join(
        character if unicodedata.category(character) not in ("Cc", "Cs", "Co", "Cn") else " "
        for character in visible
        if unicodedata.category(character) != "Cf"
    )
    text = " ".join(visible.split())
    if not any(character.isalnum() for character in text):
        given = "the question is empty" if not text else f"the question {text[:20]!r} has no word"
        raise BadInput(f"{given}; expected a sentence such as: What is a T cell?")
    if len(text) > MAX_QUESTION:
        raise BadInput(f"the question has {len(text)} characters; expected at most {MAX_QUESTION}")
    return text


def foreign(question: str) -> str:
    """The language that a question seems to be in, where that is not English; "" otherwise."""
    letters = [character for character in question if character.isalpha()]
    scripts = [unicodedata.name(letter, "").split(" ")[0] for letter in letters]
    for script, language in _SCRIPTS.items():
        if scripts.count(script) * 4 >= len(letters) and script in scripts:
            # Japanese is written with Chinese characters among its own.
            own = {"HIRAGANA", "KATAKANA"} & set(scripts)
            return "Japanese" if script == "CJK" and own else language
    words = [word.lower() for word in _WORD.findall(question)]
    english = sum(word in _ENGLISH for word in words)
    counts = {name: sum(word in known for word in words) for name, known in _WORDS_OF.items()}
    best = max(counts, key=lambda name: (counts[name], name))
    return best if counts[best] >= 2 and counts[best] > english else ""


def respelt(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> tuple[str, tuple[str, ...]]:
    """The question with words put right that name nothing as written, and what was changed.

    "Tcell" is "T cell"; "astrocyt" is "astrocyte". Words within a name that was found, English
    words and everything short are left as they are.
    """
    notices: list[str] = []
    covered = [(mention.start, mention.end) for mention in mentions]

    def free(match: re.Match[str]) -> bool:
        return not any(start < match.end() and match.start() < end for start, end in covered)

    def apart(match: re.Match[str]) -> str:
        name = f"{match[1]} {match[2]}"
        keys = {normalise(name), normalise(f"{match[1]} cell")}
        if not free(match) or graph.lookup({normalise(match[0])}).get(normalise(match[0])):
            return match[0]
        if not any(graph.lookup(keys).values()):
            return match[0]
        notices.append(f"{match[0]!r} is read as {name!r}")
        return name

    def whole(match: re.Match[str]) -> str:
        word = match[0]
        odd = len(word) >= _SHORTEST and not word.isupper() and not is_ordinary(word)
        if not odd or not free(match) or normalise(word) in graph.lookup({normalise(word)}):
            return word
        found = [c for c in ground_label(word, graph) if c.how == "spelling"]
        if not found or found[0].scope not in (Scope.LABEL, Scope.EXACT):
            return word
        notices.append(f"{word!r} is read as {found[0].matched!r}")
        return found[0].matched

    def noun(match: re.Match[str]) -> str:
        right = "cells" if match[0].endswith("s") else "cell"
        notices.append(f"{match[0]!r} is read as {right!r}")
        return right

    if _WORD.sub(whole, question) == question:
        text = _GLUED.sub(apart, question)
    else:
        text = _WORD.sub(whole, question)
    text = _CEL.sub(noun, text)
    return text, tuple(dict.fromkeys(notices))
