"""Stage 1: an encoder's cells are brought into a language model's space of words.

The language model and the encoder stay as they are; the projector, [Bt] and the marks are trained
(BioVERSE, IBM 2025), on three objectives:

==============  ==============================================================================
token           the mean of a cell's soft tokens against the mean token embedding of each text;
                needs no pass through the language model: thousands of steps in minutes
contextual      the mean last-layer state at the soft tokens and [Bt] against the mean state of
                each text
autoregressive  the cross-entropy of the label as the answer to the question, and
                ``token_weight`` times the token objective, so that its space is kept
==============  ==============================================================================

Targets are graded by the ontology (:mod:`training.positives`). The text side is frozen, so that it
is made once; a bank of the texts of all training terms is then exact, and the softmax need not
stop at the batch. Where the cells must pass through the language model, a batch may be encoded in
pieces (GradCache). Types of the development split are left out of training.

A linear projector starts from the mean cells of the types (:func:`from_means`): at a cell the texts
then score about what the mean cells score, and training goes on from there. Constants were chosen
on real cells of datasets that were left out of training (:mod:`training.align_choice`).
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.adapter import Prompt, SoftTokenModel
from encoders.aligned import ASK, Aligned, Space, SpaceConfig
from encoders.labels import TextKind, state_vectors, token_vectors
from encoders.projector import Kind, Projector, ProjectorConfig
from training.holdout import split_of_term
from training.loop import History, LoopConfig, fit
from training.losses import TEMPERATURE, GradedInfoNCE, grad_cache
from training.positives import Batches, Positives, PositivesConfig

if TYPE_CHECKING:
    from encoders.language import LanguageModel
    from kg.backoff import Hierarchy
    from kg.terms import Curie
    from training.profiles import CellSet

__all__ = ["AlignConfig", "Objective", "align", "defaults", "from_means", "untrained"]

Objective = Literal["token", "contextual", "autoregressive"]

_DEVELOP_CELLS = 2
"""Cells of a development type that are scored where each goes through the language model: a tenth
of a second a cell."""


@dataclass(frozen=True, slots=True)
class AlignConfig:
    """Everything that an alignment is made with; the defaults make the weights that ship.

    Parameters
    ----------
    objective
        What is compared.
    kind, tokens, hidden, bt, dropout
        Of the projector.
    text
        What is said of a term.
    centred
        Take the mean of the training texts from both sides.
    ridge
        Of the map from mean cells to texts that a linear projector starts with; None to start at
        random, as other kinds always do.
    bank
        Run the softmax over the texts of all training terms, not of the batch alone.
    token_weight
        Of the token objective beside the autoregressive one.
    temperature, learned, symmetric
        Of the contrastive loss.
    batch, each
        Cells a batch, and cells of a term in it.
    pieces
        Parts in which a batch passes through the language model, contextual objective only: the
        gradients of the whole batch in the memory of a part.
    positives
        The targets.
    loop
        The run.
    """

    objective: Objective = "token"
    kind: Kind = "linear"
    tokens: int = 2
    hidden: int = 1024
    bt: bool = True
    dropout: float = 0.1
    text: TextKind = "label"
    centred: bool = True
    ridge: float | None = 0.1
    bank: bool = True
    token_weight: float = 1.0
    temperature: float = 1 / 30
    learned: bool = True
    symmetric: bool = False
    batch: int = 64
    each: int = 2
    pieces: int = 1
    positives: PositivesConfig = field(default_factory=PositivesConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=1600, learning_rate=1e-3, save_every=400, threads=1
        )
    )

    def __post_init__(self) -> None:
        if self.pieces > 1 and (self.objective != "contextual" or self.loop.accumulation > 1):
            raise BadInput(
                f"{self.pieces} pieces of a batch, objective {self.objective}, accumulation "
                f"{self.loop.accumulation}; expected pieces with the contextual objective alone, "
                "and no accumulation"
            )


def defaults(objective: Objective) -> AlignConfig:
    """The config of an objective: through the language model a step takes 200 times as long."""
    if objective == "token":
        return AlignConfig()
    loop = LoopConfig(steps=300, learning_rate=3e-4, develop_every=0, save_every=20)
    return AlignConfig(objective=objective, batch=16, temperature=TEMPERATURE, loop=loop)


def _starts_from_means(config: AlignConfig) -> bool:
    return config.kind == "linear" and config.ridge is not None and config.objective != "contextual"


def untrained(
    language: LanguageModel, width: int, config: AlignConfig | None = None, seed: int = 0
) -> SoftTokenModel:
    """A soft-token model as it is before training: the baseline, and where training starts."""
    config = config or AlignConfig()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        projector = ProjectorConfig(
            width_in=width,
            width_out=language.width,
            tokens=config.tokens,
            kind=config.kind,
            hidden=config.hidden,
            bt=config.bt,
            dropout=config.dropout,
            # A map from the means has the texts' own length.
            scale=None if _starts_from_means(config) else language.scale,
        )
        return SoftTokenModel(language, Projector(projector))


def from_means(
    means: NDArray[np.float32],
    texts: NDArray[np.float32],
    centre: NDArray[np.float32],
    ridge: float,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """The linear map under which a cell scores texts about as it scores the types' mean cells.

    With unit texts K [n, w] and unit means C [n, d], W minimises |K W - C|^2 + ridge |W|^2, so that
    K (W x) is near to C x: the nearest centroid, carried into the space of words, where it says
    something of types without cells as well. Soft tokens are the centre and W x, which is brought
    to the mean length of what texts have beside the centre.

    Parameters
    ----------
    means
        The mean cell of each type, [n, d].
    texts
        What is said of each, neither centred nor of unit length, [n, w].
    centre
        What is taken from texts before they are compared, [w].
    ridge
        More of it gives a smoother map.

    Returns
    -------
    tuple
        Weight [w, d] and bias [w].
    """
    beside = texts - centre
    length = np.linalg.norm(beside, axis=1, keepdims=True)
    unit = (beside / np.maximum(length, 1e-12)).astype(np.float64)
    own = means / np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
    gram = unit.T @ unit + ridge * np.eye(unit.shape[1])
    weight = np.linalg.solve(gram, unit.T @ own)
    reached = np.linalg.norm(means @ weight.T, axis=1).mean()
    weight *= length.mean() / max(float(reached), 1e-12)
    return weight.astype(np.float32), centre.astype(np.float32)


def align(
    language: LanguageModel,
    cells: CellSet,
    texts: Mapping[Curie, str],
    hierarchy: Hierarchy,
    config: AlignConfig | None = None,
    folder: Path | None = None,
    *,
    unseen: frozenset[Curie] = frozenset(),
    start: SoftTokenModel | None = None,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[Aligned, History]:
    """Train a projector; where the folder holds a checkpoint of the same run, go on from there.

    Parameters
    ----------
    language
        Its parameters are frozen, and left as they were.
    cells
        Encoder vectors with their terms.
    texts
        What is said of each term that occurs.
    hierarchy
        The ontology.
    config
        The run.
    folder
        Of checkpoints and logs; None to keep nothing.
    unseen
        Held-out terms: refused among the cells.
    start
        Where training starts; a new projector if it is not given.
    seconds
        Stop, with a checkpoint, after so long; the history then says that it is not finished.
    show
        A bar on stderr.

    Raises
    ------
    BadInput
        When there are no cells to train on, a term has no text, or a held-out one is among them.
    """
    config = config or AlignConfig()
    if forbidden := sorted(set(cells.types) & unseen):
        raise BadInput(f"cells of held-out types were given ({forbidden[0]}); expected none")
    task = _Task(language, cells, texts, hierarchy, config)
    torch.manual_seed(config.loop.seed)
    width = cells.vectors.shape[1]
    model = start or task.begin(untrained(language, width, config, config.loop.seed))
    language.model.requires_grad_(False)
    contrast = GradedInfoNCE(config.temperature, learned=config.learned, symmetric=config.symmetric)
    parameters = dict(model.named_parameters())
    unused = config.objective == "autoregressive" and not config.token_weight
    if contrast.log_scale is not None and not unused:
        parameters["log_scale"] = contrast.log_scale
    aligned = task.aligned(model, float(contrast.scale.detach()))

    def develop() -> float:
        model.eval()
        score = task.develop(aligned)
        model.train()
        return score

    model.train()
    history = fit(
        parameters,
        task.step(model, contrast),
        Batches(task.labels, config.batch, config.each, seed=config.loop.seed),
        config.loop,
        folder,
        develop=develop if task.can_develop else None,
        about=task.about(cells),
        seconds=seconds,
        show=show,
    )
    model.eval()
    return task.aligned(model, float(contrast.scale.detach())), history


class _Task:
    """Cells and texts as arrays, and the loss of a batch of them."""

    def __init__(
        self,
        language: LanguageModel,
        cells: CellSet,
        texts: Mapping[Curie, str],
        hierarchy: Hierarchy,
        config: AlignConfig,
    ) -> None:
        known = sorted(set(cells.types))
        if missing := [term for term in known if term not in texts]:
            raise BadInput(f"{missing[0]} has cells and no text; expected a text for every term")
        self.config, self.language = config, language
        split = {term: split_of_term(term, ()) for term in known}
        self.terms = [term for term in known if split[term] == "train"]
        self.held = [term for term in known if split[term] == "dev"]
        if not self.terms:
            raise BadInput(f"no cells to train on among {len(cells)}; expected some terms of train")
        self.texts, self.held_texts = [texts[t] for t in self.terms], [texts[t] for t in self.held]
        place = {term: i for i, term in enumerate(self.terms)}
        self.rows = np.array([i for i, t in enumerate(cells.types) if t in place])
        self.labels = np.array([place[cells.types[i]] for i in self.rows])
        aside = {term: i for i, term in enumerate(self.held)}
        rows = [i for i, t in enumerate(cells.types) if t in aside]
        if config.objective == "contextual":
            rows = _few(rows, cells.types, _DEVELOP_CELLS)
        self.held_rows = np.array(rows, dtype=int)
        self.held_labels = np.array([aside[cells.types[i]] for i in self.held_rows], dtype=int)
        self.vectors = cells.vectors
        self.positives = Positives(hierarchy, self.terms, config.positives)
        make = state_vectors if config.objective == "contextual" else token_vectors
        self.space: NDArray[np.float32] = make(language, self.texts)
        mean = self.space.mean(axis=0) if config.centred else np.zeros(language.width)
        self.centre = np.asarray(mean, dtype=np.float32)

    def begin(self, model: SoftTokenModel) -> SoftTokenModel:
        """Put a new projector where training starts."""
        config = self.config
        if not _starts_from_means(config) or config.ridge is None:
            return model
        cells = self.vectors[self.rows]
        means = np.stack([cells[self.labels == i].mean(axis=0) for i in range(len(self.terms))])
        weight, bias = from_means(means, self.space, self.centre, config.ridge)
        layer = dict(model.projector.named_parameters())
        with torch.no_grad():  # the same map for each soft token
            layer["layers.0.weight"].copy_(torch.from_numpy(weight).expand(config.tokens, -1, -1))
            layer["layers.0.bias"].copy_(torch.from_numpy(bias).expand(config.tokens, -1))
        return model

    @property
    def can_develop(self) -> bool:
        return len(self.held) > 1 and self.config.loop.develop_every > 0

    def aligned(self, model: SoftTokenModel, scale: float) -> Aligned:
        space: Space = "contextual" if self.config.objective == "contextual" else "token"
        config = SpaceConfig(space, self.config.text, self.config.centred, scale)
        known = self.space - self.centre
        known /= np.maximum(np.linalg.norm(known, axis=1, keepdims=True), 1e-12)
        return Aligned(model, config, self.centre, self.terms, known)

    def develop(self, aligned: Aligned) -> float:
        """Mean reciprocal rank of the own text among the development types', a type on average."""
        scores = aligned.cells(self.vectors[self.held_rows]) @ aligned.sayings(self.held_texts).T
        own = scores[np.arange(len(scores)), self.held_labels]
        rank = 1 + (scores > own[:, None]).sum(axis=1)
        each = [np.mean(1 / rank[self.held_labels == t]) for t in np.unique(self.held_labels)]
        return float(np.mean(each))

    def step(
        self, model: SoftTokenModel, contrast: GradedInfoNCE
    ) -> Callable[[NDArray[np.int64]], torch.Tensor]:
        """The loss of a batch of places among the training cells."""
        device = model.marks.device
        vectors = torch.from_numpy(self.vectors[self.rows]).to(device)
        space = torch.from_numpy(self.space - self.centre).to(device)
        centre = torch.from_numpy(self.centre).to(device)
        every = np.arange(len(self.terms))

        def contrasted(own: NDArray[np.int64], anchors: torch.Tensor) -> torch.Tensor:
            columns = every if self.config.bank else own
            target, keep = self.positives.targets(own, columns)
            value: torch.Tensor = contrast(
                anchors - centre,
                space[torch.from_numpy(columns).to(device)],
                torch.from_numpy(target).to(device),
                torch.from_numpy(keep).to(device),
            )
            return value

        def asked(some: torch.Tensor) -> torch.Tensor:
            return model.embed([Prompt(ASK)] * len(some), some)

        def loss(batch: NDArray[np.int64]) -> torch.Tensor:
            own = self.labels[batch]
            some = vectors[torch.from_numpy(batch).to(device)]
            if self.config.objective == "contextual":
                if self.config.pieces == 1:
                    return contrasted(own, asked(some))
                parts = list(torch.chunk(some, self.config.pieces))
                return grad_cache(asked, parts, partial(contrasted, own))
            if self.config.objective == "token":
                return contrasted(own, model.projector(some).mean(1))
            prompts = [Prompt(ASK, self.texts[label]) for label in own]
            value = model.loss(model.assemble(prompts, some))
            if self.config.token_weight:
                tokens = contrasted(own, model.projector(some).mean(1))
                value = value + self.config.token_weight * tokens
            return value

        return loss

    def about(self, cells: CellSet) -> dict[str, Any]:
        """What makes two runs the same beside the loop: data, model, config."""
        digest = hashlib.sha256(np.ascontiguousarray(cells.vectors).tobytes())
        digest.update("\x1f".join([*cells.types, *self.texts]).encode())
        config = {key: value for key, value in asdict(self.config).items() if key != "loop"}
        return {
            "align": config,
            "language": self.language.identity,
            "data": digest.hexdigest()[:16],
        }


def _few(rows: Sequence[int], types: Sequence[Curie], most: int) -> list[int]:
    """The first rows of each type, so many at most."""
    seen: Counter[Curie] = Counter()
    found = []
    for i in rows:
        if seen[types[i]] < most:
            found.append(i)
        seen[types[i]] += 1
    return found
