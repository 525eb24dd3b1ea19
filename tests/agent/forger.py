"""A second maker of drafts: genuine sentences, and forgeries in other ways than the first one's.

The first (:mod:`tests.agent.drafts`) changes ids, hops and directions. This one keeps the ids and
changes what is said of them: quantifiers, doubts and double negations, species, evidence codes,
units and offsets, causes made of associations, a second fact slipped in beside the proven one, a
true sentence under the evidence of another. Wordings are this module's own.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from kg import terms as t
from kg.graph import KnowledgeGraph
from kg.terms import Category, Curie, Edge
from retrieval.evidence import EdgeEvidence, Evidence, PassageEvidence, PathEvidence, TermEvidence

PREDICATES = (
    *(t.IS_A, t.INVOLVED_IN, t.ENABLES, t.LOCATED_IN, t.MARKER_OF, t.GENE_DISEASE),
    *(t.DEVELOPS_FROM, t.PART_OF, t.POSITIVELY_REGULATES, t.NEGATIVELY_REGULATES),
)
PLAIN: dict[Curie, tuple[str, ...]] = {
    t.IS_A: ("{s} is a kind of {o}", "Each {s} is a {o}", "{s} is a subclass of {o}"),
    t.INVOLVED_IN: ("{s} is involved in {o}", "{s} participates in {o}"),
    t.ENABLES: ("{s} enables {o}", "The product of {s} enables {o}"),
    t.LOCATED_IN: ("{s} is located in {o}", "{s} is found in the {o}"),
    t.MARKER_OF: ("{s} is a marker of {o}", "{s} marks {o}", "{s} is a marker gene of {o}"),
    t.GENE_DISEASE: ("{s} is associated with {o}", "{s} is linked to {o}"),
    t.DEVELOPS_FROM: ("{s} develops from {o}", "{o} gives rise to {s}"),
    t.PART_OF: ("{s} is part of {o}", "{o} has the part {s}"),
    t.POSITIVELY_REGULATES: ("{s} positively regulates {o}",),
    t.NEGATIVELY_REGULATES: ("{s} negatively regulates {o}",),
}
STRONGER = {
    t.IS_A: ("{s} is the only kind of {o}", "All {o}s are {s}s", "{s} is the same as {o}"),
    t.INVOLVED_IN: (
        "{s} alone suffices for {o}",
        "{s} is essential for {o}",
        "{s} is only involved in {o}",
        "All genes involved in {o} interact with {s}",
        "{s} is involved in {o} in all cells",
        "{s} is the master regulator of {o}",
        "{s} blocks {o}",
    ),
    t.ENABLES: ("{s} only enables {o}", "{s} enables {o} and nothing else", "{s} prevents {o}"),
    t.LOCATED_IN: (
        "{s} is exclusively located in {o}",
        "{s} never leaves the {o}",
        "{s} is located in the {o} of neurons",
        "All {s} is located in {o}",
    ),
    t.MARKER_OF: (
        "{s} is the only marker of {o}",
        "{s} is a marker of {o} and of no other cell",
        "All cells that have {s} are {o}",
        "{s} is a marker of every kind of {o}",
        "{s} is the best marker of {o}",
        "{s} is absent from {o}",
    ),
    t.GENE_DISEASE: (
        "{s} cures {o}",
        "{s} protects against {o}",
        "{o} is treated with {s}",
        "Everyone with {o} has a mutated {s}",
        "{s} is the sole cause of {o}",
    ),
    t.DEVELOPS_FROM: (
        "{s} develops only from {o}",
        "Every {o} develops into {s}",
        "{s} turns back into {o}",
    ),
    t.PART_OF: ("{s} is the whole of {o}", "{o} consists only of {s}", "{s} surrounds {o}"),
    t.POSITIVELY_REGULATES: ("{s} is required for {o}", "{s} stops {o}"),
    t.NEGATIVELY_REGULATES: ("{s} abolishes {o} completely", "{s} starts {o}"),
}
OTHER_SPECIES = {
    "NCBITaxon:9606": ("in mice", "in the mouse", "in zebrafish", "in murine cells", "in yeast"),
    "NCBITaxon:10090": ("in humans", "in patients", "in zebrafish", "in human cells", "in rats"),
}
CODES = ("IDA", "IMP", "IPI", "IGI", "IEP", "TAS", "IC", "IBA", "ISS", "IEA", "ND", "HDA", "EXP")
UNITS = (("hours", "days"), ("mg", "kg"), ("mice", "patients"), ("mM", "nM"), ("percent", "fold"))
DOUBLE = (
    "It is not the case that {no}",
    "Nobody doubts that {no}",
    "It would be wrong to say that {no}",
    "That {no} is false",
    "There is no evidence that {yes}",
    "It is a myth that {yes}",
    "Contrary to belief, {no}",
    "{yes}, or so it was wrongly thought",
    "Were it not for errors, {no}",
    "Hardly anyone believes that {yes}",
)
NEGATED = {
    t.INVOLVED_IN: "{s} is not involved in {o}",
    t.ENABLES: "{s} does not enable {o}",
    t.LOCATED_IN: "{s} is not located in {o}",
    t.MARKER_OF: "{s} is not a marker of {o}",
    t.GENE_DISEASE: "{s} is not associated with {o}",
    t.IS_A: "{s} is not a kind of {o}",
    t.DEVELOPS_FROM: "{s} does not develop from {o}",
    t.PART_OF: "{s} is not part of {o}",
    t.POSITIVELY_REGULATES: "{s} does not positively regulate {o}",
    t.NEGATIVELY_REGULATES: "{s} does not negatively regulate {o}",
}


@dataclass(frozen=True)
class Draft:
    """A sentence with its keys, its evidence, the stored texts, and what was done to it."""

    text: str
    evidence: dict[str, Evidence]
    how: str
    stored: dict[str, str]


class Forger:
    """Makes drafts from a graph; the same seed makes the same ones."""

    def __init__(self, graph: KnowledgeGraph, seed: int) -> None:
        self.graph, self.random = graph, random.Random(seed)
        categories = (Category.CELL_TYPE, Category.GENE, Category.PROCESS, Category.COMPONENT)
        self.nodes = {c: [term.id for term in graph.terms_of(c)] for c in categories}
        self.genes = [g for g in self.nodes[Category.GENE] if g.startswith("HGNC:")]

    # --- genuine ------------------------------------------------------------------------------

    def genuine(self) -> Draft:
        """A sentence that its evidence supports."""
        return self.random.choice(
            (self._plain, self._plain, self._plain, self._quote, self._said)
        )()

    def _plain(self) -> Draft:
        edge = self._edge()
        text = self._name(self.random.choice(PLAIN[edge.predicate]), edge)
        behind = self._behind(edge)
        return Draft(f"{text}{behind} [E1].", self._cited(edge), f"plain {edge.predicate}", {})

    def _behind(self, edge: Edge) -> str:
        """Provenance as people add it, all of it the edge's own."""
        choices = [""]
        if edge.evidence_code:
            choices.append(f" ({edge.evidence_code})")
        pmids = [p for p in edge.publications if p.startswith("PMID:")]
        if pmids:
            choices.append(f" ({pmids[0]})")
        return self.random.choice(choices)

    def _quote(self) -> Draft:
        text, piece = self._passage()
        draft = f'PMID:{piece.pmid} states: "{piece.quote}" [E1].'
        return Draft(draft, {"E1": piece}, "quote", {piece.pmid: text})

    def _said(self) -> Draft:
        while True:
            term = self.graph.term(self.random.choice(self.nodes[Category.CELL_TYPE]))
            if term and term.definition and not term.obsolete and '"' not in term.definition:
                break
        words = term.definition
        piece = TermEvidence(term.id, "definition", words, 0, len(words), term.source, term.release)
        label = self._label(term.id)
        return Draft(f'{label} is defined as "{words}" [E1].', {"E1": piece}, "definition", {})

    # --- forged -------------------------------------------------------------------------------

    def forged(self) -> Draft:
        """A sentence that its evidence does not support."""
        ways: tuple[Callable[[], Draft | None], ...] = (
            *(self._stronger, self._species, self._code, self._doubled, self._swapped),
            *(self._slipped_in, self._other_citation, self._unit, self._offset, self._cut_quote),
            *(self._release, self._pmid, self._contrast, self._definition_of_another),
        )
        while True:
            if draft := self.random.choice(ways)():
                return draft

    def _stronger(self) -> Draft:
        edge = self._edge()
        text = self._name(self.random.choice(STRONGER[edge.predicate]), edge)
        return Draft(f"{text} [E1].", self._cited(edge), f"stronger {edge.predicate}", {})

    def _species(self) -> Draft | None:
        edge = self._edge()
        wrong = OTHER_SPECIES.get(edge.taxon or "")
        if not wrong or edge.predicate == t.MARKER_OF:
            return None
        text = self._name(PLAIN[edge.predicate][0], edge)
        where = self.random.choice(wrong)
        text = f"{where.capitalize()}, {text}" if self.random.random() < 0.5 else f"{text} {where}"
        return Draft(f"{text} [E1].", self._cited(edge), "species", {})

    def _code(self) -> Draft | None:
        edge = self._edge()
        if not edge.evidence_code:
            return None
        other = self.random.choice([code for code in CODES if code != edge.evidence_code])
        text = self._name(PLAIN[edge.predicate][0], edge)
        how = self.random.choice((" ({c})", " (evidence code {c})", ", with evidence {c},"))
        return Draft(f"{text}{how.format(c=other)} [E1].", self._cited(edge), "code", {})

    def _doubled(self) -> Draft:
        edge = self._edge()
        no = self._name(NEGATED[edge.predicate], edge)
        yes = self._name(PLAIN[edge.predicate][0], edge)
        way = self.random.choice(DOUBLE)
        if way.startswith(("It is not the case", "Nobody", "It would be wrong", "That {no}")):
            # Of what is said not to hold, the double no says that it does.
            if (edge := self._denied()) is None:
                return self._stronger()
            no = self._name(NEGATED[edge.predicate], edge)
        return Draft(f"{way.format(no=no, yes=yes)} [E1].", self._cited(edge), "double", {})

    def _swapped(self) -> Draft | None:
        edge = self._edge()
        if edge.predicate in (t.GENE_DISEASE, t.MARKER_OF, t.INVOLVED_IN, t.ENABLES, t.LOCATED_IN):
            return None
        back = replace(edge, subject=edge.object, object=edge.subject)
        if edge.predicate == t.IS_A and edge.object in self.graph.descendants(edge.subject):
            return None
        forms = ("Of {s} and {o}, {x}", "As for {o}: {x}", "{x}")
        text = self.random.choice(forms).format(
            s=self._label(edge.subject),
            o=self._label(edge.object),
            x=self._name(PLAIN[edge.predicate][0], back),
        )
        return Draft(f"{text} [E1].", self._cited(edge), "swapped", {})

    def _slipped_in(self) -> Draft | None:
        edge, other = self._edge(), self._edge()
        if edge.predicate != other.predicate or other.object == edge.object:
            return None
        if any(e.object == other.object for e in self.graph.edges(edge.subject, direction="out")):
            return None
        if other.object in self.graph.ancestors(edge.object, (t.IS_A, t.PART_OF)):
            return None
        text = self._name(PLAIN[edge.predicate][0], edge)
        joint = self.random.choice((" and {n}", " as well as {n}", ", and also in {n}", " or {n}"))
        text += joint.format(n=self._label(other.object))
        return Draft(f"{text} [E1].", self._cited(edge), "slipped in", {})

    def _other_citation(self) -> Draft | None:
        edge, other = self._edge(), self._edge()
        if {edge.subject, edge.object} & {other.subject, other.object}:
            return None
        text = self._name(PLAIN[edge.predicate][0], edge)
        if self.random.random() < 0.5:
            both = {**self._cited(edge), "E2": self._cited(other)["E1"]}
            return Draft(f"{text} [E2].", both, "the other's citation", {})
        return Draft(f"{text} [E1].", self._cited(other), "another's citation", {})

    def _unit(self) -> Draft:
        text, piece = self._passage()
        said, other = self.random.choice([pair for pair in UNITS if pair[0] in piece.quote])
        wrong = piece.quote.replace(said, other, 1)
        draft = f'PMID:{piece.pmid} states: "{wrong}" [E1].'
        return Draft(draft, {"E1": piece}, "unit", {piece.pmid: text})

    def _offset(self) -> Draft:
        text, piece = self._passage()
        start, end = self.random.choice(((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (-1, -1)))
        shifted = replace(piece, start=piece.start + start, end=piece.end + end)
        draft = f'PMID:{piece.pmid} states: "{piece.quote}" [E1].'
        return Draft(draft, {"E1": shifted}, "offset", {piece.pmid: text})

    def _cut_quote(self) -> Draft:
        text, piece = self._passage()
        words = piece.quote.split()
        place = self.random.randrange(1, len(words) - 1)
        if self.random.random() < 0.5:
            words[place], words[place - 1] = words[place - 1], words[place]
        else:
            words.insert(place, self.random.choice(("not", "all", "never", "twice")))
        draft = f'PMID:{piece.pmid} states: "{" ".join(words)}" [E1].'
        return Draft(draft, {"E1": piece}, "quote changed", {piece.pmid: text})

    def _release(self) -> Draft:
        edge = self._edge()
        wrong = replace(edge, release=edge.release + "1")
        text = self._name(PLAIN[edge.predicate][0], edge)
        if self.random.random() < 0.5:
            return Draft(f"{text} [E1].", self._cited(wrong), "release of the evidence", {})
        named = f"According to {edge.source} 2031-01-01, {text}"
        return Draft(f"{named} [E1].", self._cited(edge), "release in words", {})

    def _pmid(self) -> Draft | None:
        edge = self._edge()
        pmids = [p for p in edge.publications if p.startswith("PMID:")]
        if not pmids:
            return None
        wrong = f"PMID:{int(pmids[0][5:]) + self.random.choice((1, -1, 10))}"
        if wrong in pmids:
            return None
        text = self._name(PLAIN[edge.predicate][0], edge)
        if self.random.random() < 0.5:
            forged = replace(edge, publications=(wrong,))
            return Draft(f"{text} [E1].", self._cited(forged), "publication of the evidence", {})
        return Draft(f"{text} ({wrong}) [E1].", self._cited(edge), "publication in words", {})

    def _contrast(self) -> Draft | None:
        edge, other = self._edge(), self._edge()
        if edge.predicate != other.predicate or edge.subject == other.subject:
            return None
        against = self._label(other.subject)
        text = self._name(PLAIN[edge.predicate][0], edge)
        forms = ("Unlike {a}, {x}", "{x}, but {a} is not", "{x} more than {a}", "{x} through {a}")
        text = self.random.choice(forms).format(a=against, x=text)
        return Draft(f"{text} [E1].", self._cited(edge), "contrast", {})

    def _definition_of_another(self) -> Draft:
        one, other = self._said(), self._said()
        while one.evidence == other.evidence:
            other = self._said()
        label = one.text.split(" is defined as ")[0]
        words = other.text.split(" is defined as ")[1]
        evidence = self.random.choice((one.evidence, other.evidence))
        return Draft(f"{label} is defined as {words}", evidence, "another's definition", {})

    # --- material -----------------------------------------------------------------------------

    def _edge(self, *, negated: bool = False) -> Edge:
        while True:
            pool = self.genes if self.random.random() < 0.6 else self._some_nodes()
            node = self.random.choice(pool)
            edges = [
                edge
                for edge in self.graph.edges(node, direction="out")
                if edge.predicate in PREDICATES
                and edge.negated == negated
                and "negative" not in edge.qualifiers
                and "obsolete_term" not in edge.qualifiers
            ]
            if edges:
                edge = self.random.choice(edges)
                if all(self._usable(node) for node in (edge.subject, edge.object)):
                    return edge

    def _denied(self) -> Edge | None:
        for _ in range(400):
            node = self.random.choice(self.genes)
            for edge in self.graph.edges(node, direction="out"):
                if edge.negated and edge.predicate in NEGATED and self._usable(edge.object):
                    return edge
        return None

    def _some_nodes(self) -> list[Curie]:
        category = self.random.choice((Category.CELL_TYPE, Category.PROCESS, Category.COMPONENT))
        return self.nodes[category]

    def _usable(self, id: Curie) -> bool:
        term = self.graph.term(id)
        return term is not None and not term.obsolete and bool(term.label)

    def _label(self, id: Curie) -> str:
        term = self.graph.term(id)
        assert term is not None
        return f"{term.label} ({id})" if self.random.random() < 0.5 else term.label

    def _name(self, wording: str, edge: Edge) -> str:
        return wording.format(s=self._label(edge.subject), o=self._label(edge.object))

    def _cited(self, edge: Edge) -> dict[str, Evidence]:
        if edge.predicate in (t.IS_A, t.PART_OF) and self.random.random() < 0.5:
            path = t.Path((edge.subject, edge.object), (edge,))
            return {"E1": PathEvidence(path, "", edge.source, edge.release)}
        return {"E1": EdgeEvidence(edge, "")}

    def _passage(self) -> tuple[str, PassageEvidence]:
        """An invented article with numbers and units, and a quote of one of its sentences."""
        label = self._name("{s}", self._edge()).split(" (")[0]
        n = self.random.randrange(2, 90)
        quote = self.random.choice(
            (
                f"After {n} hours the level of {label} had doubled in both groups.",
                f"A dose of {n} mg reduced {label} in the treated animals.",
                f"We studied {label} in {n} mice over two seasons.",
                f"At {n} mM the effect on {label} was the largest.",
                f"In all, {n} percent of the samples contained {label}.",
            )
        )
        title = f"A study of {label}"
        text = f"{title}\n\nBackground came first. {quote} The end came last."
        start = text.index(quote)
        pmid = str(self.random.randrange(10_000, 40_000_000))
        piece = PassageEvidence(pmid, quote, start, start + len(quote), title, "pubmed", "2021")
        return text, piece
