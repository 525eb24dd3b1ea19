"""Text to terms: the mentions of a sentence, each with ranked candidates.

The longest run of words that names a term wins; all runs of a text are looked up in one read of
the graph's lexicon. A name is taken as written (normalised, :mod:`kg.lexicon`), as a curated
short name (``abbreviations.tsv``), or as one of its :mod:`kg.names` variants. Identifiers, gene
symbols and organisms stand for themselves. Whether a gene symbol that reads like an English word
is meant as a gene is decided by :mod:`kg.symbols`.

Nothing is guessed from similarity here: a text that names nothing grounds to nothing. For whole
labels of datasets, where something must have been meant, see :mod:`kg.labels`; for misspellings
:mod:`kg.spelling`. The cascade of normalise, look up, score follows Gilda (Gyori et al. 2022,
10.1093/bioadv/vbac034).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kg.abbreviations import short_names
from kg.graph import KnowledgeGraph, LexicalEntry
from kg.lexicon import normalise
from kg.mentions import SCOPE_SCORE, Candidate, How, Mention
from kg.names import HEAD_WORDS, LINEAGE_LETTERS, MARKER, variants
from kg.symbols import Setting, Token, name_factor, read_setting, tokens_of
from kg.terms import Category, Curie, Scope, Term

__all__ = ["candidates", "ground", "unknown_identifiers"]

MAX_WORDS = 14
"""The longest run of words looked up; names of the Cell Ontology that people write are shorter."""

_FLOOR = 0.45
# Words that neither begin nor end a name.
_LITTLE_WORDS = (
    "a an and are as at be but by can do does for from had has have how if in into is it its may "
    "of on or s so than that the their them then there these they this to was were what when where "
    "which who whose why will with would"
)
_FUNCTION_WORDS = frozenset(_LITTLE_WORDS.split())
_BREAK = re.compile(r"[.?!;:()\[\]{}\"]|\s/\s")
_IDENTIFIER = re.compile(
    r"\b(?P<curie>[A-Za-z]{2,}[:_]\d{2,}(?!\w))|\b(?P<ensembl>ENS(?:MUS)?G\d{11})(?:\.\d+)?\b"
)
_ORGANISMS: Mapping[str, tuple[Curie, str]] = {
    name: (identifier, label)
    for identifier, label, names in (
        ("NCBITaxon:9606", "Homo sapiens", ("human", "homo sapiens")),
        ("NCBITaxon:10090", "Mus musculus", ("mouse", "mice", "murine", "mus musculus")),
        ("NCBITaxon:10116", "Rattus norvegicus", ("rat", "rattus norvegicus")),
        ("NCBITaxon:7955", "Danio rerio", ("zebrafish", "danio rerio")),
    )
    for name in names
}
# Cell types first: between names that fit equally well the field's own subject wins.
_PRIOR = {
    Category.CELL_TYPE: 0.0,
    Category.GENE: 0.01,
    Category.ANATOMY: 0.01,
    Category.PROCESS: 0.02,
    Category.FUNCTION: 0.02,
    Category.COMPONENT: 0.02,
    Category.DISEASE: 0.02,
    Category.PHENOTYPE: 0.03,
    Category.OTHER: 0.03,
}


@dataclass(frozen=True, slots=True)
class _Reading:
    """One id that a run of words may mean, before its term was read."""

    id: Curie
    category: Category
    score: float
    scope: Scope
    matched: str
    how: How
    notice: str = ""


def ground(
    text: str,
    graph: KnowledgeGraph,
    *,
    categories: Collection[Category] = (),
    limit: int = 5,
) -> tuple[Mention, ...]:
    """Find the terms that a text mentions.

    Parameters
    ----------
    text
        A sentence or a question.
    graph
        Where names are looked up.
    categories
        Only candidates of these; empty means all.
    limit
        At most so many candidates a mention.

    Returns
    -------
    tuple of Mention
        In order of appearance, never overlapping. Empty when the text names nothing.
    """
    identified = _identifiers(text, graph)
    taken = [(start, end) for start, end, _ in identified]
    tokens = [
        token
        for token in tokens_of(text)
        if not any(start < token.end and token.start < end for start, end in taken)
    ]
    found = _spans(text, tokens, graph)
    chosen: list[tuple[int, int, list[_Reading]]] = list(identified)
    used: set[int] = set()
    for (i, j), readings in sorted(found.items(), key=_longest_first):
        wanted = [r for r in readings if not categories or r.category in categories]
        if wanted and used.isdisjoint(range(i, j)):
            used.update(range(i, j))
            chosen.append((tokens[i].start, tokens[j - 1].end, wanted))
    if not chosen:
        chosen = _lone_word(text, tokens, graph)
    return _mentions(text, sorted(chosen, key=lambda item: item[:2]), graph, categories, limit)


def candidates(
    text: str,
    graph: KnowledgeGraph,
    *,
    categories: Collection[Category] = (),
    limit: int = 10,
) -> tuple[Candidate, ...]:
    """Rank the terms that the whole text may name; empty when it names none exactly."""
    identified = _identifiers(text.strip(), graph)
    readings = [r for start, end, rs in identified if end - start == len(text.strip()) for r in rs]
    tokens = tokens_of(text)
    if not readings and tokens:
        readings = list(_whole(text, tokens, graph))
    wanted = [r for r in readings if not categories or r.category in categories]
    terms = graph.terms({r.id for r in wanted})
    return _ranked(wanted, terms, graph, limit)


def unknown_identifiers(text: str, graph: KnowledgeGraph) -> tuple[str, ...]:
    """Identifiers written in the text that the graph does not hold, as written."""
    known = {(start, end) for start, end, _ in _identifiers(text, graph)}
    return tuple(m[0] for m in _IDENTIFIER.finditer(text) if m.span() not in known)


def _longest_first(item: tuple[tuple[int, int], list[_Reading]]) -> tuple[int, float, int]:
    (i, j), readings = item
    return (i - j, -max(r.score for r in readings), i)


def _identifiers(text: str, graph: KnowledgeGraph) -> list[tuple[int, int, list[_Reading]]]:
    found = list(_IDENTIFIER.finditer(text))
    if not found:
        return []
    curies = {m.span(): m["curie"].replace("_", ":", 1) for m in found if m["curie"]}
    curies = {span: _canonical(curie) for span, curie in curies.items()}
    terms = graph.terms(set(curies.values()))
    ensembl = {m.span(): normalise(m["ensembl"]) for m in found if m["ensembl"]}
    entries = graph.lookup(set(ensembl.values())) if ensembl else {}
    result = []
    for span in sorted([*curies, *ensembl]):
        if span in curies and curies[span] in terms:
            term = terms[curies[span]]
            readings = [_Reading(term.id, term.category, 1.0, Scope.EXACT, term.id, "identifier")]
        else:
            readings = [
                _Reading(entry.id, entry.category, 1.0, Scope.EXACT, entry.text, "identifier")
                for entry in entries.get(ensembl.get(span, ""), ())
            ]
        if readings:
            result.append((*span, readings))
    return result


def _canonical(id: str) -> str:
    prefix, local = id.split(":", 1)
    # Prefixes are upper case but for those that are words (NCBITaxon).
    return id if prefix == "NCBITaxon" else f"{prefix.upper()}:{local}"


def _spans(
    text: str, tokens: Sequence[Token], graph: KnowledgeGraph
) -> dict[tuple[int, int], list[_Reading]]:
    """Every run of words that names something, with its readings."""
    runs = [
        (i, j)
        for i in range(len(tokens))
        for j in range(i + 1, _run_end(text, tokens, i) + 1)
        if tokens[i].key not in _FUNCTION_WORDS and tokens[j - 1].key not in _FUNCTION_WORDS
    ]
    keyed = {run: _keys(text, tokens[slice(*run)]) for run in runs}
    entries = graph.lookup({key.key for keys in keyed.values() for key in keys})
    setting = read_setting(text, tokens)
    found: dict[tuple[int, int], list[_Reading]] = {}
    for run, keys in keyed.items():
        readings = list(_readings(text, tokens, run, keys, entries, setting))
        if readings:
            found[run] = readings
    return found


def _lone_word(
    text: str, tokens: Sequence[Token], graph: KnowledgeGraph
) -> list[tuple[int, int, list[_Reading]]]:
    """An ordinary word that is all a question asks about ("What is a cell?") is meant as a name."""
    content = [token for token in tokens if token.key not in _FUNCTION_WORDS]
    if len(content) != 1 or len(tokens) > 5:
        return []
    (token,) = content
    readings = list(_whole(token.text, tokens_of(token.text), graph))
    return [(token.start, token.end, readings)] if readings else []


def _whole(text: str, tokens: Sequence[Token], graph: KnowledgeGraph) -> Iterable[_Reading]:
    run = (0, len(tokens))
    keys = _keys(text, tokens)
    entries = graph.lookup({key.key for key in keys})
    return _readings(text, tokens, run, keys, entries, read_setting(text, tokens, whole=True))


def _run_end(text: str, tokens: Sequence[Token], i: int) -> int:
    """The last j so that tokens[i:j] stays within one clause and the length that is looked up."""
    j = i + 1
    while j < len(tokens) and j - i < MAX_WORDS:
        if _BREAK.search(text, tokens[j - 1].end, tokens[j].start):
            break
        j += 1
    return j


@dataclass(frozen=True, slots=True)
class _Key:
    key: str
    factor: float = 1.0
    scope: Scope | None = None
    notice: str = ""
    how: How = "name"


def _keys(text: str, tokens: Sequence[Token]) -> list[_Key]:
    """The keys under which a run of words may stand in the lexicon."""
    key = " ".join(token.key for token in tokens)
    keys = [_Key(key)]
    words = tuple(key.split())
    if len(words) > 1 and _worth_varying(words):
        capital = tokens[-1].text[-1:].isupper()
        keys.extend(
            _Key(v.key, v.factor, v.scope, v.notice, "phenotype" if v.factor < 0.97 else "name")
            for v in variants(words, open_end=capital)
        )
    return keys


def _worth_varying(words: Sequence[str]) -> bool:
    return (
        "lymphocyte" in words
        or words[-1] in LINEAGE_LETTERS
        or (words[-1] == "cell" and words[-2] in LINEAGE_LETTERS)
        or (any(MARKER.fullmatch(w) for w in words) and any(w in HEAD_WORDS for w in words))
    )


def _readings(
    text: str,
    tokens: Sequence[Token],
    run: tuple[int, int],
    keys: Sequence[_Key],
    entries: Mapping[str, Sequence[LexicalEntry]],
    setting: Setting,
) -> Iterable[_Reading]:
    i, j = run
    written = text[tokens[i].start : tokens[j - 1].end]
    if organism := _ORGANISMS.get(keys[0].key):
        taxon, label = organism
        yield _Reading(taxon, Category.OTHER, 1.0, Scope.EXACT, label, "organism")
    for rank, short in enumerate(short_names(written, whole=setting.whole)):
        yield _Reading(
            short.id,
            Category.CELL_TYPE,
            # The table's order is the order of choice, whatever the scopes.
            SCOPE_SCORE[short.scope] * short.factor - 0.01 * rank,
            short.scope,
            short.name,
            "abbreviation",
        )
    for key in keys:
        for entry in entries.get(key.key, ()):
            factor = key.factor * name_factor(written, entry, setting, run)
            scope = key.scope or entry.scope
            score = SCOPE_SCORE[scope] * factor - _PRIOR[entry.category]
            if score >= _FLOOR:
                yield _Reading(
                    entry.id, entry.category, score, scope, entry.text, key.how, key.notice
                )


def _mentions(
    text: str,
    chosen: Sequence[tuple[int, int, list[_Reading]]],
    graph: KnowledgeGraph,
    categories: Collection[Category],
    limit: int,
) -> tuple[Mention, ...]:
    terms = graph.terms({r.id for _, _, readings in chosen for r in readings})
    mentions = []
    for start, end, readings in chosen:
        wanted = [r for r in readings if not categories or r.category in categories]
        if ranked := _ranked(wanted, terms, graph, limit):
            mentions.append(Mention(text[start:end], start, end, ranked))
    return tuple(mentions)


def _ranked(
    readings: Iterable[_Reading],
    terms: Mapping[Curie, Term],
    graph: KnowledgeGraph,
    limit: int,
) -> tuple[Candidate, ...]:
    found = [candidate for r in readings for candidate in _resolve(r, terms, graph)]
    best: dict[Curie, Candidate] = {}
    for candidate in sorted(found, key=lambda c: (-c.score, c.id, c.replaced, c.matched)):
        best.setdefault(candidate.id, candidate)
    return tuple(best.values())[:limit]


def _resolve(
    reading: _Reading, terms: Mapping[Curie, Term], graph: KnowledgeGraph
) -> Iterable[Candidate]:
    """The candidate of a reading; for an obsolete term, its replacements."""
    score = round(reading.score, 4)
    if reading.how == "organism" and reading.id not in terms:
        yield Candidate(
            reading.id, reading.matched, Category.OTHER, score, reading.scope, reading.matched,
            "NCBITaxon", "", "organism",
        )  # fmt: skip
        return
    term = terms.get(reading.id)
    if term is None:
        return
    candidate = Candidate(
        term.id, term.label, term.category, score, reading.scope, reading.matched,
        term.source, term.release, reading.how, notice=reading.notice,
    )  # fmt: skip
    if not term.obsolete:
        yield candidate
        return
    successors, certain = _successors(term, graph)
    for successor in successors:
        word = "replaced by" if certain else "consider"
        yield replace(
            candidate,
            id=successor.id,
            label=successor.label,
            category=successor.category,
            source=successor.source,
            release=successor.release,
            score=round(score * (0.95 if certain else 0.7), 4),
            replaced=True,
            notice=f"{term.id} ({term.label}) is obsolete; {word} {successor.id}",
        )
    if not successors:
        notice = f"{term.id} ({term.label}) is obsolete and names no replacement"
        yield replace(candidate, score=round(score * 0.5, 4), notice=notice)


def _successors(term: Term, graph: KnowledgeGraph) -> tuple[list[Term], bool]:
    """What stands for an obsolete term now, and whether its source says so for certain."""
    seen = {term.id}
    current: Term | None = term
    while current and current.obsolete and current.replaced_by not in (None, *seen):
        assert current.replaced_by is not None
        seen.add(current.replaced_by)
        current = graph.term(current.replaced_by)
    if current and not current.obsolete:
        return [current], True
    considered = graph.terms(term.consider)
    return [t for t in considered.values() if not t.obsolete], False
