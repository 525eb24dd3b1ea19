"""Where questions go: the graph, the encoder and the language model that would be used.

Reads names and settings only; opens no connection and loads no model.
"""

from __future__ import annotations

import os
from importlib.util import find_spec
from pathlib import Path
from urllib.parse import urlsplit

__all__ = ["roles"]


def roles(graph: str | None, llm: str | None) -> dict[str, dict[str, str]]:
    """For each role what would be used, and what of a question leaves this machine with it.

    Parameters
    ----------
    graph
        Address of a graph server; None for the built-in file.
    llm
        A writer as it is given to ``celloquy ask --llm``; None for the extractive one.

    Returns
    -------
    dict
        Role to ``uses`` and ``leaves_this_machine``, which is empty where nothing does.
    """
    from data import sources
    from kg.embedded import default_path

    encoder = find_spec("sentence_transformers") is not None and sources.present("minilm")
    return {
        "graph": {
            "uses": _without_password(graph) if graph else str(default_path()),
            "leaves_this_machine": "ids and names of the terms asked for"
            if graph and not _is_loopback(graph)
            else "",
        },
        "sentence encoder": {
            "uses": str(sources.path("minilm")) if encoder else "none: lexical search",
            "leaves_this_machine": "",
        },
        "language model": _writer(llm),
    }


def _writer(llm: str | None) -> dict[str, str]:
    """Where a name given to ``--llm`` leads; the forms are those of :mod:`agent.config`."""
    from data import sources

    leaves = ""
    if llm is None:
        uses = "none: answers are put together from the evidence"
    elif llm == "local":
        here = sources.present("smollm2")
        uses = str(sources.path("smollm2")) if here else "not here: celloquy data fetch smollm2"
    elif Path(llm).is_dir():
        uses = str(Path(llm).resolve())
    elif ":" in llm:
        provider, _, model = llm.partition(":")
        address = _address_of(provider)
        uses = f"{model} at {_without_password(address) or f'the usual address of {provider}'}"
        if not _is_loopback(address):
            leaves = "the question, the terms that it names, and the evidence found for it"
    else:
        uses = f"{llm}, downloaded from its hub at first use and run here"
    return {"uses": uses, "leaves_this_machine": leaves}


def _address_of(provider: str) -> str:
    """The address that the providers' own environment variables name, empty for their usual one."""
    for ending in ("BASE_URL", "API_BASE", "HOST"):
        if named := os.environ.get(f"{provider.upper()}_{ending}"):
            return named if "://" in named else f"http://{named}"
    return "http://127.0.0.1:11434" if provider == "ollama" else ""


def _without_password(uri: str) -> str:
    parts = urlsplit(uri)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _is_loopback(uri: str) -> bool:
    return urlsplit(uri).hostname in ("127.0.0.1", "::1", "localhost")
