"""``celloquy knockout``: what a gene's perturbation does to expression, predicted and observed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from agent.cli.targets import to_write, whole

if TYPE_CHECKING:
    from agent.knockoutfacts import Fact
    from encoders.perturbation.effect import Knockout

__all__ = ["ControlLabel", "OnlyCells", "ScreenColumn", "knockout"]

EXPLAINED = 20
"""Most changed genes for which facts are looked up."""


class Use(StrEnum):
    """Which models may be used."""

    auto = "auto"
    no_change = "no-change"
    mean = "mean"
    additive = "additive"
    own = "own"
    text = "text"
    go = "go"
    both = "both"
    gears = "gears"


# How a screen is read: the same in every command that reads one.
ScreenColumn = Annotated[
    str | None, typer.Option(help="Column of perturbations; found by its usual names.")
]
ControlLabel = Annotated[
    str | None, typer.Option(help="Label of control cells; found by its usual names.")
]
OnlyCells = Annotated[str | None, typer.Option(help="Only these cells, such as dataset=norman19.")]


def knockout(
    gene: Annotated[str, typer.Argument(metavar="GENE", help="A symbol, an alias or an id.")],
    h5ad: Annotated[Path, typer.Option("--h5ad", help="An .h5ad file of a perturbation screen.")],
    others: Annotated[
        list[str] | None, typer.Option("--with", help="Perturbed together with it. Repeat.")
    ] = None,
    model: Annotated[Path | None, typer.Option(help="A folder of celloquy train perturb.")] = None,
    use: Annotated[
        Use, typer.Option(help="The model; auto takes what wins on left-out perturbations.")
    ] = Use.auto,
    column: ScreenColumn = None,
    control: ControlLabel = None,
    cells: OnlyCells = None,
    within: Annotated[
        str | None, typer.Option(help="Column whose values are compared with their own controls.")
    ] = None,
    limit: Annotated[int, typer.Option(min=1, help="At most so many genes.")] = 25,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
    plot: Annotated[
        Path | None, typer.Option(help="Also a picture: FILE.svg, .png or .pdf.")
    ] = None,
) -> None:
    """Predict what knocking out a gene changes, with the measured worth of the prediction.

    The models are fitted on the screen in the file, without the perturbation asked about; where
    the file holds it, what its cells show stands beside, named observed.
    """
    if plot is not None:
        from agent.pictures.picture import check_target

        check_target(plot)
        to_write(plot, read=(h5ad,))
    from agent import lookup
    from encoders.perturbation.effect import knockout as predict

    graph = lookup.open_graph(options.graph)
    found = predict(
        h5ad, [gene, *(others or ())], model, use=use.value, column=column, control=control,
        cells=cells, within=within, limit=limit, graph=graph,
    )  # fmt: skip
    joined = _facts(found, graph)
    if as_json:
        emit_json(_document(found, joined))
    else:
        sys.stdout.write(_text(found, joined))
    if plot is not None:
        from agent.pictures.picture import save
        from agent.pictures.volcano import draw_knockout

        with whole(plot) as part:
            save(draw_knockout(found), part)
        if not options.quiet:
            sys.stderr.write(f"picture: {plot}\n")


def _facts(found: Knockout, graph: Any) -> list[Fact]:
    from agent.knockoutfacts import facts
    from data.genes import find_gene

    perturbed = [(find_gene(gene).id, gene) for gene in found.perturbed]
    changed = [
        (one.id, one.label, one.score)
        for one in found.prediction.ranked[:EXPLAINED]
        if ":" in one.id and one.score
    ]
    gain = found.share is not None and found.share > 0
    return facts(graph, perturbed, changed, gain=gain)


def _document(found: Knockout, joined: Sequence[Fact]) -> dict[str, Any]:
    from dataclasses import asdict

    made = found.prediction
    place = {gene: i for i, gene in enumerate(found.genes)}
    rows: list[dict[str, Any]] = []
    for one in made.ranked:
        error = None if one.uncertainty is None else round(one.uncertainty, 5)
        row = {"id": one.id, "gene": one.label, "predicted": round(one.score, 5)}
        row["expected_error"] = error
        if found.observed is not None and found.observed_errors is not None:
            row["observed"] = round(float(found.observed[place[one.label]]), 5)
            row["observed_error"] = round(float(found.observed_errors[place[one.label]]), 5)
        rows.append(row)
    return {
        "kind": "prediction", "status": "predicted", "prediction_confidence": made.confidence,
        "about": made.about, "perturbed": list(found.perturbed),
        "model": made.model, "release": made.release, "unit": made.unit,
        "measured": asdict(made.measured), "changes": rows, "counts": _counts(found),
        "facts": [
            {"perturbed": f.perturbed, "gene": f.changed, "verdict": f.verdict, "text": f.words,
             "edges": [asdict(edge) for edge in f.edges]}
            for f in joined
        ],
        "interaction": None if found.interaction is None else {
            "pair": found.interaction_of, **asdict(found.interaction)
        },
        "notes": [*made.notes, *_observed(found)],
    }  # fmt: skip


def _counts(found: Knockout) -> dict[str, int | None]:
    """How many of the measured genes fall and rise, and how many by more than their error."""
    move, error = found.changes, found.expected
    return {
        "genes": len(found.genes), "fall": int((move < 0).sum()), "rise": int((move > 0).sum()),
        "fall_beyond_expected_error": None if error is None else int((move < -error).sum()),
        "rise_beyond_expected_error": None if error is None else int((move > error).sum()),
    }  # fmt: skip


def _counted(found: Knockout) -> str:
    """The same in words, and how many are listed."""
    many = _counts(found)
    said = f"Of {many['genes']:,} measured genes {many['fall']:,} are predicted to fall"
    rise = f" and {many['rise']:,} to rise"
    if many["fall_beyond_expected_error"] is not None:
        said += f" ({many['fall_beyond_expected_error']:,} by more than their expected error)"
        rise += f" ({many['rise_beyond_expected_error']:,})"
    return f"{said}{rise}; {len(found.prediction.ranked):,} are listed."


def _observed(found: Knockout) -> list[str]:
    """What to say of the file's own cells of the perturbation."""
    if found.observed is None:
        return []
    said = [f"observed is what {found.observed_cells:,} cells of the file with this perturbation "
            "show"]  # fmt: skip
    return [*said, "the prediction was made without these cells"] if found.held_out else said


def _text(found: Knockout, joined: Sequence[Fact]) -> str:
    made = found.prediction
    lines = [
        f"Predicted: {made.about} ({made.unit}), by {made.model} [{made.release}]",
        f"Measured: {made.measured.sentence()}",
        "",
        *_table(found),
        "",
        _counted(found),
    ]
    if found.interaction is not None:
        lines += ["", _interaction(found)]
    if joined:
        lines += ["", "Facts of the graph beside the prediction:"]
        for fact in joined:
            lines.append(f"  {fact.verdict:<9}  {fact.changed} {fact.change:+.2f}: {fact.words}")
            lines.append(f"             {_evidence(fact)}")
    lines += ["", *(f"note: {note}" for note in (*made.notes, *_observed(found)))]
    return "\n".join(lines) + "\n"


def _interaction(found: Knockout) -> str:
    one = found.interaction
    assert one is not None
    a, b = found.perturbed
    return (
        f"Interaction ({found.interaction_of} pair, observed single ones): {one.first:.2f} {a} + "
        f"{one.second:.2f} {b}; magnitude {one.magnitude:.2f} (1.41 if they add up), fit "
        f"{one.fit:.2f}, similarity {one.similarity:.2f}, dominance {one.dominance:.2f}, equality "
        f"{one.equality:.2f}"
    )


def _table(found: Knockout) -> list[str]:
    made = found.prediction
    place = {gene: i for i, gene in enumerate(found.genes)}
    errors = any(one.uncertainty is not None for one in made.ranked)
    head = ["GENE", "ID", "PREDICTED"] + ["EXPECTED ERROR"] * errors
    rows = [head + ["OBSERVED"] * (found.observed is not None)]
    for one in made.ranked:
        row = [one.label, one.id, f"{one.score:+.3f}"]
        if errors:
            row.append("" if one.uncertainty is None else f"{one.uncertainty:.3f}")
        if found.observed is not None and found.observed_errors is not None:
            i = place[one.label]
            row.append(f"{found.observed[i]:+.3f} ± {found.observed_errors[i]:.3f}")
        rows.append(row)
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  " + "  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip()
            for r in rows]  # fmt: skip


def _evidence(fact: Fact) -> str:
    """The evidence of each edge: "[IDA, PMID:1; GO 2026-01]"."""
    parts = []
    for edge in fact.edges:
        said = [edge.evidence_code or "", ", ".join(edge.publications[:2])]
        told = ", ".join(part for part in said if part)
        origin = f"{edge.source} {edge.release}"
        parts.append(f"[{told}; {origin}]" if told else f"[{origin}]")
    return " ".join(dict.fromkeys(parts))
