"""An answer when the graph server goes away in the middle of a question.

The built-in graph answers instead where there is one, and the answer says so first; otherwise the
answer is a failure with its reason. Nobody waits for a server that is gone.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from agent.answer import Answer, Step
from data.errors import AssetMissing, ServerUnavailable
from kg.graph import KnowledgeGraph

if TYPE_CHECKING:
    from agent.qa import Agent
    from agent.state import State

__all__ = ["built_in", "degraded"]


def built_in() -> KnowledgeGraph | None:
    """The graph file of this machine; None where it is not built."""
    from kg.embedded import EmbeddedGraph

    try:
        return EmbeddedGraph.open()
    except AssetMissing:
        return None


def degraded(agent: Agent, state: State, error: ServerUnavailable) -> Answer:
    """Answer a question whose graph server does not answer any more."""
    why = " ".join(str(error).split())
    graph = agent.fallback() if agent.fallback else None
    if graph is None:
        text = f"The question could not be answered: {why}."
        return Answer(state["question"], "failed", text, route=(Step("graph", why),))
    other = replace(agent, graph=graph, fallback=None)
    answer = other.run(state)
    warning = f"{why}; answered from the built-in graph instead"
    return replace(
        answer,
        warnings=(warning, *answer.warnings),
        route=(Step("graph", warning), *answer.route),
    )
