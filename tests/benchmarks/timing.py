"""Medians side by side: the measure of every benchmark here."""

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


@dataclass(frozen=True)
class Row:
    """One operation: ours and, where there is one, another tool's, in seconds."""

    what: str
    ours: float
    bar: float | None = None
    other: str = ""
    theirs: float | None = None


def median(call: Callable[[], object], repeats: int = REPEATS) -> float:
    """Seconds of one call, the median of ``repeats``."""
    taken = []
    for _ in range(repeats):
        start = time.perf_counter()
        call()
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def median_over(call: Callable[..., object], inputs: Sequence[object]) -> float:
    """Seconds of one call, the median over ``inputs``; a tuple is given as arguments."""
    taken = []
    for one in inputs:
        arguments = one if isinstance(one, tuple) else (one,)
        start = time.perf_counter()
        call(*arguments)
        taken.append(time.perf_counter() - start)
    return statistics.median(taken)


def process(arguments: Sequence[str], repeats: int = REPEATS) -> float:
    """Seconds of a whole process, the median of ``repeats``."""

    def run() -> None:
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    return median(run, repeats)


def inside(code: str, repeats: int = REPEATS) -> float:
    """Seconds that a fresh interpreter takes for ``code``, imports included; median."""
    timed = f"import time\nstart = time.perf_counter()\n{code}\nprint(time.perf_counter() - start)"
    taken = [
        float(subprocess.check_output([sys.executable, "-c", timed], text=True).split()[-1])
        for _ in range(repeats)
    ]
    return statistics.median(taken)


def unit(seconds: float) -> str:
    """``4.2 us``, ``11 ms``, ``3.4 s``."""
    for factor, name in ((1e-6, "us"), (1e-3, "ms")):
        if seconds < 1000 * factor:
            return f"{seconds / factor:.3g} {name}"
    return f"{seconds:.3g} s"


def report(rows: Sequence[Row]) -> int:
    """Print the table; returns how many bars were missed."""
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else 0.0
    print(f"{os.cpu_count()} cores, {platform.machine()}, load {load:.1f} at the end; medians")
    print(f"{'operation':46} {'ours':>9} {'bar':>9}      {'beside':34} {'theirs':>9} {'ratio':>9}")
    missed = 0
    for row in rows:
        good = row.bar is None or row.ours <= row.bar
        missed += not good
        bar = unit(row.bar) if row.bar is not None else ""
        mark = "" if row.bar is None else "met" if good else "MISS"
        theirs = unit(row.theirs) if row.theirs is not None else ""
        ratio = f"{row.theirs / row.ours:,.1f} x" if row.theirs is not None else ""
        print(
            f"{row.what:46} {unit(row.ours):>9} {bar:>9} {mark:4} {row.other:34} "
            f"{theirs:>9} {ratio:>9}"
        )
    return missed
