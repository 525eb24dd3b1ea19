"""Which Cell Ontology terms are never the answer to "which type is this cell?".

Gives :func:`blocked`, the terms of ``data/blocked_terms.tsv`` with the branches below those that
are blocked as a branch. The reasons are the ontology's own structure (roots, terms of function or
quality that cut across lineages, the in-vitro and abnormal branches), never a term's name; the
table says the kind of each and tests hold it against the ontology.
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import data
from kg.backoff import Hierarchy
from kg.terms import Curie

__all__ = ["TABLE", "blocked", "kinds"]

TABLE = Path(data.__file__).with_name("blocked_terms.tsv")
"""Columns cl_id, label, kind, scope (term or branch)."""


@lru_cache(maxsize=1)
def _rows() -> tuple[tuple[Curie, str, bool], ...]:
    with TABLE.open(encoding="utf-8", newline="") as handle:
        lines = [line for line in handle if not line.startswith("#")]
    found = csv.DictReader(lines, delimiter="\t")
    return tuple((row["cl_id"], row["kind"], row["scope"] == "branch") for row in found)


def kinds() -> dict[Curie, str]:
    """The kind of each term of the table, branches not expanded."""
    return {term: kind for term, kind, _ in _rows()}


def blocked(hierarchy: Hierarchy) -> frozenset[Curie]:
    """Terms of the hierarchy that are no answer; those that it does not hold are passed over."""
    found: set[Curie] = set()
    for term, _, branch in _rows():
        if term in hierarchy:
            found |= set(hierarchy.below(term)) if branch else {term}
    return frozenset(found)
