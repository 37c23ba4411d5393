"""Launchers: where the workers of a study run. One file each.

A launcher is given a job and returns once the study has its trials, or raises what stopped it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from pareto_prune.registry import Registry
from pareto_prune.search_space import SearchSpace
from pareto_prune.worker import OnEvent, PlanOf, RunTrial


@dataclass(frozen=True)
class Job:
    """What the workers of one run do.

    Attributes:
        storage: URL, with its password.
        study: name of the study.
        space: of the study.
        prepare: makes what runs a trial, once a process: models, data, calibration. A function of
            a module, or a :func:`functools.partial` of one, so that other processes can have it.
        time_limit: seconds after which no trial is begun; ``None`` for never.
        lease_seconds: how long a worker may be silent.
        plan_of: plans known beforehand, where this process knows any.
    """

    storage: str
    study: str
    space: SearchSpace
    prepare: Callable[[], RunTrial]
    time_limit: float | None = None
    lease_seconds: float = 60.0
    plan_of: PlanOf | None = None


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
            KeyboardInterrupt: the user or the system said stop; nothing is left running.
        """


launchers: Registry[Launcher] = Registry("launcher", __name__)
