"""Leases, and the one transaction that gives a trial to a worker.

A lease says who works on what and until when, in the database's time. It is renewed while its
worker lives. One that ran out, or whose process is gone, is void: its trial goes back to waiting
under its number, with its candidate and its rungs, and the next claim takes it.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, Row, delete, func, insert, select, update

from pareto_prune.core.records import Candidate, Failure, TrialResult, TrialState
from pareto_prune.storage import _optuna
from pareto_prune.storage._events import record
from pareto_prune.storage._process import gone
from pareto_prune.storage._rows import candidate_of, text_of
from pareto_prune.storage._schema import leases, results, trials, workers

MOST_ATTEMPTS = 3
"""Workers that may die over one trial before it counts as failed."""

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


def claim(connection: Connection, moment: Moment, asked: int, token: str) -> Claim | None:
    """Give the worker one trial, or nothing where as many as asked for are taken.

    The study is locked first, so that claims come one after the other.
    """
    _optuna.lock_study(connection, moment.study)
    held = _leases(connection, moment.study)
    if any(lease.token == token for lease in held):
        return _held(connection, moment.study, token)
    recover(connection, moment, held)
    if counted(connection, moment.study) >= asked:
        return None
    waiting = _first_waiting(connection, moment.study)
    if waiting is None:
        taken = _new(connection, moment, token)
    else:
        taken = _again(connection, moment, waiting, token)
    take_lease(connection, moment, lease_name(taken.number), token)
    return taken


def counted(connection: Connection, study: int) -> int:
    """Return how many trials count towards the number asked for: all but the waiting ones."""
    among = trials.c.state.in_([state.value for state in _COUNTED])
    query = select(func.count()).select_from(trials).where(trials.c.study_id == study, among)
    return int(connection.scalar(query) or 0)


def lease_name(number: int) -> str:
    """Return the name of the lease on a trial."""
    return f"trial:{number}"


def take_lease(connection: Connection, moment: Moment, name: str, token: str) -> None:
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


def renew(connection: Connection, study: int, name: str, token: str, until: Any) -> bool:
    """Put off the end of a lease, a number or an expression; return whether it was still held."""
    mine = (leases.c.study_id == study) & (leases.c.name == name) & (leases.c.token == token)
    return connection.execute(update(leases).where(mine).values(expires=until)).rowcount == 1


def release(connection: Connection, study: int, name: str, token: str) -> bool:
    """Give a lease up; return whether it was still held."""
    mine = (leases.c.study_id == study) & (leases.c.name == name) & (leases.c.token == token)
    return connection.execute(delete(leases).where(mine)).rowcount == 1


def recover(connection: Connection, moment: Moment, held: Iterable[Row[Any]] = ()) -> None:
    """Void the leases of workers that are gone, and put their trials back to waiting.

    Args:
        connection: within a transaction that holds the study.
        moment: now.
        held: the leases of the study, where the caller has read them.
    """
    for lease in held or _leases(connection, moment.study):
        if lease.expires > moment.now + lease.seconds + 1.0:
            _shorten(connection, moment, lease)
        if lease.expires >= moment.now and not _left(lease):
            continue
        if release(connection, moment.study, lease.name, lease.token):
            _put_back(connection, moment, lease)


def _shorten(connection: Connection, moment: Moment, lease: Row[Any]) -> None:
    """Shorten a lease from before the clock was put back: none lasts longer than it may."""
    renew(connection, moment.study, lease.name, lease.token, moment.now + lease.seconds)


def _leases(connection: Connection, study: int) -> list[Row[Any]]:
    joined = leases.outerjoin(workers, workers.c.worker_id == leases.c.worker_id)
    query = select(leases, workers.c.process, workers.c.name.label("worker")).select_from(joined)
    return list(connection.execute(query.where(leases.c.study_id == study)))


def _left(row: Row[Any]) -> bool:
    return row.process is not None and gone(json.loads(row.process))


def _put_back(connection: Connection, moment: Moment, lease: Row[Any]) -> None:
    kind, _, number = lease.name.partition(":")
    if kind != "trial":
        return
    query = select(trials).where(trials.c.study_id == moment.study, trials.c.number == int(number))
    trial = connection.execute(query).one()
    if trial.attempts < MOST_ATTEMPTS:
        to_waiting(connection, moment.study, trial, trial.attempts)
        text = f"the lease of {lease.worker!r} ran out: waiting again"
    else:
        _give_up(connection, moment, trial)
        text = f"{trial.attempts} workers died over it: failed"
    record(connection, moment.study, moment.now, "lost", text, trial.number, lease.worker)


def _give_up(connection: Connection, moment: Moment, trial: Row[Any]) -> None:
    candidate = candidate_of(trial.candidate)
    failure = Failure(kind="worker_died", reason=f"{trial.attempts} workers died over it")
    if candidate is not None:
        result = TrialResult(candidate=candidate, failure=failure)
        finish(connection, moment.study, trial.number, moment.now, TrialState.FAILED, "{}")
        write_result(connection, moment.study, trial.number, result)
        _optuna.set_state(connection, trial.trial_id, TrialState.FAILED)
    else:
        to_waiting(connection, moment.study, trial, 0)


def to_waiting(connection: Connection, study: int, trial: Row[Any], attempts: int) -> None:
    """Put a trial back under its number, with its candidate."""
    mine = (trials.c.study_id == study) & (trials.c.number == trial.number)
    values = {"state": TrialState.WAITING.value, "attempts": attempts, "started": None}
    connection.execute(update(trials).where(mine), values | {"token": None, "worker": None})
    _optuna.set_state(connection, trial.trial_id, TrialState.WAITING)


def finish(
    connection: Connection, study: int, number: int, now: Any, state: TrialState, told: str
) -> None:
    """Write the end of a trial."""
    mine = (trials.c.study_id == study) & (trials.c.number == number)
    connection.execute(update(trials).where(mine).values(state=state.value, ended=now, told=told))


def write_result(connection: Connection, study: int, number: int, result: TrialResult) -> None:
    """Write what a trial found out; a trial has one result."""
    row = {"study_id": study, "number": number, "result": text_of(result)}
    connection.execute(insert(results), row)


def new_token() -> str:
    """Return a name that nobody else has."""
    return str(uuid.uuid4())


def _held(connection: Connection, study: int, token: str) -> Claim:
    """Return what this token already holds: an earlier attempt whose answer was lost."""
    query = select(trials).where(trials.c.study_id == study, trials.c.token == token)
    row = connection.execute(query).one()
    return Claim(row.number, row.trial_id, token, candidate_of(row.candidate), row.started)


def _first_waiting(connection: Connection, study: int) -> Row[Any] | None:
    query = select(trials).where(
        trials.c.study_id == study, trials.c.state == TrialState.WAITING.value
    )
    return connection.execute(query.order_by(trials.c.number).limit(1)).one_or_none()


def _new(connection: Connection, moment: Moment, token: str) -> Claim:
    """Insert the study's next trial, running."""
    number, trial = insert_trial(
        connection, moment.study, TrialState.RUNNING, attempts=1, **_taken(moment, token)
    )
    return Claim(number, trial, token, None, moment.now)


def _again(connection: Connection, moment: Moment, trial: Row[Any], token: str) -> Claim:
    """Let a waiting trial run."""
    mine = (trials.c.study_id == moment.study) & (trials.c.number == trial.number)
    values = {"state": TrialState.RUNNING.value, "attempts": trial.attempts + 1}
    connection.execute(update(trials).where(mine), values | _taken(moment, token))
    _optuna.set_state(connection, trial.trial_id, TrialState.RUNNING)
    candidate = candidate_of(trial.candidate)
    return Claim(trial.number, trial.trial_id, token, candidate, moment.now)


def _taken(moment: Moment, token: str) -> dict[str, Any]:
    return {"token": token, "worker": moment.worker, "started": moment.now}


def insert_trial(
    connection: Connection, study: int, state: TrialState, **columns: Any
) -> tuple[int, int]:
    """Insert the study's next trial, which is locked; return its number and Optuna's id of it."""
    number = _optuna.next_number(connection, study)
    trial = _optuna.add_trial(connection, study, number, state)
    row = {"study_id": study, "number": number, "trial_id": trial, "state": state.value}
    connection.execute(insert(trials), row | columns)
    return number, trial
