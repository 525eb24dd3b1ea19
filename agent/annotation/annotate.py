"""Annotation of a dataset: for every cell the deepest Cell Ontology term that its genes support.

Two passes over blocks of cells, so that memory is bounded by the block: the first sums what the
scores need to know of each gene, the second turns each cell's markers into probabilities of types
(:mod:`encoders.celltypes.markers`), adds them up the ontology and takes the deepest term that
reaches the threshold (:mod:`kg.backoff`). All sums are of whole numbers: the answers depend neither
on the size of the blocks nor on the order of cells or genes, nor on the number of threads. No label
of the dataset is read.

Knows no file format (:mod:`data.h5ad`) and draws nothing.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.clusters import ClusterVotes
from agent.annotation.judging import Judge, Judged, reasons
from agent.annotation.neighbourhood import LEAST_CELLS, judged_with_neighbours
from agent.annotation.opinion import second_opinion
from agent.annotation.passes import Collected, Progress, Source, Told, in_order
from agent.annotation.result import About, Annotation
from agent.annotation.termevidence import Sources, TermEvidence, sources_of
from agent.annotation.tissue import said, tissue_of
from agent.attached.genenames import doubt, spelled
from data.errors import BadInput
from kg.backoff import Hierarchy
from kg.graph import KnowledgeGraph
from kg.terms import Curie

if TYPE_CHECKING:
    from data.cells import CellMatrix
    from data.genes import Species
    from encoders.celltypes.markers import GeneMoments, MarkerScorer
    from encoders.celltypes.markersets import MarkerSets

__all__ = [
    "FORBIDDEN",
    "AnnotateConfig",
    "Knowledge",
    "among",
    "annotate_cells",
    "annotate_file",
    "check",
    "default_target",
    "finished",
    "judge_for",
    "knowledge",
    "placed",
    "releases",
    "spelled",
]

FORBIDDEN: frozenset[Curie] = frozenset({"CL:0000255", "CL:0000257", "CL:0000548"})
"""Eukaryotic, Eumycetozoan and animal cell: the CELLxGENE schema 7.1 takes none of them."""


@dataclass(frozen=True, slots=True)
class AnnotateConfig:
    """How to annotate.

    Parameters
    ----------
    min_confidence
        What the answer's probability and its calibrated confidence must reach.
    groupby
        Column of obs whose groups vote.
    candidates
        Only answers at or below these terms; empty for the whole ontology.
    tissue
        The tissue, by name or UBERON id: types never reported from it are less expected.
    encoder
        What speaks beside the markers: ``obsm:KEY``, ``llm`` or the name of an encoder; ``markers``
        or None for nothing (:mod:`agent.annotation.opinion`).
    reference
        Column of obs with labels of some cells, for centroids in the encoder's space.
    atlas, atlas_key
        Another dataset (a path or an AnnData) whose labels in that column are carried over in
        place of the markers' answer (:mod:`agent.annotation.transferred`).
    smooth
        Whether neighbouring cells have a say; where not given, in datasets of fewer than
        :data:`encoders.celltypes.smoothing.MOST_CELLS` cells that fit into memory.
    species
        Whose gene names the dataset has; found by itself where not given.
    block
        Cells at once.
    """

    min_confidence: float = 0.5
    groupby: str | None = None
    candidates: tuple[Curie, ...] = ()
    tissue: str | None = None
    encoder: str | None = None
    reference: str | None = None
    atlas: Any = None
    atlas_key: str | None = None
    smooth: bool | None = None
    species: Species | None = None
    block: int = 4096


@dataclass(frozen=True, eq=False)
class Knowledge:
    """What is known before a dataset is seen."""

    graph: KnowledgeGraph
    hierarchy: Hierarchy
    never: frozenset[Curie]
    sets: MarkerSets
    sources: Sources
    places: NDArray[np.float32]
    sha256: str


@cache
def knowledge(graph: KnowledgeGraph | None = None) -> Knowledge:
    """Read the Cell Ontology and the marker table, once a process and graph."""
    from agent.lookup import open_graph
    from data.markers import AXIOMS, TABLE, read_markers
    from encoders.celltypes.markersets import SetConfig, build_sets
    from encoders.celltypes.positions import positions
    from kg.blocked import blocked

    graph = graph or open_graph()
    hierarchy = Hierarchy.of(graph)
    never = blocked(hierarchy) | FORBIDDEN
    markers = read_markers([AXIOMS])
    sets = build_sets(markers, hierarchy, never=never)
    digest = hashlib.sha256(TABLE.read_bytes())
    digest.update(AXIOMS.read_bytes())
    digest.update(repr((SetConfig(), sorted(never))).encode())
    return Knowledge(
        graph=graph,
        hierarchy=hierarchy,
        never=never,
        sets=sets,
        sources=sources_of(markers),
        places=positions(hierarchy, sets.ids),
        sha256=digest.hexdigest(),
    )


def annotate_cells(
    cells: CellMatrix,
    config: AnnotateConfig | None = None,
    *,
    known: Knowledge | None = None,
    progress: Progress | None = None,
    workers: int | None = None,
) -> Annotation:
    """Annotate every cell of an open dataset.

    Parameters
    ----------
    cells
        The dataset, from :func:`data.h5ad.open_cells`.
    config
        How to annotate.
    known
        Ontology and markers; those of the built graph where not given.
    progress
        Called as cells are done.
    workers
        Threads; as many as there are processors, four at most.

    Raises
    ------
    BadInput
        When an option cannot be used, or the genes cannot be read.
    """
    started = time.monotonic()
    config = config or AnnotateConfig()
    check(config)
    votes = ClusterVotes(config.groupby, cells.column(config.groupby)) if config.groupby else None
    known = known or knowledge()
    asked, config = config.tissue, placed(config, known)
    threads = workers or _processors()
    if config.atlas is not None:
        return _by_reference(cells, config, known, progress, threads)
    named = cells.harmonised(config.species)
    told = Told(progress, 2 * cells.n_cells)
    source = Source(named, config.block, whole=config.smooth is True)
    moments = source.moments(threads, told)
    judge = judge_for(known, named, moments, config)
    judge.opinion = second_opinion(
        cells, named, source.blocks(), judge.scorer, known, config.encoder, config.reference
    )
    smoothed = _smoothed(config, source)
    collected = Collected(cells.n_cells, known.places.shape[1])
    for found in _judged(judge, source, smoothed, threads, told):
        collected.add(found)
        if votes is not None:
            votes.add(found.start, found.chances)
    decided = None
    if votes is not None:
        decided = votes.decide(
            known.hierarchy, judge.scorer.ids, config.min_confidence, judge.never,
            collected.term, collected.confidence,
        )  # fmt: skip
    made = finished(
        known, cells, named, moments, judge, collected, replace(config, smooth=smoothed),
        (*said(asked, config.tissue, known.graph), *_structure(source, judge.scorer)),
    )  # fmt: skip
    about = replace(made.about, seconds=time.monotonic() - started)
    return replace(made, clusters=decided, about=about)


def _by_reference(
    cells: CellMatrix,
    config: AnnotateConfig,
    known: Knowledge,
    progress: Progress | None,
    workers: int,
) -> Annotation:
    from agent.annotation.transferred import annotate_by_reference
    from data.h5ad import open_cells

    if config.atlas_key is None or config.reference is not None:
        raise BadInput("a reference dataset needs the column of its labels: --reference-key COLUMN")
    with open_cells(config.atlas) as atlas:
        return annotate_by_reference(
            cells, atlas, config.atlas_key, config, known=known, progress=progress, workers=workers
        )


def judge_for(
    known: Knowledge, named: CellMatrix, moments: GeneMoments, config: AnnotateConfig
) -> Judge:
    """Who judges the blocks of a dataset, once the sums over its genes are known."""
    from encoders.celltypes.markers import MarkerScorer, ScoreConfig

    sets, never, _ = among(known, config.candidates)
    scorer = MarkerScorer.fit(sets, named.genes, moments, ScoreConfig())
    place = {one: i for i, one in enumerate(known.sets.ids)}
    return Judge(
        scorer,
        known.hierarchy,
        known.places[[place[one] for one in scorer.ids]],
        threshold=config.min_confidence,
        never=never,
        prior=_prior(known, scorer, config),
    )


def finished(
    known: Knowledge,
    cells: CellMatrix,
    named: CellMatrix,
    moments: GeneMoments,
    judge: Judge,
    collected: Collected,
    config: AnnotateConfig,
    warnings: Sequence[str] = (),
) -> Annotation:
    """Put together what was collected, with the evidence for each answer."""
    scorer = judge.scorer
    evidence = TermEvidence(
        scorer.sets, known.hierarchy, moments.detected, cells.n_cells, known.sources,
        spelled(cells, named),
    )  # fmt: skip
    candidates = among(known, config.candidates)[2]
    notices = judge.opinion.notices if judge.opinion is not None else ()
    return collected.annotation(
        known.hierarchy,
        scorer.ids,
        evidence,
        reasons=reasons(config.min_confidence),
        about=_about(
            known,
            named,
            scorer,
            replace(config, candidates=candidates),
            (*doubt(cells.genes, config.species), *warnings, *notices),
        ),
    )


def _structure(source: Source, scorer: MarkerScorer) -> tuple[str, ...]:
    """A warning where no type's markers go together in the cells: their values look shuffled."""
    import scipy.sparse as sp

    from encoders.celltypes.coherence import CELLS, FEWEST, by_chance, coherence

    parts, n = [], 0
    for block in source.blocks():
        parts.append(block.values[: CELLS - n])
        n += parts[-1].shape[0]
        if n >= CELLS:
            break
    if n < FEWEST:
        return ()
    found = coherence(sp.vstack(parts, format="csr"), scorer.sets)
    if found > by_chance(n):
        return ()
    return (
        "warning: no structure: the markers of no type go together in these cells, as if values "
        f"had been shuffled (variance of marker scores {found:.2f} times that of independent "
        f"genes; chance alone gives up to {by_chance(n):.2f}): the answers say nothing",
    )


def _smoothed(config: AnnotateConfig, source: Source) -> bool:
    """Whether neighbours have a say: as asked, or where the dataset is of moderate size."""
    from encoders.celltypes.smoothing import MOST_CELLS

    n = source.cells.n_cells
    if source.kept is None or n < LEAST_CELLS:
        return False
    return n < MOST_CELLS if config.smooth is None else config.smooth


def _judged(
    judge: Judge, source: Source, smoothed: bool, workers: int, told: Told
) -> Iterator[Judged]:
    """The last pass."""
    if smoothed:
        told.total += source.cells.n_cells  # they are gone through once more
        assert source.kept is not None, "what is smoothed was kept"
        yield from judged_with_neighbours(judge, source.kept, workers, told)
        return
    for found in in_order(judge, source.blocks(), workers):
        told(found.stop - found.start)
        yield found


def annotate_file(
    source: Path,
    target: Path | None = None,
    config: AnnotateConfig | None = None,
    *,
    layer: str | None = None,
    key_added: str = "celloquy",
    progress: Progress | None = None,
) -> tuple[Annotation, Path]:
    """Annotate an .h5ad and write an annotated copy; the input is never changed.

    Parameters
    ----------
    source, target
        The file to read and the one to write, whole or not at all; :func:`default_target` where
        no target is given.
    config
        How to annotate.
    layer
        The matrix to use; found by itself where not given.
    key_added
        Beginning of the new columns' names.
    progress
        Called as cells are done.

    Raises
    ------
    BadInput
        When the file cannot be used, or the target cannot be written; nothing is written then.
    """
    from data.h5ad import check_target, open_cells, write_annotated

    target = target or default_target(source)
    if target.suffix != ".h5ad":
        raise BadInput(
            f"{target} does not end in .h5ad; expected such a name: the copy is of that format"
        )
    check_target(source, target)
    with open_cells(source, layer) as cells:
        found = annotate_cells(cells, config, progress=progress)
    written = write_annotated(
        source,
        target,
        obs=found.columns(key_added),
        obsm={f"X_{key_added}": found.embedding},
        uns={key_added: found.uns()},
    )
    return found, written


def default_target(source: Path) -> Path:
    """Where the annotated copy goes unless told otherwise: beside it, as NAME.celloquy.h5ad."""
    return source.with_name(f"{source.name.removesuffix('.h5ad')}.celloquy.h5ad")


def _processors() -> int:
    """Processors that this process may use, four at most: more only wait for the reader."""
    here = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return min(4, here or 1)


def placed(config: AnnotateConfig, known: Knowledge) -> AnnotateConfig:
    """The same with the id of the tissue, where it is given by a name."""
    return replace(config, tissue=tissue_of(config.tissue, known.graph))


def check(config: AnnotateConfig) -> None:
    """Refuse options that cannot be."""
    if not 0 < config.min_confidence <= 1:
        raise BadInput(
            f"the least confidence is {config.min_confidence}; expected more than 0 and at most 1"
        )


def among(
    known: Knowledge, candidates: Sequence[Curie]
) -> tuple[MarkerSets, frozenset[Curie], tuple[Curie, ...]]:
    """Say which types to score and which terms are no answer, where only some are wanted.

    All types are scored all the same: a cell of another type must be able to be none of the
    wanted ones (on PBMC68k's six classes that costs .001 of accuracy).

    Returns
    -------
    tuple
        The marker sets, the terms that are no answer, and the candidates as they are called today.

    Raises
    ------
    BadInput
        When a candidate is no cell type, or nothing at or below them has markers.
    """
    if not candidates:
        return known.sets, known.never, ()
    from kg.ontology import resolve

    hierarchy = known.hierarchy
    chosen = tuple(resolve(known.graph, one).term.id for one in candidates)
    wanted: set[Curie] = set()
    for one in chosen:
        if one not in hierarchy:
            raise BadInput(f"{one} is no cell type; expected an id such as CL:0000084")
        wanted |= set(hierarchy.below(one))
    if not wanted & set(known.sets.ids):
        raise BadInput(f"nothing at or below {', '.join(chosen)} has markers; name a wider term")
    # A term that is no answer by itself may be one where the user asks for it by name.
    never = (known.never - set(chosen)) | (set(hierarchy.ids) - wanted) | FORBIDDEN
    return known.sets, frozenset(never), chosen


def _prior(
    known: Knowledge, scorer: MarkerScorer, config: AnnotateConfig
) -> NDArray[np.float64] | None:
    if config.tissue is None:
        return None
    from kg.tissues import tissue_prior

    return tissue_prior(scorer.ids, config.tissue, known.hierarchy, known.graph)


def _about(
    known: Knowledge,
    cells: CellMatrix,
    scorer: MarkerScorer,
    config: AnnotateConfig,
    doubts: Sequence[str],
) -> About:
    from importlib.metadata import version

    from encoders.celltypes.calibration import WEIGHTS

    read = cells.harmonisation
    assert read is not None, "genes were harmonised"
    parameters: dict[str, str | float] = {"min_confidence": config.min_confidence}
    parameters["smoothing"] = "neighbourhood" if config.smooth else "none"
    parameters["candidates"] = " ".join(config.candidates)
    parameters["tissue"] = config.tissue or ""
    parameters["groupby"] = config.groupby or ""
    parameters["reference"] = config.reference or ""
    weighty = np.asarray((scorer.sets.on + scorer.sets.off).sum(axis=0)).ravel() > 0
    digest = hashlib.sha256(known.sha256.encode() + repr(scorer.config).encode())
    digest.update(WEIGHTS.read_bytes())
    return About(
        source=cells.name,
        n_genes=cells.n_genes,
        n_genes_used=int(weighty.sum()),
        n_types=len(scorer.ids),
        layer_used=cells.matrix,
        why=cells.why,
        species=read.species,
        coverage=round(read.coverage, 4),
        encoder="markers" if config.encoder in (None, "markers") else f"markers+{config.encoder}",
        sha256=digest.hexdigest(),
        releases=releases(known, read.species, config),
        parameters={name: value for name, value in parameters.items() if value != ""},
        version=version("celloquy"),
        notices=(cells.chosen, *cells.notices, *doubts),
    )


def releases(known: Knowledge, species: Species, config: AnnotateConfig) -> dict[str, str]:
    """Releases of what was read: ontology, markers, and the tables of names of genes."""
    from data import sources

    used = {"CL", "celloquy-markers"} | ({"UBERON"} if config.tissue else set())
    found = {name: r.version for name, r in known.graph.releases.items() if name in used}
    tables = ["hgnc", f"gencode-{species}", *(("mgi", "orthologues") if species == "mouse" else ())]
    found |= {asset.source: asset.release for asset in map(sources.asset, tables)}
    return dict(sorted(found.items()))
