"""What annotating a dataset gives: an answer for every cell, and the evidence for every term.

Values only: how they are found is :mod:`agent.annotation.annotate`'s business, how they look
elsewhere that of :mod:`agent.annotation.cas` and :mod:`agent.annotation.report`. The names of
columns and keys are those that users rely on (docs/commands.md); identifiers follow the CELLxGENE
schema 7.1: a Cell Ontology id, or the literal ``unknown``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from numpy.typing import NDArray

from kg.backoff import UNKNOWN, Hierarchy, Novelty
from kg.terms import Curie

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "UNKNOWN_LABEL",
    "About",
    "Annotation",
    "Clusters",
    "MarkerEvidence",
    "Role",
    "TermSummary",
]

UNKNOWN_LABEL = "unknown"
"""What stands where there is no answer; the CELLxGENE schema prescribes the word."""

Role = Literal["present", "missing", "unexpected"]


@dataclass(frozen=True, slots=True)
class MarkerEvidence:
    """One marker gene of an answer; ``gene`` is its current symbol, ``name`` the dataset's.

    ``inside`` and ``outside`` are the shares of the cells in which it is detected, of those with
    this answer and of all others. ``present`` speaks for the answer; ``missing`` (a sure marker
    that few of the cells express) and ``unexpected`` (its absence marks the type, and it is
    there) speak against it. ``belief`` is how surely the sources say that it is on, or off.
    """

    gene: str
    name: str
    role: Role
    belief: float
    inside: float
    outside: float
    sources: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TermSummary:
    """One term that was an answer: for how many cells, how surely, and on what evidence.

    ``novelty`` is set where the cells surely are of this type but of none of its known subtypes.
    """

    id: Curie
    label: str
    n_cells: int
    share: float
    confidence: float
    depth: int
    supporting: tuple[MarkerEvidence, ...]
    against: tuple[MarkerEvidence, ...]
    novelty: Novelty | None = None
    nearest_label: str = ""


@dataclass(frozen=True, eq=False)
class Clusters:
    """The vote of each cluster; ``code`` is the cluster of each cell, -1 for none.

    ``kept`` marks cells that are surely of another type than their cluster, and keep it.
    """

    key: str
    names: tuple[str, ...]
    code: NDArray[np.int32]
    n_cells: NDArray[np.int64]
    term: NDArray[np.int32]
    confidence: NDArray[np.float32]
    kept: NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class About:
    """How the answers came about."""

    source: str
    n_genes: int
    n_genes_used: int
    n_types: int
    layer_used: str
    why: str
    species: str
    coverage: float
    encoder: str
    sha256: str
    releases: Mapping[str, str]
    parameters: Mapping[str, str | float]
    version: str
    notices: tuple[str, ...] = ()
    seconds: float = 0.0
    used: str = "are markers of"
    """What the genes used are, before the number of types."""


@dataclass(frozen=True, eq=False)
class Annotation:
    """An answer for each cell: places in ``hierarchy``, or :data:`kg.backoff.UNKNOWN`.

    ``leaf`` is the most probable type at or below the answer. ``reason`` is a place in ``reasons``.
    ``embedding`` is described in :mod:`encoders.celltypes.positions`. ``carried`` are the labels of
    a reference and the place of each cell's, where there was one.
    """

    hierarchy: Hierarchy
    term: NDArray[np.int32]
    confidence: NDArray[np.float32]
    leaf: NDArray[np.int32]
    reason: NDArray[np.int8]
    reasons: tuple[str, ...]
    embedding: NDArray[np.float32]
    summaries: tuple[TermSummary, ...]
    about: About
    clusters: Clusters | None = None
    carried: tuple[tuple[str, ...], NDArray[np.int32]] | None = None

    @property
    def n_cells(self) -> int:
        """How many cells were annotated."""
        return len(self.term)

    @property
    def abstained(self) -> int:
        """How many of them have no answer."""
        return int((self.term == UNKNOWN).sum())

    def ids(self) -> NDArray[np.object_]:
        """The answer of each cell as a CURIE or ``unknown``."""
        return _named(self.term, self.hierarchy.ids)

    def labels(self) -> NDArray[np.object_]:
        """The answer of each cell by label."""
        return _named(self.term, self.hierarchy.labels)

    def columns(self, key: str = "celloquy") -> dict[str, pd.Categorical | NDArray[np.float32]]:
        """The columns of ``obs``, by name."""
        import pandas as pd

        labels, ids = self.hierarchy.labels, self.hierarchy.ids
        found: dict[str, pd.Categorical | NDArray[np.float32]] = {
            f"{key}_cell_type": _categorical(self.term, labels),
            f"{key}_cell_type_ontology_term_id": _categorical(self.term, ids),
            f"{key}_confidence": self.confidence,
            f"{key}_leaf": _categorical(self.leaf, labels),
            f"{key}_leaf_ontology_term_id": _categorical(self.leaf, ids),
            f"{key}_reason": pd.Categorical.from_codes(
                self.reason.astype(np.int64).tolist(), pd.Index(self.reasons, dtype=object)
            ).remove_unused_categories(),
        }
        if self.carried is not None:
            names, code = self.carried
            found[f"{key}_reference_label"] = pd.Categorical.from_codes(
                code.tolist(), pd.Index(names, dtype=object)
            ).remove_unused_categories()
        if self.clusters is not None:
            term, confidence = self.cluster_answers()
            found[f"{key}_cluster_cell_type"] = _categorical(term, labels)
            found[f"{key}_cluster_cell_type_ontology_term_id"] = _categorical(term, ids)
            found[f"{key}_cluster_confidence"] = confidence
        return found

    def cluster_answers(self) -> tuple[NDArray[np.int32], NDArray[np.float32]]:
        """Term and confidence of each cell after the vote of its cluster."""
        votes = self.clusters
        assert votes is not None, "no groupby was given"
        # A last entry for the cells of no cluster (code -1).
        term = np.append(votes.term, UNKNOWN)[votes.code].astype(np.int32)
        confidence = np.append(votes.confidence, 0)[votes.code].astype(np.float32)
        term[votes.kept] = self.term[votes.kept]
        confidence[votes.kept] = self.confidence[votes.kept]
        return term, confidence

    def counts(self) -> dict[str, int]:
        """Number of cells by term, most first; abstentions are not among them."""
        return {one.id: one.n_cells for one in self.summaries}

    def uns(self) -> dict[str, Any]:
        """What is kept in ``uns``: parameters, releases, encoder, version, evidence per term."""
        about = self.about
        return {
            "version": about.version,
            "encoder": {"name": about.encoder, "sha256": about.sha256},
            "parameters": dict(about.parameters),
            "releases": dict(about.releases),
            "layer_used": about.layer_used,
            "species": about.species,
            "coverage": about.coverage,
            "n_genes_used": about.n_genes_used,
            "evidence": {one.id: _evidence(one) for one in self.summaries},
        }

    def document(self, peak_rss_mb: float | None = None) -> dict[str, Any]:
        """The document of ``celloquy annotate --json``."""
        return {
            "n_cells": self.n_cells,
            "n_genes_used": self.about.n_genes_used,
            "layer_used": self.about.layer_used,
            "releases": dict(self.about.releases),
            "encoder": self.about.encoder,
            "counts": self.counts(),
            "abstained": self.abstained,
            "notices": list(self.about.notices),
            "seconds": round(self.about.seconds, 3),
            "peak_rss_mb": peak_rss_mb,
        }


def _named(places: NDArray[np.int32], names: Sequence[str]) -> NDArray[np.object_]:
    # UNKNOWN is -1: the last entry.
    return np.array([*names, UNKNOWN_LABEL], dtype=object)[places]


def _categorical(places: NDArray[np.int32], names: Sequence[str]) -> pd.Categorical:
    """A categorical with the names that occur, in order of the alphabet, and unknown last."""
    import pandas as pd

    used = np.unique(places)
    known = sorted((names[i], int(i)) for i in used if i != UNKNOWN)
    code = np.full(len(names) + 1, len(known), dtype=np.int32)
    for rank, (_, i) in enumerate(known):
        code[i] = rank
    categories = [name for name, _ in known]
    if len(used) and used[0] == UNKNOWN:
        categories.append(UNKNOWN_LABEL)
    return pd.Categorical.from_codes(code[places].tolist(), pd.Index(categories, dtype=object))


def _evidence(one: TermSummary) -> dict[str, Any]:
    found: dict[str, Any] = {
        "label": one.label,
        "n_cells": one.n_cells,
        "confidence": one.confidence,
        "depth": one.depth,
        "for": _markers(one.supporting),
        "against": _markers(one.against),
    }
    if one.novelty is not None:
        found["nearest"] = one.novelty.nearest
    return found


def _markers(rows: Sequence[MarkerEvidence]) -> dict[str, NDArray[Any]]:
    return {
        "gene": np.array([row.gene for row in rows], dtype=object),
        "role": np.array([row.role for row in rows], dtype=object),
        "belief": np.array([row.belief for row in rows], dtype=np.float32),
        "inside": np.array([row.inside for row in rows], dtype=np.float32),
        "outside": np.array([row.outside for row in rows], dtype=np.float32),
        "sources": np.array([";".join(row.sources) for row in rows], dtype=object),
    }
