"""A small graph of real terms: immune cells, a few genes and processes, with their names.

Ids and labels are those of CL, UBERON, GO, HGNC and MGI; the statements are a handful typed in for
tests, under releases of their own.
"""

from __future__ import annotations

from pathlib import Path

from data.errors import AssetMissing
from kg.embedded import EmbeddedGraph, ensure_built
from kg.readers.source import Loaded
from kg.storage.build import build
from kg.terms import (
    DEVELOPS_FROM,
    ENABLES,
    INTERACTS_WITH,
    INVOLVED_IN,
    IS_A,
    LOCATED_IN,
    MARKER_OF,
    ORTHOLOGOUS_TO,
    Category,
    Edge,
    Release,
    Scope,
    Synonym,
    Term,
)

CELLS = """
CL:0000000|cell||
CL:0000738|leukocyte|white cell|CL:0000000
CL:0000842|mononuclear leukocyte|peripheral blood mononuclear cell|CL:0000738
CL:0000542|lymphocyte||CL:0000842
CL:0000084|T cell|T-cell;T lymphocyte;T-lymphocyte|CL:0000542
CL:0000789|alpha-beta T cell||CL:0000084
CL:0000791|mature alpha-beta T cell||CL:0000789
CL:0000624|CD4-positive, alpha-beta T cell||CL:0000791
CL:0000895|naive thymus-derived CD4-positive, alpha-beta T cell||CL:0000624
CL:0000792|CD4-positive, CD25-positive, alpha-beta regulatory T cell||CL:0000624,CL:0000815
CL:0000625|CD8-positive, alpha-beta T cell||CL:0000791
CL:0000909|CD8-positive, alpha-beta memory T cell||CL:0000625
CL:0000798|gamma-delta T cell|gammadelta T cell|CL:0000084
CL:0000815|regulatory T cell||CL:0000084
CL:0000899|T-helper 17 cell||CL:0000624
CL:0000940|mucosal-associated invariant T cell||CL:0000791
CL:0000236|B cell|B lymphocyte|CL:0000542
CL:0000788|naive B cell||CL:0000236
CL:0000955|pre-B-II cell|pre-B-lymphocyte|CL:0000236
CL:0001065|innate lymphoid cell||CL:0000542
CL:0001069|group 2 innate lymphoid cell||CL:0001065
CL:0000623|natural killer cell|NK cell|CL:0001065
CL:0000113|mononuclear phagocyte||CL:0000842
CL:0000576|monocyte||CL:0000113
CL:0001054|CD14-positive monocyte||CL:0000576
CL:0002397|CD14-positive, CD16-positive monocyte|CD16+ monocyte|CL:0001054
CL:0000235|macrophage||CL:0000113
CL:0000583|alveolar macrophage||CL:0000235
CL:0000864|tissue-resident macrophage||CL:0000235
CL:0000451|dendritic cell||CL:0000113
CL:0000784|plasmacytoid dendritic cell||CL:0000451
CL:0000037|hematopoietic stem cell||CL:0000000
CL:0000632|hepatic stellate cell||CL:0000000
CL:0000740|retinal ganglion cell||CL:0000540
CL:0000681|radial glial cell||CL:0000000
CL:0000233|platelet||CL:0000000
CL:0000556|megakaryocyte||CL:0000000
CL:0000182|hepatocyte||CL:0000066
CL:0000066|epithelial cell||CL:0000000
CL:0000160|goblet cell||CL:0000066
CL:1000320|large intestine goblet cell||CL:0000160
CL:1000495|small intestine goblet cell||CL:0000160
CL:0000057|fibroblast||CL:0000000
CL:0000115|endothelial cell||CL:0000000
CL:0002138|endothelial cell of lymphatic vessel|lymphatic endothelial cell|CL:0000115
CL:0002188|glomerular endothelial cell||CL:0000115
CL:0000540|neuron|nerve cell|CL:0000000
CL:0000679|glutamatergic neuron||CL:0000540
CL:0000617|GABAergic neuron||CL:0000540
CL:0000636|Mueller cell|Muller cell|CL:0000000
CL:4033068|cycling B cell||CL:0000236
CL:4033069|cycling T cell||CL:0000084
CL:4033076|cycling macrophage||CL:0000235
"""

GENES = """
HGNC:1706|CD8A|CD8 subunit alpha;CD8
HGNC:1707|CD8B|CD8 subunit beta
HGNC:1678|CD4|CD4 molecule
HGNC:6524|LCK|LCK proto-oncogene, Src family tyrosine kinase
HGNC:4709|GZMB|granzyme B
HGNC:1516|CAT|catalase
HGNC:10760|SET|SET nuclear proto-oncogene
HGNC:9966|REST|RE1 silencing transcription factor
HGNC:20387|IMPACT|impact RWD domain protein
HGNC:12731|WAS|WASP actin nucleation promoting factor
HGNC:7094|MICE|MHC class I polypeptide-related sequence E (pseudogene)
HGNC:3619|FCGR3A|Fc gamma receptor IIIa;CD16;CD16a
HGNC:6081|INS|insulin
HGNC:11998|TP53|tumor protein p53;p53
MGI:88346|Cd8a|Cd8
MGI:109267|Gzmb|
"""

CL = Release("CL", "v2026-03-26", "2026-03-26")
GO = Release("GO", "2021-12-15", "2021-12-15")
UBERON = Release("UBERON", "v2026-04-01", "2026-04-01")
HGNC = Release("HGNC", "2024-02", "2024-02")
MGI = Release("MGI", "2024-02", "2024-02")
GOA = Release("GOA-human", "2019-01-14", "2019-01-14")
HCOP = Release("HCOP", "2024-01-29", "2024-01-29")
MARKERS = Release("celloquy-markers", "sha256:0123", "")
OLD_CL = Release("CL-2014", "2014-10-13", "2014-10-13")


def _cells() -> Loaded:
    terms, edges = [], []
    for line in CELLS.strip().splitlines():
        id_, label, synonyms, parents = line.split("|")
        names = tuple(Synonym(text) for text in synonyms.split(";") if text)
        terms.append(
            Term(id_, label, Category.CELL_TYPE, "CL", CL.version, f"A {label}.", synonyms=names)
        )
        edges += [Edge(id_, IS_A, p, "CL", CL.version) for p in parents.split(",") if p]
    gone = {"source": "CL", "release": CL.version, "category": Category.CELL_TYPE, "obsolete": True}
    terms += [
        Term("CL:0011107", "obsolete Muller cell", replaced_by="CL:0000636", **gone),  # type: ignore[arg-type]
        Term("CL:0000493", "obsolete regulatory T cell", **gone),  # type: ignore[arg-type]
        Term("CL:0000999", "obsolete strange cell", consider=("CL:0000084",), **gone),  # type: ignore[arg-type]
    ]
    return Loaded(CL, terms, edges)


def _genes() -> list[Loaded]:
    human, mouse = [], []
    for line in GENES.strip().splitlines():
        id_, symbol, names = line.split("|")
        one = HGNC if id_.startswith("HGNC") else MGI
        term = Term(
            id_,
            symbol,
            Category.GENE,
            one.source,
            one.version,
            taxon="NCBITaxon:9606" if one is HGNC else "NCBITaxon:10090",
            synonyms=tuple(Synonym(text, Scope.EXACT) for text in names.split(";") if text),
        )
        (human if one is HGNC else mouse).append(term)
    return [Loaded(HGNC, human), Loaded(MGI, mouse)]


def _others() -> list[Loaded]:
    go = [
        Term("GO:0008150", "biological_process", Category.PROCESS, "GO", GO.version),
        Term("GO:0046649", "lymphocyte activation", Category.PROCESS, "GO", GO.version),
        Term("GO:0042110", "T cell activation", Category.PROCESS, "GO", GO.version),
        Term("GO:0005515", "protein binding", Category.FUNCTION, "GO", GO.version),
        Term("GO:0042288", "MHC class I protein binding", Category.FUNCTION, "GO", GO.version),
        Term("GO:0007613", "memory", Category.PROCESS, "GO", GO.version),
        Term(
            "GO:0009897", "external side of plasma membrane", Category.COMPONENT, "GO", GO.version
        ),
    ]
    up = [
        Edge("GO:0042110", IS_A, "GO:0046649", "GO", GO.version),
        Edge("GO:0046649", IS_A, "GO:0008150", "GO", GO.version),
        Edge("GO:0007613", IS_A, "GO:0008150", "GO", GO.version),
        Edge("GO:0042288", IS_A, "GO:0005515", "GO", GO.version),
    ]
    anatomy = [
        Term("UBERON:0002048", "lung", Category.ANATOMY, "UBERON", UBERON.version),
        Term("UBERON:0002107", "liver", Category.ANATOMY, "UBERON", UBERON.version),
        Term("UBERON:0002398", "manus", Category.ANATOMY, "UBERON", UBERON.version,
             synonyms=(Synonym("hand"),)),
    ]  # fmt: skip
    return [Loaded(GO, go, up), Loaded(UBERON, anatomy)]


def annotation(
    gene: str, predicate: str, other: str, code: str | None, *pmids: str, **more: object
) -> Edge:
    return Edge(gene, predicate, other, "GOA-human", GOA.version, code, pmids, **more)  # type: ignore[arg-type]


def _statements() -> list[Loaded]:
    cd8a, cd8b = "HGNC:1706", "HGNC:1707"
    goa = [
        annotation(cd8a, LOCATED_IN, "GO:0009897", "IDA", "PMID:17213291"),
        annotation(cd8a, LOCATED_IN, "GO:0009897", "IBA", "PMID:21873635"),
        annotation(cd8a, ENABLES, "GO:0005515", "IPI", "PMID:2470098"),
        annotation(cd8a, ENABLES, "GO:0042288", "IEA"),
        annotation(cd8a, INVOLVED_IN, "GO:0042110", "NAS", "PMID:9830036"),
        annotation(cd8a, INVOLVED_IN, "GO:0007613", "IMP", "PMID:1", negated=True),
        annotation(cd8a, INTERACTS_WITH, "HGNC:6524", "IPI", "PMID:2470098"),
        annotation("HGNC:6524", INVOLVED_IN, "GO:0046649", "IDA", "PMID:3"),
        annotation("HGNC:4709", LOCATED_IN, "GO:0009897", "IEA"),
    ]
    markers = [
        Edge(cd8a, MARKER_OF, "CL:0000625", "celloquy-markers", MARKERS.version, weight=13.0),
        Edge(cd8b, MARKER_OF, "CL:0000625", "celloquy-markers", MARKERS.version, weight=1.0),
        Edge(
            cd8a, MARKER_OF, "CL:0000624", "celloquy-markers", MARKERS.version,
            qualifiers=("negative",), weight=1.0,
        ),
        Edge("HGNC:4709", MARKER_OF, "CL:0000623", "celloquy-markers", MARKERS.version, weight=7.0,
             taxon="NCBITaxon:9606"),
        Edge("MGI:109267", MARKER_OF, "CL:0000623", "celloquy-markers", MARKERS.version,
             weight=7.0, taxon="NCBITaxon:10090"),
    ]  # fmt: skip
    orthologues = [Edge(cd8a, ORTHOLOGOUS_TO, "MGI:88346", "HCOP", HCOP.version, weight=12.0)]
    old = [Edge("CL:0000233", DEVELOPS_FROM, "CL:0000556", "CL-2014", OLD_CL.version)]
    return [
        Loaded(GOA, (), goa),
        Loaded(MARKERS, (), markers),
        Loaded(HCOP, (), orthologues),
        Loaded(OLD_CL, (), old),
    ]


def immune_graph(folder: Path) -> EmbeddedGraph:
    """Build the graph into ``folder`` and open it."""
    path = folder / "immune.sqlite"
    build(path, [_cells(), *_others(), *_genes(), *_statements()])
    return EmbeddedGraph.open(path)


def whole_graph() -> EmbeddedGraph:
    """The graph of the fetched assets, as it is, built only where none can be read."""
    try:
        return EmbeddedGraph.open()
    except AssetMissing:
        return EmbeddedGraph.open(ensure_built())
