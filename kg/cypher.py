"""The knowledge graph on a server that speaks Bolt: Neo4j 5.26 and newer, with the same answers.

:class:`CypherGraph` implements :class:`kg.graph.KnowledgeGraph` with parameterised Cypher in
managed read transactions: no APOC, no text of a user or of a model ever becomes part of a query
(labels and types come from the closed tables of :mod:`kg.storage.boltschema`). Every read has a
time limit. The graph gets there with :mod:`kg.storage.boltload`; a graph that is not completely
loaded is refused. Tested against ArcadeDB's Bolt server, see the README.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from types import MappingProxyType
from typing import Any

from data.errors import AssetMissing, BadInput, CelloquyError, DependencyMissing, ServerUnavailable
from kg.graph import CANDIDATES, Count, Direction, LexicalEntry, by_shared_words
from kg.naming.lexicon import normalise
from kg.storage import schema
from kg.storage.boltschema import (
    ancestors_of,
    edge_of,
    entries_of,
    entry_of,
    layout,
    term_of,
    triples_of,
    types,
)
from kg.terms import IS_A, Category, Curie, Edge, Release, Term

__all__ = ["Before", "Connection", "CypherGraph", "Server"]

Rows = list[dict[str, Any]]
Before = tuple[str, dict[str, Any], object]
"""A query with one row of one column, its parameters, and the value it must give."""

_SCHEMES = ("bolt://", "bolt+s://", "bolt+ssc://", "neo4j://", "neo4j+s://", "neo4j+ssc://")
_STORED = {frozenset(some): closure for closure, some in enumerate(schema.CLOSURES)}
_EDGE = "startNode(r).id AS subject, endNode(r).id AS object, properties(r) AS found"
_EDGE_ORDER = "found.predicate, subject, object, found.source, found.key"


@dataclass(frozen=True)
class Connection:
    """Where the server is and how to talk to it.

    ``user``, ``password`` and ``database`` come from CELLOQUY_GRAPH_USER, _PASSWORD and _DATABASE
    unless given; a database is always named, since its default differs from server to server.
    ``timeout`` is for one read, ``connect`` for reaching the server, both in seconds.
    """

    uri: str
    user: str = field(default_factory=lambda: os.environ.get("CELLOQUY_GRAPH_USER", "neo4j"))
    password: str = field(
        default_factory=lambda: os.environ.get("CELLOQUY_GRAPH_PASSWORD", ""), repr=False
    )
    database: str = field(
        default_factory=lambda: os.environ.get("CELLOQUY_GRAPH_DATABASE", "neo4j")
    )
    timeout: float = 10.0
    connect: float = 2.0

    def __post_init__(self) -> None:
        if not self.uri.startswith(_SCHEMES):
            raise BadInput(
                f"{self.uri!r} is no graph server; expected bolt://HOST:PORT or neo4j://HOST:PORT"
            )


class Server:
    """A driver and its one database: managed transactions, errors in Celloquy's words."""

    def __init__(self, connection: Connection) -> None:
        try:
            import neo4j
        except ImportError as error:
            raise DependencyMissing(
                "a graph server needs the neo4j driver; install it: pip install 'celloquy[neo4j]'"
            ) from error
        # The driver tells of every retry; where nobody set up logging that would be on the screen,
        # beside the one line that says what is wrong.
        if not (said := logging.getLogger("neo4j")).hasHandlers():
            said.addHandler(logging.NullHandler())
        self._neo4j = neo4j
        self.connection = connection
        self._driver = neo4j.GraphDatabase.driver(
            connection.uri,
            auth=(connection.user, connection.password) if connection.password else None,
            connection_timeout=connection.connect,
            connection_acquisition_timeout=connection.connect + connection.timeout,
            # A server that is gone is noticed within a second and a half, retries included.
            max_transaction_retry_time=min(1.0, connection.connect),
            initial_retry_delay=0.2,
            # That a label is not there yet is no news on an empty database.
            notifications_min_severity="OFF",
        )

    @contextmanager
    def _errors(self) -> Iterator[None]:
        exceptions = self._neo4j.exceptions
        uri = self.connection.uri
        try:
            yield
        except exceptions.AuthError as error:
            raise BadInput(
                f"{uri} refused user {self.connection.user!r}; set CELLOQUY_GRAPH_USER and "
                "CELLOQUY_GRAPH_PASSWORD"
            ) from error
        except (
            exceptions.ServiceUnavailable,
            exceptions.SessionExpired,
            exceptions.TransientError,
            exceptions.ConfigurationError,
            OSError,
        ) as error:
            raise ServerUnavailable(
                f"the graph server {uri} does not answer ({type(error).__name__}); start it, or "
                "leave --graph out to use the built-in file"
            ) from error
        except exceptions.Neo4jError as error:
            raise CelloquyError(
                f"the graph server {uri} could not do this (database "
                f"{self.connection.database!r}): {error.message}"
            ) from error

    def read(self, query: str, **parameters: Any) -> Rows:
        """Run one query in a managed read transaction; rows as dicts."""

        @self._neo4j.unit_of_work(timeout=self.connection.timeout)
        def work(transaction: Any) -> Rows:
            return [record.data() for record in transaction.run(query, parameters)]

        with (
            self._errors(),
            self._driver.session(
                database=self.connection.database,
                default_access_mode=self._neo4j.READ_ACCESS,
            ) as session,
        ):
            return session.execute_read(work)

    def write(
        self, statements: Sequence[tuple[str, dict[str, Any]]], before: Before | None = None
    ) -> Any:
        """Run several statements in one managed transaction: all of them happen, or none.

        After ``before``, they happen only if its query gives what it says; returns what it gave.
        """

        def work(transaction: Any) -> Any:
            found = None
            if before is not None:
                query, parameters, expected = before
                found = transaction.run(query, parameters).single(strict=True)[0]
                if found != expected:
                    return found
            for query, parameters in statements:
                transaction.run(query, parameters).consume()
            return found

        with (
            self._errors(),
            self._driver.session(database=self.connection.database) as session,
        ):
            return session.execute_write(work)

    def define(self, statement: str) -> None:
        """Run one definition of a constraint or an index, in a transaction of its own."""
        self.write([(statement, {})])

    def close(self) -> None:
        """Close the connections."""
        self._driver.close()


class CypherGraph:
    """:class:`kg.graph.KnowledgeGraph` over Bolt; a context manager. Made with :meth:`open`."""

    def __init__(self, server: Server) -> None:
        self._server = server
        self._bulk: dict[tuple[object, ...], list[tuple[Curie, Curie, Curie]]] = {}

    @classmethod
    def open(cls, connection: Connection) -> CypherGraph:
        """Connect, and see that a complete graph is there.

        Raises
        ------
        ServerUnavailable
            When the server does not answer.
        AssetMissing
            When no graph, or only a part of one, was loaded.
        DependencyMissing
            When the driver is not installed.
        """
        server = Server(connection)
        try:
            found = server.read("MATCH (l:Load {part: 'all'}) RETURN l.layout AS layout")
            if not found or found[0]["layout"] != layout():
                what = "of another version" if found else "or only a part of one"
                raise AssetMissing(
                    f"{connection.uri} holds no graph {what}; run: celloquy kg load "
                    f"--uri {connection.uri}"
                )
        except BaseException:
            server.close()
            raise
        return cls(server)

    def __enter__(self) -> CypherGraph:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; reads after it fail."""
        self._server.close()

    @cached_property
    def releases(self) -> Mapping[str, Release]:
        """The loaded sources by name."""
        rows = self._server.read("MATCH (r:Release) RETURN properties(r) AS r")
        found = sorted((Release(**row["r"]) for row in rows), key=lambda one: one.source)
        return MappingProxyType({one.source: one for one in found})

    def stats(self) -> Sequence[Count]:
        """Terms, then edges, by type, source and release."""
        rows = self._server.read(
            "MATCH (c:Count) RETURN c.kind AS kind, c.type AS type, c.source AS source, "
            "c.release AS release, c.n AS n ORDER BY kind DESC, type, source, release"
        )
        return [Count(**row) for row in rows]

    def notices(self) -> Sequence[tuple[str, str]]:
        """What readers and build passed over or refused, as pairs of source and words."""
        rows = self._server.read(
            "MATCH (n:Notice) RETURN n.source AS source, n.text AS text ORDER BY n.number"
        )
        return [(row["source"], row["text"]) for row in rows]

    # --- terms ---------------------------------------------------------------------------------

    def term(self, id: Curie) -> Term | None:
        """The term with exactly this id; replacements are not followed."""
        return self.terms([id]).get(id)

    def terms(self, ids: Iterable[Curie]) -> dict[Curie, Term]:
        """Those of ``ids`` that exist, by id in the order of the ids."""
        rows = self._server.read(
            "UNWIND $ids AS id MATCH (t:Term {id: id}) RETURN properties(t) AS t ORDER BY t.id",
            ids=sorted(set(ids)),
        )
        return {row["t"]["id"]: term_of(row["t"]) for row in rows}

    def terms_of(self, category: Category, *, obsolete: bool = False) -> Sequence[Term]:
        """All terms of a category by id; obsolete ones only on request."""
        rows = self._server.read(
            "MATCH (t:Term {category: $category}) WHERE $obsolete OR NOT t.obsolete "
            "RETURN properties(t) AS t ORDER BY t.id",
            category=category.value,
            obsolete=obsolete,
        )
        return [term_of(row["t"]) for row in rows]

    # --- names ---------------------------------------------------------------------------------

    def lookup(self, keys: Iterable[str]) -> Mapping[str, Sequence[LexicalEntry]]:
        """Lexical entries of each normalised key that has any; exact matches only."""
        rows = self._server.read(
            "UNWIND $keys AS key MATCH (n:Name {key: key}) RETURN properties(n) AS n",
            keys=sorted(set(keys)),
        )
        entries = sorted(
            (entry_of(row["n"]) for row in rows),
            key=lambda one: (one.key, schema.SCOPES.index(one.scope), one.id, one.text),
        )
        found: dict[str, list[LexicalEntry]] = {}
        for entry in entries:
            found.setdefault(entry.key, []).append(entry)
        return found

    def search(
        self, text: str, *, categories: Iterable[Category] = (), limit: int = 20
    ) -> Sequence[LexicalEntry]:
        """Names that share words or word beginnings with ``text``, best first.

        The order is that of :meth:`kg.graph.KnowledgeGraph.search`.
        """
        words = sorted(set(normalise(text).split()))
        if not words or limit <= 0:
            return []
        chosen = [entries_of(one) for one in schema.CATEGORIES if one in set(categories)]
        begun = [self._words(word, chosen) for word in words]
        if all(begun):
            whole = [some[word].entries for word, some in zip(words, begun, strict=True)
                     if word in some]  # fmt: skip
            exact = sorted(set.intersection(*whole)) if len(whole) == len(words) else []
            started = set.intersection(
                *(set().union(*(one.entries for one in some.values())) for some in begun)
            )
            order = [*exact, *sorted(started - set(exact))][:limit]
            if order:
                return self._entries(order)
        counted = [
            (sum(one.n for one in some.values()), word)
            for word, some in zip(words, begun, strict=True)
        ]
        by_word = dict(zip(words, begun, strict=True))
        for _, word in sorted(counted):
            some = sorted(set().union(*(one.entries for one in by_word[word].values())))
            if some:
                return by_shared_words(words, self._entries(some[:CANDIDATES]))[:limit]
        return []

    def _words(self, beginning: str, chosen: Sequence[str]) -> dict[str, _Word]:
        """Words that begin so, with the names that contain them."""
        rows = self._server.read(
            "MATCH (w:Word) WHERE w.word STARTS WITH $beginning RETURN properties(w) AS w",
            beginning=beginning,
        )
        every = chosen or [entries_of(one) for one in schema.CATEGORIES]
        return {
            row["w"]["word"]: _Word(
                row["w"]["n"], {entry for one in every for entry in row["w"].get(one, ())}
            )
            for row in rows
        }

    def _entries(self, numbers: Sequence[int]) -> list[LexicalEntry]:
        rows = self._server.read(
            "UNWIND $numbers AS number MATCH (n:Name {entry: number}) RETURN properties(n) AS n",
            numbers=list(numbers),
        )
        found = {row["n"]["entry"]: entry_of(row["n"]) for row in rows}
        return [found[number] for number in numbers]

    # --- edges ---------------------------------------------------------------------------------

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
        """The node's edges in order; ``categories`` are those of the other end."""
        kinds = types(predicates)
        if kinds is None:
            return []
        among = [category.value for category in categories]
        codes = list(evidence)
        wanted = [
            *(["m.category IN $categories"] if among else []),
            *(["r.evidence_code IN $evidence"] if codes else []),
        ]
        where = f"WHERE {' AND '.join(wanted)} " if wanted else ""
        cut = "SKIP $offset" + (" LIMIT $limit" if limit is not None else "")
        rows = self._server.read(
            f"MATCH (n:Term {{id: $id}}){_arrow(direction, kinds)}(m:Term) {where}"
            f"WITH DISTINCT r RETURN {_EDGE} ORDER BY {_EDGE_ORDER} {cut}",
            id=node,
            categories=among,
            evidence=codes,
            offset=offset,
            limit=limit,
        )
        return [edge_of(**row) for row in rows]

    def count_edges(
        self, node: Curie, *, direction: Direction = "both", predicates: Iterable[Curie] = ()
    ) -> int:
        """How many edges the node has (its degree over ``predicates``)."""
        kinds = types(predicates)
        if kinds is None:
            return 0
        rows = self._server.read(
            f"MATCH (n:Term {{id: $id}}){_arrow(direction, kinds)}(:Term) "
            "RETURN count(DISTINCT r) AS n",
            id=node,
        )
        return int(rows[0]["n"])

    def edges_between(self, subject: Curie, object: Curie) -> Sequence[Edge]:
        """All edges from ``subject`` to ``object``, over every predicate and source."""
        rows = self._server.read(
            f"MATCH (a:Term {{id: $subject}})-[r]->(b:Term {{id: $object}}) RETURN {_EDGE} "
            f"ORDER BY {_EDGE_ORDER}",
            subject=subject,
            object=object,
        )
        return [edge_of(**row) for row in rows]

    def triples(
        self,
        predicates: Iterable[Curie],
        *,
        evidence: Iterable[str] = (),
        taxon: Curie | None = None,
        within: Category | None = None,
    ) -> Sequence[tuple[Curie, Curie, Curie]]:
        """Every (subject, predicate, object) that is stated, once, and not negated, in order."""
        kinds = types(wanted := sorted(set(predicates)))
        if not wanted or kinds is None:
            return []
        codes = sorted(set(evidence))
        if within and not codes and taxon is None and set(wanted) <= set(schema.CLOSURES[-1]):
            return self._hierarchy(wanted, within)
        asked = (*wanted, None, *codes, None, taxon, within)
        kept = self._bulk.get(asked)
        if kept is None:
            filters = " AND r.evidence_code IN $evidence" if codes else ""
            filters += " AND r.taxon = $taxon" if taxon is not None else ""
            if within:
                filters += "".join(
                    f" AND {end}.category = $within AND NOT {end}.obsolete" for end in "ab"
                )
            rows = self._server.read(
                f"MATCH (a:Term)-[r{kinds}]->(b:Term) WHERE NOT r.negated{filters} "
                "RETURN DISTINCT r.predicate AS predicate, a.id AS subject, b.id AS object",
                evidence=codes,
                taxon=taxon,
                within=within.value if within else None,
            )
            # A hundred thousand rows, the same for every measure of similarity: sorted here, since
            # that takes the server seconds, and the last answer is kept.
            found = sorted((row["predicate"], row["subject"], row["object"]) for row in rows)
            kept = [(start, which, end) for which, start, end in found]
            self._bulk = {asked: kept}
        return kept

    def _hierarchy(
        self, predicates: Sequence[Curie], within: Category
    ) -> list[tuple[Curie, Curie, Curie]]:
        """The edges of an ontology, which are stored apart: ten thousands of rows take seconds."""
        rows = self._server.read(
            "MATCH (h:Hierarchy) WHERE h.category = $category AND h.predicate IN $predicates "
            "RETURN properties(h) AS h ORDER BY h.number",
            category=within.value,
            predicates=predicates,
        )
        return [triple for row in rows for triple in triples_of(row["h"])]

    # --- hierarchies ---------------------------------------------------------------------------

    def ancestors(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every ancestor with its distance in hops, the term itself (0) included."""
        stored = _STORED.get(frozenset(predicates))
        if stored is None:
            return self._walk(id, predicates, up=True)
        # Stored with the term, since Cypher would walk every path of the DAG.
        rows = self._server.read(
            f"MATCH (t:Term {{id: $id}}) RETURN coalesce({_last('above', stored)}, t.id) AS found",
            id=id,
        )
        return ancestors_of(rows[0]["found"]) if rows else {}

    def descendants(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every descendant with its distance in hops, the term itself (0) included."""
        return self._walk(id, predicates, up=False)

    def count_terms(self, category: Category) -> int:
        """How many current terms a category has."""
        rows = self._server.read(
            "MATCH (s:Size {category: $category}) RETURN s.n AS n", category=category.value
        )
        return int(rows[0]["n"]) if rows else 0

    def count_descendants(
        self, ids: Iterable[Curie], category: Category, predicates: Sequence[Curie] = (IS_A,)
    ) -> Mapping[Curie, int]:
        """How many current terms of a category are at or below each of ``ids`` that exists."""
        wanted = list(dict.fromkeys(ids))
        stored = _STORED.get(frozenset(predicates))
        number = "null" if stored is None else f"coalesce({_last('below', stored)}, 1)"
        rows = self._server.read(
            "UNWIND $ids AS id MATCH (t:Term {id: id}) RETURN t.id AS id, "
            f"CASE WHEN t.category = $category THEN {number} END AS n",
            ids=wanted,
            category=category.value,
        )
        found = {row["id"]: row["n"] for row in rows}
        for one in (one for one, n in found.items() if n is None):
            found[one] = self._count_among(self.descendants(one, predicates), category)
        return {one: found[one] for one in wanted if one in found}

    def _count_among(self, ids: Iterable[Curie], category: Category) -> int:
        rows = self._server.read(
            "UNWIND $ids AS id MATCH (t:Term {id: id}) "
            "WHERE t.category = $category AND NOT t.obsolete RETURN count(t) AS n",
            ids=list(ids),
            category=category.value,
        )
        return int(rows[0]["n"])

    def _walk(self, id: Curie, predicates: Sequence[Curie], *, up: bool) -> Mapping[Curie, int]:
        """Level by level, one query a level; the first level at which a node is met is nearest."""
        if self.term(id) is None:
            return {}
        kinds = types(predicates)
        found = {id: 0}
        level, hop = [id], 0
        arrow = f"-[r{kinds}]->" if up else f"<-[r{kinds}]-"
        while level and kinds:
            hop += 1
            rows = self._server.read(
                f"UNWIND $ids AS id MATCH (:Term {{id: id}}){arrow}(m:Term) WHERE NOT r.negated "
                "RETURN DISTINCT m.id AS id ORDER BY id",
                ids=level,
            )
            level = [row["id"] for row in rows if row["id"] not in found]
            found.update(dict.fromkeys(level, hop))
        return found


@dataclass(frozen=True)
class _Word:
    """A word of names: how many names of all have it, and which of the categories asked for."""

    n: int
    entries: set[int]


def _arrow(direction: Direction, kinds: str) -> str:
    return {"out": f"-[r{kinds}]->", "in": f"<-[r{kinds}]-", "both": f"-[r{kinds}]-"}[direction]


def _last(name: str, closure: int) -> str:
    """Properties of the stored closures, the last first: one is left out where it is as before."""
    return ", ".join(f"t.{name}_{one}" for one in range(closure, -1, -1))
