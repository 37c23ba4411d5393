"""Several workers on this host, each with its trials in a process of its own."""

from __future__ import annotations

import functools
import os
import threading
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.measure.environment import usable_cores
from pareto_prune.running.failures import FailureStreak
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Job, Prepare, Trials, launchers
from pareto_prune.running.launch._child_process import IsolatedTrials
from pareto_prune.running.launch._joint_progress import Crew
from pareto_prune.running.launch._worker_with_child import drive
from pareto_prune.running.worker import default_name
from pareto_prune.running.worker_events import OnEvent, one_at_a_time
from pareto_prune.storage import Storage, open_storage

_STEP_SECONDS = 0.5


@launchers.register("processes")
@dataclass(frozen=True)
class Processes:
    """Several workers on this host, one for each GPU; a trial that crashes costs itself only.

    Attributes:
        workers: how many; 0 takes one for each share of GPUs, or 1.
        threads: that each one computes with; 0 divides the cores among them.
        gpus_per_worker: that each one sees, where there are any.
    """

    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    gpus_per_worker: Annotated[int, Field(ge=1)] = 1

    def launch(self, job: Job, on_event: OnEvent, stop: threading.Event) -> None:
        """Drive one child process a worker, from threads of this process.

        Raises:
            UserError: there are fewer GPUs than one worker is to have.
        """
        self._check(gpus())
        storage = open_storage(job.storage, lease_seconds=job.lease_seconds)
        try:
            for future in self._drive_all(storage, job, on_event, stop):
                future.result()
        finally:
            storage.close()

    def _drive_all(
        self, storage: Storage, job: Job, on_event: OnEvent, stop: threading.Event
    ) -> list[Future[None]]:
        """Run all workers to their end, each in a thread."""
        environments = self.environments(gpus(), usable_cores())
        streak = FailureStreak.after(storage.open_study(job.study).read().trials)
        said = one_at_a_time(on_event, threading.Lock())
        crew = Crew(job.progress, len(environments))
        with Interruptions(), ThreadPoolExecutor(len(environments)) as pool:
            futures = [
                pool.submit(
                    drive, storage, job, f"{default_name()}/{index}", trials, said, stop, streak
                )
                for index, trials in enumerate(
                    IsolatedTrials(job.prepare, environment, progress=crew.member())
                    for environment in environments
                )
            ]
            try:
                _wait(futures)
            except BaseException:
                stop.set()
                raise
        return futures

    def hands(self, progress: Progress) -> list[Callable[[Prepare], Trials]]:
        """Return the workers of this host, each with a child process for every study it keeps.

        Raises:
            UserError: there are fewer GPUs than one worker is to have.
        """
        self._check(gpus())
        environments = self.environments(gpus(), usable_cores())
        crew = Crew(progress, len(environments))
        return [
            functools.partial(IsolatedTrials, environment=environment, progress=crew.member())
            for environment in environments
        ]

    def _check(self, gpus: list[str]) -> None:
        if self.gpus_per_worker > max(1, len(gpus)):
            wrong = f"{self.gpus_per_worker} is more than there are"
            raise UserError(Problem("--gpus-per-worker", wrong, f"allowed: at most {len(gpus)}"))

    def environments(self, gpus: list[str], cores: int) -> list[dict[str, str]]:
        """Return the environment variables of every worker: its GPUs and its threads."""
        share = self.gpus_per_worker
        places = [gpus[i : i + share] for i in range(0, len(gpus) - share + 1, share)]
        count = self.workers or max(1, len(places))
        threads = self.threads or max(1, cores // count)
        listed = []
        for index in range(count):
            environment = dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS"), str(threads))
            if places:
                environment["CUDA_VISIBLE_DEVICES"] = ",".join(places[index % len(places)])
            listed.append(environment)
        return listed


def gpus() -> list[str]:
    """Return the GPUs that this process may use, as ``CUDA_VISIBLE_DEVICES`` names them."""
    allowed = os.environ.get("CUDA_VISIBLE_DEVICES")
    if allowed is not None:
        return [name for name in allowed.split(",") if name not in ("", "-1")]
    try:
        import pynvml

        pynvml.nvmlInit()
        return [str(index) for index in range(pynvml.nvmlDeviceGetCount())]
    except Exception:
        return []


def _wait(futures: list[Future[None]]) -> None:
    """Wait in steps, so that a signal gets through."""
    while wait(futures, timeout=_STEP_SECONDS).not_done:
        pass
