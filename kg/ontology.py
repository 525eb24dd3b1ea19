"""Ontology mathematics over the reads of :class:`kg.graph.KnowledgeGraph`: paths and ancestors.

Works on every back end and needs no graph library. Names follow the Ontology Access Kit
(https://github.com/INCATools/ontology-access-kit): *most recent* common ancestors are those with
no other common ancestor below them. Statements that are negated are never walked over. What the
terms have in common by information content is in :mod:`kg.measures.similarity`.

Every path is a :class:`kg.terms.Path` of edges that stand in the graph, each with its release, so
that it can be cited hop by hop. Where several paths are equally short, the one is taken whose
edges come first in the graph's order: the same question has the same answer, on every back end.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from data.errors import UnknownTerm
from kg.graph import KnowledgeGraph
from kg.terms import IS_A, IS_A_OR_PART_OF, PART_OF, Curie, Edge, Path, Term, parse_curie

__all__ = [
    "HIERARCHY",
    "Meeting",
    "Resolved",
    "all_paths_up",
    "ancestors",
    "children",
    "common_ancestors",
    "depth",
    "descendants",
    "is_a",
    "meeting",
    "most_informative_common_ancestors",
    "most_recent_common_ancestors",
    "parents",
    "path_through",
    "resolve",
    "shortest_path_up",
]

Predicates = Sequence[Curie]

HIERARCHY: Predicates = (IS_A, PART_OF, IS_A_OR_PART_OF)
"""Everything that leads up. UBERON's statements come without telling is-a from part-of: with the
default, *is a* alone, its terms have no ancestors.
"""


@dataclass(frozen=True, slots=True)
class Resolved:
    """The term that an id stands for today, and what to tell the user about it."""

    given: Curie
    term: Term
    notices: tuple[str, ...] = ()

    @property
    def replaced(self) -> bool:
        """Whether the id was followed to another."""
        return self.given != self.term.id


@dataclass(frozen=True, slots=True)
class Meeting:
    """Where two terms meet.

    ``ancestors`` are the most recent common ancestors, the nearest to both first; ``path`` leads
    from the first term up to the nearest of them and down to the second one, and is None where
    the terms have no ancestor in common.
    """

    a: Curie
    b: Curie
    ancestors: tuple[Curie, ...]
    path: Path | None

    @property
    def distance(self) -> int | None:
        """Hops along the path."""
        return None if self.path is None else len(self.path.edges)


# --- one term ----------------------------------------------------------------------------------


def resolve(graph: KnowledgeGraph, id: Curie) -> Resolved:
    """Follow an id to the term that is in use today.

    An obsolete term is followed over ``replaced_by``, as often as needed, with a notice for each
    step. Where there is no replacement the obsolete term itself is returned, with a notice that
    names what its source says to consider.

    Raises
    ------
    UnknownTerm
        When no loaded source has the id.
    """
    given = parse_curie(id)
    term = graph.term(given)
    if term is None:
        own = graph.releases.get(given.split(":")[0])
        where = f"{own.source} {own.version}" if own else f"any of {', '.join(graph.releases)}"
        raise UnknownTerm(
            f"no term {given} in {where}; find one by its name with: celloquy term NAME"
        )
    notices = []
    seen = {term.id}
    while term.obsolete:
        said = f"{term.id} ({term.label}) is obsolete in {term.source} {term.release}"
        after = graph.term(term.replaced_by) if term.replaced_by else None
        if after is None or after.id in seen:
            consider = term.consider or ((term.replaced_by,) if term.replaced_by else ())
            notices.append(said + (f"; consider {', '.join(consider)}" if consider else ""))
            break
        notices.append(f"{said}; its replacement is {after.id} ({after.label})")
        seen.add(after.id)
        term = after
    return Resolved(given, term, tuple(notices))


def parents(graph: KnowledgeGraph, id: Curie, predicates: Predicates = (IS_A,)) -> list[Curie]:
    """Terms one hop up, by id."""
    return sorted({edge.object for edge in _edges_up(graph, id, predicates)})


def children(graph: KnowledgeGraph, id: Curie, predicates: Predicates = (IS_A,)) -> list[Curie]:
    """Terms one hop down, by id."""
    below = graph.edges(id, direction="in", predicates=predicates)
    return sorted({edge.subject for edge in below if not edge.negated and edge.subject != id})


def ancestors(
    graph: KnowledgeGraph,
    id: Curie,
    predicates: Predicates = (IS_A,),
    *,
    reflexive: bool = False,
) -> list[Curie]:
    """Terms above, nearest first; ``reflexive`` counts the term among them."""
    return _by_distance(graph.ancestors(id, predicates), None if reflexive else id)


def descendants(
    graph: KnowledgeGraph,
    id: Curie,
    predicates: Predicates = (IS_A,),
    *,
    reflexive: bool = False,
) -> list[Curie]:
    """Terms below, nearest first; ``reflexive`` counts the term among them."""
    return _by_distance(graph.descendants(id, predicates), None if reflexive else id)


def is_a(
    graph: KnowledgeGraph, lower: Curie, upper: Curie, predicates: Predicates = (IS_A,)
) -> bool:
    """Whether ``upper`` is ``lower`` or stands above it."""
    return upper in graph.ancestors(lower, predicates)


def depth(graph: KnowledgeGraph, id: Curie, predicates: Predicates = (IS_A,)) -> int:
    """Hops of the longest way up from the term to a root; a root has depth 0.

    The longest way, so that a term is always deeper than each of its ancestors. A cycle is walked
    once.
    """
    return _depth(graph, id, predicates, {}, frozenset())


def _depth(
    graph: KnowledgeGraph,
    id: Curie,
    predicates: Predicates,
    known: dict[Curie, int],
    below: frozenset[Curie],
) -> int:
    if id not in known:
        above = [p for p in parents(graph, id, predicates) if p not in below]
        known[id] = max(
            (1 + _depth(graph, p, predicates, known, below | {id}) for p in above), default=0
        )
    return known[id]


# --- up ----------------------------------------------------------------------------------------


def shortest_path_up(
    graph: KnowledgeGraph, lower: Curie, upper: Curie, predicates: Predicates = (IS_A,)
) -> Path | None:
    """The shortest path from a term to one above it; None where it is not above."""
    left = graph.ancestors(lower, predicates).get(upper)
    if left is None:
        return None
    nodes, edges = [lower], []
    while left:
        left -= 1
        for edge in _edges_up(graph, nodes[-1], predicates):
            if graph.ancestors(edge.object, predicates).get(upper) == left:
                nodes.append(edge.object)
                edges.append(edge)
                break
        else:
            raise AssertionError(f"the closure has no edge from {nodes[-1]} towards {upper}")
    return Path(tuple(nodes), tuple(edges))


def all_paths_up(
    graph: KnowledgeGraph, lower: Curie, upper: Curie, predicates: Predicates = (IS_A,)
) -> Iterator[Path]:
    """Every simple path from a term to one above it, depth first in the order of the parents.

    There can be thousands in the Gene Ontology: they are made as they are asked for. Where two
    statements join the same two terms, the path has the first of them.
    """
    steps: dict[Curie, list[Edge]] = {}

    def towards(node: Curie) -> list[Edge]:
        if node not in steps:
            first = {}
            for edge in _edges_up(graph, node, predicates):
                if edge.object not in first and is_a(graph, edge.object, upper, predicates):
                    first[edge.object] = edge
            steps[node] = [first[parent] for parent in sorted(first)]
        return steps[node]

    def walk(nodes: tuple[Curie, ...], edges: tuple[Edge, ...]) -> Iterator[Path]:
        if nodes[-1] == upper:
            yield Path(nodes, edges)
            return
        for edge in towards(nodes[-1]):
            if edge.object not in nodes:
                yield from walk((*nodes, edge.object), (*edges, edge))

    if is_a(graph, lower, upper, predicates):
        yield from walk((lower,), ())


# --- two terms ---------------------------------------------------------------------------------


def common_ancestors(
    graph: KnowledgeGraph, a: Curie, b: Curie, predicates: Predicates = (IS_A,)
) -> list[Curie]:
    """Terms above both (a term counts as above itself), the nearest to both first, then by id."""
    over_a, over_b = graph.ancestors(a, predicates), graph.ancestors(b, predicates)
    return sorted(over_a.keys() & over_b.keys(), key=lambda c: (over_a[c] + over_b[c], c))


def most_recent_common_ancestors(
    graph: KnowledgeGraph, a: Curie, b: Curie, predicates: Predicates = (IS_A,)
) -> list[Curie]:
    """Lowest common ancestors: those with no other common ancestor below, the nearest first."""
    shared = common_ancestors(graph, a, b, predicates)
    above = {one: graph.ancestors(one, predicates) for one in shared}
    return [
        one
        for one in shared
        # Two terms of a cycle are above each other: neither is lower.
        if not any(one in above[other] and other not in above[one] for other in shared)
    ]


def most_informative_common_ancestors(
    graph: KnowledgeGraph, a: Curie, b: Curie, predicates: Predicates = (IS_A,)
) -> list[Curie]:
    """The common ancestors with the fewest descendants, by id.

    These have the highest structural information content, ``-ln(descendants / n)``.
    """
    lowest = most_recent_common_ancestors(graph, a, b, predicates)
    size = {one: len(graph.descendants(one, predicates)) for one in lowest}
    return sorted(one for one in lowest if size[one] == min(size.values()))


def meeting(graph: KnowledgeGraph, a: Curie, b: Curie, predicates: Predicates = (IS_A,)) -> Meeting:
    """The most recent common ancestors of two terms and the path through the nearest of them.

    Nearest is the least sum of hops from both terms; of equally near ones, the first by id.
    """
    lowest = tuple(most_recent_common_ancestors(graph, a, b, predicates))
    if not lowest:
        return Meeting(a, b, (), None)
    return Meeting(a, b, lowest, path_through(graph, a, b, lowest[0], predicates))


def path_through(
    graph: KnowledgeGraph, a: Curie, b: Curie, above: Curie, predicates: Predicates = (IS_A,)
) -> Path:
    """The shortest path from one term up to a common ancestor and down to the other term."""
    up = shortest_path_up(graph, a, above, predicates)
    down = shortest_path_up(graph, b, above, predicates)
    assert up is not None, f"{above} is above {a}"
    assert down is not None, f"{above} is above {b}"
    return Path(up.nodes + down.nodes[-2::-1], up.edges + down.edges[::-1])


def _edges_up(graph: KnowledgeGraph, id: Curie, predicates: Predicates) -> list[Edge]:
    above = graph.edges(id, direction="out", predicates=predicates)
    return [edge for edge in above if not edge.negated and edge.object != id]


def _by_distance(found: Mapping[Curie, int], without: Curie | None) -> list[Curie]:
    nearest_first = sorted(found, key=lambda one: (found[one], one))
    return [one for one in nearest_first if one != without]
