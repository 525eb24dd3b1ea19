"""The gene-token encoder: cells a second in training and in use, at 128 and 512 gene tokens.

Runs on one core; cells are made up, with 700 of 4,000 genes expressed, since only their number
counts. The network is that of the recipe's defaults with seven channels of 32 columns. Beside it
stands what it is compared with: 50 principal components of the same cells.

``python tests/benchmarks/bench_encoders.py``
"""

from __future__ import annotations

import sys

import numpy as np
import scipy.sparse as sp
import torch
from timing import Row, Taken, median, report

from encoders.genetokens.expression import GeneTokenModel, GeneTokens, Labels, ModelConfig, tensors
from encoders.genetokens.knowledge import Channel, Knowledge
from encoders.genetokens.tokenizer import TokenConfig, held
from training.genetokens import masked, ontology_losses

CELLS, BATCH, GENES, EXPRESSED = 64, 32, 4_000, 700


def made(tokens: int, genes: tuple[str, ...]) -> GeneTokens:
    rng = np.random.default_rng(0)
    channels = [
        Channel(f"c{i}", genes, rng.normal(size=(GENES, 32)).astype(np.float32)) for i in range(7)
    ]
    knowledge = Knowledge.of(channels, genes)
    types = tuple(f"CL:{i}" for i in range(20))
    model = GeneTokenModel(ModelConfig(), knowledge, np.arange(GENES), Labels(types, types))
    return GeneTokens(model, knowledge, TokenConfig(tokens=tokens), np.ones(GENES, np.float32))


def stepped(encoder: GeneTokens, values: sp.csr_array, genes: tuple[str, ...]) -> Taken:
    """Seconds of a step of training on 32 cells: two views, masked genes, prototypes, AdamW."""
    model = encoder.model.train()
    optimizer = torch.optim.AdamW(model.parameters(), 1e-3)
    cells = held(values[:BATCH], encoder.places(genes))
    draw = torch.Generator().manual_seed(0)
    types = torch.arange(BATCH) % 20

    def step() -> None:
        optimizer.zero_grad()
        read = tensors(encoder.tokenizer(cells))
        hidden = masked.choose(read[2], masked.MASKED, draw)
        first, second = model(*read, hide_gene=hidden), model(*read)
        table = model.gene_head(model.gene_vectors(torch.arange(GENES)))
        loss = masked.gene_loss(
            model.gene_head(first.genes[hidden]), table, read[0][hidden]
        ) + ontology_losses.intra(
            ontology_losses.scaled(model.cell_head(second.special[:, 0])),
            ontology_losses.scaled(model.prototypes.weight), types,
        )  # fmt: skip
        loss.backward()
        optimizer.step()

    step()
    return median(step, 3)


def main() -> int:
    torch.set_num_threads(1)
    rng = np.random.default_rng(0)
    genes = tuple(f"gene {i}" for i in range(GENES))
    dense = np.zeros((CELLS, GENES), dtype=np.float32)
    for row in dense:
        row[rng.permutation(GENES)[:EXPRESSED]] = rng.gamma(2.0, 0.6, EXPRESSED)
    values = sp.csr_array(dense)
    turn = np.linalg.svd(dense, full_matrices=False)[2][:50].T
    beside = median(lambda: values @ turn, 15)
    rows = []
    for tokens in (128, 512):
        encoder = made(tokens, genes)
        taken = stepped(encoder, values, genes)
        print(f"  {tokens} tokens: {BATCH / taken.cpu:.0f} cells a processor second in training")
        rows.append(Row(f"a step of {BATCH} cells, {tokens} tokens", taken))
        used = median(lambda e=encoder: e.encode(values, genes), 3)  # type: ignore[misc]
        print(f"  {tokens} tokens: {CELLS / used.cpu:.0f} cells a processor second encoded")
        rows.append(Row(f"{CELLS} cells encoded, {tokens} tokens", used, None, "PCA-50", beside))
    return report(rows)


if __name__ == "__main__":
    sys.exit(main())
