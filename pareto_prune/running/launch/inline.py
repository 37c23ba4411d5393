"""One worker in this process."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass

from pareto_prune.core.memory import give_back
from pareto_prune.core.progress import Progress
from pareto_prune.core.records import TrialResult
from pareto_prune.running.assignment import Assignment, RunTrial
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Job, Prepare, Trials, launchers
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import OnEvent
from pareto_prune.storage import open_storage


class TrialsHere:
    """Runs the trials of one study in this process.

    Args:
        prepare: makes what runs a trial.
        progress: told of its stages.
    """

    def __init__(self, prepare: Prepare, progress: Progress) -> None:
        self._prepare = prepare
        self._progress = progress
        self._run: RunTrial | None = None

    def __call__(self, assignment: Assignment) -> TrialResult:
        """Run one trial."""
        assert self._run is not None, "prepared first"
        return self._run(assignment)

    def prepare(self, stop: threading.Event) -> bool:
        """Load or make all that the trials need."""
        del stop
        self._run = self._prepare(self._progress)
        return True

    def close(self) -> None:
        """Free what was loaded."""
        self._run = None
        give_back()


@launchers.register("inline")
@dataclass(frozen=True)
class Inline:
    """One worker in this process: nothing to start, but a crash ends the run."""

    def launch(self, job: Job, on_event: OnEvent, stop: threading.Event) -> None:
        """Run trials one after the other, here."""
        with Interruptions():
            storage = open_storage(job.storage, lease_seconds=job.lease_seconds)
            try:
                run_trial = job.prepare(job.progress)
                work(
                    storage.open_study(job.study),
                    run_trial,
                    job.space(),
                    on_event=on_event,
                    stop=stop,
                    time_limit=job.seconds_left,
                )
            finally:
                storage.close()

    def hands(self, progress: Progress) -> list[Callable[[Prepare], Trials]]:
        """Return the one worker of this process."""
        return [lambda prepare: TrialsHere(prepare, progress)]
