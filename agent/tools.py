"""The typed tools that answer questions: each a function of term ids, with a name and a use.

The router picks tools by name and the model never does more than that: no tool takes a query in
any language, and none writes. :mod:`agent.structured` gives them to other agents.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from agent.facts import Facts, Found
from agent.kinds import (
    around,
    development,
    genes,
    hierarchy,
    linking,
    markers,
    places,
    predictions,
    relations,
    terms,
)
from kg.terms import Curie

__all__ = ["TOOLS", "Tool"]


_ANY = "CADHGPFLO"
_TERM = "CADHPFLO"


@dataclass(frozen=True, slots=True)
class Tool:
    """A kind of question.

    ``run`` takes the ids of as many terms as ``takes`` has entries; each entry lists the
    categories that fit, as letters of :data:`agent.routing.questions.LETTERS`.
    """

    name: str
    use: str
    run: Callable[..., Found]
    takes: tuple[str, ...] = (_ANY,)

    @property
    def arity(self) -> int:
        """How many terms it takes."""
        return len(self.takes)

    def __call__(self, facts: Facts, *ids: Curie) -> Found:
        """Run the tool on the terms of these ids."""
        return self.run(facts, *ids)


def _predicted(name: str, what: str) -> Tool:
    use = f"Known, then predicted {what} of gene A."
    return Tool(name, use, predictions.linked(name), ("G",))


def _tools(*tools: Tool) -> Mapping[str, Tool]:
    return MappingProxyType({tool.name: tool for tool in tools})


_TWO = (_ANY, _ANY)
_TERMS = (_TERM, _TERM)

TOOLS: Mapping[str, Tool] = _tools(
    Tool("is_a", "Whether every A is a B, with the path or the reason.", hierarchy.is_a, _TERMS),
    Tool("part_of", "Whether A is part of B.", hierarchy.part_of, _TERMS),
    Tool("related", "How A and B are related.", relations.related, _TWO),
    Tool("supertypes", "What A is a kind of.", hierarchy.supertypes, (_TERM,)),
    Tool("subtypes", "The kinds of A.", hierarchy.subtypes, (_TERM,)),
    Tool("siblings", "Other kinds of A's parents.", hierarchy.siblings, (_TERM,)),
    Tool("parts", "The parts of A.", hierarchy.parts, (_TERM,)),
    Tool("wholes", "What A is part of.", hierarchy.wholes, (_TERM,)),
    Tool("tissue", "Where in the body cell type A is found.", places.tissue, ("C",)),
    Tool("types_in", "The cell types of tissue A.", places.types_in, ("A",)),
    Tool("develops_into", "What cell type A develops into.", development.develops_into, ("CA",)),
    Tool("develops_from", "What cell type A develops from.", development.develops_from, ("CA",)),
    Tool(
        "does_develop",
        "Whether cell type A develops from B.",
        development.does_develop,
        ("CA", "CA"),
    ),
    Tool("definition", "What A is, by its source's definition.", terms.definition),
    Tool("names", "Other names of A.", terms.names),
    Tool("same", "Whether A and B are names of one term.", relations.same, _TWO),
    Tool("difference", "What distinguishes A from B.", markers.difference, _TWO),
    Tool("markers", "The markers of cell type A.", markers.markers, ("C",)),
    Tool("is_marker", "Whether gene A is a marker of cell type B.", markers.is_marker, ("G", "C")),
    Tool(
        "expresses",
        "Whether cell type A is recorded to express gene B.",
        markers.expresses,
        ("C", "G"),
    ),
    Tool(
        "why_expresses",
        "Whether cell type A is recorded to express gene B, and what the gene does.",
        markers.why_expresses,
        ("C", "G"),
    ),
    Tool(
        "kinds_expressing",
        "The kinds of cell type A that gene B is a listed marker of.",
        markers.kinds_expressing,
        ("C", "G"),
    ),
    Tool("marked_types", "The cell types that gene A marks.", markers.marked_types, ("G",)),
    Tool("function", "What gene A does.", genes.function, ("G",)),
    Tool("gene_in_type", "What gene A does in cell type B.", genes.gene_in_type, ("G", "C")),
    Tool("location", "Where in the cell gene A's product is.", genes.location, ("G",)),
    Tool("types_of_gene", "The cell types that gene A is tied to.", genes.types_of_gene, ("G",)),
    Tool("surroundings", "Gene A's neighbours in the graph.", around.surroundings, ("G",)),
    Tool("partners", "The interaction partners of gene A.", genes.partners, ("G",)),
    Tool("receptors", "The receptors that ligand A is paired with.", genes.receptors, ("G",)),
    Tool("ligands", "The ligands that receptor A is paired with.", genes.ligands, ("G",)),
    Tool("diseases", "The diseases that gene A is associated with.", genes.diseases, ("G",)),
    Tool("phenotypes", "The phenotypes of disease A.", genes.phenotypes, ("D",)),
    Tool("orthologues", "Gene A's orthologues.", genes.orthologues, ("G",)),
    Tool("annotated", "Whether gene A is annotated to term B.", genes.annotated, ("G", "PFLD")),
    Tool("genes_of", "The genes annotated to term A.", genes.genes_of, (_TERM,)),
    Tool("genes_linking", "The genes tied to both A and B.", linking.genes_linking, _TERMS),
    Tool("holds", "Which relations join A and B directly.", relations.holds, _TWO),
    Tool("count_subtypes", "How many kinds A has.", relations.count_subtypes, (_TERM,)),
    Tool("count_supertypes", "How many parents A has.", relations.count_supertypes, (_TERM,)),
    Tool("count_markers", "How many markers cell type A has.", relations.count_markers, ("C",)),
    Tool("count_genes", "How many genes are annotated to A.", relations.count_genes, (_TERM,)),
    Tool(
        "count_processes",
        "How many processes gene A takes part in.",
        relations.count_processes,
        ("G",),
    ),
    Tool(
        "compare_subtypes", "Which of A and B has more kinds.", relations.compare_subtypes, _TERMS
    ),
    Tool(
        "compare_markers",
        "Which of cell types A and B has more markers.",
        relations.compare_markers,
        ("C", "C"),
    ),
    Tool(
        "negative_regulators",
        "What regulates process A negatively.",
        relations.negative_regulators,
        ("P",),
    ),
    Tool(
        "positive_regulators",
        "What regulates process A positively.",
        relations.positive_regulators,
        ("P",),
    ),
    Tool(
        "genes_regulating",
        "The genes annotated to the regulation of process A.",
        relations.genes_regulating,
        ("P",),
    ),
    Tool("regulators", "What regulates process A.", relations.regulators, ("P",)),
    Tool("regulated", "What process A regulates.", relations.regulated, ("P",)),
    Tool("capabilities", "What cell type A is capable of.", relations.capabilities, ("C",)),
    Tool("capable", "The cell types capable of process A.", relations.capable, ("PF",)),
    _predicted("predicted_processes", "processes"),
    _predicted("predicted_functions", "functions"),
    _predicted("predicted_locations", "locations"),
    _predicted("predicted_diseases", "diseases"),
    _predicted("predicted_phenotypes", "phenotypes"),
    _predicted("predicted_types", "cell types"),
    Tool("knockout", "What a knock-out of gene A changes.", predictions.no_screen, ("G",)),
)
"""The tools by name."""
