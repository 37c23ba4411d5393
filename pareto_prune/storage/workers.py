"""The registry of a study's workers: who they are, what they hold, and that they leave."""

from __future__ import annotations

import json
import socket
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from pareto_prune.storage import leases as held_leases
from pareto_prune.storage import trial_rows
from pareto_prune.storage.leases import SILENT_SECONDS, Moment
from pareto_prune.storage.processes import identity
from pareto_prune.storage.schema import leases, workers


@dataclass(frozen=True)
class WorkerStatus:
    """One worker of a study, for ``status``.

    Attributes:
        name: of the worker.
        host: where it runs.
        pid: its process.
        started: seconds since the epoch.
        silent: seconds since it was last heard of.
        ended: when it left; ``None`` while it works, or where it was killed.
        number: of the trial that it works on.
        lease: seconds that its lease still runs; below 0 it is void.
    """

    name: str
    host: str
    pid: int
    started: float
    silent: float
    ended: float | None
    number: int | None
    lease: float | None

    @property
    def at_work(self) -> bool:
        """Whether it is at work: one that was killed says nothing any more."""
        if self.ended is not None:
            return False
        return (self.lease or 0.0) > 0 or self.silent < SILENT_SECONDS


def register(connection: Connection, moment: Moment) -> None:
    """Write that a worker of this process was seen, for the first time or again."""
    mine = workers.c.worker_id == moment.worker_id
    seen = update(workers).where(mine).values(seen=moment.now, ended=None)
    if connection.execute(seen).rowcount == 0:
        row = {"worker_id": moment.worker_id, "study_id": moment.study, "name": moment.worker}
        row |= {"host": socket.gethostname(), "process": json.dumps(identity())}
        connection.execute(insert(workers).values(**row, started=moment.now, seen=moment.now))


def leave(connection: Connection, moment: Moment) -> None:
    """Write that a worker has left, and put back whatever it still held."""
    for lease in held_leases.held_by(connection, moment.worker_id):
        held = held_leases.release(connection, moment.study, lease.name, lease.token)
        number = held_leases.trial_of(lease.name)
        if held and number is not None:
            row = trial_rows.row_of(connection, moment.study, number)
            trial_rows.to_waiting(connection, row, row.attempts - 1)
    gone = update(workers).where(workers.c.worker_id == moment.worker_id)
    connection.execute(gone.values(ended=moment.now))


def statuses(connection: Connection, study: int, now: float) -> list[WorkerStatus]:
    """Return the workers that ever worked on a study, by the time they started.

    Args:
        connection: within a transaction.
        study: its id.
        now: the database's time.
    """
    joined = workers.outerjoin(leases, leases.c.worker_id == workers.c.worker_id)
    query = select(workers, leases.c.name.label("lease"), leases.c.expires)
    mine = query.select_from(joined).where(workers.c.study_id == study)
    return [_status(row, now) for row in connection.execute(mine.order_by(workers.c.started))]


def _status(row: Row[Any], now: float) -> WorkerStatus:
    return WorkerStatus(
        name=row.name,
        host=row.host,
        pid=int(json.loads(row.process)["pid"]),
        started=row.started,
        silent=now - row.seen,
        ended=row.ended,
        number=held_leases.trial_of(row.lease),
        lease=None if row.expires is None else row.expires - now,
    )
