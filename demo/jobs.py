"""Jobs that stop computing when nobody waits for them any more."""

import asyncio
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")
Check = Callable[[], None]


class JobStoppedError(Exception):
    """Raised inside a job by its check once the job is no longer wanted."""


class Jobs:
    """Runs blocking work in threads, a job a session at a time, and stops it on request.

    Gradio's own cancelling gives up waiting, but lets the thread compute on, and it does not notice a closed page.
    """

    def __init__(self) -> None:
        self._stops: dict[str, threading.Event] = {}

    async def run(self, session: str, work: Callable[[Check], T]) -> T:
        """The value of work(check), where the work calls check() often.

        When this coroutine is cancelled or `stop` is called, the next check() raises JobStoppedError. A cancelled
        coroutine ends only after the thread has, so that whoever allows one job at a time gets one computation.
        """
        stop = threading.Event()

        def check() -> None:
            if stop.is_set():
                raise JobStoppedError

        self._stops[session] = stop
        thread = asyncio.ensure_future(asyncio.to_thread(work, check))
        try:
            return await asyncio.shield(thread)
        except asyncio.CancelledError:
            stop.set()
            await asyncio.wait([thread])
            thread.exception()  # looked at, so that asyncio does not complain that nobody did
            raise
        finally:
            self._stops.pop(session, None)

    def stop(self, session: str) -> None:
        """Stop the session's job, if it has one."""
        stop = self._stops.get(session)
        if stop:
            stop.set()
