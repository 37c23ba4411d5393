"""The workers of a run on a Ray cluster, as the run sees them."""

from __future__ import annotations

import math
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import Any

from pareto_prune.core.errors import ParetoPruneError, Problem, TrialError, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import TrialState, finished_of
from pareto_prune.running.failures import FailureStreak
from pareto_prune.running.launch import Job
from pareto_prune.running.launch._joint_progress import Crew
from pareto_prune.running.launch._progress_messages import tell
from pareto_prune.running.launch._ray_cluster import Share, imported
from pareto_prune.running.launch._ray_node import Message, Order
from pareto_prune.running.worker_events import OnEvent, WorkerEvent
from pareto_prune.storage import StoredStudy

_STEP_SECONDS = 0.5
_AGAIN_SECONDS = 1.0
_DEATHS = 10
_LOOK_SECONDS = 2.0
_GRACE_SECONDS = 30.0
_ROOM_SECONDS = 20.0


@dataclass
class Remote:
    """One worker as the run sees it.

    Attributes:
        actor: Ray's handle of it.
        progress: its part of what is shown.
        began: whether it was ever placed.
        lost: whether it did not answer when it was last asked.
        deaths: answers in a row that it was dead instead.
        ask_at: when to ask it again, while it is being started again.
    """

    actor: Any
    progress: Progress
    began: bool = False
    lost: bool = False
    deaths: int = 0
    ask_at: float | None = None


class Remotes:
    """The workers of a run, wherever Ray has put them.

    Args:
        job: what they do.
        ends_at: when no trial is begun any more, in the storage's time; ``None`` for never.
        share: what each one has.
        options: how Ray places them.
        on_event: told what they do, in the thread that calls :meth:`run`.
    """

    def __init__(
        self,
        job: Job,
        ends_at: float | None,
        share: Share,
        options: dict[str, Any],
        on_event: OnEvent,
    ) -> None:
        self._ray = imported()
        self._job = job
        self._share = share
        self._on_event = on_event
        self._streak = FailureStreak()
        actor = self._ray.remote(_actor()).options(**options)
        crew = Crew(job.progress, share.workers)
        self._all = [
            Remote(actor.remote(Order.of(job, share.environment, index, ends_at)), crew.member())
            for index in range(share.workers)
        ]
        self._asked: dict[Any, Remote] = {}
        for remote in self._all:
            self._ask(remote)

    def run(self, study: StoredStudy, stop: threading.Event) -> None:
        """Hear the workers until all have ended, the study is over, or ``stop`` is set.

        Raises:
            ParetoPruneError: what one of them met.
        """
        self._streak = FailureStreak.after(study.read().trials)
        room = look = time.monotonic()
        while self._at_work() and not stop.is_set():
            self._hear()
            now = time.monotonic()
            if now > look + _LOOK_SECONDS:
                look = now
                if self._over(study):
                    self._hear_out()
                    return
            if now > room + _ROOM_SECONDS:
                room = math.inf
                self._note_waiting()

    def end(self) -> None:
        """Have trials in hand handed back, and leave no worker."""
        until = time.monotonic() + _GRACE_SECONDS
        try:
            while self._asked and time.monotonic() < until:
                with suppress(ParetoPruneError):
                    self._hear_out()
        finally:
            for remote in self._all:
                self._ray.kill(remote.actor)

    def _hear_out(self) -> None:
        """Have the workers end, and hear what they still have to say.

        Raises:
            ParetoPruneError: what one of them met.
        """
        for ref, remote in list(self._asked.items()):
            if remote.began and not remote.lost:
                remote.actor.stop.remote()
            else:
                del self._asked[ref]
        until = time.monotonic() + _GRACE_SECONDS
        while self._asked and time.monotonic() < until:
            self._hear()
        self._asked.clear()

    def _over(self, study: StoredStudy) -> bool:
        """Whether there is nothing left to do, whoever did it; a worker may not know, if lost."""
        late = self._job.seconds_left == 0
        counts = study.counts()
        if counts[TrialState.RUNNING] == 0:
            return late or study.state.final or finished_of(counts) >= study.trials_asked
        leases = [worker.lease for worker in study.workers() if worker.lease is not None]
        return late and max(leases, default=-1.0) < 0

    def _note_waiting(self) -> None:
        waiting = sum(not remote.began for remote in self._all)
        if waiting:
            who = f"{waiting} of {len(self._all)} workers wait for room in the Ray cluster"
            self._job.progress.note(f"{who}, each {self._share}")

    def _at_work(self) -> bool:
        return bool(self._asked) or any(remote.ask_at is not None for remote in self._all)

    def _ask(self, remote: Remote) -> None:
        remote.ask_at = None
        self._asked[remote.actor.news.remote()] = remote

    def _hear(self) -> None:
        """Take in what workers have said; wait a moment where that is nothing."""
        for remote in self._all:
            if remote.ask_at is not None and time.monotonic() >= remote.ask_at:
                self._ask(remote)
        refs = list(self._asked)
        if not refs:
            time.sleep(_STEP_SECONDS)
            return
        self._ray.wait(refs, timeout=_STEP_SECONDS)
        ready, _ = self._ray.wait(refs, num_returns=len(refs), timeout=0)
        for ref in ready:
            self._take(self._asked.pop(ref), ref)

    def _take(self, remote: Remote, ref: Any) -> None:
        failures = self._ray.exceptions
        try:
            messages = self._ray.get(ref)
        except failures.ActorUnschedulableError:
            wrong = f"this host has no room for a worker of {self._share}"
            raise UserError(Problem("--launcher ray", wrong, "allowed: smaller ones")) from None
        except failures.RayActorError as error:
            away = isinstance(error, failures.ActorUnavailableError)
            remote.deaths += not away
            if remote.deaths > _DEATHS:
                raise TrialError("worker_lost", _last_line(error)) from None
            remote.lost, remote.ask_at = True, time.monotonic() + _AGAIN_SECONDS
            return
        remote.lost, remote.deaths = False, 0
        if not any(message[0] == "ended" for message in messages):
            self._ask(remote)
        for message in messages:
            self._told(remote, message)

    def _told(self, remote: Remote, message: Message) -> None:
        kind, *rest = message
        if tell(remote.progress, message):
            return
        if kind == "began":
            self._began(remote, *rest)
        elif kind == "event":
            self._happened(*rest)
        else:
            self._ray.kill(remote.actor)
            _raise(*rest)

    def _began(self, remote: Remote, host: str) -> None:
        if remote.began:
            self._job.progress.note(f"a worker was lost; Ray has started another on {host}")
        remote.began = True

    def _happened(self, event: WorkerEvent) -> None:
        """Pass an event on, and count failures in a row as the run's."""
        if event.result is None:
            self._on_event(event)
            return
        failure = event.result.failure
        error = None if failure is None else TrialError(failure.kind, failure.reason)
        self._on_event(replace(event, error=error))
        self._streak.add(failure)


def _raise(how: str, *why: str) -> None:
    """Raise what ended a worker, unless it had nothing left to do."""
    if how == "refused":
        raise UserError(*why)
    if how == "failed":
        raise TrialError(*why)


def _last_line(error: Exception) -> str:
    """Return the last line of what Ray says; the others are its own frames."""
    return f"{type(error).__name__}: {str(error).strip().splitlines()[-1].strip()}"


def _actor() -> type:
    """Return the class that Ray starts on a node: defined here, so that it travels whole.

    A node that lacks this package can then say so.
    """

    class Worker:
        # Of coroutines Ray keeps no order: after a restart it would wait for calls that were lost.
        def __init__(self, order: dict[str, Any]) -> None:
            self._missing = self._seat = None
            try:
                from pareto_prune.running.launch._ray_node import Seat

                self._seat = Seat(order)
            except ImportError as error:
                import socket

                host = socket.gethostname()
                self._missing = f"on {host}: pareto-prune is not installed ({error})"

        async def news(self) -> list[tuple[Any, ...]]:
            import asyncio

            if self._seat is None:
                return [("ended", "refused", self._missing)]
            return await asyncio.to_thread(self._seat.news)

        async def stop(self) -> None:
            if self._seat is not None:
                self._seat.stop()

    return Worker
