"""A conversation: each question read in the light of the turns before it, and the whole exported.

Answers come from :class:`agent.qa.Agent`, checked as ever; what is remembered is in
:mod:`agent.conversation.memory`. An export asks every turn again where it was not answered in this
process, so that it shows today's evidence and needs no stored contents.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from agent.answer import Answer, Step
from agent.conversation.followups import CELLS, Meant, resolve
from agent.conversation.memory import Scratch, Turn, Turns
from agent.conversation.subject import since_dropped
from agent.conversation.sureness import account
from agent.qa import Agent
from agent.routing.among import gone_through
from agent.verification.statement import Form
from agent.verification.wording import Names, join
from agent.writing import abstention
from data.errors import BadInput, CelloquyError, UnknownTerm
from kg.terms import Curie
from retrieval.evidence import CellsEvidence, PredictionEvidence

if TYPE_CHECKING:
    from pathlib import Path

    from agent.attached.cells import AttachedCells
    from agent.attached.these import These

__all__ = ["Conversation", "as_json", "as_markdown", "listed"]

_BARE = re.compile(
    r"\s*(?:(?:and|or|but|what about|how about|then|in|for|of)[\s,]+)*these cells\s*\??\s*",
    re.IGNORECASE,
)
SELECTING = "/cells"
"""What a turn that selects cells begins with."""


@dataclass
class Conversation:
    """Questions and answers in one thread, about attached cells, an image of some, or neither."""

    agent: Agent
    memory: Turns
    cells: AttachedCells | None = None
    image: Path | None = None
    answers: list[Answer] = field(default_factory=list)
    _warned: set[str] = field(default_factory=set)

    def say(self, question: str) -> Answer:
        """Answer a question that may lean on the ones before it.

        Raises
        ------
        BadInput
            When there is no question.
        """
        if others := self._of_others(question):
            return self._kept(question, others, Meant(note="asked of other cells"))
        meant = resolve(question, self.memory.turns, self.agent.graph, cells=self.cells is not None)
        return self._kept(question, self._answered(question, meant), meant)

    def select(self, selection: str) -> Answer:
        """Mean other cells from now on; the answer says how many they are.

        Raises
        ------
        BadInput
            When no dataset is attached, or the selection cannot be used.
        """
        if self.cells is None:
            raise BadInput("no cells are attached; start with: celloquy chat --h5ad FILE")
        self.cells.select("" if selection.strip().lower() in ("all", "*") else selection)
        answer = self.agent.use_on_cells("how_many", self._these())
        return self._kept(f"{SELECTING} {self.cells.selection}".strip(), answer, Meant())

    def forget(self) -> None:
        """Empty the thread."""
        self.memory.forget()
        self.answers.clear()
        self._warned.clear()

    def again(self) -> list[Answer]:
        """The answer to every turn of the thread; those of earlier runs are asked anew."""
        if len(self.answers) == len(self.memory.turns):
            return self.answers
        stood = self.cells.selection if self.cells else ""
        other = Conversation(self.agent, Scratch(), self.cells)
        for turn in self.memory.turns:
            other._replay(turn)
        if self.cells:
            self.cells.select(stood)
        return other.answers

    def _replay(self, turn: Turn) -> None:
        here = self.cells.name if self.cells else ""
        if turn.data != here and (turn.tool.startswith(CELLS) or turn.cells):
            lacking = f"it was asked of the cells of {turn.data}, which is not attached"
            self._kept(turn.question, self._abstained(turn.question, lacking), Meant())
            self.memory.turns[-1] = turn
            return
        try:
            if self.cells:
                self.cells.select(turn.cells)
            if turn.question.startswith(SELECTING):
                self.select(turn.question.removeprefix(SELECTING))
            else:
                self.say(turn.question)
        except CelloquyError as error:
            self._kept(turn.question, self._abstained(turn.question, str(error)), Meant())

    def _answered(self, question: str, meant: Meant) -> Answer:
        if meant.lacking:
            return self._abstained(question, meant.lacking)
        if meant.dropped:
            return Answer(question, "ok", self._left())
        if meant.sure:
            return self._sure(question, meant)
        if meant.among:
            return self._among(question, meant)
        if meant.tool.startswith(CELLS):
            these = replace(self._these(), selection=meant.selection, against=meant.against)
            name = meant.tool.removeprefix(CELLS)
            return self.agent.use_on_cells(name, these, *meant.terms)
        if meant.tool == "literature" or (meant.tool and not meant.terms):
            return self._abstained(
                question, "it goes on from a search of the literature; ask that in full"
            )
        try:
            if meant.more > 1:
                return self._longer(question, meant)
            if meant.tool:
                return self.agent.use(meant.tool, *meant.terms, organism=meant.organism)
        except UnknownTerm as error:
            return self._abstained(question, str(error))
        return self.agent.ask(meant.text, self.cells, self._meant_last(), self.image)

    def _left(self) -> str:
        """What is said where the subject is dropped."""
        names = Names(self.agent.graph)
        terms = next((t.terms for t in reversed(since_dropped(self.memory.turns)) if t.terms), ())
        of = join([f"{names.label(term)} ({term})" for term in terms])
        said = f"{of} {'is' if len(terms) == 1 else 'are'} dropped" if of else "Nothing was meant"
        return f"{said[:1].upper()}{said[1:]}: the next question stands for itself."

    def _sure(self, question: str, meant: Meant) -> Answer:
        """The last answer, told by what carries it; of annotated cells by their confidences."""
        answer = self._last_of(meant) or self._answered(question, replace(meant, sure=False))
        predicted = [one.evidence for one in answer.citations if one.tells == "predicted"]
        if meant.tool.startswith(CELLS) and any(getattr(p, "statistic", "") for p in predicted):
            these = replace(self._these(), selection=meant.selection, against=meant.against)
            return self.agent.use_on_cells("sure", these)
        told = account(answer)
        return replace(answer, answer=told) if told else answer

    def _last_of(self, meant: Meant) -> Answer | None:
        """The answer that is meant, where it was given in this process and evidence is at hand."""
        for answer in reversed(self.answers):
            if answer.tool:
                same = (answer.tool, answer.terms) == (meant.tool, meant.terms)
                return answer if same and answer.citations else None
        return None

    def _longer(self, question: str, meant: Meant) -> Answer:
        """The last question again, naming more of its list."""
        agent = self.agent.showing(meant.more)
        longer = agent.use(meant.tool, *meant.terms, organism=meant.organism)
        if longer.answer in [answer.answer for answer in self.answers]:
            return self._abstained(question, "the last answer names all that they hold of this")
        return longer

    def _of_others(self, question: str) -> Answer | None:
        """Ask the last question of other cells: "and cluster 5?", "what about leiden=2?"."""
        last = self.memory.turns[-1] if self.memory.turns else None
        if last is None or self.cells is None or not last.tool.startswith(CELLS):
            return None
        from agent.attached.cellquestions import spelled

        said = spelled(question, replace(self._these(), selection="", against=""))
        if not said.named or said.these.against or not _BARE.fullmatch(said.text):
            return None
        if last.tool in (f"{CELLS}compare", f"{CELLS}compare_type"):
            other = said.these.selection
            these = replace(said.these, selection=last.selection, against=other)
            return self.agent.use_on_cells("compare", these)
        these = replace(said.these, against=last.against)
        return self.agent.use_on_cells(last.tool.removeprefix(CELLS), these, *last.terms)

    def _meant_last(self) -> str | None:
        """The cells of the last answer, unless others were selected since, or it was not of cells.

        After "What is cluster 8?" the question "are they platelets?" is about cluster 8.
        """
        last = self.memory.turns[-1] if self.memory.turns else None
        if last is None or self.cells is None or not last.tool.startswith(CELLS):
            return None
        if last.against:
            return None  # a comparison is over: those that stand selected are meant again
        return last.selection if last.cells == self.cells.selection else None

    def _among(self, question: str, meant: Meant) -> Answer:
        """Put a question to each of the ids that the last answer named."""
        plan, found = gone_through(meant, self.agent, cells=self.cells is not None)
        if plan.tool.startswith(CELLS):
            terms = tuple(mention.id for mention in plan.terms)
            name = plan.tool.removeprefix(CELLS)
            return self.agent.use_on_cells(name, self._these(), *terms)
        return self.agent.answer_with(question, plan, found)

    def _these(self) -> These:
        from agent.attached.these import These

        assert self.cells is not None, "a tool on cells is chosen where cells are attached"
        return These(self.cells, self.cells.selection, self.cells.against)

    def _abstained(self, question: str, reason: str) -> Answer:
        return Answer(question, "abstained", abstention(" ".join(reason.split())))

    def _kept(self, question: str, answer: Answer, meant: Meant) -> Answer:
        steps = (Step("memory", meant.note or meant.lacking or "stands for itself"), *answer.route)
        said = (meant.remark, *answer.warnings) if meant.remark else answer.warnings
        fresh = tuple(warning for warning in said if warning not in self._warned)
        self._warned |= set(fresh)
        answer = replace(answer, question=question, route=steps, warnings=fresh)
        self.answers.append(answer)
        self.memory.add(
            Turn(
                question=question,
                tool=answer.tool,
                terms=answer.terms if answer.tool else tuple(m.id for m in answer.mentions),
                organism=meant.organism or _organism(answer),
                selection=answer.selection,
                against=answer.against,
                listed=listed(answer),
                status=answer.status,
                data=self.cells.name if self.cells else "",
                cells=self.cells.selection if self.cells else "",
            )
        )
        return answer


def _organism(answer: Answer) -> Curie:
    """The organism that the question named, which its follow-ups mean as well."""
    named = (mention.id for mention in answer.mentions if mention.id.startswith("NCBITaxon:"))
    return next(named, "")


MOST_LISTED = 50
"""Ids of an answer that are remembered."""


def listed(answer: Answer) -> tuple[Curie, ...]:
    """The ids that an answer names in lists, in order: what it says of cells, or of the graph."""
    pieces = {citation.key: citation.evidence for citation in answer.citations}
    found: dict[Curie, None] = {}
    for claim in answer.claims:
        statement = claim.statement
        if claim.verdict != "supported" or statement is None:
            continue
        if statement.form is Form.FACT:
            found |= dict.fromkeys(statement.objects)
        elif statement.form is Form.WALK:
            found |= dict.fromkeys((statement.subject, *statement.objects))
        elif statement.form is Form.MEASURED:
            found |= dict.fromkeys(
                one for key in claim.evidence for one in _ids_of(pieces.get(key))
            )
    return tuple(found)[:MOST_LISTED]


def _ids_of(piece: object) -> list[Curie]:
    """The term or the gene that a measurement is of, or those that a model ranks."""
    if isinstance(piece, PredictionEvidence) and piece.asked:
        named = [_gene(one) if ":" not in one else one for one, _ in piece.figures]
    elif isinstance(piece, PredictionEvidence):
        named = [piece.subject]
    elif isinstance(piece, CellsEvidence) and piece.gene:
        named = [_gene(piece.gene)]
    else:
        named = []
    return [one for one in named if one]


def _gene(symbol: str) -> Curie:
    from data.genes import find_gene

    try:
        return find_gene(symbol, "human").id
    except CelloquyError:
        return ""


def as_markdown(answers: Sequence[Answer], *, quotes: bool = True) -> str:
    """A conversation for readers.

    Parameters
    ----------
    answers
        Its turns.
    quotes
        Whether passages appear in their words; otherwise as PMID and offsets alone, which is
        all of them that may be published.
    """
    lines: list[str] = []
    for number, answer in enumerate(answers, start=1):
        lines += [f"## {number}. {_plain(answer.question)}", ""]
        if answer.selection:
            other = f", against those with {answer.against}" if answer.against else ""
            lines += [f"*Cells with {_plain(answer.selection + other)}.*", ""]
        lines += [_prose(answer, quotes=quotes), ""]
        for citation in answer.citations:
            document = citation.to_json()
            where = f"{document['source']} {document['release']}".strip()
            text = _plain(document["text"])
            if document["kind"] == "passage" and not quotes:
                text = (
                    f"PMID:{document['pmid']}, characters {document['start']} to {document['end']}"
                )
            lines.append(f"- {citation.key}: {text}" + ("" if where in text else f" ({where})"))
        lines += [""] if answer.citations else []
        lines += [f"*Note: {_plain(warning)}*" for warning in answer.warnings]
        lines += [""] if answer.warnings else []
    return "\n".join(lines).rstrip() + "\n"


def _plain(text: str) -> str:
    """One line; a name from a file may hold line breaks that would end a heading."""
    return " ".join(text.split())


def _prose(answer: Answer, *, quotes: bool) -> str:
    if quotes:
        return answer.answer
    text = answer.answer
    for citation in answer.citations:
        document = citation.to_json()
        if document["kind"] == "passage":
            quote = document["quote"].strip().removesuffix(".")
            where = f"characters {document['start']} to {document['end']}"
            text = text.replace(f" states: “{quote}”", f", {where}")
            text = text.replace(f"“{quote}”", f"({where})")
    return text


def as_json(answers: Sequence[Answer]) -> str:
    """A conversation for programs: the documents of its answers, with the cells that were meant."""
    turns: list[dict[str, Any]] = [
        {**answer.to_json(), "cells": answer.selection, "against": answer.against}
        for answer in answers
    ]
    return json.dumps({"turns": turns}, ensure_ascii=False, indent=2)
