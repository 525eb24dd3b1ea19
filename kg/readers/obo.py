"""Terms and typed edges from an OBO file: the one door to obonet.

obonet reads; :class:`kg.readers.obo_lines.StrictLines` stands before it and counts stand behind it,
so that a malformed file is an error with its line number and never a silent loss. What is
deliberately not loaded is counted in the notices: relations outside the closed table of
:mod:`kg.terms`, statements about terms of other ontologies, statements with an end that is obsolete
or that nothing names, statements that hold only in a context, axioms that are no edges
(``disjoint_from``, ``union_of``).

How the format is read:

* ``is_a`` and ``relationship`` are edges. ``intersection_of`` gives edges too: a term defined as
  a genus with differentiae is logically a kind of the genus and stands in each relation.
* ``alt_id`` becomes an obsolete term replaced by the one that has it, so that old ids resolve.
* Terms of other ontologies that edges point to are terms of category OTHER (or the category of
  their prefix), named by their stanza or by the comment behind their id; those of ontologies
  that have a source of their own (``elsewhere``) are left to it.
* Two statements of the same edge are one. A cycle of *is a* is an error.

The format does not say which relation a short name is; the file's own ``[Typedef]`` cross-
references decide, then :data:`RELATIONS`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

from data.errors import BadFile
from kg import terms as t
from kg.readers.obo_lines import NARROWED, StrictLines
from kg.readers.source import Loaded
from kg.terms import PREDICATES, Category, Curie, Edge, Release, Scope, Synonym, Term, is_curie

__all__ = ["RELATIONS", "read_obo", "unescape"]

RELATIONS: Mapping[str, Curie] = {
    # Short names that releases of CL and GO have used for relations of the closed table.
    "is_a": t.IS_A,
    "part_of": t.PART_OF,
    "has_part": t.HAS_PART,
    "develops_from": t.DEVELOPS_FROM,
    "capable_of": t.CAPABLE_OF,
    "regulates": t.REGULATES,
    "negatively_regulates": t.NEGATIVELY_REGULATES,
    "positively_regulates": t.POSITIVELY_REGULATES,
    "has_plasma_membrane_part": t.HAS_PLASMA_MEMBRANE_PART,
    "lacks_plasma_membrane_part": t.LACKS_PLASMA_MEMBRANE_PART,
    "lacks_part": t.LACKS_PART,
    "has_high_plasma_membrane_amount": t.HAS_HIGH_PLASMA_MEMBRANE_AMOUNT,
    "has_low_plasma_membrane_amount": t.HAS_LOW_PLASMA_MEMBRANE_AMOUNT,
    "expresses": t.EXPRESSES,
    "located_in": t.LOCATED_IN,
    "involved_in": t.INVOLVED_IN,
    "enables": t.ENABLES,
    "has_phenotype": t.HAS_PHENOTYPE,
}

_PREFIXES: Mapping[str, Category] = {
    "CL": Category.CELL_TYPE,
    "UBERON": Category.ANATOMY,
    "MONDO": Category.DISEASE,
    "HP": Category.PHENOTYPE,
}
_NAMESPACES: Mapping[str, Category] = {
    "biological_process": Category.PROCESS,
    "molecular_function": Category.FUNCTION,
    "cellular_component": Category.COMPONENT,
}
_DATE = re.compile(r"(?P<year>(?:19|20)\d{2})[-.](?P<month>\d{2})[-.](?P<day>\d{2})")
_QUOTED = re.compile(r"\"(?P<text>(?:[^\"\\]|\\.)*)\"\s*(?P<rest>.*)")
_REFERENCE = re.compile(r"\s*((?:[^,\"\\]|\\.)+?)\s*(?:\"(?:[^\"\\]|\\.)*\"\s*)?(?:,|$)")
_SCOPES = {scope.value: scope for scope in Scope}
_ESCAPE = re.compile(r"\\(.)")
_ESCAPED = {"n": "\n", "r": "\r", "t": "\t", "f": "\f", "W": " "}


def unescape(text: str) -> str:
    r"""Return the text with OBO's backslash escapes resolved.

    >>> unescape(r"the \"bare\" nucleus\, 3\:5")
    'the "bare" nucleus, 3:5'
    """
    if "\\" not in text:
        return text
    return _ESCAPE.sub(lambda escape: _ESCAPED.get(escape[1], escape[1]), text)


def read_obo(
    path: Path,
    *,
    release: Release,
    prefix: str,
    elsewhere: Collection[str] = (),
) -> Loaded:
    """Read the terms whose ids have ``prefix``, and the edges that start from them.

    Parameters
    ----------
    path
        An OBO file, format 1.2 or 1.4, in UTF-8.
    release
        The source; its version and date are the file's own (``data-version``) where it has any.
    prefix
        Of the ontology's own terms, ``CL``.
    elsewhere
        Prefixes whose terms another source gives: edges to them stay, terms do not.

    Raises
    ------
    BadFile
        With the line number, when the file is malformed.
    """
    gate = StrictLines(path)
    graph = _read(gate)
    release = _dated(release, graph.graph.get("data-version", ""), path)
    return _Reading(gate, graph, release, prefix, frozenset(elsewhere)).loaded()


def _read(gate: StrictLines) -> Any:
    import obonet

    try:
        graph = obonet.read_obo(gate, ignore_obsolete=False)
    except BadFile:
        raise
    except (ValueError, KeyError) as error:
        raise BadFile(f"{gate.path.name} cannot be read as OBO: {error}") from error
    nodes = {key: graph.nodes[key] for key in gate.lines if key in graph}
    read = Counter(
        {
            "id": len(nodes),
            **{
                tag: sum(len(node.get(tag, ())) for node in nodes.values())
                for tag in ("alt_id", "synonym", "xref", "intersection_of")
            },
            **{tag: sum(tag in node for node in nodes.values()) for tag in ("name", "def")},
        }
    )
    for tag, n in read.items():
        if gate.tally[tag] != n:
            raise BadFile(f"{gate.path.name}: obonet gave {n} of the {gate.tally[tag]} {tag} lines")
    return graph


def _dated(release: Release, stated: str, path: Path) -> Release:
    in_file = _DATE.search(stated)
    if in_file:
        # "cl/releases/2022-11-25/cl-base.owl" is the release 2022-11-25.
        date = "-".join(in_file.groups())
        return replace(release, version=date, date=date)
    if stated or release.version:
        return replace(release, version=stated or release.version)
    in_name = _DATE.search(path.name)
    date = "-".join(in_name.groups()) if in_name else ""
    return replace(release, version=date or "unknown", date=date)


@dataclass
class _Reading:
    """One file on its way from obonet's graph to terms and edges."""

    gate: StrictLines
    graph: Any
    release: Release
    prefix: str
    elsewhere: frozenset[str]
    skipped: Counter[str] = field(default_factory=Counter)
    first: dict[str, str] = field(default_factory=dict)

    def loaded(self) -> Loaded:
        own = [key for key in self.gate.lines if _prefix(key) == self.prefix]
        if not own:
            raise BadFile(f"{self.gate.path.name} holds no {self.prefix}: terms")
        terms = {key: self._term(key, self.graph.nodes[key]) for key in own}
        self._alternatives(terms)
        edges = self._edges(own, terms)
        self._refuse_cycles(edges)
        terms.update(self._foreign(edges, terms))
        others = len(self.gate.lines) - len(own)
        if others:
            self._skip("terms of other ontologies, but for the ends of edges", n=others)
        for tag, n in self.gate.unread.items():
            if tag in ("disjoint_from", "union_of", "equivalent_to"):
                self._skip(f"{tag} statements", n=n)
            elif tag == NARROWED and n:
                self._skip(tag, n=n)
        notices = tuple(
            f"{self.release.source}: not loaded: {n} {what}"
            + (f" (first: {self.first[what]})" if what in self.first else "")
            for what, n in self.skipped.items()
        )
        return Loaded(self.release, tuple(terms.values()), tuple(edges), notices)

    def _skip(self, what: str, example: str = "", n: int = 1) -> None:
        if example and what not in self.skipped:
            self.first[what] = example
        self.skipped[what] += n

    def _at(self, id: Curie) -> str:
        return f"{id}, line {self.gate.lines[id]}"

    def _term(self, id: Curie, node: Mapping[str, Any]) -> Term:
        definition, references = _definition(node.get("def", ""))
        if "name" not in node:
            self._skip("names: terms without one are called by their id", self._at(id))
        links = {
            tag: [value for value in dict.fromkeys(node.get(tag, ())) if is_curie(value)]
            for tag in ("replaced_by", "consider")
        }
        for tag, good in links.items():
            bad = len(set(node.get(tag, ()))) - len(good)
            if bad:
                self._skip(f"{tag} lines without an identifier", self._at(id), bad)
        if id in links["replaced_by"]:
            links["replaced_by"].remove(id)
            self._skip("replacements of a term by itself", self._at(id))
        if len(links["replaced_by"]) > 1:
            self._skip("second replacements, kept as ids to consider", self._at(id))
        return Term(
            id=id,
            label=unescape(node.get("name", id)),
            category=self._category(id, node),
            source=self.release.source,
            release=self.release.version,
            definition=definition,
            definition_xrefs=references,
            synonyms=tuple(map(_synonym, dict.fromkeys(node.get("synonym", ())))),
            xrefs=tuple(dict.fromkeys(unescape(x.split(' "')[0]) for x in node.get("xref", ()))),
            obsolete=node.get("is_obsolete") == "true",
            replaced_by=links["replaced_by"][0] if links["replaced_by"] else None,
            consider=tuple(dict.fromkeys(links["replaced_by"][1:] + links["consider"])),
        )

    def _category(self, id: Curie, node: Mapping[str, Any]) -> Category:
        if _prefix(id) != "GO":
            return _PREFIXES.get(_prefix(id), Category.OTHER)
        namespace = node.get("namespace", "")
        if namespace in _NAMESPACES:
            return _NAMESPACES[namespace]
        if self.prefix == "GO":
            raise self.gate.fail(
                f"{id} of namespace {namespace or 'none'}",
                f"one of {', '.join(_NAMESPACES)}",
                self.gate.lines[id],
            )
        return Category.OTHER

    def _alternatives(self, terms: dict[Curie, Term]) -> None:
        for term in list(terms.values()):
            for old in self.graph.nodes[term.id].get("alt_id", ()):
                if old in terms:
                    self._skip("alternative ids that are terms themselves", old)
                    continue
                terms[old] = Term(
                    id=old,
                    label=term.label,
                    category=term.category,
                    source=term.source,
                    release=term.release,
                    obsolete=True,
                    replaced_by=term.id,
                )

    def _relations(self) -> dict[str, Curie]:
        relations = {**RELATIONS, **{name: name for name in PREDICATES}}
        for typedef in self.graph.graph.get("typedefs", ()):
            for reference in typedef.get("xref", ()):
                if reference in PREDICATES:
                    relations[typedef["id"]] = reference
        return relations

    def _statements(self, id: Curie) -> Iterator[tuple[str, Curie]]:
        for _, target, relation in self.graph.out_edges(id, keys=True):
            yield relation, target
        for part in self.graph.nodes[id].get("intersection_of", ()):
            relation, _, target = part.rpartition(" ")
            yield relation or "is_a", target

    def _edges(self, own: Iterable[Curie], terms: Mapping[Curie, Term]) -> list[Edge]:
        relations = self._relations()
        found: dict[tuple[Curie, Curie, Curie], Edge] = {}
        for subject in own:
            for relation, target in self._statements(subject):
                predicate = relations.get(relation)
                if predicate is None:
                    self._skip(f"statements with the relation {relation}", self._at(subject))
                elif terms[subject].obsolete or (target in terms and terms[target].obsolete):
                    self._skip("statements with an obsolete end", self._at(subject))
                elif _prefix(target) == self.prefix and target not in terms:
                    self._skip("statements about ids that the file lacks", self._at(subject))
                else:
                    edge = Edge(
                        subject, predicate, target, self.release.source, self.release.version
                    )
                    found.setdefault((subject, predicate, target), edge)
        stated = self.gate.tally["is_a"] + self.gate.tally["relationship"]
        repeated = stated - self.graph.number_of_edges()
        if repeated:
            self._skip("statements that repeat another", n=repeated)
        return list(found.values())

    def _refuse_cycles(self, edges: Iterable[Edge]) -> None:
        parents: dict[Curie, list[Curie]] = {}
        for edge in edges:
            if edge.predicate == t.IS_A:
                parents.setdefault(edge.subject, []).append(edge.object)
        cycle = _cycle(parents)
        if cycle:
            raise self.gate.fail(
                " is_a ".join(cycle), "is_a statements without a cycle", self.gate.lines[cycle[0]]
            )

    def _foreign(
        self, edges: Iterable[Edge], terms: Mapping[Curie, Term]
    ) -> Iterator[tuple[Curie, Term]]:
        for target in dict.fromkeys(edge.object for edge in edges):
            if target in terms or _prefix(target) in self.elsewhere:
                continue
            # An end that only a definition names is no node of the graph.
            node = self.graph.nodes[target] if target in self.graph else {}
            if "name" not in node:
                label = self._comment(target)
                if not label:
                    self._skip("names: terms without one are called by their id", target)
                node = {**node, "name": label or target}
            yield target, self._term(target, node)

    def _comment(self, target: Curie) -> str:
        """The name of a term that has no stanza, from a comment; empty where there is none."""
        relation, comment = self.gate.labels.get(target, ("", ""))
        names = {relation, relation.replace("_", " "), self._relation_names.get(relation, "")}
        for name in sorted(names, key=len, reverse=True):
            if name and (comment == name or comment.startswith(f"{name} ")):
                return comment[len(name) :].strip()
        return comment

    @cached_property
    def _relation_names(self) -> dict[str, str]:
        typedefs = self.graph.graph.get("typedefs", ())
        return {typedef["id"]: typedef.get("name", "") for typedef in typedefs}


def _prefix(id: Curie) -> str:
    return id.partition(":")[0]


def _definition(value: str) -> tuple[str, tuple[str, ...]]:
    matched = _QUOTED.fullmatch(value)
    if matched is None:
        return "", ()
    return unescape(matched["text"]), _references(matched["rest"])


def _references(listed: str) -> tuple[str, ...]:
    inner = listed.strip()[1:-1]
    return tuple(dict.fromkeys(unescape(ref) for ref in _REFERENCE.findall(inner) if ref.strip()))


def _synonym(value: str) -> Synonym:
    matched = _QUOTED.fullmatch(value)
    assert matched is not None, value
    word = matched["rest"].split(None, 1)[0]
    # OBO 1.2: "If no scope is specified, it is assumed to be RELATED".
    return Synonym(
        unescape(matched["text"]), Scope[word] if word in Scope.__members__ else Scope.RELATED
    )


def _cycle(parents: Mapping[Curie, Iterable[Curie]]) -> list[Curie]:
    """Return the nodes of one cycle, the first repeated at the end, or nothing."""
    done: set[Curie] = set()
    for start in parents:
        path = [start]
        open_ = {start: iter(parents[start])}
        while path:
            step = next((p for p in open_[path[-1]] if p not in done), None)
            if step is None:
                last = path.pop()
                del open_[last]
                done.add(last)
            elif step in open_:
                return [*path[path.index(step) :], step]
            elif step in parents:
                path.append(step)
                open_[step] = iter(parents[step])
    return []
