"""Annotation of a dataset by another one: labels of a reference, carried over and backed off.

Both datasets are read over the genes that they share, as current human symbols, and turned into
vectors: by principal components of the reference, by an encoder (:mod:`encoders.registry`), or by
an embedding that both files have. :mod:`encoders.celltypes.transfer` learns the reference's labels
and says how strange a cell is. Here the labels are read as Cell Ontology terms; where votes split,
the answer is the deepest term that holds enough of them, and a cell that is unlike all of the
reference is of none of its types. The markers have no part in the answer; they stand beside it as
evidence.

Vectors of all cells, and the reference's cells that are learnt from, are held in memory.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.clusters import ClusterVotes
from agent.annotation.judging import STEPS, Judged, members
from agent.annotation.opinion import NO_LABEL, claimed, telling
from agent.annotation.passes import Collected, Progress, Source, Told
from agent.annotation.result import About, Annotation
from agent.annotation.termevidence import TermEvidence
from agent.attached.genenames import spelled
from agent.verification.wording import many
from data.errors import BadInput
from kg.backoff import UNKNOWN, decide
from kg.terms import Curie

if TYPE_CHECKING:
    import scipy.sparse as sp

    from agent.annotation.annotate import AnnotateConfig, Knowledge
    from data.cells import Block, CellMatrix
    from encoders.celltypes.transfer import Limit, Transfer

__all__ = ["LEAST_DETECTED", "LEAST_SHARED", "annotate_by_reference"]

LEAST_SHARED = 50
"""Fewest shared genes of expression with which two datasets are compared: with 25 shared
genes, four in five cells of mouse brain passed for blood (docs/experiments/transfer.md)."""

LEAST_DETECTED = 10
"""Shared genes that a cell must show on average, in both datasets: with 53 shared genes, of which a
blood cell showed 4, all but one in 1,000 of them passed for neurons, and neurons that show one for
naive T cells; PBMC3k and PBMC68k, which can be compared, show 54 and 90 of 267."""

WEAK = 0.2
"""Share of the cells of held-out types that are told to be none of these below which a reader is
warned: T cell states found .12 of each other and .08 of mouse brain, two blood datasets .36 and .44
of each other and .43 and .85 of the types that the other lacks."""

SHARES = (
    "confidence: it compares the reference's types with each other and is not calibrated on other "
    "datasets; between two datasets of blood .8 of the answers at .9 or more were right, and half "
    "or fewer of those below: see the markers for and against"
)
"""What a confidence is here, in words; measured both ways between PBMC68k and PBMC3k, an answer
being right where it is the truth, above it or below it (docs/experiments/transfer.md)."""

_GRID = 2.0**-20
_NEAR, _BACKED_OFF, _UNDECIDED, _STRANGE, _NO_TERM = range(5)

Vectors = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class _Spaces:
    """The reference's vectors, what makes those of a block, and what the user should know."""

    reference: Vectors
    of: Callable[[Block], Vectors]
    n_genes: int
    notices: tuple[str, ...] = ()
    shared: tuple[int, ...] = ()  # columns of the dataset that are compared by


def annotate_by_reference(
    cells: CellMatrix,
    reference: CellMatrix,
    key: str,
    config: AnnotateConfig,
    *,
    known: Knowledge,
    progress: Progress | None = None,
    workers: int = 1,
) -> Annotation:
    """Give every cell the reference's label that fits, or the deepest term that its votes share.

    Parameters
    ----------
    cells, reference
        The dataset and the one with labels.
    key
        Column of the reference's obs: names or ids of cell types.
    config
        How; ``encoder`` is ``pca`` (None), ``obsm:KEY``, a name or a folder.
    known
        Ontology and markers.
    progress
        Called as cells are done.
    workers
        Threads of the first pass.

    Raises
    ------
    BadInput
        When the column, the encoder or the shared genes cannot be used.
    """
    from encoders.celltypes.transfer import Transfer, TransferConfig

    started = time.monotonic()
    for given, name in ((config.candidates, "--candidates"), (config.tissue, "--tissue")):
        if given:
            raise BadInput(f"{name} has no say where a reference gives the types; leave it out")
    votes = ClusterVotes(config.groupby, cells.column(config.groupby)) if config.groupby else None
    named, theirs = cells.harmonised(config.species), reference.harmonised(None)
    labels = [_label(one) for one in reference.column(key).astype(object)]
    terms, notices = _terms(labels, key, known)
    spaces = _spaces(config, cells, named, reference, theirs, labels)
    made = Transfer.fit(spaces.reference, labels, TransferConfig())
    told = Told(progress, 2 * cells.n_cells)
    source = Source(named, config.block)
    moments = source.moments(workers, told)
    if spaces.shared:
        shown = float(moments.detected[list(spaces.shared)].sum())
        _expect_detected(shown / cells.n_cells, cells.name, spaces.n_genes)
    collected = Collected(cells.n_cells, spaces.reference.shape[1])
    carried = np.zeros(cells.n_cells, dtype=np.int32)
    ids = tuple(sorted({terms[name] for name in made.names} - {""}))
    for judged, label in _judged(source, spaces, made, terms, ids, known, config):
        collected.add(judged)
        carried[judged.start : judged.stop] = label
        if votes is not None:
            votes.add(judged.start, judged.chances)
        told(judged.stop - judged.start)
    decided = None
    if votes is not None:
        decided = votes.decide(
            known.hierarchy, ids, config.min_confidence, _never(known, ids), collected.term,
            collected.confidence,
        )  # fmt: skip
    evidence = TermEvidence(
        known.sets.within(named.genes, 0), known.hierarchy, moments.detected, cells.n_cells,
        known.sources, spelled(cells, named),
    )  # fmt: skip
    kept = sum(label in made.names for label in labels)
    same = cells.name == reference.name
    said = (
        f"reference: {many(kept, 'cell')} of {many(len(made.names), 'label')} ({key}); "
        f"{many(spaces.n_genes, 'gene')} {'is' if spaces.n_genes == 1 else 'are'} shared",
        *(["the reference is the dataset itself: its own labels come back"] * same),
        _told_apart(made),
        SHARES,
        *notices,
        *spaces.notices,
    )
    return collected.annotation(
        known.hierarchy,
        ids,
        evidence,
        reasons=_reasons(config.min_confidence),
        about=_about(named, reference, key, config, known, spaces, ids, said, started, made.none),
        clusters=decided,
        carried=((*made.names, "none of these"), carried),
    )


def _told_apart(made: Transfer) -> str:
    """How well the reference tells what it lacks, on the genes that are compared by."""
    none = made.none
    said = (
        f"none of these: with each type of the reference left out in turn, {none.found:.0%} of "
        f"its cells are told to be none of the others, and {none.lost:.0%} of cells that belong"
    )
    if none.found >= WEAK:
        return said
    return f"warning: {said}; cells of types that it lacks mostly pass for its own"


def _expect_detected(shown: float, name: str, n_genes: int) -> None:
    if shown < LEAST_DETECTED:
        raise BadInput(
            f"a cell of {name} shows {shown:.1f} of the {n_genes} genes that the reference and the "
            f"dataset share, on average; expected {LEAST_DETECTED} at least in both: so few tell "
            "no types apart, use files with more genes in common, or an embedding (obsm:KEY)"
        )


def _label(value: Any) -> str | None:
    """A label as text; None where there is none."""
    text = "" if value is None else str(value).strip()
    return None if text.casefold() in NO_LABEL else text


def _terms(
    labels: Sequence[str | None], key: str, known: Knowledge
) -> tuple[dict[str, Curie], tuple[str, ...]]:
    """The Cell Ontology term of each label, "" for those that name none, and what to tell."""
    terms: dict[str, Curie] = {}
    for label in sorted({one for one in labels if one is not None}):
        found = claimed(label, known)
        terms[label] = found.id if found else ""
    if not any(terms.values()):
        some = ", ".join(sorted(terms)[:5]) or "no label at all"
        raise BadInput(
            f"no label of {key!r} names a cell type ({some}); expected names or ids of the Cell "
            "Ontology: name another column with --reference-key"
        )
    lost = [label for label, term in terms.items() if not term]
    name = "names" if len(lost) == 1 else "name"
    told = f"{key}: {many(len(lost), 'label')} {name} no cell type: {', '.join(lost[:5])}"
    return terms, (told,) if lost else ()


def _spaces(
    config: AnnotateConfig,
    cells: CellMatrix,
    named: CellMatrix,
    reference: CellMatrix,
    theirs: CellMatrix,
    labels: Sequence[str | None],
) -> _Spaces:
    """Vectors of both datasets in one space."""
    import scipy.sparse as sp

    from encoders.celltypes.transfer import Principal, TransferConfig, chosen_cells
    from encoders.registry import find

    how = config.encoder or "pca"
    if how.startswith("obsm:"):
        mine, other = (telling(one.embedding(how), how) for one in (cells, reference))
        if mine.shape[1] != other.shape[1]:
            raise BadInput(
                f"{how} has {other.shape[1]} dimensions in the reference and {mine.shape[1]} in "
                "the dataset; expected the same embedding in both"
            )
        note = f"{how} must have been made for both files together: nothing in them proves it"
        return _Spaces(other, lambda block: mine[block.start : block.stop], named.n_genes, (note,))
    genes = sorted(set(named.genes) & set(theirs.genes))
    if len(genes) < LEAST_SHARED:
        raise BadInput(
            f"{cells.name} and the reference share {len(genes)} genes; expected "
            f"{LEAST_SHARED} at least: use files with more genes, or an embedding (obsm:KEY)"
        )
    here, there = ([names.index(gene) for gene in genes] for names in (named.genes, theirs.genes))
    shown = sum(int((_columns(b, there) > 0).sum()) for b in theirs.blocks(config.block))
    _expect_detected(shown / theirs.n_cells, reference.name, len(genes))
    blocks = theirs.blocks(config.block)
    if how != "pca":
        made = find(how)
        parts = [made.encode(sp.csr_array(_columns(block, there)), genes) for block in blocks]

        def encoded(block: Block) -> Vectors:
            return made.encode(sp.csr_array(_columns(block, here)), genes).astype(np.float32)

        vectors = np.concatenate(parts).astype(np.float32)
        return _Spaces(vectors, encoded, len(genes), shared=tuple(here))
    learnt = np.zeros(len(labels), dtype=bool)
    learnt[chosen_cells(labels, TransferConfig())] = True
    principal = Principal.fit(
        _some(theirs, there, learnt, config.block), TransferConfig().components
    )
    parts = [principal(_columns(block, there)) for block in blocks]
    return _Spaces(
        np.concatenate(parts), lambda block: principal(_columns(block, here)), len(genes),
        shared=tuple(here),
    )  # fmt: skip


def _some(
    cells: CellMatrix, columns: Sequence[int], mask: NDArray[np.bool_], size: int
) -> sp.csr_matrix:
    """The rows of some cells, in memory."""
    import scipy.sparse as sp

    parts = [_columns(block, columns) for block in cells.blocks(size, cells=mask)]
    if not parts:
        raise BadInput("no label of the reference has enough cells; name another column")
    return sp.vstack(parts).tocsr()


def _columns(block: Block, columns: Sequence[int]) -> sp.csr_matrix:
    return block.values[:, columns]


def _judged(
    source: Source,
    spaces: _Spaces,
    made: Transfer,
    terms: dict[str, Curie],
    ids: tuple[Curie, ...],
    known: Knowledge,
    config: AnnotateConfig,
) -> Iterator[tuple[Judged, NDArray[np.int32]]]:
    """Answers block by block, and the place of each cell's label in ``made.names``."""
    hierarchy = known.hierarchy
    never = _never(known, ids)
    into = np.zeros((len(made.names), len(ids)), dtype=np.float32)
    for i, name in enumerate(made.names):
        if terms[name]:
            into[i, ids.index(terms[name])] = 1
    named, places = np.asarray(into.any(axis=1)), hierarchy.indices(ids)
    for block in source.blocks():
        vectors = spaces.of(block)
        found, strange = made.judged(vectors)
        # Whole steps: the last bits of a product depend on how many rows are multiplied at once.
        found = (np.rint(found / _GRID) * _GRID).astype(np.float32)
        label = found.argmax(axis=1)
        none = strange > made.limit
        chances = found @ into
        chances[none] = 0
        answer = decide(chances, ids, hierarchy, threshold=config.min_confidence, never=never)
        unknown: NDArray[np.bool_] = np.asarray(answer.term) == UNKNOWN
        leaf = _leaves(answer.term, chances, places, known)
        reason = np.where(answer.term == leaf, _NEAR, _BACKED_OFF)
        for where, why in (
            (unknown, _UNDECIDED),
            (unknown & ~named[label], _NO_TERM),
            (none, _STRANGE),
        ):
            reason[where] = why
        sure = np.where(unknown, 0, answer.confidence).astype(np.float32)
        steps = np.rint(chances.astype(np.float64) * STEPS)
        present, group = np.unique(answer.term, return_inverse=True)
        member = members(group, len(present))
        yield (
            Judged(
                start=block.start,
                stop=block.stop,
                term=answer.term,
                confidence=sure,
                leaf=leaf,
                reason=reason.astype(np.int8),
                embedding=vectors,
                chances=steps,
                present=present,
                detected=(member @ block.values.sign()).toarray().astype(np.float64),
                summed=np.column_stack(
                    [member @ np.rint(sure.astype(np.float64) * STEPS), member @ steps]
                ),
            ),
            np.where(none, len(made.names), label).astype(np.int32),
        )


def _leaves(
    term: NDArray[np.int32],
    chances: NDArray[np.float32],
    places: NDArray[np.int32],
    known: Knowledge,
) -> NDArray[np.int32]:
    """The most probable of the reference's types at or below each answer."""
    leaf = np.full(len(term), UNKNOWN, dtype=np.int32)
    for answer in np.unique(term[term != UNKNOWN]):
        rows = np.flatnonzero(term == answer)
        below = np.array([i for i, p in enumerate(places) if answer in known.hierarchy.above[p]])
        leaf[rows] = places[below][chances[np.ix_(rows, below)].argmax(axis=1)]
    return leaf


def _never(known: Knowledge, ids: Sequence[Curie]) -> frozenset[Curie]:
    """A term that is no answer by itself may be one where the reference's labels name it."""
    from agent.annotation.annotate import FORBIDDEN

    return (known.never - set(ids)) | FORBIDDEN


def _reasons(threshold: float) -> tuple[str, ...]:
    return (
        "the reference's cells of this type fit best",
        "the reference's types cannot be told apart surely enough; the leaf fits best",
        f"unknown: no term reaches a confidence of {threshold:g}",
        "unknown: none of the reference's types is like this cell",
        "unknown: the reference's label that fits best names no cell type",
    )


def _about(
    named: CellMatrix,
    reference: CellMatrix,
    key: str,
    config: AnnotateConfig,
    known: Knowledge,
    spaces: _Spaces,
    ids: Sequence[Curie],
    said: Sequence[str],
    started: float,
    none: Limit,
) -> About:
    from importlib.metadata import version

    from agent.annotation.annotate import releases

    read = named.harmonisation
    assert read is not None, "genes were harmonised"
    parameters: dict[str, str | float] = {
        "min_confidence": config.min_confidence,
        "reference": reference.name,
        "reference_key": key,
        "held_out_told": round(none.found, 4),
        "held_in_lost": round(none.lost, 4),
    }
    if config.groupby:
        parameters["groupby"] = config.groupby
    return About(
        source=named.name,
        n_genes=named.n_genes,
        n_genes_used=spaces.n_genes,
        n_types=len(ids),
        layer_used=named.matrix,
        why=named.why,
        species=read.species,
        coverage=round(read.coverage, 4),
        encoder=f"reference+{config.encoder or 'pca'}",
        sha256=hashlib.sha256(np.ascontiguousarray(spaces.reference).tobytes()).hexdigest(),
        releases=releases(known, read.species, config),
        parameters=parameters,
        version=version("celloquy"),
        notices=(named.chosen, *named.notices, *said),
        seconds=time.monotonic() - started,
        used="are shared with the reference of",
    )
