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
* objectives: token, contextual and autoregressive, with the same batches of eight cells from the
  same random weights.

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

from encoders.labels import term_text
from training.align import AlignConfig, align
from training.align_data import gather
from training.evaluate.figures import Report, versions
from training.evaluate.llm import Bench
from training.loop import LoopConfig
from training.losses import TEMPERATURE
from training.positives import PositivesConfig

if TYPE_CHECKING:
    from encoders.language import LanguageModel

__all__ = ["ABLATIONS", "ablate", "main"]

_SAVE_EVERY = 20

_BATCH = AlignConfig(bank=False)
_RANDOM = AlignConfig(ridge=None, temperature=TEMPERATURE)
_CONTEXT = replace(_RANDOM, objective="contextual", batch=8)

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
        "token": replace(_CONTEXT, objective="token"),
        "contextual": _CONTEXT,
        "autoregressive": replace(_CONTEXT, objective="autoregressive"),
    },
}
"""Configs by the name of the ablation and of the variant."""


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
    material = bench.material
    report = Report("llm", versions=versions("torch", "transformers"))
    report.notes.append(f"{what}: {seeds} seeds, {steps} steps")
    for name, config in ABLATIONS[what].items():
        if only and name not in only:
            continue
        texts = {one: term_text(t, config.text) for one, t in material.terms.items()}
        found: dict[str, list[float]] = {}
        for seed in range(seeds):
            loop = LoopConfig(
                steps, learning_rate=config.loop.learning_rate, develop_every=steps, seed=seed,
                threads=config.loop.threads, save_every=_SAVE_EVERY if run else 0,
            )  # fmt: skip
            made, history = align(
                language, material.cells, texts, material.hierarchy, replace(config, loop=loop),
                run / what / name / str(seed) if run else None, unseen=material.unseen,
            )  # fmt: skip
            found.setdefault("development types: MRR", []).append(history.best)
            for whole in bench.sets:
                some = whole.sample(sample)[0] if sample else whole
                terms = bench.terms(some.own)
                rank = bench.rank(some, some.own, made.expected(some.vectors, terms, bench.tree))
                for figure, value in (("R@1", rank.r1), ("AUROC", rank.auroc), ("Lin", rank.lin)):
                    found.setdefault(f"{some.name}: {figure}", []).append(value)
        for figure, values in found.items():
            spread = float(np.std(values, ddof=1)) if len(values) > 1 else None
            report.beside(name, figure, float(np.mean(values)), len(values), spread)
    return report


def main(arguments: list[str] | None = None) -> int:
    """Run an ablation and print it."""
    from encoders.celltext import CellEncoder
    from encoders.language import load

    parser = argparse.ArgumentParser(prog="python -m training.evaluate.ablate_llm")
    parser.add_argument("what", choices=tuple(ABLATIONS))
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--only", nargs="*", default=(), help="names of variants")
    parser.add_argument("--sample", type=int, default=0, help="cells of each set; 0: all")
    parser.add_argument("--run", type=Path, help="folder of checkpoints, to go on from")
    given = parser.parse_args(arguments)
    bench = Bench(given.data, gather((), given.data), CellEncoder.shipped())
    report = ablate(
        given.what, bench, load("local"), seeds=given.seeds, steps=given.steps, only=given.only,
        sample=given.sample, run=given.run,
    )  # fmt: skip
    sys.stdout.write(report.table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
