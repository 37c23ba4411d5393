"""Progress as messages, for a worker whose trials run in another process."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Any

from pareto_prune.core.progress import Progress

Say = Callable[..., None]
_SECONDS = 0.25


class ToldProgress:
    """A :class:`~pareto_prune.core.progress.Progress` that says everything to another process.

    Steps are told of a few times a second at most: a message costs more than some steps.

    Args:
        say: sends one message.
        clock: seconds, monotonic.
    """

    def __init__(self, say: Say, clock: Callable[[], float] = time.monotonic) -> None:
        self._say = say
        self._clock = clock
        self._steps = 0
        self._last = 0.0

    def stage(self, name: str, total: int | None = None) -> None:
        """Tell of it."""
        self._steps = 0
        self._say("stage", name, total)

    def advance(self, steps: int = 1) -> None:
        """Tell of it, together with later ones where the last was told a moment ago."""
        self._steps += steps
        if self._clock() - self._last >= _SECONDS:
            self._say("advance", self._steps)
            self._steps, self._last = 0, self._clock()

    def note(self, text: str) -> None:
        """Tell of it."""
        self._say("note", text)

    def quiet(self) -> None:
        """Tell of it."""
        self._say("quiet")


def tell(progress: Progress, message: Sequence[Any]) -> bool:
    """Tell a progress what a message says; return whether it was a message for it."""
    kind, *rest = message
    if kind not in ("stage", "advance", "note", "quiet"):
        return False
    getattr(progress, kind)(*rest)
    return True
