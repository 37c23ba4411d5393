"""A study's rows, deleted: ours and Optuna's."""

from __future__ import annotations

from sqlalchemy import Connection, delete

from pareto_prune.storage import optuna_tables
from pareto_prune.storage.schema import OF_A_STUDY


def delete_study(connection: Connection, study: int) -> None:
    """Delete a study with all its trials."""
    delete_rows(connection, study)
    optuna_tables.delete_study(connection, study)


def delete_rows(connection: Connection, study: int) -> None:
    """Delete our rows of a study."""
    for table in OF_A_STUDY:
        connection.execute(delete(table).where(table.c.study_id == study))
