"""Questions with exact answers, made from the graph: for training and for evaluation, no judge.

Each item says what a right answer must hold: its status, its yes or no, the ids that it must cite,
the only ids that it may name by a relation, words that must stand in it. No-questions are hard:
siblings, reversed directions, NOT annotations. Unanswerables ask of known terms what no source
holds, and of things that do not exist.

Items are split by term: a term (and with it every question about it) is in one split only. A
third of the test split is asked in wordings that the other splits do not have.
"""

from __future__ import annotations

import hashlib
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

from kg.graph import KnowledgeGraph
from kg.ontology import most_recent_common_ancestors
from kg.terms import (
    DEVELOPS_FROM,
    ENABLES,
    GENE_DISEASE,
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    LOCATED_IN,
    MARKER_OF,
    ORTHOLOGOUS_TO,
    PART_OF,
    Category,
    Curie,
    Edge,
    Term,
)
from training.wordings import ABSURD, KEPT, NONSENSE, OFF_TOPIC, WORDINGS

__all__ = ["Item", "Split", "generate", "split_of"]

Split = Literal["train", "dev", "test"]


@dataclass(frozen=True, slots=True)
class Item:
    """One question and what a right answer to it must hold.

    ``tool`` is the route that fits. ``cites`` are ids that the citations must hold, ``among`` the
    only ids that an answer may give for the relation ``predicate`` (empty: not checked).
    ``seen`` is whether questions of this wording are also in the other splits.
    """

    question: str
    kind: str
    tool: str
    status: str = "ok"
    lead: str = ""
    cites: tuple[Curie, ...] = ()
    predicate: Curie = ""
    among: tuple[Curie, ...] = ()
    says: str = ""
    split: Split = "test"
    seen: bool = True


def split_of(id: Curie) -> Split:
    """The split of a term: six in ten train, two dev, two test."""
    place = int(hashlib.sha256(id.encode()).hexdigest()[:8], 16) % 10
    return "train" if place < 6 else "dev" if place < 8 else "test"


def generate(graph: KnowledgeGraph, split: Split, per_kind: int = 60, seed: int = 0) -> list[Item]:
    """Make the items of a split.

    Parameters
    ----------
    graph
        The releases to ask about.
    split
        Which terms.
    per_kind
        How many items of each kind; kinds with fewer possible questions give fewer.
    seed
        The same seed makes the same items.
    """
    maker = _Maker(graph, split, seed)
    items: list[Item] = []
    for kind in maker.kinds():
        made: dict[str, Item] = {}
        # What nobody can answer is one kind in many shapes: twice as many of each.
        most = 2 * per_kind if kind in (maker.absurd, maker.nonsense) else per_kind
        for item in _first(kind(), most * 30):
            made.setdefault(item.question, item)
            if len(made) == most:
                break
        items += made.values()
    return items


def _first(items: Iterator[Item | None], most: int) -> Iterator[Item]:
    for _ in range(most):
        item = next(items, None)
        if item is not None:
            yield item


class _Maker:
    def __init__(self, graph: KnowledgeGraph, split: Split, seed: int) -> None:
        self.graph = graph
        self.split = split
        self.random = random.Random(f"{split} {seed}")  # noqa: S311 - nothing secret
        self.cells = self._own(Category.CELL_TYPE)
        self.genes = [t for t in self._own(Category.GENE) if t.id.startswith("HGNC:")]
        # Genes nobody has studied make no questions: those with annotations come first.
        self.genes = [t for t in self.genes if graph.count_edges(t.id, direction="out") > 4][:4000]
        self.processes = self._own(Category.PROCESS)
        self.diseases = self._own(Category.DISEASE)
        self.components = self._own(Category.COMPONENT)

    def _own(self, category: Category) -> list[Term]:
        terms = [t for t in self.graph.terms_of(category) if split_of(t.id) == self.split]
        # Names with marks of their own, or of dozens of words, are nobody's question.
        terms = [t for t in terms if len(t.label.split()) <= 6 and not set("([") & set(t.label)]
        self.random.shuffle(terms)
        return terms

    def kinds(self) -> Sequence[Callable[[], Iterator[Item | None]]]:
        return (
            self.is_a_yes, self.is_a_reversed, self.is_a_sibling, self.part_of, self.related,
            self.subtypes, self.supertypes, self.siblings, self.develops_from, self.develops_into,
            self.does_develop, self.definition, self.names, self.obsolete, self.markers,
            self.is_marker, self.marked_types, self.difference, self.function, self.location,
            self.partners, self.diseases_of, self.orthologues, self.annotated, self.not_annotated,
            self.genes_of, self.disease_genes, self.count, self.misspelt, self.absurd,
            self.nonsense, self.off_topic,
        )  # fmt: skip

    # --- helpers ---

    def _item(self, kind: str, tool: str, terms: dict[str, str], **more: object) -> Item:
        kept = KEPT[kind] if self.split == "test" and self.random.random() < 1 / 3 else ()
        wording = self.random.choice(kept or WORDINGS[kind])
        seen = not kept
        question = wording.format(**terms)
        return Item(question, kind, tool, split=self.split, seen=seen, **more)  # type: ignore[arg-type]

    def _out(self, id: Curie, predicate: Curie) -> list[Edge]:
        edges = self.graph.edges(id, direction="out", predicates=(predicate,))
        return [
            e
            for e in edges
            # ND: that curators looked and found nothing.
            if not e.negated and "negative" not in e.qualifiers and e.evidence_code != "ND"
        ]

    def _in(self, id: Curie, predicate: Curie) -> list[Edge]:
        edges = self.graph.edges(id, direction="in", predicates=(predicate,))
        return [
            e
            for e in edges
            # ND: that curators looked and found nothing.
            if not e.negated and "negative" not in e.qualifiers and e.evidence_code != "ND"
        ]

    def _term(self, id: Curie) -> Term | None:
        term = self.graph.term(id)
        usable = (
            term
            and not term.obsolete
            and split_of(id) == self.split
            and len(term.label.split()) <= 6
        )
        return term if usable and "(" not in term.label else None  # type: ignore[union-attr]

    def _choose(self, terms: Sequence[Term]) -> Term:
        return self.random.choice(terms)

    # --- the hierarchy ---

    def _above(self, low: Term) -> Term | None:
        above = [n for n, hops in self.graph.ancestors(low.id).items() if 0 < hops <= 6]
        return self._term(self.random.choice(sorted(above))) if above else None

    def is_a_yes(self) -> Iterator[Item | None]:
        while True:
            low = self._choose(self.cells if self.random.random() < 0.8 else self.diseases)
            high = self._above(low)
            yield self._item(
                "is_a", "is_a", {"a": low.label, "b": high.label}, lead="yes",
                cites=(low.id, high.id),
            ) if high else None  # fmt: skip

    def is_a_reversed(self) -> Iterator[Item | None]:
        while True:
            low = self._choose(self.cells)
            high = self._above(low)
            yield self._item(
                "is_a", "is_a", {"a": high.label, "b": low.label}, lead="no",
                cites=(low.id, high.id),
            ) if high else None  # fmt: skip

    def is_a_sibling(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            parents = self._out(one.id, IS_A)
            others = [e.subject for p in parents for e in self._in(p.object, IS_A)]
            other = self._term(self.random.choice(others)) if others else None
            apart = other and other.id not in self.graph.ancestors(one.id) and other.id != one.id
            yield self._item(
                "is_a", "is_a", {"a": one.label, "b": other.label}, lead="no",
                cites=(one.id, other.id),
            ) if other and apart else None  # fmt: skip

    def part_of(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.components)
            edges = self._out(one.id, PART_OF)
            whole = self._term(edges[0].object) if edges else None
            if whole is None:
                yield None
                continue
            a, b, lead = one, whole, "yes"
            closure = self.graph.ancestors(whole.id, (IS_A, PART_OF))
            if self.random.random() < 0.5 and one.id not in closure:
                a, b, lead = whole, one, "no"
            yield self._item(
                "part_of", "part_of", {"a": a.label, "b": b.label}, lead=lead,
                cites=(one.id, whole.id),
            )  # fmt: skip

    def related(self) -> Iterator[Item | None]:
        while True:
            one, other = self._choose(self.cells), self._choose(self.cells)
            meeting = most_recent_common_ancestors(self.graph, one.id, other.id)
            yield self._item(
                "related", "related", {"a": one.label, "b": other.label},
                cites=(one.id, other.id, meeting[0]),
            ) if meeting and one.id != other.id else None  # fmt: skip

    def _list(
        self, kind: str, tool: str, one: Term, edges: Sequence[Edge], *, inverse: bool
    ) -> Item | None:
        others = tuple(dict.fromkeys(e.subject if inverse else e.object for e in edges))
        if not others:
            return None
        few = others if len(others) <= 10 else ()
        return self._item(
            kind, tool, {"a": one.label}, cites=(one.id, *few), predicate=edges[0].predicate,
            among=(one.id, *others),
        )  # fmt: skip

    def subtypes(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            yield self._list("subtypes", "subtypes", one, self._in(one.id, IS_A), inverse=True)

    def supertypes(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            edges = self._out(one.id, IS_A)
            yield self._list("supertypes", "supertypes", one, edges, inverse=False)

    def siblings(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            parents = self._out(one.id, IS_A)
            edges = [e for p in parents for e in self._in(p.object, IS_A)]
            among = {e.subject for e in edges} | {e.object for e in edges}
            yield self._item(
                "siblings", "siblings", {"a": one.label}, cites=(one.id,), predicate=IS_A,
                among=tuple(sorted(among)),
            ) if len(among) > 3 else None  # fmt: skip

    # --- development, terms ---

    def develops_from(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            edges = self._out(one.id, DEVELOPS_FROM)
            yield self._item(
                "develops_from", "develops_from", {"a": one.label},
                cites=(one.id, *(e.object for e in edges)),
            ) if edges else None  # fmt: skip

    def develops_into(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            edges = self._in(one.id, DEVELOPS_FROM)
            yield self._list("develops_into", "develops_into", one, edges, inverse=True)

    def does_develop(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            edges = self._out(one.id, DEVELOPS_FROM)
            other = self._term(edges[0].object) if edges else None
            if other is None:
                yield None
                continue
            yes = self.random.random() < 0.5
            a, b = (one, other) if yes else (other, one)
            yield self._item(
                "does_develop", "does_develop", {"a": a.label, "b": b.label},
                lead="yes" if yes else "no", cites=(one.id, other.id),
            )  # fmt: skip

    def definition(self) -> Iterator[Item | None]:
        while True:
            kind = self.random.choice((self.cells, self.cells, self.processes, self.diseases))
            one = self._choose(kind)
            name = one.id if self.random.random() < 0.2 else one.label
            yield self._item(
                "definition", "definition", {"a": name}, cites=(one.id,),
                says=one.definition.strip().removesuffix("."),
            ) if one.definition else None  # fmt: skip

    def names(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            exact = [s.text for s in one.synonyms]
            yield self._item(
                "names", "names", {"a": one.label}, cites=(one.id,), says=exact[0]
            ) if exact else None  # fmt: skip

    def obsolete(self) -> Iterator[Item | None]:
        old = [t for t in self.graph.terms_of(Category.CELL_TYPE, obsolete=True)
               if t.obsolete and t.replaced_by and split_of(t.id) == self.split]  # fmt: skip
        while old:
            one = self._choose(old)
            new = self.graph.term(one.replaced_by or "")
            yield self._item(
                "definition", "definition", {"a": one.id}, cites=(new.id,)
            ) if new and not new.obsolete else None  # fmt: skip

    # --- markers ---

    def markers(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            edges = self._in(one.id, MARKER_OF)
            among = (one.id, *sorted({e.subject for e in edges}))
            yield self._item(
                "markers", "markers", {"a": one.label}, cites=(one.id,), predicate=MARKER_OF,
                among=(*among, *self._absent(one.id)),
            ) if edges else None  # fmt: skip

    def _absent(self, type: Curie) -> tuple[Curie, ...]:
        edges = self.graph.edges(type, direction="in", predicates=(MARKER_OF,))
        return tuple(sorted({e.subject for e in edges if "negative" in e.qualifiers}))

    def is_marker(self) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            edges = self._out(gene.id, MARKER_OF)
            type_ = self._term(self.random.choice(edges).object) if edges else None
            lead = "yes"
            if edges and self.random.random() < 0.5:
                other = self._choose(self.cells)
                listed = self.graph.edges(gene.id, direction="out", predicates=(MARKER_OF,))
                near = set(self.graph.ancestors(other.id)) | set(self.graph.descendants(other.id))
                type_ = None if near & {e.object for e in listed} else other
                lead = "no"
            yield self._item(
                "is_marker", "is_marker", {"a": gene.label, "b": type_.label}, lead=lead,
                cites=(gene.id, type_.id),
            ) if type_ else None  # fmt: skip

    def marked_types(self) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            edges = self._out(gene.id, MARKER_OF)
            among = (gene.id, *sorted({e.object for e in edges}))
            yield self._item(
                "marked_types", "marked_types", {"a": gene.label}, cites=(gene.id,),
                predicate=MARKER_OF, among=among,
            ) if edges else None  # fmt: skip

    def difference(self) -> Iterator[Item | None]:
        while True:
            one, other = self._choose(self.cells), self._choose(self.cells)
            marked = self._in(one.id, MARKER_OF) and self._in(other.id, MARKER_OF)
            yield self._item(
                "difference", "difference", {"a": one.label, "b": other.label},
                cites=(one.id, other.id),
            ) if marked and one.id != other.id else None  # fmt: skip

    # --- genes ---

    def _gene_list(self, kind: str, tool: str, predicate: Curie) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            edges = self._out(gene.id, predicate)
            # What a source says not to hold may be told, as what it is.
            every = self.graph.edges(gene.id, direction="out", predicates=(predicate,))
            among = (gene.id, *sorted({e.object for e in every}))
            yield self._item(
                kind, tool, {"a": gene.label}, cites=(gene.id,), predicate=predicate, among=among
            ) if edges else None  # fmt: skip

    def function(self) -> Iterator[Item | None]:
        yield from self._gene_list("function", "function", INVOLVED_IN)

    def location(self) -> Iterator[Item | None]:
        yield from self._gene_list("location", "location", LOCATED_IN)

    def partners(self) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            both = [*self._out(gene.id, INTERACTS_WITH), *self._in(gene.id, INTERACTS_WITH)]
            among = sorted({end for e in both for end in (e.subject, e.object)})
            yield self._item(
                "partners", "partners", {"a": gene.label}, cites=(gene.id,),
                predicate=INTERACTS_WITH, among=tuple(among),
            ) if both else None  # fmt: skip

    def diseases_of(self) -> Iterator[Item | None]:
        yield from self._gene_list("diseases", "diseases", GENE_DISEASE)

    def orthologues(self) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            edges = self._out(gene.id, ORTHOLOGOUS_TO)
            yield self._item(
                "orthologues", "orthologues", {"a": gene.label},
                cites=(gene.id, edges[0].object) if len(edges) < 4 else (gene.id,),
                predicate=ORTHOLOGOUS_TO, among=(gene.id, *sorted({e.object for e in edges})),
            ) if edges else None  # fmt: skip

    def annotated(self) -> Iterator[Item | None]:
        while True:
            gene = self._choose(self.genes)
            predicate = self.random.choice((INVOLVED_IN, LOCATED_IN, ENABLES))
            edges = self._out(gene.id, predicate)
            term = self._term(self.random.choice(edges).object) if edges else None
            kind = {INVOLVED_IN: "involved", LOCATED_IN: "located", ENABLES: "enables"}[predicate]
            yield self._item(
                kind, "annotated", {"a": gene.label, "b": term.label}, lead="yes",
                cites=(gene.id, term.id),
            ) if term else None  # fmt: skip

    def not_annotated(self) -> Iterator[Item | None]:
        """NOT annotations, and genes of which nothing of the kind is recorded."""
        while True:
            gene = self._choose(self.genes)
            edges = self.graph.edges(gene.id, direction="out", predicates=(INVOLVED_IN,))
            denied = [e for e in edges if e.negated]
            if denied and self.random.random() < 0.8:
                term = self.graph.term(denied[0].object)
            else:
                term = self._choose(self.processes)
            held = {e.object for e in edges if not e.negated}
            below = set(self.graph.descendants(term.id, (IS_A, PART_OF))) if term else set()
            yield self._item(
                "involved", "annotated", {"a": gene.label, "b": term.label}, lead="no",
                cites=(gene.id, term.id),
            ) if term and not term.obsolete and not held & below else None  # fmt: skip

    def genes_of(self) -> Iterator[Item | None]:
        while True:
            term = self._choose(self.processes)
            edges = self._in(term.id, INVOLVED_IN)
            among = (term.id, *sorted({e.subject for e in edges}))
            yield self._item(
                "genes_of", "genes_of", {"a": term.label}, cites=(term.id,),
                predicate=INVOLVED_IN, among=among,
            ) if edges else None  # fmt: skip

    def disease_genes(self) -> Iterator[Item | None]:
        while True:
            term = self._choose(self.diseases)
            edges = self._in(term.id, GENE_DISEASE)
            among = (term.id, *sorted({e.subject for e in edges}))
            yield self._item(
                "disease_genes", "genes_of", {"a": term.label}, cites=(term.id,),
                predicate=GENE_DISEASE, among=among,
            ) if edges else None  # fmt: skip

    def count(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            number = len({e.subject for e in self._in(one.id, IS_A)})
            yield self._item(
                "count_subtypes", "count_subtypes", {"a": one.label}, cites=(one.id,),
                says=f"has {number} direct kind",
            ) if number else None  # fmt: skip

    # --- what should not be answered, and what is not quite written right ---

    def misspelt(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.cells)
            words = [w for w in one.label.split() if len(w) >= 9 and w.isalpha()]
            if not words or not one.definition:
                yield None
                continue
            word = self.random.choice(words)
            i = self.random.randrange(3, len(word) - 2)
            wrong = self.random.choice(
                (word[:i] + word[i + 1 :], word[:i] + word[i + 1] + word[i] + word[i + 2 :])
            )
            name = one.label.replace(word, wrong)
            yield self._item("definition", "definition", {"a": name}, cites=(one.id,))

    def absurd(self) -> Iterator[Item | None]:
        while True:
            one = self._choose(self.random.choice((self.cells, self.cells, self.genes)))
            question = self.random.choice(ABSURD).format(a=one.label)
            yield Item(question, "unanswerable", "", "abstained", split=self.split)

    def nonsense(self) -> Iterator[Item | None]:
        while True:
            name = "".join(self.random.choice("bcdfghklmnprstvz") + self.random.choice("aeiou")
                           for _ in range(4))  # fmt: skip
            if self.graph.lookup([name]):
                continue
            question = self.random.choice(NONSENSE).format(a=name, g=name.upper()[:6])
            yield Item(question, "unanswerable", "", "abstained", split=self.split)

    def off_topic(self) -> Iterator[Item | None]:
        chosen = [q for q in OFF_TOPIC if split_of(q) == self.split]
        for question in chosen:
            yield Item(question, "unanswerable", "", "abstained", split=self.split)
