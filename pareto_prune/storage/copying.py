"""A study copied under a new name: its rows, ours and Optuna's, with trials that run as waiting."""

from __future__ import annotations

import json

import pydantic
from sqlalchemy import Connection, Table, bindparam, insert, literal, select, update

from pareto_prune.core.config import StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import TrialState
from pareto_prune.storage import facts, optuna_tables, schema
from pareto_prune.storage.schema import studies, trials

_COPIED = (
    schema.results,
    schema.rungs,
    schema.references,
    schema.measurements,
    schema.confirmations,
    trials,
)


def renamed(config: StudyConfig, name: str) -> StudyConfig:
    """Return a study file under another name.

    Raises:
        UserError: it is not a name.
    """
    try:
        return StudyConfig.model_validate_json(
            json.dumps(config.model_dump(mode="json") | {"name": name})
        )
    except pydantic.ValidationError:
        wrong = f"{name!r} is wrong"
        raise UserError(Problem("name", wrong, "allowed: letters, digits, '.', '_', '-'")) from None


def copy_rows(connection: Connection, old: int, new: int) -> None:
    """Copy the rows of one study into another, which was just inserted."""
    _copy_facts(connection, old, new)
    optuna_tables.copy_trials(connection, old, new)
    optuna_tables.reset_unfinished(connection, new)
    for table in _COPIED:
        _copy_table(connection, table, old, new)
    _reset_unfinished(connection, new)
    _name_optunas_trials(connection, new)


def _copy_facts(connection: Connection, old: int, new: int) -> None:
    source = connection.execute(select(studies).where(studies.c.study_id == old)).one()
    kept = {"profile": source.profile, "reference": source.reference}
    facts.change(connection, new, **kept, trials_asked=source.trials_asked)


def _copy_table(connection: Connection, table: Table, old: int, new: int) -> None:
    columns = [column for column in table.c if column.name != "study_id"]
    rows = select(literal(new), *columns).where(table.c.study_id == old)
    names = ["study_id", *(column.name for column in columns)]
    connection.execute(insert(table).from_select(names, rows))


def _reset_unfinished(connection: Connection, study: int) -> None:
    """Put running trials back to waiting; nobody holds a trial of a copy."""
    mine = trials.c.study_id == study
    running = trials.c.state == TrialState.RUNNING.value
    idle = {"state": TrialState.WAITING.value, "started": None, "worker": None}
    connection.execute(update(trials).where(mine, running).values(idle))
    connection.execute(update(trials).where(mine).values(token=None))


def _name_optunas_trials(connection: Connection, study: int) -> None:
    """Write the ids that Optuna's rows of the copy have."""
    found = optuna_tables.trial_ids(connection, study)
    ids = [{"n": number, "id": trial} for number, trial in found.items()]
    one = update(trials).where(trials.c.study_id == study, trials.c.number == bindparam("n"))
    if ids:
        connection.execute(one.values(trial_id=bindparam("id")), ids)
