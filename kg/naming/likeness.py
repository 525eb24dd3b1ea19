"""The names that a label most likely means when none of them is what it says word by word.

Names are compared as bags of weighted words (:mod:`kg.naming.vocabulary`). A likeness counts only
where no type is lost or invented on the way: a label that says *paneth* means no other cell, and
one that does not say *dendritic* means no dendritic cell, unless the ontology itself makes the one
a kind of the other. Among a term and its subtypes that fit alike, the term itself is meant.
"""

from __future__ import annotations

from dataclasses import replace

from kg.graph import KnowledgeGraph
from kg.naming.abbreviations import expand
from kg.naming.lexicon import normalise
from kg.naming.mentions import SCOPE_SCORE, Candidate, How
from kg.naming.variants import LINEAGE_LETTERS, MARKER
from kg.naming.vocabulary import Match, Vocabulary, bag, vocabulary
from kg.terms import Category, Curie, Scope

__all__ = ["alike"]

LEAST = 0.62
"""Least balance of shared weight at which a name is taken to be meant; set by hand on labels of
published datasets other than those that it is measured on."""

_ALL = 0.999
_MOST = 30  # names weighed against each other
_NARROWER = 0.2  # how much better a subtype's name may fit and still give way to its supertype
_ONE_WORD = 0.75
_APART = 0.04  # by how much the best name must stand before the next unrelated one
_DENIALS = frozenset({"non", "not", "like", "negative", "without"})
# A part of an organ stands for the cells that line it ("proximal tubule").
_LININGS = frozenset({"epithelium", "endothelium", "mesothelium"})


def alike(
    label: str,
    graph: KnowledgeGraph,
    category: Category,
    *,
    least: float = LEAST,
    how: How = "words",
) -> list[Candidate]:
    """Rank the terms whose names share most of their weight with a label.

    Parameters
    ----------
    label
        A cleaned label.
    graph, category
        The names to compare with.
    least
        Least balance of the shared weight.
    how
        What the candidates say of how they were found.

    Returns
    -------
    list of Candidate
        Best first. Where several unrelated names fit alike, all of them with a low score.
    """
    names = vocabulary(graph, category)
    words = normalise(label).split()
    long = [w for word in words for w in expand(word)]
    # A short word may stand in the name as it is ("L2/3 IT"), or written out.
    readings = dict.fromkeys((bag(_complete(words)), bag(_complete(long))))
    matches = [m for forms in readings for m in _near(forms, names, graph, least)]
    matches.sort(key=lambda m: -m.balance)
    chosen = _unrelated(matches, graph)
    unclear = len(chosen) > 1 and chosen[0].balance - chosen[1].balance < _APART
    return [_candidate(match, graph, 0.7 if unclear else 1.0, how) for match in chosen]


def _complete(words: list[str]) -> list[str]:
    # A lineage letter may lack its noun ("B naive").
    return [*words, "cell"] if LINEAGE_LETTERS & set(words) and "cell" not in words else words


def _near(
    forms: tuple[str, ...], names: Vocabulary, graph: KnowledgeGraph, least: float
) -> list[Match]:
    """Names enough alike that keep the types that the words say."""
    # One word is little to go by.
    least = max(least, _ONE_WORD) if len(set(forms) - {"cell"}) < 2 else least
    near = [match for match in names.matches(forms) if match.balance >= least]
    kept = [_types_kept(match, frozenset(forms), names, graph) for match in near[:_MOST]]
    return [match for match in kept if match is not None and match.balance >= least]


def _types_kept(
    match: Match, forms: frozenset[str], names: Vocabulary, graph: KnowledgeGraph
) -> Match | None:
    """The match, lowered where it says other things than the label; None where types differ."""
    if match.missing & _DENIALS:
        return None
    types = names.types
    above = graph.ancestors(match.name.id)
    named: set[Curie] = set().union(*(types[word] for word in forms if word in types))
    implied = {a for id_ in named for a in graph.ancestors(id_)}
    missing = {w for w in match.missing if w not in types or types[w].isdisjoint(above)}
    added = {
        word
        for word in match.name.words - forms - _LININGS - {"cell"}
        if word not in types or types[word].isdisjoint(implied)
    }
    lost = (missing | added) & types.keys()
    if lost and not lost <= _places(lost, graph):
        return None
    # Something unsaid and something else said: the two may exclude each other (large, small).
    return replace(match, factor=0.8) if missing and added else match


def _places(words: set[str], graph: KnowledgeGraph) -> set[str]:
    """Those of the words that name a part of the body: they say where, not what."""
    found = graph.lookup(words)
    return {w for w in words if any(e.category is Category.ANATOMY for e in found.get(w, ()))}


def _unrelated(matches: list[Match], graph: KnowledgeGraph) -> list[Match]:
    """The best names, each in place of those of its subtypes and supertypes.

    Where all words of the label are in both names, the supertype is meant: the label says
    nothing of what sets the subtype apart.
    """
    kept: list[Match] = []
    for match in matches:
        if any(k.name.id == match.name.id for k in kept):
            continue
        below = graph.descendants(match.name.id)
        subtypes = [k for k in kept if k.name.id in below]
        whole = match.recall > _ALL
        if subtypes and whole and all(k.balance - match.balance < _NARROWER for k in subtypes):
            kept = [k for k in kept if k not in subtypes]
        elif subtypes or any(k.name.id in graph.ancestors(match.name.id) for k in kept):
            continue
        kept.append(match)
    return sorted(kept, key=lambda m: -m.balance)


def _candidate(match: Match, graph: KnowledgeGraph, factor: float, how: How) -> Candidate:
    term = graph.terms([match.name.id])[match.name.id]
    if match.recall > _ALL and match.precision > _ALL:
        scope, base, notice = match.name.scope, 0.95, "the same words in another form"
    elif match.recall > _ALL:
        scope, base, notice = Scope.BROAD, 0.9, f"taken for {match.name.text!r}"
    else:
        scope, base = Scope.NARROW, 0.85
        notice = f"not in the name: {', '.join(sorted(match.missing))}"
    if any(MARKER.fullmatch(word) for word in match.added):
        base *= 0.8  # the name says more of markers than the label does
    score = round(factor * base * SCOPE_SCORE[Scope.EXACT] * match.balance, 4)
    return Candidate(
        term.id, term.label, term.category, score, scope, match.name.text,
        term.source, term.release, how, notice=notice,
    )  # fmt: skip
