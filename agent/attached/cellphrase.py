"""Free text to cells: which cells of a dataset a phrase describes.

The phrase is read as a Cell Ontology term where it can be
(:func:`agent.annotation.opinion.claimed`), with the genes that it names; otherwise its vector in
the bundled sentence encoder is compared with the names of the types that have markers, and a phrase
that is near to none of them is refused. What is wanted then scores every cell
(:mod:`encoders.celltypes.cellsearch`). No label of the dataset is read.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from agent.annotation.opinion import claimed
from agent.attached.misspelt import respelt, unknown
from data.errors import BadInput
from encoders.celltypes.cellsearch import Wanted
from kg.terms import Category, Curie

if TYPE_CHECKING:
    from agent.annotation.annotate import Knowledge
    from data.cells import CellMatrix
    from data.genes import Species

__all__ = ["CellPhrase", "Reading", "column_name", "find_cells", "read_phrase"]

_ROOT = "CL:0000000"
_SIGNED = re.compile(
    r"\b[A-Za-z][A-Za-z0-9\-]{1,14}(?=\s*(?:\+|(?:hi|high|pos|positive|expressing)\b))"
)
_TOP = 5
_LEFT = " was left out"  # how kg.naming.variants ends its notice of markers that no name has

UNLIKE = 0.5
"""Likeness of the best cell below which the user is told that there may be none."""


@dataclass(frozen=True, eq=False)
class Reading:
    """What a phrase was read as: ``how`` is ``term``, ``genes`` or ``text``.

    ``genes`` are those it names itself; ``read`` is the phrase with its spelling put right.
    """

    phrase: str
    how: str
    wanted: Wanted
    genes: tuple[str, ...] = ()
    notice: str = ""
    read: str = ""


@dataclass(frozen=True, eq=False)
class CellPhrase:
    """A phrase and a dataset: ``score`` [cells] in (0, 1), and ``likeness`` [cells] in [0, 1]."""

    reading: Reading
    score: NDArray[np.float32]
    likeness: NDArray[np.float32]
    used: tuple[str, ...]
    cell_names: NDArray[np.object_]
    terms: tuple[tuple[Curie, str, float], ...]
    notices: tuple[str, ...]
    releases: dict[str, str]

    @property
    def cautions(self) -> tuple[str, ...]:
        """What must stand beside the scores: that a phrase names no type and was guessed at."""
        if self.reading.how != "text":
            return ()
        guessed = "the scores order the cells by a guess, and a high one names no cell type"
        return (f"{self.reading.notice}; {guessed}",)

    def document(self) -> dict[str, Any]:
        """The document of ``celloquy cells --json``."""
        order = np.argsort(-self.score, kind="stable")[:_TOP]
        return {
            "phrase": self.reading.phrase,
            "read_as": self.reading.how,
            "read": self.reading.read or self.reading.phrase,
            "notice": self.reading.notice,
            "terms": [{"id": i, "label": label, "weight": w} for i, label, w in self.terms],
            "genes": list(self.used),
            "n_cells": len(self.score),
            "top": [
                {
                    "cell": str(self.cell_names[i]),
                    "score": round(float(self.score[i]), 4),
                    "likeness": round(float(self.likeness[i]), 4),
                }
                for i in order
            ],
            "scores": [round(float(one), 4) for one in self.score],
            "cautions": list(self.cautions),
            "notices": list(self.notices),
            "releases": self.releases,
        }


def column_name(phrase: str) -> str:
    """Name of the column for a phrase.

    >>> column_name("Exhausted CD8+ T cell")
    'celloquy_exhausted_cd8_t_cell'
    """
    words = "_".join(re.findall(r"[a-z0-9]+", phrase.casefold()))[:60].strip("_")
    return f"celloquy_{words or 'phrase'}"


_NEGATION = re.compile(r"\b(?:not|no|nor|neither|without|except|other than)\b", re.IGNORECASE)


def read_phrase(phrase: str, known: Knowledge) -> Reading:
    """Say what a phrase looks for.

    Raises
    ------
    BadInput
        When it means nothing of cells.
    """
    from encoders.celltypes.cellsearch import of_term

    if not re.search(r"\w", phrase):
        raise BadInput(f"{phrase!r} says nothing; expected a description of cells")
    if denied := _NEGATION.search(phrase):
        raise BadInput(
            f"{phrase!r} says what cells are not ({denied[0]!r}), which no score tells; expected "
            "what they are: of that type, the lowest scores are the others"
        )
    read, respelled = _respelt(phrase, known)
    found, genes = claimed(read, known), _genes(read, known)
    part = found is not None and found.how == "part"
    if (found is None or part) and (other := respelt(read, known.graph)) is not None:
        # Several misspelt words: a name that is left of them may be another one's.
        better = claimed(other.text, known)
        if other.names or (not part and not genes):
            read, found, respelled = other.text, better or found, (*respelled, other.notice)
    if found is not None and found.id != _ROOT:
        # Two readings of one gene are one: CD14 is in the type's own name.
        left = genes if found.how in ("part", "words") or "left out" in found.notice else ()
        wanted = of_term(found.id, known.sets, known.hierarchy)
        told = found.notice
        if told.endswith(_LEFT) and told.count(",") < len(left):
            # Left out of the type's name, but not of what is looked for.
            told = f"{told.removesuffix(_LEFT)} is no part of the type's name; sought as a gene"
        notice = "; ".join(dict.fromkeys(filter(None, (*respelled, told))))
        read = found.matched if found.how == "spelling" else read
        return Reading(phrase, "term", wanted, left, notice, read)
    if genes:
        none = np.zeros(len(known.sets.ids))
        nothing = Wanted(known.sets.ids, none, none, {})
        return Reading(phrase, "genes", nothing, genes, "; ".join(respelled), read)
    wanted, unread = _by_text(read, known)
    return Reading(phrase, "text", wanted, (), "; ".join((*respelled, *unread)), read)


def _respelt(phrase: str, known: Knowledge) -> tuple[str, tuple[str, ...]]:
    """The phrase with misspelt words put right, and what was changed."""
    from agent.routing.spoken import respelt
    from kg.grounding import ground

    return respelt(phrase, ground(phrase, known.graph), known.graph)


def _genes(phrase: str, known: Knowledge) -> tuple[str, ...]:
    """Symbols of the genes that a phrase wants high."""
    from kg.grounding import candidates

    found = []
    for match in _SIGNED.finditer(phrase):
        for one in candidates(match[0], known.graph, categories=(Category.GENE,))[:1]:
            if one.how == "name":
                found.append(one.label)
    return tuple(dict.fromkeys(found))


def _by_text(phrase: str, known: Knowledge) -> tuple[Wanted, tuple[str, ...]]:
    """What a phrase looks for by the nearness of its words, and which of them nobody knows."""
    from encoders.celltypes.cellsearch import MEANINGLESS, of_text
    from encoders.text import load

    hierarchy, ids = known.hierarchy, known.hierarchy.ids
    encoder = load()
    names = encoder.encode(list(hierarchy.labels), keep=True)
    cosine = names @ encoder.encode([phrase])[0]
    near = hierarchy.labels[hierarchy.index(ids[int(cosine.argmax())])]
    expected = "expected a cell type, or a gene with +, such as 'CD8 T cell'"
    lost, nothing_else = unknown(phrase, known.graph, encoder.is_word)
    if nothing_else and lost:
        raise BadInput(
            f"{phrase!r} describes no cells that are known here (no known word: "
            f"{', '.join(lost)}); {expected}: check the spelling"
        )
    if cosine.max() < MEANINGLESS:
        raise BadInput(
            f"{phrase!r} describes no cells that are known here (nearest name: {near!r}, cosine "
            f"{cosine.max():.2f}); {expected}"
        )
    said = [f"no cell type is called so; of the nearest names {near!r} has a cosine of "
            f"{cosine.max():.2f}"]  # fmt: skip
    if lost:
        said.append(f"no known word: {', '.join(lost)}; check the spelling")
    return of_text(cosine, ids, known.sets, hierarchy), tuple(said)


def find_cells(
    cells: CellMatrix,
    phrase: str,
    *,
    known: Knowledge,
    species: Species | None = None,
    block: int = 4096,
) -> CellPhrase:
    """Score every cell of an open dataset for a phrase.

    Parameters
    ----------
    cells
        The dataset, from :func:`data.h5ad.open_cells`; its expression is held in memory.
    phrase
        "exhausted CD8 T cell", "FOXP3+ cells", "cells that present antigen".
    known
        Ontology and markers.
    species
        Whose gene names; found from them where not given.
    block
        Cells read at once.

    Raises
    ------
    BadInput
        When the phrase means nothing, or the dataset has none of the genes.
    """
    import scipy.sparse as sp

    from agent.annotation.annotate import AnnotateConfig, releases
    from agent.annotation.neighbourhood import LEAST_CELLS, canonical
    from encoders.celltypes.cellsearch import scores
    from encoders.celltypes.markers import GeneMoments, MarkerScorer
    from encoders.celltypes.smoothing import MOST_CELLS, neighbours

    reading = read_phrase(phrase, known)
    named = cells.harmonised(species)
    values = sp.vstack([one.values for one in named.blocks(block)]).tocsr()
    scorer = MarkerScorer.fit(known.sets, named.genes, GeneMoments.of(values))
    order = canonical(values)  # the same cells get the same scores, however they are sorted
    near = LEAST_CELLS <= len(order) < MOST_CELLS
    made = scores(
        values[order], named.genes, reading.wanted, scorer,
        neighbours(values[order]) if near else None, reading.genes,
    )  # fmt: skip
    score, likeness = np.empty_like(made.score), np.empty_like(made.likeness)
    score[order], likeness[order] = made.score, made.likeness
    read = named.harmonisation
    assert read is not None, "genes were harmonised"
    missing = [gene for gene in reading.genes if gene not in made.used]
    notices = [cells.chosen, *named.notices, *filter(None, [reading.notice])]
    if missing:
        notices.append(f"not among the genes of the dataset: {', '.join(missing)}")
    if reading.how != "genes" and made.likeness.max() < UNLIKE:
        notices.append(
            f"the most alike cell has a likeness of {made.likeness.max():.2f} only: the dataset "
            "may hold no such cell"
        )
    labels = known.hierarchy.labels
    return CellPhrase(
        reading,
        score,
        likeness,
        tuple(dict.fromkeys(made.used)),
        cells.cell_names,
        tuple((i, labels[known.hierarchy.index(i)], w) for i, w in reading.wanted.terms),
        tuple(notices),
        releases(known, read.species, AnnotateConfig()),
    )
