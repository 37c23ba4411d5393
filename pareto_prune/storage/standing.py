"""Which studies are there: a row of ours counts where Optuna's study of its id has its name.

Optuna's own tools delete studies without knowing of our tables, and SQLite gives the ids of deleted
rows away again. Whoever works on a study says which one by id, name and time of creation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Connection, Row, Select, column, exists, not_, select, table

from pareto_prune.core.errors import UserError
from pareto_prune.storage.deleting import delete_rows
from pareto_prune.storage.schema import leases, studies

Find = Callable[[Connection, str], Row[Any] | None]

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
    return connection.execute(_named(name)).one_or_none()


def _named(name: str) -> Select[Any]:
    return select(studies).where(studies.c.name == name, _stands())


def find_to_write(connection: Connection, name: str) -> Row[Any] | None:
    """Return the same, and let nobody delete the study until the transaction ends."""
    shared = _named(name).with_for_update(read=True, key_share=True, of=studies)
    return connection.execute(shared).one_or_none()


def find_to_delete(connection: Connection, name: str) -> Row[Any] | None:
    """Return the same, once nobody writes to the study, and let nobody until the end."""
    return connection.execute(_named(name).with_for_update(of=studies)).one_or_none()


def has_begun(connection: Connection, row: Row[Any]) -> bool:
    """Return whether a study has its dense model, or somebody who makes it."""
    held = select(leases.c.token).where(leases.c.study_id == row.study_id)
    return row.reference is not None or connection.execute(held).first() is not None


def listed(connection: Connection) -> Sequence[Row[Any]]:
    """Return the rows of all studies, by name."""
    return connection.execute(select(studies).where(_stands()).order_by(studies.c.name)).all()


def sharing(connection: Connection, study: int) -> Sequence[Row[Any]]:
    """Return the rows of the other studies that keep their models where a study does."""
    return connection.execute(select(studies).where(_shares(study))).all()


def held_where_shared(connection: Connection, study: int, name: str) -> bool:
    """Return whether one of those studies has a lease of this name, void or not."""
    theirs = (leases.c.study_id == studies.c.study_id) & (leases.c.name == name)
    query = select(leases.c.token).where(theirs, _shares(study))
    return connection.execute(query).first() is not None


def _shares(study: int) -> ColumnElement[bool]:
    mine = studies.alias("mine")
    own = select(mine.c.artifacts).where(mine.c.study_id == study).scalar_subquery()
    return (studies.c.study_id != study) & (studies.c.artifacts == own) & _stands()


def is_it(row: Row[Any] | None, identity: Identity) -> bool:
    """Return whether a row that was found by its name is a study's."""
    return row is not None and (row.study_id, row.created) == (identity.study, identity.created)


def check(connection: Connection, identity: Identity, look: Find = find) -> None:
    """Refuse to go on with a study that is gone, whatever has its id by now.

    Args:
        connection: within a transaction.
        identity: of the study.
        look: how it is found; :func:`find_to_write` where the transaction writes.

    Raises:
        UserError: it was deleted.
    """
    if not is_it(look(connection, identity.name), identity):
        raise UserError(f"study {identity.name!r} is no longer in the storage: it was deleted")


def clear(connection: Connection) -> None:
    """Delete our rows of studies that other tools have deleted."""
    orphans = select(studies.c.study_id).where(not_(_stands()))
    for study in connection.scalars(orphans).all():
        delete_rows(connection, study)
