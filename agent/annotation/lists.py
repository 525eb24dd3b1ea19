"""Annotation of clusters from their marker lists alone: a file in, an answer for each line out.

What scores the lists is :mod:`encoders.celltypes.markerlists`; here they meet the ontology, the
marker table and the options, as datasets do in :mod:`agent.annotation.annotate`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.annotation.annotate import (
    AnnotateConfig,
    Knowledge,
    among,
    check,
    knowledge,
    placed,
    releases,
)
from agent.annotation.result import UNKNOWN_LABEL
from agent.annotation.tissue import said
from data.errors import BadFile

if TYPE_CHECKING:
    from data.genelists import GeneList
    from data.genes import Species
    from encoders.celltypes.markerlists import ListAnnotation

__all__ = ["ListAnswers", "annotate_marker_file"]


@dataclass(frozen=True, eq=False)
class ListAnswers:
    """The lists and an answer for each, in the order of the file."""

    lists: tuple[GeneList, ...]
    answers: tuple[ListAnnotation, ...]
    known: Knowledge
    releases: dict[str, str]
    notices: tuple[str, ...] = ()

    def document(self) -> dict[str, Any]:
        """The document of ``celloquy annotate --markers --json``."""
        return {
            "n_clusters": len(self.answers),
            "encoder": "marker-lists",
            "releases": self.releases,
            "clusters": [
                self._row(one, said) for one, said in zip(self.lists, self.answers, strict=True)
            ],
        }

    def _row(self, one: GeneList, said: ListAnnotation) -> dict[str, Any]:
        hierarchy = self.known.hierarchy
        return {
            "name": said.name,
            "id": said.term or UNKNOWN_LABEL,
            "label": said.label,
            "confidence": round(said.confidence, 4),
            "candidates": [
                {
                    "id": leaf,
                    "label": hierarchy.labels[hierarchy.index(leaf)],
                    "probability": round(chance, 4),
                }
                for leaf, chance in said.candidates
            ],
            "supporting": list(said.supporting),
            "missing": list(said.missing),
            "against": list(said.against),
            "species": one.species,
            "n_genes": said.n_genes,
            "n_markers": int(said.n_markers),
            "unread": list(one.unread),
            "refused": one.refused or None,
        }


def annotate_marker_file(
    path: Path,
    config: AnnotateConfig | None = None,
    *,
    known: Knowledge | None = None,
    min_confidence: float | None = None,
) -> ListAnswers:
    """Name the cell type of every list of a file.

    Parameters
    ----------
    path
        One cluster a line (its name, a tab or a comma, its genes, the strongest first), or a table
        with a header that names a column of markers: one row a cluster, or one gene a row.
    config
        Of its options ``candidates`` and ``tissue`` are used.
    known
        Ontology and markers; those of the built graph where not given.
    min_confidence
        What the probability of an answer must reach; where not given, the term is named that is
        nearest to what a list may be, however sure.

    Raises
    ------
    BadInput
        When the file or an option cannot be used.
    """
    from data.genelists import read_gene_lists
    from encoders.celltypes.markerlists import annotate_lists
    from kg.tissues import tissue_prior

    if path.is_dir() or not path.exists():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise BadFile(f"{path} {what}; expected a file of marker lists: check the path")
    config = config or AnnotateConfig()
    if min_confidence is not None:
        check(replace(config, min_confidence=min_confidence))
    lists = read_gene_lists(path)
    known = known or knowledge()
    asked, config = config.tissue, placed(config, known)
    sets, never, _ = among(known, config.candidates)
    prior = None
    if config.tissue is not None:
        prior = tissue_prior(sets.ids, config.tissue, known.hierarchy, known.graph)
    answers = annotate_lists(
        lists, sets, known.hierarchy, priors=[prior] * len(lists), never=never,
        min_confidence=min_confidence or 0.0,
    )  # fmt: skip
    species: Species = "mouse" if any(one.species == "mouse" for one in lists) else "human"
    return ListAnswers(
        lists, answers, known, releases(known, species, config),
        said(asked, config.tissue, known.graph),
    )  # fmt: skip
