"""The recipe ``gene-tokens`` of ``celloquy train encoder``: from files to a trained folder."""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agent.cli.annotate import say
from agent.cli.console import emit_json, options
from data.errors import BadInput

if TYPE_CHECKING:
    from kg.backoff import Hierarchy
    from training.genetokens.recipe import Control, GeneTokenConfig

__all__ = ["Asked", "gene_tokens"]


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line asks of the recipe."""

    cells: Sequence[Path]
    label: str
    output: Path
    tokens: int
    steps: int
    properties: Sequence[str]
    donor: str
    hold_out: str
    without: Sequence[str]
    tables: Sequence[Path]
    regulation: Path | None
    control: Control
    seconds: float | None
    genes_of: Sequence[Path] = ()


def gene_tokens(asked: Asked, as_json: bool) -> int:
    """Train, or go on where a run was stopped."""
    from encoders.genetokens.channels import read_regulation
    from encoders.genetokens.knowledge import read_channel
    from training.annotation.data import cell_ontology
    from training.genetokens.cell_store import CellFile, gather
    from training.genetokens.recipe import card, channels_for, train

    config = _config(asked)
    own = [read_channel(path) for path in asked.tables]
    if asked.regulation is not None:
        own.append(read_regulation(asked.regulation))
        rest = tuple(one for one in config.channels if one != "regulation")
        config = replace(config, channels=rest)
    hierarchy, release = cell_ontology()
    properties = _properties(asked.properties)
    files = [CellFile(path, asked.label, properties, asked.donor) for path in asked.cells]
    run = asked.output / "training"
    only = _genes_of(asked.genes_of)
    store = gather(files, lambda labels: _ground(labels, hierarchy), run / "cells", only=only)
    if only is not None:
        _enough(store.genes, asked.genes_of)
    rows, _ = store.split(asked.hold_out)
    channels = channels_for(config, store.parts(rows, seed=options.seed), own)
    made, history = train(
        store, hierarchy, config, channels, run, hold_out=asked.hold_out,
        about={
            "Cell Ontology": release,
            "files": [path.name for path in asked.cells],
            "genes of": [path.name for path in asked.genes_of],
        },
        seconds=asked.seconds, show=not options.quiet,
    )  # fmt: skip
    made.name = asked.output.name
    document: dict[str, Any] = {
        "recipe": "gene-tokens",
        "finished": history.finished,
        "step": history.step,
        "loss": round(history.loss, 4),
        "cells": len(rows),
        "genes": len(store.genes),
        "types": len(made.model.labels.types),
        "channels": list(made.knowledge.names),
        "development": round(history.best, 4) if history.scores else None,
        "seconds": round(history.seconds, 1),
    }
    if history.finished:
        document |= {"sha256": made.save(asked.output), "output": str(asked.output)}
        (asked.output / "card.md").write_text(card(made, history, store), encoding="utf-8")
        figures = json.dumps(document, indent=1) + "\n"
        (asked.output / "figures.json").write_text(figures, encoding="utf-8")
    if as_json:
        emit_json(document)
    else:
        sys.stdout.write(_said(document))
    if not history.finished:
        sys.stderr.write("celloquy: stopped before the end; the same command goes on\n")
    return 0


def _config(asked: Asked) -> GeneTokenConfig:
    from training.genetokens.recipe import CHANNELS, GeneTokenConfig

    unknown = sorted(set(asked.without) - set(CHANNELS))
    if unknown:
        raise BadInput(f"no channel is named {unknown[0]!r}; expected one of {', '.join(CHANNELS)}")
    base = GeneTokenConfig()
    found: GeneTokenConfig = replace(
        base,
        tokens=replace(base.tokens, tokens=asked.tokens),
        channels=tuple(one for one in CHANNELS if one not in asked.without),
        control=asked.control,
        loop=replace(base.loop, steps=asked.steps, seed=options.seed),
    )
    return found


def _genes_of(files: Sequence[Path]) -> frozenset[str] | None:
    """Current symbols that every one of the files has; None where there is none.

    Nothing is learnt from their values.
    """
    from data.h5ad import open_cells

    found: frozenset[str] | None = None
    for file in files:
        with open_cells(file) as opened:
            genes = frozenset(opened.harmonised().genes)
        found = genes if found is None else found & genes
    return found


def _enough(genes: Sequence[str], files: Sequence[Path]) -> None:
    from agent.annotation.transferred import LEAST_SHARED

    if len(genes) < LEAST_SHARED:
        names = " and ".join(file.name for file in files)
        raise BadInput(
            f"the training cells and {names} share {len(genes)} genes; expected {LEAST_SHARED} at "
            "least: leave out --genes-of, or name files with more genes"
        )


def _properties(named: Sequence[str]) -> Mapping[str, str]:
    """``NAME=COLUMN``, or a name that is also the column's; CELLxGENE's columns by themselves."""
    from encoders.genetokens.tokenizer import PROPERTIES

    found = {name: name for name in PROPERTIES if name != "cell_type"}
    for one in named:
        name, equals, column = one.partition("=")
        if not name or (equals and not column) or name == "cell_type":
            raise BadInput(f"{one!r} names no property; expected NAME or NAME=COLUMN, such as "
                           "tissue, besides cell_type")  # fmt: skip
        found[name] = column or name
    return found


def _ground(labels: Sequence[str], hierarchy: Hierarchy) -> dict[str, str]:
    """Labels to current terms; those that name none are told and left unknown."""
    from agent.lookup import open_graph
    from kg.naming.labels import ground_label

    found: dict[str, str] = {}
    spelt = {one: one.replace("_", ":", 1) if one.startswith("CL_") else one for one in labels}
    found = {one: term for one, term in spelt.items() if term in hierarchy}
    asked = [one for one in labels if one not in found]
    if asked:
        graph = open_graph(options.graph)
        for one in asked:
            best = ground_label(spelt[one], graph)
            if best and best[0].id in hierarchy:
                found[one] = best[0].id
    lost = [one for one in labels if one not in found]
    if lost:
        some = ", ".join(lost[:8])
        what = "label names no cell type and counts" if len(lost) == 1 else (
            "labels name no cell type and count")  # fmt: skip
        say(f"{len(lost)} {what} as unknown: {some}")
    return found


def _said(document: Mapping[str, Any]) -> str:
    lines = [
        f"{document['cells']:,} cells, {document['genes']:,} genes, "
        f"{document['types']} cell types; channels: {', '.join(document['channels']) or 'none'}",
        f"step {document['step']:,}, loss {document['loss']:.3f}, {document['seconds']:.0f} s",
    ]
    if document["development"] is not None:
        lines.append(f"held-out cells, macro-F1 {document['development']:.3f}")
    if "output" in document:
        lines.append(f"written: {document['output']}")
    return "\n".join(lines) + "\n"
