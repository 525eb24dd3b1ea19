"""The knowledge graph beside obonet, networkx, nxontology and, where it is installed, oaklib.

Bars are those of the project's plan for a machine of 2 cores. Needs the fetched assets and the
built graph: `celloquy data fetch core && celloquy kg build`.
"""

from __future__ import annotations

import importlib.util
import random
import sys
import tempfile
from functools import partial
from pathlib import Path

import networkx
import numpy as np
from nxontology import NXOntology
from nxontology.similarity import SimilarityIC
from timing import Row, Taken, inside, median, median_over, process, report

from data import sources
from kg import ontology
from kg.embedded import EmbeddedGraph
from kg.grounding import ground
from kg.measures.gene_graph import annotated, jaccard_graph
from kg.measures.pagerank import PageRank
from kg.measures.similarity import Similarity
from kg.measures.wang import Wang
from kg.terms import IS_A, Category

OBO = [Category.PROCESS, Category.FUNCTION, Category.COMPONENT]
HIERARCHY = ontology.HIERARCHY
QUESTIONS = [
    "Is a CD8-positive, alpha-beta T cell a lymphocyte?",
    "Which surface markers separate CD8 memory T cells from naive ones?",
    "What does GZMB do in NK cells?",
    "Which cell types develop into a platelet?",
    "Do hepatocytes of the liver express ALB?",
]
SEARCHES = [
    "nk cell",
    "cell",
    "regulatory T",
    "cd8 memory",
    "positive regulation of",
    "lymph node",
    "ctla-99",
    "kidney tubul",
    "protein",
    "zzz t cell",
]


def loading() -> list[Row]:
    ours = "from kg.embedded import EmbeddedGraph\nEmbeddedGraph.open().to_networkx({})"
    go = f"import obonet\nobonet.read_obo({str(sources.path('go'))!r})"
    raw = "\n".join(
        f"json.load(zstandard.ZstdDecompressor().stream_reader(open({str(path)!r}, 'rb')))"
        for path in (sources.path("cl"), sources.path("uberon"))
    )
    categories = "(" + ",".join(repr(category.value) for category in OBO) + ")"
    every = "('rdfs:subClassOf', 'BFO:0000050', 'RO:0002211', 'RO:0002212', 'RO:0002213')"
    return [
        Row(
            "load CL and UBERON, with import networkx",
            inside(ours.format("")),
            0.5,
            "json.load of the two files alone",
            inside("import json, zstandard\n" + raw),
        ),
        Row(
            "load GO, with import networkx",
            inside(ours.format(f"{categories}, {every}")),
            None,
            "obonet.read_obo",
            inside(go, repeats=3),
        ),
        Row(
            "open the file, read a gene's edges",
            inside(
                "from kg.embedded import EmbeddedGraph\nEmbeddedGraph.open().edges('HGNC:1706')"
            ),
        ),
    ]


def hierarchies(graph: EmbeddedGraph, chance: random.Random) -> list[Row]:
    categories = (Category.CELL_TYPE, Category.ANATOMY)
    ids = [term.id for category in categories for term in graph.terms_of(category)]
    whole = graph.to_networkx(categories)
    some = chance.sample(ids, 1000)
    theirs = median_over(partial(networkx.descendants, whole), some)
    with EmbeddedGraph.open() as fresh:
        by_query = median_over(lambda one: fresh.ancestors(one, HIERARCHY), some[:60])
    for one in some[:100]:  # after some questions all ids are read at once
        graph.ancestors(one, HIERARCHY)
    in_memory = median_over(lambda one: graph.ancestors(one, HIERARCHY), some)
    pairs = list(zip(chance.sample(ids, 200), chance.sample(ids, 200), strict=True))
    return [
        Row("ancestors, from the file", by_query, 1e-4, "networkx, in memory", theirs),
        Row("ancestors, ids in memory", in_memory, 2e-5, "networkx, in memory", theirs),
        Row("lowest common ancestor and its path", median_over(partial(meet, graph), pairs)),
    ]


def meet(graph: EmbeddedGraph, a: str, b: str) -> None:
    ontology.meeting(graph, a, b, HIERARCHY)


def similarities(graph: EmbeddedGraph, chance: random.Random) -> list[Row]:
    categories = (Category.CELL_TYPE, Category.ANATOMY)
    similarity = Similarity.of(graph, categories, HIERARCHY)
    pairs = [(chance.choice(similarity.ids), chance.choice(similarity.ids)) for _ in range(2000)]
    reference: NXOntology[str] = NXOntology()
    reference.graph.add_nodes_from(similarity.ids)
    whole = graph.to_networkx(categories)
    reference.graph.add_edges_from((b, a) for a, b in whole.edges)
    reference.freeze()

    def theirs(a: str, b: str) -> float:
        return float(SimilarityIC(reference, a, b, ic_metric="intrinsic_ic").resnik)

    for a, b in pairs:
        assert abs(theirs(a, b) - similarity.resnik(a, b)) < 1e-9
    cells = Similarity.of(graph)
    return [
        Row(
            "Resnik of a pair, CL and UBERON",
            median_over(similarity.resnik, pairs),
            5e-6,
            "nxontology, frozen; both warm",
            median_over(theirs, pairs),
        ),
        Row("Resnik of all pairs, CL", median(lambda: cells.block("resnik"))),
        Row("Lin of all pairs, CL", median(lambda: cells.block("lin"))),
        Row("Wang of all pairs, CL", median(lambda: Wang.of(graph).block())),
    ]


def names(graph: EmbeddedGraph) -> list[Row]:
    every = [
        (text.lower(), term.id)
        for category in Category
        for term in graph.terms_of(category)
        for text in (term.label, *(synonym.text for synonym in term.synonyms))
    ]

    def scan(text: str) -> list[str]:
        return [one for name, one in every if text in name]

    for text in SEARCHES:  # the file's pages, as a running program has them
        graph.search(text)
    for text in QUESTIONS:
        ground(text, graph)
    slowest = max(median(partial(graph.search, text)) for text in SEARCHES)
    return [
        Row(
            "term search, 10 texts",
            median_over(graph.search, SEARCHES),
            5e-3,
            f"scan of {len(every):,} names",
            median_over(scan, SEARCHES[:5]),
        ),
        Row("term search, the slowest of them", slowest, 5e-3),
        Row(
            "grounding a question, 5 questions",
            median_over(lambda text: ground(text, graph), QUESTIONS * 5),
            5e-3,
        ),
    ]


def walks(graph: EmbeddedGraph) -> list[Row]:
    plain = networkx.Graph(graph.to_networkx([Category.CELL_TYPE], [IS_A]))
    starts = list(plain)[:: len(plain) // 10]

    def one(start: str) -> None:
        networkx.pagerank(plain, alpha=0.9, personalization={start: 1}, tol=1e-10, max_iter=1000)

    loop = median_over(one, starts)
    n = len(plain)
    steps = np.zeros((n, n))
    for i, neighbours in enumerate(networkx.to_dict_of_lists(plain).values()):
        steps[i, i] = 0.0 if neighbours else 1.0
    index = {node: i for i, node in enumerate(plain)}
    for a, b in plain.edges:
        steps[index[a], index[b]] = 1 / plain.degree[a]
        steps[index[b], index[a]] = 1 / plain.degree[b]
    dense = median(lambda: 0.1 * np.linalg.inv(np.eye(n) - 0.9 * steps), repeats=3)
    ours = median(lambda: PageRank.of(graph).matrix)
    return [
        Row("PageRank of all CL pairs, read and solved", ours, 3.4, "dense numpy inverse", dense),
        Row("the same", ours, None, f"networkx, {n:,} x the median", Taken(loop * n, loop.cpu * n)),
        Row(
            "PageRank from one term, read and solved",
            median_over(lambda start: PageRank.of(graph).row(start), starts),
            None,
            "networkx, without reading",
            loop,
        ),
    ]


def genes(graph: EmbeddedGraph) -> list[Row]:
    sets = annotated(graph, "NCBITaxon:9606")
    found: list[int] = []

    def ours() -> None:
        found.append(jaccard_graph(sets)[1].nnz)

    def plain() -> None:
        found.append(sparse_product(sets))

    read = median(lambda: annotated(graph, "NCBITaxon:9606"), repeats=1)
    row = Row(
        f"GO gene graph, Jaccard > .1, {len(sets):,} genes",
        median(ours, repeats=3),
        20.0,
        "one sparse product a block",
        median(plain, repeats=1),
    )
    assert len(set(found)) == 1, f"the two graphs differ: {found}"
    return [row, Row("  and reading its annotations", read)]


def sparse_product(sets: dict[str, frozenset[str]]) -> int:
    from scipy.sparse import csr_array

    terms = {term: n for n, term in enumerate(sorted(set().union(*sets.values())))}
    columns = [terms[t] for some in sets.values() for t in some]
    offsets = np.cumsum([0, *map(len, sets.values())])
    incidence = csr_array((np.ones(len(columns)), columns, offsets), (len(sets), len(terms)))
    sizes = incidence.sum(axis=1)
    above = 0
    for start in range(0, len(sets), 500):
        shared = (incidence[start : start + 500] @ incidence.T).tocoo()
        union = sizes[start + shared.row] + sizes[shared.col] - shared.data
        above += int(((shared.data / union > 0.1) & (start + shared.row != shared.col)).sum())
    return above


def commands() -> list[Row]:
    celloquy = str(Path(sys.executable).with_name("celloquy"))
    return [
        Row("celloquy --help, whole process", process([celloquy, "--help"]), 0.5),
        Row(
            "celloquy neighbours CD8A, whole process",
            process([celloquy, "neighbours", "CD8A", "--json"]),
            1.0,
            "import networkx, obonet alone",
            process([sys.executable, "-c", "import networkx, obonet"]),
        ),
        Row(
            "celloquy path of two processes, whole process",
            process([celloquy, "path", "GO:0042110", "GO:0006955", "--json"]),
        ),
    ]


def access_kit(graph: EmbeddedGraph) -> list[Row]:
    """The Ontology Access Kit on GO, which both read; only where it is installed."""
    if importlib.util.find_spec("oaklib") is None:
        return []
    from oaklib import get_adapter

    with tempfile.TemporaryDirectory() as folder, sources.path("go").open() as obo:
        # Its parser stops at "xref: EC 2.7.1.190", with a blank; nothing here needs references.
        plain = Path(folder) / "go.obo"
        plain.write_text("".join(line for line in obo if not line.startswith("xref:")))
        adapter = get_adapter(f"pronto:{plain}")
    some = [term.id for term in graph.terms_of(Category.PROCESS)][::1500]
    list(adapter.ancestors(some[0], predicates=[IS_A]))
    return [
        Row(
            "ancestors in GO",
            median_over(graph.ancestors, some),
            1e-4,
            "oaklib",
            median_over(lambda one: list(adapter.ancestors(one, predicates=[IS_A])), some),
        ),
        Row(
            "term search",
            median_over(graph.search, SEARCHES[:3]),
            5e-3,
            "oaklib basic_search",
            median_over(lambda text: list(adapter.basic_search(text)), SEARCHES[:3]),
        ),
    ]


def main() -> int:
    chance = random.Random(5)
    rows = loading() + commands()
    with EmbeddedGraph.open() as graph:
        rows += hierarchies(graph, chance)
        rows += similarities(graph, chance)
        rows += names(graph)
        rows += walks(graph)
        rows += genes(graph)
        rows += access_kit(graph)
    return 1 if report(rows) else 0


if __name__ == "__main__":
    raise SystemExit(main())
