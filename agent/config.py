"""Settings of the agent: what a question may cost and who writes the answer."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from data.errors import BadInput

__all__ = ["WRITER_THREAD", "AskConfig"]

WRITER_THREAD = "celloquy-writer"
"""Name of the thread that a language model writes in."""


@dataclass(frozen=True, slots=True)
class AskConfig:
    """How questions are answered.

    Parameters
    ----------
    llm
        The writer: None for the extractive one; ``local`` for the bundled language model, a
        folder or a hub id for another local one, ``provider:model`` for a chat model.
    shown
        How many neighbours a list names; all of them are in the graph.
    passages
        How many passages are quoted.
    search
        ``hybrid`` searches the literature by vectors too, which loads a model.
    write_seconds
        How long a language model may take for a draft.
    write_tokens
        How long its draft may be.
    entailment
        Ask the model, on top of the verifier, whether the evidence entails each claim; what it
        denies is not shown. For a model that can tell: the bundled one cannot.
    classifier
        Whether questions that no rule reads go to the classifier of routes, where it is there.
    knockouts
        Folder of a model that says which gene is knocked out (celloquy train knockout).
    read_tokens
        How much a local model reads: a small one on a CPU reads some 300 tokens a second.
    """

    llm: str | None = None
    shown: int = 12
    passages: int = 4
    search: Literal["lexical", "hybrid"] = "lexical"
    write_seconds: float = 60.0
    write_tokens: int = 160
    read_tokens: int = 700
    entailment: bool = False
    classifier: bool = True
    knockouts: Path | None = None

    def __post_init__(self) -> None:
        if self.entailment and not self.llm:
            raise BadInput("entailment needs a language model; expected llm as well, such as local")
