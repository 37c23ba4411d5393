"""One database: its connections, its transactions, its clock.

SQLite is opened with a write-ahead log, so that readers never wait for a writer, and every writing
transaction takes its lock at the start, so that none fails half-way. PostgreSQL connections serve
the transactions of a moment and are closed once idle: a worker holds none while it trains.
"""

from __future__ import annotations

import itertools
import random
import sqlite3
import threading
import time
import weakref
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, TypeVar

from sqlalchemy import URL, Connection, Double, Engine, create_engine, event, func, inspect, select
from sqlalchemy.exc import (
    DBAPIError,
    IntegrityError,
    InterfaceError,
    OperationalError,
    SQLAlchemyError,
)

from pareto_prune.core.errors import Problem, StorageAwayError, StorageError, UserError
from pareto_prune.storage import server
from pareto_prune.storage.server import CONNECT_ARGUMENTS, Watch, is_away
from pareto_prune.storage.sqlite_file import BUSY_SECONDS, WriteAhead, connected, may_write
from pareto_prune.storage.url import file_of, shown

T = TypeVar("T")

PATIENCE = 120.0
"""Seconds that a transaction is tried again for while the database does not answer."""
IDLE = 1.0
"""Seconds after which connections to a server that nobody uses are closed."""
_MOST_IDLE = 8
_STARTING = 30.0
_FIRST_WAIT, _LONGEST_WAIT = 0.05, 5.0
_LONGEST = 60.0
_RACES = 3
_WRITES = {"writes": True}


class Database:
    """Runs transactions, again where the reason of a failure passes.

    Args:
        url: of the database, checked.
        clock: seconds since the epoch; for SQLite only, PostgreSQL has its own.
        sleep: how it waits before it tries again.
        patience: seconds until it gives up.
        idle: seconds after which unused connections to a server are closed.
    """

    def __init__(
        self,
        url: URL,
        clock: Callable[[], float] = time.time,
        sleep: Callable[[float], None] = time.sleep,
        patience: float = PATIENCE,
        idle: float = IDLE,
    ) -> None:
        self.url = url
        self._clock = clock
        self._sleep = sleep
        self._patience = patience
        self._engine = _engine(url)
        self._idle = Idle(self._engine.dispose, idle)
        weakref.finalize(self, self._engine.dispose)

    @property
    def name(self) -> str:
        """The URL as it may be printed."""
        return shown(self.url)

    @property
    def is_sqlite(self) -> bool:
        """Whether it is a file rather than a server."""
        return self.url.drivername == "sqlite"

    def ping(self) -> None:
        """Connect once; a server that is not there, starting or full gets a little time.

        Raises:
            UserError: it does not open; one line says why, without the password.
            StorageAwayError: it was not there for all that time, and may be later.
        """
        end = time.monotonic() + min(_STARTING, self._patience)
        for wait in _waits():
            error = self._ping()
            if error is None:
                return
            if not _may_be_back(error):
                raise UserError(Problem("storage", f"{self.name}: {reason(error)}"))
            if time.monotonic() + wait > end:
                raise StorageAwayError(f"storage {self.name}: {reason(error)}")
            self._sleep(wait)

    def answers(self) -> bool:
        """Return whether it can be reached at this moment."""
        return self._ping() is None

    def _ping(self) -> SQLAlchemyError | None:
        try:
            with (
                self._in_use(),
                self._engine.connect() as connection,
                self._watched(connection, self._longest),
            ):
                inspect(connection).get_table_names()
        except SQLAlchemyError as error:
            return error
        return None

    @property
    def time(self) -> Any:
        """The database's time as part of a statement: a number, or an expression of it."""
        if self.is_sqlite:
            return self._clock()
        return func.extract("epoch", func.clock_timestamp()).cast(Double)

    def now(self, connection: Connection) -> float:
        """Return the database's time in seconds since the epoch: one clock for all hosts."""
        return self._clock() if self.is_sqlite else float(connection.scalar(select(self.time)) or 0)

    def read(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` reads in one transaction."""
        return self._attempts(self._engine, work, self._longest)

    def write(self, work: Callable[[Connection], T]) -> T:
        """Return what ``work`` returns after one transaction, all of it or nothing.

        ``work`` may run more than once, so it changes nothing but the database. It may also have
        been written already, where the answer of an attempt was lost: then it writes nothing more
        and returns what it returned.

        Raises:
            UserError: it is a file that may only be read.
            StorageError: the database failed.
        """
        self._check_writable()
        engine = self._engine.execution_options(**_WRITES)
        return self._attempts(engine, work, self._longest)

    def write_from_snapshot(self, work: Callable[[Connection], T]) -> T:
        """Return the same of a transaction whose statements all see the database as it began.

        It may take long. SQLite has no other ones: who writes is alone.
        """
        if self.is_sqlite:
            return self.write(work)
        options = {**_WRITES, "isolation_level": "REPEATABLE READ"}
        return self._attempts(self._engine.execution_options(**options), work, None)

    def _check_writable(self) -> None:
        file = file_of(self.url)
        if file is not None and not may_write(file):
            wrong = f"{self.name}: may only be read"
            raise UserError(Problem("storage", wrong, "allowed: a file that may be written"))

    def wait(self) -> None:
        """Wait a moment, never the same, for what another process is doing."""
        self._sleep(_FIRST_WAIT * random.uniform(0.5, 1.5))

    def close(self) -> None:
        """Close every connection. It opens new ones when it is used again."""
        self._engine.dispose()

    def _in_use(self) -> AbstractContextManager[None]:
        """Keep connections open; those to a server are closed a while after."""
        return nullcontext() if self.is_sqlite else self._idle

    @property
    def _longest(self) -> float:
        """Seconds after which a transaction with a server that does not answer is cut off."""
        return max(1.0, min(_LONGEST, self._patience))

    def _watched(
        self, connection: Connection, seconds: float | None
    ) -> AbstractContextManager[object]:
        return nullcontext() if self.is_sqlite or seconds is None else Watch(connection, seconds)

    def _attempts(
        self, engine: Engine, work: Callable[[Connection], T], longest: float | None
    ) -> T:
        end = time.monotonic() + self._patience
        for attempt, wait in enumerate(_waits()):
            try:
                with (
                    self._in_use(),
                    engine.connect() as connection,
                    self._watched(connection, longest),
                    connection.begin(),
                ):
                    return work(connection)
            except DBAPIError as error:
                passes = transient(error) or (_raced(error) and attempt < _RACES)
                if not passes or time.monotonic() + wait > end:
                    kind = StorageAwayError if transient(error) else StorageError
                    raise kind(f"storage {self.name}: {reason(error)}") from error
            self._sleep(wait * random.uniform(0.5, 1.5))
        raise AssertionError("unreachable")


class Idle:
    """Does something once nothing is in use for a while, in a thread that ends with it.

    Used as a context, by several threads at once. Nothing comes into use while it acts.

    Args:
        act: what to do; quick.
        seconds: how long the while is.
    """

    def __init__(self, act: Callable[[], None], seconds: float) -> None:
        self._act = act
        self._seconds = seconds
        self._lock = threading.Lock()
        self._used = 0
        self._last = 0.0
        self._waiting = False

    def __enter__(self) -> None:
        with self._lock:
            self._used += 1

    def __exit__(self, *raised: object) -> None:
        with self._lock:
            self._used -= 1
            self._last = time.monotonic()
            if not self._waiting:
                self._waiting = True
                threading.Thread(target=self._wait, name="idle", daemon=True).start()

    def _wait(self) -> None:
        while (left := self._acted()) > 0:
            time.sleep(left)

    def _acted(self) -> float:
        """Act if it is time; return for how many more seconds it is not."""
        with self._lock:
            quiet = time.monotonic() - self._last
            left = self._seconds if self._used else self._seconds - quiet
            if left <= 0:
                self._waiting = False
                self._act()
            return left


def transient(error: DBAPIError) -> bool:
    """Return whether the same transaction may well succeed a little later."""
    if isinstance(error.orig, sqlite3.Error):
        return "locked" in str(error.orig) or "busy" in str(error.orig)
    if getattr(error.orig, "sqlstate", None) == server.READ_ONLY:
        return True
    return error.connection_invalidated or isinstance(error, (OperationalError, InterfaceError))


def _may_be_back(error: SQLAlchemyError) -> bool:
    """Return whether a server that failed so at opening may well be there a little later."""
    cut_off = isinstance(error, DBAPIError) and error.connection_invalidated
    return cut_off or is_away(reason(error))


def _waits() -> Iterator[float]:
    """Yield how long to wait before each further attempt, in seconds, without end."""
    for attempt in itertools.count():
        yield min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** min(attempt, 10))


def _raced(error: DBAPIError) -> bool:
    """Return whether another transaction may just have inserted what this one wanted to."""
    return isinstance(error, IntegrityError)


def reason(error: SQLAlchemyError) -> str:
    """Return the first line of what the database said; it never holds a password."""
    said = str(getattr(error, "orig", None) or error).strip().splitlines()
    return said[0] if said else type(error).__name__


def connect_arguments(url: URL) -> dict[str, Any]:
    """Return what the driver is told: for Optuna's own engine on this database as well."""
    if url.drivername == "sqlite":
        return {"factory": WriteAhead, "timeout": BUSY_SECONDS}
    return CONNECT_ARGUMENTS


def _engine(url: URL) -> Engine:
    """Return an engine that gives a connection to every thread that wants one."""
    file, pool = file_of(url), {"pool_size": _MOST_IDLE, "max_overflow": -1}
    if file is None:
        engine = create_engine(url, connect_args=connect_arguments(url), **pool)
        event.listen(engine, "begin", server.begin)
    else:
        engine = create_engine(url, creator=lambda: connected(file), **pool)
        event.listen(engine, "begin", _begin)
    return engine


def _begin(connection: Connection) -> None:
    """Start an SQLite transaction: the driver leaves it to us (``isolation_level=None``)."""
    writes = connection.get_execution_options().get("writes")
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")
