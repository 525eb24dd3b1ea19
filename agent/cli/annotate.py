"""``celloquy annotate``: name the cell type of every cell of a dataset, or of marker lists."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options
from agent.cli.targets import to_write
from data.errors import BadInput

if TYPE_CHECKING:
    from agent.annotation.annotate import AnnotateConfig
    from agent.annotation.result import Annotation, MarkerEvidence, TermSummary

__all__ = [
    "LayerOption",
    "Species",
    "SpeciesOption",
    "TissueOption",
    "aligned",
    "annotate",
    "bar",
    "marker_text",
    "run",
    "say",
]

LEAST = 0.5
"""Confidence that the answer of a cell must reach unless told otherwise."""

_ROWS = 30  # terms listed; the rest are counted
_LABEL = 44  # letters of a label before it is cut
_FOR, _AGAINST = 4, 3  # markers named on each side
_NUMBERS = {"CELLS", "SHARE", "CONF", "DEPTH", "OWN", "AGREE", "ELSEWHERE"}
_LISTED = 6  # genes of a list named for it


class Species(StrEnum):
    """Whose gene names a dataset has."""

    human = "human"
    mouse = "mouse"


SpeciesOption = Annotated[
    Species | None, typer.Option(help="Whose gene names; found from them if not given.")
]
LayerOption = Annotated[
    str | None, typer.Option(help="X, raw or a layer; the best is found if not given.")
]
TissueOption = Annotated[
    str | None, typer.Option(help="The tissue, by name or id (lung): what to expect.")
]


def annotate(
    source: Annotated[
        Path | None, typer.Argument(metavar="[IN.h5ad]", help="The dataset; it is never changed.")
    ] = None,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="The copy; else IN.celloquy.h5ad.")
    ] = None,
    groupby: Annotated[
        str | None, typer.Option(help="Let the groups of this column of obs vote as well.")
    ] = None,
    candidates: Annotated[
        list[str] | None,
        typer.Option(help="Only answers at or below this term (CL:0000542). Repeat."),
    ] = None,
    tissue: TissueOption = None,
    min_confidence: Annotated[
        float | None,
        typer.Option(
            help="What an answer's confidence must reach.", show_default="0.5; marker lists: none"
        ),
    ] = None,
    encoder: Annotated[
        str | None,
        typer.Option(
            metavar="NAME|obsm:KEY",
            help="Vectors of the cells beside the markers: gene-text, llm (the aligned "
            "language-model core), or an embedding of the file.",
        ),
    ] = None,
    reference: Annotated[
        str | None,
        typer.Option(
            metavar="COLUMN|REF.h5ad",
            help="Column of obs with types of some cells, for --encoder; or a labelled dataset "
            "whose types are carried over.",
        ),
    ] = None,
    reference_key: Annotated[
        str | None, typer.Option(help="Column of REF.h5ad with its cell types.")
    ] = None,
    smooth: Annotated[
        bool | None,
        typer.Option(
            "--smooth/--no-smooth",
            help="Whether neighbouring cells have a say; by default up to 100,000 cells.",
        ),
    ] = None,
    species: SpeciesOption = None,
    layer: LayerOption = None,
    report: Annotated[
        Path | None, typer.Option(help="Also an HTML page with pictures and evidence.")
    ] = None,
    cas: Annotated[Path | None, typer.Option(help="Also Cell Annotation Schema JSON.")] = None,
    markers: Annotated[
        Path | None, typer.Option(help="In place of a dataset: marker lists, one cluster a line.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Give every cell the deepest Cell Ontology term that its marker genes support.

    No label of the dataset is read and nothing is trained on it. The annotated copy has columns
    celloquy_..., obsm X_celloquy and uns celloquy; where no term is supported, the answer is
    `unknown` with the reason.
    """
    from agent.annotation.annotate import AnnotateConfig

    if (source is None) == (markers is None):
        raise BadInput("expected either a dataset (an .h5ad file) or marker lists (--markers FILE)")
    config = AnnotateConfig(
        min_confidence=LEAST if min_confidence is None else min_confidence,
        groupby=groupby,
        candidates=tuple(candidates or ()),
        tissue=tissue,
        encoder=encoder,
        **_reference(reference, reference_key),
        smooth=smooth,
        species=species.value if species else None,
    )
    if markers is not None:
        if encoder or reference:
            raise BadInput("marker lists have no cells; leave out --encoder and --reference")
        if output or report or cas:
            raise BadInput(
                "marker lists have no cells to write; leave out --output, --report and --cas: the "
                "answers are printed, with --json as a document"
            )
        return _lists(markers, config, as_json, min_confidence)
    assert source is not None, "one of both was given"
    _readable(source)
    _known(encoder)
    if report is not None and report.suffix.lower() not in (".html", ".htm"):
        raise BadInput(f"{report} does not end in .html; expected such a name: it is a web page")
    asked = [file for file in (report, cas) if file is not None]
    for i, file in enumerate(asked):
        to_write(file, read=_read(source, config), also=(_target(source, output), *asked[:i]))
    found = run(source, output, config, layer=layer, as_json=as_json)
    _also(found, source, report, cas)
    return 0


def _reference(reference: str | None, key: str | None) -> dict[str, Any]:
    """A column of the dataset, or another file with the column of its labels."""
    if reference is None or (key is None and not reference.endswith(".h5ad")):
        if key is not None:
            raise BadInput("--reference-key names a column of a reference: give --reference FILE")
        return {"reference": reference}
    if not Path(reference).exists():
        raise BadInput(f"{reference} does not exist; expected a labelled .h5ad: check the path")
    if key is None:
        raise BadInput(f"{reference} needs the column of its labels: --reference-key COLUMN")
    _readable(Path(reference))
    return {"atlas": reference, "atlas_key": key}


def _known(encoder: str | None) -> None:
    """Refuse an encoder that there is not, before any work is done."""
    if encoder is None or encoder.startswith("obsm:"):
        return
    from encoders.registry import names

    allowed = ("markers", "llm", *names())
    if encoder not in allowed and not Path(encoder).is_dir():
        raise BadInput(
            f"no encoder is named {encoder!r}; expected one of {', '.join(allowed)}, obsm:KEY, or "
            "the folder of one that was trained"
        )


def _readable(source: Path) -> None:
    """Refuse what is no HDF5 file before anything is compared with it."""
    from data.preflight import open_file

    open_file(source).close()


def _target(source: Path, output: Path | None) -> Path:
    from agent.annotation.annotate import default_target

    return output or default_target(source)


def _read(source: Path, config: AnnotateConfig | None) -> tuple[Path, ...]:
    """The datasets that are read."""
    atlas = config.atlas if config else None
    return (source, Path(atlas)) if atlas else (source,)


def _also(found: Annotation, source: Path, report: Path | None, cas: Path | None) -> None:
    """Write the page and the JSON document that were asked for."""
    if report is None and cas is None:
        return
    import json

    from agent.annotation.cas import cas_document
    from agent.annotation.report import html_report
    from data.h5ad import open_cells
    from kg.atomic import replacing

    with open_cells(source) as cells:
        names, drawn = cells.cell_names, cells.umap()
    if report is not None:
        place, xy = drawn if drawn is not None else ("", None)
        with replacing(report) as page:
            page.write(html_report(found, xy, place))
        say(f"report: {report}")
    if cas is not None:
        with replacing(cas) as handle:
            json.dump(cas_document(found, names), handle, ensure_ascii=False, indent=1)
        say(f"Cell Annotation Schema: {cas}")


def _lists(file: Path, config: AnnotateConfig, as_json: bool, least: float | None) -> int:
    from agent.annotation.lists import annotate_marker_file
    from agent.verification.wording import counted

    found = annotate_marker_file(file, config, min_confidence=least)
    for notice in found.notices:
        say(notice)
    for one in found.lists:
        if one.refused:
            say(f"{one.refused}; it stays unknown")
        if one.unread:
            some = ", ".join(one.unread[:5])
            are = "is" if len(one.unread) == 1 else "are"
            say(f"{one.name}: {counted(len(one.unread), 'name')} {are} no known gene: {some}")
        if one.lower:
            say(f"{one.name}: genes lower in it than elsewhere, no markers of it: {one.lower}")
    say("releases: " + "; ".join(f"{name} {version}" for name, version in found.releases.items()))
    if as_json:
        emit_json(found.document())
        return 0
    rows = [("CONF", "CLUSTER", "ID", "TERM", "FOR", "AGAINST")]
    for said in found.answers:
        against = [f"+{gene}" for gene in said.against] + [f"-{gene}" for gene in said.missing]
        rows.append(
            (
                f"{said.confidence:.2f}",
                said.name,
                said.term or "unknown",
                said.label if said.term else "",
                ", ".join(said.supporting[:_LISTED]),
                ", ".join(against[:_AGAINST]),
            )
        )
    foot = "AGAINST: + is listed and should not be; - is a sure marker and not listed."
    sys.stdout.write("\n".join([*aligned(rows), "", foot]) + "\n")
    return 0


def run(
    source: Path,
    output: Path | None,
    config: AnnotateConfig | None = None,
    *,
    layer: str | None = None,
    as_json: bool = False,
) -> Annotation:
    """Annotate a file, and print what was found."""
    from agent.annotation.annotate import annotate_file

    target = _target(source, output)
    if target.parent.is_dir() and not target.is_dir():  # what is no place is refused further on
        to_write(target, read=_read(source, config))
    with bar() as progress:
        found, written = annotate_file(source, target, config, layer=layer, progress=progress)
    for notice in found.about.notices:
        say(notice)
    releases = "; ".join(f"{name} {version}" for name, version in found.about.releases.items())
    say(f"releases: {releases}")
    if as_json:
        emit_json(found.document(peak_rss_mb()))
    else:
        sys.stdout.write(table(found))
    say(f"written: {written}")
    return found


def say(notice: str) -> None:
    """A notice on stderr, unless it was asked to be quiet."""
    if not options.quiet:
        sys.stderr.write(f"celloquy: {notice}\n")


@contextmanager
def bar() -> Iterator[Callable[[int, int], None]]:
    """A progress bar on stderr with the time that is left; short work shows none."""
    from tqdm import tqdm

    with tqdm(
        desc="annotating", unit=" cells", unit_scale=True, delay=1, disable=options.quiet,
        file=sys.stderr, mininterval=0.2 if sys.stderr.isatty() else 30,
    ) as shown:  # fmt: skip

        def progress(done: int, total: int) -> None:
            shown.total = total
            shown.update(done - shown.n)

        yield progress


def peak_rss_mb() -> float | None:
    """The most memory that this process has held, in MB; None where the system does not say."""
    try:
        import resource
    except ImportError:  # Windows
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1e6 if sys.platform == "darwin" else 1e3), 1)


# --- text ----------------------------------------------------------------------------------------


def table(found: Annotation) -> str:
    """The answers as a table: how many cells, how surely, and the markers for and against."""
    from agent.verification.wording import many

    about = found.about
    lines = [
        f"{many(found.n_cells, f'{about.species} cell')}: {many(len(found.summaries), 'term')}, "
        f"{many(found.abstained, 'cell')} unknown; {about.n_genes_used:,} of "
        f"{many(about.n_genes, 'gene')} {about.used} {many(about.n_types, 'type')}; "
        f"{about.seconds:.1f} s",
        "",
        *aligned(
            [("CELLS", "SHARE", "CONF", "DEPTH", "ID", "TERM", "FOR", "AGAINST")]
            + [_row(one) for one in found.summaries[:_ROWS]]
        ),
    ]
    rest = found.summaries[_ROWS:]
    if rest:
        of = many(sum(one.n_cells for one in rest), "cell")
        lines.append(f"and {many(len(rest), 'more term')} of {of}")
    if found.abstained:
        lines.append(f"{found.abstained:>5,}  unknown")
    lines += ["", "FOR: gene, % of these cells in which it is detected / % of all others."]
    lines.append("AGAINST: + is there and should not be; - is missing, no more than elsewhere.")
    if about.species != "human":
        lines.append("Genes are named by their human orthologues.")
    # How well a reference tells what it lacks is a part of every answer by it.
    lines += [notice for notice in about.notices if "none of these" in notice]
    if found.clusters is not None:
        lines += ["", *_clusters(found)]
    return "\n".join(lines) + "\n"


def _row(one: TermSummary) -> tuple[str, ...]:
    label = one.label if len(one.label) <= _LABEL else one.label[: _LABEL - 1] + "…"
    return (
        f"{one.n_cells:,}",
        f"{one.share:.1%}",
        f"{one.confidence:.2f}",
        str(one.depth),
        one.id,
        label,
        ", ".join(marker_text(m) for m in one.supporting[:_FOR]),
        ", ".join(marker_text(m) for m in one.against[:_AGAINST]),
    )


def marker_text(one: MarkerEvidence) -> str:
    """A marker with the shares in which it is detected, and the sign of what speaks against."""
    sign = {"present": "", "unexpected": "+", "missing": "-"}[one.role]
    return f"{sign}{one.gene} {one.inside:.0%}/{one.outside:.0%}".replace("%/", "/")


def _clusters(found: Annotation) -> list[str]:
    votes = found.clusters
    assert votes is not None, "asked for"
    rows: list[tuple[str, ...]] = [("CELLS", "OWN", "CONF", votes.key.upper(), "ID", "TERM")]
    for i, name in enumerate(votes.names):
        term = int(votes.term[i])
        known = term >= 0
        rows.append(
            (
                f"{votes.n_cells[i]:,}",
                f"{int((votes.kept & (votes.code == i)).sum()):,}",
                f"{votes.confidence[i]:.2f}",
                name,
                found.hierarchy.ids[term] if known else "unknown",
                found.hierarchy.labels[term] if known else "",
            )
        )
    return [*aligned(rows), "", "OWN: cells that are surely of another type, and keep it."]


def aligned(rows: Sequence[tuple[str, ...]]) -> list[str]:
    """Columns as wide as their widest cell; those of numbers to the right."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    right = {i for i, name in enumerate(rows[0]) if name in _NUMBERS}
    return [
        "  ".join(
            cell.rjust(w) if i in right else cell.ljust(w)
            for i, (cell, w) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]
