"""What an alignment owes to each of its parts: trained anew without it, over seeds.

``python -m training.evaluate.ablate_llm WHAT --data FOLDER [--seeds N] [--steps N] [--sample N]
[--run FOLDER]``; WHAT:

* positives: the original target (identity), the same label, and three graded by the ontology; all
  against the texts of the batch, two cells a label, so that the original is as it was;
* projectors: linear from the types' means and from random weights, MLP of two and of three layers,
  one a token;
* texts: label, with definition; and without centring;
* bt: with and without the trainable token, aligned in the contextual space (slow: every step goes
  through the language model);
* objectives: token, contextual and autoregressive, with the same batches of eight cells.

The last two start from the map of the types' mean cells into the token space, as the weights that
ship do: soft tokens are near to the words of a type before the first step, and what the start
scores by itself is told beside each variant.

Scored as in :mod:`training.evaluate.llm`, restricted to a set's own types: R@1, AUROC and Lin, mean
and standard deviation over the seeds of training. With ``--run`` a run that was stopped goes on.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Collection, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from data.errors import BadInput
from encoders.aligned import Aligned
from encoders.labels import term_text, token_vectors
from training.align import AlignConfig, align, from_means, untrained
from training.align_data import Material, gather
from training.evaluate.figures import Report, versions
from training.evaluate.llm import Bench
from training.holdout import split_of_term
from training.loop import History, LoopConfig
from training.losses import TEMPERATURE
from training.positives import PositivesConfig

if TYPE_CHECKING:
    from encoders.adapter import SoftTokenModel
    from encoders.language import LanguageModel
    from kg.terms import Curie
    from training.profiles import CellSet

__all__ = ["ABLATIONS", "ablate", "ablations_of", "begin", "main"]

_SAVE_EVERY = 20

_BATCH = AlignConfig(bank=False)
_RANDOM = AlignConfig(ridge=None, temperature=TEMPERATURE)
_SMALL = AlignConfig(batch=8)
_CONTEXT = replace(_SMALL, objective="contextual", temperature=TEMPERATURE)

ABLATIONS: Mapping[str, Mapping[str, AlignConfig]] = {
    "positives": {
        "identity": replace(_BATCH, positives=PositivesConfig("identity")),
        "same label": replace(_BATCH, positives=PositivesConfig("label")),
        "graded, Lin": _BATCH,
        "graded, levels": replace(_BATCH, positives=PositivesConfig("levels")),
        "graded, PageRank": replace(_BATCH, positives=PositivesConfig("ppr")),
    },
    "projectors": {
        "linear, from the means": AlignConfig(),
        "linear": _RANDOM,
        "mlp2": replace(_RANDOM, kind="mlp2"),
        "mlp3": replace(_RANDOM, kind="mlp3"),
        "per token": replace(_RANDOM, kind="per_token"),
    },
    "texts": {
        "label": AlignConfig(),
        "label and definition": AlignConfig(text="definition"),
        "not centred": AlignConfig(centred=False),
        "texts of the batch": AlignConfig(bank=False),
    },
    "bt": {"with [Bt]": _CONTEXT, "without [Bt]": replace(_CONTEXT, bt=False)},
    "objectives": {
        "token": _SMALL,
        "contextual": _CONTEXT,
        "autoregressive": replace(_SMALL, objective="autoregressive"),
    },
}
"""Configs by the name of the ablation and of the variant."""

_THROUGH = ("bt", "objectives")


def ablate(
    what: str,
    bench: Bench,
    language: LanguageModel,
    *,
    seeds: int,
    steps: int,
    only: Collection[str] = (),
    sample: int = 0,
    run: Path | None = None,
) -> Report:
    """Train every variant, or those of ``only``, with every seed and score it.

    Parameters
    ----------
    what
        Which ablation.
    bench
        What is trained and scored on.
    language
        The language model.
    seeds, steps
        How many runs of a variant, and how long each is.
    only
        Names of variants; all where it is empty.
    sample
        Cells of each set that are scored; 0 for all.
    run
        Folder of checkpoints, below which each run has its own; None to keep nothing.
    """
    report = Report("llm", versions=versions("torch", "transformers"))
    report.notes.append(f"{what}: {seeds} seeds, {steps} steps")
    for name, config in ABLATIONS[what].items():
        if only and name not in only:
            continue
        found: dict[str, list[float]] = {}
        begun: dict[str, list[float]] = {}
        for seed in range(seeds):
            loop = LoopConfig(
                steps, learning_rate=config.loop.learning_rate, develop_every=steps, seed=seed,
                threads=config.loop.threads, save_every=_SAVE_EVERY if run else 0,
            )  # fmt: skip
            plan = replace(config, loop=loop)
            where = run / what / name / str(seed) if run else None
            if what in _THROUGH:
                made, history = _from_the_means(bench, language, plan, where, begun, sample)
            else:
                made, history = _trained(bench, language, plan, where)
            found.setdefault("development types: MRR", []).append(history.best)
            _score(found, bench, made, sample)
        _tell(report, name, found)
        _tell(report, f"{name}, before training", begun)
    return report


def _trained(
    bench: Bench,
    language: LanguageModel,
    config: AlignConfig,
    run: Path | None,
    start: SoftTokenModel | None = None,
) -> tuple[Aligned, History]:
    material = bench.material
    return align(
        language, material.cells, _texts(material, config), material.hierarchy, config, run,
        unseen=material.unseen, start=start,
    )  # fmt: skip


def _from_the_means(
    bench: Bench,
    language: LanguageModel,
    config: AlignConfig,
    run: Path | None,
    before: dict[str, list[float]],
    sample: int,
) -> tuple[Aligned, History]:
    """Train from the types' mean cells, and score what it started from as well."""

    def start() -> SoftTokenModel:
        material = bench.material
        return begin(language, material.cells, _texts(material, config), config)

    made, history = _trained(bench, language, config, run, start())
    first = Aligned(start(), made.config, made.centre, made.known, made.known_texts)
    _score(before, bench, first, sample)
    return made, history


def _texts(material: Material, config: AlignConfig) -> dict[Curie, str]:
    return {one: term_text(term, config.text) for one, term in material.terms.items()}


def begin(
    language: LanguageModel, cells: CellSet, texts: Mapping[Curie, str], config: AlignConfig
) -> SoftTokenModel:
    """A linear projector from the types' mean cells into the token space, for any objective.

    :func:`training.align.align` starts so by itself in the token space alone. Where cells go on
    through the language model their soft tokens have the length of its words, as [Bt] has.

    Parameters
    ----------
    language
        Whose words.
    cells
        Those to train on; types of the development split are left out.
    texts
        Of their types.
    config
        With a ridge, and the seed of what is not the projector.
    """
    import torch

    if config.ridge is None:
        raise BadInput("a start from the means was asked for without a ridge; expected a number")
    terms = [term for term in sorted(set(cells.types)) if split_of_term(term, ()) == "train"]
    types = np.array(cells.types)
    means = np.stack([cells.vectors[types == term].mean(axis=0) for term in terms])
    words = token_vectors(language, [texts[term] for term in terms])
    weight, bias = from_means(means, words, words.mean(axis=0), config.ridge)
    model = untrained(language, cells.vectors.shape[1], config, config.loop.seed)
    layer = dict(model.projector.named_parameters())
    with torch.no_grad():
        layer["layers.0.weight"].copy_(torch.from_numpy(weight).expand(config.tokens, -1, -1))
        layer["layers.0.bias"].copy_(torch.from_numpy(bias).expand(config.tokens, -1))
    return model


def _score(found: dict[str, list[float]], bench: Bench, made: Aligned, sample: int) -> None:
    for whole in bench.sets:
        some = whole.sample(sample)[0] if sample else whole
        terms = bench.terms(some.own)
        rank = bench.rank(some, some.own, made.expected(some.vectors, terms, bench.tree))
        for figure, value in (("R@1", rank.r1), ("AUROC", rank.auroc), ("Lin", rank.lin)):
            found.setdefault(f"{some.name}: {figure}", []).append(value)


def _tell(report: Report, name: str, found: Mapping[str, list[float]]) -> None:
    for figure, values in found.items():
        spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
        report.beside(name, figure, float(np.mean(values)), len(values), spread)


def ablations_of(
    what: str,
    data: Path,
    *,
    seeds: int = 3,
    steps: int = 200,
    only: Collection[str] = (),
    sample: int = 0,
    run: Path | None = None,
) -> Report:
    """Run an ablation on what ships, from the folder of development data; see :func:`ablate`."""
    from encoders.celltext import CellEncoder
    from encoders.language import load

    bench = Bench(data, gather((), data), CellEncoder.shipped())
    return ablate(
        what, bench, load("local"), seeds=seeds, steps=steps, only=only, sample=sample, run=run
    )


def main(arguments: list[str] | None = None) -> int:
    """Run an ablation and print it."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.ablate_llm")
    parser.add_argument("what", choices=tuple(ABLATIONS))
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=(), help="names of variants")
    parser.add_argument("--sample", type=int, default=0, help="cells of each set; 0: all")
    parser.add_argument("--run", type=Path, help="folder of checkpoints, to go on from")
    given = parser.parse_args(arguments)
    report = ablations_of(
        given.what, given.data, seeds=given.seeds, steps=given.steps, only=given.only,
        sample=given.sample, run=given.run,
    )  # fmt: skip
    sys.stdout.write(report.table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
