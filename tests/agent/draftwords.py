"""How people write what the verifier checks: wordings of relations, denials, leads and tails.

Written down as people write, not taken from :mod:`agent.verification.phrases`.
"""

from __future__ import annotations

from kg import terms as t
from kg.terms import Curie

WORDINGS: dict[Curie, tuple[str, ...]] = {
    t.IS_A: (
        "{s} is a {o}",
        "{s} is a kind of {o}",
        "{s} is a type of {o}",
        "Every {s} is a {o}",
        "{s} belongs to the class of {o}",
        "{s} is classified as {o}",
        "{s} is a subtype of {o}",
        "{s} falls under {o}",
        "{o} includes {s}",
        "{o} is the parent of {s}",
        "The subtypes of {o} include {s}",
        "One kind of {o} is {s}",
        "{s}, a kind of {o}",
    ),
    t.PART_OF: ("{s} is part of {o}", "{s} is a part of the {o}", "{s} forms part of {o}"),
    t.DEVELOPS_FROM: (
        "{s} develops from {o}",
        "{s} is derived from {o}",
        "{o} gives rise to {s}",
        "{o} develops into {s}",
        "{s} arises from the {o}",
        "The precursor of {s} is {o}",
        "{o} is a precursor of {s}",
        "{o} differentiates into {s}",
    ),
    t.INVOLVED_IN: (
        "{s} is involved in {o}",
        "{s} takes part in {o}",
        "{s} participates in {o}",
        "The gene {s} plays a role in {o}",
        "{s} has a role in {o}",
        "{s} is annotated to {o}",
        "{o} involves {s}",
    ),
    t.ENABLES: (
        "{s} enables {o}",
        "{s} has {o}",
        "{s} has the molecular function {o}",
        "The product of {s} enables {o}",
        "{o} is enabled by {s}",
        "{s} is annotated with {o}",
    ),
    t.LOCATED_IN: (
        "{s} is located in the {o}",
        "{s} is found in {o}",
        "{s} localizes to the {o}",
        "The protein {s} is present in {o}",
        "{s} is localised to {o}",
    ),
    t.INTERACTS_WITH: (
        "{s} interacts with {o}",
        "{s} binds {o}",
        "{o} interacts with {s}",
        "{s} is an interaction partner of {o}",
        "{s} and {o} interact",
    ),
    t.MARKER_OF: (
        "{s} is a marker of {o}",
        "{s} is a marker for {o}",
        "{s} marks {o}",
        "{o} is marked by {s}",
        "A marker of {o} is {s}",
        "The markers of {o} include {s}",
        "{o} has the marker {s}",
        "{s} serves as a marker of {o}",
    ),
    t.GENE_DISEASE: (
        "{s} is associated with {o}",
        "{s} is linked to {o}",
        "{o} is associated with {s}",
        "The gene {s} is associated with the disease {o}",
    ),
    t.ORTHOLOGOUS_TO: (
        "{s} is orthologous to {o}",
        "{s} is an orthologue of {o}",
        "{o} is the orthologue of {s}",
        "The ortholog of {s} is {o}",
    ),
    t.MENTIONS: ("{s} mentions {o}", "{s} names {o}", "{o} is named in {s}"),
    t.POSITIVELY_REGULATES: ("{s} positively regulates {o}", "{s} promotes {o}"),
    t.NEGATIVELY_REGULATES: ("{s} negatively regulates {o}", "{s} inhibits {o}"),
    t.REGULATES: ("{s} regulates {o}", "{o} is regulated by {s}"),
}
DENIALS: dict[Curie, tuple[str, ...]] = {
    t.INVOLVED_IN: ("{s} is not involved in {o}", "{s} does not take part in {o}"),
    t.ENABLES: ("{s} does not enable {o}", "{s} does not have {o}"),
    t.LOCATED_IN: ("{s} is not located in {o}", "{s} is not found in {o}"),
}
LEADS = (
    "",
    "",
    "",
    "",
    "According to {source}, ",
    "In {source} {release}, ",
    "{source} states that ",
)
TAILS = ("", "", "", "", " ({code})", " ({pmids})", " ({code}, {pmids})", " [{source} {release}]",
         " (according to {source} {release})", " in {organism}")  # fmt: skip
ORGANISM = {"NCBITaxon:9606": ("humans", "human"), "NCBITaxon:10090": ("mice", "mouse")}
