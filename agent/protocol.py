"""The typed tools over the Model Context Protocol (https://modelcontextprotocol.io).

Offered are ``ask``, the look-ups ``neighbours``, ``path``, ``term`` and ``search``, and the tools
of :mod:`agent.tools`; there are no resources, no prompts and nothing that writes. What goes over
the wire is the business of the ``mcp`` package; here is what the tools are, that their arguments
fit, and that whatever happens is an answer.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from agent.documents import neighbours_document, path_document, term_document
from agent.lookup import gene_neighbourhood, path, term
from agent.structured import ORGANISMS, call, schema
from agent.tools import TOOLS
from data.errors import CelloquyError

if TYPE_CHECKING:
    from mcp.server import Server

    from agent.qa import Agent

__all__ = ["Offered", "Reply", "Service", "offered", "server"]

_MOST = 100
"""Rows that a look-up gives at most: what a reader, or a model, can take in."""


@dataclass(frozen=True, slots=True)
class Offered:
    """A tool as it is listed, and what runs it."""

    name: str
    use: str
    schema: Mapping[str, Any]
    run: Callable[[Agent, Mapping[str, Any]], dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Reply:
    """What a call gives: a text for a reader, the document, and whether it is an error."""

    text: str
    document: dict[str, Any] | None = None
    error: bool = False


def _object(required: tuple[str, ...], **properties: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": properties,
        "required": list(required),
        "additionalProperties": False,
    }


def _text(what: str, longest: int = 200) -> dict[str, Any]:
    return {"type": "string", "minLength": 1, "maxLength": longest, "description": what}


def _number(what: str, usual: int) -> dict[str, Any]:
    return {
        "type": "integer",
        "minimum": 1,
        "maximum": _MOST,
        "default": usual,
        "description": what,
    }


def _ask(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    return agent.ask(given["question"]).to_json()


def _neighbours(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    relation = given.get("relation")
    found = gene_neighbourhood(
        given["gene"],
        relations=[relation] if relation else None,
        limit=given.get("limit", 20),
        species=given.get("organism"),
        graph=agent.graph,
    )
    return neighbours_document(found, agent.graph)


def _path(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    return path_document(path(given["a"], given["b"], graph=agent.graph), agent.graph)


def _term(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    found = term(given["text"], limit=given.get("limit", 10), graph=agent.graph)
    return term_document(given["text"], found, agent.graph)


def _search(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
    from retrieval.index import open_index

    literature = agent.literature.index if agent.literature else open_index()
    passages = literature.search(given["query"], given.get("k", 10), mode=agent.config.search)
    return {"query": given["query"], "results": [asdict(passage) for passage in passages]}


def offered() -> tuple[Offered, ...]:
    """Every tool, in the order in which they are listed."""
    organism = {
        "type": "string",
        "enum": list(ORGANISMS),
        "description": "Whose symbols and statements are meant; human symbols and all statements "
        "where nothing is given",
    }
    own = (
        Offered(
            "ask",
            "Answer a question about cells in words, with the evidence for every sentence.",
            _object(("question",), question=_text("The question, in English", 2000)),
            _ask,
        ),
        Offered(
            "neighbours",
            "List a gene's neighbours in the knowledge graph, best supported first.",
            _object(
                ("gene",),
                gene=_text("Symbol, alias or id of the gene"),
                relation=_text("Only this relation, by its label or its id"),
                limit=_number("How many", 20),
                organism=organism,
            ),
            _neighbours,
        ),
        Offered(
            "path",
            "Show how two terms of one ontology are related, through their closest common class.",
            _object(("a", "b"), a=_text("Name or id of a term"), b=_text("Name or id of another")),
            _path,
        ),
        Offered(
            "term",
            "Say which terms a text names, ranked, with their definitions.",
            _object(("text",), text=_text("A name"), limit=_number("How many", 10)),
            _term,
        ),
        Offered(
            "search",
            "Search the literature index; every result is a verbatim quote with PMID and offsets.",
            _object(("query",), query=_text("Words or a question", 400), k=_number("How many", 10)),
            _search,
        ),
    )
    return (*own, *(_typed(name) for name in TOOLS))


def _typed(name: str) -> Offered:
    def run(agent: Agent, given: Mapping[str, Any]) -> dict[str, Any]:
        return call(agent, name, given)

    return Offered(name, TOOLS[name].use, schema(TOOLS[name]), run)


class Service:
    """Runs the offered tools for one agent; every call gives a reply, and none an exception."""

    def __init__(self, agent: Agent) -> None:
        self.agent = agent
        self.tools = {tool.name: tool for tool in offered()}

    def call(self, name: str, arguments: Mapping[str, Any] | None) -> Reply:
        """Run a tool by name."""
        tool = self.tools.get(name)
        if tool is None:
            return Reply(f"there is no tool {name!r}", error=True)
        given = arguments or {}
        if problem := _unfit(given, tool.schema):
            return Reply(f"{name}: {problem}", error=True)
        try:
            document = tool.run(self.agent, given)
        except CelloquyError as error:
            return Reply(" ".join(str(error).split()), error=True)
        except Exception as error:  # noqa: BLE001 - a server outlives what one call breaks
            reason = " ".join(str(error).split())[:200]
            return Reply(f"{name} failed: {type(error).__name__}: {reason}", error=True)
        text = document.get("answer") or json.dumps(document, ensure_ascii=False)
        return Reply(text, document, document.get("status") == "failed")


_TYPES: Mapping[str, type] = {"string": str, "integer": int}


def _unfit(arguments: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    """What is wrong with the arguments, or "": the few keywords that the schemas use."""
    properties = wanted["properties"]
    if unknown := sorted(set(arguments) - set(properties)):
        return f"there is no argument {unknown[0]!r}; it takes {', '.join(properties)}"
    if missing := sorted(set(wanted["required"]) - set(arguments)):
        return f"the argument {missing[0]!r} is missing"
    for name, value in arguments.items():
        rule = properties[name]
        if not isinstance(value, _TYPES[rule["type"]]) or isinstance(value, bool):
            return f"{name!r} is no {rule['type']}"
        if "enum" in rule and value not in rule["enum"]:
            return f"{name!r} is none of {', '.join(rule['enum'])}"
        size = value if isinstance(value, int) else len(str(value).strip())
        low = rule.get("minimum", rule.get("minLength", 0))
        high = rule.get("maximum", rule.get("maxLength", size))
        if not low <= size <= high:
            of = "" if isinstance(value, int) else " characters"
            return f"{name!r} has {size}{of}; expected {low} to {high}"
    return ""


def server(agent: Agent, version: str = "0") -> Server[Any]:
    """A server of the ``mcp`` package that offers the tools of one agent.

    Calls run one after another in a thread, so that a slow one does not hold up the protocol.
    """
    import anyio.to_thread
    from mcp import types
    from mcp.server import Server

    service = Service(agent)
    tools = [
        types.Tool(name=tool.name, description=tool.use, input_schema=dict(tool.schema))
        for tool in service.tools.values()
    ]
    one_at_a_time = anyio.CapacityLimiter(1)

    async def listed(_context: Any, _params: Any) -> types.ListToolsResult:
        return types.ListToolsResult(tools=tools)

    async def called(_context: Any, params: types.CallToolRequestParams) -> types.CallToolResult:
        reply = await anyio.to_thread.run_sync(
            service.call, params.name, params.arguments, limiter=one_at_a_time
        )
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=reply.text)],
            structured_content=reply.document,
            is_error=reply.error,
        )

    return Server("celloquy", version=version, on_list_tools=listed, on_call_tool=called)
