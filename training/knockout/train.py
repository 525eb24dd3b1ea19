"""Which gene is knocked out: resamplers learn to tell it to a frozen language model.

Stage 1, in which neither encoders nor language model change. Expression starts as its panel's log
odds in words (:func:`training.knockout.start.point`); images start at random, and by

:func:`align`
    in token space, a few milliseconds a step: the j-th soft token is drawn to the embedding of the
    j-th word piece of the gene's name (symmetric InfoNCE's rows, A. van den Oord et al. 2018,
    arXiv:1807.03748, over all names; what is right is the gene). Repeating what stands in the
    prompt is what a language model does unasked.

Then, through the language model, both by

:func:`teach`
    expression: what the language model gives each answer after "The knocked out gene is" is drawn
    to what the panel gives it (distillation, G. Hinton et al. 2015, arXiv:1503.02531). The panel of
    a training guide never saw that guide, so that it is no surer than it will be of new ones.
    Images: cross-entropy of ``The knocked out gene is {GENE}.``.

Stage 2, low-rank layers of the language model and the resamplers together, is
:mod:`training.knockout.tuning`. Expression is drawn as pseudo-cells of 1 to 50 cells of one guide,
all guides alike, so that one model reads single cells and groups; images with their flips and
turns.
"""

from __future__ import annotations

import copy
import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.image.resampler import Resampler, ResamplerConfig
from encoders.knockout.answers import Answers
from encoders.knockout.knocked import PREFIX, QUESTION, answer_of
from encoders.knockout.multimodal import Asked, MultimodalModel
from encoders.knockout.panel import MOST, along, pooled
from encoders.language import LanguageModel
from training.instruct import loss_of
from training.knockout.data import Labels
from training.knockout.panel import FittedPanel
from training.knockout.start import pieces
from training.loop import History, LoopConfig, fit

__all__ = [
    "ExpressionSource",
    "ImageSource",
    "KnockoutConfig",
    "PairedSource",
    "Source",
    "align",
    "build",
    "name_targets",
    "teach",
    "unread",
]


LEFT_OUT = 6
"""Every n-th training guide is kept from teaching, and tells when it was best."""

ORDER = 1.0
"""Weight of the order of unlikely names in what is taught."""

UNLIKELY = 0.005
"""Added to the panel's probabilities: how much less likely than that an answer is, is not taught;
beside such names the differences between the others would hardly count."""

DEVELOPED = 32
"""Pseudo-cells of these guides, at each look."""

_RUNS = ("align", "teach", "teach_images")


@dataclass(frozen=True, slots=True)
class KnockoutConfig:
    """Everything that stage 1 is made with.

    Parameters
    ----------
    tokens
        Soft tokens that say a name: the names of genes have two to four word pieces.
    sharp
        What the panel's log odds are multiplied by in each group of so many tokens; 0 for one that
        adds words up by them.
    width, heads, dropout
        Of the resamplers; that of expression, whose inputs never end, drops nothing out.
    sizes
        Cells of a pseudo-cell, each as likely.
    batch, cells_batch, align_batch
        Inputs a step: through the language model images, and pseudo-cells; in token space.
    temperature
        Of the contrast in token space, BioVERSE's.
    taught
        What the panel's log odds are multiplied by where the language model is drawn to them: most
        are so small that beside them its own rounding would count.
    align, teach, teach_images
        The runs. A resampler is small beside its data: it is held back by weight decay.
    """

    tokens: int = 4
    sharp: tuple[float, ...] = (8.0, 0.0)
    width: int = 128
    heads: int = 4
    dropout: float = 0.1
    sizes: tuple[int, ...] = (1, 5, 20, MOST, MOST)
    batch: int = 16
    cells_batch: int = 8
    align_batch: int = 64
    temperature: float = 0.07
    taught: float = 2.0
    align: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=200, learning_rate=1e-3, weight_decay=0.1, warmup=0.05, threads=1
        )
    )
    teach: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=600, learning_rate=2e-3, weight_decay=0.01, warmup=0.1, save_every=20,
            develop_every=50, threads=1,
        )
    )  # fmt: skip
    teach_images: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=15, learning_rate=5e-4, weight_decay=0.1, warmup=0.1, save_every=5, threads=1
        )
    )


class Source(Protocol):
    """Inputs with their labels, drawn at random."""

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that it has."""
        ...

    def draw(
        self, draw: np.random.Generator, n: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[str]]:
        """N inputs as features by modality, and their labels."""
        ...

    def digest(self) -> str:
        """What tells it from others."""
        ...


class _Labelled:
    """What has a label for each of its inputs."""

    labels: Labels

    @property
    def names(self) -> tuple[str, ...]:
        """The labels that it has."""
        return tuple(sorted(set(self.labels)))


class ExpressionSource(_Labelled):
    """Pseudo-cells of a screen: a guide, all alike, then some of its cells."""

    def __init__(
        self,
        fitted: FittedPanel,
        scores: NDArray[np.float32],
        labels: Labels,
        guides: Labels,
        sizes: Sequence[int],
    ) -> None:
        self.fitted, self.scores, self.labels, self.sizes = fitted, scores, labels, tuple(sizes)
        pairs = list(zip(labels, guides, strict=True))
        places = {pair: i for i, pair in enumerate(sorted(set(pairs)))}
        self.groups = np.array([places[pair] for pair in pairs])
        self.rows = [np.flatnonzero(self.groups == i) for i in range(len(places))]

    def shares(self) -> dict[str, float]:
        """How many of the guides are of each label."""
        own = [str(self.labels[rows[0]]) for rows in self.rows]
        return {name: own.count(name) / len(own) for name in self.names}

    def split(self, every: int) -> tuple[ExpressionSource, ExpressionSource]:
        """Without every n-th guide, and these alone: teaching stops by what it does to them."""
        kept = copy.copy(self)
        left = copy.copy(self)
        kept.rows = [rows for i, rows in enumerate(self.rows) if i % every]
        left.rows = self.rows[::every]
        return kept, left

    def cells(self, draw: np.random.Generator, n: int) -> list[NDArray[np.int64]]:
        """The cells of n pseudo-cells."""
        found = []
        for guide in draw.integers(0, len(self.rows), n):
            rows = self.rows[guide]
            size = min(int(draw.choice(self.sizes)), len(rows))
            found.append(draw.choice(rows, size, replace=False))
        return found

    def draw(
        self, draw: np.random.Generator, n: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[str]]:
        """N pseudo-cells."""
        drawn = self.cells(draw, n)
        parts = [int(self.fitted.part[rows[0]]) for rows in drawn]
        found: list[dict[str, torch.Tensor]] = [{} for _ in drawn]
        for part in set(parts):
            some = [i for i, one in enumerate(parts) if one == part]
            statistics = np.stack([pooled(self.scores[drawn[i]]) for i in some])
            for i, tokens in zip(some, self.fitted.of(part).tokens(statistics), strict=True):
                found[i] = {"gene": tokens}
        return found, [str(self.labels[rows[0]]) for rows in drawn]

    def digest(self) -> str:
        """Of the scores, the directions and the labels."""
        panel = self.fitted.panel
        found = hashlib.sha256(self.scores.tobytes() + panel.directions.tobytes())
        found.update(panel.offset.tobytes())
        found.update("\x1f".join(map(str, self.labels)).encode() + self.groups.tobytes())
        return found.hexdigest()[:16]


class ImageSource(_Labelled):
    """Images as the tokens [n, v, t, d] of their v flips and turns."""

    def __init__(self, tokens: NDArray[np.float32], labels: Labels) -> None:
        self.tokens, self.labels = tokens, labels

    def draw(
        self, draw: np.random.Generator, n: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[str]]:
        """N images, each turned or flipped some way."""
        which = draw.integers(0, len(self.tokens), n)
        turned = draw.integers(0, self.tokens.shape[1], n)
        found = [{"image": torch.from_numpy(self.tokens[i, v])}
                 for i, v in zip(which, turned, strict=True)]  # fmt: skip
        return found, [str(self.labels[i]) for i in which]

    def shares(self) -> dict[str, float]:
        """How many of the images are of each label."""
        return {name: float((self.labels == name).mean()) for name in self.names}

    def digest(self) -> str:
        """Of the tokens and the labels."""
        found = hashlib.sha256(np.ascontiguousarray(self.tokens).tobytes())
        found.update("\x1f".join(map(str, self.labels)).encode())
        return found.hexdigest()[:16]


class PairedSource(_Labelled):
    """Genuine pairs: the same row of two sources' features; each modality is left out at times.

    A third of the inputs have both, a third each one alone, so that one model answers from
    whatever is there.
    """

    def __init__(
        self, image: NDArray[np.float32], gene: NDArray[np.float32], labels: Labels
    ) -> None:
        self.image, self.gene, self.labels = image, gene, labels

    def draw(
        self, draw: np.random.Generator, n: int
    ) -> tuple[list[dict[str, torch.Tensor]], list[str]]:
        """N pairs or halves of pairs."""
        found, labels = [], []
        for i in draw.integers(0, len(self.labels), n):
            turned = int(draw.integers(0, self.image.shape[1]))
            left_out = int(draw.integers(0, 3))
            both = {
                "image": torch.from_numpy(self.image[i, turned]),
                "gene": torch.from_numpy(self.gene[i]),
            }
            found.append({k: v for place, (k, v) in enumerate(both.items()) if place != left_out})
            labels.append(str(self.labels[i]))
        return found, labels

    def digest(self) -> str:
        """Of both features and the labels."""
        found = hashlib.sha256(self.image.tobytes() + self.gene.tobytes())
        found.update("\x1f".join(map(str, self.labels)).encode())
        return found.hexdigest()[:16]


def build(
    language: LanguageModel,
    widths: Mapping[str, int],
    config: KnockoutConfig,
    seed: int = 0,
    pointed: Collection[str] = (),
) -> MultimodalModel:
    """A new model with a resampler for each modality of ``widths`` (that of its features).

    Those in ``pointed`` get a pointer, and tokens for each of ``config.sharp``.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        resamplers = {
            name: Resampler(
                ResamplerConfig(
                    width, language.width,
                    config.tokens * (len(config.sharp) if name in pointed else 1),
                    config.width, config.heads, 1, 0.0 if name in pointed else config.dropout,
                    language.scale, name in pointed,
                )
            )
            for name, width in widths.items()
        }  # fmt: skip
        return MultimodalModel(language, resamplers).eval()


def name_targets(language: LanguageModel, names: Sequence[str], tokens: int) -> torch.Tensor:
    """The directions of the first word pieces of each name, then of the end, [c, tokens, w]."""
    return torch.nn.functional.normalize(pieces(language, names, tokens), dim=-1)


def token_logits(
    model: MultimodalModel, inputs: Sequence[Mapping[str, torch.Tensor]], targets: torch.Tensor
) -> torch.Tensor:
    """Mean cosine of each input's soft tokens to those of each name, [b, c].

    Where an input has both modalities, the mean over the two.
    """
    total = torch.zeros(len(inputs), len(targets), device=targets.device)
    count = torch.zeros(len(inputs), 1, device=targets.device)
    for name in model.resamplers:
        rows = [i for i, one in enumerate(inputs) if name in one]
        if rows:
            soft = model.soft(name, [inputs[i][name] for i in rows])
            near = torch.nn.functional.normalize(soft.float(), dim=-1)
            # Each group of tokens says a name.
            groups = near.reshape(len(rows), -1, targets.shape[1], near.shape[-1])
            found = torch.einsum("bgkw,ckw->bgc", groups, targets).mean(1) / targets.shape[1]
            at = torch.tensor(rows, device=targets.device)
            total = total.index_add(0, at, found)
            count = count.index_add(0, at, torch.ones_like(found[:, :1]))
    return total / count.clamp(min=1)


def unread(
    model: MultimodalModel,
    inputs: Sequence[Mapping[str, torch.Tensor]],
    names: Sequence[str],
    tokens: int,
) -> torch.Tensor:
    """How each name is ranked before the language model reads, [b, c].

    By the panel's log odds, or in token space where there is an image.
    """
    if all(set(one) == {"gene"} for one in inputs) and _pointed(model, "gene"):
        return along(torch.stack([one["gene"] for one in inputs]))
    with torch.inference_mode():
        return token_logits(model, inputs, name_targets(model.language, names, tokens))


def contrast(
    model: MultimodalModel,
    sources: Sequence[Source],
    names: Sequence[str],
    targets: torch.Tensor,
    config: KnockoutConfig,
    batch: int,
) -> torch.Tensor:
    """The loss in token space, of a batch of each source; milliseconds."""
    total = torch.zeros(())
    for place, source in enumerate(sources):
        draw = np.random.default_rng([config.align.seed, batch, place])
        inputs, labels = source.draw(draw, config.align_batch)
        among = [names.index(one) for one in source.names]
        logits = token_logits(model, inputs, targets[among]) / config.temperature
        right = torch.tensor([source.names.index(one) for one in labels])
        total = total + torch.nn.functional.cross_entropy(logits, right)
        # The contrast alone says which name is nearer, not that it is near.
        near = logits.gather(1, right.unsqueeze(1)) * config.temperature
        total = total + (1 - near).mean()
    return total / len(sources)


def align(
    model: MultimodalModel,
    sources: Sequence[Source],
    config: KnockoutConfig,
    folder: Path | None = None,
    *,
    show: bool = False,
) -> History:
    """Draw soft tokens to the words of the right names; the model is changed in place."""
    names = sorted({name for one in sources for name in one.names})
    targets = name_targets(model.language, names, config.tokens)
    own = {
        name: one for name, one in model.named_parameters()
        if name.startswith("resamplers") and not _pointed(model, name.split(".")[1])
    }  # fmt: skip

    def step(batch: int) -> torch.Tensor:
        return contrast(model, sources, names, targets, config, batch)

    return _run(model, own, step, config.align, sources, config, folder, "align", show)


def teach(
    model: MultimodalModel,
    sources: Sequence[Source],
    config: KnockoutConfig,
    folder: Path | None = None,
    *,
    show: bool = False,
    seconds: float | None = None,
) -> History:
    """Through the frozen language model; changed in place.

    Of expression every sixth guide is left out: the parameters that are kept are those with which
    the language model is nearest to the panel on these. Beside the cross-entropy of images the
    contrast goes on: without it the few steps that a processor can afford through the language
    model undo more than they teach (docs/experiments/knockout.md).
    """
    model.language.model.requires_grad_(False)
    expression = {i: one for i, one in enumerate(sources) if isinstance(one, ExpressionSource)}
    loop = config.teach if expression else config.teach_images
    shown = [one for one in sources if isinstance(one, ImageSource | PairedSource)]
    names = sorted({name for one in shown for name in one.names})
    targets = name_targets(model.language, names, config.tokens) if shown else None
    trees = {i: Answers(model.language, [answer_of(name) for name in one.names])
             for i, one in expression.items()}  # fmt: skip
    halves = {i: one.split(LEFT_OUT) for i, one in expression.items()}

    def step(batch: int) -> torch.Tensor:
        place = batch % len(sources)
        draw = np.random.default_rng([loop.seed, batch, 1_000])
        if place in halves:
            inputs, _ = halves[place][0].draw(draw, config.cells_batch)
            return distance(model, trees[place], inputs, config.taught)
        inputs, labels = sources[place].draw(draw, config.batch)
        asked = [
            Asked(QUESTION, one, (), PREFIX, answer_of(label))
            for one, label in zip(inputs, labels, strict=True)
        ]
        learnt = loss_of(model.language, model.assemble(asked))
        if targets is None:
            return learnt
        return learnt + contrast(model, shown, names, targets, config, 100_000 + batch)

    def develop() -> float:
        total = 0.0
        model.eval()
        with torch.inference_mode():
            for place, (_, left) in halves.items():
                draw = np.random.default_rng([loop.seed, 4_000])
                inputs, _ = left.draw(draw, DEVELOPED)
                total -= float(distance(model, trees[place], inputs, config.taught))
        model.train()
        return total

    own = dict(model.named_parameters())
    return _run(model, own, step, loop, sources, config, folder, "teach", show, seconds,
                develop if loop.develop_every and halves else None)  # fmt: skip


def distance(
    model: MultimodalModel,
    answers: Answers,
    inputs: Sequence[Mapping[str, torch.Tensor]],
    taught: float,
) -> torch.Tensor:
    """How far what the language model gives the answers is from what the panel gives them.

    The divergence, how unlikely any of the answers is, and the differences of centred log
    probabilities (the limit of distillation at high temperatures; squares where they are small,
    P. Huber 1964), for which names that are unlikely count as well: without them these come in no
    order (docs/experiments/knockout.md).
    """
    scores = answers.scores(model.assemble([Asked(QUESTION, one, (), PREFIX) for one in inputs]))
    odds = along(torch.stack([one["gene"] for one in inputs]).to(scores.among))
    wanted = taught * torch.log(odds.softmax(-1) + UNLIKELY)
    apart = (scores.among - scores.among.mean(1, keepdim=True)
             - wanted + wanted.mean(1, keepdim=True))  # fmt: skip
    divergence = torch.nn.functional.kl_div(
        scores.among, wanted.log_softmax(-1), reduction="batchmean", log_target=True
    )
    order = torch.nn.functional.smooth_l1_loss(apart, torch.zeros_like(apart))
    return divergence - scores.free.logsumexp(1).mean() + ORDER * order


def _pointed(model: MultimodalModel, name: str) -> bool:
    resampler = model.resamplers[name]
    return isinstance(resampler, Resampler) and resampler.config.pointed


def _run(
    model: MultimodalModel,
    parameters: Mapping[str, torch.nn.Parameter],
    step: Any,
    loop: LoopConfig,
    sources: Sequence[Source],
    config: KnockoutConfig,
    folder: Path | None,
    name: str,
    show: bool,
    seconds: float | None = None,
    develop: Any = None,
) -> History:
    if not sources:
        raise BadInput("there is nothing to learn from; expected cells or images of a screen")
    options = {k: v for k, v in asdict(config).items() if k not in _RUNS}
    about = {
        "stage": name,
        "config": options,
        "sources": [one.digest() for one in sources],
        "start": digest_of(model),
        "language": model.language.identity,
    }
    model.train()
    try:
        return fit(
            parameters, step, lambda number: number, loop, folder / name if folder else None,
            develop=develop, about=about, show=show, seconds=seconds,
        )  # fmt: skip
    finally:
        model.eval()


def digest_of(model: MultimodalModel) -> str:
    """What tells a model's parameters from others."""
    found = hashlib.sha256()
    for name, tensor in sorted(model.state_dict().items()):
        found.update(name.encode() + tensor.detach().float().cpu().numpy().tobytes())
    return found.hexdigest()[:16]
