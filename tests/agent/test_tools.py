"""The tools as other agents see them: by name, for LangChain, over the Model Context Protocol."""

from __future__ import annotations

import json
from typing import Any

import jsonschema
import pytest

from agent.protocol import VERSIONS, Server
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


def send(server: Server, method: str, **params: Any) -> dict[str, Any]:
    line = json.dumps({"jsonrpc": "2.0", "id": 7, "method": method, "params": params})
    reply = server.reply(line)
    assert reply is not None
    assert reply["id"] == 7
    return reply


def test_a_session_of_the_protocol(agent: Agent) -> None:
    server = Server(agent)
    hello = send(server, "initialize", protocolVersion=VERSIONS[1], capabilities={})["result"]
    assert hello["protocolVersion"] == VERSIONS[1]
    assert "tools" in hello["capabilities"]
    assert server.reply('{"jsonrpc": "2.0", "method": "notifications/initialized"}') is None
    listed = send(server, "tools/list")["result"]["tools"]
    assert {tool["name"] for tool in listed} == {"ask", *TOOLS}
    question = {"question": "Is a T cell a lymphocyte?"}
    asked = send(server, "tools/call", name="ask", arguments=question)["result"]
    assert asked["content"][0]["text"].startswith("Yes: T cell (CL:0000084)")
    assert asked["structuredContent"]["citations"][0]["kind"] == "ontology_path"
    used = send(server, "tools/call", name="markers", arguments={"a": "B cell"})["result"]
    assert "MS4A1" in used["content"][0]["text"]
    wrong = send(server, "tools/call", name="markers", arguments={"a": "GZMB"})["result"]
    assert wrong["isError"]
    assert send(server, "ping")["result"] == {}


@pytest.mark.parametrize(
    ("line", "code"),
    [
        ("not json", -32700),
        ("[]", -32600),
        ('{"id": 1}', -32600),
        ('{"id": 1, "method": "resources/list"}', -32601),
        ('{"id": 1, "method": "tools/call", "params": {"name": "cypher"}}', -32602),
        ('{"id": 1, "method": "tools/call", "params": {"name": "is_a", "arguments": {"a": "x"}}}',
         -32602),
        ('{"id": 1, "method": "tools/call", "params": {"name": "markers", "arguments": {"a": 1}}}',
         -32602),
        ('{"id": 1, "method": "tools/call", "params": []}', -32602),
        ('{"id": 1, "method": "ping", "params": "' + "x" * 100_001 + '"}', -32600),
    ],
)  # fmt: skip
def test_a_bad_message_is_answered_and_the_next_one_too(agent: Agent, line: str, code: int) -> None:
    server = Server(agent)
    replies: list[str] = []
    ping = '{"jsonrpc": "2.0", "id": 2, "method": "ping"}'
    server.serve([line, "", ping], replies.append)
    first, second = (json.loads(reply) for reply in replies)
    assert first["error"]["code"] == code
    assert second["result"] == {}
