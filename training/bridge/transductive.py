"""TransE, DistMult and RotatE on the same links, as the literature evaluates them (PyKEEN).

These models learn a vector a node and cannot place a gene that they have not seen, so that the
splits of :mod:`training.evaluate.bridge` are not for them. Here links are left out instead of
genes: a tenth of the links of genes that keep others, an easier question. The neighbours' vote is
scored on the same links: a gene's own training links do not vote, those of other genes do.

A. Bordes et al. 2013 (TransE), B. Yang et al. 2015 (DistMult), Z. Sun et al. 2019 (RotatE), with
PyKEEN (M. Ali et al. 2021; in the ``test`` extra). Runs are small: width 64, some epochs on a
processor. Run: ``python -m training.bridge.transductive``.
"""

from __future__ import annotations

import argparse
import sys
import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from data.errors import DependencyMissing
from encoders.bridge.neighbours import VotesConfig, similarity, votes
from training.bridge.data import Material, gather
from training.evaluate.bridge import lines
from training.evaluate.link_ranking import LinkRanking, filtered_ranks

__all__ = ["MODELS", "by_embedding", "by_neighbours", "left_out"]

MODELS = ("TransE", "DistMult", "RotatE")
WIDTH = 64
_RATE, _NEGATIVES = 0.01, 8  # Adam's, and negatives a link
_AT_ONCE = 16
_ASKED = 500  # genes that are scored: all tails of each are ranked


def left_out(material: Material, target: str, seed: int) -> tuple[Any, Any, NDArray[np.int64]]:
    """Training and left-out links [genes, tails], and the genes that are asked about.

    A tenth of the links, of genes that have two or more, never the last link of a gene or a tail.
    """
    from scipy.sparse import csr_array

    table = material.links[target].table
    rng = np.random.default_rng(seed)
    row = np.repeat(np.arange(table.shape[0]), np.diff(table.indptr))
    of_gene, of_tail = np.diff(table.indptr).copy(), np.bincount(table.indices)
    out = np.zeros(len(row), dtype=bool)
    for i in rng.permutation(len(row)):
        if out.sum() >= len(row) // 10:
            break
        gene, tail = row[i], table.indices[i]
        if of_gene[gene] > 1 and of_tail[tail] > 1:
            out[i] = True
            of_gene[gene] -= 1
            of_tail[tail] -= 1
    parts = [
        csr_array((np.ones(int(s.sum()), np.float32), (row[s], table.indices[s])), table.shape)
        for s in (~out, out)
    ]
    genes = np.flatnonzero((np.diff(parts[1].indptr) > 0) & material.features.any(axis=1))
    asked = np.sort(rng.permutation(genes)[:_ASKED])
    return parts[0], parts[1], asked


def by_neighbours(material: Material, train: Any, asked: NDArray[np.int64]) -> NDArray[np.float64]:
    """The vote by names; what a gene is known to have says nothing of what else it has."""
    known = np.flatnonzero((np.diff(train.indptr) > 0) & material.features.any(axis=1))
    x, y = material.features[known], material.features[asked]
    similar = similarity({"name": y}, {"name": x}, {"name": 1.0})
    place = {gene: i for i, gene in enumerate(known)}
    for i, gene in enumerate(asked):
        if gene in place:
            similar[i, place[gene]] = -1.0
    return votes(similar, train[known], VotesConfig()).scores


def by_embedding(
    name: str, train: Any, asked: NDArray[np.int64], *, epochs: int, seed: int
) -> NDArray[np.float64]:
    """Scores of every tail for each gene asked about, by a model of PyKEEN."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the library's own, on libraries to come
            from pykeen.models import model_resolver
            from pykeen.training import SLCWATrainingLoop
            from pykeen.triples import CoreTriplesFactory
    except ImportError as error:
        raise DependencyMissing(
            "PyKEEN is not installed; it comes with: pip install 'celloquy[test]'"
        ) from error
    import torch

    genes, tails = train.shape
    row = np.repeat(np.arange(genes), np.diff(train.indptr))
    mapped = np.stack([row, np.zeros_like(row), genes + train.indices], axis=1)
    triples = CoreTriplesFactory(
        torch.as_tensor(mapped, dtype=torch.long), num_entities=genes + tails, num_relations=1
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = model_resolver.make(
            name, triples_factory=triples, embedding_dim=WIDTH, random_seed=seed
        )
        loop = SLCWATrainingLoop(
            model=model,
            triples_factory=triples,
            optimizer=torch.optim.Adam(model.parameters(), lr=_RATE),
            negative_sampler_kwargs={"num_negs_per_pos": _NEGATIVES},
        )
        loop.train(
            triples, num_epochs=epochs, batch_size=4096, use_tqdm=False, use_tqdm_batch=False
        )
        model.eval()
    batch = torch.tensor([[int(gene), 0] for gene in asked])
    with torch.no_grad():
        # A few genes at once: some models hold a vector for each pair of gene and node.
        parts = [
            model.score_t(batch[start : start + _AT_ONCE])[:, genes:]
            for start in range(0, len(batch), _AT_ONCE)
        ]
    scores = torch.cat(parts)
    return np.asarray(scores.numpy(), dtype=np.float64)


def main(arguments: Sequence[str] | None = None) -> None:
    """One target, one draw of links."""
    from kg.embedded import EmbeddedGraph

    parser = argparse.ArgumentParser(description="Embeddings of nodes on left-out links.")
    parser.add_argument("--target", default="component")
    parser.add_argument("--models", nargs="*", default=list(MODELS), choices=MODELS)
    parser.add_argument("--epochs", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    said = parser.parse_args(arguments)
    with EmbeddedGraph.open() as graph:
        material = gather(graph, (said.target,), with_tails=False)
    train, out, asked = left_out(material, said.target, said.seed)
    counts = np.bincount(train.indices, minlength=train.shape[1]).astype(np.float64)
    scores = {
        "popularity": np.broadcast_to(counts, (len(asked), len(counts))).copy(),
        "neighbours": by_neighbours(material, train, asked),
    }
    for name in said.models:
        scores[name] = by_embedding(name, train, asked, epochs=said.epochs, seed=said.seed)
    for some in scores.values():
        held = train[asked].toarray() > 0
        some[held] = -np.inf  # what is known already is no candidate
    truth = out[asked]
    ranked = {name: LinkRanking.of(filtered_ranks(s, truth)) for name, s in scores.items()}
    sys.stdout.write("\n".join(lines({said.target: [ranked]})) + "\n")


if __name__ == "__main__":
    main()
