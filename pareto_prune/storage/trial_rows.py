"""The row of one trial: how it is put in, given its candidate, put back and ended."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Row, delete, insert, select, update

from pareto_prune.core.records import Candidate, Rung, TrialResult, TrialState
from pareto_prune.storage import optuna_tables
from pareto_prune.storage.reading import parsed, text_of
from pareto_prune.storage.schema import results, rungs, trials

if TYPE_CHECKING:
    from pareto_prune.search.space import SearchSpace


def row_of(connection: Connection, study: int, number: int) -> Row[Any]:
    """Return the row of a trial that is there."""
    query = select(trials).where(trials.c.study_id == study, trials.c.number == number)
    return connection.execute(query).one()


def insert_trial(
    connection: Connection, study: int, state: TrialState, **columns: Any
) -> tuple[int, int]:
    """Insert the next trial of a study, which is locked; return its number and Optuna's id."""
    number = optuna_tables.next_number(connection, study)
    trial = optuna_tables.add_trial(connection, study, number, state)
    row = {"study_id": study, "number": number, "trial_id": trial, "state": state.value}
    connection.execute(insert(trials), row | columns)
    return number, trial


def begin(
    connection: Connection, study: int, candidates: Iterable[Candidate], space: SearchSpace
) -> None:
    """Put in waiting trials, in order, if a study has no trial yet."""
    optuna_tables.lock_study(connection, study)
    if optuna_tables.next_number(connection, study) > 0:
        return
    for candidate in candidates:
        number, trial = insert_trial(connection, study, TrialState.WAITING)
        write_candidate(connection, study, number, trial, candidate, space)


def change(connection: Connection, study: int, number: int, **columns: Any) -> None:
    """Write columns of a trial: values, or expressions of them."""
    mine = (trials.c.study_id == study) & (trials.c.number == number)
    connection.execute(update(trials).where(mine).values(columns))


def write_candidate(
    connection: Connection,
    study: int,
    number: int,
    trial_id: int,
    candidate: Candidate,
    space: SearchSpace,
) -> None:
    """Write what a trial tries, for Optuna as parameters."""
    change(connection, study, number, candidate=text_of(candidate))
    optuna_tables.set_params(connection, trial_id, space.to_params(candidate), space.stored)
    about = {"starter": candidate.starter, "parent": candidate.parent}
    known = {name: value for name, value in about.items() if value is not None}
    optuna_tables.set_user_attributes(connection, trial_id, known)


def assign(
    connection: Connection,
    study: int,
    number: int,
    trial_id: int,
    candidate: Candidate,
    space: SearchSpace,
    attributes: Mapping[str, Any],
) -> None:
    """Write what a trial tries, and what its sampler wants kept, unless that was written."""
    if row_of(connection, study, number).candidate is not None:
        return
    write_candidate(connection, study, number, trial_id, candidate, space)
    if attributes:
        write_attributes(connection, study, number, attributes)


def write_attributes(
    connection: Connection, study: int, number: int, attributes: Mapping[str, Any]
) -> None:
    """Write what the sampler that proposed a trial wants kept with it."""
    change(connection, study, number, attributes=json.dumps(dict(attributes)))


def to_waiting(
    connection: Connection, trial: Row[Any], attempts: int, token: str | None = None
) -> None:
    """Put a trial back under its number, with its candidate.

    ``token`` is that of the lease of who handed it back: see :func:`handed_back_by`.
    """
    values = {"state": TrialState.WAITING.value, "attempts": attempts, "started": None}
    change(connection, trial.study_id, trial.number, **values, token=token, worker=None)
    optuna_tables.set_state(connection, trial.trial_id, TrialState.WAITING)


def handed_back_by(connection: Connection, study: int, number: int, token: str) -> bool:
    """Return whether whoever had this lease handed the trial back, and it waits since.

    A server that took over from one that failed may never have heard of the trial.
    """
    mine = (trials.c.study_id == study) & (trials.c.number == number) & (trials.c.token == token)
    waiting = trials.c.state == TrialState.WAITING.value
    return connection.execute(select(trials.c.number).where(mine, waiting)).first() is not None


def finish(
    connection: Connection, study: int, number: int, now: Any, state: TrialState, told: str
) -> None:
    """Write the end of a trial; ``now`` is a number or an expression."""
    change(connection, study, number, state=state.value, ended=now, told=told)


def write_result(connection: Connection, study: int, number: int, result: TrialResult) -> None:
    """Write what a trial found out; a trial has one result."""
    row = {"study_id": study, "number": number, "result": text_of(result)}
    connection.execute(insert(results), row)


def write_rung(connection: Connection, study: int, number: int, rung: Rung) -> None:
    """Write the quality of a trial part of the way, in place of an earlier attempt's."""
    mine = (rungs.c.study_id == study) & (rungs.c.number == number)
    connection.execute(delete(rungs).where(mine, rungs.c.step == rung.step))
    row = {"study_id": study, "number": number, "step": rung.step}
    connection.execute(insert(rungs).values(**row, rung=text_of(rung)))


def rungs_of(connection: Connection, study: int, number: int) -> list[Rung]:
    """Return the rungs of a trial, in order."""
    mine = (rungs.c.study_id == study) & (rungs.c.number == number)
    query = select(rungs.c.rung).where(mine).order_by(rungs.c.step)
    return [parsed(Rung, text, f"a rung of trial {number}") for text in connection.scalars(query)]
