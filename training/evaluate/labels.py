"""Does the language model name the cell whose soft tokens it reads? Ranking and writing, by labels.

``python -m training.evaluate.labels --model FOLDER --data FOLDER [--sample N]`` takes cells
of PBMC3k and PBMC68k, asks "What cell type is this?", and

* ranks the set's own types by the likelihood of the answers that name them;
* lets the model write, held to the names of the set's own types.

Beside the tuned model stand (a) the model as published, which reads the 20 highest genes as text,
(b) the tuned model with a projector of random weights, (c) the aligned projector with the model as
published, and (d) the nearest mean training cell, spread over the ontology. R@1 and macro-F1, and
Lin's similarity of what was named first; standard errors of R@1 are printed as spread.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from encoders.adapter import Prompt, SoftTokenModel
from encoders.aligned import ASK, Aligned
from encoders.celltext import CellEncoder
from encoders.labels import naming
from encoders.language import load
from kg.terms import Curie
from training.align import AlignConfig, untrained
from training.align_data import gather
from training.evaluate import metrics
from training.evaluate.figures import Report, versions
from training.evaluate.llm import UNSEEN, Bench, Set, read_genes, top_genes
from training.instruct import InstructConfig

__all__ = ["evaluate", "main"]

SAMPLE = 100
_BATCH = 16
_NEW_TOKENS = 32


def evaluate(folder: Path, weights: Path, *, sample: int = SAMPLE, seed: int = 0) -> Report:
    """Score a tuned model on samples of the three sets.

    Parameters
    ----------
    folder
        Of development data.
    weights
        Projector and space, with the adapter of the language model below.
    sample
        Cells of each dataset.
    seed
        Of the sample.
    """
    language = load("local")
    bench = Bench(folder, gather((), folder), CellEncoder.shipped())
    found = Aligned.load(weights, language)
    tuned = SoftTokenModel.load(weights, language)
    config = found.model.projector.config
    plan = AlignConfig(kind=config.kind, tokens=config.tokens, bt=config.bt, ridge=None)
    blind = untrained(tuned.language, config.width_in, plan, seed)
    report = Report("labels", versions=versions("torch", "transformers", "peft"), seed=seed)
    report.notes.append(f"{sample} cells of each dataset; LoRA rank {InstructConfig().rank}")
    for some in bench.sets:
        if some.name == UNSEEN:  # its 112 names are read for each cell: evaluate_instruct has it
            continue
        part, rows = some.sample(sample, seed)
        genes = top_genes(some.parts[0], rows)
        ids = part.own
        labels = [bench.material.terms[one].label for one in ids]
        answers = [f" {naming(label)}" for label in labels]
        where = f"{some.name}, own {len(ids)} types"
        ranked: dict[str, NDArray[Any]] = {
            "": _likelihoods(tuned, part, answers),
            "b: random projector": _likelihoods(blind, part, answers),
            "c: no LoRA": _likelihoods(found.model, part, answers),
            "d: nearest mean cell": bench.spread(part, ids, found),
            "a: reads 20 genes": read_genes(language, genes, labels),
        }
        for name, scores in ranked.items():
            said = [ids[int(i)] for i in scores.argmax(axis=1)]
            _add(report, bench, part, f"{where}, ranked", name, said)
        for name, model in (
            ("", tuned),
            ("b: random projector", blind),
            ("c: no LoRA", found.model),
        ):
            written = _written(model, part, answers)
            said = [ids[answers.index(f" {one}")] for one in written]
            _add(report, bench, part, f"{where}, written", name, said)
    return report


def _likelihoods(model: SoftTokenModel, part: Set, answers: Sequence[str]) -> NDArray[np.float64]:
    vectors = torch.from_numpy(part.vectors)
    prompts = [Prompt(ASK)] * len(vectors)
    return model.score(prompts, vectors, answers)


def _written(model: SoftTokenModel, part: Set, answers: Sequence[str]) -> list[str]:
    found = []
    for start in range(0, len(part.truth), _BATCH):
        some = torch.from_numpy(part.vectors[start : start + _BATCH])
        wrote = model.generate(
            [Prompt(ASK)] * len(some), some, max_new_tokens=_NEW_TOKENS, allowed=answers
        )
        found += [one.text.strip() for one in wrote]
    return found


def _add(
    report: Report, bench: Bench, part: Set, where: str, name: str, said: Sequence[Curie]
) -> None:
    """One way of naming: the method's own where it has no name, else beside."""
    right = float(np.mean([a == b for a, b in zip(part.truth, said, strict=True)]))
    n = len(said)
    for figure, value, spread in (
        ("R@1", right, math.sqrt(right * (1 - right) / n)),
        ("macro-F1", metrics.macro_f1(part.truth, said), None),
        ("Lin", metrics.lin(part.truth, said, bench.tree), None),
    ):
        if name:
            report.beside(name, f"{where}: {figure}", value, n, spread)
        else:
            report.add(f"{where}: {figure}", value, n, spread)


def main(arguments: list[str] | None = None) -> int:
    """Print the figures."""
    parser = argparse.ArgumentParser(prog="python -m training.evaluate.labels")
    parser.add_argument("--model", type=Path, required=True, help="folder of a tuned model")
    parser.add_argument("--data", type=Path, required=True, help="folder of development data")
    parser.add_argument("--sample", type=int, default=SAMPLE)
    given = parser.parse_args(arguments)
    sys.stdout.write(evaluate(given.data, given.model, sample=given.sample).table() + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
