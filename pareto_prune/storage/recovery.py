"""What workers that are gone have left: their leases end, their trials go back to waiting.

A trial goes back under its number, with its candidate and its rungs, and the next claim takes it.
"""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row

from pareto_prune.core.records import Failure, TrialResult, TrialState
from pareto_prune.storage import events, leases, optuna_tables, trial_rows
from pareto_prune.storage.leases import Moment
from pareto_prune.storage.reading import candidate_of

MOST_ATTEMPTS = 3
"""Workers that may die over one trial before it counts as failed."""


def recover(connection: Connection, moment: Moment) -> None:
    """Void the leases of workers that are gone, and put their trials back to waiting.

    Args:
        connection: within a transaction that holds the study.
        moment: now.
    """
    for lease in leases.doubtful(connection, moment):
        if lease.expires > moment.now + lease.seconds + 1.0:
            _shorten(connection, moment, lease)
        if not leases.void(lease, moment.now):
            continue
        if leases.release(connection, moment.study, lease.name, lease.token):
            _put_back(connection, moment, lease)


def _shorten(connection: Connection, moment: Moment, lease: Row[Any]) -> None:
    """Shorten a lease from before the clock was put back: none lasts longer than it may."""
    until = moment.now + lease.seconds
    leases.renew(connection, moment.study, lease.name, lease.token, until)


def _put_back(connection: Connection, moment: Moment, lease: Row[Any]) -> None:
    number = leases.trial_of(lease.name)
    if number is None:
        return
    trial = trial_rows.row_of(connection, moment.study, number)
    if trial.attempts < MOST_ATTEMPTS:
        trial_rows.to_waiting(connection, trial, trial.attempts)
        text = f"the lease of {lease.worker!r} ran out: waiting again"
    else:
        _give_up(connection, moment, trial)
        text = f"{trial.attempts} workers died over it: failed"
    events.record(connection, moment.study, moment.now, "lost", text, number, lease.worker)


def _give_up(connection: Connection, moment: Moment, trial: Row[Any]) -> None:
    """End a trial without its last worker, which may be there yet: it is not heard any more."""
    candidate = candidate_of(trial.candidate)
    if candidate is None:
        trial_rows.to_waiting(connection, trial, 0)
        return
    failure = Failure(kind="worker_died", reason=f"{trial.attempts} workers died over it")
    result = TrialResult(candidate=candidate, failure=failure)
    study, number = moment.study, trial.number
    trial_rows.change(connection, study, number, token=None)
    trial_rows.finish(connection, study, number, moment.now, TrialState.FAILED, "{}")
    trial_rows.write_result(connection, study, number, result)
    optuna_tables.set_state(connection, trial.trial_id, TrialState.FAILED)
