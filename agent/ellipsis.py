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
from kg.grounding import candidates
from kg.mentions import Mention
from kg.terms import Category

__all__ = ["with_ones", "with_root"]

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
