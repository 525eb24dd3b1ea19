"""``celloquy data``: list, fetch, verify, update and prune the pinned assets."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.console import emit_json, options

if TYPE_CHECKING:
    from data.sources import State

__all__ = ["app"]

app = typer.Typer(
    help="The data and models that answers rest on: releases, ages, licences, cache.",
    no_args_is_help=True,
    rich_markup_mode=None,
)

YEAR = 365.25  # days; ages are for reading


@app.command("list")
def list_assets(
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show every asset: release, age, size, licence, and whether it is in the cache."""
    from data import locations, sources

    states = sources.states()
    total = sum(state.bytes for state in states)
    if as_json:
        emit_json(
            {
                "cache": str(locations.assets()),
                "bytes": total,
                "assets": [_as_json(state) for state in states],
            }
        )
        return
    rows: list[tuple[str, ...]] = [
        ("ASSET", "GROUP", "RELEASE", "AGE", "SIZE", "LICENCE OF THE DATA", "CACHED")
    ]
    rows += [_row(state) for state in states]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    for row in rows:
        typer.echo("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip())
    here = sum(state.fetched for state in states)
    typer.echo(f"\n{here} of {len(states)} cached, {size(total)} in {locations.assets()}")


@app.command()
def fetch(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help="Assets or groups: core, literature, models, demo, optional, all. Default: core."
        ),
    ] = None,
) -> None:
    """Download and verify assets; what is there already is left alone."""
    from data import sources

    wanted = names or ["core"]
    for one in sources.fetch(wanted, progress=not options.quiet):
        typer.echo(f"fetched {one.name}: {one.title} {one.release}, {size(one.size)}")
    typer.echo(f"{', '.join(wanted)}: all of it is in the cache")


@app.command()
def verify(
    names: Annotated[
        list[str] | None, typer.Argument(help="Assets or groups; default: all that is cached.")
    ] = None,
) -> None:
    """Hash every cached file again and compare with the pinned sha256."""
    from data import sources
    from data.errors import AssetMissing, CorruptAsset

    found = sources.verify(names or ())
    for name, state in found.items():
        if names or state != "missing":
            typer.echo(f"{name}: {state}")
    wrong = [name for name, state in found.items() if state not in ("ok", "missing")]
    missing = [name for name, state in found.items() if state == "missing"]
    if wrong:
        raise CorruptAsset(
            f"{len(wrong)} of {len(found)} assets do not have their pinned bytes; "
            f"run: celloquy data fetch {' '.join(wrong)}"
        )
    if names and missing:
        raise AssetMissing(f"not in the cache; run: celloquy data fetch {' '.join(missing)}")


@app.command()
def update(
    name: Annotated[str, typer.Argument(help="An asset that has an official address.")],
    revert: Annotated[bool, typer.Option("--revert", help="Back to the pinned release.")] = False,
) -> None:
    """Move an asset to its newest official release, or back to the pinned one."""
    from data import sources

    if revert:
        after = sources.revert(name)
        said = f"back at {after.release}" if after.pinned else "not used any more"
    else:
        after = sources.update(name, progress=not options.quiet)
        said = f"{after.release} from {after.official}"
    typer.echo(f"{after.name}: {after.title}, {said}")
    typer.echo("the knowledge graph takes it up with: celloquy kg build")


@app.command()
def prune(
    everything: Annotated[
        bool, typer.Option("--all", help="Remove all assets, not only what is unused.")
    ] = False,
) -> None:
    """Remove old releases and half-done downloads from the cache."""
    from data import sources

    typer.echo(f"{size(sources.prune(everything=everything))} removed")


def size(count: int) -> str:
    """Bytes for reading: ``1.3 MB``, ``190 kB``."""
    for unit, factor in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= factor:
            return f"{count / factor:.{1 if count < 10 * factor else 0}f} {unit}"
    return f"{count} B"


def age(days: int | None) -> str:
    """An age for reading: ``12 days``, ``7 months``, ``4.9 years``; ``?`` where not known."""
    if days is None:
        return "?"
    if days < 60:
        return f"{days} days"
    if days < 2 * YEAR:
        return f"{days / (YEAR / 12):.0f} months"
    return f"{days / YEAR:.1f} years"


def _row(state: State) -> tuple[str, ...]:
    one = state.asset
    if not one.pinned:
        release, bytes_ = "newest", "?"
    else:
        release, bytes_ = one.release, size(one.size)
    cached = "yes, updated" if state.fetched and one.updated else "yes" if state.fetched else "no"
    return (one.name, one.group, release, age(state.age), bytes_, one.data_licence, cached)


def _as_json(state: State) -> dict[str, Any]:
    one = state.asset
    fields = dataclasses.asdict(one)
    for key in ("files", "origins"):
        del fields[key]
    return fields | {
        "package_licence": one.package_licence,
        "origin": one.carrier,
        "size": one.size,
        "sha256": {file.name: file.sha256 for file in one.files},
        "age_days": state.age,
        "fetched": state.fetched,
        "bytes_cached": state.bytes,
    }
