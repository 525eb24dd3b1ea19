"""What predicting links costs: one gene, cold and warm, and the vote beside scikit-learn's search.

The bar of the whole process is that of a cold `ask`. Needs the fetched assets, the built graph and
safetensors.
"""

from __future__ import annotations

import sys

import numpy as np
from timing import Row, inside, median_over, process, report

from encoders.bridge.features import shipped
from encoders.bridge.links import bridge
from encoders.bridge.neighbours import nearest
from kg.embedded import EmbeddedGraph

GENES = ("TREM2", "STAT2", "CD8A", "IFNGR1", "BRCA1")
QUERIES, KNOWN, K = 256, 16_000, 50


def answers() -> list[Row]:
    """One gene to one target."""
    command = [sys.executable, "-m", "celloquy", "bridge", "TREM2", "--to"]
    rows = [Row("whole process: bridge TREM2 --to disease", process([*command, "disease"]), 3.0)]
    rows.append(
        Row("whole process: bridge TREM2 --to process", process([*command, "process"]), 3.0)
    )
    with EmbeddedGraph.open() as graph:
        for target in ("disease", "process"):
            asked = [(gene, target) for gene in GENES]
            taken = median_over(lambda gene, to: bridge(gene, to, graph=graph), asked)
            rows.append(Row(f"a gene to {target}, in a running process", taken, 2.0))
    return rows


def search() -> Row:
    """The nearest of all genes, by product and partition."""
    from sklearn.neighbors import NearestNeighbors

    table = shipped().units[:KNOWN]
    asked = shipped().units[-QUERIES:]
    theirs = NearestNeighbors(n_neighbors=K, metric="cosine", algorithm="brute").fit(table)
    some = [asked[i : i + 64] for i in range(0, QUERIES, 64)]
    return Row(
        f"{K} nearest of {KNOWN:,} genes, 64 asked at once",
        median_over(lambda rows: nearest(np.asarray(rows @ table.T), K), some),
        None,
        "scikit-learn NearestNeighbors",
        median_over(lambda rows: theirs.kneighbors(rows), some),
    )


def loading() -> Row:
    """The shipped vectors."""
    return Row("vectors of gene names, from the package",
               inside("from encoders.bridge.features import shipped\nshipped()"))  # fmt: skip


def main() -> int:
    return 1 if report([loading(), *answers(), search()]) else 0


if __name__ == "__main__":
    raise SystemExit(main())
