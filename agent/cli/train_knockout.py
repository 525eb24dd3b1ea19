"""``celloquy train knockout``: to tell which gene is knocked out, from cells, images or both."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agent.cli.annotate import say
from agent.cli.console import emit_json, options
from agent.cli.train import Model, Output, Seconds, writable
from data.errors import BadInput

if TYPE_CHECKING:
    from encoders.image.tokens import ImageEncoder
    from encoders.knockout.knocked import KnockedOut
    from encoders.language import LanguageModel
    from training.knockout.data import ImageScreen, Screen
    from training.knockout.train import KnockoutConfig

__all__ = ["knockout"]

HELD = 0
"""The fold of guides that is kept out, to measure on."""


def knockout(
    h5ad: Annotated[
        Path | None, typer.Option("--h5ad", help="Cells of a screen, an .h5ad file.")
    ] = None,
    label: Annotated[str, typer.Option(help="Its column of knocked-out genes.")] = "perturbation",
    guide: Annotated[
        str | None, typer.Option(help="Its column of guides; a part of them is kept out.")
    ] = None,
    control: Annotated[
        str | None, typer.Option(help="What control cells are called [default: a usual name].")
    ] = None,
    images: Annotated[
        Path | None,
        typer.Option(help="Images of a screen: .npz with images, gene, channels and guide."),
    ] = None,
    image_encoder: Annotated[
        str | None,
        typer.Option(help="A vision transformer by folder or hub id [default: trained here]."),
    ] = None,
    output: Output = Path("knockout"),
    llm: Model = "local",
    steps: Annotated[
        int | None, typer.Option(help="Steps through the language model.", min=1)
    ] = None,
    tune: Annotated[
        bool, typer.Option("--tune", help="Then tune the language model on more questions.")
    ] = False,
    seconds: Seconds = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> int:
    """Train on a screen, and measure on guides that were kept out.

    Which gene is knocked out in cells or images, by a language model that reads them through
    resamplers. A run that was stopped goes on with the same command.
    """
    from encoders.language import load
    from training.knockout.run import learn
    from training.knockout.train import KnockoutConfig

    if h5ad is None and images is None:
        raise BadInput("neither --h5ad nor --images was given; expected a screen to learn from")
    writable(output)
    screen, shown = _read(h5ad, label, guide, images, control)
    language = load(llm)
    config = _seeded(KnockoutConfig(), steps)
    seen = _images(shown, image_encoder, output) if shown is not None else None
    made, done = learn(language, screen, seen, HELD, config, output / "training",
                       seconds=seconds, show=not options.quiet)  # fmt: skip
    if not done:
        sys.stderr.write("celloquy: stopped before the end; the same command goes on\n")
        return 0
    document = _finish(made, screen, seen, config, output, image_encoder, tune, language)
    if as_json:
        emit_json(document)
    else:
        typer.echo(_said(document))
    return 0


def _read(
    h5ad: Path | None, label: str, guide: str | None, images: Path | None, control: str | None
) -> tuple[Screen | None, ImageScreen | None]:
    from training.knockout.data import folds, read_image_screen, read_screen

    screen = read_screen(h5ad, label, guide, control) if h5ad else None
    shown = read_image_screen(images, control) if images else None
    for one, name in ((screen, h5ad), (shown, images)):
        if one is not None and not (folds(one.labels, one.guides) == HELD).any():
            raise BadInput(
                f"{name} has one guide for each gene; expected two or more, so that one can be "
                "kept out to measure on"
            )
    if guide is None and screen is not None:
        say("no --guide: parts of the cells are kept out, not guides; figures come out too good")
    return screen, shown


def _seeded(config: KnockoutConfig, steps: int | None) -> KnockoutConfig:
    align = replace(config.align, seed=options.seed)
    teach, images = (
        replace(one, seed=options.seed, steps=steps or one.steps)
        for one in (config.teach, config.teach_images)
    )
    return replace(config, align=align, teach=teach, teach_images=images)


def _images(shown: ImageScreen, name: str | None, output: Path) -> tuple[Any, Any, Any]:
    """The screen with its encoder, trained here unless one is named, and its tokens."""
    from encoders.image.tokens import load
    from encoders.image.vit import save_vit
    from encoders.knockout.knocked import IMAGE_ENCODER
    from training.images.pretraining import pretrain
    from training.knockout.data import folds, without
    from training.knockout.figures import IMAGE_VIT
    from training.knockout.run import image_tokens

    encoder: ImageEncoder
    if name is None:
        learnt = without(shown, folds(shown.labels, shown.guides) == HELD)
        vit, _ = pretrain(learnt.pictures, IMAGE_VIT, output / "training" / "images",
                          show=not options.quiet)  # fmt: skip
        save_vit(vit, output / IMAGE_ENCODER)
        encoder = load(output / IMAGE_ENCODER)
    else:
        encoder = load(name)
    return shown, encoder, image_tokens(encoder, shown)


def _finish(
    made: KnockedOut,
    screen: Screen | None,
    seen: tuple[Any, Any, Any] | None,
    config: KnockoutConfig,
    output: Path,
    image_encoder: str | None,
    tune: bool,
    language: LanguageModel,
) -> dict[str, Any]:
    """Tune if asked for, measure, and write the folder."""
    from encoders.adapter import LORA
    from training.knockout.figures import figures_of, stage_2, tuned
    from training.knockout.tuning import save

    if not tune and (output / LORA).is_dir():
        raise BadInput(f"{output} holds a tuned model; expected another folder, or --tune")
    answers: dict[str, Any] = {}
    if tune:
        from agent.lookup import open_graph

        first = made
        made, facts = tuned(made, screen, seen, HELD, config, open_graph(options.graph),
                            output / "training", show=not options.quiet)  # fmt: skip
        answers = stage_2(first, made, screen, seen, HELD, facts, config)
    found, measured = figures_of(made, screen, seen, HELD, config)
    encoder = {"image": seen[1].identity} if seen else {}
    about = {"seed": options.seed, "figures": found, "steps": config.teach.steps, "tuned": tune,
             "questions": answers}  # fmt: skip
    if tune:
        save(made.model, output, encoder=encoder, about=about)
    else:
        made.model.save(output, encoder=encoder, about=about)
    replace(made, measured=measured).save(output, images=image_encoder, about=about)
    return {"folder": str(output), "genes": {k: list(v) for k, v in made.labels.items()},
            "language": language.name, **about}  # fmt: skip


def _said(document: dict[str, Any]) -> str:
    lines = []
    for group, rows in document["figures"].items():
        lines.append(f"{group}: guides kept out")
        for name, row in rows.items():
            figures = "  ".join(f"{k} {v[0]:.3f} ± {v[1]:.3f}" for k, v in row.items())
            lines.append(f"  {name:<28} {figures}")
    for group, times in document["questions"].items():
        for when, kinds in times.items():
            lines.append(f"{group}: questions {when} stage 2, guides kept out")
            for kind, one in kinds.items():
                lines.append(
                    f"  {kind:<28} right {one['right']:.3f}  commonest {one['commonest']:.3f}  "
                    f"formed {one['formed']:.3f}  n {one['n']}"
                )
    return "\n".join([*lines, f"written to {document['folder']}"])
