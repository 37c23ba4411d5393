"""What gives a trial or another lease to a worker, and what takes a trial back."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, func, select

from pareto_prune.core.records import Candidate, TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import events, leases, optuna_tables, trial_rows
from pareto_prune.storage.leases import Moment
from pareto_prune.storage.reading import candidate_of, state_of
from pareto_prune.storage.recovery import recover
from pareto_prune.storage.schema import studies, trials

_COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.STOPPED, TrialState.FAILED)


@dataclass(frozen=True)
class Claim:
    """One trial given to one worker.

    Attributes:
        number: of the trial.
        trial_id: Optuna's id of it.
        token: secret of the lease: who holds it holds the trial.
        candidate: what it tries; ``None`` where none was proposed yet.
        started: when it was claimed, in the database's time.
    """

    number: int
    trial_id: int
    token: str
    candidate: Candidate | None
    started: float

    @property
    def lease(self) -> str:
        """The name of its lease."""
        return leases.lease_name(self.number)


def claim(connection: Connection, moment: Moment, token: str) -> Claim | None:
    """Give the worker one trial, or nothing where as many as asked for are taken.

    Nothing either where the study was told to begin none. The study is locked, so that claims and
    what it is told come one after the other.
    """
    if leases.is_held(connection, moment.study, token):
        return _held(connection, moment.study, token)
    recover(connection, moment)
    if not _has_room(connection, moment.study):
        return None
    waiting = _first_waiting(connection, moment.study)
    if waiting is None:
        taken = _new(connection, moment, token)
    else:
        taken = _again(connection, moment, waiting, token)
    leases.take(connection, moment, taken.lease, token)
    return taken


def acquire(connection: Connection, moment: Moment, name: str, token: str) -> bool:
    """Give the worker the lease ``name``, unless somebody holds it; return whether it has it."""
    recover(connection, moment)
    holder = leases.holder(connection, moment.study, name)
    if holder is None:
        leases.take(connection, moment, name, token)
    return holder is None or holder == token


def hand_back(
    connection: Connection, study: int, claim: Claim, worker: str | None, why: str, now: Any
) -> bool:
    """Put a claimed trial back to waiting; return whether its lease was still held.

    Args:
        connection: within a transaction.
        study: its id.
        claim: of the trial.
        worker: that had it.
        why: it is handed back.
        now: the database's time, a number or an expression.
    """
    if not leases.release(connection, study, claim.lease, claim.token):
        return trial_rows.handed_back_by(connection, study, claim.number, claim.token)
    row = trial_rows.row_of(connection, study, claim.number)
    trial_rows.to_waiting(connection, row, row.attempts - 1, claim.token)
    events.record(connection, study, now, "handed_back", why, claim.number, worker)
    return True


def _has_room(connection: Connection, study: int) -> bool:
    """Return whether a study may have one more trial that counts."""
    query = select(studies.c.trials_asked, studies.c.state).where(studies.c.study_id == study)
    asked, state = connection.execute(query).one()
    return state_of(state) is StudyState.OPEN and counted(connection, study) < asked


def counted_all(connection: Connection, ids: Collection[int]) -> dict[int, int]:
    """Return the same of several studies, of those that have any."""
    mine = trials.c.study_id.in_(ids) & trials.c.state.in_([state.value for state in _COUNTED])
    query = select(trials.c.study_id, func.count()).where(mine).group_by(trials.c.study_id)
    return {study: int(count) for study, count in connection.execute(query)}


def counted(connection: Connection, study: int) -> int:
    """Return how many trials count towards the number asked for: all but the waiting ones."""
    among = trials.c.state.in_([state.value for state in _COUNTED])
    query = select(func.count()).select_from(trials).where(trials.c.study_id == study, among)
    return int(connection.scalar(query) or 0)


def _held(connection: Connection, study: int, token: str) -> Claim:
    """Return what this token already holds: an earlier attempt whose answer was lost."""
    query = select(trials).where(trials.c.study_id == study, trials.c.token == token)
    return of_row(connection.execute(query).one())


def of_row(trial: Row[Any]) -> Claim:
    """Return the claim of a trial that runs."""
    candidate = candidate_of(trial.candidate)
    return Claim(trial.number, trial.trial_id, trial.token, candidate, trial.started)


def _first_waiting(connection: Connection, study: int) -> Row[Any] | None:
    query = select(trials).where(
        trials.c.study_id == study, trials.c.state == TrialState.WAITING.value
    )
    return connection.execute(query.order_by(trials.c.number).limit(1)).one_or_none()


def _new(connection: Connection, moment: Moment, token: str) -> Claim:
    """Insert the study's next trial, running."""
    number, trial = trial_rows.insert_trial(
        connection, moment.study, TrialState.RUNNING, attempts=1, **_taken(moment, token)
    )
    return Claim(number, trial, token, None, moment.now)


def _again(connection: Connection, moment: Moment, trial: Row[Any], token: str) -> Claim:
    """Let a waiting trial run."""
    values = {"state": TrialState.RUNNING.value, "attempts": trial.attempts + 1}
    values |= _taken(moment, token)
    trial_rows.change(connection, moment.study, trial.number, **values)
    optuna_tables.set_state(connection, trial.trial_id, TrialState.RUNNING)
    candidate = candidate_of(trial.candidate)
    return Claim(trial.number, trial.trial_id, token, candidate, moment.now)


def _taken(moment: Moment, token: str) -> dict[str, Any]:
    return {"token": token, "worker": moment.worker, "started": moment.now}
