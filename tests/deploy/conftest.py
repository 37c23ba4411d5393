"""A database that asks for a password, and this host in the place of a container's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from pareto_prune.storage import StoredStudy, open_storage
from tests.deploy.recipes import FOLDERS, PASSWORD, Host, compose_file, free_port
from tests.small_study import make_study
from tests.storage.postgres import Server, binaries


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A server as docker-compose.yml starts it."""
    if binaries() is None:
        pytest.skip("no PostgreSQL server is installed")
    service = compose_file(POSTGRES_PASSWORD=PASSWORD, PARETO_PRUNE_TOKEN="t")["services"]
    program, *options = service["postgres"]["command"]
    assert program == "postgres"
    user = service["postgres"]["environment"]["POSTGRES_USER"]
    server = Server(user=user, password=PASSWORD, options=options)
    try:
        server.start()
        yield server
    finally:
        server.remove()


@pytest.fixture
def host(server: Server, tmp_path: Path) -> Host:
    """This host, with a small study file and an empty database."""
    for name in FOLDERS:
        (tmp_path / name).mkdir()
    make_study(tmp_path / "studies", limits={"trials": 2})
    server.renew("pareto_prune")
    return Host(tmp_path, server, free_port())


@pytest.fixture
def small(host: Host, monkeypatch: pytest.MonkeyPatch):
    """Opens the small study as the test sees it, with the password from the environment."""
    monkeypatch.setenv("PGPASSWORD", PASSWORD)

    def opened() -> StoredStudy:
        user, port = host.server.user, host.server.port
        url = f"postgresql+psycopg://{user}@127.0.0.1:{port}/pareto_prune"
        return open_storage(url).open_study("small")

    return opened
