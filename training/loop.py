"""One training loop for everything that is trained here.

:func:`fit` takes parameters by name, a function from a batch to its loss and one from a number to
a batch, and knows nothing else of what is trained. Learning rate with warm-up and schedule,
accumulation, clipping, early stopping on a development score, a bar with an estimate, JSON lines
and TensorBoard logs.

A run that is killed goes on where its last checkpoint was taken and ends with the same numbers as
one that was not: a checkpoint holds parameters, the optimiser's moments, the best parameters so
far and the number of the step, in safetensors and JSON; the batch and the random numbers of a step
follow from the seed and that number alone.

With several processes (``accelerate launch``) each takes every n-th batch and gradients are
averaged; the first one writes.
"""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

import torch

from data.errors import BadFile, BadInput, CelloquyError, DependencyMissing
from data.progress import bar
from encoders import checkpoint

__all__ = ["History", "LoopConfig", "fit", "rate"]

Schedule = Literal["cosine", "linear", "constant"]

_VERSION = 1
_STATE = "step"


@dataclass(frozen=True, slots=True)
class LoopConfig:
    """How long, how fast, and when to stop.

    The defaults are BioVERSE's where it states them (AdamW, 2e-5) and CellWhisperer's warm-up.

    Parameters
    ----------
    steps
        Of the optimiser.
    learning_rate, weight_decay
        Of AdamW.
    warmup
        Share of the steps over which the rate rises.
    schedule
        How it falls afterwards, to 0: ``cosine``, ``linear``, or not at all.
    accumulation
        Batches a step.
    clip
        The largest norm of all gradients together; None for no limit.
    bfloat16
        Multiply in bfloat16 (autocast). It pays for large layers on processors that have it; what
        is small, or frozen and loaded so, gains nothing.
    seed
        Of dropout and whatever else the step draws.
    save_every, develop_every, log_every
        Steps between checkpoints, development scores, and lines of the log; 0 for none.
    patience
        Development scores without a better one before it stops; 0 to go on.
    tensorboard
        Also write TensorBoard's log.
    threads
        Of the processor; None for torch's own choice. For small layers one is fastest, and on a
        busy machine by far: two that wait for each other took 300 times as long.
    """

    steps: int
    learning_rate: float = 2e-5
    weight_decay: float = 0.01
    warmup: float = 0.03
    schedule: Schedule = "cosine"
    accumulation: int = 1
    clip: float | None = 1.0
    bfloat16: bool = False
    seed: int = 0
    save_every: int = 0
    develop_every: int = 0
    log_every: int = 10
    patience: int = 0
    tensorboard: bool = False
    threads: int | None = None

    def __post_init__(self) -> None:
        if self.steps < 1 or self.accumulation < 1 or not self.learning_rate > 0:
            raise BadInput(
                f"{self.steps} steps of {self.accumulation} batches at the rate "
                f"{self.learning_rate}; expected at least 1 and a rate above 0"
            )


@dataclass
class History:
    """What happened: one record a logged step, and where the best development score was.

    ``finished`` is False where the time ran out first; ``loss`` is that of the last step.
    """

    step: int = 0
    loss: float = math.nan
    records: list[dict[str, float]] = field(default_factory=list)
    best: float = -math.inf
    best_step: int = 0
    worse: int = 0
    seconds: float = 0.0
    finished: bool = False

    @property
    def scores(self) -> list[tuple[int, float]]:
        """Development scores by step."""
        return [(int(r["step"]), r["score"]) for r in self.records if "score" in r]


def rate(step: int, config: LoopConfig) -> float:
    """The share of the learning rate at a step, counted from 0.

    >>> [round(rate(s, LoopConfig(10, warmup=0.2, schedule="linear")), 3) for s in (0, 1, 2, 6)]
    [0.5, 1.0, 1.0, 0.5]
    """
    warm = round(config.warmup * config.steps)
    if step < warm:
        return (step + 1) / warm
    if config.schedule == "constant":
        return 1.0
    done = (step - warm) / max(1, config.steps - warm)
    return 1.0 - done if config.schedule == "linear" else 0.5 * (1.0 + math.cos(math.pi * done))


def fit(
    parameters: Mapping[str, torch.nn.Parameter],
    step: Callable[[Any], torch.Tensor],
    batches: Callable[[int], Any],
    config: LoopConfig,
    folder: Path | None = None,
    *,
    develop: Callable[[], float] | None = None,
    about: Mapping[str, Any] | None = None,
    seconds: float | None = None,
    show: bool = False,
) -> History:
    """Train; where the folder holds a checkpoint of the same run, go on from there.

    Parameters
    ----------
    parameters
        What is trained, by a name of its own. At the end they are those of the best development
        score, or the last ones where there is none.
    step
        A batch to its loss.
    batches
        The batch of a number, counted from 0; the same number gives the same batch.
    config
        The run.
    folder
        Of checkpoints and logs; None to keep nothing.
    develop
        The development score, higher is better.
    about
        What else makes two runs the same (data, model), compared when going on.
    seconds
        Stop, with a checkpoint, after so long; the next call goes on.
    show
        A bar on stderr.

    Raises
    ------
    BadFile
        When the folder holds a checkpoint of another run.
    CelloquyError
        When the loss is no number.
    """
    return _Run(parameters, step, batches, config, folder, develop, about).go(seconds, show)


class _Run:
    """The state of one call of :func:`fit`."""

    def __init__(
        self,
        parameters: Mapping[str, torch.nn.Parameter],
        step: Callable[[Any], torch.Tensor],
        batches: Callable[[int], Any],
        config: LoopConfig,
        folder: Path | None,
        develop: Callable[[], float] | None,
        about: Mapping[str, Any] | None,
    ) -> None:
        from accelerate import PartialState

        if not parameters:
            raise BadInput("there is nothing to train; expected at least one parameter")
        self.parameters = dict(parameters)
        self.step, self.batches, self.develop = step, batches, develop
        self.config, self.folder = config, folder
        self.state = PartialState()
        self.document = {
            "version": _VERSION,
            "loop": {k: v for k, v in asdict(config).items() if k not in _FREE},
            "about": json.loads(json.dumps(dict(about or {}))),
        }
        self.optimizer = torch.optim.AdamW(
            list(self.parameters.values()),
            lr=config.learning_rate,
            weight_decay=config.weight_decay,
        )
        self.history = History()
        self.best: dict[str, torch.Tensor] = {}
        self.log: Any = None

    def go(self, seconds: float | None, show: bool) -> History:
        with _threads(self.config.threads):
            return self._go(seconds, show)

    def _go(self, seconds: float | None, show: bool) -> History:
        before = self._resume()
        started = time.monotonic()
        history, config = self.history, self.config
        writer = self.state.is_main_process and self.folder is not None
        self.log = _tensorboard(self.folder) if writer and config.tensorboard else None
        with bar("training", config.steps, show=show, done=history.step, unit="step") as shown:
            while not self._over():
                self._one()
                history.seconds = before + time.monotonic() - started
                self._after()
                shown.update(1)
                shown.set_postfix(loss=f"{history.loss:.4f}")
                if seconds is not None and time.monotonic() - started > seconds:
                    break
        history.finished = self._over()
        if writer:
            self._save()
        if self.log is not None:
            self.log.close()
        if history.finished and self.best:
            _copy(self.best, self.parameters)
        return history

    def _over(self) -> bool:
        tired = 0 < self.config.patience <= self.history.worse
        return tired or self.history.step >= self.config.steps

    def _one(self) -> None:
        """One step of the optimiser."""
        config, number = self.config, self.history.step
        # The random numbers of a step follow from its number: nothing of them need be kept.
        torch.manual_seed((config.seed * 1_000_003 + number) * 64 + self.state.process_index)
        for group in self.optimizer.param_groups:
            group["lr"] = config.learning_rate * rate(number, config)
        self.optimizer.zero_grad(set_to_none=True)
        total = 0.0
        for part in range(config.accumulation):
            place = (number * config.accumulation + part) * self.state.num_processes
            batch = self.batches(place + self.state.process_index)
            kind = self.state.device.type
            with torch.autocast(kind, torch.bfloat16, enabled=config.bfloat16):
                loss = self.step(batch) / config.accumulation
            if loss.requires_grad:  # a step through GradCache has gone backward already
                loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        if not math.isfinite(total):
            raise CelloquyError(
                f"the loss is {total} at step {number}; lower the learning rate "
                f"({config.learning_rate}) or look at the data of that batch"
            )
        self._share_gradients()
        if config.clip is not None:
            torch.nn.utils.clip_grad_norm_(list(self.parameters.values()), config.clip)
        self.optimizer.step()
        self.history.step, self.history.loss = number + 1, total

    def _share_gradients(self) -> None:
        """The mean over all processes; parameters are few, so that this is all they need say."""
        if self.state.num_processes > 1:
            from accelerate.utils import reduce

            for parameter in self.parameters.values():
                if parameter.grad is not None:
                    parameter.grad.copy_(reduce(parameter.grad, "mean"))

    def _after(self) -> None:
        """Score, log and save, each when it is due."""
        history, config = self.history, self.config
        last = history.step == config.steps
        record = {"step": float(history.step), "loss": history.loss, "seconds": history.seconds}
        scored = self.develop is not None and _due(history.step, config.develop_every, last)
        if scored:
            record["score"] = self._score()
        if scored or _due(history.step, config.log_every, last):
            record["rate"] = self.optimizer.param_groups[0]["lr"]
            history.records.append(record)
            self._write(record)
        if config.save_every and history.step % config.save_every == 0:
            self._save()

    def _score(self) -> float:
        assert self.develop is not None
        with torch.no_grad():
            score = float(self.develop())
        if score > self.history.best:
            self.history.best, self.history.best_step = score, self.history.step
            self.history.worse = 0
            self.best = {name: p.detach().clone() for name, p in self.parameters.items()}
        else:
            self.history.worse += 1
        return score

    # --- what is kept --------------------------------------------------------------------------

    def _write(self, record: Mapping[str, float]) -> None:
        if self.folder is None or not self.state.is_main_process:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "log.jsonl").open("a", encoding="utf-8") as handle:
            handle.write(json.dumps(record) + "\n")
        if self.log is not None:
            for name in record.keys() - {"step"}:
                self.log.add_scalar(name, record[name], int(record["step"]))

    def _save(self) -> None:
        if self.folder is None or not self.state.is_main_process:
            return
        tensors = {f"parameter.{name}": p.detach() for name, p in self.parameters.items()}
        tensors |= {f"best.{name}": tensor for name, tensor in self.best.items()}
        for name, parameter in self.parameters.items():
            for key, value in self.optimizer.state.get(parameter, {}).items():
                tensors[f"optimizer.{key}.{name}"] = torch.as_tensor(value)
        history = asdict(self.history) | {"best": _plain(self.history.best)}
        name = f"{_STATE}-{self.history.step:09d}"
        checkpoint.save(self.folder, name, tensors, {**self.document, "history": history})
        for old in self.folder.glob(f"{_STATE}-*"):
            if old.stem != name:
                old.unlink()

    def _resume(self) -> float:
        """Take up the newest whole checkpoint; returns the seconds it took to get there."""
        found = self._newest()
        if found is None:
            self._rewrite_log()
            return 0.0
        tensors, document = found
        where = f"the checkpoint in {self.folder}"
        to_do = "remove it, or name another folder"
        for key in ("loop", "about"):
            checkpoint.expect(document.get(key, {}), self.document[key], where, to_do)
        past = document["history"]
        past["best"] = -math.inf if past["best"] is None else past["best"]
        self.history = History(**past)
        _copy(_named("parameter.", tensors), self.parameters)
        self.best = {
            name: tensor.to(self.parameters[name].device)
            for name, tensor in _named("best.", tensors).items()
        }
        for name, parameter in self.parameters.items():
            state = {
                key: tensors[f"optimizer.{key}.{name}"]
                for key in ("step", "exp_avg", "exp_avg_sq")
                if f"optimizer.{key}.{name}" in tensors
            }
            if state:
                self.optimizer.state[parameter] = {
                    key: value if key == "step" else value.to(parameter.device)
                    for key, value in state.items()
                }
        self._rewrite_log()
        return self.history.seconds

    def _newest(self) -> tuple[dict[str, torch.Tensor], dict[str, Any]] | None:
        """A sudden end may leave a pair half written: then the one before is there as well."""
        paths = sorted(self.folder.glob(f"{_STATE}-*.json"), reverse=True) if self.folder else []
        damaged = None
        for path in paths:
            try:
                return checkpoint.load(path.parent, path.stem)
            except BadFile as error:
                damaged = error
        if damaged is not None:
            raise damaged
        return None

    def _rewrite_log(self) -> None:
        """Drop the lines of steps that will be done again."""
        if self.folder is None or not self.state.is_main_process:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        lines = [json.dumps(record) + "\n" for record in self.history.records]
        (self.folder / "log.jsonl").write_text("".join(lines), encoding="utf-8")


# How often something is written changes no number.
_FREE = frozenset({"save_every", "log_every", "tensorboard", "threads"})


@contextmanager
def _threads(number: int | None) -> Iterator[None]:
    """So many threads for a while."""
    before = torch.get_num_threads()
    torch.set_num_threads(number or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def _due(step: int, every: int, last: bool) -> bool:
    return every > 0 and (step % every == 0 or last)


def _plain(value: float) -> float | None:
    """JSON has no infinity."""
    return value if math.isfinite(value) else None


def _named(prefix: str, tensors: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {k.removeprefix(prefix): t for k, t in tensors.items() if k.startswith(prefix)}


def _copy(source: Mapping[str, torch.Tensor], target: Mapping[str, torch.nn.Parameter]) -> None:
    """Put tensors into the parameters of the same names.

    Raises
    ------
    BadFile
        When names or shapes differ.
    """
    shapes = {name: list(tensor.shape) for name, tensor in source.items()}
    expected = {name: list(parameter.shape) for name, parameter in target.items()}
    if shapes != expected:
        raise BadFile(f"the checkpoint holds parameters {shapes}; expected {expected}")
    with torch.no_grad():
        for name, tensor in source.items():
            target[name].copy_(tensor)


def _tensorboard(folder: Path | None) -> Any:
    try:
        from torch.utils.tensorboard import SummaryWriter
    except ImportError as error:
        raise DependencyMissing(
            "the TensorBoard log needs tensorboard; install it with: pip install tensorboard"
        ) from error
    assert folder is not None
    return SummaryWriter(str(folder / "tensorboard"))
