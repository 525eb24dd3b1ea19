"""What each visitor has: datasets, selections, jobs, a conversation; nobody sees another's.

A session is known by a random cookie that the server made; one that it did not make opens
nothing. Everything lies in a folder of the session's own, which goes when the session does.
"""

from __future__ import annotations

import secrets
import shutil
import tempfile
import threading
import time
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from agent.web.config import ServeConfig
from data.errors import BadInput, CelloquyError

if TYPE_CHECKING:
    from agent.conversation.chat import Conversation
    from agent.web.datasets import Dataset, Selection
    from agent.web.images import Image
    from agent.web.jobs import Job
    from kg.graph import KnowledgeGraph

__all__ = ["NotThere", "Session", "Sessions", "check_room"]

_KEPT_JOBS = 32  # that have ended

_Kept = TypeVar("_Kept")


class NotThere(CelloquyError, LookupError):
    """The session has nothing of that name."""


@dataclass(eq=False)
class Session:
    """One visitor's things."""

    id: str
    folder: Path
    config: ServeConfig
    used: float = field(default_factory=time.monotonic)
    datasets: dict[str, Dataset] = field(default_factory=dict)
    selections: dict[str, Selection] = field(default_factory=dict)
    images: dict[str, Image] = field(default_factory=dict)
    jobs: dict[str, Job] = field(default_factory=dict)
    asking: threading.Lock = field(default_factory=threading.Lock)

    @property
    def graph(self) -> str | None:
        """Where the graph is, as the server was told."""
        return self.config.graph

    @cached_property
    def conversation(self) -> Conversation:
        """The conversation, opened with the first question."""
        from agent.config import AskConfig
        from agent.conversation.chat import Conversation
        from agent.conversation.memory import Scratch
        from agent.lookup import open_graph
        from agent.qa import Agent

        graph: KnowledgeGraph = open_graph(self.graph)
        return Conversation(Agent(graph, AskConfig(knockouts=self.config.knockouts)), Scratch())

    def forget(self) -> None:
        """Begin the conversation anew."""
        if "conversation" in self.__dict__:
            self.conversation.forget()

    def dataset(self, id: str) -> Dataset:
        """One of its datasets.

        Raises
        ------
        NotThere
            When it has none of that id.
        """
        return _one(self.datasets, id, "dataset")

    def selection(self, id: str) -> Selection:
        """One of its selections."""
        return _one(self.selections, id, "selection")

    def image(self, id: str) -> Image:
        """One of its images."""
        return _one(self.images, id, "image")

    def job(self, id: str) -> Job:
        """One of its jobs."""
        return _one(self.jobs, id, "job")

    def add_job(self, job: Job) -> Job:
        """Keep a job, and forget the oldest that have ended."""
        ended = [one.id for one in self.jobs.values() if one.ended.is_set()]
        for old in ended[: max(0, len(self.jobs) - _KEPT_JOBS)]:
            self.jobs.pop(old, None)
        self.jobs[job.id] = job
        return job

    def remove(self, dataset: Dataset) -> None:
        """Let go of a dataset, its selections and its jobs."""
        self.datasets.pop(dataset.id, None)
        for one in [s.id for s in self.selections.values() if s.dataset == dataset.id]:
            self.selections.pop(one, None)
        for job in self.jobs.values():
            if job.dataset == dataset.id:
                job.cancel()
        dataset.close()

    def close(self) -> None:
        """Let go of everything."""
        for dataset in list(self.datasets.values()):
            self.remove(dataset)
        for job in self.jobs.values():
            job.cancel()
        shutil.rmtree(self.folder, ignore_errors=True)


def _one(kept: dict[str, _Kept], id: str, what: str) -> _Kept:
    found = kept.get(id)
    if found is None:
        raise NotThere(f"there is no {what} {id[:40]!r} in this session; it may have ended")
    return found


class Sessions:
    """All sessions of a server, in a folder that goes with it."""

    def __init__(self, config: ServeConfig) -> None:
        self.config = config
        self.folder = Path(tempfile.mkdtemp(prefix="celloquy-page-"))
        self._kept: OrderedDict[str, Session] = OrderedDict()
        self._lock = threading.Lock()

    def of(self, cookie: str) -> tuple[Session, bool]:
        """The session of a cookie, or a new one; says whether it is new."""
        with self._lock:
            self._sweep()
            found = self._kept.get(cookie)
            if found is not None:
                found.used = time.monotonic()
                self._kept.move_to_end(cookie)
                return found, False
            cookie = secrets.token_urlsafe(32)
            # The folder's name tells nothing of the cookie.
            folder = self.folder / secrets.token_hex(8)
            self._kept[cookie] = Session(cookie, folder, self.config)
            return self._kept[cookie], True

    def _sweep(self) -> None:
        """End sessions that were idle for long, and the one idle longest where there are many."""
        now = time.monotonic()
        while self._kept:
            oldest = next(iter(self._kept.values()))
            idle = now - oldest.used
            if idle < self.config.idle_seconds and len(self._kept) < self.config.most_sessions:
                return
            self._kept.popitem(last=False)[1].close()

    def __len__(self) -> int:
        return len(self._kept)

    def __iter__(self) -> Iterator[Session]:
        return iter(list(self._kept.values()))

    def close(self) -> None:
        """End all sessions and remove their files."""
        with self._lock:
            while self._kept:
                self._kept.popitem()[1].close()
        shutil.rmtree(self.folder, ignore_errors=True)


def check_room(session: Session, config: ServeConfig) -> None:
    """Refuse one dataset more than a session may have.

    Raises
    ------
    BadInput
        When it has the most already.
    """
    if len(session.datasets) >= config.most_datasets:
        raise BadInput(
            f"this session has {len(session.datasets)} datasets already; remove one first"
        )
