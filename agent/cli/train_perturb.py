"""``celloquy train perturb``: GEARS on a perturbation screen of your own."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.annotate import say
from agent.cli.console import emit_json, options
from agent.cli.knockout import ControlLabel, OnlyCells, ScreenColumn
from agent.cli.train import Output, writable

if TYPE_CHECKING:
    from encoders.perturbation.store import Stored

__all__ = ["perturb"]


def perturb(
    h5ad: Annotated[Path, typer.Option("--h5ad", help="An .h5ad file of a perturbation screen.")],
    output: Output = Path("perturb"),
    column: ScreenColumn = None,
    control: ControlLabel = None,
    cells: OnlyCells = None,
    steps: Annotated[int, typer.Option(help="Steps of the optimiser, each fit.", min=1)] = 400,
    folds: Annotated[int, typer.Option(help="Parts of the genes for the figures.", min=2)] = 5,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Train a network of what perturbations change, and measure it on left-out genes.

    The result is a folder for `celloquy knockout GENE --h5ad FILE --model FOLDER`. It also holds
    the screen's profiles, by which the fast models are fitted; which is better is told.
    """
    from dataclasses import replace

    from encoders.perturbation.graphs import gene_nodes
    from encoders.perturbation.store import NAME, save_stored
    from training.perturb.data import read_cells
    from training.perturb.train import PerturbConfig, trained

    writable(output)
    if (output / f"{NAME}.json").exists():
        say(f"{output} holds a trained model already, which will be replaced")
    started = time.monotonic()
    config = PerturbConfig()
    config = replace(config, loop=replace(config.loop, steps=steps, seed=options.seed))
    read = read_cells(h5ad, seed=options.seed, column=column, control=control, cells=cells)
    size = f"{len(read.values):,} cells, {len(read.screen.sets)} perturbations"
    say(f"{size}, {len(read.screen.genes):,} genes; {folds} folds, and the network that is kept")
    nodes = gene_nodes(read.screen.perturbed)
    made = trained(read, nodes, config, folds, show=not options.quiet)
    sha256 = save_stored(output, made, {"steps": steps, "seed": options.seed, "folds": folds})
    document = _document(made, output, sha256, time.monotonic() - started)
    if as_json:
        emit_json(document)
        return
    sys.stdout.write("\n".join(_lines(document, made)) + "\n")


def _document(made: Stored, output: Path, sha256: str, seconds: float) -> dict[str, Any]:
    from dataclasses import asdict

    assert made.measured is not None
    return {
        "perturbations": len(made.screen.sets), "genes": len(made.screen.genes),
        "measured": asdict(made.measured), "fast_models": _fast(made),
        "spearman_of_expected_errors": round(made.spearman, 4),
        "sha256": sha256, "folder": str(output), "seconds": round(seconds, 1),
    }  # fmt: skip


def _fast(made: Stored) -> float:
    """Delta-Pearson of the choice among the fast models, on left-out genes of the same screen."""
    from encoders.perturbation.choice import measure
    from encoders.perturbation.genes import gene_space
    from encoders.perturbation.models import training_of

    training = training_of(made.screen, gene_space(made.screen.perturbed))
    return round(float(measure(training, 1, 1).auto.mean()), 4)


def _lines(document: dict[str, Any], made: Stored) -> list[str]:
    from encoders.perturbation.choice import SHOWN

    assert made.measured is not None
    shown = "shown" if made.spearman > SHOWN else "not shown"
    return [
        f"GEARS: {made.measured.sentence()}",
        f"the choice among the fast models, each gene left out: {document['fast_models']:.3f}",
        f"its expected errors are {shown}: Spearman {made.spearman:.2f} with the errors",
        f"written to {document['folder']}, sha256 {document['sha256'][:16]}, "
        f"{document['seconds']:.0f} s",
    ]
