"""The part of the graph that bears on a question: small, connected, and worth its edges.

Around the terms of a question a candidate graph is gathered: their best supported neighbours,
their nearer supertypes, and the ontology path between any two of them. Nodes get prizes for being
asked about and for sharing words with the question; edges cost, the less the better they are
supported. What is kept is a prize-collecting Steiner tree, as in G-Retriever (He et al. 2024,
arXiv:2402.07630; prizes by rank of the five most similar nodes and edges, edge cost .5). The tree
is the minimum spanning tree over shortest paths between prized nodes (Kou et al. 1981,
10.1007/BF00288961), pruned exactly by dynamic programming; on a graph that is a tree it is the
optimum.

Knows no language model and no text but labels; sentences for prompts are :mod:`kg.verbalise`'s.
"""

from __future__ import annotations

import heapq
import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from typing import TypeAlias

from kg.graph import KnowledgeGraph
from kg.naming.lexicon import normalise
from kg.neighbours import neighbourhood
from kg.ontology import meeting
from kg.support import strength
from kg.terms import PREDICATES, Category, Curie, Edge, Term
from kg.verbalise import sentence
from retrieval.evidence import EdgeEvidence

__all__ = ["Likeness", "Subgraph", "SubgraphConfig", "query_subgraph", "steiner_tree"]

Likeness: TypeAlias = Callable[[str, Sequence[str]], Sequence[float]]
"""How like each text is to a question, in [0, 1]; 0 earns no prize."""

Pair: TypeAlias = tuple[Curie, Curie]


@dataclass(frozen=True, slots=True)
class SubgraphConfig:
    """Sizes, prizes and costs.

    ``top`` nodes and as many edges get prizes by rank (``top``, ..., 1, times ``prize``); a node
    of the question gets ``seed_prize``. An edge of the strongest evidence costs ``edge_cost``,
    one without support twice that.
    """

    neighbours: int = 60
    """Neighbours read for each term of the question, the best supported first."""
    top: int = 5
    prize: float = 0.4
    least: float = 0.3
    """Likeness from which on a node or an edge earns a prize."""
    seed_prize: float = 10.0
    edge_cost: float = 0.5
    path_cost: float = 0.2
    """Cost of an edge on the ontology path between two seeds: it is how they are related."""
    most_edges: int = 24


@dataclass(frozen=True, slots=True)
class Subgraph:
    """Terms and edges chosen for a question; ``seeds`` are those of its terms that are in it."""

    terms: Mapping[Curie, Term]
    edges: tuple[Edge, ...]
    seeds: tuple[Curie, ...]

    def evidence(self) -> list[EdgeEvidence]:
        """Each edge as a piece of evidence, with its sentence."""
        labels = {id_: term.label for id_, term in self.terms.items()}
        return [EdgeEvidence(edge, sentence(edge, labels)) for edge in self.edges]


def query_subgraph(
    graph: KnowledgeGraph,
    question: str,
    seeds: Iterable[Curie],
    *,
    likeness: Likeness | None = None,
    config: SubgraphConfig | None = None,
) -> Subgraph:
    """Choose the subgraph that bears on a question.

    Parameters
    ----------
    graph
        Where edges are read.
    question
        Its words earn prizes for the nodes and edges that share them.
    seeds
        The terms that the question mentions.
    likeness
        How like texts are to the question; the default counts shared words.
    config
        Sizes, prizes and costs.

    Returns
    -------
    Subgraph
        A tree over the seeds that could be joined, and the seeds that could not alone. Negated
        statements are never in it. Edges come in the order of their support.
    """
    config = config or SubgraphConfig()
    wanted = [seed for seed in dict.fromkeys(seeds) if graph.term(seed) is not None]
    edges, paths = _candidates(graph, wanted, config)
    best: dict[Pair, Edge] = {}
    for edge in edges:
        pair = _pair(edge.subject, edge.object)
        if pair not in best or strength(edge) > strength(best[pair]):
            best[pair] = edge
    terms = graph.terms({node for pair in best for node in pair} | set(wanted))
    best = {pair: edge for pair, edge in best.items() if pair[0] in terms and pair[1] in terms}
    like = likeness or shared_words
    # What the question calls its own terms says nothing about other ones.
    question = _without(question, (terms[seed].label for seed in wanted))
    prizes = _node_prizes(question, terms, wanted, like, config)
    costs = _edge_costs(question, best, terms, wanted, like, config)
    costs.update((pair, config.path_cost) for pair in paths & costs.keys())
    chosen = steiner_tree(prizes, costs)
    kept = sorted((best[pair] for pair in chosen), key=lambda e: (-strength(e), e.key))
    kept = kept[: config.most_edges]
    nodes = {node for edge in kept for node in (edge.subject, edge.object)} | set(wanted)
    return Subgraph({id_: terms[id_] for id_ in sorted(nodes)}, tuple(kept), tuple(wanted))


def _without(question: str, labels: Iterable[str]) -> str:
    named = {word for label in labels for word in normalise(label).split()}
    return " ".join(word for word in normalise(question).split() if word not in named)


def _pair(a: Curie, b: Curie) -> Pair:
    return (a, b) if a < b else (b, a)


def _candidates(
    graph: KnowledgeGraph, seeds: Sequence[Curie], config: SubgraphConfig
) -> tuple[list[Edge], set[Pair]]:
    """Edges around the seeds and between them, and which are on an ontology path of two seeds.

    None of them is negated, none a loop.
    """
    edges: dict[str, Edge] = {}
    on_path: set[Pair] = set()
    around: dict[Curie, list[Edge]] = {}
    for seed in seeds:
        found = neighbourhood(graph, seed, limit=None).neighbours
        around[seed] = [neighbour.edge for neighbour in found]
        edges.update((edge.key, edge) for edge in around[seed][: config.neighbours])
    # What two seeds share is kept however weak: it may be all that joins them.
    for one, other in combinations(seeds, 2):
        shared = _ends(around[one], one) & _ends(around[other], other)
        for seed in (one, other):
            edges.update((e.key, e) for e in around[seed] if shared & {e.subject, e.object})
        edges.update((e.key, e) for e in around[one] if other in (e.subject, e.object))
        path = _path(graph, one, other)
        edges.update((edge.key, edge) for edge in path)
        on_path.update(_pair(edge.subject, edge.object) for edge in path)
    holding = [e for e in edges.values() if not e.negated and e.subject != e.object]
    return holding, on_path


def _ends(edges: Iterable[Edge], of: Curie) -> set[Curie]:
    return {node for edge in edges for node in (edge.subject, edge.object)} - {of}


def _path(graph: KnowledgeGraph, one: Curie, other: Curie) -> tuple[Edge, ...]:
    terms = graph.terms((one, other))
    categories = {term.category for term in terms.values()}
    if len(categories) != 1 or categories == {Category.GENE}:
        return ()
    path = meeting(graph, one, other).path
    return path.edges if path else ()


def shared_words(question: str, texts: Sequence[str]) -> list[float]:
    """The share of each text's words, weighted by rarity among the texts, that a question has."""
    asked = set(normalise(question).split())
    bags = [set(normalise(text).split()) for text in texts]
    held: dict[str, int] = defaultdict(int)
    for words in bags:
        for word in words:
            held[word] += 1
    weight = {word: math.log(1 + len(bags) / n) for word, n in held.items()}
    return [
        sum(weight[w] for w in words & asked) / sum(weight[w] for w in words) if words else 0.0
        for words in bags
    ]


def _by_rank(likeness: Sequence[float], config: SubgraphConfig) -> dict[int, float]:
    """Prizes of the most similar items: ``top`` for the first, one less for each after it."""
    order = sorted(range(len(likeness)), key=lambda i: (-likeness[i], i))[: config.top]
    return {
        i: config.prize * (config.top - n)
        for n, i in enumerate(order)
        if likeness[i] >= config.least
    }


def _node_prizes(
    question: str,
    terms: Mapping[Curie, Term],
    seeds: Sequence[Curie],
    like: Likeness,
    config: SubgraphConfig,
) -> dict[Curie, float]:
    others = [id_ for id_ in sorted(terms) if id_ not in seeds]
    ranked = _by_rank(like(question, [terms[id_].label for id_ in others]), config)
    prizes = dict.fromkeys(terms, 0.0)
    prizes.update((others[i], prize) for i, prize in ranked.items())
    prizes.update(dict.fromkeys(seeds, config.seed_prize))
    return prizes


def _edge_costs(
    question: str,
    edges: Mapping[Pair, Edge],
    terms: Mapping[Curie, Term],
    seeds: Sequence[Curie],
    like: Likeness,
    config: SubgraphConfig,
) -> dict[Pair, float]:
    pairs = sorted(edges)
    # The question's own terms stand in all their edges: only what an edge adds is compared.
    texts = [
        " ".join(
            [PREDICATES[edges[pair].predicate].label]
            + [terms[node].label for node in pair if node not in seeds]
        )
        for pair in pairs
    ]
    ranked = _by_rank(like(question, texts), config)
    # A prize makes an edge cheaper, down to nothing: a tree never gains by an edge alone.
    return {
        pair: max(0.0, config.edge_cost * (2.0 - strength(edges[pair])) - ranked.get(i, 0.0))
        for i, pair in enumerate(pairs)
    }


# --- the tree ------------------------------------------------------------------------------------


def steiner_tree(prizes: Mapping[Curie, float], costs: Mapping[Pair, float]) -> set[Pair]:
    """Edges of a tree (one in each component with prizes) whose prizes outweigh its edges' costs.

    Parameters
    ----------
    prizes
        Prize of each node, at least 0; every end of an edge is in it.
    costs
        Cost of each edge, at least 0, by its ends in order.

    Returns
    -------
    set of pair
        Chosen so that prizes less costs is large; the largest possible where the graph has no
        cycles.
    """
    links: dict[Curie, dict[Curie, float]] = defaultdict(dict)
    for (a, b), cost in costs.items():
        links[a][b] = links[b][a] = cost
    prized = sorted(node for node, prize in prizes.items() if prize > 0)
    tree = _spanning(prized, links)
    kept: set[Pair] = set()
    for component in _components(tree):
        # The best tree is the best one rooted somewhere: prune from each prized node.
        best: set[Pair] = set()
        gain = max((prizes[node] for node in component), default=0.0)
        for root in sorted(node for node in component if prizes[node] > 0):
            pruned, value = _pruned(root, component, prizes, links)
            if value > gain:
                best, gain = pruned, value
        kept |= best
    return kept


def _spanning(prized: Sequence[Curie], links: Mapping[Curie, Mapping[Curie, float]]) -> set[Pair]:
    """A spanning tree over the shortest paths between prized nodes."""
    ways = {node: _shortest(node, links) for node in prized}
    offers = sorted((ways[a][b][0], a, b) for a, b in combinations(prized, 2) if b in ways[a])
    group = {node: node for node in prized}

    def leader(node: Curie) -> Curie:
        while group.setdefault(node, node) != node:
            group[node] = group[group[node]]
            node = group[node]
        return node

    chosen: set[Pair] = set()
    for _, a, b in offers:
        if leader(a) == leader(b):
            continue
        group[leader(a)] = leader(b)
        walk = [b]
        while walk[-1] != a:
            walk.append(ways[a][walk[-1]][1])
        chosen |= {_pair(x, y) for x, y in pairwise(walk)}
    return _acyclic(chosen, links)


def _acyclic(edges: set[Pair], links: Mapping[Curie, Mapping[Curie, float]]) -> set[Pair]:
    """A minimum spanning forest: paths may share nodes and close a cycle."""
    group: dict[Curie, Curie] = {}

    def leader(node: Curie) -> Curie:
        while group.setdefault(node, node) != node:
            node = group[node]
        return node

    kept = set()
    for a, b in sorted(edges, key=lambda pair: (links[pair[0]][pair[1]], pair)):
        if leader(a) != leader(b):
            group[leader(a)] = leader(b)
            kept.add((a, b))
    return kept


def _shortest(
    start: Curie, links: Mapping[Curie, Mapping[Curie, float]]
) -> dict[Curie, tuple[float, Curie]]:
    """Dijkstra: distance of each node that is reached, and the node before it."""
    found: dict[Curie, tuple[float, Curie]] = {}
    heap = [(0.0, start, start)]
    while heap:
        far, node, before = heapq.heappop(heap)
        if node in found:
            continue
        found[node] = (far, before)
        for other, cost in links.get(node, {}).items():
            if other not in found:
                heapq.heappush(heap, (far + cost, other, node))
    return found


def _components(tree: set[Pair]) -> list[dict[Curie, set[Curie]]]:
    """The trees of a forest, each as its nodes with their neighbours in it."""
    near: dict[Curie, set[Curie]] = defaultdict(set)
    for a, b in tree:
        near[a].add(b)
        near[b].add(a)
    components = []
    left = set(near)
    while left:
        start = min(left)
        reached, stack = {start}, [start]
        while stack:
            for other in near[stack.pop()] - reached:
                reached.add(other)
                stack.append(other)
        left -= reached
        components.append({node: near[node] for node in reached})
    return components


def _pruned(
    root: Curie,
    component: Mapping[Curie, set[Curie]],
    prizes: Mapping[Curie, float],
    links: Mapping[Curie, Mapping[Curie, float]],
) -> tuple[set[Pair], float]:
    """The best subtree with this root, and its prizes less its costs."""
    order, before = [root], {root: root}
    for node in order:
        for other in sorted(component[node] - {before[node]}):
            before[other] = node
            order.append(other)
    value = {node: prizes[node] for node in order}
    kept: dict[Curie, set[Pair]] = {node: set() for node in order}
    for node in reversed(order[1:]):
        above = before[node]
        gain = value[node] - links[node][above]
        if gain > 0:
            value[above] += gain
            kept[above] |= kept[node] | {_pair(node, above)}
    return kept[root], value[root]
