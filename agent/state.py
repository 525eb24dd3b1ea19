"""What the steps of a question hand on, and how the tools on attached cells are named."""

from __future__ import annotations

from pathlib import Path
from typing import Any, TypedDict

from agent.answer import Answer, Claim, Step
from agent.facts import Found
from agent.routing.router import Plan
from agent.writing import Draft
from kg.naming.mentions import Mention
from kg.terms import Curie

__all__ = ["CELLS", "State"]

CELLS = "cells."
"""What the name of a tool on attached cells begins with."""


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    read: str
    these: Any  # agent.attached.these.These, which imports numpy; LangGraph reads this annotation
    named: bool
    image: Path
    mentions: tuple[Mention, ...]
    plan: Plan
    found: Found
    ids: tuple[Curie, ...]
    draft: Draft
    claims: tuple[Claim, ...]
    leads: tuple[str, ...]
    cut: bool
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]
    error: str
    answer: Answer
