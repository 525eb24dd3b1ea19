"""The subject of a conversation: dropped when that is asked for, and what a bare noun asks of it.

"Forget it" ends what was spoken of: nothing said before it is meant by "it" any more. "Which
diseases?" after an answer about a gene asks for the diseases of that gene. Knows no graph; which
reading makes sense is for the caller to say.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence

from agent.conversation.memory import Turn
from kg.terms import Curie

__all__ = ["asked_of", "dropped", "since_dropped"]

_DROP = re.compile(
    r"^\s*(?:(?:ok|okay|oh|well|so|no|actually|please|right)[\s,.!]+)*"
    r"(?:forget (?:about )?(?:it|that|this|all that|everything|the last (?:one|question))"
    r"|never ?mind(?: (?:about )?(?:that|it|this))?"
    r"|(?:drop|scrap|leave|ignore|skip) (?:it|that|this|the subject)"
    r"|(?:let(?:'|’)?s |let us )?(?:change|switch) (?:of |the )?(?:subject|topic)"
    r"|(?:new|another|different) (?:subject|topic)|start (?:over|afresh|again))"
    r"(?:\s+(?:then|please|now|for now))?(?=\W|$)[\s,.!;:\u2013\u2014-]*"
    r"(?:(?:and|but|instead|then)\b[\s,]*)?",
    re.IGNORECASE,
)
# "Which diseases?", "and the markers?", "any partners?", "what about kinds?"
_NOUN = re.compile(
    r"^\s*(?:(?:and|ok|okay|so|but)[\s,]+)*(?:(?:which|what|any|what about|how about|and)\s+)?"
    r"(?:are |is )?(?:the |other )?(?P<noun>(?!its |their |they )[a-z]+(?:[ -][a-z]+)?)\s*\?+\s*$",
    re.IGNORECASE,
)
_RELATIONS = """
disease diseases disorder disorders condition conditions marker markers gene genes protein proteins
partner partners receptor receptors ligand ligands function functions role location subtype subtypes
kind kinds parent parents sibling siblings part parts symptom symptoms phenotype phenotypes ortholog
orthologs orthologue orthologues synonym synonyms alias aliases definition neighbours neighbors
precursor precursors progenitor progenitors process processes tissue tissues regulators
""".split()  # noqa: SIM905 - a list of words reads best as words


def dropped(question: str) -> str | None:
    """What is left of a question that drops the subject, "" for nothing; None where it does not.

    >>> dropped("never mind, what is a B cell?"), dropped("Forget it."), dropped("forget-me-not?")
    ('what is a B cell?', '', None)
    """
    match = _DROP.match(question)
    return None if match is None else question[match.end() :].strip()


def since_dropped(turns: Sequence[Turn]) -> Sequence[Turn]:
    """The turns that may still be meant: those since the subject was dropped last."""
    for place in range(len(turns) - 1, -1, -1):
        rest = dropped(turns[place].question)
        if rest is not None:
            return turns[place:] if rest else turns[place + 1 :]
    return turns


def asked_of(
    question: str, terms: Iterable[Curie], makes_sense: Callable[[str], bool]
) -> tuple[str, Curie] | None:
    """What a bare noun asks of the first of the terms of which it can be asked; None if of none.

    Parameters
    ----------
    question
        As it was asked.
    terms
        What was spoken of, the latest first.
    makes_sense
        Whether a question in full could be answered.
    """
    match = _NOUN.match(question)
    if match is None or match["noun"].lower().split()[-1] not in _RELATIONS:
        return None
    for term in terms:
        text = f"What are the {match['noun']} of {term}?"
        if makes_sense(text):
            return text, term
    return None
