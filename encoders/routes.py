"""Which kind of question a wording is: a linear classifier over sentence vectors.

Gives :class:`RouteClassifier`, for questions that no rule accounts for. It reads a question whose
terms are replaced by others of their kind, always the same (:func:`masked`), so that it learns
wordings and no biology, and answers with a kind of question and its probability, or with none. A
likely kind is not enough: a word that no wording of that kind has, nor one near it, may turn the
question into another ("which markers of T cells are druggable"); :meth:`Guess.strange` names such
words. Weights are ``data/weights/router``, made by ``training/route_classifier.py``. Knows no
graph, no tool and no name of anything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import data as _data
from encoders import checkpoint, text

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    class Sentences(Protocol):
        """What turns texts into unit vectors."""

        def encode(self, texts: Sequence[str]) -> NDArray[np.float32]:
            """Shape [texts, width]."""


__all__ = [
    "NONE",
    "REVERSED",
    "SHIPPED",
    "STANDING",
    "Guess",
    "RouteClassifier",
    "load",
    "masked",
    "save",
]

SHIPPED = Path(_data.__file__).parent / "weights" / "router"
"""The weights that come with Celloquy."""

NAME = "router"
NONE = "none"
"""The label of questions that nothing answers."""
REVERSED = "~"
"""What a label ends with where the question names the tool's second term first."""

STANDING = {
    "C": ("lymphocyte", "neuron"),
    "A": ("liver", "kidney"),
    "D": ("diabetes", "asthma"),
    "H": ("fever", "pain"),
    "G": ("CD19", "GFAP"),
    "P": ("apoptosis", "phagocytosis"),
    "F": ("kinase activity", "binding"),
    "L": ("nucleus", "membrane"),
    "O": ("thing", "object"),
}
"""What stands in a wording for a term, by the letter of its category: a name of that kind, for
sentence encoders know sentences and no slots. The second is for the second term of a question."""


def masked(parts: Sequence[tuple[str, str]]) -> str:
    """A question with other names in place of its own: text and letters of categories by turns.

    >>> masked([("Is a ", "C"), (" near a ", "C"), ("?", "")])
    'Is a lymphocyte near a neuron?'
    """
    place = 0
    text = ""
    for before, letter in parts:
        text += before
        if letter:
            text += STANDING[letter][min(place, 1)]
            place += 1
    return text


@dataclass(frozen=True, slots=True)
class Guess:
    """A kind of question with its probability.

    ``reversed`` is whether the tool's second term comes first in the question; ``strange`` are
    the words asked about that are near no word of that kind's wordings.
    """

    tool: str
    probability: float
    reversed: bool = False
    strange: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False)
class RouteClassifier:
    """Softmax over kinds of question.

    Parameters
    ----------
    labels
        One for each row of the weights; :data:`NONE` among them.
    weight, bias
        Shapes [labels, width] and [labels].
    words
        Words of the wordings, of all labels together.
    word_vectors
        Shape [words, width], unit rows.
    own
        By label the places of its words in ``words``.
    threshold
        Probability from which a guess is used.
    nearness
        Cosine from which a word counts as one of a kind's words.
    encoder
        Of sentences; must be the one that the weights were made with.
    """

    labels: tuple[str, ...]
    weight: NDArray[np.float32]
    bias: NDArray[np.float32]
    words: tuple[str, ...]
    word_vectors: NDArray[np.float32]
    own: dict[str, tuple[int, ...]]
    threshold: float
    nearness: float
    encoder: Sentences

    def probabilities(self, texts: Sequence[str]) -> NDArray[np.float32]:
        """Probabilities of the labels.

        Parameters
        ----------
        texts
            Masked questions.

        Returns
        -------
        ndarray
            Shape [texts, labels].
        """
        import numpy as np

        logits = self.encoder.encode(texts) @ self.weight.T + self.bias  # [texts, labels]
        raised = np.exp(logits - logits.max(axis=1, keepdims=True))
        chances: NDArray[np.float32] = raised / raised.sum(axis=1, keepdims=True)
        return chances

    def sure(self, guess: Guess) -> bool:
        """Whether a guess is likely enough to be used; more is asked where order decides."""
        needed = self.threshold
        if f"{guess.tool}{REVERSED}" in self.labels:
            needed = (1 + needed) / 2  # taking one order for the other turns the answer round
        return guess.probability >= needed

    def __call__(self, question: str, asked: Sequence[str]) -> Guess:
        """Guess the kind of a question.

        Parameters
        ----------
        question
            Masked.
        asked
            Its words that mean something, in their ground form.
        """
        chances = self.probabilities([question])[0]
        best = int(chances.argmax())
        label = self.labels[best]
        tool = label.removesuffix(REVERSED)
        return Guess(tool, float(chances[best]), label != tool, self._strange(tool, asked))

    def _strange(self, tool: str, asked: Sequence[str]) -> tuple[str, ...]:
        own = self.own.get(tool, ())
        known = {self.words[i] for i in own}
        new = [word for word in dict.fromkeys(asked) if word not in known]
        if not new or not own:
            return tuple(new)
        near = (self.encoder.encode(new) @ self.word_vectors[list(own)].T).max(axis=1)
        return tuple(w for w, cosine in zip(new, near, strict=True) if cosine < self.nearness)


def save(folder: Path, classifier: RouteClassifier, document: dict[str, Any]) -> str:
    """Write weights and provenance; returns the sha256 of the tensors."""
    import torch

    tensors = {
        "weight": torch.from_numpy(classifier.weight).float(),
        "bias": torch.from_numpy(classifier.bias).float(),
        "words": torch.from_numpy(classifier.word_vectors).half(),
    }
    fixed = {
        "labels": list(classifier.labels),
        "words": list(classifier.words),
        "own": {label: list(places) for label, places in classifier.own.items()},
        "threshold": classifier.threshold,
        "nearness": classifier.nearness,
        "encoder": text.BUNDLED,
        "width": int(classifier.weight.shape[1]),
    }
    return checkpoint.save(folder, NAME, tensors, {**document, **fixed})


@lru_cache(maxsize=1)
def load(folder: Path = SHIPPED) -> RouteClassifier:
    """Open a classifier with its sentence encoder, once a process.

    Raises
    ------
    DependencyMissing
        Without the ``models`` extra.
    AssetMissing
        When the sentence encoder was not fetched.
    BadFile
        When the weights are missing or not whole.
    """
    encoder = text.load()  # first: without torch there is one clear message
    tensors, document = checkpoint.load(folder, NAME)
    vectors = tensors["words"].float().numpy()
    return RouteClassifier(
        labels=tuple(document["labels"]),
        weight=tensors["weight"].numpy(),
        bias=tensors["bias"].numpy(),
        words=tuple(document["words"]),
        word_vectors=vectors,
        own={label: tuple(places) for label, places in document["own"].items()},
        threshold=document["threshold"],
        nearness=document["nearness"],
        encoder=encoder,
    )
