"""A question of the page, as a stream: the stages while it is worked on, then the answer.

The stages are those of the agent's graph (:mod:`agent.qa`), told by LangChain's callbacks. Each
event is one of Server-Sent Events (https://html.spec.whatwg.org/multipage/server-sent-events.html).
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any

from data.errors import CelloquyError

if TYPE_CHECKING:
    from agent.answer import Answer

__all__ = ["STAGES", "Told", "stream", "watched"]

STAGES = ("routing", "evidence", "writing", "verifying", "answer")

_STAGE_OF = {
    "ground_": "routing",
    "route_": "routing",
    "retrieve_": "evidence",
    "write_": "writing",
    "rewrite_": "writing",
    "verify_": "verifying",
}
"""The stage of each node of the agent's graph."""

Tell = Callable[[str, str], None]


@dataclass(frozen=True, slots=True)
class Told:
    """One event: its kind and its document."""

    event: str
    data: dict[str, Any]

    def encoded(self) -> bytes:
        """The event as it is sent."""
        text = json.dumps(self.data, ensure_ascii=False, separators=(",", ":"))
        return f"event: {self.event}\ndata: {text}\n\n".encode()


@cache
def _listener() -> type[Any]:
    """The class that listens to LangGraph; made when first needed, for its import takes a while."""
    from langchain_core.callbacks import BaseCallbackHandler

    class Listener(BaseCallbackHandler):
        def __init__(self, tell: Tell) -> None:
            self.tell = tell
            self.names: dict[Any, str] = {}

        def on_chain_start(self, serialized: Any, inputs: Any, **more: Any) -> None:
            node = str(more.get("name") or "")
            if node in _STAGE_OF:
                self.names[more["run_id"]] = node
                self.tell(_STAGE_OF[node], "")

        def on_chain_end(self, outputs: Any, **more: Any) -> None:
            node = self.names.pop(more["run_id"], "")
            steps = outputs.get("steps") if node and isinstance(outputs, dict) else None
            if steps:
                self.tell(_STAGE_OF[node], " ".join(str(steps[-1].why).split())[:300])

    return Listener


def watched(work: Callable[[], Answer], tell: Tell) -> Answer:
    """Do ``work``, which asks the agent, and tell its stages."""
    from langchain_core.runnables.config import RunnableConfig, set_config_context

    with set_config_context(RunnableConfig(callbacks=[_listener()(tell)])) as context:
        answer: Answer = context.run(work)
        return answer


async def stream(work: Callable[[Tell], Answer]) -> AsyncIterator[bytes]:
    """Run ``work`` in a thread; give its stages and then its answer as they come."""
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Told | None] = asyncio.Queue()

    def put(told: Told | None) -> None:
        try:
            loop.call_soon_threadsafe(queue.put_nowait, told)
        except RuntimeError:
            return  # the server is closing: nobody listens any more

    def tell(stage: str, detail: str) -> None:
        put(Told("stage", {"stage": stage, "detail": detail}))

    def run() -> None:
        try:
            document = work(tell).to_json()
            tell("answer", "")
            put(Told("answer", document))
        except CelloquyError as error:
            put(Told("error", {"error": str(error)}))
        except Exception as error:  # noqa: BLE001 - a thread's outermost frame: said, not swallowed
            why = f"the answer broke off: {type(error).__name__}: {error}"
            put(Told("error", {"error": " ".join(why.split())}))
        finally:
            put(None)

    thread = threading.Thread(target=run, name="ask", daemon=True)
    thread.start()
    while (told := await queue.get()) is not None:
        yield told.encoded()
