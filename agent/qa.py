"""A question in, a cited answer out: ground, route, retrieve, write, verify, answer or abstain.

The steps are the nodes of a LangGraph state graph; each is a plain function that can be read and
tested alone. What is shown has passed :mod:`agent.verification.verify`; where nothing passes, the
answer abstains and says what would help. A failure is an answer with a status, never a half truth.
"""

from __future__ import annotations

from collections.abc import Callable
from copy import copy
from dataclasses import dataclass, field
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent import predictions, remarks
from agent.answer import Answer, Step
from agent.config import AskConfig
from agent.degraded import built_in, degraded
from agent.facts import Facts, Found
from agent.finishing import finished
from agent.flow import compiled
from agent.kinds.predictions import usable_image, which_gene
from agent.literature import Literature, open_literature
from agent.llm import Writer, open_writer
from agent.retrieving import retrieve
from agent.routing.guessing import chosen, guessed
from agent.routing.naming import named_in
from agent.routing.questions import LETTERS, slotted
from agent.routing.router import Plan, route
from agent.routing.spoken import clean
from agent.state import CELLS, State
from agent.tools import TOOLS
from agent.verification.entailment import doubted
from agent.verification.verify import Verifier
from agent.writing import (
    abstention,
    draft,
    merged,
    prose,
    releases_of,
    sources_line,
)
from data.errors import BadInput, ServerUnavailable, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.grounding import candidates
from kg.naming.identifiers import unknown_identifiers
from kg.naming.mentions import Mention
from kg.terms import Curie

if TYPE_CHECKING:
    from agent.attached.cells import AttachedCells
    from agent.attached.these import These

__all__ = ["Agent", "ask"]


@dataclass
class Agent:
    """Answers questions over one graph; keep it to answer many.

    Parameters
    ----------
    graph
        The loaded releases.
    config
        Limits and the writer.
    fallback
        Opens the graph that answers when the server of the first does not.
    """

    graph: KnowledgeGraph
    config: AskConfig = field(default_factory=AskConfig)
    fallback: Callable[[], KnowledgeGraph | None] | None = None

    def __post_init__(self) -> None:
        self.facts = Facts(self.graph, shown=self.config.shown)
        predicted = partial(predictions.problem, seen=predictions.Seen(self.graph))
        self.verifier = Verifier(self.graph, self._stored_text, predicted=predicted)
        self.writer: Writer | None = open_writer(self.config)

    def showing(self, times: int) -> Agent:
        """The same agent with lists that name so many times as much."""
        other = copy(self)
        other.facts = Facts(self.graph, shown=times * self.config.shown)
        return other

    def ask(
        self,
        question: str,
        cells: AttachedCells | None = None,
        selection: str | None = None,
        image: Path | None = None,
    ) -> Answer:
        """Answer one question.

        Parameters
        ----------
        question
            In words.
        cells
            Cells that it may be about (:func:`agent.attached.cells.attach`).
        selection
            Which of them "these cells" are; those that stand selected where not given.
        image
            An image of cells that it may be about.

        Raises
        ------
        BadInput
            When there is no question, or far too much of one.
        """
        question = clean(question)
        state: State = {"question": question, "steps": (), "warnings": (), "claims": ()}
        if cells is not None:
            from agent.attached.cellquestions import spelled
            from agent.attached.these import These

            these = These(cells, cells.selection, cells.against)
            if selection is not None:
                these = These(cells, selection)
            said = spelled(question, these)
            state["read"], state["these"], state["named"] = said.text, said.these, said.named
        if image is not None:
            state["image"] = image
        return self.run(state)

    def run(self, state: State) -> Answer:
        """Go through the nodes; a server that is gone is no exception but an answer's status."""
        try:
            answer: Answer = compiled().invoke(state, context=self)["answer"]
        except ServerUnavailable as error:
            return degraded(self, state, error)
        return answer

    def use_on_cells(self, name: str, these: These, *terms: Curie) -> Answer:
        """Answer with one named tool of :data:`agent.attached.cellquestions.CELL_TOOLS`.

        Parameters
        ----------
        name
            The tool.
        these
            The cells that are meant.
        *terms
            As many ids as it takes.

        Raises
        ------
        UnknownTerm
            When a term is not in the loaded releases.
        """
        chosen = tuple(self.named(term) for term in terms)
        state: State = {
            "question": f"{name}({', '.join([these.words, *terms])})",
            "these": these,
            "mentions": chosen,
            "plan": Plan(f"{CELLS}{name}", chosen, "asked for by name"),
            "steps": (),
            "warnings": (),
            "claims": (),
        }
        return self.run(state)

    def answer_with(self, question: str, plan: Plan, found: Found) -> Answer:
        """Write and check an answer from what was found already, by a plan of more than one tool.

        Parameters
        ----------
        question
            As it was asked.
        plan
            What was run, and why.
        found
            What it gave.
        """
        state: State = {
            "question": question,
            "mentions": plan.terms,
            "plan": plan,
            "found": found,
            "steps": (),
            "warnings": (),
            "claims": (),
        }
        return self.run(state)

    def named(self, id: Curie) -> Mention:
        """A term by its id, as if a question had named it.

        Raises
        ------
        UnknownTerm
            When it is not in the loaded releases.
        """
        return self._named(id, "".join(LETTERS.values()))

    def use(self, name: str, *terms: str, organism: Curie = "") -> Answer:
        """Answer with one named tool of :data:`agent.tools.TOOLS`, without a question in words.

        Parameters
        ----------
        name
            The tool.
        *terms
            As many terms as it takes, by name or by id.
        organism
            Whose genes are meant; human where nothing is given.

        Raises
        ------
        BadInput
            When there is no such tool, or it takes another number of terms.
        UnknownTerm
            When a term is not in the loaded releases.
        """
        tool = TOOLS.get(name)
        if tool is None:
            raise BadInput(f"no tool is named {name!r}; one of: {', '.join(TOOLS)}")
        if len(terms) != tool.arity:
            raise BadInput(f"{name} was given {len(terms)} terms; expected {tool.arity}")
        chosen = tuple(
            self._named(text, letters) for text, letters in zip(terms, tool.takes, strict=True)
        )
        state: State = {
            "question": f"{name}({', '.join(terms)})",
            "mentions": chosen,
            "plan": Plan(name, chosen, "asked for by name", organism=organism),
            "steps": (),
            "warnings": (),
            "claims": (),
        }
        return self.run(state)

    def _named(self, text: str, letters: str) -> Mention:
        found = candidates(text, self.graph, limit=10)
        fitting = tuple(c for c in found if LETTERS[c.category] in letters)
        if not fitting:
            others = ", ".join(f"{c.label} ({c.id})" for c in found[:3])
            what = " or ".join(
                c.name.lower().replace("_", " ")
                for c, letter in LETTERS.items()
                if letter in letters
            )
            raise UnknownTerm(
                f"{text!r} names no {what} of the loaded releases"
                + (f"; it names {others}" if others else "; find names with: celloquy term NAME")
            )
        return Mention(text, 0, len(text), fitting)

    @cached_property
    def literature(self) -> Literature | None:
        """The literature index; opened when it is first needed, which takes a while."""
        return open_literature(self.config.search) if self.config.passages else None

    def _stored_text(self, pmid: str) -> str | None:
        return self.literature.stored_text(pmid) if self.literature else None

    # The nodes.

    def ground(self, state: State) -> State:
        """Find the terms that the question names."""
        question = state.get("read", state["question"])
        question, mentions, notices = named_in(question, self.graph, attached="these" in state)
        unknown = unknown_identifiers(question, self.graph)
        warnings = [f"{node} {remarks.UNKNOWN}" for node in unknown]
        named = ", ".join(f"{m.text} = {m.label} ({m.id})" for m in mentions) or "nothing"
        return {
            "read": question,
            "mentions": mentions,
            "warnings": (*notices, *warnings),
            "steps": (Step("ground", f"the question names {named}"),),
        }

    def route(self, state: State) -> State:
        """Choose the tool: one on the attached cells, where the question is about them."""
        plan = (
            which_gene(state["read"])
            or self._on_cells(state)
            or route(state["read"], state["mentions"])
        )
        why = [f"{plan.tool}: {plan.why}" if plan.tool else plan.why]
        notes: tuple[str, ...] = ()
        if not plan.tool and not plan.turning and not plan.lacking:
            for asked in (guessed, chosen):  # a classifier, then a model where one is configured
                guess = asked(state["read"], state["mentions"], self.config)
                why += [guess.why] if guess.why else []
                if guess.plan is not None:
                    plan, notes = guess.plan, (guess.note,)
                    why[-1] = f"{plan.tool}: {guess.why}"
                if guess.plan is not None or guess.settled:
                    break
        return {"plan": plan, "warnings": notes, "steps": (Step("route", "; ".join(why)),)}

    def _on_cells(self, state: State) -> Plan | None:
        if "these" not in state:
            return None
        from agent.attached.cellquestions import plan

        asked = slotted(state["read"], state["mentions"])
        found = plan(asked, state["these"], named=state["named"])
        if found is None:
            return None
        terms = tuple(asked.mentions[slot] for slot in found.slots)
        return Plan(f"{CELLS}{found.name}", terms, found.why, organism=asked.organism)

    def retrieve(self, state: State) -> State:
        """Run the tool on the terms."""
        return retrieve(self, state)

    def write(self, state: State) -> State:
        """Turn findings into claims."""
        written = draft(state["found"].findings, self.facts.names)
        many = len(written.claims)
        step = Step("write", f"extractive: {many} claims on {len(written.evidence)} evidence")
        return {"draft": written, "steps": (step,)}

    def verify(self, state: State) -> State:
        """Check every claim."""
        written = state["draft"]
        verifier = self._verifier(state)
        claims = tuple(verifier.check(c, written.evidence) for c in written.claims)
        warnings: tuple[str, ...] = ()
        if self.config.entailment:
            claims, warnings = doubted(claims, written.evidence, self.config)
        dropped = [claim for claim in claims if claim.verdict == "dropped"]
        why = f"{len(claims) - len(dropped)} of {len(claims)} claims supported"
        if dropped:
            why += "; dropped: " + "; ".join(f"{c.text} ({c.why})" for c in dropped)
        steps = (Step("verify", why),)
        return {"claims": claims, "leads": written.leads, "warnings": warnings, "steps": steps}

    def seen(self, state: State) -> predictions.Seen:
        """What is attached, for the models that look at it."""
        these: These | None = state.get("these")
        cells, selection = (these.cells, these.selection) if these else (None, "")
        image, knockouts = state.get("image"), self.config.knockouts
        return predictions.Seen(self.graph, cells, selection, image, knockouts)

    def _verifier(self, state: State) -> Verifier:
        """The verifier; where cells are attached, one that computes their statistics again."""
        seen = self.seen(state)
        predicted = partial(predictions.problem, seen=seen)
        if seen.cells is None:
            if seen.image is None:
                return self.verifier
            return Verifier(self.graph, self._stored_text, predicted=predicted)
        from agent.verification import recount

        recount.prepare(state["draft"].evidence.values(), seen.cells)
        recomputed = partial(recount.problem, cells=seen.cells)
        return Verifier(self.graph, self._stored_text, recomputed, predicted)

    def rewrite(self, state: State) -> State:
        """Let the language model order and phrase the checked facts, and check what it wrote.

        Its sentences are made again from what they prove to say. It can add no fact, and leave
        none out: the claims that it did not state follow behind its own.
        """
        assert self.writer is not None
        evidence = state["draft"].evidence
        facts = [(c.text, c.evidence) for c in state["claims"] if c.verdict == "supported"]
        drafted = self.writer.draft(state["question"], facts)
        verifier = self._verifier(state)
        written = verifier.check_draft(drafted.text, evidence)
        kept = [claim for claim in written if claim.verdict == "supported"]
        claims, leads = merged(state["claims"], state["leads"], kept, verifier, evidence)
        dropped = [claim for claim in written if claim.verdict == "dropped"]
        why = f"{self.writer.name}: {len(kept)} of {len(written)} sentences supported"
        if dropped:
            why += "; dropped: " + "; ".join(f"{c.text[:200]} ({c.why})" for c in dropped)
        warnings: tuple[str, ...] = ()
        if drafted.problem:
            warnings = (f"the writer {self.writer.name} gave no draft: {drafted.problem}",)
        elif drafted.cut:
            warnings = (f"the draft of {self.writer.name} met its limit and was cut",)
        elif not kept:
            warnings = (f"no sentence of {self.writer.name} was supported; the facts are shown",)
        return {
            "claims": (*claims, *dropped),
            "leads": (*leads, *("" for _ in dropped)),
            "cut": drafted.cut,
            "warnings": warnings,
            "steps": (Step("rewrite", why),),
        }

    def answer(self, state: State) -> State:
        """Write the answer from the claims that passed."""
        written, claims = state["draft"], state["claims"]
        releases = releases_of(written.evidence, claims)
        parts = [
            prose(claims, state["leads"], written.evidence, self.facts.names),
            *state["found"].notes,
            sources_line(releases),
        ]
        return finished(self, state, " ".join(parts), releases)

    def abstain(self, state: State) -> State:
        """Say why there is no answer and what would help."""
        if error := state.get("error"):
            return finished(self, state, f"The question could not be answered: {error}.", {})
        reason = state["found"].lacking or "no claim on it could be supported"
        parts = [abstention(reason), *state["found"].notes]
        return finished(self, state, " ".join(parts), {})


def ask(
    question: str,
    adata: Any = None,
    cells: str | None = None,
    image: Path | str | None = None,
    *,
    against: str | None = None,
    graph: KnowledgeGraph | None = None,
    config: AskConfig | None = None,
) -> Answer:
    """Answer a question about cells, with the evidence for every sentence.

    Parameters
    ----------
    question
        In words.
    adata
        Cells that the question may be about: an AnnData, or the path of an .h5ad file.
    cells
        Which of them are meant, such as ``leiden=3`` or ``index=0:50``; all where not given.
    image
        The path of an image of the cells, for "Which gene is knocked out here?".
    against
        Which of them the others are compared with.
    graph
        The graph to answer from; the default is the built one.
    config
        Limits and the writer.

    Raises
    ------
    BadInput
        When the question cannot be used.
    AssetMissing
        When the graph's sources were not fetched.
    """
    if adata is None and (cells or against):
        raise BadInput(f"cells {cells or against!r} were named without a dataset; give adata too")
    if not isinstance(image, str | Path | None):
        raise BadInput(f"image is of type {type(image).__name__}; expected the path of an image")
    from agent.lookup import open_graph

    graph = graph or open_graph()
    agent = Agent(graph, config or AskConfig(), built_in)
    picture = usable_image(image, config)
    if adata is None:
        return agent.ask(question, image=picture)
    from agent.attached.cells import attach

    with attach(adata, cells, graph, against=against) as attached:
        return agent.ask(question, attached, image=picture)
