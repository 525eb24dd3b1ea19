"""What an answer says beside its facts: how words were taken, what is obsolete, what was not read.

Program's own remarks, made from the plan and the grounded mentions; nothing is retrieved here but
the record of an obsolete term.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.answer import Named
from agent.facts import HUMAN, Facts, Finding, Found
from agent.routing.nearby import nearby, nearby_of_cells
from agent.routing.router import Plan
from agent.routing.spoken import foreign
from agent.verification.statement import Form, Statement
from agent.verification.tokens import lemma
from kg.naming.lexicon import normalise
from kg.naming.mentions import Candidate, Mention
from kg.terms import Curie, is_curie
from retrieval.evidence import EdgeEvidence, Evidence, PathEvidence, TermEvidence

__all__ = [
    "MOUSE",
    "UNKNOWN",
    "assumptions",
    "for_organism",
    "ids",
    "named",
    "said_of_a_not",
    "unread",
    "with_successors",
]

MOUSE = "NCBITaxon:10090"
UNKNOWN = "is in none of the loaded releases"
"""How a warning of an id that no release holds ends."""


def with_successors(facts: Facts, mentions: Sequence[Mention], found: Found) -> Found:
    """Say of each obsolete id in the question what takes its place, where a tool did not."""
    said = {finding.statement.subject for finding in found.findings}
    more = []
    for mention in mentions:
        written = mention.text.upper().replace("_", ":")
        term = facts.names.term(written) if mention.best.replaced and is_curie(written) else None
        words = facts.words(written, "replaced_by") if term else None
        if term and term.replaced_by and words and written not in said:
            statement = Statement(Form.REPLACED, subject=written, objects=(term.replaced_by,))
            more.append(Finding(statement, (words,)))
    if not more or not found.findings:
        return found
    led = bool(found.findings[0].lead)  # a yes or a no comes first
    both = (*found.findings, *more) if led else (*more, *found.findings)
    return replace(found, findings=both)


def said_of_a_not(found: Found) -> Found:
    """The leads of an answer to "Is A not a B?", where a yes or a no would be read either way."""
    findings = []
    for finding in found.findings:
        lead = re.sub(r"^Yes\b|\byes$", "It is", finding.lead)
        lead = re.sub(r"^No\b", "It is not", lead)
        findings.append(replace(finding, lead=lead))
    return replace(found, findings=tuple(findings))


def for_organism(mention: Mention, organism: Curie) -> Candidate:
    """The candidate of the organism that the question names, where there is one."""
    prefix = {HUMAN: "HGNC:", MOUSE: "MGI:"}.get(organism, "")
    if prefix:
        for candidate in mention.candidates:
            if candidate.id.startswith(prefix):
                return candidate
    return mention.best


def assumptions(mentions: Sequence[Mention], chosen: Sequence[Candidate]) -> tuple[str, ...]:
    """What grounding assumed: readings, corrections, replacements, close alternatives."""
    warnings = []
    for mention, candidate in zip(mentions, chosen, strict=True):
        if candidate.notice:
            read = f"{mention.text!r} is read as {candidate.label} ({candidate.id})"
            warnings.append(f"{read}: {candidate.notice}")
        elif mention.unclear:
            others = [
                f"{other.label} ({other.id})"
                for other in mention.candidates[:3]
                if other.id != candidate.id and other.score >= mention.score - 0.05
            ]
            if others:
                read = f"{mention.text!r} is read as {candidate.label} ({candidate.id})"
                warnings.append(f"{read}; it could also mean {', '.join(others)}")
    return tuple(warnings)


def named(mention: Mention) -> Named:
    """A mention as an answer lists it."""
    return Named(mention.text, mention.id, mention.label, mention.score, mention.scope.value)


def ids(piece: Evidence) -> tuple[Curie, ...]:
    """The terms that a piece of evidence speaks of."""
    if isinstance(piece, PathEvidence):
        return piece.path.nodes
    if isinstance(piece, EdgeEvidence):
        return (piece.edge.subject, piece.edge.object)
    return (piece.id,) if isinstance(piece, TermEvidence) else ()


def _as_asked(question: str, words: Sequence[str]) -> str:
    """Words that were not read, as the question spells them, quoted."""
    wanted = {word for word in words if not word.startswith("@")}
    asked = [w for w in re.findall(r"[^\W_][\w'’-]*", question) if lemma(normalise(w)) in wanted]
    return ", ".join(repr(word) for word in dict.fromkeys(asked or sorted(wanted)))


def unread(
    question: str,
    plan: Plan,
    mentions: Sequence[Mention],
    warnings: Sequence[str] = (),
    *,
    attached: bool = False,
) -> str:
    """Why a question was not read, and what near it is answered."""
    if language := foreign(question):
        return f"it seems to be in {language}, and questions are read in English only"
    if unknown := [line for line in warnings if line.endswith(UNKNOWN)]:
        return f"{'; '.join(unknown)}; find ids with: celloquy term NAME"
    if plan.lacking:
        return plan.lacking
    if not mentions:
        if attached:
            return f"it was not understood; of the attached cells: {nearby_of_cells(question)}"
        return (
            "it names no cell type, gene, process or disease that they hold; ask for a definition, "
            "kinds, parents, development, markers, functions, partners or diseases of a cell type, "
            "gene, process or disease, or how two of them are related"
        )
    near = nearby(question, mentions)
    helpful = f"near it is answered: {near}" if near else "ask for something else of it"
    if attached:
        helpful += f"; of the attached cells: {nearby_of_cells(question)}"
    known = ", ".join(dict.fromkeys(f"{m.label} ({m.id})" for m in mentions))
    if plan.turning:
        words = " ".join(plan.turning)
        return (
            f"they hold {known}, but the question turns on {words!r}, which is not read; ask "
            "it plainly, without that, and the answer says yes or no with the reason"
        )
    if plan.unread and (words := _as_asked(question, plan.unread)):
        return (
            f"they hold {known}, but nothing that answers to {words} in this question, or its "
            f"wording is not read; {helpful}"
        )
    return f"they hold {known}, but what is asked of it was not understood; {helpful}"
