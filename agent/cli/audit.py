"""``celloquy audit``: existing labels of a dataset against the evidence of its genes."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.annotate import (
    LayerOption,
    SpeciesOption,
    TissueOption,
    aligned,
    bar,
    marker_text,
    say,
)
from agent.cli.console import emit_json

if TYPE_CHECKING:
    from agent.annotation.audit import Audit, LabelAudit

__all__ = ["audit"]

_LABEL = 34  # letters before a label is cut


def audit(
    source: Annotated[Path, typer.Argument(metavar="IN.h5ad", help="The dataset.")],
    key: Annotated[str, typer.Option(help="Column of obs with the labels.")] = "cell_type",
    tissue: TissueOption = None,
    species: SpeciesOption = None,
    layer: LayerOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Compare the labels of a dataset with what its cells' genes show.

    Labels may be free text or Cell Ontology ids. A label is contradicted where most of its cells
    are surely of a type that excludes it. Nothing is written.
    """
    from agent.annotation.annotate import AnnotateConfig
    from agent.annotation.audit import audit_cells
    from data.h5ad import open_cells

    config = AnnotateConfig(tissue=tissue, species=species.value if species else None)
    with open_cells(source, layer) as cells, bar() as progress:
        found = audit_cells(cells, key, config, progress=progress)
    for notice in found.annotation.about.notices:
        say(notice)
    if as_json:
        emit_json(found.document())
    else:
        sys.stdout.write(_table(found))
    return 0


def _table(found: Audit) -> str:
    releases = found.annotation.about.releases
    head = (
        "CELLS",
        "AGREE",
        "ELSEWHERE",
        "LABEL",
        "READ AS",
        "VERDICT",
        "THE CELLS SAY",
        "MARKERS",
    )
    rows: list[tuple[str, ...]] = [head]
    rows.extend(_row(one) for one in found.labels)
    lines = [
        *aligned(rows),
        "",
        "AGREE: answers that are the label's term, above it or below it. ELSEWHERE: sure answers "
        "that exclude it.",
        "MARKERS of the label: % of its cells / % of all others; + should not be there, - is "
        "missing.",
        "releases: " + "; ".join(f"{name} {version}" for name, version in releases.items()),
    ]
    return "\n".join(lines) + "\n"


def _row(one: LabelAudit) -> tuple[str, ...]:
    read = f"{one.claimed} {one.claimed_label}" if one.claimed else "-"
    said = one.answer_label
    if one.instead and one.verdict in ("contradicted", "mixed"):
        said = ", ".join(f"{label} {n}" for _, label, n in one.instead[:2])
    return (
        f"{one.n_cells:,}",
        f"{one.agree:.0%}" if one.claimed else "",
        f"{one.contradict:.0%}" if one.claimed else "",
        one.label if len(one.label) <= _LABEL else one.label[: _LABEL - 1] + "…",
        read,
        one.verdict,
        said,
        ", ".join(marker_text(m) for m in (*one.supporting[:2], *one.against[:2])),
    )
