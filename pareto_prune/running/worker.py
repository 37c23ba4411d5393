"""A worker: claim a trial, run it, tell what it found, until the study has its trials.

::

    claim ─► ask ─► run_trial ───────────────────────► tell ─► claim …
             only if  │  lease renewed by a thread      │
             it has   ├─ interrupted ─► hand back       ├─ three failures alike ─► stop
             none     ├─ lease lost ──► discard         └─ lease lost ─► discard
                      └─ raises ──────► failed, with its reason

Whether the study is paused, stopped or cancelled a worker learns where it claims, or where it
renews a lease that was taken from it.

A worker that dies in between loses nothing but its time: its lease runs out, and the trial is
claimed again under its number.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from os import getpid
from typing import Any

from pareto_prune.core.config import seconds
from pareto_prune.core.errors import ParetoPruneError, StorageError, TrialError, UserError
from pareto_prune.core.records import Rung, Trial, TrialResult, TrialState, finished_of
from pareto_prune.core.study_state import StudyState
from pareto_prune.running.asker import Asker
from pareto_prune.running.assignment import Assignment, RunTrial, TrialAbortedError
from pareto_prune.running.failures import FailureStreak, failure_of
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.worker_events import EventKind, OnEvent, WorkerEvent
from pareto_prune.search.promotion import multiple
from pareto_prune.search.samplers import Sampler
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy
from pareto_prune.trials.seed import trial_seed

POLL_SECONDS = 1.0
"""How long a worker without a trial waits before it looks whether one came back."""
RARER = 10
"""Looks that found none make the next ones rarer, to this many times the wait at most."""


def default_name() -> str:
    """Return a worker's name: its host and its process."""
    return f"{socket.gethostname()}:{getpid()}"


def work(
    study: StoredStudy,
    run_trial: RunTrial,
    space: SearchSpace,
    *,
    worker_name: str | None = None,
    on_event: OnEvent | None = None,
    stop: threading.Event | None = None,
    sampler: Sampler | None = None,
    time_limit: float | None = None,
    streak: FailureStreak | None = None,
    linger: bool = True,
    poll: float = POLL_SECONDS,
) -> int:
    """Run trials until the study has as many as it was asked for, or was told to end.

    Args:
        study: whose trials.
        run_trial: runs one trial.
        space: of the study.
        worker_name: how it stands in the registry; host and process by default.
        on_event: told what happens; must not raise.
        stop: once set, the trial in hand is handed back at its next check and work ends.
        sampler: what proposes candidates; the study file's by default.
        time_limit: seconds after which no trial is begun, nor one that would likely end later.
        streak: failures in a row, shared by the workers of one run.
        linger: whether to wait for trials that run elsewhere, in case they come back.
        poll: seconds until the first look while waiting; each one that finds none doubles them.

    Returns:
        How many trials this worker told.

    Raises:
        RepeatedFailureError: too many trials in a row failed in the same way.
        KeyboardInterrupt: SIGINT or SIGTERM came; the trial in hand was handed back.
        UserError: a trial found what only the user can change; it was handed back.
        StorageError: the database failed, or was away for too long.
    """
    worker = Worker(
        study=study,
        run_trial=run_trial,
        name=worker_name or default_name(),
        asker=Asker(study, space, sampler),
        on_event=on_event or _ignore,
        stop=stop or threading.Event(),
        until=None if time_limit is None else time.monotonic() + time_limit,
        streak=streak or FailureStreak.after(study.read().trials),
        linger=linger,
        poll=poll,
    )
    return worker.work()


def _ignore(event: WorkerEvent) -> None:
    del event


@dataclass
class Worker:
    """The state of one worker; :func:`work` says what each field is."""

    study: StoredStudy
    run_trial: RunTrial
    name: str
    asker: Asker
    on_event: OnEvent
    stop: threading.Event
    until: float | None
    streak: FailureStreak
    linger: bool
    poll: float
    durations: list[float] = field(default_factory=list)
    looks: int = 0

    def work(self) -> int:
        """Run trials until there are none left."""
        with Interruptions() as interruptions:
            try:
                while not self._over():
                    if not self._step(interruptions):
                        break
            finally:
                with interruptions.shield(), suppress(ParetoPruneError):
                    self.study.leave(self.name)
        return len(self.durations)

    def _over(self) -> bool:
        """Whether to begin no more trials: stopped, or the next would end past the limit."""
        usual = statistics.median(self.durations) if self.durations else 0.0
        late = self.until is not None and time.monotonic() + usual > self.until
        return late or self.stop.is_set()

    def _step(self, interruptions: Interruptions) -> bool:
        """Run one trial, or wait for one; return whether there may be more."""
        trial = self.study.claim(self.name)
        if trial is None:
            return self._wait()
        self.looks = 0
        try:
            ready = trial if trial.candidate is not None else self._assigned(trial)
            if ready is None:
                self._say("lost", trial)
            else:
                self._run(ready, interruptions)
        except (KeyboardInterrupt, UserError, TrialAbortedError) as error:
            with interruptions.shield():
                held = self._hand_back(trial)
            if not isinstance(error, TrialAbortedError):
                raise
            if not held:
                self._say("lost", trial)
        return True

    def _assigned(self, trial: Trial) -> Trial | None:
        """Return the trial with a candidate, ``None`` if it was lost; its lease lasts meanwhile.

        A sampler may take long, and so may a place of kept models that does not answer.
        """
        with Keeper(lambda: self.study.renew(trial), self.study.lease_seconds):
            return self.asker.assign(trial)

    def _wait(self) -> bool:
        """Wait for a trial, where one may come; return whether one may."""
        kind = self._waits_for()
        if kind is None:
            return False
        if kind == "waiting" or self.looks == 0:
            self._say(kind)
        self.stop.wait(self.poll * min(2**self.looks, RARER))
        self.looks += 1
        return True

    def _waits_for(self) -> EventKind | None:
        """Return what the worker waits for, ``None`` where no trial will come."""
        state, counts = self.study.state, self.study.counts()
        if state.final or finished_of(counts) >= self.study.trials_asked:
            return None
        if state is StudyState.PAUSED:
            return "paused"
        return "waiting" if self.linger and counts[TrialState.RUNNING] else None

    def _run(self, trial: Trial, interruptions: Interruptions) -> None:
        start = time.monotonic()
        self._say("claimed", trial)
        with Keeper(lambda: self.study.renew(trial), self.study.lease_seconds) as keeper:
            result, error = self._result(trial, keeper)
        if keeper.lost.is_set():
            self._say("lost", trial)
            return
        with interruptions.shield():
            if not self.study.tell(trial, result):
                self._say("lost", trial)
                return
            self.durations.append(time.monotonic() - start)
            kind: EventKind = "told" if result.failure is None else "failed"
            self._say(kind, trial, result=result, error=error)
        self.streak.add(result.failure)

    def _result(self, trial: Trial, keeper: Keeper) -> tuple[TrialResult, Exception | None]:
        """Run the trial; whatever it raises is a result too, but for what ends the worker.

        A database that fails or is away ends it: the trial is put back, or its lease runs out.
        """
        start = time.monotonic()
        assignment = self._assignment(trial, keeper, start)
        try:
            return self.run_trial(assignment), None
        except (UserError, StorageError):
            raise
        except Exception as error:
            timings = {"total": time.monotonic() - start}
            failure = failure_of(error)
            candidate = assignment.candidate
            return TrialResult(candidate=candidate, failure=failure, timings=timings), error

    def _assignment(self, trial: Trial, keeper: Keeper, start: float) -> Assignment:
        assert trial.candidate is not None
        config = self.study.config
        limit = config.limits.trial_time
        times = multiple(trial.candidate, config)
        deadline = None if limit is None else start + times * seconds(limit)
        said = limit if times == 1 else f"{times} × {limit}"

        def check() -> None:
            if keeper.lost.is_set() or self.stop.is_set():
                raise TrialAbortedError
            if deadline is not None and time.monotonic() > deadline:
                raise TrialError("time_limit", f"took longer than {said}")

        def report_rung(rung: Rung) -> None:
            if not self.study.report(trial, rung):
                keeper.lost.set()
            check()
            self._say("rung", trial, rung=rung)

        return Assignment(
            candidate=trial.candidate,
            number=trial.number,
            seed=trial_seed(config.seed, trial.number),
            deadline=deadline,
            report_rung=report_rung,
            check=check,
        )

    def _hand_back(self, trial: Trial) -> bool:
        """Hand the trial back; where the storage is away its lease runs out all the same."""
        try:
            held = self.study.hand_back(trial)
        except ParetoPruneError:
            return True
        if held:
            self._say("handed_back", trial)
        return held

    def _say(self, kind: EventKind, trial: Trial | None = None, **more: Any) -> None:
        self.on_event(WorkerEvent(kind, self.name, trial, **more))
