"""``celloquy cells``: which cells of a dataset a phrase describes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.annotate import LayerOption, SpeciesOption, aligned, say
from agent.cli.console import emit_json
from agent.cli.targets import to_write
from data.errors import BadInput

if TYPE_CHECKING:
    from agent.attached.cellphrase import CellPhrase

__all__ = ["cells"]

_GENES = 8  # genes named; the rest are counted


def cells(
    phrase: Annotated[str, typer.Argument(help="Which cells: 'exhausted CD8 T cell'.")],
    h5ad: Annotated[Path, typer.Option(help="The dataset; it is never changed.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="A copy with the scores in obs.")
    ] = None,
    species: SpeciesOption = None,
    layer: LayerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Score every cell for a phrase: a type, a type with genes (FOXP3+), or other words.

    A score orders the cells of the dataset, from 0 to 1; the likeness beside it says how near the
    markers of a cell bring it in the ontology. No label of the dataset is read.
    """
    from agent.annotation.annotate import knowledge
    from agent.attached.cellphrase import column_name, find_cells
    from data.h5ad import check_target, open_cells, write_annotated

    if output is not None:
        if output.suffix != ".h5ad":
            raise BadInput(f"{output} does not end in .h5ad; expected such a name for the copy")
        check_target(h5ad, output)
        to_write(output, read=(h5ad,))
    with open_cells(h5ad, layer) as opened:
        known = knowledge()
        found = find_cells(opened, phrase, known=known, species=species.value if species else None)
    for notice in found.notices:
        say(notice)
    say("releases: " + "; ".join(f"{name} {version}" for name, version in found.releases.items()))
    if as_json:
        emit_json(found.document())
    else:
        sys.stdout.write(_table(found))
    if output is not None:
        name = column_name(phrase)
        columns = {name: found.score, f"{name}_likeness": found.likeness}
        say(f"written: {write_annotated(h5ad, output, obs=columns)} ({', '.join(columns)})")
    return 0


def _table(found: CellPhrase) -> str:
    document = found.document()
    terms = ", ".join(f"{one['label']} ({one['id']})" for one in document["terms"])
    read = {"term": "read as", "text": "nearest in words", "genes": "by its genes alone"}
    lines = [f"{found.reading.phrase!r}: {read[found.reading.how]} {terms}".rstrip()]
    if found.used:
        more = len(found.used) - _GENES
        rest = f" and {more} more" if more > 0 else ""
        lines.append(f"genes: {', '.join(found.used[:_GENES])}{rest}")
    lines += [f"caution: {one}" for one in found.cautions]
    rows: list[tuple[str, ...]] = [("SCORE", "LIKENESS", "CELL")]
    rows += [
        (f"{one['score']:.3f}", f"{one['likeness']:.3f}", one["cell"]) for one in document["top"]
    ]
    return "\n".join([*lines, "", *aligned(rows)]) + "\n"
