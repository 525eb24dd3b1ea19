"""The order of an agent's steps: a LangGraph state graph over the methods of :mod:`agent.qa`.

Each node is a plain function that can be read and tested alone; here is only which follows which.
LangGraph is imported when the first question is asked.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agent.qa import Agent
    from agent.state import State

__all__ = ["compiled"]


def _timed(name: str, node: Callable[[Agent, State], State]) -> Callable[..., Any]:
    """A graph node that adds its steps to the trace with the time they took."""

    # LangGraph reads annotations, and would look for the agent's own types here.
    def run(state: Any, runtime: Any) -> Any:
        start = time.perf_counter()
        update = node(runtime.context, state)
        ms = (time.perf_counter() - start) * 1000
        steps = [replace(step, ms=ms) for step in update.get("steps", ())]
        merged = {**update, "steps": (*state["steps"], *steps)}
        if "warnings" in update:
            merged["warnings"] = (*state["warnings"], *update["warnings"])
        return merged

    run.__name__ = name
    return run


def _after_verify(state: Any, runtime: Any) -> str:
    if not any(claim.verdict == "supported" for claim in state["claims"]):
        return "abstain_"
    return "rewrite_" if runtime.context.writer else "answer_"


@lru_cache(maxsize=1)
def compiled() -> Any:
    """The state graph, compiled once a process; LangGraph is imported here, when first asked."""
    from langgraph.graph import END, START, StateGraph

    from agent.qa import Agent
    from agent.state import State

    graph = StateGraph(State, context_schema=Agent)
    nodes = (
        *(Agent.ground, Agent.route, Agent.retrieve),
        *(Agent.write, Agent.verify, Agent.rewrite),
    )
    for node in nodes:
        graph.add_node(f"{node.__name__}_", _timed(node.__name__, node))
    graph.add_node("answer_", lambda state, runtime: runtime.context.answer(state))
    graph.add_node("abstain_", lambda state, runtime: runtime.context.abstain(state))
    graph.add_conditional_edges(
        START, lambda state: "retrieve_" if "plan" in state else "ground_", ["retrieve_", "ground_"]
    )
    graph.add_edge("ground_", "route_")
    graph.add_edge("route_", "retrieve_")
    graph.add_conditional_edges(
        "retrieve_",
        lambda state: "write_" if state["found"].findings else "abstain_",
        ["write_", "abstain_"],
    )
    graph.add_edge("write_", "verify_")
    graph.add_conditional_edges(
        "verify_",
        _after_verify,
        ["answer_", "abstain_", "rewrite_"],
    )
    graph.add_edge("rewrite_", "answer_")
    graph.add_edge("answer_", END)
    graph.add_edge("abstain_", END)
    return graph.compile()
