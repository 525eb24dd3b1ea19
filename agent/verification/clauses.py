"""Clauses from tokens: who stands in which relation to whom, and with which polarity.

A small recursive-descent grammar with backtracking over the phrases of
:mod:`agent.verification.phrases`. It consumes every token or fails with the first word that it
could not place.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from agent.verification.phrases import PHRASES
from agent.verification.tokens import Token, lemma
from kg.naming.lexicon import normalise
from kg.terms import INTERACTS_WITH, MARKER_OF, Curie

__all__ = ["Clause", "noun_table", "parse", "phrase_table"]


@dataclass(frozen=True, slots=True)
class Clause:
    """One relation between a subject and objects; ``relations`` are its possible readings.

    ``subject`` and each of ``objects`` list the terms that the words may mean.
    """

    relations: tuple[tuple[Curie, bool], ...] = ()
    subject: tuple[Curie, ...] = ()
    objects: tuple[tuple[Curie, ...], ...] = ()
    negated: bool = False
    qualifier: str = ""
    number: int | None = None
    quotes: tuple[str, ...] = ()
    naming: bool = False


@dataclass(frozen=True, slots=True)
class _Relation:
    readings: tuple[tuple[Curie, bool], ...]
    negated: bool
    qualifier: str
    end: int


Words = tuple[str, ...]
_AND = frozenset({"and", "plus"})
_WHICH = frozenset({"which", "that", "who"})
_PRONOUNS = frozenset({"it", "they", "this", "these"})
_LINKS = frozenset({"be", "include", "comprise", "namely"})
# Words in front of a noun in "the known markers of X": they claim nothing more.
_ADJECTIVES = frozenset({"known", "listed", "recorded", "its", "their", "some", "one", "such"})
_DIRECT = frozenset({"direct", "directly", "immediate", "immediately"})
_REPORTING = frozenset(
    [
        "according",
        "to",
        "study",
        "report",
        "find",
        "show",
        "state",
        "write",
        "read",
        "say",
        "abstract",
        "article",
        "paper",
        "author",
        "publication",
        "passage",
        "in",
        "one",
        "it",
        "literature",
        "text",
        "sentence",
        "as",
        "follow",
        "published",
        "that",
        "quote",
        "described",
        "describe",
        "found",
        "reported",
        "stated",
        "wrote",
    ]
)
_SAYING = frozenset({"state", "say", "record", "note", "hold", "show", "report"})
_PLACING = {
    "place": "placed",
    "put": "put",
    "classify": "classified",
    "classifie": "classified",
    "list": "listed",
    "lists": "listed",
    "count": "counted",
    "annotate": "annotated",
}
_DEFINING: tuple[Words, ...] = (
    ("be", "defined", "as"),
    ("be", "defined", "by"),
    ("be", "described", "as"),
    ("be",),
    ("mean",),
    ("refer", "to"),
    ("denote",),
)
_NAMING: tuple[Words, ...] = (
    ("be", "called"),
    ("be", "known", "as"),
    ("be", "named"),
    ("have", "synonym"),
    ("go", "by", "name"),
)


def _lemmas(phrase: str) -> Words:
    words = (lemma(word) for word in normalise(phrase).split())
    return tuple(word for word in words if word not in ("a", "an", "the"))


@lru_cache(maxsize=1)
def phrase_table() -> dict[Words, tuple[tuple[Curie, bool, str], ...]]:
    """Every wording of every relation: (relation, whether objects come first, qualifier)."""
    table: dict[Words, dict[tuple[Curie, bool, str], None]] = {}

    def add(words: Words, entry: tuple[Curie, bool, str]) -> None:
        table.setdefault(words, {})[entry] = None

    for predicate, row in PHRASES.items():
        for phrase in row.forward:
            add(_lemmas(phrase), (predicate, False, ""))
        for phrase in row.backward:
            add(_lemmas(phrase), (predicate, True, ""))
        for nouns, inverse in ((row.role, False), (row.counterpart, True)):
            for noun in nouns:
                for qualifier, words in _qualified(predicate, noun):
                    for preposition in ("of", "for", "to"):
                        for verb in (("be",), ("serve", "as"), ("act", "as"), ("be", "used", "as")):
                            add((*verb, *words, preposition), (predicate, inverse, qualifier))
                    for verb in (("have",), ("have", "as"), ("have", "among")):
                        add((*verb, *words), (predicate, not inverse, qualifier))
    return {words: tuple(entries) for words, entries in table.items()}


@lru_cache(maxsize=1)
def noun_table() -> dict[Words, tuple[tuple[Curie, bool, str], ...]]:
    """Nouns of "the N of Y are X": (relation, whether X stands first in it, qualifier)."""
    table: dict[Words, dict[tuple[Curie, bool, str], None]] = {}
    for predicate, row in PHRASES.items():
        for nouns, inverse in ((row.role, True), (row.counterpart, False)):
            for noun in nouns:
                for qualifier, words in _qualified(predicate, noun):
                    table.setdefault(words, {})[predicate, inverse, qualifier] = None
    return {words: tuple(entries) for words, entries in table.items()}


def _qualified(predicate: Curie, noun: str) -> list[tuple[str, Words]]:
    words = _lemmas(noun)
    forms = [("", words)]
    forms += [("direct", (adjective, *words)) for adjective in sorted(_DIRECT)]
    if predicate == MARKER_OF:
        forms += [("negative", ("negative", *words)), ("", ("positive", *words))]
    return forms


def parse(tokens: Sequence[Token]) -> tuple[Clause, ...] | str:
    """The clauses of a sentence, or what could not be read."""
    tokens = _unwrap(list(tokens))
    lead, tokens = _lead(tokens)
    if any(token.kind == "quote" for token in tokens):
        clauses = _quoting(tokens)
    else:
        clauses = _Parser(tokens).sentence()
    if clauses is None:
        return _unread(tokens)
    if lead == "no" and not all(clause.negated for clause in clauses):
        return "the sentence says no and then yes"
    if lead == "yes" and any(clause.negated for clause in clauses):
        return "the sentence says yes and then no"
    return tuple(clauses)


def _unwrap(tokens: list[Token]) -> list[Token]:
    """Turn "SOURCE states that ..." and "SOURCE places X under Y" into the plain sentence."""
    if not tokens or tokens[0].kind != "source":
        return [token for token in tokens if token.kind != "source"]
    rest = [token for token in tokens[1:] if token.kind != "source"]
    values = [token.value for token in rest[:3]]
    if values[:1] and values[0] in _SAYING and "that" in values[1:2]:
        return rest[2:]
    negated = values[:2] == ["do", "not"]
    verb = rest[2 if negated else 0 :][:1]
    if verb and verb[0].value in _PLACING:
        after = rest[3 if negated else 1 :]
        if after and after[0].kind == "entity":
            middle = ["be", *(["not"] if negated else []), _PLACING[verb[0].value]]
            return [after[0], *(Token("word", word) for word in middle), *after[1:]]
    return rest


def _lead(tokens: list[Token]) -> tuple[str, list[Token]]:
    while tokens and tokens[-1].kind == "mark":
        tokens = tokens[:-1]
    lead = ""
    if tokens and tokens[0].value in ("yes", "no") and len(tokens) > 1 and tokens[1].kind == "mark":
        lead, tokens = tokens[0].value, tokens[2:]
    while tokens and (tokens[0].kind == "mark" or tokens[0].value in ("overall", "that")):
        tokens = tokens[1:]
    return lead, tokens


def _unread(tokens: Sequence[Token]) -> str:
    known = {word for phrase in phrase_table() for word in phrase}
    known |= _AND | _WHICH | _PRONOUNS | _LINKS | _DIRECT | _ADJECTIVES | {"not", "of", "in"}
    strange = [t.value for t in tokens if t.kind == "word" and t.value not in known]
    if strange:
        return f"says {' '.join(strange[:4])!r}, which the cited evidence does not"
    if not any(token.kind == "entity" for token in tokens):
        return "names no entity of the cited evidence"
    return "is not a statement that can be read from the cited evidence"


def _quoting(tokens: list[Token]) -> list[Clause] | None:
    quotes = tuple(token.value for token in tokens if token.kind == "quote")
    rest = [token for token in tokens if token.kind not in ("quote", "mark")]
    entities = [token for token in rest if token.kind == "entity"]
    words = tuple(token.value for token in rest if token.kind == "word")
    if any(token.kind in ("number", "source") for token in rest) or len(entities) > 1:
        return None
    if not entities:
        return [Clause(quotes=quotes)] if set(words) <= _REPORTING else None
    if tokens[0].kind != "entity":
        return None
    if words in _NAMING:
        return [Clause(subject=entities[0].ids, quotes=quotes, naming=True)]
    if words in _DEFINING or not words:
        return [Clause(subject=entities[0].ids, quotes=quotes)]
    return None


class _Parser:
    def __init__(self, tokens: list[Token]) -> None:
        self.tokens = tokens

    def sentence(self) -> list[Clause] | None:
        return self._clauses(0, None)

    def _word(self, i: int) -> str:
        return (
            self.tokens[i].value if i < len(self.tokens) and self.tokens[i].kind == "word" else ""
        )

    def _mark(self, i: int) -> str:
        return (
            self.tokens[i].value if i < len(self.tokens) and self.tokens[i].kind == "mark" else ""
        )

    def _clauses(self, i: int, before: Clause | None) -> list[Clause] | None:
        """All clauses from token ``i`` to the end; alternatives are tried longest first."""
        for clause, end in self._clause(i, before):
            if end == len(self.tokens):
                return [clause]
            rest = self._clauses(end, clause)
            if rest is not None:
                return [clause, *rest]
        return None

    def _clause(self, i: int, before: Clause | None) -> list[tuple[Clause, int]]:
        subjects, i = self._subjects(i, before)
        found = []
        for subject, start in subjects:
            found += self._relating(subject, start)
        if before is None or subjects:
            found += self._noun_frame(i)
        return found

    def _subjects(
        self, i: int, before: Clause | None
    ) -> tuple[list[tuple[tuple[tuple[Curie, ...], ...], int]], int]:
        """Who the clause is about: a list, or a pronoun for somebody of the clause before."""
        joined = i
        while self._mark(joined) in (",", ";", ":") or self._word(joined) in (*_AND, "but"):
            joined += 1
        if before is not None:
            word = self._word(joined)
            if word in _WHICH:
                last = before.objects[-1:] if not before.negated else ()
                skip = joined + 1
                if self._word(skip) == "in" and self._word(skip + 1) == "turn":
                    skip += 2
                return ([(last, skip)] if last else []), joined
            same = (before.subject,)
            if word in _PRONOUNS:
                return [(same, joined + 1)], joined
            if self._relation(joined) is not None and joined > i:
                return [(same, joined)], joined
        lists = self._lists(joined)
        return [(items, end) for items, end in lists], joined

    def _lists(self, i: int) -> list[tuple[tuple[tuple[Curie, ...], ...], int]]:
        """Entities joined by commas and "and" from ``i``, longest list first."""
        items: list[tuple[Curie, ...]] = []
        ends: list[tuple[tuple[tuple[Curie, ...], ...], int]] = []
        if self._word(i) == "both":
            i += 1
        while i < len(self.tokens) and self.tokens[i].kind == "entity":
            items.append(self.tokens[i].ids)
            ends.append((tuple(items), i + 1))
            i += 1
            while self._mark(i) in (",", ";") or self._word(i) in _AND:
                i += 1
            if [self._word(i + n) for n in range(3)] == ["as", "well", "as"]:
                i += 3
        return ends[::-1]

    def _relation(self, i: int) -> _Relation | None:
        """The longest phrase at ``i``, with its polarity."""
        negated = False
        while self._word(i) in ("do", "can", "both") or self._known_to(i):
            i += 3 if self._known_to(i) else 1
        if self._word(i) in ("not", "never"):
            negated, i = True, i + 1
        direct = False
        while self._word(i) in _DIRECT:
            direct, i = True, i + 1
        words: list[str] = []
        best: _Relation | None = None
        j = i
        while j < len(self.tokens) and self.tokens[j].kind == "word" and len(words) < 10:
            word = self.tokens[j].value
            j += 1
            if len(words) == 1 and word in ("not", "no", "never") and not negated:
                negated = True
                best = best and replace(best, negated=True, end=j)
                continue
            if word in _DIRECT and words[:1] != ["have"]:
                direct = True
                continue
            if word in ("known", "listed", "recorded", "both") and len(words) == 1:
                continue
            words.append(word)
            entries = phrase_table().get(tuple(words))
            if entries:
                best = self._chosen(entries, negated, direct, j)
        return best

    def _known_to(self, i: int) -> bool:
        return (
            self._word(i) == "be"
            and self._word(i + 1) in ("known", "reported", "recorded", "said", "able")
            and self._word(i + 2) == "to"
        )

    @staticmethod
    def _chosen(
        entries: tuple[tuple[Curie, bool, str], ...], negated: bool, direct: bool, end: int
    ) -> _Relation:
        qualifier = "direct" if direct else entries[0][2]
        readings = tuple((predicate, inverse) for predicate, inverse, _ in entries)
        return _Relation(readings, negated, qualifier, end)

    def _relating(
        self, subjects: tuple[tuple[Curie, ...], ...], i: int
    ) -> list[tuple[Clause, int]]:
        found: list[tuple[Clause, int]] = []
        counted = self._counting(subjects, i)
        counted += self._mutual(subjects, i)
        relation = self._apposition(i) or self._relation(i)
        if relation is not None:
            for objects, end in self._lists(relation.end):
                clause = Clause(relation.readings, (), objects, relation.negated)
                clause = replace(clause, qualifier=relation.qualifier)
                found += _with_subjects(clause, subjects, end)
        return found + counted

    def _apposition(self, i: int) -> _Relation | None:
        """Read "X, a kind of Y": a noun without its verb."""
        named = self._noun(i + 1) if self._mark(i) == "," else None
        if named is None or self._word(named[2]) not in ("of", "for"):
            return None
        readings = tuple((predicate, not inverse) for predicate, inverse in named[0])
        return _Relation(readings, False, named[1], named[2] + 1)

    def _mutual(self, subjects: tuple[tuple[Curie, ...], ...], i: int) -> list[tuple[Clause, int]]:
        """Read "X and Y interact": a relation that has no direction and no object."""
        if len(subjects) != 2:
            return []
        end = i + 1
        while self._word(end) in ("with", "other", "another", "one"):
            end += 1
        predicate = {"interact": INTERACTS_WITH, "bind": INTERACTS_WITH}.get(self._word(i))
        if predicate is None or (self._word(i) == "bind" and end == i + 1):
            return []
        return [(Clause(((predicate, False),), subjects[0], subjects[1:]), end)]

    def _counting(
        self, subjects: tuple[tuple[Curie, ...], ...], i: int
    ) -> list[tuple[Clause, int]]:
        """Read "X has 3 markers", with or without ": A, B and C" behind it."""
        if len(subjects) != 1 or self._word(i) != "have":
            return []
        if i + 1 >= len(self.tokens) or self.tokens[i + 1].kind != "number":
            return []
        number = int(self.tokens[i + 1].value)
        return self._enumerated(subjects[0], number, i + 2)

    def _enumerated(
        self, subject: tuple[Curie, ...], number: int | None, i: int
    ) -> list[tuple[Clause, int]]:
        named = self._noun(i)
        if named is None:
            return []
        readings, qualifier, i = named
        clause = Clause(readings, subject, (), number=number, qualifier=qualifier)
        found = []
        start = i
        while self._mark(start) in (",", ":") or self._word(start) in ("namely", "including"):
            start += 1
        if start > i:
            found = [(replace(clause, objects=objects), end) for objects, end in self._lists(start)]
        return [*found, (clause, i)] if number is not None else found

    def _noun(self, i: int) -> tuple[tuple[tuple[Curie, bool], ...], str, int] | None:
        while self._word(i) in _ADJECTIVES:
            i += 1
        best = None
        words: list[str] = []
        for j in range(i, min(i + 5, len(self.tokens))):
            words.append(self._word(j))
            entries = noun_table().get(tuple(words))
            if entries:
                readings = tuple((predicate, inverse) for predicate, inverse, _ in entries)
                best = (readings, entries[0][2], j + 1)
        return best

    def _noun_frame(self, i: int) -> list[tuple[Clause, int]]:
        """Read "markers of X are A and B", "there are 3 kinds of X", "among kinds of X are A"."""
        number: int | None = None
        if self._word(i) in ("among", "there"):
            i += 2 if self._word(i) == "there" and self._word(i + 1) == "be" else 1
        if i < len(self.tokens) and self.tokens[i].kind == "number":
            number, i = int(self.tokens[i].value), i + 1
        named = self._noun(i)
        if named is None:
            return []
        readings, qualifier, i = named
        if self._word(i) not in ("of", "for"):
            return []
        found = []
        for subjects, after in self._lists(i + 1):
            if len(subjects) != 1:
                continue
            clause = Clause(readings, subjects[0], (), number=number, qualifier=qualifier)
            start = after
            negated = False
            while self._word(start) in _LINKS or self._mark(start) in (":", ","):
                start += 1
                if self._word(start) == "not":
                    negated, start = True, start + 1
            if start > after:
                found += [
                    (replace(clause, objects=objects, negated=negated), end)
                    for objects, end in self._lists(start)
                ]
            if number is not None:
                found.append((clause, after))
        return found


def _with_subjects(
    clause: Clause, subjects: tuple[tuple[Curie, ...], ...], end: int
) -> list[tuple[Clause, int]]:
    """One subject with many objects, or many subjects with one object, turned round."""
    if len(subjects) == 1:
        return [(replace(clause, subject=subjects[0]), end)]
    if len(clause.objects) == 1 and subjects:
        turned = tuple((predicate, not inverse) for predicate, inverse in clause.relations)
        return [
            (replace(clause, relations=turned, subject=clause.objects[0], objects=subjects), end)
        ]
    return []
