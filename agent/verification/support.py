"""What a set of evidence supports: its edges, and what follows from them by composition.

Evidence is first held against the graph itself (:class:`Inspector`): every hop must be an edge
of the loaded release with the same provenance, every quoted word must stand at its offsets. What
follows from checked edges is computed here by the rules of :mod:`agent.verification.statement`;
nothing is looked up that the evidence does not hold. No language model takes part.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from agent.verification.statement import compose
from kg.graph import KnowledgeGraph
from kg.terms import (
    COLOCALIZES_WITH,
    INTERACTS_WITH,
    IS_A,
    IS_A_OR_PART_OF,
    NEGATIVELY_REGULATES,
    ORTHOLOGOUS_TO,
    PART_OF,
    POSITIVELY_REGULATES,
    REGULATES,
    Curie,
    Edge,
    Term,
)
from retrieval.evidence import (
    CellsEvidence,
    EdgeEvidence,
    Evidence,
    PassageEvidence,
    PathEvidence,
    PredictionEvidence,
    TermEvidence,
)

__all__ = ["Inspector", "Predicted", "Recomputed", "StoredText", "Support", "implied", "record"]

StoredText = Callable[[str], str | None]
"""Gives the stored text of a PMID, or None where the literature index has none."""

Recomputed = Callable[[CellsEvidence | PredictionEvidence], str]
"""Computes a statistic again from the attached cells: why it does not hold, or ""."""

Predicted = Callable[[PredictionEvidence], str]
"""Asks the model again: why it did not say this, or ""."""

_SYMMETRIC = frozenset({INTERACTS_WITH, ORTHOLOGOUS_TO, COLOCALIZES_WITH})
_WIDER = {
    # Sub-properties of the Relation Ontology; the unnamed link is wider than both it may be.
    POSITIVELY_REGULATES: REGULATES,
    NEGATIVELY_REGULATES: REGULATES,
    IS_A: IS_A_OR_PART_OF,
    PART_OF: IS_A_OR_PART_OF,
}


def implied(held: Curie, asked: Curie) -> bool:
    """Whether a link by ``held`` is also one by ``asked``."""
    return held == asked or _WIDER.get(held) == asked


def record(term: Term, part: str) -> str:
    """The words of a term's record that :class:`TermEvidence` quotes from."""
    if part == "definition":
        return term.definition
    if part == "label":
        return term.label
    if part == "synonyms":
        return "\n".join(synonym.text for synonym in term.synonyms)
    return term.replaced_by or ""


@dataclass
class Inspector:
    """Checks evidence against the graph, stored texts and attached cells; remembers what it found.

    ``problem`` returns why a piece cannot be relied on, or an empty string.
    """

    graph: KnowledgeGraph
    stored_text: StoredText | None = None
    recomputed: Recomputed | None = None
    predicted: Predicted | None = None
    _known: dict[str, str] = field(default_factory=dict)

    def problem(self, piece: Evidence) -> str:
        """Why the evidence does not stand, or ""."""
        memory = f"{piece.digest}|{piece.text}|{piece.source}|{piece.release}"
        if memory not in self._known:
            self._known[memory] = self._inspect(piece)
        return self._known[memory]

    def _inspect(self, piece: Evidence) -> str:
        match piece:
            case PathEvidence():
                return self._path(piece)
            case EdgeEvidence():
                return self._edge(piece.edge)
            case TermEvidence():
                return self._term(piece)
            case PassageEvidence():
                return self._passage(piece)
        if isinstance(piece, PredictionEvidence) and not piece.statistic:
            return self.predicted(piece) if self.predicted else "there is no model to ask again"
        if self.recomputed is None:
            return "there are no attached cells to compute the statistic from again"
        return self.recomputed(piece)

    def _edge(self, edge: Edge) -> str:
        known = self.graph.edges_between(edge.subject, edge.object)
        if edge.key not in {other.key for other in known}:
            return (
                f"{edge.subject} {edge.predicate} {edge.object} is not an edge of "
                f"{edge.source} {edge.release} as cited"
            )
        release = self.graph.releases.get(edge.source)
        if release is None or release.version != edge.release:
            return f"{edge.source} {edge.release} is not a loaded release"
        return ""

    def _path(self, piece: PathEvidence) -> str:
        if not piece.path.edges:
            return "a path without a hop supports nothing"
        if (piece.source, piece.release) not in {(e.source, e.release) for e in piece.path.edges}:
            return f"no hop of the path is of {piece.source} {piece.release}"
        problems = (self._edge(edge) for edge in piece.path.edges)
        return next((problem for problem in problems if problem), "")

    def _term(self, piece: TermEvidence) -> str:
        term = self.graph.term(piece.id)
        if term is None:
            return f"{piece.id} is not in the loaded releases"
        if (term.source, term.release) != (piece.source, piece.release):
            return f"{piece.id} is of {term.source} {term.release}, not {piece.release}"
        words = record(term, piece.part)
        if not piece.text or words[piece.start : piece.end] != piece.text:
            return f"the quoted words do not stand at their place in the {piece.part} of {piece.id}"
        return ""

    def _passage(self, piece: PassageEvidence) -> str:
        if self.stored_text is None:
            return "there is no literature index to check the quote against"
        text = self.stored_text(piece.pmid)
        if text is None:
            return f"PMID:{piece.pmid} is not in the literature index"
        if not piece.quote or text[piece.start : piece.end] != piece.quote:
            return f"the quote does not stand at its offsets in PMID:{piece.pmid}"
        return ""


class Support:
    """The checked edges of the evidence that a claim cites, and what follows from them."""

    def __init__(self, cited: Mapping[str, Evidence]) -> None:
        self.cited = cited
        self.out: dict[Curie, list[tuple[Edge, str]]] = {}
        self.used: set[str] = set()
        for key, piece in cited.items():
            for edge in edges_of(piece):
                self.out.setdefault(edge.subject, []).append((edge, key))

    def negative(self, subject: Curie, predicate: Curie, target: Curie) -> bool:
        """Whether a cited edge says that the relation does not hold; its evidence is used."""
        return self._direct(subject, predicate, target, negated=True)

    def edge(self, triple: tuple[Curie, Curie, Curie], qualifier: str = "") -> bool:
        """Whether the triple itself is a cited edge; its evidence is used."""
        return self._direct(*triple, negated=False, qualifier=qualifier)

    def _direct(
        self,
        subject: Curie,
        predicate: Curie,
        target: Curie,
        *,
        negated: bool,
        qualifier: str = "",
    ) -> bool:
        keys = {
            key
            for edge, key in self.out.get(subject, ())
            if edge.object == target
            and implied(edge.predicate, predicate)
            and edge.negated == negated
            and (qualifier in edge.qualifiers if qualifier else "negative" not in edge.qualifiers)
        }
        self.used |= keys
        return bool(keys)

    def derives(self, subject: Curie, predicate: Curie, target: Curie, qualifier: str = "") -> bool:
        """Whether the cited edges give subject - predicate - object; what they are is used."""
        if predicate in _SYMMETRIC and self.edge((target, predicate, subject)):
            return True
        if qualifier or self.edge((subject, predicate, target)):
            return self.edge((subject, predicate, target), qualifier)
        queue: deque[tuple[Curie, Curie | None, tuple[tuple[Edge, str], ...]]] = deque()
        queue.append((subject, None, ()))
        seen: set[tuple[Curie, Curie | None]] = set()
        while queue:
            node, held, walked = queue.popleft()
            if node == target and held is not None and implied(held, predicate):
                self._use(walked)
                return True
            for edge, key in self.out.get(node, ()):
                if edge.negated or "negative" in edge.qualifiers:
                    continue
                composed = edge.predicate if held is None else compose(held, edge.predicate)
                state = (edge.object, composed)
                if composed is None or state in seen:
                    continue
                seen.add(state)
                queue.append((edge.object, composed, (*walked, (edge, key))))
        return False

    def _use(self, walked: Iterable[tuple[Edge, str]]) -> None:
        for edge, key in walked:
            self.used.add(key)
            self._direct(edge.subject, edge.predicate, edge.object, negated=False)


def edges_of(piece: Evidence) -> tuple[Edge, ...]:
    """The edges that a piece of evidence holds."""
    if isinstance(piece, PathEvidence):
        return piece.path.edges
    return (piece.edge,) if isinstance(piece, EdgeEvidence) else ()
