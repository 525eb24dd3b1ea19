"""How far the bridge reaches beyond what it was trained on: a new relation, a new species.

* **A relation.** No link of a gene to a phenotype is used: what is predicted of a left-out gene's
  diseases is carried on to their phenotypes (``phenotype.hpoa``), or a bridge trained on diseases
  is asked for phenotypes by their labels alone, as BioBridge (arXiv:2310.03320) does.
* **A species.** Mouse genes are known by their own names (MGI has no full names); their human
  orthologues are left out, and what these are linked to is the truth.

Beside both stand how common a phenotype is, and what the same method finds with the links or the
species that it was denied. Run: ``python -m training.bridge.transfer``.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data import sources
from encoders.bridge import features as nodefeatures
from encoders.bridge.features import FeatureTable
from encoders.bridge.neighbours import VotesConfig, plain, popularity, similarity, votes
from kg.graph import KnowledgeGraph
from kg.terms import ORTHOLOGOUS_TO, Category, Curie
from training.bridge.data import SPLITS, Material, gather
from training.evaluate.bridge import Figures, features_of, lines
from training.evaluate.link_ranking import LinkRanking, filtered_ranks

if TYPE_CHECKING:
    from scipy.sparse import csr_array

__all__ = ["carried", "mouse_texts", "new_relation", "new_species"]

_NAME = VotesConfig()


def carried(graph: KnowledgeGraph, diseases: Sequence[Curie], wanted: Sequence[Curie]) -> csr_array:
    """Which disease has which phenotype, [diseases, phenotypes], as stated and not denied."""
    from scipy.sparse import csr_array

    from kg.readers.associations import MondoIndex, read_phenotypes
    from kg.terms import Release

    terms = {t.id: t for t in graph.terms_of(Category.DISEASE, obsolete=True)}
    index = MondoIndex(sources.path("mondo-xrefs"), terms)
    release = Release("HPO-phenotypes", sources.asset("hpo-diseases").release)
    row = {one: i for i, one in enumerate(diseases)}
    column = {one: i for i, one in enumerate(wanted)}
    cells = {
        (row[e.subject], column[e.object])
        for e in read_phenotypes(sources.path("hpo-diseases"), release, index).edges
        if not e.negated and e.subject in row and e.object in column
    }
    ends = np.array(sorted(cells), dtype=np.int64).reshape(len(cells), 2)
    ones = np.ones(len(cells), dtype=np.float32)
    return csr_array((ones, (ends[:, 0], ends[:, 1])), shape=(len(diseases), len(wanted)))


def new_relation(
    graph: KnowledgeGraph, material: Material, part: int, *, trained: bool = False
) -> Figures:
    """Phenotypes of left-out genes without any link of a gene to a phenotype."""
    diseases, wanted = material.links["disease"], material.links["phenotype"]
    known, asked = material.known("disease", (part,)), material.asked("phenotype", part)
    seen = material.known("phenotype", (part,))
    x, y = material.features[known], material.features[asked]
    onward = carried(graph, diseases.tails, wanted.tails)
    similar = similarity({"name": y}, {"name": x}, {"name": 1.0})
    by_disease = votes(similar, diseases.table[known], _NAME).scores
    direct = similarity({"name": y}, {"name": material.features[seen]}, {"name": 1.0})
    table = wanted.table[seen]
    scores: dict[str, Any] = {
        "common in diseases": _same(np.asarray(onward.sum(axis=0)), len(asked)),
        "carried on": np.asarray(by_disease @ onward),
        "popularity (links)": _same(popularity(table), len(asked)),
        "neighbours (links)": votes(direct, table, _NAME).scores,
    }
    if trained:
        scores["bridge by labels"] = _by_labels(material, part, y)
    truth = wanted.table[asked]
    return {name: LinkRanking.of(filtered_ranks(s, truth)) for name, s in scores.items()}


def _by_labels(material: Material, part: int, y: NDArray[np.float32]) -> NDArray[np.float64]:
    """A bridge trained on diseases alone, asked for phenotypes as if they were diseases."""
    from dataclasses import replace

    from training.bridge.train import BridgeConfig, train

    only = replace(
        material,
        links={"disease": material.links["disease"]},
        tails={"disease": material.tails["disease"]},
    )
    net, _ = train(only, BridgeConfig(epochs=12), (part,))
    return net.unseen(y, "disease", material.tails["phenotype"])


def mouse_texts(graph: KnowledgeGraph, human: Sequence[Curie]) -> dict[Curie, tuple[Curie, str]]:
    """For human genes with one mouse orthologue by HGNC: its id and what it is called."""
    pairs: dict[Curie, set[Curie]] = {}
    wanted = set(human)
    for a, _, b in graph.triples((ORTHOLOGOUS_TO,)):
        if a in wanted and b.startswith("MGI:"):
            pairs.setdefault(a, set()).add(b)
    single = {gene: next(iter(of)) for gene, of in pairs.items() if len(of) == 1}
    terms = graph.terms(single.values())
    found = {}
    for gene, mouse in sorted(single.items()):
        if (term := terms.get(mouse)) is not None:
            others = [s.text for s in term.synonyms if s.text != term.label][:3]
            said = f" Also called {', '.join(others)}." if others else ""
            found[gene] = (mouse, f"{term.label}: {term.label}.{said}")
    return found


def new_species(
    graph: KnowledgeGraph, material: Material, names: FeatureTable, target: str, part: int
) -> Figures:
    """Links of the orthologues of mouse genes that are known by their own names alone."""
    links, known = material.links[target], material.known(target, (part,))
    rows = material.asked(target, part)
    mouse = mouse_texts(graph, [material.genes[i] for i in rows])
    rows = np.array([i for i in rows if material.genes[i] in mouse], dtype=np.int64)
    texts = {material.genes[i]: mouse[material.genes[i]][1] for i in rows}
    own = nodefeatures.text_features(texts, "mouse names")
    # Both species by one centre: what human names share is what mouse names are moved by.
    centre = names.values.mean(axis=0)
    y = nodefeatures.units(own.values - centre)
    x = nodefeatures.units(names.values[names.places([material.genes[i] for i in known])] - centre)
    similar = similarity({"name": y}, {"name": x}, {"name": 1.0})
    human = similarity({"name": material.features[rows]}, {"name": material.features[known]},
                       {"name": 1.0})  # fmt: skip
    table, truth = links.table[known], links.table[rows]
    scores = {
        "popularity": _same(popularity(table), len(rows)),
        "kNN-20, mouse": plain(similar, table),
        "neighbours, mouse": votes(similar, table, _NAME).scores,
        "neighbours, human": votes(human, table, _NAME).scores,
    }
    return {name: LinkRanking.of(filtered_ranks(s, truth)) for name, s in scores.items()}


def _same(row: NDArray[Any], n: int) -> NDArray[np.float64]:
    """The same scores for each of n genes."""
    return np.broadcast_to(np.asarray(row, dtype=np.float64).ravel(), (n, row.size))


def main(arguments: Sequence[str] | None = None) -> None:
    """Both, on as many splits as are asked for."""
    from kg.embedded import EmbeddedGraph

    parser = argparse.ArgumentParser(description="A relation and a species not trained on.")
    parser.add_argument("--parts", nargs="+", type=int, default=list(SPLITS))
    parser.add_argument("--trained", action="store_true", help="also train a bridge on diseases")
    said = parser.parse_args(arguments)
    with EmbeddedGraph.open() as graph:
        names = features_of("name", graph)
        material = gather(graph, ("disease", "phenotype"), features=names, with_tails=said.trained)
        found: dict[str, list[Figures]] = {"relation": [], "species": []}
        for part in said.parts:
            found["relation"].append(new_relation(graph, material, part, trained=said.trained))
            found["species"].append(new_species(graph, material, names, "phenotype", part))
    sys.stdout.write("\n".join(lines(found)) + "\n")


if __name__ == "__main__":
    main()
