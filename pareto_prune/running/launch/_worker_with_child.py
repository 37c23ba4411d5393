"""One worker whose trials run in a child process."""

from __future__ import annotations

import threading

from pareto_prune.running.failures import FailureStreak
from pareto_prune.running.launch import Job
from pareto_prune.running.launch._child_process import IsolatedTrials
from pareto_prune.running.worker import work
from pareto_prune.running.worker_events import OnEvent
from pareto_prune.storage import Storage


def drive(
    storage: Storage,
    job: Job,
    name: str,
    trials: IsolatedTrials,
    on_event: OnEvent,
    stop: threading.Event,
    streak: FailureStreak,
) -> None:
    """Be one worker: claim here, run in the child. Whatever ends it early ends the others."""
    try:
        if not trials.prepare(stop):
            return
        work(
            storage.open_study(job.study),
            trials,
            job.space(),
            worker_name=name,
            on_event=on_event,
            stop=stop,
            time_limit=job.seconds_left,
            streak=streak,
        )
    except BaseException:
        stop.set()
        raise
    finally:
        trials.close()
