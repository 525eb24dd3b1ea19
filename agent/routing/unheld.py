"""What no loaded source holds, though questions for it are common: said so, and who holds it.

A question is looked up here only where no rule of the router reads it, and is not guessed at then:
a guess would answer another question with the same terms. Knows no graph.
"""

from __future__ import annotations

import re

__all__ = ["unheld"]

_UNHELD: tuple[tuple[str, str], ...] = (
    (
        r"\b(?:which|what|same|whose) chromosomes?\b|\bon (?:the |a )?(?:same )?chromosomes?\b"
        r"|\bchromosom\w+ (?:locations?|positions?|arms?|bands?|loc(?:us|i)|numbers?|regions?)\b"
        r"|\bgenom\w+ (?:locations?|positions?|coordinates?|neighbou?rs?|loc(?:us|i)|regions?)\b"
        r"|\bcytobands?\b|\bgenetic loc(?:us|i)\b",
        "no loaded source says where on the chromosomes genes lie; the gene coordinates of GENCODE "
        "or Ensembl do",
    ),
    (
        r"\b(?:drugs?|dos(?:e|es|age|ing)|treat(?:s|ed|ment|ments|ing)?|therap(?:y|ies|eutics?)"
        r"|medicines?|medications?|cures?|cured|clinical trials?)\b",
        "no loaded source is about drugs or treatments; ChEMBL or ClinicalTrials.gov are, and a "
        "physician for advice",
    ),
    (
        r"\bhow (?:common|frequent|prevalent|rare) (?:is|are)\b|\bprevalence\b|\bincidence\b"
        r"|\bhow many (?:people|patients|persons|men|women|children)\b",
        "no loaded source counts patients; Orphanet has prevalences of rare diseases",
    ),
    (
        r"\bhow many [^?]*\b(?:in|of|per) (?:the |a |an |one |your |our )?(?:\w+ )?"
        r"(?:body|brain|blood|liver|lung|heart|kidney|human|adult|person|mouse|lit(?:re|er)|ml)\b",
        "no loaded source counts the cells of a body or an organ",
    ),
    (
        r"\bamino[- ]acids?\b|\b(?:sequence|molecular weight|molecular mass|crystal structure"
        r"|exons?|introns?|base pairs?|isoforms?|splice variants?|promoter)\b",
        "no loaded source holds sequences, transcripts or structures; UniProt and Ensembl do",
    ),
)
_PATTERNS = tuple((re.compile(pattern, re.IGNORECASE), lacking) for pattern, lacking in _UNHELD)


def unheld(question: str) -> str:
    """Why what is asked for cannot be answered from any loaded source; "" where that is not known.

    >>> unheld("Which chromosome is CFTR on?")
    'no loaded source says where on the chromosomes genes lie; the gene coordinates of GENCODE or \
Ensembl do'
    >>> unheld("What is CFTR?")
    ''
    """
    return next((lacking for pattern, lacking in _PATTERNS if pattern.search(question)), "")
