"""Graph facts beside a predicted knock-out: which agree with it, and which speak against it.

Gives :func:`facts`. Of each changed gene, the closest statement that joins it to the perturbed one:
a direct regulation or interaction, or a process that the changed gene takes part in and the
perturbed one takes part in, promotes or holds back. What a lost gene promoted should fall; a
fact agrees where the prediction says so. That is a reading of annotations, not a proof. That both
take part in a process says nothing of a direction: it is told as related, no more. Every fact
carries its edges.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from kg.graph import KnowledgeGraph
from kg.terms import (
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    NEGATIVELY_REGULATES,
    POSITIVELY_REGULATES,
    REGULATES,
    Curie,
    Edge,
)

__all__ = ["BROAD", "COMMON", "Fact", "facts"]

COMMON = 300
"""Genes stated for a process beyond which sharing it says nothing (``signal transduction``)."""

BROAD = 50
"""Kinds of a process beyond which it is too broad to say anything (``immune system process``)."""

Verdict = Literal["agrees", "disagrees", "related", "open"]
_VERBS = {
    POSITIVELY_REGULATES: "promotes", NEGATIVELY_REGULATES: "holds back", REGULATES: "regulates",
    INTERACTS_WITH: "interacts with",
}  # fmt: skip
_SIGNS = {POSITIVELY_REGULATES: 1, NEGATIVELY_REGULATES: -1, REGULATES: 0, INTERACTS_WITH: 0}


@dataclass(frozen=True, slots=True)
class Fact:
    """What joins a perturbed gene to a changed one, in words, and the edges that say so."""

    perturbed: str
    changed: str
    change: float
    verdict: Verdict
    words: str
    edges: tuple[Edge, ...]


@dataclass(frozen=True, slots=True)
class _Role:
    """The perturbed gene's part in a process: +1 promotes, -1 holds back, 0 takes part."""

    sign: int
    words: str
    edges: tuple[Edge, ...]


def facts(
    graph: KnowledgeGraph,
    perturbed: Sequence[tuple[Curie, str]],
    changed: Sequence[tuple[Curie, str, float]],
    *,
    gain: bool = False,
) -> list[Fact]:
    """The closest fact of each changed gene, in the order given; genes without one are left out.

    Parameters
    ----------
    graph
        Where annotations are read.
    perturbed
        Id and symbol of the perturbed genes.
    changed
        Id, symbol and predicted change of others.
    gain
        Whether the perturbation makes more of the gene, not less.
    """
    roles = {one: _roles(graph, one) for one, _ in perturbed}
    found = []
    for gene, name, change in changed:
        for own, symbol in perturbed:
            if own == gene:
                continue
            one = _direct(graph, (own, symbol), (gene, name), change, gain) or _shared(
                graph, (symbol, roles[own]), (gene, name), change, gain
            )
            if one is not None:
                found.append(one)
                break
    return found


def _direct(
    graph: KnowledgeGraph,
    source: tuple[Curie, str],
    target: tuple[Curie, str],
    change: float,
    gain: bool,
) -> Fact | None:
    edges = [*graph.edges_between(source[0], target[0]), *graph.edges_between(target[0], source[0])]
    for edge in edges:
        forward = edge.subject == source[0]
        if edge.negated or edge.predicate not in _SIGNS:
            continue
        sign = _SIGNS[edge.predicate] if forward else 0
        verb = _VERBS[edge.predicate]
        who, whom = (source[1], target[1]) if forward else (target[1], source[1])
        words = f"{who} {verb} {whom}"
        return Fact(source[1], target[1], change, _verdict(sign, change, gain), words, (edge,))
    return None


def _shared(
    graph: KnowledgeGraph,
    source: tuple[str, Mapping[Curie, _Role]],
    target: tuple[Curie, str],
    change: float,
    gain: bool,
) -> Fact | None:
    """The rarest process that both genes are joined to."""
    symbol, roles = source
    best: tuple[int, Curie, Edge] | None = None
    for edge in _processes(graph, target[0]):
        for process in graph.ancestors(edge.object, (IS_A,)):
            if process not in roles:
                continue
            genes = graph.count_edges(process, direction="in", predicates=(INVOLVED_IN,))
            if genes > COMMON or len(graph.descendants(process, (IS_A,))) > BROAD:
                continue
            if best is None or (genes, process) < best[:2]:
                best = (genes, process, edge)
    if best is None:
        return None
    _, process, edge = best
    role = roles[process]
    named = graph.terms((process, edge.object))
    label = named[process].label
    own = named[edge.object].label if edge.object in named else edge.object
    within = "" if edge.object == process else f" ({own})"
    words = f"{symbol} {role.words} {label}, and {target[1]} takes part in it{within}"
    verdict = _verdict(role.sign, change, gain) if role.sign else "related"
    return Fact(symbol, target[1], change, verdict, words, (*role.edges, edge))


def _roles(graph: KnowledgeGraph, gene: Curie) -> dict[Curie, _Role]:
    """Processes by the gene's part in them; to promote or hold back says more than taking part."""
    found: dict[Curie, _Role] = {}
    for edge in _processes(graph, gene):
        found.setdefault(edge.object, _Role(0, "takes part in", (edge,)))
    for edge in _processes(graph, gene):
        regulated = graph.edges(
            edge.object, direction="out", predicates=(POSITIVELY_REGULATES, NEGATIVELY_REGULATES)
        )
        for rule in regulated:
            sign = _SIGNS[rule.predicate]
            words = "promotes" if sign > 0 else "holds back"
            found[rule.object] = _Role(sign, words, (edge, rule))
    return found


def _processes(graph: KnowledgeGraph, gene: Curie) -> list[Edge]:
    rows = graph.edges(gene, direction="out", predicates=(INVOLVED_IN,))
    return [edge for edge in rows if not edge.negated and edge.object.startswith("GO:")]


def _verdict(sign: int, change: float, gain: bool) -> Verdict:
    """Whether a change is what the sign lets one expect of a loss, or of a gain.

    >>> _verdict(1, -0.5, gain=False), _verdict(-1, -0.5, gain=False), _verdict(0, 1.0, gain=False)
    ('agrees', 'disagrees', 'open')
    """
    if sign == 0 or change == 0:
        return "open"
    expected = sign if gain else -sign
    return "agrees" if (change > 0) == (expected > 0) else "disagrees"
