"""Leases: who works on what and until when, in the database's time.

A lease is renewed while its worker lives. One that ran out, or whose process is gone, is void: see
:mod:`pareto_prune.storage.recovery`. After an outage of the database, in which nobody could renew,
all leases begin anew.
"""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, or_, select, update

from pareto_prune.storage.processes import gone
from pareto_prune.storage.schema import leases, workers

LEASE_SECONDS = 60.0
"""How long a worker may be silent before its trial is given to another."""
SILENT_SECONDS = 120.0
"""How long a worker without a trial may be silent and still count as at work."""

_TRIAL = "trial"


class LeaseLostError(Exception):
    """The lease under which something is done is somebody else's by now: nothing was written."""


@dataclass(frozen=True)
class Moment:
    """When and for whom something is done.

    Attributes:
        study: its id.
        now: the database's time.
        worker_id: of the worker.
        worker: its name.
        seconds: how long its leases last.
    """

    study: int
    now: float
    worker_id: str
    worker: str
    seconds: float


def new_token() -> str:
    """Return a name that nobody else has: who holds that of a lease holds the lease."""
    return str(uuid.uuid4())


def lease_name(number: int) -> str:
    """Return the name of the lease on a trial."""
    return f"{_TRIAL}:{number}"


def trial_of(name: str | None) -> int | None:
    """Return the number of the trial that a lease of this name is on, if it is on one."""
    kind, _, number = (name or "").partition(":")
    return int(number) if kind == _TRIAL else None


def take(connection: Connection, moment: Moment, name: str, token: str) -> None:
    """Write a lease; there is none of this name."""
    row = {
        "study_id": moment.study,
        "name": name,
        "token": token,
        "worker_id": moment.worker_id,
        "seconds": moment.seconds,
        "expires": moment.now + moment.seconds,
    }
    connection.execute(insert(leases), row)


def renew(connection: Connection, study: int, name: str, token: str, until: float) -> bool:
    """Put off the end of a lease; return whether it was still held."""
    mine = (leases.c.study_id == study) & (leases.c.name == name) & (leases.c.token == token)
    return connection.execute(update(leases).where(mine).values(expires=until)).rowcount == 1


def release(connection: Connection, study: int, name: str, token: str) -> bool:
    """Give a lease up; return whether it was still held."""
    mine = (leases.c.study_id == study) & (leases.c.name == name) & (leases.c.token == token)
    return connection.execute(delete(leases).where(mine)).rowcount == 1


def holder(connection: Connection, study: int, name: str) -> str | None:
    """Return the token of the lease ``name``, if there is one."""
    query = select(leases.c.token).where(leases.c.study_id == study, leases.c.name == name)
    return connection.scalar(query)


def is_held(connection: Connection, study: int, token: str) -> bool:
    """Return whether there is a lease of this token."""
    query = select(leases.c.name).where(leases.c.study_id == study, leases.c.token == token)
    return connection.execute(query).first() is not None


def doubtful(connection: Connection, moment: Moment) -> list[Row[Any]]:
    """Return the leases that may be void, with the name and the process of their workers.

    They ran out, last longer than any may, or are of a process of this host.
    """
    joined = leases.outerjoin(workers, workers.c.worker_id == leases.c.worker_id)
    query = select(leases, workers.c.process, workers.c.name.label("worker")).select_from(joined)
    over = leases.c.expires < moment.now
    long = leases.c.expires > moment.now + leases.c.seconds + 1.0
    doubt = or_(over, long, workers.c.host == socket.gethostname())
    return list(connection.execute(query.where(leases.c.study_id == moment.study, doubt)))


def revive(connection: Connection, study: int, now: float, seconds: float) -> None:
    """Let all leases of a study begin anew where nobody could renew them for long.

    Comes before whatever says that a worker is there again: the first one speaks for all.

    Args:
        connection: within a transaction.
        study: its id.
        now: the database's time.
        seconds: how long a lease lasts; whoever lives is heard of four times as often.
    """
    if _quiet_seconds(connection, study, now) > seconds / 2:
        until = now + leases.c.seconds
        mine = (leases.c.study_id == study) & (leases.c.expires < until)
        connection.execute(update(leases).where(mine).values(expires=until))


def _quiet_seconds(connection: Connection, study: int, now: float) -> float:
    """Return for how long no worker of a study has claimed or renewed anything."""
    renewed = select(func.max(leases.c.expires - leases.c.seconds))
    seen = select(func.max(workers.c.seen)).where(workers.c.study_id == study)
    heard = (connection.scalar(renewed.where(leases.c.study_id == study)), connection.scalar(seen))
    return now - max((when for when in heard if when is not None), default=now)


def held_by(connection: Connection, worker_id: str) -> list[Row[Any]]:
    """Return the leases of one worker."""
    return list(connection.execute(select(leases).where(leases.c.worker_id == worker_id)))


def void(lease: Row[Any], now: float) -> bool:
    """Return whether a lease ran out or its worker's process is gone."""
    left = lease.process is not None and gone(json.loads(lease.process))
    return bool(lease.expires < now or left)
