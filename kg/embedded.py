"""The knowledge graph in one SQLite file: the default back end, with no server to start.

Reads go straight to the file by index, so that opening it and reading a gene's edges take
milliseconds and load neither networkx nor numpy. The file is built once from the fetched assets
(:func:`ensure_built`) and never written to afterwards; :mod:`kg.storage.schema` describes it.
:meth:`EmbeddedGraph.to_networkx` gives a part of the graph to networkx, for those who work there;
annotations by the hundred thousand are better read by index.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from itertools import groupby
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from kg.graph import CANDIDATES, Count, Direction, LexicalEntry, by_shared_words
from kg.naming.lexicon import normalise
from kg.storage import schema
from kg.storage.closure import decode
from kg.storage.graphfile import default_path, ensure_built, is_current, open_database
from kg.storage.reach import PARAMETERS, Table, all_above, all_counts, current, marks, reach
from kg.terms import IS_A, Category, Curie, Edge, Release, Scope, Synonym, Term

if TYPE_CHECKING:
    import networkx

__all__ = ["EmbeddedGraph", "default_path", "ensure_built", "is_current"]

# After so many conversions of node numbers by query, all ids are read at once (about 0.1 s, 15 MB):
# a single question stays fast, and a long run answers from memory.
CONVERSIONS_BY_QUERY = 64
LAST = "\U0010ffff"  # of all characters: after every word that begins alike

_EDGE = (
    "e.predicate, a.id, b.id, e.release, e.evidence, e.publications, e.negated, e.qualifiers, "
    "e.taxon, e.weight"
)
_TERM = (
    "n.id, t.label, n.category, t.release, t.definition, t.definition_xrefs, t.synonyms, t.xrefs, "
    "n.obsolete, t.replaced_by, t.consider, t.taxon"
)
_ENTRY = "l.key, l.text, l.scope, n.id, n.category"


class EmbeddedGraph:
    """:class:`kg.graph.KnowledgeGraph` over one SQLite file; a context manager.

    Safe to read from several threads (SQLite serialises them). Made with :meth:`open`.
    """

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db = db
        self._conversions = 0
        self._among: tuple[Category, Mapping[int, Curie]] | None = None
        self.path = path

    @classmethod
    def open(cls, path: Path | None = None) -> EmbeddedGraph:
        """Open the file at ``path``, or that of the fetched assets.

        Raises
        ------
        AssetMissing
            When it is not there or was built by another version; the message says what to run.
        """
        path = path or default_path()
        db = open_database(path)
        return cls(db, path)

    def __enter__(self) -> EmbeddedGraph:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the file; reads after it fail."""
        self._db.close()

    @property
    def fingerprint(self) -> str:
        """What the file was made of, as given to :func:`kg.storage.build.build`."""
        found = self._db.execute("SELECT value FROM meta WHERE name = 'fingerprint'").fetchone()
        return str(found[0])

    @cached_property
    def _releases(self) -> dict[int, Release]:
        rows = self._db.execute("SELECT * FROM releases ORDER BY source")
        return {number: Release(*rest) for number, *rest in rows}

    @property
    def releases(self) -> Mapping[str, Release]:
        """The loaded sources by name."""
        return MappingProxyType({r.source: r for r in self._releases.values()})

    def notices(self) -> Sequence[tuple[str, str]]:
        """What readers and build passed over or refused, as pairs of source and words."""
        return self._db.execute("SELECT source, notice FROM notices ORDER BY rowid").fetchall()

    def stats(self) -> Sequence[Count]:
        """Terms and edges by type, source and release."""
        rows = self._db.execute(
            "SELECT kind, type, source, release, n FROM counts "
            "ORDER BY kind DESC, type, source, release"
        )
        return [Count(*found) for found in rows]

    # --- terms ---------------------------------------------------------------------------------

    def term(self, id: Curie) -> Term | None:
        """The term with exactly this id; replacements are not followed."""
        found = self._db.execute(
            f"SELECT {_TERM} FROM nodes n JOIN terms t USING (node) WHERE n.id = ?", (id,)
        ).fetchone()
        return self._term(found) if found else None

    def terms(self, ids: Iterable[Curie]) -> dict[Curie, Term]:
        """Those of ``ids`` that exist, by id in the order of the ids."""
        wanted = sorted(set(ids))
        found: dict[Curie, Term] = {}
        for start in range(0, len(wanted), PARAMETERS):
            some = wanted[start : start + PARAMETERS]
            rows = self._db.execute(
                f"SELECT {_TERM} FROM nodes n JOIN terms t USING (node) "
                f"WHERE n.id IN ({marks(some)}) ORDER BY n.node",
                some,
            )
            found.update((one[0], self._term(one)) for one in rows)
        return found

    def terms_of(self, category: Category, *, obsolete: bool = False) -> Sequence[Term]:
        """All terms of a category by id; obsolete ones only on request."""
        rows = self._db.execute(
            f"SELECT {_TERM} FROM nodes n JOIN terms t USING (node) "
            "WHERE n.category = ? AND n.obsolete <= ? ORDER BY n.node",
            (schema.CATEGORIES.index(category), int(obsolete)),
        )
        return [self._term(found) for found in rows]

    def all_terms(self) -> Iterator[Term]:
        """Every term by id, obsolete ones included, read as it is asked for."""
        rows = self._db.execute(
            f"SELECT {_TERM} FROM nodes n JOIN terms t USING (node) ORDER BY n.node"
        )
        return map(self._term, rows)

    def _term(self, found: tuple[Any, ...]) -> Term:
        (id_, label, category, release, definition, definition_xrefs, synonyms, xrefs) = found[:8]
        obsolete, replaced_by, consider, taxon = found[8:]
        of = self._releases[release]
        return Term(
            id=id_,
            label=label,
            category=schema.CATEGORIES[category],
            source=of.source,
            release=of.version,
            definition=definition,
            definition_xrefs=_strings(definition_xrefs),
            synonyms=tuple(Synonym(text, Scope(scope)) for text, scope in json.loads(synonyms))
            if synonyms
            else (),
            xrefs=_strings(xrefs),
            obsolete=bool(obsolete),
            replaced_by=replaced_by,
            consider=_strings(consider),
            taxon=taxon,
        )

    # --- names ---------------------------------------------------------------------------------

    def lookup(self, keys: Iterable[str]) -> Mapping[str, Sequence[LexicalEntry]]:
        """Lexical entries of each normalised key that has any; exact matches only."""
        wanted = sorted(set(keys))
        found: dict[str, list[LexicalEntry]] = {}
        for start in range(0, len(wanted), PARAMETERS):
            some = wanted[start : start + PARAMETERS]
            rows = self._db.execute(
                f"SELECT {_ENTRY} FROM lexicon l JOIN nodes n USING (node) "
                f"WHERE l.key IN ({marks(some)}) ORDER BY l.key, l.scope, l.node, l.text",
                some,
            )
            for one in rows:
                found.setdefault(one[0], []).append(_entry(one))
        return found

    def all_names(self) -> Iterator[tuple[int, LexicalEntry]]:
        """Every name with its number, in search order, read as it is asked for."""
        rows = self._db.execute(
            f"SELECT {_ENTRY}, l.entry FROM lexicon l JOIN nodes n USING (node) ORDER BY l.entry"
        )
        return ((one[-1], _entry(one)) for one in rows)

    def count_names(self) -> int:
        """How many names the graph has."""
        return int(self._db.execute("SELECT count(*) FROM lexicon").fetchone()[0])

    def search(
        self, text: str, *, categories: Iterable[Category] = (), limit: int = 20
    ) -> Sequence[LexicalEntry]:
        """Names that share words or word beginnings with ``text``, best first.

        The order is that of :meth:`kg.graph.KnowledgeGraph.search`.
        """
        words = sorted(set(normalise(text).split()))
        if not words or limit <= 0:
            return []
        marks = " OR ".join(f'"{schema.category_word(category)}"' for category in set(categories))
        among = f" AND ({marks})" if marks else ""
        if all(self._begins_a_word(word) for word in words):
            found = self._matches(" AND ".join(f'"{word}"' for word in words) + among, limit)
            if len(found) < limit:
                begun = " AND ".join(f'"{word}"*' for word in words)
                seen = {entry for entry, _ in found}
                more = self._matches(begun + among, limit + len(found))
                found += [one for one in more if one[0] not in seen][: limit - len(found)]
            if found:
                return [entry for _, entry in found]
        for word in self._by_rarity(words):
            candidates = self._matches(f'"{word}"*' + among, CANDIDATES)
            if candidates:
                return by_shared_words(words, [entry for _, entry in candidates])[:limit]
        return []

    def _begins_a_word(self, word: str) -> bool:
        query = "SELECT 1 FROM words WHERE word >= ? AND word < ? LIMIT 1"
        return self._db.execute(query, (word, word + LAST)).fetchone() is not None

    def _matches(self, query: str, limit: int) -> list[tuple[int, LexicalEntry]]:
        rows = self._db.execute(
            f"SELECT {_ENTRY}, l.entry FROM search JOIN lexicon l ON l.entry = search.rowid "
            "JOIN nodes n USING (node) WHERE search MATCH ? ORDER BY search.rowid LIMIT ?",
            (query, limit),
        )
        return [(one[-1], _entry(one)) for one in rows]

    def _by_rarity(self, words: Iterable[str]) -> list[str]:
        counted = [
            (
                self._db.execute(
                    "SELECT total(n) FROM words WHERE word >= ? AND word < ?",
                    (word, word + LAST),
                ).fetchone()[0],
                word,
            )
            for word in words
        ]
        return [word for _, word in sorted(counted)]

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
        number = self._number(node)
        chosen = schema.codes(predicates)
        if number is None or chosen is None:
            return []
        filters, values = _filters(chosen, categories, evidence)
        parts, parameters = [], []
        if direction != "in":
            parts.append(_half("subject", "object", filters))
            parameters += [number, *values]
        if direction != "out":
            once = " AND e.subject != e.object" if direction == "both" else ""
            parts.append(_half("object", "subject", filters + once))
            parameters += [number, *values]
        rows = self._db.execute(
            " UNION ALL ".join(parts) + " ORDER BY 11 LIMIT ? OFFSET ?",
            [*parameters, -1 if limit is None else limit, offset],
        )
        return [self._edge(found) for found in rows]

    def count_edges(
        self, node: Curie, *, direction: Direction = "both", predicates: Iterable[Curie] = ()
    ) -> int:
        """How many edges the node has (its degree over ``predicates``)."""
        number = self._number(node)
        chosen = schema.codes(predicates)
        if number is None or chosen is None:
            return 0
        which = f" AND predicate IN ({marks(chosen)})" if chosen else ""
        ends = {"out": ["subject"], "in": ["object"], "both": ["subject", "object"]}[direction]
        counted = [
            self._db.execute(
                f"SELECT count(*) FROM edges WHERE {end} = ?{which}", [number, *chosen]
            ).fetchone()[0]
            for end in ends
        ]
        if direction == "both":
            counted.append(
                -self._db.execute(
                    f"SELECT count(*) FROM edges WHERE subject = ? AND object = subject{which}",
                    [number, *chosen],
                ).fetchone()[0]
            )
        return sum(counted)

    def edges_between(self, subject: Curie, object: Curie) -> Sequence[Edge]:
        """All edges from ``subject`` to ``object``, over every predicate and source."""
        rows = self._db.execute(
            f"SELECT {_EDGE} FROM edges e JOIN nodes a ON a.node = e.subject "
            "JOIN nodes b ON b.node = e.object WHERE a.id = ? AND b.id = ? ORDER BY e.edge",
            (subject, object),
        )
        return [self._edge(found) for found in rows]

    def all_edges(self) -> Iterator[Edge]:
        """Every edge in order, read as it is asked for."""
        rows = self._db.execute(
            f"SELECT {_EDGE} FROM edges e JOIN nodes a ON a.node = e.subject "
            "JOIN nodes b ON b.node = e.object ORDER BY e.edge"
        )
        return map(self._edge, rows)

    def triples(
        self,
        predicates: Iterable[Curie],
        *,
        evidence: Iterable[str] = (),
        taxon: Curie | None = None,
        within: Category | None = None,
    ) -> Sequence[tuple[Curie, Curie, Curie]]:
        """Every (subject, predicate, object) that is stated, once, and not negated, in order."""
        where, values = "", list[object]()
        if evidences := sorted(set(evidence)):
            where, values = f" AND evidence IN ({marks(evidences)})", [*evidences]
        if taxon is not None:
            where, values = where + " AND taxon = ?", [*values, taxon]
        among = None if within is None else self._current(within)
        found: list[tuple[Curie, Curie, Curie]] = []
        for code in schema.codes(predicates) or ():
            rows = self._db.execute(
                "SELECT subject, object FROM edges WHERE edge BETWEEN "
                "(SELECT first FROM spans WHERE predicate = ?) AND "
                f"(SELECT last FROM spans WHERE predicate = ?) AND NOT negated{where} "
                "ORDER BY edge",
                [code, code, *values],
            )
            predicate = schema.CODES[code]
            # Equal pairs follow each other: edges are in order of subject and object.
            pairs = (pair for pair, _ in groupby(rows))
            if among is None:
                every = self._every_id
                found += [(every[a - 1], predicate, every[b - 1]) for a, b in pairs]
            else:
                found += [
                    (among[a], predicate, among[b]) for a, b in pairs if a in among and b in among
                ]
        return found

    def _edge(self, found: tuple[Any, ...]) -> Edge:
        code, subject, object_, release, evidence, publications = found[:6]
        negated, qualifiers, taxon, weight = found[6:10]
        of = self._releases[release]
        return Edge(
            subject=subject,
            predicate=schema.CODES[code],
            object=object_,
            source=of.source,
            release=of.version,
            evidence_code=evidence,
            publications=tuple(publications.split(schema.SEPARATOR)) if publications else (),
            negated=bool(negated),
            qualifiers=tuple(qualifiers.split(schema.SEPARATOR)) if qualifiers else (),
            taxon=taxon,
            weight=weight,
        )

    # --- hierarchies ---------------------------------------------------------------------------

    def ancestors(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every ancestor with its distance in hops, the term itself (0) included."""
        return self._reach(id, predicates, "ancestors")

    def descendants(self, id: Curie, predicates: Sequence[Curie] = (IS_A,)) -> Mapping[Curie, int]:
        """Every descendant with its distance in hops, the term itself (0) included."""
        return self._reach(id, predicates, "descendants")

    def all_above(self) -> Iterator[tuple[Curie, list[tuple[int, list[Curie], Sequence[int]]]]]:
        """The ancestors of every term that has any: stored closure, ids and hops, by id.

        A closure that equals the one before it is left out.
        """
        every = self._every_id
        for node, some in all_above(self._db):
            read = [(closure, *decode(nodes, hops)) for closure, nodes, hops in some]
            yield every[node - 1], [(c, [every[n - 1] for n in nodes], h) for c, nodes, h in read]

    def all_counts(self) -> dict[Curie, dict[int, int]]:
        """Current terms of its own category at or below each term, by stored closure.

        A closure is left out where its number is that of the one before; a term where it is the
        only one.
        """
        every = self._every_id
        return {every[node - 1]: found for node, found in all_counts(self._db).items()}

    def _reach(self, id: Curie, predicates: Sequence[Curie], table: Table) -> Mapping[Curie, int]:
        number = self._number(id)
        if number is None:
            return {}
        nodes, hops = reach(self._db, number, predicates, table)
        return dict(zip(self._ids(nodes), hops, strict=True))

    def count_terms(self, category: Category) -> int:
        """How many current terms a category has."""
        return len(self._current(category))

    def count_descendants(
        self, ids: Iterable[Curie], category: Category, predicates: Sequence[Curie] = (IS_A,)
    ) -> Mapping[Curie, int]:
        """How many current terms of a category are at or below each of ``ids`` that exists."""
        among = self._current(category).keys()
        found = {}
        for id_ in dict.fromkeys(ids):
            number = self._number(id_)
            if number is not None:
                nodes, _ = reach(self._db, number, predicates, "descendants")
                found[id_] = sum(node in among for node in nodes)
        return found

    def _current(self, category: Category) -> Mapping[int, Curie]:
        """Numbers and ids of a category's current terms; the last category's are kept."""
        if self._among is None or self._among[0] is not category:
            self._among = category, current(self._db, category)
        return self._among[1]

    def _number(self, id: Curie) -> int | None:
        found = self._db.execute("SELECT node FROM nodes WHERE id = ?", (id,)).fetchone()
        return found[0] if found else None

    def _ids(self, nodes: Sequence[int]) -> Sequence[Curie]:
        """The ids of node numbers, in the same order."""
        self._conversions += 1
        if self._conversions > CONVERSIONS_BY_QUERY or len(nodes) > PARAMETERS:
            every = self._every_id
            return [every[node - 1] for node in nodes]
        rows = self._db.execute(
            f"SELECT node, id FROM nodes WHERE node IN ({marks(nodes)})", list(nodes)
        )
        names = dict(rows.fetchall())
        return [names[node] for node in nodes]

    @cached_property
    def _every_id(self) -> list[Curie]:
        # Nodes are numbered from 1 without a gap.
        return [id_ for (id_,) in self._db.execute("SELECT id FROM nodes ORDER BY node")]

    # --- for other libraries -------------------------------------------------------------------

    def to_networkx(
        self,
        categories: Iterable[Category] = (Category.CELL_TYPE, Category.ANATOMY),
        predicates: Iterable[Curie] = schema.CLOSURES[-1],
    ) -> networkx.DiGraph:
        """The current terms of ``categories`` and the edges between them, for networkx.

        Nodes are ids with their ``label``; edges point from subject to object and carry the
        ``predicates`` that are stated. CL with UBERON takes about 0.3 s, the import of networkx
        included.
        """
        import networkx

        chosen = [schema.CATEGORIES.index(category) for category in categories]
        rows = self._db.execute(
            "SELECT n.id, t.label FROM nodes n JOIN terms t USING (node) "
            f"WHERE n.category IN ({marks(chosen)}) AND NOT n.obsolete ORDER BY n.node",
            chosen,
        )
        graph = networkx.DiGraph()
        graph.add_nodes_from((id_, {"label": label}) for id_, label in rows)
        codes = schema.codes(predicates) or []
        edges = self._db.execute(
            "SELECT DISTINCT a.id, b.id, e.predicate FROM edges e "
            "JOIN nodes a ON a.node = e.subject JOIN nodes b ON b.node = e.object "
            f"WHERE e.predicate IN ({marks(codes)}) "
            f"AND a.category IN ({marks(chosen)}) AND b.category IN ({marks(chosen)}) "
            "AND NOT (e.negated OR a.obsolete OR b.obsolete) ORDER BY a.node, b.node, e.predicate",
            [*codes, *chosen, *chosen],
        )
        stated: dict[tuple[Curie, Curie], tuple[Curie, ...]] = {}
        for subject, object_, code in edges:
            pair = subject, object_
            stated[pair] = (*stated.get(pair, ()), schema.CODES[code])
        graph.add_edges_from((a, b, {"predicates": some}) for (a, b), some in stated.items())
        return graph


def _strings(array: str | None) -> tuple[str, ...]:
    return tuple(json.loads(array)) if array else ()


def _entry(found: tuple[Any, ...]) -> LexicalEntry:
    key, text, scope, id_, category = found[:5]
    return LexicalEntry(key, text, schema.SCOPES[scope], id_, schema.CATEGORIES[category])


def _filters(
    codes: list[int], categories: Iterable[Category], evidence: Iterable[str]
) -> tuple[str, list[object]]:
    among = sorted(schema.CATEGORIES.index(category) for category in set(categories))
    evidences = sorted(set(evidence))
    parts: list[str] = []
    if codes:
        parts.append(f" AND e.predicate IN ({marks(codes)})")
    if among:
        parts.append(f" AND other.category IN ({marks(among)})")
    if evidences:
        parts.append(f" AND e.evidence IN ({marks(evidences)})")
    return "".join(parts), [*codes, *among, *evidences]


def _half(here: str, there: str, filters: str) -> str:
    """The query of the edges that have the node at one end; column 11 is their order."""
    mine, other = ("a", "b") if here == "subject" else ("b", "a")
    columns = _EDGE.replace(f"{other}.id", "other.id").replace(f"{mine}.id", "mine.id")
    return (
        f"SELECT {columns}, e.edge FROM edges e JOIN nodes mine ON mine.node = e.{here} "
        f"JOIN nodes other ON other.node = e.{there} WHERE e.{here} = ?{filters}"
    )
