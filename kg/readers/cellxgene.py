"""CL, UBERON and MONDO from the JSON files of the CELLxGENE ontology guide.

The files (``NAME-ontology-VERSION.json.zst``) hold one object: term id to ``label``,
``description``, exact ``synonyms``, ``deprecated``, ``replaced_by``, ``consider`` and
``ancestors`` with their distances. Only ancestors at distance 1 are statements of the ontology
and become edges. Not in the files, and so not known here: other relations (develops from, capable
of), synonym scopes beyond exact, cross-references, the references of definitions. The files'
``comments`` are editors' notes and are not read.

What distance 1 means differs by ontology:

* CL, MONDO: *is a*, but for the few pairs of CL in :data:`PART_OF_PAIRS`.
* UBERON: *is a* and *part of* mixed without a label. Neither is claimed: such edges carry
  :data:`kg.terms.IS_A_OR_PART_OF`.

See https://github.com/chanzuckerberg/cellxgene-ontology-guide.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from data.errors import BadFile
from kg.readers.source import Loaded
from kg.terms import (
    IS_A,
    IS_A_OR_PART_OF,
    PART_OF,
    Category,
    Curie,
    Edge,
    Release,
    Synonym,
    Term,
    is_curie,
)

__all__ = ["PART_OF_PAIRS", "read_cellxgene"]

PART_OF_PAIRS = frozenset(
    {
        ("CL:0002453", "CL:0000125"),  # oligodendrocyte precursor cell - glial cell
        ("CL:4052024", "CL:0008046"),  # myotendinous junction nucleus - extrafusal muscle fiber
        ("CL:4052025", "CL:0008046"),  # neuromuscular junction nucleus - extrafusal muscle fiber
    }
)
"""Pairs at distance 1 that the ontology's own OBO states as part of, not as is a.

Found by comparing CL 2026-03-26 with the CL terms of GO's import file of 2026-06-29, which holds
1,952 of its 4,633 pairs with their relations.
"""

_CATEGORY: Mapping[str, Category] = {
    "CL": Category.CELL_TYPE,
    "UBERON": Category.ANATOMY,
    "MONDO": Category.DISEASE,
}
_MIXED = frozenset({"UBERON"})
_NAME = re.compile(r"(?P<ontology>[A-Za-z]+)-ontology-(?P<version>[^/]+?)\.json(\.zst)?")
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")


def read_cellxgene(path: Path, release: Release | None = None) -> Loaded:
    """Read one ontology; its name and version stand in the file's name.

    ``release`` gives what the file does not say: licence and citation.

    Raises
    ------
    BadFile
        When the file has another name, is not such JSON, or a term refers to one that the file
        does not hold.
    """
    named = _NAME.fullmatch(path.name)
    if named is None or named["ontology"] not in _CATEGORY:
        raise BadFile(
            f"{path.name} is not named as an ontology of the CELLxGENE guide; expected "
            f"{{{','.join(_CATEGORY)}}}-ontology-VERSION.json.zst"
        )
    ontology, version = named["ontology"], named["version"]
    date = _DATE.search(version)
    release = replace(
        release or Release(ontology, version),
        source=ontology,
        version=version,
        date=date[0] if date else "",
    )
    document = _decode(path)
    terms = []
    edges: list[Edge] = []
    unnamed = 0
    for key, entry in document.items():
        terms.append(_term(key, entry, release, path))
        unnamed += not entry["label"]
        edges.extend(_edges(key, entry, release, document, path))
    notices = []
    if unnamed:
        notices.append(f"{ontology}: {unnamed} obsolete terms have no label; their id stands in")
    if ontology in _MIXED:
        notices.append(f"{ontology}: {len(edges)} edges are 'is a or part of': the file mixes both")
    return Loaded(release, tuple(terms), tuple(edges), tuple(notices))


def _decode(path: Path) -> dict[Curie, dict[str, Any]]:
    import zstandard

    try:
        with path.open("rb") as raw:
            if path.suffix == ".zst":
                with zstandard.ZstdDecompressor().stream_reader(raw) as stream:
                    document = json.loads(stream.read())
            else:
                document = json.loads(raw.read())
    except (ValueError, zstandard.ZstdError) as error:
        raise BadFile(f"{path} is not compressed JSON ({error}); fetch it again") from error
    if not isinstance(document, dict) or not document:
        raise BadFile(f"{path} holds no terms; expected an object of term ids")
    return document


def _term(id: Curie, entry: Mapping[str, Any], release: Release, path: Path) -> Term:
    if not is_curie(id) or not isinstance(entry, dict) or _KEYS - entry.keys():
        raise BadFile(
            f"{path}: the entry {id!r} is not a term; expected a CURIE with {sorted(_KEYS)}"
        )
    obsolete = bool(entry["deprecated"])
    if not entry["label"] and not obsolete:
        raise BadFile(f"{path}: the term {id} is in use but has no label")
    return Term(
        id=id,
        label=entry["label"] or id,
        category=_CATEGORY[release.source],
        source=release.source,
        release=release.version,
        definition=entry.get("description", ""),
        synonyms=tuple(Synonym(text) for text in dict.fromkeys(entry.get("synonyms", ()))),
        obsolete=obsolete,
        replaced_by=entry.get("replaced_by") or None,
        consider=tuple(entry.get("consider", ())),
    )


_KEYS = frozenset({"label", "deprecated", "ancestors"})


def _edges(
    id: Curie,
    entry: Mapping[str, Any],
    release: Release,
    document: Mapping[Curie, object],
    path: Path,
) -> Iterator[Edge]:
    for parent, distance in entry["ancestors"].items():
        if parent not in document:
            raise BadFile(f"{path}: {id} has the ancestor {parent}, which the file does not hold")
        if distance != 1:
            continue
        predicate = IS_A_OR_PART_OF if release.source in _MIXED else IS_A
        if (id, parent) in PART_OF_PAIRS:
            predicate = PART_OF
        yield Edge(id, predicate, parent, release.source, release.version)
