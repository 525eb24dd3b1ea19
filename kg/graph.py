"""The one interface of the knowledge graph: every read that the rest of Celloquy makes.

Two back ends implement it: :mod:`kg.embedded` (SQLite and networkx) and :mod:`kg.cypher` (Neo4j
over Bolt). One compliance suite (tests/kg/test_compliance.py) runs on both; answers are equal,
order included. Ontology mathematics on top of these reads is in :mod:`kg.ontology`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from kg.terms import IS_A, Category, Curie, Edge, Release, Scope, Term

__all__ = ["CANDIDATES", "Count", "Direction", "KnowledgeGraph", "LexicalEntry", "by_shared_words"]

CANDIDATES = 200
"""How many names :meth:`KnowledgeGraph.search` ranks by shared words when none has them all."""

Direction = Literal["out", "in", "both"]
"""``out``: the node is the subject; ``in``: it is the object."""


@dataclass(frozen=True, slots=True)
class LexicalEntry:
    """One name of one term: what grounding looks up.

    ``key`` is the normalised form (:func:`kg.naming.lexicon.normalise`), ``text`` the name as
    written in the source, ``scope`` how closely it fits.
    """

    key: str
    text: str
    scope: Scope
    id: Curie
    category: Category


@dataclass(frozen=True, slots=True)
class Count:
    """A row of :meth:`KnowledgeGraph.stats`: so many terms or edges of a kind, from a release."""

    kind: Literal["term", "edge"]
    type: str
    source: str
    release: str
    n: int


class KnowledgeGraph(Protocol):
    """Typed reads over terms and edges.

    No method takes a query in any language. Sequences are returned in a fixed order: terms by
    id, edges by (predicate, subject, object, source, key), lexical entries by (scope, id, text),
    scopes being in the order of :class:`kg.terms.Scope`, the closest first. Ids that do not exist
    yield ``None`` or nothing, never an error. Obsolete terms are present (``Term.obsolete``), and
    so are their names, but they carry no ontology edges.
    """

    @property
    def releases(self) -> Mapping[str, Release]:
        """The loaded sources by name."""

    def term(self, id: Curie) -> Term | None:
        """The term with exactly this id; replacements are not followed (see kg.ontology)."""

    def terms(self, ids: Iterable[Curie]) -> dict[Curie, Term]:
        """Those of ``ids`` that exist, in one read."""

    def terms_of(self, category: Category, *, obsolete: bool = False) -> Sequence[Term]:
        """All terms of a category; obsolete ones only on request."""

    def lookup(self, keys: Iterable[str]) -> Mapping[str, Sequence[LexicalEntry]]:
        """Lexical entries of each normalised key that has any; exact matches only."""

    def search(
        self, text: str, *, categories: Iterable[Category] = (), limit: int = 20
    ) -> Sequence[LexicalEntry]:
        """Names that share words or word beginnings with ``text``, best first.

        The words are those of :func:`kg.naming.lexicon.normalise`. First come the names that have
        every word, then those in which every word is at least begun. Where there are none of
        either, the words are tried from the rarest on (by how many words of all names begin with
        it, then by alphabet) until some names have a word that begins with it: of the first
        :data:`CANDIDATES` of these, those in which most words are begun come first. Names that are
        equal so far stand in this order: current terms, then fewer words, shorter keys, closer
        scopes, ids, texts.
        """

    def edges(
        self,
        node: Curie,
        *,
        direction: Direction = "both",
        predicates: Iterable[Curie] = (),
        categories: Iterable[Category] = (),
        evidence: Iterable[str] = (),
        limit: int | None = None,
        offset: int = 0,
    ) -> Sequence[Edge]:
        """The node's edges; empty filters mean all; ``categories`` are those of the other end."""

    def count_edges(
        self, node: Curie, *, direction: Direction = "both", predicates: Iterable[Curie] = ()
    ) -> int:
        """How many edges the node has (its degree over ``predicates``)."""

    def edges_between(self, subject: Curie, object: Curie) -> Sequence[Edge]:
        """All edges from ``subject`` to ``object``, over every predicate and source."""

    def triples(
        self,
        predicates: Iterable[Curie],
        *,
        evidence: Iterable[str] = (),
        taxon: Curie | None = None,
        within: Category | None = None,
    ) -> Sequence[tuple[Curie, Curie, Curie]]:
        """Every (subject, predicate, object) that is stated, once, and not negated.

        The bulk read, for matrices and graph libraries. Only of the ``predicates`` given, by
        (predicate, subject, object); ``evidence`` and ``taxon`` filter the statements counted.
        ``within`` a category: of those between two of its current terms.
        """

    def ancestors(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every ancestor with its distance in hops, the term itself (0) included.

        Follows edges that are not negated from subject to object over ``predicates``.
        """

    def descendants(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every descendant with its distance in hops, the term itself (0) included."""

    def count_terms(self, category: Category) -> int:
        """How many current terms a category has."""

    def count_descendants(
        self, ids: Iterable[Curie], category: Category, predicates: Sequence[Curie] = (IS_A,)
    ) -> Mapping[Curie, int]:
        """How many current terms of a category are at or below each of ``ids`` that exists."""

    def notices(self) -> Sequence[tuple[str, str]]:
        """What readers and build passed over or refused, as pairs of source and words."""

    def stats(self) -> Sequence[Count]:
        """Terms, then edges, by type, source and release."""

    def close(self) -> None:
        """Release files and connections; reads after it fail."""


def by_shared_words(words: Iterable[str], candidates: Sequence[LexicalEntry]) -> list[LexicalEntry]:
    """``candidates`` with most of ``words`` first; their order is kept where the number is equal.

    The last step of :meth:`KnowledgeGraph.search` in every back end.
    """
    wanted = set(words)

    def shared(entry: LexicalEntry) -> int:
        found = entry.key.split()
        return sum(any(one.startswith(word) for one in found) for word in wanted)

    return sorted(candidates, key=shared, reverse=True)
