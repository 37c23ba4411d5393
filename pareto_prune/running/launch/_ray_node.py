"""One worker on a node of a Ray cluster, and what it tells the run that started it.

::

    run (driver)                                  node
    Order as plain values ──────────────────────► Seat ── drive ──► child process with the trials
    news() ◄── began, stage, advance, event … ──    │
    stop() ───────────────────────────────────────► hands its trial back
           ◄── ended ───────────────────────────    ┘

Ray starts a seat again elsewhere when its node is lost; nothing of it is kept, and the trial it
had in hand comes back by its lease.
"""

from __future__ import annotations

import dataclasses
import os
import pickle
import queue
import socket
import sys
import threading
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.version import __version__
from pareto_prune.running.failures import FailureStreak, failure_of
from pareto_prune.running.launch import Job
from pareto_prune.running.launch._child_process import IsolatedTrials
from pareto_prune.running.launch._progress_messages import ToldProgress
from pareto_prune.running.launch._worker_with_child import drive
from pareto_prune.running.worker import default_name
from pareto_prune.running.worker_events import WorkerEvent
from pareto_prune.storage import Storage, open_storage

Message = tuple[Any, ...]
"""Its kind, and what belongs to it: ``began``, ``event``, ``ended``, or one of a progress."""

PATIENCE = 5.0
"""Seconds for which a question for news waits for some."""
_GATHER_SECONDS = 0.2


@dataclasses.dataclass(frozen=True)
class Order:
    """What a seat is to do, in values that need no code of ours to be read.

    Attributes:
        version: of this package, at the run.
        storage: URL, with its password.
        study: name of the study.
        code: ``prepare`` and ``space`` of the job, pickled by name.
        ends_at: seconds since the epoch after which no trial is begun, in the storage's time.
        lease_seconds: how long a worker may be silent.
        environment: variables of the child.
        index: of the worker in its run.
        folder: where the run was started; the worker goes there, where the node has it.
    """

    version: str
    storage: str
    study: str
    code: bytes
    ends_at: float | None
    lease_seconds: float
    environment: dict[str, str]
    index: int
    folder: str

    @classmethod
    def of(
        cls, job: Job, environment: Mapping[str, str], index: int, ends_at: float | None
    ) -> dict[str, Any]:
        """Return the order of one worker of a job, as plain values."""
        order = cls(
            version=__version__,
            storage=job.storage,
            study=job.study,
            code=pickle.dumps((job.prepare, job.space)),
            ends_at=ends_at,
            lease_seconds=job.lease_seconds,
            environment=dict(environment),
            index=index,
            folder=str(Path.cwd()),
        )
        return dataclasses.asdict(order)


class Seat:
    """Works on a study from its start on; asked for news, told to stop.

    Args:
        order: an :class:`Order` as plain values.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        self._said: queue.SimpleQueue[Message] = queue.SimpleQueue()
        self._stop = threading.Event()
        self._ended: Message | None = None
        threading.Thread(target=self._work, args=(order,), name="worker", daemon=True).start()

    def news(self) -> list[Message]:
        """Return what was said since the last call; wait a while where that is nothing.

        How it ended is said again and again: an answer may be lost on its way.
        """
        with suppress(queue.Empty):
            messages = [self._said.get(timeout=PATIENCE)]
            self._stop.wait(_GATHER_SECONDS)
            while not self._said.empty():
                messages.append(self._said.get())
            return messages
        return [] if self._ended is None else [self._ended]

    def stop(self) -> None:
        """Hand the trial in hand back, and end."""
        self._stop.set()

    def _say(self, *message: Any) -> None:
        self._said.put(message)

    def _event(self, event: WorkerEvent) -> None:
        """Tell of an event; an error's class may be one that only this node has."""
        self._say("event", dataclasses.replace(event, error=None))

    def _work(self, order: Mapping[str, Any]) -> None:
        host = socket.gethostname()
        self._say("began", host)
        try:
            self._drive(_checked(order))
            self._ended = ("ended", "done")
        except UserError as error:
            self._ended = ("ended", "refused", f"on {host}: {error}")
        except BaseException as error:
            failure = failure_of(error)
            self._ended = ("ended", "failed", failure.kind, f"{failure.reason} (on {host})")
        self._say(*self._ended)

    def _drive(self, order: Order) -> None:
        if Path(order.folder).is_dir():
            os.chdir(order.folder)
        storage = open_storage(order.storage, lease_seconds=order.lease_seconds)
        name = f"{default_name()}/{order.index}"
        # The run counts failures in a row, over all its workers.
        streak = FailureStreak(most=sys.maxsize)
        try:
            job = _job(order, _seconds_left(order, storage))
            progress = ToldProgress(self._say)
            trials = IsolatedTrials(job.prepare, order.environment, progress=progress)
            drive(storage, job, name, trials, self._event, self._stop, streak)
        finally:
            storage.close()


def _checked(order: Mapping[str, Any]) -> Order:
    if order["version"] != __version__:
        wrong = f"pareto-prune {__version__} here, {order['version']} where the run was started"
        raise UserError(Problem("", wrong, "allowed: one version on all nodes"))
    return Order(**order)


def _seconds_left(order: Order, storage: Storage) -> float | None:
    """Return what is left of the time limit; the clocks of hosts differ, that of the storage not.

    A worker may be started anew long after the run was.
    """
    if order.ends_at is None:
        return None
    return max(0.0, order.ends_at - storage.open_study(order.study).now)


def _job(order: Order, seconds_left: float | None) -> Job:
    """Return the job as it is on this node."""
    try:
        prepare, space = pickle.loads(order.code)
    except (ImportError, AttributeError) as error:
        wrong = f"what prepares a trial is not installed there: {error}"
        raise UserError(Problem("", wrong, "allowed: the same packages on all nodes")) from None
    return Job(
        storage=order.storage,
        study=order.study,
        prepare=prepare,
        space=space,
        time_limit=seconds_left,
        lease_seconds=order.lease_seconds,
    )
