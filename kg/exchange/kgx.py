"""The graph as KGX JSON Lines, out and in: what Translator, Monarch and KG-Hub tools read.

A folder holds ``nodes.jsonl``, ``edges.jsonl`` and ``releases.json``. Nodes and edges are Biolink
records (:mod:`kg.exchange.biolink`); what Biolink has no slot for (release, synonyms in order with
their scopes, the source's own words) stands under the one key ``celloquy``, so that reading a
folder back gives the same terms and edges. Folders of other tools are read as far as the closed
table of relations goes; the rest is counted in the notices.

Format: https://github.com/biolink/kgx/blob/master/specification/kgx-format.md.
"""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from data.errors import BadFile
from kg.atomic import replacing
from kg.exchange import biolink
from kg.readers.source import Loaded
from kg.terms import ECO, Category, Edge, Release, Scope, Synonym, Term, is_curie

__all__ = ["edge_record", "node_record", "read_kgx", "write_kgx"]

_SLOTS = {
    Scope.EXACT: "exact_synonym",
    Scope.NARROW: "narrow_synonym",
    Scope.BROAD: "broad_synonym",
    Scope.RELATED: "related_synonym",
}
_CODES = {eco: code for code, eco in ECO.items()}


def write_kgx(
    folder: Path, releases: Iterable[Release], terms: Iterable[Term], edges: Iterable[Edge]
) -> tuple[int, int]:
    """Write the three files into ``folder``; returns the numbers of nodes and edges."""
    folder.mkdir(parents=True, exist_ok=True)
    text = json.dumps([dataclasses.asdict(release) for release in releases], ensure_ascii=False)
    with replacing(folder / "releases.json") as file:
        file.write(text + "\n")
    nodes = _write(folder / "nodes.jsonl", map(node_record, terms))
    return nodes, _write(folder / "edges.jsonl", map(edge_record, edges))


def _write(path: Path, records: Iterable[Mapping[str, Any]]) -> int:
    n = 0
    with replacing(path) as file:
        for n, record in enumerate(records, 1):  # noqa: B007 - the count is wanted
            file.write(json.dumps(record, ensure_ascii=False) + "\n")
    return n


def node_record(term: Term) -> dict[str, Any]:
    """A term as a Biolink node; empty slots are left out."""
    by_scope: dict[str, list[str]] = {}
    for synonym in term.synonyms:
        if synonym.scope in _SLOTS:
            by_scope.setdefault(_SLOTS[synonym.scope], []).append(synonym.text)
    record = {
        "id": term.id,
        "category": [term.category.value],
        "name": term.label,
        "description": term.definition,
        "provided_by": [biolink.INFORES[term.source]] if term.source in biolink.INFORES else [],
        "xref": list(term.xrefs),
        "synonym": [synonym.text for synonym in term.synonyms],
        **by_scope,
        "taxon": term.taxon,
        "deprecated": term.obsolete,
        "celloquy": {
            "source": term.source,
            "release": term.release,
            "scopes": [synonym.scope.value for synonym in term.synonyms],
            "definition_xrefs": list(term.definition_xrefs),
            "replaced_by": term.replaced_by,
            "consider": list(term.consider),
        },
    }
    return _filled(record)


def edge_record(edge: Edge) -> dict[str, Any]:
    """An edge as a Biolink association; ``id`` is the edge's content hash."""
    level, agent = biolink.agent(edge)
    code = edge.evidence_code or ""
    record = {
        "id": f"celloquy:{edge.key}",
        "category": ["biolink:Association"],
        "subject": edge.subject,
        "predicate": biolink.PREDICATE[edge.predicate],
        "object": edge.object,
        **biolink.qualifiers(edge.predicate),
        "original_predicate": edge.predicate,
        "primary_knowledge_source": biolink.INFORES.get(edge.source),
        "knowledge_level": level,
        "agent_type": agent,
        "negated": edge.negated,
        "publications": list(edge.publications),
        "has_evidence": [ECO[code]] if code in ECO else [],
        "species_context_qualifier": edge.taxon,
        "celloquy": {
            "source": edge.source,
            "release": edge.release,
            "evidence_code": edge.evidence_code,
            "qualifiers": list(edge.qualifiers),
            "weight": edge.weight,
        },
    }
    return _filled(record)


def _filled(record: Mapping[str, Any]) -> dict[str, Any]:
    return {
        key: _filled(value) if isinstance(value, dict) else value
        for key, value in record.items()
        if value is not None and value != [] and value != ""
    }


def read_kgx(folder: Path) -> list[Loaded]:
    """Read a folder of nodes.jsonl and edges.jsonl, one result a source.

    Raises
    ------
    BadFile
        With the line number, when a line is no such record.
    """
    collected: dict[str, tuple[list[Term], list[Edge]]] = {}
    versions: dict[str, str] = {}
    skipped: Counter[str] = Counter()
    for at, record in _records(folder / "nodes.jsonl"):
        term = _term(record, at)
        collected.setdefault(term.source, ([], []))[0].append(term)
        versions.setdefault(term.source, term.release)
    for at, record in _records(folder / "edges.jsonl"):
        edge = _edge(record, at)
        if edge is None:
            skipped[f"edges with the predicate {record['predicate']}"] += 1
            continue
        collected.setdefault(edge.source, ([], []))[1].append(edge)
        versions.setdefault(edge.source, edge.release)
    stated = _releases(folder / "releases.json")
    notices = tuple(f"{folder.name}: not loaded: {n} {what}" for what, n in skipped.items())
    loaded = [
        Loaded(
            stated.get(source, Release(source, versions[source])), tuple(terms), tuple(edges), ()
        )
        for source, (terms, edges) in collected.items()
    ]
    if loaded and notices:
        loaded[0] = dataclasses.replace(loaded[0], notices=notices)
    return loaded


def _records(path: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    try:
        with path.open(encoding="utf-8") as file:
            for number, line in enumerate(file, 1):
                at = f"{path.name}, line {number}"
                try:
                    record = json.loads(line)
                except ValueError as error:
                    raise BadFile(f"{at}: {error}; expected one JSON object a line") from error
                if not isinstance(record, dict):
                    raise BadFile(f"{at}: expected a JSON object")
                yield at, record
    except UnicodeDecodeError as error:
        raise BadFile(f"{path.name}: {error}; expected UTF-8") from error
    except OSError as error:
        raise BadFile(f"{path}: {error.strerror}; expected a folder of KGX JSON Lines") from error


def _releases(path: Path) -> dict[str, Release]:
    if not path.exists():
        return {}
    try:
        listed = json.loads(path.read_text(encoding="utf-8"))
        return {entry["source"]: Release(**entry) for entry in listed}
    except (ValueError, TypeError, KeyError) as error:
        raise BadFile(f"{path}: {error!r}; expected a list of releases") from error


def _origin(record: Mapping[str, Any], own: Mapping[str, Any]) -> tuple[str, str]:
    source = own.get("source")
    if source:
        return str(source), str(own.get("release", "unknown"))
    named = record.get("primary_knowledge_source") or record.get("provided_by") or "unknown"
    named = named[0] if isinstance(named, list) else named
    return str(named).removeprefix("infores:"), "unknown"


def _term(record: Mapping[str, Any], at: str) -> Term:
    own = record.get("celloquy", {})
    category = next((Category(c) for c in record.get("category", ()) if c in _CATEGORIES), None)
    try:
        source, release = _origin(record, own)
        texts = record.get("synonym", [])
        scopes = own.get("scopes") or [_scope(record, text) for text in texts]
        term = Term(
            id=record["id"],
            label=record.get("name") or record["id"],
            category=category or Category.OTHER,
            source=source,
            release=release,
            definition=record.get("description", ""),
            definition_xrefs=tuple(own.get("definition_xrefs", ())),
            synonyms=tuple(Synonym(x, Scope(s)) for x, s in zip(texts, scopes, strict=True)),
            xrefs=tuple(record.get("xref", ())),
            obsolete=bool(record.get("deprecated", False)),
            replaced_by=own.get("replaced_by"),
            consider=tuple(own.get("consider", ())),
            taxon=_first(record.get("taxon") or record.get("in_taxon")),
        )
    except (KeyError, ValueError, TypeError, AttributeError) as error:
        raise BadFile(f"{at}: {error!r}; expected a KGX node with an id") from error
    if not is_curie(term.id):
        raise BadFile(f"{at}: {term.id!r} is no CURIE; expected an id such as CL:0000084")
    return term


def _edge(record: Mapping[str, Any], at: str) -> Edge | None:
    own = record.get("celloquy", {})
    try:
        predicate = biolink.from_biolink(
            record["predicate"],
            record.get("original_predicate", ""),
            record.get("object_direction_qualifier", ""),
        )
        if predicate is None:
            return None
        source, release = _origin(record, own)
        codes = [_CODES[eco] for eco in record.get("has_evidence", ()) if eco in _CODES]
        return Edge(
            subject=record["subject"],
            predicate=predicate,
            object=record["object"],
            source=source,
            release=release,
            evidence_code=own.get("evidence_code", codes[0] if codes else None),
            publications=tuple(record.get("publications", ())),
            negated=bool(record.get("negated", False)),
            qualifiers=tuple(own.get("qualifiers", ())),
            taxon=record.get("species_context_qualifier"),
            weight=own.get("weight"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise BadFile(
            f"{at}: {error!r}; expected a KGX edge with subject, predicate and object"
        ) from error


_CATEGORIES = frozenset(category.value for category in Category)


def _scope(record: Mapping[str, Any], text: str) -> str:
    named = (scope for scope, slot in _SLOTS.items() if text in record.get(slot, ()))
    return next(named, Scope.UNKNOWN).value


def _first(value: Any) -> Any:
    return value[0] if isinstance(value, list) and value else value or None
