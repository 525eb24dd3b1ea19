"""The answer: claims with their evidence, a status, a trace and the releases used.

Values only; nothing here looks anything up. :meth:`Answer.to_json` gives the document that
``celloquy ask --json`` prints. Two answers to one question differ in the trace's times alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.statement import Statement
from kg.terms import Curie, Edge, Path
from retrieval.evidence import (
    CellsEvidence,
    EdgeEvidence,
    Evidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)

__all__ = ["Answer", "Citation", "Claim", "Named", "Status", "Step", "Verdict"]

Status = Literal["ok", "abstained", "truncated", "failed"]
Verdict = Literal["supported", "dropped"]


@dataclass(frozen=True, slots=True)
class Claim:
    """One sentence of an answer and the evidence it names.

    ``statement`` is what the sentence says; a model's sentence comes without one and is read
    by the verifier. ``why`` says what supported the claim, or why it was dropped.
    """

    text: str
    evidence: tuple[str, ...]
    statement: Statement | None = None
    verdict: Verdict = "dropped"
    why: str = "not checked"

    def to_json(self) -> dict[str, Any]:
        """The claim as ``ask --json`` has it."""
        return {
            "text": self.text,
            "evidence": list(self.evidence),
            "verdict": self.verdict,
            "why": self.why,
        }


@dataclass(frozen=True, slots=True)
class Named:
    """A part of the question and the term it was taken to mean."""

    text: str
    id: Curie
    label: str
    score: float
    scope: str

    def to_json(self) -> dict[str, Any]:
        """The mention as ``ask --json`` has it."""
        return {
            "text": self.text,
            "id": self.id,
            "label": self.label,
            "score": round(self.score, 4),
            "scope": self.scope,
        }


@dataclass(frozen=True, slots=True)
class Step:
    """One step of the trace: which tool ran, why, and for how long."""

    tool: str
    why: str
    ms: float = 0.0

    def to_json(self) -> dict[str, Any]:
        """The step as ``ask --json`` has it."""
        return {"tool": self.tool, "why": self.why, "ms": round(self.ms, 2)}


def _edge(edge: Edge) -> dict[str, Any]:
    return {
        "subject": edge.subject,
        "predicate": edge.predicate,
        "object": edge.object,
        "primary_knowledge_source": edge.source,
        "evidence_code": edge.evidence_code,
        "publications": list(edge.publications),
        "negated": edge.negated,
        "qualifiers": list(edge.qualifiers),
        "taxon": edge.taxon,
    }


def _path(path: Path, labels: Mapping[Curie, str]) -> dict[str, Any]:
    return {
        "nodes": [{"id": node, "label": labels.get(node, "")} for node in path.nodes],
        "edges": [
            {
                "subject": edge.subject,
                "predicate": edge.predicate,
                "object": edge.object,
                "source": edge.source,
                "release": edge.release,
            }
            for edge in path.edges
        ],
    }


@dataclass(frozen=True, slots=True)
class Citation:
    """A piece of evidence under the key that claims name, with the labels it needs."""

    key: str
    evidence: Evidence
    labels: Mapping[Curie, str] = field(default_factory=dict)

    def to_json(self) -> dict[str, Any]:
        """The citation as ``ask --json`` has it: common fields, then those of its kind."""
        piece = self.evidence
        document: dict[str, Any] = {"key": self.key, "kind": piece.kind, "text": piece.text}
        match piece:
            case PathEvidence():
                document["path"] = _path(piece.path, self.labels)
            case TermEvidence():
                document["path"] = _path(Path((piece.id,)), self.labels)
                document |= {"quote": piece.text, "start": piece.start, "end": piece.end}
            case EdgeEvidence():
                document["edge"] = _edge(piece.edge)
                document["labels"] = {
                    node: self.labels.get(node, "")
                    for node in (piece.edge.subject, piece.edge.object)
                }
            case PassageEvidence():
                document |= {
                    "pmid": piece.pmid,
                    "quote": piece.quote,
                    "start": piece.start,
                    "end": piece.end,
                    "title": piece.title,
                    "retracted": piece.retracted,
                }
            case CellsEvidence():
                document |= {
                    "statistic": piece.statistic,
                    "value": piece.value,
                    "n_cells": piece.n_cells,
                    "selection": piece.selection,
                    "against": piece.against,
                    "gene": piece.gene,
                    "figures": dict(piece.figures),
                }
            case PredictionEvidence():
                document |= {"measured": piece.measured, "baseline": piece.baseline}
                if piece.asked:
                    document |= {
                        "asked": list(piece.asked),
                        "scores": dict(piece.figures),
                        "notes": list(piece.notes),
                    }
                if piece.statistic:
                    document |= {
                        "statistic": piece.statistic,
                        "selection": piece.selection,
                        "against": piece.against,
                        "id": piece.subject,
                        "figures": dict(piece.figures),
                    }
        return document | {"source": piece.source, "release": piece.release}


@dataclass(frozen=True, slots=True)
class Answer:
    """A question's answer.

    ``status``: ``ok``; ``abstained`` (no claim survived, ``answer`` says what would help);
    ``truncated`` (a limit was met, what is shown is checked); ``failed`` (something broke, and
    ``answer`` says what). ``confidence`` is how surely the question's words were taken for the
    right terms, 0 for an abstention: facts shown are checked, not probable. ``tool``, ``terms``
    and the cells of ``selection`` (held ``against`` others) are what was run on what: a
    conversation goes on from them.
    """

    question: str
    status: Status
    answer: str
    claims: tuple[Claim, ...] = ()
    citations: tuple[Citation, ...] = ()
    mentions: tuple[Named, ...] = ()
    route: tuple[Step, ...] = ()
    confidence: float = 0.0
    model: str | None = None
    warnings: tuple[str, ...] = ()
    releases: Mapping[str, str] = field(default_factory=dict)
    tool: str = ""
    terms: tuple[Curie, ...] = ()
    selection: str = ""
    against: str = ""

    def to_json(self) -> dict[str, Any]:
        """The document of ``celloquy ask --json``."""
        return {
            "question": self.question,
            "status": self.status,
            "answer": self.answer,
            "claims": [claim.to_json() for claim in self.claims],
            "citations": [citation.to_json() for citation in self.citations],
            "mentions": [mention.to_json() for mention in self.mentions],
            "route": [step.to_json() for step in self.route],
            "confidence": round(self.confidence, 4),
            "model": self.model,
            "warnings": list(self.warnings),
            "releases": dict(self.releases),
        }

    def __str__(self) -> str:
        return self.answer
