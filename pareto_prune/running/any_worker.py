"""A worker of all studies of a storage: each turn is at the one that has had least of its part.

::

    queue ─► those that fit ─► least used / priority first ─► seat ─► one turn ─► queue …
                                      │ no trial after all, or made ready elsewhere
                                      └► the next one; none: wait, until idle for long enough

A study that cannot be worked at here is set aside with its reason, and the others go on.
"""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass

from pareto_prune.core.errors import ParetoPruneError, StorageError
from pareto_prune.running.failures import failure_of
from pareto_prune.running.fit import Fit
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.run_study import is_flat
from pareto_prune.running.seats import Seats
from pareto_prune.running.worker import POLL_SECONDS, RARER
from pareto_prune.storage import Queued, Storage

NO_RISE = "the hypervolume does not rise any more"


@dataclass
class AnyWorker:
    """Takes turns at all studies of a storage that fit it.

    Attributes:
        storage: of the studies.
        seats: at the studies that it is ready for.
        fit: says which studies it can take trials of.
        stop: once set, the trial in hand is handed back and work ends.
        idle: seconds without a trial after which it ends; ``None`` for never.
        poll: seconds until the first look while waiting; each one that finds none doubles them.
    """

    storage: Storage
    seats: Seats
    fit: Fit
    stop: threading.Event
    idle: float | None = None
    poll: float = POLL_SECONDS

    def work(self) -> int:
        """Take turns until there was none for long; return how many trials were run.

        Raises:
            KeyboardInterrupt: SIGINT or SIGTERM came; the trial in hand was handed back.
            StorageError: the database failed, or was away for too long.
        """
        ran = 0
        with Interruptions() as interruptions:
            try:
                while self._found_one(interruptions):
                    ran += 1
            finally:
                self.seats.leave_all(interruptions)
        return ran

    def _found_one(self, interruptions: Interruptions) -> bool:
        """Run a trial, once there is one; return whether there was."""
        began, looks = time.monotonic(), 0
        while not self.stop.is_set():
            if self._turn(interruptions):
                return True
            if self.idle is not None and time.monotonic() - began >= self.idle:
                return False
            self.stop.wait(self.poll * min(2**looks, RARER))
            looks += 1
        return False

    def _turn(self, interruptions: Interruptions) -> bool:
        """Run a trial of the first study that has one; return whether there was one."""
        return any(self._took(queued, interruptions) for queued in in_turn(self.storage, self.fit))

    def _took(self, queued: Queued, interruptions: Interruptions) -> bool:
        """Run a trial of a study; what is wrong with it is its own business."""
        try:
            return self._ran(queued, interruptions)
        except StorageError:
            raise
        except Exception as error:  # whatever a study's model, data or device may raise
            self._set_aside(queued, _said(error), interruptions)
            return False

    def _ran(self, queued: Queued, interruptions: Interruptions) -> bool:
        seat = self.seats.at(queued.identity, interruptions)
        if seat is None:
            return False
        if is_flat(seat.turns.study):
            self._set_aside(queued, NO_RISE, interruptions)
            return False
        return seat.turns.take(interruptions)

    def _set_aside(self, queued: Queued, why: str, interruptions: Interruptions) -> None:
        self.fit.set_aside(queued, why)
        self.seats.leave(queued.identity, interruptions)


def in_turn(storage: Storage, fit: Fit) -> list[Queued]:
    """Return the studies that have a trial for a worker, the one that had least of its part first.

    A study's part of the workers' time goes by its priority, as with shares of a processor
    (Waldspurger and Weihl 1995, stride scheduling); what it had counts for an hour.
    """
    found = [queued for queued in storage.queue() if fit(queued)]
    if len(found) < 2:
        return found
    used = storage.used(found)

    def had(queued: Queued) -> tuple[float, float, str]:
        identity = queued.identity
        part = used[identity] / queued.config.limits.priority
        return part, identity.created, identity.name

    return sorted(found, key=had)


def _said(error: Exception) -> str:
    """Return what went wrong with a study, in one line."""
    if isinstance(error, ParetoPruneError):
        return "; ".join(str(error).splitlines())
    return failure_of(error).reason
