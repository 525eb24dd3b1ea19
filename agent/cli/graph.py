"""``celloquy term``, ``path`` and ``neighbours``: look-ups in the knowledge graph."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.console import emit_json, options
from agent.cli.targets import to_write, whole

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph
    from kg.measures.relatedness import OntologyPath
    from kg.naming.mentions import Candidate
    from kg.neighbours import Neighbour, Neighbourhood

__all__ = ["neighbours", "path", "term"]

_LABEL = 58  # letters of a label in a table before it is cut
_COLLECTIONS = 3  # named as evidence of a marker; the rest are counted
_DEFINITION = 300

JSON = Annotated[bool, typer.Option("--json", help="One JSON document.")]
PLOT = Annotated[Path | None, typer.Option(help="Also a picture: FILE.svg, .png or .pdf.")]


class Species(StrEnum):
    """Whose gene symbols are meant, and whose statements are wanted."""

    human = "human"
    mouse = "mouse"


def term(
    text: Annotated[
        str, typer.Argument(metavar="TEXT", help="A name, a label of a dataset, or an id.")
    ],
    limit: Annotated[int, typer.Option(min=1, help="At most so many candidates.")] = 10,
    as_json: JSON = False,
) -> int:
    """Say which terms a text names: ranked candidates with score, scope and definition.

    Exit code 3 when it names nothing, or nothing fits better than by a word that is shared.
    """
    from agent import lookup
    from agent.documents import term_document

    graph = lookup.open_graph(options.graph)
    found = lookup.term(text, limit=limit, graph=graph)
    if as_json:
        emit_json(term_document(text, found, graph))
    else:
        sys.stdout.write(_terms(text, found, graph))
    return 0 if any(candidate.how != "words" for candidate in found) else 3


def path(
    a: Annotated[str, typer.Argument(metavar="TERM_A", help="A name or an id.")],
    b: Annotated[str, typer.Argument(metavar="TERM_B", help="A name or an id.")],
    predicates: Annotated[
        str | None,
        typer.Option(help="What leads upward: i (is a), p (part of), or i,p. Default: i."),
    ] = None,
    as_json: JSON = False,
    plot: PLOT = None,
) -> None:
    """Show how two terms of an ontology are related, through their lowest common ancestor."""
    from agent import lookup
    from agent.documents import path_document

    _check(plot)
    graph = lookup.open_graph(options.graph)
    found = lookup.path(a, b, predicates=predicates, graph=graph)
    if as_json:
        emit_json(path_document(found, graph))
    else:
        sys.stdout.write(_path(found, graph))
    if plot is not None:
        _draw(found, graph, plot)


def neighbours(
    gene: Annotated[
        str,
        typer.Argument(metavar="GENE", help="A symbol, an alias, or an id or name of any term."),
    ],
    relation: Annotated[
        list[str] | None, typer.Option(help="Only this relation, such as 'involved in'. Repeat.")
    ] = None,
    evidence: Annotated[
        list[str] | None,
        typer.Option(help="Only this evidence code or class (IDA, experimental). Repeat."),
    ] = None,
    hops: Annotated[int, typer.Option(min=1, max=3, help="How far to go.")] = 1,
    limit: Annotated[int, typer.Option(min=1, help="At most so many neighbours.")] = 50,
    offset: Annotated[int, typer.Option(min=0, help="Leave out so many first.")] = 0,
    species: Annotated[
        Species | None,
        typer.Option(help="Whose symbols and statements. Default: human symbols, all statements."),
    ] = None,
    as_json: JSON = False,
    plot: PLOT = None,
) -> None:
    """List a gene's neighbours in the knowledge graph, best supported first.

    Statements that a relation does not hold are listed apart, never among the others.
    """
    from agent import lookup
    from agent.documents import neighbours_document

    _check(plot)
    graph = lookup.open_graph(options.graph)
    found = lookup.gene_neighbourhood(
        gene,
        relations=relation,
        evidence=evidence or (),
        hops=hops,
        limit=limit,
        offset=offset,
        species=species.value if species else None,
        graph=graph,
    )
    if as_json:
        emit_json(neighbours_document(found, graph))
    else:
        sys.stdout.write(_neighbours(found, offset, graph))
    if plot is not None:
        _draw(found, graph, plot)


def _check(plot: Path | None) -> None:
    if plot is not None:
        from agent.pictures.picture import check_target

        check_target(plot)
        to_write(plot)


def _draw(found: Neighbourhood | OntologyPath, graph: KnowledgeGraph, plot: Path) -> None:
    from agent.documents import sources_of
    from agent.pictures.picture import draw_neighbours, draw_path, save
    from kg.measures.relatedness import OntologyPath

    releases = _releases(graph, sources_of(found))
    if isinstance(found, OntologyPath):
        ax = draw_path(found, releases=releases)
    else:
        ax = draw_neighbours(found, releases=releases)
    with whole(plot) as part:
        save(ax, part)
    if not options.quiet:
        sys.stderr.write(f"picture: {plot}\n")


# --- text ----------------------------------------------------------------------------------------


def _terms(text: str, found: Sequence[Candidate], graph: KnowledgeGraph) -> str:
    if not found:
        return (
            f"{text!r} names nothing in the graph; expected a name or an id, such as 'NK cell' or "
            "CL:0000623\n"
        )
    terms = graph.terms(candidate.id for candidate in found)
    lines = []
    if all(candidate.how == "words" for candidate in found):
        lines = [f"nothing is named {text!r}; these names share words with it:", ""]
    for candidate in found:
        lines.append(f"{candidate.score:5.2f}  {candidate.id:<16} {candidate.label}")
        said = [f"{candidate.scope.value.lower()} {candidate.matched!r}"]
        said += [candidate.notice] if candidate.notice else []
        lines.append(f"       {'; '.join(said)}")
        definition = terms[candidate.id].definition if candidate.id in terms else ""
        if definition:
            lines.append(f"       {_cut(definition, _DEFINITION)}")
    return "\n".join([*lines, "", *_sources(graph, {c.source for c in found})]) + "\n"


def _path(found: OntologyPath, graph: KnowledgeGraph) -> str:
    from agent.documents import sources_of
    from kg.terms import PREDICATES

    lines = [f"{found.a.label} ({found.a.id}) and {found.b.label} ({found.b.id})", ""]
    if found.path is None:
        lines.append("  no common ancestor over these predicates")
    else:
        rows = [("  ", found.path.nodes[0], found.terms[found.path.nodes[0]].label, "")]
        for node, edge in zip(found.path.nodes[1:], found.path.edges, strict=True):
            row = PREDICATES[edge.predicate]
            words = row.label if edge.object == node else row.inverse_label
            label = found.terms[node].label
            rows.append((f"  {words}", node, label, f"[{edge.source} {edge.release}]"))
        lines += _table(rows)
        lines += ["", f"  distance {found.distance}"]
    for term_, content in found.ancestors:
        lines.append(
            f"  lowest common ancestor: {term_.label} ({term_.id}), "
            f"information content {content:.3f}"
        )
    measures = (f"{name} {value:.4g}" for name, value in found.similarity.items())
    lines += [f"  similarity: {', '.join(measures)}", ""]
    lines += [f"note: {notice}" for notice in found.notices]
    return "\n".join([*lines, *_sources(graph, sources_of(found))]) + "\n"


def _neighbours(found: Neighbourhood, offset: int, graph: KnowledgeGraph) -> str:
    from agent.documents import full_name, sources_of

    centre = found.centre
    name = full_name(centre)
    shown = len(found.neighbours)
    span = f"{offset + 1} to {offset + shown} of " if shown else ""
    head = f"{centre.label} ({centre.id}){': ' + name if name else ''}"
    lines = [head, f"{span}{found.total} neighbours", ""]
    if offset and not shown and found.total:
        lines[1] = f"none from {offset + 1:,} on: there are {found.total:,} neighbours"
    lines += _table(_rows(found.neighbours))
    if found.negated:
        lines += ["", "Said not to hold:", *_table(_rows(found.negated))]
    lines += ["", *(f"note: {notice}" for notice in found.notices)]
    return "\n".join([*lines, *_sources(graph, sources_of(found))]) + "\n"


def _rows(neighbours: Iterable[Neighbour]) -> list[tuple[str, ...]]:
    rows: list[tuple[str, ...]] = [
        ("SCORE", "RELATION", "NEIGHBOUR", "ID", "EVIDENCE", "PUBLICATIONS", "SOURCE")
    ]
    for row in neighbours:
        codes = _evidence(row)
        more = len(row.publications) - 2
        cited = ", ".join(row.publications[:2]) + (f" and {more} more" if more > 0 else "")
        words = f"{row.relation} (hop {row.hops})" if row.hops > 1 else row.relation
        sources = ", ".join(dict.fromkeys(edge.source for edge in row.edges))
        label = _cut(row.term.label, _LABEL)
        rows.append((f"{row.score:.2f}", words, label, row.term.id, codes, cited, sources))
    return rows if len(rows) > 1 else []


def _evidence(row: Neighbour) -> str:
    """Evidence codes; of a marker, which has none, the collections that state it."""
    codes = dict.fromkeys(edge.evidence_code for edge in row.edges if edge.evidence_code)
    said = (one for edge in row.edges for one in edge.qualifiers if one.startswith("source:"))
    named = list(dict.fromkeys(one.removeprefix("source:") for one in said))
    if codes:
        return ", ".join(codes)
    more = len(named) - _COLLECTIONS
    return ", ".join(named[:_COLLECTIONS]) + (f" and {more} more" if more > 0 else "")


def _table(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Rows with each column as wide as its widest cell."""
    if not rows:
        return []
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return ["  ".join(c.ljust(w) for c, w in zip(r, widths, strict=True)).rstrip() for r in rows]


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1].rstrip() + "\N{HORIZONTAL ELLIPSIS}"


def _releases(graph: KnowledgeGraph, sources: Iterable[str]) -> list[str]:
    from agent.cli.data import age
    from agent.documents import releases_of

    known = releases_of(graph, sources)
    return [
        f"{name} {said['version']} "
        + (f"({age(said['age_days'])} old)" if said["date"] else "(part of Celloquy or undated)")
        for name, said in known.items()
    ]


def _sources(graph: KnowledgeGraph, sources: Iterable[str]) -> list[str]:
    said = _releases(graph, sources)
    return [f"Sources: {'; '.join(said)}"] if said else []
