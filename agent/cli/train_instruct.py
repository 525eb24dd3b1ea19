"""``celloquy train instruct``: a language model learns to answer from cells and facts (stage 2)."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from agent.cli.train import Cells, Label, Model, Output, Seconds, development_folder

if TYPE_CHECKING:
    from encoders.adapter import SoftTokenModel
    from training.align_data import Material
    from training.instruct import InstructConfig
    from training.loop import History

__all__ = ["instruct"]

_CLOSING_ITEMS, _CLOSING_PATTERN = 8_000, "CCTCFCCTCCPCCTCCFCTC"
_CLOSING_RATE, _CLOSING_BLEND = 0.5, 0.75
"""Of the steps at the end: items, kinds of steps, the rate as a share of that before, and the share
of cells that are mixed. On names alone a model unlearns to abstain
(docs/experiments/llm_instruct.md)."""


def instruct(
    aligned: Annotated[
        Path, typer.Option(help="Folder of an alignment (celloquy train align).")
    ] = Path("aligned"),
    output: Output = Path("instructed"),
    cells: Cells = None,
    label: Label = "cell_type_ontology_term_id",
    llm: Model = "local",
    items: Annotated[int, typer.Option(help="Instructions to make.", min=10)] = 12_000,
    projector: Annotated[
        bool, typer.Option("--projector", help="Also train projector and marks.")
    ] = False,
    start: Annotated[
        Path | None, typer.Option(help="Go on from the tuned model in this folder.")
    ] = None,
    pattern: Annotated[
        str | None,
        typer.Option(help="Kinds of steps in turn: T talks, F facts, C cells, P plain text."),
    ] = None,
    rank: Annotated[int, typer.Option(help="Rank of LoRA's layers.", min=1)] = 8,
    steps: Annotated[int | None, typer.Option(help="Steps of the optimiser.")] = None,
    closing: Annotated[
        int, typer.Option(help="Steps at the end: names of types, and facts beside them.", min=0)
    ] = 500,
    keep: Annotated[
        float,
        typer.Option(help="Share of what the layers add that is kept at the end.", min=0, max=1),
    ] = 0.9,
    batch: Annotated[int | None, typer.Option(help="Prompts with facts a batch.")] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.")] = None,
    seconds: Seconds = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of development data, to train on what is not kept out "
            "[default: CELLOQUY_TEST_DATA]."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Tune a language model with LoRA on questions about cells and facts (stage 2).

    Projector and marks of the alignment stay as they are unless asked for. Held-out cell types are
    in no question, no fact and no cell. A run that was stopped goes on with the same command.
    """
    from agent.lookup import open_graph
    from encoders.adapter import LORA, SoftTokenModel
    from encoders.language import load
    from training.align_data import Labelled, gather
    from training.instruct import adapter_file, save, shrink
    from training.instruct import instruct as train
    from training.material import instructions

    folder = development_folder(data)
    if start:
        adapter_file(start / LORA)
    language = load(llm)
    # Refused before a minute is spent on gathering; the encoder can be compared only after it.
    SoftTokenModel.load(aligned, language, lora=False)
    files = [Labelled(path, label) for path in cells or []]
    graph = open_graph(options.graph) if files else None
    found = gather(files, folder, graph=graph, seed=options.seed)
    model = SoftTokenModel.load(aligned, language, encoder=found.encoder, lora=False)
    some, talks, plain = instructions(found, language, items, seed=options.seed)
    config = _config(projector, rank, pattern, (steps, batch, rate))
    made, history = train(
        model, some, found.cells, plain, talks, config, output / "training",
        start=start / LORA if start else None, seconds=seconds, show=not options.quiet,
    )  # fmt: skip
    steps_before, seconds_before = 0, 0.0
    if history.finished and closing:
        steps_before, seconds_before = history.step, history.seconds
        made, history = _close(made, model, found, config, closing, output, seconds)
    document: dict[str, Any] = {
        "finished": history.finished,
        "step": steps_before + history.step,
        "loss": round(history.loss, 6),
        "instructions": len(some) + sum(len(talk) for talk in talks),
        "cells": found.origins,
        "seconds": round(seconds_before + history.seconds, 1),
    }
    if history.finished:
        shrink(made, keep)
        about = document | {"seed": options.seed, "note": "trained partly on simulated cells"}
        document["sha256"] = save(made, output, encoder=found.encoder, about=about)
        document["folder"] = str(output)
    if as_json:
        emit_json(document)
    else:
        typer.echo(_said(document))
    if not history.finished:
        sys.stderr.write("celloquy: stopped before the end; the same command goes on\n")
    return 0


def _close(
    made: SoftTokenModel,
    model: SoftTokenModel,
    found: Material,
    config: InstructConfig,
    steps: int,
    output: Path,
    seconds: float | None,
) -> tuple[SoftTokenModel, History]:
    """Go on from what was tuned: names of types above all, and every other form beside them."""
    from dataclasses import replace

    from encoders.adapter import LORA
    from training.instruct import instruct as train
    from training.instruct import save
    from training.material import CLOSING, instructions

    folder = output / "training"
    save(made, folder / "first", encoder=found.encoder)
    rate = _CLOSING_RATE * config.loop.learning_rate
    loop = replace(config.loop, steps=steps, learning_rate=rate)
    some, talks, plain = instructions(
        found, model.language, _CLOSING_ITEMS, seed=options.seed, shares=CLOSING, closing=True
    )
    model.load_state_dict(made.state_dict())  # the same unless the projector was trained as well
    config = replace(config, pattern=_CLOSING_PATTERN, blend=_CLOSING_BLEND, loop=loop)
    return train(
        model, some, found.cells, plain, talks, config, folder / "closing",
        start=folder / "first" / LORA, seconds=seconds, show=not options.quiet,
    )  # fmt: skip


def _config(
    projector: bool,
    rank: int,
    pattern: str | None,
    numbers: tuple[int | None, int | None, float | None],
) -> InstructConfig:
    from dataclasses import replace

    from training.instruct import InstructConfig

    steps, batch, rate = numbers
    base = InstructConfig()
    loop = replace(
        base.loop,
        steps=steps or base.loop.steps,
        learning_rate=rate or base.loop.learning_rate,
        seed=options.seed,
    )
    return replace(
        base, rank=rank, alpha=2 * rank, projector=projector, pattern=pattern or base.pattern,
        batch=batch or base.batch, cell_batch=2 * (batch or base.batch), loop=loop,
    )  # fmt: skip


def _said(document: dict[str, Any]) -> str:
    lines = [
        f"{document['instructions']:,} instructions",
        f"step {document['step']:,}, loss {document['loss']:.4f}, {document['seconds']:.0f} s",
    ]
    if "folder" in document:
        lines.append(f"written to {document['folder']}")
    return "\n".join(lines)
