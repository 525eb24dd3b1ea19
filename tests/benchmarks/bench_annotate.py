"""A million cells: time and memory of ``celloquy annotate``, beside CellTypist where it is there.

The cells are real ones (PBMC68k-reduced, or PBMC3k where CELLOQUY_TEST_DATA names the development
data), repeated in random order and thinned a little, so that blocks differ. The bar is ten minutes
and 4 GB on two cores for 1,000,000 cells x 2,000 genes, without smoothing and votes.

``python tests/benchmarks/bench_annotate.py [CELLS]``
"""

from __future__ import annotations

import os
import resource
import subprocess
import sys
import tempfile
import time
import warnings
from importlib.util import find_spec
from pathlib import Path

import h5py
import numpy as np
import scipy.sparse as sp

from data import sources
from data.h5ad import open_cells

MINUTES, GIGABYTES = 10.0, 4.0
BLOCK = 20_000
DENSE = 100_000  # cells that CellTypist is given: it would hold 16 GB for a million
KEPT = 0.95  # share of the values that a repeated cell keeps
RUN = "import celloquy; celloquy.main()"


def source() -> Path:
    """Real cells to repeat."""
    named = os.environ.get("CELLOQUY_TEST_DATA")
    if named:
        return Path(named) / "cells" / "pbmc3k_clustifyr_2638x2000_lognorm.h5ad"
    return sources.path("pbmc68k")


def tile(target: Path, n_cells: int) -> tuple[int, int]:
    """Write the repeated cells as an .h5ad, block by block; gives genes and values."""
    import anndata

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with open_cells(source()) as cells:
            rows = sp.vstack([block.values for block in cells.blocks()]).tocsr()
            genes = list(cells.genes)
    rng = np.random.default_rng(0)
    empty = anndata.AnnData(sp.csr_matrix((0, len(genes)), dtype=np.float32))
    empty.var_names = genes
    empty.write_h5ad(target)
    total = 0
    with h5py.File(target, "r+") as file:
        x = file["X"]
        for name, kind in (("data", "f4"), ("indices", "i4"), ("indptr", "i8")):
            del x[name]
            x.create_dataset(name, shape=(0,), maxshape=(None,), dtype=kind, chunks=(1 << 18,))
        pointers = [np.zeros(1, dtype=np.int64)]
        for start in range(0, n_cells, BLOCK):
            some = rows[rng.integers(0, rows.shape[0], min(BLOCK, n_cells - start))]
            some.data[rng.random(some.nnz) > KEPT] = 0
            some.eliminate_zeros()
            for name, values in (("data", some.data), ("indices", some.indices)):
                x[name].resize((total + some.nnz,))
                x[name][total:] = values
            pointers.append(some.indptr[1:].astype(np.int64) + total)
            total += some.nnz
        x["indptr"].resize((n_cells + 1,))
        x["indptr"][:] = np.concatenate(pointers)
        x.attrs["shape"] = np.array([n_cells, len(genes)])
        index = file["obs"].attrs["_index"]
        del file["obs"][index]
        names = np.array([f"c{i}" for i in range(n_cells)], dtype=object)
        file["obs"].create_dataset(index, data=names, dtype=h5py.string_dtype())
        file["obs"][index].attrs.update(
            {"encoding-type": "string-array", "encoding-version": "0.2.0"}
        )
    return len(genes), total


def celltypist(file: Path, taught: int = 20_000) -> None:
    """CellTypist on the same cells: a model taught here on Celloquy's answers for some of them."""
    import anndata
    import celltypist as ct

    adata = anndata.read_h5ad(file, backed="r")
    adata = adata[: min(DENSE, adata.n_obs)].to_memory()
    # It insists on 10,000 counts in every cell, which the selected genes no longer add up to.
    linear = sp.csr_matrix(adata.X)
    linear.data = np.expm1(linear.data)
    sums = np.maximum(np.asarray(linear.sum(axis=1)).ravel(), 1e-9)
    adata.X = sp.csr_matrix(sp.diags_array(1e4 / sums) @ linear).log1p()
    some = adata[:taught].copy()
    labels = some.obs["celloquy_cell_type"].astype(str)
    # Its other solver needs an option that scikit-learn 1.8 no longer has.
    model = ct.train(some, labels=labels, n_jobs=2, use_SGD=True, max_iter=100)
    started, cpu = time.perf_counter(), time.process_time()
    ct.annotate(adata, model=model)
    taken, cpu = time.perf_counter() - started, time.process_time() - cpu
    print(f"CellTypist, prediction alone    {taken:8.1f} s  {adata.n_obs / taken:10,.0f} cells/s  "
          f"{cpu:.1f} s of processors  {adata.n_obs:,} of the cells, held as a dense "
          "matrix")  # fmt: skip


def main(n_cells: int = 1_000_000) -> int:
    with tempfile.TemporaryDirectory() as folder:
        file, out = Path(folder) / "cells.h5ad", Path(folder) / "out.h5ad"
        genes, values = tile(file, n_cells)
        print(f"{n_cells:,} cells x {genes:,} genes, {values / n_cells:.0f} values a cell")
        started = time.perf_counter()
        arguments = ["annotate", str(file), "-o", str(out), "--no-smooth", "--quiet", "--json"]
        done = subprocess.run(
            [sys.executable, "-c", RUN, *arguments], check=False, stdout=subprocess.DEVNULL
        )
        taken = time.perf_counter() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        peak, cpu = used.ru_maxrss / 1e6, used.ru_utime + used.ru_stime
        print(f"celloquy annotate, whole process{taken:8.1f} s  {n_cells / taken:10,.0f} cells/s  "
              f"{cpu:.1f} s of processors  {peak:.2f} GB at most")  # fmt: skip
        if find_spec("celltypist"):
            celltypist(out)
        else:
            print("CellTypist is not installed: no comparison (pip install celltypist)")
        share = n_cells / 1_000_000
        met = done.returncode == 0 and taken <= 60 * MINUTES * share and peak <= GIGABYTES
        print(f"bar: {MINUTES:.0f} minutes and {GIGABYTES:.0f} GB a million: "
              f"{'met' if met or share < 1 else 'missed'}")  # fmt: skip
        return done.returncode


if __name__ == "__main__":
    raise SystemExit(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1_000_000))
