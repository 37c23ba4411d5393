"""Trials in a child process that stays up from trial to trial, and is replaced when it dies.

::

    worker (this process)                          child
    IsolatedTrials ── sys.path, prepare ─────────► prepare(progress)
                   ◄───────────────────── ready ──
                   ── candidate, number, seed ───► run_trial
                   ◄────────────── rung, rung … ──   │ checks between steps
                   ◄────────────── result / failed ──┘
                   ◄──── stage, advance, note … ── at any time

Out of memory, a CUDA error or a hang then costs one trial. The child ends when its pipe closes:
it does not outlive its worker.
"""

from __future__ import annotations

import functools
import json
import math
import os
import pickle
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from multiprocessing.connection import Connection, Pipe
from typing import Any

from pareto_prune.core.errors import ParetoPruneError, StorageError, TrialError, UserError
from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import Candidate, Rung, TrialResult
from pareto_prune.running.assignment import Assignment, RunTrial, TrialAbortedError
from pareto_prune.running.failures import failure_of
from pareto_prune.running.launch import Prepare
from pareto_prune.running.launch._progress_messages import ToldProgress, tell

_STEP_SECONDS = 0.2
_GRACE_SECONDS = 5.0
_ENDS: dict[str, type[ParetoPruneError]] = {"refused": UserError, "storage": StorageError}
"""What a trial in a child meets that is no failure of it, but ends the worker."""
_MAIN = "from pareto_prune.running.launch._child_process import child; child()"


class IsolatedTrials:
    """Runs trials in a child process. Called as :data:`~pareto_prune.running.assignment.RunTrial`.

    Args:
        prepare: makes what runs a trial, in the child.
        environment: variables that the child gets besides this process's own.
        grace: seconds that a child may take beyond a trial's time limit before it is killed.
        progress: told of the child's stages.
    """

    def __init__(
        self,
        prepare: Prepare,
        environment: Mapping[str, str] | None = None,
        grace: float = _GRACE_SECONDS,
        progress: Progress | None = None,
    ) -> None:
        self._prepare = prepare
        self._progress = progress or Silent()
        self._environment = dict(environment or {})
        self._grace = grace
        self._prepared = 0.0
        self._process: subprocess.Popen[bytes] | None = None
        self._pipe: Connection | None = None

    def __call__(self, assignment: Assignment) -> TrialResult:
        """Run one trial in the child, which is started where there is none.

        Raises:
            TrialError: it failed, took too long (``time_limit``) or its process died
                (``killed``, ``crashed``).
        """
        try:
            pipe = self._ready(lambda: self._patiently(assignment, assignment.check))
            self._send(pipe, assignment)
            return self._result(pipe, assignment)
        except BaseException as error:
            if not isinstance(error, _ChildError):
                self.close()
            raise

    def prepare(self, stop: threading.Event) -> bool:
        """Start the child and wait until it can run trials.

        Returns:
            ``False`` where ``stop`` was set first.

        Raises:
            TrialError: it failed, or its process died.
            UserError: it found what only the user can change.
        """

        def check() -> None:
            if stop.is_set():
                raise TrialAbortedError

        try:
            self._ready(check)
        except TrialAbortedError:
            return False
        return True

    def close(self) -> None:
        """End the child, if there is one, whatever it is doing."""
        process, pipe = self._process, self._pipe
        self._process = self._pipe = None
        if pipe is not None:
            pipe.close()
        if process is not None:
            _end(process)

    def _ready(self, check: Callable[[], None]) -> Connection:
        """Return the pipe to a child that is ready; what it takes to prepare is no trial's time."""
        begun, self._prepared = time.monotonic(), 0.0
        if self._process is not None and self._process.poll() is None and self._pipe is not None:
            return self._pipe
        self.close()
        pipe = self._start()
        self._prepared = math.inf
        kind, *rest = self._message(pipe, check)
        self._prepared = time.monotonic() - begun
        if kind == "failed":
            raise TrialError(*rest)
        if kind == "refused":
            raise UserError(*rest)
        return pipe

    def _start(self) -> Connection:
        ours, theirs = Pipe()
        environment = {**os.environ, **self._environment, "PARETO_PRUNE_PIPE": str(theirs.fileno())}
        with _deaf():
            self._process = subprocess.Popen(
                [sys.executable, "-c", _path_first() + _MAIN],
                env=environment,
                pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL,
                stdout=sys.stderr.fileno() if _has_file(sys.stderr) else subprocess.DEVNULL,
                start_new_session=True,
            )
        theirs.close()
        self._pipe = ours
        ours.send_bytes(pickle.dumps(self._prepare))
        return ours

    def _send(self, pipe: Connection, assignment: Assignment) -> None:
        deadline = assignment.deadline
        left = None if deadline is None else deadline + self._prepared - time.monotonic()
        order = {
            "candidate": assignment.candidate.to_json(),
            "number": assignment.number,
            "seed": assignment.seed,
            "seconds": left,
        }
        pipe.send_bytes(json.dumps(order).encode())

    def _result(self, pipe: Connection, assignment: Assignment) -> TrialResult:
        check = functools.partial(self._patiently, assignment, assignment.check)
        while True:
            kind, *rest = self._message(pipe, check)
            if kind == "rung":
                rung = Rung.model_validate_json(rest[0])
                self._patiently(assignment, functools.partial(assignment.report_rung, rung))
            elif kind == "done":
                return TrialResult.model_validate_json(rest[0])
            elif kind in _ENDS:
                raise _ENDS[kind](*rest)
            else:
                raise _ChildError(*rest)

    def _message(self, pipe: Connection, check: Callable[[], None]) -> list[str]:
        """Wait for the child's next message; look in between whether the trial must end."""
        while True:
            while not pipe.poll(_STEP_SECONDS):
                check()
            try:
                message: list[str] = json.loads(pipe.recv_bytes())
            except (EOFError, ConnectionError):
                raise self._died() from None
            if not tell(self._progress, message):
                return message

    def _patiently(self, assignment: Assignment, check: Callable[[], None]) -> None:
        """Check, with a time limit later by what preparing took and by the child's grace."""
        try:
            check()
        except TrialError:
            late = time.monotonic() - (assignment.deadline or 0.0)
            if late > self._prepared + self._grace:
                raise

    def _died(self) -> TrialError:
        assert self._process is not None
        code = self._process.wait()
        if code == -signal.SIGKILL:
            return TrialError("killed", "its process was killed, most likely out of memory")
        if code < 0:
            return TrialError("crashed", f"its process died of {signal.Signals(-code).name}")
        return TrialError("crashed", f"its process ended with code {code}")


class _ChildError(TrialError):
    """A trial failed in a child that is still well."""


@contextmanager
def _deaf() -> Iterator[None]:
    """Let what is started here not hear a SIGTERM.

    Who stops a whole service or a job of a cluster sends one to every process of it. The worker
    hands its trial back then; a child that died first would have cost the trial.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _end(process: subprocess.Popen[bytes]) -> None:
    """End a process by force: it hears nothing else, and leaves nothing half-written."""
    if process.poll() is None:
        process.kill()
    process.wait()


def _path_first() -> str:
    """Return code that gives the child our import path, before anything of ours is imported."""
    return f"import sys; sys.path[:] = {sys.path!r}; "


def _has_file(stream: Any) -> bool:
    try:
        return stream.fileno() >= 0
    except (AttributeError, OSError, ValueError):
        return False


def child() -> None:
    """Run trials for the worker at the other end of the pipe, until it closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_end_with, args=(os.getppid(),), daemon=True).start()
    pipe = Connection(int(os.environ.pop("PARETO_PRUNE_PIPE")))
    lock = threading.Lock()

    def say(*message: str | int | None) -> None:
        with lock:
            pipe.send_bytes(json.dumps(message).encode())

    try:
        run_trial: RunTrial = pickle.loads(pipe.recv_bytes())(ToldProgress(say))
    except UserError as error:
        return say("refused", str(error))
    except Exception as error:
        failure = failure_of(error)
        return say("failed", failure.kind, failure.reason)
    say("ready")
    while True:
        try:
            order = json.loads(pipe.recv_bytes())
        except (EOFError, ConnectionError):
            return None
        say(*_ran(run_trial, order, say))


def _end_with(parent: int) -> None:
    """End this process once its worker is gone, whatever the trial is doing."""
    while os.getppid() == parent:
        time.sleep(1.0)
    os._exit(1)


def _ran(run_trial: RunTrial, order: dict[str, Any], say: Callable[..., None]) -> tuple[str, ...]:
    """Run one trial in the child and return the message that ends it."""
    try:
        result = run_trial(_assignment(order, say))
    except UserError as error:
        return "refused", str(error)
    except StorageError as error:
        return "storage", str(error)
    except Exception as error:
        failure = failure_of(error)
        return "failed", failure.kind, failure.reason
    return "done", json.dumps(result.to_json())


def _assignment(order: dict[str, Any], say: Callable[..., None]) -> Assignment:
    left = order["seconds"]
    deadline = None if left is None else time.monotonic() + left

    def check() -> None:
        if deadline is not None and time.monotonic() > deadline:
            raise TrialError("time_limit", "took longer than its time limit")

    def report_rung(rung: Rung) -> None:
        say("rung", json.dumps(rung.to_json()))
        check()

    return Assignment(
        candidate=Candidate.from_json(order["candidate"]),
        number=order["number"],
        seed=order["seed"],
        deadline=deadline,
        report_rung=report_rung,
        check=check,
    )
