"""Renews a lease while something is done under it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from pareto_prune.core.errors import ParetoPruneError


class Keeper:
    """Renews a lease from a thread for the length of a ``with`` block.

    Args:
        renew: renews it once; returns whether it was still held.
        seconds: how long it lasts.

    Attributes:
        lost: set once the lease is somebody else's.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float) -> None:
        self.lost = threading.Event()
        self._held = renew
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def _renew(self) -> None:
        while not self._done.wait(self._seconds / 4):
            with suppress(ParetoPruneError):
                if not self._held():
                    self.lost.set()
                    return

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._done.set()
        self._thread.join(timeout=1.0)
