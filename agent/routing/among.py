"""A question put to each of several terms: "which of them are markers of NK cells?".

Each becomes a yes-no question that the router reads; the terms for which it says yes, with the
evidence, are the answer. Knows no conversation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from agent.facts import Found, none_found
from agent.routing.router import Plan, route
from agent.tools import TOOLS
from agent.verification.wording import join
from kg.grounding import ground
from kg.naming.mentions import Mention
from kg.terms import Category, Curie

if TYPE_CHECKING:
    from agent.conversation.followups import Meant
    from agent.qa import Agent

__all__ = ["gone_through"]

_YES_NO = frozenset(
    {"is_a", "part_of", "does_develop", "is_marker", "expresses", "annotated", "holds"}
)
_OF_KINDS = "For kinds of it"  # lead of agent.kinds.markers where only some kinds express a gene
_BE = frozenset({"is", "are", "was", "were"})
_VERBS = frozenset({"can", "could", "may", "do", "does"})
_IN_CELLS = re.compile(
    r"\b(?:expressed|detected|found|present|on|high)"
    r"(?: (?:in|by) (?:these|those|the|this|my) \w+| here)"
    r"|\bdo(?:es)? (?:these|those|they|the)\b.* (?:express|have|show)",
    re.IGNORECASE,
)
_EXPRESSING = frozenset({"express", "expresses", "have", "has", "contain", "show", "carry"})


def gone_through(meant: Meant, agent: Agent, *, cells: bool = False) -> tuple[Plan, Found]:
    """What holds of which of the terms.

    Parameters
    ----------
    meant
        The lists of terms (``among``) and what is asked of each (``text``); the first list that
        can be asked it is meant.
    agent
        Whose facts answer.
    cells
        Whether cells are attached, in which genes can be measured.

    Returns
    -------
    tuple
        The plan and what was found; on attached cells the plan alone.
    """
    mentions = ground(meant.text, agent.graph)
    genes = [mention for mention in mentions if mention.category is Category.GENE]
    expressing = meant.text.split()[0].lower() in _EXPRESSING and len(genes) == len(mentions) == 1
    gene = genes[0] if expressing else None
    in_cells = cells and _IN_CELLS.search(meant.text) is not None
    for among in meant.among:
        if in_cells and (some := _genes(among, agent)):
            terms = tuple(agent.named(one) for one in some)
            return Plan("cells.expressed_all", terms, "asks it of the attached cells"), Found()
        types = [one for one in among if agent.facts.names.category(one) is Category.CELL_TYPE]
        if gene and types and meant.measured:
            terms = (gene, *(agent.named(one) for one in types))
            return Plan("cells.expressing_types", terms, "asks it of the annotated types"), Found()
        plans = [(one, _plan(one, meant.text, gene, agent)) for one in among]
        known = [(one, plan) for one, plan in plans if plan.tool in _YES_NO]
        if known:
            return _each(known, agent, expressing=expressing)
    return Plan("", why="puts a question to each"), none_found(
        f"what is asked of each, {meant.text!r}, was not understood; ask whether they are a "
        "kind of something, markers of a cell type, or involved in a process"
    )


def _genes(among: Sequence[Curie], agent: Agent) -> list[Curie]:
    return [one for one in among if agent.facts.names.category(one) is Category.GENE]


def _plan(one: Curie, text: str, gene: Mention | None, agent: Agent) -> Plan:
    """The yes-no question of one term, as the router reads it."""
    if gene is None:
        asked = _asked(one, text)
        return route(asked, ground(asked, agent.graph))
    if agent.facts.names.category(one) is not Category.CELL_TYPE:
        return Plan("")
    return Plan("expresses", (agent.named(one), gene))


def _each(
    plans: Sequence[tuple[Curie, Plan]], agent: Agent, *, expressing: bool
) -> tuple[Plan, Found]:
    """Those for which the answer is yes, with the evidence, and the others by name."""
    said, left = [], []
    for one, plan in plans:
        found = TOOLS[plan.tool](agent.facts, *(mention.id for mention in plan.terms))
        yes = [f for f in found.findings if f.lead.startswith(("Yes", _OF_KINDS))]
        # A fact of kinds of a type does not name the type itself.
        kinds = f"For kinds of {agent.facts.label(one)}"
        said += [replace(f, lead=kinds if f.lead.startswith(_OF_KINDS) else "") for f in yes[:1]]
        left += [] if yes else [agent.facts.names.label(one)]
    tool = plans[0][1].tool
    made = Plan(f"each.{tool}", (), f"puts {tool} to each of {len(plans)}")
    note = "Of expression only what the sources list as markers is known." if expressing else ""
    if not said:
        return made, none_found(f"it is recorded of none of {join(left)}", *filter(None, [note]))
    notes = [f"It is not recorded of {join(left)}."] if left else []
    return made, Found(tuple(said), (*notes, *filter(None, [note])))


def _asked(term: Curie, rest: str) -> str:
    """The yes-no question of one term: "are T cells" becomes "Is CL:0000084 a T cell?"."""
    first, _, others = rest.partition(" ")
    if first.lower() in _BE:
        return f"Is {term} {others}?"
    if first.lower() in _VERBS:
        return f"{first.capitalize()} {term} {others}?"
    return f"Does {term} {rest}?"
