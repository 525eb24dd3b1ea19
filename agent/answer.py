"""The answer: claims with their evidence, a status, a trace and the releases used.

Values only; nothing here looks anything up. :meth:`Answer.to_json` gives the document that
``celloquy ask --json`` prints. Two answers to one question differ in the trace's times alone.

What a claim rests on says what it tells: what a source states (``known``), a figure of the attached
cells (``measured``), or what a model says (``predicted``). A verdict says that a sentence tells no
more than its evidence, not that a prediction is true (docs/decisions/0006-confidences-by-name.md).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agent.verification.statement import Statement
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

__all__ = ["Answer", "Citation", "Claim", "Named", "Status", "Step", "Tells", "Verdict"]

Status = Literal["ok", "abstained", "truncated", "failed"]
Verdict = Literal["supported", "dropped"]
Tells = Literal["known", "measured", "predicted"]


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

    def to_json(self, tells: Tells | None = None) -> dict[str, Any]:
        """The claim as ``ask --json`` has it; ``tells`` is None of one that is not shown."""
        return {
            "text": self.text,
            "evidence": list(self.evidence),
            "verdict": self.verdict,
            "why": self.why,
            "tells": tells,
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

    @property
    def tells(self) -> Tells:
        """What a sentence that rests on it tells."""
        kind = self.evidence.kind
        return "predicted" if kind == "prediction" else "measured" if kind == "cells" else "known"

    @property
    def confidence(self) -> float | None:
        """Of a prediction: how probable it is, None where its model does not say so.

        Of cells that were annotated it is the mean of their calibrated confidences.
        """
        piece = self.evidence
        if not isinstance(piece, PredictionEvidence):
            return None
        figures = dict(piece.figures)
        if piece.statistic and piece.subject and figures.get("cells"):
            return figures.get("confidence")
        return piece.confidence

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
                document |= {
                    "status": self.tells,
                    "measured": piece.measured,
                    "measured_value": piece.value,
                    "baseline": piece.baseline,
                    "baseline_value": piece.baseline_value,
                    "prediction_confidence": self.confidence,
                }
                if piece.asked:
                    document |= {
                        "asked": list(piece.asked),
                        "scores": dict(piece.figures),
                        "notes": list(piece.notes),
                    }
                if piece.observed:
                    document["observed"] = piece.observed
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
    right terms, 0 for an abstention: facts shown are checked, not probable. The document says so
    by its name (``reading_confidence``) and tells apart how probable what is predicted is
    (:attr:`prediction_confidence`). ``tool``, ``terms``
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

    @property
    def prediction_confidence(self) -> float | None:
        """The lowest of its predictions' confidences; None where no prediction has one."""
        said = [one.confidence for one in self.citations]
        return min((one for one in said if one is not None), default=None)

    def _tells(self) -> list[Tells | None]:
        """What each claim tells; a prediction beside a fact makes the sentence a prediction."""
        by_key = {citation.key: citation.tells for citation in self.citations}
        order: tuple[Tells, ...] = ("predicted", "measured", "known")
        found: list[Tells | None] = []
        for claim in self.claims:
            kinds = {by_key.get(key) for key in claim.evidence if claim.verdict == "supported"}
            found.append(next((one for one in order if one in kinds), None))
        return found

    def to_json(self) -> dict[str, Any]:
        """The document of ``celloquy ask --json``."""
        tells = self._tells()
        return {
            "question": self.question,
            "status": self.status,
            "answer": self.answer,
            "tells": sorted({one for one in tells if one}),
            "claims": [c.to_json(one) for c, one in zip(self.claims, tells, strict=True)],
            "citations": [citation.to_json() for citation in self.citations],
            "mentions": [mention.to_json() for mention in self.mentions],
            "route": [step.to_json() for step in self.route],
            "confidence": round(self.confidence, 4),
            "reading_confidence": round(self.confidence, 4),
            "prediction_confidence": self.prediction_confidence,
            "model": self.model,
            "warnings": list(self.warnings),
            "releases": dict(self.releases),
        }

    def __str__(self) -> str:
        return self.answer
