"""A study copied under a new name: its rows, ours and Optuna's, with trials that run as waiting.

The study may go on while it is copied, so all is read as it stood at one moment. No row of the copy
holds an id of the original's. Models are not copied: both studies keep theirs at one place.
"""

from __future__ import annotations

import json
from typing import Any

import pydantic
from sqlalchemy import Connection, RowMapping, Table, insert, literal, select

from pareto_prune.core.config import NAMES, StudyConfig
from pareto_prune.core.errors import Problem, UserError
from pareto_prune.core.records import TrialState
from pareto_prune.storage import facts, optuna_tables, schema
from pareto_prune.storage.schema import studies, trials

_COPIED = (
    schema.results,
    schema.rungs,
    schema.references,
    schema.confirmations,
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
        raise UserError(Problem("name", f"{name!r} is wrong", NAMES)) from None


def copy_rows(connection: Connection, old: int, new: int) -> None:
    """Copy the rows of one study into another, which was just inserted, from one snapshot."""
    _copy_facts(connection, old, new)
    optuna_tables.copy_trials(connection, old, new)
    optuna_tables.reset_unfinished(connection, new)
    for table in _COPIED:
        _copy_table(connection, table, old, new)
    _copy_trials(connection, old, new)


def _copy_facts(connection: Connection, old: int, new: int) -> None:
    source = connection.execute(select(studies).where(studies.c.study_id == old)).one()
    names = ("profile", "reference", "artifacts", "trials_asked")
    facts.change(connection, new, **{name: getattr(source, name) for name in names})


def _copy_table(connection: Connection, table: Table, old: int, new: int) -> None:
    columns = [column for column in table.c if column.name != "study_id"]
    rows = select(literal(new), *columns).where(table.c.study_id == old)
    names = ["study_id", *(column.name for column in columns)]
    connection.execute(insert(table).from_select(names, rows))


def _copy_trials(connection: Connection, old: int, new: int) -> None:
    """Copy our rows of the trials, under the ids that Optuna's rows of the copy have."""
    ids = optuna_tables.trial_ids(connection, new)
    rows = connection.execute(select(trials).where(trials.c.study_id == old)).mappings().all()
    copies = [_copied(row, new, ids[row["number"]]) for row in rows]
    if copies:
        connection.execute(insert(trials), copies)


def _copied(row: RowMapping, study: int, trial: int) -> dict[str, Any]:
    """Return the row of a trial for the copy, where nobody holds a trial: what runs is waiting."""
    ours: dict[str, Any] = {"study_id": study, "trial_id": trial, "token": None}
    if row["state"] == TrialState.RUNNING.value:
        ours |= {"state": TrialState.WAITING.value, "started": None, "worker": None}
        ours |= {"attempts": row["attempts"] - 1}
    return {**row, **ours}
