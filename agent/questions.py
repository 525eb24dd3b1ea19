"""A question as the router sees it: its words, with a slot for each term that was grounded.

    "Which cell types develop into a platelet?"  ->  "which cell type develop into @C0"

The letter of a slot is the term's category. Knows no kind of question and no graph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.tokens import lemma
from kg.lexicon import normalise
from kg.mentions import Mention
from kg.terms import Category

__all__ = ["LETTERS", "SEARCHING", "Slotted", "slotted"]

LETTERS: dict[Category, str] = {
    Category.CELL_TYPE: "C",
    Category.ANATOMY: "A",
    Category.DISEASE: "D",
    Category.PHENOTYPE: "H",
    Category.GENE: "G",
    Category.PROCESS: "P",
    Category.FUNCTION: "F",
    Category.COMPONENT: "L",
    Category.OTHER: "O",
}
"""The letter that a slot has by its term's category."""

# Terms so general that a question's word for them is a word of the question, not its subject.
_GENERAL = frozenset(
    {
        "CL:0000000",  # cell
        "MONDO:0000001",  # disease
        "UBERON:0000062",  # organ
        "UBERON:0000479",  # tissue
        "UBERON:0001062",  # anatomical entity
        "UBERON:0000061",  # anatomical structure
        "GO:0008150",  # biological process
        "GO:0003674",  # molecular function
        "GO:0005575",  # cellular component
        "GO:0065007",  # biological regulation
        "GO:0010467",  # gene expression
        "GO:0032502",  # developmental process
    }
)
_SEARCHING = """
paper literature study article publication published abstract research evidence pubmed
report reported say said show shown find found search quote cite passage author recent
does did has have been there any about effect role affect influence play
"""
SEARCHING = frozenset(_SEARCHING.split())
"""Words that ask for literature, or ask at all, and are not searched for."""

_ORGANISM = "NCBITaxon:"
_ARTICLES = frozenset({"a", "an", "the"})
_SHORT = re.compile(r"\b(what|who|where|how|that|it|there)'s\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Slotted:
    """``text`` in small words with slots; ``mentions[n]`` is what slot ``n`` stands for.

    ``organism`` is the id of an organism that the question names, or "".
    """

    text: str
    mentions: tuple[Mention, ...]
    organism: str = ""

    @property
    def words(self) -> tuple[str, ...]:
        """Words and slots in order."""
        return tuple(self.text.split())


def slotted(question: str, mentions: Sequence[Mention], *, general_too: bool = False) -> Slotted:
    """Put slots for the mentions and normalise what is left.

    Parameters
    ----------
    question
        The question as it was asked.
    mentions
        What was grounded in it.
    general_too
        Give a slot to very general terms ("cell", "disease") as well.
    """
    parts: list[str] = []
    kept: list[Mention] = []
    organism = ""
    end = 0
    for mention in sorted(mentions, key=lambda m: m.start):
        if mention.id.startswith(_ORGANISM):
            organism = mention.id
            parts.append(_plain(question[end : mention.start]))
            parts.append("@organism")
        elif mention.id in _GENERAL and not general_too:
            parts.append(_plain(question[end : mention.end]))
        else:
            parts.append(_plain(question[end : mention.start]))
            parts.append(f"@{LETTERS[mention.category]}{len(kept)}")
            kept.append(mention)
        end = mention.end
    parts.append(_plain(question[end:]))
    return Slotted(" ".join(part for part in parts if part), tuple(kept), organism)


def _plain(text: str) -> str:
    text = text.replace("’", "'")
    text = re.sub(r"n't\b", " not", _SHORT.sub(r"\1 is", text))
    words = (lemma(word) for word in normalise(text).split())
    return " ".join(word for word in words if word not in _ARTICLES)
