"""The language-model core: alignment steps, prompts scored with and without the cache, LoRA tokens.

Runs on a GPU where torch finds one, else on the CPU. Needs the fetched language model
(`celloquy data fetch models`); vectors are random, since only their number counts.

``python tests/benchmarks/bench_llm.py``
"""

from __future__ import annotations

import sys
import warnings
from dataclasses import replace

import numpy as np
import torch
from timing import Row, median, report

from data.errors import CelloquyError
from encoders import language as languages
from encoders.adapter import Prompt, SoftTokenModel, shared_copy
from encoders.aligned import ASK, Aligned, SpaceConfig
from encoders.language import LanguageModel
from encoders.projector import Projector, ProjectorConfig
from kg.terms import Category, Term
from training.losses import GradedInfoNCE

WIDTH, BATCH, TYPES = 384, 64, 500
CELLS, NAMES = 8, [
    "T cell", "B cell", "natural killer cell", "CD14-positive monocyte", "dendritic cell",
    "platelet", "CD4-positive, alpha-beta T cell", "CD8-positive, alpha-beta T cell",
    "hematopoietic stem cell", "regulatory T cell",
]  # fmt: skip
TOKENS = 128


def steps(language: LanguageModel, kind: str) -> float:
    """Seconds of a step of token-space alignment: forward, backward, AdamW."""
    config = ProjectorConfig(WIDTH, language.width, kind=kind, scale=language.scale)  # type: ignore[arg-type]
    projector = Projector(config).to(language.device)
    optimizer = torch.optim.AdamW(projector.parameters(), 1e-3)
    cells = torch.randn(BATCH, WIDTH, device=language.device)
    texts = torch.randn(TYPES, language.width, device=language.device)
    target = torch.eye(BATCH, TYPES, device=language.device)
    contrast = GradedInfoNCE()

    def step() -> None:
        optimizer.zero_grad()
        contrast(projector(cells).mean(1), texts, target).backward()
        optimizer.step()

    step()
    return median(step, 15)


def through(model: SoftTokenModel) -> float:
    """Seconds of a step through the frozen language model to the projector, 8 cells."""
    cells = torch.randn(8, WIDTH)
    prompts = [Prompt(ASK, name) for name in NAMES[:8]]
    model.language.model.requires_grad_(False)

    def step() -> None:
        model.zero_grad()
        model.loss(model.assemble(prompts, cells)).backward()

    step()
    return median(step, 3)


def tuned(language: LanguageModel) -> float:
    """Seconds of a LoRA step on 4 prompts of 128 tokens."""
    import peft

    base = shared_copy(language.model)
    config = peft.LoraConfig(r=8, lora_alpha=16, target_modules="all-linear", task_type="CAUSAL_LM")
    config.target_modules = ["q_proj", "k_proj", "v_proj", "o_proj"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = peft.get_peft_model(base, config).train()
    ids = torch.randint(10, 1000, (4, TOKENS), device=language.device)

    def step() -> None:
        model.zero_grad()
        model(input_ids=ids, labels=ids).loss.backward()

    step()
    return median(step, 3)


def main() -> int:
    try:
        language = languages.load("local")
    except CelloquyError as error:
        sys.stderr.write(f"{error}\n")
        return 4
    where = "cuda" if torch.cuda.is_available() else "cpu"
    language.model.to(where)
    torch.manual_seed(0)
    print(f"{language.name} on {where}, {str(language.dtype).removeprefix('torch.')}, "
          f"{torch.get_num_threads()} threads")  # fmt: skip
    rows = []
    for kind in ("linear", "mlp2", "mlp3"):
        taken = steps(language, kind)
        rows.append(Row(f"alignment step, token space, {BATCH} cells, {kind}", taken))
        print(f"  {kind}: {1 / taken:,.0f} alignment steps/s")
    model = SoftTokenModel(language, Projector(ProjectorConfig(WIDTH, language.width))).eval()
    rows.append(Row("alignment step through the model, 8 cells", through(model)))
    taken = tuned(language)
    rows.append(Row(f"LoRA step, 4 x {TOKENS} tokens", taken))
    print(f"  LoRA: {4 * TOKENS / taken:,.0f} tokens/s")
    rows += scoring(model)
    return 1 if report(rows) else 0


def scoring(model: SoftTokenModel) -> list[Row]:
    """Names scored for cells: with the prompt read once, read anew, and in the token space."""
    vectors = torch.randn(CELLS, WIDTH)
    plain = [Prompt(ASK)] * CELLS
    facts = [replace(one, context="The genes: " + "CD3D CD3E CD8A " * 12) for one in plain]
    rows = []
    for what, prompts in (("short prompts", plain), ("prompts with 20 genes", facts)):
        cached = median(lambda p=prompts: model.score(p, vectors, NAMES), 3)  # type: ignore[misc]
        anew = median(lambda p=prompts: model.score(p, vectors, NAMES, cached=False), 3)  # type: ignore[misc]
        print(f"  {what}, {len(NAMES)} names: {CELLS / cached:.1f} cells/s with the cache, "
              f"{CELLS / anew:.1f} without")  # fmt: skip
        label = f"{CELLS} cells, {len(NAMES)} names, {what}"
        rows.append(Row(label, cached, None, "each read anew", anew))
    space = SpaceConfig()
    width = model.language.width
    found = Aligned(model, space, np.zeros(width, np.float32), (), np.zeros((0, width), np.float32))
    terms = [Term(f"CL:{i:07d}", f"{n} {i}", Category.CELL_TYPE, "CL", "1")
             for i, n in enumerate(NAMES * (TYPES // len(NAMES)))]  # fmt: skip
    many = np.random.default_rng(0).normal(size=(20_000, WIDTH)).astype(np.float32)
    taken = median(lambda: found.compare(many, terms), 3)
    print(f"  token space, {len(terms)} names: {len(many) / taken:,.0f} cells/s")
    rows.append(Row(f"{len(many):,} cells, {len(terms)} names, token space", taken))
    return rows


if __name__ == "__main__":
    raise SystemExit(main())
