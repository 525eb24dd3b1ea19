"""An answer put together: its status, the citations of what is shown, the warnings, the trace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agent import remarks
from agent.answer import Answer, Citation, Status
from agent.state import CELLS, State
from agent.writing import old_sources

if TYPE_CHECKING:
    from agent.qa import Agent

__all__ = ["finished"]


def finished(agent: Agent, state: State, text: str, releases: dict[str, str]) -> State:
    """The answer with its citations, from what the steps handed on."""
    failed = "error" in state
    status: Status = "failed" if failed else ("ok" if releases else "abstained")
    if status == "ok" and state.get("cut"):
        status = "truncated"
    claims = state.get("claims", ())
    plan = state["plan"]
    these = state["these"] if plan.tool.startswith(CELLS) else None
    scores = [mention.score for mention in plan.terms]
    return {
        "answer": Answer(
            question=state["question"],
            status=status,
            answer=text,
            claims=claims,
            citations=_citations(agent, state) if releases else (),
            mentions=tuple(remarks.named(mention) for mention in state["mentions"]),
            route=state["steps"],
            confidence=min(scores, default=1.0) if releases else 0.0,
            model=agent.writer.name if agent.writer and "cut" in state else None,
            warnings=(*state["warnings"], *old_sources(agent.graph, releases)),
            releases=releases,
            tool=plan.tool,
            terms=state.get("ids", ()),
            selection=these.selection if these else "",
            against=these.against if these else "",
        )
    }


def _citations(agent: Agent, state: State) -> tuple[Citation, ...]:
    """The evidence of the shown claims, with the labels that its ids need."""
    used = {key for c in state["claims"] if c.verdict == "supported" for key in c.evidence}
    citations = []
    for key, piece in state["draft"].evidence.items():
        if key in used:
            ids = remarks.ids(piece)
            agent.facts.names.load(ids)
            labels = {node: agent.facts.names.label(node) for node in ids}
            citations.append(Citation(key, piece, labels))
    return tuple(citations)
