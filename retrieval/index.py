"""A literature index in a folder: build, add, delete, open and search.

Holds the files together: the docstore (citations and postings), the vectors, the FAISS index and
the manifest that names their bytes. One process writes at a time; a search while a dense index is
being built uses words only. A writer that dies leaves whole batches behind, and the next run goes
on from there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from data import locations
from data.cache import sha256
from data.errors import CorruptAsset, Missing
from retrieval import manifest as manifests
from retrieval.docstore import Docstore, Filters, Put, Stored
from retrieval.hybrid import Expand, Mode, Ranked, Searcher
from retrieval.manifest import Manifest
from retrieval.medline import Citation, Deletion, Problem, Record
from retrieval.passages import Passage
from retrieval.records import read
from retrieval.semantic import Semantic, embed, refresh, why_not
from retrieval.vectors import VectorStore

if TYPE_CHECKING:
    from encoders.text import TextEncoder

__all__ = ["DOCS", "Added", "LiteratureIndex", "Writer", "default_folder", "open_index", "writer"]

DOCS = "literature.sqlite"
VECTORS = "vectors.sqlite"
# Records a transaction: what a kill can cost, and what a reader may have to wait for.
BATCH = 2000

Progress = Callable[[int], None]
"""Called with the number of records stored so far, after each of them is safe on disk."""


def default_folder() -> Path:
    """Where the default index lies."""
    return locations.literature() / "default"


@dataclass(slots=True)
class Added:
    """What became of one file."""

    name: str
    put: Put = field(default_factory=Put)
    records: int = 0
    known: bool = False
    problems: list[Problem] = field(default_factory=list)


class LiteratureIndex:
    """An open index, for reading; may be used by several threads."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self.docs = Docstore(folder / DOCS)
        dense = manifest.dense
        self.searcher = Searcher(
            self.docs, Semantic(folder, dense, self.docs) if dense is not None else None
        )

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
        self, query: str, k: int = 10, *, mode: Mode = "hybrid", expand: Expand | None = None
    ) -> list[Ranked]:
        """The best citations without quotes: what an evaluation needs."""
        return self.searcher.rank(query, k, mode=mode, filters=None, expand=expand)

    def resolve(self, mode: Mode) -> tuple[Mode, str]:
        """The mode that a search will use, and why where it is another than asked for."""
        why = "" if mode == "lexical" else why_not(self.manifest.dense)
        if not why:
            return mode, ""
        if mode == "dense":
            raise Missing(f"vectors cannot be searched: {why}")
        return "lexical", f"searching by words only: {why}"

    def text(self, pmid: str) -> str | None:
        """The stored text of a citation: what the offsets of its quotes count in."""
        from retrieval.medline import stored_text

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


def open_index(folder: Path | None = None) -> LiteratureIndex:
    """Open an index after checking every file against the manifest.

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
            manifest = _recover(folder)
    try:
        _verify(folder, manifest)
    except CorruptAsset:
        # A writer may have put new files in place since the manifest was read.
        again = manifests.load(folder)
        if again == manifest:
            raise
        manifest = again
        _verify(folder, manifest)
    return LiteratureIndex(folder, manifest)


class Writer:
    """Changes to an index; made by :func:`writer`, which holds the lock."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder = folder
        self.manifest = manifest
        self._docs: Docstore | None = None

    @property
    def encoder(self) -> str:
        """The encoder of the vectors that are there; empty where there are none."""
        return str(self.manifest.dense["encoder"]) if self.manifest.dense else ""

    @property
    def docs(self) -> Docstore:
        """The docstore, marked open from here to the end."""
        if self._docs is None:
            self.manifest.files[DOCS] = None
            manifests.save(self.folder, self.manifest)
            self._docs = Docstore(self.folder / DOCS, writable=True)
        return self._docs

    def add(
        self,
        path: Path,
        *,
        keep: Callable[[Citation], bool] | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Read a file into the index; one whose bytes were read before is passed over.

        Parameters
        ----------
        path
            MEDLINE XML, NBIB or JSON lines, plain or gzip.
        keep
            Which citations to store; the notices of the others are kept all the same.
        progress
            Called after each batch.

        Raises
        ------
        BadFile
            When it is no literature file.
        """
        added = Added(path.name)
        records = read(path, added.problems.append)  # refuses before it hashes what may be huge
        digest = sha256(path)
        if self.docs.file(digest) is not None:
            added.known = True
            return added
        name = path.name.split(".")[0]
        self.add_records(records, name, added=added, keep=keep, progress=progress)
        self.docs.finish_file(digest, path.name, added.records, len(added.problems))
        return added

    def add_records(
        self,
        records: Iterable[Record],
        origin: str,
        *,
        added: Added | None = None,
        keep: Callable[[Citation], bool] | None = None,
        progress: Progress | None = None,
    ) -> Added:
        """Store records in batches; each is safe on disk when ``progress`` is called."""
        added = added or Added(origin)
        for batch in _batches(records, BATCH):
            citations = [record for record in batch if isinstance(record, Citation)]
            deleted = [p for record in batch if isinstance(record, Deletion) for p in record.pmids]
            kept = citations if keep is None else list(filter(keep, citations))
            bare = [] if keep is None else [c for c in citations if c.notices and not keep(c)]
            added.put += self.docs.write(kept, deleted, origin=origin, bare=bare)
            added.records += len(batch)
            if progress:
                progress(added.records)
        return added

    def delete(self, pmids: Sequence[str]) -> int:
        """Delete citations; returns how many there were."""
        return sum(
            self.docs.write([], pmids[i : i + BATCH], origin="").deleted
            for i in range(0, len(pmids), BATCH)
        )

    def embed(
        self, encoder: TextEncoder, progress: Callable[[int, int], None] | None = None
    ) -> None:
        """Encode what has no vector yet, and bring the FAISS index up to it.

        Parameters
        ----------
        encoder
            Vectors of another encoder are thrown away.
        progress
            Called with windows encoded, and of how many, after each batch is safe on disk.
        """
        self._seal_docs()  # a search by words shall go on meanwhile
        self.manifest.files[VECTORS] = None
        manifests.save(self.folder, self.manifest)
        docs, store = Docstore(self.folder / DOCS), VectorStore(self.folder / VECTORS)
        try:
            embed(docs, store, encoder, progress)
            old = self.manifest.dense
            new = refresh(self.folder, store, encoder, old)
        finally:
            docs.close()
            store.close()
        for name in (VECTORS, new["file"]):
            self.manifest.files[name] = manifests.seal(self.folder, name)
        if old:
            del self.manifest.files[old["file"]]
        self.manifest.dense = new
        manifests.save(self.folder, self.manifest)
        if old:
            (self.folder / old["file"]).unlink(missing_ok=True)

    def close(self) -> None:
        """Seal what was opened."""
        self._seal_docs()

    def _seal_docs(self) -> None:
        if self._docs is not None:
            self._docs.close()
            self._docs = None
            self.manifest.files[DOCS] = manifests.seal(self.folder, DOCS)
            manifests.save(self.folder, self.manifest)


@contextmanager
def writer(
    folder: Path | None = None, *, corpus: str = "", fresh: bool = False
) -> Iterator[Writer]:
    """Open an index for writing, making it where there is none.

    Parameters
    ----------
    folder
        The index; the default one where not given.
    corpus
        The name of what a new index is built from.
    fresh
        Throw away what is there, damaged or not.
    """
    folder = folder or default_folder()
    with manifests.writing(folder):
        if fresh:
            _clear(folder)
        manifest = _recover(folder) if (folder / manifests.NAME).exists() else Manifest()
        _verify(folder, manifest)
        if corpus:
            manifest.corpus = corpus
        change = Writer(folder, manifest)
        try:
            yield change
        finally:
            change.close()


def _verify(folder: Path, manifest: Manifest) -> None:
    for name, state in manifest.files.items():
        if state is not None:
            manifests.verify(folder, manifest, name)


def _recover(folder: Path) -> Manifest:
    """Look through files that a dead writer left open, and close them; needs the lock."""
    manifest = manifests.load(folder)
    left = [name for name, state in manifest.files.items() if state is None]
    for name in left:
        # Opening it for writing rolls back what was not committed.
        store = (
            Docstore(folder / name, writable=True) if name == DOCS else VectorStore(folder / name)
        )
        wrong = store.check()
        store.close()
        if wrong:
            raise CorruptAsset(
                f"{folder / name} was damaged ({wrong}); expected a whole database; "
                f"run: celloquy index build --fresh"
            )
        manifest.files[name] = manifests.seal(folder, name)
    if left:
        manifests.save(folder, manifest)
    return manifest


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.suffix in {".sqlite", ".faiss", ".json", ".new"} or path.match("*-journal"):
            path.unlink()


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(islice(iterator, size)):
        yield batch
