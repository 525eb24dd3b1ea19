"""The dense side of a literature index: windows encoded, a FAISS index made, queries answered.

A window is encoded with its title in front, which tells a methods paragraph what it is about; the
corpus's words are encoded one by one, to tell which are near (:mod:`retrieval.nearwords`).
Encoding goes on where it was stopped; a small change adds to and removes from the FAISS index, a
large one builds it again from the stored vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any, Protocol

from data.errors import CelloquyError, Missing
from retrieval.dense import VectorIndex, choose
from retrieval.nearwords import NearWords

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.docstore import Docstore
    from retrieval.lexical import Near
    from retrieval.vectors import VectorStore

__all__ = ["BATCH", "Encoder", "Semantic", "embed", "refresh", "why_not"]

BATCH = 512
"""Windows encoded between two writes: some ten seconds of work that a kill can cost."""

# Inverted lists trained on fewer than a quarter of what they hold are trained again.
_GROWTH = 4

# Windows asked of FAISS for each citation wanted; an abstract has 2.4 on average.
_WINDOWS = 3


class Encoder(Protocol):
    """What an index needs of an encoder; :class:`encoders.text.TextEncoder` is one."""

    @property
    def name(self) -> str:
        """What it is called, and loaded by."""

    @property
    def dimension(self) -> int:
        """Width of its vectors."""

    @property
    def fingerprint(self) -> str:
        """Equal for encoders that give equal vectors."""

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors [texts, dimension]."""


def embed(
    docs: Docstore,
    store: VectorStore,
    encoder: Encoder,
    progress: Callable[[int, int], None] | None = None,
) -> None:
    """Encode every window that has no vector yet, and forget vectors of windows that are gone.

    ``progress`` is called with how many windows are encoded, and of how many, after each batch is
    safe on disk.
    """
    import numpy as np

    store.begin(encoder.fingerprint)
    wanted, there = docs.passage_ids(), store.ids()
    store.delete(np.setdiff1d(there, wanted, assume_unique=True))
    missing = np.setdiff1d(wanted, there, assume_unique=True)
    done = len(wanted) - len(missing)
    for i in range(0, len(missing), BATCH):
        rows = list(docs.window_texts([int(number) for number in missing[i : i + BATCH]]))
        vectors = encoder.encode([f"{title} {words}".strip() for _, title, words in rows])
        store.put(np.array([row[0] for row in rows], np.int64), vectors)
        done += len(rows)
        if progress:
            progress(done, len(wanted))


def refresh(
    folder: Path,
    docs: Docstore,
    store: VectorStore,
    encoder: Encoder,
    known: dict[str, Any] | None,
) -> dict[str, Any]:
    """Bring the FAISS index up to the stored vectors, and the words' vectors up to the corpus.

    Both are new files; returns their description.
    """
    n = len(store)
    kind = choose(n, encoder.dimension)
    built_with = n
    if (
        known
        and kind == known["kind"] == "ivf-sq8"
        and known["fingerprint"] == encoder.fingerprint
        and n <= _GROWTH * known["built_with"]
    ):
        index = _load(folder, known)
        _follow(index, store)
        built_with = known["built_with"]
    else:
        index = VectorIndex.build(store.blocks, n, encoder.dimension, kind)
    serial = 1 + (int(known["file"].split("-")[1].split(".")[0]) if known else 0)
    name = f"dense-{serial}.faiss"
    index.save(folder / name)
    words = f"words-{serial}.npz"
    old = None
    if known and "words" in known and known["fingerprint"] == encoder.fingerprint:
        old = NearWords.load(folder / known["words"])
    NearWords.build(docs.lexical, encoder.encode, old).save(folder / words)
    return {
        "file": name,
        "words": words,
        "encoder": encoder.name,
        "fingerprint": encoder.fingerprint,
        "dimension": encoder.dimension,
        "kind": index.kind,
        "nprobe": index.nprobe,
        "recall": round(index.recall, 4),
        "vectors": len(index),
        "built_with": built_with,
    }


def why_not(dense: dict[str, Any] | None, *, encoder: bool = True) -> str:
    """Why vectors cannot be searched here, in words; empty where they can.

    ``encoder`` is False where one is at hand and none must be loaded.
    """
    if dense is None:
        return "this index has no vectors yet; run: celloquy index build"
    needed = ("faiss", "sentence_transformers") if encoder else ("faiss",)
    absent = [name for name in needed if find_spec(name) is None]
    if absent:
        return f"{absent[0]} is not installed; run: pip install 'celloquy[models]'"
    from encoders.text import BUNDLED

    if encoder and dense["encoder"] == BUNDLED:
        from data import sources

        try:
            sources.path("minilm")
        except (Missing, OSError) as error:
            return str(error)
    return ""


class Semantic:
    """Answers queries from the FAISS index; index and encoder are loaded at the first one."""

    def __init__(
        self, folder: Path, dense: dict[str, Any], docs: Docstore, encoder: Encoder | None = None
    ) -> None:
        self._folder = folder
        self._dense = dense
        self._docs = docs
        self._encoder = encoder
        self._lock = Lock()
        self._loaded: tuple[VectorIndex, Encoder] | None = None
        self._words: NearWords | None = None

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Unit vectors of texts."""
        return self._load()[1].encode(texts)

    def near(self, words: Sequence[str]) -> Near:
        """For each word others that are near it; nothing where the index knows none."""
        _, encoder = self._load()
        with self._lock:
            if self._words is None and "words" in self._dense:
                self._words = NearWords.load(_there(self._folder / self._dense["words"]))
        return self._words.near(words, encoder.encode) if self._words else {}

    def search(
        self, query: NDArray[np.float32], limit: int, docs: NDArray[np.int64] | None
    ) -> list[tuple[int, float, int]]:
        """Citation, cosine and window of the best windows, one a citation, best first."""
        index, _ = self._load()
        allowed = None if docs is None else self._docs.passage_ids(docs)
        if allowed is not None and not len(allowed):
            return []
        cosines, ids = index.search(query, min(_WINDOWS * limit, max(len(index), 1)), allowed)
        found = [int(number) for number in ids[0] if number >= 0]
        of = self._docs.passages(found)
        best: dict[int, tuple[int, float, int]] = {}
        for number, cosine in zip(found, cosines[0], strict=False):
            if number in of:
                doc = of[number][0]
                best.setdefault(doc, (doc, float(cosine), number))
        return list(best.values())[:limit]

    def _load(self) -> tuple[VectorIndex, Encoder]:
        with self._lock:
            if self._loaded is None:
                encoder = self._encoder or _loaded(self._dense["encoder"])
                if encoder.fingerprint != self._dense["fingerprint"]:
                    raise CelloquyError(
                        f"the vectors were made by another version of {encoder.name} than is "
                        f"here; run: celloquy index build"
                    )
                self._loaded = _load(self._folder, self._dense), encoder
            return self._loaded


def _follow(index: VectorIndex, store: VectorStore) -> None:
    """Add to and remove from an index what came and went since it was written."""
    import numpy as np

    wanted, there = store.ids(), index.ids()
    index.remove(np.setdiff1d(there, wanted, assume_unique=True))
    new = np.setdiff1d(wanted, there, assume_unique=True)
    if len(new):
        for ids, vectors in store.blocks(new):
            index.add(ids, vectors)


def _loaded(name: str) -> Encoder:
    from encoders import text

    return text.load(name)


def _load(folder: Path, dense: dict[str, Any]) -> VectorIndex:
    path = _there(folder / dense["file"])
    return VectorIndex.load(path, dense["kind"], dense["nprobe"], dense["recall"])


def _there(path: Path) -> Path:
    if not path.exists():
        raise CelloquyError("the literature index was changed meanwhile; open it again")
    return path
