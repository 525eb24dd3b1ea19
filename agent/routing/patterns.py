"""Patterns of questions (``patterns.toml``): from wordings to tools, over slots for terms.

A pattern is a regular expression in which ``{C}`` is a slot for a cell type, ``{G}`` for a gene,
``{T}`` for any term of an ontology and ``{X}`` for anything; the first slot is the tool's first
argument unless it is written ``{b:C}``. Relations that are asked plainly ("Is X a Y", "Which genes
are involved in Y") need no pattern: :mod:`agent.routing.asked` reads them by their phrases.
"""

from __future__ import annotations

import re
import tomllib
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HARMLESS", "PATTERNS", "Pattern"]


@dataclass(frozen=True, slots=True)
class Pattern:
    """A wording and its tool; ``also`` are words that may stand around it."""

    tool: str
    regex: re.Pattern[str]
    also: frozenset[str]


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


HARMLESS = _words(
    # Words that ask, connect or are polite, and carry nothing of what is asked.
    "what which who whom where when whether how why be do can could would should will may is are "
    "i me my we us our you your it its they their them this that these those there here "
    "a an the of in on at to for from by with as about and or "
    "please tell give show list name say explain let know want like find help need see get "
    "exactly actually really precisely briefly generally usually typically normally "
    "all any some each every both other also else just then thus so hi hello thanks thank if "
    "according cell ontology gene database database's source release data "
    "one ones type kind thing term class yes no question answer wonder "
    "different various main most important known currently recorded listed "
    "@organism have"
)
"""Words that need no reading."""

_SLOT = {"T": "[CADPFLH]", "X": "[CADHGPFLO]"}


def _regex(wording: str, also: frozenset[str]) -> re.Pattern[str]:
    r"""Compile a wording; its ``\w+`` stands for words that need no reading."""

    def slot(match: re.Match[str]) -> str:
        name, letter = match[1] or "a:", match[2]
        if not match[1]:
            name = f"{next(names)}:"
        return f"(?P<{name[0]}>@{_SLOT.get(letter, letter)}\\d)(?!\\w)"

    names = iter("ab")
    free = "|".join(sorted(map(re.escape, HARMLESS | also)))
    text = wording.replace(r"\w+", f"(?:{free})")
    return re.compile(r"(?<!\S)" + re.sub(r"\{([ab]:)?([A-Z])\}", slot, text) + r"(?!\S)")


def _patterns(table: dict[str, dict[str, str]]) -> tuple[Pattern, ...]:
    made = []
    for tool, entry in table.items():
        also = _words(entry["also"])
        for wording in filter(None, entry["wordings"].split("\n")):
            made.append(Pattern(tool, _regex(wording, also), also))
    return tuple(made)


PATTERNS = _patterns(tomllib.loads(Path(__file__).with_suffix(".toml").read_text("utf-8")))
"""The table; where several wordings fit, the one that leaves fewest words unread wins."""
