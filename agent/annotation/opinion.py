"""A second opinion beside the marker score: from vectors of the cells.

``obsm:KEY`` takes an embedding that the dataset has, any other name an encoder
(:mod:`encoders.registry`). With a reference, a column in which some cells have labels, each label
is grounded to the Cell Ontology and its cells' mean vector speaks for it; without one, an encoder's
vectors of the types' marker profiles do, and for ``llm`` the types' names in the words of the
language model that cells were aligned with (:mod:`encoders.cellguess`). An embedding of the dataset
also says who is whose neighbour: where it was made to take batches together, neighbours come from
all of them.

Vectors of all cells are held in memory. Labels say nothing of cells outside their own types: what
no centroid fits stays with the markers (:mod:`encoders.celltypes.reference`).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.verification.wording import many
from data.errors import BadInput
from kg.terms import Category, Curie

if TYPE_CHECKING:
    from agent.annotation.annotate import Knowledge
    from data.cells import Block, CellMatrix
    from encoders.cellguess import Names
    from encoders.celltypes.markers import MarkerScorer
    from encoders.celltypes.reference import Centroids
    from encoders.registry import Encoder
    from kg.naming.mentions import Candidate

__all__ = ["NO_LABEL", "Opinion", "claimed", "second_opinion", "telling"]

NO_LABEL = frozenset({"", "nan", "none", "na", "unknown", "unassigned", "unlabelled", "unlabeled"})
"""What stands in a column where a cell has no label, in small letters."""


@dataclass(frozen=True, eq=False)
class Opinion:
    """Vectors of all cells, and the centroids that speak (None: they say only who is near whom).

    ``near`` tells whether neighbours are those of the vectors; ``notices`` what the user should
    know.
    """

    vectors: NDArray[np.float32]
    centroids: Centroids | Names | None
    near: bool
    notices: tuple[str, ...]
    known: Knowledge
    weight: float

    def joined(
        self, block: Block, chances: NDArray[np.float32], ids: Sequence[Curie]
    ) -> NDArray[np.float32]:
        """The markers' probabilities of a block, joined with what the centroids say."""
        from encoders.celltypes.reference import pooled

        if self.centroids is None:
            return chances
        said = self.centroids.chances(self.vectors[block.start : block.stop])
        labels = self.centroids.ids
        return pooled(chances, ids, said, labels, self.known.hierarchy, self.weight)


def second_opinion(
    cells: CellMatrix,
    named: CellMatrix,
    blocks: Iterable[Block],
    scorer: MarkerScorer,
    known: Knowledge,
    encoder: str | None,
    reference: str | None,
) -> Opinion | None:
    """Make it, or None where the markers are to decide alone.

    Parameters
    ----------
    cells, named
        The dataset, and the same with current symbols.
    blocks
        Its blocks, gone through once where an encoder is named.
    scorer, known
        The marker score, and what is known before a dataset is seen.
    encoder
        ``markers`` or None, ``obsm:KEY``, ``llm``, or the name of an encoder.
    reference
        Column of obs with labels of some cells.

    Raises
    ------
    BadInput
        When there is no such embedding, encoder or column, or its labels cannot be used.
    """
    from encoders.celltypes.reference import Centroids, PoolConfig
    from encoders.registry import find

    if encoder in (None, "markers"):
        if reference is not None:
            raise BadInput(
                f"a reference ({reference!r}) needs vectors of the cells; name them with "
                "--encoder obsm:KEY or --encoder NAME"
            )
        return None
    assert encoder is not None
    if encoder.startswith("obsm:"):
        vectors = telling(cells.embedding(encoder), encoder)
        if reference is None:
            told = (f"{encoder} says which cells are neighbours; with --reference COLUMN it would "
                    "also say what they are near to",)  # fmt: skip
            return Opinion(vectors, None, True, told, known, 0.0)
        centroids, notices = _labelled(cells, vectors, reference, scorer, known)
        return Opinion(vectors, centroids, True, notices, known, PoolConfig().weight)
    if encoder == LLM:
        return _by_name(named, blocks, scorer, known, reference)
    made = find(encoder)
    vectors = _encoded(made, named, blocks)
    if reference is not None:
        centroids, notices = _labelled(cells, vectors, reference, scorer, known)
        return Opinion(vectors, centroids, False, notices, known, PoolConfig().weight)
    profiles = made.encode(scorer.sets.on, list(scorer.sets.genes))
    centroids = Centroids.at(scorer.ids, profiles)
    told = (f"{encoder}: cells are compared with the marker profiles of {len(scorer.ids)} types",)
    return Opinion(vectors, centroids, False, told, known, PROFILE_WEIGHT)


PROFILE_WEIGHT = 0.25
"""Share of marker profiles in an encoder's space: on development data they helped nowhere much and
harmed nowhere up to it (docs/experiments/annotation.md), which is why they are not the default."""


LLM = "llm"
"""The aligned language-model core, by the names of cell types."""


def _by_name(
    named: CellMatrix,
    blocks: Iterable[Block],
    scorer: MarkerScorer,
    known: Knowledge,
    reference: str | None,
) -> Opinion:
    from encoders.cellguess import Names
    from encoders.registry import find

    if reference is not None:
        raise BadInput(
            f"{LLM} goes by the names of all types; leave out --reference ({reference!r}), or name "
            "another encoder"
        )
    terms = known.graph.terms(scorer.ids)
    names = Names.of([terms[one] for one in scorer.ids], known.hierarchy)
    told = (f"{LLM}: cells are compared with the names of {len(names.ids)} types",)
    vectors = _encoded(find("gene-text"), named, blocks)
    return Opinion(vectors, names, False, told, known, PROFILE_WEIGHT)


def telling(vectors: NDArray[np.float32], name: str) -> NDArray[np.float32]:
    """The vectors, unless they do not tell cells apart.

    Raises
    ------
    BadInput
        When all cells have the same vector: then each would be every other's neighbour.
    """
    if len(vectors) > 1 and (vectors == vectors[0]).all():
        what = "zeros" if not vectors.any() else "the same for every cell"
        raise BadInput(
            f"{name} is all {what}; expected an embedding that tells cells apart: make it again, "
            "or leave it out"
        )
    return vectors


def _encoded(made: Encoder, named: CellMatrix, blocks: Iterable[Block]) -> NDArray[np.float32]:
    import scipy.sparse as sp

    genes = list(named.genes)
    parts = [made.encode(sp.csr_array(block.values), genes) for block in blocks]
    return np.concatenate(parts).astype(np.float32)


def _labelled(
    cells: CellMatrix,
    vectors: NDArray[np.float32],
    column: str,
    scorer: MarkerScorer,
    known: Knowledge,
) -> tuple[Centroids, tuple[str, ...]]:
    """Centroids of the labels that name cell types, and what became of the others."""
    from encoders.celltypes.reference import Centroids

    said = [str(one).strip() for one in cells.column(column).astype(object)]
    terms: dict[str, Curie | None] = {}
    for label in sorted(set(said)):
        found = None if label.casefold() in NO_LABEL else claimed(label, known)
        terms[label] = found.id if found else None
    labels = [terms[label] for label in said]
    if all(one is None for one in labels):
        some = ", ".join(sorted(set(said))[:5])
        raise BadInput(
            f"no label of {column!r} names a cell type ({some}); expected names or ids of the Cell "
            "Ontology for some of the cells"
        )
    centroids = Centroids.of(vectors, labels)
    n = sum(one in centroids.ids for one in labels)
    of = many(len(centroids.ids), "type")
    notices = [f"{column}: {many(n, 'cell')} of {of} {'is' if n == 1 else 'are'} the reference"]
    lost = [k for k, v in terms.items() if v is None and k.casefold() not in NO_LABEL]
    few = [k for k, v in terms.items() if v is not None and v not in centroids.ids]
    scored = {a for i in known.hierarchy.indices(scorer.ids) for a in known.hierarchy.above[i]}
    mute = [k for k, v in terms.items() if v and known.hierarchy.index(v) not in scored]
    for names, one, more in (
        (lost, "names no cell type", "name no cell type"),
        (few, "has too few cells", "have too few cells"),
        (mute, "has no markers at or below it, and says nothing",
         "have no markers at or below them, and say nothing"),
    ):  # fmt: skip
        if names:
            why = one if len(names) == 1 else more
            said_of = f"{many(len(names), 'label')} {why}"
            notices.append(f"{column}: {said_of}: {', '.join(names[:5])}")
    return centroids, tuple(notices)


def claimed(label: str, known: Knowledge) -> Candidate | None:
    """The cell type that a label names, or None."""
    from kg.grounding import candidates
    from kg.naming.labels import ground_label

    # A name as written says more than any reading of a label.
    found = candidates(label, known.graph, categories=(Category.CELL_TYPE,))
    found = found or ground_label(label, known.graph)
    return next((one for one in found if one.id in known.hierarchy), None)
