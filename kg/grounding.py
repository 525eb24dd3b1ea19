"""Text to terms: the mentions of a sentence, each with ranked candidates.

The longest run of words that names a term wins; all runs of a text are looked up in one read of the
graph's lexicon. A name is taken as written (normalised, :mod:`kg.naming.lexicon`), as a curated
short name (``abbreviations.tsv``), or as one of its :mod:`kg.naming.variants` variants.
Identifiers, gene symbols and organisms stand for themselves. Whether a gene symbol that reads like
an English word is meant as a gene is decided by :mod:`kg.naming.symbols`.

Nothing is guessed from similarity here: a text that names nothing grounds to nothing. For whole
labels of datasets, where something must have been meant, see :mod:`kg.naming.labels`; for
misspellings :mod:`kg.naming.spelling`. The cascade of normalise, look up, score follows Gilda
(Gyori et al. 2022, 10.1093/bioadv/vbac034).
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from kg.graph import KnowledgeGraph, LexicalEntry
from kg.naming.abbreviations import SHORT_WORDS, short_names
from kg.naming.identifiers import identifiers, places, unknown_identifiers
from kg.naming.lexicon import normalise
from kg.naming.mentions import SCOPE_SCORE, Candidate, How, Mention
from kg.naming.readings import Reading, ranked
from kg.naming.spelling import SHORTEST
from kg.naming.symbols import Setting, Token, is_ordinary, name_factor, read_setting, tokens_of
from kg.naming.variants import HEAD_WORDS, LINEAGE_LETTERS, SIGN_WORDS, variants
from kg.naming.vocabulary import vocabulary
from kg.terms import ORTHOLOGOUS_TO, Category, Curie, Scope

__all__ = ["FUNCTION_WORDS", "candidates", "ground", "unknown_identifiers"]

MAX_WORDS = 14
"""The longest run of words looked up; names of the Cell Ontology that people write are shorter."""

_FLOOR = 0.45
_LITTLE_WORDS = (
    "a an and are as at be but by can do does for from had has have how if in into is it its may "
    "of on or s so than that the their them then there these they this to was were what when where "
    "which who whose why will with would"
)
FUNCTION_WORDS = frozenset(_LITTLE_WORDS.split())
"""Words that neither begin nor end a name."""
_BREAK = re.compile(r"[?!;:()\[\]{}\"]|\.\s|\s/\s")  # not the dot of "Nav1.7 neuron"
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
# Between names that share a noun, the nouns they share, and how much of a name may lack it.
_JOINTS = frozenset({"and", "or", "versus", "vs", "from", "than"})
_NOUNS = HEAD_WORDS | {"lymphocyte", "neuron", "neurone", "progenitor", "granulocyte", "fibroblast"}
_SHARED_WORDS = 3
_ORIGINS = frozenset({"derived", "originated", "arising", "differentiated", "matured", "developed"})
# "Derived from B cells" does not leave its noun to the next name.
_WITHOUT_NOUN = 0.7
_HUMAN = frozenset({"human", "homo"})
_MOUSE = frozenset({"mouse", "mice", "murine"})
# "CD3", "CD16": a surface marker's number; its chains have the number and one more letter.
_MARKER_NUMBER = re.compile(r"cd\d+")
_CHAINS = "abcdegz"
_MOUSE_SPELLING = re.compile(r"[A-Z][a-z]+\d*")
_HUMAN_SHOWN = 3
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
    identified = identifiers(text, graph)
    taken = places(text)
    tokens = [
        token
        for token in tokens_of(text)
        if not any(start < token.end and token.start < end for start, end in taken)
    ]
    chosen: list[tuple[int, int, list[Reading]]] = list(identified)
    used: set[int] = set()

    def choose(found: Mapping[tuple[int, int], list[Reading]]) -> None:
        for (i, j), readings in sorted(found.items(), key=_longest_first):
            wanted = [r for r in readings if not categories or r.category in categories]
            if wanted and used.isdisjoint(range(i, j)):
                used.update(range(i, j))
                chosen.append((tokens[i].start, tokens[j - 1].end, wanted))

    found = _living(_spans(text, tokens, graph), graph)
    choose(found)
    if respelt := _respelt(text, tokens, used, graph):
        # A corrected word may make a name longer that was met without it: choose again.
        chosen[:] = identified
        used.clear()
        choose(found | respelt)
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
    identified = identifiers(text.strip(), graph)
    readings = [r for start, end, rs in identified if end - start == len(text.strip()) for r in rs]
    tokens = tokens_of(text)
    if not readings and tokens:
        readings = list(_whole(text, tokens, graph))
    wanted = [r for r in readings if not categories or r.category in categories]
    terms = graph.terms({r.id for r in wanted})
    return ranked(wanted, terms, graph, limit)


def _longest_first(item: tuple[tuple[int, int], list[Reading]]) -> tuple[int, float, int]:
    (i, j), readings = item
    return (i - j, -max(r.score for r in readings), i)


def _living(
    found: Mapping[tuple[int, int], list[Reading]], graph: KnowledgeGraph
) -> dict[tuple[int, int], list[Reading]]:
    """Runs without those whose every reading is an obsolete term that nothing has replaced.

    "Is the extracellular matrix part of ..." names the matrix, not a class of old that was called
    "extracellular matrix part".
    """
    terms = graph.terms({reading.id for readings in found.values() for reading in readings})
    gone = {id_ for id_, term in terms.items() if term.obsolete and not term.replaced_by}
    if not gone:
        return dict(found)
    return {
        run: readings
        for run, readings in found.items()
        if any(reading.id not in gone for reading in readings)
    }


def _spans(
    text: str, tokens: Sequence[Token], graph: KnowledgeGraph
) -> dict[tuple[int, int], list[Reading]]:
    """Every run of words that names something, with its readings."""
    runs = [
        (i, j)
        for i in range(len(tokens))
        for j in range(i + 1, _run_end(text, tokens, i) + 1)
        if tokens[i].key not in FUNCTION_WORDS
        and tokens[j - 1].key not in FUNCTION_WORDS
        and tokens[j - 1].key not in _ORIGINS
        and not _denied(text, tokens, i)
    ]
    keyed = {run: _keys(text, tokens[slice(*run)]) for run in runs}
    shared = _sharing(text, tokens)
    for run, keys in shared.items():
        keyed.setdefault(run, []).extend(keys)
    entries = graph.lookup({key.key for keys in keyed.values() for key in keys})
    setting = read_setting(text, tokens)
    found: dict[tuple[int, int], list[Reading]] = {}
    words = {token.key for token in tokens}
    gain = _species_gain(words)
    for run, keys in keyed.items():
        readings = list(_readings(text, tokens, run, keys, entries, setting))
        readings = _human_first(
            text[tokens[run[0]].start : tokens[run[1] - 1].end], readings, graph, words
        )
        if gain:
            readings = [_of_species(reading, gain) for reading in readings]
        if readings:
            found[run] = readings
    return found


def _denied(text: str, tokens: Sequence[Token], i: int) -> bool:
    """Whether a run from here is what something is not ("non-T cells")."""
    return i > 0 and tokens[i - 1].key == "non" and text[tokens[i - 1].end] in "- "


def _sharing(text: str, tokens: Sequence[Token]) -> dict[tuple[int, int], list[_Key]]:
    """Keys of names that leave their noun to the next name: "CD4+ and CD8+ T cells"."""
    found: dict[tuple[int, int], list[_Key]] = {}
    for c in range(1, len(tokens) - 1):
        joint = tokens[c].key in _JOINTS
        slash = "/" in text[tokens[c - 1].end : tokens[c].start]
        if not joint and not slash:
            continue
        left, right = c, c + 1 if joint else c
        nouns = [j for j in range(right + 2, right + 7) if _ends_on_noun(tokens, j)]
        if not nouns:
            continue
        end = nouns[0]
        for i in range(max(0, left - _SHARED_WORDS), left):
            if tokens[left - 1].key in _ORIGINS:
                continue
            for start in range(max(right + 1, end - 3), end):
                if any(t.key in FUNCTION_WORDS for t in (*tokens[i:left], *tokens[right:end])):
                    continue
                noun = text[tokens[start].start : tokens[end - 1].end]
                name = f"{text[tokens[i].start : tokens[left - 1].end]} {noun}"
                found.setdefault((i, left), []).extend(
                    replace(
                        key,
                        factor=0.95 * key.factor,
                        notice="; ".join(filter(None, (f"read with {noun!r}", key.notice))),
                        shared=name,
                    )
                    for key in _keys(name, tokens_of(name))
                )
    return found


def _ends_on_noun(tokens: Sequence[Token], j: int) -> bool:
    return j <= len(tokens) and tokens[j - 1].key.rsplit(" ", 1)[-1] in _NOUNS


def _species_gain(words: Collection[str]) -> Mapping[str, float]:
    """What the genes of each species gain or lose where a text speaks of one species alone."""
    human, mouse = bool(_HUMAN & set(words)), bool(_MOUSE & set(words))
    if human == mouse:
        return {}
    return {"HGNC": 0.05, "MGI": -0.1} if human else {"HGNC": -0.1, "MGI": 0.05}


def _of_species(reading: Reading, gain: Mapping[str, float]) -> Reading:
    change = gain.get(reading.id.partition(":")[0], 0.0)
    return replace(reading, score=min(1.0, reading.score + change)) if change else reading


def _human_first(
    written: str, readings: Sequence[Reading], graph: KnowledgeGraph, words: Collection[str] = ()
) -> list[Reading]:
    """Readings in which another name of a mouse gene never comes before the human genes.

    MGI calls Cd3e "CD3", and HGNC no gene: the text then means the human orthologue, or another
    chain of that marker (CD3D, CD3G). A text on mice, or in a mouse's spelling (Cd3), is left.
    """
    murine = [r for r in readings if r.id.startswith("MGI:") and r.scope is not Scope.LABEL]
    if not murine or _MOUSE & set(words) or _MOUSE_SPELLING.fullmatch(written):
        return list(readings)
    best = max(murine, key=lambda reading: reading.score)
    human = [r for r in readings if r.id.startswith("HGNC:")]
    added = [] if human else _human_counterparts(written, best, graph)
    if not human and not added:
        return list(readings)
    most = max(r.score for r in (*human, *added)) - 0.05
    kept = [replace(r, score=min(r.score, most)) if r in murine else r for r in readings]
    return kept + added


def _human_counterparts(written: str, murine: Reading, graph: KnowledgeGraph) -> list[Reading]:
    """The human genes that a mouse gene's other name stands for, the orthologue first."""
    edges = graph.edges(murine.id, direction="both", predicates=(ORTHOLOGOUS_TO,))
    support: dict[Curie, int] = {}
    for edge in edges:
        other = edge.object if edge.subject == murine.id else edge.subject
        if other.startswith("HGNC:"):
            support[other] = support.get(other, 0) + 1
    ids = sorted(support, key=lambda id_: (-support[id_], id_))[:1]
    key = normalise(written)
    if _MARKER_NUMBER.fullmatch(key):
        chains = graph.lookup([key + letter for letter in _CHAINS])
        named = [e for found in chains.values() for e in found if e.scope is Scope.LABEL]
        family = sorted((e.text, e.id) for e in named if e.id.startswith("HGNC:"))
        members = {id_ for _, id_ in family}
        # An orthologue outside the marker's own family is another gene that shares its name.
        ids = [id_ for id_ in ids if not family or id_ in members]
        ids += [id_ for _, id_ in family if id_ not in ids]
    terms = graph.terms(ids)
    return [
        replace(
            murine,
            id=id_,
            score=murine.score - 0.01 * (rank + 1),
            scope=Scope.BROAD if len(ids) > 1 else Scope.RELATED,
            notice=f"no human gene is called just {written!r}",
        )
        for rank, id_ in enumerate(ids[:_HUMAN_SHOWN])
        if id_ in terms
    ]


def _lone_word(
    text: str, tokens: Sequence[Token], graph: KnowledgeGraph
) -> list[tuple[int, int, list[Reading]]]:
    """An ordinary word that is all a question asks about ("What is a cell?") is meant as a name."""
    content = [token for token in tokens if token.key not in FUNCTION_WORDS]
    if len(content) != 1 or len(tokens) > 5:
        return []
    (token,) = content
    readings = list(_whole(token.text, tokens_of(token.text), graph))
    return [(token.start, token.end, readings)] if readings else []


def _respelt(
    text: str, tokens: Sequence[Token], used: Collection[int], graph: KnowledgeGraph
) -> dict[tuple[int, int], list[Reading]]:
    """Names of cell types in which a word is misspelt that the graph does not know otherwise."""
    corrected: dict[int, str] = {}
    for i, token in enumerate(tokens):
        odd = len(token.key) >= SHORTEST and token.key.isalpha() and not token.text.isupper()
        if i in used or not odd or is_ordinary(token.text):
            continue
        names = vocabulary(graph, Category.CELL_TYPE)
        near = [] if token.key in names.spelt else names.speller.near(token.key)
        if near and not graph.search(token.key, limit=1):
            corrected[i] = near[0][0]
    if not corrected:
        return {}
    respelt = [replace(t, key=corrected.get(i, t.key)) for i, t in enumerate(tokens)]
    found = {}
    for (i, j), readings in _spans(text, respelt, graph).items():
        if used_words := [corrected[k] for k in range(i, j) if k in corrected]:
            notice = f"read as {', '.join(map(repr, used_words))}"
            found[i, j] = [
                replace(r, score=0.75 * r.score, how="spelling", notice=notice)
                for r in readings
                if r.category is Category.CELL_TYPE
            ]
    return {run: readings for run, readings in found.items() if readings}


def _whole(text: str, tokens: Sequence[Token], graph: KnowledgeGraph) -> Iterable[Reading]:
    run = (0, len(tokens))
    keys = _keys(text, tokens)
    entries = graph.lookup({key.key for key in keys})
    setting = read_setting(text, tokens, whole=True)
    readings = list(_readings(text, tokens, run, keys, entries, setting))
    return _human_first(text, readings, graph)


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
    shared: str = ""


def _keys(text: str, tokens: Sequence[Token]) -> list[_Key]:
    """The keys under which a run of words may stand in the lexicon."""
    key = " ".join(token.key for token in tokens)
    keys = [_Key(key)]
    if any(token.key.endswith(" negative") for token in tokens):
        # Names of the sources have a hyphen for a minus, and are normalised with it.
        hyphened = normalise(text[tokens[0].start : tokens[-1].end])
        keys += [_Key(hyphened)] if hyphened != key else []
    words = tuple(key.split())
    if len(words) > 1 and _worth_varying(words):
        capital = tokens[-1].text[-1:].isupper()
        keys.extend(
            _Key(v.key, v.factor, v.scope, v.notice, v.how)
            for v in variants(words, open_end=capital)
        )
    return keys


def _worth_varying(words: Sequence[str]) -> bool:
    return (
        "lymphocyte" in words
        or words[-1] in LINEAGE_LETTERS
        or (words[-1] == "cell" and words[-2] in LINEAGE_LETTERS)
        or (
            any(w in HEAD_WORDS for w in words)
            and any(w in SIGN_WORDS or w.startswith("cd") for w in words)
        )
    )


def _readings(
    text: str,
    tokens: Sequence[Token],
    run: tuple[int, int],
    keys: Sequence[_Key],
    entries: Mapping[str, Sequence[LexicalEntry]],
    setting: Setting,
) -> Iterable[Reading]:
    i, j = run
    written = text[tokens[i].start : tokens[j - 1].end]
    if organism := _ORGANISMS.get(keys[0].key):
        taxon, label = organism
        yield Reading(taxon, Category.OTHER, 1.0, Scope.EXACT, label, "organism")
    if j - i <= SHORT_WORDS:
        yield from _short(written, setting)
    # A noun that stands with the next name makes this word a part of a name, not one of its own.
    shared = {key.shared for key in keys if key.shared and key.key in entries}
    for key in keys:
        for entry in entries.get(key.key, ()):
            if key.shared and entry.category is not Category.CELL_TYPE:
                continue
            fits = 1.0 if key.shared else name_factor(written, entry, setting, run)
            fits *= _WITHOUT_NOUN if shared and not key.shared else 1.0
            scope = key.scope or entry.scope
            score = SCOPE_SCORE[scope] * key.factor * fits - _PRIOR[entry.category]
            if score >= _FLOOR:
                yield Reading(
                    entry.id, entry.category, score, scope, entry.text, key.how, key.notice
                )
    for name in dict.fromkeys(key.shared for key in keys if key.shared):
        yield from (replace(r, score=0.95 * r.score) for r in _short(name, setting))


def _short(written: str, setting: Setting) -> Iterator[Reading]:
    """What a text means as a curated short name."""
    for rank, short in enumerate(short_names(written, whole=setting.whole)):
        # The table's order is the order of choice, whatever the scopes.
        score = SCOPE_SCORE[short.scope] * short.factor - 0.01 * rank
        yield Reading(short.id, Category.CELL_TYPE, score, short.scope, short.name, "abbreviation")


def _mentions(
    text: str,
    chosen: Sequence[tuple[int, int, list[Reading]]],
    graph: KnowledgeGraph,
    categories: Collection[Category],
    limit: int,
) -> tuple[Mention, ...]:
    terms = graph.terms({r.id for _, _, readings in chosen for r in readings})
    mentions = []
    for start, end, readings in chosen:
        wanted = [r for r in readings if not categories or r.category in categories]
        if found := ranked(wanted, terms, graph, limit, strict=True):
            mentions.append(Mention(text[start:end], start, end, found))
    return tuple(mentions)
