"""Train the bridge: a gene's features to the terms that it is linked to.

The forward pass is that of :mod:`encoders.bridge.network`, where the method is told. Two
objectives:

* ``paired`` as BioBridge publishes it (arXiv:2310.03320): each link against five tails of the same
  type, drawn from 50 that the head is not known to be linked to; cosine over a temperature of .1.
* ``all`` (the default): a softmax over every tail of the type, or over a sample of them with the
  weights that make up for it, shared by all links of a gene; a tail has a bias, which starts at how
  common it is, and a learnt vector beside its text. Known links are never negatives.

Only genes of the parts that are not left out are seen. Knows nothing of how a bridge is scored.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from data.errors import BadInput
from encoders import checkpoint
from encoders.bridge.network import HEADS, NAME, VERSION, BridgeNet
from training.bridge.data import Material
from training.loop import History, LoopConfig, fit

__all__ = ["Bridge", "BridgeConfig", "save", "train"]

Negatives = Literal["all", "paired"]

_SCALE = 6.0  # features enter with this length: unit vectors of width 384 are small numbers
_DRAWN, _PAIRED = 50, 5  # BioBridge: negatives drawn once a head, and used a step
_PUBLISHED_SCALE = math.log(1 / 0.1)  # BioBridge's temperature
_START_SCALE = math.log(1 / 0.07)  # CLIP's


@dataclass(frozen=True, slots=True)
class BridgeConfig:
    """The model and its training.

    ``width`` of the projections, ``dropout`` of features and layers, ``sample`` how many tails a
    softmax is over at most besides the true ones, ``epochs`` passes over the genes of each target.
    """

    width: int = 128
    dropout: float = 0.3
    negatives: Negatives = "all"
    sample: int = 512
    batch: int = 1024
    epochs: int = 8
    learning_rate: float = 4e-3
    weight_decay: float = 0.01
    seed: int = 0

    def __post_init__(self) -> None:
        if self.width % HEADS or min(self.width, self.batch, self.epochs, self.sample) < 1:
            raise BadInput(
                f"width {self.width}, batch {self.batch}, {self.epochs} epochs, a sample of "
                f"{self.sample}; expected a width that {HEADS} divides, and at least 1 of each"
            )


class Bridge(torch.nn.Module):
    """The network; parameters are named as :class:`encoders.bridge.network.BridgeNet` reads them.

    Shapes: n heads, d width, T tails of a relation.
    """

    def __init__(self, material: Material, config: BridgeConfig, out: Sequence[int]) -> None:
        super().__init__()
        d, self.relations = config.width, tuple(material.links)
        text = next(iter(material.tails.values())).shape[1]
        linear = torch.nn.Linear
        self.project = linear(material.features.shape[1], d, bias=False)
        self.types = torch.nn.Embedding(1 + len(self.relations), d)
        self.relations_ = torch.nn.Embedding(len(self.relations), d)
        self.type_norm, self.relation_norm = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d)
        self.norm1, self.norm2 = torch.nn.LayerNorm(d), torch.nn.LayerNorm(d)
        self.query, self.pair, self.out = linear(d, d), linear(d, 2 * d), linear(d, d)
        self.inner, self.outer = linear(d, 2 * d), linear(2 * d, d)
        self.dropout = torch.nn.Dropout(config.dropout)
        self.text = torch.nn.ModuleDict({r: linear(text, d, bias=False) for r in self.relations})
        published = config.negatives == "paired"
        start = _PUBLISHED_SCALE if published else _START_SCALE
        self.log_scale = torch.nn.Parameter(torch.tensor([start]), requires_grad=not published)
        self.free, self.bias = torch.nn.ParameterDict(), torch.nn.ParameterDict()
        for name, links in material.links.items():
            size = len(links.tails)
            prior = torch.zeros(size)
            if not published:
                counts = links.table[material.known(name, out)].sum(axis=0)
                prior = torch.log(torch.as_tensor(np.asarray(counts), dtype=torch.float32) + 0.1)
            own = not published
            self.free[name] = torch.nn.Parameter(torch.zeros(size, d), requires_grad=own)
            self.bias[name] = torch.nn.Parameter(prior, requires_grad=own)

    def heads(self, features: torch.Tensor, relation: str) -> torch.Tensor:
        """Unit rows [n, d] from features [n, width]."""
        place = self.relations.index(relation)
        x = self.project(self.dropout(features))  # [n, d]
        n, d = x.shape
        constant = torch.stack([
            self.type_norm(self.types.weight[0]),
            self.relation_norm(self.relations_.weight[place]),
            self.type_norm(self.types.weight[1 + place]),
        ])  # [3, d]  # fmt: skip
        first, rest = self.norm1(x), self.norm1(constant)
        q = self.query(first).view(n, 1, HEADS, d // HEADS)
        own = self.pair(first).view(n, 1, 2, HEADS, d // HEADS)
        other = self.pair(rest).view(1, 3, 2, HEADS, d // HEADS).expand(n, -1, -1, -1, -1)
        both = torch.cat([own, other], dim=1)  # [n, 4, 2, h, d/h]
        share = ((q * both[:, :, 0]).sum(-1) / math.sqrt(d // HEADS)).softmax(dim=1)  # [n, 4, h]
        mixed = (share.unsqueeze(-1) * both[:, :, 1]).sum(dim=1).reshape(n, d)
        y = x + self.dropout(self.out(mixed))
        y = y + self.dropout(self.outer(functional.gelu(self.inner(self.norm2(y)))))
        return functional.normalize(y + x, dim=-1)

    def tails(
        self, texts: torch.Tensor, relation: str, rows: torch.Tensor | None = None
    ) -> torch.Tensor:
        """Unit rows of the tails [T, d], or of some ``rows`` of them."""
        free = self.free[relation]
        some = texts if rows is None else texts[rows]
        moved = self.text[relation](some) + (free if rows is None else free[rows])
        return functional.normalize(moved, dim=-1)


def train(
    material: Material,
    config: BridgeConfig,
    out: Sequence[int] = (),
    folder: Path | None = None,
    *,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[BridgeNet, History]:
    """Train on the genes whose part is not in ``out``; a run in ``folder`` goes on where it was.

    Raises
    ------
    BadInput
        When a target has no gene to train on.
    """
    for name in material.links:
        if not len(material.known(name, out)):
            raise BadInput(f"no gene with features has a link to {name}; expected at least one")
    torch.manual_seed(config.seed)
    model = Bridge(material, config, out)
    made = _Batches(material, config, out)
    features = torch.from_numpy(material.features) * _SCALE
    texts = {name: torch.from_numpy(rows) * _SCALE for name, rows in material.tails.items()}

    def step(batch: tuple[str, NDArray[np.int64], int]) -> torch.Tensor:
        relation, rows, number = batch
        h = model.heads(features[torch.from_numpy(rows)], relation)
        if config.negatives == "paired":
            return _paired(model, h, texts[relation], made, relation, rows, number)
        return _whole(model, h, texts[relation], made, relation, rows, number)

    trained = {n: p for n, p in model.named_parameters() if p.requires_grad}
    loop = LoopConfig(
        steps=made.steps, learning_rate=config.learning_rate, weight_decay=config.weight_decay,
        warmup=0.1, bfloat16=_bfloat16(), seed=config.seed, log_every=50,
        save_every=100 if folder else 0,
    )  # fmt: skip
    about = {"config": asdict(config), "out": list(out), "features": material.name}
    model.train()
    history = fit(trained, step, made, loop, folder, about=about, seconds=seconds, show=show)
    return _net(model.eval(), material, texts, config), history


class _Batches:
    """Batch by number: a relation and some of its genes; each gene once an epoch, all mixed."""

    def __init__(self, material: Material, config: BridgeConfig, out: Sequence[int]) -> None:
        self.material, self.config = material, config
        self.rows = {name: material.known(name, out) for name in material.links}
        self.plan = [(name, i) for name, rows in self.rows.items()
                     for i in range(-(-len(rows) // config.batch))]  # fmt: skip
        self.steps = config.epochs * len(self.plan)
        self.drawn: dict[str, NDArray[np.int64]] = {}

    def __call__(self, number: int) -> tuple[str, NDArray[np.int64], int]:
        epoch, place = divmod(number, len(self.plan))
        rng = np.random.default_rng([self.config.seed, epoch])
        name, part = self.plan[int(rng.permutation(len(self.plan))[place])]
        order = np.random.default_rng([self.config.seed, epoch, 1]).permutation(
            len(self.rows[name])
        )
        own = order[part * self.config.batch : (part + 1) * self.config.batch]
        return name, self.rows[name][own], number

    def negatives(self, name: str, row: NDArray[np.int64]) -> NDArray[np.int64]:
        """50 tails of each gene (a row of the table) that it is not known to have, drawn once."""
        held = self.drawn.get(name)
        if held is None:
            table = self.material.links[name].table
            rng = np.random.default_rng([self.config.seed, len(self.drawn), 2])
            held = rng.integers(table.shape[1], size=(table.shape[0], _DRAWN))
            for _ in range(20):  # a draw that hits a link is drawn again
                hit = _linked(table, held)
                if not hit.any():
                    break
                held[hit] = rng.integers(table.shape[1], size=int(hit.sum()))
            self.drawn[name] = held
        return held[row]


def _linked(table: Any, columns: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Which of the columns [genes, m] are links of their gene."""
    width = table.shape[1]
    rows = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    keys = rows * width + table.indices
    asked = np.arange(table.shape[0])[:, None] * width + columns
    return np.isin(asked, keys)


def _links(
    made: _Batches, relation: str, rows: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float32]]:
    """Links of the genes: their place in the batch, their tail, and how many each gene has."""
    table = made.material.links[relation].table[rows]
    counts = np.diff(table.indptr)
    return (
        np.repeat(np.arange(len(rows)), counts),
        table.indices.astype(np.int64),
        counts.astype(np.float32),
    )


def _whole(
    model: Bridge,
    h: torch.Tensor,
    texts: torch.Tensor,
    made: _Batches,
    relation: str,
    rows: NDArray[np.int64],
    number: int,
) -> torch.Tensor:
    """Softmax over all tails, or over those of the batch and a sample of the others."""
    place, tail, counts = _links(made, relation, rows)
    size, most = len(texts), made.config.sample
    extra = None
    if size > most:
        rng = np.random.default_rng([made.config.seed, number, 3])
        own = np.unique(tail)
        rest = np.setdiff1d(np.arange(size), own)
        others = rng.choice(rest, size=min(most, len(rest)), replace=False)
        chosen = np.concatenate([own, others])
        # A drawn tail stands for those that were not.
        extra = torch.zeros(len(chosen))
        extra[len(own) :] = math.log(len(rest) / max(1, len(others)))
        tail = np.searchsorted(own, tail)
        some = torch.from_numpy(chosen)
        logits = h @ model.tails(texts, relation, some).T * model.log_scale.exp()
        logits = logits.float() + model.bias[relation][some] + extra
    else:
        logits = h @ model.tails(texts, relation).T * model.log_scale.exp()
        logits = logits.float() + model.bias[relation]
    lost = logits.logsumexp(dim=1)[place] - logits[place, torch.from_numpy(tail)]
    # Between a vote a gene and a vote a link: genes with many links do not drown the others.
    weight = torch.from_numpy(counts)[place].sqrt()
    loss: torch.Tensor = (lost / weight).sum() / len(rows) / 3
    return loss


def _paired(
    model: Bridge,
    h: torch.Tensor,
    texts: torch.Tensor,
    made: _Batches,
    relation: str,
    rows: NDArray[np.int64],
    number: int,
) -> torch.Tensor:
    """BioBridge's InfoNCE: each link against five tails that the head is not known to have."""
    place, tail, _ = _links(made, relation, rows)
    rng = np.random.default_rng([made.config.seed, number, 4])
    column = rng.integers(_DRAWN, size=(len(place), _PAIRED))
    others = made.negatives(relation, rows)[place[:, None], column]
    candidates = torch.from_numpy(np.concatenate([tail[:, None], others], axis=1))  # [links, 6]
    every = model.tails(texts, relation)
    near = (h[torch.from_numpy(place)].unsqueeze(1) * every[candidates]).sum(-1).float()
    target = torch.zeros(len(place), dtype=torch.long)
    loss: torch.Tensor = functional.cross_entropy(near * model.log_scale.exp(), target)
    return loss


def _net(
    model: Bridge, material: Material, texts: Mapping[str, torch.Tensor], config: BridgeConfig
) -> BridgeNet:
    """What was trained, as numpy applies it; the scale of the features is in the projection."""
    tensors = {}
    with torch.no_grad():
        for name, value in model.state_dict().items():
            first = name.split(".")[0]
            if first not in ("text", "free", "bias"):
                tensors[name.replace("relations_", "relations")] = value.numpy().copy()
        tensors["project.weight"] = tensors["project.weight"] * np.float32(_SCALE)
        for name, rows in texts.items():
            tensors[f"tail.{name}"] = model.tails(rows, name).numpy()
            tensors[f"bias.{name}"] = model.bias[name].numpy().copy()
            weight = model.state_dict()[f"text.{name}.weight"].numpy()
            tensors[f"text.{name}"] = weight * np.float32(_SCALE)
    document = {
        "version": VERSION,
        "relations": list(material.links),
        "features": material.name,
        "width": int(material.features.shape[1]),
        "config": asdict(config),
    }
    tails = {name: links.tails for name, links in material.links.items()}
    return BridgeNet(tensors, tails, document, "")


def save(net: BridgeNet, folder: Path, about: Mapping[str, Any]) -> BridgeNet:
    """Write ``bridge.safetensors`` and ``bridge.json``; the result knows its hash."""
    tensors = {key: torch.from_numpy(np.array(value)) for key, value in net.tensors.items()}
    document = {**net.document, **about, "tails": {k: list(v) for k, v in net.tails.items()}}
    return replace(net, release=checkpoint.save(folder, NAME, tensors, document))


def _bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 itself."""
    able: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(able.get("avx512_bf16") or able.get("amx_bf16"))
