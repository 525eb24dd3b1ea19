"""The typed tools that answer questions: each a function of term ids, with a name and a use.

The router picks tools by name and the model never does more than that: no tool takes a query in
any language, and none writes. :func:`structured` gives them to other agents as LangChain tools.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from agent.facts import Facts, Found
from agent.kinds import development, genes, hierarchy, markers, relations, terms
from kg.terms import Curie

__all__ = ["TOOLS", "Tool"]


@dataclass(frozen=True, slots=True)
class Tool:
    """A kind of question: ``run`` takes as many term ids as it has ``arity``."""

    name: str
    use: str
    run: Callable[..., Found]
    arity: int

    def __call__(self, facts: Facts, *ids: Curie) -> Found:
        """Run the tool on the terms of these ids."""
        return self.run(facts, *ids)


def _tools(*tools: Tool) -> Mapping[str, Tool]:
    return MappingProxyType({tool.name: tool for tool in tools})


TOOLS: Mapping[str, Tool] = _tools(
    Tool("is_a", "Whether every A is a B, with the path or the reason", hierarchy.is_a, 2),
    Tool("part_of", "Whether A is part of B", hierarchy.part_of, 2),
    Tool("related", "How two terms are related", relations.related, 2),
    Tool("supertypes", "What A is a kind of", hierarchy.supertypes, 1),
    Tool("subtypes", "The kinds of A", hierarchy.subtypes, 1),
    Tool("siblings", "Other kinds of A's parents", hierarchy.siblings, 1),
    Tool("parts", "The parts of A", hierarchy.parts, 1),
    Tool("wholes", "What A is part of", hierarchy.wholes, 1),
    Tool("develops_into", "What A develops into", development.develops_into, 1),
    Tool("develops_from", "What A develops from", development.develops_from, 1),
    Tool("does_develop", "Whether A develops from B", development.does_develop, 2),
    Tool("definition", "What A is, by its source's definition", terms.definition, 1),
    Tool("names", "Other names of A", terms.names, 1),
    Tool("difference", "What distinguishes A from B", markers.difference, 2),
    Tool("markers", "The markers of a cell type", markers.markers, 1),
    Tool("is_marker", "Whether gene A is a marker of type B", markers.is_marker, 2),
    Tool("marked_types", "The types that gene A marks", markers.marked_types, 1),
    Tool("function", "What gene A does", genes.function, 1),
    Tool("gene_in_type", "What gene A does in cell type B", genes.gene_in_type, 2),
    Tool("location", "Where in the cell gene A's product is", genes.location, 1),
    Tool("types_of_gene", "The cell types that gene A is tied to", genes.types_of_gene, 1),
    Tool("partners", "The interaction partners of gene A", genes.partners, 1),
    Tool("diseases", "The diseases that gene A is associated with", genes.diseases, 1),
    Tool("phenotypes", "The phenotypes of disease A", genes.phenotypes, 1),
    Tool("orthologues", "Gene A's orthologues", genes.orthologues, 1),
    Tool("annotated", "Whether gene A is annotated to term B", genes.annotated, 2),
    Tool("genes_of", "The genes annotated to term A", genes.genes_of, 1),
    Tool("genes_linking", "The genes tied to both A and B", genes.genes_linking, 2),
    Tool("holds", "Whether any relation joins A and B directly", relations.holds, 2),
    Tool("count_subtypes", "How many kinds A has", relations.count_subtypes, 1),
    Tool("count_supertypes", "How many parents A has", relations.count_supertypes, 1),
    Tool("count_markers", "How many markers are listed for A", relations.count_markers, 1),
    Tool("count_genes", "How many genes are annotated to A", relations.count_genes, 1),
    Tool(
        "count_processes", "How many processes gene A takes part in", relations.count_processes, 1
    ),
    Tool("compare_subtypes", "Which of A and B has more kinds", relations.compare_subtypes, 2),
    Tool("compare_markers", "Which of A and B has more markers", relations.compare_markers, 2),
    Tool("regulators", "What regulates process A", relations.regulators, 1),
    Tool("regulated", "What process A regulates", relations.regulated, 1),
    Tool("capabilities", "What cell type A is capable of", relations.capabilities, 1),
    Tool("capable", "The cell types capable of process A", relations.capable, 1),
)
