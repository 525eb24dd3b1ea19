"""The values of the knowledge graph: terms, typed edges, paths and the closed predicate table.

This module knows no file format, no store and no ontology mathematics. Categories and most
predicates follow the Biolink model and the OBO Relation Ontology; the few of Celloquy's own
carry the prefix ``celloquy:``.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import TypeAlias

from data.errors import BadInput

__all__ = [
    "CAPABLE_OF",
    "COLOCALIZES_WITH",
    "CONTRIBUTES_TO",
    "DEVELOPS_FROM",
    "ECO",
    "ENABLES",
    "EXPRESSES",
    "GENE_DISEASE",
    "HAS_HIGH_PLASMA_MEMBRANE_AMOUNT",
    "HAS_LOW_PLASMA_MEMBRANE_AMOUNT",
    "HAS_PART",
    "HAS_PHENOTYPE",
    "HAS_PLASMA_MEMBRANE_PART",
    "INTERACTS_WITH",
    "INVOLVED_IN",
    "IS_A",
    "IS_A_OR_PART_OF",
    "LACKS_PART",
    "LACKS_PLASMA_MEMBRANE_PART",
    "LOCATED_IN",
    "MARKER_OF",
    "MENTIONS",
    "NEGATIVELY_REGULATES",
    "ORTHOLOGOUS_TO",
    "PART_OF",
    "POSITIVELY_REGULATES",
    "PREDICATES",
    "REGULATES",
    "Category",
    "Curie",
    "Edge",
    "Path",
    "Predicate",
    "Release",
    "Scope",
    "Synonym",
    "Term",
    "is_curie",
    "parse_curie",
]

Curie: TypeAlias = str
"""A compact identifier such as ``CL:0000084`` (https://www.w3.org/TR/curie/)."""

_CURIE = re.compile(r"(?P<prefix>[A-Za-z][A-Za-z0-9_.]*):(?P<local>[A-Za-z0-9_.\-]+)")


def is_curie(text: str) -> bool:
    """Whether ``text`` has the form ``PREFIX:LOCAL``."""
    return _CURIE.fullmatch(text) is not None


def parse_curie(text: str) -> Curie:
    """Return ``text`` as a CURIE, with ``CL_0000084`` read as ``CL:0000084``.

    Raises
    ------
    BadInput
        When ``text`` has no such form.

    >>> parse_curie("CL_0000084")
    'CL:0000084'
    """
    candidate = text.strip().rsplit("/", 1)[-1]
    if ":" not in candidate:
        candidate = candidate.replace("_", ":", 1)
    if not is_curie(candidate):
        raise BadInput(f"{text!r} is not an identifier; expected a CURIE such as CL:0000084")
    return candidate


class Category(StrEnum):
    """Biolink categories of the nodes (https://biolink.github.io/biolink-model/)."""

    CELL_TYPE = "biolink:Cell"
    ANATOMY = "biolink:AnatomicalEntity"
    DISEASE = "biolink:Disease"
    PHENOTYPE = "biolink:PhenotypicFeature"
    GENE = "biolink:Gene"
    PROCESS = "biolink:BiologicalProcess"
    FUNCTION = "biolink:MolecularActivity"
    COMPONENT = "biolink:CellularComponent"
    OTHER = "biolink:NamedThing"


class Scope(StrEnum):
    """How a text names a term: OBO synonym scopes, plus the label and the unknown."""

    LABEL = "LABEL"
    EXACT = "EXACT"
    NARROW = "NARROW"
    BROAD = "BROAD"
    RELATED = "RELATED"
    UNKNOWN = "UNKNOWN"


@dataclass(frozen=True, slots=True)
class Synonym:
    """Another name of a term and how closely it fits."""

    text: str
    scope: Scope = Scope.EXACT


@dataclass(frozen=True, slots=True)
class Release:
    """One release of one source: what an answer names beside every fact.

    ``source`` is the name of the primary knowledge source ("CL", "GOA-human"), ``version`` the
    release as its publisher writes it ("v2026-03-26"), ``date`` ISO 8601 or empty when unknown.
    """

    source: str
    version: str
    date: str = ""
    licence: str = ""
    citation: str = ""


@dataclass(frozen=True, slots=True)
class Term:
    """A node: an ontology class or a gene, as one release of one source has it."""

    id: Curie
    label: str
    category: Category
    source: str
    release: str
    definition: str = ""
    definition_xrefs: tuple[str, ...] = ()
    synonyms: tuple[Synonym, ...] = ()
    xrefs: tuple[str, ...] = ()
    obsolete: bool = False
    replaced_by: Curie | None = None
    consider: tuple[Curie, ...] = ()
    taxon: Curie | None = None


@dataclass(frozen=True, slots=True)
class Edge:
    """A statement ``subject predicate object`` with its provenance.

    ``negated`` is a statement that the relation does *not* hold (a GAF ``NOT``), never to be
    read as positive. ``qualifiers`` narrow the statement: ``contributes_to``, or ``negative``
    on a ``celloquy:marker_of`` edge, where the absence of the gene speaks for the type.
    ``weight`` is the source's own score where it gives one (its meaning is the source's).
    """

    subject: Curie
    predicate: Curie
    object: Curie
    source: str
    release: str
    evidence_code: str | None = None
    publications: tuple[str, ...] = ()
    negated: bool = False
    qualifiers: tuple[str, ...] = ()
    taxon: Curie | None = None
    weight: float | None = None

    @property
    def key(self) -> str:
        """A content hash (16 hex digits): equal edges have equal keys in every back end."""
        parts = (
            self.subject,
            self.predicate,
            self.object,
            self.source,
            self.release,
            self.evidence_code or "",
            "|".join(self.publications),
            str(int(self.negated)),
            "|".join(self.qualifiers),
            self.taxon or "",
        )
        return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class Path:
    """A walk: ``edges[i]`` joins ``nodes[i]`` and ``nodes[i + 1]``, in either direction."""

    nodes: tuple[Curie, ...]
    edges: tuple[Edge, ...] = field(default=())

    def __post_init__(self) -> None:
        if len(self.nodes) != len(self.edges) + 1:
            raise BadInput(
                f"a path of {len(self.nodes)} nodes was given {len(self.edges)} edges; "
                f"expected {len(self.nodes) - 1}"
            )
        for left, right, edge in zip(self.nodes, self.nodes[1:], self.edges, strict=False):
            if {left, right} != {edge.subject, edge.object}:
                raise BadInput(
                    f"edge {edge.subject} {edge.predicate} {edge.object} does not join "
                    f"{left} and {right}"
                )


@dataclass(frozen=True, slots=True)
class Predicate:
    """A relation of the closed table: how it reads forwards and backwards."""

    id: Curie
    label: str
    inverse_label: str
    hierarchical: bool = False


def _table(rows: Iterable[Predicate]) -> Mapping[Curie, Predicate]:
    return MappingProxyType({row.id: row for row in rows})


IS_A: Curie = "rdfs:subClassOf"
PART_OF: Curie = "BFO:0000050"
IS_A_OR_PART_OF: Curie = "celloquy:is_a_or_part_of"
"""Where a source gives the parents of a term without saying which of the two they are."""
HAS_PART: Curie = "BFO:0000051"
DEVELOPS_FROM: Curie = "RO:0002202"
CAPABLE_OF: Curie = "RO:0002215"
REGULATES: Curie = "RO:0002211"
NEGATIVELY_REGULATES: Curie = "RO:0002212"
POSITIVELY_REGULATES: Curie = "RO:0002213"
HAS_PLASMA_MEMBRANE_PART: Curie = "RO:0002104"
LACKS_PLASMA_MEMBRANE_PART: Curie = "CL:4030046"
LACKS_PART: Curie = "CL:4030045"
HAS_HIGH_PLASMA_MEMBRANE_AMOUNT: Curie = "RO:0015015"
HAS_LOW_PLASMA_MEMBRANE_AMOUNT: Curie = "RO:0015016"
INVOLVED_IN: Curie = "RO:0002331"
ENABLES: Curie = "RO:0002327"
CONTRIBUTES_TO: Curie = "RO:0002326"
COLOCALIZES_WITH: Curie = "RO:0002325"
LOCATED_IN: Curie = "RO:0001025"
EXPRESSES: Curie = "RO:0002292"
INTERACTS_WITH: Curie = "RO:0002436"
GENE_DISEASE: Curie = "biolink:gene_associated_with_condition"
HAS_PHENOTYPE: Curie = "RO:0002200"
ORTHOLOGOUS_TO: Curie = "biolink:orthologous_to"
MARKER_OF: Curie = "celloquy:marker_of"
MENTIONS: Curie = "celloquy:mentions"

PREDICATES: Mapping[Curie, Predicate] = _table(
    (
        Predicate(IS_A, "is a", "has subtype", hierarchical=True),
        Predicate(PART_OF, "part of", "has part", hierarchical=True),
        Predicate(IS_A_OR_PART_OF, "is a or part of", "has subtype or part", hierarchical=True),
        Predicate(HAS_PART, "has part", "is a part in"),
        Predicate(DEVELOPS_FROM, "develops from", "develops into"),
        Predicate(CAPABLE_OF, "capable of", "is a capability of"),
        Predicate(REGULATES, "regulates", "regulated by"),
        Predicate(NEGATIVELY_REGULATES, "negatively regulates", "negatively regulated by"),
        Predicate(POSITIVELY_REGULATES, "positively regulates", "positively regulated by"),
        Predicate(HAS_PLASMA_MEMBRANE_PART, "has plasma membrane part", "plasma membrane part of"),
        Predicate(
            LACKS_PLASMA_MEMBRANE_PART, "lacks plasma membrane part", "lacking on the membrane of"
        ),
        Predicate(LACKS_PART, "lacks part", "is lacking in"),
        Predicate(
            HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
            "has high plasma membrane amount of",
            "is high on the plasma membrane of",
        ),
        Predicate(
            HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
            "has low plasma membrane amount of",
            "is low on the plasma membrane of",
        ),
        Predicate(INVOLVED_IN, "involved in", "involves"),
        Predicate(ENABLES, "enables", "enabled by"),
        Predicate(CONTRIBUTES_TO, "contributes to", "has contributor"),
        Predicate(COLOCALIZES_WITH, "colocalizes with", "colocalizes with"),
        Predicate(LOCATED_IN, "located in", "location of"),
        Predicate(EXPRESSES, "expresses", "expressed in"),
        Predicate(INTERACTS_WITH, "molecularly interacts with", "molecularly interacts with"),
        Predicate(GENE_DISEASE, "associated with condition", "condition associated with"),
        Predicate(HAS_PHENOTYPE, "has phenotype", "phenotype of"),
        Predicate(ORTHOLOGOUS_TO, "orthologous to", "orthologous to"),
        Predicate(MARKER_OF, "marker of", "has marker"),
        Predicate(MENTIONS, "mentions", "mentioned by"),
    )
)
"""The closed table of relations; an edge with any other predicate is refused at build."""

ECO: Mapping[str, Curie] = MappingProxyType(
    # https://github.com/evidenceontology/evidenceontology/blob/master/gaf-eco-mapping.txt
    # (the "Default" rows).
    {
        "EXP": "ECO:0000269",
        "IDA": "ECO:0000314",
        "IPI": "ECO:0000353",
        "IMP": "ECO:0000315",
        "IGI": "ECO:0000316",
        "IEP": "ECO:0000270",
        "HTP": "ECO:0006056",
        "HDA": "ECO:0007005",
        "HMP": "ECO:0007001",
        "HGI": "ECO:0007003",
        "HEP": "ECO:0007007",
        "IBA": "ECO:0000318",
        "IBD": "ECO:0000319",
        "IKR": "ECO:0000320",
        "IRD": "ECO:0000321",
        "ISS": "ECO:0000250",
        "ISO": "ECO:0000266",
        "ISA": "ECO:0000247",
        "ISM": "ECO:0000255",
        "IGC": "ECO:0000317",
        "RCA": "ECO:0000245",
        "TAS": "ECO:0000304",
        "NAS": "ECO:0000303",
        "IC": "ECO:0000305",
        "ND": "ECO:0000307",
        "IEA": "ECO:0000501",
    }
)
"""GO evidence codes to the Evidence and Conclusion Ontology."""
