"""The process that looks at a file first: with little memory, and nothing to lose.

``python -m agent.web.worker prepare|layout|picture FILE FOLDER BYTES [VALUES]`` prints one JSON
document a line: progress, then ``{"ok": true}`` or ``{"error": ...}``. What kills it leaves the
server alone.
"""

from __future__ import annotations

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from data.errors import BadFile, CelloquyError

__all__ = ["main", "run"]

LONGEST = 3_600.0
"""Seconds of one task: a picture of a million cells takes some minutes."""

_LOOK = 0.3  # seconds between two looks at whether it shall end

Tell = Callable[[int, int, str], None]


def run(
    task: str,
    source: Path,
    folder: Path,
    most_bytes: int,
    tell: Tell | None = None,
    *,
    seconds: float = LONGEST,
    stopping: threading.Event | None = None,
    more: Sequence[str] = (),
) -> None:
    """Do a task in a process of its own.

    Parameters
    ----------
    task
        ``prepare``, ``layout`` or ``picture``.
    source, folder, most_bytes
        The file, where results go, and the process's address space.
    tell
        Is told the progress.
    seconds, stopping
        The process is ended after so many seconds, or when the event is set.
    more
        What else the task is told.

    Raises
    ------
    BadFile
        When the file is refused, or the process came to harm on it.
    """
    command = [sys.executable, "-P", "-m", "agent.web.worker"]
    command += [task, str(source), str(folder), str(most_bytes), *more]
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        text=True,
    ) as process:  # fmt: skip
        assert process.stdout is not None
        last: dict[str, Any] = {}
        ended = threading.Event()
        watch = threading.Thread(
            target=_watch, args=(process, ended, stopping, seconds), daemon=True
        )
        watch.start()
        try:
            for line in process.stdout:
                last = json.loads(line)
                if tell is not None and "stage" in last:
                    tell(last["done"], last["total"], last["stage"])
        except BaseException:  # cancelled, or nonsense was printed
            process.kill()
            raise
        finally:
            ended.set()
            watch.join()
    if last.get("ok"):
        return
    why = last.get("error") or f"the process that read it ended with code {process.returncode}"
    raise BadFile(why)


def _watch(
    process: subprocess.Popen[str],
    ended: threading.Event,
    stopping: threading.Event | None,
    seconds: float,
) -> None:
    latest = time.monotonic() + seconds
    while not ended.wait(min(_LOOK, seconds)):
        if time.monotonic() >= latest or (stopping is not None and stopping.is_set()):
            process.kill()
            return


def main(arguments: Sequence[str]) -> int:
    """Run one task."""
    task, source, folder, most_bytes, *more = arguments
    _limit(int(most_bytes))
    try:
        if task == "prepare":
            from agent.web.preparing import prepare

            prepare(Path(source), Path(folder))
        elif task == "picture":
            from agent.web.picturing import prepare_picture

            prepare_picture(Path(source), Path(folder), int(more[0]))
        else:
            _layout(Path(source), Path(folder))
    except CelloquyError as error:
        _say({"error": str(error)})
        return error.exit_code
    except MemoryError:
        _say({"error": f"{source} needs more than {int(most_bytes) >> 20:,} MB to be looked at"})
        return 2
    _say({"ok": True})
    return 0


def _layout(source: Path, folder: Path) -> None:
    from agent.web.layout import umap
    from data.h5ad import open_cells

    def tell(done: int, total: int, stage: str) -> None:
        _say({"done": done, "total": total, "stage": stage})

    with open_cells(source) as cells:
        part = folder / "xy.part"
        umap(cells, tell).astype("<f4").tofile(part)
        part.replace(folder / "xy.f32")


def _say(document: dict[str, Any]) -> None:
    sys.stdout.write(json.dumps(document) + "\n")
    sys.stdout.flush()


def _limit(most_bytes: int) -> None:
    try:
        import resource
    except ImportError:
        return  # no such limits on this system
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    most = most_bytes if hard == resource.RLIM_INFINITY else min(most_bytes, hard)
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
