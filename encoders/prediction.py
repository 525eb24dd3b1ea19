"""What a model predicts, and how good it was measured to be: one form for every model.

Perturbation, knock-out and bridge give their answers as a :class:`Prediction`. Nothing here makes
one; a prediction without its measurement cannot be made, so that none is ever shown as a fact.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Measured", "Predicted", "Prediction"]


@dataclass(frozen=True, slots=True)
class Measured:
    """One figure of a model beside the best trivial baseline, on data that it was not trained on.

    ``figure`` names the score and what it is over ("mean reciprocal rank over left-out genes"),
    ``data`` on what, ``n`` how many were scored, ``spread`` its standard deviation over splits or
    seeds, None where there is one run. Of every figure more is better.
    """

    figure: str
    value: float
    baseline: str
    baseline_value: float
    data: str
    n: int
    spread: float | None = None

    def sentence(self) -> str:
        """For a reader: "mean reciprocal rank .36 +- .01 on GOA (n = 900); kNN-20 .36"."""
        spread = "" if self.spread is None else f" ± {self.spread:.3f}"
        return (
            f"{self.figure} {self.value:.3f}{spread} on {self.data} (n = {self.n:,}); "
            f"{self.baseline} {self.baseline_value:.3f}"
            + (", which is no worse" if self.baseline_value >= self.value else "")
        )


@dataclass(frozen=True, slots=True)
class Predicted:
    """One candidate of a ranking: an id (CURIE) with its label, or a gene, and its score.

    ``uncertainty`` is in the units of the score; None where the model has none that was measured
    to go with its error.
    """

    id: str
    label: str
    score: float
    uncertainty: float | None = None


@dataclass(frozen=True, slots=True)
class Prediction:
    """A model's answer, best first.

    ``about`` is what was asked, in words; ``unit`` what the scores are (a probability, a change of
    log1p expression, a cosine); ``model`` its name, ``release`` the version or the first 12 hex
    digits of its weights' sha256. ``notes`` are limits the reader must know. ``confidence`` is the
    probability that the first is right, of a model whose probabilities were made to mean that
    (:mod:`encoders.knockout.knocked`); None of any other: a score is none. ``observed`` says, in
    words, what was measured of the same thing and kept from the model; it is no part of what is
    predicted.
    """

    about: str
    model: str
    release: str
    unit: str
    measured: Measured
    ranked: tuple[Predicted, ...]
    notes: tuple[str, ...] = ()
    confidence: float | None = None
    observed: str = ""
