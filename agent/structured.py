"""The typed tools for other agents: LangChain ``StructuredTool``s, and their JSON schemas.

Every tool takes names or ids of terms, never a query, and gives a checked answer with its
citations as ``celloquy ask --json`` writes it. None of them changes anything.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

from agent.tools import TOOLS, Tool

if TYPE_CHECKING:
    from langchain_core.tools import StructuredTool

    from agent.qa import Agent

__all__ = ["ORGANISMS", "call", "schema", "structured"]

ORGANISMS: Mapping[str, str] = {"human": "NCBITaxon:9606", "mouse": "NCBITaxon:10090"}

_KINDS = {
    "C": "cell type",
    "A": "anatomical structure",
    "D": "disease",
    "H": "phenotype",
    "G": "gene",
    "P": "biological process",
    "F": "molecular function",
    "L": "cellular component",
    "O": "other term",
}
_SLOTS = ("a", "b")


def schema(tool: Tool) -> dict[str, Any]:
    """The JSON schema of a tool's arguments."""
    properties: dict[str, Any] = {}
    for slot, letters in zip(_SLOTS, tool.takes, strict=False):
        kinds = [_KINDS[letter] for letter in letters if letter != "O"]
        what = "term" if len(kinds) > 4 else " or ".join(kinds)
        properties[slot] = {
            "type": "string",
            "minLength": 1,
            "maxLength": 200,
            "description": f"Name or id of the {what} {slot.upper()}",
        }
    required = list(properties)
    properties["organism"] = {
        "type": "string",
        "enum": list(ORGANISMS),
        "default": "human",
        "description": "Whose genes are meant",
    }
    return {
        "type": "object",
        "properties": properties,
        "required": required,
        "additionalProperties": False,
    }


def call(agent: Agent, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Run a tool on arguments of its schema and return the answer's document."""
    slots = [str(arguments[slot]) for slot in _SLOTS if slot in arguments]
    organism = ORGANISMS.get(str(arguments.get("organism", "human")), "")
    return agent.use(name, *slots, organism=organism).to_json()


def structured(agent: Agent) -> list[StructuredTool]:
    """All tools over one agent, for LangChain."""
    return [_structured(agent, tool) for tool in TOOLS.values()]


def _structured(agent: Agent, tool: Tool) -> StructuredTool:
    from langchain_core.tools import StructuredTool
    from pydantic import Field, create_model

    properties = schema(tool)["properties"]
    fields: dict[str, Any] = {
        slot: (str, Field(description=properties[slot]["description"], min_length=1))
        for slot in _SLOTS[: tool.arity]
    }
    fields["organism"] = (Literal["human", "mouse"], "human")

    def run(**arguments: Any) -> str:
        return json.dumps(call(agent, tool.name, arguments), ensure_ascii=False)

    return StructuredTool.from_function(
        func=run,
        name=tool.name,
        description=tool.use,
        args_schema=create_model(f"{tool.name}_arguments", **fields),
    )
