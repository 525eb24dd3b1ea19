"""Texts to unit vectors: a sentence encoder, the bundled one or any other by name or folder.

The bundled encoder is all-MiniLM-L6-v2 (384 dimensions, 256 word pieces; N. Reimers and
I. Gurevych, Sentence-BERT, 2019). On processors with bfloat16 instructions it runs in bfloat16:
1.9 times as fast, with cosines of .998 and more to the vectors of float32. Weights are read from
safetensors only. Knows nothing of what the vectors are searched with.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Sequence
from contextlib import redirect_stderr
from functools import lru_cache
from io import StringIO
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, Any

from data import locations, sources
from data.errors import BadInput, DependencyMissing

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["BUNDLED", "TextEncoder", "load", "load_reranker"]

BUNDLED = "all-MiniLM-L6-v2"
"""Name of the encoder that is used where none is named."""

# Texts a batch: at 64 the matrices fill two cores; larger batches only pad more.
_BATCH = 64


class TextEncoder:
    """A loaded sentence encoder; may be used by several threads, one at a time.

    Attributes
    ----------
    name
        How the encoder was asked for.
    dimension
        Width of its vectors.
    precision
        ``bfloat16`` or ``float32``.
    """

    def __init__(self, name: str, model: Any) -> None:
        import torch

        self.name = name
        self.dimension = int(model.get_embedding_dimension())
        self._model = model.eval()
        self._fingerprint = _fingerprint(model)
        self.precision = "float32"
        if next(model.parameters()).device.type == "cpu" and _bfloat16_pays():
            self._model = model.to(torch.bfloat16)
            self.precision = "bfloat16"
        # The tokenizer cannot be borrowed twice at once.
        self._lock = Lock()

    @property
    def fingerprint(self) -> str:
        """A hash of the weights and of the layers: equal encoders give equal vectors."""
        return self._fingerprint

    def is_word(self, word: str) -> bool:
        """Whether a word stands in the vocabulary whole; another one is spelt in pieces."""
        with self._lock:
            return len(self._model.tokenizer.tokenize(word)) == 1

    def encode(self, texts: Sequence[str], *, keep: bool = False) -> NDArray[np.float32]:
        """Unit vectors of the texts, one a row.

        Parameters
        ----------
        texts
            Any number; longer ones are cut at the encoder's limit.
        keep
            Store the result below :func:`data.locations.models` and take it from there the next
            time: for fixed lists such as an ontology's labels.

        Returns
        -------
        ndarray
            Shape [texts, dimension].
        """
        import numpy as np

        if not texts:
            return np.zeros((0, self.dimension), np.float32)
        kept = self._kept(texts) if keep else None
        if kept is not None and kept.exists():
            vectors: NDArray[np.float32] = np.load(kept, allow_pickle=False)
            if vectors.shape == (len(texts), self.dimension):
                return vectors
        with self._lock:
            tensor = self._model.encode(
                list(texts),
                batch_size=_BATCH,
                convert_to_tensor=True,
                normalize_embeddings=True,
                show_progress_bar=False,
            )
        vectors = tensor.float().cpu().numpy()
        # bfloat16 has eight bits: what it calls a unit vector is one to within half a per cent.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
        if kept is not None:
            kept.parent.mkdir(parents=True, exist_ok=True)
            temporary = kept.with_suffix(f".{os.getpid()}.npy")
            np.save(temporary, vectors, allow_pickle=False)
            temporary.replace(kept)
        return vectors

    def _kept(self, texts: Sequence[str]) -> Path:
        digest = hashlib.sha256("\x1f".join([self.precision, *texts]).encode()).hexdigest()
        return locations.models() / "vectors" / f"{self.fingerprint[:16]}-{digest[:16]}.npy"


@lru_cache(maxsize=2)
def load(name: str = BUNDLED) -> TextEncoder:
    """Load an encoder, once a process.

    Parameters
    ----------
    name
        The bundled encoder's name, a sentence-transformers folder, or a hub id (which is the
        only one that may use the network).

    Raises
    ------
    DependencyMissing
        Without the ``models`` extra.
    AssetMissing
        When the bundled encoder was not fetched.
    BadInput
        When nothing can be loaded under that name.
    """
    library = _library()
    where = str(sources.path("minilm")) if name == BUNDLED else name
    local = Path(where).is_dir()
    try:
        # Its progress bar would be all that a quick search shows; errors are raised.
        with redirect_stderr(StringIO()):
            model = library.SentenceTransformer(
                where, local_files_only=local, model_kwargs={"use_safetensors": True}
            )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BadInput(_cannot("text encoder", name, error)) from error
    return TextEncoder(name, model)


def load_reranker(name: str) -> Callable[[str, Sequence[str]], list[float]]:
    """Load a cross-encoder, by folder or hub id: it scores texts for a query, higher is better.

    Raises
    ------
    DependencyMissing
        Without the ``models`` extra.
    BadInput
        When nothing can be loaded under that name.
    """
    library = _library()
    local = Path(name).is_dir()
    try:
        with redirect_stderr(StringIO()):
            model = library.CrossEncoder(
                name, local_files_only=local, model_kwargs={"use_safetensors": True}
            )
    except (OSError, ValueError, RuntimeError, ImportError) as error:
        raise BadInput(_cannot("re-ranker", name, error)) from error
    lock = Lock()

    def score(query: str, texts: Sequence[str]) -> list[float]:
        with lock:
            scores = model.predict([(query, text) for text in texts], show_progress_bar=False)
        return [float(score) for score in scores]

    return score


def _library() -> Any:
    try:
        import sentence_transformers
    except ImportError as error:
        raise DependencyMissing(
            "text vectors need the packages of the models extra (sentence-transformers, torch); "
            "install them with: pip install 'celloquy[models]'"
        ) from error
    return sentence_transformers


def _cannot(what: str, name: str, error: Exception) -> str:
    reason = " ".join(str(error).split())[:200]
    return (
        f"no {what} can be loaded from {name!r} ({reason}); expected {BUNDLED!r}, a folder that "
        f"sentence-transformers saved with safetensors weights, or a hub id"
    )


def _fingerprint(model: Any) -> str:
    import torch

    digest = hashlib.sha256(str(model).encode())
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    return digest.hexdigest()


def _bfloat16_pays() -> bool:
    """Whether the processor multiplies bfloat16 itself; elsewhere it is slower than float32."""
    import torch

    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
