"""One worker in this process."""

from __future__ import annotations

import threading
from dataclasses import dataclass

from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Job, launchers
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import OnEvent
from pareto_prune.storage import open_storage


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
