"""Our own tables, beside Optuna's, and how they get from one version to the next.

::

    Optuna's                            ours
    studies ◄──────────────────────── pareto_studies        study file, state, dense model
    trials, trial_params, …  ◄─────── pareto_trials         state, candidate, attempts
                                      pareto_results        what a trial found out
                                      pareto_rungs          its quality part of the way
                                      pareto_leases         who works on what, until when
                                      pareto_workers        who they are
                                      pareto_events         what happened
                                      pareto_references     named references
                                      pareto_confirmations  trials retrained after the search

Optuna's tables hold each trial as any Optuna tool expects it; ours hold what Optuna cannot. Both
are written in the same transactions. Trials are keyed by study and number, not by Optuna's ids:
SQLite gives the ids of deleted rows away again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from sqlalchemy import (
    Column,
    Connection,
    Double,
    Index,
    Integer,
    MetaData,
    String,
    Table,
    Text,
    insert,
    inspect,
    select,
    update,
)

from pareto_prune.core.errors import MismatchError, Problem

VERSION = 5
SERVES_FROM = 5
"""The oldest version whose tables serve as they are, also where they may only be read."""
metadata = MetaData()

_NAME = String(512)
_TOKEN = String(36)


def _key(name: str) -> Column[int]:
    return Column(name, Integer, primary_key=True, autoincrement=False)


def _named_key(name: str) -> Column[str]:
    return Column(name, String(128), primary_key=True)


def _records(name: str, column: str, *keys: Column[Any]) -> Table:
    """Return a table with one record, as JSON, for each of some keys of a study."""
    return Table(name, metadata, _key("study_id"), *keys, Column(column, Text, nullable=False))


schema = Table("pareto_schema", metadata, Column("version", Integer, nullable=False))

studies = Table(
    "pareto_studies",
    metadata,
    _key("study_id"),
    Column("name", _NAME, nullable=False, unique=True),
    Column("config", Text, nullable=False),
    Column("trials_asked", Integer, nullable=False),
    Column("created", Double, nullable=False),
    Column("profile", Text),
    Column("reference", Text),
    Column("artifacts", Text),
    Column("state", String(16)),
    Column("state_since", Double),
)

trials = Table(
    "pareto_trials",
    metadata,
    _key("study_id"),
    _key("number"),
    Column("trial_id", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("attempts", Integer, nullable=False, default=0),
    Column("token", _TOKEN),
    Column("worker", _NAME),
    Column("started", Double),
    Column("ended", Double),
    Column("candidate", Text),
    Column("attributes", Text),
    Column("told", Text),
    Index("pareto_trials_by_state", "study_id", "state", "number"),
)

results = _records("pareto_results", "result", _key("number"))

rungs = _records("pareto_rungs", "rung", _key("number"), _key("step"))

leases = Table(
    "pareto_leases",
    metadata,
    _key("study_id"),
    _named_key("name"),
    Column("token", _TOKEN, nullable=False),
    Column("worker_id", _TOKEN, nullable=False),
    Column("seconds", Double, nullable=False),
    Column("expires", Double, nullable=False),
)

workers = Table(
    "pareto_workers",
    metadata,
    Column("worker_id", _TOKEN, primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("name", _NAME, nullable=False),
    Column("host", _NAME, nullable=False),
    Column("process", Text, nullable=False),
    Column("started", Double, nullable=False),
    Column("seen", Double, nullable=False),
    Column("ended", Double),
)

events = Table(
    "pareto_events",
    metadata,
    Column("event_id", Integer, primary_key=True),
    Column("study_id", Integer, nullable=False, index=True),
    Column("at", Double, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("number", Integer),
    Column("worker", _NAME),
    Column("text", Text, nullable=False),
)

references = _records("pareto_references", "result", _named_key("name"))

confirmations = _records("pareto_confirmations", "confirmation", _key("number"))

OF_A_STUDY = (
    trials,
    results,
    rungs,
    leases,
    workers,
    events,
    references,
    confirmations,
    studies,
)
"""Tables with rows of one study, in the order in which those can be deleted."""

Migration = Callable[[Connection], None]


def _confirmations(connection: Connection) -> None:
    confirmations.create(connection, checkfirst=True)


def _place_of_artifacts(connection: Connection) -> None:
    _add_columns(connection, artifacts="TEXT")


def _states_of_studies(connection: Connection) -> None:
    _add_columns(connection, state="VARCHAR(16)", state_since="DOUBLE PRECISION")


def _add_columns(connection: Connection, **kinds: str) -> None:
    """Add the columns that studies lack yet."""
    there = {column["name"] for column in inspect(connection).get_columns(studies.name)}
    for name in kinds.keys() - there:
        connection.exec_driver_sql(f"ALTER TABLE pareto_studies ADD COLUMN {name} {kinds[name]}")


def _no_measurements(connection: Connection) -> None:
    """Drop a table that nothing was ever written to."""
    connection.exec_driver_sql("DROP TABLE IF EXISTS pareto_measurements")


MIGRATIONS: Sequence[Migration] = (
    _confirmations,
    _place_of_artifacts,
    _no_measurements,
    _states_of_studies,
)
"""``MIGRATIONS[i]`` turns tables of version ``i + 1`` into those of version ``i + 2``."""


def version_of(connection: Connection) -> int:
    """Return the version of our tables in a database, 0 where there are none."""
    if not inspect(connection).has_table(schema.name):
        return 0
    return int(connection.scalar(select(schema.c.version)) or 0)


def create(connection: Connection) -> None:
    """Make our tables at the newest version."""
    metadata.create_all(connection)
    if connection.scalar(select(schema.c.version)) is None:
        connection.execute(insert(schema).values(version=VERSION))


def migrate(
    connection: Connection, migrations: Sequence[Migration] = MIGRATIONS, newest: int = VERSION
) -> None:
    """Bring our tables to the newest version, step by step; one process at a time.

    Raises:
        MismatchError: they are of a newer version than this program knows.
    """
    version = int(connection.scalar(select(schema.c.version).with_for_update()) or 0)
    if version > newest:
        wrong = f"its tables are of version {version}, this program knows {newest}"
        raise MismatchError(Problem("storage", wrong, "allowed: a newer pareto-prune"))
    for step in migrations[version - 1 : newest - 1]:
        step(connection)
    connection.execute(update(schema).values(version=newest))
