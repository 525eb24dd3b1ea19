"""What real cells look like apart from their type: levels of genes, spread, depth; as numbers.

Gives :func:`read`, the measured background that ships as ``data/background.tsv``, from which
:mod:`training.profiles` simulates. ``python -m training.background --data FOLDER`` measures it
again on two development datasets that nothing is scored on by the language-model core: tumour T
cells (Wu et al. 2020, doi:10.1038/s41586-020-2056-8, 200 cells) and liver (He et al. 2020,
doi:10.1186/s13059-020-02210-0, 20 cells of five types).

A gene's background is the median of its share of counts over four lineages (T cells of either
dataset, myeloid cells, B and endothelial cells): what one lineage alone expresses is no background.
What twenty cells can tell is coarse; the numbers are a stage to simulate on, not a reference.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import data as _data
from data.errors import BadFile
from training.annotation.data import label_map

if TYPE_CHECKING:
    import scipy.sparse as sp

__all__ = ["TABLE", "Background", "main", "read"]

TABLE = Path(_data.__file__).parent / "background.tsv"

_LEAST = 0.05
"""Counts in 10,000 below which a gene is no background: 1 count in 80 cells of usual depth."""

_STATE = 15
"""Cells of a T-cell state from which its spread is measured."""


@dataclass(frozen=True, eq=False)
class Background:
    """Measured numbers.

    ``rates`` are counts in 10,000 of each of ``genes``; ``dispersion`` the mean excess variance of
    a gene within one state, over the squared mean (a negative binomial's); ``between`` the standard
    deviation of a gene's log rate between the same type in two datasets; ``depth_mean`` and
    ``depth_sd`` of the natural log of a cell's counts.
    """

    genes: tuple[str, ...]
    rates: NDArray[np.float64]
    dispersion: float
    between: float
    depth_mean: float
    depth_sd: float


@lru_cache(maxsize=1)
def read(table: Path = TABLE) -> Background:
    """The shipped numbers.

    Raises
    ------
    BadFile
        When the table is not as it ships.
    """
    numbers: dict[str, float] = {}
    genes, rates = [], []
    try:
        for line in table.read_text(encoding="utf-8").splitlines():
            first, _, value = line.lstrip("# ").partition("\t")
            if line.startswith("#"):
                if value:
                    numbers[first] = float(value)
            elif first != "gene":
                genes.append(first)
                rates.append(float(value))
        return Background(tuple(genes), np.array(rates), **numbers)
    except (OSError, ValueError, TypeError) as error:
        raise BadFile(f"{table} is no table of background expression ({error})") from error


def dispersion(counts: NDArray[np.float64]) -> float:
    """Mean over genes of (variance - mean) / mean^2, depth taken into account.

    ``counts`` is [cells, genes] of one state; genes below half a count a cell say nothing.
    """
    depth = counts.sum(axis=1)
    size = depth / depth.mean()
    mean = counts.sum(axis=0) / size.sum()
    told = mean >= 0.5
    expected = np.outer(size, mean[told])
    excess = ((counts[:, told] - expected) ** 2).sum(axis=0) - expected.sum(axis=0)
    return float((excess / (expected**2).sum(axis=0)).mean())


def _rates(counts: sp.csr_matrix) -> NDArray[np.float64]:
    total = np.asarray(counts.sum(axis=0), dtype=np.float64).ravel()
    return np.asarray(total / total.sum() * 1e4)


def _read_counts(
    folder: Path, file: str, column: str
) -> tuple[sp.csr_matrix, Sequence[str], list[str]]:
    import scipy.sparse as sp

    from data.h5ad import open_cells

    with open_cells(folder / "cells" / file) as found:
        cells = found.harmonised()
        counts = sp.vstack([block.values for block in cells.blocks(values="counts")]).tocsr()
        return counts, cells.genes, [str(label) for label in np.asarray(cells.column(column))]


def measure(folder: Path) -> Background:
    """Measure the numbers on the folder of development data."""
    t, t_genes, states = _read_counts(folder, "tcells_wu2020_200x30727_counts.h5ad", "cluster_orig")
    liver, l_genes, labels = _read_counts(folder, "liver_he2020_20cells_counts.h5ad", "cell_type")
    types = np.array([label_map("liver")[label][0] for label in labels])
    lineages = [("CL:0000084",), ("CL:0000235", "CL:0000576"), ("CL:0000236", "CL:0000115")]
    genes = sorted(set(t_genes) & set(l_genes))
    place_t = {gene: i for i, gene in enumerate(t_genes)}
    place_l = {gene: i for i, gene in enumerate(l_genes)}
    columns_l = [place_l[gene] for gene in genes]
    levels = [_rates(t)[[place_t[gene] for gene in genes]]]
    levels += [_rates(liver[np.isin(types, some)])[columns_l] for some in lineages]
    table = np.array(levels)
    clear = (table[:2] >= 1).all(axis=0)
    between = np.log(table[0, clear]) - np.log(table[1, clear])
    spread = [
        dispersion(t[[i for i, s in enumerate(states) if s == state]].toarray().astype(float))
        for state, n in sorted(Counter(states).items())
        if n >= _STATE
    ]
    depth = [np.log(np.asarray(x.sum(axis=1)).ravel()) for x in (t, liver)]
    rates = np.median(table, axis=0)
    kept = np.flatnonzero(rates >= _LEAST)
    return Background(
        tuple(genes[i] for i in kept),
        rates[kept],
        dispersion=float(np.mean(spread)),
        between=float(between.std() / np.sqrt(2)),
        depth_mean=float(np.mean([d.mean() for d in depth])),
        depth_sd=float(np.mean([d.std() for d in depth])),
    )


def main(arguments: list[str] | None = None) -> int:
    """Write the table."""
    parser = argparse.ArgumentParser(prog="python -m training.background")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    options = parser.parse_args(arguments)
    found = measure(options.data)
    lines = [
        "# Background of simulated cells, made by `python -m training.background`: counts in",
        "# 10,000, the median of four lineages in T cells (Wu et al. 2020,",
        "# doi:10.1038/s41586-020-2056-8) and liver (He et al. 2020,",
        "# doi:10.1186/s13059-020-02210-0).",
    ]
    for name in ("dispersion", "between", "depth_mean", "depth_sd"):
        lines.append(f"# {name}\t{getattr(found, name):.4f}")
    lines.append("gene\trate")
    lines += [f"{g}\t{r:.3g}" for g, r in zip(found.genes, found.rates, strict=True)]
    TABLE.write_text("\n".join(lines) + "\n", encoding="utf-8")
    sys.stdout.write(f"{len(found.genes):,} genes in {TABLE.name}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
