"""How well a statement is supported: evidence classes, strength, and how narrow a term is.

Also reads what users type for evidence and relations. Evidence classes follow the Gene Ontology's
guide to evidence codes (https://geneontology.org/docs/guide-go-evidence-codes/); the strengths are
Celloquy's own order of them, no probabilities. Knows single edges and terms, not neighbourhoods.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from types import MappingProxyType

from data.errors import BadInput
from kg.graph import KnowledgeGraph
from kg.terms import (
    GENE_DISEASE,
    IS_A,
    MENTIONS,
    PART_OF,
    PREDICATES,
    Category,
    Curie,
    Edge,
    Predicate,
    Term,
)

__all__ = [
    "EVIDENCE_CLASSES",
    "Specificity",
    "evidence_class",
    "evidence_codes",
    "relation",
    "strength",
]

EVIDENCE_CLASSES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "experimental": (
            *("EXP", "IDA", "IPI", "IMP", "IGI", "IEP"),
            *("HTP", "HDA", "HMP", "HGI", "HEP"),
        ),
        "curated": ("TAS", "IC", "NAS"),
        "phylogenetic": ("IBA", "IBD", "IKR", "IRD"),
        "computational": ("ISS", "ISO", "ISA", "ISM", "IGC", "RCA"),
        "automatic": ("IEA",),
        "none": ("ND",),
    }
)
"""Evidence codes by class, strongest class first."""

_STRENGTH = {
    "experimental": 1.0,
    "curated": 0.8,
    "phylogenetic": 0.65,
    "computational": 0.5,
    "automatic": 0.3,
    "none": 0.0,
}
# Codes weaker than their class: high-throughput assays have no expert per result, NAS no source.
_WEAKER = {"HTP": 0.9, "HDA": 0.9, "HMP": 0.9, "HGI": 0.9, "HEP": 0.9, "NAS": 0.65}
# Statements without a code: an ontology's or a curated table's own, but for what was derived.
_UNCODED = 0.8
_DERIVED = 0.2
# Compiled tables (markers, orthologues, ligands) count the sources of a statement in its weight:
# one alone is worth little, many come close to a curated statement.
_ONE_SOURCE = 0.45
_MANY_SOURCES = 0.85
# A gene of a disease that one record alone (of OMIM or of Orphanet) names: HPO's table gives no
# other measure of how well a pair is supported (kg.readers.associations).
_ONE_RECORD = 0.7
# Annotation to a term that its ontology has dropped since (kg.readers.annotations.OBSOLETE).
_OUTDATED = 0.5
_CLASS_OF = {code: name for name, codes in EVIDENCE_CLASSES.items() for code in codes}

# A neighbour outside a hierarchy (a gene) has no information content; it counts as middling.
_UNRANKED_SPECIFICITY = 0.6
_HIERARCHICAL = frozenset(
    {
        Category.CELL_TYPE,
        Category.ANATOMY,
        Category.DISEASE,
        Category.PHENOTYPE,
        Category.PROCESS,
        Category.FUNCTION,
        Category.COMPONENT,
    }
)


class Specificity:
    """How narrow a term is, in [0, 1]: structural information content over its maximum.

    The content of a term is ``-ln(descendants / terms)`` of its category (Seco et al. 2004), over
    is_a and part_of, so that a leaf has 1 and a root 0. A gene has no hierarchy and counts as
    middling.
    """

    def __init__(self, graph: KnowledgeGraph) -> None:
        self._graph = graph
        self._sizes: dict[str, int] = {}
        for count in graph.stats():
            if count.kind == "term":
                self._sizes[count.type] = self._sizes.get(count.type, 0) + count.n
        self._known: dict[Curie, float] = {}

    def of(self, term: Term) -> float:
        """The specificity of a term."""
        if term.category not in _HIERARCHICAL:
            return _UNRANKED_SPECIFICITY
        if term.id not in self._known:
            size = max(2, self._sizes.get(term.category.value, 2))
            below = max(1, len(self._graph.descendants(term.id, (IS_A, PART_OF))))
            self._known[term.id] = min(1.0, max(0.0, 1.0 - math.log(below) / math.log(size)))
        return self._known[term.id]


def strength(edge: Edge) -> float:
    """How strongly an edge's evidence supports it, in [0, 1]."""
    if edge.predicate == MENTIONS:
        base = _DERIVED
    elif edge.evidence_code is None:
        base = _UNCODED
        if edge.weight is not None:
            alone = 1.0 / max(1.0, edge.weight)
            base = _MANY_SOURCES - (_MANY_SOURCES - _ONE_SOURCE) * alone
        elif edge.predicate == GENE_DISEASE and len(edge.qualifiers) == 1:
            base = _ONE_RECORD
    else:
        code = edge.evidence_code
        base = _WEAKER.get(code, _STRENGTH[_CLASS_OF.get(code, "computational")])
    return base * _OUTDATED if "obsolete_term" in edge.qualifiers else base


def evidence_class(code: str | None) -> str:
    """The class of an evidence code; ``asserted`` for a statement without one.

    >>> evidence_class("IDA"), evidence_class("IEA"), evidence_class(None)
    ('experimental', 'automatic', 'asserted')
    """
    if code is None:
        return "asserted"
    return _CLASS_OF.get(code, "computational")


def evidence_codes(words: Iterable[str]) -> tuple[str, ...]:
    """Codes from what a user types: codes in any case, or names of classes.

    Raises
    ------
    BadInput
        When a word is neither.

    >>> evidence_codes(["ida", "curated"])
    ('IDA', 'TAS', 'IC', 'NAS')
    """
    codes: list[str] = []
    for word in words:
        if word.lower() in EVIDENCE_CLASSES:
            codes.extend(EVIDENCE_CLASSES[word.lower()])
        elif word.upper() in _CLASS_OF:
            codes.append(word.upper())
        else:
            raise BadInput(
                f"{word!r} is no evidence code; expected one such as IDA or IEA, or a class: "
                + ", ".join(EVIDENCE_CLASSES)
            )
    return tuple(dict.fromkeys(codes))


def relation(word: str) -> Curie:
    """The predicate that a user means, by its id or its label.

    Raises
    ------
    BadInput
        When no predicate is called so; the message lists the labels.

    >>> relation("involved_in"), relation("RO:0002331")
    ('RO:0002331', 'RO:0002331')
    """
    wanted = _plain(word)
    # A label before an inverse one: "has part" is a relation, and part of read backwards.
    for names in (_names, _inverse_names):
        for row in PREDICATES.values():
            if wanted in names(row):
                return row.id
    labels = ", ".join(sorted({row.label for row in PREDICATES.values()}))
    raise BadInput(f"{word!r} is no relation of the graph; expected one of: {labels}")


def _plain(word: str) -> str:
    words = word.strip().lower().replace("_", " ").replace("-", " ")
    return words.removeprefix("molecularly ")


def _names(row: Predicate) -> set[str]:
    return {_plain(row.id), _plain(row.id.split(":", 1)[1]), _plain(row.label)}


def _inverse_names(row: Predicate) -> set[str]:
    return {_plain(row.inverse_label)}
