"""The trained bridge: from a gene's features to the place of the terms that it is linked to.

After BioBridge (Z. Wang et al., ICLR 2024, arXiv:2310.03320): the features of a head node are
projected and, with embeddings of its type, of the relation and of the tail's type, go through a
small transformer whose first position is read, with a residual: ``h = out_0 + x_0``. A tail is near
where the cosine of ``h`` to its projected features is high. With one layer, as here, the first
position needs its own query alone, so that the other three are computed once a relation.

Celloquy's own: a bias and a learnt vector a tail beside its projected text, and all tails of the
type as negatives where the original draws five; ``training.bridge.train`` trains either way. This
module reads and applies what was trained, in numpy: no torch is loaded. Knows neither graph nor
gene.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput, DependencyMissing
from kg.terms import Curie

__all__ = ["HEADS", "NAME", "BridgeNet", "layer_norm"]

NAME = "bridge"
HEADS = 4
"""Attention heads; widths are multiples of it."""
VERSION = 1
_EPSILON = 1e-5  # torch's own for LayerNorm

Array = NDArray[np.float32]


@dataclass(frozen=True, eq=False)
class BridgeNet:
    """A trained bridge.

    ``tensors`` are the parameters by name; ``tail.RELATION`` [tails, d] are the tails, projected
    and of unit length, ``bias.RELATION`` [tails] what is added to their logits, ``text.RELATION``
    the projection of labels. ``tails`` are their ids by relation; ``document`` is what was written
    with them.
    """

    tensors: Mapping[str, Array]
    tails: Mapping[str, tuple[Curie, ...]]
    document: Mapping[str, Any]
    release: str

    @classmethod
    def load(cls, folder: Path) -> BridgeNet:
        """Read what ``celloquy train bridge`` wrote.

        Raises
        ------
        BadFile
            When the folder holds no such bridge, or its files do not belong together.
        """
        import hashlib

        try:
            from safetensors import SafetensorError
            from safetensors.numpy import load
        except ImportError:
            raise DependencyMissing(
                "safetensors is not installed; a trained bridge needs: "
                "pip install 'celloquy[models]'"
            ) from None
        path = folder / f"{NAME}.json"
        try:
            document = json.loads(path.read_text("utf-8"))
            content = path.with_suffix(".safetensors").read_bytes()
            release = hashlib.sha256(content).hexdigest()
            if document["sha256"] != release or document["version"] != VERSION:
                raise BadFile(
                    f"{folder} holds a bridge of another version, or files that do not belong "
                    "together; train it again"
                )
            tails = {name: tuple(ids) for name, ids in document.pop("tails").items()}
            tensors = {key: np.asarray(v, np.float32) for key, v in load(content).items()}
        except (OSError, ValueError, KeyError, TypeError, SafetensorError) as error:
            if isinstance(error, BadFile):
                raise
            raise BadFile(
                f"{folder} holds no trained bridge ({error}); expected the folder that "
                "'celloquy train bridge' wrote"
            ) from error
        return cls(tensors, tails, document, release)

    @property
    def relations(self) -> tuple[str, ...]:
        """What it was trained on, in the order of the embeddings."""
        return tuple(self.document["relations"])

    def heads(self, features: Array, relation: str) -> Array:
        """Where the tails of the heads lie: unit rows [n, d] from features [n, width]."""
        if relation not in self.relations:
            raise BadInput(
                f"the bridge was trained on {', '.join(self.relations)}, not on {relation!r}"
            )
        t, place = self.tensors, self.relations.index(relation)
        x = features @ t["project.weight"].T  # [n, d]
        constant = np.stack([
            _norm(t, "type_norm", t["types.weight"][0]),
            _norm(t, "relation_norm", t["relations.weight"][place]),
            _norm(t, "type_norm", t["types.weight"][1 + place]),
        ])  # [3, d]  # fmt: skip
        y = x + self._attention(_norm(t, "norm1", x), _norm(t, "norm1", constant))
        inner = _linear(t, "inner", _norm(t, "norm2", y))
        y = y + _linear(t, "outer", _gelu(inner))
        return _units(y + x)

    def _attention(self, x: Array, constant: Array) -> Array:
        """What position 0 takes from itself and from the three constant positions, [n, d]."""
        t, (n, d) = self.tensors, x.shape
        each = d // HEADS
        q = _linear(t, "query", x).reshape(n, 1, HEADS, each)
        own = _linear(t, "pair", x).reshape(n, 1, 2, HEADS, each)
        other = _linear(t, "pair", constant).reshape(1, 3, 2, HEADS, each)
        other = np.broadcast_to(other, (n, 3, 2, HEADS, each))
        both = np.concatenate([own, other], axis=1)  # [n, 4, 2, h, d/h]
        fit = (q * both[:, :, 0]).sum(-1) / math.sqrt(each)  # [n, 4, h]
        fit = np.exp(fit - fit.max(axis=1, keepdims=True))
        fit /= fit.sum(axis=1, keepdims=True)
        mixed = (fit[..., None] * both[:, :, 1]).sum(axis=1).reshape(n, d)
        return _linear(t, "out", mixed)

    def probabilities(self, features: Array, relation: str) -> NDArray[np.float64]:
        """How a link of each head falls on the tails, [n, tails]; rows have a sum of one."""
        logits = self.logits(features, relation)
        logits = np.exp(logits - logits.max(axis=1, keepdims=True))
        return np.asarray(logits / logits.sum(axis=1, keepdims=True))

    def unseen(self, features: Array, relation: str, texts: Array) -> NDArray[np.float64]:
        """Cosines [n, tails] to tails that the relation was not trained on, by their text alone.

        ``texts`` are unit vectors of their labels, centred as those of the training were.
        """
        tails = _units(np.asarray(texts @ self.tensors[f"text.{relation}"].T, np.float32))
        return np.asarray(self.heads(features, relation) @ tails.T, dtype=np.float64)

    def logits(self, features: Array, relation: str) -> NDArray[np.float64]:
        """Cosine over temperature, plus the bias of the tail, [n, tails]."""
        near = self.heads(features, relation) @ self.tensors[f"tail.{relation}"].T
        sharp = math.exp(float(self.tensors["log_scale"].reshape(-1)[0]))
        return np.asarray(near * sharp + self.tensors[f"bias.{relation}"], dtype=np.float64)


def layer_norm(x: Array, weight: Array, bias: Array) -> Array:
    """Rows with mean 0 and variance 1, scaled and moved."""
    mean = x.mean(axis=-1, keepdims=True)
    spread = x.var(axis=-1, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(spread + _EPSILON) * weight + bias, dtype=np.float32)


def _norm(tensors: Mapping[str, Array], name: str, x: Array) -> Array:
    return layer_norm(x, tensors[f"{name}.weight"], tensors[f"{name}.bias"])


def _linear(tensors: Mapping[str, Array], name: str, x: Array) -> Array:
    return np.asarray(x @ tensors[f"{name}.weight"].T + tensors[f"{name}.bias"], np.float32)


def _gelu(x: Array) -> Array:
    """With the error function, as torch's default."""
    from scipy.special import erf

    return np.asarray(0.5 * x * (1.0 + erf(x / math.sqrt(2.0))), dtype=np.float32)


def _units(rows: Array) -> Array:
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12))
