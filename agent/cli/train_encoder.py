"""``celloquy train encoder``: cells as vectors, refined on labelled cells of your own."""

from __future__ import annotations

import json
import sys
import warnings
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.annotate import say
from agent.cli.console import emit_json, options
from data.errors import BadInput

if TYPE_CHECKING:
    from training.genetext import Cells, RecipeConfig

__all__ = ["encoder"]


class Recipe(StrEnum):
    """How an encoder is made."""

    gene_text = "gene-text"
    gene_tokens = "gene-tokens"


class Control(StrEnum):
    """What stands in for the channels' own rows."""

    none = "none"
    random = "random"
    permuted = "permuted"


def encoder(
    cells: Annotated[
        list[Path], typer.Option(help="An .h5ad file of labelled cells. Repeat for gene-tokens.")
    ],
    label: Annotated[
        str, typer.Option(help="Its column of labels; for gene-tokens Cell Ontology ids or names.")
    ],
    recipe: Annotated[
        Recipe,
        typer.Option(
            help="gene-text: texts of the top genes, refined by contrast. gene-tokens: a "
            "transformer over genes with prior knowledge and ontology losses."
        ),
    ] = Recipe.gene_text,
    output: Annotated[
        Path, typer.Option("-o", "--output", help="Folder of the result; made if need be.")
    ] = Path("encoder"),
    steps: Annotated[
        int | None,
        typer.Option(help="Steps of the optimiser.", show_default="300; gene-tokens 600", min=1),
    ] = None,
    top: Annotated[
        int, typer.Option(help="gene-text: highest genes of a cell that count.", min=1)
    ] = 256,
    folds: Annotated[
        int, typer.Option(help="gene-text: parts for the figures; 0 for none.", min=0)
    ] = 5,
    picture: Annotated[
        bool,
        typer.Option(help="gene-text: also UMAPs of unseen cells before and after (extra plot)."),
    ] = True,
    tokens: Annotated[
        int, typer.Option(help="gene-tokens: genes of a cell that are read.", min=1, max=512)
    ] = 128,
    property: Annotated[
        list[str] | None,
        typer.Option(
            help="gene-tokens: NAME or NAME=COLUMN with a token of its own, besides CELLxGENE's "
            "(tissue, disease, sex, assay, organism). Repeat."
        ),
    ] = None,
    donor: Annotated[str, typer.Option(help="gene-tokens: the column of donors.")] = "",
    hold_out: Annotated[
        str, typer.Option(help="gene-tokens: donor=NAME or dataset=NAME, for development.")
    ] = "",
    without: Annotated[
        list[str] | None, typer.Option(help="gene-tokens: a channel to leave out. Repeat.")
    ] = None,
    table: Annotated[
        list[Path] | None,
        typer.Option(help="gene-tokens: a channel of your own: gene, numbers. Repeat."),
    ] = None,
    regulation: Annotated[
        Path | None, typer.Option(help="gene-tokens: a table of factors and targets.")
    ] = None,
    genes_of: Annotated[
        list[Path] | None,
        typer.Option(
            help="gene-tokens: learn only genes that this .h5ad, which is to be annotated, has "
            "too; of it the gene names are read. Repeat."
        ),
    ] = None,
    control: Annotated[
        Control, typer.Option(help="gene-tokens: other rows in place of the channels' own.")
    ] = Control.none,
    seconds: Annotated[
        float | None,
        typer.Option(help="gene-tokens: stop after so long; the same command goes on."),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Train an encoder on labelled cells; gene-text also says by folds what it is worth.

    The result is a folder for `celloquy annotate --encoder FOLDER --reference COLUMN`. Figures of
    gene-text stand beside random and permuted gene vectors, untrained ones, and principal
    components; those of gene-tokens are in docs/experiments/encoders.md.
    """
    if recipe is Recipe.gene_tokens:
        from agent.cli.train_gene_tokens import Asked, gene_tokens

        rows: Any = "" if control is Control.none else control.value
        return gene_tokens(
            Asked(
                cells, label, output, tokens, steps or 600, property or [], donor, hold_out,
                without or [], table or [], regulation,
                rows, seconds, genes_of or [],
            ),
            as_json,
        )  # fmt: skip
    if len(cells) > 1:
        raise BadInput(f"{len(cells)} files were given; the recipe gene-text reads one")
    return _gene_text(cells[0], label, output, top, steps or 300, folds, picture, as_json)


def _gene_text(
    cells: Path,
    label: str,
    output: Path,
    top: int,
    steps: int,
    folds: int,
    picture: bool,
    as_json: bool,
) -> int:
    from encoders.genept import vectors
    from training.genetext import RecipeConfig, compare, refine

    config = RecipeConfig(top=top, steps=steps, folds=folds, seed=options.seed)
    found = _read(cells, label, max(folds, 2))
    figures = compare(found, config, progress=say) if folds else {}
    made = refine(found, vectors(found.genes), config, show=not options.quiet)
    sha256 = made.save(output)
    document = {
        "recipe": "gene-text",
        "cells": len(found.labels),
        "labels": len(set(found.labels)),
        "genes": len(found.genes),
        "figures": {k: {f: round(v, 4) for f, v in row.items()} for k, row in figures.items()},
        "sha256": sha256,
        "output": str(output),
    }
    (output / "figures.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    if picture:
        _picture(found, config, output / "umap.png")
    if as_json:
        emit_json(document)
        return 0
    lines = [f"{len(found.labels):,} cells, {len(set(found.labels))} labels, {folds} folds"]
    for name, row in figures.items():
        lines.append(f"{name:<38} accuracy {row['accuracy']:.3f}  macro-F1 {row['macro-F1']:.3f}")
    sys.stdout.write("\n".join([*lines, f"written: {output}"]) + "\n")
    return 0


def _read(file: Path, column: str, least: int) -> Cells:
    """Cells whose label has at least ``least`` of them; the others are told and left out."""
    from collections import Counter

    import numpy as np
    import scipy.sparse as sp

    from data.h5ad import open_cells
    from training.genetext import Cells

    with open_cells(file) as opened:
        named = opened.harmonised()
        labels = [str(one) for one in opened.column(column).astype(object)]
        values = sp.vstack([block.values for block in named.blocks()], format="csr")
    counts = Counter(labels)
    kept = [i for i, one in enumerate(labels) if counts[one] >= least and one.lower() != "nan"]
    few = sorted(one for one, n in counts.items() if n < least)
    if few:
        say(f"left out, fewer than {least} cells: {', '.join(few[:8])}")
    if len({labels[i] for i in kept}) < 2:
        raise BadInput(
            f"{column!r} has {len(counts)} labels, of which fewer than two have {least} cells or "
            "more; expected labels to tell apart"
        )
    rows = np.array(kept)
    return Cells(values[rows], tuple(named.genes), tuple(labels[i] for i in kept))


def _picture(cells: Cells, config: RecipeConfig, file: Path) -> None:
    """Two UMAPs of cells that the network has not seen: as they come, and refined."""
    import numpy as np

    from agent.pictures.scatter import colours_for, draw_cells
    from data.errors import DependencyMissing
    from encoders.genept import cell_vectors, vectors
    from encoders.refined import forward
    from training.genetext import folds, refine, taken

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # its own, on libraries to come
            from matplotlib.figure import Figure
            from umap import UMAP
    except ImportError as error:
        raise DependencyMissing(
            "the picture needs umap-learn and matplotlib; install them with: pip install "
            "'celloquy[plot]', or say --no-picture"
        ) from error
    half = folds(cells.labels, 2, config.seed)
    table = vectors(cells.genes)
    made = refine(taken(cells, np.flatnonzero(half == 0)), table, config)
    unseen = taken(cells, np.flatnonzero(half == 1))
    x = cell_vectors(unseen.values, unseen.genes, table, top=config.top) - made.mean
    figure = Figure(figsize=(13, 7.4), layout="constrained")
    axes = figure.subplots(1, 2)
    colours = colours_for(unseen.labels)
    for ax, points, title in (
        (axes[0], x, "gene texts"),
        (axes[1], forward(x, made.layers), "refined on other cells"),
    ):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that a seed rules out threads
            size = min(15, len(points) - 1)
            xy = UMAP(n_neighbors=size, metric="cosine", random_state=0).fit_transform(points)
        draw_cells(np.asarray(xy), unseen.labels, title=title, colours=colours, ax=ax)
    figure.savefig(file, dpi=110)
