"""What a question asks where no rule reads it: a classifier's guess, then a model's choice.

Both only name one of the typed tools (:mod:`agent.tools`); its terms are those that the question
names, in an order that fits. Neither is asked where a guess could not be safe: where the question
turns on a word like "not", speaks of cells that nobody attached, holds a word that is no English
word and no name, or names no term or more than two. A question may also hold a word that no
wording of the guessed kind has, nor one near it; what it asks is then another thing. The language
model is asked last, and only where one is configured; what it says is one of the names that it was
given, or it has said nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from agent.config import AskConfig
from agent.llm import Drafted, chat_model, is_remote, within
from agent.prompts import NOTHING, choice
from agent.routing.nearby import in_words
from agent.routing.patterns import HARMLESS
from agent.routing.questions import LETTERS, slotted
from agent.routing.router import Plan, turning
from agent.tools import TOOLS, Tool
from agent.verification.tokens import lemma
from data.errors import Missing
from encoders.routes import NONE, Guess, RouteClassifier, masked
from kg.grounding import FUNCTION_WORDS
from kg.naming.mentions import Mention

__all__ = ["Guessed", "chosen", "guessed", "masked_question"]

SURELY_NOTHING = 0.9
"""Probability from which the classifier's "nothing answers this" keeps a model from being asked."""

TURNED = "_reversed"
"""What an option's name ends with where the question names the tool's second term first."""
CHOICE_TOKENS = 12
"""Length of a reply that names a tool."""

_EITHER_WAY = frozenset({"related", "difference", "genes_linking", "holds", "same"})
_POINTING = frozenset({"these", "those", "this"})
"""Words for cells that were attached: what is asked of those is measured, never guessed."""


@dataclass(frozen=True, slots=True)
class Guessed:
    """A plan, or None, and what the trace says of it; ``note`` is what the answer tells of it.

    ``settled`` is whether nobody else need be asked.
    """

    plan: Plan | None
    why: str
    note: str = ""
    settled: bool = False


@dataclass(frozen=True, slots=True)
class _Question:
    """A question that may be guessed at."""

    text: str
    asked: tuple[str, ...]
    words: tuple[str, ...]
    mentions: tuple[Mention, ...]
    organism: str

    @property
    def letters(self) -> str:
        return "".join(LETTERS[mention.category] for mention in self.mentions)


def guessed(question: str, mentions: Sequence[Mention], config: AskConfig) -> Guessed:
    """The classifier's guess.

    Parameters
    ----------
    question
        As it was read.
    mentions
        The terms grounded in it.
    config
        Whether the classifier may be asked.
    """
    if not config.classifier:
        return Guessed(None, "")
    said = _question(question, mentions)
    if isinstance(said, str):
        return Guessed(None, f"no guess: {said}")
    from encoders.routes import load

    try:
        classifier: RouteClassifier = load()
    except Missing as error:
        return Guessed(None, f"rules alone: {' '.join(str(error).split())}")
    guess = classifier(said.text, said.asked)
    heard = f"classifier {guess.probability:.2f}"
    if guess.tool == NONE:
        sure = guess.probability >= SURELY_NOTHING
        why = f"{heard}: no kind of question that is answered here"
        return Guessed(None, why, settled=sure)
    if not classifier.sure(guess):
        return Guessed(None, f"{heard}: perhaps {guess.tool}, which is not sure enough")
    if guess.strange:
        strange = " ".join(guess.strange)
        return Guessed(
            None, f"{heard}: close to {guess.tool}, but {strange!r} is none of its words"
        )
    return _planned(said, guess, heard)


def chosen(question: str, mentions: Sequence[Mention], config: AskConfig) -> Guessed:
    """The language model's choice among the tools that take the question's terms.

    Parameters
    ----------
    question
        As it was read.
    mentions
        The terms grounded in it.
    config
        Whose ``llm`` is asked, and for how long.

    Raises
    ------
    BadInput, Missing
        When there is no such model, or it is not installed.
    """
    if not config.llm:
        return Guessed(None, "")
    said = _question(question, mentions)
    if isinstance(said, str):
        return Guessed(None, f"no choice: {said}")
    options = _options(said)
    listed = {
        name: in_words(tool.use, [said.mentions[place].label for place in order])
        for name, (tool, order) in options.items()
    }
    heard = within(config.write_seconds, lambda: _heard(config, question, listed))
    if heard.problem:
        return Guessed(None, f"{config.llm} chose nothing: {heard.problem}")
    if heard.text not in options:
        return Guessed(None, f"{config.llm} chose none of the tools")
    tool, order = options[heard.text]
    return _taken(said, tool, order, f"{config.llm}: {heard.text}", config.llm)


def masked_question(question: str, mentions: Sequence[Mention]) -> str:
    """A question as the classifier reads it; "" where it may not be guessed at."""
    said = _question(question, mentions)
    return "" if isinstance(said, str) else said.text


def _question(question: str, mentions: Sequence[Mention]) -> _Question | str:
    """The question with its terms masked, or why it is not to be guessed at."""
    asked = slotted(question, mentions)
    if not 1 <= len(asked.mentions) <= 2:
        return f"it names {len(asked.mentions) or 'no'} terms, and one or two can be guessed at"
    parts, start = [], 0
    for mention in asked.mentions:
        parts.append((question[start : mention.start], LETTERS[mention.category]))
        start = mention.end
    parts.append((question[start:], ""))
    own = [word for text, _ in parts for word in _plain_words(text)]
    if pointed := _POINTING & set(own):
        return f"it speaks of {' '.join(sorted(pointed))!r}, and no rule reads what it asks of them"
    if turned := turning("holds", (*own, *asked.words)):
        return f"it turns on {' '.join(turned)!r}"
    if names := _names(question, [text for text, _ in parts]):
        return f"{' '.join(names)!r} is a name that was not read"
    meant = tuple(dict.fromkeys(w for w in own if lemma(w) not in HARMLESS | FUNCTION_WORDS))
    return _Question(masked(parts), meant, asked.words, asked.mentions, asked.organism)


def _plain_words(text: str) -> list[str]:
    return re.findall(r"[a-z][a-z'\-]*", text.replace("’", "'").lower())


def _names(question: str, texts: Sequence[str]) -> list[str]:
    """Words that look like names (a digit, a capital inside a sentence), and were not grounded."""
    marks = ".,;:?!\"'()"
    first = question.split()[0].strip(marks)
    words = [word.strip(marks) for text in texts for word in text.split()]
    return [w for w in words if w not in ("I", first.capitalize()) and re.search(r"[A-Z0-9]", w)]


def _options(said: _Question) -> dict[str, tuple[Tool, tuple[int, ...]]]:
    """The tools that take the question's terms, by a name, with the places of the terms."""
    found: dict[str, tuple[Tool, tuple[int, ...]]] = {}
    for tool in TOOLS.values():
        if tool.arity != len(said.letters):
            continue
        for order in ((0, 1), (1, 0)) if tool.arity == 2 else ((0,),):
            fits = all(
                said.letters[at] in taken for at, taken in zip(order, tool.takes, strict=True)
            )
            same = tool.name in _EITHER_WAY and order == (1, 0)
            if fits and not same:
                name = tool.name if order[0] == 0 else f"{tool.name}{TURNED}"
                found[name] = (tool, order)
    return found


def _planned(said: _Question, guess: Guess, heard: str) -> Guessed:
    """The guess as a plan, where the tool takes the question's terms."""
    tool = TOOLS[guess.tool]
    order = tuple(reversed(range(tool.arity))) if guess.reversed else tuple(range(tool.arity))
    if tool.arity != len(said.letters):
        return Guessed(None, f"{heard}: {tool.name}, which takes {tool.arity} terms")
    if not _fits(tool, order, said):
        order = order[::-1]  # "would GFAP tell an astrocyte": the gene is the gene in any order
        if not _fits(tool, order, said):
            return Guessed(None, f"{heard}: {tool.name}, which takes other kinds of term")
    return _taken(said, tool, order, heard, heard)


def _taken(said: _Question, tool: Tool, order: Sequence[int], why: str, by: str) -> Guessed:
    """The question taken for a tool on its terms in an order, unless a word of it turns it."""
    if turned := turning(tool.name, said.words):
        return Guessed(None, f"{why}: {tool.name}, but it turns on {' '.join(turned)!r}")
    terms = tuple(said.mentions[place] for place in order)
    asks = in_words(tool.use, [mention.label for mention in terms]).rstrip(".")
    note = f"no rule reads this wording; it was taken ({by}) for: {asks}"
    return Guessed(Plan(tool.name, terms, why, organism=said.organism), why, note)


def _fits(tool: Tool, order: Sequence[int], said: _Question) -> bool:
    return all(said.letters[at] in takes for at, takes in zip(order, tool.takes, strict=True))


def _heard(config: AskConfig, text: str, listed: Mapping[str, str]) -> Drafted:
    """The one name of the list that the model says, asked twice, the second time from its end.

    A model that does not know takes what stands in a certain place; what it says of both lists
    it has read.
    """
    assert config.llm is not None
    ask = _chat_choice if is_remote(config.llm) else _local_choice
    first = _name(ask(config, text, listed))
    if first not in listed:
        return Drafted(NOTHING)
    again = _name(ask(config, text, dict(reversed(list(listed.items())))))
    return Drafted(first if again == first else NOTHING)


def _name(reply: str) -> str:
    """A reply without the marks around it; more than a name is none."""
    return reply.strip().strip("`'\"*.").strip()


def _chat_choice(config: AskConfig, text: str, listed: Mapping[str, str]) -> str:
    assert config.llm is not None
    model = chat_model(config.llm, CHOICE_TOKENS, config.write_seconds)
    return model(choice(text, listed))


def _local_choice(config: AskConfig, text: str, listed: Mapping[str, str]) -> str:
    from encoders.language import load

    model = load(config.llm or "local")
    prompt = model.chat(choice(text, listed))
    (written,) = model.generate(
        [prompt], max_new_tokens=CHOICE_TOKENS, seconds=config.write_seconds / 2
    )
    return written.text
