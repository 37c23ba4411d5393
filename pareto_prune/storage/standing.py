"""Which studies are there: a row of ours counts where Optuna's study of its id has its name.

Optuna's own tools delete studies without knowing of our tables, and SQLite gives the ids of deleted
rows away again. Whoever works on a study says which one by id, name and time of creation.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, column, exists, not_, select, table

from pareto_prune.core.errors import UserError
from pareto_prune.storage.deleting import delete_rows
from pareto_prune.storage.schema import studies

_OPTUNAS = table("studies", column("study_id"), column("study_name"))


@dataclass(frozen=True)
class Identity:
    """One study, and no other that has its id or its name later.

    Attributes:
        study: its id.
        name: its name.
        created: seconds since the epoch.
    """

    study: int
    name: str
    created: float


def _stands() -> ColumnElement[bool]:
    theirs = _OPTUNAS.c
    return exists().where(
        theirs.study_id == studies.c.study_id, theirs.study_name == studies.c.name
    )


def find(connection: Connection, name: str) -> Row[Any] | None:
    """Return the row of a study, if there is one of this name."""
    query = select(studies).where(studies.c.name == name, _stands())
    return connection.execute(query).one_or_none()


def listed(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows of all studies, by name."""
    return connection.execute(select(studies).where(_stands()).order_by(studies.c.name)).all()


def is_there(connection: Connection, identity: Identity) -> bool:
    """Return whether a study is still in the storage."""
    row = find(connection, identity.name)
    return row is not None and (row.study_id, row.created) == (identity.study, identity.created)


def check(connection: Connection, identity: Identity) -> None:
    """Refuse to go on with a study that is gone, whatever has its id by now.

    Raises:
        UserError: it was deleted.
    """
    if not is_there(connection, identity):
        raise UserError(f"study {identity.name!r} is no longer in the storage: it was deleted")


def clear(connection: Connection) -> None:
    """Delete our rows of studies that other tools have deleted."""
    orphans = select(studies.c.study_id).where(not_(_stands()))
    for study in connection.scalars(orphans).all():
        delete_rows(connection, study)
