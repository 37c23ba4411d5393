"""The workers of a study with their leases."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import RenderableType
from rich.text import Text

from pareto_prune.core.quantities import duration
from pareto_prune.results.status import WorkerStatus
from pareto_prune.results.tables.text import plain_table, shown


def workers_table(workers: Sequence[WorkerStatus]) -> RenderableType:
    """Return the workers with their leases."""
    if not workers:
        return Text("no worker is at it", style="dim")
    table = plain_table()
    for title in ("worker", "trial", "lease"):
        folds = title == "worker"
        table.add_column(title, no_wrap=not folds, overflow="fold" if folds else "ellipsis")
    for worker in workers:
        trial = "–" if worker.trial is None else str(worker.trial)
        dead = worker.lease_seconds < 0
        lease = Text(lease_of(worker), style="red" if dead else "")
        table.add_row(shown(worker.name), trial, lease)
    return table


def lease_of(worker: WorkerStatus) -> str:
    """Return how the lease of a worker stands; one that waits for a trial has none."""
    left = worker.lease_seconds
    if left == 0:
        return "–"
    return f"{duration(left)} left" if left > 0 else "ended"
