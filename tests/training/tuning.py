"""A tiny instruction tuning for the test that kills it: ``python tuning.py FOLDER SECONDS``.

A step waits so many seconds, so that there is time to kill it. Prints the loss of the last step and
the sum of the adapter's weights.
"""

from __future__ import annotations

import sys
import time
import warnings
from pathlib import Path

import numpy as np
import torch

from encoders.adapter import Projector, ProjectorConfig, SoftTokenModel
from tests.encoders.tinymodels import tiny
from training import instruct as tuning
from training.instruct import InstructConfig, instruct
from training.instruction_data import Item
from training.loop import LoopConfig
from training.profiles import CellSet

FACTS = "a is b . b is c ."
TALK = [
    Item("yes_no", "is a c ?", "b", "CL:1", FACTS, how="chain"),
    Item("yes_no", "is c a ?", "d", "CL:1", FACTS, how="reversed"),
]
ABOUT = [
    Item("type", "What cell is this ? [BIO]", "T", "CL:1", cell="CL:1"),
    Item("type", "What cell is this ? [BIO]", "B", "CL:2", cell="CL:2"),
]
CELLS = CellSet(np.eye(2, 5, dtype=np.float32), ("CL:1", "CL:2"), ("simulated", "x"))
STEPS = 30


def run(folder: Path, wait: float = 0.0) -> tuple[float, float]:
    """Tune, or go on; the loss of the last step and the sum of what was trained."""
    language = tiny("llama", context=128)
    torch.manual_seed(0)
    projector = Projector(ProjectorConfig(5, language.width, hidden=16))
    model = SoftTokenModel(language, projector).eval()
    loop = LoopConfig(STEPS, learning_rate=1e-2, weight_decay=0.0, save_every=5, threads=1)
    config = InstructConfig(batch=2, cell_batch=2, talk_batch=2, limit=60, loop=loop)
    plain = tuning.loss_of

    def slow(*given: object) -> torch.Tensor:
        time.sleep(wait)
        return plain(*given)  # type: ignore[arg-type]

    tuning.loss_of = slow  # type: ignore[assignment]
    try:
        made, history = instruct(model, ABOUT, CELLS, ["a b c"], [TALK], config, folder)
    finally:
        tuning.loss_of = plain
    thin = [p for n, p in made.language.model.named_parameters() if "lora_" in n]
    return history.loss, float(sum(p.abs().sum().item() for p in thin))


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    print(*run(Path(sys.argv[1]), float(sys.argv[2])))
