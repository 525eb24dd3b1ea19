"""Evidence for a plan: its tool run on its terms, on the attached cells or on the literature.

A tool that breaks is an error that the answer tells, never a half answer; a graph server that is
gone is left to the caller, who may ask another graph.
"""

from __future__ import annotations

import sqlite3
from typing import TYPE_CHECKING

from agent import remarks
from agent.answer import Step
from agent.facts import HUMAN, Found
from agent.kinds.predictions import KNOCKED_OUT, knocked_out
from agent.literature import no_index
from agent.routing.router import LITERATURE
from agent.state import CELLS, State
from agent.tools import TOOLS
from data.errors import CelloquyError, ServerUnavailable

if TYPE_CHECKING:
    from agent.qa import Agent

__all__ = ["retrieve"]


def retrieve(agent: Agent, state: State) -> State:
    """Run the tool on the terms."""
    plan = state["plan"]
    if "found" in state:
        return {"steps": (Step(plan.tool or "none", plan.why),)}
    if plan.tool == LITERATURE:
        return _searched(agent, state)
    if plan.tool.startswith(CELLS):
        return _measured(agent, state)
    if plan.tool == KNOCKED_OUT:
        found = knocked_out(agent.seen(state))
        steps = (Step(plan.tool, plan.why),)
        return {"found": found, "warnings": found.warnings, "steps": steps}
    if not plan.tool:
        return {
            "found": Found(
                lacking=remarks.unread(
                    state.get("read", ""),
                    plan,
                    state["mentions"],
                    state["warnings"],
                    attached="these" in state,
                )
            )
        }
    tool = TOOLS[plan.tool]
    organism = plan.organism
    if tool.name == "orthologues":  # "the mouse orthologue of X" is asked of the human X
        organism = {HUMAN: remarks.MOUSE, remarks.MOUSE: HUMAN}.get(organism, "")
    chosen = [remarks.for_organism(mention, organism) for mention in plan.terms]
    ids = [candidate.id for candidate in chosen]
    step = Step(f"graph.{tool.name}", f"{tool.use}: {', '.join(ids)}")
    try:
        found = tool(agent.facts.of(plan.organism).naming(plan.most), *ids)
    except ServerUnavailable:
        raise
    except (CelloquyError, sqlite3.Error) as error:
        why = f"{tool.name} failed: {' '.join(str(error).split())}"
        return {"error": why, "found": Found(), "steps": (step,)}
    found = remarks.with_successors(agent.facts, plan.terms, found)
    return {
        "found": remarks.said_of_a_not(found) if plan.negated else found,
        "ids": tuple(ids),
        "warnings": (*remarks.assumptions(plan.terms, chosen), *found.warnings),
        "steps": (step,),
    }


def _measured(agent: Agent, state: State) -> State:
    """Run a tool on the attached cells."""
    from agent.attached.cellquestions import CELL_TOOLS

    plan, these = state["plan"], state["these"]
    tool = CELL_TOOLS[plan.tool.removeprefix(CELLS)]
    chosen = [remarks.for_organism(mention, plan.organism) for mention in plan.terms]
    ids = [candidate.id for candidate in chosen]
    what = ", ".join([these.words, *ids])
    step = Step(plan.tool, f"{tool.use.removesuffix('.')}: {what}")
    try:
        found = tool.run(agent.facts.of(plan.organism), these, *ids)
    except (CelloquyError, sqlite3.Error, OSError) as error:
        why = f"{plan.tool} failed: {' '.join(str(error).split())}"
        return {"error": why, "found": Found(), "steps": (step,)}
    return {
        "found": found,
        "ids": tuple(ids),
        "warnings": (*remarks.assumptions(plan.terms, chosen), *found.warnings),
        "steps": (step,),
    }


def _searched(agent: Agent, state: State) -> State:
    step = Step("literature", f"searches {agent.config.passages} passages by words")
    if agent.literature is None:
        return {"found": no_index(), "steps": (step,)}
    limit = agent.config.passages
    names = [(m.text, *agent.facts.names.names(m.id)) for m in state["mentions"]]
    try:
        found = agent.literature.found(state["read"], limit, names=names)
    except (CelloquyError, sqlite3.Error) as error:
        why = f"the literature search failed: {' '.join(str(error).split())}"
        return {"error": why, "found": Found(), "steps": (step,)}
    return {"found": found, "warnings": found.warnings, "steps": (step,)}
