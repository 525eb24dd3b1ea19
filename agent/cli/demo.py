"""``celloquy demo``: the three main jobs on real data, from the pinned assets to a picture."""

from __future__ import annotations

import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.console import options

if TYPE_CHECKING:
    from agent.annotation.result import Annotation

__all__ = ["demo"]

QUESTIONS = (
    "Is a CD8-positive, alpha-beta T cell a lymphocyte?",
    "Is a lymphocyte a CD8-positive, alpha-beta T cell?",
)
NEIGHBOURS = 15
PAPERS = "exhausted T cells checkpoint blockade"
QUOTES = 3


def demo(
    output: Annotated[Path, typer.Option(help="Folder for the results.")] = Path("demo-output"),
) -> int:
    """Ask a question, list a gene's neighbours, annotate real cells, quote papers.

    The first run fetches the assets and builds the knowledge graph and a small literature index;
    later runs fetch nothing.
    """
    started = time.monotonic()
    output.mkdir(parents=True, exist_ok=True)
    _prepare()
    ready = time.monotonic() - started
    _title("1. A question, answered with the path through the Cell Ontology")
    _ask()
    _title("2. A gene's neighbours, each with its evidence")
    _neighbours()
    _title("3. Cells of blood, annotated without any training or labels")
    _annotate(output)
    _title("4. What papers say, word for word, with PMID and offsets")
    _quote()
    taken = time.monotonic() - started
    sys.stdout.write(f"\n{taken:.0f} s in all, {ready:.0f} s of them to get ready\n")
    return 0


def _prepare() -> None:
    from data import sources
    from kg.embedded import ensure_built
    from retrieval.corpora import CORPORA

    brought = sources.fetch(["core", "demo", *CORPORA["demo"].assets], progress=not options.quiet)
    if brought:
        size = sum(asset.size for asset in brought) / 1e6
        sys.stdout.write(f"{len(brought)} assets fetched and verified, {size:.0f} MB\n")
    else:
        sys.stdout.write("all assets are here; nothing fetched\n")

    def step(line: str) -> None:
        if not options.quiet:
            sys.stderr.write(f"building the graph: {line}\n")

    ensure_built(step)


def _title(text: str) -> None:
    sys.stdout.write(f"\n== {text}\n")
    sys.stdout.flush()


def _command(*words: str) -> None:
    """Show the command line that does what follows."""
    sys.stdout.write(f"\n$ celloquy {' '.join(shlex.quote(word) for word in words)}\n")
    sys.stdout.flush()


def _ask() -> None:
    from agent.cli.ask import ask

    for question in QUESTIONS:
        _command("ask", question)
        ask(question)


def _neighbours() -> None:
    from agent.cli.graph import neighbours

    _command("neighbours", "CD8A", "--limit", str(NEIGHBOURS))
    neighbours("CD8A", limit=NEIGHBOURS)


def _annotate(output: Path) -> None:
    from agent.cli.annotate import run
    from agent.evaluation.demo import ASSET
    from data import sources

    cells = sources.path(ASSET)
    target = output / f"{ASSET}.celloquy.h5ad"
    _command("annotate", str(cells), "-o", str(target))
    _compare(cells, target, run(cells, target), output / "umap.png")


def _quote() -> None:
    """Search the part of the PubMed sample that is about cells, by words: that needs no model."""
    from agent.cli.literature import build, search
    from data import locations

    folder = locations.literature() / "demo"
    where = ("--index", str(folder))
    _command("index", "build", "--corpus", "demo", "--words-only", *where)
    build(corpus="demo", words=True, index=folder)
    _command("search", PAPERS, "--k", str(QUOTES), "--mode", "lexical", *where)
    search(PAPERS, k=QUOTES, mode="lexical", index=folder)


def _compare(cells: Path, target: Path, found: Annotation, picture: Path) -> None:
    from agent.evaluation.demo import ASSET, LABELS, compare, draw_umap, report
    from data.h5ad import open_cells
    from training.annotation.data import label_map

    with open_cells(cells) as dataset:
        labels = [str(label) for label in dataset.column(LABELS)]
        umap = dataset.umap()
    ids = [str(one) for one in found.ids()]
    sys.stdout.write("\nBeside the populations that the cells were sorted into:\n\n")
    mapped = label_map(ASSET)
    sys.stdout.write(report(compare(labels, ids, found.hierarchy, mapped)))
    assert umap is not None, "the file has a UMAP"
    draw_umap(umap[1], labels, ids, found.hierarchy, mapped, picture)
    sys.stdout.write(f"\nwritten: {target} and {picture}\n")
