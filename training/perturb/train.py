"""GEARS trained on a screen: its losses, its batches, and the network that comes of it.

Gives :func:`train`, :func:`held_out` and the two losses (Roohani et al. 2023,
doi:10.1038/s41587-023-01905-6). Where this departs from the published code: the uncertainty loss
has the log-variance term that is missing there (without it the log-variance grows without bound);
the direction loss uses tanh for the sign, whose gradient is nought everywhere; a batch holds as
many cells of every perturbation rather than random ones, since losses are averaged over
perturbations anyway; AdamW with a cosine schedule (:mod:`training.loop`) stands for Adam with
halving. ``bag`` averages cells before they are compared: one cell is mostly noise.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.perturbation.choice import agreement, pearson
from encoders.perturbation.gears import Gears, GearsConfig, Network, mixture
from encoders.perturbation.genes import GeneSpace
from encoders.perturbation.graphs import Nodes, coexpression
from encoders.perturbation.models import MEAN, Training, change, training_of, with_own
from encoders.perturbation.screen import Screen
from encoders.perturbation.store import Stored
from encoders.prediction import Measured
from training.loop import History, LoopConfig, fit
from training.perturb.data import Cells, folds

__all__ = ["PerturbConfig", "change_loss", "held_out", "train", "trained", "uncertainty_loss"]

SOFT = 0.1
"""Change of log1p expression at which a softened sign is three quarters of a sign."""


@dataclass(frozen=True, slots=True)
class PerturbConfig:
    """How GEARS is trained.

    Parameters
    ----------
    gamma, direction
        Of the losses: the exponent is ``2 + gamma``, and the weight of the direction loss.
    regular
        Weight of the uncertainty's part.
    perturbations, cells
        Perturbations in a batch at most, and cells (or bags of cells) of each.
    bag
        Cells averaged into one; 1 with 32 ``cells`` and a rate of .001 is as published.
    network, loop
        Sizes, and the run.
    """

    gamma: float = 2.0
    direction: float = 0.1
    regular: float = 1.0
    perturbations: int = 32
    cells: int = 8
    bag: int = 32
    network: GearsConfig = field(default_factory=GearsConfig)
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=400, learning_rate=5e-3, weight_decay=5e-4, warmup=0.0, threads=1
        )
    )


def change_loss(
    predicted: torch.Tensor,
    cells: torch.Tensor,
    control: torch.Tensor,
    counted: torch.Tensor,
    config: PerturbConfig,
) -> torch.Tensor:
    """Auto-focus and direction loss, averaged over perturbations.

    Parameters
    ----------
    predicted, cells
        [u, m, n] predicted and measured expression.
    control
        [n] mean of the control cells.
    counted
        [u, n] genes that a perturbation's loss looks at: 1 where it or the control has counts, and
        the gene is none that is perturbed.
    """
    power = (predicted - cells).abs() ** (2 + config.gamma)
    sign = torch.tanh((cells - control) / SOFT) - torch.tanh((predicted - control) / SOFT)
    each = (power + config.direction * sign**2).mean(dim=1)  # [u, n]
    return _mean_over(each, counted)


def uncertainty_loss(
    predicted: torch.Tensor,
    spread: torch.Tensor,
    cells: torch.Tensor,
    counted: torch.Tensor,
    config: PerturbConfig,
) -> torch.Tensor:
    """``exp(-s) d^4 + s`` by gene: least where s is the logarithm of the mean ``d^4``.

    The ``+ s`` is what the published code lacks. ``spread`` [u, n]; the others as above. The error
    is held fixed: how sure a change is shall not decide how well it is fitted.
    """
    power = ((predicted - cells).abs() ** (2 + config.gamma)).mean(dim=1).detach()
    return config.regular * _mean_over(torch.exp(-spread) * power + spread, counted)


def _mean_over(each: torch.Tensor, counted: torch.Tensor) -> torch.Tensor:
    """Mean over the counted genes, then over perturbations."""
    return ((each * counted).sum(dim=1) / counted.sum(dim=1).clamp(min=1)).mean()


@dataclass(frozen=True, eq=False)
class _Batches:
    """Batches by number: perturbations, and bags of their cells and of control cells."""

    cells: Cells
    train: Sequence[int]
    config: PerturbConfig

    def __call__(self, number: int) -> tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]:
        """Rows [u] (-1 for control), their cells [u, m, n] and control cells [u, m, n]."""
        draw = np.random.default_rng([self.config.loop.seed, number])
        rows = np.array([-1, *self.train])
        rows = draw.permutation(rows)[: self.config.perturbations]
        pairs = [(self._bags(int(r), draw), self._bags(-1, draw)) for r in rows]
        return rows, torch.stack([a for a, _ in pairs]), torch.stack([b for _, b in pairs])

    def _bags(self, row: int, draw: np.random.Generator) -> torch.Tensor:
        at = np.flatnonzero(self.cells.rows == row)
        wanted = (self.config.cells, self.config.bag)
        return torch.from_numpy(self.cells.values[draw.choice(at, wanted)].mean(axis=1))


def train(
    cells: Cells,
    nodes: Nodes,
    config: PerturbConfig | None = None,
    rows: Sequence[int] | None = None,
    *,
    folder: Path | None = None,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[Network, History]:
    """Train on some perturbations of a screen.

    Parameters
    ----------
    cells, nodes
        The screen's cells, and the GO graph around its genes.
    config
        The run.
    rows
        Perturbations that are trained on; all by default.
    folder, seconds, show
        As for :func:`training.loop.fit`: checkpoints, a limit, a bar.
    """
    config = config or PerturbConfig()
    used = list(range(len(cells.screen.sets))) if rows is None else list(rows)
    trained = tuple(sorted({gene for i in used for gene in cells.screen.sets[i]}))
    inside = np.isin(cells.rows, [-1, *used])
    torch.manual_seed(config.loop.seed)
    model = Gears(config.network, coexpression(cells.values[inside]), len(nodes.genes))
    sets = [(), *(cells.screen.sets[i] for i in used)]
    mixed, count = mixture(sets, nodes, trained)
    at = {row: i for i, row in enumerate([-1, *used])}
    control = torch.from_numpy(cells.screen.control.astype(np.float32))
    counted = torch.from_numpy(_counted(cells, [-1, *used]))

    def step(batch: tuple[NDArray[np.int64], torch.Tensor, torch.Tensor]) -> torch.Tensor:
        chosen, target, start = batch
        place = [at[int(row)] for row in chosen]
        model.train()
        change, spread = model(mixed[place], count[place])
        predicted = start + change[:, None]
        loss = change_loss(predicted, target, control, counted[place], config)
        return loss + uncertainty_loss(predicted, spread, target, counted[place], config)

    history = fit(
        dict(model.named_parameters()), step, _Batches(cells, used, config), config.loop, folder,
        about={"perturbations": [list(s) for s in sets], "genes": len(cells.screen.genes)},
        seconds=seconds, show=show,
    )  # fmt: skip
    _settle(model, mixed, count)
    return Network(model, nodes, trained), history


def _counted(cells: Cells, rows: Sequence[int]) -> NDArray[np.float32]:
    """[rows, N] 1 where the perturbation's cells or the control cells have any count.

    And where the gene is not its own: what happens to that is no effect on another.
    """
    control = (cells.values[cells.rows == -1] > 0).any(axis=0)
    found = [control | (cells.values[cells.rows == row] > 0).any(axis=0) for row in rows]
    own = _profiles(cells.screen).own
    return np.array(
        [some & ~own[row] if row >= 0 else some for some, row in zip(found, rows, strict=True)],
        np.float32,
    )


def _profiles(screen: Screen) -> Training:
    """The screen as the fast models learn from it; which genes are alike is not asked."""
    return training_of(screen, GeneSpace.bare(screen.perturbed))


def _settle(model: Gears, mixed: torch.Tensor, count: torch.Tensor) -> None:
    """Set the statistics of batch norm to those of all that was trained on, at once.

    Running averages would depend on the last batches, and are no parameters of the loop.
    """
    norms = [part for part in model.modules() if isinstance(part, torch.nn.BatchNorm1d)]
    for norm in norms:
        norm.reset_running_stats()
        norm.momentum = None  # the plain average
    model.train()
    with torch.no_grad():
        model(mixed, count)
    model.eval()


def held_out(
    cells: Cells,
    nodes: Nodes,
    parts: Sequence[tuple[Sequence[int], Sequence[int]]],
    config: PerturbConfig | None = None,
    *,
    show: bool = False,
) -> dict[int, tuple[NDArray[np.float64], NDArray[np.float64]]]:
    """Changes and expected errors of the test perturbations, each by a network that never saw them.

    Parameters
    ----------
    parts
        Train and test rows of each fold.
    """
    found = {}
    profiles = _profiles(cells.screen)
    for train_rows, test_rows in parts:
        network, _ = train(cells, nodes, config, train_rows, show=show)
        learnt = profiles.taken(train_rows)
        for row in test_rows:
            made, expected = network.predict(profiles.sets[row])
            found[row] = with_own(made, learnt, profiles.sets[row]), expected
    return found


def trained(
    cells: Cells,
    nodes: Nodes,
    config: PerturbConfig | None = None,
    parts: int = 5,
    *,
    folder: Path | None = None,
    show: bool = False,
) -> Stored:
    """Train on all of a screen, and measure by folds of genes what that is worth.

    Parameters
    ----------
    cells, nodes, config
        As for :func:`train`.
    parts
        Folds; as many networks are trained besides the one that is kept.
    folder
        Where the checkpoints of the last network are kept.
    show
        Bars on stderr.
    """
    screen = cells.screen
    found = held_out(cells, nodes, folds(screen.sets, parts), config, show=show)
    rows = sorted(found)
    made = np.array([found[row][0] for row in rows])
    expected = np.array([found[row][1] for row in rows])
    truth = screen.changes[rows]
    scores = np.array([pearson(p, t) for p, t in zip(made, truth, strict=True)])
    trivial = _trivial(_profiles(screen), folds(screen.sets, parts))
    baseline = float(np.mean([pearson(trivial[row], screen.changes[row]) for row in rows]))
    measured = Measured(
        f"delta-Pearson over left-out genes ({parts} folds)", float(scores.mean()),
        "mean profile", baseline, Path(screen.source).name, len(rows), float(scores.std(ddof=1)),
    )  # fmt: skip
    network, _ = train(cells, nodes, config, folder=folder, show=show)
    by_genes = {screen.sets[row]: float(one) for row, one in zip(rows, scores, strict=True)}
    value = agreement(expected, np.abs(made - truth), screen.control)
    # The network learns errors against bags of cells, noise and all; profiles have less of it.
    scale = float(np.sqrt(((made - truth) ** 2).mean() / (expected**2).mean()))
    return Stored(screen, network, measured, by_genes, value, scale)


def _trivial(
    profiles: Training, parts: Sequence[tuple[Sequence[int], Sequence[int]]]
) -> dict[int, NDArray[np.float64]]:
    """The mean profile of what each test perturbation's network was trained on."""
    return {
        row: change(MEAN, profiles.taken(own), profiles.sets[row])
        for own, test in parts
        for row in test
    }
