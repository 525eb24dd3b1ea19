"""Answers that a cell's neighbours have a say in: probabilities smoothed over the whole dataset.

What looks at the whole dataset could depend on the order of its cells. Here the cells are put into
an order of their own first, by their expression: the same cells give the same answers, however
they are sorted. Values and probabilities of all cells are held in memory, so this is for datasets
of moderate size; without it, annotation needs one block at a time.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from agent.annotation.judging import Judge, Judged, Scored
from agent.annotation.passes import in_order
from encoders.celltypes.smoothing import LEAST_CELLS

if TYPE_CHECKING:
    import scipy.sparse as sp

    from data.cells import Block

__all__ = ["LEAST_CELLS", "canonical", "judged_with_neighbours"]


def judged_with_neighbours(
    judge: Judge, blocks: Sequence[Block], workers: int, told: Callable[[int], None]
) -> Iterator[Judged]:
    """Judge all blocks of a dataset, each cell with its neighbours.

    Parameters
    ----------
    judge
        Scores and decides.
    blocks
        All blocks of the dataset, in order.
    workers
        Threads.
    told
        Called with the number of cells that were scored, and again when they were judged.
    """
    import scipy.sparse as sp

    from encoders.celltypes.smoothing import around, near, neighbours, smooth

    scored: list[Scored] = []
    for one in in_order(judge.score, blocks, workers):
        scored.append(one)
        told(len(one.seen))
    chances = np.concatenate([one.chances for one in scored])
    values = sp.vstack([block.values for block in blocks], format="csr")
    order = canonical(values)
    opinion = judge.opinion
    if opinion is not None and opinion.near:
        graph = near(opinion.vectors[order], workers=workers)
    else:
        graph = neighbours(values[order], workers=workers)
    del values
    sorted_chances = chances[order]
    smoothed, others = np.empty_like(chances), np.empty_like(chances)
    smoothed[order] = smooth(sorted_chances, graph)
    others[order] = around(sorted_chances, graph)
    del chances, sorted_chances

    def work(pair: tuple[Block, Scored]) -> Judged:
        block, own = pair
        here = slice(block.start, block.stop)
        mended = smoothed[here]
        mended[~own.seen] = 0  # no neighbour speaks for a cell that shows nothing itself
        return judge.judge(block, Scored(mended, own.seen), others[here], "neighbourhood")

    for found in in_order(work, zip(blocks, scored, strict=True), workers):
        told(found.stop - found.start)
        yield found


def canonical(values: sp.csr_matrix) -> NDArray[np.int64]:
    """Places of the cells in the order of hashes of their expression."""
    keys = np.empty((values.shape[0], 2), dtype=np.uint64)
    for i, (start, stop) in enumerate(zip(values.indptr[:-1], values.indptr[1:], strict=True)):
        digest = hashlib.blake2b(values.indices[start:stop].tobytes(), digest_size=16)
        digest.update(values.data[start:stop].tobytes())
        keys[i] = np.frombuffer(digest.digest(), dtype=np.uint64)
    return np.lexsort((keys[:, 1], keys[:, 0]))
