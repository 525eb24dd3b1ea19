"""A question in, a cited answer out: ground, route, retrieve, write, verify, answer or abstain.

The steps are the nodes of a LangGraph state graph; each is a plain function that can be read and
tested alone. What is shown has passed :mod:`agent.verify`; where nothing passes, the answer
abstains and says what would help. A failure is an answer with a status, never a half truth.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property, lru_cache
from typing import Any, TypedDict

from agent.answer import Answer, Citation, Claim, Named, Status, Step
from agent.config import AskConfig
from agent.ellipsis import with_ones, with_root
from agent.facts import HUMAN, Facts, Found
from agent.literature import Literature, no_index, open_literature
from agent.llm import Writer, open_writer
from agent.questions import LETTERS
from agent.router import LITERATURE, Plan, route
from agent.tools import TOOLS
from agent.verify import Verifier
from agent.writing import (
    Draft,
    abstention,
    draft,
    merged,
    old_sources,
    prose,
    releases_of,
    sources_line,
)
from data.errors import BadInput, CelloquyError, UnknownTerm
from kg.graph import KnowledgeGraph
from kg.grounding import candidates, ground
from kg.identifiers import unknown_identifiers
from kg.mentions import Candidate, Mention
from kg.terms import Curie
from retrieval.evidence import EdgeEvidence, Evidence, PathEvidence, TermEvidence

__all__ = ["Agent", "ask"]

MOUSE = "NCBITaxon:10090"
MAX_QUESTION = 2000
"""Characters; a longer text is not a question and would only cost time."""


class State(TypedDict, total=False):
    """What the nodes hand on."""

    question: str
    mentions: tuple[Mention, ...]
    plan: Plan
    found: Found
    draft: Draft
    claims: tuple[Claim, ...]
    leads: tuple[str, ...]
    cut: bool
    warnings: tuple[str, ...]
    steps: tuple[Step, ...]
    error: str
    answer: Answer


@dataclass
class Agent:
    """Answers questions over one graph; keep it to answer many.

    Parameters
    ----------
    graph
        The loaded releases.
    config
        Limits and the writer.
    """

    graph: KnowledgeGraph
    config: AskConfig = field(default_factory=AskConfig)

    def __post_init__(self) -> None:
        self.facts = Facts(self.graph, shown=self.config.shown)
        self.verifier = Verifier(self.graph, self._stored_text)
        self.writer: Writer | None = open_writer(self.config)

    def ask(self, question: str) -> Answer:
        """Answer one question.

        Raises
        ------
        BadInput
            When there is no question, or far too much of one.
        """
        question = " ".join(question.split())
        if not question:
            raise BadInput("the question is empty; expected a sentence such as: What is a T cell?")
        if len(question) > MAX_QUESTION:
            raise BadInput(
                f"the question has {len(question)} characters; expected at most {MAX_QUESTION}"
            )
        state: State = {"question": question, "steps": (), "warnings": (), "claims": ()}
        answer: Answer = _compiled().invoke(state, context=self)["answer"]
        return answer

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
        answer: Answer = _compiled().invoke(state, context=self)["answer"]
        return answer

    def _named(self, text: str, letters: str) -> Mention:
        found = candidates(text, self.graph, limit=10)
        fitting = tuple(c for c in found if LETTERS[c.category] in letters)
        if not fitting:
            others = ", ".join(f"{c.label} ({c.id})" for c in found[:3])
            what = " or ".join(c.name.lower() for c, letter in LETTERS.items() if letter in letters)
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
        mentions = ground(state["question"], self.graph)
        mentions = with_ones(state["question"], mentions, self.graph)
        mentions = tuple(with_root(state["question"], mentions, self.graph))
        unknown = unknown_identifiers(state["question"], self.graph)
        warnings = [f"{node} is in none of the loaded releases" for node in unknown]
        named = ", ".join(f"{m.text} = {m.label} ({m.id})" for m in mentions) or "nothing"
        return {
            "mentions": mentions,
            "warnings": tuple(warnings),
            "steps": (Step("ground", f"the question names {named}"),),
        }

    def route(self, state: State) -> State:
        """Choose the tool."""
        plan = route(state["question"], state["mentions"])
        why = f"{plan.tool}: {plan.why}" if plan.tool else plan.why
        return {"plan": plan, "steps": (Step("route", why),)}

    def retrieve(self, state: State) -> State:
        """Run the tool on the terms."""
        plan = state["plan"]
        if plan.tool == LITERATURE:
            return self._search(state)
        if not plan.tool:
            return {"found": Found(lacking=self._unread(state))}
        tool = TOOLS[plan.tool]
        organism = plan.organism
        if tool.name == "orthologues":  # "the mouse orthologue of X" is asked of the human X
            organism = {HUMAN: MOUSE, MOUSE: HUMAN}.get(organism, "")
        chosen = [_for_organism(mention, organism) for mention in plan.terms]
        ids = [candidate.id for candidate in chosen]
        step = Step(f"graph.{tool.name}", f"{tool.use}: {', '.join(ids)}")
        try:
            found = tool(self.facts.of(plan.organism), *ids)
        except (CelloquyError, sqlite3.Error, ConnectionError) as error:
            why = f"{tool.name} failed: {' '.join(str(error).split())}"
            return {"error": why, "found": Found(), "steps": (step,)}
        return {
            "found": found,
            "warnings": (*_assumptions(plan.terms, chosen), *found.warnings),
            "steps": (step,),
        }

    def _search(self, state: State) -> State:
        step = Step("literature", f"searches {self.config.passages} passages by words")
        if self.literature is None:
            return {"found": no_index(), "steps": (step,)}
        limit = self.config.passages
        try:
            names = [(m.text, *self.facts.names.names(m.id)) for m in state["mentions"]]
            found = self.literature.found(state["question"], limit, names=names)
        except (CelloquyError, sqlite3.Error) as error:
            why = f"the literature search failed: {' '.join(str(error).split())}"
            return {"error": why, "found": Found(), "steps": (step,)}
        return {"found": found, "warnings": found.warnings, "steps": (step,)}

    def write(self, state: State) -> State:
        """Turn findings into claims."""
        written = draft(state["found"].findings, self.facts.names)
        many = len(written.claims)
        step = Step("write", f"extractive: {many} claims on {len(written.evidence)} evidence")
        return {"draft": written, "steps": (step,)}

    def verify(self, state: State) -> State:
        """Check every claim."""
        written = state["draft"]
        claims = tuple(self.verifier.check(c, written.evidence) for c in written.claims)
        dropped = [claim for claim in claims if claim.verdict == "dropped"]
        why = f"{len(claims) - len(dropped)} of {len(claims)} claims supported"
        if dropped:
            why += "; dropped: " + "; ".join(f"{c.text} ({c.why})" for c in dropped)
        return {"claims": claims, "leads": written.leads, "steps": (Step("verify", why),)}

    def rewrite(self, state: State) -> State:
        """Let the language model order and phrase the checked facts, and check what it wrote.

        Its sentences are made again from what they prove to say. It can add no fact, and leave
        none out: the claims that it did not state follow behind its own.
        """
        assert self.writer is not None
        evidence = state["draft"].evidence
        facts = [(c.text, c.evidence) for c in state["claims"] if c.verdict == "supported"]
        drafted = self.writer.draft(state["question"], facts)
        written = self.verifier.check_draft(drafted.text, evidence)
        kept = [claim for claim in written if claim.verdict == "supported"]
        claims, leads = merged(state["claims"], state["leads"], kept, self.verifier, evidence)
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
        return self._finished(state, " ".join(parts), releases)

    def abstain(self, state: State) -> State:
        """Say why there is no answer and what would help."""
        if error := state.get("error"):
            return self._finished(state, f"The question could not be answered: {error}.", {})
        reason = state["found"].lacking or "no claim on it could be supported"
        parts = [abstention(reason), *state["found"].notes]
        return self._finished(state, " ".join(parts), {})

    def _finished(self, state: State, text: str, releases: dict[str, str]) -> State:
        failed = "error" in state
        status: Status = "failed" if failed else ("ok" if releases else "abstained")
        if status == "ok" and state.get("cut"):
            status = "truncated"
        claims = state.get("claims", ())
        plan = state["plan"]
        scores = [mention.score for mention in plan.terms]
        return {
            "answer": Answer(
                question=state["question"],
                status=status,
                answer=text,
                claims=claims,
                citations=self._citations(state) if releases else (),
                mentions=tuple(_named(mention) for mention in state["mentions"]),
                route=state["steps"],
                confidence=min(scores, default=1.0) if releases else 0.0,
                model=self.writer.name if self.writer and "cut" in state else None,
                warnings=(*state["warnings"], *old_sources(self.graph, releases)),
                releases=releases,
            )
        }

    def _citations(self, state: State) -> tuple[Citation, ...]:
        """The evidence of the shown claims, with the labels that its ids need."""
        used = {key for c in state["claims"] if c.verdict == "supported" for key in c.evidence}
        citations = []
        for key, piece in state["draft"].evidence.items():
            if key in used:
                ids = _ids(piece)
                self.facts.names.load(ids)
                labels = {node: self.facts.names.label(node) for node in ids}
                citations.append(Citation(key, piece, labels))
        return tuple(citations)

    def _unread(self, state: State) -> str:
        plan, mentions = state["plan"], state["mentions"]
        helpful = (
            "ask for a definition, kinds, parents, development, markers, functions, partners or "
            "diseases of a cell type, gene, process or disease, or how two of them are related"
        )
        if not mentions:
            return f"it names no cell type, gene, process or disease that they hold; {helpful}"
        known = ", ".join(f"{m.label} ({m.id})" for m in mentions)
        if plan.turning:
            words = " ".join(plan.turning)
            return (
                f"they hold {known}, but the question turns on {words!r}, which is not read; ask "
                "it plainly, without that, and the answer says yes or no with the reason"
            )
        if plan.unread:
            words = " ".join(word for word in plan.unread if not word.startswith("@"))
            if words:
                return f"they hold {known}, but nothing on {words!r}; {helpful}"
        return f"they hold {known}, but what is asked of it was not understood; {helpful}"


def _for_organism(mention: Mention, organism: Curie) -> Candidate:
    """The candidate of the organism that the question names, where there is one."""
    prefix = {HUMAN: "HGNC:", MOUSE: "MGI:"}.get(organism, "")
    if prefix:
        for candidate in mention.candidates:
            if candidate.id.startswith(prefix):
                return candidate
    return mention.best


def _assumptions(mentions: Sequence[Mention], chosen: Sequence[Candidate]) -> tuple[str, ...]:
    """What grounding assumed: readings, corrections, replacements, close alternatives."""
    warnings = []
    for mention, candidate in zip(mentions, chosen, strict=True):
        if candidate.notice:
            read = f"{mention.text!r} is read as {candidate.label} ({candidate.id})"
            warnings.append(f"{read}: {candidate.notice}")
        elif mention.unclear:
            others = [
                f"{other.label} ({other.id})"
                for other in mention.candidates[:3]
                if other.id != candidate.id and other.score >= mention.score - 0.05
            ]
            if others:
                read = f"{mention.text!r} is read as {candidate.label} ({candidate.id})"
                warnings.append(f"{read}; it could also mean {', '.join(others)}")
    return tuple(warnings)


def _named(mention: Mention) -> Named:
    return Named(mention.text, mention.id, mention.label, mention.score, mention.scope.value)


def _ids(piece: Evidence) -> tuple[Curie, ...]:
    if isinstance(piece, PathEvidence):
        return piece.path.nodes
    if isinstance(piece, EdgeEvidence):
        return (piece.edge.subject, piece.edge.object)
    return (piece.id,) if isinstance(piece, TermEvidence) else ()


def _timed(name: str, node: Callable[[Agent, State], State]) -> Callable[..., Any]:
    """A graph node that adds its steps to the trace with the time they took."""
    from langgraph.runtime import Runtime

    def run(state: State, runtime: Runtime[Agent]) -> State:
        start = time.perf_counter()
        update = node(runtime.context, state)
        ms = (time.perf_counter() - start) * 1000
        steps = [replace(step, ms=ms) for step in update.get("steps", ())]
        merged: State = {**update, "steps": (*state["steps"], *steps)}
        if "warnings" in update:
            merged["warnings"] = (*state["warnings"], *update["warnings"])
        return merged

    run.__name__ = name
    return run


def _after_verify(state: State, runtime: Any) -> str:
    if not any(claim.verdict == "supported" for claim in state["claims"]):
        return "abstain_"
    return "rewrite_" if runtime.context.writer else "answer_"


@lru_cache(maxsize=1)
def _compiled() -> Any:
    """The state graph, compiled once a process; LangGraph is imported here, when first asked."""
    from langgraph.graph import END, START, StateGraph

    graph = StateGraph(State, context_schema=Agent)
    nodes = (
        *(Agent.ground, Agent.route, Agent.retrieve),
        *(Agent.write, Agent.verify, Agent.rewrite),
    )
    for node in nodes:
        graph.add_node(f"{node.__name__}_", _timed(node.__name__, node))
    graph.add_node("answer_", lambda state, runtime: runtime.context.answer(state))
    graph.add_node("abstain_", lambda state, runtime: runtime.context.abstain(state))
    graph.add_conditional_edges(
        START, lambda state: "retrieve_" if "plan" in state else "ground_", ["retrieve_", "ground_"]
    )
    graph.add_edge("ground_", "route_")
    graph.add_edge("route_", "retrieve_")
    graph.add_conditional_edges(
        "retrieve_",
        lambda state: "write_" if state["found"].findings else "abstain_",
        ["write_", "abstain_"],
    )
    graph.add_edge("write_", "verify_")
    graph.add_conditional_edges(
        "verify_",
        _after_verify,
        ["answer_", "abstain_", "rewrite_"],
    )
    graph.add_edge("rewrite_", "answer_")
    graph.add_edge("answer_", END)
    graph.add_edge("abstain_", END)
    return graph.compile()


def ask(
    question: str,
    adata: Any = None,
    cells: str | None = None,
    image: Any = None,
    *,
    graph: KnowledgeGraph | None = None,
    config: AskConfig | None = None,
) -> Answer:
    """Answer a question about cells, with the evidence for every sentence.

    Parameters
    ----------
    question
        In words.
    adata, cells, image
        Cells and images that the question is about; not answered yet, and refused when given.
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
    if adata is not None or cells is not None or image is not None:
        raise BadInput(
            "questions about attached cells or images are not answered yet; ask without them, or "
            "name cell types with celloquy.tl.annotate"
        )
    from agent.lookup import open_graph

    return Agent(graph or open_graph(), config or AskConfig()).ask(question)
