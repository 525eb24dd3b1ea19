"""``celloquy search`` and ``celloquy index``: literature with quotes that can be checked."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from agent.cli.console import emit_json, options
from data.errors import BadInput

if TYPE_CHECKING:
    from collections.abc import Callable

    from retrieval.passages import Passage
    from retrieval.writing import Added, Writer

__all__ = ["index_app", "search"]

ABSTAINED = 3
"""Exit code of a search that found nothing, as of a question that has no answer."""

index_app = typer.Typer(
    name="index", help="The literature index: build, add, delete, stats.", no_args_is_help=True
)

Folder = Annotated[
    Path | None, typer.Option("--index", help="Folder of the index; the default one if left out.")
]
AsJson = Annotated[bool, typer.Option("--json", help="One JSON document on stdout.")]
Words = Annotated[
    bool, typer.Option("--words-only", help="Make no vectors: search by words needs none.")
]
Files = Annotated[
    list[Path] | None, typer.Argument(help="MEDLINE XML, NBIB or JSON lines, plain or gzip.")
]


def search(
    query: Annotated[str, typer.Argument(help="Words or a question.")],
    k: Annotated[int, typer.Option("--k", help="How many passages.")] = 10,
    year: Annotated[str, typer.Option(help="Years, FROM:TO; either may be left out.")] = "",
    mesh: Annotated[str, typer.Option(help="Only articles with this MeSH descriptor.")] = "",
    journal: Annotated[str, typer.Option(help="Only this journal, full or abbreviated.")] = "",
    mode: Annotated[
        Literal["hybrid", "dense", "lexical"],
        typer.Option(help="Words and vectors together, or one of them."),
    ] = "hybrid",
    index: Folder = None,
    json: AsJson = False,
) -> int:
    """Search the literature; every result is a verbatim quote with its PMID and offsets.

    Exit code 3 where no passage answers to the query.
    """
    from dataclasses import asdict

    from retrieval.filters import Filters
    from retrieval.index import open_index

    filters = Filters(years=_years(year), mesh=mesh, journal=journal)
    _built(index)
    with open_index(index) as literature:
        passages: list[Passage] = []
        if literature.passes_any(filters):  # before a model is loaded for nothing
            used, why = literature.resolve(mode)
            if why:
                _notice(why)
            passages = literature.search(query, k, mode=used, filters=filters)
    if json:
        emit_json({"query": query, "results": [asdict(passage) for passage in passages]})
    elif not passages:
        asked = " with these filters" if filters != Filters() else ""
        typer.echo(f"no passage of the index answers to {query!r}{asked}")
    for place, passage in enumerate(() if json else passages, start=1):
        typer.echo(_shown(place, passage))
    return 0 if passages else ABSTAINED


@index_app.command("build")
def build(
    files: Files = None,
    corpus: Annotated[
        str, typer.Option(help="default, demo, pubmed-1970s or all; not used with FILES.")
    ] = "default",
    words: Words = False,
    encoder: Annotated[
        str, typer.Option(help="Sentence encoder: name, folder or hub id; the bundled one.")
    ] = "",
    fresh: Annotated[bool, typer.Option(help="Throw away what is there, and begin anew.")] = False,
    index: Folder = None,
    json: AsJson = False,
) -> int:
    """Build the index, or go on with a build that was stopped."""
    from data import sources
    from retrieval.corpora import CORPORA
    from retrieval.writing import writer

    if corpus not in CORPORA:
        raise BadInput(f"no corpus is named {corpus!r}; one of: {', '.join(CORPORA)}")
    chosen = CORPORA[corpus]
    paths = files or [sources.path(name) for name in chosen.assets]
    name = "files" if files else corpus
    with writer(index, corpus=name, fresh=fresh) as change:
        added = [_add(change, path, None if files else chosen.keep) for path in paths]
        _embed(change, words, encoder)
    return _report(added, json)


@index_app.command("add")
def add(
    files: Files = None,
    query: Annotated[
        str, typer.Option(help="Ask PubMed (E-utilities) instead; this uses the network.")
    ] = "",
    most: Annotated[int, typer.Option(help="How many citations to take from a query.")] = 200,
    words: Words = False,
    eutils: Annotated[str, typer.Option(help="Address of E-utilities; NCBI's if left out.")] = "",
    index: Folder = None,
    json: AsJson = False,
) -> int:
    """Add files or a PubMed query: newer records replace older ones, withdrawn ones go."""
    from retrieval.writing import writer

    if not files and not query:
        raise BadInput("nothing to add; name at least one file, or give --query")
    with writer(index) as change:
        added = [_add(change, path, None) for path in files or []]
        if query:
            added.append(_ask(change, query, most, eutils))
        _embed(change, words, "")
    return _report(added, json)


@index_app.command("delete")
def delete(
    pmids: Annotated[list[str], typer.Argument(help="PMIDs, with or without the prefix PMID:")],
    index: Folder = None,
) -> int:
    """Delete citations."""
    from retrieval.writing import writer

    numbers = [pmid.removeprefix("PMID:") for pmid in pmids]
    for number in numbers:
        if not number.isdecimal():
            raise BadInput(f"{number!r} is not a PMID; expected a number such as 33636043")
    with writer(index) as change:
        gone = change.delete(numbers)
    typer.echo(f"{gone} of {len(numbers)} deleted")
    return 0


@index_app.command("stats")
def stats(index: Folder = None, json: AsJson = False) -> int:
    """What the index holds, after checking every file."""
    from retrieval.index import open_index

    with open_index(index) as literature:
        found = literature.stats()
    if json:
        emit_json(found)
        return 0
    for name in ("folder", "corpus", "citations", "windows", "retracted", "files", "bytes"):
        typer.echo(f"{name:<10} {found[name]}")
    for origin, row in found["origins"].items():
        typer.echo(f"from {origin}: {row['citations']}, revised up to {row['newest_revision']}")
    dense = found["dense"]
    typer.echo(
        "vectors    none: searched by words"
        if dense is None
        else "vectors    {vectors} of {encoder}, {kind}, recall {recall:.3f}".format(**dense)
    )
    return 0


def _built(folder: Path | None) -> None:
    """Build the default index on its first use: words only, which takes half a minute."""
    from retrieval.manifest import NAME
    from retrieval.writing import default_folder

    if folder is None and not (default_folder() / NAME).exists():
        _notice("building the default literature index, once; about half a minute")
        build(words=True)


def _add(change: Writer, path: Path, keep: Any) -> Added:
    with _bar(path.name) as progress:
        added = change.add(path, keep=keep, progress=progress)
    for problem in added.problems:
        _notice(f"passed over: {problem}")
    return added


def _ask(change: Writer, query: str, most: int, address: str) -> Added:
    from datetime import UTC, datetime

    from retrieval.eutils import ADDRESS, EUtilities
    from retrieval.writing import Added

    client = EUtilities(address or ADDRESS)
    pmids, total = client.search(query, most)
    _notice(f"PubMed has {total} citations for this query; taking {len(pmids)}")
    origin = f"E-utilities {datetime.now(UTC):%Y-%m-%d}"
    added = Added(origin)
    with _bar("PubMed") as progress:
        records = client.fetch(pmids, added.problems.append)
        return change.add_records(records, origin, added=added, progress=progress)


def _embed(change: Writer, words: bool, name: str) -> None:
    """Make vectors, where the packages for it are here; words alone are a whole index too."""
    if words:
        return
    from data.errors import Missing
    from encoders import text

    try:
        encoder = text.load(name or change.encoder or text.BUNDLED)
    except Missing as error:
        if name:
            raise
        _notice(f"no vectors were made, search is by words: {error}")
        return
    from tqdm import tqdm

    from retrieval.semantic import BATCH

    # The first windows found encoded already are no measure of the speed.
    with tqdm(desc="vectors", unit=" windows", disable=options.quiet, file=sys.stderr) as shown:

        def progress(done: int, total: int) -> None:
            if shown.total is None:
                shown.initial = shown.n = max(done - BATCH, 0)
                shown.total = total
            shown.update(done - shown.n)

        change.embed(encoder, progress)


@contextmanager
def _bar(title: str, unit: str = " records") -> Iterator[Callable[[int], None]]:
    from tqdm import tqdm

    with tqdm(desc=title, unit=unit, disable=options.quiet, file=sys.stderr) as shown:

        def progress(done: int) -> None:
            shown.update(done - shown.n)

        yield progress


def _report(added: list[Added], json: bool) -> int:
    from dataclasses import asdict

    if json:
        emit_json([asdict(one) for one in added])
        return 0
    for one in added:
        if one.known:
            _notice(f"{one.name} was read before; nothing to do")
            continue
        put = one.put
        _notice(
            f"{one.name}: {put.added} added, {put.updated} updated, {put.deleted} deleted, "
            f"{put.unchanged} unchanged, {put.older} older than what is there, "
            f"{len(one.problems)} passed over"
        )
    return 0


def _years(text: str) -> tuple[int | None, int | None]:
    found = re.fullmatch(r"(\d{4})?(:)?(\d{4})?", text)
    if not found or (text and text == ":"):
        raise BadInput(f"--year is {text!r}; expected FROM:TO such as 2015:2020, 2015: or :2020")
    first, colon, last = found.groups()
    low, high = int(first) if first else None, int(last) if last else None
    if low is not None and high is not None and low > high:
        raise BadInput(f"--year is {text!r}; expected the earlier year first: {high}:{low}")
    return (low, high) if colon else (low, low)


def _shown(place: int, passage: Passage) -> str:
    marks = f" [{'; '.join(passage.notices)}]" if passage.notices else ""
    if passage.retracted and "retracted" not in marks:
        marks = f" [retracted]{marks}"
    gone = "[retracted] " if passage.retracted else ""
    return (
        f"{place}. {passage.title}{marks}\n"
        f"   {passage.journal} {passage.year or ''}. PMID:{passage.pmid} "
        f"[{passage.start}:{passage.end}]\n"
        f"   {gone}“{passage.quote}”\n"
    )


def _notice(text: str) -> None:
    if not options.quiet:
        sys.stderr.write(f"celloquy: {text}\n")
