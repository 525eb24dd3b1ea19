"""A model's sentence, read into statements: every word of it, or not at all.

The sentence may name the entities of the evidence it cites, relate them by the phrases of
:mod:`agent.verification.phrases`, count, negate, quote, and name provenance (PMIDs, evidence codes,
sources, releases, organisms) of that evidence. A word that is none of this is not understood, and
the sentence is refused with that word as the reason: whatever a sentence adds to its evidence, it
adds in words. The grammar is small on purpose; it errs towards refusing.

    sentence := clause ((", which" | "; it" | ", and") clause)*
    clause   := list relation list | number? noun "of" entity ("is" | "includes") list
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.answer import Claim
from agent.verification.clauses import Clause, parse
from agent.verification.statement import RULES, Form, Rule, Statement
from agent.verification.tokens import QUOTED, tokenise
from agent.verification.wording import Names, sentence
from kg.terms import IS_A, Curie
from retrieval.evidence import (
    CellsEvidence,
    Evidence,
    PassageEvidence,
    PredictionEvidence,
    TermEvidence,
)

__all__ = ["Reading", "claims_of", "read"]

_KEYS = re.compile(
    r"\s*\[\s*(E\d+(?:\s*[,;]\s*E?\d+|\s+and\s+E\d+)*)\s*\]|\s*\((E\d+(?:,\s*E\d+)*)\)"
)
_SENTENCE = re.compile(
    # A full stop, an optional closing quote and keys behind it, then a space and a new sentence.
    r"(?<=[.!?])(?:[\"”’)]*)(?:\s*\[[^\]]*\])*(?=\s+[\"“(]?[A-Z0-9\-•*]|\s*$)|\n+"
)


@dataclass(frozen=True, slots=True)
class Reading:
    """What a sentence says: for each of its statements the ways it may be meant, or a problem."""

    statements: tuple[tuple[Statement, ...], ...] = ()
    problem: str = ""


def claims_of(draft: str, evidence: Mapping[str, Evidence] | None = None) -> tuple[Claim, ...]:
    """Split a draft into sentences with the evidence keys that each names.

    Sentences inside quotation marks, and those taken over whole from ``evidence``, are not split.

    >>> [(c.text, c.evidence) for c in claims_of("A is a B [E1]. It has C [E2, E3].")]
    [('A is a B.', ('E1',)), ('It has C.', ('E2', 'E3'))]
    """
    claims = []
    start = 0
    whole = _taken_over(draft, evidence or {})
    ends = [
        match.end()
        for match in _SENTENCE.finditer(draft)
        if not any(first < match.start() < last for first, last in whole)
    ]
    for end in [*ends, len(draft)]:
        part = draft[start:end].strip()
        start = end
        if not part:
            continue
        keys = tuple(
            dict.fromkeys(
                f"E{number}" for match in _KEYS.finditer(part) for number in _numbers(match)
            )
        )
        text = re.sub(r"([.!?])\.$", r"\1", " ".join(_KEYS.sub("", part).split()))
        if not re.search(r"\w", text):
            continue
        claims.append(Claim(text.lstrip("-•* "), keys))
    return tuple(claims)


def _taken_over(draft: str, evidence: Mapping[str, Evidence]) -> list[tuple[int, int]]:
    spans = [match.span() for match in QUOTED.finditer(draft)]
    for piece in evidence.values():
        if isinstance(piece, TermEvidence | PassageEvidence):
            words = piece.quote if isinstance(piece, PassageEvidence) else piece.text
            bare = words.strip().removesuffix(".")
            for written in (bare, bare[:1].lower() + bare[1:]):
                start = draft.find(written) if bare else -1
                if start >= 0:
                    spans.append((start, start + len(bare)))
    return spans


def _numbers(match: re.Match[str]) -> list[str]:
    return re.findall(r"\d+", match.group(0))


_OF_EVERY = re.compile(r"\W*(?:every|each|all|any)\b", re.IGNORECASE)


def _of_classes(statement: Statement) -> bool:
    """Whether the relation holds of every member of a class, as annotations of genes do not."""
    predicate = statement.predicate
    return predicate == IS_A or RULES.get(predicate, Rule()).before


def read(text: str, cited: Mapping[str, Evidence], names: Names) -> Reading:
    """Read a sentence against the evidence it cites."""
    if measured := _measured(text, cited, names):
        return Reading(((measured,),))
    tokens, problem = tokenise(text, cited, names)
    if problem:
        return Reading(problem=problem)
    clauses = parse(tokens)
    if isinstance(clauses, str):
        return Reading(problem=clauses)
    statements = tuple(_statements(clause, cited) for clause in clauses)
    if not statements or not all(statements):
        return Reading(problem="the sentence states nothing about its evidence")
    if _OF_EVERY.match(text):
        # "Every B gives rise to A" is more than "A develops from B" says.
        forward = tuple(one for one in statements[0] if not one.inverse and _of_classes(one))
        if not forward:
            return Reading(problem="the evidence does not say it of every one of them")
        statements = (forward, *statements[1:])
    return Reading(statements)


def _measured(text: str, cited: Mapping[str, Evidence], names: Names) -> Statement | None:
    measured = tuple(
        p.text for p in cited.values() if isinstance(p, CellsEvidence | PredictionEvidence)
    )
    said = " ".join(text.split()).removesuffix(".")
    # One of the measurements, or all of them in the sentence that they make together.
    for quotes in (*((quote,) for quote in measured), measured):
        if quotes:
            statement = Statement(Form.MEASURED, quotes=quotes)
            words = " ".join(sentence(statement, names).split()).removesuffix(".")
            if said.casefold() == words.casefold():
                return statement
    return None


def _statements(clause: Clause, cited: Mapping[str, Evidence]) -> tuple[Statement, ...]:
    if clause.quotes:
        if clause.subject:
            form = Form.NAMED if clause.naming else Form.DEFINED
            return tuple(
                Statement(form, subject=subject, quotes=clause.quotes) for subject in clause.subject
            )
        pmids = [f"PMID:{p.pmid}" for p in cited.values() if isinstance(p, PassageEvidence)]
        subject = pmids[0] if len(pmids) == 1 else ""
        return (Statement(Form.QUOTED, subject=subject, quotes=clause.quotes),)
    found: list[Statement] = []
    for predicate, inverse in clause.relations:
        for subject in clause.subject:
            for objects in _choices(clause.objects):
                found.append(_one(clause, predicate, inverse, subject, objects))
    return tuple(found)


def _one(
    clause: Clause, predicate: Curie, inverse: bool, subject: Curie, objects: tuple[Curie, ...]
) -> Statement:
    form = Form.FACT
    if clause.number is not None and not objects:
        form = Form.TOTAL
    return Statement(
        form,
        subject=subject,
        predicate=predicate,
        objects=objects,
        inverse=inverse,
        negated=clause.negated,
        qualifier=clause.qualifier,
        numbers=() if clause.number is None else (clause.number,),
    )


def _choices(objects: tuple[tuple[Curie, ...], ...]) -> list[tuple[Curie, ...]]:
    """All ways to pick one meaning for each object; names of one evidence are seldom shared."""
    picked: list[tuple[Curie, ...]] = [()]
    for options in objects:
        picked = [(*head, option) for head in picked for option in options][:64]
    return picked
