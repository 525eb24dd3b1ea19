"""An annotation as Cell Annotation Schema JSON, for the tools and portals that exchange it.

Follows the general schema of the Cell Annotation Schema, release 1.1.0
(https://github.com/cellannotation/cell-annotation-schema): a labelset for the cells' own answers
and, with clusters, one for their votes; each answer with its cells, its Cell Ontology term, the
marker genes that speak for it as they are called in the dataset, and a rationale in words. The
schema asks for an author, which no program knows: it says Celloquy, and is for the user to change.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.result import UNKNOWN_LABEL, Annotation, MarkerEvidence, TermSummary
from agent.verification.wording import many
from kg.backoff import UNKNOWN

__all__ = ["SCHEMA_VERSION", "cas_document"]

SCHEMA_VERSION = "1.1.0"

MOST_TITLE, MOST_RATIONALE = 200, 2000  # letters, as the schema limits them


def cas_document(
    found: Annotation,
    cell_names: Sequence[str] | NDArray[Any],
    *,
    title: str | None = None,
    key: str = "celloquy",
) -> dict[str, Any]:
    """Give the document of an annotation.

    Parameters
    ----------
    found
        The annotation.
    cell_names
        The names of its cells, in order.
    title
        Of the dataset; the name of its file where not given.
    key
        Beginning of the columns' names.
    """
    names = np.asarray(cell_names, dtype=object)
    about = found.about
    own = f"{key}_cell_type"
    labelsets = [_labelset(own, "the deepest term that each cell's markers support", found)]
    annotations = _annotations(found, own, found.term, names)
    if found.clusters is not None:
        voted = f"{key}_cluster_cell_type"
        text = f"votes of the groups of {found.clusters.key}; surely other cells keep their own"
        labelsets.append(_labelset(voted, text, found))
        annotations += _annotations(found, voted, found.cluster_answers()[0], names)
    releases = ", ".join(f"{name} {version}" for name, version in about.releases.items())
    return {
        "title": (title or Path(about.source).stem)[:MOST_TITLE],
        "description": f"{many(found.n_cells, f'{about.species} cell')} annotated by Celloquy "
        f"{about.version} from {about.layer_used}; {releases}",
        "author_name": "Celloquy",
        "cellannotation_schema_version": SCHEMA_VERSION,
        "cellannotation_timestamp": datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "cellannotation_version": about.version,
        "labelsets": labelsets,
        "annotations": annotations,
    }


def _labelset(name: str, text: str, found: Annotation) -> dict[str, Any]:
    about = found.about
    return {
        "name": name,
        "description": f"Celloquy {about.version}, {about.encoder} {about.sha256[:12]}: {text}",
        "annotation_method": "algorithmic",
    }


def _annotations(
    found: Annotation, labelset: str, term: NDArray[np.int32], names: NDArray[np.object_]
) -> list[dict[str, Any]]:
    by_id = {one.id: one for one in found.summaries}
    rows = []
    places, counts = np.unique(term, return_counts=True)
    for place in places[np.lexsort((places, -counts))]:
        here = term == place
        cells = [str(name) for name in names[here]]
        if place == UNKNOWN:
            rows.append(_unknown(found, labelset, here, cells))
            continue
        id, label = found.hierarchy.ids[place], found.hierarchy.labels[place]  # noqa: A001
        row: dict[str, Any] = {
            "labelset": labelset,
            "cell_label": label,
            "cell_fullname": label,
            "cell_ontology_term_id": id,
            "cell_ontology_term": label,
            "cell_ids": cells,
        }
        one = by_id.get(id)
        if one is not None:
            row["rationale"] = _rationale(one, found)[:MOST_RATIONALE]
            row["marker_gene_evidence"] = [m.name for m in one.supporting]
            row["author_annotation_fields"] = {
                "confidence": f"{one.confidence:.4f}",
                "depth": str(one.depth),
                "markers_against": ", ".join(m.name for m in one.against),
            }
        rows.append(row)
    return rows


def _unknown(
    found: Annotation, labelset: str, here: NDArray[np.bool_], cells: list[str]
) -> dict[str, Any]:
    places, counts = np.unique(found.reason[here], return_counts=True)
    said = [
        f"{found.reasons[p]} ({many(int(n), 'cell')})" for p, n in zip(places, counts, strict=True)
    ]
    return {
        "labelset": labelset,
        "cell_label": UNKNOWN_LABEL,
        "cell_fullname": UNKNOWN_LABEL,
        "cell_ids": cells,
        "rationale": "; ".join(said)[:MOST_RATIONALE],
    }


def _rationale(one: TermSummary, found: Annotation) -> str:
    text = f"{many(one.n_cells, 'cell')}, mean confidence {one.confidence:.2f}"
    if one.supporting:
        text += ". For, detected in % of these cells / % of all others: "
        text += ", ".join(_marker(m) for m in one.supporting)
    if one.against:
        text += ". Against: " + ", ".join(f"{m.role} {_marker(m)}" for m in one.against)
    if one.novelty is not None:
        text += f". None of its known subtypes stands out; nearest: {one.nearest_label}"
    sources = sorted({source for m in one.supporting for source in m.sources})
    release = found.about.releases.get("CL", "")
    return f"{text}. Cell Ontology {release}; markers: {', '.join(sources) or 'none'}"


def _marker(one: MarkerEvidence) -> str:
    return f"{one.gene} {one.inside:.0%}/{one.outside:.0%}".replace("%/", "/")
