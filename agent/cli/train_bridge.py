"""``celloquy train bridge``: from genes to the terms that they are linked to."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from agent.cli.train import Output, Seconds, writable
from data.errors import BadInput

if TYPE_CHECKING:
    from encoders.bridge.features import FeatureTable
    from encoders.bridge.network import BridgeNet
    from training.bridge.data import Material

__all__ = ["bridge"]

LEAST = 200
"""Genes that a table must have: a tenth is left out, and kNN-20, to compare with, looks at 20."""


class Negatives(StrEnum):
    """What a link is told from."""

    all = "all"
    paired = "paired"


def bridge(
    output: Output = Path("bridge"),
    to: Annotated[
        list[str] | None,
        typer.Option(help="What genes are linked to; repeat. Default: the branches of GO."),
    ] = None,
    features: Annotated[
        Path | None,
        typer.Option(help="A table of gene vectors of your own (ESM-2, say) instead of names."),
    ] = None,
    negatives: Annotated[
        Negatives, typer.Option(help="All tails of a type, or five a link as published.")
    ] = Negatives.all,
    width: Annotated[int, typer.Option(help="Of the projections.", min=4)] = 128,
    epochs: Annotated[int, typer.Option(help="Passes over the genes.", min=1)] = 8,
    batch: Annotated[int, typer.Option(help="Genes a batch.", min=1)] = 1024,
    rate: Annotated[float, typer.Option(help="Learning rate.")] = 4e-3,
    seconds: Seconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Train a bridge, and say what it is worth on a tenth of the genes that it did not see.

    The figures stand beside those of kNN-20 and of the neighbours' vote on the same features. The
    result is a folder for `celloquy bridge GENE --to TARGET --model FOLDER`. A run that was stopped
    goes on with the same command.
    """
    from agent import lookup
    from encoders.bridge.features import read_table
    from encoders.bridge.tables import target
    from training.bridge.data import DEVELOPMENT, GO, gather
    from training.bridge.train import BridgeConfig, train

    if not rate > 0:
        raise BadInput(f"the learning rate is {rate}; expected one above 0")
    targets = tuple(dict.fromkeys(target(word).name for word in to or GO))
    writable(output)
    table = read_table(features) if features is not None else None
    if table is not None:
        _enough(str(features), table)
    graph = lookup.open_graph(options.graph)
    show = not options.quiet
    material = gather(graph, targets, features=table, progress=show)
    _linked(material, targets)
    config = BridgeConfig(
        width=width, negatives=negatives.value, batch=batch, epochs=epochs, learning_rate=rate,
        seed=options.seed,
    )  # fmt: skip
    net, history = train(
        material, config, (DEVELOPMENT,), output / "training", seconds=seconds, show=show
    )
    document: dict[str, Any] = {
        "finished": history.finished,
        "step": history.step,
        "loss": round(history.loss, 6),
        "genes": len(material.genes),
        "targets": {name: int(links.table.nnz) for name, links in material.links.items()},
        "seconds": round(history.seconds, 1),
    }
    if history.finished:
        document |= _finished(net, material, targets, output)
    if as_json:
        emit_json(document)
    else:
        sys.stdout.write(_text(document))
    if not history.finished:
        sys.stderr.write("celloquy: stopped before the end; the same command goes on\n")
    return 0


def _enough(name: str, table: FeatureTable) -> None:
    """Refuse a table from which nothing can be learnt, before links are read."""
    if len(table.ids) < LEAST:
        raise BadInput(
            f"{name} has numbers for {len(table.ids):,} known genes; expected at least {LEAST}, "
            "better all: a tenth of them is left out to measure on"
        )
    if not table.units.any():
        raise BadInput(f"{name} has the same numbers for every gene; expected such that differ")


def _linked(material: Material, targets: Sequence[str]) -> None:
    """Refuse a target to which too few genes with features are linked."""
    from training.bridge.data import DEVELOPMENT

    for name in targets:
        learnt = len(material.known(name, (DEVELOPMENT,)))
        left = len(material.asked(name, DEVELOPMENT))
        if not learnt or not left:
            raise BadInput(
                f"of the genes with features ({material.name}), {learnt:,} to learn from and "
                f"{left:,} to measure on are linked to {name}; expected some of both: give "
                "features of more genes, or another --to"
            )


def _finished(
    net: BridgeNet, material: Material, targets: tuple[str, ...], output: Path
) -> dict[str, Any]:
    """Measure on the left-out genes, and write."""
    from training.bridge.data import DEVELOPMENT
    from training.bridge.train import save
    from training.evaluate.bridge import MIXED, measure

    methods = ("popularity", "kNN-20", "neighbours", "bridge", "bridge + neighbours")
    measured = {
        name: measure(material, name, DEVELOPMENT, methods, {"bridge": net}) for name in targets
    }
    figures = {}
    for name, found in measured.items():
        best = max(("popularity", "kNN-20"), key=lambda one: found[one].mrr)
        figures[name] = {
            "figure": "mean reciprocal rank of the links of left-out genes",
            "value": round(found["bridge + neighbours"].mrr, 4),
            "baseline": best,
            "baseline_value": round(found[best].mrr, 4),
            "data": f"a tenth of the human genes, known by {material.name}",
            "n": found[best].n,
        }
    about = {"votes": MIXED, "figures": figures}
    made = save(net, output, about)
    return {
        "mrr": {name: {m: round(r.mrr, 4) for m, r in found.items()}
                for name, found in measured.items()},
        "sha256": made.release,
        "folder": str(output),
    }  # fmt: skip


def _text(document: dict[str, Any]) -> str:
    links = ", ".join(f"{n:,} to {name}" for name, n in document["targets"].items())
    lines = [
        f"{document['genes']:,} genes; links: {links}",
        f"step {document['step']:,}, loss {document['loss']:.4f}, {document['seconds']:.0f} s",
    ]
    for name, found in document.get("mrr", {}).items():
        said = ", ".join(f"{method} {value:.3f}" for method, value in found.items())
        lines.append(f"mean reciprocal rank, {name}: {said}")
    if "folder" in document:
        lines.append(f"written to {document['folder']}, sha256 {document['sha256'][:16]}")
    return "\n".join(lines) + "\n"
