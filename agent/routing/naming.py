"""Which terms a question names: grounded, with what ellipsis leaves out, less its own words.

Grounding (:mod:`kg.grounding`) reads names wherever they stand. Here the rest of the sentence has
its say: "GO" before "terms" is the ontology and no gene, a name that a human type shares with one
of the mouse alone is the human type's unless the mouse is spoken of. Knows no kind of question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from agent.routing.ellipsis import with_eponyms, with_heads, with_ones, with_root
from agent.routing.spoken import respelt
from kg.graph import KnowledgeGraph
from kg.grounding import FUNCTION_WORDS, candidates, ground
from kg.naming.mentions import Mention
from kg.naming.symbols import is_ordinary
from kg.terms import Category

__all__ = ["named_in"]

# Prefixes of ids in front of what ids are of: names of sources, whatever gene is called so too.
_SOURCE = re.compile(
    r"(?:GO|CL|HPO?|MONDO|UBERON|HGNC|MGI|MeSH)(?=[ -](?:terms?|annotations?|ids?|identifiers?|"
    r"categor(?:y|ies)|class(?:es)?|process(?:es)?|functions?|symbols?)\b)",
    re.IGNORECASE,
)
# The Cell Ontology's mark of a type that one species has.
_ONE_SPECIES = re.compile(r" \((?:Mmus|Hsap)\)$")
_ORGANISM = "NCBITaxon:"
# What a cell makes, and what has a job, is a gene's product, and may be named as one ("perforin").
_PRODUCT = re.compile(
    r"\b(?:makes?|making|secret(?:es?|ing)|produc(?:es?|ing)|releas(?:es?|ing)|synthesi[sz](?:es?|ing))"
    r"\s+(?P<made>[\w-]+)|\b(?:job|role|function|task|purpose) of\s+(?P<of>[\w-]+)"
    r"|\b(?P<by>[\w-]+)\s+(?:made|secreted|produced|released)\s+(?:by|in)\b",
    re.IGNORECASE,
)
_AS_WRITTEN = 0.9
"""Score of a name as written, from which a word is taken for a product's name."""


def named_in(
    question: str, graph: KnowledgeGraph, *, attached: bool
) -> tuple[str, tuple[Mention, ...], tuple[str, ...]]:
    """Find the terms that a question names.

    Parameters
    ----------
    question
        In words.
    graph
        Whose terms are meant.
    attached
        Whether cells are attached, which "these cells" then are.

    Returns
    -------
    question, mentions, notices
        The question as it was read, what it names, and what was assumed to read it so.
    """
    mentions: Sequence[Mention] = ground(question, graph)
    question, notices = respelt(question, mentions, graph)
    if notices:
        mentions = ground(question, graph)
    mentions = _without_sources(question, mentions)
    mentions = _with_products(question, mentions, graph)
    mentions = with_eponyms(question, mentions, graph)
    mentions = _of_any_species(mentions)
    mentions = with_heads(question, with_ones(question, mentions, graph), graph)
    if not attached:
        mentions = with_root(question, mentions, graph)
    return question, tuple(mentions), tuple(notices)


def _without_sources(question: str, mentions: Sequence[Mention]) -> tuple[Mention, ...]:
    spans = {match.span() for match in _SOURCE.finditer(question)}
    return tuple(mention for mention in mentions if (mention.start, mention.end) not in spans)


def _with_products(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> tuple[Mention, ...]:
    """Add the genes whose products are said to be made, where only their names say so."""
    found = list(mentions)
    for match in _PRODUCT.finditer(question):
        group = str(match.lastgroup)
        start, end = match.span(group)
        taken = any(m.start < end and start < m.end for m in mentions)
        if taken or is_ordinary(match[group]) or match[group].lower() in FUNCTION_WORDS:
            continue
        near = candidates(match[group], graph, categories=(Category.GENE,), limit=3)
        if near and near[0].score >= _AS_WRITTEN:
            found.append(Mention(match[group], start, end, tuple(near)))
    return tuple(sorted(found, key=lambda mention: mention.start))


def _of_any_species(mentions: Sequence[Mention]) -> tuple[Mention, ...]:
    """Types of one species behind the others, where no species is spoken of."""
    if any(mention.id.startswith(_ORGANISM) for mention in mentions):
        return tuple(mentions)
    return tuple(map(_wider_first, mentions))


def _wider_first(mention: Mention) -> Mention:
    if mention.category is not Category.CELL_TYPE or not _ONE_SPECIES.search(mention.label):
        return mention
    wide = [
        one
        for one in mention.candidates
        if one.category is Category.CELL_TYPE and not _ONE_SPECIES.search(one.label)
    ]
    if not wide:
        return mention
    notice = f"{mention.label} ({mention.id}), of one species, has that name too"
    first = replace(wide[0], notice=wide[0].notice or notice)
    rest = tuple(one for one in mention.candidates if one.id != first.id)
    return replace(mention, candidates=(first, *rest))
