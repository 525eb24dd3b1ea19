"""Identifiers written in a text: CURIEs (also with an underscore) and Ensembl gene ids.

An identifier stands for itself, whatever surrounds it. Gives the ones that the graph holds, as
readings with their places, and the ones that it does not, so that nobody takes an invented id for
a term. PubMed ids and other references are no terms and not looked for.
"""

from __future__ import annotations

import re

from data.errors import Missing
from kg.graph import KnowledgeGraph
from kg.naming.readings import Reading
from kg.terms import Curie, Scope

__all__ = ["identifiers", "places", "unknown_identifiers"]

_IDENTIFIER = re.compile(
    r"\b(?P<curie>[A-Za-z]{2,}[:_]\d{2,}(?!\w))|\b(?P<ensembl>ENS(?:MUS)?G\d{11})(?:\.\d+)?\b"
)
_REFERENCES = frozenset({"PMID", "DOI", "PMC", "ISBN"})


def identifiers(text: str, graph: KnowledgeGraph) -> list[tuple[int, int, list[Reading]]]:
    """Start, end and reading of each identifier that the graph holds."""
    written = {m.span(): _id_of(m) for m in _IDENTIFIER.finditer(text)}
    if not written:
        return []
    terms = graph.terms(filter(None, written.values()))
    found = []
    for (start, end), id_ in written.items():
        if id_ in terms:
            term = terms[id_]
            matched = text[start:end]
            reading = Reading(id_, term.category, 1.0, Scope.EXACT, matched, "identifier")
            found.append((start, end, [reading]))
    return found


def places(text: str) -> list[tuple[int, int]]:
    """Where identifiers stand, known or not: what is in them is no word."""
    return [match.span() for match in _IDENTIFIER.finditer(text)]


def unknown_identifiers(text: str, graph: KnowledgeGraph) -> tuple[str, ...]:
    """Identifiers of terms that the graph does not hold, as written."""
    known = {(start, end) for start, end, _ in identifiers(text, graph)}
    return tuple(
        m[0]
        for m in _IDENTIFIER.finditer(text)
        if m.span() not in known and re.split("[:_]", m[0])[0].upper() not in _REFERENCES
    )


def _id_of(match: re.Match[str]) -> Curie | None:
    if match["ensembl"]:
        return _gene_of(match["ensembl"])
    prefix, local = re.split("[:_]", match["curie"], maxsplit=1)
    # Prefixes are written in capitals, but for those that are words (NCBITaxon).
    return f"{prefix if prefix == 'NCBITaxon' else prefix.upper()}:{local}"


def _gene_of(ensembl: str) -> Curie | None:
    """The gene of an Ensembl id by the table of genes: to the graph it is a cross-reference."""
    from data.genes import resolve_gene

    try:
        found = resolve_gene(ensembl)
    except Missing:
        return None
    return found[0].gene.id if found else None
