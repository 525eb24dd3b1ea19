"""The neighbours of a node: typed, filtered, paged, and ranked by how well each is supported.

Rank is the strength of the evidence weighted by the specificity of the neighbour, never the
number of its edges: a direct assay for a narrow process stands before an electronic annotation
to a broad one, and a well-studied hub gains nothing. Rows that state the same fact (same other
end, relation and direction) are one neighbour that keeps every row with its own provenance. A
statement that something does *not* hold is never among the positive ones: it is given apart.

The module knows nodes, not the names that people type (:mod:`kg.grounding`, :mod:`data.genes`);
what makes a statement strong is in :mod:`kg.support`.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from data.errors import BadInput, UnknownTerm
from kg.graph import Direction, KnowledgeGraph
from kg.support import Specificity, strength
from kg.terms import (
    GENE_DISEASE,
    INTERACTS_WITH,
    ORTHOLOGOUS_TO,
    PREDICATES,
    Category,
    Curie,
    Edge,
    Term,
)

__all__ = ["MAX_HOPS", "Neighbour", "Neighbourhood", "neighbourhood"]

# Read alike from both ends: which end is the subject says nothing.
_SYMMETRIC = frozenset({INTERACTS_WITH, ORTHOLOGOUS_TO})
# Walks of several hops grow from the best neighbours only, so that a hub costs no more.
_FRONTIER = 40
_PER_NODE = 200
_PER_HOP = 0.8
MAX_HOPS = 3
_CAUSES = "the sources of genes and diseases do not tell causes from modifiers and risk factors"


@dataclass(frozen=True, slots=True)
class Neighbour:
    """One node that a fact joins to the one asked about.

    ``edges`` are the rows that state the fact, strongest first, each with its own provenance.
    ``direction`` is ``out`` where the node asked about is the subject, and ``both`` for relations
    that read alike from both ends.
    ``via`` are the nodes between (empty at one hop), and ``edges`` then joins the last of them.
    """

    term: Term
    predicate: Curie
    direction: Direction
    edges: tuple[Edge, ...]
    score: float
    via: tuple[Curie, ...] = ()

    @property
    def edge(self) -> Edge:
        """The strongest row."""
        return self.edges[0]

    @property
    def negated(self) -> bool:
        """Whether the source says that the relation does *not* hold."""
        return self.edge.negated

    @property
    def hops(self) -> int:
        """Distance from the node asked about."""
        return len(self.via) + 1

    @property
    def relation(self) -> str:
        """The relation in words, as read from the node asked about."""
        row = PREDICATES[self.predicate]
        words = row.inverse_label if self.direction == "in" else row.label
        if "negative" in self.edge.qualifiers:
            words = f"{words} (absent)" if self.direction == "in" else f"negative {words}"
        return f"not {words}" if self.negated else words

    @property
    def publications(self) -> tuple[str, ...]:
        """All publications of all rows, each once."""
        return tuple(dict.fromkeys(p for edge in self.edges for p in edge.publications))


@dataclass(frozen=True, slots=True)
class Neighbourhood:
    """A page of neighbours: ``total`` counts all that passed the filters.

    ``negated`` are the statements that a relation does not hold; they are no neighbours.
    ``notices`` say what was cut short.
    """

    centre: Term
    neighbours: tuple[Neighbour, ...]
    total: int
    negated: tuple[Neighbour, ...] = ()
    notices: tuple[str, ...] = field(default=())


def neighbourhood(
    graph: KnowledgeGraph,
    node: Curie,
    *,
    relations: Iterable[Curie] = (),
    evidence: Iterable[str] = (),
    categories: Collection[Category] = (),
    direction: Direction = "both",
    taxon: Curie | None = None,
    hops: int = 1,
    limit: int | None = 50,
    offset: int = 0,
) -> Neighbourhood:
    """Rank the neighbours of a node.

    Parameters
    ----------
    graph
        Where the edges are read.
    node
        A node of the graph.
    relations
        Only these predicates (ids of :data:`kg.terms.PREDICATES`); empty means all.
    evidence
        Only rows with these evidence codes; empty means all, those without a code included.
    categories
        Only neighbours of these.
    direction
        ``out``: the node is the subject.
    taxon
        Only statements of this species and of none, orthologues aside; None means all.
    hops
        How far to go; beyond one hop only the best-supported neighbours are gone on from.
    limit, offset
        The page; None means all.

    Raises
    ------
    UnknownTerm
        When the graph has no such node.
    BadInput
        When ``hops``, ``limit`` or ``offset`` is out of range.
    """
    if not 1 <= hops <= MAX_HOPS:
        raise BadInput(f"hops is {hops}; expected 1 to {MAX_HOPS}")
    if offset < 0 or (limit is not None and limit < 1):
        raise BadInput(f"limit is {limit}, offset {offset}; expected at least 1 and 0")
    centre = graph.term(node)
    if centre is None:
        raise UnknownTerm(f"the graph has no node {node}")
    search = _Search(graph, tuple(relations), tuple(evidence), direction, taxon)
    found, denied = search.around(node)
    notices = list(search.walk(node, found, hops))
    positive = [n for n in found.values() if not categories or n.term.category in categories]
    negative = [n for n in denied if not categories or n.term.category in categories]
    ranked = sorted(positive, key=_rank)
    page = ranked[offset:] if limit is None else ranked[offset : offset + limit]
    if any(neighbour.predicate == GENE_DISEASE for neighbour in page):
        notices.append(_CAUSES)
    return Neighbourhood(
        centre, tuple(page), len(ranked), tuple(sorted(negative, key=_rank)), tuple(notices)
    )


def _rank(neighbour: Neighbour) -> tuple[float, str, str, str]:
    return (-neighbour.score, neighbour.term.id, neighbour.predicate, neighbour.direction)


class _Search:
    """One question's reads: edges grouped into facts, terms and specificities each read once."""

    def __init__(
        self,
        graph: KnowledgeGraph,
        relations: tuple[Curie, ...],
        evidence: tuple[str, ...],
        direction: Direction,
        taxon: Curie | None,
    ) -> None:
        self.graph = graph
        self.relations = relations
        self.evidence = evidence
        self.direction = direction
        self.taxon = taxon
        self.cut = False
        self.specificity = Specificity(graph)

    def around(
        self, node: Curie, via: tuple[Curie, ...] = (), factor: float = 1.0, most: int | None = None
    ) -> tuple[dict[tuple[Curie, Curie, Direction], Neighbour], list[Neighbour]]:
        """The facts about one node: those that hold, and those said not to hold."""
        facts: dict[tuple[Curie, Curie, Direction, bool, bool], list[Edge]] = {}
        edges = self.graph.edges(
            node,
            direction=self.direction,
            predicates=self.relations,
            evidence=self.evidence,
            limit=most,
        )
        self.cut = self.cut or (most is not None and len(edges) == most)
        for edge in edges:
            if self._elsewhere(edge.taxon) and edge.predicate != ORTHOLOGOUS_TO:
                continue
            side: Direction = "out" if edge.subject == node else "in"
            other = edge.object if side == "out" else edge.subject
            side = "both" if edge.predicate in _SYMMETRIC else side
            absent = "negative" in edge.qualifiers
            facts.setdefault((other, edge.predicate, side, edge.negated, absent), []).append(edge)
        terms = self.graph.terms({key[0] for key in facts})
        holds: dict[tuple[Curie, Curie, Direction], Neighbour] = {}
        denied = []
        for (other, predicate, side, negated, absent), rows in facts.items():
            if (term := terms.get(other)) is None:
                continue
            if self._elsewhere(term.taxon) and predicate != ORTHOLOGOUS_TO:
                continue
            rows.sort(key=lambda e: (-strength(e), e.key))
            score = round(factor * self._score(term, rows), 4)
            neighbour = Neighbour(term, predicate, side, tuple(rows), score, via)
            if negated:
                denied.append(neighbour)
            elif absent:
                # A negative marker is a fact of its own beside a positive one.
                holds[other, f"{predicate}-", side] = neighbour
            else:
                holds[other, predicate, side] = neighbour
        return holds, denied

    def _elsewhere(self, taxon: Curie | None) -> bool:
        """Whether a species is named that was not asked for."""
        return None not in (self.taxon, taxon) and taxon != self.taxon

    def _score(self, term: Term, rows: Sequence[Edge]) -> float:
        publications = len({p for edge in rows for p in edge.publications})
        support = 1.0 - 1.0 / (1.0 + publications)
        specific = self.specificity.of(term)
        return strength(rows[0]) * (0.45 + 0.45 * specific + 0.1 * support)

    def walk(
        self,
        start: Curie,
        found: dict[tuple[Curie, Curie, Direction], Neighbour],
        hops: int,
    ) -> Iterable[str]:
        """Go on from the best of ``found`` and add what is met; yields what was cut short."""
        reached = {start, *(n.term.id for n in found.values())}
        frontier = sorted(found.values(), key=_rank)
        for hop in range(2, hops + 1):
            if len(frontier) > _FRONTIER:
                yield f"hop {hop} goes on from the best {_FRONTIER} of {len(frontier)} neighbours"
            following: list[Neighbour] = []
            for neighbour in frontier[:_FRONTIER]:
                # A walk is worth less than its weakest step, and less through a broad node.
                factor = _PER_HOP * neighbour.score
                via = (*neighbour.via, neighbour.term.id)
                holds, _ = self.around(neighbour.term.id, via, factor, _PER_NODE)
                for key, further in sorted(holds.items(), key=lambda item: _rank(item[1])):
                    if further.term.id not in reached:
                        reached.add(further.term.id)
                        found[key] = further
                        following.append(further)
            frontier = sorted(following, key=_rank)
        if self.cut:
            yield f"of nodes with more than {_PER_NODE} statements, the first {_PER_NODE} were read"
