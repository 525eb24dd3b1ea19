"""A literature index, open for search: every file checked, every quote where it says it is.

Holds the docstore, the dense side and the search together. Building and changing an index is in
:mod:`retrieval.writing`.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from data.errors import CorruptAsset, Missing
from retrieval import manifest as manifests
from retrieval.docstore import Docstore, Stored
from retrieval.filters import Filters
from retrieval.hybrid import Expand, Fusion, Mode, Ranked, Rerank, Searcher
from retrieval.manifest import Manifest
from retrieval.medline import stored_text
from retrieval.passages import Passage
from retrieval.semantic import Encoder, Semantic, why_not
from retrieval.writing import DOCS, default_folder, recover, verify

__all__ = ["LiteratureIndex", "default_folder", "open_index"]


class LiteratureIndex:
    """An open index, for reading; may be used by several threads."""

    def __init__(
        self,
        folder: Path,
        manifest: Manifest,
        encoder: Encoder | None = None,
        rerank: Rerank | None = None,
    ) -> None:
        self.folder = folder
        self.manifest = manifest
        self.docs = Docstore(folder / DOCS)
        self._own_encoder = encoder is None
        dense = manifest.dense
        semantic = None if dense is None else Semantic(folder, dense, self.docs, encoder)
        self.searcher = Searcher(self.docs, semantic, rerank)

    def search(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        filters: Filters | None = None,
        expand: Expand | None = None,
    ) -> list[Passage]:
        """The best passages for a query, one a citation, best first.

        Parameters
        ----------
        query
            Words or a question.
        k
            How many.
        mode
            ``hybrid`` falls back to words where there is no dense index; see :meth:`resolve`.
        filters
            What may be returned.
        expand
            Gives other names of what the query names (an ontology's synonyms); they count in
            the lexical ranking, at a lower weight.

        Raises
        ------
        BadInput
            When the query has no word, or ``k`` is not positive.
        """
        used, _ = self.resolve(mode)
        return self.searcher.search(query, k, mode=used, filters=filters, expand=expand)

    def rank(
        self,
        query: str,
        k: int = 10,
        *,
        mode: Mode = "hybrid",
        expand: Expand | None = None,
        fusion: Fusion = "near",
    ) -> list[Ranked]:
        """The best citations without quotes: what an evaluation needs."""
        return self.searcher.rank(query, k, mode=mode, expand=expand, fusion=fusion)

    def resolve(self, mode: Mode) -> tuple[Mode, str]:
        """The mode that a search will use, and why where it is another than asked for."""
        if mode == "lexical":
            return mode, ""
        why = why_not(self.manifest.dense, encoder=self._own_encoder)
        if not why:
            return mode, ""
        if mode == "dense":
            raise Missing(f"vectors cannot be searched: {why}")
        return "lexical", f"searching by words only: {why}"

    def passes_any(self, filters: Filters) -> bool:
        """Whether any citation of the index passes the filters."""
        allowed = self.docs.allowed(filters)
        return allowed is None or bool(len(allowed))

    def text(self, pmid: str) -> str | None:
        """The stored text of a citation: what the offsets of its quotes count in."""
        stored = self.docs.by_pmid(pmid)
        return stored_text(stored.citation) if stored else None

    def citation(self, pmid: str) -> Stored | None:
        """A citation with its notices, and whether it was retracted."""
        return self.docs.by_pmid(pmid)

    def stats(self) -> dict[str, Any]:
        """Counts, sizes, origins and the state of the dense index."""
        origins = self.docs.origins()
        return {
            "folder": str(self.folder),
            "corpus": self.manifest.corpus,
            **self.docs.counts(),
            "bytes": sum(state[0] for state in self.manifest.files.values() if state),
            "origins": {
                name: {"citations": n, "newest_revision": revised}
                for name, (n, revised) in origins.items()
            },
            "dense": self.manifest.dense,
        }

    def close(self) -> None:
        """Close the files."""
        self.docs.close()

    def __enter__(self) -> LiteratureIndex:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def open_index(
    folder: Path | None = None, *, encoder: Encoder | None = None, rerank: Rerank | None = None
) -> LiteratureIndex:
    """Open an index after checking every file against the manifest.

    Parameters
    ----------
    folder
        The index; the default one where not given.
    encoder
        The encoder of its vectors, where it is not to be loaded by name at the first query.
    rerank
        A second model that orders the head of each ranking anew; see
        :func:`encoders.text.load_reranker`.

    Raises
    ------
    AssetMissing
        When there is none.
    CorruptAsset
        When a file does not have the bytes it was written with.
    CelloquyError
        While another process changes the citations.
    """
    folder = folder or default_folder()
    manifest = manifests.load(folder)
    if manifest.files.get(DOCS) is None:
        # Open for writing: either right now, or by a process that died.
        with manifests.writing(folder):
            manifest = recover(folder)
    try:
        verify(folder, manifest)
    except CorruptAsset:
        # A writer may have put new files in place since the manifest was read.
        again = manifests.load(folder)
        if again == manifest:
            raise
        manifest = again
        verify(folder, manifest)
    return LiteratureIndex(folder, manifest, encoder, rerank)
