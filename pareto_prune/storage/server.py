"""Connections to a PostgreSQL server that notice when the other end is gone.

A server, or a client, that vanishes says nothing: its host lost power, a firewall forgot the
connection. The kernel asks whether an idle peer is there, the server ends what takes too long or
waits for a client that says nothing more, and a :class:`Watch` cuts off what hangs all the same.
"""

from __future__ import annotations

import os
import socket
import threading
from contextlib import suppress
from types import TracebackType
from typing import Any, Self

from sqlalchemy import URL, Connection, CreateEnginePlugin, Engine, event
from sqlalchemy.dialects import plugins

READ_ONLY = "25006"
"""What a server says that was demoted, of whatever writes: it, or another one, takes it again."""
STATEMENT_SECONDS = 60
"""After which the server ends a statement, or a transaction whose client says nothing."""

CONNECT_ARGUMENTS: dict[str, Any] = {
    "connect_timeout": 10,
    "client_encoding": "utf8",
    "keepalives": 1,
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
    "prepare_threshold": None,
}
"""What libpq is told, times in seconds, the last one in milliseconds; and the driver: nothing is
prepared, since a pooler gives each transaction another session."""

_AWAY = (
    "refused",
    "timeout",
    "timed out",
    "unreachable",
    "No route to host",
    "Name or service not known",
    "name resolution",
    "resolve",
    "translate host name",
    "reset by peer",
    "closed the connection",
    "too many clients",
    "too many connections",
    "remaining connection slots",
    "starting up",
    "shutting down",
    "terminating connection",
    "recovery",
)


def is_away(said: str) -> bool:
    """Return whether a server that says this, or nothing, may well be there a little later."""
    return any(words in said for words in _AWAY)


def begin(connection: Connection) -> None:
    """Bound a transaction that has just begun; for it alone, since poolers share sessions."""
    settings = ("statement_timeout", "idle_in_transaction_session_timeout")
    set_each = ", ".join(f"set_config('{one}', '{STATEMENT_SECONDS}s', true)" for one in settings)
    connection.exec_driver_sql(f"SELECT {set_each}")


class Bounded(CreateEnginePlugin):
    """Bounds the transactions of an engine that another library makes."""

    NAME = "pareto_prune_bounded"

    def update_url(self, url: URL) -> URL:
        """Return the URL as it is."""
        return url

    def engine_created(self, engine: Engine) -> None:
        """Listen to it."""
        event.listen(engine, "begin", begin)


plugins.register(Bounded.NAME, __name__, Bounded.__name__)


class Watch:
    """Cuts a connection off where what is done in a ``with`` block takes too long.

    Args:
        connection: to a server.
        seconds: how long it may take.
    """

    def __init__(self, connection: Connection, seconds: float) -> None:
        self._socket = getattr(connection.connection.driver_connection, "fileno", lambda: -1)
        self._timer = threading.Timer(seconds, self._cut)
        self._timer.daemon = True

    def _cut(self) -> None:
        with suppress(Exception), socket.socket(fileno=os.dup(self._socket())) as open_end:
            open_end.shutdown(socket.SHUT_RDWR)

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._timer.cancel()
