"""What a worker tells whoever watches."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from pareto_prune.core.records import Rung, Trial, TrialResult

EventKind = Literal["claimed", "rung", "told", "failed", "lost", "handed_back", "waiting", "paused"]


@dataclass(frozen=True)
class WorkerEvent:
    """What a worker tells whoever watches.

    Attributes:
        kind: what happened.
        worker: name of the worker.
        trial: the trial; ``None`` while it waits for one, or the study is paused.
        result: of a trial that ended.
        rung: that was reported.
        error: what a failed trial raised.
    """

    kind: EventKind
    worker: str
    trial: Trial | None = None
    result: TrialResult | None = None
    rung: Rung | None = None
    error: BaseException | None = None


OnEvent = Callable[[WorkerEvent], None]


def one_at_a_time(on_event: OnEvent, lock: threading.Lock) -> OnEvent:
    """Return what tells of one event at a time, whatever else is told under the lock."""

    def say(event: WorkerEvent) -> None:
        with lock:
            on_event(event)

    return say
