"""The graph as OBO Graphs JSON, out and in: what ROBOT, OAK and the OBO ontologies exchange.

One document holds one graph for each source and release. Ids are OBO PURLs where the prefix is an
OBO ontology's, else ``https://identifiers.org/PREFIX:LOCAL``; predicates are ``is_a``, PURLs,
Biolink's or ``urn:celloquy:`` ids. The provenance of an edge stands in its ``meta`` (PMIDs as
cross-references, the rest as property values), so that reading a document back gives the same
terms and edges. In documents of others, graphs without a name are called by the file; relations
outside the closed table and edges of individuals are counted in the notices.

Format: https://github.com/geneontology/obographs (schema 0.3).
"""

from __future__ import annotations

import json
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from itertools import chain
from pathlib import Path
from typing import Any, TextIO

from data.errors import BadFile
from kg.atomic import replacing
from kg.readers.source import Loaded
from kg.terms import (
    IS_A,
    PREDICATES,
    Category,
    Curie,
    Edge,
    Release,
    Scope,
    Synonym,
    Term,
    is_curie,
)

__all__ = ["curie", "iri", "read_obographs", "write_obographs"]

_PURL = "http://purl.obolibrary.org/obo/"
_OTHER = "https://identifiers.org/"
_BIOLINK = "https://w3id.org/biolink/vocab/"
_OURS = "urn:celloquy:"
# Prefixes of OBO Foundry ontologies that occur in what Celloquy reads.
_OBO = frozenset(
    {"BFO", "BSPO", "CARO", "CHEBI", "CL", "CLO", "DDANAT", "ECO", "FBbt", "FMA", "GO", "HP"}
    | {"MONDO", "NCBITaxon", "PATO", "PCL", "PO", "PR", "RO", "SO", "UBERON", "WBbt", "ZFA"}
)
_REPLACED_BY = f"{_PURL}IAO_0100001"
_CONSIDER = "http://www.geneontology.org/formats/oboInOwl#consider"
_SYNONYM = {
    Scope.EXACT: "hasExactSynonym",
    Scope.NARROW: "hasNarrowSynonym",
    Scope.BROAD: "hasBroadSynonym",
    Scope.RELATED: "hasRelatedSynonym",
}
_SCOPE = {word: scope for scope, word in _SYNONYM.items()}
_IS_A = frozenset({"is_a", "subClassOf", "http://www.w3.org/2000/01/rdf-schema#subClassOf"})
_DATE = re.compile(r"\d{4}-\d{2}(?:-\d{2})?")


def iri(id: Curie) -> str:
    """Return the web address of a CURIE.

    >>> iri("CL:0000084"), iri("HGNC:1678")
    ('http://purl.obolibrary.org/obo/CL_0000084', 'https://identifiers.org/HGNC:1678')
    """
    prefix, _, local = id.partition(":")
    if prefix in _OBO:
        return f"{_PURL}{prefix}_{local}"
    if prefix == "biolink":
        return f"{_BIOLINK}{local}"
    return f"{_OURS}{local}" if prefix == "celloquy" else f"{_OTHER}{id}"


def curie(address: str) -> Curie:
    """Return the CURIE of a web address; what is none already stays as it is.

    >>> curie("http://purl.obolibrary.org/obo/CL_0000084")
    'CL:0000084'
    """
    if address.startswith(_PURL):
        return address.removeprefix(_PURL).rsplit("#", 1)[-1].replace("_", ":", 1)
    for base, prefix in ((_OTHER, ""), (_BIOLINK, "biolink:"), (_OURS, "celloquy:")):
        if address.startswith(base):
            return prefix + address.removeprefix(base)
    return address


def write_obographs(
    path: Path, releases: Iterable[Release], terms: Iterable[Term], edges: Iterable[Edge]
) -> tuple[int, int]:
    """Write one document; returns the numbers of nodes and edges."""
    counts = [0, 0]
    with ExitStack() as stack:
        # A document lists nodes and edges graph by graph, the store does not: each list is
        # collected in a scratch file of its own.
        scratch: dict[tuple[str, int], TextIO] = {}
        nodes = ((0, term.source, _node(term)) for term in terms)
        links = ((1, edge.source, _edge(edge)) for edge in edges)
        for kind, source, record in chain(nodes, links):
            file = scratch.get((source, kind))
            if file is None:
                file = stack.enter_context(tempfile.TemporaryFile("w+", encoding="utf-8"))
                scratch[source, kind] = file
            else:
                file.write(",\n")
            file.write(json.dumps(record, ensure_ascii=False))
            counts[kind] += 1
        with replacing(path) as out:
            out.write('{"graphs": [')
            for number, release in enumerate(releases):
                head = json.dumps(_head(release), ensure_ascii=False)
                out.write((",\n" if number else "\n") + head.removesuffix("}"))
                for kind, name in ((0, "nodes"), (1, "edges")):
                    out.write(f', "{name}": [\n')
                    _copy(scratch.get((release.source, kind)), out)
                    out.write("\n]")
                out.write("}")
            out.write("\n]}\n")
    return counts[0], counts[1]


def _copy(scratch: TextIO | None, out: TextIO) -> None:
    if scratch is not None:
        scratch.seek(0)
        shutil.copyfileobj(scratch, out)


def _values(pairs: Iterable[tuple[str, object]]) -> list[dict[str, str]]:
    return [{"pred": name, "val": str(value)} for name, value in pairs if value not in (None, "")]


def _head(release: Release) -> dict[str, Any]:
    about = [
        (f"{_OURS}source", release.source),
        (f"{_OURS}version", release.version),
        (f"{_OURS}date", release.date),
        ("http://purl.org/dc/terms/license", release.licence),
        ("http://purl.org/dc/terms/bibliographicCitation", release.citation),
    ]
    return {
        "id": f"{_OURS}source:{release.source}",
        "lbl": release.source,
        "meta": {"version": release.version, "basicPropertyValues": _values(about)},
    }


def _node(term: Term) -> dict[str, Any]:
    meta: dict[str, Any] = {}
    if term.definition or term.definition_xrefs:
        meta["definition"] = {"val": term.definition, "xrefs": list(term.definition_xrefs)}
    if term.synonyms:
        meta["synonyms"] = [_synonym(synonym) for synonym in term.synonyms]
    if term.xrefs:
        meta["xrefs"] = [{"val": xref} for xref in term.xrefs]
    if term.obsolete:
        meta["deprecated"] = True
    meta["basicPropertyValues"] = _values(
        [
            (f"{_BIOLINK}category", term.category.value),
            (f"{_OURS}release", term.release),
            (f"{_OURS}taxon", term.taxon),
            (_REPLACED_BY, iri(term.replaced_by) if term.replaced_by else None),
            *((_CONSIDER, iri(other)) for other in term.consider),
        ]
    )
    return {"id": iri(term.id), "lbl": term.label, "type": "CLASS", "meta": meta}


def _synonym(synonym: Synonym) -> dict[str, str]:
    known = _SYNONYM.get(synonym.scope)
    if known:
        return {"pred": known, "val": synonym.text}
    # The format knows four scopes; the unknown one is written as the widest, with a type.
    widest = _SYNONYM[Scope.RELATED]
    return {"pred": widest, "val": synonym.text, "synonymType": f"{_OURS}{synonym.scope.value}"}


def _edge(edge: Edge) -> dict[str, Any]:
    record: dict[str, Any] = {
        "sub": iri(edge.subject),
        "pred": "is_a" if edge.predicate == IS_A else iri(edge.predicate),
        "obj": iri(edge.object),
    }
    meta: dict[str, Any] = {}
    if edge.publications:
        meta["xrefs"] = [{"val": pmid} for pmid in edge.publications]
    meta["basicPropertyValues"] = _values(
        [
            (f"{_OURS}release", edge.release),
            (f"{_OURS}evidence_code", edge.evidence_code),
            (f"{_OURS}negated", "true" if edge.negated else None),
            (f"{_OURS}taxon", edge.taxon),
            (f"{_OURS}weight", repr(edge.weight) if edge.weight is not None else None),
            *((f"{_OURS}qualifier", word) for word in edge.qualifiers),
        ]
    )
    return {**record, "meta": meta}


def read_obographs(path: Path) -> list[Loaded]:
    """Read a document, one result a graph.

    Raises
    ------
    BadFile
        When it is not such a document; the message names the record.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise BadFile(f"{path}: {error}; expected an OBO Graphs document in JSON") from error
    if not isinstance(document, dict) or not isinstance(document.get("graphs"), list):
        raise BadFile(f"{path}: no list of graphs; expected an OBO Graphs document")
    return [_graph(graph, path) for graph in document["graphs"]]


def _graph(graph: Mapping[str, Any], path: Path) -> Loaded:
    skipped: Counter[str] = Counter()
    terms, edges = [], []
    where = "the graph"
    try:
        release = _release(graph, path)
        for number, node in enumerate(graph.get("nodes", ()), 1):
            where = f"node {number}"
            if node.get("type", "CLASS") != "CLASS" or not is_curie(curie(node["id"])):
                skipped["nodes that are no classes"] += 1
            else:
                terms.append(_read_node(node, release))
        for number, record in enumerate(graph.get("edges", ()), 1):
            where = f"edge {number}"
            edge = _read_edge(record, release)
            if edge is None:
                skipped[f"edges with the relation {record['pred']}"] += 1
            else:
                edges.append(edge)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise BadFile(f"{path.name}, {where}: {error!r}; expected OBO Graphs JSON") from error
    notices = tuple(f"{release.source}: not loaded: {n} {what}" for what, n in skipped.items())
    return Loaded(release, tuple(terms), tuple(edges), notices)


def _properties(meta: Mapping[str, Any]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for value in meta.get("basicPropertyValues", ()):
        found.setdefault(value["pred"].removeprefix(_OURS), []).append(value["val"])
    return found


def _one(found: Mapping[str, list[str]], name: str) -> str | None:
    return found[name][0] if name in found else None


def _release(graph: Mapping[str, Any], path: Path) -> Release:
    meta = graph.get("meta", {})
    found = _properties(meta)
    version = _one(found, "version") or str(meta.get("version", "unknown")) or "unknown"
    dated = _DATE.search(version)
    return Release(
        source=_one(found, "source") or graph.get("lbl") or path.stem,
        version=version,
        date=_one(found, "date") or (dated[0] if dated and "source" not in found else ""),
        licence=_one(found, "http://purl.org/dc/terms/license") or "",
        citation=_one(found, "http://purl.org/dc/terms/bibliographicCitation") or "",
    )


def _read_node(node: Mapping[str, Any], release: Release) -> Term:
    meta = node.get("meta", {})
    found = _properties(meta)
    definition = meta.get("definition", {})
    category = _one(found, f"{_BIOLINK}category")
    replaced_by = _one(found, _REPLACED_BY)
    id_ = curie(node["id"])
    return Term(
        id=id_,
        label=node.get("lbl") or id_,
        category=Category(category) if category else _CATEGORIES.get(id_.split(":")[0], _NO),
        source=release.source,
        release=_one(found, "release") or release.version,
        definition=definition.get("val", ""),
        definition_xrefs=tuple(definition.get("xrefs", ())),
        synonyms=tuple(
            Synonym(synonym["val"], _scope(synonym)) for synonym in meta.get("synonyms", ())
        ),
        xrefs=tuple(xref["val"] for xref in meta.get("xrefs", ())),
        obsolete=bool(meta.get("deprecated", False)),
        replaced_by=curie(replaced_by) if replaced_by else None,
        consider=tuple(curie(other) for other in found.get(_CONSIDER, ())),
        taxon=_one(found, "taxon"),
    )


def _scope(synonym: Mapping[str, str]) -> Scope:
    typed = synonym.get("synonymType", "")
    if typed.startswith(_OURS):
        return Scope(typed.removeprefix(_OURS))
    return _SCOPE.get(synonym["pred"].rsplit("#", 1)[-1], Scope.UNKNOWN)


def _read_edge(record: Mapping[str, Any], release: Release) -> Edge | None:
    predicate = IS_A if record["pred"] in _IS_A else curie(record["pred"])
    if predicate not in PREDICATES:
        return None
    meta = record.get("meta", {})
    found = _properties(meta)
    weight = _one(found, "weight")
    return Edge(
        subject=curie(record["sub"]),
        predicate=predicate,
        object=curie(record["obj"]),
        source=release.source,
        release=_one(found, "release") or release.version,
        evidence_code=_one(found, "evidence_code"),
        publications=tuple(xref["val"] for xref in meta.get("xrefs", ())),
        negated=_one(found, "negated") == "true",
        qualifiers=tuple(found.get("qualifier", ())),
        taxon=_one(found, "taxon"),
        weight=float(weight) if weight else None,
    )


_NO = Category.OTHER
_CATEGORIES = {
    "CL": Category.CELL_TYPE,
    "UBERON": Category.ANATOMY,
    "MONDO": Category.DISEASE,
    "HP": Category.PHENOTYPE,
}
