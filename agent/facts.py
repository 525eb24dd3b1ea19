"""Reads of the graph as evidence: what the kinds of question are answered from.

Each read returns edges or pieces of evidence that the verifier will check again. No text of a
question comes here: ids, relations and limits only.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field, replace

from agent.verification.statement import Statement
from agent.verification.support import record
from agent.verification.wording import Names
from data.markers import of_the_day
from kg.graph import Direction, KnowledgeGraph
from kg.neighbours import Neighbour, neighbourhood
from kg.ontology import most_recent_common_ancestors, shortest_path_up
from kg.terms import IS_A, MARKER_OF, PREDICATES, Category, Curie, Edge, Path
from kg.verbalise import sentence as edge_sentence
from retrieval.evidence import EdgeEvidence, Evidence, Part, PathEvidence, TermEvidence

__all__ = ["HUMAN", "NO_DATA", "Facts", "Finding", "Found", "none_found"]

NO_DATA = "ND"
"""Evidence code of an annotation to a root: curators looked and found nothing, so it says nothing
of the gene (https://geneontology.org/docs/guide-go-evidence-codes/)."""
HUMAN = "NCBITaxon:9606"
"""The organism that is meant where a question names none."""


@dataclass(frozen=True, slots=True)
class Finding:
    """A statement with its evidence; ``lead`` ("Yes", "No") goes before its sentence."""

    statement: Statement
    evidence: tuple[Evidence, ...]
    lead: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """What a kind of question gave: findings in the order of the answer.

    ``notes`` are said behind them: the answer's own limits, nothing about cells. Where there are
    no findings ``lacking`` says what was not found and what would help.
    """

    findings: tuple[Finding, ...] = ()
    notes: tuple[str, ...] = ()
    lacking: str = ""
    warnings: tuple[str, ...] = ()


def none_found(lacking: str, *notes: str) -> Found:
    """Nothing found, and what would help."""
    return Found(lacking=lacking, notes=notes)


@dataclass
class Facts:
    """The graph as the kinds of question read it.

    Parameters
    ----------
    graph
        The loaded releases.
    shown
        How many neighbours a list names.
    organism
        Whose genes a list names, where a relation has those of several.
    """

    graph: KnowledgeGraph
    shown: int = 12
    organism: Curie = HUMAN
    names: Names = field(init=False)

    def __post_init__(self) -> None:
        self.names = Names(self.graph)

    def of(self, organism: Curie) -> Facts:
        """The same reads for another organism; names that were read are shared."""
        if not organism or organism == self.organism:
            return self
        other = replace(self, organism=organism)
        other.names = self.names
        return other

    def naming(self, most: int) -> Facts:
        """The same reads with lists of so many; as they are for 0. Names are shared."""
        if not most:
            return self
        other = replace(self, shown=most)
        other.names = self.names
        return other

    def label(self, id: Curie) -> str:
        """The label with the id behind it."""
        return f"{self.names.label(id)} ({id})"

    def edge(self, edge: Edge) -> EdgeEvidence:
        """An edge as evidence, in words."""
        ends = (edge.subject, edge.object)
        self.names.load(ends)
        return EdgeEvidence(
            edge, edge_sentence(edge, {node: self.names.label(node) for node in ends})
        )

    def climb(
        self, start: Curie, goal: Curie, predicates: Sequence[Curie] = (IS_A,)
    ) -> tuple[Edge, ...]:
        """The shortest way up from ``start`` to ``goal``; empty where there is none."""
        if start == goal:
            return ()
        found = shortest_path_up(self.graph, start, goal, predicates)
        return found.edges if found else ()

    def path(self, edges: Sequence[Edge]) -> PathEvidence:
        """A way up as evidence, in words: a bare arrow is "is a", others name their relation.

        Where the hops are of several releases the words end on all of them; the evidence's own
        source is that of the last hop, and each hop keeps its own.
        """
        nodes = (edges[0].subject, *(edge.object for edge in edges))
        self.names.load(nodes)
        text = self.label(nodes[0])
        for edge in edges:
            relation = "" if edge.predicate == IS_A else f"—{PREDICATES[edge.predicate].label}"
            text += f" {relation}→ {self.label(edge.object)}"
        last = edges[-1]
        releases = dict.fromkeys(f"{edge.source} {edge.release}" for edge in edges)
        if len(releases) > 1:
            text += f" [{', '.join(releases)}]"
        return PathEvidence(Path(nodes, tuple(edges)), text, last.source, last.release)

    def words(self, id: Curie, part: Part = "label") -> TermEvidence | None:
        """A term's own record as evidence; None where that part of it is empty."""
        term = self.names.term(id)
        text = record(term, part) if term else ""
        if term is None or not text:
            return None
        return TermEvidence(id, part, text, 0, len(text), term.source, term.release)

    def around(
        self,
        id: Curie,
        predicates: Iterable[Curie],
        direction: Direction,
        categories: Collection[Category] = (),
        limit: int | None = None,
    ) -> tuple[tuple[Neighbour, ...], int]:
        """The best supported neighbours, and how many there are."""
        found = neighbourhood(
            self.graph,
            id,
            relations=predicates,
            direction=direction,
            categories=categories,
            limit=None,
        )
        positive = [
            n
            for n in found.neighbours
            if "negative" not in n.edge.qualifiers and n.edge.evidence_code != NO_DATA
        ]
        positive = self.own_genes(id, positive)
        return tuple(positive[: limit or self.shown]), len(positive)

    def own_genes(self, id: Curie, neighbours: list[Neighbour]) -> list[Neighbour]:
        """Without the other organisms' genes, where the term is of no organism itself.

        Markers that are everywhere, and that one collection alone names, are none
        (:func:`data.markers.of_the_day`).
        """
        neighbours = [n for n in neighbours if not _of_the_day(n)]
        centre = self.names.term(id)
        if centre and centre.taxon:
            return neighbours
        own = [n for n in neighbours if n.term.taxon in (None, self.organism)]
        return own or neighbours

    def denied(self, id: Curie, predicates: Iterable[Curie]) -> tuple[Neighbour, ...]:
        """What the sources say does *not* hold of a node."""
        return neighbourhood(self.graph, id, relations=predicates, direction="out", limit=1).negated

    def meeting(self, a: Curie, b: Curie, predicates: Sequence[Curie] = (IS_A,)) -> list[Curie]:
        """The lowest common ancestors: that with the fewest kinds, then the nearest first."""
        nearest = most_recent_common_ancestors(self.graph, a, b, predicates)
        sizes = {one: len(self.graph.descendants(one, predicates)) for one in nearest}
        telling = sorted(nearest, key=lambda one: sizes[one])[:1]
        return list(dict.fromkeys([*telling, *nearest]))


def _of_the_day(one: Neighbour) -> bool:
    """Whether a gene is listed as a marker by one collection that found it high, as in any cell."""
    edge = one.edge
    if edge.predicate != MARKER_OF or edge.subject != one.term.id:
        return False
    named = {q.removeprefix("source:") for q in edge.qualifiers if q.startswith("source:")}
    return "negative" not in edge.qualifiers and of_the_day(one.term.label, named)
