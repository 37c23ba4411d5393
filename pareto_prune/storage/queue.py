"""The studies that have a trial to begin, and how much of the workers' time each has had."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, case, func, select

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.records import TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import claims, standing
from pareto_prune.storage.reading import state_of
from pareto_prune.storage.schema import trials
from pareto_prune.storage.standing import Identity

WINDOW_SECONDS = 3600.0
"""How far back what a study has had counts against it, at most."""


@dataclass(frozen=True)
class Queued:
    """A study that has a trial to begin.

    Attributes:
        identity: of the study.
        config: its study file.
        since: from when on it could have trials: made, or resumed last.
    """

    identity: Identity
    config: StudyConfig
    since: float


def with_room(connection: Connection) -> list[Row[Any]]:
    """Return the rows of the studies that may begin a trial and have a place for its model."""
    asking = [row for row in standing.listed(connection) if _asks(row)]
    taken = claims.counted_all(connection, [row.study_id for row in asking])
    return [row for row in asking if taken.get(row.study_id, 0) < row.trials_asked]


def _asks(row: Row[Any]) -> bool:
    return bool(row.artifacts) and state_of(row.state) is StudyState.OPEN


def used(
    connection: Connection, ids: Collection[int], since: float, now: float
) -> dict[int, float]:
    """Return the seconds of workers that the trials of each study have had.

    A trial that runs counts as long as those that ended took on average, at least: who has just
    been given one has had its part.

    Args:
        connection: within a transaction.
        ids: of the studies.
        since: from when on, in the database's time; at most :data:`WINDOW_SECONDS` ago.
        now: the database's time.
    """
    since = max(since, now - WINDOW_SECONDS)
    had, means = _of_ended(connection, ids, since)
    running = select(trials.c.study_id, trials.c.started).where(
        trials.c.study_id.in_(ids), trials.c.state == TrialState.RUNNING.value
    )
    for study, started in connection.execute(running):
        had[study] += max(now - max(started, since), means.get(study, 0.0))
    return dict(had)


def _of_ended(
    connection: Connection, ids: Collection[int], since: float
) -> tuple[defaultdict[int, float], dict[int, float]]:
    """Return the seconds since then of the trials that have ended, and how long each took."""
    within = case((trials.c.started > since, trials.c.started), else_=since)
    seconds = func.sum(trials.c.ended - within), func.avg(trials.c.ended - trials.c.started)
    query = select(trials.c.study_id, *seconds).where(
        trials.c.study_id.in_(ids), trials.c.ended > since, trials.c.started.is_not(None)
    )
    rows = connection.execute(query.group_by(trials.c.study_id)).all()
    had = defaultdict(float, {study: float(total) for study, total, _ in rows})
    return had, {study: float(mean) for study, _, mean in rows}
