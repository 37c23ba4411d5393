"""Whether the storage answers: asked by anybody, so it must not cost what others wait for."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

PATIENCE_SECONDS = 2.0
"""How long a request waits for the storage."""
FRESH_SECONDS = 1.0
"""How long an answer holds for those who ask next."""


class Health:
    """Asks the storage once for all who want to know, in a thread of its own.

    Args:
        answers: whether the storage answers; may block.
        clock: seconds, monotonic.
    """

    def __init__(
        self, answers: Callable[[], bool], clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._answers = answers
        self._clock = clock
        self._probe: Future[bool] | None = None
        self._began = 0.0

    async def respond(self, _: Request) -> Response:
        """Say whether the storage answers; nothing else, since nobody has logged in."""
        probe = asyncio.wrap_future(self._latest())
        done, _pending = await asyncio.wait([probe], timeout=PATIENCE_SECONDS)
        if done and probe.result():
            return JSONResponse({"status": "ok"})
        return JSONResponse({"status": "the storage does not answer"}, 503)

    def _latest(self) -> Future[bool]:
        """Return the probe under way, or one that has just ended; else begin one."""
        now = self._clock()
        stale = self._probe is None or (self._probe.done() and now - self._began > FRESH_SECONDS)
        if self._probe is None or stale:
            self._began, self._probe = now, _begun(self._answers)
        return self._probe


def _begun(work: Callable[[], bool]) -> Future[bool]:
    """Begin in a thread that no exit waits for."""
    future: Future[bool] = Future()
    future.set_running_or_notify_cancel()  # from here on, whoever goes cancels nothing

    def act() -> None:
        try:
            future.set_result(work())
        except Exception:  # whatever it is, the storage has not answered
            future.set_result(False)

    threading.Thread(target=act, name="health", daemon=True).start()
    return future
