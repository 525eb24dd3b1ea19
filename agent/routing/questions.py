"""A question as the router sees it: its words, with a slot for each term that was grounded.

    "Which cell types develop into a platelet?"  ->  "which cell type develop into @C0"

The letter of a slot is the term's category. Knows no kind of question and no graph.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from agent.verification.tokens import lemma
from kg.naming.lexicon import normalise
from kg.naming.mentions import Mention
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
        "GO:0005488",  # binding ("ligand")
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
_THE_GENE = re.compile(
    r"\bthe (?:human |mouse )?(?:gene|protein)s?(?: called| named)?\s+$", re.IGNORECASE
)
# "the gene FOXP3" is FOXP3; "human B cells" are B cells, of that organism.
_WHOSE = re.compile(r"@organism (?=@[CADP]\d)")
_ARTICLES = frozenset({"a", "an", "the"})
# Ways to ask that say nothing of what is asked: "Would you say X is ...", "... do you know?".
_ASKING = re.compile(
    r"^(?:so |and |well |then |but )*"
    r"(?:(?:is|isn't) it (?:true|correct|right|known|the case|so)(?: that| whether| if)?"
    r"|would you (?:say|agree)(?: that)?|do you (?:know|think)(?: whether| if| that)?"
    r"|(?:can|could|would) you (?:please )?(?:tell me|explain|say)(?: whether| if)?"
    r"|(?:please )?tell me(?: whether| if)|i(?: would|'d) like to know(?: whether| if)?"
    r"|i wonder(?: whether| if)?|am i right that|true or false:?|does it hold that) (?=\w)",
    re.IGNORECASE,
)
_KNOWN = re.compile(
    r",? (?:(?:do|can) you (?:know|name|list|think)(?: of)?|are known(?: to you)?|please)(?=\W*$)",
    re.IGNORECASE,
)
# "Isn't X a Y?" asks whether it is; "is X not a Y?" is another question.
_TAG = re.compile(r"^(\W*)(is|are|was|were|do|does|did|can|could|has|have)n['’]t\b", re.IGNORECASE)
_SHORT = re.compile(r"\b(what|who|where|how|that|it|there)'s\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Slotted:
    """``text`` in small words with slots; ``mentions[n]`` is what slot ``n`` stands for.

    ``organism`` is the id of an organism that the question names, or "". ``stated`` is whether a
    yes-no question is asked as a statement ("Is it true that X is a Y"). ``most`` is how many of a
    list are wanted ("five markers"), 0 where that is not said.
    """

    text: str
    mentions: tuple[Mention, ...]
    organism: str = ""
    stated: bool = False
    most: int = 0

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
    # Blanks in place of what is left out keep the offsets of the mentions.
    question = _TAG.sub(lambda match: f"{match[1]}{match[2]}".ljust(len(match[0])), question)
    parts: list[str] = []
    kept: list[Mention] = []
    organism = ""
    counted = _counted(question, mentions)
    if counted:
        question = question[: counted.start()] + " " * len(counted[0]) + question[counted.end() :]
    first = mentions[0].start if mentions else len(question)
    lead = _ASKING.match(question)
    stated = lead is not None and lead.end() <= first
    end = lead.end() if lead is not None and stated else 0
    last = max((mention.end for mention in mentions), default=0)
    tail = _KNOWN.search(question, last)
    for mention in sorted(mentions, key=lambda m: m.start):
        if mention.id.startswith(_ORGANISM):
            organism = mention.id
            parts.append(_plain(question[end : mention.start]))
            parts.append("@organism")
        elif mention.id in _GENERAL and not general_too:
            parts.append(_plain(question[end : mention.end]))
        else:
            before = question[end : mention.start]
            if mention.category is Category.GENE:
                before = _THE_GENE.sub("", before)
            parts.append(_plain(before))
            parts.append(f"@{LETTERS[mention.category]}{len(kept)}")
            kept.append(mention)
        end = mention.end
    parts.append(_plain(question[end : tail.start() if tail else len(question)]))
    text = " ".join(part for part in parts if part)
    text = _WHOSE.sub("", text)
    most = _number(counted["n"]) if counted else 0
    return Slotted(text, tuple(kept), organism, stated, most)


# "Five markers", "the top 10 genes", "two good surface markers": how many of a list are wanted.
_NUMBERS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_MOST = re.compile(
    rf"\b(?:the )?(?:(?:top|best|first) )?(?P<n>{'|'.join(_NUMBERS)}|[2-9]|[1-9]\d)"
    r"(?: (?:top|best|good|main|important|typical|known|strongest))? "
    r"(?=(?:(?:surface|marker|canonical|cell|interaction|target|associated) )?"
    r"(?:markers|genes|proteins|diseases|disorders|partners|receptors|ligands|processes|functions"
    r"|types|subtypes|kinds|phenotypes|symptoms)\b)",
    re.IGNORECASE,
)


def _counted(question: str, mentions: Sequence[Mention]) -> re.Match[str] | None:
    """Where a question says how many it wants, outside of names."""
    return next(
        (
            match
            for match in _MOST.finditer(question)
            if not any(m.start < match.end() and match.start() < m.end for m in mentions)
        ),
        None,
    )


def _number(word: str) -> int:
    return int(word) if word.isdigit() else _NUMBERS.index(word.lower()) + 2


def _plain(text: str) -> str:
    text = text.replace("’", "'")
    text = re.sub(r"n't\b", " not", _SHORT.sub(r"\1 is", text))
    words = (lemma(word) for word in normalise(text).split())
    return " ".join(word for word in words if word not in _ARTICLES)
