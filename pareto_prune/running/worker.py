"""A worker: claim a trial, run it, tell what it found, until the study has its trials.

::

    claim ─► ask ─► run_trial ───────────────────────► tell ─► claim …
             only if  │  lease renewed by a thread      │
             it has   ├─ interrupted ─► hand back       ├─ three failures alike ─► stop
             none     ├─ lease lost ──► discard         └─ lease lost ─► discard
                      └─ raises ──────► failed, with its reason

A worker that dies in between loses nothing but its time: its lease runs out, and the trial is
claimed again under its number.
"""

from __future__ import annotations

import re
import signal
import socket
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from os import getpid
from types import FrameType, TracebackType
from typing import Any, Literal, Self

from pareto_prune.core.config import seconds
from pareto_prune.core.errors import ParetoPruneError, RepeatedFailureError, TrialError, UserError
from pareto_prune.core.records import Candidate, Failure, Rung, Trial, TrialResult, TrialState
from pareto_prune.results.yardstick import yardstick_for
from pareto_prune.search.samplers import Request, Sampler, samplers
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import StoredStudy
from pareto_prune.trials.seed import trial_seed

ALIKE = 3
"""Failures of the same kind in a row that stop a run."""
POLL_SECONDS = 1.0
"""How often a worker without a trial looks whether one came back."""

EventKind = Literal["claimed", "rung", "told", "failed", "lost", "handed_back", "waiting"]


class TrialAbortedError(BaseException):
    """The trial in hand must not go on: its lease was lost, or the worker is to stop.

    Not an :class:`Exception`, so that a trial's own ``except Exception`` lets it through.
    """


@dataclass(frozen=True)
class Assignment:
    """One trial to run.

    Attributes:
        candidate: what to try.
        number: of the trial.
        seed: determines all that is random in it.
        deadline: value of :func:`time.monotonic` by which it must have ended; ``None`` for never.
        report_rung: keeps the quality part of the way, and checks.
        check: raises where the trial must not go on; cheap, to be called every few steps.
            :class:`TrialAbortedError` passes through, :class:`TrialError` is the time limit.
    """

    candidate: Candidate
    number: int
    seed: int
    deadline: float | None
    report_rung: Callable[[Rung], None]
    check: Callable[[], None]


RunTrial = Callable[[Assignment], TrialResult]
"""What runs one trial. Raises :class:`TrialError`, or anything else, where it fails."""


@dataclass(frozen=True)
class WorkerEvent:
    """What a worker tells whoever watches.

    Attributes:
        kind: what happened.
        worker: name of the worker.
        trial: the trial; ``None`` while it waits for one.
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
    """Run trials until the study has as many as it was asked for.

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
        poll: seconds between looks while waiting.

    Returns:
        How many trials this worker told.

    Raises:
        RepeatedFailureError: too many trials in a row failed in the same way.
        KeyboardInterrupt: SIGINT or SIGTERM came; the trial in hand was handed back.
        UserError: a trial found what only the user can change; it was handed back.
    """
    worker = Worker(
        study=study,
        run_trial=run_trial,
        name=worker_name or default_name(),
        asker=Asker(study, space, sampler),
        on_event=on_event or _ignore,
        stop=stop or threading.Event(),
        until=None if time_limit is None else time.monotonic() + time_limit,
        streak=streak or FailureStreak(),
        linger=linger,
        poll=poll,
    )
    return worker.work()


def _ignore(event: WorkerEvent) -> None:
    del event


class Asker:
    """Asks a sampler for candidates, on a history that is read only as far as it is new."""

    def __init__(
        self,
        study: StoredStudy,
        space: SearchSpace,
        sampler: Sampler | None = None,
    ) -> None:
        from pareto_prune.search.samplers._history import History

        table = study.config.sampler
        self._study = study
        self._space = space
        self._sampler = sampler or samplers.create(table.name, table.options, "sampler")
        self._history = History(space, study.config.objectives, _promising(study))

    def assign(self, trial: Trial) -> Trial | None:
        """Return the trial with a candidate proposed and written; ``None`` if it was lost."""
        history = self._history
        history.update(self._study.history(self._space, history.last, history.unfinished))
        config = self._study.config
        request = Request(trial.number, config.limits.trials, config.seed)
        proposal = self._sampler.ask(history, request)
        candidate = self._space.to_candidate(proposal.params)
        return self._study.assign(trial, candidate, self._space, proposal.attributes)


def _promising(study: StoredStudy) -> Callable[[Mapping[str, float]], bool]:
    """Return whether values lie within what the study is to find: see :class:`History`."""
    measure = yardstick_for(study.config.objectives, study.reference)
    dearest = study.config.search.cost_target.high
    return lambda values: measure.promising(values, dearest)


class FailureStreak:
    """Failures of one kind in a row, over all the workers of a run."""

    def __init__(self, most: int = ALIKE) -> None:
        self._most = most
        self._kind: str | None = None
        self._count = 0
        self._lock = threading.Lock()

    def add(self, failure: Failure | None) -> None:
        """Count the end of one trial.

        Raises:
            RepeatedFailureError: it is one failure of this kind too many.
        """
        with self._lock:
            kind = failure.kind if failure else None
            self._count = self._count + 1 if kind == self._kind else 1
            self._kind = kind
            if failure is not None and self._count >= self._most:
                said = f"{self._count} trials in a row failed the same way"
                raise RepeatedFailureError(f"{said}: {failure.kind}: {failure.reason}")


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
        try:
            ready = trial if trial.candidate is not None else self.asker.assign(trial)
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

    def _wait(self) -> bool:
        if not self.linger or self.study.counts()[TrialState.RUNNING] == 0:
            return False
        self._say("waiting")
        self.stop.wait(self.poll)
        return True

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
        """Run the trial; whatever it raises is a result too, but for what ends the worker."""
        start = time.monotonic()
        assignment = self._assignment(trial, keeper, start)
        try:
            return self.run_trial(assignment), None
        except UserError:
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
        deadline = None if limit is None else start + seconds(limit)

        def check() -> None:
            if keeper.lost.is_set() or self.stop.is_set():
                raise TrialAbortedError
            if deadline is not None and time.monotonic() > deadline:
                raise TrialError("time_limit", f"took longer than {limit}")

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


class Interruptions:
    """SIGINT and SIGTERM as :class:`KeyboardInterrupt`, held off while something is shielded.

    A second signal gets through a shield. In threads other than the main one it does nothing.
    """

    def __init__(self) -> None:
        self._shields = 0
        self._pending = False
        self._before: dict[int, Any] = {}

    def __enter__(self) -> Self:
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._interrupt)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler or signal.SIG_DFL)

    def _interrupt(self, number: int, frame: FrameType | None) -> None:
        del number, frame
        if self._shields and not self._pending:
            self._pending = True
            return
        raise KeyboardInterrupt

    @contextmanager
    def shield(self) -> Iterator[None]:
        """Hold an interruption off until the block has ended."""
        self._shields += 1
        try:
            yield
        finally:
            self._shields -= 1
        if self._pending and not self._shields:
            self._pending = False
            raise KeyboardInterrupt


def failure_of(error: BaseException) -> Failure:
    """Return why a trial failed: the kind is stable, the reason is what a person reads."""
    if isinstance(error, TrialError):
        return Failure(kind=error.kind, reason=error.reason)
    name = type(error).__name__
    said = str(error).strip().splitlines()
    reason = said[0] if said else name
    if isinstance(error, MemoryError) or name == "OutOfMemoryError":
        return Failure(kind="out_of_memory", reason=reason)
    kind = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()
    return Failure(kind=kind, reason=f"{name}: {reason}")
