"""Drafts for the verifier: genuine ones from real evidence in varied words, and forged ones.

Their wordings are those of :mod:`tests.agent.draftwords`.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from dataclasses import dataclass, replace

from kg import terms as t
from kg.graph import KnowledgeGraph
from kg.ontology import shortest_path_up
from kg.terms import Category, Curie, Edge, Path
from retrieval.evidence import EdgeEvidence, Evidence, PassageEvidence, PathEvidence, TermEvidence
from tests.agent.draftwords import DENIALS, LEADS, ORGANISM, TAILS, WORDINGS


@dataclass(frozen=True)
class Draft:
    """A sentence with its keys, the evidence they point to, and whether it is genuine."""

    text: str
    evidence: dict[str, Evidence]
    genuine: bool
    how: str


class Writer:
    """Makes drafts from a graph; the same seed makes the same drafts."""

    def __init__(self, graph: KnowledgeGraph, seed: int) -> None:
        self.graph = graph
        self.random = random.Random(seed)
        self.nodes = {c: [term.id for term in graph.terms_of(c)] for c in Category}
        self.genes = [g for g in self.nodes[Category.GENE] if g.startswith("HGNC")]

    # --- evidence ---

    def edge(self) -> Edge:
        """A random edge; every relation of the graph about equally often."""
        while True:
            predicate = self.random.choice(sorted(WORDINGS))
            start = self.random.choice(self._starts(predicate))
            edges = self.graph.edges(start, direction="out", predicates=(predicate,))
            edges = [e for e in edges if "negative" not in e.qualifiers and not e.negated]
            if edges:
                return self.random.choice(edges)

    def _starts(self, predicate: Curie) -> list[Curie]:
        kinds = {
            t.IS_A: Category.CELL_TYPE,
            t.PART_OF: Category.COMPONENT,
            t.DEVELOPS_FROM: Category.CELL_TYPE,
            t.MENTIONS: Category.PROCESS,
            t.REGULATES: Category.PROCESS,
            t.POSITIVELY_REGULATES: Category.PROCESS,
            t.NEGATIVELY_REGULATES: Category.PROCESS,
        }
        return self.nodes[kinds[predicate]] if predicate in kinds else self.genes

    def negated_edge(self) -> Edge:
        while True:
            edges = self.graph.edges(
                self.random.choice(self.genes), direction="out", predicates=tuple(DENIALS)
            )
            if negated := [edge for edge in edges if edge.negated]:
                return self.random.choice(negated)

    def path(self) -> PathEvidence:
        while True:
            low = self.random.choice(self.nodes[Category.CELL_TYPE])
            above = [n for n, hops in self.graph.ancestors(low).items() if 2 <= hops <= 6]
            if above:
                path = shortest_path_up(self.graph, low, self.random.choice(sorted(above)))
                assert path is not None
                return PathEvidence(path, "", path.edges[0].source, path.edges[0].release)

    def definition(self) -> TermEvidence:
        while True:
            kind = self.random.choice([Category.CELL_TYPE, Category.PROCESS, Category.ANATOMY])
            term = self.graph.term(self.random.choice(self.nodes[kind]))
            if term and len(term.definition) > 20 and not re.search('["“”]', term.definition):
                words = term.definition
                return TermEvidence(
                    term.id, "definition", words, 0, len(words), term.source, term.release
                )

    # --- words ---

    def name(self, id: Curie) -> str:
        """The label, sometimes with its id behind it, sometimes an unambiguous exact synonym."""
        term = self.graph.term(id)
        assert term is not None
        name = term.label
        if term.category is not Category.GENE and self.random.random() < 0.15:
            from agent.verification.wording import Names

            name = self.random.choice(Names(self.graph).names(id))
        return f"{name} ({id})" if self.random.random() < 0.25 else name

    def sentence(self, edge: Edge, wording: str | None = None) -> str:
        table = DENIALS if edge.negated else WORDINGS
        wording = wording or self.random.choice(table[edge.predicate])
        text = wording.format(s=self.name(edge.subject), o=self.name(edge.object))
        return self._dressed(text, edge)

    def _dressed(self, text: str, edge: Edge) -> str:
        lead = self.random.choice(LEADS)
        tail = self.random.choice(TAILS)
        if ("{code}" in tail and not edge.evidence_code) or (
            "{pmids}" in tail and not edge.publications
        ):
            tail = ""
        if "{organism}" in tail and edge.taxon not in ORGANISM:
            tail = ""
        facts = {
            "source": edge.source,
            "release": edge.release,
            "code": edge.evidence_code,
            "pmids": ", ".join(edge.publications),
            "organism": ORGANISM.get(edge.taxon or "", ("",))[0],
        }
        return lead.format(**facts) + text + tail.format(**facts)

    # --- drafts ---

    def genuine(self) -> Draft:
        kind = self.random.random()
        if kind < 0.6:
            edge = self.edge()
            evidence: dict[str, Evidence] = {"E1": EdgeEvidence(edge, "")}
            return Draft(f"{self.sentence(edge)} [E1].", evidence, True, edge.predicate)
        if kind < 0.75:
            piece = self.path()
            text = self._walked(piece.path)
            return Draft(f"{text} [E1].", {"E1": piece}, True, "path")
        if kind < 0.83:
            edge = self.negated_edge()
            return Draft(
                f"{self.sentence(edge)} [E1].", {"E1": EdgeEvidence(edge, "")}, True, "negated"
            )
        if kind < 0.92:
            return self._list()
        words = self.definition()
        quote = words.text.removesuffix(".")
        name = self.name(words.id)
        text = self.random.choice(
            (f'{name} is defined as "{quote}"', f"{name} is “{quote}”", f"{name}: {quote}")
        )
        return Draft(f"{text} [E1].", {"E1": words}, True, "definition")

    def _walked(self, path: Path) -> str:
        low, high = path.nodes[0], path.nodes[-1]
        choice = self.random.random()
        if choice < 0.4:
            wording = self.random.choice(WORDINGS[t.IS_A])
            return wording.format(s=self.name(low), o=self.name(high))
        names = [self.name(node) for node in path.nodes]
        if choice < 0.8:
            return names[0] + " is a " + ", which is a ".join(names[1:])
        i = self.random.randrange(len(names) - 1)
        return f"{names[i]} is a kind of {names[-1]}"

    def _list(self) -> Draft:
        """One subject with two or three objects by the same relation, each with its evidence."""
        while True:
            edge = self.edge()
            if edge.predicate in (t.INTERACTS_WITH, t.ORTHOLOGOUS_TO):
                continue
            rows = self.graph.edges(edge.subject, direction="out", predicates=(edge.predicate,))
            by_object = {
                r.object: r for r in rows if not r.negated and "negative" not in r.qualifiers
            }
            if len(by_object) > 1:
                break
        chosen = self.random.sample(sorted(by_object), min(len(by_object), 3))
        names = [self.name(node) for node in chosen]
        objects = ", ".join(names[:-1]) + " and " + names[-1]
        forward = [w for w in WORDINGS[edge.predicate] if w.startswith("{s}") and w.endswith("{o}")]
        forward = [w for w in forward if "gives" not in w and not w.endswith(", a kind of {o}")]
        text = self.random.choice(forward).format(s=self.name(edge.subject), o=objects)
        evidence: dict[str, Evidence] = {
            f"E{i}": EdgeEvidence(by_object[node], "") for i, node in enumerate(chosen, start=1)
        }
        return Draft(f"{text} [{', '.join(evidence)}].", evidence, True, "list")

    def forged(self) -> Draft:
        forgers: tuple[Callable[[], Draft | None], ...] = (
            self._curie, self._pmid, self._missing_hop, self._swapped_entity, self._direction,
            self._negation, self._undenied, self._relation, self._altered_quote,
            self._clipped_quote, self._count, self._key, self._other_sentence, self._release,
            self._code, self._addition, self._hedge, self._idle_key, self._organism, self._offsets,
            self._invented_edge, self._broken_path, self._no_key, self._denied_path,
        )  # fmt: skip
        while True:
            forger = self.random.choice(forgers)
            if draft := forger():
                return replace(draft, genuine=False, how=forger.__name__)

    def _with(self, edge: Edge, text: str) -> Draft:
        return Draft(f"{text} [E1].", {"E1": EdgeEvidence(edge, "")}, False, "")

    def _plain(self, edge: Edge) -> tuple[str, str, str]:
        wording = self.random.choice(WORDINGS[edge.predicate])
        return wording, self._label(edge.subject), self._label(edge.object)

    def _label(self, id: Curie) -> str:
        term = self.graph.term(id)
        assert term is not None
        return term.label

    def _like(self, id: Curie) -> Curie:
        """Another term of the same category with another name."""
        term = self.graph.term(id)
        assert term is not None
        near = []
        for up in self.graph.edges(id, direction="out", predicates=(t.IS_A,)):
            below = self.graph.edges(up.object, direction="in", predicates=(t.IS_A,))
            near += [edge.subject for edge in below if edge.subject != id]
        while True:
            pool = near if near and self.random.random() < 0.5 else self.nodes[term.category]
            other = self.random.choice(pool)
            if self._label(other).casefold() != term.label.casefold():
                return other

    def _curie(self) -> Draft:
        edge = self.edge()
        wording, s, o = self._plain(edge)
        wrong = self._like(edge.subject)
        return self._with(edge, wording.format(s=f"{s} ({wrong})", o=o))

    def _pmid(self) -> Draft | None:
        edge = self.edge()
        wrong = str(self.random.randrange(10_000_000, 39_999_999))
        if f"PMID:{wrong}" in edge.publications:
            return None
        wording, s, o = self._plain(edge)
        return self._with(edge, wording.format(s=s, o=o) + f" (PMID:{wrong})")

    def _missing_hop(self) -> Draft | None:
        """A path of which one hop was left out: the ends no longer join."""
        piece = self.path()
        if len(piece.path.edges) < 3:
            return None
        first, last = piece.path.edges[0], piece.path.edges[-1]
        if first.object == last.subject:
            return None
        text = f"{self._label(first.subject)} is a {self._label(last.object)} [E1, E2]."
        return Draft(text, {"E1": EdgeEvidence(first, ""), "E2": EdgeEvidence(last, "")}, False, "")

    def _swapped_entity(self) -> Draft:
        edge = self.edge()
        wording, s, o = self._plain(edge)
        if self.random.random() < 0.5:
            s = self._label(self._like(edge.subject))
        else:
            o = self._label(self._like(edge.object))
        return self._with(edge, wording.format(s=s, o=o))

    def _direction(self) -> Draft | None:
        edge = self.edge()
        if edge.predicate in (t.INTERACTS_WITH, t.ORTHOLOGOUS_TO, t.GENE_DISEASE):
            return None
        wording, s, o = self._plain(edge)
        return self._with(edge, wording.format(s=o, o=s))

    def _negation(self) -> Draft | None:
        edge = self.edge()
        denied = {
            **DENIALS,
            t.IS_A: ("{s} is not a {o}", "{s} is no {o}"),
            t.DEVELOPS_FROM: ("{s} does not develop from {o}",),
            t.MARKER_OF: ("{s} is not a marker of {o}", "{s} never marks {o}"),
            t.INTERACTS_WITH: ("{s} does not interact with {o}",),
            t.GENE_DISEASE: ("{s} is not associated with {o}", "{s} isn't linked to {o}"),
        }
        if edge.predicate not in denied:
            return None
        wording = self.random.choice(denied[edge.predicate])
        return self._with(
            edge, wording.format(s=self._label(edge.subject), o=self._label(edge.object))
        )

    def _undenied(self) -> Draft:
        edge = self.negated_edge()
        wording = self.random.choice(WORDINGS[edge.predicate])
        return self._with(
            edge, wording.format(s=self._label(edge.subject), o=self._label(edge.object))
        )

    def _relation(self) -> Draft | None:
        edge = self.edge()
        other = self.random.choice(sorted(t.PREDICATES))
        subsumed = {(t.POSITIVELY_REGULATES, t.REGULATES), (t.NEGATIVELY_REGULATES, t.REGULATES),
                    (t.IS_A, t.IS_A_OR_PART_OF), (t.PART_OF, t.IS_A_OR_PART_OF)}  # fmt: skip
        if other == edge.predicate or (edge.predicate, other) in subsumed:
            return None
        label = t.PREDICATES[other].label
        verb = (
            label
            if label.split()[0] in ("is", "has") or label.split()[0].endswith("s")
            else f"is {label}"
        )
        text = f"{self._label(edge.subject)} {verb} {self._label(edge.object)}"
        return self._with(edge, text)

    def _altered_quote(self) -> Draft | None:
        words = self.definition()
        parts = words.text.removesuffix(".").split()
        i = self.random.randrange(len(parts))
        parts[i] = self.random.choice(("never", "every", "no", "always", "B", "mouse"))
        quote = " ".join(parts)
        if quote in words.text:
            return None
        return Draft(
            f'{self._label(words.id)} is defined as "{quote}" [E1].', {"E1": words}, False, ""
        )

    def _clipped_quote(self) -> Draft | None:
        """The words behind a negation, without it."""
        words = self.definition()
        found = re.search(r"\b(?:not|lacks?|no|without|unable to)\s+(.{15,})", words.text)
        if not found:
            return None
        quote = found[1].split(".")[0]
        return Draft(f'{self._label(words.id)} is "{quote}" [E1].', {"E1": words}, False, "")

    def _count(self) -> Draft:
        while True:
            node = self.random.choice(self.nodes[Category.CELL_TYPE])
            edges = self.graph.edges(node, direction="in", predicates=(t.IS_A,))
            if edges:
                break
        wrong = len({e.subject for e in edges}) + self.random.choice((1, 2, 7, 20))
        edge = self.random.choice(edges)
        text = self.random.choice(
            (
                f"{self._label(node)} has {wrong} subtypes",
                f"{self._label(node)} has {wrong} kinds: {self._label(edge.subject)}",
                f"There are {wrong} types of {self._label(node)}",
            )
        )
        return self._with(edge, text)

    def _key(self) -> Draft:
        edge = self.edge()
        text = self.sentence(edge)
        key = self.random.choice(("E7", "E99", "E1, E4"))
        return Draft(f"{text} [{key}].", {"E1": EdgeEvidence(edge, "")}, False, "")

    def _no_key(self) -> Draft:
        edge = self.edge()
        return Draft(f"{self.sentence(edge)}.", {"E1": EdgeEvidence(edge, "")}, False, "")

    def _other_sentence(self) -> Draft | None:
        """A true sentence under true evidence of something else."""
        edge, other = self.edge(), self.edge()
        if edge.key == other.key or (edge.subject, edge.object) == (other.subject, other.object):
            return None
        return self._with(other, self.sentence(edge))

    def _release(self) -> Draft:
        edge = self.edge()
        wording, s, o = self._plain(edge)
        wrong = self.random.choice(("v2031-01-01", "2031-02-03", "v0.1"))
        source = self.random.choice((edge.source, "Reactome", "KEGG"))
        return self._with(edge, wording.format(s=s, o=o) + f" (according to {source} {wrong})")

    def _code(self) -> Draft | None:
        edge = self.edge()
        wrong = self.random.choice(("IDA", "IMP", "TAS", "IEA", "EXP"))
        if wrong == edge.evidence_code:
            return None
        wording, s, o = self._plain(edge)
        return self._with(edge, wording.format(s=s, o=o) + f" ({wrong})")

    def _addition(self) -> Draft:
        edge = self.edge()
        wording, s, o = self._plain(edge)
        more = self.random.choice(
            (
                " and is essential for survival",
                ", which causes cancer",
                " and drives inflammation",
                " in the lung of smokers",
                ", a key regulator of immunity",
                " at 37 degrees",
                " and nothing else",
                " in 80% of cases",
            )
        )
        return self._with(edge, wording.format(s=s, o=o) + more)

    def _hedge(self) -> Draft:
        edge = self.edge()
        wording, s, o = self._plain(edge)
        text = wording.format(s=s, o=o)
        lead = self.random.choice(
            (
                "Only ",
                "It is false that ",
                "It was once thought that ",
                "Unlike others, ",
                "Hardly any ",
            )
        )
        return self._with(edge, lead + text)

    def _idle_key(self) -> Draft | None:
        edge, other = self.edge(), self.edge()
        if {edge.subject, edge.object} & {other.subject, other.object}:
            return None
        pieces: dict[str, Evidence] = {"E1": EdgeEvidence(edge, ""), "E2": EdgeEvidence(other, "")}
        return Draft(f"{self.sentence(edge)} [E1, E2].", pieces, False, "")

    def _organism(self) -> Draft | None:
        edge = self.edge()
        if edge.taxon not in ORGANISM:
            return None
        wrong = "mice" if edge.taxon == "NCBITaxon:9606" else "humans"
        wording, s, o = self._plain(edge)
        return self._with(edge, f"In {wrong}, " + wording.format(s=s, o=o))

    def _offsets(self) -> Draft:
        words = self.definition()
        shifted = replace(words, start=words.start + 3, end=words.end + 3)
        quote = words.text.removesuffix(".")
        return Draft(
            f'{self._label(words.id)} is defined as "{quote}" [E1].', {"E1": shifted}, False, ""
        )

    def _invented_edge(self) -> Draft | None:
        """Evidence that is no edge of the release, under a sentence that says what it says."""
        edge = self.edge()
        change: dict[str, object] = self.random.choice(
            (
                {"object": self._like(edge.object)},
                {"subject": self._like(edge.subject)},
                {"release": "v2031-01-01"},
                {"publications": ("PMID:1",)},
                {"evidence_code": "EXP"},
                {"negated": True},
                {"taxon": "NCBITaxon:7227"},
            )
        )
        false = replace(edge, **change)  # type: ignore[arg-type]
        if false.key in {e.key for e in self.graph.edges_between(false.subject, false.object)}:
            return None
        wording = self.random.choice(WORDINGS[edge.predicate])
        text = wording.format(s=self._label(false.subject), o=self._label(false.object))
        return self._with(false, text)

    def _broken_path(self) -> Draft:
        piece = self.path()
        edges = list(piece.path.edges)
        i = self.random.randrange(len(edges))
        detour = self._like(edges[i].object)
        edges[i] = replace(edges[i], object=detour)
        nodes = [edges[0].subject]
        for edge in edges[: i + 1]:
            nodes.append(edge.object)
        path = Path(tuple(nodes), tuple(edges[: i + 1]))
        known = {e.key for e in self.graph.edges_between(edges[i].subject, detour)}
        if edges[i].key in known:
            return self._broken_path()
        text = f"{self._label(nodes[0])} is a {self._label(nodes[-1])} [E1]."
        return Draft(text, {"E1": replace(piece, path=path)}, False, "")

    def _denied_path(self) -> Draft:
        piece = self.path()
        low, high = piece.path.nodes[0], piece.path.nodes[-1]
        text = self.random.choice(
            (
                f"{self._label(low)} is not a kind of {self._label(high)}",
                f"{self._label(high)} is a kind of {self._label(low)}",
                f"No, {self._label(low)} is not a {self._label(high)}",
            )
        )
        return Draft(f"{text} [E1].", {"E1": piece}, False, "")


def passage_drafts() -> list[tuple[str, PassageEvidence, bool]]:
    """Quotes from a text made for this, true and false."""
    text = (
        "Granzymes and death\n\nWe studied NK cells. We found no evidence that GZMB kills neurons. "
        "GZMB kills infected cells through PRF1. These results suggest that SRGN helps."
    )

    def piece(quote: str, shift: int = 0) -> PassageEvidence:
        start = text.index(quote) + shift
        return PassageEvidence(
            "12345", quote, start, start + len(quote), "Granzymes", "PubMed", "x"
        )

    whole = piece("GZMB kills infected cells through PRF1.")
    none = piece("We found no evidence that GZMB kills neurons.")
    suggest = piece("These results suggest that SRGN helps.")
    return [
        ('A study reports: "GZMB kills infected cells through PRF1" [E1].', whole, True),
        ('PMID:12345 states: “GZMB kills infected cells through PRF1.” [E1]', whole, True),
        ("GZMB kills infected cells through PRF1 [E1].", whole, True),
        ('PMID:12345 states: "We found no evidence that GZMB kills neurons" [E1].', none, True),
        ('A study reports that "GZMB kills neurons" [E1].', none, False),
        ("GZMB kills neurons [E1].", none, False),
        ('A study reports that "SRGN helps" [E1].', suggest, False),
        ('PMID:99999 states: "GZMB kills infected cells through PRF1" [E1].', whole, False),
        ('A study denies that "GZMB kills infected cells through PRF1" [E1].', whole, False),
        ("GZMB kills healthy cells through PRF1 [E1].", whole, False),
        ('A study reports: "GZMB kills infected cells through PRF1" [E1].',
         piece("GZMB kills infected cells through PRF1.", 1), False),
    ]  # fmt: skip
