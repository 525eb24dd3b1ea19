"""Vectors of texts kept by content: what was embedded once is read from disk ever after.

A :class:`TextStore` belongs to one sentence encoder. Its folder below
:func:`data.locations.models` holds safetensors files of at most :data:`CHUNK` vectors (half
precision, which costs a cosine of 1e-7) beside the SHA-256 of each text, and a ``manifest.json``
that names the encoder. Every file is complete from the moment it has its name, so that an
interrupted run goes on and two runs at once do no harm. Where everything asked for is there, no
encoder is loaded. Knows nothing of what the texts say.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from data import locations, sources
from data.errors import BadFile, DependencyMissing
from data.progress import bar
from encoders import text

__all__ = ["CHUNK", "TextStore"]

CHUNK = 512
"""Texts a file: some seconds of work, the most that an interruption costs."""


class TextStore:
    """The kept vectors of one encoder; made by :meth:`of`."""

    def __init__(self, encoder: str, fingerprint: str, folder: Path) -> None:
        self.encoder, self.fingerprint, self.folder = encoder, fingerprint, folder

    @classmethod
    def of(cls, encoder: str = text.BUNDLED) -> TextStore:
        """The store of an encoder; the bundled one is known by its pinned hash, without loading."""
        if encoder == text.BUNDLED:
            files = sources.asset("minilm").files
            joined = "\n".join(f"{file.name} {file.sha256}" for file in files)
            fingerprint = hashlib.sha256(joined.encode()).hexdigest()
        else:
            fingerprint = text.load(encoder).fingerprint
        return cls(encoder, fingerprint, locations.models() / "texts" / fingerprint[:16])

    def vectors(
        self, texts: Sequence[str], *, progress: bool = False, title: str = "texts"
    ) -> NDArray[np.float32]:
        """Unit vectors of the texts, [texts, dimension]; those that are not there are made.

        Raises
        ------
        DependencyMissing
            When a vector has to be made or read without the ``models`` extra.
        """
        keys = [hashlib.sha256(one.encode()).digest() for one in texts]
        held = self._read(set(keys))
        todo = {key: one for key, one in zip(keys, texts, strict=True) if key not in held}
        if todo:
            held |= self._make(todo, progress=progress, title=title)
        if not texts:
            return np.zeros((0, self._dimension()), dtype=np.float32)
        rows = np.stack([held[key] for key in keys]).astype(np.float32)
        return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), dtype=np.float32)

    def _dimension(self) -> int:
        try:
            return int(json.loads((self.folder / "manifest.json").read_text("utf-8"))["dimension"])
        except (OSError, ValueError, KeyError, TypeError):
            return text.load(self.encoder).dimension

    def _read(self, wanted: set[bytes]) -> dict[bytes, NDArray[np.float16]]:
        found: dict[bytes, NDArray[np.float16]] = {}
        for file in sorted(self.folder.glob("*.safetensors")):
            keys, rows = _load(file)
            found |= {key: rows[i] for i, key in enumerate(keys) if key in wanted}
        return found

    def _make(
        self, todo: dict[bytes, str], *, progress: bool, title: str
    ) -> dict[bytes, NDArray[np.float16]]:
        encoder = text.load(self.encoder)
        self.folder.mkdir(parents=True, exist_ok=True)
        made: dict[bytes, NDArray[np.float16]] = {}
        # Alike in length, texts are padded least; the order is fixed, and so is every batch.
        keys = sorted(todo, key=lambda key: (len(todo[key]), key))
        with bar(title, len(keys), show=progress, unit=" texts") as shown:
            for start in range(0, len(keys), CHUNK):
                some = keys[start : start + CHUNK]
                rows = encoder.encode([todo[key] for key in some]).astype(np.float16)
                self._write(some, rows, encoder)
                made |= dict(zip(some, rows, strict=True))
                shown.update(len(some))
        return made

    def _write(
        self, keys: Sequence[bytes], rows: NDArray[np.float16], encoder: text.TextEncoder
    ) -> None:
        from safetensors.numpy import save_file

        hashes = np.frombuffer(b"".join(keys), dtype=np.uint8).reshape(len(keys), 32)
        name = hashlib.sha256(b"".join(keys)).hexdigest()[:16]
        scratch = self.folder / f".{name}.{os.getpid()}"
        save_file({"keys": hashes, "vectors": np.ascontiguousarray(rows)}, scratch)
        scratch.replace(self.folder / f"{name}.safetensors")
        manifest = {
            "encoder": self.encoder,
            "fingerprint": self.fingerprint,
            "precision": encoder.precision,
            "dimension": encoder.dimension,
            "key": "sha256 of the text, utf-8",
        }
        scratch.write_text(json.dumps(manifest, indent=1), encoding="utf-8")
        scratch.replace(self.folder / "manifest.json")


def _load(file: Path) -> tuple[list[bytes], NDArray[np.float16]]:
    try:
        from safetensors import SafetensorError
        from safetensors.numpy import load_file
    except ImportError:
        raise DependencyMissing(
            "safetensors is not installed; vectors of texts need: pip install 'celloquy[models]'"
        ) from None
    try:
        tensors = load_file(file)
        keys, rows = tensors["keys"], tensors["vectors"]
    except (OSError, SafetensorError, KeyError) as error:
        raise BadFile(f"{file} is no file of vectors ({error}); remove it") from error
    return [row.tobytes() for row in keys], rows
