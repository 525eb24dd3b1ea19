"""Evidence: one checkable piece of support, of one of five kinds, with a key from its content.

A term's own record (its definition, its names) is of the kind ``ontology_path``: a path of one
node, with the words that are taken over.

A piece of evidence knows nothing of the question it answers. Its ``digest`` is a hash of what it
states, so that the same fact found twice is one piece; the short keys of an answer (``E1``,
``E2``) are given out by :func:`number` in order of appearance.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal, TypeAlias

from kg.terms import Curie, Edge, Path

__all__ = [
    "CellsEvidence",
    "EdgeEvidence",
    "Evidence",
    "Kind",
    "Part",
    "PassageEvidence",
    "PathEvidence",
    "PredictionEvidence",
    "TermEvidence",
    "number",
]

Kind = Literal["ontology_path", "kg_edge", "passage", "cells", "prediction"]
Part = Literal["definition", "label", "synonyms", "replaced_by"]
"""The parts of a term's record that can be quoted."""


def _digest(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True)
class PathEvidence:
    """A walk through an ontology; each hop is an edge of the release named on it."""

    path: Path
    text: str
    source: str
    release: str
    kind: Kind = "ontology_path"

    @property
    def digest(self) -> str:
        """A hash of the nodes and of every hop."""
        return _digest(self.kind, self.path.nodes, [edge.key for edge in self.path.edges])


@dataclass(frozen=True, slots=True)
class EdgeEvidence:
    """One edge of the graph with its provenance."""

    edge: Edge
    text: str
    kind: Kind = "kg_edge"

    @property
    def source(self) -> str:
        """The edge's primary knowledge source."""
        return self.edge.source

    @property
    def release(self) -> str:
        """The release of that source."""
        return self.edge.release

    @property
    def digest(self) -> str:
        """A hash of the edge."""
        return _digest(self.kind, self.edge.key)


@dataclass(frozen=True, slots=True)
class TermEvidence:
    """Words of a term's own record: ``record[start:end] == text``.

    ``part`` says which words the record is: its ``definition``, its ``label``, its ``synonyms``
    (one a line, in the source's order) or ``replaced_by``.
    """

    id: Curie
    part: Part
    text: str
    start: int
    end: int
    source: str
    release: str
    kind: Kind = "ontology_path"

    @property
    def digest(self) -> str:
        """A hash of the term, its release and the words."""
        return _digest(self.kind, self.id, self.part, self.start, self.text, self.release)


@dataclass(frozen=True, slots=True)
class PassageEvidence:
    """A verbatim quote: ``stored_text[start:end] == quote`` for the citation's stored text.

    The stored text of a PubMed citation is its title, a blank line and its abstract
    (:func:`retrieval.medline.stored_text`).
    """

    pmid: str
    quote: str
    start: int
    end: int
    title: str
    source: str
    release: str
    retracted: bool = False
    kind: Kind = "passage"

    @property
    def text(self) -> str:
        """The quote, marked where the article was retracted."""
        return f"[retracted] {self.quote}" if self.retracted else self.quote

    @property
    def digest(self) -> str:
        """A hash of the article, the offsets and the words."""
        return _digest(self.kind, self.pmid, self.start, self.end, self.quote)


@dataclass(frozen=True, slots=True)
class CellsEvidence:
    """A statistic computed from the attached cells: how, over which cells, with what result.

    ``statistic`` on the cells of ``selection`` (against those of ``against``, or all others where
    it is empty) for ``gene`` gave ``figures``, by name; with these it can be computed again.
    ``value`` is the figure that decides what is said.
    """

    statistic: str
    value: float
    n_cells: int
    text: str
    source: str
    release: str = ""
    selection: str = ""
    against: str = ""
    gene: str = ""
    figures: tuple[tuple[str, float], ...] = ()
    kind: Kind = "cells"

    @property
    def digest(self) -> str:
        """A hash of the statistic, of what it is of and of its figures."""
        about = (self.selection, self.against, self.gene, self.figures)
        return _digest(self.kind, self.statistic, self.value, self.n_cells, self.source, *about)


@dataclass(frozen=True, slots=True)
class PredictionEvidence:
    """A model's output, which is never a fact: says how good it was measured to be.

    Where it is told of attached cells, ``statistic`` is what was counted in ``selection`` (and in
    ``against``) of the cells predicted to be ``subject``, with ``figures`` as the result. Else
    ``asked`` is the model's name and what it was asked, so that it can be asked again, and
    ``figures`` are its candidates' scores by id, ``notes`` the limits that it states.

    ``value`` and ``baseline_value`` are the figures that ``measured`` and ``baseline`` tell.
    ``confidence`` is how probable the first candidate is, None where the model gives no such thing.
    ``observed`` says what was measured of the same thing, which the model was not shown.
    """

    text: str
    source: str
    release: str
    measured: str
    baseline: str
    statistic: str = ""
    selection: str = ""
    against: str = ""
    subject: Curie = ""
    figures: tuple[tuple[str, float], ...] = ()
    asked: tuple[str, ...] = ()
    notes: tuple[str, ...] = ()
    value: float | None = None
    baseline_value: float | None = None
    confidence: float | None = None
    observed: str = ""
    kind: Kind = "prediction"

    @property
    def digest(self) -> str:
        """A hash of all of it: the words, the figures, the model and how good it is said to be."""
        return _digest(*(getattr(self, name) for name in self.__slots__))


Evidence: TypeAlias = (
    PathEvidence
    | TermEvidence
    | EdgeEvidence
    | PassageEvidence
    | CellsEvidence
    | PredictionEvidence
)


def number(evidence: Iterable[Evidence]) -> dict[str, Evidence]:
    """Give out the keys ``E1``, ``E2``, ... in order; equal pieces share the first key."""
    seen: dict[str, Evidence] = {}
    for piece in evidence:
        seen.setdefault(piece.digest, piece)
    return {f"E{i}": piece for i, piece in enumerate(seen.values(), start=1)}
