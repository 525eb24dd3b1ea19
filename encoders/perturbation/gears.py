"""GEARS: a network from the genes perturbed to the change of every measured gene.

Gives :class:`Gears`, the published forward pass (Roohani et al. 2023,
doi:10.1038/s41587-023-01905-6), and :class:`Network`, a trained one with its graphs, which
predicts. In that pass nothing but the last sum reads the cell: embeddings of measured genes, moved
by the embedding of the perturbation, give a change that is added to the control expression. So the
change is computed once a perturbation here, not once a cell, which is some fifty times less work
for the same function; and the mean over 300 sampled control cells is the change plus their mean.

An unseen gene stands where its neighbours in the GO graph stand. The published code gives it its
own embedding too, which no step has trained; here it has none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

from encoders.perturbation.graphs import Nodes, normalised, place

__all__ = ["Gears", "GearsConfig", "Network", "mixture"]


@dataclass(frozen=True, slots=True)
class GearsConfig:
    """The published sizes: ``width`` d, and the weight of co-expression in a gene's embedding."""

    width: int = 64
    position: float = 0.2


class Gears(nn.Module):
    """Changes of N genes for U perturbations.

    Shapes: u perturbations, n measured genes, p nodes of the GO graph, d width.
    """

    genes: torch.Tensor

    def __init__(self, config: GearsConfig, coexpressed: NDArray[np.float32], n_nodes: int) -> None:
        super().__init__()
        d, n = config.width, len(coexpressed)
        self.config, self.n_nodes = config, n_nodes
        self.register_buffer("genes", torch.from_numpy(normalised(coexpressed)))  # [n, n]
        self.gene = nn.Embedding(n, d)
        self.positional = nn.Embedding(n, d)
        self.perturbed = nn.Embedding(n_nodes, d)
        self.gene_convolution, self.node_convolution = nn.Linear(d, d), nn.Linear(d, d)
        self.norm_in, self.norm_out = nn.BatchNorm1d(d), nn.BatchNorm1d(d)
        self.mix, self.fuse = _mlp(d, d, d), _mlp(d, d, d)
        self.decode, self.across = _mlp(d, 2 * d, d), _mlp(n, d, d)
        self.own = nn.Parameter(nn.init.xavier_normal_(torch.empty(n, d)))
        self.own_bias = nn.Parameter(torch.zeros(n))
        self.last = nn.Parameter(nn.init.xavier_normal_(torch.empty(n, d + 1)))
        self.last_bias = nn.Parameter(torch.zeros(n))
        self.spread = _mlp(d, 2 * d, d, 1)

    def forward(
        self, mixed: torch.Tensor, count: torch.Tensor
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Changes and log-variances, both [u, n].

        Parameters
        ----------
        mixed
            [u, p] sums over the perturbed genes of their rows of the normalised GO graph.
        count
            [u] how many genes are perturbed; 0 for control cells.
        """
        base = torch.relu(self.norm_in(_capped(self.gene.weight)))  # [n, d]
        near = self.gene_convolution(self.genes @ _capped(self.positional.weight))
        base = torch.relu(self.mix(base + self.config.position * near))  # [n, d]
        moved = mixed @ _capped(self.perturbed.weight)  # [u, p] -> [u, d]
        moved = moved @ self.node_convolution.weight.T + count[:, None] * self.node_convolution.bias
        moved = torch.relu(self.fuse(moved)) * (count > 0)[:, None]  # [u, d]
        state = base[None] + moved[:, None]  # [u, n, d]
        u, n, d = state.shape
        state = torch.relu(self.norm_out(state.reshape(u * n, d)))  # [u * n, d]
        out = self.decode(state).reshape(u, n, d)
        own = (out * self.own).sum(-1) + self.own_bias  # [u, n]
        across = self.across(own)  # [u, d]
        change = own * self.last[:, 0] + across @ self.last[:, 1:].T + self.last_bias  # [u, n]
        return change, self.spread(state).reshape(u, n)


def _mlp(*sizes: int) -> nn.Sequential:
    """Linear and batch norm at each step, ReLU between: GEARS's own MLP."""
    layers: list[nn.Module] = []
    for i, (before, after) in enumerate(pairwise(sizes)):
        layers += [nn.Linear(before, after), nn.BatchNorm1d(after)]
        if i < len(sizes) - 2:
            layers.append(nn.ReLU())
    return nn.Sequential(*layers)


def _capped(rows: torch.Tensor) -> torch.Tensor:
    """Rows of a norm of at most 1, as the embeddings of the published code are kept."""
    length: torch.Tensor = rows.norm(dim=1, keepdim=True)
    return rows / length.clamp(min=1).detach()


def mixture(
    sets: Sequence[Sequence[str]], nodes: Nodes, trained: Sequence[str]
) -> tuple[torch.Tensor, torch.Tensor]:
    """What :meth:`Gears.forward` takes for sets of genes.

    A gene that was not trained on has no embedding of its own: its neighbours place it.
    """
    rows = normalised(nodes.weights)
    at = {gene: i for i, gene in enumerate(nodes.genes)}
    mixed = np.zeros((len(sets), len(nodes.genes)), np.float32)
    for i, some in enumerate(sets):
        for gene in some:
            mixed[i] += rows[at[gene]] if gene in trained else place(gene, nodes, trained)[0]
    count = np.array([len(some) for some in sets], np.float32)
    return torch.from_numpy(mixed), torch.from_numpy(count)


@dataclass(frozen=True, eq=False)
class Network:
    """A trained GEARS with the nodes of its graph, and the genes it was trained on."""

    model: Gears
    nodes: Nodes
    trained: tuple[str, ...]

    def predict(self, genes: Sequence[str]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Changes [N] and expected errors [N], the fourth root of the predicted ``d^4``."""
        self.model.eval()
        with torch.no_grad():
            change, spread = self.model(*mixture([genes], self.nodes, self.trained))
        return change[0].double().numpy(), torch.exp(spread[0].double() / 4).numpy()
