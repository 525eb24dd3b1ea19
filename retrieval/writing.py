"""Changes to a literature index: one writer at a time, whole batches, resumable after any death.

The docstore is marked open in the manifest before its first byte changes and sealed after the
last; vectors are made afterwards, with the docstore sealed, so that a search by words goes on
meanwhile.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

from data import locations
from data.cache import sha256
from data.errors import BadFile, CorruptAsset
from retrieval import manifest as manifests
from retrieval.docstore import Docstore, Put
from retrieval.manifest import Manifest
from retrieval.medline import Citation, Deletion, Record
from retrieval.recordcutter import Problem
from retrieval.records import FORMATS, read
from retrieval.semantic import Encoder, embed, refresh
from retrieval.vectors import VectorStore

__all__ = ["DOCS", "VECTORS", "Added", "Writer", "default_folder", "recover", "verify", "writer"]

DOCS = "literature.sqlite"
VECTORS = "vectors.sqlite"

BATCH = 2000
"""Records a transaction: what a kill can cost, and what a reader may have to wait for."""

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
            When it is no literature file, or nothing of it can be read.
        """
        added = Added(path.name)
        records = read(path, added.problems.append)  # refuses before it hashes what may be huge
        digest = sha256(path)
        if self.docs.file(digest) is not None:
            added.known = True
            return added
        name = path.name.split(".")[0]
        self.add_records(records, name, added=added, keep=keep, progress=progress)
        if added.problems and not added.records:
            raise BadFile(
                f"nothing of {path} can be read ({added.problems[-1]}); expected {FORMATS}"
            )
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
        """Delete citations; returns how many there were. Files may be read again afterwards."""
        return sum(self.docs.delete(pmids[i : i + BATCH]) for i in range(0, len(pmids), BATCH))

    def embed(self, encoder: Encoder, progress: Callable[[int, int], None] | None = None) -> None:
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
            new = refresh(self.folder, docs, store, encoder, old)
        finally:
            docs.close()
            store.close()
        for name in (VECTORS, new["file"], new["words"]):
            self.manifest.files[name] = manifests.seal(self.folder, name)
        gone = [old[name] for name in ("file", "words") if name in old] if old else []
        for name in gone:
            del self.manifest.files[name]
        self.manifest.dense = new
        manifests.save(self.folder, self.manifest)
        for name in gone:
            (self.folder / name).unlink(missing_ok=True)

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
        manifest = recover(folder) if (folder / manifests.NAME).exists() else Manifest()
        verify(folder, manifest)
        if corpus:
            manifest.corpus = corpus
        change = Writer(folder, manifest)
        try:
            yield change
        finally:
            change.close()


def verify(folder: Path, manifest: Manifest) -> None:
    """Compare every file that is not open with the manifest.

    Raises
    ------
    CorruptAsset
        When one differs.
    """
    for name, state in manifest.files.items():
        if state is not None:
            manifests.verify(folder, manifest, name)


def recover(folder: Path) -> Manifest:
    """Look through files that a dead writer left open, and close them; needs the lock.

    Raises
    ------
    CorruptAsset
        When one was damaged.
    """
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
        if path.suffix in {".sqlite", ".faiss", ".npz", ".json", ".new"} or path.match("*-journal"):
            path.unlink()


def _batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    iterator = iter(records)
    while batch := list(islice(iterator, size)):
        yield batch
