"""A PostgreSQL server of one's own: started from the installed binaries, ended by its process id.

The server refuses to run as root; then it runs as ``nobody`` in a folder that ``nobody`` owns.
"""

from __future__ import annotations

import os
import pwd
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import psycopg
from psycopg import sql

USER = "nobody"


def binaries() -> Path | None:
    """Return the folder with ``initdb`` and ``postgres``, ``None`` where none is installed."""
    installed = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"))
    on_path = shutil.which("postgres")
    found = [*installed, *([Path(on_path)] if on_path else [])]
    return found[-1].parent if found else None


class Server:
    """A server on 127.0.0.1 with its data in a temporary folder.

    Args:
        durable: whether commits wait for the disk, as in production.
        user: who owns everything.
        password: that is asked for; none is by default.
        options: for the server's command line.
    """

    def __init__(
        self,
        durable: bool = False,
        user: str = "postgres",
        password: str | None = None,
        options: Sequence[str] = (),
    ) -> None:
        folder = binaries()
        if folder is None:
            raise RuntimeError("no PostgreSQL server is installed")
        self._bin = folder
        self._durable = durable
        self.user, self._password, self._options = user, password, options
        self._folder = Path(tempfile.mkdtemp(prefix="postgres-", dir="/tmp"))
        self._process: subprocess.Popen[bytes] | None = None
        self.port = _free_port()
        if os.geteuid() == 0:
            owner = pwd.getpwnam(USER)
            os.chown(self._folder, owner.pw_uid, owner.pw_gid)
        self._run("initdb", "-D", "data", "-U", user, "-N", "-E", "UTF8", *self._authentication())

    def _authentication(self) -> list[str]:
        if self._password is None:
            return ["-A", "trust"]
        file = self._folder / "password"
        file.write_text(self._password)
        file.chmod(0o444)
        return ["-A", "scram-sha-256", "--pwfile", str(file)]

    def url(self, database: str = "postgres") -> str:
        """Return the URL of a database, with a password that must never be printed."""
        return f"postgresql+psycopg://postgres:secret@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start the server and wait until it answers."""
        options = [
            "-c",
            "listen_addresses=127.0.0.1",
            "-c",
            "unix_socket_directories=",
            *self._options,
        ]
        if not self._durable:
            options += ["-c", "fsync=off", "-c", "synchronous_commit=off"]
        command = [*self._as_user(), self._bin / "postgres", "-D", "data", "-p", str(self.port)]
        with (self._folder.parent / f"{self._folder.name}.log").open("ab") as log:
            self._process = subprocess.Popen(
                [*command, *options], cwd=self._folder, stdout=log, stderr=log
            )
        self._answer()

    def _answer(self) -> None:
        end = time.monotonic() + 60
        while True:
            try:
                self._connect().close()
            except psycopg.OperationalError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.05)
            else:
                return

    def stop(self, how: signal.Signals = signal.SIGINT) -> None:
        """Stop the server, cutting off whoever is connected (a "fast" shutdown)."""
        if self._process is not None:
            self._process.send_signal(how)
            self._process.wait()
        self._process = None

    def remove(self) -> None:
        """Stop the server at once and delete its data."""
        self.stop(signal.SIGQUIT)
        shutil.rmtree(self._folder)
        (self._folder.parent / f"{self._folder.name}.log").unlink(missing_ok=True)

    def database(self, name: str, template: str = "template0") -> str:
        """Make a database as a copy of another and return its URL."""
        make = sql.SQL("CREATE DATABASE {} TEMPLATE {}")
        with self._connect() as connection:
            connection.execute(make.format(sql.Identifier(name), sql.Identifier(template)))
        return self.url(name)

    def renew(self, name: str) -> None:
        """Make an empty database in the place of one that may be there."""
        with self._connect() as connection:
            drop = sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)")
            connection.execute(drop.format(sql.Identifier(name)))
        self.database(name)

    def empty(self, database: str, kept: tuple[str, ...]) -> None:
        """Delete all rows of a database but those of some tables."""
        with self._connect(database) as connection:
            rows = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'")
            names = [str(name) for (name,) in rows if name not in (*kept, "alembic_version")]
            tables = sql.SQL(", ").join(map(sql.Identifier, names))
            connection.execute(sql.SQL("TRUNCATE {} RESTART IDENTITY").format(tables))

    def connections(self, database: str) -> int:
        """Return how many clients are connected to a database."""
        query = "SELECT count(*) FROM pg_stat_activity WHERE datname = %s"
        with self._connect() as connection:
            row = connection.execute(query, [database]).fetchone()
        return int(row[0]) if row else 0

    def _connect(self, database: str = "postgres") -> psycopg.Connection[tuple[object, ...]]:
        return psycopg.connect(
            host="127.0.0.1",
            port=self.port,
            user=self.user,
            password=self._password,
            autocommit=True,
            dbname=database,
        )

    def _run(self, program: str, *arguments: str) -> None:
        command = [*self._as_user(), self._bin / program, *arguments]
        subprocess.run(command, cwd=self._folder, check=True, capture_output=True)

    def _as_user(self) -> list[str]:
        if os.geteuid() != 0:
            return []
        group = str(pwd.getpwnam(USER).pw_gid)
        return ["setpriv", f"--reuid={USER}", f"--regid={group}", "--clear-groups"]


def _free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])
