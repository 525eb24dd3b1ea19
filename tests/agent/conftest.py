"""A small graph worked out by hand, and the real one where its assets are."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent import llm
from kg import terms as t
from kg.embedded import EmbeddedGraph
from kg.graph import KnowledgeGraph
from kg.readers.source import Loaded
from kg.storage.build import build
from kg.terms import Category, Edge, Release, Scope, Synonym, Term
from tests.agent.chatserver import chat_server

CL = Release("CL", "v1", "2026-03-26")
OLD = Release("CL-2014", "2014-10-13", "2014-10-13")
GO = Release("GO", "2021-12-15", "2021-12-15")
HGNC = Release("HGNC", "2024-02", "2024-02")
GOA = Release("GOA-human", "2019-01-14", "2019-01-14")
MARKERS = Release("celloquy-markers", "m1", "2026-01-01")


def _cell(id: str, label: str, definition: str = "", *synonyms: str, **more: object) -> Term:
    names = tuple(Synonym(name, Scope.EXACT) for name in synonyms)
    return Term(
        id,
        label,
        Category.CELL_TYPE,
        "CL",
        "v1",
        definition=definition,
        synonyms=names,
        **more,  # type: ignore[arg-type]
    )


def _go(id: str, label: str, category: Category) -> Term:
    return Term(id, label, category, "GO", "2021-12-15")


CELLS = (
    _cell("CL:0000738", "leukocyte", "An achromatic cell of the myeloid or lymphoid lineages."),
    _cell("CL:0000542", "lymphocyte", "A lymphocyte is a leukocyte commonly found in the blood."),
    _cell(
        "CL:0000084", "T cell", "A type of lymphocyte. It does not make antibodies.", "T lymphocyte"
    ),
    _cell("CL:0000625", "CD8-positive, alpha-beta T cell", "A T cell expressing CD8."),
    _cell("CL:0000236", "B cell", "A lymphocyte of B lineage.", "B lymphocyte"),
    _cell("CL:0000576", "monocyte"),
    _cell("CL:0000233", "platelet"),
    _cell("CL:0000556", "megakaryocyte"),
    _cell("CL:0000001", "obsolete old T cell", obsolete=True, replaced_by="CL:0000084"),
)
GENES = tuple(
    Term(one, label, Category.GENE, "HGNC", "2024-02", taxon="NCBITaxon:9606")
    for one, label in (
        ("HGNC:1706", "CD8A"), ("HGNC:4709", "GZMB"), ("HGNC:9360", "PRF1"), ("HGNC:7315", "MS4A1"),
    )
)  # fmt: skip
PROCESSES = (
    _go("GO:0006915", "apoptotic process", Category.PROCESS),
    _go("GO:0012501", "programmed cell death", Category.PROCESS),
    _go("GO:0019835", "cytolysis", Category.PROCESS),
    _go("GO:0004252", "serine-type endopeptidase activity", Category.FUNCTION),
    _go("GO:0005634", "nucleus", Category.COMPONENT),
)


def _is_a(child: str, parent: str, source: str = "CL", release: str = "v1") -> Edge:
    return Edge(child, t.IS_A, parent, source, release)


def _annotation(gene: str, predicate: str, term: str, **more: object) -> Edge:
    return Edge(
        gene,
        predicate,
        term,
        "GOA-human",
        "2019-01-14",
        taxon="NCBITaxon:9606",
        **more,  # type: ignore[arg-type]
    )


def loaded() -> list[Loaded]:
    return [
        Loaded(
            CL,
            CELLS,
            [
                _is_a("CL:0000542", "CL:0000738"),
                _is_a("CL:0000576", "CL:0000738"),
                _is_a("CL:0000084", "CL:0000542"),
                _is_a("CL:0000236", "CL:0000542"),
                _is_a("CL:0000625", "CL:0000084"),
            ],
        ),
        Loaded(
            GO,
            PROCESSES,
            [_is_a("GO:0006915", "GO:0012501", "GO", "2021-12-15")],
        ),
        Loaded(HGNC, GENES),
        Loaded(
            GOA,
            (),
            [
                _annotation("HGNC:4709", t.INVOLVED_IN, "GO:0006915", evidence_code="TAS",
                            publications=("PMID:12524539",)),
                _annotation("HGNC:4709", t.ENABLES, "GO:0004252", evidence_code="IDA"),
                _annotation("HGNC:9360", t.INVOLVED_IN, "GO:0019835", evidence_code="IEA"),
                _annotation("HGNC:4709", t.LOCATED_IN, "GO:0005634", evidence_code="IDA",
                            negated=True, publications=("PMID:7",)),
                _annotation("HGNC:4709", t.INTERACTS_WITH, "HGNC:9360", evidence_code="IPI",
                            publications=("PMID:11911826",)),
            ],
        ),
        Loaded(
            OLD, (), [Edge("CL:0000233", t.DEVELOPS_FROM, "CL:0000556", "CL-2014", "2014-10-13")]
        ),
        Loaded(
            MARKERS,
            (),
            [
                Edge("HGNC:1706", t.MARKER_OF, "CL:0000625", "celloquy-markers", "m1"),
                Edge("HGNC:7315", t.MARKER_OF, "CL:0000236", "celloquy-markers", "m1"),
                Edge("HGNC:7315", t.MARKER_OF, "CL:0000084", "celloquy-markers", "m1",
                     qualifiers=("negative",)),
            ],
        ),
    ]  # fmt: skip


@pytest.fixture(scope="session")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KnowledgeGraph]:
    """Nine cell types, four genes, five GO terms: every relation that the tests need."""
    path: Path = tmp_path_factory.mktemp("graph") / "graph.sqlite"
    build(path, loaded())
    with EmbeddedGraph.open(path) as graph:
        yield graph


@pytest.fixture(scope="session")
def sent(tmp_path_factory: pytest.TempPathFactory) -> Iterator[list[dict[str, Any]]]:
    """What chat models were sent: one server for all tests, since LangChain keeps the provider."""
    folder = tmp_path_factory.mktemp("provider")
    sys.path.insert(0, str(folder))
    llm.chat_model.cache_clear()
    try:
        with chat_server(folder) as seen:
            yield seen
    finally:
        sys.path.remove(str(folder))
        sys.modules.pop("langchain_ollama", None)
        llm.chat_model.cache_clear()
