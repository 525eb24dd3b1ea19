"""Stage 2: the language model answers more than one question about what was knocked out.

Layers of low rank on the language model (:func:`training.instruct.add_lora`) and the resamplers
are trained together on synthetic question-answer pairs about pseudo-cells and images:

=============  ==================================  ================================================
kind           question                            answer
=============  ==================================  ================================================
gene           Which gene is knocked out?          the gene, or none
process        Which process is hit?               that of the gene, by the knowledge graph
compartment    Which compartment changes?          that of the gene's product, by the graph
sure           How sure is that?                   high, middle or low: where stage 1, which had not
                                                   seen the guide in its directions, ranks the gene
control        Is it like the control?             Yes or No
=============  ==================================  ================================================

What the graph says of a gene is a fact; that this gene was knocked out here remains a prediction.
"""

from __future__ import annotations

import copy
import random
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch

from data.errors import BadInput, UnknownTerm
from data.genes import find_gene
from encoders.knockout.knocked import NONE, PREFIX, QUESTION, KnockedOut, answer_of
from encoders.knockout.multimodal import Asked, MultimodalModel
from kg.neighbours import neighbourhood
from kg.terms import INVOLVED_IN, LOCATED_IN
from training import instruct
from training.instruct import InstructConfig, add_lora, loss_of
from training.knockout.train import KnockoutConfig, Source, digest_of, unread
from training.loop import History, LoopConfig, fit

if TYPE_CHECKING:
    from kg.graph import KnowledgeGraph

__all__ = ["KINDS", "Facts", "TuningConfig", "facts_of", "formed", "questions", "save", "told",
           "tune"]  # fmt: skip

QUESTIONS: Mapping[str, tuple[str, str]] = {
    "gene": (QUESTION, PREFIX),
    "process": ("Which process is hit?", " The process is"),
    "compartment": ("Which compartment changes?", " The compartment is"),
    "sure": ("Which gene is knocked out? How sure is that?", " The certainty is"),
    "control": ("Is it like the control?", " The answer is"),
}
"""By kind: the question, and the forced start of its answer."""

KINDS = tuple(QUESTIONS)

LEVELS = ("high", "middle", "low")
"""How sure: the right gene first, among the first five, or further down."""

LONGEST = 48
"""Characters of a process: a longer name costs every step its tokens."""

_NOTHING = "none"


@dataclass(frozen=True, slots=True)
class Facts:
    """What the graph says of a gene: one process and one compartment, best supported."""

    process: str
    compartment: str


@dataclass(frozen=True, slots=True)
class TuningConfig:
    """Everything that stage 2 is made with.

    ``lora`` are the layers' options (:mod:`training.instruct`); half of the questions are for the
    gene, so that the others do not displace it.
    """

    lora: InstructConfig = field(default_factory=InstructConfig)
    batch: int = 8
    loop: LoopConfig = field(
        default_factory=lambda: LoopConfig(
            steps=120, learning_rate=5e-4, weight_decay=0.0, warmup=0.1, save_every=20, threads=1
        )
    )


def facts_of(graph: KnowledgeGraph, genes: Sequence[str]) -> dict[str, Facts]:
    """A process and a compartment for each gene that the graph has both of.

    Control cells have "none"; a gene without annotations is left out, and only asked for by name.
    """
    found = {NONE: Facts(_NOTHING, _NOTHING)}
    for gene in genes:
        if gene == NONE:
            continue
        try:
            node = find_gene(gene).id
            process = _first(graph, node, INVOLVED_IN)
            compartment = _first(graph, node, LOCATED_IN)
        except (UnknownTerm, BadInput):
            continue
        if process and compartment:
            found[gene] = Facts(process, compartment)
    return found


def _first(graph: KnowledgeGraph, node: str, relation: str) -> str:
    """The best-supported neighbour whose name is short enough, or ""."""
    around = neighbourhood(graph, node, relations=[relation], direction="out", limit=20)
    labels = [one.term.label for one in around.neighbours]
    return next((label for label in labels if len(label) <= LONGEST), "")


def questions(
    inputs: Sequence[Mapping[str, torch.Tensor]],
    genes: Sequence[str],
    ranks: Sequence[int],
    facts: Mapping[str, Facts],
    draw: random.Random,
    kinds: Sequence[str] | None = None,
) -> list[tuple[str, Asked]]:
    """One question with its answer for each input, by kind.

    Parameters
    ----------
    inputs, genes
        Features, and what was knocked out.
    ranks
        Where stage 1 ranks that gene, from 1.
    facts
        What the graph says.
    draw
        Chooses the kind: the gene half of the time.
    kinds
        The kind for each input, instead.
    """
    found = []
    for i, (features, gene, rank) in enumerate(zip(inputs, genes, ranks, strict=True)):
        others = [one for one in KINDS[1:] if gene in facts or one in ("sure", "control")]
        kind = kinds[i] if kinds else draw.choice(["gene"] * len(others) + others)
        question, prefix = QUESTIONS[kind]
        found.append(
            (kind, Asked(question, features, (), prefix, _answer(kind, gene, rank, facts)))
        )
    return found


def _answer(kind: str, gene: str, rank: int, facts: Mapping[str, Facts]) -> str:
    if kind == "process":
        return answer_of(facts[gene].process)
    if kind == "compartment":
        return answer_of(facts[gene].compartment)
    if kind == "sure":
        return answer_of(LEVELS[0] if rank == 1 else LEVELS[1] if rank <= 5 else LEVELS[2])
    if kind == "control":
        return answer_of("Yes" if gene == NONE else "No")
    return answer_of(gene)


def ranks_of(
    model: MultimodalModel,
    inputs: Sequence[Mapping[str, torch.Tensor]],
    genes: Sequence[str],
    names: Sequence[str],
    tokens: int,
) -> list[int]:
    """Where stage 1 ranks the right gene before the language model reads."""
    logits = unread(model, inputs, names, tokens)
    own = logits[torch.arange(len(genes)), [list(names).index(one) for one in genes]]
    return (1 + (logits > own.unsqueeze(1)).sum(1)).tolist()


def tune(
    knocked: KnockedOut,
    sources: Sequence[Source],
    facts: Mapping[str, Facts],
    config: TuningConfig,
    stage1: KnockoutConfig,
    folder: Path | None = None,
    *,
    seconds: float | None = None,
    show: bool = False,
) -> tuple[MultimodalModel, History]:
    """Train low-rank layers and resamplers; the model given is left as it is.

    ``stage1`` is the config that the model was trained with.
    """
    first = knocked.model
    tuned = add_lora(first.language, config.lora)
    made = MultimodalModel(tuned, {k: copy.deepcopy(v) for k, v in _resamplers(first).items()})
    made.load_state_dict(first.state_dict())
    named = {n: p for n, p in tuned.model.named_parameters() if p.requires_grad}
    named |= dict(made.named_parameters())

    def step(number: int) -> torch.Tensor:
        source = sources[number % len(sources)]
        draw = np.random.default_rng([config.loop.seed, number, 2_000])
        inputs, genes = source.draw(draw, config.batch)
        ranks = ranks_of(first, inputs, genes, source.names, stage1.tokens)
        chosen = random.Random(number)  # noqa: S311 - nothing secret
        asked = [one for _, one in questions(inputs, genes, ranks, facts, chosen)]
        return loss_of(tuned, made.assemble(asked))

    made.train()
    tuned.model.train()
    with warnings.catch_warnings():
        # peft 0.21 asks for a name that transformers 5 deprecates.
        warnings.simplefilter("ignore", FutureWarning)
        history = fit(
            named, step, lambda number: number, config.loop, folder / "tune" if folder else None,
            about={"start": digest_of(first), "sources": [one.digest() for one in sources],
                   "facts": {k: [v.process, v.compartment] for k, v in sorted(facts.items())},
                   "batch": config.batch, "language": first.language.identity},
            seconds=seconds, show=show,
        )  # fmt: skip
    tuned.model.eval()
    return made.eval(), history


def save(made: MultimodalModel, folder: Path, *, encoder: Mapping[str, Any], about: Any) -> None:
    """Write resamplers, marks and, below ``lora``, the layers of low rank."""
    # It asks of the model what this one has too: save, and the language model.
    instruct.save(cast("Any", made), folder, encoder=encoder, about=about)


def told(
    model: MultimodalModel, asked: Sequence[tuple[str, Asked]], kind: str, candidates: Sequence[str]
) -> list[bool]:
    """Which questions of a kind are answered right, every candidate answer scored."""
    some = [one for name, one in asked if name == kind]
    best = model.score(some, candidates).argmax(1)
    return [candidates[i] == one.answer for i, one in zip(best, some, strict=True)]


def formed(
    model: MultimodalModel,
    asked: Sequence[tuple[str, Asked]],
    kind: str,
    candidates: Sequence[str],
    rows: int = 16,
) -> list[bool]:
    """Which questions of a kind get one of the candidates where anything may be said."""
    some = [one for name, one in asked if name == kind]
    longest = max(model.language.count(one) for one in candidates)
    found = []
    for start in range(0, len(some), rows):
        for one in model.generate(some[start : start + rows], max_new_tokens=longest):
            said = " ".join(one.text.split())
            found.append(any(said.startswith(candidate.strip()) for candidate in candidates))
    return found


def _resamplers(model: MultimodalModel) -> dict[str, Any]:
    return dict(model.resamplers.items())
