"""The training loop: what it computes, what it keeps, and that a killed run ends the same."""

from __future__ import annotations

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")

from data.errors import BadFile, BadInput, CelloquyError  # noqa: E402 - after the check for torch
from tests.training.regression import run  # noqa: E402
from training.loop import History, LoopConfig, fit, rate  # noqa: E402

ROOT = Path(__file__).parents[2]
PROGRAM = ROOT / "tests" / "training" / "regression.py"


def test_one_step_is_adamw_by_hand() -> None:
    """Gradient 2 is clipped to 1; Adam's first step has the size of the rate, whatever it is."""
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    config = LoopConfig(1, learning_rate=0.1, weight_decay=0.5, schedule="constant", warmup=0.0)
    history = fit({"w": weight}, lambda _: (2.0 * weight).sum(), lambda n: n, config)
    # Decay first: 1 - .1 * .5 * 1 = .95; then .95 - .1.
    assert weight.item() == pytest.approx(0.85, abs=1e-5)
    assert (history.step, history.loss, history.finished) == (1, 2.0, True)


@pytest.mark.parametrize(
    ("schedule", "expected"),
    [
        ("cosine", [0.5, 1.0, 1.0, 0.5, 0.0]),
        ("linear", [0.5, 1.0, 1.0, 0.5, 0.0]),
        ("constant", [0.5, 1.0, 1.0, 1.0, 1.0]),
    ],
)
def test_the_rate_rises_and_falls(schedule: Any, expected: list[float]) -> None:
    config = LoopConfig(10, warmup=0.2, schedule=schedule)
    assert [rate(s, config) for s in (0, 1, 2, 6, 10)] == pytest.approx(expected)


def test_accumulated_batches_are_one_large_batch() -> None:
    def trained(accumulation: int) -> float:
        weight = torch.nn.Parameter(torch.tensor([1.0, 1.0]))
        data = torch.tensor([[1.0, 0.0], [0.0, 3.0], [2.0, 1.0], [1.0, 1.0]])
        size = 4 // accumulation
        fit(
            {"w": weight},
            lambda rows: (rows @ weight).pow(2).mean(),
            lambda n: data[n * size : (n + 1) * size],
            LoopConfig(1, learning_rate=0.1, accumulation=accumulation, clip=None),
        )
        return float(weight.detach().sum())

    assert trained(1) == pytest.approx(trained(4), abs=1e-6)


def test_a_run_in_slices_ends_as_one_in_a_piece(tmp_path: Path) -> None:
    whole, total = run(tmp_path / "whole")
    parts = 0
    while True:
        part, sliced = run(tmp_path / "sliced", seconds=0.0)
        parts += 1
        if part.finished:
            break
    assert parts == 40
    assert part.loss == pytest.approx(whole.loss, abs=1e-7)
    assert sliced == pytest.approx(total, abs=1e-6)
    assert dict(part.scores) == pytest.approx(dict(whole.scores))
    lines = (tmp_path / "sliced" / "log.jsonl").read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == [r["step"] for r in whole.records]
    again, still = run(tmp_path / "sliced")
    assert again.finished and still == pytest.approx(sliced, abs=1e-6)


def test_killed_in_the_middle_and_run_again(tmp_path: Path) -> None:
    whole, total = run(tmp_path / "whole")
    folder = tmp_path / "killed"
    command = [sys.executable, str(PROGRAM), str(folder), "0.02"]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE)
    until = time.monotonic() + 60
    while len(list(folder.glob("step-*.json"))) == 0 or not _past(folder, 9):
        assert process.poll() is None and time.monotonic() < until, "it was to be killed in time"
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    again = subprocess.run(
        [*command[:-1], "0.0"],
        cwd=ROOT, env=environment, capture_output=True, text=True, check=True,
    )  # fmt: skip
    loss, parameters, best, step = (float(x) for x in again.stdout.split())
    assert loss == pytest.approx(whole.loss, abs=1e-5)
    assert parameters == pytest.approx(total, abs=1e-5)
    assert (best, step) == (pytest.approx(whole.best, abs=1e-5), whole.best_step)


def _past(folder: Path, step: int) -> bool:
    return any(int(path.stem.split("-")[1]) >= step for path in folder.glob("step-*.json"))


def test_a_checkpoint_cut_short_is_passed_over_for_the_one_before(tmp_path: Path) -> None:
    whole, total = run(tmp_path / "whole")
    folder = tmp_path / "cut"
    run(folder, seconds=0.0)
    (good,) = folder.glob("step-*.json")
    kept = {path: path.read_bytes() for path in folder.glob("step-*")}
    run(folder, seconds=0.0)
    for path, content in kept.items():
        path.write_bytes(content)
    newer = max(folder.glob("step-*.safetensors"))
    newer.write_bytes(newer.read_bytes()[:-10])
    assert newer.stem > good.stem
    part, found = run(folder)
    assert found == pytest.approx(total, abs=1e-6)
    assert part.loss == pytest.approx(whole.loss, abs=1e-7)


def test_another_runs_checkpoint_is_refused(tmp_path: Path) -> None:
    run(tmp_path, seconds=0.0)
    with pytest.raises(BadFile, match=r"for steps 40; expected steps 41; remove it") as caught:
        run(tmp_path, steps=41)
    assert "\n" not in str(caught.value)
    run(tmp_path, seconds=0.0)  # the run itself goes on


def test_the_best_parameters_are_kept_and_it_stops(tmp_path: Path) -> None:
    """Each step adds .1; the score is best at .5 and no better for two scores."""
    weight = torch.nn.Parameter(torch.tensor([0.0]))
    config = LoopConfig(
        100, learning_rate=0.1, weight_decay=0.0, warmup=0.0, schedule="constant",
        develop_every=1, patience=2,
    )  # fmt: skip
    history = fit(
        {"w": weight},
        lambda _: -weight.sum(),
        lambda n: n,
        config,
        tmp_path,
        develop=lambda: -abs(weight.item() - 0.5),
    )
    assert history.step == 7
    assert (history.best_step, history.finished) == (5, True)
    assert weight.item() == pytest.approx(0.5, abs=1e-4)


def test_a_loss_that_is_no_number_ends_the_run() -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    with pytest.raises(CelloquyError, match="the loss is nan at step 0; lower the learning rate"):
        fit({"w": weight}, lambda _: weight.sum() * math.nan, lambda n: n, LoopConfig(3))


def test_bad_configs_are_refused() -> None:
    with pytest.raises(BadInput, match="0 steps of 1 batches"):
        LoopConfig(0)
    with pytest.raises(BadInput, match="nothing to train"):
        fit({}, lambda _: torch.zeros(()), lambda n: n, LoopConfig(1))


def test_no_history_yet() -> None:
    assert History().scores == [] and not History().finished


def test_tensorboard_has_what_the_lines_have(tmp_path: Path) -> None:
    pytest.importorskip("tensorboard")
    run(tmp_path, steps=10, tensorboard=True)
    assert list((tmp_path / "tensorboard").glob("events.out.*"))


def test_bfloat16_is_near() -> None:
    plain, _ = run(None, steps=5)
    rounded, _ = run(None, steps=5, bfloat16=True)
    assert rounded.loss != plain.loss
    assert rounded.loss == pytest.approx(plain.loss, rel=0.1)


@pytest.mark.slow
def test_two_processes_train_as_one_on_twice_as_many_batches(tmp_path: Path) -> None:
    """Gradients are averaged: two processes of one batch a step are one of two batches a step."""
    program = tmp_path / "program.py"
    program.write_text(
        "import torch\n"
        "from training.loop import LoopConfig, fit\n"
        "from accelerate import PartialState\n"
        "state = PartialState(cpu=True)\n"
        "w = torch.nn.Parameter(torch.ones(3))\n"
        "def batch(n):\n"
        "    return torch.randn(4, 3, generator=torch.Generator().manual_seed(n))\n"
        "fit({'w': w}, lambda x: (x @ w - 1).pow(2).mean(), batch,\n"
        "    LoopConfig(6, learning_rate=.05, accumulation=2 // state.num_processes))\n"
        "print('weights', [round(float(v), 5) for v in w], flush=True)\n"
    )
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1"}
    found = []
    for launch in ([], ["-m", "torch.distributed.run", "--nproc-per-node", "2"]):
        done = subprocess.run(
            [sys.executable, *launch, str(program)],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
        )  # fmt: skip
        found += [line for line in done.stdout.splitlines() if line.startswith("weights")]
    assert len(found) == 3
    assert len(set(found)) == 1
