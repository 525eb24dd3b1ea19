"""``celloquy evaluate``: every figure beside its trivial baselines; needs a checkout."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from agent.cli.console import emit_json, options
from agent.cli.targets import to_write
from data.errors import BadInput

if TYPE_CHECKING:
    from encoders.celltypes.cellsearch import Wanted
    from training.evaluate.figures import Report

__all__ = ["SUITES", "evaluate"]

GOLDEN = Path(__file__).parents[2] / "tests" / "golden"
"""Labels and questions written by hand; they come with a checkout, not with an installation."""


class Ablation(StrEnum):
    """Those of :data:`training.evaluate.ablate_llm.ABLATIONS`, so that --help loads nothing."""

    positives = "positives"
    projectors = "projectors"
    texts = "texts"
    bt = "bt"
    objectives = "objectives"


def evaluate(
    suites: Annotated[
        list[str] | None, typer.Argument(metavar="[SUITE]...", help="Which; all if none is named.")
    ] = None,
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of evaluation data, laid out as tests expect it "
            "[default: CELLOQUY_TEST_DATA]."
        ),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            help="encoders: a file of its runs, one hour of them; those that it holds are kept."
        ),
    ] = None,
    picture: Annotated[
        Path | None,
        typer.Option(help="llm: also draw cells and names before and after alignment, as a UMAP."),
    ] = None,
    sample: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="llm: cells of each dataset that the language model reads; 0: "
            "none, and no generation either.",
            show_default="200; generation: 100",
        ),
    ] = None,
    ablation: Annotated[
        list[Ablation] | None,
        typer.Option(
            help="llm: also train anew with each variant of this, three seeds of 200 "
            "steps: minutes; through the language model (bt, objectives) hours. Repeat."
        ),
    ] = None,
    work: Annotated[
        Path | None,
        typer.Option(
            help="phenotypes: a folder of its training; a run that was stopped goes on there."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Measure the product: figures beside their baselines, with spread, versions and seed.

    Suites: annotation, bridge, calibration, cells, deletion, encoders, knockout, llm, markers,
    novelty, perturb, phenotypes, qa, retrieval, typenovelty.
    """
    chosen = suites or list(SUITES)
    if unknown := [name for name in chosen if name not in SUITES]:
        raise BadInput(f"no suite is named {unknown[0]!r}; there are: {', '.join(SUITES)}")
    folder = data or Path(os.environ.get("CELLOQUY_TEST_DATA", ""))
    if folder == Path() or not folder.is_dir():
        why = f"{folder} is no folder" if folder != Path() else "no evaluation data was named"
        raise BadInput(f"{why}; expected --data FOLDER or CELLOQUY_TEST_DATA (CONTRIBUTING.md)")
    if out is not None and "encoders" not in chosen:
        raise BadInput("--out keeps the runs of the suite encoders; name that suite, or leave it "
                       "out")  # fmt: skip
    given = {"picture": picture, "sample": sample, "ablation": ablation or None}
    if asked := [one for one, value in given.items() if value is not None and "llm" not in chosen]:
        raise BadInput(f"--{asked[0]} is for the suite llm; name that suite, or leave it out")
    if picture is not None and picture.exists():
        to_write(picture)
    if work is not None and "phenotypes" not in chosen:
        raise BadInput("--work keeps the training of the suite phenotypes; name that suite, or "
                       "leave it out")  # fmt: skip
    own: dict[str, Callable[[Path], Report]] = {
        "encoders": partial(_encoders, out=out),
        "llm": partial(_llm, picture=picture, sample=sample, ablations=ablation or ()),
        "phenotypes": partial(_phenotypes, work=work),
    }  # fmt: skip
    reports = []
    for name in chosen:
        report = (own.get(name) or SUITES[name])(folder)
        reports.append(report.document())
        if not as_json:
            typer.echo(f"== {name}\n{report.table()}\n")
    if as_json:
        emit_json(reports[0] if len(reports) == 1 else reports)


def _annotation(folder: Path) -> Report:
    from training.evaluate.annotation import annotation

    return annotation(folder, seed=options.seed)


def _bridge(folder: Path) -> Report:
    from training.evaluate.bridge import bridge

    return bridge(folder, seed=options.seed)


def _calibration(folder: Path) -> Report:
    from training.annotation.calibrate import calibration

    return calibration(folder, seed=options.seed)[0]


def _cells(folder: Path) -> Report:
    from agent.annotation.annotate import knowledge
    from agent.attached.cellphrase import read_phrase
    from training.evaluate.cells import cell_search

    known = knowledge()

    def read(phrase: str) -> tuple[Wanted, str | None]:
        found = read_phrase(phrase, known)
        return found.wanted, found.wanted.terms[0][0] if found.how == "term" else None

    return cell_search(folder, read, known.sets, known.hierarchy, seed=options.seed)


def _knockout(folder: Path) -> Report:
    from training.evaluate.knockout import knockout

    return knockout(folder, seed=options.seed)


def _deletion(folder: Path) -> Report:
    from training.evaluate.deletion import deletion

    return deletion(folder, seed=options.seed)


def _encoders(folder: Path, out: Path | None = None) -> Report:
    from training.evaluate.encoders import encoders

    return encoders(folder, out=out, seed=options.seed)


def _typenovelty(folder: Path) -> Report:
    from training.evaluate.typenovelty import typenovelty

    return typenovelty(folder, seed=options.seed)


def _llm(
    folder: Path,
    picture: Path | None = None,
    sample: int | None = None,
    ablations: Sequence[Ablation] = (),
) -> Report:
    """Gaps and ranking, then what is generated with LoRA and without, then what was asked for."""
    from training.evaluate.llm import SAMPLE as READ
    from training.evaluate.llm import llm

    read = READ if sample is None else sample
    report = llm(folder, picture=picture, seed=options.seed, sample=read)
    if sample != 0:
        from encoders.aligned import SHIPPED
        from training.evaluate.labels import SAMPLE as NAMED
        from training.evaluate.labels import evaluate as generated

        named = sample or NAMED
        report.join(generated(folder, SHIPPED, seed=options.seed, sample=named))
    for what in ablations:
        from training.evaluate.ablate_llm import ablations_of

        report.join(ablations_of(what.value, folder, sample=sample or 0))
    if not ablations:
        report.notes.append(
            "ablations (positives, projectors, texts, [Bt], objectives) train anew: --ablation; "
            "what they gave is in docs/experiments/llm.md"
        )
    return report


def _markers(folder: Path) -> Report:
    from training.evaluate.markers import markers

    return markers(folder, _golden("cassia_labels.tsv"), seed=options.seed)


def _novelty(folder: Path) -> Report:
    from training.evaluate.novelty import novelty

    return novelty(folder)


def _perturb(folder: Path) -> Report:
    from training.evaluate.perturb import perturb

    return perturb(folder, seed=options.seed)


def _phenotypes(folder: Path, work: Path | None = None) -> Report:
    from training.evaluate.images import phenotypes

    return phenotypes(folder, seed=options.seed, work=work)


def _qa(folder: Path) -> Report:
    from agent.evaluation.suite import evaluate as questions
    from agent.lookup import open_graph

    graph = open_graph(options.graph)
    return questions(graph, _golden("questions.tsv"), folder, seed=options.seed)[0]


def _retrieval(folder: Path) -> Report:
    from agent.lookup import open_graph
    from retrieval.expansion import synonyms
    from training.evaluate.retrieval import retrieval

    expand = synonyms(open_graph(options.graph))
    return retrieval(folder, _golden("paraphrases.tsv"), options.seed, expand)


def _golden(name: str) -> Path:
    path = GOLDEN / name
    if not path.is_file():
        raise BadInput(f"{path} is not there; run evaluate from a checkout of the project")
    return path


SUITES: dict[str, Callable[[Path], Report]] = {
    "annotation": _annotation,
    "bridge": _bridge,
    "calibration": _calibration,
    "cells": _cells,
    "deletion": _deletion,
    "encoders": _encoders,
    "knockout": _knockout,
    "llm": _llm,
    "markers": _markers,
    "novelty": _novelty,
    "perturb": _perturb,
    "phenotypes": _phenotypes,
    "qa": _qa,
    "retrieval": _retrieval,
    "typenovelty": _typenovelty,
}
