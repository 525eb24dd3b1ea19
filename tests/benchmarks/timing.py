"""Medians side by side: the measure of every benchmark here.

Beside the time that passed stands the time that processors worked on it, of all threads and child
processes: on a machine that does other work too, the first says little.
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

REPEATS = 5  # of anything that takes long; what is fast is repeated over many inputs


class Taken(float):
    """Seconds that passed; ``cpu`` are those that processors worked."""

    cpu: float

    def __new__(cls, wall: float, cpu: float) -> Taken:
        made = super().__new__(cls, wall)
        made.cpu = cpu
        return made


def middle(taken: Sequence[tuple[float, float]]) -> Taken:
    """The medians of both."""
    walls, worked = zip(*taken, strict=True)
    return Taken(statistics.median(walls), statistics.median(worked))


@dataclass(frozen=True)
class Row:
    """One operation: ours and, where there is one, another tool's, in seconds."""

    what: str
    ours: float
    bar: float | None = None
    other: str = ""
    theirs: float | None = None


def clocks() -> tuple[float, float]:
    """Seconds on the wall, and those worked by this process and by its children that ended."""
    children = os.times()
    worked = time.process_time() + children.children_user + children.children_system
    return time.perf_counter(), worked


def once(call: Callable[[], object]) -> tuple[float, float]:
    """What one call takes on both clocks."""
    wall, worked = clocks()
    call()
    wall_after, worked_after = clocks()
    return wall_after - wall, worked_after - worked


def median(call: Callable[[], object], repeats: int = REPEATS) -> Taken:
    """Seconds of one call, the median of ``repeats``."""
    return middle([once(call) for _ in range(repeats)])


def median_over(call: Callable[..., object], inputs: Sequence[object]) -> Taken:
    """Seconds of one call, the median over ``inputs``; a tuple is given as arguments.

    The processors' clock is read once for all: it takes longer to read than some of the calls.
    """
    taken = []
    worked = time.process_time()
    for one in inputs:
        arguments = one if isinstance(one, tuple) else (one,)
        start = time.perf_counter()
        call(*arguments)
        taken.append(time.perf_counter() - start)
    worked = (time.process_time() - worked) / len(inputs)
    return Taken(statistics.median(taken), worked)


def process(arguments: Sequence[str], repeats: int = REPEATS) -> Taken:
    """Seconds of a whole process, the median of ``repeats``."""

    def run() -> None:
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return median(run, repeats)


def inside(code: str, repeats: int = REPEATS) -> Taken:
    """Seconds that a fresh interpreter takes for ``code``, imports included; median."""
    timed = (
        f"import time\nstart = time.perf_counter(), time.process_time()\n{code}\n"
        "print(time.perf_counter() - start[0], time.process_time() - start[1])"
    )
    taken = []
    for _ in range(repeats):
        said = subprocess.check_output([sys.executable, "-c", timed], text=True).split()
        taken.append((float(said[-2]), float(said[-1])))
    return middle(taken)


def unit(seconds: float) -> str:
    """``4.2 us``, ``11 ms``, ``3.4 s``."""
    for factor, name in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 1000 * factor:
            return f"{seconds / factor:.3g} {name}"
    return f"{seconds:.3g} s"


def report(rows: Sequence[Row]) -> int:
    """Print the table; returns how many bars were missed.

    A bar that the processors' time is within is not counted as missed on a machine that has more
    to do than it has processors; it is marked ``busy``.
    """
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    crowded = load > (os.cpu_count() or 1)
    print(f"{os.cpu_count()} cores, {platform.machine()}, load {load:.1f} at the end; medians")
    print(
        f"{'operation':46} {'ours':>9} {'cpu':>9} {'bar':>9}      {'beside':34} {'theirs':>9} "
        f"{'cpu':>9} {'ratio':>9}"
    )
    missed = 0
    for row in rows:
        mark = _mark(row, crowded)
        missed += mark == "MISS"
        bar = unit(row.bar) if row.bar is not None else ""
        theirs = unit(row.theirs) if row.theirs is not None else ""
        ratio = f"{row.theirs / row.ours:,.1f} x" if row.theirs is not None else ""
        print(
            f"{row.what:46} {unit(row.ours):>9} {_cpu(row.ours):>9} {bar:>9} {mark:4} "
            f"{row.other:34} {theirs:>9} {_cpu(row.theirs):>9} {ratio:>9}".rstrip()
        )
    return missed


def _mark(row: Row, crowded: bool) -> str:
    if row.bar is None:
        return ""
    if row.ours <= row.bar:
        return "met"
    return "busy" if crowded and getattr(row.ours, "cpu", row.ours) <= row.bar else "MISS"


def _cpu(taken: float | None) -> str:
    return unit(taken.cpu) if isinstance(taken, Taken) else ""
