"""The gene-token encoder: cells read gene by gene, each gene with what is known of it.

A cell's tokens (:mod:`encoders.genetokens.tokenizer`) are its special tokens, [CELL] and one for
each property, and its genes. A gene token is made as in GeneCompass: the gene's own vector, the
knowledge channels (:mod:`encoders.genetokens.knowledge`) and the level, concatenated, through two
layers. A small transformer without any order over the tokens reads them; each special token has a
head of its own (scPRINT's special tokens, doi:10.1038/s41467-025-58699-1). Genes that no training
cell had have no vector of their own: they are passed over, or read by their channels alone.

:class:`GeneTokenModel` is the network, :class:`GeneTokens` the encoder that
:mod:`encoders.registry` finds in a folder. The recipe is :mod:`training.genetokens.recipe`. Knows
no loss and no file of cells.

Shapes: b cells, t gene tokens, s special tokens, d the width, v genes of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from data.errors import BadFile, BadInput
from encoders import checkpoint
from encoders.genetokens.knowledge import Knowledge
from encoders.genetokens.tokenizer import MOST, TokenConfig, Tokenizer, Tokens, held, special

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["NAME", "GeneTokenModel", "GeneTokens", "Labels", "ModelConfig", "Read", "Said"]

NAME = "gene_tokens"
"""Of the files in a folder."""

_VERSION = 1
_BATCH = 256

Said = Literal["cell", "mean", "joined"]


@dataclass(frozen=True, slots=True)
class ModelConfig:
    """The network.

    ``gene_width`` is that of a gene's own vector. ``said`` is what a cell's vector is: ``cell``,
    the state of [CELL] through its head (scCello), ``mean`` of all special tokens' states
    (scPRINT), or ``joined``: the head's output, the state of the cell type's token and the mean of
    the genes'. With ``bag`` the special tokens start from the mean of the cell's genes weighted by
    their levels, so that what a linear method sees is there from the first step. ``facts`` is the
    size that the channels' part of a gene starts with; its own part has about .3. With ``unseen``
    genes that no training cell had are read by their channels; without, they are passed over, which
    names more cells rightly (docs/experiments/encoders.md).
    """

    width: int = 64
    layers: int = 2
    heads: int = 4
    inner: int = 128
    gene_width: int = 64
    dropout: float = 0.1
    bag: bool = True
    facts: float = 0.2
    unseen: bool = False
    said: Said = "joined"

    def __post_init__(self) -> None:
        sizes = (self.width, self.layers, self.heads, self.inner, self.gene_width)
        fits = min(sizes) > 0 and self.width % self.heads == 0 and 0 <= self.dropout < 1
        if not fits or self.said not in get_args(Said):
            raise BadInput(
                f"no network can be made of {asdict(self)}; expected positive sizes, a width that "
                f"the heads divide, a dropout below 1 and one of {', '.join(get_args(Said))}"
            )


@dataclass(frozen=True, slots=True)
class Labels:
    """What the heads tell apart.

    Attributes
    ----------
    types
        Cell types that have a prototype, by id.
    leaves
        Those that the head of the cell type has a logit for.
    classes
        The classes of every other property, in the order of the special tokens.
    """

    types: tuple[str, ...] = ()
    leaves: tuple[str, ...] = ()
    classes: Mapping[str, tuple[str, ...]] = field(default_factory=dict)


class Read(NamedTuple):
    """What the transformer makes of cells: special tokens [b, s, d] and genes [b, t, d]."""

    special: torch.Tensor
    genes: torch.Tensor


class _QuickGELU(nn.Module):
    """x sigmoid(1.702 x), GeneCompass's."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x * torch.sigmoid(1.702 * x)


class GeneTokenModel(nn.Module):
    """The network.

    Parameters
    ----------
    config
        Sizes.
    knowledge
        The vocabulary and its channels; the tables are kept and never trained.
    trained
        Places of the genes that have a vector of their own.
    labels
        What the heads tell apart.

    Attributes
    ----------
    alpha
        How far the channels count, in [0, 1]; training raises it over its warm-up.
    """

    def __init__(
        self,
        config: ModelConfig,
        knowledge: Knowledge,
        trained: NDArray[np.integer],
        labels: Labels,
    ) -> None:
        super().__init__()
        self.config, self.labels = config, labels
        self.tokens = special(("cell_type", *labels.classes))
        d, own = config.width, config.gene_width
        row = torch.zeros(len(knowledge.genes), dtype=torch.long)
        row[torch.from_numpy(np.asarray(trained, dtype=np.int64))] = torch.arange(len(trained)) + 1
        self.register_buffer("own_row", row, persistent=False)
        self.own = nn.Embedding(len(trained) + 1, own, padding_idx=0)
        nn.init.normal_(self.own.weight, std=0.5)
        with torch.no_grad():
            self.own.weight[0] = 0.0
        # What is known of each gene, and whether anything is: [v, channels' widths + channels].
        known = [
            torch.cat([torch.from_numpy(np.asarray(knowledge.values[name])),
                       torch.from_numpy(np.asarray(knowledge.known[name])).float()[:, None]], 1)
            for name in knowledge.names
        ]  # fmt: skip
        facts = torch.cat(known, 1) if known else torch.zeros(len(knowledge.genes), 0)
        self.register_buffer("facts", facts, persistent=False)
        self.alpha = 1.0
        self.join_own = nn.Linear(own, d)
        self.join_facts = nn.Linear(facts.shape[1], d, bias=False) if facts.shape[1] else None
        if self.join_facts is not None:
            # Small at first: at their full size hundreds of columns drown a gene's own vector.
            nn.init.normal_(self.join_facts.weight, std=config.facts / facts.shape[1] ** 0.5)
        self.level = nn.Sequential(nn.Linear(1, d), _QuickGELU(), nn.Linear(d, d, bias=False))
        self.fuse = nn.Sequential(nn.LayerNorm(d), _QuickGELU(), nn.Linear(d, d))
        self.after = nn.Sequential(nn.LayerNorm(d), nn.Dropout(config.dropout))
        self.gene_kind = nn.Parameter(torch.randn(d) * 0.02)
        self.special = nn.Parameter(torch.randn(len(self.tokens), d) * 0.5)
        self.start = nn.Linear(d, len(self.tokens) * d, bias=False) if config.bag else None
        self.masked_gene = nn.Parameter(torch.randn(d) * 0.02)
        self.masked_level = nn.Parameter(torch.randn(d) * 0.02)
        layer = nn.TransformerEncoderLayer(
            d, config.heads, config.inner, config.dropout, "gelu", batch_first=True, norm_first=True
        )
        # Dropout of attention weights takes a third of a step on a processor; the states have their
        # own.
        layer.self_attn.dropout = 0.0
        self.read = nn.TransformerEncoder(
            layer, config.layers, nn.LayerNorm(d), enable_nested_tensor=False
        )
        self._make_heads(d)

    def _make_heads(self, d: int) -> None:
        labels = self.labels
        self.cell_head = nn.Linear(d, d)
        self.gene_head = nn.Linear(d, d)
        self.level_head = nn.Sequential(nn.Linear(d, d), _QuickGELU(), nn.Linear(d, 1))
        self.prototypes = nn.Embedding(max(1, len(labels.types)), d)
        self.from_prototype = nn.Linear(d, d, bias=False)
        sizes = {"cell_type": max(1, len(labels.leaves))}
        sizes |= {name: max(1, len(some)) for name, some in labels.classes.items()}
        self.property_heads = nn.ModuleList([nn.Linear(d, n) for n in sizes.values()])

    # --- genes ---------------------------------------------------------------------------------

    def gene_vectors(self, genes: torch.Tensor, forget: torch.Tensor | None = None) -> torch.Tensor:
        """Genes without their levels: own vector and channels, joined. [...] -> [..., d].

        Parameters
        ----------
        genes
            Places in the vocabulary.
        forget
            True where the own vector is left out, [v].
        """
        assert isinstance(self.own_row, torch.Tensor) and isinstance(self.facts, torch.Tensor)
        own = self.own(self.own_row[genes])  # [..., own]
        if forget is not None:
            own = own.masked_fill(forget[genes][..., None], 0.0)
        found: torch.Tensor = self.join_own(own)  # [..., d]
        if self.join_facts is not None and self.alpha > 0:
            found = found + self.alpha * self.join_facts(self.facts[genes])
        return found

    # --- cells ---------------------------------------------------------------------------------

    def forward(
        self,
        genes: torch.Tensor,
        levels: torch.Tensor,
        there: torch.Tensor,
        *,
        hide_gene: torch.Tensor | None = None,
        hide_level: torch.Tensor | None = None,
        forget: torch.Tensor | None = None,
    ) -> Read:
        """Read cells.

        Parameters
        ----------
        genes, levels, there
            As in :class:`encoders.genetokens.tokenizer.Tokens`, each [b, t].
        hide_gene, hide_level
            Tokens whose gene, or level, is masked, [b, t].
        forget
            As in :meth:`gene_vectors`.
        """
        what = self.gene_vectors(genes, forget)  # [b, t, d]
        height = self.level(levels[..., None])  # [b, t, d]
        first = self.special.expand(len(genes), -1, -1)  # [b, s, d]
        if self.start is not None:
            weight = levels * there  # [b, t]
            for hidden in (hide_gene, hide_level):
                weight = weight if hidden is None else weight * ~hidden
            weight = weight / weight.sum(1, keepdim=True).clamp(min=1e-6)
            bag = torch.einsum("btd,bt->bd", what, weight)  # [b, d]
            first = first + self.start(bag).view(first.shape)
        if hide_gene is not None:
            what = torch.where(hide_gene[..., None], self.masked_gene, what)
        if hide_level is not None:
            height = torch.where(hide_level[..., None], self.masked_level, height)
        tokens = self.after(self.fuse(what + height) + self.gene_kind)  # [b, t, d]
        every = torch.cat([first, tokens], 1)  # [b, s + t, d]
        padding = torch.cat([there.new_ones(len(genes), len(self.tokens)), there], 1)
        states = self.read(every, src_key_padding_mask=~padding)
        return Read(states[:, : len(self.tokens)], states[:, len(self.tokens) :])

    def vectors(self, read: Read, there: torch.Tensor) -> torch.Tensor:
        """Cells' vectors, each part of length 1."""
        unit = nn.functional.normalize
        if self.config.said == "cell":
            return unit(self.cell_head(read.special[:, 0]), dim=-1)
        if self.config.said == "mean":
            return unit(read.special.mean(1), dim=-1)
        weight = there.float() / there.sum(1, keepdim=True).clamp(min=1)
        mean = torch.einsum("btd,bt->bd", read.genes, weight)  # [b, d]
        parts = [self.cell_head(read.special[:, 0]), read.special[:, 1], mean]
        return torch.cat([unit(part, dim=-1) for part in parts], -1)  # [b, 3 d]


def tensors(tokens: Tokens) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """Tokens as the network takes them."""
    return (
        torch.from_numpy(tokens.genes),
        torch.from_numpy(tokens.levels),
        torch.from_numpy(tokens.there),
    )


class GeneTokens:
    """The trained encoder.

    Parameters
    ----------
    model
        The network.
    knowledge
        Its vocabulary and channels.
    config
        What its tokens are.
    usual
        Usual value of each gene, [v] (:class:`encoders.genetokens.tokenizer.Tokenizer`).
    about
        What it was trained on, for the document.
    name
        Under which it is known.
    """

    def __init__(
        self,
        model: GeneTokenModel,
        knowledge: Knowledge,
        config: TokenConfig,
        usual: NDArray[np.float32],
        about: Mapping[str, Any] | None = None,
        name: str = "gene-tokens",
    ) -> None:
        self.model, self.knowledge, self.usual = model, knowledge, usual
        self.tokenizer, self.about, self.name = Tokenizer(config, usual), dict(about or {}), name
        self._place = {gene: i for i, gene in enumerate(knowledge.genes)}
        self._asked: tuple[tuple[str, ...], NDArray[np.int64]] | None = None

    def places(self, genes: Sequence[str]) -> NDArray[np.int64]:
        """Where genes stand in the vocabulary, -1 for those that nothing is known of.

        Raises
        ------
        BadInput
            When a gene is named twice.
        """
        key = tuple(genes)
        if self._asked is None or self._asked[0] != key:
            if len(set(key)) < len(key):
                twice = next(gene for gene in key if key.count(gene) > 1)
                raise BadInput(f"{twice} is the name of several columns; expected each gene once")
            found = np.array([self._place.get(gene, -1) for gene in key], dtype=np.int64)
            if not self.model.config.unseen:
                own = np.asarray(self.model.own_row)
                found[own[np.maximum(found, 0)] == 0] = -1
            self._asked = (key, found)
        return self._asked[1]

    def encode(
        self, values: sp.csr_matrix | sp.csr_array, genes: Sequence[str]
    ) -> NDArray[np.float32]:
        """Vectors [cells, d] of log1p expression [cells, genes]; genes are current symbols."""
        places = self.places(genes)
        self.model.eval()
        rows = []
        with torch.inference_mode():
            for start in range(0, values.shape[0], _BATCH):
                some = held(values[start : start + _BATCH], places, MOST)
                read = tensors(self.tokenizer(some))
                rows.append(self.model.vectors(self.model(*read), read[2]).float().numpy())
        if rows:
            return np.concatenate(rows)
        return np.zeros((0, self.dimension), dtype=np.float32)

    def chances(
        self, values: sp.csr_matrix | sp.csr_array, genes: Sequence[str]
    ) -> NDArray[np.float32]:
        """What the token of the cell type says by itself: shares [cells, leaves] of :attr:`leaves`.

        Independent yes-or-no chances brought to the sum 1; they are not calibrated.
        """
        places = self.places(genes)
        self.model.eval()
        rows = [np.zeros((0, max(1, len(self.leaves))), dtype=np.float32)]
        with torch.inference_mode():
            for start in range(0, values.shape[0], _BATCH):
                some = held(values[start : start + _BATCH], places, MOST)
                read = self.model(*tensors(self.tokenizer(some)))
                yes = torch.sigmoid(self.model.property_heads[0](read.special[:, 1]))
                rows.append((yes / yes.sum(-1, keepdim=True).clamp(min=1e-12)).numpy())
        return np.concatenate(rows)

    @property
    def leaves(self) -> tuple[str, ...]:
        """Cell types that :meth:`chances` tells apart, by id."""
        return self.model.labels.leaves

    @property
    def dimension(self) -> int:
        """Width of the vectors."""
        return self.model.config.width * (3 if self.model.config.said == "joined" else 1)

    # --- keeping -------------------------------------------------------------------------------

    def save(self, folder: Path) -> str:
        """Write network, vocabulary and channels; returns the sha256 of the tensors."""
        model, knowledge = self.model, self.knowledge
        assert isinstance(model.own_row, torch.Tensor)
        parts = {f"model.{key}": value for key, value in model.state_dict().items()}
        parts["own_row"] = model.own_row.to(torch.int32)
        parts["usual"] = torch.from_numpy(self.usual)
        for name in knowledge.names:
            # Half precision: the channels are most of the file.
            parts[f"channel.{name}"] = torch.from_numpy(knowledge.values[name]).half()
            parts[f"known.{name}"] = torch.from_numpy(knowledge.known[name])
        document = {
            "version": _VERSION,
            "tokens": asdict(self.tokenizer.config),
            "model": asdict(model.config),
            "labels": asdict(model.labels),
            "channels": list(knowledge.names),
            "alpha": model.alpha,
            "about": self.about,
            "genes": list(knowledge.genes),
        }
        return checkpoint.save(folder, NAME, parts, document)

    @classmethod
    def load(cls, folder: Path) -> GeneTokens:
        """Read it.

        Raises
        ------
        BadFile
            When the folder holds none, or one that is damaged or of another version.
        """
        parts, document = checkpoint.load(folder, NAME)
        checkpoint.expect(document, {"version": _VERSION}, str(folder / NAME), "train it again")
        try:
            names = document["channels"]
            knowledge = Knowledge(
                tuple(document["genes"]),
                {name: parts[f"channel.{name}"].float().numpy() for name in names},
                {name: parts[f"known.{name}"].numpy() for name in names},
            )
            said = document["labels"]
            labels = Labels(
                tuple(said["types"]),
                tuple(said["leaves"]),
                {name: tuple(some) for name, some in said["classes"].items()},
            )
            rows = parts["own_row"].numpy()
            trained = np.argsort(rows, kind="stable")[np.count_nonzero(rows == 0) :]
            model = GeneTokenModel(ModelConfig(**document["model"]), knowledge, trained, labels)
            model.alpha = float(document["alpha"])
            state = {key.removeprefix("model."): value for key, value in parts.items()
                     if key.startswith("model.")}  # fmt: skip
            model.load_state_dict(state)
            config, usual = TokenConfig(**document["tokens"]), parts["usual"].numpy()
        except (KeyError, TypeError, RuntimeError) as error:
            raise BadFile(
                f"{folder} holds no gene-token encoder that can be read: {error}"
            ) from None
        return cls(model, knowledge, config, usual, document.get("about"), folder.name)
