"""Renews a lease while something is done under it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self

from pareto_prune.core.errors import UserError


class Keeper:
    """Renews a lease from a thread for the length of a ``with`` block.

    Args:
        renew: renews it once; returns whether it was still held.
        seconds: how long it lasts.

    Attributes:
        lost: set once the lease is somebody else's, or the study is gone.
    """

    def __init__(self, renew: Callable[[], bool], seconds: float) -> None:
        self.lost = threading.Event()
        self._held = renew
        self._seconds = seconds
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._renew, name="lease", daemon=True)

    def _renew(self) -> None:
        while not self._done.wait(self._seconds / 4):
            if not self._renewed():
                self.lost.set()
                return

    def _renewed(self) -> bool:
        """Renew the lease; what goes wrong with that may have passed at the next time."""
        try:
            return self._held()
        except UserError:
            return False
        except Exception:  # the thread must not die in silence, whatever a database driver raises
            return True

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
