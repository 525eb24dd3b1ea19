"""Language models as writers of drafts: the bundled one, another local one, or a chat model.

A writer gets checked facts and gives a draft, or a problem in words; never an exception, and never
later than its time. What it writes is only a proposal: :mod:`agent.verification.verify` reads it,
and the shown sentences are made again from what it proves to say.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from agent.config import WRITER_THREAD, AskConfig
from agent.prompts import messages
from data.errors import BadInput, CelloquyError, DependencyMissing

__all__ = ["Drafted", "Writer", "chat_model", "is_remote", "open_writer", "within"]

MAX_CHARACTERS = 20_000
"""Of a draft that are read; a longer one is cut, and the answer says so."""

_LOADING = threading.Lock()
"""One thread loads a model at a time: one that was left behind may still be at it."""
_GRACE = 0.8
# Of the time, for the model's own limit: it stops at a token's end, and its draft is still used.


@dataclass(frozen=True, slots=True)
class Drafted:
    """A draft; ``problem`` says what went wrong, ``cut`` whether a limit was met."""

    text: str = ""
    problem: str = ""
    cut: bool = False


Facts = Sequence[tuple[str, tuple[str, ...]]]


class Writer(Protocol):
    """What writes drafts."""

    @property
    def name(self) -> str:
        """How the model is called in answers."""

    def draft(self, question: str, facts: Facts) -> Drafted:
        """Write a draft from facts with their keys."""


@dataclass(frozen=True, slots=True)
class LocalWriter:
    """A model that runs here."""

    name: str
    config: AskConfig

    def draft(self, question: str, facts: Facts) -> Drafted:
        """Write a draft; only as many facts as the model can read."""
        return within(self.config.write_seconds, lambda: self._write(question, facts))

    def _write(self, question: str, facts: Facts) -> Drafted:
        from encoders.language import load

        start = time.monotonic()
        with _LOADING:
            model = load(self.name)
        room = model.context - self.config.write_tokens
        chosen = list(facts)
        prompt = model.chat(messages(question, chosen))
        while len(chosen) > 1 and model.count(prompt) > min(room, self.config.read_tokens):
            chosen = chosen[:-1]
            prompt = model.chat(messages(question, chosen))
        (written,) = model.generate(
            [prompt],
            max_new_tokens=self.config.write_tokens,
            seconds=max(1.0, _GRACE * self.config.write_seconds - (time.monotonic() - start)),
        )
        return Drafted(written.text, cut=written.finish != "stop")


@dataclass(frozen=True, slots=True)
class ChatWriter:
    """A chat model by its provider's name, through LangChain."""

    name: str
    config: AskConfig

    def draft(self, question: str, facts: Facts) -> Drafted:
        """Write a draft; what leaves for the model are the question and the facts."""
        return within(self.config.write_seconds, lambda: self._write(question, facts))

    def _write(self, question: str, facts: Facts) -> Drafted:
        model = chat_model(self.name, self.config.write_tokens, self.config.write_seconds)
        answer = model(messages(question, facts))
        return Drafted(answer)


@lru_cache(maxsize=2)
def chat_model(name: str, tokens: int, seconds: float) -> Callable[[list[dict[str, str]]], str]:
    """A chat model by its provider's name, as a function from a conversation to its reply.

    Raises
    ------
    DependencyMissing
        When LangChain or the provider's package is not installed.
    BadInput
        When there is no such provider.
    """
    try:
        from langchain.chat_models import init_chat_model
    except ImportError:
        raise DependencyMissing(
            f"langchain is not installed; {name!r} needs: pip install 'celloquy[all]' and the "
            "package of its provider, such as langchain-ollama"
        ) from None
    try:
        model = init_chat_model(name, temperature=0, max_tokens=tokens, timeout=seconds)
    except ImportError as error:
        raise DependencyMissing(f"{name!r}: {' '.join(str(error).split())}") from None
    except ValueError as error:
        raise BadInput(
            f"no chat model {name!r} ({' '.join(str(error).split())}); expected provider:model, "
            "such as ollama:llama3"
        ) from None

    def call(conversation: list[dict[str, str]]) -> str:
        return str(model.invoke(conversation).text)

    return call


def open_writer(config: AskConfig) -> Writer | None:
    """The writer that the settings name; None for the extractive one.

    Raises
    ------
    BadInput
        When the name is no model's.
    """
    name = config.llm
    if not name:
        return None
    return ChatWriter(name, config) if is_remote(name) else LocalWriter(name, config)


def is_remote(name: str) -> bool:
    """Whether a name is of a chat model of some provider (``provider:model``)."""
    return name != "local" and ":" in name and not Path(name).exists()


def within(seconds: float, write: Callable[[], Drafted]) -> Drafted:
    """Run a writer, but no longer than ``seconds``, and turn whatever it raises into words.

    A writer that hangs is left behind in a daemon thread: Python cannot stop it, and it keeps
    nobody waiting.

    Raises
    ------
    BadInput, Missing
        The user's own mistakes: a model that does not exist or is not installed.
    """
    results: queue.Queue[Drafted | BaseException] = queue.Queue()

    def run() -> None:
        try:
            results.put(write())
        except BaseException as error:  # noqa: BLE001 - whatever a model does is its answer's problem
            results.put(error)

    threading.Thread(target=run, daemon=True, name=WRITER_THREAD).start()
    try:
        result = results.get(timeout=seconds)
    except queue.Empty:
        return Drafted(problem=f"it wrote nothing within {seconds:g} seconds", cut=True)
    if isinstance(result, CelloquyError):
        raise result
    if isinstance(result, BaseException):
        reason = " ".join(str(result).split())[:200] or type(result).__name__
        return Drafted(problem=f"it failed: {reason}")
    if len(result.text) > MAX_CHARACTERS:
        return Drafted(result.text[:MAX_CHARACTERS], cut=True)
    return result
