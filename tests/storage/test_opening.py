"""Which URLs open, what is said of those that do not, and how the tables come to be."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sqlite3
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import pytest
import sqlalchemy
from sqlalchemy import Connection, create_engine, text
from sqlalchemy.exc import OperationalError
from sqlalchemy.pool import NullPool

from pareto_prune.core.errors import MismatchError, StorageAwayError, StorageError, UserError
from pareto_prune.core.records import Confirmation
from pareto_prune.core.study_state import StudyState
from pareto_prune.storage import database as databases
from pareto_prune.storage import open_storage, schema, standing, studies
from pareto_prune.storage.database import Database, Idle, transient
from pareto_prune.storage.url import checked, shown
from tests.storage.postgres import Server
from tests.storage.scripted import space_of, study_config

MYSQL = "mysql+pymysql://me:secret@host/db"


@pytest.mark.parametrize(
    ("url", "says"),
    [
        ("nonsense", "not a database URL"),
        ("", "not a database URL"),
        ("sqlite://", "in memory"),
        ("sqlite:///:memory:", "in memory"),
        ("sqlite:////no/such/folder/study.db", "there is no folder '/no/such/folder'"),
        ("sqlite:////tmp", "is a folder"),
        ("sqlite://study.db", "allowed: three, as in sqlite:///study.db"),
        ("sqlite:///study.db?mode=ro", "sqlite:///study.db: what stands behind a '?'"),
        ("sqlite:///why?.db", "no '?' in FILE"),
        ("oracle://me:secret@host/db", "'oracle' is not supported"),
        (MYSQL, "MySQL and MariaDB are not supported: they hold 64 kB"),
        ("mariadb://me:secret@host/db", "MySQL and MariaDB are not supported"),
        ("postgresql+psycopg2://me:secret@host/db", "'postgresql+psycopg2' is not supported"),
        ("postgresql://me:secret@host", "names no database"),
        ("postgresql://me:secret@host:port/db", "not a database URL"),
        ("postgresql://me:pass@secret#1@host/db", "allowed: %40 for an '@'"),
        ("postgresql://me:pass@secret/1@host/db", "allowed: %40 for an '@'"),
        ("postgresql://me:pass@secret?1@host/db", "allowed: %40 for an '@'"),
        ("postgresql://me@secret:1@host/db", "allowed: %40 for an '@'"),
        ("postgresql://me/1:secret@host/db", "allowed: %40 for an '@'"),
    ],
)
def test_a_url_that_does_not_open_gets_one_line(url: str, says: str) -> None:
    with pytest.raises(UserError) as caught:
        open_storage(url)
    said = "".join(traceback.format_exception(caught.value.with_traceback(None)))
    assert says in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in said


@pytest.mark.parametrize(
    "url",
    [
        "postgresql+psycopg://me:secret@host/db",
        "postgresql://me:secret@host/db",
        "postgres://me:secret@host/db?password=secret&sslmode=require",
        "postgresql://me:sec%40ret%2F1@host/db",
        "postgresql://me:sec/ret@host/db",
    ],
)
def test_a_password_is_never_shown(url: str) -> None:
    assert shown(checked(url)) == "postgresql+psycopg://me:***@host/db"


def test_a_file_that_is_no_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "study.db"
    path.write_text("plain text, long enough to be taken for the header of a database " * 9)
    with pytest.raises(UserError, match="not a database"):
        open_storage(f"sqlite:///{path}")


@pytest.mark.parametrize("host", ["127.0.0.1:1", "no-such-host.invalid"])
def test_a_server_that_is_away_is_tried_for_a_while_and_may_be_back_later(host: str) -> None:
    """A restart of the database is nothing that the user must change: workers are started again."""
    waits: list[float] = []

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        time.sleep(seconds)

    database = Database(checked(f"postgresql://me:secret@{host}/db"), sleep=sleep, patience=0.5)
    with pytest.raises(StorageAwayError) as caught:
        database.ping()
    assert caught.value.exit_code == 1
    assert "secret" not in str(caught.value)
    assert "\n" not in str(caught.value)
    assert waits


def test_a_database_that_is_not_there_is_said_at_once(postgres: Server) -> None:
    with pytest.raises(UserError, match="does not exist"):
        open_storage(postgres.url("no_such_database"))


def test_a_connection_that_is_cut_off_at_opening_is_made_again(
    postgres: Server, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A server that shuts down says so to those whom it has let in."""
    url, cut_off = postgres.database("cut_off", template), []
    real = databases.inspect

    def once(connection: Connection) -> object:
        if not cut_off:
            cut_off.append(True)
            connection.execute(text("SELECT pg_terminate_backend(pg_backend_pid())"))
        return real(connection)

    monkeypatch.setattr(databases, "inspect", once)
    open_storage(url).close()
    assert cut_off


def test_a_server_that_goes_while_the_tables_are_made_may_be_back_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gone = OperationalError("CREATE", {}, sqlite3.OperationalError("database is locked"))

    def create(_: object) -> None:
        raise gone

    monkeypatch.setattr(studies, "_PREPARATIONS", 2)
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}", patience=0)
    for broken in ("pareto_prune.storage.schema.create", "optuna.storages.RDBStorage.__init__"):
        with monkeypatch.context() as patch:
            patch.setattr(broken, lambda first, *_: create(first))
            with pytest.raises(StorageAwayError, match="is locked"):
                storage.create(study_config())


def test_a_server_that_is_demoted_for_a_while_costs_nothing(
    postgres: Server, template: str
) -> None:
    """It takes no writes until it, or who takes over, is the primary again."""
    url, waits = postgres.database("demoted", template), []
    study = open_storage(url).create(study_config())
    database = study._database

    def demoted(on: str) -> None:
        engine = create_engine(postgres.url(), poolclass=NullPool)
        with engine.begin() as connection:
            change = f"ALTER DATABASE demoted SET default_transaction_read_only = {on}"
            connection.execute(text(change))
        database.close()

    def sleep(seconds: float) -> None:
        waits.append(seconds)
        demoted("off")

    database._sleep = sleep
    demoted("on")
    trial = study.claim("w")
    assert trial is not None
    assert (trial.number, len(waits)) == (0, 1)
    demoted("on")
    database._patience = 0.0
    with pytest.raises(StorageAwayError, match="read-only transaction"):
        study.claim("w")


def test_a_server_that_hangs_is_given_up(postgres: Server, template: str) -> None:
    """Nothing comes back, not even that the connection is gone."""
    url = postgres.database("hangs", template)
    open_storage(url).create(study_config())
    frozen = threading.Event()
    with proxy(postgres.port, frozen) as port:
        study = open_storage(
            url.replace(f":{postgres.port}/", f":{port}/"), patience=2.0
        ).open_study("scripted")
        assert sum(study.counts().values()) == 0
        frozen.set()
        began = time.monotonic()
        with pytest.raises(StorageAwayError):
            study.counts()
        assert time.monotonic() - began < 60
        frozen.clear()
        assert sum(study.counts().values()) == 0


@contextmanager
def proxy(port: int, frozen: threading.Event) -> Iterator[int]:
    """Pass bytes on to a port and back, unless all is frozen; yields its own port."""
    with socket.create_server(("127.0.0.1", 0)) as listening, ExitStack() as opened:
        accepting = threading.Thread(target=_accept, args=(listening, port, frozen, opened))
        accepting.start()
        try:
            yield listening.getsockname()[1]
        finally:
            frozen.clear()
            listening.shutdown(socket.SHUT_RDWR)
            accepting.join()


def _accept(
    listening: socket.socket, port: int, frozen: threading.Event, opened: ExitStack
) -> None:
    with suppress(OSError):
        while True:
            ours, _ = listening.accept()
            theirs = socket.create_connection(("127.0.0.1", port))
            for source, to in ((ours, theirs), (theirs, ours)):
                thread = threading.Thread(target=_pump, args=(source, to, frozen))
                thread.start()
                opened.enter_context(source)
                opened.callback(thread.join)
                opened.callback(_end, source)


def _end(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)


def _pump(source: socket.socket, to: socket.socket, frozen: threading.Event) -> None:
    with suppress(OSError):
        while data := source.recv(65536):
            while frozen.is_set():
                time.sleep(0.02)
            to.sendall(data)
    _end(to)


def test_what_a_connection_to_a_server_is_bound_to(postgres: Server, template: str) -> None:
    database = Database(checked(postgres.database("bound", template)))

    def settings(connection: Connection) -> list[object]:
        names = ("statement_timeout", "idle_in_transaction_session_timeout")
        found: list[object] = [
            connection.exec_driver_sql(f"SHOW {name}").scalar() for name in names
        ]
        told = connection.connection.dbapi_connection.info.get_parameters()
        return [*found, told["keepalives_idle"], told["tcp_user_timeout"]]

    assert database.read(settings) == ["1min", "1min", "15", "30000"]
    prepared = text("SELECT count(*) FROM pg_prepared_statements")
    assert {database.read(lambda c: c.scalar(prepared)) for _ in range(9)} == {0}
    database.close()


def test_every_thread_has_its_connection_to_a_file(tmp_path: Path, prepared: Path) -> None:
    (tmp_path / "many.db").write_bytes(prepared.read_bytes())
    engine = Database(checked(f"sqlite:///{tmp_path / 'many.db'}"))._engine
    opened = [engine.connect() for _ in range(24)]
    for connection in opened:
        connection.close()
    engine.dispose()


@pytest.mark.parametrize("folder", [True, False])
def test_a_file_that_may_only_be_read_can_be_looked_at(
    tmp_path: Path, prepared: Path, monkeypatch: pytest.MonkeyPatch, folder: bool
) -> None:
    path = tmp_path / "kept" / "study.db"
    path.parent.mkdir()
    path.write_bytes(prepared.read_bytes())
    writing = open_storage(f"sqlite:///{path}")
    writing.create(study_config())
    writing.close()
    monkeypatch.setattr(os, "access", lambda where, _: folder and Path(where) != path)
    before = sorted(path.parent.iterdir())
    storage = open_storage(f"sqlite:///{path}")
    study = storage.open_study("scripted")
    assert study.read().trials_asked == 12
    assert [one.name for one in storage.studies()] == ["scripted"]
    for verb in (lambda: study.claim("w"), lambda: storage.create(study_config("new"))):
        with pytest.raises(UserError, match="may only be read"):
            verb()
    storage.close()
    assert folder or sorted(path.parent.iterdir()) == before


@pytest.mark.parametrize(
    "table", ["studies (id INTEGER PRIMARY KEY, title TEXT)", "accounts (owner TEXT)"]
)
def test_another_programs_file_is_refused_and_left_as_it_is(tmp_path: Path, table: str) -> None:
    path = tmp_path / "theirs.db"
    with sqlite3.connect(path) as other:
        other.execute(f"CREATE TABLE {table}")
    other.close()
    before = path.read_bytes()
    storage = open_storage(f"sqlite:///{path}")
    with pytest.raises(UserError, match=f"another program's tables are in it: {table.split()[0]}"):
        storage.create(study_config())
    storage.close()
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_looking_makes_no_file(tmp_path: Path) -> None:
    storage = open_storage(f"sqlite:///{tmp_path / 'study.db'}")
    assert storage.studies() == []
    with pytest.raises(UserError, match="there are none"):
        storage.open_study("any")
    assert list(tmp_path.iterdir()) == []


def test_looking_at_another_database_changes_nothing_in_it(tmp_path: Path) -> None:
    path = tmp_path / "other.db"
    with sqlite3.connect(path) as other:
        other.execute("CREATE TABLE theirs (x)")
    other.close()
    before = path.read_bytes()
    storage = open_storage(f"sqlite:///{path}")
    assert storage.studies() == []
    storage.close()
    assert path.read_bytes() == before


def test_an_empty_storage_gets_its_tables(empty_url: str) -> None:
    storage = open_storage(empty_url)
    storage.create(study_config())
    assert [study.name for study in open_storage(empty_url).studies()] == ["scripted"]
    storage.close()


def _create(url: str) -> str:
    storage = open_storage(url)
    name = storage.create(study_config()).name
    storage.close()
    return name


@pytest.mark.slow
def test_several_may_make_the_tables_at_once(empty_url: str) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        assert pool.map(_create, [empty_url] * 3, chunksize=1) == ["scripted"] * 3
    assert len(open_storage(empty_url).studies()) == 1


def test_a_study_that_another_makes_at_that_moment_is_gone_on_with(
    postgres: Server, template: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    url, made = postgres.database("made_meanwhile", template), []
    real = standing.find_to_write

    def overtaken(connection: Connection, name: str) -> object:
        row = real(connection, name)
        if row is None and not made:
            made.append(None)
            made.append(open_storage(url).create(study_config()).identity)
        return row

    monkeypatch.setattr(standing, "find_to_write", overtaken)
    assert open_storage(url).create(study_config()).identity == made[1]


def test_sqlite_writes_ahead(tmp_path: Path, prepared: Path) -> None:
    (tmp_path / "a.db").write_bytes(prepared.read_bytes())
    database = Database(checked(f"sqlite:///{tmp_path / 'a.db'}"))

    def pragmas(connection: Connection) -> tuple[object, object]:
        return tuple(
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous")
        )

    assert database.read(pragmas) == ("wal", 1)
    database.close()


def test_a_transaction_is_all_or_nothing(storage_url: str) -> None:
    database = Database(checked(storage_url))

    def half(connection: Connection) -> None:
        connection.execute(text("UPDATE pareto_schema SET version = 99"))
        raise KeyError("in the middle")

    with pytest.raises(KeyError):
        database.write(half)
    assert database.read(schema.version_of) == schema.VERSION
    database.close()


def test_no_connection_is_held_while_a_worker_trains(postgres: Server, template: str) -> None:
    url = postgres.database("quiet", template)
    study = open_storage(url).create(study_config())
    study.claim("w")
    end = time.monotonic() + 30
    while postgres.connections("quiet") > 0:
        assert time.monotonic() < end
        time.sleep(0.05)
    assert study.claim("w") is not None


def test_what_is_idle_acts_once_and_again_after_the_next_use() -> None:
    acted = threading.Semaphore(0)
    idle = Idle(acted.release, seconds=0.01)
    for _ in range(2):
        for _ in range(5):
            with idle:
                pass
        assert acted.acquire(timeout=10)
    assert not acted.acquire(blocking=False)


def test_nothing_acts_while_something_is_in_use() -> None:
    acted = threading.Semaphore(0)
    idle = Idle(acted.release, seconds=0.01)
    with idle:
        with idle:
            pass
        assert not acted.acquire(timeout=0.2)
    assert acted.acquire(timeout=10)


def test_an_older_schema_is_brought_up_to_date(own_url: str) -> None:
    database = Database(checked(own_url))

    def second(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE pareto_events ADD COLUMN colour VARCHAR(9)"))

    def third(connection: Connection) -> None:
        connection.execute(text("UPDATE pareto_events SET colour = 'red'"))

    steps, newest = (*schema.MIGRATIONS, second, third), schema.VERSION + 2
    database.write(lambda c: schema.migrate(c, steps, newest))
    assert database.read(schema.version_of) == newest
    columns = database.read(lambda c: sqlalchemy.inspect(c).get_columns("pareto_events"))
    assert "colour" in {column["name"] for column in columns}
    with pytest.raises(MismatchError, match=rf"version {newest}, .* knows {schema.VERSION}"):
        open_storage(own_url).studies()
    database.close()


def test_a_study_from_before_confirmations_is_brought_up_to_date(own_url: str) -> None:
    database = Database(checked(own_url))

    def back(connection: Connection) -> None:
        schema.confirmations.drop(connection)
        version = schema.MIGRATIONS.index(schema._confirmations) + 1
        connection.execute(text(f"UPDATE pareto_schema SET version = {version}"))

    database.write(back)
    study = open_storage(own_url).create(study_config())
    assert study.read().confirmations == ()
    found = Confirmation(number=3, steps=9, metrics=(0.8,), values={"accuracy": 0.8})
    study.confirm(found.model_copy(update={"steps": 1}))
    study.confirm(found)
    assert study.read().confirmations == (found,)
    assert open_storage(own_url).copy("scripted", "copy").read().confirmations == (found,)
    database.close()


def test_a_study_from_before_places_of_models_is_brought_up_to_date(own_url: str) -> None:
    database = Database(checked(own_url))

    def back(connection: Connection) -> None:
        connection.execute(text("ALTER TABLE pareto_studies DROP COLUMN artifacts"))
        version = schema.MIGRATIONS.index(schema._place_of_artifacts) + 1
        connection.execute(text(f"UPDATE pareto_schema SET version = {version}"))

    database.write(back)
    study = open_storage(own_url).create(study_config())
    assert study.artifacts == ""
    assert study.keep_artifacts_at("/here") == "/here"
    assert study.keep_artifacts_at("/there") == study.artifacts == "/here"
    database.close()


def test_a_study_from_before_it_could_be_paused_is_brought_up_to_date(own_url: str) -> None:
    database = Database(checked(own_url))
    study = open_storage(own_url).create(study_config())

    def back(connection: Connection) -> None:
        for column in ("state", "state_since"):
            connection.execute(text(f"ALTER TABLE pareto_studies DROP COLUMN {column}"))
        version = schema.MIGRATIONS.index(schema._states_of_studies) + 1
        connection.execute(text(f"UPDATE pareto_schema SET version = {version}"))

    database.write(back)
    storage = open_storage(own_url)
    assert [summary.state for summary in storage.studies()] == [StudyState.OPEN]
    assert storage.steer("scripted", "pause") is study.state is StudyState.PAUSED
    database.close()


def test_a_storage_from_before_measurements_were_left_out_is_brought_up_to_date(
    own_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Once it is written to: what only reads leaves alone what serves as it is."""
    database = Database(checked(own_url))

    def back(connection: Connection) -> None:
        connection.execute(text("CREATE TABLE pareto_measurements (study_id INTEGER)"))
        version = schema.MIGRATIONS.index(schema._no_measurements) + 1
        monkeypatch.setattr(schema, "SERVES_FROM", version)
        connection.execute(text(f"UPDATE pareto_schema SET version = {version}"))

    database.write(back)
    assert open_storage(own_url).studies() == []
    assert database.read(schema.version_of) < schema.VERSION
    open_storage(own_url).create(study_config())
    tables = database.read(lambda c: sqlalchemy.inspect(c).get_table_names())
    assert {table for table in tables if table.startswith("pareto_")} == set(schema.metadata.tables)
    database.close()


def test_a_passing_failure_is_tried_again_until_patience_ends(storage_url: str) -> None:
    waits: list[float] = []
    database = Database(checked(storage_url), sleep=waits.append, patience=60)

    def third_time(connection: Connection) -> str:
        if len(waits) < 2:
            raise OperationalError("SELECT", {}, sqlite3.OperationalError("database is locked"))
        return "done"

    assert database.read(third_time) == "done"
    assert len(waits) == 2
    assert waits[0] < waits[1] * 2
    impatient = Database(checked(storage_url), sleep=waits.append, patience=0)
    waits.clear()
    with pytest.raises(StorageAwayError, match="locked"):
        impatient.read(third_time)


@pytest.mark.parametrize(
    ("said", "passes"),
    [("database is locked", True), ("no such table: x", False), ("disk is full", False)],
)
def test_what_does_not_pass_is_not_tried_again(said: str, passes: bool) -> None:
    error = OperationalError("SELECT", {}, sqlite3.OperationalError(said))
    assert transient(error) is passes


def test_a_database_that_refuses_is_said_to(storage_url: str) -> None:
    database = Database(checked(storage_url))
    with pytest.raises(StorageError, match="nowhere") as caught:
        database.read(lambda c: c.execute(text("SELECT 1 FROM nowhere")))
    assert type(caught.value) is StorageError
    database.close()


def test_a_killed_connection_is_replaced(postgres: Server, template: str) -> None:
    url = postgres.database("killed", template)
    database = Database(checked(url), sleep=lambda seconds: None)
    attempts: list[int] = []

    def dies_once(connection: Connection) -> int:
        attempts.append(1)
        if len(attempts) == 1:
            _kill_others(postgres.url(), "killed")
        return int(connection.scalar(text("SELECT 7")) or 0)

    assert database.read(dies_once) == 7
    assert len(attempts) == 2


def _kill_others(url: str, database: str) -> None:
    engine = create_engine(url, poolclass=NullPool)
    with engine.begin() as connection:
        kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = :name"
        connection.execute(text(kill), {"name": database})


def test_reading_needs_neither_optuna_nor_torch(storage_url: str) -> None:
    storage = open_storage(storage_url)
    storage.create(study_config())
    code = f"""
import sys
from pareto_prune.storage import open_storage
study = open_storage({storage_url!r}).open_study("scripted").read()
assert study.trials_asked == 12
print([name for name in ("optuna", "torch", "transformers") if name in sys.modules])
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"


def test_reading_loads_nothing_that_prunes(storage_url: str) -> None:
    storage = open_storage(storage_url)
    study = storage.create(study_config())
    space = space_of(study.config)
    candidate = space.to_candidate({gene.name: gene.only for gene in space.genes})
    study.enqueue([candidate], space)
    code = f"""
import sys
from pareto_prune.storage import open_storage
study = open_storage({storage_url!r}).open_study("scripted")
assert [trial.candidate.strategy for trial in study.read().trials] == [{candidate.strategy!r}]
rooms = ("pareto_prune.pruning", "pareto_prune.search.samplers", "pareto_prune.search.space")
print([name for name in sys.modules if name.startswith(rooms)])
"""
    ended = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert ended.stdout.strip() == "[]"
