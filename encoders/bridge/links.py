"""What a gene may be linked to: predicted processes, functions, diseases, cell types and others.

:func:`bridge` gives a :class:`encoders.prediction.Prediction`, and with it what is known already,
statement by statement, and which genes each prediction rests on. What is known, what is said *not*
to hold and what follows from what is known (ancestors) is never predicted.

By default the genes most like the one asked about vote for their own links
(:mod:`encoders.bridge.neighbours`): alike in name, in annotations of other kinds and in the
proteins that theirs binds. It is the default because a trained bridge
(:mod:`encoders.bridge.network`) finds fewer links of unseen genes alone and hardly more with it
(docs/experiments/bridge.md); one may vote too. A mouse gene is described by its human orthologue.
Answers follow from the graph and the shipped vectors alone: the same everywhere, without torch.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from data.errors import BadFile, BadInput, UnknownTerm
from data.genes import Gene, Species, find_gene, resolve_gene
from encoders.bridge import features as nodefeatures
from encoders.bridge import tables as linktables
from encoders.bridge.features import FeatureTable
from encoders.bridge.neighbours import Votes, VotesConfig, similarity, supporters, votes
from encoders.bridge.tables import Links, Target
from encoders.prediction import Measured, Predicted, Prediction
from kg.graph import KnowledgeGraph
from kg.neighbours import Neighbour, neighbourhood
from kg.terms import IS_A, ORTHOLOGOUS_TO, PART_OF, Category, Curie, Term

if TYPE_CHECKING:
    from encoders.bridge.network import BridgeNet

__all__ = ["BRIDGE_ALONE", "FIGURES", "SETTINGS", "Bridged", "bridge", "kinds_of"]

FIGURES = "figures.json"
"""Beside the shipped vectors: how good each target was measured to be."""

_DECIMALS = 6  # of a score: what the last bits of a sum are is the library's choice
_RESTS_ON = 3  # genes that are named for a prediction
BRIDGE_ALONE = "the trained bridge alone"
"""What a prediction rests on that no neighbour votes for."""
_GO = VotesConfig(sharpness=16.0, prior=1e-6, weights={"name": 0.3, "graph": 0.5, "partners": 0.2})
# Diseases have few genes each: flatter votes of the same fifty, and partners count for more.
_DISEASE = VotesConfig(
    sharpness=8.0, prior=1e-6, weights={"name": 0.2, "graph": 0.5, "partners": 0.3}
)

SETTINGS: Mapping[str, VotesConfig] = MappingProxyType(
    {
        "process": _GO,
        "function": _GO,
        "component": _GO,
        "celltype": _GO,
        "disease": _DISEASE,
        "phenotype": _DISEASE,
    }
)
"""How neighbours vote, by target; chosen on genes that no figure is measured on."""


@dataclass(frozen=True, slots=True)
class Bridged:
    """What is known of a gene, and what is predicted, apart.

    ``known`` are statements with their evidence, best supported first (of a mouse gene: its own and
    its orthologue's); ``rests_on`` are for each predicted id the symbols of the genes with the
    heaviest votes, or :data:`BRIDGE_ALONE`; ``described_by`` is the orthologue that stands for the
    gene, if any.
    """

    gene: Curie
    symbol: str
    target: str
    known: tuple[Neighbour, ...]
    prediction: Prediction
    rests_on: Mapping[Curie, tuple[str, ...]]
    described_by: str = ""


def bridge(
    gene: str,
    to: str,
    *,
    limit: int = 10,
    species: Species = "human",
    graph: KnowledgeGraph | None = None,
    features: FeatureTable | None = None,
    model: Path | None = None,
) -> Bridged:
    """What a gene is known to be linked to, and what it may be linked to beyond that.

    Parameters
    ----------
    gene
        A symbol, an alias or an id.
    to
        ``process``, ``function``, ``component``, ``disease``, ``phenotype`` or ``celltype``.
    limit
        At most so many predictions.
    species
        Whose symbols are meant.
    graph
        Where facts are read; the graph of the fetched assets by default.
    features
        Vectors of genes in the place of the shipped ones of their names.
    model
        Folder of a trained bridge, which votes with the neighbours.

    Raises
    ------
    UnknownTerm
        When no gene is called so.
    BadInput
        When the target is unknown, the name is of several genes, or nothing describes the gene.
    """
    from kg.embedded import EmbeddedGraph

    if limit < 1:
        raise BadInput(f"limit is {limit}; expected at least 1")
    of = linktables.target(to)
    opened = EmbeddedGraph.open() if graph is None else nullcontext(graph)
    with opened as source:
        found = _gene(gene, species, source)
        head, said = _head(found.id, found.symbol, source)
        orthologue = "" if head == found.id else _label(source, head)
        known = _known(of, source, dict.fromkeys((found.id, head)))
        table = features or nodefeatures.shipped()
        links = linktables.read_links(of.name, source)
        net = _net(model, of, table) if model else None
        chosen, result, others, described = _vote(of, source, head, found.symbol, links, table, net)
        ranked, rests = _ranked(of, source, result, others, known, limit, trained=net is not None)
    notes = [*said, _NOTE, *([_CAUSES] if of.name == "disease" else [])]
    if features is not None:
        notes.append(f"the figure is that of gene names, not of {features.name}")
    prediction = Prediction(
        about=f"{_WORDS[of.name]} of {found.symbol}",
        model="bridge and neighbours" if net else "neighbours",
        release=(net.release if net else _release())[:12],
        unit=f"share of the votes of the {chosen.k} most similar genes",
        measured=_measured(of.name, described, net),
        ranked=ranked,
        notes=tuple(notes),
    )
    return Bridged(found.id, found.symbol, of.name, known, prediction, rests, orthologue)


_NOTE = (
    "a prediction, not a fact: the figure is for links, known today, of genes left out; links that "
    "nobody has stated yet cannot be scored"
)
_CAUSES = "the sources of genes and diseases do not tell causes from modifiers and risk factors"
_WORDS = MappingProxyType(
    {
        "process": "biological processes",
        "function": "molecular functions",
        "component": "cellular components",
        "disease": "diseases",
        "phenotype": "phenotypes",
        "celltype": "cell types",
    }
)


# --- what is asked about -------------------------------------------------------------------------


def _gene(text: str, species: Species, graph: KnowledgeGraph) -> Gene:
    """The gene that a text names; where it names something else, that is said."""
    from kg.grounding import candidates

    try:
        return find_gene(text, species)
    except UnknownTerm:
        if species == "mouse" and (human := resolve_gene(text, "human")):
            raise UnknownTerm(_of_human(human[0].gene, graph)) from None
        other = next(iter(candidates(text, graph, limit=1)), None)
        if other is None or other.category is Category.GENE:
            raise
        kind = _KINDS.get(other.category, "term")
        raise UnknownTerm(
            f"{text!r} is the {kind} {other.label} ({other.id}), no gene; expected a gene, such as "
            f"TREM2; for what is known of a {kind}: celloquy neighbours {other.id}"
        ) from None


_KINDS = MappingProxyType(
    {
        Category.CELL_TYPE: "cell type",
        Category.PROCESS: "process",
        Category.FUNCTION: "function",
        Category.COMPONENT: "component",
        Category.ANATOMY: "tissue",
        Category.DISEASE: "disease",
    }
)


def _of_human(gene: Gene, graph: KnowledgeGraph) -> str:
    """Why a human gene is none of the mouse's, and which mouse genes are its orthologues."""
    ends = {
        edge.subject if edge.object == gene.id else edge.object
        for edge in graph.edges(gene.id, predicates=(ORTHOLOGOUS_TO,))
    }
    mice = sorted(_label(graph, one) for one in ends if one.startswith("MGI:"))
    if len(mice) == 1:
        which = f"its mouse orthologue is {mice[0]}: give that name"
    elif mice:
        which = f"the mouse has no one gene for it but {len(mice)} orthologues, name one of them: "
        which += ", ".join(mice[:_NAMED]) + (" and others" if len(mice) > _NAMED else "")
    else:
        which = "no mouse orthologue of it is known"
    return f"{gene.symbol} ({gene.id}) is a human gene, and {which}; or ask for it as a human one"


_NAMED = 8  # orthologues in a message


def _head(id: Curie, symbol: str, graph: KnowledgeGraph) -> tuple[Curie, tuple[str, ...]]:
    """The human gene that describes a gene, and what to tell about it."""
    if not id.startswith("MGI:"):
        return id, ()
    support: dict[Curie, float] = {}
    for edge in graph.edges(id, predicates=(ORTHOLOGOUS_TO,)):
        other = edge.subject if edge.object == id else edge.object
        # HGNC's own pairs have no weight; HCOP's is the number of predictors, at most twelve.
        support[other] = support.get(other, 0.0) + (12.0 if edge.weight is None else edge.weight)
    human = sorted((one for one in support if one.startswith("HGNC:")),
                   key=lambda one: (-support[one], one))  # fmt: skip
    if not human:
        raise BadInput(
            f"no human orthologue of {symbol} ({id}) is known; the bridge describes a mouse gene "
            "by its human orthologue"
        )
    name = _label(graph, human[0])
    more = f", the best supported of {len(human)}" if len(human) > 1 else ""
    said = (
        f"{symbol} is described by its human orthologue {name}{more}; the figure is of human genes"
    )
    return human[0], (said,)


def _label(graph: KnowledgeGraph, id: Curie) -> str:
    term = graph.term(id)
    return term.label if term is not None else id


def _known(
    of: Target, graph: KnowledgeGraph, genes: Sequence[Curie] | Any
) -> tuple[Neighbour, ...]:
    """The statements on each of the genes, those said not to hold and of absence included."""
    found: list[Neighbour] = []
    for gene in genes:
        if of.name == "phenotype":
            found += _phenotypes(gene)
        elif graph.term(gene) is not None:
            around = neighbourhood(
                graph, gene, relations=of.predicates, direction="out", limit=None
            )
            found += [*around.neighbours, *around.negated]
    return tuple(found)


def _phenotypes(gene: Curie) -> list[Neighbour]:
    names = linktables.phenotype_names()
    found = []
    for edge in linktables.phenotype_edges(gene):
        term = Term(edge.object, names[edge.object], Category.PHENOTYPE, edge.source, edge.release)
        found.append(Neighbour(term, edge.predicate, "out", (edge,), 1.0))
    return sorted(found, key=lambda one: (-len(one.edge.qualifiers), one.term.id))


# --- the vote ------------------------------------------------------------------------------------


def kinds_of(
    name: str, graph: KnowledgeGraph, genes: Sequence[Curie], vectors: NDArray[np.float32]
) -> dict[str, Any]:
    """What genes are compared by for a target: rows in their order, by kind.

    ``name`` are the vectors given, ``graph`` the links of other kinds (:class:`linktables.Target`),
    ``partners`` the proteins that theirs bind.
    """
    beside = [linktables.read_links(one, graph) for one in linktables.target(name).beside]
    return {
        "name": vectors,
        "graph": nodefeatures.profiles(beside, genes),
        "partners": nodefeatures.partners(graph, genes),
    }


def _vote(
    of: Target,
    graph: KnowledgeGraph,
    head: Curie,
    symbol: str,
    links: Links,
    table: FeatureTable,
    net: BridgeNet | None,
) -> tuple[VotesConfig, Votes, Links, str]:
    """Ask the genes with a link, the head aside."""
    genes = tuple(sorted({*table.ids, *links.genes, head}))
    row = genes.index(head)
    vectors = table.of(genes)
    kinds = {"name": vectors} if net else kinds_of(of.name, graph, genes, vectors)
    if not any(_filled(rows, row) for rows in kinds.values()):
        more = "" if net else ", no annotation of another kind and no partner"
        raise BadInput(
            f"nothing describes {symbol} ({head}): it has no vector{more}; expected a gene that "
            "codes for a protein or is annotated, such as TREM2"
        )
    every = links.over(genes)
    others = np.flatnonzero((every.sizes > 0) & (np.arange(len(genes)) != row))
    config, prior = SETTINGS[of.name], None
    if net is not None:
        config = VotesConfig(prior=float(net.document["votes"]))
        prior = _aligned(net, vectors[[row]], of.name, links.tails)
    asked = {kind: rows[[row]] for kind, rows in kinds.items()}
    known = {kind: rows[others] for kind, rows in kinds.items()}
    kept = every.table[others]
    heard = replace(links, genes=tuple(genes[i] for i in others), table=kept)
    described = "graph" if "graph" in kinds and _filled(kinds["graph"], row) else "name"
    similar = similarity(asked, known, config.weights)
    return config, votes(similar, kept, config, prior), heard, described


def _filled(rows: Any, row: int) -> bool:
    """Whether a row, dense or sparse, has anything."""
    if isinstance(rows, np.ndarray):
        return bool(rows[row].any())
    return bool(rows.indptr[row + 1] > rows.indptr[row])


def _aligned(
    net: BridgeNet, features: NDArray[np.float32], relation: str, tails: Sequence[Curie]
) -> NDArray[np.float64]:
    """The bridge's probabilities [1, tails] in the order of the graph's tails."""
    place = {tail: i for i, tail in enumerate(net.tails[relation])}
    at = np.array([place.get(tail, -1) for tail in tails], dtype=np.int64)
    made = net.probabilities(features, relation)[:, at]
    made[:, at < 0] = 0
    return made


def _net(folder: Path, of: Target, table: FeatureTable) -> BridgeNet:
    from encoders.bridge.network import BridgeNet

    net = BridgeNet.load(folder)
    made_from = (net.document["features"], int(net.document["width"]))
    given = (table.name, table.values.shape[1])
    if of.name not in net.relations or made_from != given:
        raise BadFile(
            f"{folder} is a bridge to {', '.join(net.relations)} from {made_from[0]} of width "
            f"{made_from[1]}; expected one to {of.name} from {given[0]} of width {given[1]}"
        )
    return net


def _ranked(
    of: Target,
    graph: KnowledgeGraph,
    result: Votes,
    heard: Links,
    known: Sequence[Neighbour],
    limit: int,
    *,
    trained: bool = False,
) -> tuple[tuple[Predicted, ...], Mapping[Curie, tuple[str, ...]]]:
    """The best of what is neither known nor follows from it, and whose votes each has.

    What none of the neighbours votes for is common, and no more: only a trained bridge may say it.
    """
    stated = {one.term.id for one in known}
    barred = set(stated)
    for one in known:
        if not one.negated:
            barred |= set(graph.ancestors(one.term.id, (IS_A, PART_OF)))
    scores = np.round(result.scores[0], _DECIMALS)
    order = np.lexsort((np.arange(len(scores)), -scores))
    held = np.bincount(heard.table[result.voters[0]].indices, minlength=len(scores)) > 0
    voted = [
        i for i in order if scores[i] > 0 and (held[i] or trained) and heard.tails[i] not in barred
    ]
    ranked: list[Predicted] = []
    rests: dict[Curie, tuple[str, ...]] = {}
    for start in range(0, len(voted), 4 * limit):
        some = voted[start : start + 4 * limit]
        labels = linktables.current(graph, [heard.tails[i] for i in some])
        for i in some:
            tail = heard.tails[i]
            if tail in labels and len(ranked) < limit:
                ranked.append(Predicted(tail, labels[tail], float(scores[i])))
                rows = supporters(result, heard.table, 0, int(i))[:_RESTS_ON]
                names = tuple(_label(graph, heard.genes[row]) for row in rows)
                rests[tail] = names or (BRIDGE_ALONE,)
        if len(ranked) == limit:
            break
    return tuple(ranked), rests


# --- what it was measured to be ------------------------------------------------------------------


def _measured(name: str, described: str, net: BridgeNet | None) -> Measured:
    """The figure of a target: of genes with annotations of other kinds, or by their name alone."""
    if net is not None:
        figures = net.document["figures"].get(name)
        if figures is not None:
            return Measured(**figures)
    held = _figures()[name][described]
    return Measured(**held)


@lru_cache(maxsize=1)
def _figures() -> Mapping[str, Mapping[str, Mapping[str, Any]]]:
    path = nodefeatures.SHIPPED / FIGURES
    try:
        document: Mapping[str, Any] = json.loads(path.read_text("utf-8"))
        found: Mapping[str, Mapping[str, Mapping[str, Any]]] = document["figures"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise BadFile(f"{path} holds no figures of the bridge ({error})") from error
    return found


def _release() -> str:
    """The hash of the shipped vectors."""
    document = json.loads((nodefeatures.SHIPPED / "genes.json").read_text("utf-8"))
    return str(document["sha256"])
