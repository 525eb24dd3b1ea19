"""From checked claims to the words of an answer, and what to say where there are none.

The extractive writer: each finding becomes a claim with the sentence that its statement makes.
Nothing is written here that the verifier has not passed, but for leads, notes and names of
releases, which are the program's own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.answer import Claim
from agent.facts import Finding
from agent.verification.phrases import SOURCE_WORDS
from agent.verification.statement import Form, Statement
from agent.verification.verify import Verifier
from agent.verification.wording import Names, join, sentence
from data.manifest import age_in_days
from kg.graph import KnowledgeGraph
from kg.terms import Curie, Release
from retrieval.evidence import (
    EdgeEvidence,
    Evidence,
    PassageEvidence,
    PathEvidence,
    TermEvidence,
    number,
)

__all__ = [
    "Draft",
    "abstention",
    "draft",
    "merged",
    "old_sources",
    "prose",
    "releases_of",
    "sources_line",
]

OLD_YEARS = 3
"""A source older than this is named with its age in a warning; releases of the ontologies are
monthly to half-yearly."""


@dataclass(frozen=True, slots=True)
class Draft:
    """Claims before they are checked, each with its lead, and the evidence under its keys."""

    claims: tuple[Claim, ...]
    leads: tuple[str, ...]
    evidence: Mapping[str, Evidence]


def draft(findings: Sequence[Finding], names: Names) -> Draft:
    """Number the evidence and write a sentence for each finding."""
    evidence = number(piece for finding in findings for piece in finding.evidence)
    keys = {piece.digest: key for key, piece in evidence.items()}
    claims = []
    for finding in findings:
        cited = tuple(dict.fromkeys(keys[piece.digest] for piece in finding.evidence))
        text = sentence(finding.statement, names)
        claims.append(Claim(text, cited, finding.statement))
    return Draft(tuple(claims), tuple(f.lead for f in findings), evidence)


def merged(
    facts: Sequence[Claim],
    leads: Sequence[str],
    kept: Sequence[Claim],
    verifier: Verifier,
    evidence: Mapping[str, Evidence],
) -> tuple[list[Claim], list[str]]:
    """The model's order of the facts, without what it added and with what it left out.

    Parameters
    ----------
    facts, leads
        The extractive claims with their leads.
    kept
        The model's supported sentences.
    """
    claims = [(claim, lead) for claim, lead in zip(facts, leads, strict=True) if lead]
    said = {claim.statement for claim, _ in claims}
    for claim in kept:
        for statement in verifier.statements(claim, evidence):
            if statement not in said:
                said.add(statement)
                text = sentence(statement, verifier.names)
                again = verifier.check(Claim(text, claim.evidence, statement), evidence)
                if again.verdict == "supported":
                    claims.append((again, ""))
    shown = [claim.statement for claim, _ in claims if claim.statement]
    for claim, lead in zip(facts, leads, strict=True):
        if lead or (claim.statement and any(_covers(one, claim.statement) for one in shown)):
            continue
        claims.append((claim, lead))
    return [claim for claim, _ in claims], [lead for _, lead in claims]


def _covers(said: Statement, fact: Statement) -> bool:
    """Whether one statement says all that another does."""
    if said == fact:
        return True
    if said.form is not Form.FACT or fact.form is not Form.FACT:
        return False
    same = (said.subject, said.predicate, said.inverse, said.negated, said.qualifier, said.unlike)
    asked = (fact.subject, fact.predicate, fact.inverse, fact.negated, fact.qualifier, fact.unlike)
    return same == asked and set(fact.objects) <= set(said.objects)


def prose(
    claims: Sequence[Claim],
    leads: Sequence[str],
    evidence: Mapping[str, Evidence],
    names: Names,
) -> str:
    """The supported claims as sentences with their evidence keys in brackets."""
    sentences = []
    for claim, lead in zip(claims, leads, strict=True):
        if claim.verdict == "supported" and claim.statement is not None:
            text = _cited(claim, claim.statement, evidence, names)
            sentences.append(f"{lead}: {text}" if lead else text)
    return " ".join(sentences)


def _cited(
    claim: Claim, statement: Statement, evidence: Mapping[str, Evidence], names: Names
) -> str:
    nodes = {key: _nodes(evidence[key]) for key in claim.evidence}
    everything = _brackets(claim.evidence)
    several = statement.objects if statement.form is Form.FACT else statement.quotes
    if statement.form in (Form.FACT, Form.MEASURED) and len(several) > 1:
        return sentence(
            statement,
            names,
            lambda node: _brackets([key for key in claim.evidence if node in nodes[key]]),
        )
    placed = iter([everything])
    return sentence(statement, names, lambda _: next(placed, ""))


def _brackets(keys: Sequence[str]) -> str:
    return f" [{', '.join(keys)}]" if keys else ""


def _nodes(piece: Evidence) -> frozenset[Curie]:
    if isinstance(piece, PathEvidence):
        return frozenset(piece.path.nodes)
    if isinstance(piece, EdgeEvidence):
        return frozenset({piece.edge.subject, piece.edge.object})
    if isinstance(piece, TermEvidence):
        return frozenset({piece.id})
    return frozenset({f"PMID:{piece.pmid}" if isinstance(piece, PassageEvidence) else piece.text})


def releases_of(evidence: Mapping[str, Evidence], claims: Sequence[Claim]) -> dict[str, str]:
    """The releases that the shown claims rest on, by source."""
    used: dict[str, str] = {}
    for claim in claims:
        if claim.verdict != "supported":
            continue
        for key in claim.evidence:
            piece = evidence[key]
            if isinstance(piece, PathEvidence):
                used |= {edge.source: edge.release for edge in piece.path.edges}
            elif piece.source:
                used[piece.source] = piece.release
    return dict(sorted(used.items()))


def sources_line(releases: Mapping[str, str]) -> str:
    """The releases in words: the last sentence of an answer."""
    named = [
        f"{SOURCE_WORDS.get(source, (source,))[0]} {release}".strip()
        for source, release in releases.items()
    ]
    return f"Sources: {join(named)}." if len(named) > 1 else f"Source: {''.join(named)}."


def old_sources(graph: KnowledgeGraph, releases: Mapping[str, str]) -> tuple[str, ...]:
    """A warning for each used release that is years old."""
    warnings = []
    for source in releases:
        release = graph.releases.get(source)
        age = _years(release) if release else None
        if release and age is not None and age >= OLD_YEARS:
            warnings.append(
                f"{source} {release.version} is more than {age} years old; `celloquy data list` "
                "names the newer official release"
            )
    return tuple(warnings)


def _years(release: Release) -> int | None:
    days = age_in_days(release.date)
    return None if days is None else int(days // 365.25)


def abstention(reason: str) -> str:
    """What to say where no claim survived."""
    reason = reason.strip().rstrip(".")
    return f"I cannot answer this from the loaded sources: {reason}."
