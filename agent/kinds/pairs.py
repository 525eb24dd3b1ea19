"""Questions about attached cells that name two things: two genes, two types, a gene and a type.

"The B cells" of a dataset are those annotated as B cell or a kind of it. What is measured in them
is told of the file; what the marker lists say of the same gene and type follows as theirs.
"""

from __future__ import annotations

from dataclasses import replace

from agent.attached import measures
from agent.attached.selection import ALL
from agent.attached.these import These, measured
from agent.facts import Facts, Finding, Found, none_found
from agent.kinds.expression import compare, expressed
from agent.kinds.markers import expresses
from agent.verification.statement import Form
from kg.terms import Curie

__all__ = [
    "compare_types",
    "expressed_in_type",
    "expression_of_type",
    "shared_genes",
    "together",
]

SHARED = 8  # genes that an answer names


def _none_annotated(facts: Facts, *types: Curie) -> Found:
    named = " or ".join(facts.label(type_) for type_ in types)
    return none_found(
        f"no cell of the dataset is annotated as {named}; ask what these cells are, or name a "
        "cluster of the file"
    )


def expressed_in_type(facts: Facts, these: These, type_: Curie, gene: Curie) -> Found:
    """Whether the cells annotated as a type express a gene, and what marker lists say of it."""
    selection = these.annotated_as(type_)
    recorded = expresses(facts, type_, gene)
    if not selection:
        note = f"No cell of the dataset is annotated as {facts.label(type_)}, to measure it in."
        return replace(recorded, notes=(*recorded.notes, note))
    found = expressed(facts, replace(these, selection=selection, against=ALL), gene)
    listed = [
        replace(one, lead="By the marker lists")
        for one in recorded.findings[:1]
        if found.findings and one.statement.form is Form.FACT and type_ in one.statement.objects
    ]
    return replace(found, findings=(*found.findings, *listed))


def expression_of_type(facts: Facts, these: These, type_: Curie, gene: Curie) -> Found:
    """How much of a gene the cells annotated as a type have, and what marker lists say of it."""
    found = expressed_in_type(facts, these, type_, gene)
    if not these.annotated_as(type_):
        return found
    first = [replace(one, lead="") for one in found.findings[:1]]
    return replace(found, findings=(*first, *found.findings[1:]))


def together(facts: Facts, these: These, a: Curie, b: Curie) -> Found:
    """In how many of the cells two genes are both detected."""
    symbols = [these.cells.symbol(facts.names.label(gene)) for gene in (a, b)]
    for symbol, gene in zip(symbols, (a, b), strict=True):
        if symbol is None:
            return expressed(facts, these, gene)  # which says that the file has no such gene
    first, second = (symbol for symbol in symbols if symbol)
    if first == second:
        return none_found(f"both names are {first} in the dataset; name two genes")
    return Found((measured(measures.together(these.cells, (first, second), these.selection)),))


def shared_genes(facts: Facts, these: These, a: Curie, b: Curie) -> Found:
    """Which genes are higher in both of two types than in the cells of neither."""
    sides = [these.annotated_as(one) for one in (a, b)]
    for side, type_ in zip(sides, (a, b), strict=True):
        if not side:
            return _none_annotated(facts, type_)
    others = _neither(these, a, b)
    if not others:
        return none_found("every annotated cell is of one of the two, so that there are no others")
    tables = [
        {
            piece.gene: piece
            for piece in measures.differences(these.cells, side, others, most=measures.CANDIDATES)
        }
        for side in sides
    ]
    both = tables[0].keys() & tables[1].keys()
    if not both:
        return none_found(
            f"no gene is clearly higher in both {facts.label(a)} and {facts.label(b)} than in the "
            f"other annotated cells (AUROC {measures.LEAST_AUROC} or more)"
        )
    order = sorted(both, key=lambda g: (-min(table[g].value for table in tables), g))[:SHARED]
    findings: list[Finding] = [measured(*(table[gene] for gene in order)) for table in tables]
    more = len(both) - len(order)
    notes = [f"The {len(order)} clearest of {len(both)} such genes are named."] if more else []
    return Found(tuple(findings), tuple(notes))


def _neither(these: These, *types: Curie) -> str:
    """The selection of the cells that have an answer which is none of the types or their kinds."""
    hierarchy = these.cells.annotation.hierarchy
    tied = {one for type_ in types for one in hierarchy.below(type_)}
    tied |= {one for type_ in types for one in _above(these, type_)}
    return these.answered({one for one, _ in replace(these, selection=ALL).answers if one} - tied)


def _above(these: These, type_: Curie) -> set[Curie]:
    """A type's wider types: cells left at one may be of the type after all."""
    hierarchy = these.cells.annotation.hierarchy
    return {hierarchy.ids[int(i)] for i in hierarchy.above[hierarchy.index(type_)]}


def compare_types(facts: Facts, these: These, a: Curie, b: Curie) -> Found:
    """What differs between the cells annotated as two types."""
    here, there = these.annotated_as(a), these.annotated_as(b)
    if not (here and there):
        return _none_annotated(facts, a if not here else b)
    return compare(facts, replace(these, selection=here, against=there))
