"""Launchers: where the workers of a study run. One file each.

A launcher is given a job and returns once the study has its trials, or raises what stopped it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Protocol

from pareto_prune.core.progress import Progress, Silent
from pareto_prune.core.records import TrialResult
from pareto_prune.core.registry import Registry
from pareto_prune.running.assignment import Assignment, RunTrial
from pareto_prune.running.worker_events import OnEvent
from pareto_prune.search.space import SearchSpace
from pareto_prune.storage import LEASE_SECONDS

Prepare = Callable[[Progress], RunTrial]
"""Makes what runs a trial: models, data, calibration. The first worker of a study makes what is
made once a study; the others wait for it."""


@dataclass(frozen=True)
class Job:
    """What the workers of one run do.

    Attributes:
        storage: URL, with its password.
        study: name of the study.
        prepare: called once a process. A function of a module, or a :func:`functools.partial` of
            one, so that other processes can have it.
        space: of the study; called once a worker has prepared. As ``prepare``, a function that
            other processes can have.
        time_limit: seconds from now after which no trial is begun; ``None`` for never.
        lease_seconds: how long a worker may be silent.
        progress: told of stages, by all workers.
        began: value of :func:`time.monotonic` at the start of the run.
    """

    storage: str
    study: str
    prepare: Prepare
    space: Callable[[], SearchSpace]
    time_limit: float | None = None
    lease_seconds: float = LEASE_SECONDS
    progress: Progress = field(default_factory=Silent)
    began: float = field(default_factory=time.monotonic)

    @property
    def seconds_left(self) -> float | None:
        """Seconds of the time limit that are left, if there is one; at least 0."""
        if self.time_limit is None:
            return None
        return max(0.0, self.time_limit - (time.monotonic() - self.began))


class Trials(Protocol):
    """What runs the trials of one study: in this process, or in a child of it."""

    def __call__(self, assignment: Assignment) -> TrialResult:
        """Run one trial."""

    def prepare(self, stop: threading.Event) -> bool:
        """Make ready; return ``False`` where ``stop`` was set first."""

    def close(self) -> None:
        """Let go of all that was prepared."""


class Launcher(Protocol):
    """Where workers run. A member is a frozen dataclass; its fields are its options."""

    def launch(self, job: Job, on_event: OnEvent, stop: threading.Event) -> None:
        """Run the study's trials.

        Args:
            job: what to do.
            on_event: told what the workers do, one call at a time, in any thread.
            stop: once set, trials in hand are handed back and the launcher returns.

        Raises:
            RepeatedFailureError: trials fail in the same way again and again.
            TrialError: no worker could prepare.
            KeyboardInterrupt: the user or the system said stop; nothing is left running.
        """

    def hands(self, progress: Progress) -> list[Callable[[Prepare], Trials]]:
        """Return, for each worker of all studies, what makes the trials of one ready for it.

        Args:
            progress: told of stages, by all workers.

        Raises:
            UserError: its workers are of one study, or are more than there is room for.
        """


launchers: Registry[Launcher] = Registry("launcher", __name__)
