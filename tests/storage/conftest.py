"""Storages to test on: every test that takes ``storage_url`` runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from optuna.storages import RDBStorage
from sqlalchemy.pool import NullPool

from pareto_prune.storage import Storage, StoredStudy, open_storage
from tests.storage.postgres import Server, binaries
from tests.storage.scripted import study_config

_COUNT = itertools.count()
DIALECTS = ("sqlite", "postgresql")


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    """A PostgreSQL server for the session; skips only where none is installed."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    server = Server()
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An SQLite file with all tables and no study, to copy."""
    path = tmp_path_factory.mktemp("prepared") / "empty.db"
    _prepare(f"sqlite:///{path}")
    return path


@pytest.fixture(scope="session")
def template(postgres: Server) -> str:
    """The name of a PostgreSQL database with all tables and no study, to copy."""
    _prepare(postgres.database("prepared"))
    return "prepared"


@pytest.fixture(scope="session")
def shared(postgres: Server, template: str) -> str:
    """The URL of the PostgreSQL database that most tests take turns with."""
    return postgres.database("shared", template)


def _prepare(url: str) -> None:
    storage = open_storage(url)
    storage.create(study_config("first"))
    storage.delete("first")
    storage.close()


@pytest.fixture(params=DIALECTS)
def storage_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a storage without studies, its tables made; on PostgreSQL emptied, not new."""
    if request.param == "sqlite":
        return _copied(request, tmp_path)
    url = request.getfixturevalue("shared")
    kept = ("pareto_schema", "version_info")
    request.getfixturevalue("postgres").empty("shared", kept)
    return url


@pytest.fixture(params=DIALECTS)
def own_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The same, for a test that changes the tables themselves."""
    if request.param == "sqlite":
        return _copied(request, tmp_path)
    template = request.getfixturevalue("template")
    return request.getfixturevalue("postgres").database(f"own_{next(_COUNT)}", template)


def _copied(request: pytest.FixtureRequest, folder: Path) -> str:
    shutil.copy(request.getfixturevalue("prepared"), folder / "study.db")
    return f"sqlite:///{folder / 'study.db'}"


@pytest.fixture(params=DIALECTS)
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of a storage without anything."""
    if request.param == "sqlite":
        return f"sqlite:///{tmp_path / 'new.db'}"
    return request.getfixturevalue("postgres").database(f"empty_{next(_COUNT)}")


@pytest.fixture
def storage(storage_url: str) -> Iterator[Storage]:
    """An open storage without studies."""
    opened = open_storage(storage_url, patience=10)
    yield opened
    opened.close()


@pytest.fixture
def optunas(storage_url: str) -> Iterator[RDBStorage]:
    """Optuna's own view of the same storage."""
    opened = RDBStorage(storage_url, {"poolclass": NullPool})
    yield opened
    opened.remove_session()
    opened.engine.dispose()


@pytest.fixture
def study(storage: Storage) -> StoredStudy:
    """A study of twelve trials."""
    return storage.create(study_config())
