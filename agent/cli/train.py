"""``celloquy train``: what can be trained here; ``align`` brings cells to a model's words."""

from __future__ import annotations

import os
import sys
import time
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from data.errors import BadInput

if TYPE_CHECKING:
    from encoders.aligned import Aligned
    from training.align import AlignConfig
    from training.align_data import Material
    from training.loop import History

__all__ = ["align", "app", "development_folder", "writable"]

app = typer.Typer(
    help="Train what is trainable, on your own cells too.", no_args_is_help=True
)  # fmt: skip


class Objective(StrEnum):
    """What cells are compared with."""

    token = "token"  # noqa: S105 - of words
    contextual = "contextual"
    autoregressive = "autoregressive"


class Kind(StrEnum):
    """Layers of the projector."""

    linear = "linear"
    mlp2 = "mlp2"
    mlp3 = "mlp3"
    per_token = "per_token"  # noqa: S105 - of a cell


class Weight(StrEnum):
    """What counts as right."""

    identity = "identity"
    label = "label"
    levels = "levels"
    lin = "lin"
    ppr = "ppr"


# Options that both stages have.
Output = Annotated[
    Path, typer.Option("-o", "--output", help="Folder of the result; made if need be.")
]
Cells = Annotated[list[Path] | None, typer.Option(help="An .h5ad file of labelled cells. Repeat.")]
Label = Annotated[str, typer.Option(help="Its column of Cell Ontology ids or names.")]
Model = Annotated[str, typer.Option(help="The language model: local, a folder, or a hub id.")]
Seconds = Annotated[
    float | None, typer.Option(help="Stop after so long; the same command goes on.")
]


@app.command("align")
def align(
    output: Output = Path("aligned"),
    cells: Cells = None,
    label: Label = "cell_type_ontology_term_id",
    encoder: Annotated[
        str, typer.Option(help="gene-text, or obsm:KEY for vectors that every file holds.")
    ] = "gene-text",
    simulated: Annotated[
        bool, typer.Option(help="Also cells drawn from the graph's markers (gene-text only).")
    ] = True,
    llm: Model = "local",
    objective: Annotated[
        Objective, typer.Option(help="Compare with words, with states, or by the answer.")
    ] = Objective.token,
    kind: Annotated[Kind, typer.Option(help="Layers of the projector.")] = Kind.linear,
    bt: Annotated[bool, typer.Option(help="The trainable token after a cell's own.")] = True,
    positives: Annotated[
        Weight, typer.Option(help="What counts as right, graded by the ontology or not.")
    ] = Weight.lin,
    start: Annotated[
        Path | None, typer.Option(help="Go on from the alignment in this folder.")
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.")] = None,
    batch: Annotated[int | None, typer.Option(help="Cells a batch.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seconds: Seconds = None,
    run: Annotated[
        Path | None, typer.Option(help="Folder of checkpoints and logs [default: OUTPUT/training].")
    ] = None,
    tensorboard: Annotated[bool, typer.Option(help="Also TensorBoard's log.")] = False,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of development data, to train on what is not kept out "
            "[default: CELLOQUY_TEST_DATA]."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Train the projector from an encoder's vectors to a language model's words (stage 1).

    Neither the language model nor the encoder is changed. Held-out cell types and the datasets
    that Celloquy is scored on are refused. A run that was stopped goes on with the same command.
    """
    from agent.lookup import open_graph
    from encoders.labels import term_text
    from encoders.language import load
    from training.align import align as train
    from training.align_data import Labelled, gather

    language = load(llm)
    files = [Labelled(path, label) for path in cells or []]
    graph = open_graph(options.graph) if files else None
    found = gather(
        files, development_folder(data), encoder=encoder, simulated=simulated, graph=graph,
        seed=options.seed,
    )  # fmt: skip
    config = _config(objective.value, kind.value, bt, positives.value, (steps, batch, rate),
                     tensorboard)  # fmt: skip
    texts = {one: term_text(term, config.text) for one, term in found.terms.items()}
    model = _start(start, language, found) if start else None
    began = time.monotonic()
    made, history = train(
        language, found.cells, texts, found.hierarchy, config, run or output / "training",
        unseen=found.unseen, start=model, seconds=seconds, show=not options.quiet,
    )  # fmt: skip
    return _finish(output, made, history, found, config, time.monotonic() - began, as_json)


def writable(output: Path) -> None:
    """Refuse an output that can be no folder, before any work is done.

    Raises
    ------
    BadInput
        When it, or what it should lie in, is a file.
    """
    there = next(one for one in (output, *output.absolute().parents) if one.exists())
    if not there.is_dir():
        raise BadInput(f"{there} is a file; expected a folder for the result: name another with -o")


def development_folder(named: Path | None) -> Path | None:
    """The folder of development data: named, or that of the tests where it is set."""
    folder = named or Path(os.environ.get("CELLOQUY_TEST_DATA", ""))
    if named is not None and not named.is_dir():
        raise BadInput(f"{named} is no folder; expected that of development data")
    return folder if folder != Path() and folder.is_dir() else None


def _config(
    objective: Any,
    kind: Any,
    bt: bool,
    positives: Any,
    numbers: tuple[int | None, int | None, float | None],
    tensorboard: bool,
) -> AlignConfig:
    from dataclasses import replace

    from training.align import defaults
    from training.positives import PositivesConfig

    steps, batch, rate = numbers
    base = defaults(objective)
    loop = replace(
        base.loop,
        steps=steps or base.loop.steps,
        learning_rate=rate or base.loop.learning_rate,
        seed=options.seed,
        tensorboard=tensorboard,
    )
    config: AlignConfig = replace(
        base, kind=kind, bt=bt, batch=batch or base.batch, loop=loop,
        positives=PositivesConfig(positives), bank=base.bank and positives != "identity",
    )  # fmt: skip
    return config


def _start(folder: Path, language: Any, found: Material) -> Any:
    """The soft tokens of an earlier alignment, for the same encoder."""
    from encoders.adapter import SoftTokenModel

    return SoftTokenModel.load(folder, language, encoder=found.encoder, lora=False)


def _finish(
    output: Path,
    made: Aligned,
    history: History,
    found: Material,
    config: AlignConfig,
    seconds: float,
    as_json: bool,
) -> int:
    from dataclasses import asdict

    document: dict[str, Any] = {
        "finished": history.finished,
        "step": history.step,
        "loss": round(history.loss, 6),
        "development": {"score": round(history.best, 4), "step": history.best_step}
        if history.scores
        else None,
        "cells": found.origins,
        "terms": len(set(found.cells.types)),
        "seconds": round(history.seconds, 1),
    }
    if history.finished:
        about = document | {"config": asdict(config), "seed": config.loop.seed}
        about["note"] = "trained partly on simulated cells" if "simulated" in found.origins else ""
        document["sha256"] = made.save(output, encoder=found.encoder, about=about)
        document["folder"] = str(output)
    if as_json:
        emit_json(document)
    else:
        typer.echo(_said(document, seconds))
    if not history.finished:
        sys.stderr.write("celloquy: stopped before the end; the same command goes on\n")
    return 0


def _said(document: dict[str, Any], seconds: float) -> str:
    cells = ", ".join(f"{count:,} {name}" for name, count in document["cells"].items())
    lines = [
        f"{document['terms']} cell types; cells: {cells}",
        f"step {document['step']:,}, loss {document['loss']:.4f}, {seconds:.0f} s",
    ]
    if document["development"]:
        best = document["development"]
        lines.append(f"development types: {best['score']:.3f} at step {best['step']:,} "
                     "(mean reciprocal rank)")  # fmt: skip
    if "folder" in document:
        lines.append(f"written to {document['folder']}, sha256 {document['sha256'][:16]}")
    return "\n".join(lines)
