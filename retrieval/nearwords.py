"""Words that an encoder holds to be near: how words in a query meet others in an abstract.

Every word of the corpus that is not rare has a vector. For a word of a query, BM25 then also
counts the words nearest to it, each by its cosine: "malignancy" meets "cancer". This is the
generalised translation model of N. Rekabsaz, M. Lupu, A. Hanbury, G. Zuccon, Generalizing
Translation Models in the Probabilistic Relevance Framework (CIKM 2016). Knows words only one by
one, and nothing of their context.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from data.errors import CorruptAsset

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from retrieval.lexical import Lexical, Near

__all__ = ["NearWords"]

LEAST = 3
"""Citations that a word must stand in: below are misspellings, and names that nothing is near."""

MOST = 50_000
"""Words that are kept, the most frequent: 77 MB in memory at 384 dimensions."""

CLOSE = 0.6
NEAREST = 20
"""Least cosine, and how many words are near at most; chosen with the fusion's share on questions
that are not scored (docs/experiments/retrieval.md)."""

_BATCH = 4096


class NearWords:
    """Words of a corpus with their vectors.

    Attributes
    ----------
    words
        As the lexical index cuts them.
    vectors
        Unit vectors [words, d] in half precision.
    """

    def __init__(self, words: Sequence[str], vectors: NDArray[np.float16]) -> None:
        import numpy as np

        self.words = tuple(words)
        self.vectors = vectors
        self._full = vectors.astype(np.float32)
        self._place = {word: i for i, word in enumerate(self.words)}

    @classmethod
    def build(
        cls,
        lexical: Lexical,
        encode: Callable[[Sequence[str]], NDArray[np.float32]],
        known: NearWords | None = None,
    ) -> NearWords:
        """Encode the words of a lexical index; those that are ``known`` are not encoded again."""
        import numpy as np

        words = [word for word in lexical.frequent(LEAST, MOST) if not word.isdigit()]
        places = {} if known is None else known._place
        new = [word for word in words if word not in places]
        parts = [encode(new[i : i + _BATCH]) for i in range(0, len(new), _BATCH)]
        made = np.concatenate(parts) if parts else encode([])
        vectors = np.empty((len(words), made.shape[1]), np.float16)
        fresh = iter(made)
        for i, word in enumerate(words):
            vectors[i] = known.vectors[places[word]] if known and word in places else next(fresh)
        return cls(words, vectors)

    @classmethod
    def load(cls, path: Path) -> NearWords:
        """Read what :meth:`save` wrote; its bytes were compared with the manifest before.

        Raises
        ------
        CorruptAsset
            When it cannot be read.
        """
        import numpy as np

        try:
            with np.load(path, allow_pickle=False) as stored:
                words = stored["words"].tobytes().decode().split("\n")
                return cls(words if words != [""] else [], stored["vectors"])
        except (OSError, ValueError, KeyError) as error:
            raise CorruptAsset(
                f"{path} cannot be read ({error}); run: celloquy index build --fresh"
            ) from error

    def save(self, path: Path) -> None:
        """Write words and vectors."""
        import numpy as np

        text = np.frombuffer("\n".join(self.words).encode(), np.uint8)
        np.savez(path, words=text, vectors=self.vectors)

    def near(
        self, words: Sequence[str], encode: Callable[[Sequence[str]], NDArray[np.float32]]
    ) -> Near:
        """For each word the words near it and how near, itself left out.

        >>> import numpy as np
        >>> axes = np.array([[1, 0], [0, 1], [.8, .6]], np.float16)
        >>> known = NearWords(["cancer", "cell", "tumor"], axes)
        >>> found = known.near(["cancer"], lambda new: axes[:0])
        >>> {word: round(cosine, 2) for word, cosine in found["cancer"].items()}
        {'tumor': 0.8}
        """
        import numpy as np

        if not self.words or not words:
            return {}
        new = [word for word in words if word not in self._place]
        fresh = iter(encode(new)) if new else iter(())
        rows = [
            self._full[self._place[word]] if word in self._place else next(fresh) for word in words
        ]
        cosines = np.stack(rows) @ self._full.T  # [words asked, words known]
        n = min(NEAREST, len(self.words))
        places = np.argpartition(-cosines, n - 1, axis=1)[:, :n]
        found: dict[str, Mapping[str, float]] = {}
        for word, row, at in zip(words, cosines, places, strict=True):
            close = {self.words[i]: float(row[i]) for i in at.tolist() if row[i] >= CLOSE}
            close.pop(word, None)
            found[word] = close
        return found
