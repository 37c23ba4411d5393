"""A storage: the studies of one database."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pydantic
from sqlalchemy import Connection, Row, func, insert, select, update
from sqlalchemy.exc import DBAPIError

from pareto_prune.core.config import StudyConfig, flatten
from pareto_prune.core.errors import (
    MismatchError,
    ParetoPruneError,
    Problem,
    StorageAwayError,
    UserError,
    unknown_name,
)
from pareto_prune.core.paths import with_absolute_paths
from pareto_prune.core.records import TrialState
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import copying, deleting, optuna_tables, queue, schema, standing, steering
from pareto_prune.storage.database import PATIENCE, Database, reason, transient
from pareto_prune.storage.facts import differing
from pareto_prune.storage.leases import LEASE_SECONDS
from pareto_prune.storage.queue import Queued
from pareto_prune.storage.reading import of_another_version, state_of
from pareto_prune.storage.schema import studies, trials
from pareto_prune.storage.standing import Identity
from pareto_prune.storage.steering import Verb
from pareto_prune.storage.study import StoredStudy
from pareto_prune.storage.url import checked, file_of

if TYPE_CHECKING:
    from optuna.storages import RDBStorage

_PREPARATIONS = 20


@dataclass(frozen=True)
class StudySummary:
    """One line of ``studies``.

    Attributes:
        name: of the study.
        created: seconds since the epoch.
        trials_asked: how many trials it has been asked for.
        counts: how many trials stand where.
        state: what it was told last.
    """

    name: str
    created: float
    trials_asked: int
    counts: Mapping[TrialState, int]
    state: StudyState = StudyState.OPEN

    @property
    def finished(self) -> int:
        """Trials that have ended."""
        return sum(count for state, count in self.counts.items() if state.finished)


class Storage:
    """The studies of one database, which need not be there yet.

    Args:
        database: where they are.
        lease_seconds: how long a worker may be silent before its trial is given to another.
    """

    def __init__(self, database: Database, lease_seconds: float = LEASE_SECONDS) -> None:
        self._database = database
        self._lease_seconds = lease_seconds
        self._prepared = False

    @property
    def name(self) -> str:
        """The URL as it may be printed: without its password."""
        return self._database.name

    def create(self, config: StudyConfig) -> StoredStudy:
        """Create the study of a study file, or open it to go on where it stands.

        ``[limits]`` are taken over; everything else must be what it was, unless the study never
        began: a file that was put right after a first run was refused takes its place.

        Raises:
            MismatchError: another study file has this name; names each key that differs.
        """
        self._prepare()
        return self._opened(self._database.write(lambda c: self._create(c, config)), config)

    def _create(self, connection: Connection, config: StudyConfig) -> Identity:
        # Looked for first: whoever makes it now has both, Optuna's and ours, seen at one moment.
        taken = optuna_tables.has_study(connection, config.name)
        row = standing.find_to_write(connection, config.name)
        if row is None:
            return self._insert(connection, config, self._database.now(connection), taken)
        if changed := _changed(row, config):
            return self._replaced(connection, config, changed)
        values = {"config": config.model_dump_json(), "trials_asked": config.limits.trials}
        mine = update(studies).where(studies.c.study_id == row.study_id)
        connection.execute(mine.values(values))
        return _identity(row)

    def _replaced(
        self, connection: Connection, config: StudyConfig, changed: list[Problem]
    ) -> Identity:
        """Return the study of a changed file, in the place of one that never began."""
        row = standing.find_to_delete(connection, config.name)
        if row is None or standing.has_begun(connection, row):
            raise MismatchError(*changed)
        deleting.delete_study(connection, row.study_id)
        return self._insert(connection, config, self._database.now(connection))

    def _insert(
        self, connection: Connection, config: StudyConfig, created: float, taken: bool = True
    ) -> Identity:
        """Insert a study, of which there is none of ours; ``taken`` says if the name may be."""
        standing.clear(connection)
        if taken and optuna_tables.has_study(connection, config.name):
            wrong = "a study of this name is in the storage that pareto-prune did not make"
            raise MismatchError(Problem("name", wrong, "allowed: another name"))
        study = optuna_tables.add_study(connection, config.name, config.objectives)
        deleting.delete_rows(connection, study)
        row = {"study_id": study, "name": config.name, "config": config.model_dump_json()}
        row |= {"trials_asked": config.limits.trials, "created": created}
        connection.execute(insert(studies).values(row))
        return Identity(study, config.name, created)

    def open_study(self, name: str) -> StoredStudy:
        """Return a study by its name.

        Raises:
            UserError: there is none; names the nearest one and lists them all.
        """
        row = self._database.read(lambda c: standing.find(c, name)) if self._ready() else None
        if row is None:
            raise UserError(self._unknown(name))
        return self._opened(_identity(row), _config(row))

    def _unknown(self, name: str) -> Problem:
        known = [study.name for study in self.studies()]
        problem = unknown_name("study", name, known, self.name)
        there = problem.allowed if known else "there are none"
        hint = "another database is named by --storage or PARETO_PRUNE_STORAGE"
        return Problem(problem.where, problem.wrong, f"{there}; {hint}")

    def _opened(self, identity: Identity, config: StudyConfig) -> StoredStudy:
        return StoredStudy(self._database, identity, config, self._lease_seconds)

    def answers(self) -> bool:
        """Return whether the database can be reached at this moment, or is yet to be made."""
        file = file_of(self._database.url)
        return (file is not None and not file.exists()) or self._database.answers()

    def studies(self) -> list[StudySummary]:
        """Return all studies, by name."""
        return self._database.read(_summaries) if self._ready() else []

    def queue(self) -> list[Queued]:
        """Return the studies that have a trial to begin, of those that this program can read."""
        rows = self._database.read(queue.with_room) if self._ready() else []
        return [one for one in map(_queued, rows) if one is not None]

    def used(self, queued: Sequence[Queued]) -> dict[Identity, float]:
        """Return the seconds of workers that each has had since the last of them could have any.

        So who comes late is not given all until it has had as much as the others have ever had.
        """
        ids = {one.identity.study: one.identity for one in queued}
        since = max(one.since for one in queued)
        had = self._database.read(lambda c: queue.used(c, ids, since, self._database.now(c)))
        return {identity: had.get(study, 0.0) for study, identity in ids.items()}

    def delete(self, name: str) -> None:
        """Delete a study with all its trials.

        Raises:
            UserError: there is none of this name.
        """
        identity = self.open_study(name).identity
        self._database.write(lambda c: _delete(c, identity))

    def steer(self, name: str, verb: Verb) -> StudyState:
        """Let a study pause, resume, stop or cancel; return where it stands then.

        Raises:
            UserError: there is none of this name, or it has ended for good.
        """
        identity = self.open_study(name).identity
        return self._database.write(
            lambda c: steering.steer(c, identity, verb, self._database.now(c))
        )

    def copy(self, name: str, new: str) -> StoredStudy:
        """Copy a study under a new name; trials that run become waiting ones in the copy.

        Raises:
            UserError: there is none of this name, or the new name is taken or not a name.
        """
        old = self.open_study(name)
        config = copying.renamed(old.config, new)
        created = self._database.read(self._database.now)
        copy = self._database.write_from_snapshot(
            lambda c: self._copy(c, old.identity, config, created)
        )
        return self._opened(copy, config)

    def _copy(
        self, connection: Connection, old: Identity, config: StudyConfig, created: float
    ) -> Identity:
        standing.check(connection, old)
        there = standing.find(connection, config.name)
        if there is None:
            copy = self._insert(connection, config, created)
            copying.copy_rows(connection, old.study, copy.study)
            return copy
        if there.created == created:
            return _identity(there)
        wrong = f"there is a study {config.name!r} already"
        raise UserError(Problem("name", wrong, "allowed: another name"))

    def optunas(self) -> RDBStorage:
        """Return Optuna's own view of the storage, for tools that want one."""
        return optuna_tables.storage_of(self._database)

    def close(self) -> None:
        """Close every connection."""
        self._database.close()

    def _ready(self) -> bool:
        """Return whether the database has our tables, such that they serve; makes nothing."""
        file = file_of(self._database.url)
        if self._prepared or (file is not None and not file.exists()):
            return self._prepared
        version = self._database.read(schema.version_of)
        if version and not schema.SERVES_FROM <= version <= schema.VERSION:
            self._database.write(schema.migrate)
        self._prepared = version != 0
        return self._prepared

    def _bring_up_to_date(self) -> None:
        if self._database.read(schema.version_of) != schema.VERSION:
            self._database.write(schema.migrate)

    def _prepare(self) -> None:
        """Make the tables where there are none, or the newest of them; others may do the same.

        Raises:
            UserError: the database does not serve, or is another program's.
            StorageAwayError: it was not there, and may be later.
        """
        if self._ready():
            self._bring_up_to_date()
            return
        file = self._database.is_sqlite
        self._database.read(lambda c: optuna_tables.check_no_other_program(c, file))
        for attempt in range(_PREPARATIONS):
            if self._ready():
                return
            try:
                optuna_tables.create_tables(self._database)
                self._database.write(schema.create)
            except StorageAwayError:
                raise
            except (DBAPIError, ParetoPruneError, RuntimeError) as error:
                if attempt == _PREPARATIONS - 1:
                    raise _unusable(self.name, error) from error
                self._database.wait()


def open_storage(
    url: str,
    *,
    lease_seconds: float = LEASE_SECONDS,
    patience: float = PATIENCE,
    clock: Callable[[], float] = time.time,
) -> Storage:
    """Open the storage at a URL. An SQLite file is made with the first study, not here.

    Args:
        url: ``sqlite:///FILE`` or ``postgresql+psycopg://USER:PASSWORD@HOST/DATABASE``.
        lease_seconds: how long a worker may be silent before its trial is given to another.
        patience: seconds for which a transaction is tried again while the database is away.
        clock: the time, for SQLite; PostgreSQL has its own.

    Raises:
        UserError: it is not a URL that is supported, or it does not open; one line, no password.
    """
    parsed = checked(url)
    database = Database(parsed, clock=clock, patience=patience)
    file = file_of(parsed)
    if file is None or file.exists():
        database.ping()
    return Storage(database, lease_seconds)


def _unusable(name: str, error: Exception) -> ParetoPruneError:
    """Return what is wrong with a database in which no tables can be made."""
    met = error.__cause__ or error
    said = reason(met) if isinstance(met, DBAPIError) else str(error).splitlines()[0]
    if isinstance(met, DBAPIError) and transient(met):
        return StorageAwayError(f"storage {name}: {said}")
    return UserError(Problem("storage", f"{name}: {said}"))


def _identity(row: Row[Any]) -> Identity:
    return Identity(row.study_id, row.name, row.created)


def _delete(connection: Connection, identity: Identity) -> None:
    if standing.is_it(standing.find_to_delete(connection, identity.name), identity):
        deleting.delete_study(connection, identity.study)


def _config(row: Row[Any]) -> StudyConfig:
    try:
        return StudyConfig.model_validate_json(row.config)
    except pydantic.ValidationError as error:
        where = f"the file of study {row.name!r}"
        raise MismatchError(Problem(where, of_another_version(error))) from None


def _queued(row: Row[Any]) -> Queued | None:
    try:
        return Queued(_identity(row), _config(row), row.state_since or row.created)
    except MismatchError:
        return None


def _changed(row: Row[Any], config: StudyConfig) -> list[Problem]:
    """Return the keys in which a study file differs from its study's, and what to do about it."""
    # A study of an earlier version may hold paths as its file has them: relative ones.
    both = (with_absolute_paths(_config(row)), with_absolute_paths(config))
    old, new = (flatten(each.canonical()) for each in both)
    where = f"study {config.name!r}"
    problems = [
        Problem(f"{where}: {key}", f"{new.get(key)!r}, it was started with {old.get(key)!r}")
        for key in differing(old, new)
    ]
    advice = "only [limits] may change, allowed: another name, or the file as it was"
    return [*problems, Problem(where, advice)] if problems else []


def _summaries(connection: Connection) -> list[StudySummary]:
    grouped = select(trials.c.study_id, trials.c.state, func.count())
    counts: dict[int, dict[TrialState, int]] = {}
    for study, state, count in connection.execute(
        grouped.group_by(trials.c.study_id, trials.c.state)
    ):
        counts.setdefault(study, {})[TrialState(state)] = int(count)
    return [_summary(row, counts.get(row.study_id, {})) for row in standing.listed(connection)]


def _summary(row: Row[Any], counts: Mapping[TrialState, int]) -> StudySummary:
    state = state_of(row.state)
    return StudySummary(row.name, row.created, row.trials_asked, counts, state)
