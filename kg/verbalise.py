"""One sentence an edge, with its provenance, and back: the sentence says the whole edge.

``sentence`` writes an edge as it may stand in a prompt or an answer; ``parse`` reads such a
sentence and gives the very edge again, so that whoever holds the sentence can check it against
the graph. Labels are for the reader alone: identity is in the ids beside them. A negated edge
says *not*; no other sentence does. The module looks nothing up.

    CD8A (HGNC:1706) is involved in T cell activation (GO:0042110). [IDA; PMID:1; GOA-human 2019]
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from data.errors import BadInput
from kg import terms as t
from kg.terms import Curie, Edge

__all__ = ["PHRASES", "parse", "sentence"]

NEGATIVE = "negative"
"""The qualifier of a marker whose absence speaks for the type (:class:`kg.terms.Edge`)."""

PHRASES: Mapping[Curie, tuple[str, str]] = MappingProxyType(
    {
        t.IS_A: ("is a kind of", "is not a kind of"),
        t.IS_A_OR_PART_OF: ("is a kind or part of", "is not a kind or part of"),
        t.PART_OF: ("is part of", "is not part of"),
        t.HAS_PART: ("has as a part", "does not have as a part"),
        t.DEVELOPS_FROM: ("develops from", "does not develop from"),
        t.CAPABLE_OF: ("is capable of", "is not capable of"),
        t.REGULATES: ("regulates", "does not regulate"),
        t.NEGATIVELY_REGULATES: ("negatively regulates", "does not negatively regulate"),
        t.POSITIVELY_REGULATES: ("positively regulates", "does not positively regulate"),
        t.HAS_PLASMA_MEMBRANE_PART: (
            "has on its plasma membrane",
            "does not have on its plasma membrane",
        ),
        t.LACKS_PLASMA_MEMBRANE_PART: (
            "lacks on its plasma membrane",
            "does not lack on its plasma membrane",
        ),
        t.LACKS_PART: ("lacks as a part", "does not lack as a part"),
        t.HAS_HIGH_PLASMA_MEMBRANE_AMOUNT: (
            "has a high plasma membrane amount of",
            "does not have a high plasma membrane amount of",
        ),
        t.HAS_LOW_PLASMA_MEMBRANE_AMOUNT: (
            "has a low plasma membrane amount of",
            "does not have a low plasma membrane amount of",
        ),
        t.INVOLVED_IN: ("is involved in", "is not involved in"),
        t.ENABLES: ("enables", "does not enable"),
        t.CONTRIBUTES_TO: ("contributes to", "does not contribute to"),
        t.COLOCALIZES_WITH: ("colocalizes with", "does not colocalize with"),
        t.LOCATED_IN: ("is located in", "is not located in"),
        t.EXPRESSES: ("expresses", "does not express"),
        t.INTERACTS_WITH: ("interacts physically with", "does not interact physically with"),
        t.GENE_DISEASE: (
            "is associated with the condition",
            "is not associated with the condition",
        ),
        t.HAS_PHENOTYPE: ("has the phenotype", "does not have the phenotype"),
        t.ORTHOLOGOUS_TO: ("is orthologous to", "is not orthologous to"),
        t.MARKER_OF: ("is a marker of", "is not a marker of"),
        t.MENTIONS: ("mentions in its label", "does not mention in its label"),
    }
)
"""Each relation as a verb, and denied. None begins another, so that a sentence reads one way."""

_ABSENT = ("is, by its absence, a marker of", "is not, by its absence, a marker of")
_READ: Mapping[str, tuple[Curie, bool, bool]] = MappingProxyType(
    {
        **{yes: (predicate, False, False) for predicate, (yes, _) in PHRASES.items()},
        **{no: (predicate, True, False) for predicate, (_, no) in PHRASES.items()},
        _ABSENT[0]: (t.MARKER_OF, False, True),
        _ABSENT[1]: (t.MARKER_OF, True, True),
    }
)

_ID = r"\(([A-Za-z][A-Za-z0-9_.]*:[A-Za-z0-9_.\-]+)\)"
_SENTENCE = re.compile(rf".*?{_ID} (?P<middle>.*) ?{_ID}\. \[(?P<provenance>[^\[\]]*)\]")
_BRACKETED = re.compile(r"[\[\]\r\n]|" + _ID)


def sentence(edge: Edge, labels: Mapping[Curie, str]) -> str:
    """Write an edge as one English sentence with its provenance in brackets.

    Parameters
    ----------
    edge
        The edge; every field of it is in the sentence.
    labels
        Labels by id; an end without one is written as its id alone.

    >>> edge = Edge("CL:0000084", "rdfs:subClassOf", "CL:0000542", "CL", "v1")
    >>> sentence(edge, {"CL:0000084": "T cell", "CL:0000542": "lymphocyte"})
    'T cell (CL:0000084) is a kind of lymphocyte (CL:0000542). [CL v1]'
    """
    absent = edge.predicate == t.MARKER_OF and NEGATIVE in edge.qualifiers
    phrase = (_ABSENT if absent else PHRASES[edge.predicate])[edge.negated]
    subject, object_ = _named(edge.subject, labels), _named(edge.object, labels)
    return f"{subject} {phrase} {object_}. [{'; '.join(_provenance(edge, absent))}]"


def _named(id: Curie, labels: Mapping[Curie, str]) -> str:
    # A label is text from a file: it must not look like an id or end the sentence's brackets.
    label = " ".join(_BRACKETED.sub(" ", labels.get(id, "")).split())
    return f"{label} ({id})" if label else f"({id})"


def _provenance(edge: Edge, absent: bool) -> list[str]:
    parts = []
    if edge.evidence_code:
        parts.append(f"evidence {edge.evidence_code}")
    if edge.publications:
        parts.append("cites " + ", ".join(edge.publications))
    qualifiers = [q for q in edge.qualifiers if not (absent and q == NEGATIVE)]
    if qualifiers:
        parts.append("qualified " + ", ".join(qualifiers))
    if edge.taxon:
        parts.append(f"in {edge.taxon}")
    if edge.weight is not None:
        parts.append(f"weight {edge.weight!r}")
    parts.append(f"{edge.source} {edge.release}")
    return parts


def parse(text: str) -> Edge:
    """Read a sentence that :func:`sentence` wrote and return its edge.

    Raises
    ------
    BadInput
        When the text is no such sentence.
    """
    match = _SENTENCE.fullmatch(text)
    if match is None:
        raise BadInput(f"{text[:80]!r} is no edge in words; expected A (ID) ... B (ID). [...]")
    subject, object_ = match[1], match[3]
    for phrase, (predicate, negated, absent) in _READ.items():
        if match["middle"] == phrase or match["middle"].startswith(phrase + " "):
            return _edge(subject, predicate, object_, negated, absent, match["provenance"])
    raise BadInput(f"{match['middle'][:60]!r} begins with no known relation")


def _edge(
    subject: Curie, predicate: Curie, object_: Curie, negated: bool, absent: bool, provenance: str
) -> Edge:
    *parts, origin = provenance.split("; ")
    source, _, release = origin.partition(" ")
    fields = dict(part.partition(" ")[::2] for part in parts)
    qualifiers = tuple(fields["qualified"].split(", ")) if "qualified" in fields else ()
    return Edge(
        subject=subject,
        predicate=predicate,
        object=object_,
        source=source,
        release=release,
        evidence_code=fields.get("evidence"),
        publications=tuple(fields["cites"].split(", ")) if "cites" in fields else (),
        negated=negated,
        qualifiers=(NEGATIVE, *qualifiers) if absent else qualifiers,
        taxon=fields.get("in"),
        weight=float(fields["weight"]) if "weight" in fields else None,
    )
