"""One study as one worker works on it: claim a trial, run it, tell what it found.

::

    claim ─► ask ─► run_trial ───────────────────────► tell
             only if  │  lease renewed by a thread      │
             it has   ├─ interrupted ─► hand back       ├─ three failures alike ─► raise
             none     ├─ lease lost ──► discard         └─ lease lost ─► discard
                      └─ raises ──────► failed, with its reason

Whether the study is paused, stopped or cancelled a worker learns where it claims, or where it
renews a lease that was taken from it.

A worker that dies in between loses nothing but its time: its lease runs out, and the trial is
claimed again under its number.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from pareto_prune.core.durations import seconds
from pareto_prune.core.errors import ParetoPruneError, StorageError, TrialError, UserError
from pareto_prune.core.records import Rung, Trial, TrialResult
from pareto_prune.running.asker import Asker
from pareto_prune.running.assignment import Assignment, RunTrial, TrialAbortedError
from pareto_prune.running.failures import FailureStreak, failure_of
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.lease_keeper import Keeper
from pareto_prune.running.worker_events import EventKind, OnEvent, WorkerEvent
from pareto_prune.search.promotion import multiple
from pareto_prune.storage import StoredStudy
from pareto_prune.trials.seed import trial_seed


@dataclass
class Turns:
    """Runs trials of one study, one at a time.

    Attributes:
        study: whose trials.
        run_trial: runs one trial.
        name: of the worker, in the registry.
        asker: says what a trial tries that was claimed without a candidate.
        on_event: told what happens; must not raise.
        stop: once set, the trial in hand is handed back at its next check.
        streak: failures in a row, shared by the workers of one run.
        durations: seconds of the trials that were told.
    """

    study: StoredStudy
    run_trial: RunTrial
    name: str
    asker: Asker
    on_event: OnEvent
    stop: threading.Event
    streak: FailureStreak
    durations: list[float] = field(default_factory=list)

    def take(self, interruptions: Interruptions) -> bool:
        """Run one trial; return whether there was one to claim.

        Raises:
            RepeatedFailureError: too many trials in a row failed in the same way.
            KeyboardInterrupt: SIGINT or SIGTERM came; the trial was handed back.
            UserError: it found what only the user can change; it was handed back.
            StorageError: the database failed, or was away for too long.
        """
        trial = self.study.claim(self.name)
        if trial is None:
            return False
        try:
            ready = trial if trial.candidate is not None else self._assigned(trial)
            if ready is None:
                self.say("lost", trial)
            else:
                self._run(ready, interruptions)
        except (KeyboardInterrupt, UserError, TrialAbortedError) as error:
            with interruptions.shield():
                held = self._hand_back(trial)
            if not isinstance(error, TrialAbortedError):
                raise
            if not held:
                self.say("lost", trial)
        return True

    def leave(self, interruptions: Interruptions) -> None:
        """Say that the worker has left the study; where the storage is away it is seen anyway."""
        with interruptions.shield(), suppress(ParetoPruneError):
            self.study.leave(self.name)

    def say(self, kind: EventKind, trial: Trial | None = None, **more: Any) -> None:
        """Tell whoever watches."""
        self.on_event(WorkerEvent(kind, self.name, trial, **more))

    def _assigned(self, trial: Trial) -> Trial | None:
        """Return the trial with a candidate, ``None`` if it was lost; its lease lasts meanwhile.

        A sampler may take long, and so may a place of kept models that does not answer.
        """
        with Keeper(lambda: self.study.renew(trial), self.study.lease_seconds):
            return self.asker.assign(trial)

    def _run(self, trial: Trial, interruptions: Interruptions) -> None:
        start = time.monotonic()
        self.say("claimed", trial)
        with Keeper(lambda: self.study.renew(trial), self.study.lease_seconds) as keeper:
            result, error = self._result(trial, keeper)
        if keeper.lost.is_set():
            self.say("lost", trial)
            return
        with interruptions.shield():
            if not self.study.tell(trial, result):
                self.say("lost", trial)
                return
            self.durations.append(time.monotonic() - start)
            kind: EventKind = "told" if result.failure is None else "failed"
            self.say(kind, trial, result=result, error=error)
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
            self.say("rung", trial, rung=rung)

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
            self.say("handed_back", trial)
        return held
