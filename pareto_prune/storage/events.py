"""What happened to a study: a few lines a person would want to know of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, insert, select

from pareto_prune.storage.optuna_tables import lock_study
from pareto_prune.storage.schema import events

UNFIT = "unfit"
"""Kind of the event in which a worker says why it leaves a study alone."""


@dataclass(frozen=True)
class StudyEvent:
    """Something that happened.

    Attributes:
        at: seconds since the epoch, in the database's time.
        kind: short and stable (``"lost"``, ``"handed_back"``, ``"failed"``).
        text: what a person reads.
        number: of the trial, if it was one.
        worker: name of the worker, if it was one.
    """

    at: float
    kind: str
    text: str
    number: int | None = None
    worker: str | None = None


def record(
    connection: Connection,
    study: int,
    now: Any,
    kind: str,
    text: str,
    number: int | None = None,
    worker: str | None = None,
) -> None:
    """Write one event; ``now`` is a number or an expression."""
    row = {"study_id": study, "at": now, "kind": kind, "text": text}
    connection.execute(insert(events).values(**row, number=number, worker=worker))


def record_once(
    connection: Connection, study: int, at: float, kind: str, text: str, worker: str | None
) -> None:
    """Write one event of a study, unless it was written already.

    An attempt whose answer was lost may not have ended yet: it holds the lock until it can be seen.
    """
    lock_study(connection, study)
    same = (events.c.study_id == study) & (events.c.at == at)
    known = select(events.c.event_id).where(same, events.c.kind == kind, events.c.text == text)
    if connection.execute(known).first() is None:
        record(connection, study, at, kind, text, None, worker)


def read(connection: Connection, study: int) -> list[StudyEvent]:
    """Return the events of a study, oldest first."""
    query = select(events).where(events.c.study_id == study).order_by(events.c.event_id)
    return [
        StudyEvent(row.at, row.kind, row.text, row.number, row.worker)
        for row in connection.execute(query)
    ]
