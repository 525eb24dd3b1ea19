"""The tools as other agents see them: by name, and for LangChain."""

from __future__ import annotations

import json

import jsonschema
import pytest

from agent.qa import Agent
from agent.structured import schema, structured
from agent.tools import TOOLS
from data.errors import BadInput, UnknownTerm
from kg.graph import KnowledgeGraph


@pytest.fixture(scope="module")
def agent(small: KnowledgeGraph) -> Agent:
    return Agent(small)


def test_a_tool_by_name_answers_as_the_question_does(agent: Agent) -> None:
    asked = agent.ask("Is a CD8-positive, alpha-beta T cell a lymphocyte?")
    used = agent.use("is_a", "CL:0000625", "lymphocyte")
    assert used.answer == asked.answer
    assert [c.to_json() for c in used.citations] == [c.to_json() for c in asked.citations]


@pytest.mark.parametrize(
    ("name", "terms", "error"),
    [
        ("no_such_tool", ("T cell",), BadInput),
        ("is_a", ("T cell",), BadInput),
        ("markers", ("GZMB",), UnknownTerm),
        ("function", ("nothing at all",), UnknownTerm),
        ("is_a", ("T cell", "DROP TABLE edges"), UnknownTerm),
    ],
)
def test_wrong_uses_say_what_is_wrong(
    agent: Agent, name: str, terms: tuple[str, ...], error: type[Exception]
) -> None:
    with pytest.raises(error):
        agent.use(name, *terms)


def test_every_tool_has_a_schema_and_a_use() -> None:
    for tool in TOOLS.values():
        jsonschema.Draft202012Validator.check_schema(schema(tool))
        assert tool.use.endswith(".")
        assert len(schema(tool)["required"]) == tool.arity


def test_langchain_tools_run(agent: Agent) -> None:
    tools = {tool.name: tool for tool in structured(agent)}
    assert set(tools) == set(TOOLS)
    document = json.loads(tools["subtypes"].invoke({"a": "lymphocyte"}))
    assert document["status"] == "ok"
    assert "T cell [E1] and B cell [E2]" in document["answer"]
    with pytest.raises(ValueError, match="organism"):
        tools["subtypes"].invoke({"a": "lymphocyte", "organism": "martian"})
