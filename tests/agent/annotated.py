"""A small annotation made by hand: three T cells, a lymphocyte and a cell of no answer."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from agent.annotation.result import About, Annotation, Clusters, MarkerEvidence, TermSummary
from kg.backoff import UNKNOWN, Hierarchy, Novelty

HIERARCHY = Hierarchy.make(
    {"CL:0000542": ["CL:0000542"], "CL:0000084": ["CL:0000542", "CL:0000084"]},
    {"CL:0000542": "lymphocyte", "CL:0000084": "T cell"},
)


def made(**changes) -> Annotation:
    """Five cells: three T cells, a lymphocyte, an unknown one."""
    t, lymphocyte = HIERARCHY.index("CL:0000084"), HIERARCHY.index("CL:0000542")
    term = np.array([t, t, lymphocyte, t, UNKNOWN], dtype=np.int32)
    marker = MarkerEvidence("CD3E", "Cd3e", "present", 0.8, 0.667, 0.0, ("book", "atlas"))
    against = MarkerEvidence("CD19", "Cd19", "unexpected", 0.9, 0.333, 0.5, ("book",))
    summaries = (
        TermSummary("CL:0000084", "T cell", 3, 0.6, 0.9, 1, (marker,), (against,)),
        TermSummary(
            "CL:0000542", "lymphocyte", 1, 0.2, 0.7, 0, (), (),
            Novelty("CL:0000542", "CL:0000084", 0.4), "T cell",
        ),
    )  # fmt: skip
    about = About(
        source="/data/<b>cells</b>.h5ad", n_genes=10, n_genes_used=4, n_types=2, layer_used="X",
        why="it is", species="mouse", coverage=1.0, encoder="markers", sha256="ab" * 32,
        releases={"CL": "v1"}, parameters={"min_confidence": 0.5}, version="0.1.0",
        notices=("X is used", "all genes are known"),
    )  # fmt: skip
    found = Annotation(
        hierarchy=HIERARCHY, term=term,
        confidence=np.array([0.9, 0.9, 0.7, 0.9, 0], dtype=np.float32),
        leaf=np.array([t, t, t, t, UNKNOWN], dtype=np.int32),
        reason=np.array([0, 0, 1, 0, 2], dtype=np.int8),
        reasons=("alone", "backed off", "unknown: no marker"),
        embedding=np.eye(5, 50, dtype=np.float32), summaries=summaries, about=about,
    )  # fmt: skip
    return replace(found, **changes)


def voted() -> Annotation:
    t = HIERARCHY.index("CL:0000084")
    votes = Clusters(
        key="leiden", names=("a", "b"), code=np.array([0, 0, 0, 0, 1], dtype=np.int32),
        n_cells=np.array([4, 1]), term=np.array([t, UNKNOWN], dtype=np.int32),
        confidence=np.array([0.8, 0.1], dtype=np.float32),
        kept=np.array([False, False, True, False, False]),
    )  # fmt: skip
    return made(clusters=votes)
