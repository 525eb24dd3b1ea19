"""Which gene is knocked out in these cells, or in this image: a model's prediction, never a fact.

Gives :class:`KnockedOut`, read from a folder that ``celloquy train knockout`` wrote, and
:func:`knocked_out`, the call for the agent. The language model gives each gene that it was trained
on a probability, after the question, the soft tokens of what is attached and the forced words "The
knocked out gene is"; it cannot name others, and says when nothing stands out. The same cells give
the same answer.

What a knock-out would do is another question (:mod:`encoders.perturbation.effect`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from data.errors import BadFile, BadInput
from encoders import checkpoint
from encoders.image import tokens as image
from encoders.knockout.multimodal import Asked, MultimodalModel
from encoders.knockout.panel import MOST, Panel, pooled
from encoders.language import BUNDLED, LanguageModel
from encoders.language import load as load_language
from encoders.prediction import Measured, Predicted, Prediction

if TYPE_CHECKING:
    import scipy.sparse as sp
    from numpy.typing import NDArray

    from encoders.image.pictures import Pictures

__all__ = [
    "IMAGE_ENCODER",
    "NONE",
    "PREFIX",
    "QUESTION",
    "Calibration",
    "KnockedOut",
    "answer_of",
    "knocked_out",
]

QUESTION = "Which gene is knocked out?"
PREFIX = " The knocked out gene is"
"""Forced before every answer of stage 1."""

NONE = "none"
"""What the model says of control cells."""

STANDS_OUT = 2.0
"""Times as probable as by chance; below that the first answer does not stand out.

By chance: its share in training, or all answers alike, whichever is more. Not measured: a threshold
for a reader, who is given the probability beside it.
"""

_NAME = "knockout"
_VERSION = 3
IMAGE_ENCODER = "image-encoder"
"""Folder of a vision transformer that was trained with the model."""

_MOST_PROMPTS = 16  # pseudo-cells, or images, that are asked about one by one


def answer_of(gene: str) -> str:
    """As it stands after the prefix.

    >>> answer_of("STAT2")
    ' STAT2.'
    """
    return f" {gene}."


@dataclass(frozen=True, slots=True)
class Calibration:
    """What makes probabilities of a language model's scores: a scale, and a bias for each name.

    A language model likes some names better than others whatever it sees (T. Zhao et al. 2021,
    arXiv:2102.09690); how much, training inputs say. ``prior`` is the share of each name among
    training guides, or images: its probability where nothing is seen.
    """

    scale: float
    bias: Mapping[str, float]
    prior: Mapping[str, float] = field(default_factory=dict)

    def apply(self, names: Sequence[str], scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Scores [inputs, names], scaled and shifted; a name without a bias gets none."""
        found: NDArray[np.float64] = self.scale * scores + np.array(
            [self.bias.get(name, 0.0) for name in names]
        )
        return found


@dataclass(frozen=True, eq=False)
class KnockedOut:
    """A trained model with its encoders and its figures.

    ``labels`` are the genes that it knows, by modality, control cells among them as ``NONE``;
    ``measured`` holds one figure by modality, ``calibrations`` what makes probabilities of the
    language model's scores.
    """

    model: MultimodalModel
    labels: Mapping[str, tuple[str, ...]]
    measured: Mapping[str, Measured]
    panel: Panel | None = None
    images: image.ImageEncoder | None = None
    release: str = ""
    calibrations: Mapping[str, Calibration] = field(default_factory=dict)

    def features(
        self,
        values: sp.csr_matrix | NDArray[Any] | None = None,
        genes: Sequence[str] = (),
        pictures: Pictures | None = None,
    ) -> list[dict[str, torch.Tensor]]:
        """What is attached, as one or more inputs: groups of cells, images, or both.

        Raises
        ------
        BadInput
            When nothing is attached, or what is attached is not what the model was trained on.
        """
        cells: Any = [None]
        shown: Any = [None]
        if values is not None:
            if self.panel is None or not values.shape[0]:
                raise BadInput(
                    f"{values.shape[0]} cells were given to a model that was trained on "
                    f"{', '.join(self.labels)}; expected "
                    + ("at least one cell" if self.panel else "an image: --image FILE")
                )
            cells = self.panel.tokens(_groups(self.panel.scores(values, genes)))
        if pictures is not None:
            if self.images is None:
                raise BadInput(
                    "an image was given to a model that was trained on expression alone; expected "
                    "cells, or a model that was trained with --images"
                )
            shown = torch.from_numpy(self.images.encode(pictures))
        if values is None and pictures is None:
            raise BadInput("neither cells nor an image was given; expected one of them, or both")
        found = []
        for number in range(min(max(len(cells), len(shown)), _MOST_PROMPTS)):
            one, two = cells[number % len(cells)], shown[number % len(shown)]
            found.append({k: v for k, v in (("image", two), ("gene", one)) if v is not None})
        return found

    def log_probabilities(
        self, features: Sequence[Mapping[str, torch.Tensor]], passages: Sequence[str] = ()
    ) -> tuple[tuple[str, ...], NDArray[np.float64]]:
        """Candidates, and their log probabilities for each input, [inputs, candidates]."""
        used = sorted({name for one in features for name in one})
        names = tuple(sorted({label for name in used for label in self.labels[name]}))
        asked = [Asked(QUESTION, one, tuple(passages), PREFIX) for one in features]
        scores = self.model.choose(asked, [answer_of(name) for name in names])
        calibrated = [self.calibrations[name] for name in used if name in self.calibrations]
        if calibrated:
            scores = np.mean([one.apply(names, scores) for one in calibrated], axis=0)
        top = scores.max(1, keepdims=True)
        return names, scores - top - np.log(np.exp(scores - top).sum(1, keepdims=True))

    def predict(
        self,
        values: sp.csr_matrix | NDArray[Any] | None = None,
        genes: Sequence[str] = (),
        pictures: Pictures | None = None,
    ) -> Prediction:
        """The genes that may be knocked out, most probable first.

        Parameters
        ----------
        values
            log1p expression of the selected cells, [cells, genes]; None where there is none.
        genes
            Symbols of its columns.
        pictures
            An image of them, or several; None where there is none.
        """
        features = self.features(values, genes, pictures)
        names, logs = self.log_probabilities(features)
        mean = logs.mean(0)  # of the inputs: many of them make it no surer than one
        share = np.exp(mean - mean.max())
        share /= share.sum()
        order = np.argsort(-share, kind="stable")
        ranked = tuple(
            Predicted(names[i], "no gene (control cells)" if names[i] == NONE else names[i],
                      round(float(share[i]), 2))
            for i in order
        )  # fmt: skip
        used = {name for one in features for name in one}
        kind = "gene" if "gene" in used else "image"
        return Prediction(
            about="which gene is knocked out in " + _said(values, pictures),
            model="resampler and language model",
            release=self.release,
            unit=f"probability among the {len(names)} answers that the model was trained on",
            measured=self.measured[kind],
            ranked=ranked,
            notes=(*self._first(kind, ranked[0], len(names)), *self._limits(used, values, genes)),
            confidence=ranked[0].score if kind in self.calibrations else None,
        )

    def _first(self, kind: str, first: Predicted, many: int) -> list[str]:
        """What a reader must know of the first of so many answers."""
        found = []
        if first.id == NONE:
            found.append(
                "the cells are most like control cells: either nothing is knocked out, or what is "
                "leaves no trace in the genes that were measured"
                if kind == "gene"
                else "the image is most like those of control cells"
            )
        prior = self.calibrations[kind].prior if kind in self.calibrations else {}
        chance = max(prior.get(first.id, 0.0), 1 / many)
        if first.score < STANDS_OUT * chance:
            called = "control cells" if first.id == NONE else first.id
            found.append(f"nothing stands out: {called} has the probability {first.score:.2f}, and "
                         f"{chance:.2f} by chance")  # fmt: skip
        return found

    def _limits(
        self,
        used: set[str],
        values: sp.csr_matrix | NDArray[Any] | None,
        genes: Sequence[str],
    ) -> tuple[str, ...]:
        found = ["it can name no gene that it was not trained on"]
        if values is not None and self.panel is not None:
            if values.shape[0] < MOST:
                found.append(
                    f"it was measured on groups of about {MOST} cells; of fewer it can tell less, "
                    "of single cells nothing where that was measured"
                )
            missing = len(set(self.panel.genes) - set(genes))
            if missing:
                found.append(f"{missing} of its {len(self.panel.genes)} genes are not in the file "
                             "and count as unchanged")  # fmt: skip
        if len(used) > 1:
            shared = set(self.labels["gene"]) & set(self.labels["image"]) - {NONE}
            found.append(
                f"cells and image were read together; {len(shared)} genes were trained on in both, "
                "and the figure is that of cells alone"
            )
        return tuple(found)

    # --- keeping -------------------------------------------------------------------------------

    def save(self, folder: Path, *, images: str | None = None, about: Any = None) -> None:
        """Write labels, figures and the panel; the model's own files are written beside it.

        ``images`` names the image encoder where it was not trained here.
        """
        if self.panel is not None:
            checkpoint.save(
                folder, "panel", self.panel.tensors(), {"genes": list(self.panel.genes)}
            )
        document = {
            "version": _VERSION,
            "labels": {k: list(v) for k, v in self.labels.items()},
            "measured": {k: asdict(v) for k, v in self.measured.items()},
            "images": images,
            "calibrations": {k: asdict(v) for k, v in self.calibrations.items()},
            "about": about or {},
        }
        text = json.dumps(document, indent=1, ensure_ascii=False) + "\n"
        (folder / f"{_NAME}.json").write_text(text, encoding="utf-8")

    @classmethod
    def load(cls, folder: Path, language: LanguageModel | None = None) -> KnockedOut:
        """Read a folder that ``celloquy train knockout`` wrote.

        Raises
        ------
        BadFile
            When it holds no such model, or one for another language model or image encoder.
        """
        path = folder / f"{_NAME}.json"
        try:
            document = json.loads(path.read_text("utf-8"))
            labels = {k: tuple(v) for k, v in document["labels"].items()}
            measured = {k: Measured(**v) for k, v in document["measured"].items()}
            fitted = {k: Calibration(**v) for k, v in document["calibrations"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BadFile(
                f"{folder} holds no model of knock-outs ({error}); expected a folder that "
                "`celloquy train knockout` wrote"
            ) from None
        checkpoint.expect(document, {"version": _VERSION}, str(folder), "train it again")
        model, about = MultimodalModel.load(folder, language or load_language(BUNDLED))
        panel = encoder = None
        if "gene" in labels:
            tensors, own = checkpoint.load(folder, "panel")
            panel = Panel.of(own["genes"], tensors)
        if "image" in labels:
            encoder = image.load(document["images"] or folder / IMAGE_ENCODER)
            checkpoint.expect(
                encoder.identity, about["encoder"].get("image", {}), "the image encoder",
                "use the one that the model was trained with",
            )  # fmt: skip
        return cls(model, labels, measured, panel, encoder, str(about["sha256"])[:12], fitted)


@lru_cache(maxsize=2)
def _loaded(folder: Path) -> KnockedOut:
    return KnockedOut.load(folder)


def knocked_out(
    folder: Path,
    values: sp.csr_matrix | NDArray[Any] | None = None,
    genes: Sequence[str] = (),
    pictures: Pictures | None = None,
) -> Prediction:
    """Which gene is knocked out, by the model in a folder; see :meth:`KnockedOut.predict`."""
    return _loaded(Path(folder).resolve()).predict(values, genes, pictures)


def _groups(scores: NDArray[np.float32]) -> NDArray[np.float32]:
    """Cells as pseudo-cells of about ``MOST``, every n-th cell in each."""
    many = min(_MOST_PROMPTS, max(1, round(len(scores) / MOST)))
    return np.stack([pooled(scores[start::many]) for start in range(many)])


def _said(values: Any, pictures: Pictures | None) -> str:
    parts = []
    if values is not None:
        count = int(values.shape[0])
        parts.append(f"{count:,} cell{'s' if count > 1 else ''}")
    if pictures is not None:
        count = len(pictures)
        parts.append(f"{count:,} image{'s' if count > 1 else ''}")
    return " and ".join(parts)
