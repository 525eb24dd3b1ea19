"""The tools over the Model Context Protocol: the real command, the real client, real pipes."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import anyio
import jsonschema
import pytest

from agent.protocol import Service, offered
from agent.qa import Agent
from agent.tools import TOOLS
from kg.graph import KnowledgeGraph

COMMAND = (sys.executable, "-m", "celloquy", "mcp")
HELLO = {
    "jsonrpc": "2.0",
    "id": 1,
    "method": "initialize",
    "params": {
        "protocolVersion": "2025-06-18",
        "capabilities": {},
        "clientInfo": {"name": "test", "version": "0"},
    },
}


def with_client(talk: Callable[[Any], Awaitable[None]], log: Path) -> None:
    """Run the command and talk to it through the client of the mcp package."""
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def main() -> None:
        parameters = StdioServerParameters(command=COMMAND[0], args=list(COMMAND[1:]))
        with log.open("w") as errors, anyio.fail_after(60):
            async with Client(stdio_client(parameters, errlog=errors)) as client:
                await talk(client)

    anyio.run(main)


@pytest.mark.assets
def test_a_session_with_the_command(real: KnowledgeGraph, tmp_path: Path) -> None:
    async def talk(client: Any) -> None:
        names = {tool.name for tool in (await client.list_tools()).tools}
        assert names == {"ask", "neighbours", "path", "term", "search", *TOOLS}

        async def document(name: str, **arguments: Any) -> dict[str, Any]:
            result = await client.call_tool(name, arguments)
            assert not result.is_error, result.content
            return dict(result.structured_content)

        found = await document("neighbours", gene="ENSG00000153563.16", limit=3)
        assert found["gene"]["id"] == "HGNC:1706"
        assert len(found["neighbours"]) == 3
        assert found["total"] > 3
        common = await document("path", a="T cell", b="B cell")
        assert [one["id"] for one in common["lca"]] == ["CL:0000542"]
        named = await document("term", text="NK cells")
        assert named["candidates"][0]["id"] == "CL:0000623"
        answer = await document("ask", question="Is a T cell a lymphocyte?")
        assert answer["status"] == "ok"
        assert answer["answer"].startswith("Yes")
        listed = await document("markers", a="B cell")
        assert "MS4A1" in listed["answer"]

    with_client(talk, tmp_path / "log")


@pytest.mark.assets
def test_bad_calls_are_answered_and_the_session_goes_on(
    real: KnowledgeGraph, tmp_path: Path
) -> None:
    async def talk(client: Any) -> None:
        for name, arguments, said in (
            ("cypher", {"query": "MATCH (n) DETACH DELETE n"}, "there is no tool 'cypher'"),
            ("is_a", {"a": "T cell"}, "'b' is missing"),
            ("term", {"text": 5}, "'text' is no string"),
            ("term", {"text": " "}, "expected 1 to 200"),
            ("term", {"text": "T cell", "limit": 10**9}, "expected 1 to 100"),
            ("term", {"text": "T cell", "limit": True}, "'limit' is no integer"),
            ("neighbours", {"gene": "CTLA-99"}, "did you mean"),
            ("neighbours", {"gene": "CD8A", "organism": "martian"}, "none of human, mouse"),
            ("path", {"a": "T cell", "b": "GZMB", "c": "x"}, "no argument 'c'"),
            ("ask", {"question": "x" * 2001}, "expected 1 to 2000"),
            ("markers", {"a": "\0\x1b[31m"}, "names no cell type"),
        ):
            result = await client.call_tool(name, arguments)
            assert result.is_error, name
            assert said in result.content[0].text
        assert len((await client.list_tools()).tools) == len(offered())

    with_client(talk, tmp_path / "log")


@pytest.mark.assets
def test_nothing_but_the_protocol_is_on_stdout(real: KnowledgeGraph) -> None:
    call = {"name": "term", "arguments": {"text": "NK"}}
    lines = [
        json.dumps(HELLO),
        "this is no JSON",
        '{"jsonrpc": "2.0", "method": "notifications/initialized"}',
        json.dumps({"jsonrpc": "2.0", "id": 2, "method": "tools/call", "params": call}),
        json.dumps({"jsonrpc": "2.0", "id": 3, "method": "no/such"}),
    ]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen(COMMAND, **pipes, text=True) as process:  # type: ignore[call-overload]
        process.stdin.write("\n".join(lines) + "\n")
        process.stdin.flush()
        replies: list[dict[str, Any]] = []
        while not {1, 2, 3} <= {reply.get("id") for reply in replies}:
            replies.append(json.loads(process.stdout.readline()))
        rest, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert rest == ""
    assert all(reply["jsonrpc"] == "2.0" for reply in replies)
    by_id = {reply["id"]: reply for reply in replies if "id" in reply}
    assert by_id[1]["result"]["serverInfo"]["name"] == "celloquy"
    assert by_id[2]["result"]["structuredContent"]["candidates"][0]["id"] == "CL:0000623"
    assert by_id[3]["error"]["code"] == -32601
    assert "Traceback" not in errors


def test_every_schema_is_one_and_names_are_unique() -> None:
    tools = offered()
    assert len({tool.name for tool in tools}) == len(tools)
    for tool in tools:
        jsonschema.Draft202012Validator.check_schema(dict(tool.schema))
        assert tool.use.endswith(".")


def test_what_breaks_inside_a_tool_is_a_reply(small: KnowledgeGraph) -> None:
    service = Service(Agent(small))
    service.agent.graph = None  # type: ignore[assignment]
    reply = service.call("term", {"text": "T cell"})
    assert reply.error
    assert reply.text.startswith("term failed: ")


def test_all_calls_agree_with_the_json_schema(small: KnowledgeGraph) -> None:
    """The hand-written check of arguments refuses exactly what a JSON schema does."""
    service = Service(Agent(small))
    values: list[Any] = ["T cell", "", "x" * 5000, 1, 0, 101, True, None, 1.5, [], {}]
    for tool in list(service.tools.values())[:8]:
        for name in [*tool.schema["properties"], "other"]:
            for value in values:
                given = dict.fromkeys(tool.schema["required"], "T cell") | {name: value}
                fits = jsonschema.Draft202012Validator(dict(tool.schema)).is_valid(given)
                reply = service.call(tool.name, given)
                refused = reply.text.startswith((f"{tool.name}: ", f"{tool.name} failed"))
                assert refused != fits, (tool.name, given, reply.text)
