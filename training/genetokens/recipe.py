"""Recipe ``gene-tokens``: an encoder trained on labelled cells, with what is known of genes.

:func:`train` takes cells (:mod:`training.genetokens.cell_store`) and gives an encoder
(:mod:`encoders.genetokens.expression`). A batch is drawn type by type; each of its cells is seen in
two views, with some genes hidden and, in the first, some masked. The loss is a sum with
:class:`Weights`:

=============  ====================================================================================
genes, levels  masked genes and masked levels (:mod:`training.genetokens.masked`)
inter, intra   scCello's contrast at every level of the ontology, and to prototypes; ``regular``
regular        keeps both in one space (:mod:`training.genetokens.ontology_losses`)
labels         binary cross-entropy over leaves (:mod:`training.genetokens.hierarchical`), and every
               other property through its own token
independence   special tokens that do not say the same
=============  ====================================================================================

Few cells are easily learnt by heart. Against that a gene's own vector is forgotten at random, so
that its channels must serve, and whole genes are hidden from a batch, as if its panel lacked them.
The channels count more and more over the first steps (GeneCompass).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import torch
from numpy.typing import NDArray

from data.errors import BadInput
from encoders.genetokens.expression import GeneTokenModel, GeneTokens, Labels, ModelConfig, tensors
from encoders.genetokens.knowledge import Channel, Knowledge, permuted, random_like
from encoders.genetokens.tokenizer import Held, TokenConfig, Tokenizer, Tokens
from kg.backoff import Hierarchy
from training.genetokens import masked, ontology_losses
from training.genetokens.cell_store import CellStore
from training.genetokens.hierarchical import Leaves, hierarchical_loss, property_loss
from training.loop import History, LoopConfig, fit
from training.positives import Batches

__all__ = ["CHANNELS", "Control", "GeneTokenConfig", "Weights", "card", "channels_for", "train"]

CHANNELS = ("text", "family", "ontology", "interaction", "position", "regulation",
            "coexpression", "factors")  # fmt: skip
"""Every channel that has a name of its own; tables of the user's come on top."""

Control = Literal["", "random", "permuted"]


@dataclass(frozen=True, slots=True)
class Weights:
    """Of the losses; 0 leaves one out.

    ScCello's four are 1 in the original, scPRINT's independence .1. Here those that are cosines
    over a temperature of .01 are turned down, beside whose gradients the labels' vanish: chosen on
    development splits (docs/experiments/encoders.md).
    """

    genes: float = 0.1
    levels: float = 1.0
    inter: float = 0.1
    intra: float = 0.3
    regular: float = 0.1
    labels: float = 3.0
    independence: float = 0.1


@dataclass(frozen=True, slots=True)
class GeneTokenConfig:
    """The recipe.

    Attributes
    ----------
    tokens, model, weights, loop
        Of the parts.
    channels
        Some of :data:`CHANNELS`.
    control
        ``random`` or ``permuted`` rows in place of every channel's own.
    batch, each
        Cells a batch, and how many of a type in it.
    masked
        Share of the tokens that lose their gene, and as many that lose their level.
    hide
        Share of a cell's genes that a view does not see.
    panel
        At most this share of all genes is hidden from a batch.
    forget
        Share of the genes that a batch knows by their channels alone.
    ramp
        Share of the steps over which the channels come to count fully.
    text_prototypes
        Whether the prototypes of types start as the texts of their names.
    """

    tokens: TokenConfig = field(default_factory=TokenConfig)
    model: ModelConfig = field(default_factory=ModelConfig)
    weights: Weights = field(default_factory=Weights)
    channels: tuple[str, ...] = CHANNELS
    control: Control = ""
    batch: int = 32
    each: int = 4
    masked: float = masked.MASKED
    hide: float = 0.2
    panel: float = 0.5
    forget: float = 0.3
    ramp: float = 0.1
    text_prototypes: bool = True
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=600, learning_rate=2e-3, weight_decay=0.05, warmup=0.1, save_every=100, threads=1
        )
    )

    def __post_init__(self) -> None:
        unknown = set(self.channels) - set(CHANNELS)
        shares = (self.masked, self.hide, self.panel, self.forget, self.ramp)
        fits = all(0 <= share < 1 for share in shares) and 0 < self.each <= self.batch
        if unknown or not fits or self.control not in get_args(Control):
            raise BadInput(
                f"channels {', '.join(self.channels) or 'none'}, control {self.control!r}, shares "
                f"{shares}, {self.each} of a type in batches of {self.batch}; expected channels "
                f"of {', '.join(CHANNELS)} and shares in [0, 1)"
            )


def channels_for(
    config: GeneTokenConfig,
    parts: Sequence[tuple[Any, Sequence[str]]],
    own: Sequence[Channel] = (),
) -> list[Channel]:
    """The channels of a config: those that ship, those learnt from training cells, the user's.

    Parameters
    ----------
    config
        Names and control.
    parts
        Log1p expression and symbols of the training cells alone; not needed for those that ship.
    own
        The user's tables.
    """
    from encoders.genetokens.channels import LEARNT, SHIPPED, learnt, shipped

    found = shipped([name for name in config.channels if name in SHIPPED])
    asked = [name for name in config.channels if name in LEARNT]
    if asked and parts:
        found += learnt(parts, asked, seed=config.loop.seed)
    found += own
    seed = config.loop.seed
    if config.control == "random":
        found = [random_like(one, seed) for one in found]
    elif config.control == "permuted":
        found = [permuted(one, seed) for one in found]
    return found


def train(
    store: CellStore,
    hierarchy: Hierarchy,
    config: GeneTokenConfig,
    channels: Sequence[Channel],
    folder: Path | None = None,
    *,
    hold_out: str = "",
    about: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[GeneTokens, History]:
    """Train; a folder with a checkpoint of the same run goes on from there.

    Parameters
    ----------
    store
        Cells.
    hierarchy
        The Cell Ontology.
    config
        The recipe.
    channels
        What is known of genes (:func:`channels_for`).
    folder
        Of checkpoints and the log.
    hold_out
        ``donor=NAME`` or ``dataset=NAME``: not trained on; how well its cells' types are told is
        the development score, and the best step is kept.
    about
        Goes into the encoder's document.
    seconds
        Stop after so long; the same call goes on.
    show
        A bar on stderr.

    Raises
    ------
    BadInput
        When no cell has a type, or nothing can be held out as asked.
    """
    rows, aside = store.split(hold_out)
    run = _Run(store, rows, hierarchy, config, channels)
    develop = (lambda: run.score(aside)) if len(aside) else None
    loop = config.loop
    if develop and not loop.develop_every:
        loop = replace(loop, develop_every=max(1, loop.steps // 10))
    document = {
        "config": asdict(config),
        "channels": [one.name for one in channels],
        "cells": len(rows),
        "genes": len(store.genes),
        "hold_out": hold_out,
    }
    history = fit(
        dict(run.model.named_parameters()), run.step, run.batch, loop, folder,
        develop=develop, about=document, seconds=seconds, show=show,
    )  # fmt: skip
    run.model.eval()
    run.model.alpha = 1.0
    return run.encoder({**document, **(about or {})}), history


def card(made: GeneTokens, history: History, store: CellStore) -> str:
    """The model card of an encoder, as Markdown."""
    about, model, labels = made.about, made.model, made.model.labels
    counts = Counter(store.datasets)
    cells = "; ".join(f"{name} ({n:,})" for name, n in sorted(counts.items()))
    share = sum(one is not None for one in store.types) / len(store)
    loop, control = about["config"]["loop"], about["config"]["control"]
    score = (
        f"{history.best:.3f} at step {history.best_step:,} ({about['hold_out']})"
        if about["hold_out"]
        else "none: nothing was held out"
    )
    others = ", ".join(f"{name} ({len(some)})" for name, some in labels.classes.items()) or "none"
    channels = ", ".join(made.knowledge.names) or "none"
    theirs = " and ".join(about.get("genes of", ()))
    those = f", those alone that {theirs} has too" if theirs else ""
    lines = [
        f"# {made.name}",
        "",
        f"An encoder of cells: {model.config.layers} layers of width {model.config.width} over at "
        f"most {made.tokenizer.config.tokens} gene tokens; {made.dimension} numbers a cell. Made "
        "by `celloquy train encoder --recipe gene-tokens`; opened with "
        "`celloquy annotate --encoder FOLDER`.",
        "",
        f"- Cells: {cells}; {share:.0%} with a cell type; {len(store.genes):,} genes{those}.",
        f"- Cell types: {len(labels.types)}, of which {len(labels.leaves)} leaves. Other "
        f"properties: {others}.",
        f"- Knowledge channels: {channels}{f' ({control} rows: a control)' if control else ''}.",
        f"- Training: {history.step:,} of {loop['steps']:,} steps, {history.seconds:,.0f} s, seed "
        f"{loop['seed']}.",
        f"- Development score (macro-F1 of held-out cells by the nearest mean): {score}.",
        "",
        "Not meant for other species than human and mouse, nor for types that it was not trained "
        "on: what it says of those is not known. Compare it with 50 principal components and a "
        "logistic regression on your own cells before relying on it: on few cells those are often "
        "better.",
    ]
    return "\n".join(lines) + "\n"


class _Run:
    """One training: the network, what it is told, and its step."""

    def __init__(
        self,
        store: CellStore,
        rows: NDArray[np.int64],
        hierarchy: Hierarchy,
        config: GeneTokenConfig,
        channels: Sequence[Channel],
    ) -> None:
        self.store, self.rows, self.config = store, rows, config
        named = sorted({t for t in (store.types[i] for i in rows) if t is not None})
        if not named:
            raise BadInput("no cell to train on has a cell type; expected Cell Ontology ids or "
                           "names in the label column")  # fmt: skip
        self.knowledge = Knowledge.of(channels, store.genes)
        place = {gene: i for i, gene in enumerate(self.knowledge.genes)}
        self.places = np.array([place[gene] for gene in store.genes], dtype=np.int32)
        self.usual = np.zeros(len(self.knowledge.genes), dtype=np.float32)
        self.usual[self.places] = store.usual
        self.leaves = Leaves(hierarchy, named)
        self.levels = ontology_losses.TypeLevels(hierarchy, self.leaves.terms)
        self.near, self.above = (
            torch.from_numpy(self.levels.near),
            torch.from_numpy(self.levels.above),
        )
        self.below = torch.from_numpy(self.leaves.below)
        known = {
            name: tuple(sorted({some[i] for i in rows} - {""}))
            for name, some in sorted(store.properties.items())
        }
        # A property of which no cell says anything has no token.
        classes = {name: names for name, names in known.items() if names}
        self.types = torch.from_numpy(self.leaves.codes(store.types))
        self.said = {name: _codes(store.properties[name], names) for name, names in classes.items()}
        self.labels = Labels(self.leaves.terms, self.leaves.ids, classes)
        torch.manual_seed(config.loop.seed)
        self.trained = np.sort(self.places)
        self.model = GeneTokenModel(config.model, self.knowledge, self.trained, self.labels)
        if config.text_prototypes:
            self._start_prototypes(hierarchy)
        self.tokenizer = Tokenizer(config.tokens, self.usual)
        self._draw = Batches(
            self.types[torch.from_numpy(rows)].numpy(), min(config.batch, len(rows)), config.each,
            seed=config.loop.seed,
        )  # fmt: skip

    def _start_prototypes(self, hierarchy: Hierarchy) -> None:
        """Prototypes as the texts of the types' names, turned at random into the width."""
        from encoders.textstore import TextStore

        names = [hierarchy.labels[hierarchy.index(term)] for term in self.leaves.terms]
        texts = torch.from_numpy(TextStore.of().vectors(names))
        turn = torch.randn(texts.shape[1], self.config.model.width) / texts.shape[1] ** 0.5
        with torch.no_grad():
            self.model.prototypes.weight.copy_((texts - texts.mean(0)) @ turn)

    # --- a step --------------------------------------------------------------------------------

    def batch(self, number: int) -> tuple[int, NDArray[np.int64]]:
        """The number of a batch and the cells in it."""
        return number, self.rows[self._draw(number)]

    def cells(self, rows: NDArray[np.int64]) -> Held:
        """Cells with places in the vocabulary."""
        found = self.store.cells.of(rows)
        return Held(np.where(found.genes >= 0, self.places[found.genes], -1), found.values)

    def step(self, batch: tuple[int, NDArray[np.int64]]) -> torch.Tensor:
        """The loss of a batch."""
        number, rows = batch
        config, model = self.config, self.model
        rng = np.random.default_rng([config.loop.seed, number])
        model.train()
        ramp = config.ramp * config.loop.steps
        model.alpha = min(1.0, (number + 1) / ramp) if ramp else 1.0
        cells = self.cells(rows)
        panel = rng.random(len(self.usual)) < rng.uniform(0, config.panel)
        forget = torch.from_numpy(rng.random(len(self.usual)) < config.forget)
        types = self.types[torch.from_numpy(rows)]
        first, second = (self._view(cells, panel, rng) for _ in range(2))
        total, z = self._masked(first, forget)
        read = model(*tensors(second), forget=forget)
        again = ontology_losses.scaled(model.cell_head(read.special[:, 0]))
        total = total + self._ontology(z, again, types)
        weights = config.weights
        if weights.labels:
            total = total + weights.labels * self._labels(read.special, types, rows)
        if weights.independence:
            total = total + weights.independence * masked.independence(read.special)
        return total

    def _view(self, cells: Held, panel: NDArray[np.bool_], rng: np.random.Generator) -> Tokens:
        hide = rng.random(cells.genes.shape) < self.config.hide
        return self.tokenizer(cells, hide=hide | panel[cells.genes])

    def _masked(self, tokens: Tokens, forget: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The losses of masked genes and levels, and the cells of this view, scaled."""
        model, weights, share = self.model, self.config.weights, self.config.masked
        genes, levels, there = tensors(tokens)
        draw = torch.Generator().manual_seed(int(torch.randint(2**31, ())))
        no_gene = masked.choose(there, share if weights.genes else 0.0, draw)
        no_level = masked.choose(there, share if weights.levels else 0.0, draw, no_gene)
        read = model(genes, levels, there, hide_gene=no_gene, hide_level=no_level, forget=forget)
        z = ontology_losses.scaled(model.cell_head(read.special[:, 0]))
        total = z.sum() * 0.0
        if weights.genes:
            table = model.gene_head(model.gene_vectors(torch.from_numpy(self.trained).long()))
            assert isinstance(model.own_row, torch.Tensor)
            truth = model.own_row[genes[no_gene]] - 1
            states = model.gene_head(read.genes[no_gene])
            total = total + weights.genes * masked.gene_loss(states, table, truth)
        if weights.levels:
            said = torch.sigmoid(model.level_head(read.genes[no_level]).squeeze(-1))
            total = total + weights.levels * masked.level_loss(said, levels[no_level])
        return total, z

    def _ontology(self, z: torch.Tensor, again: torch.Tensor, types: torch.Tensor) -> torch.Tensor:
        weights, model = self.config.weights, self.model
        total = z.sum() * 0.0
        if weights.inter:
            loss = ontology_losses.inter(z, again, types, self.near, self.above)
            total = total + weights.inter * loss
        prototypes = ontology_losses.scaled(model.prototypes.weight)
        if weights.intra:
            total = total + weights.intra * ontology_losses.intra(again, prototypes, types)
        if weights.regular:
            mapped = model.from_prototype(prototypes)
            total = total + weights.regular * ontology_losses.regularised(again, mapped, types)
        return total

    def _labels(
        self, states: torch.Tensor, types: torch.Tensor, rows: NDArray[np.int64]
    ) -> torch.Tensor:
        heads = self.model.property_heads
        total = hierarchical_loss(heads[0](states[:, 1]), types, self.below)
        for i, name in enumerate(self.labels.classes, 1):
            truth = self.said[name][torch.from_numpy(rows)]
            total = total + property_loss(heads[i](states[:, i + 1]), truth)
        return total

    # --- what comes of it ----------------------------------------------------------------------

    def encoder(self, about: Mapping[str, Any]) -> GeneTokens:
        """The network as an encoder."""
        return GeneTokens(self.model, self.knowledge, self.config.tokens, self.usual, about)

    def vectors(self, rows: NDArray[np.int64]) -> NDArray[np.float32]:
        """Cells as the network sees them now."""
        self.model.eval()
        found = []
        with torch.no_grad():
            for start in range(0, len(rows), 256):
                read = tensors(self.tokenizer(self.cells(rows[start : start + 256])))
                found.append(self.model.vectors(self.model(*read), read[2]).numpy())
        return np.concatenate(found)

    def score(self, aside: NDArray[np.int64]) -> float:
        """Macro-F1 of held-out cells named by the nearest mean of training cells' types."""
        from training.evaluate.metrics import macro_f1

        rng = np.random.default_rng(self.config.loop.seed)
        some = rng.permutation(self.rows)[:_SCORED]
        known = np.array([int(self.types[i]) for i in some])
        asked = [i for i in rng.permutation(aside)[:_SCORED] if int(self.types[i]) in set(known)]
        if not asked:
            return 0.0
        near, far = self.vectors(some), self.vectors(np.array(asked))
        codes = sorted(set(known.tolist()) - {-1})
        means = np.stack([near[known == code].mean(axis=0) for code in codes])
        means /= np.maximum(np.linalg.norm(means, axis=1, keepdims=True), 1e-12)
        said = [str(codes[i]) for i in (far @ means.T).argmax(axis=1)]
        return macro_f1([str(int(self.types[i])) for i in asked], said)


_SCORED = 1_000
"""Cells on either side of a development score: a second or two."""


def _codes(said: Sequence[str], names: Sequence[str]) -> torch.Tensor:
    place = {name: i for i, name in enumerate(names)}
    return torch.tensor([place.get(one, -1) for one in said])
