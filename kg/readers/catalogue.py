"""Every source of the graph by name, the assets it is read from, and the reader.

:func:`load_all` is what a back end is built from. Sources that lean on others (annotations need
the genes and the current GO ids) read those once and share them. It knows the files by asset
name (data/sources.toml) and nothing about stores.
"""

from __future__ import annotations

import gc
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from data.errors import AssetMissing, BadInput
from kg.readers.annotations import read_gaf
from kg.readers.associations import (
    MondoIndex,
    marker_edges,
    read_gene_diseases,
    read_ligand_receptor,
    read_phenotypes,
)
from kg.readers.cellxgene import read_cellxgene
from kg.readers.derived import derive_mentions
from kg.readers.gene_tables import GeneIndex, read_hcop, read_hgnc, read_mgi
from kg.readers.obo import read_obo
from kg.readers.source import Loaded
from kg.terms import DEVELOPS_FROM, IS_A, Curie, Release, Term

__all__ = ["EDITION", "SOURCES", "Source", "assets_needed", "load_all"]

EDITION = 1
"""Raised when the readers give other facts from the same files: what was built is then stale."""

_WHOLE = 0.95
"""Share of the current CL terms that an OBO file of the whole ontology holds, newer or older."""


@dataclass(frozen=True, slots=True)
class Source:
    """A primary knowledge source.

    ``assets`` must all be there; the first is the one that the facts come from. ``instead`` is
    an asset that replaces the first when it is there: the official file in full. An ``optional``
    source is read only when it is named.
    """

    name: str
    assets: tuple[str, ...]
    read: Callable[[_Shelf], Loaded]
    instead: str = ""
    optional: bool = False


class _Shelf:
    """The files at hand, and what more than one source reads from them."""

    def __init__(self, paths: Mapping[str, Path]) -> None:
        self.paths = paths

    def asset(self, name: str) -> str:
        """The asset to read for ``name``: the official one in its place, where it is at hand."""
        official = _INSTEAD.get(name, "")
        return official if official in self.paths else name

    def lacking(self, source: Source) -> list[str]:
        """Assets of the source that are not at hand."""
        return [name for name in source.assets if self.asset(name) not in self.paths]

    def release(self, source: str, asset: str) -> Release:
        """What the manifest says of an asset, under the source's name."""
        from data import sources

        known = sources.asset(asset)
        return Release(
            source, known.release or "unknown", known.date, known.data_licence, known.citation
        )

    def ontology(self, source: str, asset: str) -> Loaded:
        chosen = self.asset(asset)
        if chosen != asset or source == "GO":
            return self.obo(source, chosen, prefix=source)
        return read_cellxgene(self.paths[asset], self.release(source, asset))

    def obo(self, source: str, asset: str, prefix: str) -> Loaded:
        elsewhere = {"CL", "UBERON", "GO", "MONDO", "HP"} - {prefix}
        release = self.release(source, asset)
        return read_obo(self.paths[asset], release=release, prefix=prefix, elsewhere=elsewhere)

    @cached_property
    def cl(self) -> Loaded:
        """The Cell Ontology: the official OBO where it is at hand and whole."""
        if self.cl_obo is not None and not self.partial:
            return self.cl_obo
        return read_cellxgene(self.paths["cl"], self.release("CL", "cl"))

    @cached_property
    def cl_obo(self) -> Loaded | None:
        return self.obo("CL", "cl-obo", "CL") if "cl-obo" in self.paths else None

    @cached_property
    def partial(self) -> bool:
        """Whether the OBO at hand is a subset or an import, beside the whole ontology."""
        if self.cl_obo is None or "cl" not in self.paths:
            return False
        whole = read_cellxgene(self.paths["cl"], self.release("CL", "cl"))
        known = {term.id for term in self.cl_obo.terms}
        used = [term.id for term in whole.terms if not term.obsolete]
        return sum(one in known for one in used) < _WHOLE * len(used)

    @cached_property
    def hgnc(self) -> Loaded:
        asset = self.asset("hgnc")
        return read_hgnc(self.paths[asset], self.release("HGNC", asset))

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
    def mondo(self) -> Loaded:
        return self.ontology("MONDO", "mondo")

    @cached_property
    def diseases(self) -> MondoIndex:
        terms = {term.id: term for term in self.mondo.terms}
        return MondoIndex(self.paths["mondo-xrefs"], terms)

    @cached_property
    def go_terms(self) -> Mapping[Curie, Term]:
        return {term.id: term for term in self.go.terms}

    @cached_property
    def go(self) -> Loaded:
        return self.ontology("GO", "go")


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


def _cl_obo(shelf: _Shelf) -> Loaded:
    """What a partial OBO adds to the whole ontology: relations other than is a.

    The whole official file needs no such source: it is read as CL itself.
    """
    found, whole = shelf.cl_obo, {term.id: term for term in shelf.cl.terms}
    assert found is not None
    used = {term.id for term in whole.values() if not term.obsolete}
    edges = tuple(
        replace(edge, source="CL-OBO")
        for edge in found.edges
        if edge.predicate != IS_A
        and edge.subject in used
        and (edge.object in used or not edge.object.startswith("CL:"))
    )
    ends = {edge.object for edge in edges}
    terms = tuple(
        replace(term, source="CL-OBO")
        for term in found.terms
        if term.id in ends and term.id not in whole
    )
    release = replace(found.release, source="CL-OBO")
    notice = (
        f"CL-OBO: the file has {len(found.terms)} terms: a part of CL "
        f"{shelf.cl.release.version}, which keeps its terms and is_a; "
        f"{len(edges)} of {len(found.edges)} statements are taken"
    )
    return Loaded(release, terms, edges, (*found.notices, notice))


def _goa_human(shelf: _Shelf) -> Loaded:
    asset = shelf.asset("gaf-human")
    release = shelf.release("GOA-human", asset)
    return read_gaf(shelf.paths[asset], release, shelf.human, shelf.go_terms)


def _goa_mouse(shelf: _Shelf) -> Loaded:
    release = shelf.release("GOA-mouse", "gaf-mouse")
    return read_gaf(shelf.paths["gaf-mouse"], release, shelf.mouse, shelf.go_terms)


def _orthologues(shelf: _Shelf) -> Loaded:
    release = shelf.release("HCOP", "orthologues")
    return read_hcop(shelf.paths["orthologues"], release, shelf.human, shelf.mouse)


def _gene_diseases(shelf: _Shelf) -> Loaded:
    release = shelf.release("HPO", "hpo-genes")
    return read_gene_diseases(shelf.paths["hpo-genes"], release, shelf.human, shelf.diseases)


def _phenotypes(shelf: _Shelf) -> Loaded:
    """The phenotype terms, and which diseases have them."""
    terms = shelf.obo("HPO-phenotypes", "hpo", "HP")
    found = read_phenotypes(shelf.paths["hpo-diseases"], terms.release, shelf.diseases)
    return replace(
        terms, edges=(*terms.edges, *found.edges), notices=(*terms.notices, *found.notices)
    )


def _ligand_receptor(shelf: _Shelf) -> Loaded:
    release = shelf.release("liana", "ligand-receptor")
    return read_ligand_receptor(shelf.paths["ligand-receptor"], release, shelf.human)


def _markers(shelf: _Shelf) -> Loaded:
    return marker_edges(shelf.human, shelf.mouse, {term.id: term for term in shelf.cl.terms})


def _mentions(shelf: _Shelf) -> Loaded:
    return derive_mentions(shelf.cl, shelf.go)


SOURCES: Mapping[str, Source] = {
    source.name: source
    for source in (
        Source("CL", ("cl",), lambda shelf: shelf.cl, instead="cl-obo"),
        Source(
            "UBERON",
            ("uberon",),
            lambda shelf: shelf.ontology("UBERON", "uberon"),
            instead="uberon-obo",
        ),
        Source("MONDO", ("mondo",), lambda shelf: shelf.mondo),
        Source("GO", ("go",), lambda shelf: shelf.go, instead="go-obo"),
        Source("HGNC", ("hgnc",), lambda shelf: shelf.hgnc, instead="hgnc-current"),
        Source("MGI", ("mgi",), lambda shelf: shelf.mgi),
        Source("GOA-human", ("gaf-human", "hgnc", "go"), _goa_human, instead="goa-human-current"),
        Source("GOA-mouse", ("gaf-mouse", "mgi", "go"), _goa_mouse),
        Source("HCOP", ("orthologues", "hgnc", "mgi"), _orthologues),
        Source("HPO", ("hpo-genes", "mondo-xrefs", "mondo", "hgnc"), _gene_diseases),
        Source("liana", ("ligand-receptor", "hgnc"), _ligand_receptor),
        Source("celloquy-markers", ("cl", "hgnc", "mgi"), _markers),
        Source("derived-labels", ("cl", "go"), _mentions),
        Source(
            "HPO-phenotypes",
            ("hpo-diseases", "hpo", "mondo-xrefs", "mondo"),
            _phenotypes,
            optional=True,
        ),
        Source("CL-OBO", ("cl-obo", "cl"), _cl_obo),
        Source("CL-2014", ("cl-2014", "cl"), _develops_from),
    )
}
"""In the order of loading: terms come before the edges of other sources that point to them."""

_INSTEAD = {source.assets[0]: source.instead for source in SOURCES.values() if source.instead}


def assets_needed(sources: Iterable[str] = ()) -> tuple[str, ...]:
    """Names of the assets that the sources are read from.

    If none is named, those of all sources that are not optional and need no official file.
    """
    chosen = [_source(name) for name in sources] or [
        source
        for source in SOURCES.values()
        if not source.optional and not set(source.assets) & set(_INSTEAD.values())
    ]
    return tuple(dict.fromkeys(asset for source in chosen for asset in source.assets))


def load_all(paths: Mapping[str, Path], sources: Iterable[str] | None = None) -> Iterator[Loaded]:
    """Read one source after the other.

    Parameters
    ----------
    paths
        Asset name to file, as ``{"cl": data.sources.path("cl"), ...}``.
    sources
        Names of :data:`SOURCES`; if None, every source that is not optional and whose assets are
        in ``paths``.

    Raises
    ------
    BadInput
        When no source has such a name.
    AssetMissing
        When a source that was named lacks an asset in ``paths``.
    """
    shelf = _Shelf(paths)
    if sources is None:
        chosen = [s for s in SOURCES.values() if not s.optional and not shelf.lacking(s)]
    else:
        wanted = {_source(name).name for name in sources}
        chosen = [source for source in SOURCES.values() if source.name in wanted]
    for source in chosen:
        lacking = shelf.lacking(source)
        if lacking:
            raise AssetMissing(
                f"{source.name} is read from {', '.join(source.assets)}; "
                f"run: celloquy data fetch {' '.join(lacking)}"
            )
        if source.name != "CL-OBO" or shelf.partial:
            yield _read(source, shelf)


def _read(source: Source, shelf: _Shelf) -> Loaded:
    # Millions of small values that all stay: the garbage collector would walk them over and over
    # and find nothing (a quarter of the time).
    collecting = gc.isenabled()
    gc.disable()
    try:
        return source.read(shelf)
    finally:
        if collecting:
            gc.enable()


def _source(name: str) -> Source:
    known = SOURCES.get(name)
    if known is None:
        raise BadInput(f"no source is named {name!r}; one of: {', '.join(SOURCES)}")
    return known
