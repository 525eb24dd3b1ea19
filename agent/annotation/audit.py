"""Existing labels of a dataset against the evidence of its cells' genes.

Each label is read as a Cell Ontology term (:func:`kg.naming.labels.ground_label`, or the id that it
is). The cells are annotated without it, and the two are compared: an answer agrees when it is the
label's term, one above it or one below it; it contradicts when it is sure and the ontology knows no
type that is both (a cortical neuron may be a glutamatergic one, a T cell no B cell). A label that
tells its type by a gene (FCGR3A+ Mono) may be read in more than one way: it is contradicted only by
what excludes each of them. Beside that stand the label's own markers: which are there, which are
missing, which should not be there.

A label that the evidence contradicts need not be wrong: it may rest on what the genes do not show.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from agent.annotation.annotate import AnnotateConfig, Knowledge, annotate_cells, knowledge
from agent.annotation.opinion import claimed
from agent.annotation.result import Annotation, MarkerEvidence
from agent.annotation.termevidence import TermEvidence
from agent.attached.genenames import spelled
from kg.backoff import UNKNOWN
from kg.naming.labels import ground_label
from kg.terms import Curie

if TYPE_CHECKING:
    from agent.annotation.passes import Progress
    from data.cells import CellMatrix
    from kg.naming.mentions import Candidate

__all__ = ["SURE", "Audit", "LabelAudit", "audit_cells"]

SURE = 0.75
"""Confidence from which an answer that excludes the label contradicts it."""

MOST = 0.5
"""Share of a label's cells that must agree for it to be supported, or contradict to be refuted."""

SOME = 0.1
"""Share of contradicting cells from which a supported label is called mixed."""

Verdict = Literal["supported", "mixed", "contradicted", "open", "not read"]


@dataclass(frozen=True, slots=True)
class LabelAudit:
    """One label: what it claims, what the cells show, and the verdict.

    ``open``: too few cells are sure either way; ``not read``: the label names no cell type.

    ``agree`` and ``contradict`` are shares of its cells; the rest is unsure. ``answer`` is the
    term that the label's cells vote for together. ``instead`` are the terms of the contradicting
    cells with their numbers, most first.
    """

    label: str
    n_cells: int
    claimed: Curie | None
    claimed_label: str
    notice: str
    verdict: Verdict
    agree: float
    contradict: float
    answer: Curie | None
    answer_label: str
    answer_confidence: float
    instead: tuple[tuple[Curie, str, int], ...]
    supporting: tuple[MarkerEvidence, ...]
    against: tuple[MarkerEvidence, ...]


@dataclass(frozen=True, eq=False)
class Audit:
    """All labels of a column, the contradicted ones first."""

    key: str
    labels: tuple[LabelAudit, ...]
    annotation: Annotation

    def document(self) -> dict[str, Any]:
        """The document of ``celloquy audit --json``."""
        return {
            "key": self.key,
            "n_cells": self.annotation.n_cells,
            "releases": dict(self.annotation.about.releases),
            "labels": [_row(one) for one in self.labels],
        }


def audit_cells(
    cells: CellMatrix,
    key: str,
    config: AnnotateConfig | None = None,
    *,
    known: Knowledge | None = None,
    progress: Progress | None = None,
) -> Audit:
    """Compare the labels of a column with what the cells' genes show.

    Parameters
    ----------
    cells
        The dataset, from :func:`data.h5ad.open_cells`.
    key
        Column of obs with the labels, as text or as Cell Ontology ids.
    config
        How to annotate; its ``groupby`` is the column.
    known
        Ontology and markers; those of the built graph where not given.
    progress
        Called as cells are done.

    Raises
    ------
    BadInput
        When there is no such column, or the dataset cannot be annotated.
    """
    known = known or knowledge()
    config = replace(config or AnnotateConfig(), groupby=key)
    found = annotate_cells(cells, config, known=known, progress=progress)
    votes = found.clusters
    assert votes is not None, "asked for"
    evidence, detected = _evidence(cells, config, known, votes.code, len(votes.names))
    rows = []
    for group, label in enumerate(votes.names):
        claim = claimed(label, known)
        markers: tuple[tuple[MarkerEvidence, ...], ...] = ((), ())
        if claim is not None:
            place = known.hierarchy.index(claim.id)
            markers = evidence.of(place, int(votes.n_cells[group]), detected[group])
        rows.append(_judged(found, group, label, claim, markers, _ways(label, claim, known)))
    order = ("contradicted", "mixed", "open", "not read", "supported")
    rows.sort(key=lambda one: (order.index(one.verdict), -one.contradict, one.label))
    return Audit(key, tuple(rows), found)


def _evidence(
    cells: CellMatrix,
    config: AnnotateConfig,
    known: Knowledge,
    code: NDArray[np.int32],
    n_groups: int,
) -> tuple[TermEvidence, NDArray[np.float64]]:
    """Markers among the dataset's genes, and in how many cells of each group each is detected."""
    from encoders.celltypes.markers import ScoreConfig

    named = cells.harmonised(config.species)
    detected = np.zeros((n_groups + 1, named.n_genes))  # the last row: cells of no group
    for block in named.blocks(config.block):
        signs = block.values.sign()
        here = code[block.start : block.stop]
        for group in np.unique(here):
            detected[group] += np.asarray(signs[here == group].sum(axis=0)).ravel()
    sets = known.sets.within(named.genes, ScoreConfig().least_measured)
    evidence = TermEvidence(
        sets, known.hierarchy, detected.sum(axis=0), cells.n_cells, known.sources,
        spelled(cells, named),
    )  # fmt: skip
    return evidence, detected


def _judged(
    found: Annotation,
    group: int,
    label: str,
    claim: Candidate | None,
    markers: tuple[tuple[MarkerEvidence, ...], ...],
    ways: Sequence[Curie],
) -> LabelAudit:
    votes, hierarchy = found.clusters, found.hierarchy
    assert votes is not None, "asked for"
    here = votes.code == group
    term, confidence = found.term[here], found.confidence[here]
    on_line = np.zeros(len(term), dtype=np.bool_)
    off = np.zeros(len(term), dtype=np.bool_)
    if claim is not None:
        below = set(hierarchy.below(claim.id))
        for one in np.unique(term[term != UNKNOWN]):
            answer = hierarchy.ids[one]
            under = set(hierarchy.below(answer))
            if answer in below or claim.id in under:
                on_line |= term == one
            elif not any(under & set(hierarchy.below(way)) for way in ways):
                off |= (term == one) & (confidence >= SURE)
    n = max(1, len(term))
    agree, contradict = float(on_line.sum() / n), float(off.sum() / n)
    vote = int(votes.term[group])
    instead = Counter(term[off].tolist()) if claim is not None else Counter(term.tolist())
    return LabelAudit(
        label=label,
        n_cells=int(votes.n_cells[group]),
        claimed=claim.id if claim else None,
        claimed_label=claim.label if claim else "",
        notice=claim.notice if claim else "names no cell type",
        verdict=_verdict(claim, agree, contradict),
        agree=round(agree, 4) if claim else 0.0,
        contradict=round(contradict, 4) if claim else 0.0,
        answer=hierarchy.ids[vote] if vote != UNKNOWN else None,
        answer_label=hierarchy.labels[vote] if vote != UNKNOWN else "unknown",
        answer_confidence=round(float(votes.confidence[group]), 4),
        instead=tuple(
            (hierarchy.ids[i], hierarchy.labels[i], k)
            for i, k in sorted(instead.items(), key=lambda pair: (-pair[1], pair[0]))[:5]
            if i != UNKNOWN
        ),
        supporting=markers[0],
        against=markers[1],
    )


def _ways(label: str, claim: Candidate | None, known: Knowledge) -> tuple[Curie, ...]:
    """The terms that a label may name: its claim, and where a gene was read as a marker the others.

    "FCGR3A is CD16" makes a CD14+ CD16+ monocyte of FCGR3A+ Mono, which may as well be one that
    lacks CD14: its other reading, a monocyte, covers both.
    """
    if claim is None:
        return ()
    if not re.search(r"\bis CD\d", claim.notice):
        return (claim.id,)
    others = (one.id for one in ground_label(label, known.graph) if one.id in known.hierarchy)
    return tuple(dict.fromkeys((claim.id, *others)))


def _verdict(claim: Candidate | None, agree: float, contradict: float) -> Verdict:
    if claim is None:
        return "not read"
    if contradict >= MOST:
        return "contradicted"
    if contradict >= SOME:
        return "mixed"
    return "supported" if agree >= MOST else "open"


def _row(one: LabelAudit) -> dict[str, Any]:
    row = asdict(one)
    row["instead"] = [{"id": i, "label": label, "n_cells": n} for i, label, n in one.instead]
    return row
