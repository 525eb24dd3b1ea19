"""How well links of unseen genes are found: the bridge beside its baselines, split by split.

Five splits leave a tenth of the genes out each (:mod:`training.bridge.data`), with all their links;
the filtered ranking of :mod:`training.evaluate.link_ranking` scores what a method gives the
left-out genes. On the same features: how common a tail is, kNN-20 (cosine of the nearest genes),
ridge regression, the sharpened vote that Celloquy gives by default
(:mod:`encoders.bridge.neighbours`), the bridge as it is published, the bridge over all tails, and
the vote with the bridge as its prior. With features ``graph`` genes are known also by their
annotations of other kinds and their protein's partners.

Settings were chosen on the genes of part 0, which no split scores. :func:`bridge` is the suite of
``celloquy evaluate bridge``; ``python -m training.evaluate.bridge`` runs any part of it, keeps each
split's figures in a file and skips what is there. Training is the only slow part.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from encoders.bridge import features as nodefeatures
from encoders.bridge.features import FeatureTable
from encoders.bridge.neighbours import VotesConfig, plain, popularity, similarity, votes
from encoders.bridge.tables import TARGETS
from kg.graph import KnowledgeGraph
from training.bridge.data import (
    GO,
    SPLITS,
    SUMMARIES,
    Material,
    gather,
    summaries_of,
)
from training.evaluate.figures import Report, versions
from training.evaluate.link_ranking import LinkRanking, filtered_ranks, spread

if TYPE_CHECKING:
    from encoders.bridge.network import BridgeNet

__all__ = ["METHODS", "bridge", "features_of", "measure"]

METHODS = (
    "popularity",
    "kNN-20",
    "ridge",
    "neighbours",
    "bridge, published",
    "bridge",
    "bridge + neighbours",
)
"""In the order of the tables; those that are trained need torch and minutes."""

TRAINED = tuple(name for name in METHODS if name.startswith("bridge"))
RIDGE = 10.0
"""Penalty of the ridge regression, on unit vectors; chosen on part 0 of 1, 10, 100."""
MIXED = 0.01
"""Votes of the bridge beside the neighbours'; chosen on part 0 of .001, .003, .01, .03, .1, .3."""

Figures = dict[str, LinkRanking]


def features_of(kind: str, graph: KnowledgeGraph, data: Path | None = None) -> FeatureTable:
    """The features of genes by name.

    ``name``: what genes are called, in the full width of the sentence encoder. ``summary``: with
    NCBI's summaries from the folder of evaluation data, which tell what genes do. Anything else is
    a file of the user's own (:func:`encoders.bridge.features.read_table`).
    """
    if kind not in ("name", "summary"):
        return nodefeatures.read_table(Path(kind))
    genes = nodefeatures.shipped().ids
    summaries = summaries_of(data / SUMMARIES) if kind == "summary" and data else None
    texts = nodefeatures.name_texts(genes, summaries=summaries)
    return nodefeatures.text_features(texts, f"gene {kind}", progress=True)


def measure(
    material: Material,
    target: str,
    part: int,
    methods: Sequence[str],
    nets: Mapping[str, BridgeNet] | None = None,
) -> Figures:
    """Rank the links of one part's genes by each method; ``nets`` are bridges by method."""
    links = material.links[target]
    known, asked = material.known(target, (part,)), material.asked(target, part)
    table, truth = links.table[known], links.table[asked]
    x, y = material.features[known], material.features[asked]
    similar = similarity({"name": y}, {"name": x}, {"name": 1.0})
    config = VotesConfig()
    found: Figures = {}
    for method in methods:
        if method == "popularity":
            scores = np.broadcast_to(popularity(table), (len(asked), table.shape[1]))
        elif method == "kNN-20":
            scores = plain(similar, table)
        elif method == "ridge":
            scores = _ridge(x, y, table)
        elif method == "neighbours":
            scores = votes(similar, table, config).scores
        else:
            net = (nets or {})["bridge, published" if "published" in method else "bridge"]
            made = net.probabilities(y, target)
            if method == "bridge + neighbours":
                mixed = VotesConfig(config.k, config.sharpness, MIXED)
                made = votes(similar, table, mixed, made).scores
            scores = made
        found[method] = LinkRanking.of(filtered_ranks(scores, truth))
    return found


def with_graph(graph: KnowledgeGraph, material: Material, target: str, part: int) -> Figures:
    """The default of `celloquy bridge`, and kNN-20 on the same: names, annotations, partners."""
    from encoders.bridge.links import SETTINGS, kinds_of

    kinds = kinds_of(target, graph, material.genes, material.features)
    known, asked = material.known(target, (part,)), material.asked(target, part)
    config = SETTINGS[target]
    similar = similarity({k: v[asked] for k, v in kinds.items()},
                         {k: v[known] for k, v in kinds.items()}, config.weights)  # fmt: skip
    table, truth = material.links[target].table[known], material.links[target].table[asked]
    scores = {"neighbours": votes(similar, table, config).scores, "kNN-20": plain(similar, table)}
    return {name: LinkRanking.of(filtered_ranks(some, truth)) for name, some in scores.items()}


def _ridge(x: NDArray[np.float32], y: NDArray[np.float32], table: Any) -> NDArray[np.float64]:
    """Every tail by linear regression from the features; the mean is not penalised."""
    mean = popularity(table)
    gram = x.T.astype(np.float64) @ x + RIDGE * np.eye(x.shape[1])
    towards = np.asarray((table.T @ x).T, dtype=np.float64) - np.outer(x.sum(axis=0), mean)
    return np.asarray(y @ np.linalg.solve(gram, towards) + mean)


def trained(
    material: Material,
    part: int,
    methods: Sequence[str],
    seed: int,
    kept: Path | None = None,
    progress: bool = False,
) -> dict[str, BridgeNet]:
    """The bridges that the methods need, trained without the genes of the part.

    A training that was stopped goes on where its last checkpoint below ``kept`` was taken.
    """
    from training.bridge.train import BridgeConfig, train

    wanted = {}
    if {"bridge", "bridge + neighbours"} & set(methods):
        wanted["bridge"] = BridgeConfig(seed=seed)
    if "bridge, published" in methods:
        wanted["bridge, published"] = BridgeConfig(negatives="paired", seed=seed)
    nets = {}
    for name, config in wanted.items():
        told = "-".join([material.name, *material.links, str(part), config.negatives])
        folder = kept / "training" / told.replace(" ", "-") if kept else None
        nets[name] = train(material, config, (part,), folder, show=progress)[0]
    return nets


def splits(
    material: Material,
    methods: Sequence[str],
    parts: Sequence[int],
    kept: Path | None = None,
    seed: int = 0,
    progress: bool = False,
) -> dict[str, list[Figures]]:
    """Figures by target, one a split; those that a file below ``kept`` holds are not made again."""
    found: dict[str, list[Figures]] = {target: [] for target in material.links}
    for part in parts:
        file = kept / f"{material.name}-{part}.json".replace(" ", "-") if kept else None
        held = _read(file)
        lacking = {t: [m for m in methods if m not in held.get(t, {})] for t in found}
        needed = sorted({m for some in lacking.values() for m in some}, key=METHODS.index)
        nets = trained(material, part, needed, seed, kept, progress)
        for target, some in lacking.items():
            made = measure(material, target, part, some, nets)
            held.setdefault(target, {}).update(made)
            found[target].append({m: held[target][m] for m in methods})
        if file is not None:
            file.parent.mkdir(parents=True, exist_ok=True)
            plainly = {t: {m: asdict(r) for m, r in some.items()} for t, some in held.items()}
            file.write_text(json.dumps(plainly, indent=1), encoding="utf-8")
    return found


def _read(file: Path | None) -> dict[str, Figures]:
    if file is None or not file.exists():
        return {}
    held = json.loads(file.read_text("utf-8"))
    return {t: {m: LinkRanking(**r) for m, r in some.items()} for t, some in held.items()}


def lines(found: Mapping[str, Sequence[Figures]]) -> list[str]:
    """A table: one line a target and method, means over splits."""
    rows = [f"{'target':<10} {'method':<20} {'MRR':<14} Hit@1  Hit@3  Hit@10  links"]
    for target, some in found.items():
        for method in some[0] if some else ():
            each = [one[method] for one in some]
            mrr, h1, h3, h10 = (
                float(np.mean([getattr(r, f) for r in each]))
                for f in ("mrr", "hit1", "hit3", "hit10")
            )
            about = spread([r.mrr for r in each])
            said = f"{mrr:.3f}" + ("" if about is None else f" +- {about:.3f}")
            n = sum(r.n for r in each)
            rows.append(f"{target:<10} {method:<20} {said:<14} {h1:.3f}  {h3:.3f}  {h10:.3f}   {n}")
    return rows


def bridge(folder: Path, seed: int = 0, parts: Sequence[int] = SPLITS) -> Report:
    """The suite: every target by what needs no training, and the trained bridge on one split.

    Parameters
    ----------
    folder
        Of evaluation data.
    seed
        Of the training.
    parts
        The splits.
    """
    from kg.embedded import EmbeddedGraph

    report = Report("bridge", versions=versions("torch"), seed=seed)
    cheap = ("neighbours", "popularity", "kNN-20", "ridge")
    with EmbeddedGraph.open() as graph:
        report.assets = {one: graph.releases[one].version for one in ("GOA-human", "HPO", "HGNC")}
        material = gather(graph, tuple(TARGETS), with_tails=False)
        found = splits(material, cheap, parts)
        for target, some in found.items():
            n = sum(one["neighbours"].n for one in some)
            for method in cheap:
                values = [one[method].mrr for one in some]
                figure = (float(np.mean(values)), n, spread(values))
                if method == "neighbours":
                    report.add(f"{target} MRR, by name", *figure)
                else:
                    report.beside(method, f"{target} MRR, by name", *figure)
            values = [with_graph(graph, material, target, part)["neighbours"].mrr for part in parts]
            report.add(f"{target} MRR, by name and graph", float(np.mean(values)), n,
                       spread(values))  # fmt: skip
        own = gather(graph, ("function", "component"))
        one = splits(own, TRAINED, parts[:1], seed=seed)
    for target, some in one.items():
        for method in TRAINED:
            report.beside(method, f"{target} MRR, by name", some[0][method].mrr,
                          some[0][method].n)  # fmt: skip
    report.notes.append(
        f"{len(parts)} splits of a tenth of the genes; trained bridges on the first of them, to "
        "functions and components (all of it: python -m training.evaluate.bridge)"
    )
    return report


def figures(
    graph: KnowledgeGraph, targets: Sequence[str], parts: Sequence[int] = SPLITS
) -> dict[str, Any]:
    """What each answer of `celloquy bridge` is measured to be, beside the best trivial baseline."""
    trivial = ("popularity", "kNN-20", "ridge")
    material = gather(graph, targets, with_tails=False)
    found = splits(material, ("neighbours", *trivial), parts)
    document: dict[str, Any] = {}
    for target, by_name in found.items():
        wide = [with_graph(graph, material, target, part) for part in parts]
        both = [{**one, **{f"{k}, same features": v for k, v in more.items()}}
                for one, more in zip(by_name, wide, strict=True)]  # fmt: skip
        same = "kNN-20, same features"
        document[target] = {
            "name": _figure("neighbours", trivial, by_name, "their names alone"),
            "graph": _figure("neighbours, same features", (*trivial, same), both,
                             "names, other annotations and partners"),
        }  # fmt: skip
    return document


def _figure(
    method: str, trivial: Sequence[str], found: Sequence[Figures], said: str
) -> dict[str, Any]:
    """As :class:`encoders.prediction.Measured` takes it."""
    mean = {name: float(np.mean([one[name].mrr for one in found])) for name in found[0]}
    best = max(trivial, key=mean.__getitem__)
    about = spread([one[method].mrr for one in found])
    return {
        "figure": "mean reciprocal rank of the links of left-out genes",
        "value": round(mean[method], 4),
        "spread": None if about is None else round(about, 4),
        "baseline": best.replace(", same features", " on the same"),
        "baseline_value": round(mean[best], 4),
        "data": f"{len(found)} splits of a tenth of the human genes, known by {said}",
        "n": sum(one[method].n for one in found),
    }


def write_figures(
    graph: KnowledgeGraph, targets: Sequence[str], folder: Path = nodefeatures.SHIPPED
) -> None:
    """Write those of some targets beside the shipped vectors; the others stay as they are."""
    from encoders.bridge.links import FIGURES

    file, made = folder / FIGURES, figures(graph, targets)
    held = json.loads(file.read_text("utf-8"))["figures"] if file.exists() else {}
    held |= made
    releases = {one: graph.releases[one].version for one in ("GOA-human", "HPO", "HGNC")}
    document = {"figures": dict(sorted(held.items())), "releases": releases}
    file.write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def main(arguments: Sequence[str] | None = None) -> None:
    """Any part of the suite, from the command line."""
    from kg.embedded import EmbeddedGraph

    parser = argparse.ArgumentParser(description=bridge.__doc__)
    parser.add_argument("--features", default="name", help="name, summary, or a file")
    parser.add_argument("--data", type=Path, help="folder of evaluation data (for summary)")
    parser.add_argument("--targets", nargs="+", default=list(GO), choices=list(TARGETS))
    parser.add_argument("--methods", nargs="+", default=list(METHODS), choices=METHODS)
    parser.add_argument("--evidence", nargs="+", default=[], help="only these GO evidence codes")
    parser.add_argument("--parts", nargs="+", type=int, default=list(SPLITS))
    parser.add_argument("--kept", type=Path, help="folder of the figures made so far")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--write", action="store_true", help="the figures that predictions carry")
    said = parser.parse_args(arguments)
    with EmbeddedGraph.open() as graph:
        if said.write:
            write_figures(graph, said.targets)
            return
        material = gather(
            graph,
            said.targets,
            features=features_of(said.features, graph, said.data),
            evidence=said.evidence,
            with_tails=bool(set(said.methods) & set(TRAINED)),
        )
    found = splits(material, said.methods, said.parts, said.kept, said.seed, progress=True)
    sys.stdout.write("\n".join(lines(found)) + "\n")


if __name__ == "__main__":
    main()
