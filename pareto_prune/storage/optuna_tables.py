"""Optuna's side of a study: the rows that its own tools read.

A trial's parameters, values, constraints and state are written to Optuna's tables in the very
transaction that writes ours. Optuna's storage interface opens a transaction for each call, so the
rows are written here through its table definitions (unchanged since Optuna 3.2; a test reads them
back through that interface). Imported only where something is written: reading needs no Optuna.
"""

from __future__ import annotations

import datetime
import functools
import json
import math
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from sqlalchemy import Connection, Table, delete, func, insert, inspect, literal, select, update

from pareto_prune.core.errors import Problem, StorageError, UserError
from pareto_prune.core.objectives import OBJECTIVES
from pareto_prune.core.records import TrialState
from pareto_prune.storage.database import Database, connect_arguments
from pareto_prune.storage.server import Bounded

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution
    from optuna.storages import RDBStorage

_STATES = {
    TrialState.WAITING: "WAITING",
    TrialState.RUNNING: "RUNNING",
    TrialState.COMPLETE: "COMPLETE",
    TrialState.STOPPED: "PRUNED",
    TrialState.FAILED: "FAIL",
}
"""A trial stopped early has its values and the state ``PRUNED``: off Optuna's front, feasible."""

_CHUNK = 500
_OF_A_TRIAL = (
    "TrialParamModel",
    "TrialValueModel",
    "TrialUserAttributeModel",
    "TrialSystemAttributeModel",
    "TrialIntermediateValueModel",
)
_OF_A_STUDY = ("StudyDirectionModel", "StudyUserAttributeModel", "StudySystemAttributeModel")


def _table(model: str) -> Table:
    from optuna.storages._rdb import models

    table: Table = getattr(models, model).__table__
    return table


def check_no_other_program(connection: Connection, file: bool) -> None:
    """Refuse a database that another program keeps its tables in.

    Args:
        connection: to it.
        file: whether it is a file, which belongs to one program; in a server's database tables of
            others are taken where their names are other ones.

    Raises:
        UserError: names them.
    """
    from optuna.storages._rdb.models import BaseModel

    known, there = BaseModel.metadata.tables, inspect(connection).get_table_names()
    theirs = [name for name in there if name in known and not _is_optunas(connection, known[name])]
    if file and not set(there) & set(known):
        theirs += there
    if theirs:
        wrong = f"another program's tables are in it: {', '.join(sorted(theirs))}"
        raise UserError(Problem("storage", wrong, "allowed: a database for studies alone"))


def _is_optunas(connection: Connection, table: Table) -> bool:
    columns = {column["name"] for column in inspect(connection).get_columns(table.name)}
    return {column.name for column in table.primary_key} <= columns


def create_tables(database: Database) -> None:
    """Make Optuna's tables, as Optuna does, and check that it can use those that are there.

    Raises:
        StorageError: the database failed, or another one is doing the same; try again.
    """
    from optuna.exceptions import StorageInternalError

    try:
        storage = storage_of(database)
    except StorageInternalError as error:
        raise StorageError(str(error)) from error.__cause__ or error
    storage.remove_session()
    storage.engine.dispose()


def storage_of(database: Database) -> RDBStorage:
    """Return Optuna's own view of the database; makes its tables where there are none."""
    from optuna.storages import RDBStorage
    from sqlalchemy.pool import NullPool

    arguments = {"connect_args": connect_arguments(database.url), "poolclass": NullPool}
    if not database.is_sqlite:
        arguments["plugins"] = [Bounded.NAME]
    return RDBStorage(database.url.render_as_string(hide_password=False), arguments)


def add_study(connection: Connection, name: str, objectives: Iterable[str]) -> int:
    """Insert a study and return its id."""
    from optuna.study import StudyDirection

    study = _inserted(connection, _table("StudyModel"), {"study_name": name})
    rows = [
        {
            "study_id": study,
            "objective": place,
            "direction": StudyDirection[OBJECTIVES[objective].direction.upper()],
        }
        for place, objective in enumerate(objectives)
    ]
    connection.execute(insert(_table("StudyDirectionModel")), rows)
    names = insert(_table("StudyUserAttributeModel"))
    value = json.dumps(list(objectives))
    connection.execute(names.values(study_id=study, key="objectives", value_json=value))
    metric = insert(_table("StudySystemAttributeModel"))
    connection.execute(metric.values(study_id=study, key="study:metric_names", value_json=value))
    return study


def has_study(connection: Connection, name: str) -> bool:
    """Return whether a study of this name is there, ours or not."""
    table = _table("StudyModel")
    found = select(table.c.study_id).where(table.c.study_name == name)
    return connection.scalar(found) is not None


def lock_study(connection: Connection, study: int) -> None:
    """Hold the study's row until the transaction ends: the lock under which numbers are given.

    Raises:
        UserError: the study was deleted.
    """
    table = _table("StudyModel")
    row = select(table.c.study_id).where(table.c.study_id == study).with_for_update()
    if connection.scalar(row) is None:
        raise UserError("the study is no longer in the storage: it was deleted")


def delete_study(connection: Connection, study: int) -> None:
    """Delete a study with all its trials."""
    trials = _table("TrialModel")
    ours = select(trials.c.trial_id).where(trials.c.study_id == study)
    for name in (*_OF_A_TRIAL, "TrialHeartbeatModel"):
        table = _table(name)
        connection.execute(delete(table).where(table.c.trial_id.in_(ours)))
    for name in ("TrialModel", *_OF_A_STUDY, "StudyModel"):
        table = _table(name)
        connection.execute(delete(table).where(table.c.study_id == study))


def copy_trials(connection: Connection, old: int, new: int) -> None:
    """Copy all trials of one study into another that has none."""
    trials = _table("TrialModel")
    columns = [c for c in trials.c if c.name not in ("trial_id", "study_id")]
    rows = select(literal(new), *columns).where(trials.c.study_id == old).order_by(trials.c.number)
    into = insert(trials).from_select(["study_id", *(c.name for c in columns)], rows)
    connection.execute(into)
    theirs, mine = trial_ids(connection, old), trial_ids(connection, new)
    renamed = {theirs[number]: mine[number] for number in theirs}
    for name in _OF_A_TRIAL:
        _copy_of_trials(connection, _table(name), renamed)


def _copy_of_trials(connection: Connection, table: Table, renamed: Mapping[int, int]) -> None:
    """Copy the rows of some trials to those that ``renamed`` names, some hundred at a time."""
    columns = [column for column in table.c if not column.primary_key]
    ids = sorted(renamed)
    for start in range(0, len(ids), _CHUNK):
        some = table.c.trial_id.in_(ids[start : start + _CHUNK])
        rows = connection.execute(select(*columns).where(some)).mappings().all()
        if rows:
            copies = [{**row, "trial_id": renamed[row["trial_id"]]} for row in rows]
            connection.execute(insert(table), copies)


def reset_unfinished(connection: Connection, study: int) -> None:
    """Put the running trials of a study back to waiting."""
    from optuna.trial import TrialState as OptunaState

    trials = _table("TrialModel")
    running = (trials.c.study_id == study) & (trials.c.state == OptunaState.RUNNING)
    moment = _moment(TrialState.WAITING)
    connection.execute(update(trials).where(running).values(moment))


def trial_ids(connection: Connection, study: int) -> dict[int, int]:
    """Return the id of every trial of a study by its number."""
    trials = _table("TrialModel")
    rows = select(trials.c.number, trials.c.trial_id).where(trials.c.study_id == study)
    return {int(number): int(trial) for number, trial in connection.execute(rows)}


def next_number(connection: Connection, study: int) -> int:
    """Return the number of the next trial; :func:`lock_study` comes first."""
    trials = _table("TrialModel")
    count = select(func.count()).select_from(trials).where(trials.c.study_id == study)
    return int(connection.scalar(count) or 0)


def add_trial(connection: Connection, study: int, number: int, state: TrialState) -> int:
    """Insert a trial and return its id."""
    row = {"study_id": study, "number": number, **_moment(state)}
    return _inserted(connection, _table("TrialModel"), row)


def _inserted(connection: Connection, table: Table, row: Mapping[str, Any]) -> int:
    """Insert a row and return the key that the database gave it."""
    (key,) = connection.execute(insert(table), row).inserted_primary_key or (0,)
    return int(key)


def set_state(connection: Connection, trial: int, state: TrialState) -> None:
    """Set the state of a trial and the time of it."""
    trials = _table("TrialModel")
    connection.execute(update(trials).where(trials.c.trial_id == trial), _moment(state))


def _moment(state: TrialState) -> dict[str, Any]:
    from optuna.trial import TrialState as OptunaState

    now = datetime.datetime.now(datetime.UTC).replace(tzinfo=None)
    row: dict[str, Any] = {"state": OptunaState[_STATES[state]]}
    if state is TrialState.WAITING:
        row |= {"datetime_start": None}
    elif state is TrialState.RUNNING:
        row |= {"datetime_start": now}
    else:
        row |= {"datetime_complete": now}
    return row


def set_params(
    connection: Connection,
    trial: int,
    params: Mapping[str, Any],
    distributions: Mapping[str, BaseDistribution],
) -> None:
    """Write all parameters of a trial that has none yet, at once."""
    table = _table("TrialParamModel")
    rows = [
        {
            "trial_id": trial,
            "param_name": name,
            "param_value": distributions[name].to_internal_repr(value),
            "distribution_json": _json_of(distributions[name]),
        }
        for name, value in params.items()
    ]
    if rows:
        connection.execute(insert(table), rows)


@functools.lru_cache(maxsize=1024)
def _json_of(distribution: BaseDistribution) -> str:
    from optuna.distributions import distribution_to_json

    return distribution_to_json(distribution)


def set_values(connection: Connection, trial: int, values: Sequence[float]) -> None:
    """Write the objectives of a trial, finite, in the study's order."""
    from optuna.storages._rdb.models import TrialValueModel

    finite = TrialValueModel.TrialValueType.FINITE
    rows = [
        {"trial_id": trial, "objective": place, "value": value, "value_type": finite}
        for place, value in enumerate(values)
    ]
    connection.execute(insert(_table("TrialValueModel")), rows)


def set_constraints(connection: Connection, trial: int, violations: Mapping[str, float]) -> None:
    """Write constraints as ``trial.set_constraint`` does: feasible where none is above 0."""
    rows = [
        {"trial_id": trial, "key": f"constraints:{name}", "value_json": json.dumps(_finite(value))}
        for name, value in violations.items()
    ]
    if rows:
        connection.execute(insert(_table("TrialSystemAttributeModel")), rows)


def set_user_attributes(connection: Connection, trial: int, values: Mapping[str, Any]) -> None:
    """Write what Optuna's dashboard shows beside a trial: small, each key once."""
    rows = [
        {"trial_id": trial, "key": key, "value_json": json.dumps(value)}
        for key, value in values.items()
    ]
    if rows:
        connection.execute(insert(_table("TrialUserAttributeModel")), rows)


def _finite(violation: float) -> float:
    """Return a violation that Optuna accepts: what is no number is violated by a lot."""
    return violation if math.isfinite(violation) else 1e9
