"""A worker of one study: takes turns until the study has its trials, and waits for what may come.

What one turn is stands in :mod:`pareto_prune.running.turns`.
"""

from __future__ import annotations

import socket
import statistics
import threading
import time
from dataclasses import dataclass
from os import getpid

from pareto_prune.core.records import TrialState, finished_of
from pareto_prune.core.study_state import StudyState
from pareto_prune.running.asker import Asker
from pareto_prune.running.assignment import RunTrial
from pareto_prune.running.failures import FailureStreak
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.turns import Turns
from pareto_prune.running.worker_events import EventKind, OnEvent, WorkerEvent
from pareto_prune.search.samplers import Sampler
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy

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
    ends = stop or threading.Event()
    turns = Turns(
        study=study,
        run_trial=run_trial,
        name=worker_name or default_name(),
        asker=Asker(study, space, sampler),
        on_event=on_event or _ignore,
        stop=ends,
        streak=streak or FailureStreak.after(study.read().trials),
    )
    until = None if time_limit is None else time.monotonic() + time_limit
    return Worker(turns, ends, until, linger, poll).work()


def _ignore(event: WorkerEvent) -> None:
    del event


@dataclass
class Worker:
    """The state of one worker; :func:`work` says what each field is."""

    turns: Turns
    stop: threading.Event
    until: float | None
    linger: bool
    poll: float
    looks: int = 0

    def work(self) -> int:
        """Run trials until there are none left."""
        with Interruptions() as interruptions:
            try:
                while not self._over() and self._step(interruptions):
                    pass
            finally:
                self.turns.leave(interruptions)
        return len(self.turns.durations)

    def _over(self) -> bool:
        """Whether to begin no more trials: stopped, or the next would end past the limit."""
        durations = self.turns.durations
        usual = statistics.median(durations) if durations else 0.0
        late = self.until is not None and time.monotonic() + usual > self.until
        return late or self.stop.is_set()

    def _step(self, interruptions: Interruptions) -> bool:
        """Run one trial, or wait for one; return whether there may be more."""
        if not self.turns.take(interruptions):
            return self._wait()
        self.looks = 0
        return True

    def _wait(self) -> bool:
        """Wait for a trial, where one may come; return whether one may."""
        kind = self._waits_for()
        if kind is None:
            return False
        if kind == "waiting" or self.looks == 0:
            self.turns.say(kind)
        self.stop.wait(self.poll * min(2**self.looks, RARER))
        self.looks += 1
        return True

    def _waits_for(self) -> EventKind | None:
        """Return what the worker waits for, ``None`` where no trial will come."""
        study = self.turns.study
        state, counts = study.state, study.counts()
        if state.final or finished_of(counts) >= study.trials_asked:
            return None
        if state is StudyState.PAUSED:
            return "paused"
        return "waiting" if self.linger and counts[TrialState.RUNNING] else None
