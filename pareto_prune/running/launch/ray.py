"""Workers on the nodes of a Ray cluster.

::

    run (driver)           Ray                      nodes
    Remotes ── actors ───► places them, again ────► Seat: claims from the storage, runs trials in a
            ◄── news ───── when a node is lost,     child process, tells what it does
                           and as nodes are added

Which node a worker is on, lost nodes and new ones are Ray's business; whose trial is whose is the
storage's. A worker that Ray cannot place yet waits, and the run does not wait for it.
"""

from __future__ import annotations

import math
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import Field

from pareto_prune.core.errors import MissingExtraError, Problem, UserError
from pareto_prune.core.progress import Progress
from pareto_prune.running.interruptions import Interruptions
from pareto_prune.running.launch import Job, Prepare, Trials, launchers
from pareto_prune.running.launch._ray_cluster import (
    Cluster,
    Share,
    check_command_line,
    connected,
    imported,
)
from pareto_prune.running.launch._ray_workers import Remotes
from pareto_prune.running.worker_events import OnEvent
from pareto_prune.storage import StoredStudy, open_storage


@launchers.register("ray")
@dataclass(frozen=True)
class Ray:
    """Workers on the nodes of a Ray cluster; a node that is lost costs nothing but time.

    Attributes:
        workers: how many; 0 takes one for each share of GPUs, or one a node.
        threads: that each one computes with; 0 divides a node's cores among its workers.
        gpus_per_worker: that each one has; ``None`` for one, where the cluster has any.
    """

    workers: Annotated[int, Field(ge=0)] = 0
    threads: Annotated[int, Field(ge=0)] = 0
    gpus_per_worker: Annotated[int, Field(ge=1)] | None = None

    @staticmethod
    def why_not() -> str | None:
        """Return what is not installed."""
        try:
            imported()
        except MissingExtraError as error:
            return str(error)
        return None

    def launch(self, job: Job, on_event: OnEvent, stop: threading.Event) -> None:
        """Have Ray place the workers, and hear them until the study has its trials.

        Raises:
            UserError: the nodes cannot share the storage, or a node has not what a worker needs.
        """
        check_command_line(job.storage)
        with Interruptions(), connected() as cluster, Interruptions():  # connecting takes SIGTERM
            cluster.check_storage(job.storage)
            share = self.share(cluster)
            storage = open_storage(job.storage, lease_seconds=job.lease_seconds)
            study = storage.open_study(job.study)
            options = _options(cluster, share, job)
            remotes = Remotes(job, _ends_at(job, study), share, options, on_event)
            try:
                remotes.run(study, stop)
            finally:
                remotes.end()
                storage.close()

    def hands(self, progress: Progress) -> list[Callable[[Prepare], Trials]]:
        """Refuse: a cluster's workers are placed for one study, with what that one asks for."""
        del progress
        wrong = "places the workers of one study"
        raise UserError(Problem("--launcher ray", wrong, "allowed: inline, processes"))

    def share(self, cluster: Cluster) -> Share:
        """Divide a cluster among the workers, so that each one has the same.

        Raises:
            UserError: this host's own cluster has fewer GPUs than one worker is to have.
        """
        gpus = self._gpus(cluster)
        fit = [node for node in cluster.nodes if node.cpus >= 1 and node.gpus >= gpus]
        places = [int(node.gpus // gpus) if gpus else 1 for node in fit]
        count = self.workers or max(1, sum(places))
        if fit and not gpus:
            places = [math.ceil(count / len(fit))] * len(fit)
        shares = [n.cpus / min(count, place) for n, place in zip(fit, places, strict=True)]
        cpus = min(shares, default=1.0)
        threads = self.threads or max(1, int(cpus))
        # A cluster that may grow shall grow; this host's own has room for all that were asked for.
        taken = min(threads, math.floor(cpus * 1000) / 1000) if cluster.own else threads
        return Share(count, threads, taken, gpus)

    def _gpus(self, cluster: Cluster) -> int:
        most = max((int(node.gpus) for node in cluster.nodes), default=0)
        if self.gpus_per_worker is None:
            return min(1, most)
        if cluster.own and self.gpus_per_worker > most:
            wrong = f"{self.gpus_per_worker} is more than there are"
            raise UserError(Problem("--gpus-per-worker", wrong, f"allowed: at most {most}"))
        return self.gpus_per_worker


def _ends_at(job: Job, study: StoredStudy) -> float | None:
    """Return when a job's time is over, in the storage's time: one clock for all hosts."""
    left = job.seconds_left
    return None if left is None else study.now + left


def _options(cluster: Cluster, share: Share, job: Job) -> dict[str, Any]:
    """Return how Ray is to place a worker: again and again, as long as the run lasts."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    is_file = job.storage.startswith("sqlite")
    here = NodeAffinitySchedulingStrategy(cluster.here, soft=False)
    return {
        "num_cpus": share.cpus,
        "num_gpus": share.gpus,
        "max_restarts": -1,
        "scheduling_strategy": here if is_file else "SPREAD",
    }
