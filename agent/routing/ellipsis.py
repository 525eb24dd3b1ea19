"""What a question leaves out: "CD8 memory T cells from naive ones" names naive CD8 T cells.

The word before "ones" takes the place of each word of the name before, and the first text that
names another term of the same category is what was meant. And what grounding leaves out: "a cell"
at a question's end is the root of the cell types, elsewhere it is only a word. Knows no kind of
question.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from kg.graph import KnowledgeGraph
from kg.grounding import FUNCTION_WORDS, candidates
from kg.naming.lexicon import normalise
from kg.naming.mentions import Mention
from kg.terms import Category

__all__ = ["with_eponyms", "with_heads", "with_ones", "with_root"]

_ONES = re.compile(r"\b(?:the\s+)?([\w+-]+)\s+ones?\b", re.IGNORECASE)
_ROOT = re.compile(r"\bcells?\b(?! types?\b| class)", re.IGNORECASE)
_WHETHER = re.compile(r"(?:is|are|do|does|can|would|could)\b", re.IGNORECASE)
_NO_MODIFIER = frozenset({"which", "the", "these", "those", "other", "that", "this", "what"})


def with_ones(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> tuple[Mention, ...]:
    """Add a mention for each "naive ones" that a mention before it explains."""
    found = list(mentions)
    for match in _ONES.finditer(question):
        before = [m for m in mentions if m.end <= match.start()]
        inside = any(m.start < match.end() and match.start() < m.end for m in mentions)
        if not before or inside or match[1].lower() in _NO_MODIFIER:
            continue
        if meant := _meant(match[1], before[-1], graph):
            text = question[match.start() : match.end()]
            found.append(Mention(text, match.start(), match.end(), meant.candidates))
    return tuple(sorted(found, key=lambda m: m.start))


# "Alzheimer's" alone: a disease is called by who described it, and "disease" is left out.
_EPONYM = re.compile(
    r"\b[A-Z][a-z]{3,}(?:-[A-Z][a-z]+)?['\u2019]s\b(?= (?:and|or|in|with|is)\b|\W*$)"
)


def with_eponyms(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> tuple[Mention, ...]:
    """Add a mention for each "Alzheimer's" that a disease is named after, "disease" left out."""
    found = list(mentions)
    for match in _EPONYM.finditer(question):
        if any(m.start < match.end() and match.start() < m.end for m in mentions):
            continue
        name = f"{match[0]} disease"
        near = candidates(name, graph, categories=(Category.DISEASE,), limit=3)
        if near and near[0].score >= _AS_WRITTEN:
            found.append(Mention(match[0], match.start(), match.end(), tuple(near)))
    return tuple(sorted(found, key=lambda m: m.start))


# "naive and a memory B cell": the word before the joint lacks the noun behind it.
_JOINED = re.compile(
    r"(?P<word>[\w+-]+)\s+(?:and|or|from|versus|vs\.?|to|than|with)\s+(?:an?\s+|the\s+)?$",
    re.IGNORECASE,
)


def with_heads(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> tuple[Mention, ...]:
    """Add a mention for each "naive" of "naive and memory B cells"; "CD4 and CD8 T cells" too."""
    found = list(mentions)
    for model in mentions:
        match = _JOINED.search(question[: model.start])
        if match is None or model.category is not Category.CELL_TYPE:
            continue
        start, end = match.span("word")
        here = [m for m in mentions if m.start < end and start < m.end]
        alone = [m for m in here if (m.start, m.end) == (start, end)]
        if here != alone or any(m.category is not Category.GENE for m in alone):
            continue
        if match["word"].lower() in _NO_MODIFIER | FUNCTION_WORDS:
            continue
        meant = _meant(match["word"], model, graph)
        # A gene's name is left one, unless what it makes is as surely a type as what follows.
        least = min(model.score, _AS_WRITTEN) if not alone else model.score
        if meant and meant.score >= least and _holds(meant, match["word"]):
            found = [m for m in found if m not in alone]
            found.append(Mention(match["word"], start, end, meant.candidates))
    return tuple(sorted(found, key=lambda m: m.start))


def _holds(meant: Mention, word: str) -> bool:
    """Whether the word is in the name that was met: "derived B cells" are only B cells."""
    name = normalise(f"{meant.best.matched} {meant.label}").split()
    return normalise(word) in name


_AS_WRITTEN = 0.9
"""Score of a name as written, from which an ellipsis is filled in."""


def with_root(
    question: str, mentions: Sequence[Mention], graph: KnowledgeGraph
) -> Sequence[Mention]:
    """Add a mention of the root where a yes-no question sets a term beside "a cell"."""
    match = next(
        (
            found
            for found in _ROOT.finditer(question)
            if not any(m.start < found.end() and found.start() < m.end for m in mentions)
        ),
        None,
    )
    if match is None or len(mentions) != 1 or not _WHETHER.match(question):
        return mentions
    found = candidates("cell", graph, categories=(Category.CELL_TYPE,), limit=1)
    if not found:
        return mentions
    root = Mention(match[0], match.start(), match.end(), found)
    return tuple(sorted((*mentions, root), key=lambda mention: mention.start))


def _meant(modifier: str, model: Mention, graph: KnowledgeGraph) -> Mention | None:
    words = model.text.split()
    texts = [" ".join([*words[:i], modifier, *words[i + 1 :]]) for i in range(len(words) - 1)]
    # The modifier may also stand in front of a name that has none of its kind.
    texts.append(f"{modifier} {model.text}")
    best: Mention | None = None
    for text in texts:
        near = candidates(text, graph, categories=(model.category,), limit=3)
        near = tuple(c for c in near if c.id != model.id)
        if near and (best is None or near[0].score > best.score):
            best = Mention(text, 0, len(text), near)
    return best
