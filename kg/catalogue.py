"""Every source of the graph by name, the assets it is read from, and the reader.

:func:`load_all` is what a back end is built from. Sources that lean on others (annotations need
the genes and the current GO ids) read those once and share them. It knows the files by asset
name (data/sources.toml) and nothing about stores.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from data.errors import AssetMissing, BadInput
from kg.annotations import read_gaf
from kg.cellxgene import read_cellxgene
from kg.gene_tables import GeneIndex, read_hcop, read_hgnc, read_mgi
from kg.obo import read_obo
from kg.source import Loaded
from kg.terms import DEVELOPS_FROM, Curie, Release, Term

__all__ = ["SOURCES", "Source", "assets_needed", "load_all"]


@dataclass(frozen=True, slots=True)
class Source:
    """A primary knowledge source.

    ``assets`` must all be there; the first is the one that the facts come from. ``instead`` is
    an asset that replaces the first when it is there: the official file in full.
    """

    name: str
    assets: tuple[str, ...]
    read: Callable[[_Shelf], Loaded]
    instead: str = ""


class _Shelf:
    """The files at hand, and what more than one source reads from them."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths

    def has(self, source: Source) -> bool:
        named = source.assets
        if source.instead in self.paths:
            named = (source.instead, *named[1:])
        return all(asset in self.paths for asset in named)

    def release(self, source: str, asset: str) -> Release:
        """What the manifest says of an asset, under the source's name."""
        from data import sources

        known = sources.asset(asset)
        return Release(
            source, known.release or "unknown", known.date, known.data_licence, known.citation
        )

    def ontology(self, source: str, asset: str, instead: str) -> Loaded:
        if instead in self.paths:
            return self.obo(source, instead, prefix=source)
        return read_cellxgene(self.paths[asset], self.release(source, asset))

    def obo(self, source: str, asset: str, prefix: str) -> Loaded:
        elsewhere = {"CL", "UBERON", "GO", "MONDO", "HP"} - {prefix}
        release = self.release(source, asset)
        return read_obo(self.paths[asset], release=release, prefix=prefix, elsewhere=elsewhere)

    @cached_property
    def cl(self) -> Loaded:
        return self.ontology("CL", "cl", "cl-obo")

    @cached_property
    def hgnc(self) -> Loaded:
        return read_hgnc(self.paths["hgnc"], self.release("HGNC", "hgnc"))

    @cached_property
    def mgi(self) -> Loaded:
        return read_mgi(self.paths["mgi"], self.release("MGI", "mgi"))

    @cached_property
    def human(self) -> GeneIndex:
        return GeneIndex(self.hgnc.terms)

    @cached_property
    def mouse(self) -> GeneIndex:
        return GeneIndex(self.mgi.terms)

    @cached_property
    def go_terms(self) -> Mapping[Curie, Term]:
        return {term.id: term for term in self.go.terms}

    @cached_property
    def go(self) -> Loaded:
        return self.obo("GO", "go-obo" if "go-obo" in self.paths else "go", "GO")


def _develops_from(shelf: _Shelf) -> Loaded:
    """The develops_from edges of the old release whose ends are still in use today."""
    old = shelf.obo("CL-2014", "cl-2014", "CL")
    current = {term.id for term in shelf.cl.terms if not term.obsolete}
    edges = [edge for edge in old.edges if edge.predicate == DEVELOPS_FROM]
    kept = tuple(e for e in edges if e.subject in current and e.object in current)
    notice = (
        f"CL-2014: not loaded: {len(edges) - len(kept)} of {len(edges)} develops_from statements "
        f"with an end that CL {shelf.cl.release.version} no longer uses; "
        f"{len(old.edges) - len(edges)} statements of other relations, which newer releases hold"
    )
    return replace(old, terms=(), edges=kept, notices=(*old.notices, notice))


def _goa_human(shelf: _Shelf) -> Loaded:
    asset = "goa-human-current" if "goa-human-current" in shelf.paths else "gaf-human"
    release = shelf.release("GOA-human", asset)
    return read_gaf(shelf.paths[asset], release, shelf.human, shelf.go_terms)


def _goa_mouse(shelf: _Shelf) -> Loaded:
    release = shelf.release("GOA-mouse", "gaf-mouse")
    return read_gaf(shelf.paths["gaf-mouse"], release, shelf.mouse, shelf.go_terms)


def _orthologues(shelf: _Shelf) -> Loaded:
    release = shelf.release("HCOP", "orthologues")
    return read_hcop(shelf.paths["orthologues"], release, shelf.human, shelf.mouse)


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("CL", ("cl",), lambda shelf: shelf.cl, instead="cl-obo"),
        Source(
            "UBERON",
            ("uberon",),
            lambda shelf: shelf.ontology("UBERON", "uberon", "uberon-obo"),
            instead="uberon-obo",
        ),
        Source("MONDO", ("mondo",), lambda shelf: shelf.ontology("MONDO", "mondo", "")),
        Source("GO", ("go",), lambda shelf: shelf.go, instead="go-obo"),
        Source("HGNC", ("hgnc",), lambda shelf: shelf.hgnc),
        Source("MGI", ("mgi",), lambda shelf: shelf.mgi),
        Source("GOA-human", ("gaf-human", "hgnc", "go"), _goa_human, instead="goa-human-current"),
        Source("GOA-mouse", ("gaf-mouse", "mgi", "go"), _goa_mouse),
        Source("HCOP", ("orthologues", "hgnc", "mgi"), _orthologues),
        Source("CL-2014", ("cl-2014", "cl"), _develops_from),
    )
}
"""In the order of loading: terms come before the edges of other sources that point to them."""


def assets_needed(sources: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the assets that the sources (all of them, if none is named) are read from."""
    chosen = [_source(name) for name in sources] or SOURCES.values()
    return tuple(dict.fromkeys(asset for source in chosen for asset in source.assets))


def load_all(paths: Mapping[str, Path], sources: Iterable[str] | None = None) -> Iterator[Loaded]:
    """Read one source after the other.

    Parameters
    ----------
    paths
        Asset name to file, as ``{"cl": data.sources.path("cl"), ...}``.
    sources
        Names of :data:`SOURCES`; if None, every source whose assets are in ``paths``.

    Raises
    ------
    BadInput
        When no source has such a name.
    AssetMissing
        When a source that was named lacks an asset in ``paths``.
    """
    shelf = _Shelf(paths)
    if sources is None:
        chosen = [source for source in SOURCES.values() if shelf.has(source)]
    else:
        wanted = {_source(name).name for name in sources}
        chosen = [source for source in SOURCES.values() if source.name in wanted]
    for source in chosen:
        if not shelf.has(source):
            lacking = [asset for asset in source.assets if asset not in paths]
            raise AssetMissing(
                f"{source.name} is read from {', '.join(source.assets)}; "
                f"run: celloquy data fetch {' '.join(lacking)}"
            )
        yield source.read(shelf)


def _source(name: str) -> Source:
    known = SOURCES.get(name)
    if known is None:
        raise BadInput(f"no source is named {name!r}; one of: {', '.join(SOURCES)}")
    return known
