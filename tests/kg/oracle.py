"""The graph protocol by brute force over lists: what every back end must answer."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from kg.graph import CANDIDATES, Count, Direction, LexicalEntry
from kg.naming.lexicon import normalise
from kg.readers.source import Loaded
from kg.terms import IS_A, Category, Edge, Release, Scope, Term

SCOPES = list(Scope)


class Oracle:
    def __init__(self, loaded: Sequence[Loaded]) -> None:
        self.loaded = loaded
        self.releases: Mapping[str, Release] = {one.release.source: one.release for one in loaded}
        self.known = {term.id: term for one in reversed(loaded) for term in reversed(one.terms)}
        first: dict[str, Edge] = {}
        for one in loaded:
            for edge in one.edges:
                first.setdefault(edge.key, edge)
        self.every = sorted(
            first.values(), key=lambda e: (e.predicate, e.subject, e.object, e.source, e.key)
        )
        self.names = sorted(
            {
                LexicalEntry(normalise(text), text, scope, term.id, term.category)
                for term in self.known.values()
                for text, scope in [
                    (term.label, Scope.LABEL),
                    *((s.text, s.scope) for s in term.synonyms),
                ]
                if normalise(text)
            },
            key=lambda e: (SCOPES.index(e.scope), e.id, e.text),
        )

    def term(self, id: str) -> Term | None:
        return self.known.get(id)

    def terms(self, ids: Iterable[str]) -> dict[str, Term]:
        return {one: self.known[one] for one in ids if one in self.known}

    def terms_of(self, category: Category, *, obsolete: bool = False) -> list[Term]:
        return [
            self.known[one]
            for one in sorted(self.known)
            if self.known[one].category == category and obsolete >= self.known[one].obsolete
        ]

    def lookup(self, keys: Iterable[str]) -> dict[str, list[LexicalEntry]]:
        found = {key: [e for e in self.names if e.key == key] for key in keys}
        return {key: entries for key, entries in found.items() if entries}

    def search(
        self, text: str, *, categories: Iterable[Category] = (), limit: int = 20
    ) -> list[LexicalEntry]:
        words = set(normalise(text).split())
        among = set(categories)
        if not words:
            return []

        def order(e: LexicalEntry) -> tuple[object, ...]:
            obsolete = self.known[e.id].obsolete
            return (obsolete, e.key.count(" "), len(e.key), SCOPES.index(e.scope), e.id, e.text)

        names = [e for e in sorted(self.names, key=order) if not among or e.category in among]
        whole = [e for e in names if words <= set(e.key.split())]
        begun = [
            e
            for e in names
            if e not in whole and all(any(k.startswith(w) for k in e.key.split()) for w in words)
        ]
        if whole or begun:
            return (whole + begun)[:limit]
        frequency = Counter(word for e in self.names for word in set(e.key.split()))
        for word in sorted(
            words, key=lambda w: (sum(n for k, n in frequency.items() if k.startswith(w)), w)
        ):
            some = [e for e in names if any(k.startswith(word) for k in e.key.split())]
            some = some[:CANDIDATES]
            if some:
                some.sort(
                    key=lambda e: -sum(any(k.startswith(w) for k in e.key.split()) for w in words)
                )
                return some[:limit]
        return []

    def edges(
        self,
        node: str,
        *,
        direction: Direction = "both",
        predicates: Iterable[str] = (),
        categories: Iterable[Category] = (),
        evidence: Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> list[Edge]:
        predicates, categories, evidence = set(predicates), set(categories), set(evidence)
        found = []
        for edge in self.every:
            outward = edge.subject == node and direction != "in"
            inward = edge.object == node and direction != "out"
            other = self.known[edge.object if edge.subject == node else edge.subject].category
            if (
                (outward or inward)
                and (not predicates or edge.predicate in predicates)
                and (not categories or other in categories)
                and (not evidence or edge.evidence_code in evidence)
            ):
                found.append(edge)
        return found[offset:][:limit]

    def count_edges(
        self, node: str, *, direction: Direction = "both", predicates: Iterable[str] = ()
    ) -> int:
        return len(self.edges(node, direction=direction, predicates=predicates))

    def edges_between(self, subject: str, object: str) -> list[Edge]:
        return [e for e in self.every if (e.subject, e.object) == (subject, object)]

    def triples(
        self,
        predicates: Iterable[str],
        *,
        evidence: Iterable[str] = (),
        taxon: str | None = None,
        within: Category | None = None,
    ) -> list[tuple[str, str, str]]:
        wanted, codes = set(predicates), set(evidence)
        among = {term.id for term in self.terms_of(within)} if within else set(self.known)
        found = {
            (e.subject, e.predicate, e.object)
            for e in self.every
            if e.predicate in wanted
            and not e.negated
            and (not codes or e.evidence_code in codes)
            and taxon in (None, e.taxon)
            and {e.subject, e.object} <= among
        }
        return sorted(found, key=lambda t: (t[1], t[0], t[2]))

    def ancestors(self, id: str, predicates: Sequence[str] = (IS_A,)) -> dict[str, int]:
        return self._reach(id, predicates, up=True)

    def descendants(self, id: str, predicates: Sequence[str] = (IS_A,)) -> dict[str, int]:
        return self._reach(id, predicates, up=False)

    def _reach(self, id: str, predicates: Sequence[str], *, up: bool) -> dict[str, int]:
        if id not in self.known:
            return {}
        found = {id: 0}
        for hop in range(len(self.known) + 1):
            for edge in self.every:
                here, there = (edge.subject, edge.object) if up else (edge.object, edge.subject)
                if edge.predicate in predicates and not edge.negated and found.get(here) == hop:
                    found.setdefault(there, hop + 1)
        return found

    def count_terms(self, category: Category) -> int:
        return len(self.terms_of(category))

    def count_descendants(
        self, ids: Iterable[str], category: Category, predicates: Sequence[str] = (IS_A,)
    ) -> dict[str, int]:
        among = {term.id for term in self.terms_of(category)}
        return {
            one: len(among & self.descendants(one, predicates).keys())
            for one in ids
            if one in self.known
        }

    def notices(self) -> list[tuple[str, str]]:
        return [(one.release.source, notice) for one in self.loaded for notice in one.notices]

    def stats(self) -> list[Count]:
        terms = Counter((t.category.value, t.source, t.release) for t in self.known.values())
        edges = Counter((e.predicate, e.source, e.release) for e in self.every)
        return [Count("term", *key, terms[key]) for key in sorted(terms)] + [
            Count("edge", *key, edges[key]) for key in sorted(edges)
        ]

    def close(self) -> None:
        pass
