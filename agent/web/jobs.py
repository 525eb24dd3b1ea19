"""Work that takes a while: its progress, its end, and how to stop it.

Jobs run in a few threads, in the order in which they were started. Knows nothing of what they do.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, Literal

from data.errors import CelloquyError

__all__ = ["Cancelled", "Job", "Jobs", "State"]

State = Literal["waiting", "running", "done", "failed", "cancelled"]
SIDE_BY_SIDE = 2  # jobs at once: each uses several threads of its own


class Cancelled(Exception):
    """Raised inside a job whose user wants it no more."""


@dataclass
class Job:
    """One piece of work; ``done`` of ``total`` in the units of ``stage``.

    ``heard`` is called after every step.
    """

    kind: str
    dataset: str
    id: str = field(default_factory=lambda: secrets.token_urlsafe(9))
    state: State = "waiting"
    stage: str = ""
    done: int = 0
    total: int = 0
    error: str = ""
    result: Any = None
    heard: Callable[[], None] | None = None
    stopping: threading.Event = field(default_factory=threading.Event)
    ended: threading.Event = field(default_factory=threading.Event)

    def tell(self, done: int, total: int, stage: str = "") -> None:
        """Note the progress.

        Raises
        ------
        Cancelled
            When the job shall stop.
        """
        if self.stopping.is_set():
            raise Cancelled
        self.done, self.total = done, total
        self.stage = stage or self.stage
        if self.heard is not None:
            self.heard()

    def cancel(self) -> None:
        """Ask it to stop; it does at its next step."""
        self.stopping.set()

    def run(self, work: Callable[[Job], Any]) -> None:
        """Do the work and note how it ended."""
        try:
            self.tell(0, 0)
            self.state = "running"
            self.result = work(self)
            self.state = "done"
        except Cancelled:
            self.state = "cancelled"
        except CelloquyError as error:
            self.state, self.error = "failed", str(error)
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame
            self.state, self.error = "failed", f"it broke off: {type(error).__name__}: {error}"
        finally:
            self.ended.set()


class Jobs:
    """The threads that all sessions share."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="job")

    def start(self, job: Job, work: Callable[[Job], Any]) -> Job:
        """Put a job into the queue."""
        self._pool.submit(job.run, work)
        return job

    def close(self) -> None:
        """Stop taking jobs; those that run end by themselves."""
        self._pool.shutdown(wait=False, cancel_futures=True)
