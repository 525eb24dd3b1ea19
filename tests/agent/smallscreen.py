"""A perturbation screen of a few genes, for tests that need one to be read whole."""

from __future__ import annotations

from pathlib import Path

import anndata
import numpy as np
import pandas as pd

OUT = ("STAT1", "STAT2", "IRF9", "JAK2", "IFNGR1", "IRF1")
PANEL = ("STAT1", "IRF1", "CD4", "CD8A", "MYC", "ACTB", "GAPDH", "PSMB9", "B2M", "LYZ", "NKG7",
         "GNLY")  # fmt: skip
EACH = 12


def screen(path: Path) -> Path:
    """Write six knock-outs of a dozen cells each, and a dozen controls: counts drawn at random."""
    labels = [*OUT, "non-targeting"]
    n = EACH * len(labels)
    counts = np.random.default_rng(2).poisson(4, (n, len(PANEL))).astype(np.float32)
    obs = pd.DataFrame({"perturbation": np.repeat(labels, EACH)}, index=[f"c{i}" for i in range(n)])
    anndata.AnnData(counts, obs=obs, var=pd.DataFrame(index=list(PANEL))).write_h5ad(path)
    return path
