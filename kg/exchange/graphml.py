"""The graph as GraphML, out: what Gephi, Cytoscape, igraph and networkx open.

A directed multigraph, written as it is read and never held in memory. Lists are joined with
``|``. Definitions, synonyms and cross-references stay behind (KGX and OBO Graphs have them).

Format: http://graphml.graphdrawing.org/specification.html.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TextIO
from xml.sax.saxutils import escape, quoteattr

from kg.atomic import replacing
from kg.terms import PREDICATES, Edge, Term

__all__ = ["write_graphml"]

# Characters that no XML 1.0 document may hold, even escaped.
_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NODE = {
    "label": "string",
    "category": "string",
    "source": "string",
    "release": "string",
    "obsolete": "boolean",
    "taxon": "string",
}
_EDGE = {
    "predicate": "string",
    "relation": "string",
    "source": "string",
    "release": "string",
    "evidence_code": "string",
    "publications": "string",
    "negated": "boolean",
    "qualifiers": "string",
    "taxon": "string",
    "weight": "double",
}


def write_graphml(path: Path, terms: Iterable[Term], edges: Iterable[Edge]) -> tuple[int, int]:
    """Write one file; returns the numbers of nodes and edges."""
    counts = [0, 0]
    with replacing(path) as file:
        file.write('<?xml version="1.0" encoding="utf-8"?>\n')
        file.write('<graphml xmlns="http://graphml.graphdrawing.org/xmlns">\n')
        for kind, attributes in (("node", _NODE), ("edge", _EDGE)):
            for name, type_ in attributes.items():
                file.write(
                    f'<key id="{kind}-{name}" for="{kind}" attr.name="{name}" '
                    f'attr.type="{type_}"/>\n'
                )
        file.write('<graph id="celloquy" edgedefault="directed">\n')
        for term in terms:
            _element(file, "node", {"id": term.id}, _of_term(term))
            counts[0] += 1
        for edge in edges:
            ends = {"id": edge.key, "source": edge.subject, "target": edge.object}
            _element(file, "edge", ends, _of_edge(edge))
            counts[1] += 1
        file.write("</graph>\n</graphml>\n")
    return counts[0], counts[1]


def _of_term(term: Term) -> dict[str, str | None]:
    return {
        "label": term.label,
        "category": term.category.value,
        "source": term.source,
        "release": term.release,
        "obsolete": "true" if term.obsolete else None,
        "taxon": term.taxon,
    }


def _of_edge(edge: Edge) -> dict[str, str | None]:
    return {
        "predicate": edge.predicate,
        "relation": PREDICATES[edge.predicate].label,
        "source": edge.source,
        "release": edge.release,
        "evidence_code": edge.evidence_code,
        "publications": "|".join(edge.publications),
        "negated": "true" if edge.negated else None,
        "qualifiers": "|".join(edge.qualifiers),
        "taxon": edge.taxon,
        "weight": None if edge.weight is None else repr(edge.weight),
    }


def _element(
    file: TextIO, kind: str, attributes: Mapping[str, str], values: Mapping[str, str | None]
) -> None:
    named = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    data = "".join(
        f'<data key="{kind}-{name}">{escape(_NOT_XML.sub(" ", value))}</data>'
        for name, value in values.items()
        if value
    )
    file.write(f"<{kind}{named}>{data}</{kind}>\n")
