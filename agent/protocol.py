"""The typed tools over the Model Context Protocol, on standard input and output.

JSON-RPC 2.0, one message a line, as the protocol's stdio transport has it
(https://modelcontextprotocol.io/specification/2025-06-18). Offered are ``ask`` and the tools of
:mod:`agent.tools`; there are no resources, no prompts and nothing that writes.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agent.structured import call, schema
from agent.tools import TOOLS
from data.errors import CelloquyError

if TYPE_CHECKING:
    from agent.qa import Agent

__all__ = ["VERSIONS", "Server"]

VERSIONS = ("2025-06-18", "2025-03-26", "2024-11-05")
"""Protocol versions that are spoken, newest first; what is offered is the same in all of them."""

MAX_LINE = 100_000
"""Characters of a message that are read; a question has two thousand at most."""

_PARSE, _REQUEST, _METHOD, _PARAMS = -32700, -32600, -32601, -32602

_ASK = {
    "name": "ask",
    "description": "Answer a question about cells in words, with the evidence for every sentence.",
    "inputSchema": {
        "type": "object",
        "properties": {"question": {"type": "string", "minLength": 1, "maxLength": 2000}},
        "required": ["question"],
        "additionalProperties": False,
    },
}


class _Refused(Exception):
    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


@dataclass
class Server:
    """Answers messages for one agent."""

    agent: Agent
    version: str = "0"

    def serve(self, lines: Iterable[str], write: Callable[[str], object]) -> None:
        """Answer each line until there are no more."""
        for line in lines:
            if line.strip() and (reply := self.reply(line)) is not None:
                write(json.dumps(reply, ensure_ascii=False) + "\n")

    def reply(self, line: str) -> dict[str, Any] | None:
        """The answer to one message; None for a notification."""
        number = None
        try:
            if len(line) > MAX_LINE:
                raise _Refused(_REQUEST, f"a message has at most {MAX_LINE} characters")
            try:
                message = json.loads(line)
            except ValueError:
                raise _Refused(_PARSE, "the message is no JSON") from None
            if not isinstance(message, dict) or not isinstance(message.get("method"), str):
                raise _Refused(_REQUEST, "the message has no method")
            number = message.get("id")
            if "id" not in message:
                return None
            params = message.get("params", {})
            if not isinstance(params, dict):
                raise _Refused(_PARAMS, "params is no object")
            result = self._result(message["method"], params)
        except _Refused as error:
            return _failure(number, error.code, str(error))
        return {"jsonrpc": "2.0", "id": number, "result": result}

    def _result(self, method: str, params: Mapping[str, Any]) -> dict[str, Any]:
        if method == "initialize":
            asked = params.get("protocolVersion")
            return {
                "protocolVersion": asked if asked in VERSIONS else VERSIONS[0],
                "capabilities": {"tools": {}},
                "serverInfo": {"name": "celloquy", "version": self.version},
            }
        if method == "ping":
            return {}
        if method == "tools/list":
            return {"tools": [_ASK, *_listed()]}
        if method == "tools/call":
            return self._called(params)
        raise _Refused(_METHOD, f"there is no method {method!r}")

    def _called(self, params: Mapping[str, Any]) -> dict[str, Any]:
        name, arguments = params.get("name"), params.get("arguments", {})
        if name != "ask" and name not in TOOLS:
            raise _Refused(_PARAMS, f"there is no tool {name!r}")
        wanted = _ASK["inputSchema"] if name == "ask" else schema(TOOLS[str(name)])
        if problem := _unfit(arguments, wanted):  # type: ignore[arg-type]
            raise _Refused(_PARAMS, f"{name}: {problem}")
        try:
            if name == "ask":
                document = self.agent.ask(arguments["question"]).to_json()
            else:
                document = call(self.agent, str(name), arguments)
        except CelloquyError as error:
            text = " ".join(str(error).split())
            return {"content": [{"type": "text", "text": text}], "isError": True}
        return {
            "content": [{"type": "text", "text": document["answer"]}],
            "structuredContent": document,
            "isError": document["status"] == "failed",
        }


def _listed() -> list[dict[str, Any]]:
    return [
        {"name": tool.name, "description": tool.use, "inputSchema": schema(tool)}
        for tool in TOOLS.values()
    ]


def _unfit(arguments: Any, wanted: Mapping[str, Any]) -> str:
    """What is wrong with the arguments, or "": the few keywords that the schemas use."""
    if not isinstance(arguments, dict):
        return "arguments is no object"
    properties = wanted["properties"]
    if unknown := sorted(set(arguments) - set(properties)):
        return f"there is no argument {unknown[0]!r}"
    if missing := sorted(set(wanted["required"]) - set(arguments)):
        return f"the argument {missing[0]!r} is missing"
    for name, value in arguments.items():
        rule = properties[name]
        if not isinstance(value, str):
            return f"{name!r} is no text"
        if "enum" in rule and value not in rule["enum"]:
            return f"{name!r} is none of {', '.join(rule['enum'])}"
        if not rule.get("minLength", 0) <= len(value.strip()) <= rule.get("maxLength", MAX_LINE):
            return f"{name!r} is empty or too long"
    return ""


def _failure(number: Any, code: int, message: str) -> dict[str, Any]:
    return {"jsonrpc": "2.0", "id": number, "error": {"code": code, "message": message}}
