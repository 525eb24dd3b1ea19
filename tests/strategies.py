"""Hypothesis strategies for random ontologies: DAGs, and whole graphs with provenance."""

from __future__ import annotations

from dataclasses import dataclass

from hypothesis import strategies as st

from kg.readers.source import Loaded
from kg.terms import (
    ENABLES,
    IS_A,
    MARKER_OF,
    PART_OF,
    REGULATES,
    Category,
    Edge,
    Release,
    Scope,
    Synonym,
    Term,
)

RELEASE = Release("CL", "v1", "2026-01-01", "CC BY 4.0", "a citation")
GENES = Release("HGNC", "2024-02")
WORDS = ("t", "cell", "cells", "killer", "natural", "CD8+", "TNF-α", "alpha", "memory", "x")


@dataclass(frozen=True)
class Dag:
    """Nodes in topological order, parents first, and pairs (child, parent) of them."""

    ids: tuple[str, ...]
    edges: tuple[tuple[str, str], ...]

    def parents(self, node: str) -> list[str]:
        return sorted(b for a, b in self.edges if a == node)

    def loaded(self, predicate: str = IS_A) -> Loaded:
        """The DAG as a source of cell types."""
        return Loaded(
            RELEASE,
            [term(one) for one in self.ids],
            [Edge(a, predicate, b, RELEASE.source, RELEASE.version) for a, b in self.edges],
        )


def term(one: str, **given: object) -> Term:
    category = Category.GENE if one.startswith("HGNC") else Category.CELL_TYPE
    release = GENES if category is Category.GENE else RELEASE
    values = {"label": f"type {one}", "category": category, **given}
    return Term(id=one, source=release.source, release=release.version, **values)  # type: ignore[arg-type]


def _id(number: int) -> str:
    return f"CL:{number:07d}"


@st.composite
def dags(draw: st.DrawFn, max_size: int = 9) -> Dag:
    """Random DAGs; ids are shuffled so that no order of names agrees with the hierarchy."""
    size = draw(st.integers(1, max_size))
    numbers = draw(st.permutations(range(1, size + 1)))
    ids = tuple(_id(number) for number in numbers)
    pairs = [(child, parent) for child in range(size) for parent in range(child)]
    chosen = draw(st.sets(st.sampled_from(pairs), max_size=3 * size)) if pairs else set()
    return Dag(ids, tuple((ids[child], ids[parent]) for child, parent in sorted(chosen)))


def _names() -> st.SearchStrategy[str]:
    return st.lists(st.sampled_from(WORDS), min_size=1, max_size=4).map(" ".join)


@st.composite
def _terms(draw: st.DrawFn, one: str) -> Term:
    return term(
        one,
        label=draw(_names()),
        definition=draw(st.sampled_from(["", "A cell with Ω and \u201cquotes\u201d."])),
        definition_xrefs=tuple(draw(st.lists(st.sampled_from(["PMID:2", "PMID:1"]), max_size=2))),
        synonyms=tuple(
            Synonym(text, scope)
            for text, scope in draw(
                st.lists(
                    st.tuples(_names(), st.sampled_from(list(Scope)[1:])), max_size=3, unique=True
                )
            )
        ),
        xrefs=tuple(draw(st.lists(st.sampled_from(["FMA:62500", "BTO:0000776"]), max_size=2))),
        taxon=draw(st.sampled_from([None, "NCBITaxon:9606"])),
    )


@st.composite
def graphs(draw: st.DrawFn) -> list[Loaded]:
    """Two sources: a hierarchy of cell types with mixed relations, and annotated genes.

    Holds duplicated and negated statements, parallel edges, loops, cycles over relations that are
    no hierarchy, and obsolete terms; every edge can be kept by a build.
    """
    dag = draw(dags(max_size=7))
    obsolete = term("CL:9999999", label="obsolete cell", obsolete=True, replaced_by=dag.ids[0])
    cells = [draw(_terms(one)) for one in dag.ids]
    hierarchy = [
        Edge(a, draw(st.sampled_from([IS_A, PART_OF])), b, "CL", "v1", negated=draw(_rarely()))
        for a, b in dag.edges
    ]
    ends = st.sampled_from(dag.ids)
    others = draw(st.lists(st.builds(_regulates, ends, ends), max_size=3))
    genes = [f"HGNC:{number}" for number in range(1, draw(st.integers(1, 4)) + 1)]
    annotations = draw(st.lists(_annotations(genes, dag.ids), max_size=12))
    repeated = draw(st.lists(st.sampled_from(annotations), max_size=2)) if annotations else []
    return [
        Loaded(RELEASE, [*cells, obsolete], [*hierarchy, *others]),
        Loaded(GENES, [draw(_terms(one)) for one in genes], [*annotations, *repeated]),
    ]


def _rarely() -> st.SearchStrategy[bool]:
    return st.integers(0, 9).map(lambda n: n == 0)


def _regulates(a: str, b: str) -> Edge:
    return Edge(a, REGULATES, b, "CL", "v1")


def _annotations(genes: list[str], cells: tuple[str, ...]) -> st.SearchStrategy[Edge]:
    return st.builds(
        Edge,
        subject=st.sampled_from(genes),
        predicate=st.sampled_from([MARKER_OF, ENABLES]),
        object=st.sampled_from(cells),
        source=st.just("HGNC"),
        release=st.just("2024-02"),
        evidence_code=st.sampled_from([None, "IDA", "IEA"]),
        publications=st.lists(
            st.sampled_from(["PMID:7", "PMID:11", "PMID:5"]), max_size=3, unique=True
        ).map(tuple),
        negated=_rarely(),
        qualifiers=st.sampled_from([(), ("negative",), ("contributes_to", "part_of")]),
        taxon=st.sampled_from([None, "NCBITaxon:9606"]),
        weight=st.sampled_from([None, 0.25, 1.0]),
    )
