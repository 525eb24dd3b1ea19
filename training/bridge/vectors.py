"""Make the vectors of gene names that come with Celloquy (``python -m training.bridge.vectors``).

All-MiniLM-L6-v2 on what each gene is called (:func:`encoders.bridge.features.name_texts`), brought
to its first 192 principal directions and a byte each: 4 MB for 20,000 genes. Genes that code for a
protein or that any target links to something are in.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np

from encoders import checkpoint
from encoders.bridge import features as nodefeatures
from encoders.bridge import tables as linktables
from encoders.text import BUNDLED
from kg.graph import KnowledgeGraph

__all__ = ["WIDTH", "write"]

WIDTH = 192
"""Of 384: kNN over names loses .002 to .004 of its mean reciprocal rank; 128 lose .009."""


def write(graph: KnowledgeGraph, folder: Path = nodefeatures.SHIPPED) -> str:
    """Write ``genes.safetensors`` and ``genes.json``; the result is the hash of the tensors."""
    import torch

    linked = {
        gene for name in linktables.TARGETS for gene in linktables.read_links(name, graph).genes
    }
    texts = nodefeatures.name_texts() | nodefeatures.name_texts(linked)
    ordered = {gene: texts[gene] for gene in sorted(texts)}
    table = nodefeatures.text_features(ordered, "gene names", progress=True)
    values, scale = nodefeatures.quantised(table.values, WIDTH)
    numbers = np.array([int(gene.removeprefix("HGNC:")) for gene in table.ids], dtype=np.int32)
    tensors = {
        "values": torch.from_numpy(values),
        "scale": torch.from_numpy(scale),
        "hgnc": torch.from_numpy(numbers),
    }
    document = {
        "name": "gene names",
        "encoder": BUNDLED,
        "texts": "symbol, full name and up to three aliases",
        "genes": len(numbers),
        "releases": {"HGNC": graph.releases["HGNC"].version},
        "licence": "Apache-2.0; computed from HGNC (free to use)",
    }
    return checkpoint.save(folder, "genes", tensors, document)


if __name__ == "__main__":
    from kg.embedded import EmbeddedGraph

    with EmbeddedGraph.open() as opened:
        write(opened)
