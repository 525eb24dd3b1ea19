"""A dummy encoder: hashed words, so that texts that share words are near; no model needed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


class LittleEncoder:
    def __init__(self, name: str = "little", dimension: int = 64) -> None:
        self.name = name
        self.dimension = dimension
        self.fingerprint = f"{name} {dimension}"
        self.encoded = 0

    def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
        # Of windows: a word of the corpus, which is encoded too, has no space.
        self.encoded += sum(" " in text for text in texts)
        vectors = np.full((len(texts), self.dimension), 1e-3, np.float32)
        for row, text in zip(vectors, texts, strict=True):
            for word in text.lower().split():
                digest = hashlib.sha256(word.strip(".,").encode()).digest()
                row[digest[0] % self.dimension] += 1 if digest[1] % 2 else -1
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
