"""A small regression with dropout, trained by the loop: run as a program of its own, to be killed.

``python regression.py FOLDER PAUSE``; PAUSE is how many seconds each batch takes longer.
"""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import torch

from training.loop import History, LoopConfig, fit


def run(
    folder: Path | None,
    pause: float = 0.0,
    steps: int = 40,
    seconds: float | None = None,
    **more: Any,
) -> tuple[History, float]:
    """What happened, and the sum of all parameters afterwards."""
    torch.manual_seed(5)
    model = torch.nn.Sequential(
        torch.nn.Linear(6, 16), torch.nn.ReLU(), torch.nn.Dropout(0.3), torch.nn.Linear(16, 1)
    )

    def batch(number: int) -> tuple[torch.Tensor, torch.Tensor]:
        x = torch.randn(8, 6, generator=torch.Generator().manual_seed(number))
        return x, x[:, :1] - x[:, 1:2] ** 2

    def step(one: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
        time.sleep(pause)
        return torch.nn.functional.mse_loss(model(one[0]), one[1])

    def develop() -> float:
        model.eval()
        x, y = batch(999_999)
        score = -float(torch.nn.functional.mse_loss(model(x), y))
        model.train()
        return score

    config = LoopConfig(
        steps, learning_rate=0.02, accumulation=2, save_every=3, develop_every=7, log_every=5,
        **more,
    )  # fmt: skip
    history = fit(
        dict(model.named_parameters()), step, batch, config, folder,
        develop=develop, seconds=seconds,
    )  # fmt: skip
    return history, sum(float(p.detach().double().sum()) for p in model.parameters())


if __name__ == "__main__":
    ended, total = run(Path(sys.argv[1]), float(sys.argv[2]))
    print(f"{ended.loss!r} {total!r} {ended.best!r} {ended.best_step}")
