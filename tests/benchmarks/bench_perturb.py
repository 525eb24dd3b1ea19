"""Perturbation: profiles of a screen, the choice of a model, and a step of GEARS.

A step is timed as it is done here, each perturbation once, and as published, each cell of a batch
by itself. On a simulated screen of the size of a published one (20 knock-outs, 300 genes); the
features are random, since only their number counts. Needs no assets.

``python tests/benchmarks/bench_perturb.py``
"""

from __future__ import annotations

import numpy as np
import torch
from timing import Row, median, report

from encoders.perturbation.choice import cases_like, choose, measure
from encoders.perturbation.gears import Gears, GearsConfig
from encoders.perturbation.genes import GeneSpace
from encoders.perturbation.graphs import coexpression
from encoders.perturbation.models import Training

PERTURBATIONS, GENES, CELLS, BATCH, NODES = 20, 300, 16_000, 32, 400


def simulated() -> Training:
    """Twenty perturbations with random features."""
    rng = np.random.default_rng(0)
    names = tuple(f"G{i:02d}" for i in range(PERTURBATIONS))
    rows = rng.standard_normal((PERTURBATIONS, 16))
    space = GeneSpace(names, rows @ rows.T, np.eye(PERTURBATIONS), {})
    sets = tuple((name,) for name in names)
    changes = rng.standard_normal((PERTURBATIONS, GENES))
    nowhere = np.full(PERTURBATIONS, -1)
    return Training(sets, space.rows(sets), changes, np.ones(GENES), nowhere, space)


def step(repeats: int) -> float:
    """Seconds of a forward and backward pass, each perturbation so many times."""
    torch.manual_seed(0)
    model = Gears(GearsConfig(), np.zeros((GENES, GENES), np.float32), NODES)
    mixed = torch.rand(PERTURBATIONS, NODES).repeat_interleave(repeats, 0)
    count = torch.ones(len(mixed))

    def once() -> None:
        model.zero_grad()
        change, spread = model(mixed, count)
        (change.square().mean() + spread.square().mean()).backward()

    return median(once, 3)


def main() -> int:
    torch.set_num_threads(1)
    training = simulated()
    rng = np.random.default_rng(1)
    cells = rng.poisson(1.0, (CELLS, GENES)).astype(np.float32)
    some = cases_like(training.sets, 1, 1)
    rows = [
        Row(f"choice among the fast models, {PERTURBATIONS} perturbations x {GENES} genes",
            median(lambda: choose(training, some), 3)),
        Row("the same measured outside of the choice", median(lambda: measure(training, 1, 1), 3),
            60.0),
        Row(f"co-expression graph, {CELLS:,} cells x {GENES} genes",
            median(lambda: coexpression(cells), 3), 20.0),
        Row(f"GEARS step, {PERTURBATIONS} perturbations", step(1), None,
            f"{BATCH} cells of each, one by one", step(BATCH)),
    ]  # fmt: skip
    return 1 if report(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
