"""What is answered near a question that is not: the kinds of question that its own terms take.

Named for the terms of the question, those first whose words are nearest to its words; nothing is
run, so that what is offered is a kind of question and no promise of an answer.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import permutations

from agent.routing.patterns import HARMLESS
from agent.routing.questions import LETTERS
from agent.tools import TOOLS
from agent.verification.tokens import lemma
from kg.naming.lexicon import normalise
from kg.naming.mentions import Mention

__all__ = ["in_words", "nearby", "nearby_of_cells"]

_OFFERED = 3  # kinds of question that are named
_LETTER = re.compile(r"(?:\b(?:cell types?|gene|disease|process|term|ligand|receptor) )?\b([AB])\b")
# Kinds that a reader may want next, the most asked first, and terms that each is asked of.
_COMMON: Mapping[str, str] = {
    "markers": "C",
    "function": "G",
    "genes_of": "PFLDH",
    "difference": "CC",
    "expresses": "CG",
    "is_marker": "GC",
    "annotated": "GP GF GL GD",
    "marked_types": "G",
    "definition": "CADPFLH",
    "subtypes": "CADP",
    "types_in": "A",
    "diseases": "G",
    "partners": "G",
    "surroundings": "G",
    "location": "G",
    "develops_from": "C",
    "tissue": "C",
    "related": "CC PP DD AA GD GG",
    "phenotypes": "D",
    "orthologues": "G",
    "capable": "PF",
}


def nearby(question: str, mentions: Sequence[Mention]) -> str:
    """The kinds of question nearest to this one that its terms take; "" where none does.

    Parameters
    ----------
    question
        As it was read.
    mentions
        The terms that it names.
    """
    asked = _words(question)
    letters = {mention.id: LETTERS[mention.category] for mention in mentions}
    labels = {mention.id: mention.label for mention in mentions}
    offered: dict[str, tuple[int, int, int, str]] = {}
    for place, (name, wanted) in enumerate(_COMMON.items()):
        tool = TOOLS[name]
        kinds = wanted.split() if tool.arity > 1 else list(wanted)
        near = len(asked & _words(tool.use))
        for ids in permutations(letters, tool.arity):  # the question's own order comes first
            if "".join(letters[one] for one in ids) in kinds:
                said = in_words(tool.use, [labels[one] for one in ids])
                offered.setdefault(name, (-near, -tool.arity, place, said))
    return _listed(rank[-1] for rank in sorted(offered.values())[:_OFFERED])


def nearby_of_cells(question: str) -> str:
    """The kinds of question about attached cells that are nearest to this one."""
    from agent.attached.cellquestions import CELL_TOOLS

    asked = _words(question)
    ranked = sorted(
        (-len(asked & _words(tool.use)), place, tool.use)
        for place, tool in enumerate(CELL_TOOLS.values())
    )
    return _listed(use for *_, use in ranked[:_OFFERED])


def _words(text: str) -> set[str]:
    words = (lemma(word) for word in normalise(text).split())
    return {word for word in words if word not in HARMLESS and len(word) > 1}


def in_words(use: str, labels: Sequence[str]) -> str:
    """A tool's use with the names of its terms in it.

    >>> in_words("The markers of cell type A.", ["hepatocyte"])
    'The markers of hepatocyte.'
    """
    names = dict(zip("AB", labels, strict=False))
    return _LETTER.sub(lambda match: names.get(match[1], match[1]), use)


def _listed(uses: Iterable[str]) -> str:
    said = [use.rstrip(".") for use in uses]
    return "; ".join(use[:1].lower() + use[1:] for use in said)
