"""``celloquy bridge``: what is known of a gene, then what is predicted, never mixed."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from agent.cli.graph import Species

if TYPE_CHECKING:
    from encoders.bridge.links import Bridged
    from kg.graph import KnowledgeGraph
    from kg.neighbours import Neighbour

__all__ = ["bridge"]

_SHOWN = 10  # known statements in the text; --json has them all


def bridge(
    gene: Annotated[str, typer.Argument(metavar="GENE", help="A symbol, an alias or an id.")],
    to: Annotated[
        str,
        typer.Option(help="process, function, component, disease, phenotype or celltype."),
    ],
    limit: Annotated[int, typer.Option(min=1, help="At most so many predictions.")] = 10,
    species: Annotated[Species, typer.Option(help="Whose gene symbols are meant.")] = Species.human,
    features: Annotated[
        Path | None,
        typer.Option(help="A table of gene vectors of your own (ESM-2, say) instead of names."),
    ] = None,
    model: Annotated[
        Path | None, typer.Option(help="Folder of a bridge made by: celloquy train bridge.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Show what a gene is linked to, and predict what else it may be linked to.

    What is known comes first, with its evidence; predictions come after, with the figure that the
    method was measured to have beside the best trivial baseline.
    """
    from agent import lookup
    from encoders.bridge.links import bridge as find

    table = None
    if features is not None:
        from encoders.bridge.features import read_table

        table = read_table(features)
    graph = lookup.open_graph(options.graph)
    found = find(
        gene, to, limit=limit, species=species.value, graph=graph, features=table, model=model
    )
    if as_json:
        emit_json(_document(found, graph))
    else:
        sys.stdout.write(_text(found))
    return 0


def _document(found: Bridged, graph: KnowledgeGraph) -> dict[str, Any]:
    """Known statements as `neighbours --json` has them, and the prediction apart."""
    from dataclasses import asdict

    made = found.prediction
    return {
        "gene": {"id": found.gene, "symbol": found.symbol},
        "to": found.target,
        "described_by": found.described_by or None,
        "known": [_statement(one) for one in found.known],
        "predicted": {
            "status": "predicted",
            "prediction_confidence": made.confidence,
            "about": made.about,
            "model": made.model,
            "release": made.release,
            "unit": made.unit,
            "measured": asdict(made.measured),
            "notes": list(made.notes),
            "ranked": [
                {
                    "id": one.id,
                    "label": one.label,
                    "score": one.score,
                    "rests_on": list(found.rests_on.get(one.id, ())),
                }
                for one in made.ranked
            ],
        },
        "releases": {
            source: graph.releases[source].version
            for source in sorted({e.source for one in found.known for e in one.edges})
            if source in graph.releases
        },
    }


def _statement(one: Neighbour) -> dict[str, Any]:
    edge = one.edge
    return {
        "subject": edge.subject,
        "id": one.term.id,
        "label": one.term.label,
        "predicate": one.predicate,
        "relation": one.relation,
        "negated": one.negated,
        "evidence": list(dict.fromkeys(e.evidence_code for e in one.edges if e.evidence_code)),
        "publications": list(one.publications),
        "qualifiers": list(edge.qualifiers),
        "source": edge.source,
        "release": edge.release,
    }


def _text(found: Bridged) -> str:
    made = found.prediction
    lines = [f"{found.symbol} ({found.gene})", "", f"KNOWN: {_counted(found)}"]
    lines += _table([_known_row(one, found) for one in found.known[:_SHOWN]])
    if len(found.known) > _SHOWN:
        lines.append(f"  ... and {len(found.known) - _SHOWN} more (--json has all)")
    lines += ["", f"PREDICTED, not known: {made.about}"]
    rows = [("  SCORE", "TERM", "ID", "AS OF THE GENES")]
    rows += [
        (f"  {one.score:.3f}", _cut(one.label), one.id, ", ".join(found.rests_on.get(one.id, ())))
        for one in made.ranked
    ]
    lines += _table(rows) if made.ranked else ["  nothing beyond what is known"]
    lines += ["", f"score: {made.unit} (model: {made.model} {made.release})"]
    lines.append(f"measured: {made.measured.sentence()}")
    lines += [f"note: {note}" for note in made.notes]
    return "\n".join(lines) + "\n"


def _counted(found: Bridged) -> str:
    if not found.known:
        return "nothing is stated"
    n = len(found.known)
    return f"{n} statement{'s' if n > 1 else ''}, each with its evidence"


def _known_row(one: Neighbour, found: Bridged) -> tuple[str, ...]:
    codes = dict.fromkeys(e.evidence_code for e in one.edges if e.evidence_code)
    edge = one.edge
    via = [q for q in edge.qualifiers if ":" in q and not q.startswith("source:")]
    cited = [*one.publications, *(via if not one.publications else [])]
    more = f" and {len(cited) - 2} more" if len(cited) > 2 else ""
    # What is known of the orthologue is not known of the gene.
    whose = "" if edge.subject == found.gene else f"human {found.described_by} "
    return (
        f"  {whose}{one.relation}",
        _cut(one.term.label),
        one.term.id,
        ", ".join(codes),
        ", ".join(cited[:2]) + more,
        f"{edge.source} {edge.release}",
    )


def _cut(text: str, most: int = 58) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with each column as wide as its widest cell."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]
