"""Genes that two terms have in common: annotated to both, markers of both, of both diseases.

Where no gene is tied to both themselves, those of their narrower terms are taken: who takes part
in a kind of a process takes part in the process.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.genes import FUNCTIONS, fact
from agent.kinds.hierarchy import walk
from kg.neighbours import Neighbour
from kg.terms import GENE_DISEASE, IS_A, MARKER_OF, Category, Curie

__all__ = ["genes_linking"]

_KINDS = 300  # narrower terms that are looked through; only roots of the Gene Ontology have more
_NAMED = 4  # narrower terms that an answer names a side


@dataclass(frozen=True, slots=True)
class _Tie:
    """A gene of a term, or of a narrower one."""

    term: Curie
    row: Neighbour


def genes_linking(facts: Facts, a: Curie, b: Curie) -> Found:
    """Which genes are tied to both terms."""
    for below in (False, True):
        left, right = _genes(facts, a, below=below), _genes(facts, b, below=below)
        if shared := sorted(
            left.keys() & right.keys(),
            key=lambda gene: (-left[gene].row.score - right[gene].row.score, gene),
        ):
            break
    if not shared:
        return none_found(
            f"no gene of the loaded releases is tied to both {facts.label(a)} and {facts.label(b)}"
        )
    chosen = shared[: facts.shown]
    findings = [*_side(facts, a, left, chosen), *_side(facts, b, right, chosen)]
    notes = []
    if len(shared) > len(chosen):
        notes.append(f"The {len(chosen)} best supported of {len(shared)} shared genes are named.")
    if below:
        notes.append("No gene is tied to both themselves; these are tied to kinds of them.")
    return Found(tuple(findings), tuple(notes))


def _side(
    facts: Facts, term: Curie, ties: Mapping[Curie, _Tie], genes: list[Curie]
) -> list[Finding]:
    """What ties the genes to one of the terms, with the way up from its narrower terms."""
    findings = []
    by_term: dict[Curie, list[Neighbour]] = {}
    for gene in genes:
        by_term.setdefault(ties[gene].term, []).append(ties[gene].row)
    for narrower in sorted(by_term, key=lambda one: (-len(by_term[one]), one))[:_NAMED]:
        rows = by_term[narrower]
        for predicate in dict.fromkeys(row.predicate for row in rows):
            same = [row for row in rows if row.predicate == predicate]
            findings.append(fact(facts, narrower, predicate, same, inverse=True))
        if up := facts.climb(narrower, term, (IS_A,)):
            findings.append(walk(facts, up))
    return findings


def _genes(facts: Facts, term: Curie, *, below: bool) -> dict[Curie, _Tie]:
    """The genes of a term, best supported first; with ``below`` those of its kinds too."""
    predicates = (*FUNCTIONS, GENE_DISEASE, MARKER_OF)
    narrower = sorted(set(facts.graph.descendants(term)) - {term})[:_KINDS] if below else []
    best: dict[Curie, _Tie] = {}
    for one in (term, *narrower):
        found, _ = facts.around(one, predicates, "in", categories=(Category.GENE,), limit=5000)
        for neighbour in found:
            best.setdefault(neighbour.term.id, _Tie(one, neighbour))
    return best
