"""Nearest vectors with FAISS: exact while that is quick, inverted lists with SQ8 above.

Both kinds take additions and deletions without a rebuild (HNSW and fast-scan PQ cannot delete).
For inverted lists the number of lists to probe is set at build, as the smallest that reaches the
wanted recall against exact search over the same vectors. Vectors are unit vectors, scores
cosines; knows vectors only by number.

J. Johnson, M. Douze, H. Jégou, Billion-scale similarity search with GPUs (2019).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from data.errors import CorruptAsset, DependencyMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Blocks = Callable[[], Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]]

__all__ = ["Kind", "VectorIndex", "choose"]

Kind = Literal["flat", "ivf-sq8"]

FLAT_UP_TO = 100_000
"""Exact search over 100,000 x 384 takes 4.5 ms on two cores (222 queries a second)."""

WANTED_RECALL = 0.98
"""Of the ten nearest, on held-out vectors at build; queries that are other texts lose some."""

_POINTS_A_LIST = 50  # FAISS asks for 39 to 256 training points a list
_PROBED = 200  # vectors whose neighbours are searched to measure recall
_SEED = 20


def choose(n: int, dimension: int, memory: int | None = None) -> Kind:
    """The kind of index for so many vectors.

    Parameters
    ----------
    n, dimension
        How many vectors, how wide.
    memory
        Bytes that the index may take; a quarter of the machine's where not given.

    >>> choose(18_000, 384, memory=2**30), choose(1_000_000, 384, memory=2**32)
    ('flat', 'ivf-sq8')
    >>> choose(90_000, 4096, memory=2**30)
    'ivf-sq8'
    """
    memory = _memory() // 4 if memory is None else memory
    return "flat" if n <= FLAT_UP_TO and 4 * n * dimension <= memory else "ivf-sq8"


class VectorIndex:
    """A FAISS index with its kind and how well it was measured.

    Attributes
    ----------
    kind
        ``flat`` or ``ivf-sq8``.
    nprobe
        Lists that a search visits; 0 for flat.
    recall
        Of the ten nearest, measured at build against exact search; 1 for flat.
    """

    def __init__(self, index: Any, kind: Kind, nprobe: int = 0, recall: float = 1.0) -> None:
        self._faiss = _library()
        self._index = index
        self.kind = kind
        self.nprobe = nprobe
        self.recall = recall

    @classmethod
    def build(cls, blocks: Blocks, n: int, dimension: int, kind: Kind | None = None) -> VectorIndex:
        """Build over ``n`` vectors that ``blocks`` yields, anew at each call.

        Never holds more than the index itself, a training sample and one block.
        """
        faiss = _library()
        kind = kind or choose(n, dimension)
        if kind == "flat":
            made = cls(faiss.IndexIDMap2(faiss.IndexFlatIP(dimension)), kind)
        else:
            made = cls(_trained(faiss, blocks, n, dimension), kind, nprobe=1)
        for ids, vectors in blocks():
            made.add(ids, vectors)
        if kind != "flat":
            made._tune(blocks, n, dimension)
        return made

    @classmethod
    def load(cls, path: Path, kind: Kind, nprobe: int, recall: float) -> VectorIndex:
        """Read an index; its bytes were compared with the manifest before.

        Raises
        ------
        CorruptAsset
            When FAISS cannot read it.
        """
        try:
            return cls(_library().read_index(str(path)), kind, nprobe, recall)
        except RuntimeError as error:
            raise CorruptAsset(
                f"{path} cannot be read by this FAISS; run: celloquy index build --fresh"
            ) from error

    def save(self, path: Path) -> None:
        """Write the index."""
        self._faiss.write_index(self._index, str(path))

    def __len__(self) -> int:
        return int(self._index.ntotal)

    def ids(self) -> NDArray[np.int64]:
        """The numbers of all vectors, ascending."""
        import numpy as np

        if self.kind == "flat":
            found = self._faiss.vector_to_array(self._index.id_map)
        else:
            lists = self._index.invlists
            parts = [
                self._faiss.rev_swig_ptr(lists.get_ids(i), lists.list_size(i)).copy()
                for i in range(self._index.nlist)
                if lists.list_size(i)
            ]
            found = np.concatenate([np.zeros(0, np.int64), *parts])
        return np.sort(found).astype(np.int64)

    def add(self, ids: NDArray[np.int64], vectors: NDArray[np.float32]) -> None:
        """Add vectors [n, d] under numbers that are not there yet."""
        self._index.add_with_ids(vectors, ids)

    def remove(self, ids: NDArray[np.int64]) -> int:
        """Remove vectors by number; returns how many there were."""
        if not len(ids):
            return 0
        return int(self._index.remove_ids(self._selector(ids)))

    def search(
        self, queries: NDArray[np.float32], k: int, allowed: NDArray[np.int64] | None = None
    ) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
        """Cosines and numbers of the nearest, each [queries, k]; number -1 where there are fewer.

        ``allowed`` restricts the numbers that may be found.
        """
        selector = None if allowed is None else self._selector(allowed)
        if self.kind == "flat":
            settings = self._faiss.SearchParameters(sel=selector)
        else:
            nprobe = self.nprobe
            if allowed is not None and len(allowed) < len(self) // 4:
                # What is allowed is spread thin over the lists: visit as many more.
                nprobe = math.ceil(nprobe * len(self) / max(len(allowed), 1))
            settings = self._faiss.SearchParametersIVF(
                sel=selector, nprobe=min(nprobe, self._index.nlist)
            )
        threads = self._faiss.omp_get_max_threads()
        # A single query is a matter of milliseconds for one thread; on a busy machine two wait
        # for each other (20,000 vectors, two cores, load 16: 63 ms where one thread takes 1.3).
        self._faiss.omp_set_num_threads(1 if len(queries) == 1 else threads)
        try:
            cosines, ids = self._index.search(queries, k, params=settings)
        finally:
            self._faiss.omp_set_num_threads(threads)
        return cosines, ids

    def _selector(self, ids: NDArray[np.int64]) -> Any:
        import numpy as np

        bits = np.zeros((int(ids.max(initial=0)) // 8 + 1) * 8, np.uint8)
        bits[ids] = 1
        return self._faiss.IDSelectorBitmap(np.packbits(bits, bitorder="little"))

    def _tune(self, blocks: Blocks, n: int, dimension: int) -> None:
        """Probe as few lists as reach the wanted recall on neighbours of some of the vectors."""
        import numpy as np

        chosen = np.sort(np.random.default_rng(_SEED).choice(n, min(_PROBED, n), replace=False))
        queries = _take(blocks, chosen, dimension)
        exact = self._faiss.IndexFlatIP(dimension)
        k = min(11, n)
        best = np.full((len(queries), k), -np.inf, np.float32)
        best_ids = np.full((len(queries), k), -1, np.int64)
        for ids, vectors in blocks():
            exact.reset()
            exact.add(vectors)
            cosines, places = exact.search(queries, min(k, len(vectors)))
            best = np.concatenate([best, cosines], axis=1)
            best_ids = np.concatenate([best_ids, ids[places]], axis=1)
            order = np.argsort(-best, axis=1, kind="stable")[:, :k]
            best = np.take_along_axis(best, order, 1)
            best_ids = np.take_along_axis(best_ids, order, 1)
        self.nprobe = 1
        while True:
            _, found = self.search(queries, k)
            # The first is the vector itself; what counts is the ten after it.
            shared = [len(set(a[1:]) & set(b)) for a, b in zip(best_ids, found, strict=True)]
            self.recall = float(np.mean(shared)) / max(k - 1, 1)
            if self.recall >= WANTED_RECALL or self.nprobe >= self._index.nlist:
                return
            self.nprobe = min(self.nprobe * 2, self._index.nlist)


def _trained(faiss: Any, blocks: Blocks, n: int, dimension: int) -> Any:
    """Empty inverted lists with trained centroids: two square roots of ``n`` of them."""
    import numpy as np

    lists = max(1, min(int(2 * math.sqrt(n)), n // _POINTS_A_LIST))
    wanted = min(n, lists * _POINTS_A_LIST)
    chosen = np.sort(np.random.default_rng(_SEED).choice(n, wanted, replace=False))
    quantizer = faiss.IndexFlatIP(dimension)
    index = faiss.IndexIVFScalarQuantizer(
        quantizer, dimension, lists, faiss.ScalarQuantizer.QT_8bit, faiss.METRIC_INNER_PRODUCT
    )
    index.own_fields = True
    quantizer.this.disown()
    index.cp.seed = _SEED
    index.train(_take(blocks, chosen, dimension))
    return index


def _take(blocks: Blocks, places: NDArray[np.int64], dimension: int) -> NDArray[np.float32]:
    """The vectors at these places of the whole sequence, in order."""
    import numpy as np

    taken = np.empty((len(places), dimension), np.float32)
    start = filled = 0
    for ids, vectors in blocks():
        stop = np.searchsorted(places, start + len(ids))
        taken[filled:stop] = vectors[places[filled:stop] - start]
        start, filled = start + len(ids), int(stop)
    return taken


def _memory() -> int:
    import os

    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, OSError, ValueError):
        return 8 << 30  # a system that does not say: assume a small one


def _library() -> Any:
    try:
        import faiss
    except ImportError as error:
        raise DependencyMissing(
            "vector search needs the packages of the models extra (faiss-cpu); "
            "install them with: pip install 'celloquy[models]'"
        ) from error
    return faiss
