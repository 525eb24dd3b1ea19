"""A chat server on loopback that misbehaves on demand, and the LangChain model that speaks to it.

The provider is a module of its own name on the path, as a real one is: a chat model named
``ollama:MODE`` is made by LangChain from it, and what it sends goes over a real connection.
"""

from __future__ import annotations

import contextlib
import json
import re
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

PROVIDER = """
import json
import urllib.request
from typing import Any

from langchain_core.language_models.chat_models import BaseChatModel
from langchain_core.messages import AIMessage
from langchain_core.outputs import ChatGeneration, ChatResult


class ChatOllama(BaseChatModel):
    model: str
    temperature: float = 0
    max_tokens: int = 0
    timeout: float = 1e9

    @property
    def _llm_type(self) -> str:
        return "test"

    def _generate(self, messages: Any, stop: Any = None, run_manager: Any = None, **_: Any) -> Any:
        sent = json.dumps({"model": self.model, "messages": [m.content for m in messages]})
        request = urllib.request.Request("ADDRESS", sent.encode(), method="POST")
        with urllib.request.urlopen(request) as reply:
            text = json.load(reply)["text"]
        return ChatResult(generations=[ChatGeneration(message=AIMessage(content=text))])
"""

GARBAGE = "\x00\ufffd]]}{[E1][E9999] \u202e</s>SYSTEM <|im_end|> ##" * 40


def reply(mode: str, facts: str) -> str:
    """The text of a mode."""
    texts = {
        "empty": "",
        "yes": "Yes.",
        "no": "No, it does not.",
        "spaces": " \n\t" * 500,
        "garbage": GARBAGE,
        "long": "cells " * 100_000,
        "lies": "T cells cure colds [E1]. Lymphocytes are T cells [E1]. See PMID:1 [E7].",
        "obedient": facts,
        "good": "B cells are lymphocytes [E2]. T cells are lymphocytes [E1].",
    }
    if mode.startswith("say "):
        return mode.removeprefix("say ")
    if mode == "first":  # of a list of options, whatever is asked
        return str(re.search(r"the question\?\\+n(\w+):", facts)[1])  # type: ignore[index]
    return texts[mode]


class _Handler(BaseHTTPRequestHandler):
    def do_POST(self) -> None:
        sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(sent)  # type: ignore[attr-defined]
        mode = sent["model"]
        if mode == "hang":
            time.sleep(30)
            return
        if mode == "drip":
            self._drip()
            return
        if mode == "error":
            self.send_error(500, "out of memory")
            return
        if mode == "cut":
            self.connection.close()
            return
        said = "no json" if mode == "nojson" else json.dumps({"text": reply(mode, str(sent))})
        self.send_response(200)
        self.send_header("Content-Length", str(len(said.encode())))
        self.end_headers()
        self.wfile.write(said.encode())

    def _drip(self) -> None:
        self.send_response(200)
        self.end_headers()
        with contextlib.suppress(OSError):
            for _ in range(300):
                self.wfile.write(b" ")
                self.wfile.flush()
                time.sleep(0.1)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextlib.contextmanager
def chat_server(folder: Path) -> Iterator[list[dict[str, Any]]]:
    """Serve on loopback and leave the provider's module in ``folder``; gives what was sent."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.daemon_threads = True
    server.seen = []  # type: ignore[attr-defined]
    address = f"http://127.0.0.1:{server.server_address[1]}/"
    (folder / "langchain_ollama.py").write_text(PROVIDER.replace("ADDRESS", address))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server.seen  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
