"""Celloquy's relations and sources in the words of the Biolink model, for exchange.

Biolink 4.4.6 (https://biolink.github.io/biolink-model/) names fewer relations than the Relation
Ontology; where it has no equal, the nearest broader predicate stands and the exact one goes into
``original_predicate``. Sources have an id in the Information Resource Registry
(https://github.com/biolink/information-resource-registry) or none: no id is made up.
"""

from __future__ import annotations

from collections.abc import Mapping

from kg import terms as t
from kg.terms import Curie, Edge

__all__ = ["INFORES", "PREDICATE", "agent", "from_biolink", "qualifiers"]

PREDICATE: Mapping[Curie, Curie] = {
    t.IS_A: "biolink:subclass_of",
    t.PART_OF: "biolink:part_of",
    t.IS_A_OR_PART_OF: "biolink:related_to",
    t.HAS_PART: "biolink:has_part",
    t.DEVELOPS_FROM: "biolink:develops_from",
    t.CAPABLE_OF: "biolink:capable_of",
    t.REGULATES: "biolink:regulates",
    t.NEGATIVELY_REGULATES: "biolink:regulates",
    t.POSITIVELY_REGULATES: "biolink:regulates",
    t.HAS_PLASMA_MEMBRANE_PART: "biolink:has_plasma_membrane_part",
    t.LACKS_PLASMA_MEMBRANE_PART: "biolink:lacks_part",
    t.LACKS_PART: "biolink:lacks_part",
    t.HAS_HIGH_PLASMA_MEMBRANE_AMOUNT: "biolink:has_increased_amount",
    t.HAS_LOW_PLASMA_MEMBRANE_AMOUNT: "biolink:has_decreased_amount",
    t.INVOLVED_IN: "biolink:actively_involved_in",
    t.ENABLES: "biolink:enables",
    t.CONTRIBUTES_TO: "biolink:contributes_to",
    t.COLOCALIZES_WITH: "biolink:colocalizes_with",
    t.LOCATED_IN: "biolink:located_in",
    t.EXPRESSES: "biolink:expresses",
    t.INTERACTS_WITH: "biolink:directly_physically_interacts_with",
    t.GENE_DISEASE: t.GENE_DISEASE,
    t.HAS_PHENOTYPE: "biolink:has_phenotype",
    t.ORTHOLOGOUS_TO: t.ORTHOLOGOUS_TO,
    # Biolink's biomarker_for is about diseases, its mentions about publications.
    t.MARKER_OF: "biolink:related_to",
    t.MENTIONS: "biolink:related_to",
}
"""Predicate of the closed table to Biolink's."""

INFORES: Mapping[str, Curie] = {
    "CL": "infores:cl",
    "CL-2014": "infores:cl",
    "CL-OBO": "infores:cl",
    "UBERON": "infores:uberon",
    "MONDO": "infores:mondo",
    "GO": "infores:go",
    "GOA-human": "infores:goa",
    "GOA-mouse": "infores:goa",
    "HGNC": "infores:hgnc",
    "MGI": "infores:mgi",
    "HPO": "infores:hpo-annotations",
    "HPO-phenotypes": "infores:hpo-annotations",
}
"""Source to its id in the registry; the others are not registered."""

_DIRECTION = {t.NEGATIVELY_REGULATES: "downregulated", t.POSITIVELY_REGULATES: "upregulated"}
_ONTOLOGIES = frozenset({"CL", "CL-2014", "CL-OBO", "UBERON", "MONDO", "GO"})


def qualifiers(predicate: Curie) -> dict[str, str]:
    """Biolink's qualifiers that a predicate needs beside :data:`PREDICATE`."""
    direction = _DIRECTION.get(predicate)
    if direction is None:
        return {}
    return {"object_aspect_qualifier": "activity", "object_direction_qualifier": direction}


def agent(edge: Edge) -> tuple[str, str]:
    """``knowledge_level`` and ``agent_type``, as far as the source tells."""
    if edge.predicate == t.MENTIONS:
        return "prediction", "automated_agent"
    if edge.evidence_code == "IEA":
        return "not_provided", "automated_agent"
    if edge.evidence_code or edge.source in _ONTOLOGIES:
        return "knowledge_assertion", "manual_agent"
    return "not_provided", "not_provided"


def from_biolink(predicate: Curie, original: Curie = "", direction: str = "") -> Curie | None:
    """Return the predicate of the closed table that a record means, or None.

    Where several share one Biolink predicate, the first of :data:`PREDICATE` (the broadest) is
    meant, but ``related_to`` says nothing and gives None.
    """
    if original in t.PREDICATES:
        return original
    if predicate in t.PREDICATES:
        return predicate
    if predicate == "biolink:regulates" and direction:
        meant = [ours for ours, words in _DIRECTION.items() if words == direction]
        return meant[0] if meant else t.REGULATES
    if predicate in ("biolink:related_to", "biolink:lacks_part"):
        return t.LACKS_PART if predicate == "biolink:lacks_part" else None
    return next((ours for ours, theirs in PREDICATE.items() if theirs == predicate), None)
