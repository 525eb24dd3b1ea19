"""A gene's surroundings in the graph: its best supported neighbours by whatever relation."""

from __future__ import annotations

from dataclasses import replace

from agent.facts import NO_DATA, Facts, Found, none_found
from agent.kinds.genes import fact
from kg.neighbours import Neighbour, neighbourhood
from kg.terms import Curie

__all__ = ["surroundings"]


def surroundings(facts: Facts, gene: Curie) -> Found:
    """The best supported neighbours of a gene, by their relations."""
    page = neighbourhood(facts.graph, gene, limit=None)
    rows = [
        row
        for row in page.neighbours
        if "negative" not in row.edge.qualifiers and row.edge.evidence_code != NO_DATA
    ]
    if not rows:
        return none_found(f"no loaded release joins {facts.label(gene)} to anything")
    by_relation: dict[tuple[Curie, bool], list[Neighbour]] = {}
    for row in rows[: facts.shown]:
        # Rows of a relation that reads alike from both ends may say the same twice.
        told = replace(row, edges=row.edges[:1]) if row.direction == "both" else row
        by_relation.setdefault((row.predicate, row.direction == "in"), []).append(told)
    findings = tuple(
        fact(facts, gene, predicate, some, inverse=inverse)
        for (predicate, inverse), some in by_relation.items()
    )
    label, shown = facts.names.label(gene), min(facts.shown, len(rows))
    note = (
        f"{shown} of {len(rows)} neighbours are named, best supported first; all of them: "
        f"celloquy neighbours {label}."
    )
    return Found(findings, (note,) if len(rows) > shown else ())
